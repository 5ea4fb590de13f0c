//===- VerifyFuseStage.cpp - What is true after the fuse stage ----------------------------------===//
//
// See Passes.td.
//
//===--------------------------------------------------------------------------------------------===//

#include "passes/Fuse/Passes.h"
#include "passes/Fuse/Regions.h"

namespace ingot::fuse {
#define GEN_PASS_DEF_VERIFYFUSESTAGE
#include "passes/Fuse/Passes.h.inc"
} // namespace ingot::fuse

using namespace mlir;
using namespace ingot;

namespace {

struct VerifyFuseStage : fuse::impl::VerifyFuseStageBase<VerifyFuseStage> {
  using VerifyFuseStageBase::VerifyFuseStageBase;

  void runOnOperation() override {
    auto result = getOperation().walk<WalkOrder::PreOrder>([&](Operation *op) {
      if (auto compute = dyn_cast<transformer::ComputeOp>(op)) {
        std::string reason; // which machine it is for, the tile stage knows
        if (succeeded(fuse::hasKernel(compute, kernels::Machine::Cuda, reason)) ||
            succeeded(fuse::hasKernel(compute, kernels::Machine::Cpu, reason)))
          return WalkResult::skip();
        compute.emitOpError("has no kernel: ") << reason;
        return WalkResult::interrupt();
      }
      if (!fuse::needsKernel(op))
        return WalkResult::advance();
      op->emitOpError("expected to stand in a transformer.compute region");
      return WalkResult::interrupt();
    });
    if (result.wasInterrupted())
      return signalPassFailure();
    markAllAnalysesPreserved();
  }
};

} // namespace
