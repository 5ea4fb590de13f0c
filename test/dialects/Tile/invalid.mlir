// RUN: ingot-opt %s --split-input-file --verify-diagnostics

// Each constraint of views, layouts, kernels and launches, by its label; those of ops on tiles are in
// invalid-memory.mlir and invalid-compute.mlir.

// The version of the dialect is one that this compiler knows.
// expected-error @+1 {{expected 'tile.version' to be a 64-bit integer from 1 to 1, got 2 : i64}}
module attributes {tile.version = 2 : i64} {}

// -----

// layout (C1) rank
// expected-error @+1 {{expected a layout of rank 2, got 1}}
func.func @f(%x: tensor<8x1xf32, #tile.layout<lane = [[1], [2], [4]]>>) { return }

// -----

// layout (C2) sizes
// expected-error @+1 {{expected sizes of a tile to be powers of two, got 6}}
func.func @f(%x: tensor<6xf32, #tile.layout<lane = [[1], [2], [4]]>>) { return }

// -----

// layout (C2) coordinates
// expected-error @+1 {{expected coordinates of bases below 4 in dimension 0, got 4}}
func.func @f(%x: tensor<4xf32, #tile.layout<lane = [[1], [2], [4]]>>) { return }

// -----

// layout (C3) surjective
// expected-error @+1 {{expected a layout that reaches every element}}
func.func @f(%x: tensor<8xf32, #tile.layout<lane = [[1], [2], [3]]>>) { return }

// -----

// layout (C4) elements
// expected-error @+1 {{expected elements of a tile to be i1, i8, i16, i32, f16, bf16 or f32, got 'f64'}}
func.func @f(%x: tensor<8xf64, #tile.layout<lane = [[1], [2], [4]]>>) { return }

// -----

// layout: order of inputs
// expected-error @+1 {{expected 'register', 'lane', 'warp' and 'block' in this order, got 'register'}}
func.func @f(%x: tensor<8xf32, #tile.layout<lane = [[1], [2]], register = [[4]]>>) { return }

// -----

// layout: bases of one length
// expected-error @+1 {{expected a basis of 1 coordinates, got 2}}
func.func @f(%x: tensor<8xf32, #tile.layout<lane = [[1], [2, 4]]>>) { return }

// -----

// packed (C1) format
// expected-error @+1 {{expected the name of a numeric format, got 'q17'}}
func.func @f(%x: !tile.view<[8, 32], #tile.packed<q17, rows = 8>>) { return }

// -----

// packed (C2) rows
// expected-error @+1 {{expected 'rows' to be a power of two from 2 to 64, got 7}}
func.func @f(%x: !tile.view<[8, 32], #tile.packed<q4_1, rows = 7>>) { return }

// -----

// view (C1) rank
// expected-error @+1 {{expected a view of 1 to 5 dimensions, got 6}}
func.func @f(%x: !tile.view<[1, 2, 3, 4, 5, 6], f32>) { return }

// -----

// view (C1) sizes
// expected-error @+1 {{expected sizes of a view to be positive, got 0}}
func.func @f(%x: !tile.view<[0], f32>) { return }

// -----

// view (C1) names of counts
// expected-error @+1 {{expected a number, '?', 'tokens', 'outputs' or 'sequences', got 'rows'}}
func.func @f(%x: !tile.view<[rows], f32>) { return }

// -----

// view (C2) strides are needed
// expected-error @+1 {{expected strides of a view with a size after the first that is not a number}}
func.func @f(%x: !tile.view<[4, tokens], f32>) { return }

// -----

// view (C2) number of strides
// expected-error @+1 {{expected 2 strides, got 1}}
func.func @f(%x: !tile.view<[4, 4], f32, strides = [4]>) { return }

// -----

// view (C2) negative stride
// expected-error @+1 {{expected strides of at least 0, got -4}}
func.func @f(%x: !tile.view<[4, 4], f32, strides = [-4, 1]>) { return }

// -----

// view (C2) elements
// expected-error @+1 {{expected elements of a view to be integers or floats, got 'index'}}
func.func @f(%x: !tile.view<[4], index>) { return }

// -----

// view (C3) packed sizes
// expected-error @+1 {{expected a packed view to have two sizes that are numbers}}
func.func @f(%x: !tile.view<[tokens, 32], #tile.packed<q4_1, rows = 8>>) { return }

// -----

// view (C3) packed space
// expected-error @+1 {{expected a packed view to be global and without strides}}
func.func @f(%x: !tile.view<[8, 32], #tile.packed<q4_1, rows = 8>, shared>) { return }

// -----

// kernel (C1)
// expected-error @+1 {{'tile.kernel' op expected argument #0 to be a view, got 'index'}}
tile.kernel @K(%x: index) grid [] {
  tile.return
}

// -----

// kernel (C2)
// expected-error @+1 {{expected 'grid' to have at most 3 extents, got 4}}
tile.kernel @K() grid [1, 2, 3, 4] {
  tile.return
}

// -----

// kernel (C3)
// expected-note @+1 {{the kernel is here}}
tile.kernel @K() grid [] {
  // expected-error @+1 {{expected only ops of tile, arith, math and scf in a kernel}}
  %t = tensor.empty() : tensor<4xf32>
  tile.return
}

// -----

// kernel (C4)
tile.kernel @K() grid [] {
  // expected-error @+1 {{block with no terminator}}
  %c0 = arith.constant 0 : index
}

// -----

// extent (C1)
// expected-error @+1 {{expected an extent with a divisor of at least 1}}
tile.kernel @K() grid [tokens ceildiv 0] {
  tile.return
}

// -----

// launch (C1)
func.func @f() {
  // expected-error @+1 {{expected @K to be a tile.kernel}}
  tile.launch @K() : () -> ()
  return
}

// -----

// launch (C2)
tile.kernel @K(%a: !tile.view<[4], f32>, %b: !tile.view<[4], f32>) grid [] {
  tile.return
}
func.func @f(%x: tensor<4xf32>) {
  // expected-error @+1 {{expected operands and results of 2 views as the kernel has, got 1}}
  tile.launch @K(%x) : (tensor<4xf32>) -> ()
  return
}

// -----

// launch (C3) number of entries
tile.kernel @K(%a: !tile.view<[4], f32>) grid [] {
  tile.return
}
func.func @f(%x: tensor<4xf32>) {
  // expected-error @+1 {{expected 'in_place' to have 1 entries, got 2}}
  %y = tile.launch @K(%x) in_place [0, 0] : (tensor<4xf32>) -> tensor<4xf32>
  return
}

// -----

// launch (C3) range
tile.kernel @K(%a: !tile.view<[4], f32>) grid [] {
  tile.return
}
func.func @f(%x: tensor<4xf32>) {
  // expected-error @+1 {{expected entries of 'in_place' from -1 to 0, got 1}}
  %y = tile.launch @K(%x) in_place [1] : (tensor<4xf32>) -> tensor<4xf32>
  return
}

// -----

// launch (C3) types
tile.kernel @K(%a: !tile.view<[4], f32>) grid [] {
  tile.return
}
func.func @f(%x: tensor<4xf32>) {
  // expected-error @+1 {{expected result #0 to have the type of operand #0, got 'tensor<8xf32>'}}
  %y = tile.launch @K(%x) in_place [0] : (tensor<4xf32>) -> tensor<8xf32>
  return
}

// -----

// launch (C3) one place for one result
tile.kernel @K(%a: !tile.view<[4], f32>) grid [] {
  tile.return
}
func.func @f(%x: tensor<4xf32>) {
  // expected-error @+1 {{expected operand #0 to be the place of one result only}}
  %y:2 = tile.launch @K(%x) in_place [0, 0] : (tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>)
  return
}

// -----

// kernel (C5) threads
// expected-error @+1 {{expected 'threads' to be a multiple of 32 up to 1024, got 2048}}
tile.kernel @k() grid [1] threads 2048 {
  tile.return
}

// -----

// packed (C3) planes of codes
// expected-error @+1 {{expected a planar packing to be of integers with scales and minimums, got 'f16'}}
func.func @f(%x: !tile.view<[8, 32], #tile.packed<f16, rows = 8, planar>>) { return }
