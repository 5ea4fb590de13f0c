// RUN: ingot-opt %s --ingot-fuse-activation --remarks-filter=fuse --remark-policy=all --remark-format=emitRemark --verify-diagnostics | FileCheck %s

!x = tensor<?x64xf32>
!y = tensor<?x96xf32>
!w = !transformer.weight<[96, 64], q4_1>

// CHECK-NOT: transformer.compute

func.func @used(%x: !x, %w: !w) -> (!y, !y) {
  %p = transformer.linear %x, %w : !x, !w -> !y
  // expected-remark@below {{[Missed] FuseActivation | Category:fuse | Function=used | Reason="the product is used elsewhere too"}}
  %a = transformer.activation relu %p : !y
  return %a, %p : !y, !y
}

// What no kernel computes together stays apart, with the kernel's reason.
func.func @bias(%x: !x, %w: !w, %b: !transformer.weight<[96], q8_0>) -> !y {
  %p = transformer.linear %x, %w bias %b : !x, !w bias !transformer.weight<[96], q8_0> -> !y
  // expected-remark@below {{Reason="the bias is not a float format"}}
  %a = transformer.activation relu %p : !y
  return %a : !y
}
