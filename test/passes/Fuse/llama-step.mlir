// RUN: ingot-opt %s --ingot-quantize-activations --ingot-assign-devices --ingot-fuse-projections --ingot-fuse-gated-feed-forward --ingot-fuse-norm --ingot-fuse-residual --ingot-form-regions --ingot-verify-fuse-stage -o %t.mlir
// RUN: FileCheck %s < %t.mlir
// RUN: ingot-opt %t.mlir --canonicalize --cse --ingot-select-kernels --ingot-build-plan --ingot-verify-plan | FileCheck %s --check-prefix=PLAN
// RUN: ingot-opt %s --ingot-form-regions --ingot-verify-fuse-stage --canonicalize --cse --ingot-select-kernels --ingot-build-plan --ingot-verify-plan | FileCheck %s --check-prefix=ALONE

// From compress to plan: a step of a llama with two layers is four regions and eight for each layer.
// CHECK: module attributes {transformer.devices = 1 : i64
// CHECK-LABEL: func.func @step
// CHECK: transformer.compute "Embedding"
// CHECK: transformer.compute "SelectRows"
// CHECK: transformer.compute "RmsNormQuantize"
// CHECK: transformer.compute "Linear"
// CHECK-NOT: transformer.compute
// CHECK-LABEL: func.func private @layer
// CHECK: transformer.compute "RmsNormQuantize"
// CHECK: transformer.compute "LinearRopeAppendCache"
// CHECK: transformer.compute "PagedAttention"
// CHECK: transformer.compute "Quantize"
// CHECK: transformer.compute "Linear"
// CHECK: transformer.compute "RmsNormQuantize"
// CHECK: transformer.compute "LinearGatedActivation"
// CHECK: transformer.compute "Quantize"
// CHECK: transformer.compute "Linear"
// CHECK-NOT: transformer.compute

// What the families promise, the tile and plan stages keep: the layers become one loop.
// PLAN: plan.loop
// PLAN: plan.launch @RmsNormQuantize
// PLAN: plan.launch @LinearRopeAppendCache

// Nothing fused, nothing quantized: every op has a kernel of its own.
// ALONE: plan.loop
// ALONE: plan.launch @RmsNorm
// ALONE: plan.launch @Rope
// ALONE: plan.launch @AppendCache

!w = !transformer.weight<[64, 64], q4_1>
!kv = !transformer.weight<[32, 64], q4_1>
!up = !transformer.weight<[96, 64], q4_1>
!down = !transformer.weight<[64, 96], q4_1>
!norm = !transformer.weight<[64], f32>
!table = !transformer.weight<[100, 64], q8_0>
!cache = !transformer.kv_cache<layers = 2, heads = 2, dim = 16, format = f16, page = 16>

module attributes {transformer.version = 1 : i64, transformer.model = {architecture = "llama", layers = 2 : i64, width = 64 : i64, feed_forward = 96 : i64, heads = 4 : i64, kv_heads = 2 : i64, head_dim = 16 : i64, vocabulary = 100 : i64, context = 64 : i64, norm_epsilon = 1.0e-5 : f64, rope_base = 1.0e4 : f64, rope_dims = 16 : i64}} {
  transformer.weight @"token_embd.weight" : !table source "token_embd.weight"
  transformer.weight @"output_norm.weight" : !norm source "output_norm.weight"
  transformer.weight @"blk.0.attn_norm.weight" : !norm source "blk.0.attn_norm.weight"
  transformer.weight @"blk.0.attn_q.weight" : !w source "blk.0.attn_q.weight"
  transformer.weight @"blk.0.attn_k.weight" : !kv source "blk.0.attn_k.weight"
  transformer.weight @"blk.0.attn_v.weight" : !kv source "blk.0.attn_v.weight"
  transformer.weight @"blk.0.attn_output.weight" : !w source "blk.0.attn_output.weight"
  transformer.weight @"blk.0.ffn_norm.weight" : !norm source "blk.0.ffn_norm.weight"
  transformer.weight @"blk.0.ffn_gate.weight" : !up source "blk.0.ffn_gate.weight"
  transformer.weight @"blk.0.ffn_up.weight" : !up source "blk.0.ffn_up.weight"
  transformer.weight @"blk.0.ffn_down.weight" : !down source "blk.0.ffn_down.weight"
  transformer.weight @"blk.1.attn_norm.weight" : !norm source "blk.1.attn_norm.weight"
  transformer.weight @"blk.1.attn_q.weight" : !w source "blk.1.attn_q.weight"
  transformer.weight @"blk.1.attn_k.weight" : !kv source "blk.1.attn_k.weight"
  transformer.weight @"blk.1.attn_v.weight" : !kv source "blk.1.attn_v.weight"
  transformer.weight @"blk.1.attn_output.weight" : !w source "blk.1.attn_output.weight"
  transformer.weight @"blk.1.ffn_norm.weight" : !norm source "blk.1.ffn_norm.weight"
  transformer.weight @"blk.1.ffn_gate.weight" : !up source "blk.1.ffn_gate.weight"
  transformer.weight @"blk.1.ffn_up.weight" : !up source "blk.1.ffn_up.weight"
  transformer.weight @"blk.1.ffn_down.weight" : !down source "blk.1.ffn_down.weight"
  func.func @step(%tokens: tensor<?xi32>, %batch: !transformer.ragged, %cache: !cache, %rows: tensor<?xi32>) -> (tensor<?x100xf32>, !cache) attributes {transformer.entry} {
    %e = transformer.get_weight @"token_embd.weight" : !table
    %x0 = transformer.embedding %tokens, %e : tensor<?xi32>, !table -> tensor<?x64xf32>
    %l0 = arith.constant 0 : index
    %w0_0 = transformer.get_weight @"blk.0.attn_norm.weight" : !norm
    %w0_1 = transformer.get_weight @"blk.0.attn_q.weight" : !w
    %w0_2 = transformer.get_weight @"blk.0.attn_k.weight" : !kv
    %w0_3 = transformer.get_weight @"blk.0.attn_v.weight" : !kv
    %w0_4 = transformer.get_weight @"blk.0.attn_output.weight" : !w
    %w0_5 = transformer.get_weight @"blk.0.ffn_norm.weight" : !norm
    %w0_6 = transformer.get_weight @"blk.0.ffn_gate.weight" : !up
    %w0_7 = transformer.get_weight @"blk.0.ffn_up.weight" : !up
    %w0_8 = transformer.get_weight @"blk.0.ffn_down.weight" : !down
    %x1, %c1 = call @layer(%x0, %batch, %cache, %l0, %w0_0, %w0_1, %w0_2, %w0_3, %w0_4, %w0_5, %w0_6, %w0_7, %w0_8) : (tensor<?x64xf32>, !transformer.ragged, !cache, index, !norm, !w, !kv, !kv, !w, !norm, !up, !up, !down) -> (tensor<?x64xf32>, !cache)
    %l1 = arith.constant 1 : index
    %w1_0 = transformer.get_weight @"blk.1.attn_norm.weight" : !norm
    %w1_1 = transformer.get_weight @"blk.1.attn_q.weight" : !w
    %w1_2 = transformer.get_weight @"blk.1.attn_k.weight" : !kv
    %w1_3 = transformer.get_weight @"blk.1.attn_v.weight" : !kv
    %w1_4 = transformer.get_weight @"blk.1.attn_output.weight" : !w
    %w1_5 = transformer.get_weight @"blk.1.ffn_norm.weight" : !norm
    %w1_6 = transformer.get_weight @"blk.1.ffn_gate.weight" : !up
    %w1_7 = transformer.get_weight @"blk.1.ffn_up.weight" : !up
    %w1_8 = transformer.get_weight @"blk.1.ffn_down.weight" : !down
    %x2, %c2 = call @layer(%x1, %batch, %c1, %l1, %w1_0, %w1_1, %w1_2, %w1_3, %w1_4, %w1_5, %w1_6, %w1_7, %w1_8) : (tensor<?x64xf32>, !transformer.ragged, !cache, index, !norm, !w, !kv, !kv, !w, !norm, !up, !up, !down) -> (tensor<?x64xf32>, !cache)
    %g = transformer.get_weight @"output_norm.weight" : !norm
    %r = transformer.select_rows %x2, %rows : tensor<?x64xf32>, tensor<?xi32> -> tensor<?x64xf32>
    %n = transformer.norm rms %r, %g {epsilon = 1.0e-5 : f32} : tensor<?x64xf32>, !norm
    %logits = transformer.linear %n, %e : tensor<?x64xf32>, !table -> tensor<?x100xf32>
    return %logits, %c2 : tensor<?x100xf32>, !cache
  }
  func.func private @layer(%x: tensor<?x64xf32>, %batch: !transformer.ragged, %cache: !cache, %layer: index, %attn_norm: !norm, %wq: !w, %wk: !kv, %wv: !kv, %wo: !w, %ffn_norm: !norm, %gate: !up, %up: !up, %down: !down) -> (tensor<?x64xf32>, !cache) {
    %c0 = arith.constant 0 : index
    %t = tensor.dim %x, %c0 : tensor<?x64xf32>
    %p = transformer.positions %batch : tensor<?xi32>
    %n0 = transformer.norm rms %x, %attn_norm {epsilon = 1.0e-5 : f32} : tensor<?x64xf32>, !norm
    %q0 = transformer.linear %n0, %wq : tensor<?x64xf32>, !w -> tensor<?x64xf32>
    %q1 = tensor.expand_shape %q0 [[0], [1, 2]] output_shape [%t, 4, 16] : tensor<?x64xf32> into tensor<?x4x16xf32>
    %q2 = transformer.rope interleaved %q1, %p {base = 1.0e4 : f64} : tensor<?x4x16xf32>, tensor<?xi32>
    %k0 = transformer.linear %n0, %wk : tensor<?x64xf32>, !kv -> tensor<?x32xf32>
    %k1 = tensor.expand_shape %k0 [[0], [1, 2]] output_shape [%t, 2, 16] : tensor<?x32xf32> into tensor<?x2x16xf32>
    %k2 = transformer.rope interleaved %k1, %p {base = 1.0e4 : f64} : tensor<?x2x16xf32>, tensor<?xi32>
    %v0 = transformer.linear %n0, %wv : tensor<?x64xf32>, !kv -> tensor<?x32xf32>
    %v1 = tensor.expand_shape %v0 [[0], [1, 2]] output_shape [%t, 2, 16] : tensor<?x32xf32> into tensor<?x2x16xf32>
    %c1 = transformer.append_cache %cache[%layer], %k2, %v1, %batch : !cache, tensor<?x2x16xf32>
    %a0 = transformer.cached_attention %q2, %c1[%layer], %batch {scale = 0.25 : f32} : tensor<?x4x16xf32>, !cache
    %a1 = tensor.collapse_shape %a0 [[0], [1, 2]] : tensor<?x4x16xf32> into tensor<?x64xf32>
    %o = transformer.linear %a1, %wo : tensor<?x64xf32>, !w -> tensor<?x64xf32>
    %x1 = arith.addf %x, %o : tensor<?x64xf32>
    %n1 = transformer.norm rms %x1, %ffn_norm {epsilon = 1.0e-5 : f32} : tensor<?x64xf32>, !norm
    %g0 = transformer.linear %n1, %gate : tensor<?x64xf32>, !up -> tensor<?x96xf32>
    %g1 = transformer.activation silu %g0 : tensor<?x96xf32>
    %u = transformer.linear %n1, %up : tensor<?x64xf32>, !up -> tensor<?x96xf32>
    %m = arith.mulf %g1, %u : tensor<?x96xf32>
    %d = transformer.linear %m, %down : tensor<?x96xf32>, !down -> tensor<?x64xf32>
    %x2 = arith.addf %x1, %d : tensor<?x64xf32>
    return %x2, %c1 : tensor<?x64xf32>, !cache
  }
}
