// RUN: ingot-opt %s --split-input-file --ingot-verify-shapes --remarks-filter-analyse=model --remark-format=emitRemark 2>&1 >/dev/null | FileCheck %s

// The sizes of a whole program are those of its entry: sequences and slots; products of them are computed.
// CHECK: VerifyShapes | Category:model | {{.*}}sizes=4
func.func @main(%ids: tensor<?x?xi32>, %rows: tensor<?xi32>, %w: !transformer.weight<[32, 16], f32>) -> tensor<?x16xf32> attributes {transformer.entry} {
  %x = transformer.embedding %ids, %w : tensor<?x?xi32>, !transformer.weight<[32, 16], f32> -> tensor<?x?x16xf32>
  %y = call @layer(%x) : (tensor<?x?x16xf32>) -> tensor<?x?x16xf32>
  %z = tensor.collapse_shape %y [[0, 1], [2]] : tensor<?x?x16xf32> into tensor<?x16xf32>
  %r = transformer.select_rows %z, %rows : tensor<?x16xf32>, tensor<?xi32> -> tensor<?x16xf32>
  return %r : tensor<?x16xf32>
}
func.func private @layer(%x: tensor<?x?x16xf32>) -> tensor<?x?x16xf32> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %b = tensor.dim %x, %c0 : tensor<?x?x16xf32>
  %s = tensor.dim %x, %c1 : tensor<?x?x16xf32>
  %h = tensor.expand_shape %x [[0], [1], [2, 3]] output_shape [%b, %s, 2, 8] : tensor<?x?x16xf32> into tensor<?x?x2x8xf32>
  %half = arith.constant 0.5 : f32
  %splat = tensor.splat %half[%b, %s] : tensor<?x?x2x8xf32>
  %m = arith.mulf %h, %splat : tensor<?x?x2x8xf32>
  %y = tensor.collapse_shape %m [[0], [1], [2, 3]] : tensor<?x?x2x8xf32> into tensor<?x?x16xf32>
  return %y : tensor<?x?x16xf32>
}

// -----

// Packed tokens are counted by the batch.
// CHECK: VerifyShapes | Category:model | {{.*}}sizes=1
func.func @step(%ids: tensor<?xi32>, %batch: !transformer.ragged, %w: !transformer.weight<[32, 16], f32>) -> tensor<?x2x8xf32> {
  %p = transformer.positions %batch : tensor<?xi32>
  %x = transformer.embedding %ids, %w : tensor<?xi32>, !transformer.weight<[32, 16], f32> -> tensor<?x16xf32>
  %c0 = arith.constant 0 : index
  %t = tensor.dim %p, %c0 : tensor<?xi32>
  %h = tensor.expand_shape %x [[0], [1, 2]] output_shape [%t, 2, 8] : tensor<?x16xf32> into tensor<?x2x8xf32>
  %y = transformer.attention %h, %h, %h batch %batch {causal, scale = 1.0 : f32} : tensor<?x2x8xf32>, tensor<?x2x8xf32>, tensor<?x2x8xf32> batch !transformer.ragged -> tensor<?x2x8xf32>
  return %y : tensor<?x2x8xf32>
}
