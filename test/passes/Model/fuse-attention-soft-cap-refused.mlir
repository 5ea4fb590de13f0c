// RUN: ingot-opt %s --split-input-file --ingot-fuse-attention --remarks-filter-missed=model --remark-format=emitRemark --verify-diagnostics -o /dev/null

// Under a soft-cap a masked score would be seen, as the negated cap.
#q = affine_map<(b, h, s, t, d) -> (b, s, h, d)>
#k = affine_map<(b, h, s, t, d) -> (b, t, h, d)>
#s = affine_map<(b, h, s, t, d) -> (b, h, s, t)>
#p = affine_map<(b, s, h, d, t) -> (b, h, s, t)>
#v = affine_map<(b, s, h, d, t) -> (b, t, h, d)>
#y = affine_map<(b, s, h, d, t) -> (b, s, h, d)>
func.func @cap_over_mask(%q: tensor<?x?x2x8xf32>, %k: tensor<?x?x2x8xf32>, %v: tensor<?x?x2x8xf32>, %positions: tensor<?x?xi32>, %lengths: tensor<?xi32>) -> tensor<?x?x2x8xf32> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %b = tensor.dim %q, %c0 : tensor<?x?x2x8xf32>
  %s = tensor.dim %q, %c1 : tensor<?x?x2x8xf32>
  %zero = arith.constant 0.0 : f32
  %inf = arith.constant 0xFF800000 : f32
  %e0 = tensor.empty(%b, %s, %s) : tensor<?x2x?x?xf32>
  %f0 = linalg.fill ins(%zero : f32) outs(%e0 : tensor<?x2x?x?xf32>) -> tensor<?x2x?x?xf32>
  %scores = linalg.contract indexing_maps = [#q, #k, #s] ins(%q, %k : tensor<?x?x2x8xf32>, tensor<?x?x2x8xf32>) outs(%f0 : tensor<?x2x?x?xf32>) -> tensor<?x2x?x?xf32>
  %mask = transformer.attention_mask %positions, %lengths {causal} : tensor<?x?xi32>, tensor<?xi32> -> tensor<?x?x?xi1>
  %em = tensor.empty(%b, %s, %s) : tensor<?x2x?x?xi1>
  %m4 = linalg.broadcast ins(%mask : tensor<?x?x?xi1>) outs(%em : tensor<?x2x?x?xi1>) dimensions = [1]
  %minus = tensor.splat %inf[%b, %s, %s] : tensor<?x2x?x?xf32>
  %masked = arith.select %m4, %scores, %minus : tensor<?x2x?x?xi1>, tensor<?x2x?x?xf32>
  %bounded = math.tanh %masked : tensor<?x2x?x?xf32>
  // expected-remark @below {{the mask is applied before the soft-cap}}
  %p = linalg.softmax dimension(3) ins(%bounded : tensor<?x2x?x?xf32>) outs(%e0 : tensor<?x2x?x?xf32>) -> tensor<?x2x?x?xf32>
  %e1 = tensor.empty(%b, %s) : tensor<?x?x2x8xf32>
  %f1 = linalg.fill ins(%zero : f32) outs(%e1 : tensor<?x?x2x8xf32>) -> tensor<?x?x2x8xf32>
  %y = linalg.contract indexing_maps = [#p, #v, #y] ins(%p, %v : tensor<?x2x?x?xf32>, tensor<?x?x2x8xf32>) outs(%f1 : tensor<?x?x2x8xf32>) -> tensor<?x?x2x8xf32>
  return %y : tensor<?x?x2x8xf32>
}
