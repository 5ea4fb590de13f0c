// RUN: ingot-opt %s --split-input-file --verify-diagnostics --ingot-select-kernels

// A family that nobody knows.
func.func @unknown(%x: tensor<?x64xf32>) -> tensor<?x64xf32> {
  // expected-error @+1 {{expected 'kernel' to be a kernel family, got "Magic"}}
  %y = transformer.compute "Magic" (%i = %x : tensor<?x64xf32>) -> (tensor<?x64xf32>) {
    transformer.yield %i : tensor<?x64xf32>
  }
  return %y : tensor<?x64xf32>
}

// -----

// A schedule that no block has.
func.func @schedule(%x: tensor<?x64xf32>, %w: !transformer.weight<[64, 64], f32>) -> tensor<?x64xf32> {
  // expected-error @+1 {{expected 'tile_tokens' of a schedule to be a power of two from 1 to 8, got 3}}
  %y = transformer.compute "Linear" (%i = %x : tensor<?x64xf32>, %m = %w : !transformer.weight<[64, 64], f32>) -> (tensor<?x64xf32>) {
    %r = transformer.linear %i, %m : tensor<?x64xf32>, !transformer.weight<[64, 64], f32> -> tensor<?x64xf32>
    transformer.yield %r : tensor<?x64xf32>
  } {tile.schedule = {tile_tokens = 3}}
  return %y : tensor<?x64xf32>
}

// -----

// A number that schedules do not have.
func.func @name(%x: tensor<?x64xf32>, %w: !transformer.weight<[64, 64], f32>) -> tensor<?x64xf32> {
  // expected-error @+1 {{expected a schedule to be numbers named row_groups, block_tokens, tile_tokens, panel_tokens, single_groups, got 'rows'}}
  %y = transformer.compute "Linear" (%i = %x : tensor<?x64xf32>, %m = %w : !transformer.weight<[64, 64], f32>) -> (tensor<?x64xf32>) {
    %r = transformer.linear %i, %m : tensor<?x64xf32>, !transformer.weight<[64, 64], f32> -> tensor<?x64xf32>
    transformer.yield %r : tensor<?x64xf32>
  } {tile.schedule = {rows = 4}}
  return %y : tensor<?x64xf32>
}

// -----

// What is no schedule at all.
func.func @kind(%x: tensor<?x64xf32>, %w: !transformer.weight<[64, 64], f32>) -> tensor<?x64xf32> {
  // expected-error @+1 {{expected a schedule to be a dictionary}}
  %y = transformer.compute "Linear" (%i = %x : tensor<?x64xf32>, %m = %w : !transformer.weight<[64, 64], f32>) -> (tensor<?x64xf32>) {
    %r = transformer.linear %i, %m : tensor<?x64xf32>, !transformer.weight<[64, 64], f32> -> tensor<?x64xf32>
    transformer.yield %r : tensor<?x64xf32>
  } {tile.schedule = 4}
  return %y : tensor<?x64xf32>
}

// -----

// A weight whose columns the decoder cannot take in groups.
func.func @odd(%x: tensor<?x44xf32>, %w: !transformer.weight<[64, 44], f32>) -> tensor<?x64xf32> {
  // expected-error @+1 {{has no kernel: family Linear does not support it: columns of !transformer.weight<[64, 44], f32> are not a multiple of 8}}
  %y = transformer.compute "Linear" (%i = %x : tensor<?x44xf32>, %m = %w : !transformer.weight<[64, 44], f32>) -> (tensor<?x64xf32>) {
    %r = transformer.linear %i, %m : tensor<?x44xf32>, !transformer.weight<[64, 44], f32> -> tensor<?x64xf32>
    transformer.yield %r : tensor<?x64xf32>
  }
  return %y : tensor<?x64xf32>
}

// -----

// Scales of a cache of codes are of whole registers of channels.
!cache = !transformer.kv_cache<layers = 1, heads = 1, dim = 24, format = i8, page = 16, values = i4>
func.func @codes(%k: tensor<?x1x24xf32>, %batch: !transformer.ragged, %c: !cache, %l: index) -> !cache {
  // expected-error @+1 {{has no kernel: family AppendCache does not support it: channels that share a scale of the cache are not a multiple of 8}}
  %y = transformer.compute "AppendCache" (%i = %k : tensor<?x1x24xf32>, %b = %batch : !transformer.ragged, %d = %c : !cache, %n = %l : index) -> (!cache) {
    %e = transformer.append_cache %d[%n], %i, %i, %b : !cache, tensor<?x1x24xf32>
    transformer.yield %e : !cache
  }
  return %y : !cache
}
