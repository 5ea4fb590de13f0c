// RUN: ingot-opt %s --ingot-fuse-attention | FileCheck %s

#q = affine_map<(b, h, s, t, d) -> (b, s, h, d)>
#k = affine_map<(b, h, s, t, d) -> (b, t, h, d)>
#s = affine_map<(b, h, s, t, d) -> (b, h, s, t)>
#p = affine_map<(b, s, h, d, t) -> (b, h, s, t)>
#v = affine_map<(b, s, h, d, t) -> (b, t, h, d)>
#y = affine_map<(b, s, h, d, t) -> (b, s, h, d)>
#all = affine_map<(b, h, s, t) -> (b, h, s, t)>
#row = affine_map<(b, h, s, t) -> (b, h, s)>

// A softmax written as its parts, the sum and its broadcast as generic ops, is one; an absent scale is 1.
// CHECK-LABEL: func.func @parts
// CHECK-SAME:  (%[[Q:.*]]: tensor<?x?x2x8xf32>, %[[K:.*]]: tensor<?x?x2x8xf32>, %[[V:.*]]: tensor<?x?x2x8xf32>, %[[P:.*]]: tensor<?x?xi32>, %[[L:.*]]: tensor<?xi32>)
func.func @parts(%q: tensor<?x?x2x8xf32>, %k: tensor<?x?x2x8xf32>, %v: tensor<?x?x2x8xf32>, %positions: tensor<?x?xi32>, %lengths: tensor<?xi32>) -> tensor<?x?x2x8xf32> {
  // CHECK-NOT:  linalg
  // CHECK:      %[[Y:.*]] = transformer.attention %[[Q]], %[[K]], %[[V]] positions %[[P]] lengths %[[L]] {causal, scale = 1.000000e+00 : f32}
  // CHECK-NEXT: return %[[Y]]
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
  %e3 = tensor.empty(%b, %s) : tensor<?x2x?xf32>
  %least = linalg.fill ins(%inf : f32) outs(%e3 : tensor<?x2x?xf32>) -> tensor<?x2x?xf32>
  %f3 = linalg.fill ins(%zero : f32) outs(%e3 : tensor<?x2x?xf32>) -> tensor<?x2x?xf32>
  %max = linalg.reduce { arith.maximumf } ins(%masked : tensor<?x2x?x?xf32>) outs(%least : tensor<?x2x?xf32>) dimensions = [3]
  %max4 = linalg.broadcast ins(%max : tensor<?x2x?xf32>) outs(%e0 : tensor<?x2x?x?xf32>) dimensions = [3]
  %shifted = arith.subf %masked, %max4 : tensor<?x2x?x?xf32>
  %exp = math.exp %shifted : tensor<?x2x?x?xf32>
  %sum = linalg.generic {indexing_maps = [#all, #row], iterator_types = ["parallel", "parallel", "parallel", "reduction"]} ins(%exp : tensor<?x2x?x?xf32>) outs(%f3 : tensor<?x2x?xf32>) {
  ^bb0(%x: f32, %acc: f32):
    %a = arith.addf %acc, %x : f32
    linalg.yield %a : f32
  } -> tensor<?x2x?xf32>
  %sum4 = linalg.generic {indexing_maps = [#row, #all], iterator_types = ["parallel", "parallel", "parallel", "parallel"]} ins(%sum : tensor<?x2x?xf32>) outs(%e0 : tensor<?x2x?x?xf32>) {
  ^bb0(%x: f32, %old: f32):
    linalg.yield %x : f32
  } -> tensor<?x2x?x?xf32>
  %p = arith.divf %exp, %sum4 : tensor<?x2x?x?xf32>
  %e1 = tensor.empty(%b, %s) : tensor<?x?x2x8xf32>
  %f1 = linalg.fill ins(%zero : f32) outs(%e1 : tensor<?x?x2x8xf32>) -> tensor<?x?x2x8xf32>
  %y = linalg.contract indexing_maps = [#p, #v, #y] ins(%p, %v : tensor<?x2x?x?xf32>, tensor<?x?x2x8xf32>) outs(%f1 : tensor<?x?x2x8xf32>) -> tensor<?x?x2x8xf32>
  return %y : tensor<?x?x2x8xf32>
}

// A generic product with keys first, under a mask that selects what is hidden: the same attention.
// CHECK-LABEL: func.func @generic_and_negated
// CHECK-SAME:  (%[[Q:.*]]: tensor<?x?x2x8xf32>, %[[K:.*]]: tensor<?x?x2x8xf32>, %[[V:.*]]: tensor<?x?x2x8xf32>, %[[P:.*]]: tensor<?x?xi32>, %[[L:.*]]: tensor<?xi32>)
func.func @generic_and_negated(%q: tensor<?x?x2x8xf32>, %k: tensor<?x?x2x8xf32>, %v: tensor<?x?x2x8xf32>, %positions: tensor<?x?xi32>, %lengths: tensor<?xi32>) -> tensor<?x?x2x8xf32> {
  // CHECK-NOT:  linalg
  // CHECK:      %[[Y:.*]] = transformer.attention %[[Q]], %[[K]], %[[V]] positions %[[P]] lengths %[[L]] {causal, scale = 1.000000e+00 : f32}
  // CHECK-NEXT: return %[[Y]]
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %b = tensor.dim %q, %c0 : tensor<?x?x2x8xf32>
  %s = tensor.dim %q, %c1 : tensor<?x?x2x8xf32>
  %zero = arith.constant 0.0 : f32
  %inf = arith.constant 0xFF800000 : f32
  %e0 = tensor.empty(%b, %s, %s) : tensor<?x2x?x?xf32>
  %f0 = linalg.fill ins(%zero : f32) outs(%e0 : tensor<?x2x?x?xf32>) -> tensor<?x2x?x?xf32>
  %scores = linalg.generic {indexing_maps = [#k, #q, #s], iterator_types = ["parallel", "parallel", "parallel", "parallel", "reduction"]} ins(%k, %q : tensor<?x?x2x8xf32>, tensor<?x?x2x8xf32>) outs(%f0 : tensor<?x2x?x?xf32>) {
  ^bb0(%x: f32, %y0: f32, %acc: f32):
    %m = arith.mulf %x, %y0 : f32
    %a = arith.addf %acc, %m : f32
    linalg.yield %a : f32
  } -> tensor<?x2x?x?xf32>
  %mask = transformer.attention_mask %positions, %lengths {causal} : tensor<?x?xi32>, tensor<?xi32> -> tensor<?x?x?xi1>
  %em = tensor.empty(%b, %s, %s) : tensor<?x2x?x?xi1>
  %m4 = linalg.broadcast ins(%mask : tensor<?x?x?xi1>) outs(%em : tensor<?x2x?x?xi1>) dimensions = [1]
  %minus = tensor.splat %inf[%b, %s, %s] : tensor<?x2x?x?xf32>
  %true = arith.constant true
  %ones = tensor.splat %true[%b, %s, %s] : tensor<?x2x?x?xi1>
  %hidden = arith.xori %m4, %ones : tensor<?x2x?x?xi1>
  %masked = arith.select %hidden, %minus, %scores : tensor<?x2x?x?xi1>, tensor<?x2x?x?xf32>
  %p = linalg.softmax dimension(3) ins(%masked : tensor<?x2x?x?xf32>) outs(%e0 : tensor<?x2x?x?xf32>) -> tensor<?x2x?x?xf32>
  %e1 = tensor.empty(%b, %s) : tensor<?x?x2x8xf32>
  %f1 = linalg.fill ins(%zero : f32) outs(%e1 : tensor<?x?x2x8xf32>) -> tensor<?x?x2x8xf32>
  %y = linalg.contract indexing_maps = [#p, #v, #y] ins(%p, %v : tensor<?x2x?x?xf32>, tensor<?x?x2x8xf32>) outs(%f1 : tensor<?x?x2x8xf32>) -> tensor<?x?x2x8xf32>
  return %y : tensor<?x?x2x8xf32>
}
