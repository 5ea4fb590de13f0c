// RUN: ingot-opt %s --ingot-lower-tile-to-cpu --split-input-file --verify-diagnostics

// A block's memory is on the stack of its thread, which is not endless.
tile.kernel @LargeMemory() grid [] {
  %s = tile.alloc : !tile.view<[512, 512], f16, shared>
  // expected-error @+1 {{expected at most 524288 bytes of a block's memory on a CPU, got 524352}}
  %t = tile.alloc : !tile.view<[16], f32, shared>
  tile.return
}

// -----

// Functions for which LLVM would call a library are refused.
#l = #tile.layout<lane = [[1], [2], [4]]>
tile.kernel @Library() grid [] {
  %x = arith.constant dense<1.0> : tensor<8xf32, #l>
  // expected-error @+1 {{has no instruction on a CPU; write it with math.exp2 and arithmetic}}
  %y = math.sin %x : tensor<8xf32, #l>
  tile.return
}

// -----

// 2^x is for f32.
#l = #tile.layout<lane = [[1], [2], [4]]>
tile.kernel @HalfExp2() grid [] {
  %x = arith.constant dense<1.0> : tensor<8xf16, #l>
  // expected-error @+1 {{expected tiles of f32 on a CPU}}
  %y = math.exp2 %x : tensor<8xf16, #l>
  tile.return
}

// -----

// Packed elements cannot be compared: predicates are not packed.
#l = #tile.layout<register = [[8], [16]], lane = [[1], [2], [4]]>
tile.kernel @PackedCompare() grid [] {
  %x = arith.constant dense<1> : tensor<32xi8, #l>
  // expected-error @+1 {{expected tiles whose elements are not packed, as those of 32 bits}}
  %y = arith.cmpi slt, %x, %x : tensor<32xi8, #l>
  tile.return
}

// -----

// Loops other than scf.for and scf.if do not carry tiles.
tile.kernel @While() grid [] {
  %true = arith.constant true
  // expected-error @+1 {{'scf.while' op cannot be lowered to a CPU}}
  scf.while : () -> () {
    scf.condition(%true)
  } do {
    scf.yield
  }
  tile.return
}

// -----

// Fragments of matrix instructions belong to GPUs.
#a = #tile.layout<register = [[0, 1], [0, 2], [0, 4], [0, 8]], lane = [[1, 0], [2, 0], [4, 0], [8, 0]]>
#b = #tile.layout<register = [[1, 0], [2, 0], [4, 0], [8, 0]], lane = [[0, 1], [0, 2], [0, 4], [0, 0]]>
#y = #tile.layout<register = [[0, 1], [0, 2], [0, 4]], lane = [[1, 0], [2, 0], [4, 0], [8, 0]]>
tile.kernel @Mma() grid [] {
  %a = arith.constant dense<1.0> : tensor<16x16xf16, #a>
  %b = arith.constant dense<1.0> : tensor<16x8xf16, #b>
  %y = arith.constant dense<1.0> : tensor<16x8xf32, #y>
  // expected-error @+1 {{cannot be lowered to a CPU: it is made of a GPU's instruction}}
  %z = tile.contract mma_m16n8k16 %a, %b, %y : tensor<16x16xf16, #a>, tensor<16x8xf16, #b>, tensor<16x8xf32, #y>
  tile.return
}
