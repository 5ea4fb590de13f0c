// RUN: ingot-opt %s --ingot-form-regions --remarks-filter-missed=fuse --remark-policy=all --remark-format=emitRemark --verify-diagnostics | FileCheck %s

!x = tensor<?x64xf32>
!k = tensor<?x4x16xf32>

// Ops without a family stay where they are.
// CHECK-LABEL: func.func @refused
// CHECK-NOT: transformer.compute
func.func @refused(%x: !x, %batch: !transformer.ragged, %k: !k) -> (!x, !k) {
  // expected-remark@below {{[Missed] FormRegions | Category:fuse | Function=refused | Reason="no kernel family computes math.cos"}}
  %m = math.cos %x : !x
  // expected-remark@below {{no kernel family computes transformer.attention}}
  %n = transformer.attention %k, %k, %k batch %batch {scale = 1.0 : f32} : !k, !k, !k batch !transformer.ragged -> !k
  return %m, %n : !x, !k
}

// What is read twice is not computed twice.
// CHECK-LABEL: func.func @twice
// CHECK: transformer.compute "Elementwise"
// CHECK-NEXT: transformer.activation
// CHECK-NEXT: transformer.yield
// CHECK: transformer.compute "Elementwise"
// CHECK-NEXT: arith.mulf
func.func @twice(%x: !x) -> (!x, !x) {
  %a = transformer.activation silu %x : !x
  %m = arith.mulf %a, %x : !x
  return %m, %a : !x, !x
}
