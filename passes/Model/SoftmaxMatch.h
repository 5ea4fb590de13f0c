//===- SoftmaxMatch.h - Softmax as one op or as its parts -------------------------------------===//
//
// A softmax is `linalg.softmax`, or
//
//     e = exp(x - max(x)),  y = e / sum(e)
//
// with the maximum and the sum reduced over one dimension (`linalg.reduce`, `linalg.generic`) and
// broadcast again. Other ways to write it (without the maximum, with exp2) are not recognised.
//
//===------------------------------------------------------------------------------------------===//

#ifndef INGOT_PASSES_MODEL_SOFTMAXMATCH_H
#define INGOT_PASSES_MODEL_SOFTMAXMATCH_H

#include "mlir/IR/BuiltinOps.h"

namespace ingot::model {

struct Softmax {
  mlir::Value input, result;
  int64_t dim; ///< dimension that sums to one
};

/// All softmaxes of a module, in order.
llvm::SmallVector<Softmax> findSoftmaxes(mlir::ModuleOp module);

} // namespace ingot::model

#endif // INGOT_PASSES_MODEL_SOFTMAXMATCH_H
