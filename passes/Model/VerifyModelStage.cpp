//===- VerifyModelStage.cpp - Check what is true after the model stage ------------------------===//
//
// The passes of the stage refuse with remarks; what they refused ends here, as an error at the op
// that was left, because no later stage can serve it.
//
//===------------------------------------------------------------------------------------------===//

#include "passes/Model/Passes.h"

namespace ingot::model {
#define GEN_PASS_DEF_VERIFYMODELSTAGE
#include "passes/Model/Passes.h.inc"
} // namespace ingot::model

using namespace mlir;
using namespace ingot;

namespace {

struct VerifyModelStage : model::impl::VerifyModelStageBase<VerifyModelStage> {
  void runOnOperation() override {
    markAllAnalysesPreserved();
    bool isValid = true;
    for (auto function : getOperation().getOps<func::FuncOp>()) {
      if (Operation *op = findLeft(function)) {
        op->emitOpError("expected ") << whyLeft(op);
        isValid = false;
      }
      if (function.isPrivate() && function.symbolKnownUseEmpty(getOperation())) {
        function.emitOpError("expected private functions to be called");
        isValid = false;
      }
    }
    if (!isValid)
      signalPassFailure();
  }

private:
  /// The first op that should not be there; a softmax before others, as the rest follows from it.
  static Operation *findLeft(func::FuncOp function) {
    Operation *left = nullptr;
    for (Operation &op : function.getBody().getOps()) {
      if (whyLeft(&op).empty())
        continue;
      if (isa<linalg::SoftmaxOp>(op))
        return &op;
      left = left ? left : &op;
    }
    return left;
  }

  /// What should have become of `op`, or nothing.
  static StringRef whyLeft(Operation *op) {
    if (auto attention = dyn_cast<transformer::AttentionOp>(op)) {
      if (!attention.getBatch())
        return "attention over packed tokens (the remarks of ingot-remove-padding say why not)";
      return "attention to read a cache (the remarks of ingot-insert-kv-cache say why not)";
    }
    if (isa<transformer::PackOp, transformer::UnpackOp, transformer::MakeRaggedOp>(op))
      return "no change between dense and packed batches (the remarks of ingot-remove-padding say "
             "why)";
    if (isa<transformer::AttentionMaskOp>(op) ||
        isa_and_nonnull<linalg::LinalgDialect>(op->getDialect()))
      return "to be part of an attention (the remarks of ingot-fuse-attention say why not)";
    return {};
  }
};

} // namespace
