//===- KernelOps.td - Kernels, their grid and their launch --------------------------------*- tablegen -*-===//
//
// The kernel itself, what it knows of its place in the grid, and its call from the tensor program. The meaning of a
// kernel does not depend on the order in which blocks run.
//
//===----------------------------------------------------------------------------------------------===//

#ifndef INGOT_TILE_KERNEL_OPS
#define INGOT_TILE_KERNEL_OPS

include "dialects/Tile/TileTypes.td"

def KernelOp : Tile_Op<"kernel", [IsolatedFromAbove, Symbol, SingleBlock]> {
  let summary = "program of one block of a grid";
  let description = [{
    Runs once for each block of `grid` (missing axes have one block), blocks in any order and at the same time. Blocks
    write different elements, or equal values. On a GPU a block is `threads` threads, on a CPU (without `threads`) one.

    Constraints:
    - (C1) arguments are views.
    - (C2) `grid` has at most three extents.
    - (C3) only ops of tile, arith, math and scf stand inside.
    - (C4) the block ends with `tile.return`, the only terminator that may stand there.
    - (C5) `threads` is a multiple of 32 up to 1024.

    ```mlir
    tile.kernel @Add(%a: !tile.view<[tokens, 64], f32>, %b: !tile.view<[tokens, 64], f32>) grid [tokens] {
      %t = tile.block_id x
      %c0 = arith.constant 0 : index
      %x = tile.load %a[%t, %c0] : !tile.view<[tokens, 64], f32> -> tensor<1x64xf32, #row>
      %y = arith.addf %x, %x : tensor<1x64xf32, #row>
      tile.store %y, %b[%t, %c0] : tensor<1x64xf32, #row>, !tile.view<[tokens, 64], f32>
      tile.return
    }
    ```
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, Tile_ExtentArrayAttr:$grid, OptionalAttr<StrAttr>:$family,
                       OptionalAttr<I64Attr>:$threads);
  let regions = (region SizedRegion<1>:$body);
  let skipDefaultBuilders = 1;
  let builders = [
    // Creates the entry block with one argument for each view; the caller adds the terminator.
    OpBuilder<(ins "::llvm::StringRef":$name, "::mlir::TypeRange":$views,
                   "::llvm::ArrayRef<::ingot::tile::ExtentAttr>":$grid, CArg<"::llvm::StringRef", "{}">:$family,
                   CArg<"int64_t", "0">:$threads)>];
  let extraClassDeclaration = [{
    ::mlir::Block::BlockArgListType getViews() { return getBody().getArguments(); }
    /// Extent of axis 0, 1 or 2; the number 1 where the kernel has none.
    ExtentAttr getExtent(unsigned axis);
    /// Whether the kernel waits by itself for what was launched before it (`tile.await_launches`).
    bool awaitsLaunches();
  }];
  let hasCustomAssemblyFormat = 1;
  let hasRegionVerifier = 1;
}

def ReturnOp : Tile_Op<"return", [Pure, Terminator, HasParent<"KernelOp">]> {
  let summary = "end of a kernel";
  let assemblyFormat = "attr-dict";
}

def BlockIdOp : Tile_Op<"block_id", [Pure]> {
  let summary = "position of this block along an axis of the grid";
  let arguments = (ins Tile_Axis:$axis);
  let results = (outs Index:$result);
  let assemblyFormat = "$axis attr-dict";
}

def CountOp : Tile_Op<"count", [Pure]> {
  let summary = "value that a count has in this step";
  let arguments = (ins Tile_Count:$count);
  let results = (outs Index:$result);
  let assemblyFormat = "$count attr-dict";
}

def LaunchOp : Tile_Op<"launch", [DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "call of a kernel on values of the tensor program";
  let description = [{
    Results are new values, whatever the kernel does in memory. The kernel's views are, in order, those of the operands
    and then one for each result that is not in place:
    - a tensor or a weight: one view;
    - a KV cache: two, keys and values of the layer that the launch's operand of type index selects (layer 0 without);
    - a ragged batch: three, `[tokens]` positions, `[tokens]` sequence of each token, `[sequences, P]` page table,
      all i32, P the pages of a sequence;
    - an index: none.
    Sizes and strides are the kernel's; they describe the same bytes as the operand's type.

    `in_place[i]` = j says that result i is operand j after the launch (same memory, no view of its own); -1: a new
    buffer.

    Constraints:
    - (C1) `kernel` refers to a `tile.kernel`, or to the function that it was lowered to (which ends the check).
    - (C2) the views of operands and results are as many as the kernel's (operands of dialects other than builtin and
      transformer are not counted and end the check).
    - (C3) `in_place` has an entry for each result; an entry is -1 or the index of an operand of the result's type; no
      two results name the same operand.

    ```mlir
    %y = tile.launch @Add(%x) : (tensor<?x64xf32>) -> tensor<?x64xf32>
    %c = tile.launch @Append(%k, %batch, %cache, %layer) in_place [2]
        : (tensor<?x192xf32>, !transformer.ragged, !transformer.kv_cache<...>, index) -> !transformer.kv_cache<...>
    ```
  }];
  let arguments = (ins FlatSymbolRefAttr:$kernel, Variadic<AnyType>:$inputs,
                       DefaultValuedAttr<DenseI64ArrayAttr, "::llvm::ArrayRef<int64_t>{}">:$in_place);
  let results = (outs Variadic<AnyType>:$outputs);
  let assemblyFormat = [{
    $kernel `(` $inputs `)` (`in_place` $in_place^)? attr-dict `:` functional-type($inputs, $outputs)
  }];
  let builders = [
    OpBuilder<(ins "::mlir::TypeRange":$outputs, "::ingot::tile::KernelOp":$kernel, "::mlir::ValueRange":$inputs,
                   CArg<"::llvm::ArrayRef<int64_t>", "{}">:$inPlace)>];
  let extraClassDeclaration = [{
    KernelOp getKernelOp();
    /// Operand whose memory result `index` takes over, or -1.
    int64_t getInPlaceOperand(unsigned index);
    /// Extent of the kernel's grid along axis 0, 1 or 2.
    ExtentAttr getExtent(unsigned axis) { return getKernelOp().getExtent(axis); }
    /// How many views a value of `type` takes, or nothing for types of other dialects.
    static std::optional<unsigned> viewsOf(::mlir::Type type);
  }];
  let hasVerifier = 1;
}

#endif // INGOT_TILE_KERNEL_OPS
