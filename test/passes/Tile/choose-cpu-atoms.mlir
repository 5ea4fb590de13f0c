// RUN: ingot-opt %s --ingot-choose-cpu-atoms | FileCheck %s --check-prefixes=CHECK,PLAIN
// RUN: ingot-opt %s --ingot-choose-cpu-atoms=target=cpu:x86-64-v4 | FileCheck %s --check-prefixes=CHECK,PLAIN
// RUN: ingot-opt %s --ingot-choose-cpu-atoms=target=cpu:x86-64-v3+avxvnni | FileCheck %s --check-prefixes=CHECK,AVX
// RUN: ingot-opt %s --ingot-choose-cpu-atoms=target=cpu:x86-64-v4+avx512vnni | FileCheck %s --check-prefixes=CHECK,AVX512

#a = #tile.layout<register = [[0, 1], [0, 2]], lane = [[1, 0], [2, 0], [4, 0]]>
#b = #tile.layout<register = [[1, 0], [2, 0]], lane = [[0, 0], [0, 0], [0, 0]]>
#y = #tile.layout<lane = [[1, 0], [2, 0], [4, 0]]>
#a16 = #tile.layout<register = [[0, 1], [0, 2]], lane = [[1, 0], [2, 0], [4, 0], [8, 0]]>
#b16 = #tile.layout<register = [[1, 0], [2, 0]], lane = [[0, 0], [0, 0], [0, 0], [0, 0]]>
#y16 = #tile.layout<lane = [[1, 0], [2, 0], [4, 0], [8, 0]]>
#f = #tile.layout<register = [[0, 1]], lane = [[1, 0], [2, 0], [4, 0]]>
#fb = #tile.layout<register = [[1, 0]], lane = [[0, 0], [0, 0], [0, 0]]>

// The dot instruction is taken where the target has it for as many lanes; what is said of the numbers stays.
// CHECK-LABEL: tile.kernel @Integers
tile.kernel @Integers() grid [] {
  %a = arith.constant dense<1> : tensor<8x4xi8, #a>
  %b = arith.constant dense<2> : tensor<4x1xi8, #b>
  %y = arith.constant dense<0> : tensor<8x1xi32, #y>
  // PLAIN: tile.contract vpmaddubsw {{.*}} run 8 :
  // AVX: tile.contract vpdpbusd {{.*}} run 8 :
  // AVX512: tile.contract vpdpbusd {{.*}} run 8 :
  %0 = tile.contract vpmaddubsw %a, %b, %y run 8 : tensor<8x4xi8, #a>, tensor<4x1xi8, #b>, tensor<8x1xi32, #y>
  // PLAIN: tile.contract vpmaddubsw {{.*}} signed :
  // AVX: tile.contract vpdpbusd {{.*}} signed :
  // AVX512: tile.contract vpdpbusd {{.*}} signed :
  %1 = tile.contract vpmaddubsw %a, %b, %y signed : tensor<8x4xi8, #a>, tensor<4x1xi8, #b>, tensor<8x1xi32, #y>
  %a16 = arith.constant dense<1> : tensor<16x4xi8, #a16>
  %b16 = arith.constant dense<2> : tensor<4x1xi8, #b16>
  %y16 = arith.constant dense<0> : tensor<16x1xi32, #y16>
  // PLAIN: tile.contract vpmaddubsw
  // AVX: tile.contract vpmaddubsw
  // AVX512: tile.contract vpdpbusd
  %2 = tile.contract vpmaddubsw %a16, %b16, %y16 run 8 : tensor<16x4xi8, #a16>, tensor<4x1xi8, #b16>, tensor<16x1xi32, #y16>
  tile.return
}

// Other atoms are what they are.
// CHECK-LABEL: tile.kernel @Floats
tile.kernel @Floats() grid [] {
  %a = arith.constant dense<1.0> : tensor<8x2xf32, #f>
  %b = arith.constant dense<2.0> : tensor<2x1xf32, #fb>
  %y = arith.constant dense<0.0> : tensor<8x1xf32, #y>
  // CHECK: tile.contract fma
  %0 = tile.contract fma %a, %b, %y : tensor<8x2xf32, #f>, tensor<2x1xf32, #fb>, tensor<8x1xf32, #y>
  tile.return
}
