//===- HeadProjection.h - Where queries, keys and values come from ----------------------------------===//
//
// The ops between the input of a layer's attention and one of its queries, keys or values. The fuse
// stage looks for them, the kernel that computes them together reads them from its region.
//
//===----------------------------------------------------------------------------------------------===//

#ifndef INGOT_KERNELS_HEADPROJECTION_H
#define INGOT_KERNELS_HEADPROJECTION_H

#include "dialects/Transformer/Transformer.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

namespace ingot::kernels {

/// A product, or some of its columns, split into heads; perhaps normed over the channels of each
/// head; perhaps rotated.
struct HeadProjection {
  transformer::LinearOp linear;
  mlir::tensor::ExtractSliceOp slice; ///< null where all columns are taken
  mlir::tensor::ExpandShapeOp heads;
  transformer::NormOp norm; ///< null without one
  transformer::RopeOp rope; ///< null without one

  int64_t getHeads() const { return getHeadsType().getDimSize(1); }
  int64_t getDim() const { return getHeadsType().getDimSize(2); }
  /// The column of the product where the first head begins: a row of the weight.
  int64_t getFirstRow() const;
  /// The ops, in the order of data.
  llvm::SmallVector<mlir::Operation *, 5> getOps() const;

private:
  mlir::RankedTensorType getHeadsType() const {
    return llvm::cast<mlir::RankedTensorType>(heads->getResult(0).getType());
  }
};

/// The ops that `value`, [T, H, D], comes from; nothing where they are others.
std::optional<HeadProjection> traceHeadProjection(mlir::Value value);

} // namespace ingot::kernels

#endif // INGOT_KERNELS_HEADPROJECTION_H
