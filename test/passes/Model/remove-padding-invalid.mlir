// RUN: ingot-opt %s --split-input-file --ingot-remove-padding --remarks-filter-missed=model --remark-format=emitRemark --verify-diagnostics | FileCheck %s

// Nothing changes in any of these programs.
// CHECK-NOT: transformer.ragged

// What exchanges sequences and slots relates tokens in a way that is not known.
func.func @transposed(%x: tensor<?x?x2x8xf32>, %positions: tensor<?x?xi32>, %lengths: tensor<?xi32>) -> tensor<?x?x2x8xf32> attributes {transformer.entry} {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %y = transformer.attention %x, %x, %x positions %positions lengths %lengths {causal, scale = 1.0 : f32} : tensor<?x?x2x8xf32>, tensor<?x?x2x8xf32>, tensor<?x?x2x8xf32> positions tensor<?x?xi32> lengths tensor<?xi32> -> tensor<?x?x2x8xf32>
  // expected-remark @below {{tensor.dim counts slots for tensor.empty}}
  %b = tensor.dim %y, %c0 : tensor<?x?x2x8xf32>
  %s = tensor.dim %y, %c1 : tensor<?x?x2x8xf32>
  %e = tensor.empty(%s, %b) : tensor<?x?x2x8xf32>
  %z = linalg.transpose ins(%y : tensor<?x?x2x8xf32>) outs(%e : tensor<?x?x2x8xf32>) permutation = [1, 0, 2, 3]
  return %z : tensor<?x?x2x8xf32>
}

// -----

// A reshape that joins sequences and slots relates them too.
func.func @joined(%x: tensor<?x?x2x8xf32>, %positions: tensor<?x?xi32>, %lengths: tensor<?xi32>) -> tensor<?x2x8xf32> attributes {transformer.entry} {
  %y = transformer.attention %x, %x, %x positions %positions lengths %lengths {causal, scale = 1.0 : f32} : tensor<?x?x2x8xf32>, tensor<?x?x2x8xf32>, tensor<?x?x2x8xf32> positions tensor<?x?xi32> lengths tensor<?xi32> -> tensor<?x?x2x8xf32>
  // expected-remark @below {{tensor.collapse_shape may relate tokens in a way that is not known}}
  %z = tensor.collapse_shape %y [[0, 1], [2], [3]] : tensor<?x?x2x8xf32> into tensor<?x2x8xf32>
  return %z : tensor<?x2x8xf32>
}

// -----

// Positions that are computed are not those of the batch.
func.func @shifted(%x: tensor<?x?x2x8xf32>, %positions: tensor<?x?xi32>, %lengths: tensor<?xi32>) -> tensor<?x?x2x8xf32> attributes {transformer.entry} {
  %r = transformer.rope half %x, %positions {base = 1.0e4 : f64} : tensor<?x?x2x8xf32>, tensor<?x?xi32>
  %p = arith.addi %positions, %positions : tensor<?x?xi32>
  // expected-remark @below {{transformer.attention attends by positions or lengths that are not the entry's}}
  %y = transformer.attention %r, %r, %r positions %p lengths %lengths {causal, scale = 1.0 : f32} : tensor<?x?x2x8xf32>, tensor<?x?x2x8xf32>, tensor<?x?x2x8xf32> positions tensor<?x?xi32> lengths tensor<?xi32> -> tensor<?x?x2x8xf32>
  return %y : tensor<?x?x2x8xf32>
}

// -----

// Lengths that are computed with are not in the batch.
func.func @measured(%x: tensor<?x?x2x8xf32>, %positions: tensor<?x?xi32>, %lengths: tensor<?xi32>) -> (tensor<?x?x2x8xf32>, tensor<?xi32>) attributes {transformer.entry} {
  %y = transformer.attention %x, %x, %x positions %positions lengths %lengths {causal, scale = 1.0 : f32} : tensor<?x?x2x8xf32>, tensor<?x?x2x8xf32>, tensor<?x?x2x8xf32> positions tensor<?x?xi32> lengths tensor<?xi32> -> tensor<?x?x2x8xf32>
  // expected-remark @below {{arith.addi uses the lengths of sequences}}
  %n = arith.addi %lengths, %lengths : tensor<?xi32>
  return %y, %n : tensor<?x?x2x8xf32>, tensor<?xi32>
}

// -----

// A callee's obstacle is named where it is; the entry, which has none of its own, stays dense with it.
func.func @main(%x: tensor<?x?x2x8xf32>, %positions: tensor<?x?xi32>, %lengths: tensor<?xi32>) -> tensor<?x?x2x8xf32> attributes {transformer.entry} {
  %y = call @layer(%x, %positions, %lengths) : (tensor<?x?x2x8xf32>, tensor<?x?xi32>, tensor<?xi32>) -> tensor<?x?x2x8xf32>
  return %y : tensor<?x?x2x8xf32>
}
func.func private @layer(%x: tensor<?x?x2x8xf32>, %positions: tensor<?x?xi32>, %lengths: tensor<?xi32>) -> tensor<?x?x2x8xf32> {
  // expected-remark @below {{linalg.exp may relate tokens in a way that is not known}}
  %q = linalg.exp ins(%x : tensor<?x?x2x8xf32>) outs(%x : tensor<?x?x2x8xf32>) -> tensor<?x?x2x8xf32>
  %y = transformer.attention %q, %q, %q positions %positions lengths %lengths {causal, scale = 1.0 : f32} : tensor<?x?x2x8xf32>, tensor<?x?x2x8xf32>, tensor<?x?x2x8xf32> positions tensor<?x?xi32> lengths tensor<?xi32> -> tensor<?x?x2x8xf32>
  return %y : tensor<?x?x2x8xf32>
}

// -----

// Without positions and lengths there is no batch to make.
// expected-remark @below {{func.func takes no lengths and positions}}
func.func @rows(%x: tensor<?x?x8xf32>) -> tensor<?x?x8xf32> attributes {transformer.entry} {
  %y = arith.negf %x : tensor<?x?x8xf32>
  return %y : tensor<?x?x8xf32>
}
