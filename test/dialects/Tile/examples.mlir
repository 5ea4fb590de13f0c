// The examples of the ops' documentation parse and verify as they stand there.

// RUN: ingot-opt %s --split-input-file
// RUN: %python %source/test/dialects/examples.py %source Tile

// 8 rows in 8 lanes, columns in registers.
#l = #tile.layout<register = [[0, 1], [0, 2], [0, 4], [0, 8], [0, 16]], lane = [[1, 0], [2, 0], [4, 0]]>
#s = #tile.layout<lane = [[1, 0], [2, 0], [4, 0]]>
tile.kernel @Rows(%a: !tile.view<[tokens, 64], f32>) grid [tokens] {
  %c0 = arith.constant 0 : index
  %x = tile.load %a[%c0, %c0] : !tile.view<[tokens, 64], f32> -> tensor<8x32xf32, #l>
  %y = tile.reduce add %x dim 1 : tensor<8x32xf32, #l> -> tensor<8x1xf32, #s>
  %z = tile.broadcast %y : tensor<8x1xf32, #s> -> tensor<8x32xf32, #l>
  tile.return
}

// -----

#l = #tile.layout<lane = [[1, 0], [2, 0], [4, 0]]>
tile.kernel @Scalars(%table: !tile.view<[sequences, 512], i32>, %scales: !tile.view<[tokens, 18], f32>) grid [tokens] {
  %s = tile.block_id x
  %c = arith.constant 1.0 : f32
  %page = tile.read %table[%s, %s] : !tile.view<[sequences, 512], i32> -> i32
  tile.write %c, %scales[%s, %s] : f32, !tile.view<[tokens, 18], f32>
  %t = tile.splat %c : f32 -> tensor<8x1xf32, #l>
  tile.return
}

// -----

#l = #tile.layout<register = [[0, 8]], lane = [[0, 1], [0, 2], [0, 4]]>
tile.kernel @Numbers() grid [1] {
  %i = tile.iota dim 1 : tensor<1x16xi32, #l>
  tile.return
}

// -----

#l = #tile.layout<register = [[0, 8], [0, 16], [0, 32]], lane = [[0, 1], [0, 2], [0, 4]]>
tile.kernel @Neighbours() grid [1] {
  %x = arith.constant dense<1.0> : tensor<1x64xf32, #l>
  %y = tile.exchange %x dim 1 distance 1 : tensor<1x64xf32, #l>
  tile.return
}

// -----

#a = #tile.layout<register = [[0, 1], [0, 2]], lane = [[1, 0], [2, 0], [4, 0]]>
#b = #tile.layout<register = [[1, 0], [2, 0]], lane = [[0, 1], [0, 2], [0, 4]]>
tile.kernel @Transposed() grid [1] {
  %x = arith.constant dense<1.0> : tensor<8x4xf32, #a>
  %y = tile.transpose %x [1, 0] : tensor<8x4xf32, #a> -> tensor<4x8xf32, #b>
  tile.return
}

// -----

#a = #tile.layout<register = [[0, 4, 0], [0, 8, 0], [0, 16, 0]], lane = [[0, 0, 1], [0, 1, 0], [0, 2, 0]]>
#b = #tile.layout<register = [[0, 8], [0, 16], [0, 32]], lane = [[0, 1], [0, 2], [0, 4]]>
tile.kernel @Relabelled() grid [1] {
  %x = arith.constant dense<1.0> : tensor<1x32x2xf32, #a>
  %y = tile.reshape %x : tensor<1x32x2xf32, #a> -> tensor<1x64xf32, #b>
  tile.return
}

// -----

#lanes = #tile.layout<lane = [[0, 1], [0, 2], [0, 4]]>
#replicated = #tile.layout<register = [[0, 1], [0, 2], [0, 4]], lane = [[0, 0], [0, 0], [0, 0]]>
tile.kernel @Converted() grid [1] {
  %x = arith.constant dense<1.0> : tensor<1x8xf32, #lanes>
  %y = tile.convert_layout %x : tensor<1x8xf32, #lanes> -> tensor<1x8xf32, #replicated>
  tile.return
}

// -----

#a = #tile.layout<register = [[0, 1], [0, 2], [0, 4], [0, 8], [0, 16]], lane = [[1, 0], [2, 0], [4, 0]]>
#b = #tile.layout<register = [[1, 0], [2, 0], [4, 0], [8, 0], [16, 0]], lane = [[0, 0], [0, 0], [0, 0]]>
#w = #tile.layout<register = [[2, 0], [1, 0], [4, 0], [8, 0], [16, 0]], lane = [[0, 0], [0, 0], [0, 0]]>
#c = #tile.layout<lane = [[1, 0], [2, 0], [4, 0]]>
tile.kernel @Dot() grid [1] {
  %codes = arith.constant dense<1> : tensor<8x32xi8, #a>
  %x = arith.constant dense<1> : tensor<32x1xi8, #b>
  %w = arith.constant dense<1> : tensor<32x1xi16, #w>
  %acc = arith.constant dense<0> : tensor<8x1xi32, #c>
  %y = tile.contract vpmaddubsw %codes, %x, %acc run 8 : tensor<8x32xi8, #a>, tensor<32x1xi8, #b>, tensor<8x1xi32, #c>
  %z = tile.contract vpmaddwd %codes, %w, %acc signed : tensor<8x32xi8, #a>, tensor<32x1xi16, #w>, tensor<8x1xi32, #c>
  tile.return
}

// -----

#row = #tile.layout<register = [[0, 8], [0, 16], [0, 32]], lane = [[0, 1], [0, 2], [0, 4]]>
tile.kernel @Add(%a: !tile.view<[tokens, 64], f32>, %b: !tile.view<[tokens, 64], f32>) grid [tokens] {
  %t = tile.block_id x
  %c0 = arith.constant 0 : index
  %x = tile.load %a[%t, %c0] : !tile.view<[tokens, 64], f32> -> tensor<1x64xf32, #row>
  %y = arith.addf %x, %x : tensor<1x64xf32, #row>
  tile.store %y, %b[%t, %c0] : tensor<1x64xf32, #row>, !tile.view<[tokens, 64], f32>
  tile.return
}

// -----

#l = #tile.layout<register = [[1, 0], [2, 0]], lane = [[0, 1], [0, 2], [0, 4]]>
tile.kernel @Edges(%a: !tile.view<[tokens, 64], f32>) grid [tokens] {
  %k = arith.constant 0 : index
  %x = tile.load %a[%k, %k] masked : !tile.view<[tokens, 64], f32> -> tensor<4x8xf32, #l>
  tile.store %x, %a[%k, %k] masked : tensor<4x8xf32, #l>, !tile.view<[tokens, 64], f32>
  tile.return
}

// -----

#l = #tile.layout<register = [[1, 0], [2, 0], [4, 0], [8, 0], [16, 0], [32, 0], [0, 8], [0, 16], [0, 32]],
                  lane = [[0, 1], [0, 2], [0, 4]]>
tile.kernel @Asynchronous(%a: !tile.view<[tokens, 576], f16>) grid [tokens ceildiv 64] {
  %c0 = arith.constant 0 : index
  %acc = arith.constant dense<0.0> : tensor<64x64xf32, #l>
  %s = tile.alloc : !tile.view<[64, 64], f16, shared>
  %t = tile.copy_async %a[%c0, %c0] to %s[%c0, %c0] [64, 64]
      : !tile.view<[tokens, 576], f16> to !tile.view<[64, 64], f16, shared>
  %acc1 = tile.wait %t (%acc : tensor<64x64xf32, #l>)
  tile.wait %t
  tile.return
}

// -----

#consumer = #tile.layout<register = [[0, 32]], lane = [[0, 1], [0, 2], [0, 4], [0, 8], [0, 16]], warp = [[0, 0], [0, 0]]>
tile.kernel @Roles(%a: !tile.view<[8, 576], f32>) grid [] {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  %n = arith.constant 8 : index
  %s = tile.alloc : !tile.view<[4, 64], f32, shared>
  %ring = tile.ring slots 4 readers 1
  tile.roles role 1 {
    scf.for %u = %c0 to %n step %c1 {
      %slot = arith.remui %u, %c4 : index
      tile.acquire %ring[%u]
      %t = tile.copy_async %a[%c0, %u] to %s[%slot, %c0] [1, 64]
          : !tile.view<[8, 576], f32> to !tile.view<[4, 64], f32, shared>
      tile.commit %ring[%u] (%t)
    }
  } role 4 {
    scf.for %u = %c0 to %n step %c1 {
      %slot = arith.remui %u, %c4 : index
      tile.await %ring[%u]
      %x = tile.load %s[%slot, %c0] : !tile.view<[4, 64], f32, shared> -> tensor<1x64xf32, #consumer>
      tile.release %ring[%u]
    }
  }
  tile.return
}

// -----

tile.kernel @Steps(%a: !tile.view<[64], f32>) grid [] {
  %u = arith.constant 0 : index
  %s = tile.alloc : !tile.view<[64], f32, shared>
  %ring = tile.ring slots 4 readers 1
  tile.acquire %ring[%u]
  %t0 = tile.copy_async %a[%u] to %s[%u] [32] : !tile.view<[64], f32> to !tile.view<[64], f32, shared>
  %t1 = tile.copy_async %a[%u] to %s[%u] [32] : !tile.view<[64], f32> to !tile.view<[64], f32, shared>
  tile.commit %ring[%u] (%t0, %t1)
  tile.commit %ring[%u]
  tile.await %ring[%u]
  tile.release %ring[%u]
  tile.return
}

// -----

#l = #tile.layout<register = [[1, 0], [2, 0]], lane = [[4, 0], [8, 0], [0, 1], [0, 2], [0, 4]]>
#n = #tile.layout<lane = [[0, 0], [0, 0], [0, 1], [0, 2], [0, 4]]>
#m = #tile.layout<register = [[1, 0], [2, 0]], lane = [[4, 0], [8, 0], [0, 0], [0, 0], [0, 0]]>
tile.kernel @Indexed(%table: !tile.view<[1024, 64], f32>, %keys: !tile.view<[64, 3, 32, 64], f16>) grid [1] {
  %c0 = arith.constant 0 : index
  %positions = tile.iota dim 1 : tensor<1x8xi32, #n>
  %pairs = tile.iota dim 0 : tensor<16x1xi32, #m>
  %c = tile.gather %table[%c0, %c0] by %positions, %pairs [0, 1]
      : !tile.view<[1024, 64], f32>, tensor<1x8xi32, #n>, tensor<16x1xi32, #m> -> tensor<16x8xf32, #l>
  %k = arith.truncf %c : tensor<16x8xf32, #l> to tensor<16x8xf16, #l>
  %m = arith.cmpi slt, %positions, %positions : tensor<1x8xi32, #n>
  tile.scatter %k, %keys[%c0, %c0, %c0, %c0] by %positions, %positions, %pairs [0, 2, 3] where %m : tensor<1x8xi1, #n>
      : tensor<16x8xf16, #l>, !tile.view<[64, 3, 32, 64], f16>, tensor<1x8xi32, #n>, tensor<1x8xi32, #n>, tensor<16x1xi32, #m>
  tile.return
}

// -----

tile.kernel @Announced(%keys: !tile.view<[64, 3, 64, 16], f16>) grid [1] {
  %page = arith.constant 5 : index
  %head = arith.constant 1 : index
  %c0 = arith.constant 0 : index
  tile.prefetch_line %keys[%page, %head, %c0, %c0] : !tile.view<[64, 3, 64, 16], f16>
  tile.return
}
