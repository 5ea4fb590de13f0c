//===- CallTree.h - The functions that an entry calls -----------------------------------------===//
//
// Passes of the model stage change what functions take and return. They can where every call is
// known: from a function of the tree, in its one block, without recursion.
//
//===------------------------------------------------------------------------------------------===//

#ifndef INGOT_PASSES_MODEL_CALLTREE_H
#define INGOT_PASSES_MODEL_CALLTREE_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/SetVector.h"

namespace ingot::model {

/// An op that keeps a pass from its work, and why; none where `op` is null.
struct Obstacle {
  mlir::Operation *op = nullptr;
  std::string reason;
  explicit operator bool() const { return op; }
};

/// An entry and the functions that it calls, callees first.
class CallTree {
public:
  explicit CallTree(mlir::func::FuncOp entry);

  /// Why signatures cannot be changed, or nothing.
  const Obstacle &getObstacle() const { return obstacle; }
  llvm::ArrayRef<mlir::Operation *> getFunctions() const { return functions.getArrayRef(); }
  bool contains(mlir::Operation *function) const { return functions.contains(function); }

  /// Null where the function is not in the module.
  mlir::func::FuncOp getCallee(mlir::func::CallOp call) const {
    return symbols.lookup<mlir::func::FuncOp>(call.getCallee());
  }

private:
  void visit(mlir::func::FuncOp function);
  void checkUses(mlir::func::FuncOp function, bool isEntry);
  void refuse(mlir::Operation *op, const llvm::Twine &reason);

  /// Made once: a search through all symbols for each call would take the square of the layers.
  mlir::SymbolTable symbols;
  llvm::SetVector<mlir::Operation *> functions;
  llvm::SmallPtrSet<mlir::Operation *, 8> active; ///< functions that are being visited
  Obstacle obstacle;
};

} // namespace ingot::model

#endif // INGOT_PASSES_MODEL_CALLTREE_H
