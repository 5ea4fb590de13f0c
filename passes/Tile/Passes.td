//===- Passes.td - Passes of the tile stage -----------------------------------------------*- tablegen -*-===//
//
// From compute regions to tile programs, and from tile programs to functions of a target. What a kernel computes is
// decided by its family in lib/Kernels, not here.
//
//===----------------------------------------------------------------------------------------------===//

#ifndef INGOT_PASSES_TILE
#define INGOT_PASSES_TILE

include "mlir/Pass/PassBase.td"

def SelectKernels : Pass<"ingot-select-kernels", "::mlir::ModuleOp"> {
  let summary = "Give every compute region its kernel and every weight its packing";
  let description = [{
    Each `transformer.compute` becomes a `tile.launch` of a `tile.kernel` that the region's family (lib/Kernels) emits.
    Equal regions share one kernel. Weights that kernels decode go through `transformer.pack_weight`; angles of rotary
    embedding come from a `transformer.rope_table`. The attribute `tile.cost` of a kernel says what a launch moves and
    computes.

    ```mlir
    %y = transformer.compute "Linear" (%a = %x : tensor<?x576xf32>, ...) -> (tensor<?x1536xf32>) { ... }
    // becomes
    %p = transformer.pack_weight %w : ... -> !transformer.weight<[1536, 576], q4_1, #tile.packed<q4_1, rows = 8>>
    %y = tile.launch @Linear_1536x576_q4_1(%x, %p) in_place [-1] : (...) -> tensor<?x1536xf32>
    ```

    Assumes that the fuse stage is complete: every transformer op with a cost stands in a region. A region whose family
    does not support it is an error with the reason. Schedules and packings are those of the kind of machine that `target` names;
    kernels for GPUs say how many threads a block has. Does nothing in a module without regions. Linear in the number of
    regions; bodies are compared as text.
  }];
  let options = [
    Option<"maxContext", "max-context", "int64_t", /*default=*/"2048", "Most tokens of one sequence">,
    Option<"maxSequences", "max-sequences", "int64_t", /*default=*/"1", "Most sequences of one step">,
    Option<"target", "target", "std::string", /*default=*/"\"cpu\"", "Kind of machine: cpu or cuda">,
  ];
  let dependentDialects = ["::ingot::tile::TileDialect", "::mlir::arith::ArithDialect", "::mlir::scf::SCFDialect",
                           "::mlir::math::MathDialect"];
  let statistics = [
    Statistic<"numKernels", "kernels", "Kernels that were emitted">,
    Statistic<"numLaunches", "launches", "Regions that became launches">,
  ];
}

def ChooseSchedules : Pass<"ingot-choose-schedules", "::mlir::ModuleOp"> {
  let summary = "Say how the products of CPU kernels are cut into blocks and tiles";
  let description = [{
    Each `transformer.compute` whose family computes products with weights gets the attribute `tile.schedule`. No choice changes
    a bit of the result (`ingot/Kernels/Schedule.h`). Where the module's attribute `tile.tuning` names the best schedule that was
    measured for a product of this shape and format, that is taken; else the candidate for which the cost model
    (`ingot/Kernels/CostModel.h`) predicts times of one, a few and many tokens that are together nearest to the best of each.
    Machine constants are those of `tile.tuning` too. Without it regions get the default of their shape, and predictions are those of
    an EPYC with two cores.

    ```mlir
    %y = transformer.compute "Linear" (...) -> (tensor<?x576xf32>) { ... }
    // becomes
    %y = transformer.compute "Linear" (...) -> (tensor<?x576xf32>) { ... }
        {tile.schedule = {block_tokens = 64 : i64, panel_tokens = 8 : i64, row_groups = 6 : i64, single_groups = 1 : i64, tile_tokens = 4 : i64}}
    ```

    Assumes that the fuse stage is complete. Regions that have a schedule already keep it; regions without products, or that no
    family supports, are left alone. A wrong `tile.tuning` is an error. The remark of a region has the predictions of all candidates.
    Linear in the number of regions.
  }];
  let options = [
    Option<"schedule", "schedule", "std::string", /*default=*/"\"\"",
           "Takes this for all products, as row_groups=8,block_tokens=64,...">,
  ];
  let dependentDialects = ["::ingot::tile::TileDialect"];
  let statistics = [Statistic<"chosen", "chosen", "Regions that got a schedule">];
}

def ChooseCpuAtoms : Pass<"ingot-choose-cpu-atoms", "::mlir::ModuleOp"> {
  let summary = "Make integer contractions of the best instruction that a CPU target has";
  let description = [{
    `vpmaddubsw`, which emitters write, becomes `vpdpbusd` where the target has it for the contraction's lanes (AVX-VNNI,
    AVX-512 VNNI). Both are exact, so results keep every bit.

    ```mlir
    %y = tile.contract vpmaddubsw %a, %b, %acc run 8 : tensor<8x32xi8, #a>, tensor<32x1xi8, #b>, tensor<8x1xi32, #y>
    // for cpu:x86-64-v3+avxvnni becomes
    %y = tile.contract vpdpbusd %a, %b, %acc run 8 : tensor<8x32xi8, #a>, tensor<32x1xi8, #b>, tensor<8x1xi32, #y>
    ```

    Assumes nothing. Does nothing for other atoms and targets. Linear in the number of ops.
  }];
  let options = [Option<"target", "target", "std::string", /*default=*/"\"cpu:x86-64-v3\"", "The CPU target">];
  let statistics = [Statistic<"changed", "changed", "Contractions that got another atom">];
}

def LowerTileToCpu : Pass<"ingot-lower-tile-to-cpu", "::mlir::ModuleOp"> {
  let summary = "Replace tile kernels by functions on SIMD vectors";
  let description = [{
    Every `tile.kernel` becomes an `llvm.func` with the signature that include/ingot/Artifact/Format.h gives kernels.
    A tile becomes its registers, one vector each (the physical form is in the dialect's description); ops on tiles
    become ops on those vectors, conversions of layouts become shuffles. What remains are ops of `llvm` alone.

    ```mlir
    tile.kernel @Copy(%a: !tile.view<[tokens, 8], f32>, %b: !tile.view<[tokens, 8], f32>) grid [tokens] { ... }
    // becomes
    llvm.func @Copy(%arguments: !llvm.ptr, %counts: !llvm.ptr, %x: i64, %y: i64, %z: i64) { ... }
    ```

    A block is one thread, so its memory (`tile.alloc`) is on the thread's stack, at most 512 KiB of it. Loads are moved
    to their first use, and integer contractions with the same activations are interleaved.

    Assumes that kernels verify. Ops for GPUs (asynchronous copies, matrix atoms) are refused with an error. Does
    nothing in a module without kernels. Linear in the number of registers of all tiles.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::func::FuncDialect", "::mlir::scf::SCFDialect", "::mlir::math::MathDialect",
                           "::mlir::vector::VectorDialect", "::mlir::LLVM::LLVMDialect", "::mlir::cf::ControlFlowDialect"];
  let statistics = [Statistic<"kernels", "kernels", "Kernels that were lowered">];
}

def LowerTileToNvptx : Pass<"ingot-lower-tile-to-nvptx", "::mlir::ModuleOp"> {
  let summary = "Replace tile kernels by functions of a GPU's threads";
  let description = [{
    Every `tile.kernel` becomes an `llvm.func` with `nvvm.kernel`: one pointer to global memory for each view, then one to
    the counts (tokens, outputs, sequences; i64). A block of the grid is a block of threads, `nvvm.reqntid` says how many:
    those that the kernel names, or 32 for each warp of its largest layout. Blocks beyond the grid of the counts do nothing. A tile
    becomes the registers that one thread holds of it, a scalar each; layouts with fewer lanes or warps are repeated over the
    others. Loads and stores of registers that lie side by side move up to 16 bytes, moves between lanes are shuffles, between
    warps they go through shared memory, `fma` contractions are per thread, `mma_m16n8k16` is `nvvm.mma.sync`. `tile.await_launches`
    is `griddepcontrol.wait` where the chip has it; such a kernel lets its successor start at once. What remains are ops of `llvm`
    and `nvvm` alone.

    ```mlir
    tile.kernel @Copy(%a: !tile.view<[tokens, 32], f32>, %b: !tile.view<[tokens, 32], f32>) grid [tokens] { ... }
    // becomes
    llvm.func @Copy(%a: !llvm.ptr<1>, %b: !llvm.ptr<1>, %counts: !llvm.ptr<1>)
        attributes {nvvm.kernel, nvvm.reqntid = array<i32: 32, 1, 1>} { ... }
    ```

    Assumes that kernels verify and that views start at multiples of 16 bytes. Refused with an error: asynchronous copies,
    moves between warps other than conversions of layouts and reductions, constants with several values, layouts with more than
    256 registers, 32 lanes or 32 warps, decoding of interleaved q3_k.
    Does nothing in a module without kernels. Linear in the number of registers of all tiles.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::scf::SCFDialect", "::mlir::math::MathDialect",
                           "::mlir::LLVM::LLVMDialect", "::mlir::NVVM::NVVMDialect", "::mlir::cf::ControlFlowDialect"];
  let options = [Option<"capability", "capability", "unsigned", /*default=*/"80", "Of the chip, times 10">];
  let statistics = [Statistic<"kernels", "kernels", "Kernels that were lowered">];
}

#endif // INGOT_PASSES_TILE
