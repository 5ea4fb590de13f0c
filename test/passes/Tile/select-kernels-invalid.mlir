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

// A weight whose columns the decoder cannot take in groups.
func.func @odd(%x: tensor<?x44xf32>, %w: !transformer.weight<[64, 44], f32>) -> tensor<?x64xf32> {
  // expected-error @+1 {{has no kernel: family Linear does not support it: columns of !transformer.weight<[64, 44], f32> are not a multiple of 8}}
  %y = transformer.compute "Linear" (%i = %x : tensor<?x44xf32>, %m = %w : !transformer.weight<[64, 44], f32>) -> (tensor<?x64xf32>) {
    %r = transformer.linear %i, %m : tensor<?x44xf32>, !transformer.weight<[64, 44], f32> -> tensor<?x64xf32>
    transformer.yield %r : tensor<?x64xf32>
  }
  return %y : tensor<?x64xf32>
}
