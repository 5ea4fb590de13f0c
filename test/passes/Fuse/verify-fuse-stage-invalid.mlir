// RUN: ingot-opt %s --ingot-verify-fuse-stage --split-input-file --verify-diagnostics

// An op of the dialect outside of a region.
func.func @linear(%x: tensor<?x64xf32>, %w: !transformer.weight<[64, 64], q4_1>) -> tensor<?x64xf32> {
  // expected-error@below {{'transformer.linear' op expected to stand in a transformer.compute region}}
  %y = transformer.linear %x, %w : tensor<?x64xf32>, !transformer.weight<[64, 64], q4_1> -> tensor<?x64xf32>
  return %y : tensor<?x64xf32>
}

// -----

// Arithmetic on tensors outside of a region, in a loop.
func.func @add(%x: tensor<?x64xf32>, %n: index) -> tensor<?x64xf32> {
  %y = scf.for %i = %n to %n step %n iter_args(%a = %x) -> (tensor<?x64xf32>) {
    // expected-error@below {{'arith.addf' op expected to stand in a transformer.compute region}}
    %b = arith.addf %a, %x : tensor<?x64xf32>
    scf.yield %b : tensor<?x64xf32>
  }
  return %y : tensor<?x64xf32>
}

// -----

func.func @family(%x: tensor<?x64xf32>) -> tensor<?x64xf32> {
  // expected-error@below {{'transformer.compute' op has no kernel: no kernel family is called Copy}}
  %y = transformer.compute "Copy" (%i = %x : tensor<?x64xf32>) -> (tensor<?x64xf32>) {
    transformer.yield %i : tensor<?x64xf32>
  }
  return %y : tensor<?x64xf32>
}

// -----

// A family that exists, and says no.
func.func @region(%x: tensor<?x4x16xf32>) -> tensor<?x4x16xf32> {
  // expected-error@below {{'transformer.compute' op has no kernel: only rank 2 is packed}}
  %y = transformer.compute "Elementwise" (%i = %x : tensor<?x4x16xf32>) -> (tensor<?x4x16xf32>) {
    %a = transformer.activation gelu %i : tensor<?x4x16xf32>
    transformer.yield %a : tensor<?x4x16xf32>
  }
  return %y : tensor<?x4x16xf32>
}
