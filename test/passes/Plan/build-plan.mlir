// Launches on tensors become a fixed list of commands over bytes.

// RUN: ingot-opt %s --split-input-file --ingot-build-plan="max-tokens=4 max-outputs=2 max-sequences=1 max-context=32" \
// RUN:   --ingot-verify-plan | FileCheck %s

// The example of the pass: one launch.
// CHECK: module attributes {plan.version = 1 : i64}
// CHECK-LABEL: plan.program @one bounds<tokens = 4, outputs = 2, sequences = 1, context_tokens = 32, page_tokens = 16, pages = 0,
// CHECK-SAME:    pages_per_sequence = 0> arena 512 cache 0 vocabulary 100 result @Embedding.out width 64 {
// CHECK:         plan.buffer @Embedding.out arena at 0 bytes 512 live [0, 0]
// CHECK:         plan.weight @token_embd.weight at 0 bytes 25600 [100, 64] "f32" packing "plain" sources ["token_embd.weight"]
// CHECK:         plan.kernel @Embedding family "Gather" arguments 3 cost<weight_bytes = 1, bytes_per_row = 2, operations_per_row = 3, outputs>
// CHECK-SAME:    reaches [tokens * 4, 25600, outputs * 256]
// CHECK:         plan.entry @step tokens 1 to 4 {
// CHECK:           plan.launch @Embedding grid [ceildiv(outputs * 3, 8), 7, 1] (token_ids, @token_embd.weight, out @Embedding.out) layer "one"
// CHECK-NOT:     func.func
module {
  transformer.weight @table : !transformer.weight<[100, 64], f32> source "token_embd.weight"
  tile.kernel @Embedding(%i: !tile.view<[tokens], i32>, %w: !tile.view<[100, 64], f32>, %y: !tile.view<[outputs, 64], f32>)
      grid [outputs * 3 ceildiv 8, 7] family "Gather"
      attributes {tile.cost = {weight_bytes = 1, bytes_per_row = 2, operations_per_row = 3, count = "outputs"}} {
    tile.return
  }
  func.func @one(%ids: tensor<?xi32>) -> tensor<?x64xf32> {
    %w = transformer.get_weight @table : !transformer.weight<[100, 64], f32>
    %y = tile.launch @Embedding(%ids, %w) : (tensor<?xi32>, !transformer.weight<[100, 64], f32>) -> tensor<?x64xf32>
    return %y : tensor<?x64xf32>
  }
}
