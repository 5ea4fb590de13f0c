// The examples of the ops' documentation parse and verify as they stand there.

// RUN: ingot-opt %s
// RUN: %python %source/test/dialects/examples.py %source Transformer

transformer.weight @"blk.0.attn_q.weight" : !transformer.weight<[576, 576], q4_1> source "blk.0.attn_q.weight"
transformer.weight @norm : !transformer.weight<[2], f32> value dense<[1.0, 2.0]> : tensor<2xf32>

func.func @weights(%w: !transformer.weight<[576, 576], q4_1>) {
  %p = transformer.pack_weight %w : !transformer.weight<[576, 576], q4_1>
      -> !transformer.weight<[576, 576], q4_1, #tile.packed<q4_1, rows = 8>>
  return
}

func.func @layer(%x: tensor<?x576xf32>, %w: !transformer.weight<[1536, 576], q4_1>, %g: !transformer.weight<[576], f32>) {
  %q, %s = transformer.quantize %x : tensor<?x576xf32> -> tensor<?x576xi8>, tensor<?x18xf32>
  %y = transformer.linear %x, %w : tensor<?x576xf32>, !transformer.weight<[1536, 576], q4_1> -> tensor<?x1536xf32>
  %z = transformer.linear %q scales %s, %w : tensor<?x576xi8> scales tensor<?x18xf32>,
      !transformer.weight<[1536, 576], q4_1> -> tensor<?x1536xf32>
  %r = transformer.activation silu %y : tensor<?x1536xf32>
  %o = transformer.gather_channels %x, %g : tensor<?x576xf32>, !transformer.weight<[576], f32>
  %c, %d = transformer.compute "RmsNormQuantize" (%a = %x : tensor<?x576xf32>, %h = %g : !transformer.weight<[576], f32>)
      -> (tensor<?x576xi8>, tensor<?x18xf32>) {
    %n = transformer.norm rms %a, %h {epsilon = 1.0e-5 : f32} : tensor<?x576xf32>, !transformer.weight<[576], f32>
    %v, %t = transformer.quantize %n : tensor<?x576xf32> -> tensor<?x576xi8>, tensor<?x18xf32>
    transformer.yield %v, %t : tensor<?x576xi8>, tensor<?x18xf32>
  }
  return
}

func.func @attention(%positions: tensor<?x?xi32>, %lengths: tensor<?xi32>, %batch: !transformer.ragged, %layer: index,
                     %q: tensor<?x9x64xf32>, %k: tensor<?x3x64xf32>,
                     %cache: !transformer.kv_cache<layers = 30, heads = 3, dim = 64, format = f16, page = 16>) {
  %m = transformer.attention_mask %positions, %lengths {causal} : tensor<?x?xi32>, tensor<?xi32> -> tensor<?x?x?xi1>
  %c = transformer.append_cache %cache[%layer], %k, %k, %batch : !transformer.kv_cache<layers = 30, heads = 3,
      dim = 64, format = f16, page = 16>, tensor<?x3x64xf32>
  %y = transformer.cached_attention %q, %cache[%layer], %batch {scale = 0.125 : f32} : tensor<?x9x64xf32>,
      !transformer.kv_cache<layers = 30, heads = 3, dim = 64, format = f16, page = 16>
  return
}
