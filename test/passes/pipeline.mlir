// RUN: ingot-opt %s --ingot-model-stage | ingot-opt --ingot-compress-stage | ingot-opt --ingot-partition-stage | ingot-opt --ingot-fuse-stage | FileCheck %s
// RUN: ingot-opt %s --ingot-model-stage --ingot-compress-stage --ingot-partition-stage --ingot-fuse-stage --ingot-tile-stage --ingot-plan-stage | FileCheck %s --check-prefix=PLAN
// RUN: ingot-opt %s --ingot-model-stage="cache-format=f32 page-tokens=32" | FileCheck %s --check-prefix=OPTIONS

// The plain program of two layers becomes a step of kernels; the IR prints and parses between stages. The two layers,
// written out twice, are one function.

// CHECK:       module attributes {{.*}}transformer.devices = 1
// CHECK:       func.func @step(%{{.*}}: tensor<?xi32>, %{{.*}}: !transformer.ragged, %{{.*}}: !transformer.kv_cache<layers = 2, heads = 1, dim = 32, format = f16, page = 16>, %{{.*}}: tensor<?xi32>)
// CHECK:       transformer.compute "Embedding"
// CHECK:       call @[[LAYER:[a-z0-9_]+]](
// CHECK:       call @[[LAYER]](
// CHECK:       transformer.compute "SelectRows"
// CHECK:       transformer.compute "RmsNormQuantize"
// CHECK:       transformer.compute "Linear"
// CHECK:       func.func private @[[LAYER]](
// CHECK:       transformer.compute "RmsNormQuantize"
// CHECK:       transformer.compute "LinearRopeAppendCache"
// CHECK:       transformer.compute "PagedAttention"
// CHECK:       transformer.compute "Quantize"
// CHECK:       transformer.compute "Linear"
// CHECK:       arith.addf
// CHECK:       transformer.compute "RmsNormQuantize"
// CHECK:       transformer.compute "LinearGatedActivation"
// CHECK:       transformer.compute "Quantize"
// CHECK:       transformer.compute "Linear"
// CHECK:       arith.addf
// CHECK-NOT:   func.func

// PLAN:        plan.program
// PLAN-NOT:    transformer.compute
// OPTIONS:     !transformer.kv_cache<layers = 2, heads = 1, dim = 32, format = f32, page = 32>

#q = affine_map<(b, n, g, s, t, d) -> (b, s, n, g, d)>
#k = affine_map<(b, n, g, s, t, d) -> (b, t, n, d)>
#s = affine_map<(b, n, g, s, t, d) -> (b, n, g, s, t)>
#p = affine_map<(b, s, n, g, d, t) -> (b, n, g, s, t)>
#v = affine_map<(b, s, n, g, d, t) -> (b, t, n, d)>
#y = affine_map<(b, s, n, g, d, t) -> (b, s, n, g, d)>
!v = !transformer.weight<[64], f32>
!q = !transformer.weight<[64, 64], q4_1>
!k = !transformer.weight<[32, 64], q4_1>
!f = !transformer.weight<[128, 64], q4_1>
!d = !transformer.weight<[64, 128], q4_1>
!e = !transformer.weight<[96, 64], q8_0>
transformer.weight @embedding : !e source "embedding"
transformer.weight @norm : !v source "norm"
transformer.weight @n1_0 : !v source "n1_0"
transformer.weight @wq_0 : !q source "wq_0"
transformer.weight @wk_0 : !k source "wk_0"
transformer.weight @wv_0 : !k source "wv_0"
transformer.weight @wo_0 : !q source "wo_0"
transformer.weight @n2_0 : !v source "n2_0"
transformer.weight @wg_0 : !f source "wg_0"
transformer.weight @wu_0 : !f source "wu_0"
transformer.weight @wd_0 : !d source "wd_0"
transformer.weight @n1_1 : !v source "n1_1"
transformer.weight @wq_1 : !q source "wq_1"
transformer.weight @wk_1 : !k source "wk_1"
transformer.weight @wv_1 : !k source "wv_1"
transformer.weight @wo_1 : !q source "wo_1"
transformer.weight @n2_1 : !v source "n2_1"
transformer.weight @wg_1 : !f source "wg_1"
transformer.weight @wu_1 : !f source "wu_1"
transformer.weight @wd_1 : !d source "wd_1"

func.func @main(%ids: tensor<?x?xi32>, %positions: tensor<?x?xi32>, %lengths: tensor<?xi32>, %rows: tensor<?xi32>) -> tensor<?x96xf32> attributes {transformer.entry} {
  %e = transformer.get_weight @embedding : !e
  %x0 = transformer.embedding %ids, %e : tensor<?x?xi32>, !e -> tensor<?x?x64xf32>
  %n1_0 = transformer.get_weight @n1_0 : !v
  %wq_0 = transformer.get_weight @wq_0 : !q
  %wk_0 = transformer.get_weight @wk_0 : !k
  %wv_0 = transformer.get_weight @wv_0 : !k
  %wo_0 = transformer.get_weight @wo_0 : !q
  %n2_0 = transformer.get_weight @n2_0 : !v
  %wg_0 = transformer.get_weight @wg_0 : !f
  %wu_0 = transformer.get_weight @wu_0 : !f
  %wd_0 = transformer.get_weight @wd_0 : !d
  %x1 = call @layer(%x0, %positions, %lengths, %n1_0, %wq_0, %wk_0, %wv_0, %wo_0, %n2_0, %wg_0, %wu_0, %wd_0) : (tensor<?x?x64xf32>, tensor<?x?xi32>, tensor<?xi32>, !v, !q, !k, !k, !q, !v, !f, !f, !d) -> tensor<?x?x64xf32>
  %n1_1 = transformer.get_weight @n1_1 : !v
  %wq_1 = transformer.get_weight @wq_1 : !q
  %wk_1 = transformer.get_weight @wk_1 : !k
  %wv_1 = transformer.get_weight @wv_1 : !k
  %wo_1 = transformer.get_weight @wo_1 : !q
  %n2_1 = transformer.get_weight @n2_1 : !v
  %wg_1 = transformer.get_weight @wg_1 : !f
  %wu_1 = transformer.get_weight @wu_1 : !f
  %wd_1 = transformer.get_weight @wd_1 : !d
  %x2 = call @same_layer(%x1, %positions, %lengths, %n1_1, %wq_1, %wk_1, %wv_1, %wo_1, %n2_1, %wg_1, %wu_1, %wd_1) : (tensor<?x?x64xf32>, tensor<?x?xi32>, tensor<?xi32>, !v, !q, !k, !k, !q, !v, !f, !f, !d) -> tensor<?x?x64xf32>
  %r = transformer.select_rows %x2, %rows : tensor<?x?x64xf32>, tensor<?xi32> -> tensor<?x64xf32>
  %w = transformer.get_weight @norm : !v
  %n = transformer.norm rms %r, %w {epsilon = 1.0e-5 : f32} : tensor<?x64xf32>, !v
  %y = transformer.linear %n, %e : tensor<?x64xf32>, !e -> tensor<?x96xf32>
  return %y : tensor<?x96xf32>
}

func.func private @layer(%x: tensor<?x?x64xf32>, %positions: tensor<?x?xi32>, %lengths: tensor<?xi32>, %n1: !v, %wq: !q, %wk: !k, %wv: !k, %wo: !q, %n2: !v, %wg: !f, %wu: !f, %wd: !d) -> tensor<?x?x64xf32> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %b = tensor.dim %x, %c0 : tensor<?x?x64xf32>
  %s = tensor.dim %x, %c1 : tensor<?x?x64xf32>
  %zero = arith.constant 0.0 : f32
  %half = arith.constant 0.5 : f32
  %inf = arith.constant 0xFF800000 : f32
  %n = transformer.norm rms %x, %n1 {epsilon = 1.0e-5 : f32} : tensor<?x?x64xf32>, !v
  %q0 = transformer.linear %n, %wq : tensor<?x?x64xf32>, !q -> tensor<?x?x64xf32>
  %q1 = tensor.expand_shape %q0 [[0], [1], [2, 3]] output_shape [%b, %s, 2, 32] : tensor<?x?x64xf32> into tensor<?x?x2x32xf32>
  %q = transformer.rope interleaved %q1, %positions {base = 1.0e4 : f64} : tensor<?x?x2x32xf32>, tensor<?x?xi32>
  %k0 = transformer.linear %n, %wk : tensor<?x?x64xf32>, !k -> tensor<?x?x32xf32>
  %k1 = tensor.expand_shape %k0 [[0], [1], [2, 3]] output_shape [%b, %s, 1, 32] : tensor<?x?x32xf32> into tensor<?x?x1x32xf32>
  %k = transformer.rope interleaved %k1, %positions {base = 1.0e4 : f64} : tensor<?x?x1x32xf32>, tensor<?x?xi32>
  %v0 = transformer.linear %n, %wv : tensor<?x?x64xf32>, !k -> tensor<?x?x32xf32>
  %v = tensor.expand_shape %v0 [[0], [1], [2, 3]] output_shape [%b, %s, 1, 32] : tensor<?x?x32xf32> into tensor<?x?x1x32xf32>
  %q5 = tensor.expand_shape %q [[0], [1], [2, 3], [4]] output_shape [%b, %s, 1, 2, 32] : tensor<?x?x2x32xf32> into tensor<?x?x1x2x32xf32>
  %e = tensor.empty(%b, %s, %s) : tensor<?x1x2x?x?xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<?x1x2x?x?xf32>) -> tensor<?x1x2x?x?xf32>
  %scores = linalg.contract indexing_maps = [#q, #k, #s] ins(%q5, %k : tensor<?x?x1x2x32xf32>, tensor<?x?x1x32xf32>) outs(%f : tensor<?x1x2x?x?xf32>) -> tensor<?x1x2x?x?xf32>
  %splat = tensor.splat %half[%b, %s, %s] : tensor<?x1x2x?x?xf32>
  %scaled = arith.mulf %scores, %splat : tensor<?x1x2x?x?xf32>
  %m = transformer.attention_mask %positions, %lengths {causal} : tensor<?x?xi32>, tensor<?xi32> -> tensor<?x?x?xi1>
  %em = tensor.empty(%b, %s, %s) : tensor<?x1x2x?x?xi1>
  %m5 = linalg.broadcast ins(%m : tensor<?x?x?xi1>) outs(%em : tensor<?x1x2x?x?xi1>) dimensions = [1, 2]
  %minus = tensor.splat %inf[%b, %s, %s] : tensor<?x1x2x?x?xf32>
  %masked = arith.select %m5, %scaled, %minus : tensor<?x1x2x?x?xi1>, tensor<?x1x2x?x?xf32>
  %p = linalg.softmax dimension(4) ins(%masked : tensor<?x1x2x?x?xf32>) outs(%e : tensor<?x1x2x?x?xf32>) -> tensor<?x1x2x?x?xf32>
  %ey = tensor.empty(%b, %s) : tensor<?x?x1x2x32xf32>
  %fy = linalg.fill ins(%zero : f32) outs(%ey : tensor<?x?x1x2x32xf32>) -> tensor<?x?x1x2x32xf32>
  %y5 = linalg.contract indexing_maps = [#p, #v, #y] ins(%p, %v : tensor<?x1x2x?x?xf32>, tensor<?x?x1x32xf32>) outs(%fy : tensor<?x?x1x2x32xf32>) -> tensor<?x?x1x2x32xf32>
  %y = tensor.collapse_shape %y5 [[0], [1], [2, 3, 4]] : tensor<?x?x1x2x32xf32> into tensor<?x?x64xf32>
  %o = transformer.linear %y, %wo : tensor<?x?x64xf32>, !q -> tensor<?x?x64xf32>
  %r = arith.addf %x, %o : tensor<?x?x64xf32>
  %nf = transformer.norm rms %r, %n2 {epsilon = 1.0e-5 : f32} : tensor<?x?x64xf32>, !v
  %gate = transformer.linear %nf, %wg : tensor<?x?x64xf32>, !f -> tensor<?x?x128xf32>
  %act = transformer.activation silu %gate : tensor<?x?x128xf32>
  %up = transformer.linear %nf, %wu : tensor<?x?x64xf32>, !f -> tensor<?x?x128xf32>
  %product = arith.mulf %act, %up : tensor<?x?x128xf32>
  %down = transformer.linear %product, %wd : tensor<?x?x128xf32>, !d -> tensor<?x?x64xf32>
  %z = arith.addf %r, %down : tensor<?x?x64xf32>
  return %z : tensor<?x?x64xf32>
}

func.func private @same_layer(%x: tensor<?x?x64xf32>, %positions: tensor<?x?xi32>, %lengths: tensor<?xi32>, %n1: !v, %wq: !q, %wk: !k, %wv: !k, %wo: !q, %n2: !v, %wg: !f, %wu: !f, %wd: !d) -> tensor<?x?x64xf32> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %b = tensor.dim %x, %c0 : tensor<?x?x64xf32>
  %s = tensor.dim %x, %c1 : tensor<?x?x64xf32>
  %zero = arith.constant 0.0 : f32
  %half = arith.constant 0.5 : f32
  %inf = arith.constant 0xFF800000 : f32
  %n = transformer.norm rms %x, %n1 {epsilon = 1.0e-5 : f32} : tensor<?x?x64xf32>, !v
  %q0 = transformer.linear %n, %wq : tensor<?x?x64xf32>, !q -> tensor<?x?x64xf32>
  %q1 = tensor.expand_shape %q0 [[0], [1], [2, 3]] output_shape [%b, %s, 2, 32] : tensor<?x?x64xf32> into tensor<?x?x2x32xf32>
  %q = transformer.rope interleaved %q1, %positions {base = 1.0e4 : f64} : tensor<?x?x2x32xf32>, tensor<?x?xi32>
  %k0 = transformer.linear %n, %wk : tensor<?x?x64xf32>, !k -> tensor<?x?x32xf32>
  %k1 = tensor.expand_shape %k0 [[0], [1], [2, 3]] output_shape [%b, %s, 1, 32] : tensor<?x?x32xf32> into tensor<?x?x1x32xf32>
  %k = transformer.rope interleaved %k1, %positions {base = 1.0e4 : f64} : tensor<?x?x1x32xf32>, tensor<?x?xi32>
  %v0 = transformer.linear %n, %wv : tensor<?x?x64xf32>, !k -> tensor<?x?x32xf32>
  %v = tensor.expand_shape %v0 [[0], [1], [2, 3]] output_shape [%b, %s, 1, 32] : tensor<?x?x32xf32> into tensor<?x?x1x32xf32>
  %q5 = tensor.expand_shape %q [[0], [1], [2, 3], [4]] output_shape [%b, %s, 1, 2, 32] : tensor<?x?x2x32xf32> into tensor<?x?x1x2x32xf32>
  %e = tensor.empty(%b, %s, %s) : tensor<?x1x2x?x?xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<?x1x2x?x?xf32>) -> tensor<?x1x2x?x?xf32>
  %scores = linalg.contract indexing_maps = [#q, #k, #s] ins(%q5, %k : tensor<?x?x1x2x32xf32>, tensor<?x?x1x32xf32>) outs(%f : tensor<?x1x2x?x?xf32>) -> tensor<?x1x2x?x?xf32>
  %splat = tensor.splat %half[%b, %s, %s] : tensor<?x1x2x?x?xf32>
  %scaled = arith.mulf %scores, %splat : tensor<?x1x2x?x?xf32>
  %m = transformer.attention_mask %positions, %lengths {causal} : tensor<?x?xi32>, tensor<?xi32> -> tensor<?x?x?xi1>
  %em = tensor.empty(%b, %s, %s) : tensor<?x1x2x?x?xi1>
  %m5 = linalg.broadcast ins(%m : tensor<?x?x?xi1>) outs(%em : tensor<?x1x2x?x?xi1>) dimensions = [1, 2]
  %minus = tensor.splat %inf[%b, %s, %s] : tensor<?x1x2x?x?xf32>
  %masked = arith.select %m5, %scaled, %minus : tensor<?x1x2x?x?xi1>, tensor<?x1x2x?x?xf32>
  %p = linalg.softmax dimension(4) ins(%masked : tensor<?x1x2x?x?xf32>) outs(%e : tensor<?x1x2x?x?xf32>) -> tensor<?x1x2x?x?xf32>
  %ey = tensor.empty(%b, %s) : tensor<?x?x1x2x32xf32>
  %fy = linalg.fill ins(%zero : f32) outs(%ey : tensor<?x?x1x2x32xf32>) -> tensor<?x?x1x2x32xf32>
  %y5 = linalg.contract indexing_maps = [#p, #v, #y] ins(%p, %v : tensor<?x1x2x?x?xf32>, tensor<?x?x1x32xf32>) outs(%fy : tensor<?x?x1x2x32xf32>) -> tensor<?x?x1x2x32xf32>
  %y = tensor.collapse_shape %y5 [[0], [1], [2, 3, 4]] : tensor<?x?x1x2x32xf32> into tensor<?x?x64xf32>
  %o = transformer.linear %y, %wo : tensor<?x?x64xf32>, !q -> tensor<?x?x64xf32>
  %r = arith.addf %x, %o : tensor<?x?x64xf32>
  %nf = transformer.norm rms %r, %n2 {epsilon = 1.0e-5 : f32} : tensor<?x?x64xf32>, !v
  %gate = transformer.linear %nf, %wg : tensor<?x?x64xf32>, !f -> tensor<?x?x128xf32>
  %act = transformer.activation silu %gate : tensor<?x?x128xf32>
  %up = transformer.linear %nf, %wu : tensor<?x?x64xf32>, !f -> tensor<?x?x128xf32>
  %product = arith.mulf %act, %up : tensor<?x?x128xf32>
  %down = transformer.linear %product, %wd : tensor<?x?x128xf32>, !d -> tensor<?x?x64xf32>
  %z = arith.addf %r, %down : tensor<?x?x64xf32>
  return %z : tensor<?x?x64xf32>
}
