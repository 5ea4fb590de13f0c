// RUN: ingot-opt %s --ingot-fuse-gated-feed-forward --remarks-filter=fuse --remark-policy=all --remark-format=emitRemark --verify-diagnostics | FileCheck %s

!x = tensor<?x64xf32>
!y = tensor<?x96xf32>
!w = !transformer.weight<[96, 64], q4_1>

// CHECK-LABEL: func.func @fuse
// CHECK-SAME: (%[[V:.*]]: tensor<?x64xi8>, %[[S:.*]]: tensor<?x2xf32>, %[[G:.*]]: !transformer.weight<[96, 64], q4_1>, %[[U:.*]]: !
func.func @fuse(%v: tensor<?x64xi8>, %s: tensor<?x2xf32>, %gate: !w, %up: !w) -> !y {
  // CHECK-NEXT: %[[Y:.*]] = transformer.compute "LinearGatedActivation" (%[[A:.*]] = %[[V]] : tensor<?x64xi8>, %[[B:.*]] = %[[S]] : tensor<?x2xf32>, %[[C:.*]] = %[[G]] : {{.*}}, %[[D:.*]] = %[[U]] : {{.*}}) -> (tensor<?x96xf32>) {
  // CHECK-NEXT: %[[P:.*]] = transformer.linear %[[A]] scales %[[B]], %[[C]]
  // CHECK-NEXT: %[[R:.*]] = transformer.activation silu %[[P]]
  // CHECK-NEXT: %[[Q:.*]] = transformer.linear %[[A]] scales %[[B]], %[[D]]
  // CHECK-NEXT: %[[M:.*]] = arith.mulf %[[R]], %[[Q]]
  // CHECK-NEXT: transformer.yield %[[M]]
  // CHECK: return %[[Y]]
  %g = transformer.linear %v scales %s, %gate : tensor<?x64xi8> scales tensor<?x2xf32>, !w -> !y
  %a = transformer.activation silu %g : !y
  %u = transformer.linear %v scales %s, %up : tensor<?x64xi8> scales tensor<?x2xf32>, !w -> !y
  // expected-remark@below {{[Passed] FuseGatedFeedForward | Category:fuse | Function=fuse | Remark="gate, up and activation in one region"}}
  %m = arith.mulf %a, %u : !y
  return %m : !y
}

// The order of operands does not matter.
// CHECK-LABEL: func.func @swapped
// CHECK: transformer.compute "LinearGatedActivation"
func.func @swapped(%x: !x, %gate: !w, %up: !w) -> !y {
  %u = transformer.linear %x, %up : !x, !w -> !y
  %g = transformer.linear %x, %gate : !x, !w -> !y
  %a = transformer.activation silu %g : !y
  // expected-remark@below {{gate, up and activation in one region}}
  %m = arith.mulf %u, %a : !y
  return %m : !y
}

// Any activation, and biases.
// CHECK-LABEL: func.func @gelu
// CHECK: transformer.compute "LinearGatedActivation"
// CHECK-NEXT: transformer.linear %{{.*}}, %{{.*}} bias %
// CHECK-NEXT: transformer.activation gelu_tanh
func.func @gelu(%x: !x, %gate: !w, %up: !w, %b: !transformer.weight<[96], f32>) -> !y {
  %g = transformer.linear %x, %gate bias %b : !x, !w bias !transformer.weight<[96], f32> -> !y
  %a = transformer.activation gelu_tanh %g : !y
  %u = transformer.linear %x, %up : !x, !w -> !y
  // expected-remark@below {{gate, up and activation in one region}}
  %m = arith.mulf %a, %u : !y
  return %m : !y
}

// A product of other things is not for this pass.
// CHECK-LABEL: func.func @plain
// CHECK-NOT: transformer.compute
func.func @plain(%x: !x, %up: !w, %y: !y) -> !y {
  %u = transformer.linear %x, %up : !x, !w -> !y
  %m = arith.mulf %u, %y : !y
  return %m : !y
}
