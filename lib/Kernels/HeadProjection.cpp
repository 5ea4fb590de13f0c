//===- HeadProjection.cpp - Where queries, keys and values come from --------------------------------===//

#include "ingot/Kernels/HeadProjection.h"

using namespace mlir;
using namespace ingot;
using namespace ingot::kernels;

int64_t HeadProjection::getFirstRow() const {
  tensor::ExtractSliceOp columns = slice;
  return columns ? columns.getStaticOffset(1) : 0;
}

SmallVector<Operation *, 5> HeadProjection::getOps() const {
  SmallVector<Operation *, 5> ops{linear, heads};
  auto add = [&](auto op) {
    if (op)
      ops.push_back(op);
  };
  add(slice);
  add(norm);
  add(rope);
  return ops;
}

/// Whether an op takes neighbouring columns of every row of a matrix.
static bool takesColumns(tensor::ExtractSliceOp slice) {
  RankedTensorType from = slice.getSourceType(), to = slice.getType();
  return from.getRank() == 2 && to.getRank() == 2 && !slice.isDynamicOffset(0) &&
         slice.getStaticOffset(0) == 0 && from.isDynamicDim(0) && to.isDynamicDim(0) &&
         !slice.isDynamicOffset(1) && !to.isDynamicDim(1) && slice.hasUnitStride();
}

std::optional<HeadProjection> kernels::traceHeadProjection(Value value) {
  HeadProjection found;
  auto step = [&](auto &op) {
    op = value.getDefiningOp<std::remove_reference_t<decltype(op)>>();
    if (op)
      value = op->getOperand(0);
    return bool(op);
  };
  step(found.rope);
  step(found.norm);
  if (!step(found.heads) || found.heads.getResultType().getRank() != 3)
    return std::nullopt;
  if (step(found.slice) && !takesColumns(found.slice))
    return std::nullopt;
  return step(found.linear) ? std::optional(found) : std::nullopt;
}
