// RUN: ingot-opt %s --ingot-lower-tile-to-nvptx --ingot-verify-nvptx-target=target=cuda:sm_80 | FileCheck %s
// RUN: ingot-opt %s --ingot-lower-tile-to-nvptx=capability=90 --ingot-verify-nvptx-target | FileCheck %s

// What the chip has passes unchanged: kernels for early chips do not wait by themselves.
// CHECK-LABEL: llvm.func @Barrier
tile.kernel @Barrier() grid [1] threads 64 {
  tile.await_launches
  // CHECK: nvvm.barrier0
  tile.barrier
  tile.return
}
