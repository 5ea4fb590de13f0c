// RUN: ingot-opt %s | ingot-opt | FileCheck %s

// Every op of the dialect prints as it was written and parses again.

#row = #tile.layout<register = [[0, 8], [0, 16], [0, 32]], lane = [[0, 1], [0, 2], [0, 4]]>
#one = #tile.layout<lane = [[0, 0], [0, 0], [0, 0]]>
#codes = #tile.layout<register = [[0, 1], [0, 2], [0, 4], [0, 8], [0, 16]], lane = [[1, 0], [2, 0], [4, 0]]>
#scales = #tile.layout<lane = [[1, 0], [2, 0], [4, 0]]>
#activations = #tile.layout<register = [[1, 0], [2, 0], [4, 0], [8, 0], [16, 0]], lane = [[0, 0], [0, 0], [0, 0]]>
#fma_a = #tile.layout<register = [[1, 0], [0, 1], [0, 2]], lane = [[0, 0], [0, 0], [0, 0]]>
#fma_b = #tile.layout<register = [[1, 0], [2, 0], [0, 8]], lane = [[0, 1], [0, 2], [0, 4]]>
#fma_y = #tile.layout<register = [[1, 0], [0, 8]], lane = [[0, 1], [0, 2], [0, 4]]>

// CHECK-LABEL: tile.kernel @RowSum(
// CHECK-SAME: %{{.*}}: !tile.view<[tokens, 576], f32>, %{{.*}}: !tile.view<[tokens, 1], f32>) grid [tokens ceildiv 4, 72] family "RowSum"
tile.kernel @RowSum(%a: !tile.view<[tokens, 576], f32>, %b: !tile.view<[tokens, 1], f32>) grid [tokens ceildiv 4, 72] family "RowSum" {
  // CHECK: tile.block_id x
  %t = tile.block_id x
  // CHECK: tile.count tokens
  %n = tile.count tokens
  %c0 = arith.constant 0 : index
  // CHECK: tile.load %{{.*}}[%{{.*}}, %{{.*}}] masked : !tile.view<[tokens, 576], f32> -> tensor<1x64xf32, #{{.*}}>
  %x = tile.load %a[%t, %c0] masked : !tile.view<[tokens, 576], f32> -> tensor<1x64xf32, #row>
  // CHECK: tile.exchange %{{.*}} dim 1 distance 1
  %e = tile.exchange %x dim 1 distance 1 : tensor<1x64xf32, #row>
  %y = arith.addf %x, %e : tensor<1x64xf32, #row>
  // CHECK: tile.reduce add %{{.*}} dim 1
  %s = tile.reduce add %y dim 1 : tensor<1x64xf32, #row> -> tensor<1x1xf32, #one>
  // CHECK: tile.broadcast
  %w = tile.broadcast %s : tensor<1x1xf32, #one> -> tensor<1x64xf32, #row>
  // CHECK: tile.convert_layout
  %v = tile.convert_layout %w : tensor<1x64xf32, #row> -> tensor<1x64xf32, #tile.layout<register = [[0, 1], [0, 2], [0, 4]], lane = [[0, 8], [0, 16], [0, 32]]>>
  // CHECK: tile.iota dim 1
  %i = tile.iota dim 1 : tensor<1x64xi32, #row>
  // CHECK: tile.prefetch_line %{{.*}}[%{{.*}}, %{{.*}}] : !tile.view<[tokens, 1], f32>
  tile.prefetch_line %b[%t, %c0] : !tile.view<[tokens, 1], f32>
  // CHECK: tile.read
  %r = tile.read %b[%t, %c0] : !tile.view<[tokens, 1], f32> -> f32
  // CHECK: tile.write
  tile.write %r, %b[%t, %c0] : f32, !tile.view<[tokens, 1], f32>
  // CHECK: tile.splat
  %p = tile.splat %r : f32 -> tensor<1x1xf32, #one>
  // CHECK: tile.store %{{.*}}, %{{.*}}[%{{.*}}, %{{.*}}] masked
  tile.store %s, %b[%t, %c0] masked : tensor<1x1xf32, #one>, !tile.view<[tokens, 1], f32>
  tile.return
}

// CHECK-LABEL: tile.kernel @Dot
tile.kernel @Dot(%w: !tile.view<[1536, 576], #tile.packed<q4_1, rows = 8>>, %x: !tile.view<[tokens, 576], i8>,
                 %y: !tile.view<[outputs, 3, 512], f32, strides = [2048, 512, 1]>) grid [192, tokens * 3 + 1 ceildiv 2, sequences] {
  %c0 = arith.constant 0 : index
  // CHECK: tile.prefetch %{{.*}}[%{{.*}}, %{{.*}}] : !tile.view<[1536, 576], #tile.packed<q4_1, rows = 8>>
  tile.prefetch %w[%c0, %c0] : !tile.view<[1536, 576], #tile.packed<q4_1, rows = 8>>
  // CHECK: %{{.*}}:3 = tile.decode
  %c, %s, %m = tile.decode %w[%c0, %c0] : !tile.view<[1536, 576], #tile.packed<q4_1, rows = 8>>
      -> tensor<8x32xi8, #codes>, tensor<8x1xf32, #scales>, tensor<8x1xf32, #scales>
  %a = tile.load %x[%c0, %c0] : !tile.view<[tokens, 576], i8> -> tensor<1x32xi8, #tile.layout<register = [[0, 1], [0, 2], [0, 4], [0, 8], [0, 16]], lane = [[0, 0], [0, 0], [0, 0]]>>
  // CHECK: tile.transpose %{{.*}} [1, 0]
  %b = tile.transpose %a [1, 0] : tensor<1x32xi8, #tile.layout<register = [[0, 1], [0, 2], [0, 4], [0, 8], [0, 16]], lane = [[0, 0], [0, 0], [0, 0]]>> -> tensor<32x1xi8, #activations>
  %z = arith.constant dense<0> : tensor<8x1xi32, #scales>
  // CHECK: tile.contract vpmaddubsw %{{.*}}, %{{.*}}, %{{.*}} run 8 :
  %d = tile.contract vpmaddubsw %c, %b, %z run 8 : tensor<8x32xi8, #codes>, tensor<32x1xi8, #activations>, tensor<8x1xi32, #scales>
  // CHECK: tile.contract vpdpbusd %{{.*}}, %{{.*}}, %{{.*}} signed :
  %e = tile.contract vpdpbusd %c, %b, %z signed : tensor<8x32xi8, #codes>, tensor<32x1xi8, #activations>, tensor<8x1xi32, #scales>
  %wide = arith.constant dense<-300> : tensor<32x1xi16, #tile.layout<register = [[2, 0], [1, 0], [4, 0], [8, 0], [16, 0]], lane = [[0, 0], [0, 0], [0, 0]]>>
  // CHECK: tile.contract vpmaddwd %{{.*}}, %{{.*}}, %{{.*}} signed :
  %g = tile.contract vpmaddwd %c, %wide, %z signed : tensor<8x32xi8, #codes>, tensor<32x1xi16, #tile.layout<register = [[2, 0], [1, 0], [4, 0], [8, 0], [16, 0]], lane = [[0, 0], [0, 0], [0, 0]]>>, tensor<8x1xi32, #scales>
  // CHECK: tile.reshape
  %f = tile.reshape %d : tensor<8x1xi32, #scales> -> tensor<2x2x2xi32, #tile.layout<lane = [[0, 0, 1], [0, 1, 0], [1, 0, 0]]>>
  tile.return
}

// CHECK-LABEL: tile.kernel @Fma
tile.kernel @Fma() grid [] {
  %a = arith.constant dense<1.0> : tensor<2x4xf32, #fma_a>
  %b = arith.constant dense<1.0> : tensor<4x16xf32, #fma_b>
  %y = arith.constant dense<0.0> : tensor<2x16xf32, #fma_y>
  // CHECK: tile.contract fma
  %d = tile.contract fma %a, %b, %y : tensor<2x4xf32, #fma_a>, tensor<4x16xf32, #fma_b>, tensor<2x16xf32, #fma_y>
  tile.return
}

// CHECK-LABEL: tile.kernel @Asynchronous
tile.kernel @Asynchronous(%a: !tile.view<[tokens, 576], f16>) grid [tokens ceildiv 64] {
  %c0 = arith.constant 0 : index
  // CHECK: tile.alloc : !tile.view<[64, 64], f16, shared>
  %s = tile.alloc : !tile.view<[64, 64], f16, shared>
  // CHECK: tile.copy_async %{{.*}}[%{{.*}}, %{{.*}}] to %{{.*}}[%{{.*}}, %{{.*}}] [64, 64]
  %t = tile.copy_async %a[%c0, %c0] to %s[%c0, %c0] [64, 64] : !tile.view<[tokens, 576], f16> to !tile.view<[64, 64], f16, shared>
  %acc = arith.constant dense<0.0> : tensor<1x64xf32, #row>
  // CHECK: tile.wait %{{.*}}(%{{.*}} : tensor<1x64xf32, #{{.*}}>)
  %done = tile.wait %t (%acc : tensor<1x64xf32, #row>)
  // CHECK-NEXT: tile.wait %{{[0-9]+}}
  tile.wait %t
  // CHECK: tile.barrier
  tile.barrier
  tile.return
}

// CHECK-LABEL: tile.kernel @Roles
tile.kernel @Roles(%a: !tile.view<[64], f32>) grid [] {
  %u = arith.constant 0 : index
  %s = tile.alloc : !tile.view<[64], f32, shared>
  // CHECK: %[[RING:.*]] = tile.ring slots 4 readers 2
  %r = tile.ring slots 4 readers 2
  // CHECK: tile.roles role 1 {
  tile.roles role 1 {
    // CHECK-NEXT: tile.acquire %[[RING]][%{{.*}}]
    tile.acquire %r[%u]
    %t = tile.copy_async %a[%u] to %s[%u] [64] : !tile.view<[64], f32> to !tile.view<[64], f32, shared>
    // CHECK: tile.commit %[[RING]][%{{.*}}] (%{{.*}})
    tile.commit %r[%u] (%t)
    // CHECK-NEXT: tile.commit %[[RING]][%{{.*}}]{{$}}
    tile.commit %r[%u]
    // CHECK-NEXT: } role 4 {
  } role 4 {
    // CHECK-NEXT: tile.await %[[RING]][%{{.*}}]
    tile.await %r[%u]
    // CHECK-NEXT: tile.release %[[RING]][%{{.*}}]
    tile.release %r[%u]
    // CHECK-NEXT: }
  }
  tile.return
}

// CHECK-LABEL: func.func @launch
func.func @launch(%x: tensor<?x576xf32>) -> tensor<?x1xf32> {
  // CHECK: tile.launch @RowSum(%{{.*}}) : (tensor<?x576xf32>) -> tensor<?x1xf32>
  %y = tile.launch @RowSum(%x) : (tensor<?x576xf32>) -> tensor<?x1xf32>
  // CHECK: tile.launch @RowSum(%{{.*}}, %{{.*}}) in_place [1]
  %z = tile.launch @RowSum(%x, %y) in_place [1] : (tensor<?x576xf32>, tensor<?x1xf32>) -> tensor<?x1xf32>
  return %z : tensor<?x1xf32>
}

// A kernel for a GPU says how many threads a block has.
// CHECK-LABEL: tile.kernel @Threads() grid [tokens] threads 128 family "Any" {
tile.kernel @Threads() grid [tokens] threads 128 family "Any" {
  tile.return
}

#planar = #tile.layout<register = [[0, 1], [0, 2], [0, 4], [0, 8]], lane = [[0, 16], [0, 32], [1, 0], [2, 0], [4, 0]]>
#ofGroups = #tile.layout<lane = [[0, 0], [0, 1], [1, 0], [2, 0], [4, 0]]>
#square = #tile.layout<register = [[1, 0], [2, 0]], lane = [[4, 0], [0, 1], [0, 2], [0, 4]]>
#alongColumns = #tile.layout<lane = [[0, 0], [0, 1], [0, 2], [0, 4]]>
#alongRows = #tile.layout<register = [[1, 0], [2, 0]], lane = [[4, 0], [0, 0], [0, 0], [0, 0]]>
#batchA = #tile.layout<register = [[0, 0, 1], [0, 8, 0], [0, 0, 8]], lane = [[0, 0, 2], [0, 0, 4], [0, 1, 0], [0, 2, 0], [0, 4, 0]], warp = [[1, 0, 0]]>
#batchB = #tile.layout<register = [[0, 1, 0], [0, 8, 0]], lane = [[0, 2, 0], [0, 4, 0], [0, 0, 1], [0, 0, 2], [0, 0, 4]], warp = [[1, 0, 0]]>
#batchY = #tile.layout<register = [[0, 0, 1], [0, 8, 0]], lane = [[0, 0, 2], [0, 0, 4], [0, 1, 0], [0, 2, 0], [0, 4, 0]], warp = [[1, 0, 0]]>

// CHECK-LABEL: tile.kernel @Indexed
// CHECK-SAME: #tile.packed<q4_1, rows = 8, planar>
tile.kernel @Indexed(%w: !tile.view<[64, 64], #tile.packed<q4_1, rows = 8, planar>>, %t: !tile.view<[4, 100], f32>) grid [tokens] {
  %c0 = arith.constant 0 : index
  // CHECK: tile.await_launches
  tile.await_launches
  // CHECK: tile.decode %{{.*}}[%{{.*}}, %{{.*}}] masked
  %c, %s, %m = tile.decode %w[%c0, %c0] masked : !tile.view<[64, 64], #tile.packed<q4_1, rows = 8, planar>>
      -> tensor<8x64xf16, #planar>, tensor<8x2xf32, #ofGroups>, tensor<8x2xf32, #ofGroups>
  %i = tile.iota dim 1 : tensor<1x8xi32, #alongColumns>
  %j = tile.iota dim 0 : tensor<8x1xi32, #alongRows>
  %where = arith.cmpi slt, %i, %i : tensor<1x8xi32, #alongColumns>
  // CHECK: tile.gather %{{.*}}[%{{.*}}, %{{.*}}] by %{{.*}}, %{{.*}} [0, 1] : !tile.view
  %g = tile.gather %t[%c0, %c0] by %j, %i [0, 1] : !tile.view<[4, 100], f32>, tensor<8x1xi32, #alongRows>, tensor<1x8xi32, #alongColumns>
      -> tensor<8x8xf32, #square>
  // CHECK: tile.scatter %{{.*}}, %{{.*}}[%{{.*}}, %{{.*}}] by %{{.*}} [1] where %{{.*}} : tensor<1x8xi1
  tile.scatter %g, %t[%c0, %c0] by %i [1] where %where : tensor<1x8xi1, #alongColumns> : tensor<8x8xf32, #square>,
      !tile.view<[4, 100], f32>, tensor<1x8xi32, #alongColumns>
  %a = arith.constant dense<1.0> : tensor<2x16x16xf16, #batchA>
  %b = arith.constant dense<1.0> : tensor<2x16x8xf16, #batchB>
  %y = arith.constant dense<1.0> : tensor<2x16x8xf32, #batchY>
  // CHECK: tile.contract mma_m16n8k16
  %z = tile.contract mma_m16n8k16 %a, %b, %y : tensor<2x16x16xf16, #batchA>, tensor<2x16x8xf16, #batchB>, tensor<2x16x8xf32, #batchY>
  tile.return
}
