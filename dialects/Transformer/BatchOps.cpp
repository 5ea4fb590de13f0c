//===- BatchOps.cpp - Verifiers and folders of ops between dense and packed batches -----------===//
//
// Ops of BatchOps.td: packing, unpacking, choosing rows. Which token goes where is the offsets'
// business, at run time; only shapes are checked here.
//
//===------------------------------------------------------------------------------------------===//

#include "dialects/Transformer/Verify.h"

using namespace mlir;
using namespace ingot::transformer;

TokenMixing PackOp::getTokenMixing() { return TokenMixing::Unknown; }
TokenMixing UnpackOp::getTokenMixing() { return TokenMixing::Unknown; }
TokenMixing SelectRowsOp::getTokenMixing() { return TokenMixing::Pooling; }

/// `dense` is [B, S, ...] and `packed` [T, ...] with the same trailing dimensions and element type.
static LogicalResult verifyPacking(Operation *op, Value dense, StringRef denseName, Value packed,
                                   StringRef packedName, Value lengths) {
  auto denseType = cast<RankedTensorType>(dense.getType()),
       packedType = cast<RankedTensorType>(packed.getType());
  if (denseType.getRank() < 2)
    return op->emitOpError("expected '")
           << denseName << "' to have at least rank 2, got " << denseType.getRank();
  if (denseType.getElementType() != packedType.getElementType())
    return op->emitOpError("expected '")
           << packedName << "' to have element type " << denseType.getElementType() << ", got "
           << packedType.getElementType();
  SmallVector<int64_t> expected(denseType.getShape().drop_front());
  expected.front() = packedType.getRank() ? packedType.getDimSize(0) : ShapedType::kDynamic;
  if (failed(verifyShape(op, packedName, packedType.getShape(), expected)))
    return failure();
  return verifyShape(op, "lengths", shapeOf(lengths), {denseType.getDimSize(0)});
}

// (C1)
LogicalResult PackOp::verify() {
  return verifyPacking(*this, getInput(), "input", getResult(), "result", getLengths());
}
LogicalResult UnpackOp::verify() {
  return verifyPacking(*this, getResult(), "result", getInput(), "input", getLengths());
}

OpFoldResult PackOp::fold(FoldAdaptor) {
  // pack(unpack(x, lengths), lengths) = x: the slots that unpack leaves unspecified are those that
  // pack drops.
  auto unpack = getInput().getDefiningOp<UnpackOp>();
  if (unpack && unpack.getLengths() == getLengths() && unpack.getInput().getType() == getType())
    return unpack.getInput();
  return {};
}

LogicalResult SelectRowsOp::verify() {
  // (C1)
  if (failed(verifyRank(*this, "rows", getRows().getType(), 1)))
    return failure();
  if (shapeOf(getInput()).empty())
    return emitOpError("expected 'input' to have at least rank 1, got 0");
  return verifyShape(*this, "result", shapeOf(getResult()),
                     {shapeOf(getRows())[0], shapeOf(getInput()).back()});
}

// (C1)
LogicalResult PositionsOp::verify() {
  return verifyRank(*this, "result", getResult().getType(), 1);
}

// (C1)
LogicalResult SequencesOp::verify() {
  return verifyRank(*this, "result", getResult().getType(), 1);
}

// (C1)
LogicalResult PageTableOp::verify() {
  return verifyRank(*this, "result", getResult().getType(), 2);
}

LogicalResult MakeRaggedOp::verify() {
  // (C1)
  if (failed(verifyRank(*this, "positions", getPositions().getType(), 2)))
    return failure();
  return verifyShape(*this, "lengths", shapeOf(getLengths()), {shapeOf(getPositions())[0]});
}
