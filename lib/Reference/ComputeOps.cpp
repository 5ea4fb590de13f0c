//===- ComputeOps.cpp - Meaning of compute regions --------------------------------------------===//
//
// The region's ops are the meaning; which kernel was chosen for them is not.
//
//===------------------------------------------------------------------------------------------===//

#include "Frame.h"

using namespace mlir;
using namespace ingot;
using namespace ingot::reference;
using namespace ingot::transformer;

static LogicalResult compute(ComputeOp op, Frame &frame) {
  std::vector<Datum> arguments;
  for (mlir::Value input : op.getInputs())
    arguments.push_back(frame.get(input));
  auto results = Frame(frame.context).run(op.getBody().front(), arguments);
  if (failed(results))
    return failure();
  for (auto [result, value] : llvm::zip_equal(op.getResults(), *results))
    frame.set(result, std::move(value));
  return success();
}

void reference::addComputeOps(Context &context) { context.add(compute); }
