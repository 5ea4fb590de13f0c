//===- Axes.h - Which index of a computation each dimension of a tensor is --------------------===//
//
// Equivalent programs differ in reshapes, transposes and broadcasts. To see through them, each
// dimension of a value is described by the *axes* of the computation that it runs over, major to
// minor:
//
//     scores [B, H, S, T]                      [b] [h] [s] [t]
//     keys, an operand of the scores           [b] [h] [t] [d]
//     before collapse of [B, 3, 3, T, D]       [b] [n] [g] [t] [d]     h was split into n and g
//     before broadcast along dimension 2       [b] [n] [t] [d]         keys do not depend on g
//     before transposition of 1 and 2          [b] [t] [n] [d]         the importer's form
//
// Walking back from the scores, an operand collapsed from several dimensions splits an axis, and it
// is split everywhere: the queries' h is [n, g] from then on. Axes of size 1 do not exist: such a
// dimension has an empty list.
//
//===------------------------------------------------------------------------------------------===//

#ifndef INGOT_PASSES_MODEL_AXES_H
#define INGOT_PASSES_MODEL_AXES_H

#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinTypes.h"

namespace ingot::model {

/// Axes of one dimension, major to minor.
using AxisList = llvm::SmallVector<unsigned, 2>;
/// Axes of every dimension of a tensor.
using AxisLabels = llvm::SmallVector<AxisList, 6>;

/// A value, its labels, and the number that what was walked from is a multiple of it by.
struct AxisPoint {
  mlir::Value value;
  AxisLabels labels;
  double scale = 1;
};

/// The axes of one computation.
class Axes {
public:
  /// A new axis; nothing for size 1.
  AxisList create(int64_t size);
  /// New axes for every dimension of a tensor.
  AxisLabels createFor(mlir::Value value);

  /// `list` with every split axis replaced by its parts.
  AxisList resolve(llvm::ArrayRef<unsigned> list) const;
  AxisLabels resolveAll(llvm::ArrayRef<AxisList> labels) const;
  int64_t getSize(unsigned axis) const { return axes[axis].size; }

  /// Walks from a value to the operand that it is a reshape, transpose, broadcast, cast or, with
  /// `throughScale`, multiple of. Fails where the value is something else.
  llvm::FailureOr<AxisPoint> stepBack(const AxisPoint &point, bool throughScale);
  /// Walks from a value to its only user where that is a reshape, transpose or cast.
  llvm::FailureOr<AxisPoint> stepForward(const AxisPoint &point);

  /// Reshapes and transposes the value of `point` so that it has the labels `target`.
  llvm::FailureOr<mlir::Value> reorder(mlir::OpBuilder &builder, mlir::Location loc,
                                       const AxisPoint &point, llvm::ArrayRef<AxisList> target);

private:
  struct Axis {
    int64_t size;
    AxisList parts; ///< what it was split into
  };

  /// Distributes axes over dimensions of these sizes, splitting axes where it must.
  llvm::FailureOr<AxisLabels> split(AxisList list, llvm::ArrayRef<int64_t> sizes);
  llvm::FailureOr<AxisLabels> splitGroups(const AxisPoint &point,
                                          llvm::ArrayRef<mlir::ReassociationIndices> groups,
                                          mlir::Value ungrouped);

  /// `reorder` without dimensions of size 1.
  llvm::FailureOr<mlir::Value> reorderLonger(mlir::OpBuilder &builder, mlir::Location loc,
                                             const AxisPoint &point,
                                             llvm::ArrayRef<AxisList> target);

  llvm::SmallVector<Axis> axes;
};

/// All axes of the labels, in order.
AxisList flatten(llvm::ArrayRef<AxisList> labels);

/// The number that every element of a tensor is, if that is known.
std::optional<double> matchSplat(mlir::Value value);

} // namespace ingot::model

#endif // INGOT_PASSES_MODEL_AXES_H
