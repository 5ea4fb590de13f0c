// The examples of the ops' documentation parse and verify as they stand there.

// RUN: ingot-opt %s --split-input-file
// RUN: %python %source/test/dialects/examples.py %source Plan

plan.program @model
    bounds<tokens = 64, outputs = 4, sequences = 2, context_tokens = 128, page_tokens = 16, pages = 16, pages_per_sequence = 8>
    arena 5184 cache 1966080 vocabulary 100 result @hidden width 256 {
  plan.buffer @hidden arena at 64 bytes 4096 live [0, 7]
  plan.buffer @keys arena at 4160 bytes 1024 live [0, 7]
  plan.weight @table at 0 bytes 4096 [64, 16] "f32" packing "plain" sources ["table"]
  plan.weight @qkv at 4096 bytes 1024 [48, 32] "q4_1" packing "rows8" sources ["q", "k", "v"]
  plan.weight @rope at 5120 bytes 256 [16, 4] "f32" packing "plain" sources [#plan.rope_table<base = 1.000000e+05 : f64>]
  plan.weight @w0 at 8192 bytes 4096 [32, 32] "f32" packing "plain" sources ["w0"]
  plan.weight @w1 at 12288 bytes 4096 [32, 32] "f32" packing "plain" sources ["w1"]
  plan.weight @w2 at 16384 bytes 4096 [32, 32] "f32" packing "plain" sources ["w2"]
  plan.weight @w3 at 20480 bytes 4096 [32, 32] "f32" packing "plain" sources ["w3"]
  plan.weight @w4 at 24576 bytes 4096 [32, 32] "f32" packing "plain" sources ["w4"]
  plan.weight @w5 at 28672 bytes 4096 [32, 32] "f32" packing "plain" sources ["w5"]
  plan.weight @w6 at 32768 bytes 4096 [32, 32] "f32" packing "plain" sources ["w6"]
  plan.weight @w7 at 36864 bytes 4096 [32, 32] "f32" packing "plain" sources ["w7"]
  plan.weight @w8 at 40960 bytes 4096 [32, 32] "f32" packing "plain" sources ["w8"]
  plan.weight @w9 at 45056 bytes 4096 [32, 32] "f32" packing "plain" sources ["w9"]
  plan.weight @w10 at 49152 bytes 4096 [32, 32] "f32" packing "plain" sources ["w10"]
  plan.weight @w11 at 53248 bytes 4096 [32, 32] "f32" packing "plain" sources ["w11"]
  plan.weight @w12 at 57344 bytes 4096 [32, 32] "f32" packing "plain" sources ["w12"]
  plan.weight @w13 at 61440 bytes 4096 [32, 32] "f32" packing "plain" sources ["w13"]
  plan.weight @w14 at 65536 bytes 4096 [32, 32] "f32" packing "plain" sources ["w14"]
  plan.weight @w15 at 69632 bytes 4096 [32, 32] "f32" packing "plain" sources ["w15"]
  plan.weight @w16 at 73728 bytes 4096 [32, 32] "f32" packing "plain" sources ["w16"]
  plan.weight @w17 at 77824 bytes 4096 [32, 32] "f32" packing "plain" sources ["w17"]
  plan.weight @w18 at 81920 bytes 4096 [32, 32] "f32" packing "plain" sources ["w18"]
  plan.weight @w19 at 86016 bytes 4096 [32, 32] "f32" packing "plain" sources ["w19"]
  plan.weight @w20 at 90112 bytes 4096 [32, 32] "f32" packing "plain" sources ["w20"]
  plan.weight @w21 at 94208 bytes 4096 [32, 32] "f32" packing "plain" sources ["w21"]
  plan.weight @w22 at 98304 bytes 4096 [32, 32] "f32" packing "plain" sources ["w22"]
  plan.weight @w23 at 102400 bytes 4096 [32, 32] "f32" packing "plain" sources ["w23"]
  plan.weight @w24 at 106496 bytes 4096 [32, 32] "f32" packing "plain" sources ["w24"]
  plan.weight @w25 at 110592 bytes 4096 [32, 32] "f32" packing "plain" sources ["w25"]
  plan.weight @w26 at 114688 bytes 4096 [32, 32] "f32" packing "plain" sources ["w26"]
  plan.weight @w27 at 118784 bytes 4096 [32, 32] "f32" packing "plain" sources ["w27"]
  plan.weight @w28 at 122880 bytes 4096 [32, 32] "f32" packing "plain" sources ["w28"]
  plan.weight @w29 at 126976 bytes 4096 [32, 32] "f32" packing "plain" sources ["w29"]
  plan.cache @kv at 0 layers 30 of 65536 bytes
  plan.kernel @embed family "Embedding" arguments 3
  plan.kernel @embed_two family "Embedding" arguments 4
  plan.kernel @project family "Linear" arguments 2 cost <weight_bytes = 4096, bytes_per_row = 128, operations_per_row = 2048, tokens>
  plan.kernel @append family "Append" arguments 3
  plan.entry @prompt tokens 1 to 63 {
    plan.launch @embed_two grid [tokens, 1, 1] (token_ids, @table, out @hidden, out @keys)
    plan.loop 30 {
      plan.launch @project grid [tokens, 1, 1] (@w0 step 4096, inout @hidden)
    }
    plan.loop 30 {
      plan.launch @append grid [ceildiv(tokens * 3, 8), 1, 1] (@keys, positions, inout @kv + 64 step 65536) layer "blk.0"
    }
  }
  plan.entry @step tokens 64 to 64 {
    plan.launch @embed grid [tokens, 1, 1] (token_ids, @table, out @hidden)
  }
}

// -----

plan.program @small
    bounds<tokens = 64, outputs = 4, sequences = 2, context_tokens = 128, page_tokens = 16, pages = 0, pages_per_sequence = 0>
    arena 4160 cache 0 vocabulary 100 result @hidden width 256 {
  plan.buffer @hidden arena at 64 bytes 4096 live [0, 0]
  plan.weight @table at 0 bytes 4096 [64, 16] "f32" packing "plain" sources ["table"]
  plan.kernel @embed family "Embedding" arguments 3
  plan.entry @step tokens 1 to 64 {
    plan.launch @embed grid [tokens, 1, 1] (token_ids, @table, out @hidden)
  }
}

// -----

plan.program @model bounds <tokens = 64, outputs = 4, sequences = 2, context_tokens = 128, page_tokens = 16, pages = 0, pages_per_sequence = 0>
    arena 1024 cache 0 vocabulary 100 result @logits width 64 {
  plan.buffer @logits arena at 0 bytes 1024 live [0, 0]
  plan.weight @head at 0 bytes 4096 [64, 16] "f32" packing "rows" sources ["head"]
  plan.kernel @project family "Linear" arguments 3
  plan.entry @step tokens 1 to 64 {
    plan.launch @project grid [outputs, 1, 1] (token_ids, @head, out @logits)
  }
}

// -----

plan.program @model bounds <tokens = 64, outputs = 4, sequences = 2, context_tokens = 128, page_tokens = 16, pages = 0, pages_per_sequence = 0>
    arena 5120 cache 0 vocabulary 100 result @logits width 64 {
  plan.buffer @hidden arena at 0 bytes 4096 live [0, 1]
  plan.buffer @logits arena at 4096 bytes 1024 live [1, 1]
  plan.weight @head at 0 bytes 4096 [64, 16] "f32" packing "rows" sources ["head"]
  plan.kernel @embed family "Embedding" arguments 2
  plan.kernel @project family "Linear" arguments 3 cost <weight_bytes = 4096, bytes_per_row = 128, operations_per_row = 2048, tokens>
      reaches [tokens * 64, 4096, outputs * 256]
  plan.entry @step tokens 1 to 64 {
    plan.launch @embed grid [tokens, 1, 1] (token_ids, out @hidden)
    plan.launch @project grid [outputs, 1, 1] (@hidden, @head, out @logits)
  }
}
