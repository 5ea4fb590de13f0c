// Every constraint of ops that move channels has a case that only it refuses.

// RUN: ingot-opt %s --split-input-file --verify-diagnostics

// gather_channels (C1): there is a place for each channel.
func.func @f(%x: tensor<?x8xf32>, %o: !transformer.weight<[4], f32>) {
  // expected-error @+1 {{'transformer.gather_channels' op expected 'order' to have shape 8, got 4}}
  %0 = transformer.gather_channels %x, %o : tensor<?x8xf32>, !transformer.weight<[4], f32>
  return
}

// -----

// gather_channels (C1): f32 holds every place exactly.
func.func @f(%x: tensor<?x8xf32>, %o: !transformer.weight<[8], f16>) {
  // expected-error @+1 {{'transformer.gather_channels' op expected 'order' to be in f32, got f16}}
  %0 = transformer.gather_channels %x, %o : tensor<?x8xf32>, !transformer.weight<[8], f16>
  return
}

// -----

// gather_channels (C1): the channels are a dimension.
func.func @f(%x: tensor<f32>, %o: !transformer.weight<[8], f32>) {
  // expected-error @+1 {{'transformer.gather_channels' op expected 'input' to have at least rank 1, got 0}}
  %0 = transformer.gather_channels %x, %o : tensor<f32>, !transformer.weight<[8], f32>
  return
}
