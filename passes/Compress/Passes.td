//===- Passes.td - Passes of the compress stage ---------------------------------------*- tablegen -*-===//
//
// The compress stage gives weights and activations their final numeric formats. What it loses in precision it says
// in the IR: every rounding is an op.
//
//===------------------------------------------------------------------------------------------------===//

#ifndef INGOT_PASSES_COMPRESS
#define INGOT_PASSES_COMPRESS

include "mlir/Pass/PassBase.td"

def QuantizeWeights : Pass<"ingot-quantize-weights", "::mlir::ModuleOp"> {
  let summary = "Store the weights of products in another numeric format";
  let description = [{
    The weight of every `transformer.linear` that is stored in floats gets `format`: a type here, which whoever reads its
    bytes rounds them to, each block by itself to the nearest code. An embedding that shares the weight reads the same
    numbers. This is the plain rounding that others improve on; it needs no data.

    ```mlir
    transformer.weight @w : !transformer.weight<[96, 64], bf16> source "w"
    // becomes with format=q8_0
    transformer.weight @w : !transformer.weight<[96, 64], q8_0> source "w"
    ```

    Does nothing without a format. Weights of integers, whose columns are no multiple of the format's blocks, that are
    written inline or made of others stay as they are, with a remark that says so. Linear in the size of the module.
  }];
  let options = [
    Option<"format", "format", "std::string", /*default=*/"\"\"", "Numeric format; empty: as they are stored">,
  ];
  let dependentDialects = ["::ingot::transformer::TransformerDialect"];
  let statistics = [Statistic<"numWeights", "weights", "Weights that got another format">];
}

def QuantizeActivations : Pass<"ingot-quantize-activations", "::mlir::ModuleOp"> {
  let summary = "Multiply integer weights with 8-bit activations";
  let description = [{
    The input of every `transformer.linear` whose weight is stored in integers goes through `transformer.quantize`, in
    blocks of 32 channels, so that products inside a block are exact sums of integers. Linears of one input share one
    `quantize`.

    ```mlir
    %y = transformer.linear %x, %w : tensor<?x64xf32>, !transformer.weight<[96, 64], q4_1> -> tensor<?x96xf32>
    // becomes
    %v, %s = transformer.quantize %x : tensor<?x64xf32> -> tensor<?x64xi8>, tensor<?x2xf32>
    %y = transformer.linear %v scales %s, %w : tensor<?x64xi8> scales tensor<?x2xf32>,
        !transformer.weight<[96, 64], q4_1> -> tensor<?x96xf32>
    ```

    Linears keep float32 activations, with a remark that says why, where the weight is stored in floats, where its
    columns are no multiple of 32, and where `exclude` names it. A function that is called for several layers has one
    form: its linear is excluded when any of the weights that callers pass is. Does nothing with `activations=float`,
    and nothing to linears that have scales. Linear in the size of the module.
  }];
  let options = [
    Option<"activations", "activations", "::ingot::compress::Activations", "::ingot::compress::Activations::Auto",
           "Numbers in which products with integer weights are computed", [{::llvm::cl::values(
             clEnumValN(::ingot::compress::Activations::Auto, "auto", "What the target's kernels do best (int8)"),
             clEnumValN(::ingot::compress::Activations::Int8, "int8", "8-bit integers in blocks of 32"),
             clEnumValN(::ingot::compress::Activations::Float, "float", "float32"))}]>,
    ListOption<"exclude", "exclude", "std::string",
               "Weights whose activations stay float32: names, `*` and `?` as in file names">,
  ];
  let dependentDialects = ["::ingot::transformer::TransformerDialect"];
  let statistics = [
    Statistic<"numLinears", "linears", "Linears that got integer activations">,
    Statistic<"numQuantizes", "quantizes", "Inputs that were quantized">,
  ];
}

#endif // INGOT_PASSES_COMPRESS
