// Every check of a single op has a case that only it refuses.

// RUN: ingot-opt %s --split-input-file --verify-diagnostics

// The version of the dialect is one that this compiler knows.
// expected-error @+1 {{expected 'plan.version' to be a 64-bit integer from 1 to 1, got 2 : i64}}
module attributes {plan.version = 2 : i64} {}

// -----

// The version is a number.
// expected-error @+1 {{expected 'plan.version' to be a 64-bit integer from 1 to 1, got "1"}}
module attributes {plan.version = "1"} {}

// -----

// The dialect has no other attributes of foreign ops.
// expected-error @+1 {{unknown attribute 'plan.verison'}}
module attributes {plan.verison = 1 : i64} {}

// -----

// Grids vary with counts of the step only.
// expected-error @+1 {{expected a count of the step, got 'pages'}}
func.func private @f() attributes {test.a = #plan.extent<pages>}

// -----

// An extent has blocks.
// expected-error @+1 {{expected the factor of an extent to be from -2147483647 to 2147483647 and not 0, got 0}}
func.func private @f() attributes {test.a = #plan.extent<tokens * 0>}

// -----

// Extents do not overflow.
// expected-error @+1 {{expected the factor of an extent to be from -2147483647 to 2147483647 and not 0, got 2147483648}}
func.func private @f() attributes {test.a = #plan.extent<tokens * 2147483648>}

// -----

// The term of an extent may be negative, but not below all counts.
// expected-error @+1 {{expected the term of an extent to be from -2147483647 to 2147483647, got -2147483648}}
func.func private @f() attributes {test.a = #plan.extent<tokens + -2147483648>}

// -----

// An extent is not divided by zero.
// expected-error @+1 {{expected the divisor of an extent to be from 1 to 2147483647, got 0}}
func.func private @f() attributes {test.a = #plan.extent<ceildiv(tokens, 0)>}

// -----

// A reach varies with counts of the step only.
// expected-error @+1 {{expected a count of the step, got 'pages'}}
func.func private @f() attributes {test.a = #plan.reach<pages * 4>}

// -----

// Reaches do not overflow.
// expected-error @+1 {{expected the factor of a reach to be from 1 to 2147483647, or none without a count, got 2147483648}}
func.func private @f() attributes {test.a = #plan.reach<tokens * 2147483648>}

// -----

// A reach without a count is not negative.
// expected-error @+1 {{expected the bytes of a reach to be at most 70368744177664, got -4}}
func.func private @f() attributes {test.a = #plan.reach<-4>}

// -----

// Addresses do not point before what they name.
// expected-error @+1 {{expected offset and step of 'w' to be from 0 to 70368744177664, got -1 and 0}}
func.func private @f() attributes {test.a = #plan.argument<@w + -1>}

// -----

// Arguments that are not symbols are inputs of the step.
plan.program @p bounds<tokens = 64, outputs = 4, sequences = 2, context_tokens = 128, page_tokens = 16, pages = 0, pages_per_sequence = 0>
    arena 1024 cache 0 vocabulary 9 result @logits width 64 {
  plan.kernel @k family "K" arguments 1
  plan.entry @step tokens 1 to 64 {
    // expected-error @+1 {{expected an input of the step, got 'ids'}}
    plan.launch @k grid [1, 1, 1] (ids)
  }
}

// -----

// A grid has three sides.
plan.program @p bounds<tokens = 64, outputs = 4, sequences = 2, context_tokens = 128, page_tokens = 16, pages = 0, pages_per_sequence = 0>
    arena 1024 cache 0 vocabulary 9 result @logits width 64 {
  plan.kernel @k family "K" arguments 1
  plan.entry @step tokens 1 to 64 {
    // expected-error @+1 {{attribute 'grid' failed to satisfy constraint}}
    plan.launch @k grid [1, 1] (out @logits)
  }
}

// -----

// weight (C1): the offset is aligned.
plan.program @p bounds<tokens = 64, outputs = 4, sequences = 2, context_tokens = 128, page_tokens = 16, pages = 0, pages_per_sequence = 0>
    arena 1024 cache 0 vocabulary 9 result @logits width 64 {
  // expected-error @+1 {{expected 'offset' to be a multiple of 64, got 32}}
  plan.weight @w at 32 bytes 64 [4, 4] "f32" packing "plain" sources ["w"]
}

// -----

// weight (C2): a weight comes from somewhere.
plan.program @p bounds<tokens = 64, outputs = 4, sequences = 2, context_tokens = 128, page_tokens = 16, pages = 0, pages_per_sequence = 0>
    arena 1024 cache 0 vocabulary 9 result @logits width 64 {
  // expected-error @+1 {{expected at least one source, got none}}
  plan.weight @w at 64 bytes 64 [4, 4] "f32" packing "plain" sources []
}

// -----

// A source is a name or generated content.
plan.program @p bounds<tokens = 64, outputs = 4, sequences = 2, context_tokens = 128, page_tokens = 16, pages = 0, pages_per_sequence = 0>
    arena 1024 cache 0 vocabulary 9 result @logits width 64 {
  // expected-error @+1 {{attribute 'sources' failed to satisfy constraint: sources of a weight}}
  plan.weight @w at 64 bytes 64 [4, 4] "f32" packing "plain" sources [3]
}

// -----

// A weight has bytes.
plan.program @p bounds<tokens = 64, outputs = 4, sequences = 2, context_tokens = 128, page_tokens = 16, pages = 0, pages_per_sequence = 0>
    arena 1024 cache 0 vocabulary 9 result @logits width 64 {
  // expected-error @+1 {{attribute 'bytes' failed to satisfy constraint}}
  plan.weight @w at 64 bytes 0 [4, 4] "f32" packing "plain" sources ["w"]
}

// -----

// cache (C1): the offset is aligned.
plan.program @p bounds<tokens = 64, outputs = 4, sequences = 2, context_tokens = 128, page_tokens = 16, pages = 0, pages_per_sequence = 0>
    arena 1024 cache 0 vocabulary 9 result @logits width 64 {
  // expected-error @+1 {{expected 'offset' to be a multiple of 64, got 8}}
  plan.cache @kv at 8 layers 1 of 64 bytes
}

// -----

// cache (C1): every layer is aligned.
plan.program @p bounds<tokens = 64, outputs = 4, sequences = 2, context_tokens = 128, page_tokens = 16, pages = 0, pages_per_sequence = 0>
    arena 1024 cache 0 vocabulary 9 result @logits width 64 {
  // expected-error @+1 {{expected 'layer_bytes' to be a multiple of 64, got 65}}
  plan.cache @kv at 0 layers 1 of 65 bytes
}

// -----

// kernel (C1): a kernel belongs to a family.
plan.program @p bounds<tokens = 64, outputs = 4, sequences = 2, context_tokens = 128, page_tokens = 16, pages = 0, pages_per_sequence = 0>
    arena 1024 cache 0 vocabulary 9 result @logits width 64 {
  // expected-error @+1 {{expected 'family' to name a kernel family, got nothing}}
  plan.kernel @k family "" arguments 1
}

// -----

// kernel (C3): each argument has a reach.
plan.program @p bounds<tokens = 64, outputs = 4, sequences = 2, context_tokens = 128, page_tokens = 16, pages = 0, pages_per_sequence = 0>
    arena 1024 cache 0 vocabulary 9 result @logits width 64 {
  // expected-error @+1 {{expected a reach for each of 2 arguments, got 1}}
  plan.kernel @k family "K" arguments 2 reaches [4]
}

// -----

// entry (C1): an entry has a range of tokens.
plan.program @p bounds<tokens = 64, outputs = 4, sequences = 2, context_tokens = 128, page_tokens = 16, pages = 0, pages_per_sequence = 0>
    arena 1024 cache 0 vocabulary 9 result @logits width 64 {
  // expected-error @+1 {{expected tokens to be a range that starts at 1 or later, got 0 to 4}}
  plan.entry @step tokens 0 to 4 {
  }
}

// -----

// entry (C1): the range of tokens is not empty.
plan.program @p bounds<tokens = 64, outputs = 4, sequences = 2, context_tokens = 128, page_tokens = 16, pages = 0, pages_per_sequence = 0>
    arena 1024 cache 0 vocabulary 9 result @logits width 64 {
  // expected-error @+1 {{expected tokens to be a range that starts at 1 or later, got 5 to 4}}
  plan.entry @step tokens 5 to 4 {
  }
}

// -----

// entry (C2): an entry holds commands.
plan.program @p bounds<tokens = 64, outputs = 4, sequences = 2, context_tokens = 128, page_tokens = 16, pages = 0, pages_per_sequence = 0>
    arena 1024 cache 0 vocabulary 9 result @logits width 64 {
  plan.buffer @logits arena at 0 bytes 1024 live [0, 0]
  plan.kernel @k family "K" arguments 1
  plan.entry @step tokens 1 to 64 {
    // expected-error @+1 {{expected launches and loops in an entry, got 'arith.constant'}}
    %0 = arith.constant 1 : i32
  }
}

// -----

// Loops do not nest.
plan.program @p bounds<tokens = 64, outputs = 4, sequences = 2, context_tokens = 128, page_tokens = 16, pages = 0, pages_per_sequence = 0>
    arena 1024 cache 0 vocabulary 9 result @logits width 64 {
  plan.buffer @logits arena at 0 bytes 1024 live [0, 0]
  plan.kernel @k family "K" arguments 1
  plan.entry @step tokens 1 to 64 {
    // expected-error @+1 {{expects parent op 'plan.entry'}}
    plan.loop 2 { plan.loop 2 { plan.launch @k grid [1, 1, 1] (out @logits) } }
  }
}

// -----

// loop (C1): a loop holds launches.
plan.program @p bounds<tokens = 64, outputs = 4, sequences = 2, context_tokens = 128, page_tokens = 16, pages = 0, pages_per_sequence = 0>
    arena 1024 cache 0 vocabulary 9 result @logits width 64 {
  plan.entry @step tokens 1 to 64 {
    plan.loop 2 {
      // expected-error @+1 {{expected launches in a loop, got 'arith.constant'}}
      %0 = arith.constant 1 : i32
    }
  }
}

// -----

// loop (C1): a loop does something.
plan.program @p bounds<tokens = 64, outputs = 4, sequences = 2, context_tokens = 128, page_tokens = 16, pages = 0, pages_per_sequence = 0>
    arena 1024 cache 0 vocabulary 9 result @logits width 64 {
  plan.buffer @logits arena at 0 bytes 1024 live [0, 0]
  plan.kernel @k family "K" arguments 1
  plan.entry @step tokens 1 to 64 {
    // expected-error @+1 {{expected at least one launch, got none}}
    plan.loop 2 {
    }
  }
}

// -----

// A launch belongs to an entry.
// expected-error @+1 {{expects parent op to be one of}}
plan.launch @k grid [1, 1, 1] ()

// -----

// block: threads of a GPU's block
// expected-error @+1 {{expected the threads of a block to be a multiple of 32 up to 1024, got 48}}
module attributes {x = #plan.block<threads = 48, shared_bytes = 0, dependent = 0>} {}

// -----

// block: shared memory of a GPU's block
// expected-error @+1 {{expected shared memory of at most 232448 bytes, got 232449}}
module attributes {x = #plan.block<threads = 32, shared_bytes = 232449, dependent = 0>} {}

// -----

// block: a truth
// expected-error @+1 {{expected 'dependent' to be 0 or 1, got 2}}
module attributes {x = #plan.block<threads = 32, shared_bytes = 0, dependent = 2>} {}
