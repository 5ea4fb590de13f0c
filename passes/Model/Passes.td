//===- Passes.td - Passes of the model stage ----------------------------------------*- tablegen -*-===//
//
// From the dense whole-sequence program to a step over packed tokens with a cache, in this order: verify shapes, fuse
// attention, remove padding, insert the cache, verify the stage. None of them depends on where a program comes from.
//
//===--------------------------------------------------------------------------------------------===//

#ifndef INGOT_PASSES_MODEL
#define INGOT_PASSES_MODEL

include "mlir/Pass/PassBase.td"

def FuseAttention : Pass<"ingot-fuse-attention", "::mlir::ModuleOp"> {
  let summary = "Raise scores, mask, softmax and values to one attention op";
  let description = [{
    Finds softmax(scale q k^T + mask) v written out and replaces it by `transformer.attention`, whatever reshapes,
    transposes and broadcasts lie between its parts:
    - products as `linalg.contract`, `linalg.batch_matmul`, `linalg.generic` or other contractions into zeros;
    - key-value heads grouped in the product, or repeated for every query head;
    - one number multiplied to, or dividing, queries, keys or scores; several; none;
    - a mask selected (`mask ? scores : -inf`) or added (`scores + (mask ? 0 : -inf)`), the lowest float32 being as good
      as -inf;
    - scores soft-capped, c tanh(s / c), inside of the mask;
    - `linalg.softmax`, or exp(x - max x) over its sum.

    ```mlir
    %s = linalg.contract ... ins(%q, %k) ; %m = arith.mulf %s, %scale ; %x = arith.select %mask, %m, %minusInfinity
    %p = linalg.softmax dimension(4) ins(%x) ; %y = linalg.contract ... ins(%p, %v)
    // becomes
    %y = transformer.attention %q, %k, %v positions %positions lengths %lengths {causal, scale = 0.125 : f32}
    ```

    Assumes that the mask comes from `transformer.attention_mask`, so that what is visible is known, and that scores are
    greater than the lowest float32. A softmax that does not match is left, with a missed remark that says why. Linear
    in the number of ops.
  }];
  let dependentDialects = ["::ingot::transformer::TransformerDialect", "::mlir::tensor::TensorDialect"];
  let statistics = [Statistic<"numFused", "attentions", "Attentions that were raised">];
}

def RemovePadding : Pass<"ingot-remove-padding", "::mlir::ModuleOp"> {
  let summary = "Turn the dense batch into packed tokens";
  let description = [{
    Every tensor [B, S, ...] of the entry and the functions it calls becomes [T, ...], T the tokens that exist;
    `lengths` becomes a `!transformer.ragged` batch (EffectiveTransformer). Row-wise ops act on packed rows, attention
    takes its ragged form.

    ```mlir
    func.func @main(%tokens: tensor<?x?xi32>, %positions: tensor<?x?xi32>, %lengths: tensor<?xi32>, %rows: tensor<?xi32>)
    // becomes
    func.func @main(%tokens: tensor<?xi32>, %batch: !transformer.ragged, %rows: tensor<?xi32>)
    ```

    A value is dense where its first two sizes are those of the entry's positions (`ingot-verify-shapes` relates them). A
    function can be packed where every op on dense values is row-wise by its interface or its structure, or has a ragged
    form. At others the pass refuses with a missed remark that names the op; the function stays dense, but calls what can
    be packed between `transformer.pack` and `transformer.unpack`, which fold away between two such calls.

    Assumes the dense contract: slots beyond a sequence's length are unspecified, row r of `rows` is slot r of all slots;
    afterwards it is token r of all tokens. Does nothing in a module without an entry (a function with
    `transformer.entry`), where an entry takes no positions and lengths, or where not every call of what it calls is
    known. Nearly linear in the number of ops.
  }];
  let dependentDialects = ["::ingot::transformer::TransformerDialect", "::mlir::tensor::TensorDialect"];
  let statistics = [Statistic<"numPacked", "ops", "Ops that act on packed tokens">];
}

def InsertKvCache : Pass<"ingot-insert-kv-cache", "::mlir::ModuleOp"> {
  let summary = "Keep keys and values of earlier tokens in a paged cache";
  let description = [{
    Proves that what is computed at a position depends on earlier positions only: every op is row-wise or a causal
    attention. Then each attention's keys and values are appended to a cache and attention reads the cache; the cache
    and the number of the layer are threaded through the calls, and the entry becomes `@step`.

    ```mlir
    %y = transformer.attention %q, %k, %v batch %batch {causal, scale = 0.125 : f32}
    // becomes
    %c = transformer.append_cache %cache[%layer], %k, %v, %batch
    %y = transformer.cached_attention %q, %c[%layer], %batch {scale = 0.125 : f32}
    ```

    Where no attention of the entry is causal it is an encoder: a step holds its sequences from beginning to end, and pages
    keep one layer's keys and values, which attention reads as `bidirectional`; there is no number of the layer.

    Layers with equal heads, channels and window share a cache; a program with several kinds of layers has several, each
    followed by the layer's number in it.

    Assumes packed tokens (`ingot-remove-padding`). It refuses with a missed remark that names the op, and changes
    nothing, where positions may depend on later ones in some layers only or within a window, where an attention is not over the function's own batch, and where
    not every call of what the entry calls is known. Does nothing in a module without an entry. Linear in the number of
    ops.
  }];
  let options = [
    Option<"format", "format", "std::string", /*default=*/"\"f16\"", "Numbers of the cache: f16, f32, q8_0, k8v4 or q4_0">,
    Option<"pageTokens", "page-tokens", "int64_t", /*default=*/"16", "Tokens of a page">,
  ];
  let dependentDialects = ["::ingot::transformer::TransformerDialect", "::mlir::arith::ArithDialect"];
  let statistics = [Statistic<"numLayers", "layers", "Layers that the cache holds">];
}

def VerifyShapes : Pass<"ingot-verify-shapes", "::mlir::ModuleOp"> {
  let summary = "Check that every unknown size follows from an entry's arguments";
  let description = [{
    Two `?` of the IR relate to nothing. This pass relates them: by what each op says of its shapes, through
    `tensor.dim` and indices, and through calls. In the end every size is a number, a dimension of an argument of an
    entry (a public function, or one with `transformer.entry`), or computed from such. Changes nothing.

    ```mlir
    func.func @main(%x: tensor<?x?x8xf32>, %y: tensor<?x8x?xf32>, %init: tensor<?x?x?xf32>) -> tensor<?x?x?xf32> {
      %z = linalg.batch_matmul ins(%x, %y : ...) outs(%init : ...)   // relates dimension 0 of all three
    ```

    Two errors: sizes that are equal by one op and cannot be (two numbers, or two dimensions of one argument), naming
    both places; and a size of a result that nothing relates to an entry. Assumes that a function is always called with
    the same sizes. Nearly linear in the number of dimensions.
  }];
  let statistics = [Statistic<"numSizes", "sizes", "Different sizes that are not numbers">];
}

def VerifyModelStage : Pass<"ingot-verify-model-stage", "::mlir::ModuleOp"> {
  let summary = "Check what is true after the model stage";
  let description = [{
    Every attention was recognised (no `linalg` op, no mask is left), acts on packed tokens (nothing is packed or unpacked
    inside), reads a cache where it is causal, and every private function is called. Changes nothing; an error names the
    op that was left and the pass whose remarks say why.

    ```mlir
    %p = linalg.softmax dimension(3) ins(%s : ...) outs(%e : ...)
    // error: 'linalg.softmax' op expected to be part of an attention (the remarks of ingot-fuse-attention say why not)
    ```

    Linear in the number of ops.
  }];
}

#endif // INGOT_PASSES_MODEL
