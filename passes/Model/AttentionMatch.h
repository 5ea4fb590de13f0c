//===- AttentionMatch.h - The parts of an attention that is spelled out -----------------------===//
//
// The match starts at a softmax and walks both ways, through reshapes, transposes and broadcasts
// (Axes.h): back over mask and scale to the product of queries and keys, forward to the product of
// probabilities and values. The mask says which axes are sequence, query and context; the products
// say which are heads (in queries and keys), head groups (in queries only) and channels.
//
//===------------------------------------------------------------------------------------------===//

#ifndef INGOT_PASSES_MODEL_ATTENTIONMATCH_H
#define INGOT_PASSES_MODEL_ATTENTIONMATCH_H

#include "dialects/Transformer/Transformer.h"
#include "passes/Model/Axes.h"
#include "passes/Model/SoftmaxMatch.h"

namespace ingot::model {

/// An attention that was found. Its parts are brought to the op's form by `Axes::reorder`.
class AttentionMatch {
public:
  /// Matches around a softmax; on failure `getReason` says why.
  llvm::LogicalResult match(const Softmax &softmax);
  std::string getReason() const { return reason; }

  /// Builds the attention and replaces what the match computes.
  llvm::LogicalResult replace();

private:
  struct Product {
    AxisPoint left, right;
    AxisLabels result;
    AxisList summed;
  };

  llvm::LogicalResult fail(const llvm::Twine &why) {
    reason = why.str();
    return llvm::failure();
  }
  llvm::LogicalResult matchScores(const Softmax &softmax);
  llvm::LogicalResult matchMask(mlir::Value predicate, llvm::ArrayRef<AxisList> labels,
                                bool isNegated);
  llvm::FailureOr<mlir::Value> stripMask(const AxisPoint &point);
  llvm::LogicalResult matchValues(const Softmax &softmax);
  llvm::FailureOr<Product> matchProduct(mlir::Operation *op, mlir::Value known,
                                        llvm::ArrayRef<AxisList> labels);
  llvm::LogicalResult assignRoles();
  AxisPoint choosePoint(const AxisPoint &start, llvm::ArrayRef<AxisList> target, bool throughScale);
  llvm::SmallVector<AxisPoint> walkBack(AxisPoint point, bool throughScale);

  Axes axes;
  std::string reason;
  transformer::AttentionMaskOp mask;
  double scale = 1;
  std::optional<double> softCap;
  AxisPoint probabilities, query, key, value, result;
  AxisLabels maskLabels; ///< of the mask's [b, s, t]
  AxisList contextAxes, channelAxes, headChannelAxes;
  AxisLabels queryTarget, keyTarget, valueTarget, resultTarget;
};

} // namespace ingot::model

#endif // INGOT_PASSES_MODEL_ATTENTIONMATCH_H
