// RUN: ingot-opt %s --split-input-file --ingot-fuse-attention --remarks-filter-missed=model --remark-format=emitRemark --verify-diagnostics -o /dev/null

// A product that adds to what was there is not the scores.
#q = affine_map<(b, h, s, t, d) -> (b, s, h, d)>
#k = affine_map<(b, h, s, t, d) -> (b, t, h, d)>
#s = affine_map<(b, h, s, t, d) -> (b, h, s, t)>
#p = affine_map<(b, s, h, d, t) -> (b, h, s, t)>
#v = affine_map<(b, s, h, d, t) -> (b, t, h, d)>
#y = affine_map<(b, s, h, d, t) -> (b, s, h, d)>
func.func @accumulates(%q: tensor<?x?x2x8xf32>, %k: tensor<?x?x2x8xf32>, %v: tensor<?x?x2x8xf32>, %positions: tensor<?x?xi32>, %lengths: tensor<?xi32>) -> tensor<?x?x2x8xf32> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %b = tensor.dim %q, %c0 : tensor<?x?x2x8xf32>
  %s = tensor.dim %q, %c1 : tensor<?x?x2x8xf32>
  %zero = arith.constant 0.0 : f32
  %inf = arith.constant 0xFF800000 : f32
  %e0 = tensor.empty(%b, %s, %s) : tensor<?x2x?x?xf32>
  %f0 = linalg.fill ins(%zero : f32) outs(%e0 : tensor<?x2x?x?xf32>) -> tensor<?x2x?x?xf32>
  %scores = linalg.contract indexing_maps = [#q, #k, #s] ins(%q, %k : tensor<?x?x2x8xf32>, tensor<?x?x2x8xf32>) outs(%e0 : tensor<?x2x?x?xf32>) -> tensor<?x2x?x?xf32>
  %mask = transformer.attention_mask %positions, %lengths {causal} : tensor<?x?xi32>, tensor<?xi32> -> tensor<?x?x?xi1>
  %em = tensor.empty(%b, %s, %s) : tensor<?x2x?x?xi1>
  %m4 = linalg.broadcast ins(%mask : tensor<?x?x?xi1>) outs(%em : tensor<?x2x?x?xi1>) dimensions = [1]
  %minus = tensor.splat %inf[%b, %s, %s] : tensor<?x2x?x?xf32>
  %masked = arith.select %m4, %scores, %minus : tensor<?x2x?x?xi1>, tensor<?x2x?x?xf32>
  // expected-remark @below {{the scores are not a product of queries and keys}}
  %p = linalg.softmax dimension(3) ins(%masked : tensor<?x2x?x?xf32>) outs(%e0 : tensor<?x2x?x?xf32>) -> tensor<?x2x?x?xf32>
  %e1 = tensor.empty(%b, %s) : tensor<?x?x2x8xf32>
  %f1 = linalg.fill ins(%zero : f32) outs(%e1 : tensor<?x?x2x8xf32>) -> tensor<?x?x2x8xf32>
  %y = linalg.contract indexing_maps = [#p, #v, #y] ins(%p, %v : tensor<?x2x?x?xf32>, tensor<?x?x2x8xf32>) outs(%f1 : tensor<?x?x2x8xf32>) -> tensor<?x?x2x8xf32>
  return %y : tensor<?x?x2x8xf32>
}

// -----

// Without a mask nothing says which tokens exist.
#q = affine_map<(b, h, s, t, d) -> (b, s, h, d)>
#k = affine_map<(b, h, s, t, d) -> (b, t, h, d)>
#s = affine_map<(b, h, s, t, d) -> (b, h, s, t)>
#p = affine_map<(b, s, h, d, t) -> (b, h, s, t)>
#v = affine_map<(b, s, h, d, t) -> (b, t, h, d)>
#y = affine_map<(b, s, h, d, t) -> (b, s, h, d)>
func.func @unmasked(%q: tensor<?x?x2x8xf32>, %k: tensor<?x?x2x8xf32>, %v: tensor<?x?x2x8xf32>, %positions: tensor<?x?xi32>, %lengths: tensor<?xi32>) -> tensor<?x?x2x8xf32> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %b = tensor.dim %q, %c0 : tensor<?x?x2x8xf32>
  %s = tensor.dim %q, %c1 : tensor<?x?x2x8xf32>
  %zero = arith.constant 0.0 : f32
  %inf = arith.constant 0xFF800000 : f32
  %e0 = tensor.empty(%b, %s, %s) : tensor<?x2x?x?xf32>
  %f0 = linalg.fill ins(%zero : f32) outs(%e0 : tensor<?x2x?x?xf32>) -> tensor<?x2x?x?xf32>
  %scores = linalg.contract indexing_maps = [#q, #k, #s] ins(%q, %k : tensor<?x?x2x8xf32>, tensor<?x?x2x8xf32>) outs(%f0 : tensor<?x2x?x?xf32>) -> tensor<?x2x?x?xf32>

  // expected-remark @below {{there is no mask}}
  %p = linalg.softmax dimension(3) ins(%scores : tensor<?x2x?x?xf32>) outs(%e0 : tensor<?x2x?x?xf32>) -> tensor<?x2x?x?xf32>
  %e1 = tensor.empty(%b, %s) : tensor<?x?x2x8xf32>
  %f1 = linalg.fill ins(%zero : f32) outs(%e1 : tensor<?x?x2x8xf32>) -> tensor<?x?x2x8xf32>
  %y = linalg.contract indexing_maps = [#p, #v, #y] ins(%p, %v : tensor<?x2x?x?xf32>, tensor<?x?x2x8xf32>) outs(%f1 : tensor<?x?x2x8xf32>) -> tensor<?x?x2x8xf32>
  return %y : tensor<?x?x2x8xf32>
}

// -----

// A mask of -1 lets hidden tokens through.
#q = affine_map<(b, h, s, t, d) -> (b, s, h, d)>
#k = affine_map<(b, h, s, t, d) -> (b, t, h, d)>
#s = affine_map<(b, h, s, t, d) -> (b, h, s, t)>
#p = affine_map<(b, s, h, d, t) -> (b, h, s, t)>
#v = affine_map<(b, s, h, d, t) -> (b, t, h, d)>
#y = affine_map<(b, s, h, d, t) -> (b, s, h, d)>
func.func @weak(%q: tensor<?x?x2x8xf32>, %k: tensor<?x?x2x8xf32>, %v: tensor<?x?x2x8xf32>, %positions: tensor<?x?xi32>, %lengths: tensor<?xi32>) -> tensor<?x?x2x8xf32> {
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
  %weak = arith.constant -1.0 : f32
  %minus = tensor.splat %weak[%b, %s, %s] : tensor<?x2x?x?xf32>
  %masked = arith.select %m4, %scores, %minus : tensor<?x2x?x?xi1>, tensor<?x2x?x?xf32>
  // expected-remark @below {{what is masked is not minus infinity}}
  %p = linalg.softmax dimension(3) ins(%masked : tensor<?x2x?x?xf32>) outs(%e0 : tensor<?x2x?x?xf32>) -> tensor<?x2x?x?xf32>
  %e1 = tensor.empty(%b, %s) : tensor<?x?x2x8xf32>
  %f1 = linalg.fill ins(%zero : f32) outs(%e1 : tensor<?x?x2x8xf32>) -> tensor<?x?x2x8xf32>
  %y = linalg.contract indexing_maps = [#p, #v, #y] ins(%p, %v : tensor<?x2x?x?xf32>, tensor<?x?x2x8xf32>) outs(%f1 : tensor<?x?x2x8xf32>) -> tensor<?x?x2x8xf32>
  return %y : tensor<?x?x2x8xf32>
}

// -----

// What is added to the scores may be anything.
#q = affine_map<(b, h, s, t, d) -> (b, s, h, d)>
#k = affine_map<(b, h, s, t, d) -> (b, t, h, d)>
#s = affine_map<(b, h, s, t, d) -> (b, h, s, t)>
#p = affine_map<(b, s, h, d, t) -> (b, h, s, t)>
#v = affine_map<(b, s, h, d, t) -> (b, t, h, d)>
#y = affine_map<(b, s, h, d, t) -> (b, s, h, d)>
func.func @bias(%q: tensor<?x?x2x8xf32>, %k: tensor<?x?x2x8xf32>, %v: tensor<?x?x2x8xf32>, %positions: tensor<?x?xi32>, %lengths: tensor<?xi32>) -> tensor<?x?x2x8xf32> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %b = tensor.dim %q, %c0 : tensor<?x?x2x8xf32>
  %s = tensor.dim %q, %c1 : tensor<?x?x2x8xf32>
  %zero = arith.constant 0.0 : f32
  %inf = arith.constant 0xFF800000 : f32
  %e0 = tensor.empty(%b, %s, %s) : tensor<?x2x?x?xf32>
  %f0 = linalg.fill ins(%zero : f32) outs(%e0 : tensor<?x2x?x?xf32>) -> tensor<?x2x?x?xf32>
  %scores = linalg.contract indexing_maps = [#q, #k, #s] ins(%q, %k : tensor<?x?x2x8xf32>, tensor<?x?x2x8xf32>) outs(%f0 : tensor<?x2x?x?xf32>) -> tensor<?x2x?x?xf32>
  %masked = arith.addf %scores, %scores : tensor<?x2x?x?xf32>
  // expected-remark @below {{what is added to the scores is not a mask of 0 and minus infinity}}
  %p = linalg.softmax dimension(3) ins(%masked : tensor<?x2x?x?xf32>) outs(%e0 : tensor<?x2x?x?xf32>) -> tensor<?x2x?x?xf32>
  %e1 = tensor.empty(%b, %s) : tensor<?x?x2x8xf32>
  %f1 = linalg.fill ins(%zero : f32) outs(%e1 : tensor<?x?x2x8xf32>) -> tensor<?x?x2x8xf32>
  %y = linalg.contract indexing_maps = [#p, #v, #y] ins(%p, %v : tensor<?x2x?x?xf32>, tensor<?x?x2x8xf32>) outs(%f1 : tensor<?x?x2x8xf32>) -> tensor<?x?x2x8xf32>
  return %y : tensor<?x?x2x8xf32>
}

// -----

// A mask that hides what it should show is not one.
#q = affine_map<(b, h, s, t, d) -> (b, s, h, d)>
#k = affine_map<(b, h, s, t, d) -> (b, t, h, d)>
#s = affine_map<(b, h, s, t, d) -> (b, h, s, t)>
#p = affine_map<(b, s, h, d, t) -> (b, h, s, t)>
#v = affine_map<(b, s, h, d, t) -> (b, t, h, d)>
#y = affine_map<(b, s, h, d, t) -> (b, s, h, d)>
func.func @inverted(%q: tensor<?x?x2x8xf32>, %k: tensor<?x?x2x8xf32>, %v: tensor<?x?x2x8xf32>, %positions: tensor<?x?xi32>, %lengths: tensor<?xi32>) -> tensor<?x?x2x8xf32> {
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
  %masked = arith.select %m4, %minus, %scores : tensor<?x2x?x?xi1>, tensor<?x2x?x?xf32>
  // expected-remark @below {{the mask is applied to what it lets through}}
  %p = linalg.softmax dimension(3) ins(%masked : tensor<?x2x?x?xf32>) outs(%e0 : tensor<?x2x?x?xf32>) -> tensor<?x2x?x?xf32>
  %e1 = tensor.empty(%b, %s) : tensor<?x?x2x8xf32>
  %f1 = linalg.fill ins(%zero : f32) outs(%e1 : tensor<?x?x2x8xf32>) -> tensor<?x?x2x8xf32>
  %y = linalg.contract indexing_maps = [#p, #v, #y] ins(%p, %v : tensor<?x2x?x?xf32>, tensor<?x?x2x8xf32>) outs(%f1 : tensor<?x?x2x8xf32>) -> tensor<?x?x2x8xf32>
  return %y : tensor<?x?x2x8xf32>
}

// -----

// A scale that is not positive would turn minus infinity around.
#q = affine_map<(b, h, s, t, d) -> (b, s, h, d)>
#k = affine_map<(b, h, s, t, d) -> (b, t, h, d)>
#s = affine_map<(b, h, s, t, d) -> (b, h, s, t)>
#p = affine_map<(b, s, h, d, t) -> (b, h, s, t)>
#v = affine_map<(b, s, h, d, t) -> (b, t, h, d)>
#y = affine_map<(b, s, h, d, t) -> (b, s, h, d)>
func.func @turned(%q: tensor<?x?x2x8xf32>, %k: tensor<?x?x2x8xf32>, %v: tensor<?x?x2x8xf32>, %positions: tensor<?x?xi32>, %lengths: tensor<?xi32>) -> tensor<?x?x2x8xf32> {
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
  %neg = arith.constant -2.0 : f32
  %splat = tensor.splat %neg[%b, %s, %s] : tensor<?x2x?x?xf32>
  %turned = arith.mulf %masked, %splat : tensor<?x2x?x?xf32>
  // expected-remark @below {{the scores are scaled by a number that is not positive}}
  %p = linalg.softmax dimension(3) ins(%turned : tensor<?x2x?x?xf32>) outs(%e0 : tensor<?x2x?x?xf32>) -> tensor<?x2x?x?xf32>
  %e1 = tensor.empty(%b, %s) : tensor<?x?x2x8xf32>
  %f1 = linalg.fill ins(%zero : f32) outs(%e1 : tensor<?x?x2x8xf32>) -> tensor<?x?x2x8xf32>
  %y = linalg.contract indexing_maps = [#p, #v, #y] ins(%p, %v : tensor<?x2x?x?xf32>, tensor<?x?x2x8xf32>) outs(%f1 : tensor<?x?x2x8xf32>) -> tensor<?x?x2x8xf32>
  return %y : tensor<?x?x2x8xf32>
}

// -----

// A softmax over queries is not over what the mask hides.
#q = affine_map<(b, h, s, t, d) -> (b, s, h, d)>
#k = affine_map<(b, h, s, t, d) -> (b, t, h, d)>
#s = affine_map<(b, h, s, t, d) -> (b, h, s, t)>
#p = affine_map<(b, s, h, d, t) -> (b, h, s, t)>
#v = affine_map<(b, s, h, d, t) -> (b, t, h, d)>
#y = affine_map<(b, s, h, d, t) -> (b, s, h, d)>
func.func @over_queries(%q: tensor<?x?x2x8xf32>, %k: tensor<?x?x2x8xf32>, %v: tensor<?x?x2x8xf32>, %positions: tensor<?x?xi32>, %lengths: tensor<?xi32>) -> tensor<?x?x2x8xf32> {
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
  // expected-remark @below {{values are not summed over what the softmax runs over}}
  %p = linalg.softmax dimension(2) ins(%masked : tensor<?x2x?x?xf32>) outs(%e0 : tensor<?x2x?x?xf32>) -> tensor<?x2x?x?xf32>
  %e1 = tensor.empty(%b, %s) : tensor<?x?x2x8xf32>
  %f1 = linalg.fill ins(%zero : f32) outs(%e1 : tensor<?x?x2x8xf32>) -> tensor<?x?x2x8xf32>
  %y = linalg.contract indexing_maps = [#p, #v, #y] ins(%p, %v : tensor<?x2x?x?xf32>, tensor<?x?x2x8xf32>) outs(%f1 : tensor<?x?x2x8xf32>) -> tensor<?x?x2x8xf32>
  return %y : tensor<?x?x2x8xf32>
}

// -----

// Probabilities that are returned have to be computed.
#q = affine_map<(b, h, s, t, d) -> (b, s, h, d)>
#k = affine_map<(b, h, s, t, d) -> (b, t, h, d)>
#s = affine_map<(b, h, s, t, d) -> (b, h, s, t)>
#p = affine_map<(b, s, h, d, t) -> (b, h, s, t)>
#v = affine_map<(b, s, h, d, t) -> (b, t, h, d)>
#y = affine_map<(b, s, h, d, t) -> (b, s, h, d)>
func.func @returned(%q: tensor<?x?x2x8xf32>, %k: tensor<?x?x2x8xf32>, %v: tensor<?x?x2x8xf32>, %positions: tensor<?x?xi32>, %lengths: tensor<?xi32>) -> (tensor<?x?x2x8xf32>, tensor<?x2x?x?xf32>) {
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
  // expected-remark @below {{the probabilities have other uses}}
  %p = linalg.softmax dimension(3) ins(%masked : tensor<?x2x?x?xf32>) outs(%e0 : tensor<?x2x?x?xf32>) -> tensor<?x2x?x?xf32>
  %e1 = tensor.empty(%b, %s) : tensor<?x?x2x8xf32>
  %f1 = linalg.fill ins(%zero : f32) outs(%e1 : tensor<?x?x2x8xf32>) -> tensor<?x?x2x8xf32>
  %y = linalg.contract indexing_maps = [#p, #v, #y] ins(%p, %v : tensor<?x2x?x?xf32>, tensor<?x?x2x8xf32>) outs(%f1 : tensor<?x?x2x8xf32>) -> tensor<?x?x2x8xf32>
  return %y, %p : tensor<?x?x2x8xf32>, tensor<?x2x?x?xf32>
}

// -----

// Probabilities that nothing weighs are no attention.
#q = affine_map<(b, h, s, t, d) -> (b, s, h, d)>
#k = affine_map<(b, h, s, t, d) -> (b, t, h, d)>
#s = affine_map<(b, h, s, t, d) -> (b, h, s, t)>
#p = affine_map<(b, s, h, d, t) -> (b, h, s, t)>
#v = affine_map<(b, s, h, d, t) -> (b, t, h, d)>
#y = affine_map<(b, s, h, d, t) -> (b, s, h, d)>
func.func @unweighted(%q: tensor<?x?x2x8xf32>, %k: tensor<?x?x2x8xf32>, %v: tensor<?x?x2x8xf32>, %positions: tensor<?x?xi32>, %lengths: tensor<?xi32>) -> tensor<?x2x?x?xf32> {
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
  // expected-remark @below {{the probabilities are not multiplied with values}}
  %p = linalg.softmax dimension(3) ins(%masked : tensor<?x2x?x?xf32>) outs(%e0 : tensor<?x2x?x?xf32>) -> tensor<?x2x?x?xf32>
  %e1 = tensor.empty(%b, %s) : tensor<?x?x2x8xf32>
  %f1 = linalg.fill ins(%zero : f32) outs(%e1 : tensor<?x?x2x8xf32>) -> tensor<?x?x2x8xf32>
  %y = arith.negf %p : tensor<?x2x?x?xf32>
  return %y : tensor<?x2x?x?xf32>
}
