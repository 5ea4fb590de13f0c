//===- LayerOps.td - Row-wise ops of a layer --------------------------------------------*- tablegen -*-===//
//
// Ops whose result for a token depends on that token only. `...` stands for any leading dimensions: [B, S] in the dense
// program, [T] once packed.
//
//===----------------------------------------------------------------------------------------------===//

#ifndef INGOT_TRANSFORMER_LAYER_OPS
#define INGOT_TRANSFORMER_LAYER_OPS

include "dialects/Transformer/TransformerTypes.td"

def EmbeddingOp : Transformer_Op<"embedding", [Pure, RowWise]> {
  let summary = "rows of a weight chosen by ids";
  let description = [{
    y[..., c] = W[ids[...], c]. The stored number is decoded exactly and rounded to float32. An id outside of [0, V) is
    an error of the caller: the runtime refuses it before the step.

    Constraints:
    - (C1) `weight` is [V, C].
    - (C2) the result's shape is that of `ids` followed by C.

    ```mlir
    %x = transformer.embedding %ids, %w : tensor<?x?xi32>, !transformer.weight<[49152, 576], q8_0>
        -> tensor<?x?x576xf32>
    ```
  }];
  let arguments = (ins IdTensor:$ids, Transformer_Weight:$weight);
  let results = (outs F32RankedTensor:$result);
  let assemblyFormat = "$ids `,` $weight attr-dict `:` type($ids) `,` type($weight) `->` type($result)";
  let hasVerifier = 1;
}

def LinearOp : Transformer_Op<"linear", [Pure, RowWise, AttrSizedOperandSegments]> {
  let summary = "product of activations with a weight";
  let description = [{
    y[..., f] = sum over c of x[..., c] W[f, c], plus bias[f].

    Without `scales`, x is float32, W is decoded exactly, sums are float32. With `scales`, x is int8 or int16 (above -32768)
    in blocks of C/G consecutive channels and scales[..., g] multiplies block g (see `quantize`): products inside a block
    are summed exactly in integers, blocks in float32. The order of summation is the kernel's, the same for every token count.

    Constraints:
    - (C1) `weight` is [F, C], the input's last dimension C, the result's F; leading dimensions are equal.
    - (C2) `scales` is present if and only if `input` is i8 or i16; its last dimension divides C.
    - (C3) `bias` is [F].

    ```mlir
    %y = transformer.linear %x, %w : tensor<?x576xf32>, !transformer.weight<[1536, 576], q4_1> -> tensor<?x1536xf32>
    %z = transformer.linear %q scales %s, %w : tensor<?x576xi8> scales tensor<?x18xf32>,
        !transformer.weight<[1536, 576], q4_1> -> tensor<?x1536xf32>
    ```
  }];
  let arguments = (ins RankedTensorOf<[F32, I8, I16]>:$input, Optional<F32RankedTensor>:$scales, Transformer_Weight:$weight,
                       Optional<Transformer_Weight>:$bias);
  let results = (outs F32RankedTensor:$result);
  let assemblyFormat = [{
    $input (`scales` $scales^)? `,` $weight (`bias` $bias^)? attr-dict `:`
    type($input) (`scales` type($scales)^)? `,` type($weight) (`bias` type($bias)^)? `->` type($result)
  }];
  let builders = [OpBuilder<(ins "::mlir::Type":$result, "::mlir::Value":$input, "::mlir::Value":$weight), [{
    build($_builder, $_state, result, input, /*scales=*/::mlir::Value(), weight, /*bias=*/::mlir::Value());
  }]>];
  let hasVerifier = 1;
}

def NormOp : Transformer_Op<"norm", [Pure, RowWise, AllTypesMatch<["input", "result"]>]> {
  let summary = "normalisation over channels";
  let description = [{
    rms:   y[c] = x[c] / sqrt(mean over c of x[c]^2 + epsilon) * weight[c]
    layer: y[c] = (x[c] - mean) / sqrt(variance + epsilon) * weight[c] + bias[c]

    Statistics and result are float32; the order of summation is the same for every token count.

    Constraints:
    - (C1) `weight` and `bias` are [C], C the last dimension of `input`.
    - (C2) `bias` is only for `layer`.
    - (C3) `epsilon` >= 0.

    ```mlir
    %y = transformer.norm rms %x, %w {epsilon = 1.0e-5 : f32} : tensor<?x576xf32>, !transformer.weight<[576], f32>
    ```
  }];
  let arguments = (ins Transformer_NormKindAttr:$kind, F32RankedTensor:$input, Transformer_Weight:$weight,
                       Optional<Transformer_Weight>:$bias, F32Attr:$epsilon);
  let results = (outs F32RankedTensor:$result);
  let assemblyFormat = [{
    $kind $input `,` $weight (`bias` $bias^)? attr-dict `:` type($input) `,` type($weight) (`bias` type($bias)^)?
  }];
  let hasVerifier = 1;
}

def RopeOp : Transformer_Op<"rope", [Pure, RowWise, AllTypesMatch<["input", "result"]>]> {
  let summary = "rotary position embedding";
  let description = [{
    Rotates pairs of a head's first `dims` channels (all D by default) by the angle position * f_i, with
    f_i = base^(-2i/dims) / factors[i]; a pair is (2i, 2i+1) for `interleaved`, (i, i + dims/2) for `half`:
    (a, b) -> (a cos - b sin, a sin + b cos). Angles as in `rope_table`; products and sums are float32.

    Constraints:
    - (C1) `input` is [..., H, D], `positions` is [...].
    - (C2) `dims` is even and at most D.
    - (C3) `factors` has dims/2 elements.
    - (C4) `base` > 0.

    ```mlir
    %y = transformer.rope interleaved %q, %positions {base = 1.0e5 : f64} : tensor<?x?x9x64xf32>, tensor<?x?xi32>
    ```
  }];
  let arguments = (ins Transformer_RopeLayoutAttr:$layout, F32RankedTensor:$input, IdTensor:$positions,
                       F64Attr:$base, OptionalAttr<I64Attr>:$dims, OptionalAttr<DenseF32ArrayAttr>:$factors);
  let results = (outs F32RankedTensor:$result);
  let assemblyFormat = "$layout $input `,` $positions attr-dict `:` type($input) `,` type($positions)";
  let hasVerifier = 1;
}

def ActivationOp : Transformer_Op<"activation", [Pure, RowWise, Elementwise, SameOperandsAndResultType]> {
  let summary = "elementwise activation function";
  let description = [{
    silu: x / (1 + exp(-x)); gelu: x Phi(x); gelu_tanh: its tanh form; relu: max(x, 0). In float32.
    (`math` and `arith` cannot say these on tensors of unknown size without a splat for each constant.)

    ```mlir
    %y = transformer.activation silu %x : tensor<?x1536xf32>
    ```
  }];
  let arguments = (ins Transformer_ActivationKindAttr:$kind, F32RankedTensor:$input);
  let results = (outs F32RankedTensor:$result);
  let assemblyFormat = "$kind $input attr-dict `:` type($input)";
}

def GatherChannelsOp : Transformer_Op<"gather_channels", [Pure, RowWise, AllTypesMatch<["input", "result"]>]> {
  let summary = "channels in another order";
  let description = [{
    y[c] = x[order[c]]: what a product reads whose weight has its columns in another order (act-order of GPTQ). Elements
    of `order` are whole numbers from 0 to C - 1; others are truncated and clamped to them, NaN to 0.

    Constraints:
    - (C1) `order` is [C], C the last dimension of `input`, in f32.

    ```mlir
    %y = transformer.gather_channels %x, %order : tensor<?x576xf32>, !transformer.weight<[576], f32>
    ```
  }];
  let arguments = (ins F32RankedTensor:$input, Transformer_Weight:$order);
  let results = (outs F32RankedTensor:$result);
  let assemblyFormat = "$input `,` $order attr-dict `:` type($input) `,` type($order)";
  let hasVerifier = 1;
}

def QuantizeOp : Transformer_Op<"quantize", [Pure, RowWise]> {
  let summary = "activations as 8-bit integers with a scale for each block";
  let description = [{
    For each block of C/G consecutive channels: scale = max |x| / 127; value = round(x / scale), halves to even, computed
    as x * (127 / max|x|) in float32; in [-127, 127]. A block of zeros has scale 0 and values 0.

    Constraints:
    - (C1) `values` has the input's shape, `scales` the same with G in place of C; G divides C.

    ```mlir
    %q, %s = transformer.quantize %x : tensor<?x576xf32> -> tensor<?x576xi8>, tensor<?x18xf32>
    ```
  }];
  let arguments = (ins F32RankedTensor:$input);
  let results = (outs RankedTensorOf<[I8]>:$values, F32RankedTensor:$scales);
  let assemblyFormat = "$input attr-dict `:` type($input) `->` type($values) `,` type($scales)";
  let hasVerifier = 1;
}

#endif // INGOT_TRANSFORMER_LAYER_OPS
