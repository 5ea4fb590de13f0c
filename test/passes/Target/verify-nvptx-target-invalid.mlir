// RUN: ingot-opt %s --ingot-lower-tile-to-nvptx=capability=90 --ingot-verify-nvptx-target=target=cuda:sm_80 --split-input-file --verify-diagnostics

// An instruction of a later chip.
// expected-error @+1 {{expected an instruction that sm_80 has, got one of sm_90}}
tile.kernel @Dependence() grid [1] {
  tile.await_launches
  tile.return
}

// -----

// A library function.
// expected-error @+1 {{expected every function to have a body: kernels have no library}}
llvm.func @__nv_expf(f32) -> f32
