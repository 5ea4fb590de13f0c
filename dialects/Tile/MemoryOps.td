//===- MemoryOps.td - Ops that move data between memory and tiles --------------------------*- tablegen -*-===//
//
// Ops that touch memory: tiles and scalars of views, packed weights, and (for GPUs) shared memory with asynchronous
// copies. Bounds are the emitter's duty except where an op is `masked`; the interpreter checks them.
//
//===----------------------------------------------------------------------------------------------===//

#ifndef INGOT_TILE_MEMORY_OPS
#define INGOT_TILE_MEMORY_OPS

include "dialects/Tile/TileTypes.td"

// Shared by all ops that address a view.
defvar offsetsText = [{
    Offsets are coordinates of elements, one for each dimension of the view.
}];
defvar tileOffsetsText = offsetsText # [{
    The tile's dimensions are the last ones of the view: element (i, j) of a tile is element (o_0, …, o_{n-2} + i, o_{n-1} + j).
}];

def LoadOp : Tile_Op<"load", [MemoryEffects<[MemRead]>]> {
  let summary = "tile read from a view";
  let description = tileOffsetsText # [{
    Without `masked` all elements are inside the view. With `masked`, elements past the size of a dimension that the
    tile spans read 0 (no memory is touched there); dimensions before those are always inside.

    Constraints:
    - (C1) the view is not packed; its element type is the tile's.
    - (C2) one offset for each dimension of the view.
    - (C3) the tile's rank is at most the view's.
    - (C4) with `masked`, no dimension that the tile spans with more than one element has size `?`.

    ```mlir
    %x = tile.load %a[%t, %k] masked : !tile.view<[tokens, 64], f32> -> tensor<4x8xf32, #l>
    ```
  }];
  let arguments = (ins Arg<Tile_View, "where from">:$view, Variadic<Index>:$offsets, UnitAttr:$masked);
  let results = (outs Tile_Tile:$result);
  let assemblyFormat = "$view `[` $offsets `]` (`masked` $masked^)? attr-dict `:` qualified(type($view)) `->` type($result)";
  let hasVerifier = 1;
}

def StoreOp : Tile_Op<"store", [MemoryEffects<[MemWrite]>]> {
  let summary = "tile written to a view";
  let description = tileOffsetsText # [{
    Elements that the layout replicates are written once. With `masked`, elements past the size of a dimension that
    the tile spans are not written.

    Constraints:
    - (C1) the view is not packed; its element type is the tile's.
    - (C2) one offset for each dimension of the view.
    - (C3) the tile's rank is at most the view's.
    - (C4) with `masked`, no dimension that the tile spans with more than one element has size `?`.

    ```mlir
    tile.store %x, %a[%t, %k] masked : tensor<4x8xf32, #l>, !tile.view<[tokens, 64], f32>
    ```
  }];
  let arguments = (ins Tile_Tile:$value, Arg<Tile_View, "where to">:$view, Variadic<Index>:$offsets, UnitAttr:$masked);
  let assemblyFormat = "$value `,` $view `[` $offsets `]` (`masked` $masked^)? attr-dict `:` type($value) `,` qualified(type($view))";
  let hasVerifier = 1;
}

// Shared by gather and scatter.
defvar indexedText = [{
    Offsets are coordinates of elements, one for each dimension of the view; the tile's dimensions are the view's last. In
    dimensions that `dims` lists, the coordinate is offset + index, the index that of the element in the index tile of the
    same place in the list; in others it is as for `tile.load`. An index tile may have size 1 where the tile has more: all
    elements along that dimension share the index.
}];
defvar indexedConstraintsText = [{
    - (C1) the view is not packed; its element type is the tile's.
    - (C2) one offset for each dimension of the view.
    - (C3) the tile's rank is at most the view's.
    - (C4) one index tile for each of `dims`, which ascend and are dimensions of the view.
    - (C5) index tiles and the mask have the tile's shape and layout, reduced along the dimensions in which they have size 1.
}];

def GatherOp : Tile_Op<"gather", [MemoryEffects<[MemRead]>, AttrSizedOperandSegments]> {
  let summary = "tile read from places of a view that tiles of indices name";
  let description = indexedText # [{
    Elements whose mask is 0 read 0 (no memory is touched). What no table of constants can say: rows of a table by the position
    of each token, pages of a cache by a page table.

    Constraints:
  }] # indexedConstraintsText # [{
    ```mlir
    %c = tile.gather %table[%c0, %c0] by %positions, %pairs [0, 1]
        : !tile.view<[1024, 64], f32>, tensor<1x8xi32, #n>, tensor<16x1xi32, #m> -> tensor<16x8xf32, #l>
    ```
  }];
  let arguments = (ins Arg<Tile_View, "where from">:$view, Variadic<Index>:$offsets, Variadic<Tile_I32>:$indices,
                       Optional<Tile_I1>:$mask, DenseI64ArrayAttr:$dims);
  let results = (outs Tile_Tile:$result);
  let assemblyFormat = [{
    $view `[` $offsets `]` `by` $indices $dims (`where` $mask^ `:` type($mask))? attr-dict
    `:` qualified(type($view)) `,` type($indices) `->` type($result)
  }];
  let hasVerifier = 1;
}

def ScatterOp : Tile_Op<"scatter", [MemoryEffects<[MemWrite]>, AttrSizedOperandSegments]> {
  let summary = "tile written to places of a view that tiles of indices name";
  let description = indexedText # [{
    Elements whose mask is 0 are not written; elements that the layout replicates are written once. No two others may name
    the same place.

    Constraints:
  }] # indexedConstraintsText # [{
    ```mlir
    tile.scatter %k, %keys[%c0, %head, %c0, %c0] by %pages, %slots, %channels [0, 2, 3] where %m : tensor<1x8xi1, #n>
        : tensor<16x8xf16, #l>, !tile.view<[64, 3, 32, 64], f16>, tensor<1x8xi32, #n>, tensor<1x8xi32, #n>, tensor<16x1xi32, #m>
    ```
  }];
  let arguments = (ins Tile_Tile:$value, Arg<Tile_View, "where to">:$view, Variadic<Index>:$offsets,
                       Variadic<Tile_I32>:$indices, Optional<Tile_I1>:$mask, DenseI64ArrayAttr:$dims);
  let assemblyFormat = [{
    $value `,` $view `[` $offsets `]` `by` $indices $dims (`where` $mask^ `:` type($mask))? attr-dict
    `:` type($value) `,` qualified(type($view)) `,` type($indices)
  }];
  let hasVerifier = 1;
}

def PrefetchLineOp : Tile_Op<"prefetch_line", [MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "announcement that memory of a view will be read soon";
  let description = offsetsText # [{
    Of the line of a processor's cache that holds the element. It computes nothing and may be ignored; there may be no such
    element.

    Constraints:
    - (C1) the view is not packed.
    - (C2) one offset for each dimension of the view.

    ```mlir
    tile.prefetch_line %keys[%page, %head, %c0, %c0] : !tile.view<[64, 3, 64, 16], f16>
    ```
  }];
  let arguments = (ins Arg<Tile_View, "where">:$view, Variadic<Index>:$offsets);
  let assemblyFormat = "$view `[` $offsets `]` attr-dict `:` qualified(type($view))";
  let hasVerifier = 1;
}

def ReadOp : Tile_Op<"read", [MemoryEffects<[MemRead]>]> {
  let summary = "one element read from a view";
  let description = offsetsText # [{
    Constraints:
    - (C1) the view is not packed; its element type is the result's.
    - (C2) one offset for each dimension of the view.

    ```mlir
    %page = tile.read %table[%s, %i] : !tile.view<[sequences, 512], i32> -> i32
    ```
  }];
  let arguments = (ins Arg<Tile_View, "where from">:$view, Variadic<Index>:$offsets);
  let results = (outs AnyTypeOf<[AnySignlessInteger, AnyFloat]>:$result);
  let assemblyFormat = "$view `[` $offsets `]` attr-dict `:` qualified(type($view)) `->` type($result)";
  let hasVerifier = 1;
}

def WriteOp : Tile_Op<"write", [MemoryEffects<[MemWrite]>]> {
  let summary = "one element written to a view";
  let description = offsetsText # [{
    Constraints:
    - (C1) the view is not packed; its element type is the value's.
    - (C2) one offset for each dimension of the view.

    ```mlir
    tile.write %s, %scales[%t, %g] : f32, !tile.view<[tokens, 18], f32>
    ```
  }];
  let arguments = (ins AnyTypeOf<[AnySignlessInteger, AnyFloat]>:$value, Arg<Tile_View, "where to">:$view,
                       Variadic<Index>:$offsets);
  let assemblyFormat = "$value `,` $view `[` $offsets `]` attr-dict `:` type($value) `,` qualified(type($view))";
  let hasVerifier = 1;
}

def DecodeOp : Tile_Op<"decode", [MemoryEffects<[MemRead]>]> {
  let summary = "one group of columns of interleaved rows of a packed weight";
  let description = [{
    Reads rows [row, row + R) (R: the packing's interleaved rows) and columns [column, column + G) (G: the format's group).

    Integer formats yield codes, scales and minimums with value[r, k] = scale[r] · code[r, k] + minimum[r]. Codes are as
    stored: unsigned ones are not shifted (0 … 2^bits - 1, which fits an i8 as they have at most 7 bits), signed ones are two's
    complement. Scale and minimum are float32, exact: where the format has a zero code z instead of a minimum,
    minimum = -z · scale. A fused multiply-add yields the format's value bit for bit. Rows past the weight's last read
    0 in all results.

    Float formats yield one f32 tile, the values of 8 columns: R x 8 elements. (G is 8 for them.)

    A planar packing is read in tiles of any size and almost any layout, M rows by N columns: rows past the weight's last read
    what the last one holds. With `masked`, columns past the last read 0 in all results; without, all are inside.

    Constraints:
    - (C1) the view is packed.
    - (C2) results: R x G codes (i8), R x 1 scales and R x 1 minimums (f32); float formats R x 8 (f32); planar M x N codes
      (i8, or the same numbers as f16), N a multiple of G, M x N / G scales and minimums.
    - (C3) codes and values have rows in lanes and columns in registers, in order; scales and minimums that layout with
      the columns reduced. Planar: the lowest registers of codes are at least 8 columns of a group, in order; scales and
      minimums have that layout with the columns of a group reduced.
    - (C4) `masked` is for planar packings.

    `row` must be a multiple of R (planar: of none) and `column` of G.

    ```mlir
    %c, %s, %m = tile.decode %w[%row, %k] : !tile.view<[1536, 576], #tile.packed<q4_1, rows = 8>>
        -> tensor<8x32xi8, #codes>, tensor<8x1xf32, #scales>, tensor<8x1xf32, #scales>
    ```
  }];
  let arguments = (ins Arg<Tile_View, "packed weight">:$view, Index:$row, Index:$column, UnitAttr:$masked);
  let results = (outs Variadic<Tile_Tile>:$outputs);
  let builders = [
    // Result types follow from the view's packing.
    OpBuilder<(ins "::mlir::Value":$view, "::mlir::Value":$row, "::mlir::Value":$column,
                   CArg<"::mlir::RankedTensorType", "{}">:$codes, CArg<"bool", "false">:$masked)>];
  let extraClassDeclaration = [{
    /// The types (C2, C3) ask for; empty where the format is unknown.
    static ::llvm::SmallVector<::mlir::RankedTensorType> resultTypes(PackedAttr packing);
    /// Those for codes of a planar packing; empty where (C2) or (C3) forbids these codes.
    static ::llvm::SmallVector<::mlir::RankedTensorType> resultTypes(PackedAttr packing,
                                                                     ::mlir::RankedTensorType codes);
  }];
  let assemblyFormat = "$view `[` $row `,` $column `]` (`masked` $masked^)? attr-dict `:` qualified(type($view)) `->` type($outputs)";
  let hasVerifier = 1;
}

def PrefetchOp : Tile_Op<"prefetch", [MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "announcement that a group of a packed weight will be decoded soon";
  let description = [{
    Of a `tile.decode` with these operands. It computes nothing and may be ignored; there may be no such group. A processor
    brings its bytes into a cache, while what it computes until then does not wait for them.

    Constraints:
    - (C1) the view has an interleaved packing.

    ```mlir
    tile.prefetch %w[%row, %k] : !tile.view<[1536, 576], #tile.packed<q4_1, rows = 8>>
    ```
  }];
  let arguments = (ins Arg<Tile_View, "packed weight">:$view, Index:$row, Index:$column);
  let assemblyFormat = "$view `[` $row `,` $column `]` attr-dict `:` qualified(type($view))";
  let hasVerifier = 1;
}

//===----------------------------------------------------------------------------------------------===//
// Shared memory and asynchronous copies (GPUs)
//===----------------------------------------------------------------------------------------------===//

def AllocOp : Tile_Op<"alloc", [MemoryEffects<[MemAlloc]>]> {
  let summary = "shared memory of this block";
  let description = [{
    Its content is undefined until written. It lives until the kernel returns.

    Constraints:
    - (C1) the view is shared and its sizes are numbers.

    ```mlir
    %s = tile.alloc : !tile.view<[64, 64], f16, shared>
    ```
  }];
  let results = (outs Tile_View:$view);
  let assemblyFormat = "attr-dict `:` qualified(type($view))";
  let hasVerifier = 1;
}

def CopyAsyncOp : Tile_Op<"copy_async", [MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "copy from global to shared memory that runs beside the kernel";
  let description = offsetsText # [{
    Copies `sizes` elements, the last dimensions of both views. Destination and source may not be touched before a
    `tile.wait` for the token (the source may be read).

    Constraints:
    - (C1) `source` is global, `destination` shared, neither packed, of one element type.
    - (C2) one offset for each dimension of either view.
    - (C3) `sizes` are positive and not more than either rank.

    ```mlir
    %t = tile.copy_async %a[%i, %k] to %s[%c0, %c0] [64, 64]
        : !tile.view<[tokens, 576], f16> to !tile.view<[64, 64], f16, shared>
    ```
  }];
  let arguments = (ins Arg<Tile_View, "where from">:$source, Variadic<Index>:$sourceOffsets,
                       Arg<Tile_View, "where to">:$destination, Variadic<Index>:$destinationOffsets,
                       DenseI64ArrayAttr:$sizes);
  let results = (outs Tile_Token:$token);
  let traits = [AttrSizedOperandSegments];
  let assemblyFormat = [{
    $source `[` $sourceOffsets `]` `to` $destination `[` $destinationOffsets `]` $sizes attr-dict
    `:` qualified(type($source)) `to` qualified(type($destination))
  }];
  let hasVerifier = 1;
}

def WaitOp : Tile_Op<"wait", [MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "wait for copies and contractions that run beside the kernel";
  let description = [{
    After it the copies of `tokens` are complete; each thread sees what it copied itself, and after a `tile.barrier` all see
    all. And the tiles `values` (accumulators of asynchronous contractions) are final; the results are those tiles.

    Constraints:
    - (C1) results have the types of `values`.

    ```mlir
    %acc1 = tile.wait %t (%acc : tensor<64x64xf32, #l>)
    tile.wait %t
    ```
  }];
  let arguments = (ins Variadic<Tile_Token>:$tokens, Variadic<Tile_Tile>:$values);
  let results = (outs Variadic<Tile_Tile>:$results);
  let traits = [AttrSizedOperandSegments, AllTypesMatch<["values", "results"]>];
  let assemblyFormat = "$tokens (`(` $values^ `:` type($values) `)`)? attr-dict";
}

def AwaitLaunchesOp : Tile_Op<"await_launches", [MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "wait for all that was launched before this kernel";
  let description = [{
    A kernel with it may start before its predecessors are complete, but not before the step's inputs are there. Ahead of it
    only weights, inputs and what earlier steps left in the cache are read and nothing is written; every thread passes it once, in one of the branches where there are several. Nothing where launches follow each other without overlap.
  }];
  let assemblyFormat = "attr-dict";
}

def BarrierOp : Tile_Op<"barrier", [MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "point that all threads of the block reach before any goes on";
  let description = [{
    Orders memory between the threads of the block (inside `tile.roles`, of the role): what was written before is seen
    after it. Two threads may touch a byte, one of them writing, only with a barrier in between. Nothing on a CPU, where
    a block is one thread.
  }];
  let assemblyFormat = "attr-dict";
}

#endif // INGOT_TILE_MEMORY_OPS
