// RUN: ingot-opt %s --ingot-lower-tile-to-nvptx | ingot-translate --emit-ptx --chip=sm_80 | FileCheck %s --check-prefixes=CHECK,SM80
// RUN: ingot-opt %s --ingot-lower-tile-to-nvptx | ingot-translate --emit-ptx --chip=sm_90a | FileCheck %s --check-prefixes=CHECK,SM90

// Y = A Bᵀ by tensor cores; tiles are the fragments of mma.m16n8k16.

#a = #tile.layout<register = [[0, 1], [8, 0], [0, 8]], lane = [[0, 2], [0, 4], [1, 0], [2, 0], [4, 0]]>
#b = #tile.layout<register = [[1, 0], [8, 0]], lane = [[2, 0], [4, 0], [0, 1], [0, 2], [0, 4]]>
#y = #tile.layout<register = [[0, 1], [8, 0]], lane = [[0, 2], [0, 4], [1, 0], [2, 0], [4, 0]]>

// SM80: .target sm_80
// SM90: .target sm_90a
// CHECK-NOT: .extern
// Elements of the 16-bit operands are loaded in pairs, as the instruction takes them.
// CHECK-LABEL: .entry Mma(
// CHECK: .reqntid 32
// CHECK-COUNT-6: ld.global.{{(v2.b16|b32)}}
// CHECK: mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32
// CHECK: st.global.v2.b32
// CHECK: st.global.v2.b32
tile.kernel @Mma(%a: !tile.view<[128, 256], f16>, %b: !tile.view<[256, 64], f16, strides = [1, 256]>,
                 %y: !tile.view<[128, 64], f32>) grid [8, 8] {
  %bx = tile.block_id x
  %by = tile.block_id y
  %c0 = arith.constant 0 : index
  %c8 = arith.constant 8 : index
  %c16 = arith.constant 16 : index
  %c256 = arith.constant 256 : index
  %m = arith.muli %bx, %c16 : index
  %n = arith.muli %by, %c8 : index
  %zero = arith.constant dense<0.0> : tensor<16x8xf32, #y>
  %sum = scf.for %k = %c0 to %c256 step %c16 iter_args(%acc = %zero) -> tensor<16x8xf32, #y> {
    %at = tile.load %a[%m, %k] : !tile.view<[128, 256], f16> -> tensor<16x16xf16, #a>
    %bt = tile.load %b[%k, %n] : !tile.view<[256, 64], f16, strides = [1, 256]> -> tensor<16x8xf16, #b>
    %next = tile.contract mma_m16n8k16 %at, %bt, %acc : tensor<16x16xf16, #a>, tensor<16x8xf16, #b>, tensor<16x8xf32, #y>
    scf.yield %next : tensor<16x8xf32, #y>
  }
  tile.store %sum, %y[%m, %n] : tensor<16x8xf32, #y>, !tile.view<[128, 64], f32>
  tile.return
}

#a4 = #tile.layout<register = [[0, 1], [8, 0], [0, 8]], lane = [[0, 2], [0, 4], [1, 0], [2, 0], [4, 0]], warp = [[16, 0], [32, 0]]>
#b4 = #tile.layout<register = [[1, 0], [8, 0]], lane = [[2, 0], [4, 0], [0, 1], [0, 2], [0, 4]], warp = [[0, 0], [0, 0]]>
#y4 = #tile.layout<register = [[0, 1], [8, 0]], lane = [[0, 2], [0, 4], [1, 0], [2, 0], [4, 0]], warp = [[16, 0], [32, 0]]>

// Four warps, 64 rows; rows past the tokens are neither read nor written.
// CHECK-LABEL: .entry MmaWarps(
// CHECK: .reqntid 128
// CHECK: setp
// CHECK: mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32
// CHECK: bra
// CHECK: st.global.v2.b32
tile.kernel @MmaWarps(%a: !tile.view<[tokens, 256], f16>, %b: !tile.view<[256, 64], f16, strides = [1, 256]>,
                      %y: !tile.view<[tokens, 64], f32>) grid [tokens ceildiv 64, 8] {
  %bx = tile.block_id x
  %by = tile.block_id y
  %c0 = arith.constant 0 : index
  %c8 = arith.constant 8 : index
  %c16 = arith.constant 16 : index
  %c64 = arith.constant 64 : index
  %c256 = arith.constant 256 : index
  %m = arith.muli %bx, %c64 : index
  %n = arith.muli %by, %c8 : index
  %zero = arith.constant dense<0.0> : tensor<64x8xf32, #y4>
  %sum = scf.for %k = %c0 to %c256 step %c16 iter_args(%acc = %zero) -> tensor<64x8xf32, #y4> {
    %at = tile.load %a[%m, %k] masked : !tile.view<[tokens, 256], f16> -> tensor<64x16xf16, #a4>
    %bt = tile.load %b[%k, %n] : !tile.view<[256, 64], f16, strides = [1, 256]> -> tensor<16x8xf16, #b4>
    %next = tile.contract mma_m16n8k16 %at, %bt, %acc : tensor<64x16xf16, #a4>, tensor<16x8xf16, #b4>, tensor<64x8xf32, #y4>
    scf.yield %next : tensor<64x8xf32, #y4>
  }
  tile.store %sum, %y[%m, %n] masked : tensor<64x8xf32, #y4>, !tile.view<[tokens, 64], f32>
  tile.return
}
