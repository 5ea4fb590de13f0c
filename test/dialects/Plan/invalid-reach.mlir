// How far a kernel reaches from its arguments is checked against what they name.

// RUN: ingot-opt %s --split-input-file --verify-diagnostics

// launch (C2): what a kernel touches of a buffer lies inside, at the largest count too.
plan.program @p bounds<tokens = 64, outputs = 4, sequences = 2, context_tokens = 128, page_tokens = 16, pages = 16, pages_per_sequence = 8>
    arena 1024 cache 8192 vocabulary 9 result @logits width 64 {
  plan.buffer @logits arena at 0 bytes 1024 live [0, 0]
  plan.weight @w0 at 0 bytes 64 [4, 4] "f32" packing "plain" sources ["w0"]
  plan.weight @w1 at 64 bytes 64 [4, 4] "f32" packing "plain" sources ["w1"]
  plan.cache @kv at 0 layers 2 of 4096 bytes
  plan.kernel @k family "K" arguments 2 reaches [4, outputs * 256 + 1]
  plan.entry @step tokens 1 to 64 {
    // expected-error @+1 {{expected 'logits' to be reached below byte 1024, got 1024}}
    plan.launch @k grid [1, 1, 1] (positions, out @logits)
  }
}

// -----

// launch (C2): what a kernel touches of a weight lies inside.
plan.program @p bounds<tokens = 64, outputs = 4, sequences = 2, context_tokens = 128, page_tokens = 16, pages = 16, pages_per_sequence = 8>
    arena 1024 cache 8192 vocabulary 9 result @logits width 64 {
  plan.buffer @logits arena at 0 bytes 1024 live [0, 0]
  plan.weight @w0 at 0 bytes 64 [4, 4] "f32" packing "plain" sources ["w0"]
  plan.weight @w1 at 64 bytes 64 [4, 4] "f32" packing "plain" sources ["w1"]
  plan.cache @kv at 0 layers 2 of 4096 bytes
  plan.kernel @k family "K" arguments 2 reaches [65, 4]
  plan.entry @step tokens 1 to 64 {
    // expected-error @+1 {{expected 'w0' to be reached below byte 64, got 64}}
    plan.launch @k grid [1, 1, 1] (@w0, out @logits)
  }
}

// -----

// launch (C2): what a kernel touches of a moving weight lies inside of each.
plan.program @p bounds<tokens = 64, outputs = 4, sequences = 2, context_tokens = 128, page_tokens = 16, pages = 16, pages_per_sequence = 8>
    arena 1024 cache 8192 vocabulary 9 result @logits width 64 {
  plan.buffer @logits arena at 0 bytes 1024 live [0, 2]
  plan.weight @w0 at 0 bytes 64 [4, 4] "f32" packing "plain" sources ["w0"]
  plan.weight @w1 at 64 bytes 64 [4, 4] "f32" packing "plain" sources ["w1"]
  plan.cache @kv at 0 layers 2 of 4096 bytes
  plan.kernel @k family "K" arguments 2 reaches [65, 4]
  plan.entry @step tokens 1 to 64 {
    plan.loop 2 {
      // expected-error @+1 {{expected 'w0' to be reached below byte 64, got 64}}
      plan.launch @k grid [1, 1, 1] (@w0 step 64, out @logits)
    }
  }
}

// -----

// launch (C2): what a kernel touches of a cache lies inside, in the last iteration too.
plan.program @p bounds<tokens = 64, outputs = 4, sequences = 2, context_tokens = 128, page_tokens = 16, pages = 16, pages_per_sequence = 8>
    arena 1024 cache 8192 vocabulary 9 result @logits width 64 {
  plan.buffer @logits arena at 0 bytes 1024 live [0, 2]
  plan.weight @w0 at 0 bytes 64 [4, 4] "f32" packing "plain" sources ["w0"]
  plan.weight @w1 at 64 bytes 64 [4, 4] "f32" packing "plain" sources ["w1"]
  plan.cache @kv at 0 layers 2 of 4096 bytes
  plan.kernel @k family "K" arguments 2 reaches [4097, 4]
  plan.entry @step tokens 1 to 64 {
    plan.loop 2 {
      // expected-error @+1 {{expected 'kv' to be reached below byte 8192, got 8192}}
      plan.launch @k grid [1, 1, 1] (@kv step 4096, out @logits)
    }
  }
}

// -----

// launch (C2): what a kernel touches of an input lies inside.
plan.program @p bounds<tokens = 64, outputs = 4, sequences = 2, context_tokens = 128, page_tokens = 16, pages = 16, pages_per_sequence = 8>
    arena 1024 cache 8192 vocabulary 9 result @logits width 64 {
  plan.buffer @logits arena at 0 bytes 1024 live [0, 0]
  plan.weight @w0 at 0 bytes 64 [4, 4] "f32" packing "plain" sources ["w0"]
  plan.weight @w1 at 64 bytes 64 [4, 4] "f32" packing "plain" sources ["w1"]
  plan.cache @kv at 0 layers 2 of 4096 bytes
  plan.kernel @k family "K" arguments 2 reaches [sequences * 32 + 4, 4]
  plan.entry @step tokens 1 to 64 {
    // expected-error @+1 {{expected input 'page_table' to be reached below byte 64, got 67}}
    plan.launch @k grid [1, 1, 1] (page_table, out @logits)
  }
}
