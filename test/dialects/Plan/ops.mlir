// Every op parses, verifies, prints and parses again; the examples of Plan.td are these.

// RUN: ingot-opt --allow-unregistered-dialect %s | ingot-opt | FileCheck %s
// RUN: ingot-opt --allow-unregistered-dialect %s --mlir-print-op-generic | ingot-opt | FileCheck %s
// RUN: ingot-opt --allow-unregistered-dialect %s --emit-bytecode | ingot-opt | FileCheck %s

// CHECK: module attributes {plan.version = 1 : i64}
module attributes {plan.version = 1 : i64} {

// A program without a cache: one launch.
// CHECK-LABEL: plan.program @model bounds<tokens = 64, outputs = 4, sequences = 2, context_tokens = 128,
// CHECK-SAME:    page_tokens = 16, pages = 0, pages_per_sequence = 0>
// CHECK-SAME:    arena 1024 cache 0 vocabulary 100 result @logits width 64 {
plan.program @model
    bounds<tokens = 64, outputs = 4, sequences = 2, context_tokens = 128, page_tokens = 16, pages = 0, pages_per_sequence = 0>
    arena 1024 cache 0 vocabulary 100 result @logits width 64 {
  // CHECK: plan.buffer @logits arena at 0 bytes 1024 live [0, 0]
  plan.buffer @logits arena at 0 bytes 1024 live [0, 0]
  // CHECK: plan.weight @head at 0 bytes 4096 [64, 16] "f32" packing "rows" sources ["head"]
  plan.weight @head at 0 bytes 4096 [64, 16] "f32" packing "rows" sources ["head"]
  // CHECK: plan.kernel @project family "Linear" arguments 3
  plan.kernel @project family "Linear" arguments 3
  // CHECK: plan.entry @step tokens 1 to 64 {
  plan.entry @step tokens 1 to 64 {
    // CHECK: plan.launch @project grid [outputs, 1, 1] (token_ids, @head, out @logits)
    plan.launch @project grid [outputs, 1, 1] (token_ids, @head, out @logits)
  }
}

// A loop over two layers whose weights and caches lie at constant strides, and two entries.
// CHECK-LABEL: plan.program @layers
plan.program @layers
    bounds<tokens = 64, outputs = 1, sequences = 1, context_tokens = 128, page_tokens = 16, pages = 16, pages_per_sequence = 8>
    arena 8256 cache 131072 vocabulary 100 result @logits width 1024 {
  plan.buffer @hidden arena at 0 bytes 4096 live [0, 9]
  plan.buffer @keys arena at 4096 bytes 4096 live [2, 3]
  plan.buffer @keys_one arena at 8192 bytes 64 live [7, 8]
  plan.buffer @logits arena at 4096 bytes 4096 live [5, 9]
  plan.weight @table at 0 bytes 4096 [64, 16] "f32" packing "plain" sources ["table"]
  // CHECK: plan.weight @qkv0 at 4096 bytes 1024 [48, 32] "q4_1" packing "rows8" sources ["q", "k", "v"]
  plan.weight @qkv0 at 4096 bytes 1024 [48, 32] "q4_1" packing "rows8" sources ["q", "k", "v"]
  plan.weight @qkv1 at 5120 bytes 1024 [48, 32] "q4_1" packing "rows8" sources ["q1", "k1", "v1"]
  // CHECK: sources [#plan.rope_table<base = 1.000000e+05 : f64>]
  plan.weight @rope at 6144 bytes 256 [16, 4] "f32" packing "plain" sources [#plan.rope_table<base = 1.0e5 : f64>]
  // CHECK: plan.cache @kv at 0 layers 2 of 65536 bytes
  plan.cache @kv at 0 layers 2 of 65536 bytes
  plan.kernel @embed family "Embedding" arguments 3
  // CHECK: plan.kernel @project family "Linear" arguments 3 cost<weight_bytes = 4096, bytes_per_row = 128, operations_per_row = 2048, tokens>
  // CHECK-SAME: reaches [tokens, 4, outputs * 64]
  plan.kernel @project family "Linear" arguments 3 cost <weight_bytes = 4096, bytes_per_row = 128, operations_per_row = 2048, tokens>
      reaches [tokens, 4, outputs * 64]
  plan.kernel @append family "Append" arguments 6
  // CHECK: plan.entry @prompt tokens 1 to 8
  plan.entry @prompt tokens 1 to 8 {
    plan.launch @embed grid [tokens, 1, 1] (token_ids, @table, out @hidden)
    // CHECK: plan.loop 2 {
    plan.loop 2 {
      // CHECK: plan.launch @project grid [7, tokens * 3 + 1, tokens + 2] (@hidden, @qkv0 step 1024, out @keys) layer "blk.0"
      plan.launch @project grid [7, tokens * 3 + 1, tokens + 2] (@hidden, @qkv0 step 1024, out @keys) layer "blk.0"
      // CHECK: plan.launch @append grid [ceildiv(tokens * 3, 8), ceildiv(sequences + 7, 8), ceildiv(outputs, 2)]
      // CHECK-SAME: (@keys, positions, sequence_of, page_table, out @kv + 64 step 65536, out @hidden)
      plan.launch @append grid [ceildiv(tokens * 3, 8), ceildiv(sequences + 7, 8), ceildiv(outputs, 2)]
          (@keys, positions, sequence_of, page_table, out @kv + 64 step 65536, out @hidden)
    }
    // CHECK: plan.launch @project grid [outputs, 1, 1] (@hidden, @table + 64, out @logits)
    plan.launch @project grid [outputs, 1, 1] (@hidden, @table + 64, out @logits)
  }
  // CHECK: plan.entry @chunk tokens 9 to 64
  plan.entry @chunk tokens 9 to 64 {
    plan.launch @embed grid [tokens, 1, 1] (token_ids, @table, out @hidden)
    plan.launch @project grid [1, 1, 1] (@hidden, @qkv1, out @keys_one)
    plan.launch @project grid [1, 1, 1] (@keys_one, output_rows, out @hidden)
    plan.launch @project grid [1, 1, 1] (@hidden, @table, out @logits)
  }
}

// Attributes also stand alone.
// CHECK: test.attributes = [#plan.extent<ceildiv(tokens * 3, 8)>, #plan.extent<7>, #plan.argument<@w + 64 step 4096>,
// CHECK-SAME: #plan.input<positions>, #plan<space arena>, #plan.reach<12>, #plan.reach<tokens * 3840 - 1536>,
// CHECK-SAME: #plan.reach<outputs + 4>]
func.func private @attributes() attributes {test.attributes = [#plan.extent<ceildiv(tokens * 3, 8)>, #plan.extent<7>,
    #plan.argument<@w + 64 step 4096>, #plan.input<positions>, #plan<space arena>, #plan.reach<12>,
    #plan.reach<tokens * 3840 - 1536>, #plan.reach<outputs + 4>]}

}

// A program for a GPU: every kernel says what a block needs.
// CHECK-LABEL: plan.program @gpu
plan.program @gpu
    bounds<tokens = 64, outputs = 4, sequences = 2, context_tokens = 128, page_tokens = 16, pages = 0, pages_per_sequence = 0>
    arena 1024 cache 0 vocabulary 100 result @logits width 64 {
  plan.buffer @logits arena at 0 bytes 1024 live [0, 0]
  // CHECK: plan.kernel @project family "Linear" arguments 1 block<threads = 128, shared_bytes = 1024, dependent = 1>
  plan.kernel @project family "Linear" arguments 1 block <threads = 128, shared_bytes = 1024, dependent = 1>
  plan.entry @step tokens 1 to 64 {
    plan.launch @project grid [outputs, 1, 1] (out @logits)
  }
}
