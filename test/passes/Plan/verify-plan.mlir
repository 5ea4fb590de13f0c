// After the plan stage: one program, its kernels and its weights declared, no functions.

// RUN: ingot-opt %s --ingot-verify-plan | FileCheck %s

// CHECK: tile.kernel @K
// CHECK: plan.program @p
// A planned module is left as it is.
module {
  tile.kernel @K(%i: !tile.view<[tokens], i32>, %y: !tile.view<[outputs, 16], f32>) grid [1] { tile.return }
  transformer.weight @w : !transformer.weight<[4, 16], f32> source "w"
  plan.program @p bounds<tokens = 4, outputs = 1, sequences = 1, context_tokens = 9, page_tokens = 16, pages = 0, pages_per_sequence = 0>
      arena 64 cache 0 vocabulary 9 result @y width 16 {
    plan.buffer @y arena at 0 bytes 64 live [0, 0]
    plan.weight @w at 0 bytes 256 [4, 16] "f32" packing "plain" sources ["w"]
    plan.kernel @K family "K" arguments 2
    plan.entry @step tokens 1 to 4 {
      plan.launch @K grid [1, 1, 1] (token_ids, out @y)
    }
  }
}
