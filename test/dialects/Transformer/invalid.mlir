// Every constraint of types, weights and row-wise ops has a case that only it refuses.

// RUN: ingot-opt %s --split-input-file --verify-diagnostics

// The version of the dialect is one that this compiler knows.
// expected-error @+1 {{expected 'transformer.version' to be a 64-bit integer from 1 to 1, got 2 : i64}}
module attributes {transformer.version = 2 : i64} {}

// -----

// expected-error @+1 {{expected 'transformer.version' to be a 64-bit integer from 1 to 1, got "1"}}
module attributes {transformer.version = "1"} {}

// -----

// A weight has one to three dimensions.
// expected-error @+1 {{expected a weight of 1 to 3 dimensions, got 4}}
func.func private @f(!transformer.weight<[1, 2, 3, 4], f32>)

// -----

// expected-error @+1 {{expected sizes of a weight to be positive, got 0}}
func.func private @f(!transformer.weight<[0, 2], f32>)

// -----

// A format that no table has means nothing.
// expected-error @+1 {{expected the numeric format of a weight to be one of f32, f16, bf16, q4_0, q4_1, q5_0, q5_1, q8_0, q2_k, q3_k, q4_k, q5_k, q6_k, iq4_nl, iq4_xs, mxfp4, i4_f32, i4z_f16, i4z_f32, i8_f32, i8z_f32, f8e4m3_f32, got 'q4_7'}}
func.func private @f(!transformer.weight<[2, 32], q4_7>)

// -----

// expected-error @+1 {{expected 'page' of a cache to be positive, got 0}}
func.func private @f(!transformer.kv_cache<layers = 1, heads = 1, dim = 64, format = f16, page = 0>)

// -----

// expected-error @+1 {{expected 'format' of a cache to be f32, f16, i8 or i4, got 'bf16'}}
func.func private @f(!transformer.kv_cache<layers = 1, heads = 1, dim = 64, format = bf16, page = 16>)

// -----

// Floats have no second format.
// expected-error @+1 {{expected 'values' of a cache to be the other of i8 and i4 than 'format', got 'i4' beside 'f16'}}
func.func private @f(!transformer.kv_cache<layers = 1, heads = 1, dim = 64, format = f16, page = 16, values = i4>)

// -----

// Two codes of 4 bits share a byte.
// expected-error @+1 {{expected 'dim' of a cache of i4 to be even, got 63}}
func.func private @f(!transformer.kv_cache<layers = 1, heads = 1, dim = 63, format = i8, page = 16, values = i4>)

// -----

// weight (C1): the value has the weight's shape.
// expected-error @+1 {{'transformer.weight' op expected 'value' to have shape 3, got 2}}
transformer.weight @w : !transformer.weight<[3], f32> value dense<[1.0, 2.0]> : tensor<2xf32>

// -----

// weight (C1): large values stay outside of the IR.
// expected-error @+1 {{'transformer.weight' op expected 'value' to have at most 4096 elements, got 4097}}
transformer.weight @w : !transformer.weight<[4097], f32> value dense<1.0> : tensor<4097xf32>

// -----

// weight (C2): blocks of codes are not written inline.
// expected-error @+1 {{expected a weight with 'value' to have format f32, f16 or bf16, got q4_1}}
transformer.weight @w : !transformer.weight<[2], q4_1> value dense<[1.0, 2.0]> : tensor<2xf32>

// -----

// weight (C3): bytes come from one place.
// expected-error @+1 {{expected exactly one of 'source' and 'value', got none}}
transformer.weight @w : !transformer.weight<[2], f32>

// -----

// expected-error @+1 {{expected exactly one of 'source' and 'value', got both}}
transformer.weight @w : !transformer.weight<[2], f32> source "w" value dense<[1.0, 2.0]> : tensor<2xf32>

// -----

// get_weight (C1): the symbol is a weight.
func.func @f() {
  // expected-error @+1 {{'transformer.get_weight' op expected '@f' to be a transformer.weight}}
  %w = transformer.get_weight @f : !transformer.weight<[2], f32>
  return
}

// -----

// get_weight (C1): of the same type.
// expected-note @+1 {{the weight is declared here}}
transformer.weight @w : !transformer.weight<[2], f32> source "w"
func.func @f() {
  // expected-error @+1 {{expected the result to have the weight's type '!transformer.weight<[2], f32>', got '!transformer.weight<[3], f32>'}}
  %w = transformer.get_weight @w : !transformer.weight<[3], f32>
  return
}

// -----

// concat_weights: there is something to stack.
func.func @f() {
  // expected-error @+1 {{expected at least one weight}}
  %0 = "transformer.concat_weights"() : () -> !transformer.weight<[2, 4], f32>
  return
}

// -----

// concat_weights (C1): one format.
func.func @f(%w: !transformer.weight<[2, 4], f16>) {
  // expected-error @+1 {{expected weights of 4 columns in format f32, got '!transformer.weight<[2, 4], f16>'}}
  %0 = transformer.concat_weights %w : !transformer.weight<[2, 4], f16> -> !transformer.weight<[2, 4], f32>
  return
}

// -----

// concat_weights (C2): rows add up.
func.func @f(%w: !transformer.weight<[2, 4], f32>) {
  // expected-error @+1 {{expected the result to have 4 rows, got 5}}
  %0 = transformer.concat_weights %w, %w : !transformer.weight<[2, 4], f32>, !transformer.weight<[2, 4], f32> -> !transformer.weight<[5, 4], f32>
  return
}

// -----

// pack_weight (C1): packing changes neither shape nor format.
func.func @f(%w: !transformer.weight<[2, 4], f32>) {
  // expected-error @+1 {{expected the result to have the operand's shape and format}}
  %0 = transformer.pack_weight %w : !transformer.weight<[2, 4], f32> -> !transformer.weight<[4, 2], f32, "packed">
  return
}

// -----

// pack_weight (C2): the result is packed.
func.func @f(%w: !transformer.weight<[2, 4], f32>) {
  // expected-error @+1 {{expected a packing on the result only}}
  %0 = transformer.pack_weight %w : !transformer.weight<[2, 4], f32> -> !transformer.weight<[2, 4], f32>
  return
}

// -----

// rope_table (C1): halves of a row are cosines and sines.
func.func @f() {
  // expected-error @+1 {{expected the result to be [positions, even] in format f32, got '!transformer.weight<[8, 63], f32>'}}
  %0 = transformer.rope_table {base = 1.0e5 : f64} : !transformer.weight<[8, 63], f32>
  return
}

// -----

// rope_table (C2).
func.func @f() {
  // expected-error @+1 {{expected 'base' to be positive, got 0}}
  %0 = transformer.rope_table {base = 0.0 : f64} : !transformer.weight<[8, 64], f32>
  return
}

// -----

// embedding (C1): the table has rows.
func.func @f(%ids: tensor<?xi32>, %w: !transformer.weight<[8], f32>) {
  // expected-error @+1 {{'transformer.embedding' op expected 'weight' to have rank 2, got 1}}
  %0 = transformer.embedding %ids, %w : tensor<?xi32>, !transformer.weight<[8], f32> -> tensor<?x8xf32>
  return
}

// -----

// embedding (C2): a row for each id.
func.func @f(%ids: tensor<3xi32>, %w: !transformer.weight<[9, 8], f32>) {
  // expected-error @+1 {{expected 'result' to have shape 3x8, got 3x9}}
  %0 = transformer.embedding %ids, %w : tensor<3xi32>, !transformer.weight<[9, 8], f32> -> tensor<3x9xf32>
  return
}

// -----

// linear (C1): the input's channels are the weight's columns.
func.func @f(%x: tensor<?x7xf32>, %w: !transformer.weight<[9, 8], f32>) {
  // expected-error @+1 {{'transformer.linear' op expected 'weight' to have shape 9x7, got 9x8}}
  %0 = transformer.linear %x, %w : tensor<?x7xf32>, !transformer.weight<[9, 8], f32> -> tensor<?x9xf32>
  return
}

// -----

// linear (C1): the result's channels are the weight's rows.
func.func @f(%x: tensor<?x8xf32>, %w: !transformer.weight<[9, 8], f32>) {
  // expected-error @+1 {{expected 'result' to have shape ?x9, got ?x8}}
  %0 = transformer.linear %x, %w : tensor<?x8xf32>, !transformer.weight<[9, 8], f32> -> tensor<?x8xf32>
  return
}

// -----

// linear (C2): integers come with scales.
func.func @f(%x: tensor<?x8xi8>, %w: !transformer.weight<[9, 8], f32>) {
  // expected-error @+1 {{expected 'scales' if and only if 'input' is i8 or i16, got 'tensor<?x8xi8>'}}
  %0 = transformer.linear %x, %w : tensor<?x8xi8>, !transformer.weight<[9, 8], f32> -> tensor<?x9xf32>
  return
}

// -----

// linear (C2): blocks are of equal size.
func.func @f(%x: tensor<?x8xi8>, %s: tensor<?x3xf32>, %w: !transformer.weight<[9, 8], f32>) {
  // expected-error @+1 {{expected the last dimension of 'scales' to divide 8, got 3}}
  %0 = transformer.linear %x scales %s, %w : tensor<?x8xi8> scales tensor<?x3xf32>, !transformer.weight<[9, 8], f32> -> tensor<?x9xf32>
  return
}

// -----

// linear (C3): a bias for each row.
func.func @f(%x: tensor<?x8xf32>, %w: !transformer.weight<[9, 8], f32>, %b: !transformer.weight<[8], f32>) {
  // expected-error @+1 {{expected 'bias' to have shape 9, got 8}}
  %0 = transformer.linear %x, %w bias %b : tensor<?x8xf32>, !transformer.weight<[9, 8], f32> bias !transformer.weight<[8], f32> -> tensor<?x9xf32>
  return
}

// -----

// norm (C1): a weight for each channel.
func.func @f(%x: tensor<?x8xf32>, %w: !transformer.weight<[9], f32>) {
  // expected-error @+1 {{'transformer.norm' op expected 'weight' to have shape 8, got 9}}
  %0 = transformer.norm rms %x, %w {epsilon = 1.0e-5 : f32} : tensor<?x8xf32>, !transformer.weight<[9], f32>
  return
}

// -----

// norm (C2): rms has no bias.
func.func @f(%x: tensor<?x8xf32>, %w: !transformer.weight<[8], f32>) {
  // expected-error @+1 {{expected 'bias' only with kind layer, got rms}}
  %0 = transformer.norm rms %x, %w bias %w {epsilon = 1.0e-5 : f32} : tensor<?x8xf32>, !transformer.weight<[8], f32> bias !transformer.weight<[8], f32>
  return
}

// -----

// norm (C3).
func.func @f(%x: tensor<?x8xf32>, %w: !transformer.weight<[8], f32>) {
  // expected-error @+1 {{expected 'epsilon' to be at least 0, got -1}}
  %0 = transformer.norm rms %x, %w {epsilon = -1.0 : f32} : tensor<?x8xf32>, !transformer.weight<[8], f32>
  return
}

// -----

// rope (C1): a position for each token.
func.func @f(%x: tensor<4x9x64xf32>, %p: tensor<5xi32>) {
  // expected-error @+1 {{'transformer.rope' op expected 'positions' to have shape 4, got 5}}
  %0 = transformer.rope half %x, %p {base = 1.0e4 : f64} : tensor<4x9x64xf32>, tensor<5xi32>
  return
}

// -----

// rope (C2): channels rotate in pairs.
func.func @f(%x: tensor<?x9x64xf32>, %p: tensor<?xi32>) {
  // expected-error @+1 {{expected 'dims' to be even and from 2 to 64, got 66}}
  %0 = transformer.rope half %x, %p {base = 1.0e4 : f64, dims = 66 : i64} : tensor<?x9x64xf32>, tensor<?xi32>
  return
}

// -----

// rope (C3): a factor for each pair.
func.func @f(%x: tensor<?x9x64xf32>, %p: tensor<?xi32>) {
  // expected-error @+1 {{expected 'factors' to have 32 elements, got 1}}
  %0 = transformer.rope half %x, %p {base = 1.0e4 : f64, factors = array<f32: 1.0>} : tensor<?x9x64xf32>, tensor<?xi32>
  return
}

// -----

// rope (C4).
func.func @f(%x: tensor<?x9x64xf32>, %p: tensor<?xi32>) {
  // expected-error @+1 {{expected 'base' to be positive, got -1}}
  %0 = transformer.rope half %x, %p {base = -1.0 : f64} : tensor<?x9x64xf32>, tensor<?xi32>
  return
}

// -----

// quantize (C1): blocks are of equal size.
func.func @f(%x: tensor<?x8xf32>) {
  // expected-error @+1 {{'transformer.quantize' op expected the last dimension of 'scales' to divide 8, got 3}}
  %0, %1 = transformer.quantize %x : tensor<?x8xf32> -> tensor<?x8xi8>, tensor<?x3xf32>
  return
}
