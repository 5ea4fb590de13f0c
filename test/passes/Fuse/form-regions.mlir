// RUN: ingot-opt %s --ingot-form-regions --ingot-verify-fuse-stage | FileCheck %s

!w = !transformer.weight<[64, 64], q4_1>
!norm = !transformer.weight<[64], f32>
!cache = !transformer.kv_cache<layers = 2, heads = 1, dim = 16, format = f16, page = 16>
!x = tensor<?x64xf32>
!q = tensor<?x4x16xf32>
!k = tensor<?x1x16xf32>

// What an op uses becomes an operand, in its order; the body holds the op.
// CHECK-LABEL: func.func @linear
// CHECK-SAME: (%[[V:.*]]: tensor<?x64xi8>, %[[S:.*]]: tensor<?x2xf32>, %[[W:.*]]: !transformer
func.func @linear(%v: tensor<?x64xi8>, %s: tensor<?x2xf32>, %w: !w) -> !x {
  // CHECK: %[[Y:.*]] = transformer.compute "Linear" (%[[A:.*]] = %[[V]] : tensor<?x64xi8>, %[[B:.*]] = %[[S]] : tensor<?x2xf32>, %[[C:.*]] = %[[W]] : {{.*}}) -> (tensor<?x64xf32>) {
  // CHECK-NEXT: %[[R:.*]] = transformer.linear %[[A]] scales %[[B]], %[[C]]
  // CHECK-NEXT: transformer.yield %[[R]] : tensor<?x64xf32>
  // CHECK: return %[[Y]]
  %y = transformer.linear %v scales %s, %w : tensor<?x64xi8> scales tensor<?x2xf32>, !w -> !x
  return %y : !x
}

// A family for each op.
// CHECK-LABEL: func.func @families
func.func @families(%ids: tensor<?xi32>, %rows: tensor<?xi32>, %t: !transformer.weight<[100, 64], q8_0>, %g: !norm) -> (tensor<?x64xi8>, tensor<?x2xf32>, !x) {
  // CHECK: transformer.compute "Embedding"
  // CHECK: transformer.compute "SelectRows"
  // CHECK: transformer.compute "RmsNorm"
  // CHECK: transformer.compute "Quantize"
  // CHECK: transformer.compute "Elementwise"
  %e = transformer.embedding %ids, %t : tensor<?xi32>, !transformer.weight<[100, 64], q8_0> -> !x
  %r = transformer.select_rows %e, %rows : !x, tensor<?xi32> -> !x
  %n = transformer.norm rms %r, %g {epsilon = 1.0e-5 : f32} : !x, !norm
  %v, %s = transformer.quantize %n : !x -> tensor<?x64xi8>, tensor<?x2xf32>
  %a = arith.addf %r, %n : !x
  return %v, %s, %a : tensor<?x64xi8>, tensor<?x2xf32>, !x
}

// Names, sizes and changes of shape stay outside and feed regions.
// CHECK-LABEL: func.func @attend
func.func @attend(%x: !x, %k: !k, %batch: !transformer.ragged, %cache: !cache, %layer: index) -> (!x, !cache) {
  // CHECK: %[[P:.*]] = transformer.positions
  // CHECK: %[[X:.*]] = tensor.expand_shape
  // CHECK: %[[Q:.*]] = transformer.compute "Rope" (%{{.*}} = %[[X]] : tensor<?x4x16xf32>, %{{.*}} = %[[P]] : tensor<?xi32>)
  // CHECK: %[[C:.*]] = transformer.compute "AppendCache"
  // CHECK: %[[Y:.*]] = transformer.compute "PagedAttention" (%{{.*}} = %[[Q]] : tensor<?x4x16xf32>, %{{.*}} = %[[C]] :
  // CHECK: tensor.collapse_shape %[[Y]]
  %c0 = arith.constant 0 : index
  %t = tensor.dim %x, %c0 : !x
  %p = transformer.positions %batch : tensor<?xi32>
  %q = tensor.expand_shape %x [[0], [1, 2]] output_shape [%t, 4, 16] : !x into !q
  %r = transformer.rope interleaved %q, %p {base = 1.0e4 : f64} : !q, tensor<?xi32>
  %c = transformer.append_cache %cache[%layer], %k, %k, %batch : !cache, !k
  %a = transformer.cached_attention %r, %c[%layer], %batch {scale = 0.25 : f32} : !q, !cache
  %y = tensor.collapse_shape %a [[0], [1, 2]] : !q into !x
  return %y, %c : !x, !cache
}

// Ops on single numbers go together with those that only they read.
// CHECK-LABEL: func.func @gate
func.func @gate(%g: !x, %u: !x) -> !x {
  // CHECK: transformer.compute "Elementwise"
  // CHECK-NEXT: transformer.activation
  // CHECK-NEXT: arith.mulf
  // CHECK-NEXT: transformer.yield
  %a = transformer.activation silu %g : !x
  %m = arith.mulf %a, %u : !x
  return %m : !x
}

// Numbers that are repeated become the region's own: a soft-cap.
// CHECK-LABEL: func.func @cap
// CHECK-SAME: (%[[X:.*]]: tensor<?x64xf32>)
func.func @cap(%x: !x) -> !x {
  // CHECK: %[[N:.*]] = tensor.dim %[[X]]
  // CHECK: transformer.compute "Elementwise" ({{.*}} = %[[N]] : index, {{.*}} = %[[X]] : tensor<?x64xf32>
  // CHECK: %[[S:.*]] = tensor.splat
  // CHECK: arith.divf %{{.*}}, %[[S]]
  // CHECK: math.tanh
  // CHECK: arith.mulf
  // CHECK: transformer.yield
  // CHECK-NOT: transformer.compute
  %c0 = arith.constant 0 : index
  %n = tensor.dim %x, %c0 : !x
  %f = arith.constant 30.0 : f32
  %s = tensor.splat %f[%n] : !x
  %d = arith.divf %x, %s : !x
  %t = math.tanh %d : !x
  %y = arith.mulf %t, %s : !x
  return %y : !x
}

// What is in a region stays.
// CHECK-LABEL: func.func @formed
func.func @formed(%g: !x) -> !x {
  // CHECK-COUNT-1: transformer.compute
  // CHECK-NOT: transformer.compute
  %y = transformer.compute "Elementwise" (%i = %g : !x) -> (!x) {
    %a = transformer.activation silu %i : !x
    transformer.yield %a : !x
  }
  return %y : !x
}
