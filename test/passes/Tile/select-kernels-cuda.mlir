// RUN: ingot-opt %s --ingot-select-kernels="max-context=64 max-sequences=2 target=cuda" | FileCheck %s
// RUN: ingot-opt %s --ingot-select-kernels="max-context=1024 max-sequences=2 target=cuda" | FileCheck %s --check-prefix=SPLIT

!x = tensor<?x64xf32>
!w = !transformer.weight<[64, 64], bf16>
!g = !transformer.weight<[64], f32>
!heads = tensor<?x4x32xf32>
!cache = !transformer.kv_cache<layers = 2, heads = 2, dim = 32, format = f16, page = 32>

// A product is two launches: one has blocks for up to 8 tokens, the other for more; that takes over the first one's result.
// CHECK-LABEL: func.func @product
func.func @product(%x: !x, %a: !w) -> !x {
  // CHECK: %[[Y:.*]] = tile.launch @Linear_64x64_bf16(%[[X:.*]], %[[A:.*]]) in_place [-1]
  // CHECK-NEXT: %[[Z:.*]] = tile.launch @Linear_64x64_bf16_many(%[[X]], %[[A]], %[[Y]]) in_place [2]
  // CHECK-NEXT: return %[[Z]]
  %y = transformer.compute "Linear" (%i = %x : !x, %w = %a : !w) -> (!x) {
    %r = transformer.linear %i, %w : !x, !w -> !x
    transformer.yield %r : !x
  }
  return %y : !x
}

// A norm in the region of products is a launch before them, for the tokens that they do not norm themselves.
// CHECK-LABEL: func.func @norm
func.func @norm(%x: !x, %g: !g, %a: !w, %b: !w) -> !x {
  // CHECK: %[[N:.*]] = tile.launch @RmsNorm_64_beyond_2(%[[X:.*]], %[[G:.*]]) in_place [-1]
  // CHECK-NEXT: %[[Y:.*]] = tile.launch @LinearGatedActivation_64x64_bf16_64x64_bf16(%[[N]], %[[A:.*]], %[[B:.*]], %[[X]], %[[G]]) in_place [-1]
  // CHECK-NEXT: %[[Z:.*]] = tile.launch @LinearGatedActivation_64x64_bf16_64x64_bf16_many(%[[N]], %[[A]], %[[B]], %[[X]], %[[G]], %[[Y]]) in_place [5]
  // CHECK-NEXT: return %[[Z]]
  %y = transformer.compute "LinearGatedActivation" (%i = %x : !x, %h = %g : !g, %c = %a : !w, %d = %b : !w) -> (!x) {
    %n = transformer.norm rms %i, %h {epsilon = 1.0e-5 : f32} : !x, !g
    %p = transformer.linear %n, %c : !x, !w -> !x
    %q = transformer.linear %n, %d : !x, !w -> !x
    %s = transformer.activation silu %p : !x
    %m = arith.mulf %s, %q : !x
    transformer.yield %m : !x
  }
  return %y : !x
}

// A context of several splits has a launch that leaves their states and one that merges them.
// CHECK-LABEL: func.func @attend
// SPLIT-LABEL: func.func @attend
func.func @attend(%q: !heads, %batch: !transformer.ragged, %c: !cache) -> !heads {
  // CHECK: %[[Y:.*]] = tile.launch @PagedAttention(
  // CHECK-NEXT: return %[[Y]]
  // SPLIT: %[[Y:.*]] = tile.launch @PagedAttention({{.*}}) {{.*}} -> tensor<?x2x8x2x40xf32>
  // SPLIT-NEXT: %[[Z:.*]] = tile.launch @PagedAttentionMerge(%{{.*}}, %[[Y]]) {{.*}} -> tensor<?x4x32xf32>
  // SPLIT-NEXT: return %[[Z]]
  %layer = arith.constant 1 : index
  %y = transformer.compute "PagedAttention" (%i = %q : !heads, %b = %batch : !transformer.ragged, %k = %c : !cache, %l = %layer : index) -> (!heads) {
    %a = transformer.cached_attention %i, %k[%l], %b {scale = 0.25 : f32} : !heads, !cache
    transformer.yield %a : !heads
  }
  return %y : !heads
}

// Kernels of products are for counts up to 8, and from 9 on; a norm is for more than 2.
// CHECK: tile.kernel @Linear_64x64_bf16({{.*}}) grid [4, tokens * -1 + 9 ceildiv 8, tokens ceildiv 1073741824]
// CHECK: tile.kernel @Linear_64x64_bf16_many({{.*}}) grid [4, tokens * 2 + -16 ceildiv 32]
// CHECK-DAG: tile.kernel @RmsNorm_64_beyond_2({{.*}}) grid [tokens * 4 + -8]
