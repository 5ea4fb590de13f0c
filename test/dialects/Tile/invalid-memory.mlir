// RUN: ingot-opt %s --split-input-file --verify-diagnostics

// Each constraint of ops that touch memory, by its label.

// load (C1) packed
#l = #tile.layout<lane = [[1], [2], [4]]>
func.func @f(%v: !tile.view<[8, 32], #tile.packed<q4_1, rows = 8>>, %i: index) {
  // expected-error @+1 {{expected 'view' to be of elements, got a packed one}}
  %t = tile.load %v[%i, %i] : !tile.view<[8, 32], #tile.packed<q4_1, rows = 8>> -> tensor<8xf32, #l>
  return
}

// -----

// prefetch (C1)
func.func @f(%v: !tile.view<[8, 32], i8>, %i: index) {
  // expected-error @+1 {{expected 'view' to have an interleaved packing, got '!tile.view<[8, 32], i8>'}}
  tile.prefetch %v[%i, %i] : !tile.view<[8, 32], i8>
  return
}

// -----

// prefetch (C1) planar
func.func @f(%v: !tile.view<[8, 32], #tile.packed<q4_1, rows = 8, planar>>, %i: index) {
  // expected-error @+1 {{expected 'view' to have an interleaved packing}}
  tile.prefetch %v[%i, %i] : !tile.view<[8, 32], #tile.packed<q4_1, rows = 8, planar>>
  return
}

// -----

// load (C1) elements
#l = #tile.layout<lane = [[1], [2], [4]]>
func.func @f(%v: !tile.view<[8], f16>, %i: index) {
  // expected-error @+1 {{expected elements of type 'f16' as the view has, got 'f32'}}
  %t = tile.load %v[%i] : !tile.view<[8], f16> -> tensor<8xf32, #l>
  return
}

// -----

// load (C2)
#l = #tile.layout<lane = [[1], [2], [4]]>
func.func @f(%v: !tile.view<[8, 8], f32>, %i: index) {
  // expected-error @+1 {{expected 2 offsets, got 1}}
  %t = tile.load %v[%i] : !tile.view<[8, 8], f32> -> tensor<8xf32, #l>
  return
}

// -----

// store (C3)
#l = #tile.layout<lane = [[0, 1], [0, 2], [0, 4]]>
func.func @f(%t: tensor<1x8xf32, #l>, %v: !tile.view<[8], f32>, %i: index) {
  // expected-error @+1 {{expected a tile of at most 1 dimensions, got 2}}
  tile.store %t, %v[%i] : tensor<1x8xf32, #l>, !tile.view<[8], f32>
  return
}

// -----

// load (C4)
#l = #tile.layout<lane = [[1], [2], [4]]>
func.func @f(%v: !tile.view<[?], f32>, %i: index) {
  // expected-error @+1 {{expected a known size of the view where a masked tile spans it, got ? for dimension #0 of the tile}}
  %t = tile.load %v[%i] masked : !tile.view<[?], f32> -> tensor<8xf32, #l>
  return
}

// -----

// prefetch_line (C1)
func.func @f(%v: !tile.view<[8, 64], #tile.packed<q4_1, rows = 8>>, %i: index) {
  // expected-error @+1 {{expected 'view' to be of elements, got a packed one}}
  tile.prefetch_line %v[%i, %i] : !tile.view<[8, 64], #tile.packed<q4_1, rows = 8>>
  return
}

// -----

// prefetch_line (C2)
func.func @f(%v: !tile.view<[8, 8], f32>, %i: index) {
  // expected-error @+1 {{expected 2 offsets, got 1}}
  tile.prefetch_line %v[%i] : !tile.view<[8, 8], f32>
  return
}

// -----

// read (C1)
func.func @f(%v: !tile.view<[8], f32>, %i: index) {
  // expected-error @+1 {{expected elements of type 'f32' as the view has, got 'i32'}}
  %t = tile.read %v[%i] : !tile.view<[8], f32> -> i32
  return
}

// -----

// write (C2)
func.func @f(%v: !tile.view<[8], f32>, %x: f32) {
  // expected-error @+1 {{expected 1 offsets, got 0}}
  tile.write %x, %v[] : f32, !tile.view<[8], f32>
  return
}

// -----

// decode (C1)
func.func @f(%v: !tile.view<[8, 32], i8>, %i: index) {
  // expected-error @+1 {{expected 'view' to be packed}}
  %c = tile.decode %v[%i, %i] : !tile.view<[8, 32], i8> -> tensor<8xf32, #tile.layout<lane = [[1], [2], [4]]>>
  return
}

// -----

// decode (C2)
func.func @f(%v: !tile.view<[8, 32], #tile.packed<q4_1, rows = 8>>, %i: index) {
  // expected-error @+1 {{expected 3 results, got 1}}
  %c = tile.decode %v[%i, %i] : !tile.view<[8, 32], #tile.packed<q4_1, rows = 8>> -> tensor<8xf32, #tile.layout<lane = [[1], [2], [4]]>>
  return
}

// -----

// decode (C3)
#c = #tile.layout<register = [[0, 1], [0, 2], [0, 4], [1, 0], [2, 0]], lane = [[0, 8], [0, 16], [4, 0]]>
#s = #tile.layout<lane = [[1, 0], [2, 0], [4, 0]]>
func.func @f(%v: !tile.view<[8, 32], #tile.packed<q4_1, rows = 8>>, %i: index) {
  // expected-error @+1 {{expected result #0 to have type 'tensor<8x32xi8,}}
  %c, %d, %e = tile.decode %v[%i, %i] : !tile.view<[8, 32], #tile.packed<q4_1, rows = 8>> -> tensor<8x32xi8, #c>, tensor<8x1xf32, #s>, tensor<8x1xf32, #s>
  return
}

// -----

// alloc (C1)
func.func @f() {
  // expected-error @+1 {{expected the view to be shared}}
  %v = tile.alloc : !tile.view<[8], f32>
  return
}

// -----

// copy_async (C1)
func.func @f(%v: !tile.view<[8], f32>, %i: index) {
  // expected-error @+1 {{expected a copy from a global to a shared view}}
  %t = tile.copy_async %v[%i] to %v[%i] [8] : !tile.view<[8], f32> to !tile.view<[8], f32>
  return
}

// -----

// copy_async (C2)
func.func @f(%v: !tile.view<[8], f32>, %s: !tile.view<[8], f32, shared>, %i: index) {
  // expected-error @+1 {{expected 1 and 1 offsets, got 1 and 2}}
  %t = tile.copy_async %v[%i] to %s[%i, %i] [8] : !tile.view<[8], f32> to !tile.view<[8], f32, shared>
  return
}

// -----

// copy_async (C3)
func.func @f(%v: !tile.view<[8], f32>, %s: !tile.view<[8], f32, shared>, %i: index) {
  // expected-error @+1 {{expected at most 1 sizes, got 2}}
  %t = tile.copy_async %v[%i] to %s[%i] [8, 8] : !tile.view<[8], f32> to !tile.view<[8], f32, shared>
  return
}

// -----

// decode (C3) planar: lanes hold whole words
#c = #tile.layout<register = [[0, 1]], lane = [[0, 2], [0, 4], [0, 8], [0, 16]]>
#s = #tile.layout<lane = [[0, 0], [0, 0], [0, 0], [0, 0]]>
tile.kernel @k(%v: !tile.view<[8, 32], #tile.packed<q4_1, rows = 8, planar>>) grid [1] {
  %i = arith.constant 0 : index
  // expected-error @+1 {{expected codes of i8 or f16 whose lowest registers are 8 columns of a group of q4_1}}
  %c, %d, %e = tile.decode %v[%i, %i] : !tile.view<[8, 32], #tile.packed<q4_1, rows = 8, planar>> -> tensor<1x32xi8, #c>, tensor<1x1xf32, #s>, tensor<1x1xf32, #s>
  tile.return
}

// -----

// decode (C4) masks of planar packings
#c = #tile.layout<register = [[0, 1], [0, 2], [0, 4], [0, 8], [0, 16]], lane = [[1, 0], [2, 0], [4, 0]]>
#s = #tile.layout<lane = [[1, 0], [2, 0], [4, 0]]>
tile.kernel @k(%v: !tile.view<[8, 32], #tile.packed<q4_1, rows = 8>>) grid [1] {
  %i = arith.constant 0 : index
  // expected-error @+1 {{expected 'masked' with a planar packing only}}
  %c, %d, %e = tile.decode %v[%i, %i] masked : !tile.view<[8, 32], #tile.packed<q4_1, rows = 8>> -> tensor<8x32xi8, #c>, tensor<8x1xf32, #s>, tensor<8x1xf32, #s>
  tile.return
}

// -----

// gather (C4) a tile of indices for each dimension
#l = #tile.layout<lane = [[0, 1], [0, 2]]>
tile.kernel @k(%v: !tile.view<[8, 32], f32>) grid [1] {
  %i = arith.constant 0 : index
  %j = tile.iota dim 1 : tensor<1x4xi32, #l>
  // expected-error @+1 {{expected one index tile for each of 2 dimensions, got 1}}
  %g = tile.gather %v[%i, %i] by %j [0, 1] : !tile.view<[8, 32], f32>, tensor<1x4xi32, #l> -> tensor<1x4xf32, #l>
  tile.return
}

// -----

// gather (C4) dimensions ascend
#l = #tile.layout<lane = [[0, 1], [0, 2]]>
tile.kernel @k(%v: !tile.view<[8, 32], f32>) grid [1] {
  %i = arith.constant 0 : index
  %j = tile.iota dim 1 : tensor<1x4xi32, #l>
  // expected-error @+1 {{expected 'dims' to ascend below 2, got 2}}
  %g = tile.gather %v[%i, %i] by %j [2] : !tile.view<[8, 32], f32>, tensor<1x4xi32, #l> -> tensor<1x4xf32, #l>
  tile.return
}

// -----

// scatter (C5) the layout of indices
#l = #tile.layout<lane = [[0, 1], [0, 2]]>
#m = #tile.layout<register = [[0, 1], [0, 2]]>
tile.kernel @k(%v: !tile.view<[8, 32], f32>) grid [1] {
  %i = arith.constant 0 : index
  %j = tile.iota dim 1 : tensor<1x4xi32, #m>
  %x = arith.constant dense<1.0> : tensor<1x4xf32, #l>
  // expected-error @+1 {{expected indices and mask to have the layout of}}
  tile.scatter %x, %v[%i, %i] by %j [1] : tensor<1x4xf32, #l>, !tile.view<[8, 32], f32>, tensor<1x4xi32, #m>
  tile.return
}

// -----

// gather (C1) elements
#l = #tile.layout<lane = [[0, 1], [0, 2]]>
tile.kernel @k(%v: !tile.view<[8, 32], f16>) grid [1] {
  %i = arith.constant 0 : index
  %j = tile.iota dim 1 : tensor<1x4xi32, #l>
  // expected-error @+1 {{expected elements of type 'f16' as the view has, got 'f32'}}
  %g = tile.gather %v[%i, %i] by %j [1] : !tile.view<[8, 32], f16>, tensor<1x4xi32, #l> -> tensor<1x4xf32, #l>
  tile.return
}

// -----

// gather (C2) offsets
#l = #tile.layout<lane = [[0, 1], [0, 2]]>
tile.kernel @k(%v: !tile.view<[8, 32], f32>) grid [1] {
  %i = arith.constant 0 : index
  %j = tile.iota dim 1 : tensor<1x4xi32, #l>
  // expected-error @+1 {{expected 2 offsets, got 1}}
  %g = tile.gather %v[%i] by %j [1] : !tile.view<[8, 32], f32>, tensor<1x4xi32, #l> -> tensor<1x4xf32, #l>
  tile.return
}

// -----

// gather (C3) rank
#l = #tile.layout<lane = [[0, 1], [0, 2]]>
tile.kernel @k(%v: !tile.view<[32], f32>) grid [1] {
  %i = arith.constant 0 : index
  %j = tile.iota dim 1 : tensor<1x4xi32, #l>
  // expected-error @+1 {{expected a tile of at most 1 dimensions, got 2}}
  %g = tile.gather %v[%i] by %j [0] : !tile.view<[32], f32>, tensor<1x4xi32, #l> -> tensor<1x4xf32, #l>
  tile.return
}
