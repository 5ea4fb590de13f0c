//===- AttentionOps.td - Ops in which tokens see each other -----------------------------*- tablegen -*-===//
//
// Masks, attention over the same batch or over a cache, and the cache's growth. Everything else in the dialect
// leaves tokens alone.
//
//===---------------------------------------------------------------------------------------------------===//

#ifndef INGOT_TRANSFORMER_ATTENTION_OPS
#define INGOT_TRANSFORMER_ATTENTION_OPS

include "dialects/Transformer/TransformerTypes.td"

def AttentionMaskOp : Transformer_Op<"attention_mask", [Pure, DeclareOpInterfaceMethods<TokenMixingOpInterface>]> {
  let summary = "which keys a query may see";
  let description = [{
    mask[b, s, t] = t < lengths[b], and with `causal` also positions[b, t] <= positions[b, s], and with `window` also
    positions[b, s] - positions[b, t] < window. Rows of padding are unspecified.

    Constraints:
    - (C1) `positions` is [B, S], `lengths` is [B], the result [B, S, S].
    - (C2) `window` > 0.

    ```mlir
    %m = transformer.attention_mask %positions, %lengths {causal} : tensor<?x?xi32>, tensor<?xi32> -> tensor<?x?x?xi1>
    ```
  }];
  let arguments = (ins IdTensor:$positions, IdTensor:$lengths, UnitAttr:$causal, OptionalAttr<I64Attr>:$window);
  let results = (outs RankedTensorOf<[I1]>:$result);
  let assemblyFormat = "$positions `,` $lengths attr-dict `:` type($positions) `,` type($lengths) `->` type($result)";
  let hasVerifier = 1;
}

def AttentionOp : Transformer_Op<"attention", [Pure, AttrSizedOperandSegments,
                                              DeclareOpInterfaceMethods<TokenMixingOpInterface>]> {
  let summary = "softmax attention over the tokens of a step";
  let description = [{
    y[s, h] = sum over visible t of softmax_t(scale q[s, h] . k[t, n]) v[t, n], n = h / (H/N): head grouping is said by the
    shapes. Dense form: q [B, S, H, D], k and v [B, S, N, D], `positions` [B, S] and `lengths` [B] say what is visible as in
    `attention_mask`. Ragged form: q [T, H, D], k and v [T, N, D]; visible are tokens of the same sequence in `batch`.
    With `soft_cap` c a score s becomes c tanh(s / c) before the softmax. Scores, softmax and sums are float32. A row that
    sees no key is zero.

    Constraints:
    - (C1) `key` and `value` have equal shapes, equal to that of `query` but for the heads; N divides H.
    - (C2) either `positions` and `lengths` are present (rank 4) or `batch` is (rank 3).
    - (C3) `window` > 0.
    - (C4) the result has the query's type.
    - (C5) `soft_cap` > 0.

    ```mlir
    %y = transformer.attention %q, %k, %v positions %p lengths %l {causal, scale = 0.125 : f32}
        : tensor<?x?x9x64xf32>, tensor<?x?x3x64xf32>, tensor<?x?x3x64xf32> positions tensor<?x?xi32> lengths tensor<?xi32>
        -> tensor<?x?x9x64xf32>
    ```
  }];
  let arguments = (ins F32RankedTensor:$query, F32RankedTensor:$key, F32RankedTensor:$value, Optional<IdTensor>:$positions,
                       Optional<IdTensor>:$lengths, Optional<Transformer_Ragged>:$batch, UnitAttr:$causal,
                       F32Attr:$scale, OptionalAttr<I64Attr>:$window, OptionalAttr<F32Attr>:$soft_cap);
  let results = (outs F32RankedTensor:$result);
  let assemblyFormat = [{
    $query `,` $key `,` $value (`positions` $positions^)? (`lengths` $lengths^)? (`batch` $batch^)? attr-dict `:`
    type($query) `,` type($key) `,` type($value) (`positions` type($positions)^)? (`lengths` type($lengths)^)?
    (`batch` type($batch)^)? `->` type($result)
  }];
  let hasVerifier = 1;
}

def AppendCacheOp : Transformer_Op<"append_cache", [Pure, AllTypesMatch<["cache", "result"]>, AllTypesMatch<["key", "value"]>,
                                                   DeclareOpInterfaceMethods<TokenMixingOpInterface>]> {
  let summary = "cache with the keys and values of a step's tokens added";
  let description = [{
    Stores key[t] and value[t] of each token at its sequence's page for its position, in layer `layer` of the group,
    rounded to the cache's format (to nearest even).

    Constraints:
    - (C1) `key` and `value` are [T, N, D] with the cache's heads and dim.

    ```mlir
    %c = transformer.append_cache %cache[%layer], %k, %v, %batch : !transformer.kv_cache<layers = 30, heads = 3,
        dim = 64, format = f16, page = 16>, tensor<?x3x64xf32>
    ```
  }];
  let arguments = (ins Transformer_KVCache:$cache, Index:$layer, F32RankedTensor:$key, F32RankedTensor:$value,
                       Transformer_Ragged:$batch);
  let results = (outs Transformer_KVCache:$result);
  let assemblyFormat = [{
    $cache `[` $layer `]` `,` $key `,` $value `,` $batch attr-dict `:` type($cache) `,` type($key)
  }];
  let hasVerifier = 1;
}

def CachedAttentionOp : Transformer_Op<"cached_attention", [Pure, AllTypesMatch<["query", "result"]>,
                                                           DeclareOpInterfaceMethods<TokenMixingOpInterface>]> {
  let summary = "softmax attention over a cache";
  let description = [{
    As `attention`, with keys and values of layer `layer` in the cache: query token t of a sequence sees the cached
    positions p <= position[t] of its sequence (and position[t] - p < window); `soft_cap` as there. Numbers are read from the cache's format
    exactly; scores, softmax and sums are float32, over context in ascending order whatever the step holds.

    With `bidirectional` each token of a sequence sees what its last token in the step sees: in an encoder, whose sequences
    lie in one step from beginning to end, all of its sequence.

    Constraints:
    - (C1) `query` is [T, H, D] with the cache's dim; the cache's heads divide H.
    - (C2) `window` > 0; there is none with `bidirectional`.
    - (C3) `soft_cap` > 0.

    ```mlir
    %y = transformer.cached_attention %q, %cache[%layer], %batch {scale = 0.125 : f32} : tensor<?x9x64xf32>,
        !transformer.kv_cache<layers = 30, heads = 3, dim = 64, format = f16, page = 16>
    ```
  }];
  let arguments = (ins F32RankedTensor:$query, Transformer_KVCache:$cache, Index:$layer, Transformer_Ragged:$batch,
                       F32Attr:$scale, OptionalAttr<I64Attr>:$window, OptionalAttr<F32Attr>:$soft_cap,
                       UnitAttr:$bidirectional);
  let results = (outs F32RankedTensor:$result);
  let assemblyFormat = "$query `,` $cache `[` $layer `]` `,` $batch attr-dict `:` type($query) `,` type($cache)";
  let hasVerifier = 1;
}

#endif // INGOT_TRANSFORMER_ATTENTION_OPS
