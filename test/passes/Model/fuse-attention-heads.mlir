// RUN: ingot-opt %s --ingot-fuse-attention | FileCheck %s

// Key-value heads that were repeated for each query head (broadcast, then collapsed) are read once: the op groups them.
// CHECK-LABEL: func.func @repeated
// CHECK-SAME:  (%[[Q:.*]]: tensor<?x?x4x8xf32>, %[[K:.*]]: tensor<?x?x2x8xf32>, %[[V:.*]]: tensor<?x?x2x8xf32>, %[[P:.*]]: tensor<?x?xi32>, %[[L:.*]]: tensor<?xi32>)
#q = affine_map<(b, h, s, t, d) -> (b, s, h, d)>
#k = affine_map<(b, h, s, t, d) -> (b, t, h, d)>
#s = affine_map<(b, h, s, t, d) -> (b, h, s, t)>
#p = affine_map<(b, s, h, d, t) -> (b, h, s, t)>
#v = affine_map<(b, s, h, d, t) -> (b, t, h, d)>
#y = affine_map<(b, s, h, d, t) -> (b, s, h, d)>
func.func @repeated(%q: tensor<?x?x4x8xf32>, %k: tensor<?x?x2x8xf32>, %v: tensor<?x?x2x8xf32>, %positions: tensor<?x?xi32>, %lengths: tensor<?xi32>) -> tensor<?x?x4x8xf32> {
  // CHECK-NOT:  linalg
  // CHECK:      %[[Y:.*]] = transformer.attention %[[Q]], %[[K]], %[[V]] positions %[[P]] lengths %[[L]] {causal, scale = 5.000000e-01 : f32, window = 4 : i64}
  // CHECK-NOT:  linalg
  // CHECK:      return %[[Y]]
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %b = tensor.dim %q, %c0 : tensor<?x?x4x8xf32>
  %s = tensor.dim %q, %c1 : tensor<?x?x4x8xf32>
  %zero = arith.constant 0.0 : f32
  %half = arith.constant 0.5 : f32
  %inf = arith.constant 0xFF800000 : f32
  %er = tensor.empty(%b, %s) : tensor<?x?x2x2x8xf32>
  %k5 = linalg.broadcast ins(%k : tensor<?x?x2x8xf32>) outs(%er : tensor<?x?x2x2x8xf32>) dimensions = [3]
  %k4 = tensor.collapse_shape %k5 [[0], [1], [2, 3], [4]] : tensor<?x?x2x2x8xf32> into tensor<?x?x4x8xf32>
  %v5 = linalg.broadcast ins(%v : tensor<?x?x2x8xf32>) outs(%er : tensor<?x?x2x2x8xf32>) dimensions = [3]
  %v4 = tensor.collapse_shape %v5 [[0], [1], [2, 3], [4]] : tensor<?x?x2x2x8xf32> into tensor<?x?x4x8xf32>
  %e0 = tensor.empty(%b, %s, %s) : tensor<?x4x?x?xf32>
  %f0 = linalg.fill ins(%zero : f32) outs(%e0 : tensor<?x4x?x?xf32>) -> tensor<?x4x?x?xf32>
  %scores = linalg.contract indexing_maps = [#q, #k, #s] ins(%q, %k4 : tensor<?x?x4x8xf32>, tensor<?x?x4x8xf32>) outs(%f0 : tensor<?x4x?x?xf32>) -> tensor<?x4x?x?xf32>
  %scale = tensor.splat %half[%b, %s, %s] : tensor<?x4x?x?xf32>
  %scaled = arith.mulf %scores, %scale : tensor<?x4x?x?xf32>
  %mask = transformer.attention_mask %positions, %lengths {causal, window = 4 : i64} : tensor<?x?xi32>, tensor<?xi32> -> tensor<?x?x?xi1>
  %em = tensor.empty(%b, %s, %s) : tensor<?x4x?x?xi1>
  %m4 = linalg.broadcast ins(%mask : tensor<?x?x?xi1>) outs(%em : tensor<?x4x?x?xi1>) dimensions = [1]
  %minus = tensor.splat %inf[%b, %s, %s] : tensor<?x4x?x?xf32>
  %masked = arith.select %m4, %scaled, %minus : tensor<?x4x?x?xi1>, tensor<?x4x?x?xf32>
  %p = linalg.softmax dimension(3) ins(%masked : tensor<?x4x?x?xf32>) outs(%e0 : tensor<?x4x?x?xf32>) -> tensor<?x4x?x?xf32>
  %e1 = tensor.empty(%b, %s) : tensor<?x?x4x8xf32>
  %f1 = linalg.fill ins(%zero : f32) outs(%e1 : tensor<?x?x4x8xf32>) -> tensor<?x?x4x8xf32>
  %y = linalg.contract indexing_maps = [#p, #v, #y] ins(%p, %v4 : tensor<?x4x?x?xf32>, tensor<?x?x4x8xf32>) outs(%f1 : tensor<?x?x4x8xf32>) -> tensor<?x?x4x8xf32>
  return %y : tensor<?x?x4x8xf32>
}

// Explicit transposes and batch_matmul over collapsed sequences and heads, an added mask, the scale on queries and on
// keys: the transposes are gone with the products.
// CHECK-LABEL: func.func @batch_matmul
// CHECK-SAME:  (%[[Q:.*]]: tensor<?x?x4x8xf32>, %[[K:.*]]: tensor<?x?x4x8xf32>, %[[V:.*]]: tensor<?x?x4x8xf32>, %[[P:.*]]: tensor<?x?xi32>, %[[L:.*]]: tensor<?xi32>)
func.func @batch_matmul(%q: tensor<?x?x4x8xf32>, %k: tensor<?x?x4x8xf32>, %v: tensor<?x?x4x8xf32>, %positions: tensor<?x?xi32>, %lengths: tensor<?xi32>) -> tensor<?x?x32xf32> {
  // CHECK-NOT:  linalg
  // CHECK:      %[[Y:.*]] = transformer.attention %[[Q]], %[[K]], %[[V]] positions %[[P]] lengths %[[L]] {causal, scale = 1.250000e-01 : f32}
  // CHECK-NEXT: %[[C:.*]] = tensor.collapse_shape %[[Y]] {{\[\[}}0], [1], [2, 3]]
  // CHECK-NEXT: return %[[C]]
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  %b = tensor.dim %q, %c0 : tensor<?x?x4x8xf32>
  %s = tensor.dim %q, %c1 : tensor<?x?x4x8xf32>
  %bh = arith.muli %b, %c4 : index
  %zero = arith.constant 0.0 : f32
  %half = arith.constant 0.5 : f32
  %four = arith.constant 4.0 : f32
  %inf = arith.constant 0xFF7FFFFF : f32
  %halves = tensor.splat %half[%b, %s] : tensor<?x?x4x8xf32>
  %fours = tensor.splat %four[%b, %s] : tensor<?x?x4x8xf32>
  %qs = arith.mulf %halves, %q : tensor<?x?x4x8xf32>
  %ks = arith.divf %k, %fours : tensor<?x?x4x8xf32>
  %eq = tensor.empty(%b, %s) : tensor<?x4x?x8xf32>
  %qt = linalg.transpose ins(%qs : tensor<?x?x4x8xf32>) outs(%eq : tensor<?x4x?x8xf32>) permutation = [0, 2, 1, 3]
  %ek = tensor.empty(%b, %s) : tensor<?x4x8x?xf32>
  %kt = linalg.transpose ins(%ks : tensor<?x?x4x8xf32>) outs(%ek : tensor<?x4x8x?xf32>) permutation = [0, 2, 3, 1]
  %vt = linalg.transpose ins(%v : tensor<?x?x4x8xf32>) outs(%eq : tensor<?x4x?x8xf32>) permutation = [0, 2, 1, 3]
  %q3 = tensor.collapse_shape %qt [[0, 1], [2], [3]] : tensor<?x4x?x8xf32> into tensor<?x?x8xf32>
  %k3 = tensor.collapse_shape %kt [[0, 1], [2], [3]] : tensor<?x4x8x?xf32> into tensor<?x8x?xf32>
  %v3 = tensor.collapse_shape %vt [[0, 1], [2], [3]] : tensor<?x4x?x8xf32> into tensor<?x?x8xf32>
  %e0 = tensor.empty(%bh, %s, %s) : tensor<?x?x?xf32>
  %f0 = linalg.fill ins(%zero : f32) outs(%e0 : tensor<?x?x?xf32>) -> tensor<?x?x?xf32>
  %product = linalg.batch_matmul ins(%q3, %k3 : tensor<?x?x8xf32>, tensor<?x8x?xf32>) outs(%f0 : tensor<?x?x?xf32>) -> tensor<?x?x?xf32>
  %scores = tensor.expand_shape %product [[0, 1], [2], [3]] output_shape [%b, 4, %s, %s] : tensor<?x?x?xf32> into tensor<?x4x?x?xf32>
  %mask = transformer.attention_mask %positions, %lengths {causal} : tensor<?x?xi32>, tensor<?xi32> -> tensor<?x?x?xi1>
  %minus = tensor.splat %inf[%b, %s, %s] : tensor<?x?x?xf32>
  %zeros = tensor.splat %zero[%b, %s, %s] : tensor<?x?x?xf32>
  %bias = arith.select %mask, %zeros, %minus : tensor<?x?x?xi1>, tensor<?x?x?xf32>
  %em = tensor.empty(%b, %s, %s) : tensor<?x4x?x?xf32>
  %bias4 = linalg.broadcast ins(%bias : tensor<?x?x?xf32>) outs(%em : tensor<?x4x?x?xf32>) dimensions = [1]
  %masked = arith.addf %scores, %bias4 : tensor<?x4x?x?xf32>
  %p = linalg.softmax dimension(3) ins(%masked : tensor<?x4x?x?xf32>) outs(%em : tensor<?x4x?x?xf32>) -> tensor<?x4x?x?xf32>
  %p3 = tensor.collapse_shape %p [[0, 1], [2], [3]] : tensor<?x4x?x?xf32> into tensor<?x?x?xf32>
  %e1 = tensor.empty(%bh, %s) : tensor<?x?x8xf32>
  %f1 = linalg.fill ins(%zero : f32) outs(%e1 : tensor<?x?x8xf32>) -> tensor<?x?x8xf32>
  %y3 = linalg.batch_matmul ins(%p3, %v3 : tensor<?x?x?xf32>, tensor<?x?x8xf32>) outs(%f1 : tensor<?x?x8xf32>) -> tensor<?x?x8xf32>
  %y4 = tensor.expand_shape %y3 [[0, 1], [2], [3]] output_shape [%b, 4, %s, 8] : tensor<?x?x8xf32> into tensor<?x4x?x8xf32>
  %ey = tensor.empty(%b, %s) : tensor<?x?x4x8xf32>
  %yt = linalg.transpose ins(%y4 : tensor<?x4x?x8xf32>) outs(%ey : tensor<?x?x4x8xf32>) permutation = [0, 2, 1, 3]
  %y = tensor.collapse_shape %yt [[0], [1], [2, 3]] : tensor<?x?x4x8xf32> into tensor<?x?x32xf32>
  return %y : tensor<?x?x32xf32>
}
