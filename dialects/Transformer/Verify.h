//===- Verify.h - Checks that the dialect's verifiers share -----------------------------------===//
//
// Each returns failure after one message that names the operand, what was expected and what was
// found. Unknown sizes (`?`) agree with everything here: relating them is the work of the pass
// `ingot-verify-shapes`.
//
//===----------------------------------------------------------------------------------------------===//

#ifndef INGOT_DIALECTS_TRANSFORMER_VERIFY_H
#define INGOT_DIALECTS_TRANSFORMER_VERIFY_H

#include "dialects/Transformer/Transformer.h"

namespace ingot::transformer {

/// Whether two sizes can be equal: they are, or one is unknown.
inline bool canEqual(int64_t a, int64_t b) {
  return a == b || mlir::ShapedType::isDynamic(a) || mlir::ShapedType::isDynamic(b);
}

/// Whether two shapes can be equal.
inline bool canEqual(llvm::ArrayRef<int64_t> a, llvm::ArrayRef<int64_t> b) {
  return a.size() == b.size() && llvm::all_of(llvm::zip(a, b), [](auto pair) {
           return canEqual(std::get<0>(pair), std::get<1>(pair));
         });
}

/// `576x?x64`, for messages.
std::string printShape(llvm::ArrayRef<int64_t> shape);

/// `shape` of the operand `name` must be able to equal `expected`.
llvm::LogicalResult verifyShape(mlir::Operation *op, llvm::StringRef name,
                                llvm::ArrayRef<int64_t> shape, llvm::ArrayRef<int64_t> expected);

/// The operand or result `name` must have `rank` dimensions.
llvm::LogicalResult verifyRank(mlir::Operation *op, llvm::StringRef name, mlir::Type type,
                               int64_t rank);

/// Shape of a tensor operand; operands of the dialect's ops are ranked by ODS.
inline llvm::ArrayRef<int64_t> shapeOf(mlir::Value value) {
  return mlir::cast<mlir::ShapedType>(value.getType()).getShape();
}

} // namespace ingot::transformer

#endif // INGOT_DIALECTS_TRANSFORMER_VERIFY_H
