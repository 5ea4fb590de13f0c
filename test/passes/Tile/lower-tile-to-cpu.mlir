// RUN: ingot-opt %s --ingot-lower-tile-to-cpu | FileCheck %s

#row = #tile.layout<register = [[0, 8]], lane = [[0, 1], [0, 2], [0, 4]]>
#one = #tile.layout<lane = [[0, 0], [0, 0], [0, 0]]>
#codes = #tile.layout<register = [[0, 1], [0, 2]], lane = [[1, 0], [2, 0], [4, 0]]>
#scales = #tile.layout<lane = [[1, 0], [2, 0], [4, 0]]>
#activations = #tile.layout<register = [[0, 1], [0, 2]], lane = [[0, 0], [0, 0], [0, 0]]>
#transposed = #tile.layout<register = [[1, 0], [2, 0]], lane = [[0, 0], [0, 0], [0, 0]]>

// A kernel has the C interface of artefacts: addresses, counts, and its place in the grid; a tile is its registers.
// CHECK-LABEL: llvm.func @Scale(
// CHECK-SAME: %[[ARGUMENTS:.*]]: !llvm.ptr, %[[COUNTS:.*]]: !llvm.ptr, %[[X:.*]]: i64, %{{.*}}: i64, %{{.*}}: i64)
// CHECK-DAG: llvm.load %[[ARGUMENTS]] : !llvm.ptr -> !llvm.ptr
// CHECK-DAG: llvm.load %[[COUNTS]] : !llvm.ptr -> i64
// CHECK: llvm.load %{{.*}} {alignment = 4 : i64} : !llvm.ptr -> vector<8xf32>
// CHECK: llvm.fmul %{{.*}} : vector<8xf32>
// CHECK: llvm.load %{{.*}} {alignment = 4 : i64} : !llvm.ptr -> vector<8xf32>
// CHECK: llvm.fmul %{{.*}} : vector<8xf32>
// CHECK-COUNT-2: llvm.store %{{.*}} {alignment = 4 : i64} : vector<8xf32>, !llvm.ptr
// CHECK-NOT: tile.
tile.kernel @Scale(%a: !tile.view<[tokens, 16], f32>, %b: !tile.view<[tokens, 16], f32>) grid [tokens] {
  %t = tile.block_id x
  %c0 = arith.constant 0 : index
  %x = tile.load %a[%t, %c0] : !tile.view<[tokens, 16], f32> -> tensor<1x16xf32, #row>
  %y = arith.mulf %x, %x : tensor<1x16xf32, #row>
  tile.store %y, %b[%t, %c0] : tensor<1x16xf32, #row>, !tile.view<[tokens, 16], f32>
  tile.return
}

// A mask that holds by construction (one block a token, constant columns) leaves no test behind.
// CHECK-LABEL: llvm.func @NeedlessMask(
// CHECK-NOT: llvm.cond_br
// CHECK-NOT: llvm.select
// CHECK: llvm.return
tile.kernel @NeedlessMask(%a: !tile.view<[tokens, 16], f32>, %b: !tile.view<[tokens, 16], f32>) grid [tokens] {
  %t = tile.block_id x
  %c0 = arith.constant 0 : index
  %x = tile.load %a[%t, %c0] masked : !tile.view<[tokens, 16], f32> -> tensor<1x16xf32, #row>
  tile.store %x, %b[%t, %c0] masked : tensor<1x16xf32, #row>, !tile.view<[tokens, 16], f32>
  tile.return
}

// A masked load past the last token reads a constant of zeros, a store is skipped.
// CHECK-LABEL: llvm.func @Mask(
// CHECK: %[[ZEROS:.*]] = llvm.mlir.addressof @ingot.zeros
// CHECK: llvm.select %{{.*}}, %{{.*}}, %[[ZEROS]] : i1, !llvm.ptr
// CHECK: llvm.cond_br
// CHECK: llvm.store
tile.kernel @Mask(%a: !tile.view<[tokens, 16], f32>, %b: !tile.view<[tokens, 16], f32>) grid [tokens ceildiv 2] {
  %i = tile.block_id x
  %c2 = arith.constant 2 : index
  %t = arith.muli %i, %c2 : index
  %c0 = arith.constant 0 : index
  %x = tile.load %a[%t, %c0] masked : !tile.view<[tokens, 16], f32> -> tensor<1x16xf32, #row>
  tile.store %x, %b[%t, %c0] masked : tensor<1x16xf32, #row>, !tile.view<[tokens, 16], f32>
  tile.return
}

// Four activations that all lanes share are one 32-bit scalar; codes and activations meet in vpmaddubsw.
// CHECK-LABEL: llvm.func @Dot(
// CHECK: llvm.load %{{.*}} {alignment = 1 : i64} : !llvm.ptr -> i32
// CHECK: llvm.call_intrinsic "llvm.x86.avx2.pmadd.ub.sw"(%{{.*}}, %{{.*}}) : (vector<32xi8>, vector<32xi8>) -> vector<16xi16>
// CHECK: llvm.call_intrinsic "llvm.x86.avx2.pmadd.wd"
tile.kernel @Dot(%w: !tile.view<[8, 4], i8>, %a: !tile.view<[1, 4], i8>, %b: !tile.view<[8, 1], i32>) grid [] {
  %c0 = arith.constant 0 : index
  %c = tile.load %w[%c0, %c0] : !tile.view<[8, 4], i8> -> tensor<8x4xi8, #codes>
  %x = tile.load %a[%c0, %c0] : !tile.view<[1, 4], i8> -> tensor<1x4xi8, #activations>
  %t = tile.transpose %x [1, 0] : tensor<1x4xi8, #activations> -> tensor<4x1xi8, #transposed>
  %z = arith.constant dense<0> : tensor<8x1xi32, #scales>
  %d = tile.contract vpmaddubsw %c, %t, %z run 8 : tensor<8x4xi8, #codes>, tensor<4x1xi8, #transposed>, tensor<8x1xi32, #scales>
  tile.store %d, %b[%c0, %c0] : tensor<8x1xi32, #scales>, !tile.view<[8, 1], i32>
  tile.return
}

// With activations of 16 bits two of them are a scalar, and a register of codes becomes two: the even columns, the odd ones.
// CHECK-LABEL: llvm.func @WideDot(
// CHECK: llvm.and %{{.*}} : vector<16xi16>
// CHECK: llvm.load %{{.*}} {alignment = 2 : i64} : !llvm.ptr -> i32
// CHECK: llvm.call_intrinsic "llvm.x86.avx2.pmadd.wd"
// CHECK: llvm.lshr %{{.*}} : vector<16xi16>
// CHECK: llvm.call_intrinsic "llvm.x86.avx2.pmadd.wd"
// CHECK-NOT: llvm.call_intrinsic
#wide = #tile.layout<register = [[2, 0], [1, 0]], lane = [[0, 0], [0, 0], [0, 0]]>
#inMemory = #tile.layout<register = [[1, 0, 0], [0, 1, 0]], lane = [[0, 0, 0], [0, 0, 0], [0, 0, 0]]>
tile.kernel @WideDot(%w: !tile.view<[8, 4], i8>, %a: !tile.view<[2, 2, 1], i16, strides = [1, 2, 4]>, %b: !tile.view<[8, 1], i32>) grid [] {
  %c0 = arith.constant 0 : index
  %c = tile.load %w[%c0, %c0] : !tile.view<[8, 4], i8> -> tensor<8x4xi8, #codes>
  %x = tile.load %a[%c0, %c0, %c0] : !tile.view<[2, 2, 1], i16, strides = [1, 2, 4]> -> tensor<2x2x1xi16, #inMemory>
  %t = tile.reshape %x : tensor<2x2x1xi16, #inMemory> -> tensor<4x1xi16, #wide>
  %z = arith.constant dense<0> : tensor<8x1xi32, #scales>
  %d = tile.contract vpmaddwd %c, %t, %z : tensor<8x4xi8, #codes>, tensor<4x1xi16, #wide>, tensor<8x1xi32, #scales>
  tile.store %d, %b[%c0, %c0] : tensor<8x1xi32, #scales>, !tile.view<[8, 1], i32>
  tile.return
}

// A record of 160 bytes touches three lines of a cache.
// CHECK-LABEL: llvm.func @Prefetch(
// CHECK-COUNT-3: "llvm.intr.prefetch"
// CHECK-NOT: "llvm.intr.prefetch"
tile.kernel @Prefetch(%w: !tile.view<[16, 32], #tile.packed<q4_1, rows = 8>>) grid [] {
  %c0 = arith.constant 0 : index
  %c8 = arith.constant 8 : index
  tile.prefetch %w[%c8, %c0] : !tile.view<[16, 32], #tile.packed<q4_1, rows = 8>>
  tile.return
}

// A block's memory is on the stack; it is there once, however often a loop passes.
// CHECK-LABEL: llvm.func @Memory(
// CHECK-NEXT: %[[BYTES:.*]] = llvm.mlir.constant(64 : i64) : i64
// CHECK-NEXT: %[[STACK:.*]] = llvm.alloca %[[BYTES]] x i8 {alignment = 64 : i64}
// CHECK: llvm.cond_br
// CHECK: %[[TO:.*]] = llvm.getelementptr %[[STACK]][
// CHECK: llvm.store %{{.*}}, %[[TO]] {alignment = 4 : i64} : vector<8xf32>, !llvm.ptr
// CHECK: %[[FROM:.*]] = llvm.getelementptr %[[STACK]][
// CHECK: llvm.load %[[FROM]] {alignment = 4 : i64} : !llvm.ptr -> vector<8xf32>
tile.kernel @Memory(%a: !tile.view<[8, 16], f32>) grid [] {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c8 = arith.constant 8 : index
  scf.for %i = %c0 to %c8 step %c1 {
    %s = tile.alloc : !tile.view<[1, 16], f32, shared>
    %x = tile.load %a[%i, %c0] : !tile.view<[8, 16], f32> -> tensor<1x16xf32, #row>
    tile.store %x, %s[%c0, %c0] : tensor<1x16xf32, #row>, !tile.view<[1, 16], f32, shared>
    %y = tile.load %s[%c0, %c0] : !tile.view<[1, 16], f32, shared> -> tensor<1x16xf32, #row>
    tile.store %y, %a[%i, %c0] : tensor<1x16xf32, #row>, !tile.view<[8, 16], f32>
  }
  tile.return
}

// Contractions with the same activations are written step by step: an activation is read once, where it is first used.
// CHECK-LABEL: llvm.func @Together(
// CHECK: %[[X0:.*]] = llvm.load %{{.*}} {alignment = 1 : i64} : !llvm.ptr -> i32
// CHECK-COUNT-2: llvm.call_intrinsic "llvm.x86.avx2.pmadd.ub.sw"
// CHECK: %[[X1:.*]] = llvm.load %{{.*}} {alignment = 1 : i64} : !llvm.ptr -> i32
// CHECK-COUNT-2: llvm.call_intrinsic "llvm.x86.avx2.pmadd.ub.sw"
// CHECK-NOT: llvm.call_intrinsic "llvm.x86.avx2.pmadd.ub.sw"
#codes8 = #tile.layout<register = [[0, 1], [0, 2], [0, 4]], lane = [[1, 0], [2, 0], [4, 0]]>
#activations8 = #tile.layout<register = [[0, 1], [0, 2], [0, 4]], lane = [[0, 0], [0, 0], [0, 0]]>
#transposed8 = #tile.layout<register = [[1, 0], [2, 0], [4, 0]], lane = [[0, 0], [0, 0], [0, 0]]>
tile.kernel @Together(%w: !tile.view<[16, 8], i8>, %a: !tile.view<[1, 8], i8>, %b: !tile.view<[16, 1], i32>) grid [] {
  %c0 = arith.constant 0 : index
  %c8 = arith.constant 8 : index
  %x = tile.load %a[%c0, %c0] : !tile.view<[1, 8], i8> -> tensor<1x8xi8, #activations8>
  %t = tile.transpose %x [1, 0] : tensor<1x8xi8, #activations8> -> tensor<8x1xi8, #transposed8>
  %c = tile.load %w[%c0, %c0] : !tile.view<[16, 8], i8> -> tensor<8x8xi8, #codes8>
  %d = tile.load %w[%c8, %c0] : !tile.view<[16, 8], i8> -> tensor<8x8xi8, #codes8>
  %z = arith.constant dense<0> : tensor<8x1xi32, #scales>
  %y0 = tile.contract vpmaddubsw %c, %t, %z run 8 : tensor<8x8xi8, #codes8>, tensor<8x1xi8, #transposed8>, tensor<8x1xi32, #scales>
  %y1 = tile.contract vpmaddubsw %d, %t, %z run 8 : tensor<8x8xi8, #codes8>, tensor<8x1xi8, #transposed8>, tensor<8x1xi32, #scales>
  tile.store %y0, %b[%c0, %c0] : tensor<8x1xi32, #scales>, !tile.view<[16, 1], i32>
  tile.store %y1, %b[%c8, %c0] : tensor<8x1xi32, #scales>, !tile.view<[16, 1], i32>
  tile.return
}

// A prefetch is one of the element's line.
// CHECK-LABEL: llvm.func @PrefetchLine(
// CHECK: "llvm.intr.prefetch"(%{{.*}}) <{cache = 1 : i32, hint = 3 : i32, rw = 0 : i32}>
tile.kernel @PrefetchLine(%a: !tile.view<[16, 8], f32>) grid [] {
  %c0 = arith.constant 0 : index
  %c8 = arith.constant 8 : index
  tile.prefetch_line %a[%c8, %c0] : !tile.view<[16, 8], f32>
  tile.return
}

// What is not a kernel stays as it is.
// CHECK-LABEL: func.func @main
// CHECK: tensor.empty
func.func @main() -> tensor<4xf32> {
  %t = tensor.empty() : tensor<4xf32>
  return %t : tensor<4xf32>
}
