// Every op prints in the form in which it was read, in the custom and in the generic syntax.

// RUN: ingot-opt %s | ingot-opt | FileCheck %s
// RUN: ingot-opt %s -mlir-print-op-generic | ingot-opt | FileCheck %s

// CHECK: transformer.weight @blk.0.attn_q.weight : !transformer.weight<[576, 576], q4_1> source "blk.0.attn_q.weight" hash "sha256:00"
transformer.weight @"blk.0.attn_q.weight" : !transformer.weight<[576, 576], q4_1> source "blk.0.attn_q.weight" hash "sha256:00"
// CHECK: transformer.weight @norm : !transformer.weight<[2], f32> value dense<[1.000000e+00, 2.000000e+00]> : tensor<2xf32>
transformer.weight @norm : !transformer.weight<[2], f32> value dense<[1.0, 2.0]> : tensor<2xf32>

// CHECK-LABEL: func.func @weights
func.func @weights(%k: !transformer.weight<[192, 576], q4_1>) {
  // CHECK: %[[Q:.*]] = transformer.get_weight @blk.0.attn_q.weight : <[576, 576], q4_1>
  %q = transformer.get_weight @"blk.0.attn_q.weight" : !transformer.weight<[576, 576], q4_1>
  // CHECK: transformer.concat_weights %[[Q]], %{{.*}}, %{{.*}} : !transformer.weight<[576, 576], q4_1>, !transformer.weight<[192, 576], q4_1>, !transformer.weight<[192, 576], q4_1> -> <[960, 576], q4_1>
  %qkv = transformer.concat_weights %q, %k, %k : !transformer.weight<[576, 576], q4_1>,
      !transformer.weight<[192, 576], q4_1>, !transformer.weight<[192, 576], q4_1> -> !transformer.weight<[960, 576], q4_1>
  // CHECK: transformer.pack_weight %[[Q]] : <[576, 576], q4_1> -> <[576, 576], q4_1, "packed">
  %p = transformer.pack_weight %q : !transformer.weight<[576, 576], q4_1> -> !transformer.weight<[576, 576], q4_1, "packed">
  // CHECK: transformer.rope_table {base = 1.000000e+05 : f64} : <[8192, 64], f32>
  %t = transformer.rope_table {base = 1.0e5 : f64} : !transformer.weight<[8192, 64], f32>
  return
}

// CHECK-LABEL: func.func @layer
func.func @layer(%ids: tensor<?x?xi32>, %positions: tensor<?x?xi32>, %table: !transformer.weight<[49152, 576], q8_0>,
                 %w: !transformer.weight<[1536, 576], q4_1>, %g: !transformer.weight<[576], f32>,
                 %b: !transformer.weight<[1536], f32>, %heads: tensor<?x?x9x64xf32>) {
  // CHECK: %[[X:.*]] = transformer.embedding %{{.*}}, %{{.*}} : tensor<?x?xi32>, <[49152, 576], q8_0> -> tensor<?x?x576xf32>
  %x = transformer.embedding %ids, %table : tensor<?x?xi32>, !transformer.weight<[49152, 576], q8_0> -> tensor<?x?x576xf32>
  // CHECK: transformer.norm{{ +}}rms %[[X]], %{{.*}} {epsilon = {{.*}} : f32} : tensor<?x?x576xf32>, <[576], f32>
  %n = transformer.norm rms %x, %g {epsilon = 1.0e-5 : f32} : tensor<?x?x576xf32>, !transformer.weight<[576], f32>
  // CHECK: transformer.norm{{ +}}layer %[[X]], %[[G:.*]] bias %[[G]] {epsilon = 0.000000e+00 : f32}
  %l = transformer.norm layer %x, %g bias %g {epsilon = 0.0 : f32}
      : tensor<?x?x576xf32>, !transformer.weight<[576], f32> bias !transformer.weight<[576], f32>
  // CHECK: transformer.linear %{{.*}}, %{{.*}} bias %{{.*}} : tensor<?x?x576xf32>, <[1536, 576], q4_1> bias !transformer.weight<[1536], f32> -> tensor<?x?x1536xf32>
  %y = transformer.linear %n, %w bias %b : tensor<?x?x576xf32>, !transformer.weight<[1536, 576], q4_1>
      bias !transformer.weight<[1536], f32> -> tensor<?x?x1536xf32>
  // CHECK: transformer.gather_channels %{{.*}}, %[[G]] : tensor<?x?x576xf32>, <[576], f32>
  %o = transformer.gather_channels %n, %g : tensor<?x?x576xf32>, !transformer.weight<[576], f32>
  // CHECK: %[[Q:.*]], %[[S:.*]] = transformer.quantize %{{.*}} : tensor<?x?x576xf32> -> tensor<?x?x576xi8>, tensor<?x?x18xf32>
  %q, %s = transformer.quantize %n : tensor<?x?x576xf32> -> tensor<?x?x576xi8>, tensor<?x?x18xf32>
  // CHECK: transformer.linear %[[Q]] scales %[[S]], %{{.*}} : tensor<?x?x576xi8> scales tensor<?x?x18xf32>, <[1536, 576], q4_1> -> tensor<?x?x1536xf32>
  %z = transformer.linear %q scales %s, %w : tensor<?x?x576xi8> scales tensor<?x?x18xf32>, !transformer.weight<[1536, 576], q4_1>
      -> tensor<?x?x1536xf32>
  // CHECK: transformer.activation{{ +}}silu %{{.*}} : tensor<?x?x1536xf32>
  %a = transformer.activation silu %z : tensor<?x?x1536xf32>
  // CHECK: transformer.rope{{ +}}interleaved %{{.*}}, %{{.*}} {base = 1.000000e+05 : f64}
  %r = transformer.rope interleaved %heads, %positions {base = 1.0e5 : f64} : tensor<?x?x9x64xf32>, tensor<?x?xi32>
  // CHECK: transformer.rope{{ +}}half %{{.*}}, %{{.*}} {base = 1.000000e+04 : f64, dims = 4 : i64, factors = array<f32: 1.000000e+00, 2.000000e+00>}
  %h = transformer.rope half %heads, %positions {base = 1.0e4 : f64, dims = 4 : i64, factors = array<f32: 1.0, 2.0>}
      : tensor<?x?x9x64xf32>, tensor<?x?xi32>
  return
}

!cache = !transformer.kv_cache<layers = 30, heads = 3, dim = 64, format = f16, page = 16>

// CHECK: func.func private @codes(!transformer.kv_cache<layers = 30, heads = 3, dim = 64, format = i8, page = 16, values = i4>)
func.func private @codes(!transformer.kv_cache<layers = 30, heads = 3, dim = 64, format = i8, page = 16, values = i4>)

// CHECK-LABEL: func.func @dense_attention
func.func @dense_attention(%q: tensor<?x?x9x64xf32>, %k: tensor<?x?x3x64xf32>, %p: tensor<?x?xi32>, %l: tensor<?xi32>) {
  // CHECK: transformer.attention_mask %{{.*}}, %{{.*}} {causal, window = 7 : i64} : tensor<?x?xi32>, tensor<?xi32> -> tensor<?x?x?xi1>
  %m = transformer.attention_mask %p, %l {causal, window = 7 : i64} : tensor<?x?xi32>, tensor<?xi32> -> tensor<?x?x?xi1>
  // CHECK: transformer.attention %{{.*}}, %{{.*}}, %{{.*}} positions %{{.*}} lengths %{{.*}} {causal, scale = 1.250000e-01 : f32} :
  %y = transformer.attention %q, %k, %k positions %p lengths %l {causal, scale = 0.125 : f32}
      : tensor<?x?x9x64xf32>, tensor<?x?x3x64xf32>, tensor<?x?x3x64xf32> positions tensor<?x?xi32> lengths tensor<?xi32>
      -> tensor<?x?x9x64xf32>
  return
}

// CHECK-LABEL: func.func @step
func.func @step(%q: tensor<?x9x64xf32>, %k: tensor<?x3x64xf32>, %batch: !transformer.ragged, %cache: !cache, %i: index) {
  // CHECK: transformer.attention %{{.*}}, %{{.*}}, %{{.*}} batch %{{.*}} {scale = 1.250000e-01 : f32} :
  %y = transformer.attention %q, %k, %k batch %batch {scale = 0.125 : f32}
      : tensor<?x9x64xf32>, tensor<?x3x64xf32>, tensor<?x3x64xf32> batch !transformer.ragged -> tensor<?x9x64xf32>
  // CHECK: %[[C:.*]] = transformer.append_cache %{{.*}}[%{{.*}}], %{{.*}}, %{{.*}}, %{{.*}} : <layers = 30, heads = 3, dim = 64, format = f16, page = 16>, tensor<?x3x64xf32>
  %c = transformer.append_cache %cache[%i], %k, %k, %batch : !cache, tensor<?x3x64xf32>
  // CHECK: transformer.attention %{{.*}} {scale = 1.250000e-01 : f32, soft_cap = 5.000000e+01 : f32} :
  %capped = transformer.attention %q, %k, %k batch %batch {scale = 0.125 : f32, soft_cap = 50.0 : f32}
      : tensor<?x9x64xf32>, tensor<?x3x64xf32>, tensor<?x3x64xf32> batch !transformer.ragged -> tensor<?x9x64xf32>
  // CHECK: transformer.cached_attention %{{.*}}, %[[C]][%{{.*}}], %{{.*}} {scale = 1.250000e-01 : f32} : tensor<?x9x64xf32>, <layers = 30
  %z = transformer.cached_attention %q, %c[%i], %batch {scale = 0.125 : f32} : tensor<?x9x64xf32>, !cache
  // CHECK: transformer.positions %{{.*}} : tensor<?xi32>
  %p = transformer.positions %batch : tensor<?xi32>
  // CHECK: transformer.sequences %{{.*}} : tensor<?xi32>
  %s = transformer.sequences %batch : tensor<?xi32>
  // CHECK: transformer.page_table %{{.*}} : tensor<?x?xi32>
  %t = transformer.page_table %batch : tensor<?x?xi32>
  return
}

// CHECK-LABEL: func.func @batches
func.func @batches(%x: tensor<?x?x576xf32>, %p: tensor<?x?xi32>, %l: tensor<?xi32>, %rows: tensor<?xi32>) {
  // CHECK: %[[P:.*]] = transformer.pack %{{.*}}, %{{.*}} : tensor<?x?x576xf32>, tensor<?xi32> -> tensor<?x576xf32>
  %packed = transformer.pack %x, %l : tensor<?x?x576xf32>, tensor<?xi32> -> tensor<?x576xf32>
  // CHECK: transformer.unpack %[[P]], %{{.*}} : tensor<?x576xf32>, tensor<?xi32> -> tensor<?x?x576xf32>
  %d = transformer.unpack %packed, %l : tensor<?x576xf32>, tensor<?xi32> -> tensor<?x?x576xf32>
  // CHECK: transformer.select_rows %{{.*}}, %{{.*}} : tensor<?x?x576xf32>, tensor<?xi32> -> tensor<?x576xf32>
  %r = transformer.select_rows %x, %rows : tensor<?x?x576xf32>, tensor<?xi32> -> tensor<?x576xf32>
  // CHECK: transformer.make_ragged %{{.*}}, %{{.*}} : tensor<?x?xi32>, tensor<?xi32>
  %b = transformer.make_ragged %p, %l : tensor<?x?xi32>, tensor<?xi32>
  return
}

// CHECK-LABEL: func.func @compute
func.func @compute(%x: tensor<?x576xf32>, %w: !transformer.weight<[576], f32>) -> tensor<?x576xf32> {
  // CHECK: transformer.compute "RmsNorm" (%[[A:.*]] = %{{.*}} : tensor<?x576xf32>, %[[G:.*]] = %{{.*}} : !transformer.weight<[576], f32>) -> (tensor<?x576xf32>) {
  // CHECK:   %[[N:.*]] = transformer.norm{{ +}}rms %[[A]], %[[G]]
  // CHECK:   transformer.yield %[[N]] : tensor<?x576xf32>
  %y = transformer.compute "RmsNorm" (%a = %x : tensor<?x576xf32>, %g = %w : !transformer.weight<[576], f32>) -> (tensor<?x576xf32>) {
    %n = transformer.norm rms %a, %g {epsilon = 1.0e-5 : f32} : tensor<?x576xf32>, !transformer.weight<[576], f32>
    transformer.yield %n : tensor<?x576xf32>
  }
  return %y : tensor<?x576xf32>
}
