// RUN: ingot-opt %s --ingot-lower-tile-to-nvptx | ingot-translate --emit-ptx --chip=sm_80 | FileCheck %s --check-prefixes=CHECK,SM80
// RUN: ingot-opt %s --ingot-lower-tile-to-nvptx | ingot-translate --emit-ptx --chip=sm_90a | FileCheck %s --check-prefixes=CHECK,SM90

// y = W (x / rms(x)), W of 4 bits with 32 rows side by side: a lane is a row of W, a word of 4 bytes is 8 codes of it. The
// mean square of x is summed by the warp.

#x = #tile.layout<register = [[0, 1]], lane = [[0, 2], [0, 4], [0, 8], [0, 16], [0, 32]]>
#one = #tile.layout<lane = [[0, 0], [0, 0], [0, 0], [0, 0], [0, 0]]>
#row = #tile.layout<lane = [[0, 1], [0, 2], [0, 4], [0, 8], [0, 16]]>
#column = #tile.layout<lane = [[1, 0], [2, 0], [4, 0], [8, 0], [16, 0]]>
#codes = #tile.layout<register = [[0, 1], [0, 2], [0, 4], [0, 8], [0, 16]], lane = [[1, 0], [2, 0], [4, 0], [8, 0], [16, 0]]>
#all = #tile.layout<register = [[0, 1], [0, 2], [0, 4], [0, 8], [0, 16]], lane = [[0, 0], [0, 0], [0, 0], [0, 0], [0, 0]]>
#allColumn = #tile.layout<register = [[1, 0], [2, 0], [4, 0], [8, 0], [16, 0]], lane = [[0, 0], [0, 0], [0, 0], [0, 0], [0, 0]]>

!x = !tile.view<[tokens, 576], f32>
!w = !tile.view<[1536, 576], #tile.packed<q4_1, rows = 32>>
!y = !tile.view<[tokens, 1536], f32>

// CHECK: .version 8.3
// SM80: .target sm_80
// SM90: .target sm_90a
// CHECK-NOT: .extern
// CHECK-LABEL: .entry NormGemv(
// CHECK: .reqntid 32
// Sum of squares: two columns a lane, then five steps over lanes.
// CHECK: ld.global.v2.b32
// CHECK: mul.rn.f32
// CHECK: add.rn.f32
// CHECK: shfl.sync.bfly.b32 {{.*}}, 16, 31, -1;
// CHECK: shfl.sync.bfly.b32 {{.*}}, 8, 31, -1;
// CHECK: shfl.sync.bfly.b32 {{.*}}, 4, 31, -1;
// CHECK: shfl.sync.bfly.b32 {{.*}}, 2, 31, -1;
// CHECK: shfl.sync.bfly.b32 {{.*}}, 1, 31, -1;
// The four words of a record, 8 codes each, then scales and minimums; x 16 bytes at once.
// CHECK-COUNT-4: ld.global.b32
// CHECK-COUNT-2: ld.global.b16
// CHECK-COUNT-8: ld.global.v4.b32
// CHECK: fma.rn.f32
// CHECK: st.global.b32
// CHECK-NOT: call
tile.kernel @NormGemv(%x: !x, %w: !w, %y: !y) grid [48, tokens] {
  %group = tile.block_id x
  %token = tile.block_id y
  %c0 = arith.constant 0 : index
  %c32 = arith.constant 32 : index
  %c64 = arith.constant 64 : index
  %c576 = arith.constant 576 : index
  %row = arith.muli %group, %c32 : index

  %zeros = arith.constant dense<0.0> : tensor<1x64xf32, #x>
  %squares = scf.for %k = %c0 to %c576 step %c64 iter_args(%sum = %zeros) -> tensor<1x64xf32, #x> {
    %v = tile.load %x[%token, %k] : !x -> tensor<1x64xf32, #x>
    %square = arith.mulf %v, %v : tensor<1x64xf32, #x>
    %next = arith.addf %sum, %square : tensor<1x64xf32, #x>
    scf.yield %next : tensor<1x64xf32, #x>
  }
  %total = tile.reduce add %squares dim 1 : tensor<1x64xf32, #x> -> tensor<1x1xf32, #one>
  %width = arith.constant dense<576.0> : tensor<1x1xf32, #one>
  %epsilon = arith.constant dense<1.0e-5> : tensor<1x1xf32, #one>
  %mean = arith.divf %total, %width : tensor<1x1xf32, #one>
  %shifted = arith.addf %mean, %epsilon : tensor<1x1xf32, #one>
  %inverse = math.rsqrt %shifted : tensor<1x1xf32, #one>
  %factor = tile.broadcast %inverse : tensor<1x1xf32, #one> -> tensor<32x1xf32, #column>

  %none = arith.constant dense<0.0> : tensor<32x1xf32, #column>
  %product = scf.for %k = %c0 to %c576 step %c32 iter_args(%sum = %none) -> tensor<32x1xf32, #column> {
    %codes, %scales, %minimums = tile.decode %w[%row, %k] : !w
        -> tensor<32x32xi8, #codes>, tensor<32x1xf32, #column>, tensor<32x1xf32, #column>
    %a = arith.uitofp %codes : tensor<32x32xi8, #codes> to tensor<32x32xf32, #codes>
    %v = tile.load %x[%token, %k] : !x -> tensor<1x32xf32, #all>
    %b = tile.transpose %v [1, 0] : tensor<1x32xf32, #all> -> tensor<32x1xf32, #allColumn>
    %dot = tile.contract fma %a, %b, %none : tensor<32x32xf32, #codes>, tensor<32x1xf32, #allColumn>, tensor<32x1xf32, #column>
    %xs = tile.reduce add %v dim 1 : tensor<1x32xf32, #all> -> tensor<1x1xf32, #one>
    %xSum = tile.broadcast %xs : tensor<1x1xf32, #one> -> tensor<32x1xf32, #column>
    %scaled = math.fma %scales, %dot, %sum : tensor<32x1xf32, #column>
    %next = math.fma %minimums, %xSum, %scaled : tensor<32x1xf32, #column>
    scf.yield %next : tensor<32x1xf32, #column>
  }
  %result = arith.mulf %product, %factor : tensor<32x1xf32, #column>
  %line = tile.transpose %result [1, 0] : tensor<32x1xf32, #column> -> tensor<1x32xf32, #row>
  tile.store %line, %y[%token, %row] : tensor<1x32xf32, #row>, !y
  tile.return
}
