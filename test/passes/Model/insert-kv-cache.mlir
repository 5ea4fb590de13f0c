// RUN: ingot-opt %s --split-input-file --ingot-insert-kv-cache="format=f16 page-tokens=16" | FileCheck %s

// The cache goes through the layers in program order; the layer's number is an argument, so one function serves all.
// CHECK-LABEL: func.func @step
// CHECK-SAME:  (%[[X:.*]]: tensor<?x2x8xf32>, %[[B:.*]]: !transformer.ragged, %[[C:.*]]: !transformer.kv_cache<layers = 2, heads = 2, dim = 8, format = f16, page = 16>)
func.func @main(%x: tensor<?x2x8xf32>, %batch: !transformer.ragged) -> tensor<?x2x8xf32> attributes {transformer.entry} {
  // CHECK: %[[L0:.*]] = arith.constant 0 : index
  // CHECK: %[[Y:.*]]:2 = call @layer(%[[X]], %[[B]], %[[C]], %[[L0]])
  // CHECK: %[[L1:.*]] = arith.constant 1 : index
  // CHECK: %[[Z:.*]]:2 = call @layer(%[[Y]]#0, %[[B]], %[[Y]]#1, %[[L1]])
  // CHECK: return %[[Z]]#0, %[[Z]]#1
  %y = call @layer(%x, %batch) : (tensor<?x2x8xf32>, !transformer.ragged) -> tensor<?x2x8xf32>
  %z = call @layer(%y, %batch) : (tensor<?x2x8xf32>, !transformer.ragged) -> tensor<?x2x8xf32>
  return %z : tensor<?x2x8xf32>
}

// CHECK-LABEL: func.func private @layer
// CHECK-SAME:  (%[[X:.*]]: tensor<?x2x8xf32>, %[[B:.*]]: !transformer.ragged, %[[C:.*]]: !transformer.kv_cache<{{.*}}>, %[[L:.*]]: index)
func.func private @layer(%x: tensor<?x2x8xf32>, %batch: !transformer.ragged) -> tensor<?x2x8xf32> {
  // CHECK: %[[N:.*]] = transformer.append_cache %[[C]][%[[L]]], %[[X]], %[[X]], %[[B]]
  // CHECK: %[[Y:.*]] = transformer.cached_attention %[[X]], %[[N]][%[[L]]], %[[B]] {scale = 5.000000e-01 : f32}
  // CHECK: return %[[Y]], %[[N]]
  %y = transformer.attention %x, %x, %x batch %batch {causal, scale = 0.5 : f32} : tensor<?x2x8xf32>, tensor<?x2x8xf32>, tensor<?x2x8xf32> batch !transformer.ragged -> tensor<?x2x8xf32>
  return %y : tensor<?x2x8xf32>
}

// -----

// Layers with a window have a cache of their own: its pages may be dropped. A function's second layer is one after its
// first.
// CHECK-LABEL: func.func @step
// CHECK-SAME:  (%[[X:.*]]: tensor<?x2x8xf32>, %[[B:.*]]: !transformer.ragged, %[[C:.*]]: !transformer.kv_cache<layers = 2, {{.*}}>, %[[D:.*]]: !transformer.kv_cache<layers = 1, {{.*}}>)
func.func @main(%x: tensor<?x2x8xf32>, %batch: !transformer.ragged) -> tensor<?x2x8xf32> attributes {transformer.entry} {
  // CHECK: %[[L:.*]] = arith.constant 0 : index
  // CHECK: %[[M:.*]] = arith.constant 0 : index
  // CHECK: %[[Y:.*]]:3 = call @layers(%[[X]], %[[B]], %[[C]], %[[L]], %[[D]], %[[M]])
  // CHECK: return %[[Y]]#0, %[[Y]]#1, %[[Y]]#2
  %y = call @layers(%x, %batch) : (tensor<?x2x8xf32>, !transformer.ragged) -> tensor<?x2x8xf32>
  return %y : tensor<?x2x8xf32>
}

// CHECK-LABEL: func.func private @layers
// CHECK-SAME:  (%[[X:.*]]: tensor<?x2x8xf32>, %[[B:.*]]: !transformer.ragged, %[[C:.*]]: !transformer.kv_cache<layers = 2, {{.*}}>, %[[L:.*]]: index, %[[D:.*]]: !transformer.kv_cache<layers = 1, {{.*}}>, %[[M:.*]]: index)
func.func private @layers(%x: tensor<?x2x8xf32>, %batch: !transformer.ragged) -> tensor<?x2x8xf32> {
  // CHECK: %[[C1:.*]] = transformer.append_cache %[[C]][%[[L]]]
  // CHECK: %[[Y:.*]] = transformer.cached_attention %[[X]], %[[C1]][%[[L]]], %[[B]] {scale = 5.000000e-01 : f32}
  // CHECK: %[[D1:.*]] = transformer.append_cache %[[D]][%[[M]]]
  // CHECK: %[[Z:.*]] = transformer.cached_attention %[[Y]], %[[D1]][%[[M]]], %[[B]] {scale = 5.000000e-01 : f32, window = 4 : i64}
  // CHECK: %[[ONE:.*]] = arith.constant 1 : index
  // CHECK: %[[N:.*]] = arith.addi %[[L]], %[[ONE]]
  // CHECK: %[[C2:.*]] = transformer.append_cache %[[C1]][%[[N]]]
  // CHECK: %[[W:.*]] = transformer.cached_attention %[[Z]], %[[C2]][%[[N]]]
  // CHECK: return %[[W]], %[[C2]], %[[D1]]
  %y = transformer.attention %x, %x, %x batch %batch {causal, scale = 0.5 : f32} : tensor<?x2x8xf32>, tensor<?x2x8xf32>, tensor<?x2x8xf32> batch !transformer.ragged -> tensor<?x2x8xf32>
  %z = transformer.attention %y, %y, %y batch %batch {causal, scale = 0.5 : f32, window = 4 : i64} : tensor<?x2x8xf32>, tensor<?x2x8xf32>, tensor<?x2x8xf32> batch !transformer.ragged -> tensor<?x2x8xf32>
  %w = transformer.attention %z, %z, %z batch %batch {causal, scale = 0.5 : f32} : tensor<?x2x8xf32>, tensor<?x2x8xf32>, tensor<?x2x8xf32> batch !transformer.ragged -> tensor<?x2x8xf32>
  return %w : tensor<?x2x8xf32>
}

// -----

// A number that is repeated for every token (scaled embeddings) belongs to no position.
// CHECK-LABEL: func.func @step
func.func @main(%x: tensor<?x2x8xf32>, %batch: !transformer.ragged) -> tensor<?x2x8xf32> attributes {transformer.entry} {
  // CHECK: %[[S:.*]] = tensor.splat
  // CHECK: %[[X:.*]] = arith.mulf %{{.*}}, %[[S]]
  // CHECK: transformer.cached_attention %[[X]]
  %zero = arith.constant 0 : index
  %number = arith.constant 3.0 : f32
  %tokens = tensor.dim %x, %zero : tensor<?x2x8xf32>
  %numbers = tensor.splat %number[%tokens] : tensor<?x2x8xf32>
  %scaled = arith.mulf %x, %numbers : tensor<?x2x8xf32>
  %y = transformer.attention %scaled, %scaled, %scaled batch %batch {causal, scale = 0.5 : f32} : tensor<?x2x8xf32>, tensor<?x2x8xf32>, tensor<?x2x8xf32> batch !transformer.ragged -> tensor<?x2x8xf32>
  return %y : tensor<?x2x8xf32>
}

// -----

// In an encoder all tokens of a sequence see each other, and pages hold one layer's keys and values after the other: there is
// no number of the layer.
// CHECK-LABEL: func.func @step
// CHECK-SAME:  (%[[X:.*]]: tensor<?x2x8xf32>, %[[B:.*]]: !transformer.ragged, %[[C:.*]]: !transformer.kv_cache<layers = 1, heads = 2, dim = 8, format = f16, page = 16>)
func.func @main(%x: tensor<?x2x8xf32>, %batch: !transformer.ragged) -> tensor<?x2x8xf32> attributes {transformer.entry} {
  // CHECK: %[[Y:.*]]:2 = call @layer(%[[X]], %[[B]], %[[C]])
  // CHECK: %[[Z:.*]]:2 = call @layer(%[[Y]]#0, %[[B]], %[[Y]]#1)
  // CHECK: return %[[Z]]#0, %[[Z]]#1
  %y = call @layer(%x, %batch) : (tensor<?x2x8xf32>, !transformer.ragged) -> tensor<?x2x8xf32>
  %z = call @layer(%y, %batch) : (tensor<?x2x8xf32>, !transformer.ragged) -> tensor<?x2x8xf32>
  return %z : tensor<?x2x8xf32>
}

// CHECK-LABEL: func.func private @layer
// CHECK-SAME:  (%[[X:.*]]: tensor<?x2x8xf32>, %[[B:.*]]: !transformer.ragged, %[[C:.*]]: !transformer.kv_cache<{{.*}}>)
func.func private @layer(%x: tensor<?x2x8xf32>, %batch: !transformer.ragged) -> tensor<?x2x8xf32> {
  // CHECK: %[[L:.*]] = arith.constant 0 : index
  // CHECK: %[[N:.*]] = transformer.append_cache %[[C]][%[[L]]], %[[X]], %[[X]], %[[B]]
  // CHECK: transformer.cached_attention %[[X]], %[[N]][%[[L]]], %[[B]] {bidirectional, scale = 5.000000e-01 : f32}
  %y = transformer.attention %x, %x, %x batch %batch {scale = 0.5 : f32} : tensor<?x2x8xf32>, tensor<?x2x8xf32>, tensor<?x2x8xf32> batch !transformer.ragged -> tensor<?x2x8xf32>
  return %y : tensor<?x2x8xf32>
}
