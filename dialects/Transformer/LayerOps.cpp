//===- LayerOps.cpp - Verifiers of row-wise ops -----------------------------------------------===//
//
// Ops of LayerOps.td. Constraints are checked in the order C1 to Cn of the .td file.
//
//===------------------------------------------------------------------------------------------===//

#include "dialects/Transformer/Verify.h"

using namespace mlir;
using namespace ingot::transformer;

TokenMixing EmbeddingOp::getTokenMixing() { return TokenMixing::RowWise; }
TokenMixing LinearOp::getTokenMixing() { return TokenMixing::RowWise; }
TokenMixing NormOp::getTokenMixing() { return TokenMixing::RowWise; }
TokenMixing RopeOp::getTokenMixing() { return TokenMixing::RowWise; }
TokenMixing ActivationOp::getTokenMixing() { return TokenMixing::RowWise; }
TokenMixing GatherChannelsOp::getTokenMixing() { return TokenMixing::RowWise; }
TokenMixing QuantizeOp::getTokenMixing() { return TokenMixing::RowWise; }

/// The weight `name` must have exactly `expected` as its shape (unknown sizes agree).
static LogicalResult verifyWeight(Operation *op, StringRef name, Value weight,
                                  ArrayRef<int64_t> expected) {
  return verifyShape(op, name, cast<WeightType>(weight.getType()).getShape(), expected);
}

LogicalResult EmbeddingOp::verify() {
  // (C1)
  auto weight = getWeight().getType();
  if (weight.getRank() != 2)
    return emitOpError("expected 'weight' to have rank 2, got ") << weight.getRank();
  // (C2)
  SmallVector<int64_t> expected(shapeOf(getIds()));
  expected.push_back(weight.getColumns());
  return verifyShape(*this, "result", shapeOf(getResult()), expected);
}

LogicalResult LinearOp::verify() {
  // (C1)
  auto weight = getWeight().getType();
  if (weight.getRank() != 2)
    return emitOpError("expected 'weight' to have rank 2, got ") << weight.getRank();
  SmallVector<int64_t> input(shapeOf(getInput()));
  if (input.empty())
    return emitOpError("expected 'input' to have at least rank 1, got 0");
  if (failed(verifyWeight(*this, "weight", getWeight(), {weight.getRows(), input.back()})))
    return failure();
  input.back() = weight.getRows();
  if (failed(verifyShape(*this, "result", shapeOf(getResult()), input)))
    return failure();
  // (C2)
  bool isInteger = cast<ShapedType>(getInput().getType()).getElementType().isInteger();
  if (isInteger != bool(getScales()))
    return emitOpError("expected 'scales' if and only if 'input' is i8 or i16, got ")
           << getInput().getType();
  if (Value scales = getScales()) {
    int64_t blocks = shapeOf(scales).empty() ? 0 : shapeOf(scales).back();
    if (blocks <= 0 || weight.getColumns() % blocks)
      return emitOpError("expected the last dimension of 'scales' to divide ")
             << weight.getColumns() << ", got " << blocks;
    input.back() = blocks;
    if (failed(verifyShape(*this, "scales", shapeOf(scales), input)))
      return failure();
  }
  // (C3)
  return getBias() ? verifyWeight(*this, "bias", getBias(), {weight.getRows()}) : success();
}

LogicalResult NormOp::verify() {
  auto shape = shapeOf(getInput());
  if (shape.empty())
    return emitOpError("expected 'input' to have at least rank 1, got 0");
  // (C1)
  if (failed(verifyWeight(*this, "weight", getWeight(), {shape.back()})))
    return failure();
  if (getBias() && failed(verifyWeight(*this, "bias", getBias(), {shape.back()})))
    return failure();
  // (C2)
  if (getBias() && getKind() != NormKind::Layer)
    return emitOpError("expected 'bias' only with kind layer, got ")
           << stringifyNormKind(getKind());
  // (C3)
  if (getEpsilon().isNegative())
    return emitOpError("expected 'epsilon' to be at least 0, got ")
           << getEpsilon().convertToFloat();
  return success();
}

LogicalResult RopeOp::verify() {
  auto shape = shapeOf(getInput());
  // (C1)
  if (shape.size() < 2)
    return emitOpError("expected 'input' to have at least rank 2, got ") << shape.size();
  if (failed(verifyShape(*this, "positions", shapeOf(getPositions()), shape.drop_back(2))))
    return failure();
  // (C2)
  int64_t dims = getDims().value_or(shape.back());
  if (dims % 2 || dims <= 0 || dims > shape.back())
    return emitOpError("expected 'dims' to be even and from 2 to ")
           << shape.back() << ", got " << dims;
  // (C3)
  if (auto factors = getFactors(); factors && int64_t(factors->size()) != dims / 2)
    return emitOpError("expected 'factors' to have ")
           << dims / 2 << " elements, got " << factors->size();
  // (C4)
  if (!(getBase().convertToDouble() > 0))
    return emitOpError("expected 'base' to be positive, got ") << getBase().convertToDouble();
  return success();
}

LogicalResult GatherChannelsOp::verify() {
  // (C1)
  auto shape = shapeOf(getInput());
  if (shape.empty())
    return emitOpError("expected 'input' to have at least rank 1, got 0");
  if (auto format = getOrder().getType().getFormat(); format != "f32")
    return emitOpError("expected 'order' to be in f32, got ") << format;
  return verifyWeight(*this, "order", getOrder(), {shape.back()});
}

LogicalResult QuantizeOp::verify() {
  // (C1)
  SmallVector<int64_t> shape(shapeOf(getInput()));
  if (shape.empty())
    return emitOpError("expected 'input' to have at least rank 1, got 0");
  if (failed(verifyShape(*this, "values", shapeOf(getValues()), shape)))
    return failure();
  int64_t blocks = shapeOf(getScales()).empty() ? 0 : shapeOf(getScales()).back();
  if (blocks <= 0 || shape.back() % blocks)
    return emitOpError("expected the last dimension of 'scales' to divide ")
           << shape.back() << ", got " << blocks;
  shape.back() = blocks;
  return verifyShape(*this, "scales", shapeOf(getScales()), shape);
}
