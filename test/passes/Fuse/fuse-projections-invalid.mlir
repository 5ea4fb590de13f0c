// RUN: ingot-opt %s --ingot-fuse-projections --remarks-filter=fuse --remark-policy=all --remark-format=emitRemark --verify-diagnostics | FileCheck %s

!x = tensor<?x64xf32>
!h = tensor<?x32xf32>
!wq = !transformer.weight<[64, 64], q4_1>
!wk = !transformer.weight<[32, 64], q4_1>
!norm = !transformer.weight<[16], f32>
!all = !transformer.weight<[136, 64], q4_1>
!cache = !transformer.kv_cache<layers = 2, heads = 2, dim = 16, format = f16, page = 16>
!q = tensor<?x4x16xf32>
!k = tensor<?x2x16xf32>

// CHECK-NOT: transformer.compute

func.func @bases(%x: !x, %batch: !transformer.ragged, %cache: !cache, %layer: index, %wq: !wq, %wk: !wk, %wv: !wk, %t: index) -> (!q, !cache) {
  %p = transformer.positions %batch : tensor<?xi32>
  %q0 = transformer.linear %x, %wq : !x, !wq -> !x
  %q1 = tensor.expand_shape %q0 [[0], [1, 2]] output_shape [%t, 4, 16] : !x into !q
  %q2 = transformer.rope interleaved %q1, %p {base = 1.0e4 : f64} : !q, tensor<?xi32>
  %k0 = transformer.linear %x, %wk : !x, !wk -> !h
  %k1 = tensor.expand_shape %k0 [[0], [1, 2]] output_shape [%t, 2, 16] : !h into !k
  %k2 = transformer.rope interleaved %k1, %p {base = 1.0e6 : f64} : !k, tensor<?xi32>
  %v0 = transformer.linear %x, %wv : !x, !wk -> !h
  %v1 = tensor.expand_shape %v0 [[0], [1, 2]] output_shape [%t, 2, 16] : !h into !k
  // expected-remark@below {{[Missed] FuseProjections | Category:fuse | Function=bases | Reason="queries and keys are rotated differently"}}
  %c1 = transformer.append_cache %cache[%layer], %k2, %v1, %batch : !cache, !k
  %a = transformer.cached_attention %q2, %c1[%layer], %batch {scale = 0.25 : f32} : !q, !cache
  return %a, %c1 : !q, !cache
}

// Positions from elsewhere are no part of the batch that the kernel reads.
func.func @positions(%x: !x, %batch: !transformer.ragged, %cache: !cache, %layer: index, %wq: !wq, %wk: !wk, %wv: !wk, %t: index, %z: tensor<?xi32>) -> (!q, !cache) {
  %p = transformer.positions %batch : tensor<?xi32>
  %q0 = transformer.linear %x, %wq : !x, !wq -> !x
  %q1 = tensor.expand_shape %q0 [[0], [1, 2]] output_shape [%t, 4, 16] : !x into !q
  %q2 = transformer.rope interleaved %q1, %p {base = 1.0e4 : f64} : !q, tensor<?xi32>
  %k0 = transformer.linear %x, %wk : !x, !wk -> !h
  %k1 = tensor.expand_shape %k0 [[0], [1, 2]] output_shape [%t, 2, 16] : !h into !k
  %k2 = transformer.rope interleaved %k1, %z {base = 1.0e4 : f64} : !k, tensor<?xi32>
  %v0 = transformer.linear %x, %wv : !x, !wk -> !h
  %v1 = tensor.expand_shape %v0 [[0], [1, 2]] output_shape [%t, 2, 16] : !h into !k
  // expected-remark@below {{rotations are not by the positions of the batch}}
  %c1 = transformer.append_cache %cache[%layer], %k2, %v1, %batch : !cache, !k
  %a = transformer.cached_attention %q2, %c1[%layer], %batch {scale = 0.25 : f32} : !q, !cache
  return %a, %c1 : !q, !cache
}

func.func @values(%x: !x, %batch: !transformer.ragged, %cache: !cache, %layer: index, %wq: !wq, %wk: !wk, %wv: !wk, %t: index) -> (!q, !cache) {
  %p = transformer.positions %batch : tensor<?xi32>
  %q0 = transformer.linear %x, %wq : !x, !wq -> !x
  %q1 = tensor.expand_shape %q0 [[0], [1, 2]] output_shape [%t, 4, 16] : !x into !q
  %q2 = transformer.rope interleaved %q1, %p {base = 1.0e4 : f64} : !q, tensor<?xi32>
  %k0 = transformer.linear %x, %wk : !x, !wk -> !h
  %k1 = tensor.expand_shape %k0 [[0], [1, 2]] output_shape [%t, 2, 16] : !h into !k
  %k2 = transformer.rope interleaved %k1, %p {base = 1.0e4 : f64} : !k, tensor<?xi32>
  %v0 = transformer.linear %x, %wv : !x, !wk -> !h
  %v1 = tensor.expand_shape %v0 [[0], [1, 2]] output_shape [%t, 2, 16] : !h into !k
  %v2 = transformer.rope interleaved %v1, %p {base = 1.0e4 : f64} : !k, tensor<?xi32>
  // expected-remark@below {{not exactly queries and keys are rotated}}
  %c1 = transformer.append_cache %cache[%layer], %k2, %v2, %batch : !cache, !k
  %a = transformer.cached_attention %q2, %c1[%layer], %batch {scale = 0.25 : f32} : !q, !cache
  return %a, %c1 : !q, !cache
}

// A use of what is between: the keys would have to be stored.
func.func @used(%x: !x, %batch: !transformer.ragged, %cache: !cache, %layer: index, %wq: !wq, %wk: !wk, %wv: !wk, %t: index) -> (!q, !cache, !k) {
  %p = transformer.positions %batch : tensor<?xi32>
  %q0 = transformer.linear %x, %wq : !x, !wq -> !x
  %q1 = tensor.expand_shape %q0 [[0], [1, 2]] output_shape [%t, 4, 16] : !x into !q
  %q2 = transformer.rope interleaved %q1, %p {base = 1.0e4 : f64} : !q, tensor<?xi32>
  %k0 = transformer.linear %x, %wk : !x, !wk -> !h
  %k1 = tensor.expand_shape %k0 [[0], [1, 2]] output_shape [%t, 2, 16] : !h into !k
  %k2 = transformer.rope interleaved %k1, %p {base = 1.0e4 : f64} : !k, tensor<?xi32>
  %v0 = transformer.linear %x, %wv : !x, !wk -> !h
  %v1 = tensor.expand_shape %v0 [[0], [1, 2]] output_shape [%t, 2, 16] : !h into !k
  // expected-remark@below {{queries, keys or values are used elsewhere too}}
  %c1 = transformer.append_cache %cache[%layer], %k2, %v1, %batch : !cache, !k
  %a = transformer.cached_attention %q2, %c1[%layer], %batch {scale = 0.25 : f32} : !q, !cache
  return %a, %c1, %k2 : !q, !cache, !k
}

func.func @unread(%x: !x, %batch: !transformer.ragged, %cache: !cache, %layer: index, %wq: !wq, %wk: !wk, %wv: !wk, %t: index) -> (!q, !cache) {
  %p = transformer.positions %batch : tensor<?xi32>
  %q0 = transformer.linear %x, %wq : !x, !wq -> !x
  %q1 = tensor.expand_shape %q0 [[0], [1, 2]] output_shape [%t, 4, 16] : !x into !q
  %q2 = transformer.rope interleaved %q1, %p {base = 1.0e4 : f64} : !q, tensor<?xi32>
  %k0 = transformer.linear %x, %wk : !x, !wk -> !h
  %k1 = tensor.expand_shape %k0 [[0], [1, 2]] output_shape [%t, 2, 16] : !h into !k
  %k2 = transformer.rope interleaved %k1, %p {base = 1.0e4 : f64} : !k, tensor<?xi32>
  %v0 = transformer.linear %x, %wv : !x, !wk -> !h
  %v1 = tensor.expand_shape %v0 [[0], [1, 2]] output_shape [%t, 2, 16] : !h into !k
  // expected-remark@below {{no attention reads what was appended}}
  %c1 = transformer.append_cache %cache[%layer], %k2, %v1, %batch : !cache, !k
  return %q2, %c1 : !q, !cache
}

// Attention of other tokens, as over an encoder's.
func.func @batches(%x: !x, %batch: !transformer.ragged, %cache: !cache, %layer: index, %wq: !wq, %wk: !wk, %wv: !wk, %t: index, %other: !transformer.ragged) -> (!q, !cache) {
  %p = transformer.positions %batch : tensor<?xi32>
  %q0 = transformer.linear %x, %wq : !x, !wq -> !x
  %q1 = tensor.expand_shape %q0 [[0], [1, 2]] output_shape [%t, 4, 16] : !x into !q
  %q2 = transformer.rope interleaved %q1, %p {base = 1.0e4 : f64} : !q, tensor<?xi32>
  %k0 = transformer.linear %x, %wk : !x, !wk -> !h
  %k1 = tensor.expand_shape %k0 [[0], [1, 2]] output_shape [%t, 2, 16] : !h into !k
  %k2 = transformer.rope interleaved %k1, %p {base = 1.0e4 : f64} : !k, tensor<?xi32>
  %v0 = transformer.linear %x, %wv : !x, !wk -> !h
  %v1 = tensor.expand_shape %v0 [[0], [1, 2]] output_shape [%t, 2, 16] : !h into !k
  // expected-remark@below {{no attention reads what was appended}}
  %c1 = transformer.append_cache %cache[%layer], %k2, %v1, %batch : !cache, !k
  %a = transformer.cached_attention %q2, %c1[%layer], %other {scale = 0.25 : f32} : !q, !cache
  return %a, %c1 : !q, !cache
}

// Positions from elsewhere are no part of the batch that the kernel reads.
func.func @sum(%x: !x, %batch: !transformer.ragged, %cache: !cache, %layer: index, %wq: !wq, %wk: !wk, %wv: !wk, %t: index) -> (!q, !cache) {
  %p = transformer.positions %batch : tensor<?xi32>
  %q0 = transformer.linear %x, %wq : !x, !wq -> !x
  %q1 = tensor.expand_shape %q0 [[0], [1, 2]] output_shape [%t, 4, 16] : !x into !q
  %q2 = transformer.rope interleaved %q1, %p {base = 1.0e4 : f64} : !q, tensor<?xi32>
  %k0 = transformer.linear %x, %wk : !x, !wk -> !h
  %k1 = tensor.expand_shape %k0 [[0], [1, 2]] output_shape [%t, 2, 16] : !h into !k
  %k2 = transformer.rope interleaved %k1, %p {base = 1.0e4 : f64} : !k, tensor<?xi32>
  %v0 = transformer.linear %x, %wv : !x, !wk -> !h
  %v9 = arith.addf %v0, %k0 : !h
  %v1 = tensor.expand_shape %v9 [[0], [1, 2]] output_shape [%t, 2, 16] : !h into !k
  // expected-remark@below {{values are no heads of a product}}
  %c1 = transformer.append_cache %cache[%layer], %k2, %v1, %batch : !cache, !k
  %a = transformer.cached_attention %q2, %c1[%layer], %batch {scale = 0.25 : f32} : !q, !cache
  return %a, %c1 : !q, !cache
}

// Positions from elsewhere are no part of the batch that the kernel reads.
func.func @layer(%x: !x, %batch: !transformer.ragged, %cache: !cache, %layer: index, %wq: !wq, %wk: !wk, %wv: !wk, %t: index, %g: !norm) -> (!q, !cache) {
  %p = transformer.positions %batch : tensor<?xi32>
  %q0 = transformer.linear %x, %wq : !x, !wq -> !x
  %q1 = tensor.expand_shape %q0 [[0], [1, 2]] output_shape [%t, 4, 16] : !x into !q
  %q9 = transformer.norm layer %q1, %g {epsilon = 1.0e-5 : f32} : !q, !norm
  %q2 = transformer.rope interleaved %q9, %p {base = 1.0e4 : f64} : !q, tensor<?xi32>
  %k0 = transformer.linear %x, %wk : !x, !wk -> !h
  %k1 = tensor.expand_shape %k0 [[0], [1, 2]] output_shape [%t, 2, 16] : !h into !k
  %k2 = transformer.rope interleaved %k1, %p {base = 1.0e4 : f64} : !k, tensor<?xi32>
  %v0 = transformer.linear %x, %wv : !x, !wk -> !h
  %v1 = tensor.expand_shape %v0 [[0], [1, 2]] output_shape [%t, 2, 16] : !h into !k
  // expected-remark@below {{heads are normed by other than an rms norm with a weight of floats}}
  %c1 = transformer.append_cache %cache[%layer], %k2, %v1, %batch : !cache, !k
  %a = transformer.cached_attention %q2, %c1[%layer], %batch {scale = 0.25 : f32} : !q, !cache
  return %a, %c1 : !q, !cache
}

// Positions from elsewhere are no part of the batch that the kernel reads.
// Rows that belong to none of the three would be computed for nothing.
func.func @rows(%x: !x, %batch: !transformer.ragged, %cache: !cache, %layer: index, %w: !all, %t: index) -> (!q, !cache) {
  %y = transformer.linear %x, %w : !x, !all -> tensor<?x136xf32>
  %q0 = tensor.extract_slice %y[0, 0] [%t, 64] [1, 1] : tensor<?x136xf32> to !x
  %k0 = tensor.extract_slice %y[0, 64] [%t, 32] [1, 1] : tensor<?x136xf32> to !h
  %v0 = tensor.extract_slice %y[0, 96] [%t, 32] [1, 1] : tensor<?x136xf32> to !h
  %q1 = tensor.expand_shape %q0 [[0], [1, 2]] output_shape [%t, 4, 16] : !x into !q
  %k1 = tensor.expand_shape %k0 [[0], [1, 2]] output_shape [%t, 2, 16] : !h into !k
  %v1 = tensor.expand_shape %v0 [[0], [1, 2]] output_shape [%t, 2, 16] : !h into !k
  // expected-remark@below {{rows of a product are not used}}
  %c1 = transformer.append_cache %cache[%layer], %k1, %v1, %batch : !cache, !k
  %a = transformer.cached_attention %q1, %c1[%layer], %batch {scale = 0.25 : f32} : !q, !cache
  return %a, %c1 : !q, !cache
}

// What the kernel cannot do.
func.func @dim(%x: !x, %batch: !transformer.ragged, %cache: !transformer.kv_cache<layers = 2, heads = 8, dim = 4, format = f16, page = 16>, %layer: index, %wq: !wq, %wk: !wk, %wv: !wk, %t: index) -> tensor<?x16x4xf32> {
  %q0 = transformer.linear %x, %wq : !x, !wq -> !x
  %q1 = tensor.expand_shape %q0 [[0], [1, 2]] output_shape [%t, 16, 4] : !x into tensor<?x16x4xf32>
  %k0 = transformer.linear %x, %wk : !x, !wk -> !h
  %k1 = tensor.expand_shape %k0 [[0], [1, 2]] output_shape [%t, 8, 4] : !h into tensor<?x8x4xf32>
  %v0 = transformer.linear %x, %wv : !x, !wk -> !h
  %v1 = tensor.expand_shape %v0 [[0], [1, 2]] output_shape [%t, 8, 4] : !h into tensor<?x8x4xf32>
  // expected-remark@below {{the head dimension is not a multiple of 8}}
  %c1 = transformer.append_cache %cache[%layer], %k1, %v1, %batch : !transformer.kv_cache<layers = 2, heads = 8, dim = 4, format = f16, page = 16>, tensor<?x8x4xf32>
  %a = transformer.cached_attention %q1, %c1[%layer], %batch {scale = 0.25 : f32} : tensor<?x16x4xf32>, !transformer.kv_cache<layers = 2, heads = 8, dim = 4, format = f16, page = 16>
  return %a : tensor<?x16x4xf32>
}
