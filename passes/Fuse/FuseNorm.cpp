//===- FuseNorm.cpp - Norm and quantize in one region -------------------------------------------===//
//
// Starts at a quantize and looks back for the norm that it alone reads.
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
  }

private:
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
