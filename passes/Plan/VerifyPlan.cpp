//===- VerifyPlan.cpp - Check what holds after the plan stage --------------------------------------===//
//
// What relates the program to the rest of the module; the program itself is checked by its
// verifier.
//
//===----------------------------------------------------------------------------------------------===//

#include "dialects/Plan/Plan.h"
#include "dialects/Tile/Tile.h"
#include "dialects/Transformer/Transformer.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "passes/Plan/Passes.h"
#include "llvm/ADT/StringMap.h"

namespace ingot::plan {
#define GEN_PASS_DEF_VERIFYPLAN
#include "passes/Plan/Passes.h.inc"
} // namespace ingot::plan

using namespace mlir;
using namespace ingot;
using namespace ingot::plan;

static LogicalResult checkKernels(ModuleOp module, ProgramOp program) {
  SymbolTable symbols(module), declared(program);
  for (KernelOp kernel : program.getOps<KernelOp>()) {
    auto body = symbols.lookup<tile::KernelOp>(kernel.getSymName());
    if (!body)
      return kernel.emitError() << "expected a tile kernel '" << kernel.getSymName()
                                << "', got none";
    if (body.getViews().size() == kernel.getArguments())
      continue;
    InFlightDiagnostic diagnostic = kernel.emitError() << "expected kernel '" << kernel.getSymName()
                                                       << "' to take " << kernel.getArguments()
                                                       << " views, got " << body.getViews().size();
    diagnostic.attachNote(body.getLoc()) << "defined here";
    return diagnostic;
  }
  for (tile::KernelOp kernel : module.getOps<tile::KernelOp>())
    if (!declared.lookup<KernelOp>(kernel.getSymName()))
      return kernel.emitError() << "expected kernel '" << kernel.getSymName()
                                << "' to be launched by the program";
  return success();
}

static LogicalResult checkWeights(ModuleOp module, ProgramOp program) {
  llvm::StringMap<transformer::WeightType> declared;
  for (auto weight : module.getOps<transformer::WeightOp>())
    declared[weight.getSource().value_or(weight.getSymName())] =
        cast<transformer::WeightType>(weight.getType());
  for (WeightOp weight : program.getOps<WeightOp>())
    for (Attribute attribute : weight.getSources()) {
      auto source = dyn_cast<StringAttr>(attribute);
      if (!source)
        continue;
      auto type = declared.find(source.getValue());
      if (type == declared.end())
        return weight.emitError() << "expected a declaration of weight '" << source.getValue()
                                  << "', got none";
      if (type->second.getFormat() != weight.getFormat() ||
          type->second.getColumns() != static_cast<int64_t>(weight.getColumns()))
        return weight.emitError() << "expected weight '" << source.getValue()
                                  << "' to have format '" << weight.getFormat() << "' and "
                                  << weight.getColumns() << " columns, got " << type->second;
    }
  return success();
}

namespace {

struct VerifyPlan : ingot::plan::impl::VerifyPlanBase<VerifyPlan> {
  void runOnOperation() override {
    ModuleOp module = getOperation();
    auto programs = module.getOps<ProgramOp>();
    if (llvm::range_size(programs) != 1) {
      module.emitError() << "expected one program after the plan stage, got "
                         << llvm::range_size(programs);
      return signalPassFailure();
    }
    for (func::FuncOp function : module.getOps<func::FuncOp>()) {
      function.emitError() << "expected no functions after the plan stage, got '"
                           << function.getSymName() << "'";
      return signalPassFailure();
    }
    if (failed(checkKernels(module, *programs.begin())) ||
        failed(checkWeights(module, *programs.begin())))
      signalPassFailure();
  }
};

} // namespace
