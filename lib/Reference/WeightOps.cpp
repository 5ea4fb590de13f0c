//===- WeightOps.cpp - Meaning of ops that name and combine weights ---------------------------===//
//
// No numbers move here: a weight is a list of names until rows of it are read. Packing changes the
// order of bytes, not the meaning.
//
//===------------------------------------------------------------------------------------------===//

#include "Frame.h"

using namespace mlir;
using namespace ingot;
using namespace ingot::reference;
using namespace ingot::transformer;

static LogicalResult getWeight(GetWeightOp op, Frame &frame) {
  auto type = op.getWeight().getType();
  frame.set(op.getResult(), Weight{{{op.getName().str(), type}}, type});
  return success();
}

static LogicalResult concatWeights(ConcatWeightsOp op, Frame &frame) {
  Weight result{{}, op.getResult().getType()};
  for (mlir::Value operand : op.getWeights())
    llvm::append_range(result.parts, frame.weight(operand).parts);
  frame.set(op.getResult(), std::move(result));
  return success();
}

static LogicalResult packWeight(PackWeightOp op, Frame &frame) {
  frame.set(op.getResult(), frame.weight(op.getWeight()));
  return success();
}

/// Only kernels read the table; `rope` computes its angles itself.
static LogicalResult ropeTable(RopeTableOp op, Frame &frame) {
  frame.set(op.getResult(), Weight{{}, op.getResult().getType()});
  return success();
}

void reference::addWeightOps(Context &context) {
  context.add(getWeight);
  context.add(concatWeights);
  context.add(packWeight);
  context.add(ropeTable);
}
