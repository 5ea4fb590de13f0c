//===- BatchOps.td - Ops between dense and packed batches -------------------------------*- tablegen -*-===//
//
// A dense batch is [B, S, ...] with padding, a packed one [T, ...] without; these ops lead from one to the other.
//
//===---------------------------------------------------------------------------------------------------===//

#ifndef INGOT_TRANSFORMER_BATCH_OPS
#define INGOT_TRANSFORMER_BATCH_OPS

include "dialects/Transformer/TransformerTypes.td"

def PackOp : Transformer_Op<"pack", [Pure, DeclareOpInterfaceMethods<TokenMixingOpInterface>]> {
  let summary = "tokens of a dense batch without the padding";
  let description = [{
    y[offset[b] + s, ...] = x[b, s, ...] for s < lengths[b], offset the running sum of lengths.

    Constraints:
    - (C1) the input is [B, S, ...], the result [T, ...] with the same trailing dimensions and element type.

    ```mlir
    %y = transformer.pack %x, %lengths : tensor<?x?x576xf32>, tensor<?xi32> -> tensor<?x576xf32>
    ```
  }];
  let arguments = (ins AnyRankedTensor:$input, IdTensor:$lengths);
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = "$input `,` $lengths attr-dict `:` type($input) `,` type($lengths) `->` type($result)";
  let hasVerifier = 1;
  let hasFolder = 1;
}

def UnpackOp : Transformer_Op<"unpack", [Pure, DeclareOpInterfaceMethods<TokenMixingOpInterface>]> {
  let summary = "packed tokens as a dense batch";
  let description = [{
    The inverse of `pack`: y[b, s, ...] = x[offset[b] + s, ...] for s < lengths[b]; other slots are unspecified.

    Constraints:
    - (C1) the input is [T, ...], the result [B, S, ...] with the same trailing dimensions and element type.

    ```mlir
    %y = transformer.unpack %x, %lengths : tensor<?x576xf32>, tensor<?xi32> -> tensor<?x?x576xf32>
    ```
  }];
  let arguments = (ins AnyRankedTensor:$input, IdTensor:$lengths);
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = "$input `,` $lengths attr-dict `:` type($input) `,` type($lengths) `->` type($result)";
  let hasVerifier = 1;
}

def SelectRowsOp : Transformer_Op<"select_rows", [Pure, DeclareOpInterfaceMethods<TokenMixingOpInterface>]> {
  let summary = "rows of wanted tokens";
  let description = [{
    y[r, ...] = x[rows[r], ...], where the leading dimensions of x ([B, S] or [T]) count as one, b S + s.

    Constraints:
    - (C1) `rows` is [R]; the result is [R, C] with the input's last dimension C.

    ```mlir
    %y = transformer.select_rows %x, %rows : tensor<?x?x576xf32>, tensor<?xi32> -> tensor<?x576xf32>
    ```
  }];
  let arguments = (ins F32RankedTensor:$input, IdTensor:$rows);
  let results = (outs F32RankedTensor:$result);
  let assemblyFormat = "$input `,` $rows attr-dict `:` type($input) `,` type($rows) `->` type($result)";
  let hasVerifier = 1;
}

def PositionsOp : Transformer_Op<"positions", [Pure]> {
  let summary = "position of each packed token in its sequence";
  let description = [{
    Constraints:
    - (C1) the result is [T].

    ```mlir
    %p = transformer.positions %batch : tensor<?xi32>
    ```
  }];
  let arguments = (ins Transformer_Ragged:$batch);
  let results = (outs IdTensor:$result);
  let assemblyFormat = "$batch attr-dict `:` type($result)";
  let hasVerifier = 1;
}

def SequencesOp : Transformer_Op<"sequences", [Pure]> {
  let summary = "row of the page table of each packed token's sequence";
  let description = [{
    Constraints:
    - (C1) the result is [T].

    ```mlir
    %s = transformer.sequences %batch : tensor<?xi32>
    ```
  }];
  let arguments = (ins Transformer_Ragged:$batch);
  let results = (outs IdTensor:$result);
  let assemblyFormat = "$batch attr-dict `:` type($result)";
  let hasVerifier = 1;
}

def PageTableOp : Transformer_Op<"page_table", [Pure]> {
  let summary = "physical page of each logical page of each sequence";
  let description = [{
    Row r of the result holds the pages of sequence r in the order of its positions: position p lies in entry
    p / page of the row.

    Constraints:
    - (C1) the result is of rank 2.

    ```mlir
    %t = transformer.page_table %batch : tensor<?x?xi32>
    ```
  }];
  let arguments = (ins Transformer_Ragged:$batch);
  let results = (outs IdTensor:$result);
  let assemblyFormat = "$batch attr-dict `:` type($result)";
  let hasVerifier = 1;
}

def MakeRaggedOp : Transformer_Op<"make_ragged", [Pure]> {
  let summary = "ragged description of a dense batch";
  let description = [{
    The packed tokens of sequences with these `lengths`, at these `positions`, each sequence new (nothing cached).

    Constraints:
    - (C1) `positions` is [B, S], `lengths` is [B].

    ```mlir
    %batch = transformer.make_ragged %positions, %lengths : tensor<?x?xi32>, tensor<?xi32>
    ```
  }];
  let arguments = (ins IdTensor:$positions, IdTensor:$lengths);
  let results = (outs Transformer_Ragged:$result);
  let assemblyFormat = "$positions `,` $lengths attr-dict `:` type($positions) `,` type($lengths)";
  let hasVerifier = 1;
}

#endif // INGOT_TRANSFORMER_BATCH_OPS
