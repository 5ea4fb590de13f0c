//===- VerifyNvptxTarget.cpp - Check that kernels use only what an NVIDIA chip has ----------------------===//
//
// The last look at IR before LLVM, which does not return from what it cannot select. The tables are
// in lib/Target.
//
//===----------------------------------------------------------------------------------------------===//

#include "ingot/Target/Nvptx.h"
#include "passes/Target/Passes.h"

using namespace mlir;

namespace ingot::target {
#define GEN_PASS_DEF_VERIFYNVPTXTARGET
#include "passes/Target/Passes.h.inc"
} // namespace ingot::target

namespace {
struct VerifyNvptxTarget : ingot::target::impl::VerifyNvptxTargetBase<VerifyNvptxTarget> {
  using Base::Base;

  void runOnOperation() override {
    llvm::Expected<const ingot::NvptxChip *> chip = ingot::NvptxChip::parseTarget(target);
    if (!chip) {
      getOperation().emitError(llvm::toString(chip.takeError()));
      return signalPassFailure();
    }
    if (failed(ingot::verifyNvptxOps(getOperation(), **chip)))
      return signalPassFailure();
    if (failed(ingot::target::verifyKernelsAreWhole(getOperation())))
      return signalPassFailure();
    markAllAnalysesPreserved();
  }
};
} // namespace
