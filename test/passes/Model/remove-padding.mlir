// RUN: ingot-opt %s --split-input-file --ingot-remove-padding | FileCheck %s

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

// -----

// A number in every slot becomes one for every token; sizes that are known are no tokens (heads stay); a static batch is
// packed as well.
// CHECK-LABEL: func.func @main
// CHECK-SAME:  (%[[X:.*]]: tensor<?x2x8xf32>, %[[B:.*]]: !transformer.ragged) -> tensor<?x2x8xf32>
func.func @main(%x: tensor<2x16x2x8xf32>, %positions: tensor<2x16xi32>, %lengths: tensor<2xi32>) -> tensor<2x16x2x8xf32> attributes {transformer.entry} {
  // CHECK: %[[H:.*]] = arith.constant 5.000000e-01 : f32
  // CHECK: %[[T:.*]] = tensor.dim
  // CHECK: %[[S:.*]] = tensor.splat %[[H]][%[[T]]] : tensor<?x2x8xf32>
  // CHECK: arith.mulf %[[X]], %[[S]] : tensor<?x2x8xf32>
  // CHECK: transformer.attention %{{.*}} batch %[[B]]
  %half = arith.constant 0.5 : f32
  %splat = tensor.splat %half : tensor<2x16x2x8xf32>
  %q = arith.mulf %x, %splat : tensor<2x16x2x8xf32>
  %y = transformer.attention %q, %q, %q positions %positions lengths %lengths {causal, scale = 1.0 : f32} : tensor<2x16x2x8xf32>, tensor<2x16x2x8xf32>, tensor<2x16x2x8xf32> positions tensor<2x16xi32> lengths tensor<2xi32> -> tensor<2x16x2x8xf32>
  return %y : tensor<2x16x2x8xf32>
}

// -----

// An entry with an op that is not known stays dense, but what it calls is packed: between two calls nothing is unpacked.
// CHECK-LABEL: func.func @main
// CHECK-SAME:  (%[[X:.*]]: tensor<?x?x2x8xf32>, %[[P:.*]]: tensor<?x?xi32>, %[[L:.*]]: tensor<?xi32>) -> tensor<?x?x2x8xf32>
func.func @main(%x: tensor<?x?x2x8xf32>, %positions: tensor<?x?xi32>, %lengths: tensor<?xi32>) -> tensor<?x?x2x8xf32> attributes {transformer.entry} {
  // CHECK:     %[[U:.*]] = linalg.exp ins(%[[X]]
  // CHECK-DAG: %[[D:.*]] = transformer.pack %[[U]], %[[L]]
  // CHECK-DAG: transformer.make_ragged %[[P]], %[[L]]
  // CHECK:     %[[Y:.*]] = call @layer(%[[D]], %{{.*}}) : (tensor<?x2x8xf32>, !transformer.ragged) -> tensor<?x2x8xf32>
  // CHECK-NOT: transformer.unpack
  // CHECK:     %[[Z:.*]] = call @layer(%[[Y]], %{{.*}})
  // CHECK:     %[[R:.*]] = transformer.unpack %[[Z]], %[[L]]
  // CHECK:     return %[[R]]
  %u = linalg.exp ins(%x : tensor<?x?x2x8xf32>) outs(%x : tensor<?x?x2x8xf32>) -> tensor<?x?x2x8xf32>
  %y = call @layer(%u, %positions, %lengths) : (tensor<?x?x2x8xf32>, tensor<?x?xi32>, tensor<?xi32>) -> tensor<?x?x2x8xf32>
  %z = call @layer(%y, %positions, %lengths) : (tensor<?x?x2x8xf32>, tensor<?x?xi32>, tensor<?xi32>) -> tensor<?x?x2x8xf32>
  return %z : tensor<?x?x2x8xf32>
}
func.func private @layer(%x: tensor<?x?x2x8xf32>, %positions: tensor<?x?xi32>, %lengths: tensor<?xi32>) -> tensor<?x?x2x8xf32> {
  %y = transformer.attention %x, %x, %x positions %positions lengths %lengths {causal, scale = 1.0 : f32} : tensor<?x?x2x8xf32>, tensor<?x?x2x8xf32>, tensor<?x?x2x8xf32> positions tensor<?x?xi32> lengths tensor<?xi32> -> tensor<?x?x2x8xf32>
  return %y : tensor<?x?x2x8xf32>
}
