//===- VerifyCpuTarget.cpp - Check that kernels use only what a CPU target has --------------------------===//
//
// The last look at IR before LLVM, which does not return from what it cannot select. The tables are
// in lib/Target.
//
//===----------------------------------------------------------------------------------------------===//

#include "dialects/Tile/Tile.h"
#include "ingot/Target/Cpu.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "passes/Target/Passes.h"

using namespace mlir;

namespace ingot::target {
#define GEN_PASS_DEF_VERIFYCPUTARGET
#include "passes/Target/Passes.h.inc"
} // namespace ingot::target

LogicalResult ingot::target::verifyKernelsAreWhole(ModuleOp module) {
  for (Operation &op : *module.getBody()) {
    if (isa<ingot::tile::KernelOp>(op))
      return op.emitOpError("expected kernels to be lowered before the target stage");
    auto function = dyn_cast<LLVM::LLVMFuncOp>(op);
    if (function && function.isExternal())
      return function.emitOpError(
          "expected every function to have a body: kernels have no library");
  }
  return success();
}

namespace {
struct VerifyCpuTarget : ingot::target::impl::VerifyCpuTargetBase<VerifyCpuTarget> {
  using Base::Base;

  void runOnOperation() override {
    llvm::Expected<ingot::CpuTarget> cpu = ingot::CpuTarget::parse(target);
    if (!cpu) {
      getOperation().emitError(llvm::toString(cpu.takeError()));
      return signalPassFailure();
    }
    if (failed(ingot::verifyCpuIntrinsics(getOperation(), *cpu)))
      return signalPassFailure();
    if (failed(ingot::target::verifyKernelsAreWhole(getOperation())))
      return signalPassFailure();
    markAllAnalysesPreserved();
  }
};
} // namespace
