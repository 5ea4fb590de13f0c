// RUN: ingot-opt %s --ingot-form-regions --remarks-filter-missed=fuse --remark-policy=all --remark-format=emitRemark --verify-diagnostics | FileCheck %s

!x = tensor<?x64xf32>

// Ops without a family stay where they are.
// CHECK-LABEL: func.func @refused
// CHECK-NOT: transformer.compute
func.func @refused(%x: !x, %y: !x, %g: !transformer.weight<[64], f32>) -> (!x, !x) {
  // expected-remark@below {{[Missed] FormRegions | Category:fuse | Function=refused | Reason="no kernel family computes arith.mulf"}}
  %m = arith.mulf %x, %y : !x
  // expected-remark@below {{no kernel family computes transformer.norm}}
  %n = transformer.norm layer %x, %g {epsilon = 1.0e-5 : f32} : !x, !transformer.weight<[64], f32>
  return %m, %n : !x, !x
}

// An activation that is used twice does not take a multiplication along.
// CHECK-LABEL: func.func @twice
// CHECK: transformer.compute "ActivationMultiply"
// CHECK-NEXT: transformer.activation
// CHECK-NEXT: transformer.yield
// CHECK: arith.mulf
func.func @twice(%x: !x) -> (!x, !x) {
  %a = transformer.activation silu %x : !x
  // expected-remark@below {{no kernel family computes arith.mulf}}
  %m = arith.mulf %a, %a : !x
  return %m, %a : !x, !x
}
