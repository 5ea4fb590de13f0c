// RUN: ingot-opt %s --ingot-quantize-activations="exclude=*.ffn_down.weight,blk.1.attn_q.weight" --remarks-filter=compress --remark-policy=all --remark-format=emitRemark --verify-diagnostics | FileCheck %s
// RUN: not ingot-opt %s --ingot-quantize-activations="exclude=[" -o /dev/null 2>&1 | FileCheck %s --check-prefix=PATTERN
// RUN: not ingot-opt %s --ingot-quantize-activations=activations=int4 2>&1 | FileCheck %s --check-prefix=KIND

// PATTERN: error: expected 'exclude' to be a pattern of file names, got "["
// KIND: 'int4'

!w = !transformer.weight<[64, 64], q4_1>
!x = tensor<?x64xf32>

transformer.weight @"blk.0.attn_q.weight" : !w source "blk.0.attn_q.weight"
transformer.weight @"blk.1.attn_q.weight" : !w source "blk.1.attn_q.weight"
transformer.weight @"blk.0.attn_k.weight" : !w source "blk.0.attn_k.weight"
transformer.weight @"blk.1.attn_k.weight" : !w source "blk.1.attn_k.weight"
transformer.weight @"blk.0.ffn_down.weight" : !w source "blk.0.ffn_down.weight"

// The layers that share a function share its form: one excluded weight excludes the linear.
// CHECK-LABEL: func.func private @layer
func.func private @layer(%x: !x, %q: !w, %k: !w) -> (!x, !x) {
  // CHECK: transformer.linear %{{.*}}, %{{.*}} : tensor<?x64xf32>,
  // expected-remark@below {{[Missed] QuantizeActivations | Category:compress | Function=layer | Reason="'blk.1.attn_q.weight' is excluded by "blk.1.attn_q.weight""}}
  %y = transformer.linear %x, %q : !x, !w -> !x
  // CHECK: transformer.linear %{{.*}} scales
  // expected-remark@below {{8-bit activations for 'blk.0.attn_k.weight' and 1 more}}
  %z = transformer.linear %x, %k : !x, !w -> !x
  return %y, %z : !x, !x
}

// CHECK-LABEL: func.func @step
func.func @step(%x: !x) -> (!x, !x, !x) {
  %q0 = transformer.get_weight @"blk.0.attn_q.weight" : !w
  %k0 = transformer.get_weight @"blk.0.attn_k.weight" : !w
  %q1 = transformer.get_weight @"blk.1.attn_q.weight" : !w
  %k1 = transformer.get_weight @"blk.1.attn_k.weight" : !w
  %a, %b = call @layer(%x, %q0, %k0) : (!x, !w, !w) -> (!x, !x)
  %c, %d = call @layer(%a, %q1, %k1) : (!x, !w, !w) -> (!x, !x)
  %w = transformer.get_weight @"blk.0.ffn_down.weight" : !w
  // expected-remark@below {{'blk.0.ffn_down.weight' is excluded by "*.ffn_down.weight"}}
  %y = transformer.linear %c, %w : !x, !w -> !x
  return %b, %d, %y : !x, !x, !x
}

// CHECK-LABEL: func.func @refused
// CHECK-NOT: transformer.quantize
func.func @refused(%x: !x, %h: !transformer.weight<[64, 64], bf16>, %n: tensor<?x48xf32>, %u: !transformer.weight<[64, 48], q8_0>) -> (!x, !x) {
  // expected-remark@below {{bf16 stores floats}}
  %y = transformer.linear %x, %h : !x, !transformer.weight<[64, 64], bf16> -> !x
  // expected-remark@below {{48 columns are no multiple of 32}}
  %z = transformer.linear %n, %u : tensor<?x48xf32>, !transformer.weight<[64, 48], q8_0> -> !x
  return %y, %z : !x, !x
}
