// RUN: ingot-opt %s --ingot-fuse-gated-feed-forward --remarks-filter=fuse --remark-policy=all --remark-format=emitRemark --verify-diagnostics | FileCheck %s

!x = tensor<?x64xf32>
!y = tensor<?x96xf32>
!w = !transformer.weight<[96, 64], q4_1>
!v = !transformer.weight<[96, 64], q6_k>

// CHECK-NOT: transformer.compute

func.func @types(%x: !x, %gate: !w, %up: !v) -> !y {
  %g = transformer.linear %x, %gate : !x, !w -> !y
  %a = transformer.activation silu %g : !y
  %u = transformer.linear %x, %up : !x, !v -> !y
  // expected-remark@below {{[Missed] FuseGatedFeedForward | Category:fuse | Function=types | Reason="the weights are !transformer.weight<[96, 64], q4_1> and !transformer.weight<[96, 64], q6_k>"}}
  %m = arith.mulf %a, %u : !y
  return %m : !y
}

func.func @inputs(%x: !x, %z: !x, %gate: !w, %up: !w) -> !y {
  %g = transformer.linear %x, %gate : !x, !w -> !y
  %a = transformer.activation silu %g : !y
  %u = transformer.linear %z, %up : !x, !w -> !y
  // expected-remark@below {{gate and up have different inputs}}
  %m = arith.mulf %a, %u : !y
  return %m : !y
}

func.func @used(%x: !x, %gate: !w, %up: !w) -> (!y, !y) {
  %g = transformer.linear %x, %gate : !x, !w -> !y
  %a = transformer.activation silu %g : !y
  %u = transformer.linear %x, %up : !x, !w -> !y
  // expected-remark@below {{gate, activation or up is used elsewhere too}}
  %m = arith.mulf %a, %u : !y
  return %m, %u : !y, !y
}

// One product for both sides.
func.func @same(%x: !x, %gate: !w) -> !y {
  %g = transformer.linear %x, %gate : !x, !w -> !y
  %a = transformer.activation silu %g : !y
  // expected-remark@below {{gate, activation or up is used elsewhere too}}
  %m = arith.mulf %a, %g : !y
  return %m : !y
}

// What no kernel computes together stays apart, with the kernel's reason.
func.func @bias(%x: !x, %gate: !w, %up: !w, %b: !transformer.weight<[96], q8_0>) -> !y {
  %g = transformer.linear %x, %gate : !x, !w -> !y
  %a = transformer.activation silu %g : !y
  %u = transformer.linear %x, %up bias %b : !x, !w bias !transformer.weight<[96], q8_0> -> !y
  // expected-remark@below {{Reason="the bias is not a float format"}}
  %m = arith.mulf %a, %u : !y
  return %m : !y
}
