// RUN: ingot-opt %s --ingot-choose-cpu-atoms=target=cpu:x86-64-v3 --ingot-lower-tile-to-cpu | ingot-translate --emit-assembly --cpu=cpu:x86-64-v3 -o %t.v3.s
// RUN: ingot-opt %s --ingot-choose-cpu-atoms=target=cpu:x86-64-v3+avxvnni --ingot-lower-tile-to-cpu | ingot-translate --emit-assembly --cpu=cpu:x86-64-v3+avxvnni -o %t.avx.s
// RUN: ingot-opt %s --ingot-choose-cpu-atoms=target=cpu:x86-64-v4+avx512vnni --ingot-lower-tile-to-cpu | ingot-translate --emit-assembly --cpu=cpu:x86-64-v4+avx512vnni -o %t.avx512.s

// No processor is needed to see what the code is: it is assembled and disassembled. AVX-VNNI has the three-byte VEX
// prefix (c4), AVX-512 VNNI the EVEX one (62); neither has a 16-bit sum left.
// RUN: llvm-mc -filetype=obj -triple=x86_64 %t.v3.s -o - | llvm-objdump -d --no-leading-addr - | FileCheck %s --check-prefix=V3
// RUN: llvm-mc -filetype=obj -triple=x86_64 %t.avx.s -o - | llvm-objdump -d --no-leading-addr - | FileCheck %s --check-prefix=AVX
// RUN: llvm-mc -filetype=obj -triple=x86_64 %t.avx512.s -o - | llvm-objdump -d --no-leading-addr - | FileCheck %s --check-prefix=AVX512

// V3-NOT: vpdpbusd
// V3: vpmaddubsw
// V3: vpmaddwd

// AVX-NOT: {{vpmaddubsw|vpmaddwd}}
// AVX: c4 e2 {{.*}} 50 {{.*}} vpdpbusd
// AVX-NOT: {{vpmaddubsw|vpmaddwd}}

// AVX512-NOT: {{vpmaddubsw|vpmaddwd}}
// AVX512: 62 {{.*}} 50 {{.*}} vpdpbusd
// AVX512-NOT: {{vpmaddubsw|vpmaddwd}}

#codes = #tile.layout<register = [[0, 1], [0, 2], [0, 4], [0, 8], [0, 16]], lane = [[1, 0], [2, 0], [4, 0]]>
#sums = #tile.layout<lane = [[1, 0], [2, 0], [4, 0]]>
#x = #tile.layout<register = [[0, 1], [0, 2], [0, 4], [0, 8], [0, 16]], lane = [[0, 0], [0, 0], [0, 0]]>
#activations = #tile.layout<register = [[1, 0], [2, 0], [4, 0], [8, 0], [16, 0]], lane = [[0, 0], [0, 0], [0, 0]]>

tile.kernel @Dot(%w: !tile.view<[1536, 576], #tile.packed<q4_1, rows = 8>>, %x: !tile.view<[tokens, 576], i8>,
                 %y: !tile.view<[tokens, 1536], i32>) grid [192, tokens] {
  %group = tile.block_id x
  %token = tile.block_id y
  %c0 = arith.constant 0 : index
  %c8 = arith.constant 8 : index
  %c32 = arith.constant 32 : index
  %c576 = arith.constant 576 : index
  %row = arith.muli %group, %c8 : index
  %z = arith.constant dense<0> : tensor<8x1xi32, #sums>
  %d = scf.for %k = %c0 to %c576 step %c32 iter_args(%acc = %z) -> (tensor<8x1xi32, #sums>) {
    %c, %s, %m = tile.decode %w[%row, %k] : !tile.view<[1536, 576], #tile.packed<q4_1, rows = 8>>
        -> tensor<8x32xi8, #codes>, tensor<8x1xf32, #sums>, tensor<8x1xf32, #sums>
    %a = tile.load %x[%token, %k] : !tile.view<[tokens, 576], i8> -> tensor<1x32xi8, #x>
    %b = tile.transpose %a [1, 0] : tensor<1x32xi8, #x> -> tensor<32x1xi8, #activations>
    %n = tile.contract vpmaddubsw %c, %b, %acc run 8 : tensor<8x32xi8, #codes>, tensor<32x1xi8, #activations>, tensor<8x1xi32, #sums>
    scf.yield %n : tensor<8x1xi32, #sums>
  }
  %t = tile.transpose %d [1, 0] : tensor<8x1xi32, #sums> -> tensor<1x8xi32, #tile.layout<lane = [[0, 1], [0, 2], [0, 4]]>>
  tile.store %t, %y[%token, %row] : tensor<1x8xi32, #tile.layout<lane = [[0, 1], [0, 2], [0, 4]]>>, !tile.view<[tokens, 1536], i32>
  tile.return
}
