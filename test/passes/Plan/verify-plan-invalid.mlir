// Each promise of the plan stage has a module that breaks only it.

// RUN: ingot-opt %s --split-input-file --verify-diagnostics --ingot-verify-plan

// There is a program.
// expected-error @+1 {{expected one program after the plan stage, got 0}}
module {
}

// -----

// There is one program.
// expected-error @+1 {{expected one program after the plan stage, got 2}}
module {
  plan.program @p bounds<tokens = 4, outputs = 1, sequences = 1, context_tokens = 9, page_tokens = 16, pages = 0, pages_per_sequence = 0>
      arena 64 cache 0 vocabulary 9 result @y width 16 {
    plan.buffer @y arena at 0 bytes 64 live [0, 0]
    plan.kernel @K family "K" arguments 2
    plan.entry @step tokens 1 to 4 {
      plan.launch @K grid [1, 1, 1] (token_ids, out @y)
    }
  }
  plan.program @q bounds<tokens = 4, outputs = 1, sequences = 1, context_tokens = 9, page_tokens = 16, pages = 0, pages_per_sequence = 0>
      arena 64 cache 0 vocabulary 9 result @y width 16 {
    plan.buffer @y arena at 0 bytes 64 live [0, 0]
    plan.kernel @K family "K" arguments 2
    plan.entry @step tokens 1 to 4 {
      plan.launch @K grid [1, 1, 1] (token_ids, out @y)
    }
  }
  tile.kernel @K(%i: !tile.view<[tokens], i32>, %y: !tile.view<[outputs, 16], f32>) grid [1] { tile.return }
}

// -----

// No functions are left.
module {
  tile.kernel @K(%i: !tile.view<[tokens], i32>, %y: !tile.view<[outputs, 16], f32>) grid [1] { tile.return }
  plan.program @p bounds<tokens = 4, outputs = 1, sequences = 1, context_tokens = 9, page_tokens = 16, pages = 0, pages_per_sequence = 0>
      arena 64 cache 0 vocabulary 9 result @y width 16 {
    plan.buffer @y arena at 0 bytes 64 live [0, 0]
    plan.kernel @K family "K" arguments 2
    plan.entry @step tokens 1 to 4 {
      plan.launch @K grid [1, 1, 1] (token_ids, out @y)
    }
  }
  // expected-error @+1 {{expected no functions after the plan stage, got 'f'}}
  func.func @f() { return }
}

// -----

// Every kernel of the program is there.
module {
  plan.program @p bounds<tokens = 4, outputs = 1, sequences = 1, context_tokens = 9, page_tokens = 16, pages = 0, pages_per_sequence = 0>
      arena 64 cache 0 vocabulary 9 result @y width 16 {
    plan.buffer @y arena at 0 bytes 64 live [0, 0]
    // expected-error @+1 {{expected a tile kernel 'K', got none}}
    plan.kernel @K family "K" arguments 2
    plan.entry @step tokens 1 to 4 {
      plan.launch @K grid [1, 1, 1] (token_ids, out @y)
    }
  }
}

// -----

// Every kernel takes the arguments that it gets.
module {
  // expected-note @+1 {{defined here}}
  tile.kernel @K(%i: !tile.view<[tokens], i32>) grid [1] { tile.return }
  plan.program @p bounds<tokens = 4, outputs = 1, sequences = 1, context_tokens = 9, page_tokens = 16, pages = 0, pages_per_sequence = 0>
      arena 64 cache 0 vocabulary 9 result @y width 16 {
    plan.buffer @y arena at 0 bytes 64 live [0, 0]
    // expected-error @+1 {{expected kernel 'K' to take 2 views, got 1}}
    plan.kernel @K family "K" arguments 2
    plan.entry @step tokens 1 to 4 {
      plan.launch @K grid [1, 1, 1] (token_ids, out @y)
    }
  }
}

// -----

// No kernel is left over.
module {
  tile.kernel @K(%i: !tile.view<[tokens], i32>, %y: !tile.view<[outputs, 16], f32>) grid [1] { tile.return }
  // expected-error @+1 {{expected kernel 'L' to be launched by the program}}
  tile.kernel @L(%i: !tile.view<[tokens], i32>, %y: !tile.view<[outputs, 16], f32>) grid [1] { tile.return }
  plan.program @p bounds<tokens = 4, outputs = 1, sequences = 1, context_tokens = 9, page_tokens = 16, pages = 0, pages_per_sequence = 0>
      arena 64 cache 0 vocabulary 9 result @y width 16 {
    plan.buffer @y arena at 0 bytes 64 live [0, 0]
    plan.kernel @K family "K" arguments 2
    plan.entry @step tokens 1 to 4 {
      plan.launch @K grid [1, 1, 1] (token_ids, out @y)
    }
  }
}

// -----

// Every weight is declared.
module {
  tile.kernel @K(%i: !tile.view<[tokens], i32>, %y: !tile.view<[outputs, 16], f32>) grid [1] { tile.return }
  plan.program @p bounds<tokens = 4, outputs = 1, sequences = 1, context_tokens = 9, page_tokens = 16, pages = 0, pages_per_sequence = 0>
      arena 64 cache 0 vocabulary 9 result @y width 16 {
    plan.buffer @y arena at 0 bytes 64 live [0, 0]
    // expected-error @+1 {{expected a declaration of weight 'w', got none}}
    plan.weight @w at 0 bytes 256 [4, 16] "f32" packing "plain" sources ["w"]
    plan.kernel @K family "K" arguments 2
    plan.entry @step tokens 1 to 4 {
      plan.launch @K grid [1, 1, 1] (token_ids, out @y)
    }
  }
}

// -----

// Every weight is packed from its own format.
module {
  tile.kernel @K(%i: !tile.view<[tokens], i32>, %y: !tile.view<[outputs, 16], f32>) grid [1] { tile.return }
  transformer.weight @w : !transformer.weight<[4, 16], f16> source "w"
  plan.program @p bounds<tokens = 4, outputs = 1, sequences = 1, context_tokens = 9, page_tokens = 16, pages = 0, pages_per_sequence = 0>
      arena 64 cache 0 vocabulary 9 result @y width 16 {
    plan.buffer @y arena at 0 bytes 64 live [0, 0]
    // expected-error @+1 {{expected weight 'w' to have format 'f32' and 16 columns, got '!transformer.weight<[4, 16], f16>'}}
    plan.weight @w at 0 bytes 256 [4, 16] "f32" packing "plain" sources ["w"]
    plan.kernel @K family "K" arguments 2
    plan.entry @step tokens 1 to 4 {
      plan.launch @K grid [1, 1, 1] (token_ids, out @y)
    }
  }
}
