// Every check of memory and entries has a case that only it refuses.

// RUN: ingot-opt %s --split-input-file --verify-diagnostics

// program (C1): a step may have a token.
// expected-error @+1 {{expected bound 'tokens' to be from 1 to 2147483647, got 0}}
plan.program @p bounds<tokens = 0, outputs = 4, sequences = 2, context_tokens = 128, page_tokens = 16, pages = 0, pages_per_sequence = 0>
    arena 1024 cache 0 vocabulary 9 result @logits width 64 {
  plan.buffer @logits arena at 0 bytes 1024 live [0, 0]
  plan.kernel @k family "K" arguments 1
  plan.entry @step tokens 1 to 64 {
    plan.launch @k grid [1, 1, 1] (out @logits)
  }
}

// -----

// program (C1): there are no negative pages.
// expected-error @+1 {{expected bound 'pages' to be from 0 to 2147483647, got -1}}
plan.program @p bounds<tokens = 64, outputs = 4, sequences = 2, context_tokens = 128, page_tokens = 16, pages = -1, pages_per_sequence = 0>
    arena 1024 cache 0 vocabulary 9 result @logits width 64 {
  plan.buffer @logits arena at 0 bytes 1024 live [0, 0]
  plan.kernel @k family "K" arguments 1
  plan.entry @step tokens 1 to 64 {
    plan.launch @k grid [1, 1, 1] (out @logits)
  }
}

// -----

// program (C1): pages are powers of two.
// expected-error @+1 {{expected bound 'page_tokens' to be a power of two, got 12}}
plan.program @p bounds<tokens = 64, outputs = 4, sequences = 2, context_tokens = 128, page_tokens = 12, pages = 0, pages_per_sequence = 0>
    arena 1024 cache 0 vocabulary 9 result @logits width 64 {
  plan.buffer @logits arena at 0 bytes 1024 live [0, 0]
  plan.kernel @k family "K" arguments 1
  plan.entry @step tokens 1 to 64 {
    plan.launch @k grid [1, 1, 1] (out @logits)
  }
}

// -----

// program (C1): every output and every sequence has a token.
// expected-error @+1 {{expected bounds 'outputs' and 'sequences' to be at most 64, the tokens, got 65 and 2}}
plan.program @p bounds<tokens = 64, outputs = 65, sequences = 2, context_tokens = 128, page_tokens = 16, pages = 0, pages_per_sequence = 0>
    arena 1024 cache 0 vocabulary 9 result @logits width 64 {
  plan.buffer @logits arena at 0 bytes 1024 live [0, 0]
  plan.kernel @k family "K" arguments 1
  plan.entry @step tokens 1 to 64 {
    plan.launch @k grid [1, 1, 1] (out @logits)
  }
}

// -----

// program (C1): pages are pages of a cache.
// expected-error @+1 {{expected no pages without a cache, got 16 and 8 per sequence}}
plan.program @p bounds<tokens = 64, outputs = 4, sequences = 2, context_tokens = 128, page_tokens = 16, pages = 16, pages_per_sequence = 8>
    arena 1024 cache 0 vocabulary 9 result @logits width 64 {
  plan.buffer @logits arena at 0 bytes 1024 live [0, 0]
  plan.kernel @k family "K" arguments 1
  plan.entry @step tokens 1 to 64 {
    plan.launch @k grid [1, 1, 1] (out @logits)
  }
}

// -----

// program (C1): the page table reaches the whole context.
// expected-error @+1 {{expected the pages of a sequence to hold 129 tokens, got 128}}
plan.program @p bounds<tokens = 64, outputs = 4, sequences = 2, context_tokens = 129, page_tokens = 16, pages = 16, pages_per_sequence = 8>
    arena 1024 cache 128 vocabulary 9 result @logits width 64 {
  plan.buffer @logits arena at 0 bytes 1024 live [0, 0]
  plan.cache @kv at 0 layers 2 of 64 bytes
  plan.kernel @k family "K" arguments 1
  plan.entry @step tokens 1 to 64 {
    plan.launch @k grid [1, 1, 1] (out @logits)
  }
}

// -----

// program (C1): one sequence can have its whole context.
// expected-error @+1 {{expected bound 'pages' to be at least 8, the pages of a sequence, got 7}}
plan.program @p bounds<tokens = 64, outputs = 4, sequences = 2, context_tokens = 128, page_tokens = 16, pages = 7, pages_per_sequence = 8>
    arena 1024 cache 128 vocabulary 9 result @logits width 64 {
  plan.buffer @logits arena at 0 bytes 1024 live [0, 0]
  plan.cache @kv at 0 layers 2 of 64 bytes
  plan.kernel @k family "K" arguments 1
  plan.entry @step tokens 1 to 64 {
    plan.launch @k grid [1, 1, 1] (out @logits)
  }
}

// -----

// program (C2): the arena is not larger than its buffers.
// expected-error @+1 {{expected 'arena' to be the end of the last buffer, 1024, got 1088}}
plan.program @p bounds<tokens = 64, outputs = 4, sequences = 2, context_tokens = 128, page_tokens = 16, pages = 0, pages_per_sequence = 0>
    arena 1088 cache 0 vocabulary 9 result @logits width 64 {
  plan.buffer @logits arena at 0 bytes 1024 live [0, 0]
  plan.kernel @k family "K" arguments 1
  plan.entry @step tokens 1 to 64 {
    plan.launch @k grid [1, 1, 1] (out @logits)
  }
}

// -----

// program (C3): the cache is not larger than its groups.
// expected-error @+1 {{expected 'cache' to be the end of the last cache, 128, got 192}}
plan.program @p bounds<tokens = 64, outputs = 4, sequences = 2, context_tokens = 128, page_tokens = 16, pages = 16, pages_per_sequence = 8>
    arena 1024 cache 192 vocabulary 9 result @logits width 64 {
  plan.buffer @logits arena at 0 bytes 1024 live [0, 0]
  plan.cache @kv at 0 layers 2 of 64 bytes
  plan.kernel @k family "K" arguments 1
  plan.entry @step tokens 1 to 64 {
    plan.launch @k grid [1, 1, 1] (out @logits)
  }
}

// -----

// program (C4): buffers that live together do not overlap.
plan.program @p bounds<tokens = 64, outputs = 4, sequences = 2, context_tokens = 128, page_tokens = 16, pages = 0, pages_per_sequence = 0>
    arena 1024 cache 0 vocabulary 9 result @logits width 64 {
  // expected-note @+1 {{lives here}}
  plan.buffer @logits arena at 0 bytes 1024 live [0, 0]
  // expected-error @+1 {{expected 'b' to share no byte with 'logits', which lives at the same time}}
  plan.buffer @b arena at 960 bytes 64 live [0, 0]
  plan.kernel @k family "K" arguments 1
  plan.entry @step tokens 1 to 64 {
    plan.launch @k grid [1, 1, 1] (out @logits)
  }
}

// -----

// program (C5): weights do not overlap.
plan.program @p bounds<tokens = 64, outputs = 4, sequences = 2, context_tokens = 128, page_tokens = 16, pages = 0, pages_per_sequence = 0>
    arena 1024 cache 0 vocabulary 9 result @logits width 64 {
  plan.buffer @logits arena at 0 bytes 1024 live [0, 0]
  // expected-note @+1 {{overlaps 'w'}}
  plan.weight @w at 0 bytes 128 [4, 4] "f32" packing "plain" sources ["w"]
  // expected-error @+1 {{expected 'v' to start at 128 or later, got 64}}
  plan.weight @v at 64 bytes 64 [4, 4] "f32" packing "plain" sources ["v"]
  plan.kernel @k family "K" arguments 1
  plan.entry @step tokens 1 to 64 {
    plan.launch @k grid [1, 1, 1] (out @logits)
  }
}

// -----

// program (C5): caches do not overlap.
plan.program @p bounds<tokens = 64, outputs = 4, sequences = 2, context_tokens = 128, page_tokens = 16, pages = 16, pages_per_sequence = 8>
    arena 1024 cache 128 vocabulary 9 result @logits width 64 {
  plan.buffer @logits arena at 0 bytes 1024 live [0, 0]
  // expected-note @+1 {{overlaps 'kv'}}
  plan.cache @kv at 0 layers 2 of 64 bytes
  // expected-error @+1 {{expected 'kv1' to start at 128 or later, got 64}}
  plan.cache @kv1 at 64 layers 1 of 64 bytes
  plan.kernel @k family "K" arguments 1
  plan.entry @step tokens 1 to 64 {
    plan.launch @k grid [1, 1, 1] (out @logits)
  }
}

// -----

// program (C6): the first entry starts at one token.
plan.program @p bounds<tokens = 64, outputs = 4, sequences = 2, context_tokens = 128, page_tokens = 16, pages = 0, pages_per_sequence = 0>
    arena 1024 cache 0 vocabulary 9 result @logits width 64 {
  plan.buffer @logits arena at 0 bytes 1024 live [0, 0]
  plan.kernel @k family "K" arguments 1
  // expected-error @+1 {{expected tokens to start at 1, got 2}}
  plan.entry @step tokens 2 to 64 {
    plan.launch @k grid [1, 1, 1] (out @logits)
  }
}

// -----

// program (C6): the entries reach the most tokens.
// expected-error @+1 {{expected entries for up to 64 tokens, got 63}}
plan.program @p bounds<tokens = 64, outputs = 4, sequences = 2, context_tokens = 128, page_tokens = 16, pages = 0, pages_per_sequence = 0>
    arena 1024 cache 0 vocabulary 9 result @logits width 64 {
  plan.buffer @logits arena at 0 bytes 1024 live [0, 0]
  plan.kernel @k family "K" arguments 1
  plan.entry @step tokens 1 to 63 {
    plan.launch @k grid [1, 1, 1] (out @logits)
  }
}

// -----

// program (C7): the result is a buffer.
// expected-error @+1 {{expected 'result' to name a buffer, got 'k'}}
plan.program @p bounds<tokens = 64, outputs = 4, sequences = 2, context_tokens = 128, page_tokens = 16, pages = 0, pages_per_sequence = 0>
    arena 1024 cache 0 vocabulary 9 result @k width 64 {
  plan.buffer @logits arena at 0 bytes 1024 live [0, 0]
  plan.kernel @k family "K" arguments 1
  plan.entry @step tokens 1 to 64 {
    plan.launch @k grid [1, 1, 1] (out @logits)
  }
}

// -----

// program (C7): the result has the size of the answer.
plan.program @p bounds<tokens = 64, outputs = 4, sequences = 2, context_tokens = 128, page_tokens = 16, pages = 0, pages_per_sequence = 0>
    arena 1024 cache 0 vocabulary 9 result @logits width 65 {
  // expected-error @+1 {{expected the result to have 1040 bytes, got 1024}}
  plan.buffer @logits arena at 0 bytes 1024 live [0, 0]
  plan.kernel @k family "K" arguments 1
  plan.entry @step tokens 1 to 64 {
    plan.launch @k grid [1, 1, 1] (out @logits)
  }
}

// -----

// program (C7): the result lives to the end.
plan.program @p bounds<tokens = 64, outputs = 4, sequences = 2, context_tokens = 128, page_tokens = 16, pages = 0, pages_per_sequence = 0>
    arena 1088 cache 0 vocabulary 9 result @logits width 64 {
  // expected-error @+1 {{expected the result to live to command 1, got 0}}
  plan.buffer @logits arena at 0 bytes 1024 live [0, 0]
  plan.buffer @b arena at 1024 bytes 64 live [1, 1]
  plan.kernel @k family "K" arguments 1
  plan.entry @step tokens 1 to 64 {
    plan.launch @k grid [1, 1, 1] (out @logits)
    plan.launch @k grid [1, 1, 1] (out @b)
  }
}

// -----

// buffer (C1): the offset is aligned.
plan.program @p bounds<tokens = 64, outputs = 4, sequences = 2, context_tokens = 128, page_tokens = 16, pages = 0, pages_per_sequence = 0>
    arena 1024 cache 0 vocabulary 9 result @logits width 64 {
  plan.buffer @logits arena at 0 bytes 1024 live [0, 0]
  // expected-error @+1 {{expected 'offset' to be a multiple of 64, got 8}}
  plan.buffer @b arena at 8 bytes 8 live [0, 0]
  plan.kernel @k family "K" arguments 1
  plan.entry @step tokens 1 to 64 {
    plan.launch @k grid [1, 1, 1] (out @logits)
  }
}

// -----

// buffer (C1): a buffer lies in the arena.
plan.program @p bounds<tokens = 64, outputs = 4, sequences = 2, context_tokens = 128, page_tokens = 16, pages = 0, pages_per_sequence = 0>
    arena 960 cache 0 vocabulary 9 result @logits width 64 {
  // expected-error @+1 {{expected 'logits' to end inside the arena of 960 bytes, got 1024}}
  plan.buffer @logits arena at 0 bytes 1024 live [0, 0]
  plan.kernel @k family "K" arguments 1
  plan.entry @step tokens 1 to 64 {
    plan.launch @k grid [1, 1, 1] (out @logits)
  }
}

// -----

// buffer (C2): a lifetime is a range of commands.
plan.program @p bounds<tokens = 64, outputs = 4, sequences = 2, context_tokens = 128, page_tokens = 16, pages = 0, pages_per_sequence = 0>
    arena 1024 cache 0 vocabulary 9 result @logits width 64 {
  // expected-error @+1 {{expected a lifetime inside the 1 commands, got [0, 1]}}
  plan.buffer @logits arena at 0 bytes 1024 live [0, 1]
  plan.kernel @k family "K" arguments 1
  plan.entry @step tokens 1 to 64 {
    plan.launch @k grid [1, 1, 1] (out @logits)
  }
}

// -----

// kernel (C2): kernels of one kind.
plan.program @p bounds<tokens = 64, outputs = 4, sequences = 2, context_tokens = 128, page_tokens = 16, pages = 0, pages_per_sequence = 0>
    arena 1024 cache 0 vocabulary 9 result @logits width 64 {
  plan.buffer @logits arena at 0 bytes 1024 live [0, 0]
  // expected-note @+1 {{the first kernel is here}}
  plan.kernel @k family "K" arguments 1
  // expected-error @+1 {{expected all kernels of a program or none to have a 'block', got both}}
  plan.kernel @l family "K" arguments 1 block<threads = 32, shared_bytes = 0, dependent = 0>
  plan.entry @step tokens 1 to 64 {
    plan.launch @k grid [1, 1, 1] (out @logits)
  }
}
