//===- FuseAttention.cpp - Raise scores, mask, softmax and values to one op -------------------===//
//
// What is found and how stands in AttentionMatch.h; here it is replaced, reported and cleaned up.
// A softmax that is no attention under a mask is left as it is, with the reason.
//
//===------------------------------------------------------------------------------------------===//

#include "mlir/IR/Remarks.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"
#include "mlir/Transforms/RegionUtils.h"
#include "passes/Model/AttentionMatch.h"
#include "passes/Model/Passes.h"
#include "passes/Model/TokenMixing.h"

namespace ingot::model {
#define GEN_PASS_DEF_FUSEATTENTION
#include "passes/Model/Passes.h.inc"
} // namespace ingot::model

using namespace mlir;
using namespace ingot;

namespace {

struct FuseAttention : model::impl::FuseAttentionBase<FuseAttention> {
  void runOnOperation() override {
    bool hasChanged = false;
    for (const model::Softmax &softmax : model::findSoftmaxes(getOperation())) {
      Location loc = softmax.result.getLoc();
      auto options = model::remarkAbout(softmax.result.getDefiningOp(), "FuseAttention");
      model::AttentionMatch match;
      if (failed(match.match(softmax)) || failed(match.replace())) {
        remark::missed(loc, options) << remark::reason("{0}", match.getReason());
        continue;
      }
      remark::passed(loc, options) << "scores, mask, softmax and values are one attention";
      ++numFused;
      hasChanged = true;
    }
    if (!hasChanged)
      return markAllAnalysesPreserved();
    // What the attentions were made of is dead now.
    IRRewriter rewriter(&getContext());
    for (auto function : getOperation().getOps<func::FuncOp>())
      (void)runRegionDCE(rewriter, function->getRegions());
    if (failed(foldReshapes()))
      signalPassFailure();
  }

  /// Collapses of expansions that the rewrite put beside each other.
  LogicalResult foldReshapes() {
    RewritePatternSet patterns(&getContext());
    tensor::CollapseShapeOp::getCanonicalizationPatterns(patterns, &getContext());
    tensor::ExpandShapeOp::getCanonicalizationPatterns(patterns, &getContext());
    linalg::TransposeOp::getCanonicalizationPatterns(patterns, &getContext());
    return applyPatternsGreedily(getOperation(), std::move(patterns));
  }
};

} // namespace
