// RUN: ingot-opt %s --ingot-fuse-residual --remarks-filter=fuse --remark-policy=all --remark-format=emitRemark --verify-diagnostics | FileCheck %s

!x = tensor<?x64xf32>
!v = tensor<?x64xi8>
!s = tensor<?x2xf32>
!w = !transformer.weight<[64, 64], q4_1>
!table = !transformer.weight<[100, 64], q8_0>

// The caller gives its argument up, so the layer may overwrite it; earlier uses do no harm.
// CHECK-LABEL: func.func private @layer
// CHECK-SAME: (%[[X:.*]]: tensor<?x64xf32>, %[[W:.*]]: !
func.func private @layer(%x: !x, %w: !w) -> !x {
  // CHECK: %[[V:.*]], %[[S:.*]] = transformer.quantize %[[X]]
  // CHECK-NEXT: %[[Y:.*]] = transformer.compute "Linear" (%[[A:.*]] = %[[V]] : tensor<?x64xi8>, %[[B:.*]] = %[[S]] : tensor<?x2xf32>, %[[M:.*]] = %[[W]] : {{.*}}, %[[R:.*]] = %[[X]] : tensor<?x64xf32>) -> (tensor<?x64xf32>) {
  // CHECK-NEXT: %[[P:.*]] = transformer.linear %[[A]] scales %[[B]], %[[M]]
  // CHECK-NEXT: %[[Z:.*]] = arith.addf %[[R]], %[[P]]
  // CHECK-NEXT: transformer.yield %[[Z]]
  // CHECK: return %[[Y]]
  %v, %s = transformer.quantize %x : !x -> !v, !s
  // expected-remark@below {{[Passed] FuseResidual | Category:fuse | Function=layer | Remark="product and residual in one region"}}
  %p = transformer.linear %v scales %s, %w : !v scales !s, !w -> !x
  %y = arith.addf %x, %p : !x
  return %y : !x
}

func.func @step(%ids: tensor<?xi32>, %t: !table, %w: !w) -> !x {
  %x0 = transformer.embedding %ids, %t : tensor<?xi32>, !table -> !x
  %x1 = func.call @layer(%x0, %w) : (!x, !w) -> !x
  %x2 = func.call @layer(%x1, %w) : (!x, !w) -> !x
  return %x2 : !x
}

// A bias is the product's own.
// CHECK-LABEL: func.func @bias
// CHECK: %[[Y:.*]] = transformer.compute "Linear" ({{.*}} = %{{.*}} : !transformer.weight<[64], f32>
// CHECK-NEXT: transformer.linear %{{.*}}, %{{.*}} bias %
// CHECK-NEXT: arith.addf
func.func @bias(%ids: tensor<?xi32>, %t: !table, %h: !x, %w: !w, %b: !transformer.weight<[64], f32>) -> !x {
  %x = transformer.embedding %ids, %t : tensor<?xi32>, !table -> !x
  // expected-remark@below {{product and residual in one region}}
  %p = transformer.linear %h, %w bias %b : !x, !w bias !transformer.weight<[64], f32> -> !x
  %y = arith.addf %x, %p : !x
  return %y : !x
}

// Of two products, the later takes the sum; the earlier one is its residual.
// CHECK-LABEL: func.func @two
func.func @two(%x: !x, %v: !v, %s: !s, %w: !w) -> !x {
  // CHECK: %[[P:.*]] = transformer.linear
  // CHECK-NEXT: transformer.compute "Linear" ({{.*}} = %[[P]] : tensor<?x64xf32>)
  %p = transformer.linear %v scales %s, %w : !v scales !s, !w -> !x
  // expected-remark@below {{product and residual in one region}}
  %q = transformer.linear %x, %w : !x, !w -> !x
  %y = arith.addf %q, %p : !x
  return %y : !x
}

// An addition without a product is not for this pass.
// CHECK-LABEL: func.func @plain
// CHECK-NOT: transformer.compute
func.func @plain(%x: !x, %y: !x) -> !x {
  %z = arith.addf %x, %y : !x
  return %z : !x
}
