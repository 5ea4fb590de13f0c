// RUN: ingot-opt %s --ingot-fuse-projections --remarks-filter=fuse --remark-policy=all --remark-format=emitRemark --verify-diagnostics | FileCheck %s

!x = tensor<?x64xf32>
!h = tensor<?x32xf32>
!wq = !transformer.weight<[64, 64], q4_1>
!wk = !transformer.weight<[32, 64], q4_1>
!w6 = !transformer.weight<[32, 64], q8_0>
!bias = !transformer.weight<[32], f32>
!cache = !transformer.kv_cache<layers = 2, heads = 2, dim = 16, format = f16, page = 16>
!q = tensor<?x4x16xf32>
!k = tensor<?x2x16xf32>

// CHECK-NOT: transformer.compute
// CHECK-NOT: transformer.concat_weights

func.func @formats(%x: !x, %batch: !transformer.ragged, %cache: !cache, %layer: index, %wq: !wq, %wk: !wk, %wv: !w6, %t: index) -> (!q, !cache) {
  %p = transformer.positions %batch : tensor<?xi32>
  %q0 = transformer.linear %x, %wq : !x, !wq -> !x
  %q1 = tensor.expand_shape %q0 [[0], [1, 2]] output_shape [%t, 4, 16] : !x into !q
  %q2 = transformer.rope interleaved %q1, %p {base = 1.0e4 : f64} : !q, tensor<?xi32>
  %k0 = transformer.linear %x, %wk : !x, !wk -> !h
  %k1 = tensor.expand_shape %k0 [[0], [1, 2]] output_shape [%t, 2, 16] : !h into !k
  %k2 = transformer.rope interleaved %k1, %p {base = 1.0e4 : f64} : !k, tensor<?xi32>
  %v0 = transformer.linear %x, %wv : !x, !w6 -> !h
  %v1 = tensor.expand_shape %v0 [[0], [1, 2]] output_shape [%t, 2, 16] : !h into !k
  // expected-remark@below {{[Missed] FuseProjections | Category:fuse | Function=formats | Reason="the weights !transformer.weight<[64, 64], q4_1> and !transformer.weight<[32, 64], q8_0> cannot be stacked"}}
  %c1 = transformer.append_cache %cache[%layer], %k2, %v1, %batch : !cache, !k
  %a = transformer.cached_attention %q2, %c1[%layer], %batch {scale = 0.25 : f32} : !q, !cache
  return %a, %c1 : !q, !cache
}

func.func @inputs(%x: !x, %batch: !transformer.ragged, %cache: !cache, %layer: index, %wq: !wq, %wk: !wk, %wv: !wk, %t: index, %z: !x) -> (!q, !cache) {
  %p = transformer.positions %batch : tensor<?xi32>
  %q0 = transformer.linear %x, %wq : !x, !wq -> !x
  %q1 = tensor.expand_shape %q0 [[0], [1, 2]] output_shape [%t, 4, 16] : !x into !q
  %q2 = transformer.rope interleaved %q1, %p {base = 1.0e4 : f64} : !q, tensor<?xi32>
  %k0 = transformer.linear %x, %wk : !x, !wk -> !h
  %k1 = tensor.expand_shape %k0 [[0], [1, 2]] output_shape [%t, 2, 16] : !h into !k
  %k2 = transformer.rope interleaved %k1, %p {base = 1.0e4 : f64} : !k, tensor<?xi32>
  %v0 = transformer.linear %z, %wv : !x, !wk -> !h
  %v1 = tensor.expand_shape %v0 [[0], [1, 2]] output_shape [%t, 2, 16] : !h into !k
  // expected-remark@below {{queries, keys and values come from different inputs}}
  %c1 = transformer.append_cache %cache[%layer], %k2, %v1, %batch : !cache, !k
  %a = transformer.cached_attention %q2, %c1[%layer], %batch {scale = 0.25 : f32} : !q, !cache
  return %a, %c1 : !q, !cache
}

func.func @bias(%x: !x, %batch: !transformer.ragged, %cache: !cache, %layer: index, %wq: !wq, %wk: !wk, %wv: !wk, %t: index, %bias: !bias) -> (!q, !cache) {
  %p = transformer.positions %batch : tensor<?xi32>
  %q0 = transformer.linear %x, %wq : !x, !wq -> !x
  %q1 = tensor.expand_shape %q0 [[0], [1, 2]] output_shape [%t, 4, 16] : !x into !q
  %q2 = transformer.rope interleaved %q1, %p {base = 1.0e4 : f64} : !q, tensor<?xi32>
  %k0 = transformer.linear %x, %wk : !x, !wk -> !h
  %k1 = tensor.expand_shape %k0 [[0], [1, 2]] output_shape [%t, 2, 16] : !h into !k
  %k2 = transformer.rope interleaved %k1, %p {base = 1.0e4 : f64} : !k, tensor<?xi32>
  %v0 = transformer.linear %x, %wv bias %bias : !x, !wk bias !bias -> !h
  %v1 = tensor.expand_shape %v0 [[0], [1, 2]] output_shape [%t, 2, 16] : !h into !k
  // expected-remark@below {{a projection has a bias}}
  %c1 = transformer.append_cache %cache[%layer], %k2, %v1, %batch : !cache, !k
  %a = transformer.cached_attention %q2, %c1[%layer], %batch {scale = 0.25 : f32} : !q, !cache
  return %a, %c1 : !q, !cache
}

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
  // expected-remark@below {{queries and keys are rotated differently}}
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
  // expected-remark@below {{keys are no product that only attention uses}}
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

// What no kernel computes together stays apart, with the kernel's reason.
func.func @half(%x: !x, %batch: !transformer.ragged, %cache: !cache, %layer: index, %wq: !wq, %wk: !wk, %wv: !wk, %t: index) -> (!q, !cache) {
  %p = transformer.positions %batch : tensor<?xi32>
  %q0 = transformer.linear %x, %wq : !x, !wq -> !x
  %q1 = tensor.expand_shape %q0 [[0], [1, 2]] output_shape [%t, 4, 16] : !x into !q
  %q2 = transformer.rope half %q1, %p {base = 1.0e4 : f64} : !q, tensor<?xi32>
  %k0 = transformer.linear %x, %wk : !x, !wk -> !h
  %k1 = tensor.expand_shape %k0 [[0], [1, 2]] output_shape [%t, 2, 16] : !h into !k
  %k2 = transformer.rope half %k1, %p {base = 1.0e4 : f64} : !k, tensor<?xi32>
  %v0 = transformer.linear %x, %wv : !x, !wk -> !h
  %v1 = tensor.expand_shape %v0 [[0], [1, 2]] output_shape [%t, 2, 16] : !h into !k
  // expected-remark@below {{only interleaved rope over the whole head is there}}
  %c1 = transformer.append_cache %cache[%layer], %k2, %v1, %batch : !cache, !k
  %a = transformer.cached_attention %q2, %c1[%layer], %batch {scale = 0.25 : f32} : !q, !cache
  return %a, %c1 : !q, !cache
}
