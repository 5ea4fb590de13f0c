// What cannot be planned is refused with the reason.

// RUN: ingot-opt %s --split-input-file --verify-diagnostics --ingot-build-plan

// A module has a step.
// expected-error @+1 {{expected one public function, the step, got none}}
module {
  func.func private @f() { return }
}

// -----

// A module has one step.
module {
  // expected-note @+1 {{the first is 'a'}}
  func.func @a() { return }
  // expected-error @+1 {{expected one public function, the step, got 'b' too}}
  func.func @b() { return }
}

// -----

// The step takes what the runtime has.
module {
  // expected-error @+1 {{expected argument 0 to be token ids, a batch, output rows or a cache, got 'tensor<?xf32>'}}
  func.func @step(%x: tensor<?xf32>) { return }
}

// -----

// The step has only two arrays of its own.
module {
  // expected-error @+1 {{expected argument 2 to be token ids, a batch, output rows or a cache, got 'tensor<?xi32>'}}
  func.func @step(%x: tensor<?xi32>, %y: tensor<?xi32>, %z: tensor<?xi32>) { return }
}

// -----

// The step answers.
module {
  // expected-error @+1 {{expected one result, float32 [outputs, width], got none}}
  func.func @step(%x: tensor<?xi32>) { return }
}

// -----

// The answer is made by a launch.
module {
  // expected-error @+1 {{expected one result, float32 [outputs, width], beside caches, got 'tensor<?xi32>'}}
  func.func @step(%x: tensor<?xi32>) -> tensor<?xi32> { return %x : tensor<?xi32> }
}

// -----

// Everything that runs is a launch.
module {
  func.func @step(%x: tensor<?xi32>) -> tensor<?xi32> {
    // expected-error @+1 {{expected launches and calls in a step, got 'arith.addi'}}
    %y = arith.addi %x, %x : tensor<?xi32>
    return %y : tensor<?xi32>
  }
}

// -----

// Functions of a step have one block.
module {
  // expected-error @+1 {{expected a function of one block to plan, got 'step'}}
  func.func @step(%x: tensor<?xi32>) {
    llvm.br ^bb1
  ^bb1:
    return
  }
}

// -----

// Calls end.
module {
  // expected-error @+1 {{expected no recursion, got a call of 'f' from itself}}
  func.func private @f() {
    call @f() : () -> ()
    return
  }
  func.func @step() {
    call @f() : () -> ()
    return
  }
}

// -----

// Calls have a body.
module {
  func.func private @f()
  func.func @step() {
    // expected-error @+1 {{expected a call of a function with a body, got 'f'}}
    call @f() : () -> ()
    return
  }
}

// -----

// The view of a result says how large it can be.
module {
  tile.kernel @K(%i: !tile.view<[tokens], i32>, %y: !tile.view<[?, 64], f32>) grid [tokens] { tile.return }
  func.func @step(%x: tensor<?xi32>) -> tensor<?x64xf32> {
    // expected-error @+1 {{expected the view of a result to say one count for the unknown size of 'tensor<?x64xf32>', got '!tile.view<[?, 64], f32>'}}
    %y = tile.launch @K(%x) : (tensor<?xi32>) -> tensor<?x64xf32>
    return %y : tensor<?x64xf32>
  }
}

// -----

// The inputs of a step are not changed.
module {
  tile.kernel @K(%i: !tile.view<[tokens], i32>) grid [tokens] { tile.return }
  func.func @step(%x: tensor<?xi32>) -> tensor<?xi32> {
    // expected-error @+1 {{expected 'K' to change only buffers and caches in place, got a value of 'tensor<?xi32>'}}
    %y = tile.launch @K(%x) in_place [0] : (tensor<?xi32>) -> tensor<?xi32>
    return %y : tensor<?xi32>
  }
}

// -----

// What was changed in place is gone.
module {
  tile.kernel @K(%i: !tile.view<[tokens], i32>, %y: !tile.view<[tokens, 64], f32>) grid [tokens] { tile.return }
  tile.kernel @U(%y: !tile.view<[tokens, 64], f32>) grid [tokens] { tile.return }
  func.func @step(%x: tensor<?xi32>) -> tensor<?x64xf32> {
    %y = tile.launch @K(%x) : (tensor<?xi32>) -> tensor<?x64xf32>
    %z = tile.launch @U(%y) in_place [0] : (tensor<?x64xf32>) -> tensor<?x64xf32>
    // expected-error @+1 {{expected no use of a value that another launch changed in place, got one by 'U'}}
    %w = tile.launch @U(%y) in_place [0] : (tensor<?x64xf32>) -> tensor<?x64xf32>
    return %w : tensor<?x64xf32>
  }
}

// -----

// The layer of a cache is known.
!kv = !transformer.kv_cache<layers = 2, heads = 3, dim = 32, format = f16, page = 16>
module {
  tile.kernel @A(%k: !tile.view<[4, 3, 32, 16], f16>, %v: !tile.view<[4, 3, 16, 32], f16>, %y: !tile.view<[outputs, 8], f32>) grid [1] { tile.return }
  func.func @step(%x: tensor<?xi32>, %c: !kv) -> tensor<?x8xf32> {
    %zero = arith.constant 0 : index
    %l = tensor.dim %x, %zero : tensor<?xi32>
    // expected-error @+1 {{expected the layer of a cache to be a constant}}
    %y = tile.launch @A(%c, %l) : (!kv, index) -> tensor<?x8xf32>
    return %y : tensor<?x8xf32>
  }
}

// -----

// The layer of a cache exists.
!kv = !transformer.kv_cache<layers = 2, heads = 3, dim = 32, format = f16, page = 16>
module {
  tile.kernel @A(%k: !tile.view<[4, 3, 32, 16], f16>, %v: !tile.view<[4, 3, 16, 32], f16>, %y: !tile.view<[outputs, 8], f32>) grid [1] { tile.return }
  func.func @step(%x: tensor<?xi32>, %c: !kv) -> tensor<?x8xf32> {
    %l = arith.constant 2 : index
    // expected-error @+1 {{expected a layer of a cache with 2 layers, got 2}}
    %y = tile.launch @A(%c, %l) : (!kv, index) -> tensor<?x8xf32>
    return %y : tensor<?x8xf32>
  }
}

// -----

// Caches have pages of one size.
!kv = !transformer.kv_cache<layers = 2, heads = 3, dim = 32, format = f16, page = 16>
module {
  // expected-error @+1 {{expected caches with pages of 32 tokens, got 16}}
  func.func @step(%c: !kv, %d: !transformer.kv_cache<layers = 2, heads = 3, dim = 32, format = f16, page = 32>) { return }
}

// -----

// The rope table reaches the whole context.
module {
  tile.kernel @R(%r: !tile.view<[64, 16], f32>, %y: !tile.view<[outputs, 8], f32>) grid [1] { tile.return }
  func.func @step() -> tensor<?x8xf32> {
    %r = transformer.rope_table {base = 1.0e5 : f64} : !transformer.weight<[64, 16], f32>
    // expected-error @+1 {{expected a rope table of at least 2048 positions, the context, got 64}}
    %y = tile.launch @R(%r) : (!transformer.weight<[64, 16], f32>) -> tensor<?x8xf32>
    return %y : tensor<?x8xf32>
  }
}

// -----

// Rows of a weight are whole blocks of its format.
module {
  tile.kernel @R(%r: !tile.view<[64, 16], f32>, %y: !tile.view<[outputs, 8], f32>) grid [1] { tile.return }
  transformer.weight @w : !transformer.weight<[64, 16], q4_1> source "w"
  func.func @step() -> tensor<?x8xf32> {
    %r = transformer.get_weight @w : !transformer.weight<[64, 16], q4_1>
    // expected-error @+1 {{expected a weight with a known format and packing, got '!transformer.weight<[64, 16], q4_1>'}}
    %y = tile.launch @R(%r) : (!transformer.weight<[64, 16], q4_1>) -> tensor<?x8xf32>
    return %y : tensor<?x8xf32>
  }
}
