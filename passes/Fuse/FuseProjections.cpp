//===- FuseProjections.cpp - Queries, keys and values in one region -----------------------------===//
//
// Starts at an append_cache and looks back for the products behind its keys and values, and forward
// through the attention that reads it for the product behind the queries. What is allowed between
// is said in ingot/Kernels/HeadProjection.h.
//
//===--------------------------------------------------------------------------------------------===//

#include "ingot/Kernels/HeadProjection.h"
#include "passes/Fuse/Passes.h"
#include "passes/Fuse/Regions.h"

namespace ingot::fuse {
#define GEN_PASS_DEF_FUSEPROJECTIONS
#include "passes/Fuse/Passes.h.inc"
} // namespace ingot::fuse

using namespace mlir;
using namespace ingot;

namespace {

/// The attention of the same tokens that reads what was appended, in the same block; null where
/// there is none.
transformer::CachedAttentionOp findReader(transformer::AppendCacheOp append) {
  for (Operation *user : append->getUsers())
    if (auto reader = dyn_cast<transformer::CachedAttentionOp>(user);
        reader && reader.getLayer() == append.getLayer() &&
        reader.getBatch() == append.getBatch() && user->getBlock() == append->getBlock())
      return reader;
  return {};
}

/// The ops of the region around `append`, or what is missing.
std::optional<SmallVector<Operation *>> findOps(transformer::AppendCacheOp append,
                                                std::string &reason) {
  transformer::CachedAttentionOp attention = findReader(append);
  if (!attention)
    return reason = "no attention reads what was appended", std::nullopt;
  llvm::SetVector<Operation *> ops;
  ops.insert(append);
  for (auto [value, name] :
       {std::pair(attention.getQuery(), "queries"), std::pair(append.getKey(), "keys"),
        std::pair(append.getValue(), "values")}) {
    auto projection = kernels::traceHeadProjection(value);
    if (!projection || projection->linear->getBlock() != append->getBlock())
      return reason = llvm::formatv("{0} are no heads of a product", name), std::nullopt;
    ops.insert_range(projection->getOps());
  }
  return ops.takeVector();
}

struct FuseProjections : fuse::impl::FuseProjectionsBase<FuseProjections> {
  using FuseProjectionsBase::FuseProjectionsBase;

  void runOnOperation() override {
    fuse::forwardRowCounts(getOperation());
    for (auto append : fuse::opsOutsideOfRegions<transformer::AppendCacheOp>(getOperation()))
      visit(append);
  }

private:
  void visit(transformer::AppendCacheOp append) {
    auto opts = fuse::remarkOptions(append, "FuseProjections");
    Location loc = append.getLoc();
    std::string reason;
    auto ops = findOps(append, reason);
    if (!ops || failed(fuse::fuseOps("LinearRopeAppendCache", *ops, reason))) {
      remark::missed(loc, opts) << remark::reason("{0}", reason);
      return;
    }
    ++numRegions;
    remark::passed(loc, opts) << remark::add("queries, keys and values in one region");
  }
};

} // namespace
