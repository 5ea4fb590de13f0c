//===- FuseNorm.cpp - Norm and what alone reads it in one region --------------------------------===//
//
// Starts at a quantize and looks back for the norm that it alone reads. On GPUs, where products
// read floats, starts at a norm and looks for the region of products that alone reads it: such a
// region gets the norm as its first op.
//
//===--------------------------------------------------------------------------------------------===//

#include "passes/Fuse/Passes.h"
#include "passes/Fuse/Regions.h"

namespace ingot::fuse {
#define GEN_PASS_DEF_FUSENORM
#include "passes/Fuse/Passes.h.inc"
} // namespace ingot::fuse

using namespace mlir;
using namespace ingot;

namespace {

struct FuseNorm : fuse::impl::FuseNormBase<FuseNorm> {
  using FuseNormBase::FuseNormBase;

  void runOnOperation() override {
    fuse::forwardRowCounts(getOperation());
    for (auto quantize : fuse::opsOutsideOfRegions<transformer::QuantizeOp>(getOperation()))
      if (auto norm = quantize.getInput().getDefiningOp<transformer::NormOp>())
        visit(norm, quantize);
    if (target == "cuda")
      for (auto norm : fuse::opsOutsideOfRegions<transformer::NormOp>(getOperation()))
        if (norm->hasOneUse())
          if (auto compute = dyn_cast<transformer::ComputeOp>(*norm->user_begin()))
            visit(norm, compute);
  }

private:
  void visit(transformer::NormOp norm, transformer::ComputeOp compute) {
    auto opts = fuse::remarkOptions(norm, "FuseNorm");
    Location loc = norm.getLoc();
    std::string reason;
    if (failed(fuse::prependOp(norm, compute, kernels::Machine::Cuda, reason))) {
      remark::missed(loc, opts) << remark::reason("{0}", reason);
      return;
    }
    ++numRegions;
    remark::passed(loc, opts) << remark::add(
        "norm in the region of the products that read it: they norm a few tokens themselves");
  }

  void visit(transformer::NormOp norm, transformer::QuantizeOp quantize) {
    auto opts = fuse::remarkOptions(norm, "FuseNorm");
    Location loc = norm.getLoc();
    bool isRms = norm.getKind() == transformer::NormKind::Rms;
    std::string reason;
    if (fuse::onlyUser<transformer::QuantizeOp>(norm) != quantize)
      reason = "the floats of the norm are used too";
    if (!reason.empty() || failed(fuse::fuseOps(isRms ? "RmsNormQuantize" : "LayerNormQuantize",
                                                {norm, quantize}, reason))) {
      remark::missed(loc, opts) << remark::reason("{0}", reason);
      return;
    }
    ++numRegions;
    remark::passed(loc, opts) << remark::add("norm and quantize in one region");
  }
};

} // namespace
