//===- Plan.td - The program that the runtime executes -------------------------*- tablegen -*-===//
//
// One op for each thing that the runtime can do. The ops mirror include/ingot/Artifact/Format.h record by
// record, so that encoding is a walk; what is proven here the runtime need not find out at every step.
// Attributes are in PlanAttributes.td.
//
//===------------------------------------------------------------------------------------------===//

#ifndef INGOT_DIALECTS_PLAN_TD
#define INGOT_DIALECTS_PLAN_TD

include "dialects/Plan/PlanAttributes.td"
include "mlir/IR/RegionKindInterface.td"
include "mlir/IR/SymbolInterfaces.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

class Plan_Op<string mnemonic, list<Trait> traits = []> : Op<Plan_Dialect, mnemonic, traits>;

/// Sizes and counts are bounded so that sums and products of them stay below 2^63.
def Plan_Bytes : ConfinedAttr<I64Attr, [IntNonNegative, IntMaxValue<70368744177664>]>;
def Plan_Size : ConfinedAttr<I64Attr, [IntPositive, IntMaxValue<70368744177664>]>;
def Plan_Number : ConfinedAttr<I64Attr, [IntPositive, IntMaxValue<65536>]>;
def Plan_Extent : ConfinedAttr<I64Attr, [IntPositive, IntMaxValue<2147483647>]>;

/// A declaration in the program's symbol table.
class Plan_Declaration<string mnemonic, list<Trait> traits = []>
    : Plan_Op<mnemonic, [Symbol, HasParent<"ProgramOp">] # traits>;

def Plan_ProgramOp : Plan_Op<"program", [
    IsolatedFromAbove, NoRegionArguments, NoTerminator, SingleBlock, Symbol, SymbolTable]> {
  let summary = "everything that the runtime needs to execute a model";
  let description = [{
    Declares memory (buffers of the arena, weights of the artefact's Weights section, caches), kernels, and the entries
    whose commands run over them. Sizes are for the largest step of `bounds`, so they are exact maxima: a step takes
    nothing else. Token ids are below `vocabulary`. `result` is the buffer that holds the answer, float32 `[outputs, width]`.

    A command is a launch, the begin or the end of a loop. Commands are numbered through all entries in the order
    of the text; lifetimes of buffers count in these numbers.

    Constraints:
    - (C1) Bounds are positive, `page_tokens` is a power of two, outputs and sequences do not exceed tokens, and
  XX.
    - (C2) `arena` is exactly the end of the last buffer, rounded up to 64: the peak is what is used.
    - (C3) `cache` is exactly the end of the last cache.
    - (C4) Buffers that live at the same time do not overlap in the arena.
    - (C5) Weights do not overlap, caches do not overlap.
    - (C6) Entries cover the token counts from 1 to `tokens` of the bounds, ascending, without gap or overlap.
    - (C7) `result` is a buffer of `outputs * width` float32 that lives to the end of every entry.

    Example:
    ```mlir
    plan.program @model bounds <tokens = 64, outputs = 4, sequences = 2, context_tokens = 128, page_tokens = 16, pages = 0, pages_per_sequence = 0>
        arena 1024 cache 0 vocabulary 100 result @logits width 64 {
      plan.buffer @logits arena at 0 bytes 1024 live [0, 0]
      plan.weight @head at 0 bytes 4096 [64, 16] "f32" packing "rows" sources ["head"]
      plan.kernel @project family "Linear" arguments 3
      plan.entry @step tokens 1 to 64 {
        plan.launch @project grid [outputs, 1, 1] (token_ids, @head, out @logits)
      }
    }
    ```
  }];
  let arguments = (ins
    Arg<SymbolNameAttr, "name of the program">:$sym_name,
    Arg<Plan_BoundsAttr, "largest step and sizes of the cache's pages">:$bounds,
    Arg<Plan_Bytes, "bytes of the arena">:$arena_bytes,
    Arg<Plan_Bytes, "bytes of all caches">:$cache_bytes,
    Arg<Plan_Extent, "token ids are below it">:$vocabulary,
    Arg<FlatSymbolRefAttr, "the buffer that holds the answer">:$result,
    Arg<Plan_Extent, "columns of the answer">:$result_width);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = [{
    $sym_name `bounds` `` $bounds `arena` $arena_bytes `cache` $cache_bytes
    `vocabulary` $vocabulary `result` $result `width` $result_width attr-dict-with-keyword $body
  }];
  let extraClassDeclaration = [{
    /// The commands of all entries in order; the index of a command is its number.
    ::llvm::SmallVector<Command> getCommands();
  }];
  let hasVerifier = 1;
  let hasRegionVerifier = 1;
}

def Plan_BufferOp : Plan_Declaration<"buffer"> {
  let summary = "a range of memory for a value of the step";
  let description = [{
    `bytes` at `offset` of its space, holding one value from command `first` to command `last`, both included.

    Constraints:
    - (C1) `offset` is a multiple of 64 and the range lies inside the arena.
    - (C2) The lifetime is not empty and lies inside the program's commands.

    Example:
    ```mlir
    plan.buffer @hidden arena at 64 bytes 4096 live [0, 7]
    ```
  }];
  let arguments = (ins
    Arg<SymbolNameAttr, "name of the buffer">:$sym_name,
    Arg<Plan_SpaceAttr, "the memory that holds it">:$space,
    Arg<Plan_Bytes, "first byte in its space">:$offset,
    Arg<Plan_Size, "bytes for the largest step">:$bytes,
    Arg<I64Attr, "number of the first command that touches it">:$first,
    Arg<I64Attr, "number of the last command that touches it">:$last);
  let assemblyFormat = [{
    $sym_name `` $space `at` $offset `bytes` $bytes `live` ` ` `[` $first `,` $last `]` attr-dict
  }];
}

def Plan_WeightOp : Plan_Declaration<"weight"> {
  let summary = "a packed weight in the artefact";
  let description = [{
    `bytes` at `offset` of the Weights section: `rows` by `columns` numbers of a numeric format in the order of bits that
    `packing` names. `sources` are the weights whose rows it holds, one after the other: names that the weight store knows, or
    generated content. Weights are immutable, so a kernel may read them before its predecessor is complete.

    Constraints:
    - (C1) `offset` is a multiple of 64.
    - (C2) There is at least one source.

    Example:
    ```mlir
    plan.weight @qkv at 4096 bytes 1024 [48, 32] "q4_1" packing "rows8" sources ["q", "k", "v"]
    ```
  }];
  let arguments = (ins
    Arg<SymbolNameAttr, "name of the packed weight">:$sym_name,
    Arg<Plan_Bytes, "first byte in the Weights section">:$offset,
    Arg<Plan_Size, "packed bytes">:$bytes,
    Arg<Plan_Extent, "rows of all sources together">:$rows,
    Arg<Plan_Extent, "columns of a row">:$columns,
    Arg<StrAttr, "numeric format">:$format,
    Arg<StrAttr, "order of the bits in memory">:$packing,
    Arg<Plan_SourceArrayAttr, "the weights whose rows it holds">:$sources);
  let assemblyFormat = [{
    $sym_name `at` $offset `bytes` $bytes ` ` `[` $rows `,` $columns `]` $format `packing` $packing `sources` $sources
    attr-dict
  }];
  let hasVerifier = 1;
}

def Plan_CacheOp : Plan_Declaration<"cache"> {
  let summary = "the memory of one group of key and value caches";
  let description = [{
    `layers` equal parts of `layer_bytes` at `offset` of the cache space, each with the physical pages of the program's bounds.

    Constraints:
    - (C1) `offset` and `layer_bytes` are multiples of 64.

    Example:
    ```mlir
    plan.cache @kv at 0 layers 2 of 65536 bytes
    ```
  }];
  let arguments = (ins
    Arg<SymbolNameAttr, "name of the group">:$sym_name,
    Arg<Plan_Bytes, "first byte in the cache space">:$offset,
    Arg<Plan_Number, "layers in the group">:$layers,
    Arg<Plan_Size, "bytes of one layer">:$layer_bytes);
  let assemblyFormat = [{
    $sym_name `at` $offset `layers` $layers `of` $layer_bytes `bytes` attr-dict
  }];
  let extraClassDeclaration = [{
    int64_t getBytes() { return static_cast<int64_t>(getLayers() * getLayerBytes()); }
  }];
  let hasVerifier = 1;
}

def Plan_KernelOp : Plan_Declaration<"kernel"> {
  let summary = "a function of every target's code";
  let description = [{
    The function that launches of this name call, one call for each block of the grid. `cost`, where it is known, is what the
    kernel family's cost function says. `block` says what a block of GPU threads needs; kernels for CPUs have none. `reaches`
    says of each argument how many bytes from its address on the kernel may touch; without it only the first byte counts.

    Constraints:
    - (C1) `family` is not empty.
    - (C2) All kernels of a program have a `block`, or none has.
    - (C3) `reaches` has an entry for each argument.

    Example:
    ```mlir
    plan.kernel @project family "Linear" arguments 3 cost <weight_bytes = 4096, bytes_per_row = 128, operations_per_row = 2048, tokens>
        reaches [tokens, 4, outputs * 64]
    ```
  }];
  let arguments = (ins
    Arg<SymbolNameAttr, "name of the function">:$sym_name,
    Arg<StrAttr, "kernel family">:$family,
    Arg<Plan_Number, "arguments that it takes">:$arguments,
    Arg<OptionalAttr<Plan_BlockAttr>, "what a block needs on a GPU">:$block,
    Arg<OptionalAttr<Plan_CostAttr>, "bytes and operations of a launch">:$cost,
    Arg<OptionalAttr<Plan_ReachArrayAttr>, "how far it goes from each argument">:$reaches);
  let assemblyFormat = [{
    $sym_name `family` $family `arguments` $arguments (`block` `` $block^)? (`cost` `` $cost^)?
    (`reaches` custom<Reaches>($reaches)^)? attr-dict
  }];
  let extraClassDeclaration = [{
    /// How far it goes from argument `index` in the largest step.
    int64_t getReach(unsigned index, BoundsAttr bounds) {
      return getReaches() ? ::llvm::cast<ReachAttr>((*getReaches())[index]).evaluate(bounds) : 1;
    }
  }];
  let hasVerifier = 1;
}

def Plan_EntryOp : Plan_Declaration<"entry", [NoRegionArguments, NoTerminator, SingleBlock]> {
  let summary = "a variant of the step program for a range of token counts";
  let description = [{
    The commands of a step, executed in order; each starts when all earlier ones are complete.

    Constraints:
    - (C1) `min_tokens` is positive and at most `max_tokens`.
    - (C2) The body holds launches and loops only.
    - (C3) A buffer is written before it is read; inside a loop, in the same iteration or before the loop.

    Example:
    ```mlir
    plan.entry @step tokens 1 to 64 {
      plan.launch @embed grid [tokens, 1, 1] (token_ids, @table, out @hidden)
    }
    ```
  }];
  let arguments = (ins
    Arg<SymbolNameAttr, "name of the entry">:$sym_name,
    Arg<I64Attr, "least tokens of a step that runs it">:$min_tokens,
    Arg<I64Attr, "most tokens of a step that runs it">:$max_tokens);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = "$sym_name `tokens` $min_tokens `to` $max_tokens attr-dict-with-keyword $body";
  let hasVerifier = 1;
  let hasRegionVerifier = 1;
}

def Plan_LoopOp : Plan_Op<"loop", [HasParent<"EntryOp">, NoRegionArguments, NoTerminator, SingleBlock]> {
  let summary = "the same commands for every layer";
  let description = [{
    Runs its body `iterations` times. Arguments with a step move by that many bytes from one iteration to the next, so one body
    serves layers whose weights and caches lie at a constant stride. Loops do not nest.

    Constraints:
    - (C1) The body holds at least one launch and nothing else.

    Example:
    ```mlir
    plan.loop 30 {
      plan.launch @project grid [tokens, 1, 1] (@w0 step 4096, inout @hidden)
    }
    ```
  }];
  let arguments = (ins Arg<Plan_Number, "runs of the body">:$iterations);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = "$iterations attr-dict-with-keyword $body";
  let hasRegionVerifier = 1;
}

def Plan_LaunchOp : Plan_Op<"launch", [ParentOneOf<["EntryOp", "LoopOp"]>]> {
  let summary = "a kernel run over a grid of blocks";
  let description = [{
    Calls `kernel` once for each block of the grid with `arguments`, in the kernel's order. `layer` says in reports where the
    launch comes from.

    Constraints:
    - (C1) `kernel` is a kernel of the program and takes as many arguments.
    - (C2) An argument names a buffer, a weight, a cache or an input; all bytes that the kernel may touch from there lie
      inside, in the last iteration of the loop too.
    - (C3) Only buffers and caches are written.
    - (C4) Outside of a loop no argument has a step.
    - (C5) A weight that moves lands, in every iteration, on a weight of the same shape, format, packing and bytes; a cache
      that moves lands on the same offset in a later layer.
    - (C6) A buffer does not move, and the launch lies inside its lifetime; a buffer that lives on the border of the loop lives
      through all of it.

    Example:
    ```mlir
    plan.launch @append grid [ceildiv(tokens * 3, 8), 1, 1] (@keys, positions, inout @kv + 64 step 65536) layer "blk.0"
    ```
  }];
  let arguments = (ins
    Arg<FlatSymbolRefAttr, "the kernel">:$kernel,
    Arg<ConfinedAttr<TypedArrayAttrBase<Plan_ExtentAttr, "extents of the grid">, [ArrayCount<3>]>,
        "blocks along x, y and z">:$grid,
    Arg<Plan_ArgumentArrayAttr, "what the kernel reads and writes">:$arguments,
    Arg<OptionalAttr<StrAttr>, "the layer that the launch belongs to">:$layer);
  let assemblyFormat = [{
    $kernel `grid` custom<Extents>($grid) custom<Arguments>($arguments) (`layer` $layer^)? attr-dict
  }];
}

#endif // INGOT_DIALECTS_PLAN_TD
