// RUN: ingot-opt %s --ingot-lower-tile-to-nvptx=capability=90 | FileCheck %s

#row = #tile.layout<register = [[0, 1], [0, 2]], lane = [[0, 4], [0, 8], [0, 16], [0, 32], [0, 64]]>
#one = #tile.layout<lane = [[0, 0], [0, 0], [0, 0], [0, 0], [0, 0]]>

// Four registers side by side are one access; a maximum over lanes is a tree of shuffles; one lane writes it.
// CHECK-LABEL: llvm.func @Maximum(
// CHECK-SAME: !llvm.ptr<1>, %{{.*}}: !llvm.ptr<1>, %[[COUNTS:.*]]: !llvm.ptr<1>)
// CHECK-SAME: nvvm.kernel, nvvm.reqntid = array<i32: 32, 1, 1>
// The grid may be that of more tokens: other blocks do nothing.
// CHECK: %[[TOKENS:.*]] = llvm.load %[[COUNTS]] {alignment = 8 : i64} : !llvm.ptr<1> -> i64
// CHECK: llvm.icmp "slt"
// CHECK: llvm.cond_br
// CHECK: llvm.load {{.*}} {alignment = 16 : i64} : !llvm.ptr<1> -> vector<4xf32>
// CHECK-COUNT-5: nvvm.shfl.sync bfly
// CHECK: llvm.cond_br
// CHECK: llvm.store {{.*}} : f32, !llvm.ptr<1>
// CHECK-NOT: tile.
tile.kernel @Maximum(%x: !tile.view<[tokens, 128], f32>, %y: !tile.view<[tokens, 1], f32>) grid [tokens] {
  %t = tile.block_id x
  %c0 = arith.constant 0 : index
  %v = tile.load %x[%t, %c0] : !tile.view<[tokens, 128], f32> -> tensor<1x128xf32, #row>
  %m = tile.reduce max %v dim 1 : tensor<1x128xf32, #row> -> tensor<1x1xf32, #one>
  tile.store %m, %y[%t, %c0] : tensor<1x1xf32, #one>, !tile.view<[tokens, 1], f32>
  tile.return
}

// A neighbour in the lane is another register, one in another lane a shuffle.
// CHECK-LABEL: llvm.func @Exchange(
// CHECK-COUNT-4: nvvm.shfl.sync bfly
// CHECK-NOT: nvvm.shfl.sync
tile.kernel @Exchange(%x: !tile.view<[tokens, 128], f32>, %y: !tile.view<[tokens, 128], f32>) grid [tokens] {
  %t = tile.block_id x
  %c0 = arith.constant 0 : index
  %v = tile.load %x[%t, %c0] : !tile.view<[tokens, 128], f32> -> tensor<1x128xf32, #row>
  %near = tile.exchange %v dim 1 distance 1 : tensor<1x128xf32, #row>
  %far = tile.exchange %near dim 1 distance 64 : tensor<1x128xf32, #row>
  tile.store %far, %y[%t, %c0] : tensor<1x128xf32, #row>, !tile.view<[tokens, 128], f32>
  tile.return
}

// Without minimums in the format, the minimum is the scale times minus the zero code.
#codes = #tile.layout<register = [[0, 1], [0, 2], [0, 4], [0, 8], [0, 16]], lane = [[1, 0], [2, 0], [4, 0], [8, 0], [16, 0]]>
#column = #tile.layout<lane = [[1, 0], [2, 0], [4, 0], [8, 0], [16, 0]]>
// CHECK-LABEL: llvm.func @Decode(
// CHECK-DAG: llvm.mlir.constant(-8.000000e+00 : f32)
// CHECK-DAG: llvm.fpext {{.*}} : f16 to f32
// CHECK: llvm.fmul
tile.kernel @Decode(%w: !tile.view<[64, 64], #tile.packed<q4_0, rows = 32>>, %y: !tile.view<[64, 1], f32>) grid [2] {
  %g = tile.block_id x
  %c0 = arith.constant 0 : index
  %c32 = arith.constant 32 : index
  %row = arith.muli %g, %c32 : index
  %codes, %scales, %minimums = tile.decode %w[%row, %c0] : !tile.view<[64, 64], #tile.packed<q4_0, rows = 32>>
      -> tensor<32x32xi8, #codes>, tensor<32x1xf32, #column>, tensor<32x1xf32, #column>
  tile.store %minimums, %y[%row, %c0] : tensor<32x1xf32, #column>, !tile.view<[64, 1], f32>
  tile.return
}

// Sums of several warps meet in shared memory, after a barrier before it is written and one before it is read.
#warps = #tile.layout<register = [[0, 1], [0, 2]], lane = [[0, 4], [0, 8], [0, 16], [0, 32], [0, 64]], warp = [[0, 128], [0, 256]]>
#all = #tile.layout<lane = [[0, 0], [0, 0], [0, 0], [0, 0], [0, 0]], warp = [[0, 0], [0, 0]]>
// CHECK-LABEL: llvm.mlir.global internal @SumOfWarps.scratch
// CHECK-SAME: addr_space = 3
// CHECK-LABEL: llvm.func @SumOfWarps(
// CHECK: nvvm.barrier0
// CHECK: llvm.store {{.*}} : f32, !llvm.ptr<3>
// CHECK: nvvm.barrier0
// CHECK-COUNT-4: llvm.load {{.*}} : !llvm.ptr<3> -> f32
tile.kernel @SumOfWarps(%x: !tile.view<[tokens, 512], f32>, %y: !tile.view<[tokens, 1], f32>) grid [tokens] threads 128 {
  %t = tile.block_id x
  %c0 = arith.constant 0 : index
  %v = tile.load %x[%t, %c0] : !tile.view<[tokens, 512], f32> -> tensor<1x512xf32, #warps>
  %m = tile.reduce add %v dim 1 : tensor<1x512xf32, #warps> -> tensor<1x1xf32, #all>
  tile.store %m, %y[%t, %c0] : tensor<1x1xf32, #all>, !tile.view<[tokens, 1], f32>
  tile.return
}

// A mask that is the same for a run leaves the run whole: 300 columns are pieces of four.
// CHECK-LABEL: llvm.func @Masked(
// CHECK: llvm.cond_br
// CHECK: llvm.load {{.*}} {alignment = 16 : i64} : !llvm.ptr<1> -> vector<4xf32>
tile.kernel @Masked(%x: !tile.view<[tokens, 300], f32>, %y: !tile.view<[tokens, 300], f32>) grid [tokens] {
  %t = tile.block_id x
  %c0 = arith.constant 0 : index
  %v = tile.load %x[%t, %c0] masked : !tile.view<[tokens, 300], f32> -> tensor<1x512xf32, #warps>
  tile.store %v, %y[%t, %c0] masked : tensor<1x512xf32, #warps>, !tile.view<[tokens, 300], f32>
  tile.return
}

// A kernel that waits lets its successor start, and waits in blocks that do nothing as well.
// CHECK-LABEL: llvm.func @Await(
// CHECK: nvvm.griddepcontrol launch_dependents
// CHECK-COUNT-2: nvvm.griddepcontrol wait
tile.kernel @Await(%x: !tile.view<[tokens, 128], f32>, %y: !tile.view<[tokens, 128], f32>) grid [tokens] {
  %t = tile.block_id x
  %c0 = arith.constant 0 : index
  tile.await_launches
  %v = tile.load %x[%t, %c0] : !tile.view<[tokens, 128], f32> -> tensor<1x128xf32, #row>
  tile.store %v, %y[%t, %c0] : tensor<1x128xf32, #row>, !tile.view<[tokens, 128], f32>
  tile.return
}
