// RUN: ingot-opt %s --ingot-remove-padding | FileCheck %s

// A reversal along the slots relates tokens in a way that is not known: nothing changes.
// CHECK-LABEL: func.func @main
// CHECK-SAME:  tensor<?x?xi32>, %{{.*}}: tensor<?x?xi32>, %{{.*}}: tensor<?xi32>
func.func @main(%ids: tensor<?x?xi32>, %positions: tensor<?x?xi32>, %lengths: tensor<?xi32>, %w: !transformer.weight<[32, 16], f32>) -> tensor<?x?x16xf32> attributes {transformer.entry} {
  // CHECK: linalg.transpose
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %x = transformer.embedding %ids, %w : tensor<?x?xi32>, !transformer.weight<[32, 16], f32> -> tensor<?x?x16xf32>
  %b = tensor.dim %x, %c0 : tensor<?x?x16xf32>
  %s = tensor.dim %x, %c1 : tensor<?x?x16xf32>
  %e = tensor.empty(%s, %b) : tensor<?x?x16xf32>
  %y = linalg.transpose ins(%x : tensor<?x?x16xf32>) outs(%e : tensor<?x?x16xf32>) permutation = [1, 0, 2]
  return %y : tensor<?x?x16xf32>
}
