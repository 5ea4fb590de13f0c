//===- FormRegions.cpp - A region for every op that stands alone --------------------------------===//
//
// See Passes.td. The table of families that serve one op is `familyOf`.
//
//===--------------------------------------------------------------------------------------------===//

#include "ingot/Kernels/ElementwiseOps.h"
#include "mlir/IR/IRMapping.h"
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
        return norm.getKind() == transformer::NormKind::Rms ? "RmsNorm" : "LayerNorm";
      })
      .Case([](transformer::GatherChannelsOp) { return "GatherChannels"; })
      .Case([](transformer::QuantizeOp) { return "Quantize"; })
      .Case([](transformer::LinearOp) { return "Linear"; })
      .Case([](transformer::RopeOp) { return "Rope"; })
      .Case([](transformer::AppendCacheOp) { return "AppendCache"; })
      .Case([](transformer::CachedAttentionOp) { return "PagedAttention"; })
      .Default([](Operation *op) { return kernels::isElementwise(op) ? "Elementwise" : ""; });
}

/// The elementwise op that computes `value`, which nothing but `user` reads, in its block.
Operation *findFeeder(Value value, Operation *user) {
  Operation *op = value.getDefiningOp();
  bool feeds = op && kernels::isElementwise(op) && op->getBlock() == user->getBlock() &&
               llvm::all_of(op->getUsers(), [&](Operation *other) { return other == user; });
  return feeds ? op : nullptr;
}

/// Whether an op belongs to the tree of another one.
bool isFeeder(Operation *op) {
  return op->getNumResults() == 1 && !op->use_empty() &&
         kernels::isElementwise(*op->user_begin()) &&
         findFeeder(op->getResult(0), *op->user_begin());
}

/// The tree of elementwise ops below `root`. Numbers that it repeats become its own.
SmallVector<Operation *> collectTree(Operation *root) {
  llvm::SetVector<Operation *> tree;
  tree.insert(root);
  for (size_t i = 0; i < tree.size(); ++i)
    for (Value operand : tree[i]->getOperands())
      if (Operation *feeder = findFeeder(operand, tree[i]))
        tree.insert(feeder);
  // Ahead of all others; sizes of a splat may come from anywhere before its first use.
  for (Operation *op : llvm::to_vector(tree))
    for (OpOperand &operand : op->getOpOperands())
      if (kernels::getRepeatedNumber(operand.get())) {
        auto splat = operand.get().getDefiningOp<tensor::SplatOp>();
        OpBuilder builder(op);
        IRMapping mapping;
        tree.insert(builder.clone(*splat.getInput().getDefiningOp(), mapping));
        Operation *clone = builder.clone(*splat, mapping);
        tree.insert(clone);
        operand.set(clone->getResult(0));
        if (splat->use_empty())
          splat->erase();
      }
  return tree.takeVector();
}

struct FormRegions : fuse::impl::FormRegionsBase<FormRegions> {
  using FormRegionsBase::FormRegionsBase;

  void runOnOperation() override {
    fuse::forwardRowCounts(getOperation());
    SmallVector<Operation *> ops;
    getOperation().walk<WalkOrder::PreOrder>([&](Operation *op) {
      if (isa<transformer::ComputeOp>(op))
        return WalkResult::skip();
      bool isRepeatedNumber =
          op->getNumResults() == 1 && kernels::getRepeatedNumber(op->getResult(0));
      if (fuse::needsKernel(op) && !isRepeatedNumber && !isFeeder(op))
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
    SmallVector<Operation *> group{op};
    if (kernels::isElementwise(op))
      group = collectTree(op);
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
