//===- FuseGatedFeedForward.cpp - Gate, up and activation in one region -------------------------===//
//
// Starts at a multiplication and looks back for an activated product and a plain one.
//
//===--------------------------------------------------------------------------------------------===//

#include "passes/Fuse/Passes.h"
#include "passes/Fuse/Regions.h"

namespace ingot::fuse {
#define GEN_PASS_DEF_FUSEGATEDFEEDFORWARD
#include "passes/Fuse/Passes.h.inc"
} // namespace ingot::fuse

using namespace mlir;
using namespace ingot;

namespace {

/// act(gate) * up, with the four ops that compute it.
struct GatedFeedForward {
  transformer::LinearOp gate, up;
  transformer::ActivationOp activation;
  arith::MulFOp multiply;
};

/// The ops behind a multiplication, if they are those; in whichever order it has its operands.
std::optional<GatedFeedForward> match(arith::MulFOp multiply) {
  for (auto [activated, other] : {std::pair(multiply.getLhs(), multiply.getRhs()),
                                  std::pair(multiply.getRhs(), multiply.getLhs())}) {
    auto activation = activated.getDefiningOp<transformer::ActivationOp>();
    auto up = other.getDefiningOp<transformer::LinearOp>();
    if (!activation || !up)
      continue;
    if (auto gate = activation.getInput().getDefiningOp<transformer::LinearOp>())
      return GatedFeedForward{gate, up, activation, multiply};
  }
  return std::nullopt;
}

/// Why the ops stay apart; empty if they can be computed together.
std::string reasonAgainst(const GatedFeedForward &ops) {
  transformer::LinearOp gate = ops.gate, up = ops.up;
  if (gate == up || fuse::onlyUser<transformer::ActivationOp>(gate) != ops.activation ||
      fuse::onlyUser<arith::MulFOp>(ops.activation) != ops.multiply ||
      fuse::onlyUser<arith::MulFOp>(up) != ops.multiply)
    return "gate, activation or up is used elsewhere too";
  if (gate.getInput() != up.getInput() || gate.getScales() != up.getScales())
    return "gate and up have different inputs";
  if (gate.getWeight().getType() != up.getWeight().getType())
    return llvm::formatv("the weights are {0} and {1}", gate.getWeight().getType(),
                         up.getWeight().getType());
  return {};
}

struct FuseGatedFeedForward : fuse::impl::FuseGatedFeedForwardBase<FuseGatedFeedForward> {
  using FuseGatedFeedForwardBase::FuseGatedFeedForwardBase;

  void runOnOperation() override {
    fuse::forwardRowCounts(getOperation());
    for (auto multiply : fuse::opsOutsideOfRegions<arith::MulFOp>(getOperation()))
      if (auto ops = match(multiply))
        visit(*ops);
  }

private:
  void visit(const GatedFeedForward &ops) {
    auto opts = fuse::remarkOptions(ops.multiply, "FuseGatedFeedForward");
    Location loc = ops.multiply->getLoc();
    std::string reason = reasonAgainst(ops);
    if (!reason.empty() ||
        failed(fuse::fuseOps("LinearGatedActivation",
                             {ops.gate, ops.up, ops.activation, ops.multiply}, reason))) {
      remark::missed(loc, opts) << remark::reason("{0}", reason);
      return;
    }
    ++numRegions;
    remark::passed(loc, opts) << remark::add("gate, up and activation in one region");
  }
};

} // namespace
