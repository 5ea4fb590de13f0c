//===- FuseActivation.cpp - Product and activation in one region --------------------------------===//
//
// Starts at an activation and looks back for the product that it alone reads.
//
//===--------------------------------------------------------------------------------------------===//

#include "passes/Fuse/Passes.h"
#include "passes/Fuse/Regions.h"

namespace ingot::fuse {
#define GEN_PASS_DEF_FUSEACTIVATION
#include "passes/Fuse/Passes.h.inc"
} // namespace ingot::fuse

using namespace mlir;
using namespace ingot;

namespace {

struct FuseActivation : fuse::impl::FuseActivationBase<FuseActivation> {
  using FuseActivationBase::FuseActivationBase;

  void runOnOperation() override {
    fuse::forwardRowCounts(getOperation());
    for (auto activation : fuse::opsOutsideOfRegions<transformer::ActivationOp>(getOperation()))
      if (auto linear = activation.getInput().getDefiningOp<transformer::LinearOp>())
        visit(linear, activation);
  }

private:
  void visit(transformer::LinearOp linear, transformer::ActivationOp activation) {
    auto opts = fuse::remarkOptions(activation, "FuseActivation");
    Location loc = activation.getLoc();
    std::string reason;
    if (fuse::onlyUser<transformer::ActivationOp>(linear) != activation)
      reason = "the product is used elsewhere too";
    if (!reason.empty() ||
        failed(fuse::fuseOps("LinearActivation", {linear, activation}, reason))) {
      remark::missed(loc, opts) << remark::reason("{0}", reason);
      return;
    }
    ++numRegions;
    remark::passed(loc, opts) << remark::add("product and activation in one region");
  }
};

} // namespace
