// RUN: ingot-opt %s --ingot-quantize-weights=format=q8_0 | FileCheck %s
// RUN: ingot-opt %s --ingot-quantize-weights | FileCheck %s --check-prefix=NONE

// NONE-NOT: q8_0

// The weights of a layer that two calls share change together, through the arguments; so does the embedding that is tied to one.
// CHECK: transformer.weight @a : !transformer.weight<[96, 64], q8_0> source "a"
// CHECK: transformer.weight @b : !transformer.weight<[96, 64], q8_0> source "b"
// CHECK: transformer.weight @tied : !transformer.weight<[96, 64], q8_0> source "tied"
transformer.weight @a : !transformer.weight<[96, 64], bf16> source "a"
transformer.weight @b : !transformer.weight<[96, 64], bf16> source "b"
transformer.weight @tied : !transformer.weight<[96, 64], f16> source "tied"
// No product reads it: it stays.
// CHECK: transformer.weight @table : !transformer.weight<[7, 64], f32> source "table"
transformer.weight @table : !transformer.weight<[7, 64], f32> source "table"

// CHECK-LABEL: func.func @main
func.func @main(%ids: tensor<?xi32>) -> tensor<?x96xf32> attributes {transformer.entry} {
  // CHECK: %[[T:.*]] = transformer.get_weight @tied : <[96, 64], q8_0>
  %tied = transformer.get_weight @tied : !transformer.weight<[96, 64], f16>
  // CHECK: transformer.embedding %{{.*}}, %[[T]] : tensor<?xi32>, <[96, 64], q8_0>
  %x = transformer.embedding %ids, %tied : tensor<?xi32>, !transformer.weight<[96, 64], f16> -> tensor<?x64xf32>
  %table = transformer.get_weight @table : !transformer.weight<[7, 64], f32>
  %p = transformer.embedding %ids, %table : tensor<?xi32>, !transformer.weight<[7, 64], f32> -> tensor<?x64xf32>
  %s = arith.addf %x, %p : tensor<?x64xf32>
  %a = transformer.get_weight @a : !transformer.weight<[96, 64], bf16>
  %b = transformer.get_weight @b : !transformer.weight<[96, 64], bf16>
  // CHECK: call @layer(%{{.*}}) : (tensor<?x64xf32>, !transformer.weight<[96, 64], q8_0>) -> tensor<?x96xf32>
  %y = call @layer(%s, %a) : (tensor<?x64xf32>, !transformer.weight<[96, 64], bf16>) -> tensor<?x96xf32>
  %z = call @layer(%s, %b) : (tensor<?x64xf32>, !transformer.weight<[96, 64], bf16>) -> tensor<?x96xf32>
  %head = transformer.linear %s, %tied : tensor<?x64xf32>, !transformer.weight<[96, 64], f16> -> tensor<?x96xf32>
  %yz = arith.addf %y, %z : tensor<?x96xf32>
  %r = arith.addf %yz, %head : tensor<?x96xf32>
  return %r : tensor<?x96xf32>
}

// CHECK-LABEL: func.func private @layer
// CHECK-SAME: (%{{.*}}: tensor<?x64xf32>, %[[W:.*]]: !transformer.weight<[96, 64], q8_0>)
func.func private @layer(%x: tensor<?x64xf32>, %w: !transformer.weight<[96, 64], bf16>) -> tensor<?x96xf32> {
  // CHECK: transformer.linear %{{.*}}, %[[W]] : tensor<?x64xf32>, <[96, 64], q8_0>
  %y = transformer.linear %x, %w : tensor<?x64xf32>, !transformer.weight<[96, 64], bf16> -> tensor<?x96xf32>
  return %y : tensor<?x96xf32>
}
