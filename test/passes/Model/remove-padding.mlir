// RUN: ingot-opt %s --ingot-remove-padding | FileCheck %s

!w = !transformer.weight<[16, 16], f32>
!g = !transformer.weight<[16], f32>

// Tensors of slots become tensors of tokens, and lengths with positions one ragged batch.
// CHECK-LABEL: func.func @main
// CHECK-SAME:  (%[[IDS:.*]]: tensor<?xi32>, %[[BATCH:.*]]: !transformer.ragged, %[[ROWS:.*]]: tensor<?xi32>, %{{.*}}) -> tensor<?x16xf32>
func.func @main(%ids: tensor<?x?xi32>, %positions: tensor<?x?xi32>, %lengths: tensor<?xi32>, %rows: tensor<?xi32>, %w: !w) -> tensor<?x16xf32> attributes {transformer.entry} {
  // CHECK: transformer.embedding %[[IDS]], %{{.*}} : tensor<?xi32>
  // CHECK: call @layer(%{{.*}}, %[[BATCH]], %{{.*}}) : (tensor<?x16xf32>, !transformer.ragged, !transformer.weight<[16, 16], f32>) -> tensor<?x16xf32>
  // CHECK: transformer.select_rows %{{.*}}, %[[ROWS]] : tensor<?x16xf32>
  %x = transformer.embedding %ids, %w : tensor<?x?xi32>, !w -> tensor<?x?x16xf32>
  %y = call @layer(%x, %positions, %lengths, %w) : (tensor<?x?x16xf32>, tensor<?x?xi32>, tensor<?xi32>, !w) -> tensor<?x?x16xf32>
  %r = transformer.select_rows %y, %rows : tensor<?x?x16xf32>, tensor<?xi32> -> tensor<?x16xf32>
  return %r : tensor<?x16xf32>
}

// CHECK-LABEL: func.func private @layer
// CHECK-SAME:  (%[[X:.*]]: tensor<?x16xf32>, %[[B:.*]]: !transformer.ragged
func.func private @layer(%x: tensor<?x?x16xf32>, %positions: tensor<?x?xi32>, %lengths: tensor<?xi32>, %w: !w) -> tensor<?x?x16xf32> {
  // CHECK: %[[P:.*]] = transformer.positions %[[B]] : tensor<?xi32>
  // CHECK: transformer.linear %[[X]], %{{.*}} : tensor<?x16xf32>
  // CHECK: tensor.expand_shape %{{.*}} {{\[\[}}0], [1, 2]] output_shape [%{{.*}}, 2, 8]
  // CHECK: transformer.rope{{ +}}half %{{.*}}, %[[P]]
  // CHECK: transformer.attention %{{.*}} batch %[[B]] {causal, scale = 1.000000e+00 : f32}
  // CHECK: tensor.collapse_shape
  // CHECK: arith.addf %[[X]], %{{.*}} : tensor<?x16xf32>
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %b = tensor.dim %x, %c0 : tensor<?x?x16xf32>
  %s = tensor.dim %x, %c1 : tensor<?x?x16xf32>
  %q = transformer.linear %x, %w : tensor<?x?x16xf32>, !w -> tensor<?x?x16xf32>
  %q4 = tensor.expand_shape %q [[0], [1], [2, 3]] output_shape [%b, %s, 2, 8] : tensor<?x?x16xf32> into tensor<?x?x2x8xf32>
  %r = transformer.rope half %q4, %positions {base = 1.0e4 : f64} : tensor<?x?x2x8xf32>, tensor<?x?xi32>
  %a = transformer.attention %r, %r, %q4 positions %positions lengths %lengths {causal, scale = 1.0 : f32} : tensor<?x?x2x8xf32>, tensor<?x?x2x8xf32>, tensor<?x?x2x8xf32> positions tensor<?x?xi32> lengths tensor<?xi32> -> tensor<?x?x2x8xf32>
  %o = tensor.collapse_shape %a [[0], [1], [2, 3]] : tensor<?x?x2x8xf32> into tensor<?x?x16xf32>
  %y = arith.addf %x, %o : tensor<?x?x16xf32>
  return %y : tensor<?x?x16xf32>
}
