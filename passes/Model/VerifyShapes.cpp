//===- VerifyShapes.cpp - Check that every size of a program is known -------------------------===//
//
// The analysis stands in Sizes.h. Here its contradictions are errors, and so is a size that nothing
// relates to the arguments of an entry: a later pass could not give it memory.
//
//===------------------------------------------------------------------------------------------===//

#include "mlir/IR/Remarks.h"
#include "passes/Model/Passes.h"
#include "passes/Model/Sizes.h"
#include "passes/Model/TokenMixing.h"

namespace ingot::model {
#define GEN_PASS_DEF_VERIFYSHAPES
#include "passes/Model/Passes.h.inc"
} // namespace ingot::model

using namespace mlir;
using namespace ingot;

namespace {

struct VerifyShapes : model::impl::VerifyShapesBase<VerifyShapes> {
  void runOnOperation() override {
    markAllAnalysesPreserved();
    model::Sizes sizes;
    if (failed(sizes.analyze(getOperation())))
      return signalPassFailure();
    bool isKnown = true;
    for (auto function : getOperation().getOps<func::FuncOp>())
      function.walk([&](Operation *op) {
        for (OpResult result : op->getResults())
          isKnown &= check(sizes, op, result);
      });
    if (!isKnown)
      return signalPassFailure();
    numSizes += sizes.countSymbols();
    remark::analysis(getOperation().getLoc(),
                     remark::RemarkOpts::name("VerifyShapes").category("model"))
        << remark::metric("sizes", int(sizes.countSymbols()));
  }

private:
  static bool check(model::Sizes &sizes, Operation *op, OpResult result) {
    auto type = dyn_cast<RankedTensorType>(result.getType());
    for (int64_t dim = 0; type && dim < type.getRank(); ++dim) {
      if (sizes.isKnown(result, dim))
        continue;
      op->emitOpError("expected dimension ")
          << dim << " of result " << result.getResultNumber()
          << " to follow from an entry's arguments, got a size that nothing relates to them";
      return false;
    }
    return true;
  }
};

} // namespace
