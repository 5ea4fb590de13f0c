// RUN: ingot-opt %s --ingot-lower-tile-to-nvptx | ingot-translate --emit-ptx --chip=sm_80 | FileCheck %s

// What kernels of decoding are made of, as PTX.

// Neighbouring codes are the halves of one word: a mask and the bits of 1024, a subtraction, and two f16
// are there. Of a group of 32 a lane has 16 columns, one piece of 8 bytes; arithmetic on f16 is done in pairs.
#codes = #tile.layout<register = [[0, 1], [0, 2], [0, 4], [0, 8]], lane = [[0, 16], [0, 32], [1, 0], [2, 0], [4, 0]]>
#scales = #tile.layout<lane = [[0, 0], [0, 1], [1, 0], [2, 0], [4, 0]]>
// CHECK-LABEL: .entry Planar(
// CHECK: ld.global.v2.b32
// CHECK: and.b32 {{.*}}, 983055;
// CHECK: or.b32 {{.*}}, 1677747200;
// CHECK: add.rn.f16x2
// CHECK: st.global.v4.b32
// CHECK-NOT: cvt.rn.f32
tile.kernel @Planar(%w: !tile.view<[64, 64], #tile.packed<q4_1, rows = 8, planar>>, %y: !tile.view<[64, 64], f16>) grid [8] {
  %g = tile.block_id x
  %c0 = arith.constant 0 : index
  %c8 = arith.constant 8 : index
  %row = arith.muli %g, %c8 : index
  %c, %s, %m = tile.decode %w[%row, %c0] : !tile.view<[64, 64], #tile.packed<q4_1, rows = 8, planar>>
      -> tensor<8x64xf16, #codes>, tensor<8x2xf32, #scales>, tensor<8x2xf32, #scales>
  tile.store %c, %y[%row, %c0] : tensor<8x64xf16, #codes>, !tile.view<[64, 64], f16>
  tile.return
}

// Columns of a table by an index for each token: what shares its index is one piece of 16 bytes.
#tile = #tile.layout<register = [[1, 0], [2, 0]], lane = [[4, 0], [8, 0], [0, 1], [0, 2], [0, 4]]>
#column = #tile.layout<lane = [[0, 0], [0, 0], [0, 1], [0, 2], [0, 4]]>
#flat = #tile.layout<lane = [[0], [0], [1], [2], [4]]>
// CHECK-LABEL: .entry Gather(
// CHECK: ld.global.v4.b32
// CHECK: st.global.v4.b32
tile.kernel @Gather(%at: !tile.view<[tokens], i32>, %x: !tile.view<[16, 100], f32, strides = [1, 16]>,
                    %y: !tile.view<[16, tokens], f32, strides = [1, 16]>) grid [tokens ceildiv 8] {
  %b = tile.block_id x
  %c0 = arith.constant 0 : index
  %c8 = arith.constant 8 : index
  %t = arith.muli %b, %c8 : index
  %i = tile.load %at[%t] masked : !tile.view<[tokens], i32> -> tensor<8xi32, #flat>
  %j = tile.reshape %i : tensor<8xi32, #flat> -> tensor<1x8xi32, #column>
  %v = tile.gather %x[%c0, %c0] by %j [1] : !tile.view<[16, 100], f32, strides = [1, 16]>, tensor<1x8xi32, #column>
      -> tensor<16x8xf32, #tile>
  tile.scatter %v, %y[%c0, %c0] by %j [1] : tensor<16x8xf32, #tile>, !tile.view<[16, tokens], f32, strides = [1, 16]>,
      tensor<1x8xi32, #column>
  tile.return
}

// Two steps of 16 channels in one contraction, for each of two warps its own: the channels of a lane lie side by side.
#a = #tile.layout<register = [[0, 0, 1], [0, 0, 2], [0, 0, 4], [0, 8, 0]], lane = [[0, 0, 8], [0, 0, 16], [0, 1, 0], [0, 2, 0], [0, 4, 0]], warp = [[1, 0, 0]]>
#b = #tile.layout<register = [[0, 1, 0], [0, 2, 0], [0, 4, 0]], lane = [[0, 8, 0], [0, 16, 0], [0, 0, 1], [0, 0, 2], [0, 0, 4]], warp = [[1, 0, 0]]>
#y = #tile.layout<register = [[0, 0, 1], [0, 8, 0]], lane = [[0, 0, 2], [0, 0, 4], [0, 1, 0], [0, 2, 0], [0, 4, 0]], warp = [[1, 0, 0]]>
// CHECK-LABEL: .entry Batches(
// CHECK: .reqntid 64
// CHECK-COUNT-3: ld.global.v4.b32
// CHECK-COUNT-2: mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32
// CHECK-NOT: mma.sync
tile.kernel @Batches(%x: !tile.view<[2, 16, 32], bf16>, %w: !tile.view<[2, 32, 8], bf16, strides = [256, 1, 32]>,
                     %z: !tile.view<[2, 16, 8], f32>) grid [1] {
  %c0 = arith.constant 0 : index
  %zero = arith.constant dense<0.0> : tensor<2x16x8xf32, #y>
  %at = tile.load %x[%c0, %c0, %c0] : !tile.view<[2, 16, 32], bf16> -> tensor<2x16x32xbf16, #a>
  %bt = tile.load %w[%c0, %c0, %c0] : !tile.view<[2, 32, 8], bf16, strides = [256, 1, 32]> -> tensor<2x32x8xbf16, #b>
  %s = tile.contract mma_m16n8k16 %at, %bt, %zero : tensor<2x16x32xbf16, #a>, tensor<2x32x8xbf16, #b>, tensor<2x16x8xf32, #y>
  tile.store %s, %z[%c0, %c0, %c0] : tensor<2x16x8xf32, #y>, !tile.view<[2, 16, 8], f32>
  tile.return
}
