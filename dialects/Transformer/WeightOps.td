//===- WeightOps.td - Ops that declare and combine weights ------------------------------*- tablegen -*-===//
//
// Weights are named symbols of a type of their own; their bytes stay outside the IR.
//
//===---------------------------------------------------------------------------------------------------===//

#ifndef INGOT_TRANSFORMER_WEIGHT_OPS
#define INGOT_TRANSFORMER_WEIGHT_OPS

include "dialects/Transformer/TransformerTypes.td"

def WeightOp : Transformer_Op<"weight", [Symbol]> {
  let summary = "declaration of a weight";
  let description = [{
    Names a weight of the model: its type, where its bytes are (`source`, the name of the tensor in the checkpoint) and
    the hash of its content where it is known. The bytes stay outside of the IR; small values may be written inline
    for tests.

    Constraints:
    - (C1) `value`, if present, has the weight's shape and at most 4096 elements.
    - (C2) `value` is only for the formats f32, f16 and bf16.
    - (C3) exactly one of `source` and `value` is present.

    ```mlir
    transformer.weight @"blk.0.attn_q.weight" : !transformer.weight<[576, 576], q4_1> source "blk.0.attn_q.weight"
    transformer.weight @norm : !transformer.weight<[2], f32> value dense<[1.0, 2.0]> : tensor<2xf32>
    ```
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, TypeAttrOf<Transformer_Weight>:$type,
                       OptionalAttr<StrAttr>:$source, OptionalAttr<StrAttr>:$hash, OptionalAttr<ElementsAttr>:$value);
  let assemblyFormat = [{ $sym_name `:` $type (`source` $source^)? (`hash` $hash^)? (`value` $value^)? attr-dict }];
  let hasVerifier = 1;
}

def GetWeightOp : Transformer_Op<"get_weight", [Pure, DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "weight that a symbol declares";
  let description = [{
    Constraints:
    - (C1) `name` refers to a `transformer.weight` of the result's type.

    ```mlir
    %w = transformer.get_weight @"blk.0.attn_q.weight" : !transformer.weight<[576, 576], q4_1>
    ```
  }];
  let arguments = (ins FlatSymbolRefAttr:$name);
  let results = (outs Transformer_Weight:$weight);
  let assemblyFormat = "$name attr-dict `:` type($weight)";
}

def ConcatWeightsOp : Transformer_Op<"concat_weights", [Pure]> {
  let summary = "weights stacked by rows";
  let description = [{
    Rows of the first weight, then those of the second, and so on: one product serves several projections of the same
    input. No bytes move before the artefact is written.

    Constraints:
    - (C1) all weights have the same number of columns and the same format.
    - (C2) the result's rows are the sum of the operands' rows.

    ```mlir
    %qkv = transformer.concat_weights %q, %k, %v : !transformer.weight<[576, 576], q4_1>,
        !transformer.weight<[192, 576], q4_1>, !transformer.weight<[192, 576], q4_1>
        -> !transformer.weight<[960, 576], q4_1>
    ```
  }];
  let arguments = (ins Variadic<Transformer_Weight>:$weights);
  let results = (outs Transformer_Weight:$result);
  let assemblyFormat = "$weights attr-dict `:` type($weights) `->` type($result)";
  let hasVerifier = 1;
}

def PackWeightOp : Transformer_Op<"pack_weight", [Pure]> {
  let summary = "weight in the order of bytes that a kernel reads";
  let description = [{
    Lossless reordering, chosen at the tile stage and done while the artefact is written.

    Constraints:
    - (C1) result and operand have the same shape and format.
    - (C2) the result has a packing, the operand has none.

    ```mlir
    %p = transformer.pack_weight %w : !transformer.weight<[576, 576], q4_1>
        -> !transformer.weight<[576, 576], q4_1, #tile.packed<q4_1, rows = 8>>
    ```
  }];
  let arguments = (ins Transformer_Weight:$weight);
  let results = (outs Transformer_Weight:$result);
  let assemblyFormat = "$weight attr-dict `:` type($weight) `->` type($result)";
  let hasVerifier = 1;
}

def RopeTableOp : Transformer_Op<"rope_table", [Pure]> {
  let summary = "cosines and sines of rotary embedding for every position";
  let description = [{
    A generated weight [P, D]: row p holds cos(p f_i) for i < D/2, then sin(p f_i), with f_i = base^(-2i/D) / factor_i
    (factors from the model's scaling; 1 without). f_i and the product p f_i are rounded to float32, cosine and sine
    are those of the rounded angle, correctly rounded: what published float32 implementations compute.

    Constraints:
    - (C1) the result has format f32 and rank 2, and an even number of columns.
    - (C2) `base` > 0.

    ```mlir
    %t = transformer.rope_table {base = 1.0e5 : f64} : !transformer.weight<[8192, 64], f32>
    ```
  }];
  let arguments = (ins F64Attr:$base, OptionalAttr<DenseF32ArrayAttr>:$factors);
  let results = (outs Transformer_Weight:$result);
  let assemblyFormat = "attr-dict `:` type($result)";
  let hasVerifier = 1;
}

#endif // INGOT_TRANSFORMER_WEIGHT_OPS
