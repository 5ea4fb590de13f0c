// RUN: ingot-opt %s --ingot-verify-model-stage | FileCheck %s

// A step over packed tokens with a cache is what the stage makes.
// CHECK-LABEL: func.func @step
func.func @step(%x: tensor<?x2x8xf32>, %batch: !transformer.ragged, %cache: !transformer.kv_cache<layers = 1, heads = 2, dim = 8, format = f16, page = 16>) -> (tensor<?x2x8xf32>, !transformer.kv_cache<layers = 1, heads = 2, dim = 8, format = f16, page = 16>) attributes {transformer.entry} {
  %c0 = arith.constant 0 : index
  %c = transformer.append_cache %cache[%c0], %x, %x, %batch : !transformer.kv_cache<layers = 1, heads = 2, dim = 8, format = f16, page = 16>, tensor<?x2x8xf32>
  %y = transformer.cached_attention %x, %c[%c0], %batch {scale = 0.5 : f32} : tensor<?x2x8xf32>, !transformer.kv_cache<layers = 1, heads = 2, dim = 8, format = f16, page = 16>
  return %y, %c : tensor<?x2x8xf32>, !transformer.kv_cache<layers = 1, heads = 2, dim = 8, format = f16, page = 16>
}
