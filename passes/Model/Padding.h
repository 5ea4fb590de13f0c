//===- Padding.h - What of a dense program can act on packed tokens ----------------------------===//
//
// A value is dense where its first two dimensions are the sequences and slots of the entry's
// positions (Sizes.h says so, not the type's question marks). A function can be packed where every
// op on dense values is row-wise or has a ragged form, and where positions and lengths are used for
// nothing but visibility and rotation: both come from the ragged batch afterwards.
//
//===------------------------------------------------------------------------------------------===//

#ifndef INGOT_PASSES_MODEL_PADDING_H
#define INGOT_PASSES_MODEL_PADDING_H

#include "passes/Model/CallTree.h"
#include "passes/Model/Sizes.h"

namespace ingot::model {

/// What an argument of a dense function is: `Lengths` and `Positions` become the ragged batch.
enum class DenseRole { Plain, Lengths, Positions };

class PaddingAnalysis {
public:
  /// The tree must outlive the analysis.
  explicit PaddingAnalysis(const CallTree &tree);

  const CallTree &getTree() const { return tree; }
  bool isDense(mlir::Value value) const { return dense.contains(value); }
  llvm::ArrayRef<DenseRole> getRoles(mlir::func::FuncOp function) const {
    return roles.at(function);
  }
  /// The argument of a role, or null.
  mlir::BlockArgument getArgument(mlir::func::FuncOp function, DenseRole role) const;
  /// Whether the function can be packed, its callees included.
  bool isPackable(mlir::Operation *function) const { return packable.contains(function); }
  /// The first op of each function that keeps it from being packed.
  llvm::ArrayRef<Obstacle> getObstacles() const { return obstacles; }

private:
  void findRoles(mlir::func::FuncOp function);
  void findDense();
  Obstacle findObstacle(mlir::func::FuncOp function) const;
  std::string whyNot(mlir::Operation *op, mlir::func::FuncOp function) const;
  std::string whyNotDim(mlir::Operation *op) const;
  std::string whyNotRoles(mlir::Operation *op, mlir::func::FuncOp function) const;
  void keepCallable();

  const CallTree &tree;
  llvm::DenseMap<mlir::Operation *, llvm::SmallVector<DenseRole>> roles;
  llvm::DenseSet<mlir::Value> dense;
  llvm::SmallPtrSet<mlir::Operation *, 8> packable;
  llvm::SmallVector<Obstacle> obstacles;
};

} // namespace ingot::model

#endif // INGOT_PASSES_MODEL_PADDING_H
