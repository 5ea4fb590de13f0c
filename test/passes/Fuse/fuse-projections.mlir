// RUN: ingot-opt %s --ingot-fuse-projections --remarks-filter=fuse --remark-policy=all --remark-format=emitRemark --verify-diagnostics | FileCheck %s

!x = tensor<?x64xf32>
!wq = !transformer.weight<[64, 64], q4_1>
!wk = !transformer.weight<[32, 64], q4_1>
!cache = !transformer.kv_cache<layers = 2, heads = 2, dim = 16, format = f16, page = 16>
!q = tensor<?x4x16xf32>
!k = tensor<?x2x16xf32>

// The ops become a region as they are; positions and sizes are named outside.
// CHECK-LABEL: func.func @fuse
// CHECK-SAME: (%[[X:.*]]: tensor<?x64xf32>, %[[B:[^:]*]]: !transformer.ragged, %[[C:[^:]*]]: !transformer.kv_cache<{{[^>]*}}>, %[[L:[^:]*]]: index,
// CHECK-SAME: %[[WQ:[^:]*]]: !transformer.weight<[64, 64], q4_1>, %[[WK:[^:]*]]: !transformer.weight<[32, 64], q4_1>, %[[WV:[^:]*]]: !
func.func @fuse(%x: !x, %batch: !transformer.ragged, %cache: !cache, %layer: index, %wq: !wq, %wk: !wk, %wv: !wk) -> (!q, !cache) {
  // CHECK: %[[P:.*]] = transformer.positions %[[B]]
  // CHECK: %[[T:.*]] = tensor.dim %[[X]]
  // CHECK: %[[Y:.*]]:2 = transformer.compute "LinearRopeAppendCache" (%[[XX:.*]] = %[[X]] : tensor<?x64xf32>, %[[QQ:.*]] = %[[WQ]] : {{.*}}, %[[N:.*]] = %[[T]] : index, %[[POS:.*]] = %[[P]] : tensor<?xi32>, %[[KK:.*]] = %[[WK]] : {{.*}}, %[[VV:.*]] = %[[WV]] : {{.*}}, %[[CC:.*]] = %[[C]] : {{.*}}, %[[LL:.*]] = %[[L]] : index, %[[BB:.*]] = %[[B]] : !transformer.ragged)
  // CHECK-SAME: -> (tensor<?x4x16xf32>, !transformer.kv_cache
  // CHECK-NEXT: %[[Q0:.*]] = transformer.linear %[[XX]], %[[QQ]]
  // CHECK-NEXT: %[[Q1:.*]] = tensor.expand_shape %[[Q0]] {{.*}} output_shape [%[[N]], 4, 16]
  // CHECK-NEXT: %[[Q2:.*]] = transformer.rope interleaved %[[Q1]], %[[POS]]
  // CHECK-NEXT: %[[K0:.*]] = transformer.linear %[[XX]], %[[KK]]
  // CHECK-NEXT: %[[K1:.*]] = tensor.expand_shape %[[K0]]
  // CHECK-NEXT: %[[K2:.*]] = transformer.rope interleaved %[[K1]], %[[POS]]
  // CHECK-NEXT: %[[V0:.*]] = transformer.linear %[[XX]], %[[VV]]
  // CHECK-NEXT: %[[V1:.*]] = tensor.expand_shape %[[V0]]
  // CHECK-NEXT: %[[A:.*]] = transformer.append_cache %[[CC]][%[[LL]]], %[[K2]], %[[V1]], %[[BB]]
  // CHECK-NEXT: transformer.yield %[[Q2]], %[[A]]
  // CHECK: transformer.cached_attention %[[Y]]#0, %[[Y]]#1[%[[L]]], %[[B]]
  %c0 = arith.constant 0 : index
  %p = transformer.positions %batch : tensor<?xi32>
  %q0 = transformer.linear %x, %wq : !x, !wq -> !x
  %t = tensor.dim %q0, %c0 : !x
  %q1 = tensor.expand_shape %q0 [[0], [1, 2]] output_shape [%t, 4, 16] : !x into !q
  %q2 = transformer.rope interleaved %q1, %p {base = 1.0e4 : f64} : !q, tensor<?xi32>
  %k0 = transformer.linear %x, %wk : !x, !wk -> tensor<?x32xf32>
  %k1 = tensor.expand_shape %k0 [[0], [1, 2]] output_shape [%t, 2, 16] : tensor<?x32xf32> into !k
  %k2 = transformer.rope interleaved %k1, %p {base = 1.0e4 : f64} : !k, tensor<?xi32>
  %v0 = transformer.linear %x, %wv : !x, !wk -> tensor<?x32xf32>
  %v1 = tensor.expand_shape %v0 [[0], [1, 2]] output_shape [%t, 2, 16] : tensor<?x32xf32> into !k
  // expected-remark@below {{[Passed] FuseProjections | Category:fuse | Function=fuse | Remark="queries, keys and values in one region"}}
  %c1 = transformer.append_cache %cache[%layer], %k2, %v1, %batch : !cache, !k
  %a = transformer.cached_attention %q2, %c1[%layer], %batch {scale = 0.25 : f32} : !q, !cache
  return %a, %c1 : !q, !cache
}

// Quantized activations are an operand with their scales.
// CHECK-LABEL: func.func @quantized
// CHECK-SAME: (%[[V:.*]]: tensor<?x64xi8>, %[[S:.*]]: tensor<?x2xf32>,
func.func @quantized(%x: tensor<?x64xi8>, %s: tensor<?x2xf32>, %batch: !transformer.ragged, %cache: !cache, %layer: index, %wq: !wq, %wk: !wk, %wv: !wk, %t: index) -> (!q, !cache) {
  // CHECK: transformer.compute "LinearRopeAppendCache" (%{{.*}} = %[[V]] : tensor<?x64xi8>, %{{.*}} = %[[S]] : tensor<?x2xf32>,
  %p = transformer.positions %batch : tensor<?xi32>
  %q0 = transformer.linear %x scales %s, %wq : tensor<?x64xi8> scales tensor<?x2xf32>, !wq -> !x
  %q1 = tensor.expand_shape %q0 [[0], [1, 2]] output_shape [%t, 4, 16] : !x into !q
  %q2 = transformer.rope interleaved %q1, %p {base = 1.0e4 : f64} : !q, tensor<?xi32>
  %k0 = transformer.linear %x scales %s, %wk : tensor<?x64xi8> scales tensor<?x2xf32>, !wk -> tensor<?x32xf32>
  %k1 = tensor.expand_shape %k0 [[0], [1, 2]] output_shape [%t, 2, 16] : tensor<?x32xf32> into !k
  %k2 = transformer.rope interleaved %k1, %p {base = 1.0e4 : f64} : !k, tensor<?xi32>
  %v0 = transformer.linear %x scales %s, %wv : tensor<?x64xi8> scales tensor<?x2xf32>, !wk -> tensor<?x32xf32>
  %v1 = tensor.expand_shape %v0 [[0], [1, 2]] output_shape [%t, 2, 16] : tensor<?x32xf32> into !k
  // expected-remark@below {{queries, keys and values in one region}}
  %c1 = transformer.append_cache %cache[%layer], %k2, %v1, %batch : !cache, !k
  %a = transformer.cached_attention %q2, %c1[%layer], %batch {scale = 0.25 : f32} : !q, !cache
  return %a, %c1 : !q, !cache
}

// Formats of their own, biases, norms over heads, halves that rotate in part: all are the kernel's.
// CHECK-LABEL: func.func @variety
func.func @variety(%x: !x, %batch: !transformer.ragged, %cache: !cache, %layer: index, %wq: !wq, %wk: !wk, %wv: !transformer.weight<[32, 64], q8_0>, %b: !transformer.weight<[32], f32>, %g: !transformer.weight<[16], f32>, %t: index) -> (!q, !cache) {
  // CHECK: transformer.compute "LinearRopeAppendCache"
  // CHECK: transformer.norm rms
  // CHECK: transformer.linear %{{.*}}, %{{.*}} bias %
  // CHECK: transformer.rope half %{{.*}} {base = 1.000000e+04 : f64, dims = 8 : i64}
  // CHECK: transformer.yield
  // CHECK-NOT: transformer.linear
  %p = transformer.positions %batch : tensor<?xi32>
  %q0 = transformer.linear %x, %wq : !x, !wq -> !x
  %q1 = tensor.expand_shape %q0 [[0], [1, 2]] output_shape [%t, 4, 16] : !x into !q
  %q2 = transformer.norm rms %q1, %g {epsilon = 1.0e-5 : f32} : !q, !transformer.weight<[16], f32>
  %q3 = transformer.rope half %q2, %p {base = 1.0e4 : f64, dims = 8 : i64} : !q, tensor<?xi32>
  %k0 = transformer.linear %x, %wk bias %b : !x, !wk bias !transformer.weight<[32], f32> -> tensor<?x32xf32>
  %k1 = tensor.expand_shape %k0 [[0], [1, 2]] output_shape [%t, 2, 16] : tensor<?x32xf32> into !k
  %k2 = transformer.rope half %k1, %p {base = 1.0e4 : f64, dims = 8 : i64} : !k, tensor<?xi32>
  %v0 = transformer.linear %x, %wv : !x, !transformer.weight<[32, 64], q8_0> -> tensor<?x32xf32>
  %v1 = tensor.expand_shape %v0 [[0], [1, 2]] output_shape [%t, 2, 16] : tensor<?x32xf32> into !k
  // expected-remark@below {{queries, keys and values in one region}}
  %c1 = transformer.append_cache %cache[%layer], %k2, %v1, %batch : !cache, !k
  %a = transformer.cached_attention %q3, %c1[%layer], %batch {scale = 0.25 : f32} : !q, !cache
  return %a, %c1 : !q, !cache
}

// One weight that holds all three, and no rotation.
// CHECK-LABEL: func.func @slices
func.func @slices(%x: !x, %batch: !transformer.ragged, %cache: !cache, %layer: index, %w: !transformer.weight<[128, 64], q4_1>, %t: index) -> (!q, !cache) {
  // CHECK: transformer.compute "LinearRopeAppendCache"
  // CHECK-COUNT-3: tensor.extract_slice
  // CHECK: transformer.yield
  // CHECK-NOT: tensor.extract_slice
  %y = transformer.linear %x, %w : !x, !transformer.weight<[128, 64], q4_1> -> tensor<?x128xf32>
  %q0 = tensor.extract_slice %y[0, 0] [%t, 64] [1, 1] : tensor<?x128xf32> to !x
  %k0 = tensor.extract_slice %y[0, 64] [%t, 32] [1, 1] : tensor<?x128xf32> to tensor<?x32xf32>
  %v0 = tensor.extract_slice %y[0, 96] [%t, 32] [1, 1] : tensor<?x128xf32> to tensor<?x32xf32>
  %q1 = tensor.expand_shape %q0 [[0], [1, 2]] output_shape [%t, 4, 16] : !x into !q
  %k1 = tensor.expand_shape %k0 [[0], [1, 2]] output_shape [%t, 2, 16] : tensor<?x32xf32> into !k
  %v1 = tensor.expand_shape %v0 [[0], [1, 2]] output_shape [%t, 2, 16] : tensor<?x32xf32> into !k
  // expected-remark@below {{queries, keys and values in one region}}
  %c1 = transformer.append_cache %cache[%layer], %k1, %v1, %batch : !cache, !k
  %a = transformer.cached_attention %q1, %c1[%layer], %batch {scale = 0.25 : f32} : !q, !cache
  return %a, %c1 : !q, !cache
}
