// RUN: ingot-opt %s --ingot-fuse-projections --remarks-filter=fuse --remark-policy=all --remark-format=emitRemark --verify-diagnostics | FileCheck %s

!x = tensor<?x64xf32>
!wq = !transformer.weight<[64, 64], q4_1>
!wk = !transformer.weight<[32, 64], q4_1>
!cache = !transformer.kv_cache<layers = 2, heads = 2, dim = 16, format = f16, page = 16>
!q = tensor<?x4x16xf32>
!k = tensor<?x2x16xf32>

// Weights are stacked in the order query, key, value; sizes come from the region's own product.
// CHECK-LABEL: func.func @fuse
// CHECK-SAME: (%[[X:.*]]: tensor<?x64xf32>, %[[B:[^:]*]]: !transformer.ragged, %[[C:[^:]*]]: !transformer.kv_cache<{{[^>]*}}>, %[[L:[^:]*]]: index,
// CHECK-SAME: %[[WQ:[^:]*]]: !transformer.weight<[64, 64], q4_1>, %[[WK:[^:]*]]: !transformer.weight<[32, 64], q4_1>, %[[WV:[^:]*]]: !
func.func @fuse(%x: !x, %batch: !transformer.ragged, %cache: !cache, %layer: index, %wq: !wq, %wk: !wk, %wv: !wk) -> (!q, !cache) {
  // CHECK: %[[W:.*]] = transformer.concat_weights %[[WQ]], %[[WK]], %[[WV]] : {{.*}} -> <[128, 64], q4_1>
  // CHECK: %[[Y:.*]]:2 = transformer.compute "LinearRopeAppendCache" (%[[XX:.*]] = %[[X]] : tensor<?x64xf32>, %[[WW:.*]] = %[[W]] : {{.*}}, %[[BB:.*]] = %[[B]] : {{.*}}, %[[CC:.*]] = %[[C]] : {{.*}}, %[[LL:.*]] = %[[L]] : index)
  // CHECK-SAME: -> (tensor<?x4x16xf32>, !transformer.kv_cache
  // CHECK: %[[P:.*]] = transformer.linear %[[XX]], %[[WW]] : {{.*}} -> tensor<?x128xf32>
  // CHECK: %[[N:.*]] = tensor.dim %[[P]]
  // CHECK: %[[POS:.*]] = transformer.positions %[[BB]]
  // CHECK: %[[Q0:.*]] = tensor.extract_slice %[[P]][0, 0] [%[[N]], 64] [1, 1]
  // CHECK: %[[Q1:.*]] = tensor.expand_shape %[[Q0]] {{.*}} into tensor<?x4x16xf32>
  // CHECK: %[[Q2:.*]] = transformer.rope interleaved %[[Q1]], %[[POS]] {base = 1.000000e+04 : f64}
  // CHECK: %[[K0:.*]] = tensor.extract_slice %[[P]][0, 64] [%[[N]], 32] [1, 1]
  // CHECK: %[[K1:.*]] = tensor.expand_shape %[[K0]] {{.*}} into tensor<?x2x16xf32>
  // CHECK: %[[K2:.*]] = transformer.rope interleaved %[[K1]], %[[POS]] {base = 1.000000e+04 : f64}
  // CHECK: %[[V0:.*]] = tensor.extract_slice %[[P]][0, 96] [%[[N]], 32] [1, 1]
  // CHECK: %[[V1:.*]] = tensor.expand_shape %[[V0]] {{.*}} into tensor<?x2x16xf32>
  // CHECK: %[[A:.*]] = transformer.append_cache %[[CC]][%[[LL]]], %[[K2]], %[[V1]], %[[BB]]
  // CHECK: transformer.yield %[[Q2]], %[[A]]
  // CHECK: transformer.cached_attention %[[Y]]#0, %[[Y]]#1[%[[L]]], %[[B]]
  %c0 = arith.constant 0 : index
  %p = transformer.positions %batch : tensor<?xi32>
  %q0 = transformer.linear %x, %wq : !x, !wq -> !x
  %t = tensor.dim %q0, %c0 : !x
  %q1 = tensor.expand_shape %q0 [[0], [1, 2]] output_shape [%t, 4, 16] : !x into !q
  %q2 = transformer.rope interleaved %q1, %p {base = 1.0e4 : f64} : !q, tensor<?xi32>
  %k0 = transformer.linear %x, %wk : !x, !wk -> tensor<?x32xf32>
  %k1 = tensor.expand_shape %k0 [[0], [1, 2]] output_shape [%t, 2, 16] : tensor<?x32xf32> into !k
  %k2 = transformer.rope interleaved %k1, %p {base = 1.0e4 : f64} : !k, tensor<?xi32>
  %v0 = transformer.linear %x, %wv : !x, !wk -> tensor<?x32xf32>
  %v1 = tensor.expand_shape %v0 [[0], [1, 2]] output_shape [%t, 2, 16] : tensor<?x32xf32> into !k
  // expected-remark@below {{[Passed] FuseProjections | Category:fuse | Function=fuse | Remark="queries, keys and values in one product"}}
  %c1 = transformer.append_cache %cache[%layer], %k2, %v1, %batch : !cache, !k
  %a = transformer.cached_attention %q2, %c1[%layer], %batch {scale = 0.25 : f32} : !q, !cache
  return %a, %c1 : !q, !cache
}

// Quantized activations are an operand with their scales.
// CHECK-LABEL: func.func @quantized
// CHECK-SAME: (%[[V:.*]]: tensor<?x64xi8>, %[[S:.*]]: tensor<?x2xf32>,
func.func @quantized(%x: tensor<?x64xi8>, %s: tensor<?x2xf32>, %batch: !transformer.ragged, %cache: !cache, %layer: index, %wq: !wq, %wk: !wk, %wv: !wk, %t: index) -> (!q, !cache) {
  // CHECK: transformer.compute "LinearRopeAppendCache" (%{{.*}} = %[[V]] : tensor<?x64xi8>, %{{.*}} = %[[S]] : tensor<?x2xf32>,
  %p = transformer.positions %batch : tensor<?xi32>
  %q0 = transformer.linear %x scales %s, %wq : tensor<?x64xi8> scales tensor<?x2xf32>, !wq -> !x
  %q1 = tensor.expand_shape %q0 [[0], [1, 2]] output_shape [%t, 4, 16] : !x into !q
  %q2 = transformer.rope interleaved %q1, %p {base = 1.0e4 : f64} : !q, tensor<?xi32>
  %k0 = transformer.linear %x scales %s, %wk : tensor<?x64xi8> scales tensor<?x2xf32>, !wk -> tensor<?x32xf32>
  %k1 = tensor.expand_shape %k0 [[0], [1, 2]] output_shape [%t, 2, 16] : tensor<?x32xf32> into !k
  %k2 = transformer.rope interleaved %k1, %p {base = 1.0e4 : f64} : !k, tensor<?xi32>
  %v0 = transformer.linear %x scales %s, %wv : tensor<?x64xi8> scales tensor<?x2xf32>, !wk -> tensor<?x32xf32>
  %v1 = tensor.expand_shape %v0 [[0], [1, 2]] output_shape [%t, 2, 16] : tensor<?x32xf32> into !k
  // expected-remark@below {{queries, keys and values in one product}}
  %c1 = transformer.append_cache %cache[%layer], %k2, %v1, %batch : !cache, !k
  %a = transformer.cached_attention %q2, %c1[%layer], %batch {scale = 0.25 : f32} : !q, !cache
  return %a, %c1 : !q, !cache
}
