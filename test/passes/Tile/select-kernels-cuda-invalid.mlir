// RUN: ingot-opt %s --verify-diagnostics --ingot-select-kernels="target=cuda"

// Caches of codes are for CPUs.
!cache = !transformer.kv_cache<layers = 1, heads = 1, dim = 64, format = i8, page = 32>
func.func @codes(%q: tensor<?x2x64xf32>, %batch: !transformer.ragged, %c: !cache, %l: index) -> tensor<?x2x64xf32> {
  // expected-error @+1 {{has no kernel: family PagedAttention does not support it: a cache of integers is not there for GPUs}}
  %y = transformer.compute "PagedAttention" (%i = %q : tensor<?x2x64xf32>, %b = %batch : !transformer.ragged, %d = %c : !cache, %n = %l : index) -> (tensor<?x2x64xf32>) {
    %a = transformer.cached_attention %i, %d[%n], %b {scale = 0.125 : f32} : tensor<?x2x64xf32>, !cache
    transformer.yield %a : tensor<?x2x64xf32>
  }
  return %y : tensor<?x2x64xf32>
}
