// RUN: ingot-opt %s --ingot-fuse-attention | FileCheck %s

#q = affine_map<(b, n, g, s, t, d) -> (b, s, n, g, d)>
#k = affine_map<(b, n, g, s, t, d) -> (b, t, n, d)>
#s = affine_map<(b, n, g, s, t, d) -> (b, n, g, s, t)>
#p = affine_map<(b, s, n, g, d, t) -> (b, n, g, s, t)>
#v = affine_map<(b, s, n, g, d, t) -> (b, t, n, d)>
#y = affine_map<(b, s, n, g, d, t) -> (b, s, n, g, d)>

// Grouped heads, a selected mask and a scale on the scores are one attention; nothing of the scores is left.
// CHECK-LABEL: func.func @grouped
// CHECK-SAME:  (%[[Q:.*]]: tensor<?x?x4x8xf32>, %[[K:.*]]: tensor<?x?x2x8xf32>, %[[V:.*]]: tensor<?x?x2x8xf32>, %[[P:.*]]: tensor<?x?xi32>, %[[L:.*]]: tensor<?xi32>)
func.func @grouped(%q: tensor<?x?x4x8xf32>, %k: tensor<?x?x2x8xf32>, %v: tensor<?x?x2x8xf32>, %positions: tensor<?x?xi32>, %lengths: tensor<?xi32>) -> tensor<?x?x4x8xf32> {
  // CHECK-NOT:  linalg
  // CHECK:      %[[Y:.*]] = transformer.attention %[[Q]], %[[K]], %[[V]] positions %[[P]] lengths %[[L]] {causal, scale = 5.000000e-01 : f32}
  // CHECK-NOT:  linalg
  // CHECK:      return
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %b = tensor.dim %q, %c0 : tensor<?x?x4x8xf32>
  %s = tensor.dim %q, %c1 : tensor<?x?x4x8xf32>
  %zero = arith.constant 0.0 : f32
  %half = arith.constant 0.5 : f32
  %inf = arith.constant 0xFF800000 : f32
  %q5 = tensor.expand_shape %q [[0], [1], [2, 3], [4]] output_shape [%b, %s, 2, 2, 8] : tensor<?x?x4x8xf32> into tensor<?x?x2x2x8xf32>
  %e0 = tensor.empty(%b, %s, %s) : tensor<?x2x2x?x?xf32>
  %f0 = linalg.fill ins(%zero : f32) outs(%e0 : tensor<?x2x2x?x?xf32>) -> tensor<?x2x2x?x?xf32>
  %scores = linalg.contract indexing_maps = [#q, #k, #s] ins(%q5, %k : tensor<?x?x2x2x8xf32>, tensor<?x?x2x8xf32>) outs(%f0 : tensor<?x2x2x?x?xf32>) -> tensor<?x2x2x?x?xf32>
  %scale = tensor.splat %half[%b, %s, %s] : tensor<?x2x2x?x?xf32>
  %scaled = arith.mulf %scores, %scale : tensor<?x2x2x?x?xf32>
  %mask = transformer.attention_mask %positions, %lengths {causal} : tensor<?x?xi32>, tensor<?xi32> -> tensor<?x?x?xi1>
  %em = tensor.empty(%b, %s, %s) : tensor<?x2x2x?x?xi1>
  %m5 = linalg.broadcast ins(%mask : tensor<?x?x?xi1>) outs(%em : tensor<?x2x2x?x?xi1>) dimensions = [1, 2]
  %minus = tensor.splat %inf[%b, %s, %s] : tensor<?x2x2x?x?xf32>
  %masked = arith.select %m5, %scaled, %minus : tensor<?x2x2x?x?xi1>, tensor<?x2x2x?x?xf32>
  %p = linalg.softmax dimension(4) ins(%masked : tensor<?x2x2x?x?xf32>) outs(%e0 : tensor<?x2x2x?x?xf32>) -> tensor<?x2x2x?x?xf32>
  %e1 = tensor.empty(%b, %s) : tensor<?x?x2x2x8xf32>
  %f1 = linalg.fill ins(%zero : f32) outs(%e1 : tensor<?x?x2x2x8xf32>) -> tensor<?x?x2x2x8xf32>
  %y5 = linalg.contract indexing_maps = [#p, #v, #y] ins(%p, %v : tensor<?x2x2x?x?xf32>, tensor<?x?x2x8xf32>) outs(%f1 : tensor<?x?x2x2x8xf32>) -> tensor<?x?x2x2x8xf32>
  %y = tensor.collapse_shape %y5 [[0], [1], [2, 3], [4]] : tensor<?x?x2x2x8xf32> into tensor<?x?x4x8xf32>
  return %y : tensor<?x?x4x8xf32>
}

// A soft-cap between scale and mask is the op's: what the tanh gets was divided by the cap.
// CHECK-LABEL: func.func @capped
// CHECK-SAME:  (%[[Q:.*]]: tensor<?x?x4x8xf32>, %[[K:.*]]: tensor<?x?x2x8xf32>, %[[V:.*]]: tensor<?x?x2x8xf32>, %[[P:.*]]: tensor<?x?xi32>, %[[L:.*]]: tensor<?xi32>)
func.func @capped(%q: tensor<?x?x4x8xf32>, %k: tensor<?x?x2x8xf32>, %v: tensor<?x?x2x8xf32>, %positions: tensor<?x?xi32>, %lengths: tensor<?xi32>) -> tensor<?x?x4x8xf32> {
  // CHECK-NOT:  linalg
  // CHECK:      %[[Y:.*]] = transformer.attention %[[Q]], %[[K]], %[[V]] positions %[[P]] lengths %[[L]] {causal, scale = 5.000000e-01 : f32, soft_cap = 3.000000e+01 : f32}
  // CHECK-NOT:  linalg
  // CHECK:      return
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %b = tensor.dim %q, %c0 : tensor<?x?x4x8xf32>
  %s = tensor.dim %q, %c1 : tensor<?x?x4x8xf32>
  %zero = arith.constant 0.0 : f32
  %half = arith.constant 0.5 : f32
  %inf = arith.constant 0xFF800000 : f32
  %q5 = tensor.expand_shape %q [[0], [1], [2, 3], [4]] output_shape [%b, %s, 2, 2, 8] : tensor<?x?x4x8xf32> into tensor<?x?x2x2x8xf32>
  %e0 = tensor.empty(%b, %s, %s) : tensor<?x2x2x?x?xf32>
  %f0 = linalg.fill ins(%zero : f32) outs(%e0 : tensor<?x2x2x?x?xf32>) -> tensor<?x2x2x?x?xf32>
  %scores = linalg.contract indexing_maps = [#q, #k, #s] ins(%q5, %k : tensor<?x?x2x2x8xf32>, tensor<?x?x2x8xf32>) outs(%f0 : tensor<?x2x2x?x?xf32>) -> tensor<?x2x2x?x?xf32>
  %scale = tensor.splat %half[%b, %s, %s] : tensor<?x2x2x?x?xf32>
  %scaled = arith.mulf %scores, %scale : tensor<?x2x2x?x?xf32>
  %thirty = arith.constant 30.0 : f32
  %cap = tensor.splat %thirty[%b, %s, %s] : tensor<?x2x2x?x?xf32>
  %ratio = arith.divf %scaled, %cap : tensor<?x2x2x?x?xf32>
  %bounded = math.tanh %ratio : tensor<?x2x2x?x?xf32>
  %capped = arith.mulf %bounded, %cap : tensor<?x2x2x?x?xf32>
  %mask = transformer.attention_mask %positions, %lengths {causal} : tensor<?x?xi32>, tensor<?xi32> -> tensor<?x?x?xi1>
  %em = tensor.empty(%b, %s, %s) : tensor<?x2x2x?x?xi1>
  %m5 = linalg.broadcast ins(%mask : tensor<?x?x?xi1>) outs(%em : tensor<?x2x2x?x?xi1>) dimensions = [1, 2]
  %minus = tensor.splat %inf[%b, %s, %s] : tensor<?x2x2x?x?xf32>
  %masked = arith.select %m5, %capped, %minus : tensor<?x2x2x?x?xi1>, tensor<?x2x2x?x?xf32>
  %p = linalg.softmax dimension(4) ins(%masked : tensor<?x2x2x?x?xf32>) outs(%e0 : tensor<?x2x2x?x?xf32>) -> tensor<?x2x2x?x?xf32>
  %e1 = tensor.empty(%b, %s) : tensor<?x?x2x2x8xf32>
  %f1 = linalg.fill ins(%zero : f32) outs(%e1 : tensor<?x?x2x2x8xf32>) -> tensor<?x?x2x2x8xf32>
  %y5 = linalg.contract indexing_maps = [#p, #v, #y] ins(%p, %v : tensor<?x2x2x?x?xf32>, tensor<?x?x2x8xf32>) outs(%f1 : tensor<?x?x2x2x8xf32>) -> tensor<?x?x2x2x8xf32>
  %y = tensor.collapse_shape %y5 [[0], [1], [2, 3], [4]] : tensor<?x?x2x2x8xf32> into tensor<?x?x4x8xf32>
  return %y : tensor<?x?x4x8xf32>
}
