// RUN: ingot-opt %s --ingot-lower-tile-to-nvptx --split-input-file --verify-diagnostics

tile.kernel @Shared() grid [] {
  // expected-error @+1 {{cannot be lowered to NVPTX: its shared memory of 65536 bytes exceeds 49152}}
  %s = tile.alloc : !tile.view<[64, 256], f32, shared>
  tile.return
}

// -----

tile.kernel @Copy(%a: !tile.view<[tokens, 576], f16>) grid [] {
  %c0 = arith.constant 0 : index
  %s = tile.alloc : !tile.view<[64, 64], f16, shared>
  // expected-error @+1 {{cannot be lowered to NVPTX: asynchronous copies are not implemented}}
  %t = tile.copy_async %a[%c0, %c0] to %s[%c0, %c0] [64, 64] : !tile.view<[tokens, 576], f16> to !tile.view<[64, 64], f16, shared>
  tile.return
}

// -----

tile.kernel @Loop() grid [] {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  scf.for %i = %c0 to %c1 step %c1 {
    // expected-error @+1 {{cannot be lowered to NVPTX: expected it outside of loops}}
    tile.await_launches
  }
  tile.return
}

// -----

#c = #tile.layout<register = [[0, 1], [0, 2], [0, 4]], lane = [[0, 8], [0, 16]]>
#s = #tile.layout<lane = [[0, 0], [0, 0]]>
tile.kernel @Words(%w: !tile.view<[64, 64], #tile.packed<q5_1, rows = 8, planar>>) grid [] {
  %c0 = arith.constant 0 : index
  // expected-error @+1 {{cannot be lowered to NVPTX: a lane has 8 columns of 1 bits, which is no whole word}}
  %c, %s, %m = tile.decode %w[%c0, %c0] : !tile.view<[64, 64], #tile.packed<q5_1, rows = 8, planar>>
      -> tensor<1x32xi8, #c>, tensor<1x1xf32, #s>, tensor<1x1xf32, #s>
  tile.return
}

// -----

#l = #tile.layout<lane = [[1], [2], [4]]>
tile.kernel @Library() grid [] {
  %x = arith.constant dense<1.0> : tensor<8xf32, #l>
  // expected-error @+1 {{it has no instruction; write it with math.exp2 and arithmetic}}
  %y = math.sin %x : tensor<8xf32, #l>
  tile.return
}

// -----

#l = #tile.layout<lane = [[1], [2], [4]]>
tile.kernel @Values() grid [] {
  // expected-error @+1 {{expected a constant with one value for all elements}}
  %x = arith.constant dense<[0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]> : tensor<8xf32, #l>
  tile.return
}

// -----

// A layout of one warp has 32 lanes.
#l = #tile.layout<lane = [[1], [2], [4], [8], [16], [32]]>
tile.kernel @Lanes() grid [] {
  // expected-error @+1 {{expected a tile of at most 256 registers, 32 lanes, 32 warps and one block}}
  %x = arith.constant dense<1.0> : tensor<64xf32, #l>
  tile.return
}

// -----

#l = #tile.layout<warp = [[0, 1], [0, 2]]>
// expected-error @+1 {{cannot be lowered to NVPTX: it has tiles of 4 warps and only 2}}
tile.kernel @Warps() grid [] threads 64 {
  %x = arith.constant dense<1.0> : tensor<1x4xf32, #l>
  tile.return
}

// -----

// Matrix instructions take their fragments, nothing else.
#a = #tile.layout<register = [[0, 1], [0, 2], [0, 4], [0, 8]], lane = [[1, 0], [2, 0], [4, 0], [8, 0]]>
#b = #tile.layout<register = [[1, 0], [2, 0], [4, 0], [8, 0]], lane = [[0, 1], [0, 2], [0, 4], [0, 0]]>
#y = #tile.layout<register = [[0, 1], [0, 2], [0, 4]], lane = [[1, 0], [2, 0], [4, 0], [8, 0]]>
tile.kernel @Fragments() grid [] {
  %a = arith.constant dense<1.0> : tensor<16x16xf16, #a>
  %b = arith.constant dense<1.0> : tensor<16x8xf16, #b>
  %y = arith.constant dense<1.0> : tensor<16x8xf32, #y>
  // expected-error @+1 {{expected the fragments of mma.m16n8k16 as layouts}}
  %z = tile.contract mma_m16n8k16 %a, %b, %y : tensor<16x16xf16, #a>, tensor<16x8xf16, #b>, tensor<16x8xf32, #y>
  tile.return
}
