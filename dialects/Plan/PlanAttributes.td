//===- PlanAttributes.td - Counts, inputs, grids and addresses of a plan -------*- tablegen -*-===//
//
// The dialect, its enumerations and its attributes. Enumerations have the numbers of
// include/ingot/Artifact/Format.h; Plan.cpp asserts so.
//
//===------------------------------------------------------------------------------------------===//

#ifndef INGOT_DIALECTS_PLAN_ATTRIBUTES_TD
#define INGOT_DIALECTS_PLAN_ATTRIBUTES_TD

include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/EnumAttr.td"
include "mlir/IR/OpBase.td"

def Plan_Dialect : Dialect {
  let name = "plan";
  let cppNamespace = "::ingot::plan";
  let summary = "the program that the runtime executes";
  let description = [{
    A plan is a fixed list of commands over memory whose layout is known: nothing is allocated, computed or decided while it
    runs. All that varies from step to step is the step's descriptor: its counts and its input arrays.
    A `plan.version` attribute on the module says for which version of the dialect it was written; newer ones are refused.
  }];
  let useDefaultAttributePrinterParser = 1;
  let hasOperationAttrVerify = 1;
  let extraClassDeclaration = [{
    /// Raised when an older reader cannot understand what a newer writer prints.
    static constexpr int64_t version = 1;
    static constexpr ::llvm::StringLiteral versionAttrName = "plan.version";
    void registerAttributes();
  }];
}

class Plan_Enum<string name, string summary, list<I32EnumCase> cases>
    : I32Enum<name, summary, cases> {
  let cppNamespace = "::ingot::plan";
}

def Plan_Count : Plan_Enum<"Count", "a number that varies from step to step", [
  I32EnumCase<"Tokens", 0, "tokens">, I32EnumCase<"Outputs", 1, "outputs">, I32EnumCase<"Sequences", 2, "sequences">]>;

// What a kernel's cost is counted in: a count, or the context of the step's tokens.
def Plan_CostUnit : Plan_Enum<"CostUnit", "what the cost of a launch varies with", [
  I32EnumCase<"Tokens", 0, "tokens">, I32EnumCase<"Outputs", 1, "outputs">, I32EnumCase<"Sequences", 2, "sequences">,
  I32EnumCase<"Context", 3, "context">]>;

def Plan_Input : Plan_Enum<"Input", "an array of the step's descriptor", [
  I32EnumCase<"TokenIds", 0, "token_ids">, I32EnumCase<"Positions", 1, "positions">,
  I32EnumCase<"SequenceOf", 2, "sequence_of">, I32EnumCase<"OutputRows", 3, "output_rows">,
  I32EnumCase<"PageTable", 4, "page_table">]>;

def Plan_Space : Plan_Enum<"Space", "a memory that buffers live in", [
  I32EnumCase<"Arena", 0, "arena">]>;

def Plan_Access : Plan_Enum<"Access", "what a kernel does with an argument", [
  I32EnumCase<"Read", 0, "in">, I32EnumCase<"Write", 1, "out">, I32EnumCase<"Update", 2, "inout">]>;

class Plan_Attr<string name, string attrMnemonic> : AttrDef<Plan_Dialect, name> {
  let mnemonic = attrMnemonic;
}

def Plan_SpaceAttr : EnumAttr<Plan_Dialect, Plan_Space, "space"> {
  let assemblyFormat = "$value";
}

def Plan_InputAttr : EnumAttr<Plan_Dialect, Plan_Input, "input"> {
  let assemblyFormat = "`<` $value `>`";
}

def Plan_BoundsAttr : Plan_Attr<"Bounds", "bounds"> {
  let summary = "the largest step, and the pages of the cache";
  let description = [{
    ```mlir
    #plan.bounds<tokens = 64, outputs = 4, sequences = 2, context_tokens = 128, page_tokens = 16, pages = 16, pages_per_sequence = 8>
    ```
  }];
  let parameters = (ins
    AttrParameter<"int64_t", "most tokens of one step">:$tokens,
    AttrParameter<"int64_t", "most rows of output of one step">:$outputs,
    AttrParameter<"int64_t", "most sequences of one step">:$sequences,
    AttrParameter<"int64_t", "most tokens of one sequence">:$context_tokens,
    AttrParameter<"int64_t", "tokens of one page of the cache">:$page_tokens,
    AttrParameter<"int64_t", "physical pages of the cache">:$pages,
    AttrParameter<"int64_t", "row length of the page table">:$pages_per_sequence);
  let assemblyFormat = "`<` struct(params) `>`";
  let extraClassDeclaration = [{
    /// The largest value of `count`.
    int64_t get(Count count) const {
      return count == Count::Tokens ? getTokens() : count == Count::Outputs ? getOutputs() : getSequences();
    }
    /// Bytes of an array of the step's descriptor.
    int64_t getBytes(Input input) const;
  }];
}

def Plan_CostAttr : Plan_Attr<"Cost", "cost"> {
  let summary = "bytes and operations of one launch, as the kernel family counts them";
  let description = [{
    A row is a value of the count. With `context`, bytes are for each token of the contexts of the step's sequences,
    operations for each pair of a token of the step and a token of its context.

    ```mlir
    #plan.cost<weight_bytes = 4096, bytes_per_row = 128, operations_per_row = 2048, tokens>
    ```
  }];
  let parameters = (ins
    AttrParameter<"int64_t", "bytes of weights, read once a launch">:$weight_bytes,
    AttrParameter<"int64_t", "activations read and written for each value of the count">:$bytes_per_row,
    AttrParameter<"int64_t", "operations for each value of the count; a multiply-add is two">:$operations_per_row,
    EnumParameter<Plan_CostUnit>:$count);
  let assemblyFormat = [{
    `<` struct($weight_bytes, $bytes_per_row, $operations_per_row) `,` $count `>`
  }];
}

def Plan_BlockAttr : Plan_Attr<"Block", "block"> {
  let summary = "what a block of a kernel's grid needs on a GPU";
  let description = [{
    `dependent` is 1 where the kernel may start before its predecessor is complete: every block waits for it before it touches
    anything but weights, and before it exits.
    ```mlir
    #plan.block<threads = 128, shared_bytes = 0, dependent = 1>
    ```
  }];
  let parameters = (ins
    AttrParameter<"int64_t", "threads of a block">:$threads,
    AttrParameter<"int64_t", "dynamic shared memory of a block">:$shared_bytes,
    AttrParameter<"int64_t", "1: may start before its predecessor is complete">:$dependent);
  let assemblyFormat = "`<` struct(params) `>`";
  let genVerifyDecl = 1;
}

def Plan_ExtentAttr : Plan_Attr<"Extent", "extent"> {
  let summary = "the length of one side of a grid";
  let description = [{
    `ceil((count * multiplier + addend) / divisor)`; without a count, the number `multiplier`. Written as short as it goes:
    `7`, `tokens`, `tokens * 3 + 1`, `ceildiv(tokens * 3 + 1, 8)`.
    ```mlir
    #plan.extent<ceildiv(tokens * 3, 8)>
    ```
  }];
  let parameters = (ins
    AttrParameter<"::std::optional<Count>", "the count, if the extent varies">:$count,
    AttrParameter<"int64_t", "factor of the count, or the extent itself">:$multiplier,
    AttrParameter<"int64_t", "added to the product">:$addend,
    AttrParameter<"int64_t", "what the sum is divided by, rounding up">:$divisor);
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    /// The extent at `bounds`, the largest that a step can have.
    int64_t evaluate(BoundsAttr bounds) const;
  }];
}

def Plan_ReachAttr : Plan_Attr<"Reach", "reach"> {
  let summary = "how many bytes from an argument's address on a kernel may touch";
  let description = [{
    `count * multiplier + addend`, not below 0; without a count, the number `addend`. Written as short as it goes: `345600`,
    `tokens * 2304`, `tokens * 3840 - 1536`.
    ```mlir
    #plan.reach<tokens * 3840 - 1536>
    ```
  }];
  let parameters = (ins
    AttrParameter<"::std::optional<Count>", "the count, if the reach varies">:$count,
    AttrParameter<"int64_t", "bytes for each value of the count">:$multiplier,
    AttrParameter<"int64_t", "added to the product">:$addend);
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    /// The reach at `bounds`, the largest that a step can have.
    int64_t evaluate(BoundsAttr bounds) const;
  }];
}

def Plan_ArgumentAttr : Plan_Attr<"Argument", "argument"> {
  let summary = "an address in a buffer, a weight or a cache";
  let description = [{
    The first byte of `symbol`, plus `offset`, plus `step` times the iteration of the enclosing loop; and whether the kernel
    reads what is there, writes it, or both. Written `@w`, `out @x`, `inout @kv + 64 step 4096`.
    ```mlir
    #plan.argument<inout @kv + 64 step 4096>
    ```
  }];
  let parameters = (ins
    EnumParameter<Plan_Access>:$access,
    AttrParameter<"::mlir::FlatSymbolRefAttr", "what the address lies in">:$symbol,
    AttrParameter<"int64_t", "bytes from its start">:$offset,
    AttrParameter<"int64_t", "bytes from one iteration to the next">:$step);
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    bool isRead() const { return getAccess() != Access::Write; }
    bool isWritten() const { return getAccess() != Access::Read; }
  }];
}

def Plan_RopeTableAttr : Plan_Attr<"RopeTable", "rope_table"> {
  let summary = "the generated content of a rotary embedding's table";
  let description = [{
    Row p holds cosines, then sines, of p times each frequency, as `transformer.rope_table` defines them.
    ```mlir
    #plan.rope_table<base = 1.000000e+05 : f64>
    ```
  }];
  let parameters = (ins
    AttrParameter<"::mlir::FloatAttr", "base of the frequencies">:$base,
    OptionalParameter<"::mlir::DenseF32ArrayAttr", "what each frequency is divided by">:$factors);
  let assemblyFormat = "`<` struct(params) `>`";
}

/// Where rows of a packed weight come from: a weight of the checkpoint by name, or generated content.
def Plan_SourceArrayAttr : TypedArrayAttrBase<AnyAttrOf<[StrAttr, Plan_RopeTableAttr]>, "sources of a weight">;

def Plan_ReachArrayAttr : TypedArrayAttrBase<Plan_ReachAttr, "reaches">;

def Plan_ArgumentArrayAttr : TypedArrayAttrBase<
    AnyAttrOf<[Plan_ArgumentAttr, Plan_InputAttr]>, "addresses and inputs">;

#endif // INGOT_DIALECTS_PLAN_ATTRIBUTES_TD
