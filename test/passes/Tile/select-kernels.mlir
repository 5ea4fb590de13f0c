// RUN: ingot-opt %s --ingot-select-kernels="max-context=64 max-sequences=2" | FileCheck %s
// RUN: ingot-opt %s --ingot-select-kernels="max-context=1024 max-sequences=2" | FileCheck %s --check-prefix=SPLIT

!w = !transformer.weight<[64, 64], q4_1>
!wk = !transformer.weight<[16, 64], q8_0>
!wv = !transformer.weight<[16, 64], q4_1>
!cache = !transformer.kv_cache<layers = 2, heads = 1, dim = 16, format = f16, page = 16>

// Equal regions share one kernel, and every weight that is decoded gets a packing.
// CHECK-LABEL: func.func @share
// CHECK-SAME:  (%[[X:.*]]: tensor<?x64xf32>, %[[A:.*]]: !transformer.weight<[64, 64], q4_1>,
func.func @share(%x: tensor<?x64xf32>, %a: !w, %b: !w) -> (tensor<?x64xf32>, tensor<?x64xf32>) {
  // CHECK: %[[P:.*]] = transformer.pack_weight %[[A]] : {{.*}} -> <[64, 64], q4_1, #tile.packed<q4_1, rows = 8>>
  // CHECK: tile.launch @Linear_64x64_q4_1(%[[X]], %[[P]])
  // CHECK: tile.launch @Linear_64x64_q4_1(
  // CHECK-NOT: transformer.compute
  %y = transformer.compute "Linear" (%i = %x : tensor<?x64xf32>, %w = %a : !w) -> (tensor<?x64xf32>) {
    %r = transformer.linear %i, %w : tensor<?x64xf32>, !w -> tensor<?x64xf32>
    transformer.yield %r : tensor<?x64xf32>
  }
  %z = transformer.compute "Linear" (%i = %y : tensor<?x64xf32>, %w = %b : !w) -> (tensor<?x64xf32>) {
    %r = transformer.linear %i, %w : tensor<?x64xf32>, !w -> tensor<?x64xf32>
    transformer.yield %r : tensor<?x64xf32>
  }
  return %y, %z : tensor<?x64xf32>, tensor<?x64xf32>
}

// The schedule of a region cuts its kernel into blocks; regions of other schedules have kernels of their own.
// CHECK-LABEL: func.func @schedules
func.func @schedules(%x: tensor<?x64xf32>, %a: !w) -> (tensor<?x64xf32>, tensor<?x64xf32>) {
  // CHECK: tile.launch @[[TWO:Linear_64x64_q4_1_[0-9]+]](
  %y = transformer.compute "Linear" (%i = %x : tensor<?x64xf32>, %w = %a : !w) -> (tensor<?x64xf32>) {
    %r = transformer.linear %i, %w : tensor<?x64xf32>, !w -> tensor<?x64xf32>
    transformer.yield %r : tensor<?x64xf32>
  } {tile.schedule = {row_groups = 2, block_tokens = 32}}
  // CHECK: tile.launch @[[THREE:Linear_64x64_q4_1_[0-9]+]](
  %z = transformer.compute "Linear" (%i = %x : tensor<?x64xf32>, %w = %a : !w) -> (tensor<?x64xf32>) {
    %r = transformer.linear %i, %w : tensor<?x64xf32>, !w -> tensor<?x64xf32>
    transformer.yield %r : tensor<?x64xf32>
  } {tile.schedule = {row_groups = 3}}
  return %y, %z : tensor<?x64xf32>, tensor<?x64xf32>
}

// A residual is added in place: the launch takes over its memory.
// CHECK-LABEL: func.func @residual
func.func @residual(%q: tensor<?x64xi8>, %s: tensor<?x2xf32>, %r: tensor<?x64xf32>, %w: !w) -> tensor<?x64xf32> {
  // CHECK: tile.launch @Linear_64x64_q4_1_int8(%{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}) in_place [3]
  %y = transformer.compute "Linear" (%i = %q : tensor<?x64xi8>, %c = %s : tensor<?x2xf32>, %m = %w : !w, %e = %r : tensor<?x64xf32>) -> (tensor<?x64xf32>) {
    %p = transformer.linear %i scales %c, %m : tensor<?x64xi8> scales tensor<?x2xf32>, !w -> tensor<?x64xf32>
    %o = arith.addf %e, %p : tensor<?x64xf32>
    transformer.yield %o : tensor<?x64xf32>
  }
  return %y : tensor<?x64xf32>
}

// Rows behind select_rows are counted as outputs.
// CHECK-LABEL: func.func @outputs
func.func @outputs(%x: tensor<?x64xf32>, %rows: tensor<?xi32>, %g: !transformer.weight<[64], f32>) -> (tensor<?x64xi8>, tensor<?x2xf32>) {
  // CHECK: tile.launch @SelectRows_outputs(
  // CHECK: tile.launch @RmsNormQuantize_outputs(
  %r = transformer.compute "SelectRows" (%i = %x : tensor<?x64xf32>, %j = %rows : tensor<?xi32>) -> (tensor<?x64xf32>) {
    %y = transformer.select_rows %i, %j : tensor<?x64xf32>, tensor<?xi32> -> tensor<?x64xf32>
    transformer.yield %y : tensor<?x64xf32>
  }
  %q, %s = transformer.compute "RmsNormQuantize" (%i = %r : tensor<?x64xf32>, %w = %g : !transformer.weight<[64], f32>) -> (tensor<?x64xi8>, tensor<?x2xf32>) {
    %n = transformer.norm rms %i, %w {epsilon = 1.0e-5 : f32} : tensor<?x64xf32>, !transformer.weight<[64], f32>
    %v, %t = transformer.quantize %n : tensor<?x64xf32> -> tensor<?x64xi8>, tensor<?x2xf32>
    transformer.yield %v, %t : tensor<?x64xi8>, tensor<?x2xf32>
  }
  return %q, %s : tensor<?x64xi8>, tensor<?x2xf32>
}

// The cache is threaded in place; keys, values and queries come from one launch. Weights of one format are stacked, others
// beside them; a bias stays apart.
// CHECK-LABEL: func.func @attend
// CHECK-SAME: %[[WQ:[^:]*]]: !transformer.weight<[64, 64], q4_1>, %[[WK:[^:]*]]: !transformer.weight<[16, 64], q8_0>, %[[WV:[^:]*]]: !transformer.weight<[16, 64], q4_1>, %[[BIAS:[^:]*]]: !transformer.weight<[16], f32>)
func.func @attend(%x: tensor<?x64xf32>, %batch: !transformer.ragged, %cache: !cache, %layer: index, %wq: !w, %wk: !wk, %wv: !wv, %bias: !transformer.weight<[16], f32>) -> (tensor<?x4x16xf32>, !cache) {
  // CHECK: %[[S:.*]] = transformer.concat_weights %[[WQ]], %[[WV]] : {{.*}} -> <[80, 64], q4_1>
  // CHECK: %[[P:.*]] = transformer.pack_weight %[[S]]
  // CHECK: %[[R:.*]] = transformer.pack_weight %[[WK]]
  // CHECK: %[[T:.*]] = transformer.rope_table {{.*}} : <[64, 16], f32>
  // CHECK: tile.launch @LinearRopeAppendCache_64x64_q4_1_16x64_q8_0_16x64_q4_1(%{{.*}}, %[[P]], %[[R]], %[[BIAS]], %[[T]], %{{.*}}, %[[C:.*]], %{{.*}}) in_place [-1, 6]
  // CHECK: %[[Y:.*]] = tile.launch @PagedAttention(
  // CHECK-NEXT: return %[[Y]]
  // A context of several splits has a second launch, which merges them into the first one's result.
  // SPLIT: %[[Y:.*]]:2 = tile.launch @PagedAttention({{.*}}) -> (tensor<?x4x16xf32>, tensor<?x8x4x4x24xf32>)
  // SPLIT-NEXT: %[[Z:.*]] = tile.launch @PagedAttentionMerge(%{{.*}}, %[[Y]]#0, %[[Y]]#1) in_place [1]
  // SPLIT-NEXT: return %[[Z]]
  %p = transformer.positions %batch : tensor<?xi32>
  %zero = arith.constant 0 : index
  %t = tensor.dim %x, %zero : tensor<?x64xf32>
  %q, %c = transformer.compute "LinearRopeAppendCache" (%i = %x : tensor<?x64xf32>, %m = %wq : !w, %n = %t : index, %o = %p : tensor<?xi32>, %u = %wk : !wk, %d = %bias : !transformer.weight<[16], f32>, %v = %wv : !wv, %k = %cache : !cache, %l = %layer : index, %b = %batch : !transformer.ragged) -> (tensor<?x4x16xf32>, !cache) {
    %q0 = transformer.linear %i, %m : tensor<?x64xf32>, !w -> tensor<?x64xf32>
    %q1 = tensor.expand_shape %q0 [[0], [1, 2]] output_shape [%n, 4, 16] : tensor<?x64xf32> into tensor<?x4x16xf32>
    %q2 = transformer.rope interleaved %q1, %o {base = 1.0e4 : f64} : tensor<?x4x16xf32>, tensor<?xi32>
    %k0 = transformer.linear %i, %u bias %d : tensor<?x64xf32>, !wk bias !transformer.weight<[16], f32> -> tensor<?x16xf32>
    %k1 = tensor.expand_shape %k0 [[0], [1, 2]] output_shape [%n, 1, 16] : tensor<?x16xf32> into tensor<?x1x16xf32>
    %k2 = transformer.rope interleaved %k1, %o {base = 1.0e4 : f64} : tensor<?x1x16xf32>, tensor<?xi32>
    %v0 = transformer.linear %i, %v : tensor<?x64xf32>, !wv -> tensor<?x16xf32>
    %v1 = tensor.expand_shape %v0 [[0], [1, 2]] output_shape [%n, 1, 16] : tensor<?x16xf32> into tensor<?x1x16xf32>
    %e = transformer.append_cache %k[%l], %k2, %v1, %b : !cache, tensor<?x1x16xf32>
    transformer.yield %q2, %e : tensor<?x4x16xf32>, !cache
  }
  %y = transformer.compute "PagedAttention" (%i = %q : tensor<?x4x16xf32>, %b = %batch : !transformer.ragged, %k = %c : !cache, %l = %layer : index) -> (tensor<?x4x16xf32>) {
    %a = transformer.cached_attention %i, %k[%l], %b {scale = 0.25 : f32} : tensor<?x4x16xf32>, !cache
    transformer.yield %a : tensor<?x4x16xf32>
  }
  return %y, %c : tensor<?x4x16xf32>, !cache
}

// Gate and up are streamed side by side.
// CHECK-LABEL: func.func @gate
func.func @gate(%x: tensor<?x64xf32>, %a: !w, %b: !w) -> tensor<?x64xf32> {
  // CHECK: tile.launch @LinearGatedActivation_64x64_q4_1_64x64_q4_1(
  %y = transformer.compute "LinearGatedActivation" (%i = %x : tensor<?x64xf32>, %g = %a : !w, %u = %b : !w) -> (tensor<?x64xf32>) {
    %p = transformer.linear %i, %g : tensor<?x64xf32>, !w -> tensor<?x64xf32>
    %q = transformer.linear %i, %u : tensor<?x64xf32>, !w -> tensor<?x64xf32>
    %s = transformer.activation silu %p : tensor<?x64xf32>
    %m = arith.mulf %s, %q : tensor<?x64xf32>
    transformer.yield %m : tensor<?x64xf32>
  }
  return %y : tensor<?x64xf32>
}

// Tokens' rows of a table.
// CHECK-LABEL: func.func @embed
func.func @embed(%ids: tensor<?xi32>, %t: !transformer.weight<[100, 64], q8_0>) -> tensor<?x64xf32> {
  // CHECK: tile.launch @Embedding_100x64_q8_0(
  %y = transformer.compute "Embedding" (%i = %ids : tensor<?xi32>, %w = %t : !transformer.weight<[100, 64], q8_0>) -> (tensor<?x64xf32>) {
    %x = transformer.embedding %i, %w : tensor<?xi32>, !transformer.weight<[100, 64], q8_0> -> tensor<?x64xf32>
    transformer.yield %x : tensor<?x64xf32>
  }
  return %y : tensor<?x64xf32>
}

// CHECK: tile.kernel @[[TWO]]({{.*}} grid [4, tokens ceildiv 32]
// CHECK: tile.kernel @[[THREE]]({{.*}} grid [3, tokens ceildiv 64]
