// RUN: ingot-opt %s --ingot-fuse-residual --remarks-filter=fuse --remark-policy=all --remark-format=emitRemark --verify-diagnostics | FileCheck %s

!x = tensor<?x64xf32>
!w = !transformer.weight<[64, 64], f32>
!table = !transformer.weight<[100, 64], q8_0>

// CHECK-NOT: transformer.compute

// The memory of an entry's argument is its caller's.
func.func @entry(%x: !x, %h: !x, %w: !w) -> !x {
  // expected-remark@below {{[Missed] FuseResidual | Category:fuse | Function=entry | Reason="the residual belongs to somebody else"}}
  %p = transformer.linear %h, %w : !x, !w -> !x
  %y = arith.addf %x, %p : !x
  return %y : !x
}

func.func @later(%ids: tensor<?xi32>, %t: !table, %h: !x, %w: !w) -> (!x, !x) {
  %x = transformer.embedding %ids, %t : tensor<?xi32>, !table -> !x
  // expected-remark@below {{the residual is needed later}}
  %p = transformer.linear %h, %w : !x, !w -> !x
  %y = arith.addf %x, %p : !x
  return %x, %y : !x, !x
}

// The product would read what it overwrites.
func.func @reads(%ids: tensor<?xi32>, %t: !table, %w: !w) -> !x {
  %x = transformer.embedding %ids, %t : tensor<?xi32>, !table -> !x
  // expected-remark@below {{the product reads the residual}}
  %p = transformer.linear %x, %w : !x, !w -> !x
  %y = arith.addf %x, %p : !x
  return %y : !x
}

func.func @used(%ids: tensor<?xi32>, %t: !table, %h: !x, %w: !w) -> (!x, !x) {
  %x = transformer.embedding %ids, %t : tensor<?xi32>, !table -> !x
  // expected-remark@below {{the product is used elsewhere too}}
  %p = transformer.linear %h, %w : !x, !w -> !x
  %y = arith.addf %x, %p : !x
  return %p, %y : !x, !x
}

func.func @twice(%h: !x, %w: !w) -> !x {
  // expected-remark@below {{the product is used elsewhere too}}
  %p = transformer.linear %h, %w : !x, !w -> !x
  %y = arith.addf %p, %p : !x
  return %y : !x
}

func.func @shapes(%ids: tensor<?xi32>, %t: !table, %h: !x, %w: !w, %n: index) -> (!x, tensor<?x4x16xf32>) {
  %x = transformer.embedding %ids, %t : tensor<?xi32>, !table -> !x
  %e = tensor.expand_shape %x [[0], [1, 2]] output_shape [%n, 4, 16] : !x into tensor<?x4x16xf32>
  // expected-remark@below {{the residual shares memory with a value of another shape}}
  %p = transformer.linear %h, %w : !x, !w -> !x
  %y = arith.addf %x, %p : !x
  return %y, %e : !x, tensor<?x4x16xf32>
}

func.func @loop(%ids: tensor<?xi32>, %t: !table, %h: !x, %w: !w, %n: index) -> !x {
  %x = transformer.embedding %ids, %t : tensor<?xi32>, !table -> !x
  %r = scf.for %i = %n to %n step %n iter_args(%a = %h) -> (!x) {
    // expected-remark@below {{the residual is needed again in the next turn of a loop}}
    %p = transformer.linear %a, %w : !x, !w -> !x
    %y = arith.addf %x, %p : !x
    scf.yield %y : !x
  }
  return %r : !x
}

// A caller that needs its argument afterwards keeps the layer from overwriting it.
func.func private @layer(%x: !x, %h: !x, %w: !w) -> !x {
  // expected-remark@below {{the residual is needed later}}
  %p = transformer.linear %h, %w : !x, !w -> !x
  %y = arith.addf %x, %p : !x
  return %y : !x
}
func.func @calls(%ids: tensor<?xi32>, %t: !table, %h: !x, %w: !w) -> (!x, !x) {
  %x = transformer.embedding %ids, %t : tensor<?xi32>, !table -> !x
  %y = func.call @layer(%x, %h, %w) : (!x, !x, !w) -> !x
  return %x, %y : !x, !x
}

// One value for two arguments.
func.func private @aliases(%x: !x, %h: !x, %w: !w) -> !x {
  // expected-remark@below {{the residual is passed twice}}
  %p = transformer.linear %h, %w : !x, !w -> !x
  %y = arith.addf %x, %p : !x
  return %y : !x
}
func.func @passes(%ids: tensor<?xi32>, %t: !table, %w: !w) -> !x {
  %x = transformer.embedding %ids, %t : tensor<?xi32>, !table -> !x
  %y = func.call @aliases(%x, %x, %w) : (!x, !x, !w) -> !x
  return %y : !x
}

// What no kernel computes together stays apart, with the kernel's reason.
func.func @bias(%ids: tensor<?xi32>, %t: !table, %h: !x, %w: !w, %b: !transformer.weight<[64], q8_0>) -> !x {
  %x = transformer.embedding %ids, %t : tensor<?xi32>, !table -> !x
  // expected-remark@below {{Reason="the bias is not a float format"}}
  %p = transformer.linear %h, %w bias %b : !x, !w bias !transformer.weight<[64], q8_0> -> !x
  %y = arith.addf %x, %p : !x
  return %y : !x
}
