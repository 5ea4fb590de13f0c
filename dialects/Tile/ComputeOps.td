//===- ComputeOps.td - Arithmetic and rearrangement of tiles -------------------------------*- tablegen -*-===//
//
// Ops that compute with tiles or rearrange them. Elementwise arithmetic is upstream's arith and math: math.exp2 on
// f32 tiles is within 2 ulp (exp2(-inf) = 0, NaN stays NaN), all others are exact or
// correctly rounded as their dialect says.
//
//===----------------------------------------------------------------------------------------------===//

#ifndef INGOT_TILE_COMPUTE_OPS
#define INGOT_TILE_COMPUTE_OPS

include "dialects/Tile/TileTypes.td"

def SplatOp : Tile_Op<"splat", [Pure]> {
  let summary = "tile of one scalar";
  let description = [{
    Constraints:
    - (C1) the tile's element type is the scalar's.

    ```mlir
    %t = tile.splat %s : f32 -> tensor<8x1xf32, #l>
    ```
  }];
  let arguments = (ins AnyTypeOf<[AnySignlessInteger, AnyFloat]>:$value);
  let results = (outs Tile_Tile:$result);
  let assemblyFormat = "$value attr-dict `:` type($value) `->` type($result)";
  let hasVerifier = 1;
}

def IotaOp : Tile_Op<"iota", [Pure]> {
  let summary = "coordinate of each element along a dimension";
  let description = [{
    y[…, i, …] = i.

    Constraints:
    - (C1) `dim` is a dimension of the tile.

    ```mlir
    %i = tile.iota dim 1 : tensor<1x16xi32, #l>
    ```
  }];
  let arguments = (ins I64Attr:$dim);
  let results = (outs Tile_I32:$result);
  let assemblyFormat = "`dim` $dim attr-dict `:` type($result)";
  let hasVerifier = 1;
}

def BroadcastOp : Tile_Op<"broadcast", [Pure]> {
  let summary = "tile repeated along a dimension of size 1";
  let description = [{
    y[…, i, …] = x[…, 0, …]. No data moves between lanes.

    Constraints:
    - (C1) shapes differ in one dimension only, which is 1 in the operand; element types are equal.
    - (C2) the operand's layout is the result's with that dimension reduced (what `tile.reduce` yields).

    ```mlir
    %y = tile.broadcast %x : tensor<8x1xf32, #s> -> tensor<8x32xf32, #l>
    ```
  }];
  let arguments = (ins Tile_Tile:$value);
  let results = (outs Tile_Tile:$result);
  let assemblyFormat = "$value attr-dict `:` type($value) `->` type($result)";
  let hasVerifier = 1;
}

def ReduceOp : Tile_Op<"reduce", [Pure]> {
  let summary = "sum or maximum along a dimension, which becomes 1";
  let description = [{
    A tree in fixed order, the same on every run: for each bit of the register number that moves along `dim`, from
    the highest to the lowest, and then each such bit of the lane number (and warp) from the highest to the lowest, elements
    that differ only in that bit are combined: x[bit = 0] ∘ x[bit = 1]. `add` rounds each sum to the element type;
    `max` is a > b ? a : b (so of a NaN pair it yields the second).

    Constraints:
    - (C1) `dim` is a dimension of the tile.
    - (C2) elements are f32 or i32.
    - (C3) every basis of the operand's layout moves along `dim` alone or not at all.
    - (C4) the result has size 1 in `dim` and the operand's layout with that dimension reduced: replicated over
      the lanes that held it, in fewer registers.

    ```mlir
    %y = tile.reduce add %x dim 1 : tensor<8x32xf32, #l> -> tensor<8x1xf32, #s>
    ```
  }];
  let arguments = (ins Tile_ReduceKind:$kind, Tile_Tile:$value, I64Attr:$dim);
  let results = (outs Tile_Tile:$result);
  let builders = [OpBuilder<(ins "::ingot::tile::ReduceKind":$kind, "::mlir::Value":$value, "int64_t":$dim)>];
  let assemblyFormat = "$kind $value `dim` $dim attr-dict `:` type($value) `->` type($result)";
  let hasVerifier = 1;
}

def ExchangeOp : Tile_Op<"exchange", [Pure, AllTypesMatch<["value", "result"]>]> {
  let summary = "tile with neighbours swapped along a dimension";
  let description = [{
    y[…, i, …] = x[…, i xor distance, …]. What rotary embedding needs: distance 1 for interleaved pairs, half of the
    head's size for halves.

    Constraints:
    - (C1) `dim` is a dimension of the tile.
    - (C2) `distance` is positive and less than the size of `dim`.

    ```mlir
    %y = tile.exchange %x dim 1 distance 1 : tensor<1x64xf32, #l>
    ```
  }];
  let arguments = (ins Tile_Tile:$value, I64Attr:$dim, I64Attr:$distance);
  let results = (outs Tile_Tile:$result);
  let assemblyFormat = "$value `dim` $dim `distance` $distance attr-dict `:` type($value)";
  let hasVerifier = 1;
}

def TransposeOp : Tile_Op<"transpose", [Pure]> {
  let summary = "tile with its dimensions in another order";
  let description = [{
    Result dimension i is dimension `permutation[i]` of the operand. The layout follows; no data moves.

    Constraints:
    - (C1) `permutation` is one of the operand's dimensions.
    - (C2) shape and layout of the result are the operand's, permuted.

    ```mlir
    %y = tile.transpose %x [1, 0] : tensor<8x4xf32, #a> -> tensor<4x8xf32, #b>
    ```
  }];
  let arguments = (ins Tile_Tile:$value, DenseI64ArrayAttr:$permutation);
  let results = (outs Tile_Tile:$result);
  let builders = [OpBuilder<(ins "::mlir::Value":$value, "::llvm::ArrayRef<int64_t>":$permutation)>];
  let assemblyFormat = "$value $permutation attr-dict `:` type($value) `->` type($result)";
  let hasVerifier = 1;
}

def ReshapeOp : Tile_Op<"reshape", [Pure]> {
  let summary = "the same elements in row-major order, seen with another shape";
  let description = [{
    The layout follows; no data moves.

    Constraints:
    - (C1) both shapes have the same number of elements; element types are equal.
    - (C2) the result's layout is the operand's, reshaped.

    ```mlir
    %y = tile.reshape %x : tensor<1x32x2xf32, #a> -> tensor<1x64xf32, #b>
    ```
  }];
  let arguments = (ins Tile_Tile:$value);
  let results = (outs Tile_Tile:$result);
  let builders = [OpBuilder<(ins "::mlir::Value":$value, "::llvm::ArrayRef<int64_t>":$shape)>];
  let assemblyFormat = "$value attr-dict `:` type($value) `->` type($result)";
  let hasVerifier = 1;
}

def ConvertLayoutOp : Tile_Op<"convert_layout", [Pure]> {
  let summary = "the same tile in another layout";
  let description = [{
    y = x. Moves data between registers and lanes; explicit because it costs.

    Constraints:
    - (C1) shapes and element types are equal.

    ```mlir
    %y = tile.convert_layout %x : tensor<1x8xf32, #lanes> -> tensor<1x8xf32, #replicated>
    ```
  }];
  let arguments = (ins Tile_Tile:$value);
  let results = (outs Tile_Tile:$result);
  let assemblyFormat = "$value attr-dict `:` type($value) `->` type($result)";
  let hasVerifier = 1;
}

def ContractOp : Tile_Op<"contract", [Pure, AllTypesMatch<["accumulator", "result"]>]> {
  let summary = "matrix product added to an accumulator, made of one machine instruction";
  let description = [{
    y[m, n] = accumulator[m, n] + Σ_k a[m, k] · b[k, n], a: M x K, b: K x N, y: M x N. Tiles of rank 3 are one contraction for
    each index of their first dimension (matrix atoms only).

    `fma`: all f32. k ascends from 0 and every step is one fused multiply-add: y = fma(a[m, k], b[k, n], y).
    `vpmaddubsw`, `vpdpbusd`: a and b i8, y i32, exact (y wraps at 32 bits). b is signed within ±127. a is unsigned with at
    most 7 bits (i8 and non-negative), or, with `signed`, any i8. `run` says how many products of pairs may be
    summed in 16 bits without overflow, given the range of a (NumericFormat::exactRun; 1 is right for 7 bits and
    signed); it changes no result, only the speed of vpmaddubsw.
    `vpmaddwd`: a i8, b i16, y i32, exact (y wraps at 32 bits). a is non-negative or, with `signed`, any i8; b is any i16. It
    has no `run`: pairs are summed in 32 bits.

    Every lane must hold the operands of its own results: no data moves between lanes.

    Constraints:
    - (C1) shapes are M x K, K x N and M x N, with matrix atoms all of them perhaps behind the same first size.
    - (C2) element types are those of the atom.
    - (C3) for every register and lane of y at (m, n) and every k, that lane holds a[m, k] in one register, the same register
      number in all lanes, and likewise b[k, n].
    - (C4) integer atoms: registers 0 … 3, 4 … 7, … of a and b hold four consecutive k from a multiple of 4; those of an i16
      b in the order 0, 2, 1, 3, because shifts take the even and the odd k out of a lane of a.
    - (C5) `run` is at least 1, and above 1 only with atoms of i8; `signed` is given only with integer atoms.

    ```mlir
    %y = tile.contract vpmaddubsw %codes, %x, %acc run 8 : tensor<8x32xi8, #a>, tensor<32x1xi8, #b>, tensor<8x1xi32, #c>
    %z = tile.contract vpmaddwd %codes, %w, %acc signed : tensor<8x32xi8, #a>, tensor<32x1xi16, #w>, tensor<8x1xi32, #c>
    ```
  }];
  let arguments = (ins Tile_Atom:$atom, Tile_Tile:$a, Tile_Tile:$b, Tile_Tile:$accumulator,
                       DefaultValuedAttr<I64Attr, "1">:$run, UnitAttr:$signed_codes);
  let results = (outs Tile_Tile:$result);
  let assemblyFormat = [{
    $atom $a `,` $b `,` $accumulator (`run` $run^)? (`signed` $signed_codes^)? attr-dict
    `:` type($a) `,` type($b) `,` type($accumulator)
  }];
  let hasVerifier = 1;
}

#endif // INGOT_TILE_COMPUTE_OPS
