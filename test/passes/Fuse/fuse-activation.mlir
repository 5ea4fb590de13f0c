// RUN: ingot-opt %s --ingot-fuse-activation --remarks-filter=fuse --remark-policy=all --remark-format=emitRemark --verify-diagnostics | FileCheck %s

!x = tensor<?x64xf32>
!y = tensor<?x96xf32>
!w = !transformer.weight<[96, 64], q4_1>
!b = !transformer.weight<[96], f32>

// The product, with its bias, and the activation of it.
// CHECK-LABEL: func.func @fuse
// CHECK-SAME: (%[[X:.*]]: tensor<?x64xf32>, %[[W:.*]]: !transformer.weight<[96, 64], q4_1>, %[[B:.*]]: !
func.func @fuse(%x: !x, %w: !w, %b: !b) -> !y {
  // CHECK-NEXT: %[[Y:.*]] = transformer.compute "LinearActivation" (%[[I:.*]] = %[[X]] : tensor<?x64xf32>, %[[M:.*]] = %[[W]] : {{.*}}, %[[C:.*]] = %[[B]] : {{.*}}) -> (tensor<?x96xf32>) {
  // CHECK-NEXT: %[[P:.*]] = transformer.linear %[[I]], %[[M]] bias %[[C]]
  // CHECK-NEXT: %[[A:.*]] = transformer.activation gelu %[[P]]
  // CHECK-NEXT: transformer.yield %[[A]]
  // CHECK: return %[[Y]]
  %p = transformer.linear %x, %w bias %b : !x, !w bias !b -> !y
  // expected-remark@below {{[Passed] FuseActivation | Category:fuse | Function=fuse | Remark="product and activation in one region"}}
  %a = transformer.activation gelu %p : !y
  return %a : !y
}

// An activation of something else is not for this pass.
// CHECK-LABEL: func.func @plain
// CHECK-NOT: transformer.compute
func.func @plain(%x: !x) -> !x {
  %a = transformer.activation gelu %x : !x
  return %a : !x
}
