// RUN: ingot-opt %s --split-input-file --verify-diagnostics

// Each constraint of ops on tiles, by its label.

// splat (C1)
#l = #tile.layout<lane = [[1], [2], [4]]>
func.func @f(%x: f16) {
  // expected-error @+1 {{expected a tile of 'f16', got}}
  %t = tile.splat %x : f16 -> tensor<8xf32, #l>
  return
}

// -----

// iota (C1)
#l = #tile.layout<lane = [[1], [2], [4]]>
func.func @f() {
  // expected-error @+1 {{expected 'dim' from 0 to 0, got 1}}
  %t = tile.iota dim 1 : tensor<8xi32, #l>
  return
}

// -----

// broadcast (C1)
#l = #tile.layout<lane = [[1, 0], [2, 0], [4, 0]]>
func.func @f(%x: tensor<8x1xf32, #l>) {
  // expected-error @+1 {{expected shapes that differ in one dimension of size 1}}
  %t = tile.broadcast %x : tensor<8x1xf32, #l> -> tensor<8x1xf32, #l>
  return
}

// -----

// broadcast (C2)
#l = #tile.layout<lane = [[1, 0], [2, 0], [4, 0]]>
#m = #tile.layout<register = [[1, 0], [2, 0], [4, 0]], lane = [[0, 1], [0, 2], [0, 4]]>
func.func @f(%x: tensor<8x1xf32, #l>) {
  // expected-error @+1 {{expected the operand's layout to be}}
  %t = tile.broadcast %x : tensor<8x1xf32, #l> -> tensor<8x8xf32, #m>
  return
}

// -----

// reduce (C2)
#l = #tile.layout<register = [[1]]>
#m = #tile.layout<rank = 1>
func.func @f(%x: tensor<2xi8, #l>) {
  // expected-error @+1 {{expected elements to be f32 or i32, got 'i8'}}
  %t = tile.reduce add %x dim 0 : tensor<2xi8, #l> -> tensor<1xi8, #m>
  return
}

// -----

// reduce (C3)
#l = #tile.layout<register = [[1, 1], [1, 0]]>
#m = #tile.layout<register = [[0, 1]]>
func.func @f(%x: tensor<2x2xf32, #l>) {
  // expected-error @+1 {{expected bases that move along dimension 0 alone or not at all}}
  %t = tile.reduce add %x dim 0 : tensor<2x2xf32, #l> -> tensor<1x2xf32, #m>
  return
}

// -----

// reduce (C4)
#l = #tile.layout<lane = [[1], [2], [4]]>
func.func @f(%x: tensor<8xf32, #l>) {
  // expected-error @+1 {{expected the result to have type 'tensor<1xf32,}}
  %t = tile.reduce add %x dim 0 : tensor<8xf32, #l> -> tensor<8xf32, #l>
  return
}

// -----

// exchange (C2)
#l = #tile.layout<lane = [[1], [2], [4]]>
func.func @f(%x: tensor<8xf32, #l>) {
  // expected-error @+1 {{expected 'distance' from 1 to 7, got 8}}
  %t = tile.exchange %x dim 0 distance 8 : tensor<8xf32, #l>
  return
}

// -----

// transpose (C1)
#l = #tile.layout<lane = [[1, 0], [2, 0], [4, 0]]>
func.func @f(%x: tensor<8x1xf32, #l>) {
  // expected-error @+1 {{expected 'permutation' to be one of 2 dimensions}}
  %t = tile.transpose %x [0, 0] : tensor<8x1xf32, #l> -> tensor<8x1xf32, #l>
  return
}

// -----

// transpose (C2)
#l = #tile.layout<lane = [[1, 0], [2, 0], [4, 0]]>
func.func @f(%x: tensor<8x1xf32, #l>) {
  // expected-error @+1 {{expected the result to have type 'tensor<1x8xf32,}}
  %t = tile.transpose %x [1, 0] : tensor<8x1xf32, #l> -> tensor<8x1xf32, #l>
  return
}

// -----

// reshape (C1)
#l = #tile.layout<lane = [[1], [2], [4]]>
#m = #tile.layout<lane = [[1], [2], [0]]>
func.func @f(%x: tensor<8xf32, #l>) {
  // expected-error @+1 {{expected tiles of as many elements of the same type}}
  %t = tile.reshape %x : tensor<8xf32, #l> -> tensor<4xf32, #m>
  return
}

// -----

// reshape (C2)
#l = #tile.layout<lane = [[1], [2], [4]]>
#m = #tile.layout<lane = [[1, 0], [0, 1], [0, 2]]>
func.func @f(%x: tensor<8xf32, #l>) {
  // expected-error @+1 {{expected the result to have type 'tensor<2x4xf32,}}
  %t = tile.reshape %x : tensor<8xf32, #l> -> tensor<2x4xf32, #m>
  return
}

// -----

// convert_layout (C1)
#l = #tile.layout<lane = [[1], [2], [4]]>
func.func @f(%x: tensor<8xf32, #l>) {
  // expected-error @+1 {{expected tiles of the same shape and elements}}
  %t = tile.convert_layout %x : tensor<8xf32, #l> -> tensor<8xi32, #l>
  return
}

// -----

// contract (C1)
#l = #tile.layout<register = [[0, 1], [0, 2], [1, 0], [2, 0]]>
func.func @f(%x: tensor<4x4xf32, #l>, %y: tensor<4x2xf32, #tile.layout<register = [[0, 1], [1, 0], [2, 0]]>>) {
  // expected-error @+1 {{expected shapes M x K, K x N and M x N}}
  %t = tile.contract fma %x, %y, %x : tensor<4x4xf32, #l>, tensor<4x2xf32, #tile.layout<register = [[0, 1], [1, 0], [2, 0]]>>, tensor<4x4xf32, #l>
  return
}

// -----

// contract (C2)
#l = #tile.layout<register = [[0, 1], [0, 2], [1, 0], [2, 0]]>
func.func @f(%x: tensor<4x4xf32, #l>) {
  // expected-error @+1 {{expected elements of 'vpmaddubsw' to be 'i8' and 'i32', got 'f32', 'f32' and 'f32'}}
  %t = tile.contract vpmaddubsw %x, %x, %x : tensor<4x4xf32, #l>, tensor<4x4xf32, #l>, tensor<4x4xf32, #l>
  return
}

// -----

// contract (C2)
#l = #tile.layout<register = [[0, 1], [0, 2], [1, 0], [2, 0]]>
func.func @f(%x: tensor<4x4xi8, #l>, %y: tensor<4x4xi32, #l>) {
  // expected-error @+1 {{expected elements of 'vpmaddwd' to be 'i8', 'i16' and 'i32', got 'i8', 'i8' and 'i32'}}
  %t = tile.contract vpmaddwd %x, %x, %y : tensor<4x4xi8, #l>, tensor<4x4xi8, #l>, tensor<4x4xi32, #l>
  return
}

// -----

// contract (C3)
#l = #tile.layout<register = [[0, 1], [0, 2]], lane = [[1, 0], [2, 0]]>
func.func @f(%x: tensor<4x4xf32, #l>) {
  // expected-error @+1 {{expected every lane to hold the elements of 'b' that its results need}}
  %t = tile.contract fma %x, %x, %x : tensor<4x4xf32, #l>, tensor<4x4xf32, #l>, tensor<4x4xf32, #l>
  return
}

// -----

// contract (C4)
#l = #tile.layout<register = [[1, 0], [2, 0], [0, 1], [0, 2]]>
func.func @f(%x: tensor<4x4xi8, #l>, %y: tensor<4x4xi32, #l>) {
  // expected-error @+1 {{expected the lowest two register bits of 'a' to be bits 0 and 1 of k}}
  %t = tile.contract vpmaddubsw %x, %x, %y : tensor<4x4xi8, #l>, tensor<4x4xi8, #l>, tensor<4x4xi32, #l>
  return
}

// -----

// contract (C4)
#l = #tile.layout<register = [[0, 1], [0, 2], [1, 0], [2, 0]]>
#b = #tile.layout<register = [[1, 0], [2, 0], [0, 1], [0, 2]]>
func.func @f(%x: tensor<4x4xi8, #l>, %w: tensor<4x4xi16, #b>, %y: tensor<4x4xi32, #l>) {
  // expected-error @+1 {{expected the lowest two register bits of 'b' to be bits 1 and 0 of k}}
  %t = tile.contract vpmaddwd %x, %w, %y : tensor<4x4xi8, #l>, tensor<4x4xi16, #b>, tensor<4x4xi32, #l>
  return
}

// -----

// contract (C5)
#l = #tile.layout<register = [[0, 1], [0, 2], [1, 0], [2, 0]]>
func.func @f(%x: tensor<4x4xf32, #l>) {
  // expected-error @+1 {{expected 'run' to be at least 1, and above 1 only with atoms of i8; and 'signed' only with integer atoms}}
  %t = tile.contract fma %x, %x, %x run 2 : tensor<4x4xf32, #l>, tensor<4x4xf32, #l>, tensor<4x4xf32, #l>
  return
}

// -----

// contract (C5)
#l = #tile.layout<register = [[0, 1], [0, 2], [1, 0], [2, 0]]>
#b = #tile.layout<register = [[2, 0], [1, 0], [0, 1], [0, 2]]>
func.func @f(%x: tensor<4x4xi8, #l>, %w: tensor<4x4xi16, #b>, %y: tensor<4x4xi32, #l>) {
  // expected-error @+1 {{expected 'run' to be at least 1, and above 1 only with atoms of i8; and 'signed' only with integer atoms}}
  %t = tile.contract vpmaddwd %x, %w, %y run 2 : tensor<4x4xi8, #l>, tensor<4x4xi16, #b>, tensor<4x4xi32, #l>
  return
}
