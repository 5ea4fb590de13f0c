//===- ElementwiseOps.h - Ops that act on each number alone -----------------------------------------===//
//
// Which ops the family Elementwise computes; the fuse stage puts connected ones into one region.
//
//===----------------------------------------------------------------------------------------------===//

#ifndef INGOT_KERNELS_ELEMENTWISEOPS_H
#define INGOT_KERNELS_ELEMENTWISEOPS_H

#include "dialects/Transformer/Transformer.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

namespace ingot::kernels {

/// Whether each number of the op's result depends on the numbers at the same place of its operands,
/// float32 tensors of one type, and kernels can compute it.
bool isElementwise(mlir::Operation *op);

/// The number that a splat of a constant repeats; nothing for other values.
std::optional<double> getRepeatedNumber(mlir::Value value);

} // namespace ingot::kernels

#endif // INGOT_KERNELS_ELEMENTWISEOPS_H
