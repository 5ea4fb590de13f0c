// Every check of a launch against its program has a case that only it refuses.

// RUN: ingot-opt %s --split-input-file --verify-diagnostics

// launch (C1): the kernel is declared.
plan.program @p bounds<tokens = 64, outputs = 4, sequences = 2, context_tokens = 128, page_tokens = 16, pages = 0, pages_per_sequence = 0>
    arena 1024 cache 0 vocabulary 9 result @logits width 64 {
  plan.buffer @logits arena at 0 bytes 1024 live [0, 0]
  plan.kernel @k family "K" arguments 1
  plan.entry @step tokens 1 to 64 {
    // expected-error @+1 {{expected 'kernel' to name a kernel of the program, got 'logits'}}
    plan.launch @logits grid [1, 1, 1] (out @logits)
  }
}

// -----

// launch (C1): the kernel gets all its arguments.
plan.program @p bounds<tokens = 64, outputs = 4, sequences = 2, context_tokens = 128, page_tokens = 16, pages = 0, pages_per_sequence = 0>
    arena 1024 cache 0 vocabulary 9 result @logits width 64 {
  plan.buffer @logits arena at 0 bytes 1024 live [0, 0]
  // expected-note @+1 {{kernel 'k' is declared here}}
  plan.kernel @k family "K" arguments 2
  plan.entry @step tokens 1 to 64 {
    // expected-error @+1 {{expected 2 arguments, got 1}}
    plan.launch @k grid [1, 1, 1] (out @logits)
  }
}

// -----

// launch (C2): an argument names memory.
plan.program @p bounds<tokens = 64, outputs = 4, sequences = 2, context_tokens = 128, page_tokens = 16, pages = 0, pages_per_sequence = 0>
    arena 1024 cache 0 vocabulary 9 result @logits width 64 {
  plan.buffer @logits arena at 0 bytes 1024 live [0, 0]
  plan.kernel @k family "K" arguments 1
  plan.entry @step tokens 1 to 64 {
    // expected-error @+1 {{expected an argument to name a buffer, a weight or a cache, got 'k'}}
    plan.launch @k grid [1, 1, 1] (out @k)
  }
}

// -----

// launch (C2): an address lies inside what it names.
plan.program @p bounds<tokens = 64, outputs = 4, sequences = 2, context_tokens = 128, page_tokens = 16, pages = 0, pages_per_sequence = 0>
    arena 1024 cache 0 vocabulary 9 result @logits width 64 {
  plan.buffer @logits arena at 0 bytes 1024 live [0, 0]
  plan.kernel @k family "K" arguments 1
  plan.entry @step tokens 1 to 64 {
    // expected-error @+1 {{expected 'logits' to be reached below byte 1024, got 1024}}
    plan.launch @k grid [1, 1, 1] (out @logits + 1024)
  }
}

// -----

// launch (C2): the address of a moving weight lies inside of it.
plan.program @p bounds<tokens = 64, outputs = 4, sequences = 2, context_tokens = 128, page_tokens = 16, pages = 0, pages_per_sequence = 0>
    arena 1024 cache 0 vocabulary 9 result @logits width 64 {
  plan.buffer @logits arena at 0 bytes 1024 live [0, 2]
  plan.weight @w at 0 bytes 64 [4, 4] "f32" packing "plain" sources ["w"]
  plan.kernel @k family "K" arguments 2
  plan.entry @step tokens 1 to 64 {
    // expected-error @+1 {{expected 'w' to be reached below byte 64, got 64}}
    plan.loop 2 { plan.launch @k grid [1, 1, 1] (@w + 64 step 64, out @logits) }
  }
}

// -----

// launch (C3): weights are not written.
plan.program @p bounds<tokens = 64, outputs = 4, sequences = 2, context_tokens = 128, page_tokens = 16, pages = 0, pages_per_sequence = 0>
    arena 1024 cache 0 vocabulary 9 result @logits width 64 {
  plan.buffer @logits arena at 0 bytes 1024 live [0, 0]
  plan.weight @w at 0 bytes 64 [4, 4] "f32" packing "plain" sources ["w"]
  plan.kernel @k family "K" arguments 1
  plan.entry @step tokens 1 to 64 {
    // expected-error @+1 {{expected a buffer or a cache to be written, got weight 'w'}}
    plan.launch @k grid [1, 1, 1] (out @w)
  }
}

// -----

// launch (C4): only loops move arguments.
plan.program @p bounds<tokens = 64, outputs = 4, sequences = 2, context_tokens = 128, page_tokens = 16, pages = 0, pages_per_sequence = 0>
    arena 1024 cache 0 vocabulary 9 result @logits width 64 {
  plan.buffer @logits arena at 0 bytes 1024 live [0, 0]
  plan.weight @w at 0 bytes 64 [4, 4] "f32" packing "plain" sources ["w"]
  plan.kernel @k family "K" arguments 2
  plan.entry @step tokens 1 to 64 {
    // expected-error @+1 {{expected 'w' to have no step outside of a loop, got 64}}
    plan.launch @k grid [1, 1, 1] (@w step 64, out @logits)
  }
}

// -----

// launch (C5): every layer has its weight.
plan.program @p bounds<tokens = 64, outputs = 4, sequences = 2, context_tokens = 128, page_tokens = 16, pages = 0, pages_per_sequence = 0>
    arena 1024 cache 0 vocabulary 9 result @logits width 64 {
  plan.buffer @logits arena at 0 bytes 1024 live [0, 2]
  plan.weight @w at 0 bytes 64 [4, 4] "f32" packing "plain" sources ["w"]
  plan.kernel @k family "K" arguments 2
  plan.entry @step tokens 1 to 64 {
    // expected-error @+1 {{expected a weight at 64 in iteration 1 of an argument that starts at 'w', got none}}
    plan.loop 2 { plan.launch @k grid [1, 1, 1] (@w step 64, out @logits) }
  }
}

// -----

// launch (C5): the weights of all layers have one shape.
plan.program @p bounds<tokens = 64, outputs = 4, sequences = 2, context_tokens = 128, page_tokens = 16, pages = 0, pages_per_sequence = 0>
    arena 1024 cache 0 vocabulary 9 result @logits width 64 {
  plan.buffer @logits arena at 0 bytes 1024 live [0, 2]
  plan.weight @w at 0 bytes 64 [4, 4] "f32" packing "plain" sources ["w"]
  // expected-note @+1 {{declared here}}
  plan.weight @v at 64 bytes 64 [2, 8] "f32" packing "plain" sources ["v"]
  plan.kernel @k family "K" arguments 2
  plan.entry @step tokens 1 to 64 {
    // expected-error @+1 {{expected the weight of iteration 1 to be packed like 'w', got 'v'}}
    plan.loop 2 { plan.launch @k grid [1, 1, 1] (@w step 64, out @logits) }
  }
}

// -----

// launch (C5): a cache moves by whole layers.
plan.program @p bounds<tokens = 64, outputs = 4, sequences = 2, context_tokens = 128, page_tokens = 16, pages = 16, pages_per_sequence = 8>
    arena 1024 cache 128 vocabulary 9 result @logits width 64 {
  plan.buffer @logits arena at 0 bytes 1024 live [0, 2]
  plan.cache @kv at 0 layers 2 of 64 bytes
  plan.kernel @k family "K" arguments 2
  plan.entry @step tokens 1 to 64 {
    // expected-error @+1 {{expected the step of cache 'kv' to be a multiple of 64, got 32}}
    plan.loop 2 { plan.launch @k grid [1, 1, 1] (@kv step 32, out @logits) }
  }
}

// -----

// launch (C2): the last layer has its cache.
plan.program @p bounds<tokens = 64, outputs = 4, sequences = 2, context_tokens = 128, page_tokens = 16, pages = 16, pages_per_sequence = 8>
    arena 1024 cache 128 vocabulary 9 result @logits width 64 {
  plan.buffer @logits arena at 0 bytes 1024 live [0, 2]
  plan.cache @kv at 0 layers 2 of 64 bytes
  plan.kernel @k family "K" arguments 2
  plan.entry @step tokens 1 to 64 {
    // expected-error @+1 {{expected 'kv' to be reached below byte 128, got 128}}
    plan.loop 3 { plan.launch @k grid [1, 1, 1] (@kv step 64, out @logits) }
  }
}

// -----

// launch (C6): buffers do not move.
plan.program @p bounds<tokens = 64, outputs = 4, sequences = 2, context_tokens = 128, page_tokens = 16, pages = 0, pages_per_sequence = 0>
    arena 1024 cache 0 vocabulary 9 result @logits width 64 {
  plan.buffer @logits arena at 0 bytes 1024 live [0, 2]
  plan.kernel @k family "K" arguments 1
  plan.entry @step tokens 1 to 64 {
    // expected-error @+1 {{expected buffer 'logits' to have no step, got 64}}
    plan.loop 2 { plan.launch @k grid [1, 1, 1] (out @logits step 64) }
  }
}

// -----

// launch (C6): a buffer is touched while it lives.
plan.program @p bounds<tokens = 64, outputs = 4, sequences = 2, context_tokens = 128, page_tokens = 16, pages = 0, pages_per_sequence = 0>
    arena 1088 cache 0 vocabulary 9 result @logits width 64 {
  plan.buffer @logits arena at 0 bytes 1024 live [0, 2]
  plan.buffer @b arena at 1024 bytes 64 live [0, 0]
  plan.kernel @k family "K" arguments 1
  plan.entry @step tokens 1 to 64 {
    plan.launch @k grid [1, 1, 1] (out @logits)
    // expected-error @+1 {{expected 'b' to live at command 1, got [0, 0]}}
    plan.launch @k grid [1, 1, 1] (out @b)
    plan.launch @k grid [1, 1, 1] (out @logits)
  }
}

// -----

// launch (C6): what crosses the border of a loop lives through it.
plan.program @p bounds<tokens = 64, outputs = 4, sequences = 2, context_tokens = 128, page_tokens = 16, pages = 0, pages_per_sequence = 0>
    arena 1088 cache 0 vocabulary 9 result @logits width 64 {
  plan.buffer @logits arena at 0 bytes 1024 live [0, 3]
  plan.buffer @b arena at 1024 bytes 64 live [0, 2]
  plan.kernel @k family "K" arguments 1
  plan.entry @step tokens 1 to 64 {
    plan.launch @k grid [1, 1, 1] (out @logits)
    // expected-error @+1 {{expected 'b' to live through the loop, [1, 3], got [0, 2]}}
    plan.loop 2 { plan.launch @k grid [1, 1, 1] (out @b) }
  }
}

// -----

// entry (C3): nothing is read before it is written.
plan.program @p bounds<tokens = 64, outputs = 4, sequences = 2, context_tokens = 128, page_tokens = 16, pages = 0, pages_per_sequence = 0>
    arena 1088 cache 0 vocabulary 9 result @logits width 64 {
  plan.buffer @logits arena at 0 bytes 1024 live [0, 0]
  plan.buffer @b arena at 1024 bytes 64 live [0, 0]
  plan.kernel @k family "K" arguments 2
  plan.entry @step tokens 1 to 64 {
    // expected-error @+1 {{expected 'b' to be written before it is read}}
    plan.launch @k grid [1, 1, 1] (@b, out @logits)
  }
}

// -----

// entry (C3): a value of one entry is not there in the next.
plan.program @p bounds<tokens = 64, outputs = 4, sequences = 2, context_tokens = 128, page_tokens = 16, pages = 0, pages_per_sequence = 0>
    arena 1024 cache 0 vocabulary 9 result @logits width 64 {
  plan.buffer @logits arena at 0 bytes 1024 live [0, 1]
  plan.kernel @k family "K" arguments 2
  plan.entry @one tokens 1 to 1 {
    plan.launch @k grid [1, 1, 1] (positions, out @logits)
  }
  plan.entry @many tokens 2 to 64 {
    // expected-error @+1 {{expected 'logits' to be written before it is read}}
    plan.launch @k grid [1, 1, 1] (@logits, out @logits)
  }
}
