// Every constraint of ops in which tokens meet, of batches and of compute regions has a case that only it refuses.

// RUN: ingot-opt %s --split-input-file --verify-diagnostics

// attention_mask (C1): a row of the result for each query.
func.func @f(%p: tensor<2x5xi32>, %l: tensor<2xi32>) {
  // expected-error @+1 {{'transformer.attention_mask' op expected 'result' to have shape 2x5x5, got 2x5x4}}
  %m = transformer.attention_mask %p, %l : tensor<2x5xi32>, tensor<2xi32> -> tensor<2x5x4xi1>
  return
}

// -----

// attention_mask (C1): a length for each sequence.
func.func @f(%p: tensor<2x5xi32>, %l: tensor<3xi32>) {
  // expected-error @+1 {{expected 'lengths' to have shape 2, got 3}}
  %m = transformer.attention_mask %p, %l : tensor<2x5xi32>, tensor<3xi32> -> tensor<2x5x5xi1>
  return
}

// -----

// attention_mask (C2).
func.func @f(%p: tensor<2x5xi32>, %l: tensor<2xi32>) {
  // expected-error @+1 {{expected 'window' to be positive, got 0}}
  %m = transformer.attention_mask %p, %l {window = 0 : i64} : tensor<2x5xi32>, tensor<2xi32> -> tensor<2x5x5xi1>
  return
}

// -----

// attention (C1): keys and values have one shape.
func.func @f(%q: tensor<?x9x64xf32>, %k: tensor<?x3x64xf32>, %v: tensor<?x3x32xf32>, %b: !transformer.ragged) {
  // expected-error @+1 {{'transformer.attention' op expected 'value' to have shape ?x3x64, got ?x3x32}}
  %y = transformer.attention %q, %k, %v batch %b {scale = 1.0 : f32} : tensor<?x9x64xf32>, tensor<?x3x64xf32>,
      tensor<?x3x32xf32> batch !transformer.ragged -> tensor<?x9x64xf32>
  return
}

// -----

// attention (C1): every key-value head serves the same number of query heads.
func.func @f(%q: tensor<?x9x64xf32>, %k: tensor<?x2x64xf32>, %b: !transformer.ragged) {
  // expected-error @+1 {{expected the heads of 'key' to divide 9, got 2}}
  %y = transformer.attention %q, %k, %k batch %b {scale = 1.0 : f32} : tensor<?x9x64xf32>, tensor<?x2x64xf32>,
      tensor<?x2x64xf32> batch !transformer.ragged -> tensor<?x9x64xf32>
  return
}

// -----

// attention (C2): something says which tokens belong together.
func.func @f(%q: tensor<?x9x64xf32>, %k: tensor<?x3x64xf32>) {
  // expected-error @+1 {{expected either 'positions' and 'lengths' or 'batch'}}
  %y = transformer.attention %q, %k, %k {scale = 1.0 : f32} : tensor<?x9x64xf32>, tensor<?x3x64xf32>,
      tensor<?x3x64xf32> -> tensor<?x9x64xf32>
  return
}

// -----

// attention (C2): the ragged form is packed.
func.func @f(%q: tensor<?x?x9x64xf32>, %k: tensor<?x?x3x64xf32>, %b: !transformer.ragged) {
  // expected-error @+1 {{expected 'query' to have rank 3, got 4}}
  %y = transformer.attention %q, %k, %k batch %b {scale = 1.0 : f32} : tensor<?x?x9x64xf32>, tensor<?x?x3x64xf32>,
      tensor<?x?x3x64xf32> batch !transformer.ragged -> tensor<?x?x9x64xf32>
  return
}

// -----

// attention (C3).
func.func @f(%q: tensor<?x9x64xf32>, %k: tensor<?x3x64xf32>, %b: !transformer.ragged) {
  // expected-error @+1 {{expected 'window' to be positive, got -1}}
  %y = transformer.attention %q, %k, %k batch %b {scale = 1.0 : f32, window = -1 : i64} : tensor<?x9x64xf32>,
      tensor<?x3x64xf32>, tensor<?x3x64xf32> batch !transformer.ragged -> tensor<?x9x64xf32>
  return
}

// -----

// attention (C5).
func.func @f(%q: tensor<?x9x64xf32>, %k: tensor<?x3x64xf32>, %b: !transformer.ragged) {
  // expected-error @+1 {{expected 'soft_cap' to be positive, got 0}}
  %y = transformer.attention %q, %k, %k batch %b {scale = 1.0 : f32, soft_cap = 0.0 : f32} : tensor<?x9x64xf32>,
      tensor<?x3x64xf32>, tensor<?x3x64xf32> batch !transformer.ragged -> tensor<?x9x64xf32>
  return
}

// -----

// attention (C4): the result is shaped like the query.
func.func @f(%q: tensor<?x9x64xf32>, %k: tensor<?x3x64xf32>, %b: !transformer.ragged) {
  // expected-error @+1 {{expected 'result' to have shape ?x9x64, got ?x3x64}}
  %y = transformer.attention %q, %k, %k batch %b {scale = 1.0 : f32} : tensor<?x9x64xf32>, tensor<?x3x64xf32>,
      tensor<?x3x64xf32> batch !transformer.ragged -> tensor<?x3x64xf32>
  return
}

// -----

!cache = !transformer.kv_cache<layers = 30, heads = 3, dim = 64, format = f16, page = 16>

// append_cache (C1): keys have the cache's heads.
func.func @f(%k: tensor<?x4x64xf32>, %cache: !cache, %i: index, %b: !transformer.ragged) {
  // expected-error @+1 {{'transformer.append_cache' op expected 'key' to have shape ?x3x64, got ?x4x64}}
  %c = transformer.append_cache %cache[%i], %k, %k, %b : !cache, tensor<?x4x64xf32>
  return
}

// -----

!cache = !transformer.kv_cache<layers = 30, heads = 3, dim = 64, format = f16, page = 16>

// cached_attention (C1): the query has the cache's head dimension.
func.func @f(%q: tensor<?x9x32xf32>, %cache: !cache, %i: index, %b: !transformer.ragged) {
  // expected-error @+1 {{'transformer.cached_attention' op expected 'query' to have shape ?x9x64, got ?x9x32}}
  %y = transformer.cached_attention %q, %cache[%i], %b {scale = 1.0 : f32} : tensor<?x9x32xf32>, !cache
  return
}

// -----

!cache = !transformer.kv_cache<layers = 30, heads = 3, dim = 64, format = f16, page = 16>

// cached_attention (C1): heads in equal groups.
func.func @f(%q: tensor<?x8x64xf32>, %cache: !cache, %i: index, %b: !transformer.ragged) {
  // expected-error @+1 {{expected the cache's heads to divide 8, got 3}}
  %y = transformer.cached_attention %q, %cache[%i], %b {scale = 1.0 : f32} : tensor<?x8x64xf32>, !cache
  return
}

// -----

!cache = !transformer.kv_cache<layers = 30, heads = 3, dim = 64, format = f16, page = 16>

// cached_attention (C2).
func.func @f(%q: tensor<?x9x64xf32>, %cache: !cache, %i: index, %b: !transformer.ragged) {
  // expected-error @+1 {{expected 'window' to be positive, got 0}}
  %y = transformer.cached_attention %q, %cache[%i], %b {scale = 1.0 : f32, window = 0 : i64} : tensor<?x9x64xf32>, !cache
  return
}

// -----

!cache = !transformer.kv_cache<layers = 30, heads = 3, dim = 64, format = f16, page = 16>

// cached_attention (C2): who sees later positions sees all.
func.func @f(%q: tensor<?x9x64xf32>, %cache: !cache, %i: index, %b: !transformer.ragged) {
  // expected-error @+1 {{expected no window with 'bidirectional', got 4}}
  %y = transformer.cached_attention %q, %cache[%i], %b {bidirectional, scale = 1.0 : f32, window = 4 : i64} : tensor<?x9x64xf32>, !cache
  return
}

// -----

!cache = !transformer.kv_cache<layers = 30, heads = 3, dim = 64, format = f16, page = 16>

// cached_attention (C3).
func.func @f(%q: tensor<?x9x64xf32>, %cache: !cache, %i: index, %b: !transformer.ragged) {
  // expected-error @+1 {{expected 'soft_cap' to be positive, got -2}}
  %y = transformer.cached_attention %q, %cache[%i], %b {scale = 1.0 : f32, soft_cap = -2.0 : f32} : tensor<?x9x64xf32>, !cache
  return
}

// -----

// pack (C1): two dimensions become one.
func.func @f(%x: tensor<?x?x8xf32>, %l: tensor<?xi32>) {
  // expected-error @+1 {{'transformer.pack' op expected 'result' to have shape ?x8, got ?x7}}
  %y = transformer.pack %x, %l : tensor<?x?x8xf32>, tensor<?xi32> -> tensor<?x7xf32>
  return
}

// -----

// pack (C1): numbers stay what they are.
func.func @f(%x: tensor<?x?x8xf32>, %l: tensor<?xi32>) {
  // expected-error @+1 {{expected 'result' to have element type 'f32', got 'f16'}}
  %y = transformer.pack %x, %l : tensor<?x?x8xf32>, tensor<?xi32> -> tensor<?x8xf16>
  return
}

// -----

// unpack (C1): the result has sequences and slots.
func.func @f(%x: tensor<?xf32>, %l: tensor<?xi32>) {
  // expected-error @+1 {{'transformer.unpack' op expected 'result' to have at least rank 2, got 1}}
  %y = transformer.unpack %x, %l : tensor<?xf32>, tensor<?xi32> -> tensor<?xf32>
  return
}

// -----

// select_rows (C1): a row for each index.
func.func @f(%x: tensor<?x?x8xf32>, %r: tensor<4xi32>) {
  // expected-error @+1 {{'transformer.select_rows' op expected 'result' to have shape 4x8, got 5x8}}
  %y = transformer.select_rows %x, %r : tensor<?x?x8xf32>, tensor<4xi32> -> tensor<5x8xf32>
  return
}

// -----

// positions (C1).
func.func @f(%b: !transformer.ragged) {
  // expected-error @+1 {{'transformer.positions' op expected 'result' to have rank 1, got 2}}
  %p = transformer.positions %b : tensor<?x?xi32>
  return
}

// -----

// sequences (C1).
func.func @f(%b: !transformer.ragged) {
  // expected-error @+1 {{'transformer.sequences' op expected 'result' to have rank 1, got 2}}
  %p = transformer.sequences %b : tensor<?x?xi32>
  return
}

// -----

// page_table (C1).
func.func @f(%b: !transformer.ragged) {
  // expected-error @+1 {{'transformer.page_table' op expected 'result' to have rank 2, got 1}}
  %p = transformer.page_table %b : tensor<?xi32>
  return
}

// -----

// make_ragged (C1).
func.func @f(%p: tensor<2x5xi32>, %l: tensor<3xi32>) {
  // expected-error @+1 {{'transformer.make_ragged' op expected 'lengths' to have shape 2, got 3}}
  %b = transformer.make_ragged %p, %l : tensor<2x5xi32>, tensor<3xi32>
  return
}

// -----

// compute (C1): what the region sees is what it is given.
func.func @f(%x: tensor<?xf32>) {
  // expected-error @+1 {{'transformer.compute' op expected the block's arguments to have the operands' types}}
  "transformer.compute"(%x) <{kernel = "K"}> ({
  ^bb0(%a: tensor<?xi32>):
    transformer.yield
  }) : (tensor<?xf32>) -> ()
  return
}

// -----

// compute (C2): the region yields the results.
func.func @f(%x: tensor<?xf32>) {
  %y = transformer.compute "K" (%a = %x : tensor<?xf32>) -> (tensor<?xi32>) {
    // expected-error @+1 {{'transformer.yield' op expected operands of the results' types of the compute region}}
    transformer.yield %a : tensor<?xf32>
  }
  return
}

// -----

// compute (C2): it ends with a yield.
func.func @f() {
  // expected-error @+1 {{'transformer.compute' op expected the region to end with transformer.yield}}
  transformer.compute "K" () -> () {
    %c = arith.constant 0 : index
  }
  return
}
