// A cache of codes has four parts a layer: keys, values, and the scales of both.

// RUN: ingot-opt %s --ingot-build-plan="max-tokens=4 max-outputs=2 max-sequences=2 max-context=32" --ingot-verify-plan \
// RUN:   | FileCheck %s

// Of 4 pages with 3 heads and 16 slots, 192 in all: keys of 32 bytes, values of 16, one scale of keys and two of values.
// CHECK-LABEL: plan.program @two
// CHECK-SAME:    cache 20736
// CHECK:         plan.cache @kv_cache at 0 layers 2 of 10368 bytes
// CHECK:         plan.kernel @Attend
// CHECK-SAME:      sequences * 8, 6144, 3072, 384, 768, tokens * 256]
// CHECK:         plan.launch @Attend
// CHECK-SAME:      inout @kv_cache, inout @kv_cache + 6144, inout @kv_cache + 9216, inout @kv_cache + 9600, out
// CHECK:         plan.launch @Attend
// CHECK-SAME:      inout @kv_cache + 10368, inout @kv_cache + 16512, inout @kv_cache + 19584, inout @kv_cache + 19968, out
!kv = !transformer.kv_cache<layers = 2, heads = 3, dim = 32, format = i8, page = 16, values = i4>
!x = !tile.view<[tokens, 64], f32>
module {
  transformer.weight @embd : !transformer.weight<[128, 64], f32> source "embd"
  tile.kernel @Gather(%i: !tile.view<[tokens], i32>, %w: !tile.view<[128, 64], f32>, %y: !x) grid [tokens] { tile.return }
  tile.kernel @Attend(%x: !x, %p: !tile.view<[tokens], i32>, %s: !tile.view<[tokens], i32>, %t: !tile.view<[sequences, 2], i32>,
      %k: !tile.view<[4, 3, 32, 16], i8>, %v: !tile.view<[4, 3, 16, 16], i8>, %ks: !tile.view<[4, 3, 1, 16], f16>,
      %vs: !tile.view<[4, 3, 2, 16], f16>, %y: !x) grid [tokens] { tile.return }
  tile.kernel @Head(%x: !x, %r: !tile.view<[outputs], i32>, %w: !tile.view<[128, 64], f32>, %y: !tile.view<[outputs, 128], f32>)
      grid [outputs] { tile.return }
  func.func @two(%ids: tensor<?xi32>, %batch: !transformer.ragged, %rows: tensor<?xi32>, %cache: !kv) -> (tensor<?x128xf32>, !kv) {
    %c0 = arith.constant 0 : index
    %c1 = arith.constant 1 : index
    %embd = transformer.get_weight @embd : !transformer.weight<[128, 64], f32>
    %x = tile.launch @Gather(%ids, %embd) : (tensor<?xi32>, !transformer.weight<[128, 64], f32>) -> tensor<?x64xf32>
    %a, %d = tile.launch @Attend(%x, %batch, %cache, %c0) in_place [-1, 2]
        : (tensor<?x64xf32>, !transformer.ragged, !kv, index) -> (tensor<?x64xf32>, !kv)
    %b, %e = tile.launch @Attend(%a, %batch, %d, %c1) in_place [-1, 2]
        : (tensor<?x64xf32>, !transformer.ragged, !kv, index) -> (tensor<?x64xf32>, !kv)
    %y = tile.launch @Head(%b, %rows, %embd)
        : (tensor<?x64xf32>, tensor<?xi32>, !transformer.weight<[128, 64], f32>) -> tensor<?x128xf32>
    return %y, %e : tensor<?x128xf32>, !kv
  }
}
