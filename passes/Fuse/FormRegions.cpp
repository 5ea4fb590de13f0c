//===- FormRegions.cpp - A region for every op that stands alone --------------------------------===//
//
// See Passes.td. The table of families that serve one op is `familyOf`.
//
//===--------------------------------------------------------------------------------------------===//

#include "passes/Fuse/Passes.h"
#include "passes/Fuse/Regions.h"

namespace ingot::fuse {
#define GEN_PASS_DEF_FORMREGIONS
#include "passes/Fuse/Passes.h.inc"
} // namespace ingot::fuse

using namespace mlir;
using namespace ingot;

namespace {

/// The family that computes `op` alone; empty where there is none.
StringRef familyOf(Operation *op) {
  return llvm::TypeSwitch<Operation *, StringRef>(op)
      .Case([](transformer::EmbeddingOp) { return "Embedding"; })
      .Case([](transformer::SelectRowsOp) { return "SelectRows"; })
      .Case([](transformer::NormOp norm) {
        return norm.getKind() == transformer::NormKind::Rms ? "RmsNorm" : "";
      })
      .Case([](transformer::QuantizeOp) { return "Quantize"; })
      .Case([](transformer::LinearOp) { return "Linear"; })
      .Case([](transformer::RopeOp) { return "Rope"; })
      .Case([](transformer::AppendCacheOp) { return "AppendCache"; })
      .Case([](transformer::CachedAttentionOp) { return "PagedAttention"; })
      .Case([](transformer::ActivationOp) { return "ActivationMultiply"; })
      .Case([](arith::AddFOp) { return "Add"; })
      .Default(StringRef());
}

struct FormRegions : fuse::impl::FormRegionsBase<FormRegions> {
  using FormRegionsBase::FormRegionsBase;

  void runOnOperation() override {
    fuse::forwardRowCounts(getOperation());
    SmallVector<Operation *> ops;
    getOperation().walk<WalkOrder::PreOrder>([&](Operation *op) {
      if (isa<transformer::ComputeOp>(op))
        return WalkResult::skip();
      // A multiplication belongs to the activation that it is the only use of.
      bool isTaken = isa<arith::MulFOp>(op) && llvm::any_of(op->getOperands(), [&](Value operand) {
                       auto activation = operand.getDefiningOp<transformer::ActivationOp>();
                       return activation && fuse::onlyUser<arith::MulFOp>(activation) == op;
                     });
      if (fuse::needsKernel(op) && !isTaken)
        ops.push_back(op);
      return WalkResult::advance();
    });
    for (Operation *op : ops)
      visit(op);
  }

private:
  void visit(Operation *op) {
    auto opts = fuse::remarkOptions(op, "FormRegions");
    Location loc = op->getLoc();
    StringRef name = op->getName().getStringRef(), family = familyOf(op);
    if (family.empty()) {
      remark::missed(loc, opts) << remark::reason("no kernel family computes {0}", name);
      return;
    }
    SmallVector<Operation *, 2> group{op};
    if (isa<transformer::ActivationOp>(op))
      if (auto multiply = fuse::onlyUser<arith::MulFOp>(op))
        group.push_back(multiply);
    std::string reason;
    if (failed(fuse::formRegion(family, group, reason))) {
      remark::missed(loc, opts) << remark::reason("{0}", reason);
      return;
    }
    ++numRegions;
    remark::passed(loc, opts) << remark::add("{0} alone, by family {1}", name, family);
  }
};

} // namespace
