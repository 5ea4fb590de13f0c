// Calls of one layer function become a loop where buffers, weights and caches allow it, and say so where not.

// RUN: ingot-opt %s --ingot-build-plan="max-tokens=4 max-outputs=2 max-sequences=2 max-context=32" --ingot-verify-plan \
// RUN:   | FileCheck %s
// RUN: ingot-opt %s --ingot-build-plan="max-tokens=4 max-outputs=2 max-sequences=2 max-context=32" \
// RUN:   --remark-format=emitRemark --remarks-filter=plan 2>&1 >/dev/null | FileCheck %s --check-prefix=REMARK
// RUN: ingot-opt %s --ingot-build-plan="max-tokens=4 max-outputs=2 max-sequences=2 max-context=32 pages=3" \
// RUN:   | FileCheck %s --check-prefix=PAGES

// Two layers with a cache, a rope table, stacked and packed weights: the table comes first among the weights of the loop,
// then one block per layer, as far apart as the step says. The value that goes from layer to layer stays in one buffer.
// REMARK: {{\[}}Passed] Loop | Category:plan | {{.*}}2 iterations of 2 launches are one loop
// REMARK: {{\[}}Analysis] Buffer | Category:plan | {{.*}}'Gather.out', bytes=1024, first=0, last=5, offset=0
// REMARK: {{\[}}Analysis] PeakMemory | Category:plan | arena=2048, cache=49152, commands=6, least=2048, weights=50432
// CHECK-LABEL: plan.program @two
// CHECK-SAME:    page_tokens = 16, pages = 4, pages_per_sequence = 2> arena 2048 cache 49152 vocabulary 128
// CHECK-SAME:    result @Head.out width 128
// CHECK-DAG:     plan.buffer @Gather.out arena at [[HIDDEN:[0-9]+]] bytes 1024 live [0, 5]
// CHECK-DAG:     plan.buffer @Attend.out arena at {{[0-9]+}} bytes 1024 live [2, 3]
// CHECK-DAG:     plan.buffer @Head.out arena at {{[0-9]+}} bytes 1024 live [5, 5]
// CHECK:         plan.cache @kv_cache at 0 layers 2 of 24576 bytes
// CHECK:         plan.weight @embd at 0 bytes 32768
// CHECK:         plan.weight @rope_table at 32768 bytes 4096 [64, 16] "f32" packing "plain" sources [#plan.rope_table<base = 1.000000e+05 : f64>]
// CHECK:         plan.weight @"q0+k0" at 36864 bytes 6528 [96, 64] "q8_0" packing "rows8" sources ["q0", "k0"]
// CHECK:         plan.weight @norm0 at 43392 bytes 256 [1, 64] "f32"
// CHECK:         plan.weight @"q1+k1" at 43648 bytes 6528
// CHECK:         plan.weight @norm1 at 50176 bytes 256
// CHECK:         plan.kernel @Attend family "Attend" arguments 9
// CHECK-SAME:      reaches [tokens * 256, 6528, 4096, tokens * 4, tokens * 4, sequences * 8, 12288, 12288, tokens * 256]
// CHECK:         plan.loop 2 {
// CHECK-NEXT:      plan.launch @Attend grid [tokens, 1, 1] (@Gather.out, @"q0+k0" step 6784, @rope_table, positions, sequence_of, page_table,
// CHECK-SAME:        inout @kv_cache step 24576, inout @kv_cache + 12288 step 24576, out @Attend.out) layer "blk.0..blk.1"
// CHECK-NEXT:      plan.launch @Project grid [tokens, 1, 1] (@Attend.out, @norm0 step 6784, inout @Gather.out)
// CHECK-NEXT:    }
// CHECK:         plan.launch @Head grid [outputs, 1, 1] (@Gather.out, output_rows, @embd, out @Head.out) layer "two"

// Fewer pages than every sequence could need are the caller's choice.
// PAGES: pages = 3, pages_per_sequence = 2> arena 2048 cache 36864
// PAGES: plan.kernel @Attend family "Attend" arguments 9
// PAGES-SAME: 9216, 9216, tokens * 256]
!kv = !transformer.kv_cache<layers = 2, heads = 3, dim = 32, format = f16, page = 16>
!embd = !transformer.weight<[128, 64], f32>
!rope = !transformer.weight<[64, 16], f32>
!q = !transformer.weight<[64, 64], q8_0>
!k = !transformer.weight<[32, 64], q8_0>
!qk = !transformer.weight<[96, 64], q8_0>
!packed = !transformer.weight<[96, 64], q8_0, #tile.packed<q8_0, rows = 8>>
!norm = !transformer.weight<[64], f32>
!x = !tile.view<[tokens, 64], f32>
module {
  transformer.weight @embd : !embd source "embd"
  transformer.weight @q0 : !q source "q0"
  transformer.weight @k0 : !k source "k0"
  transformer.weight @norm0 : !norm source "norm0"
  transformer.weight @q1 : !q source "q1"
  transformer.weight @k1 : !k source "k1"
  transformer.weight @norm1 : !norm source "norm1"
  tile.kernel @Gather(%i: !tile.view<[tokens], i32>, %w: !tile.view<[128, 64], f32>, %y: !x) grid [tokens] { tile.return }
  tile.kernel @Attend(%x: !x, %w: !tile.view<[96, 64], #tile.packed<q8_0, rows = 8>>, %r: !tile.view<[64, 16], f32>,
      %p: !tile.view<[tokens], i32>, %s: !tile.view<[tokens], i32>, %t: !tile.view<[sequences, 2], i32>,
      %k: !tile.view<[4, 3, 32, 16], f16>, %v: !tile.view<[4, 3, 16, 32], f16>, %y: !x) grid [tokens] { tile.return }
  tile.kernel @Project(%a: !x, %n: !tile.view<[64], f32>, %x: !x) grid [tokens] { tile.return }
  tile.kernel @Head(%x: !x, %r: !tile.view<[outputs], i32>, %w: !tile.view<[128, 64], f32>, %y: !tile.view<[outputs, 128], f32>)
      grid [outputs] { tile.return }
  func.func private @layer(%x: tensor<?x64xf32>, %batch: !transformer.ragged, %cache: !kv, %layer: index, %rope: !rope,
                           %wq: !q, %wk: !k, %wn: !norm) -> (tensor<?x64xf32>, !kv) {
    %qk = transformer.concat_weights %wq, %wk : !q, !k -> !qk
    %p = transformer.pack_weight %qk : !qk -> !packed
    %a, %c = tile.launch @Attend(%x, %p, %rope, %batch, %cache, %layer) in_place [-1, 4]
        : (tensor<?x64xf32>, !packed, !rope, !transformer.ragged, !kv, index) -> (tensor<?x64xf32>, !kv)
    %y = tile.launch @Project(%a, %wn, %x) in_place [2] : (tensor<?x64xf32>, !norm, tensor<?x64xf32>) -> tensor<?x64xf32>
    return %y, %c : tensor<?x64xf32>, !kv
  }
  func.func @two(%ids: tensor<?xi32>, %batch: !transformer.ragged, %rows: tensor<?xi32>, %cache: !kv) -> (tensor<?x128xf32>, !kv) {
    %c0 = arith.constant 0 : index
    %c1 = arith.constant 1 : index
    %embd = transformer.get_weight @embd : !embd
    %rope = transformer.rope_table {base = 1.0e5 : f64} : !rope
    %q0 = transformer.get_weight @q0 : !q
    %k0 = transformer.get_weight @k0 : !k
    %n0 = transformer.get_weight @norm0 : !norm
    %q1 = transformer.get_weight @q1 : !q
    %k1 = transformer.get_weight @k1 : !k
    %n1 = transformer.get_weight @norm1 : !norm
    %x = tile.launch @Gather(%ids, %embd) : (tensor<?xi32>, !embd) -> tensor<?x64xf32>
    %x1, %cache1 = call @layer(%x, %batch, %cache, %c0, %rope, %q0, %k0, %n0)
        : (tensor<?x64xf32>, !transformer.ragged, !kv, index, !rope, !q, !k, !norm) -> (tensor<?x64xf32>, !kv) loc("blk.0")
    %x2, %cache2 = call @layer(%x1, %batch, %cache1, %c1, %rope, %q1, %k1, %n1)
        : (tensor<?x64xf32>, !transformer.ragged, !kv, index, !rope, !q, !k, !norm) -> (tensor<?x64xf32>, !kv) loc("blk.1")
    %y = tile.launch @Head(%x2, %rows, %embd) : (tensor<?x64xf32>, tensor<?xi32>, !embd) -> tensor<?x128xf32>
    return %y, %cache2 : tensor<?x128xf32>, !kv
  }
}
