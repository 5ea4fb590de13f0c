//===- TokenMixing.cpp - How ops of any dialect let tokens see each other ---------------------===//
//
// Elementwise ops are row-wise; reshapes are where they leave the token dimensions alone. What is
// not known is Unknown, and passes refuse it.
//
//===------------------------------------------------------------------------------------------===//

#include "passes/Model/TokenMixing.h"
#include "passes/Model/Passes.h"

using namespace mlir;
using namespace ingot;
using transformer::TokenMixing;

/// Whether each of the first `tokenDims` groups of a reassociation is a dimension of its own.
static bool keepsLeading(ArrayRef<ReassociationIndices> groups, unsigned tokenDims) {
  return groups.size() >= tokenDims &&
         llvm::all_of(groups.take_front(tokenDims),
                      [](const auto &group) { return group.size() == 1; });
}

TokenMixing model::getTokenMixing(Operation *op, unsigned tokenDims) {
  if (auto mixing = dyn_cast<transformer::TokenMixingOpInterface>(op))
    return mixing.getTokenMixing();
  if (auto expand = dyn_cast<tensor::ExpandShapeOp>(op))
    return keepsLeading(expand.getReassociationIndices(), tokenDims) ? TokenMixing::RowWise
                                                                     : TokenMixing::Unknown;
  if (auto collapse = dyn_cast<tensor::CollapseShapeOp>(op))
    return keepsLeading(collapse.getReassociationIndices(), tokenDims) ? TokenMixing::RowWise
                                                                       : TokenMixing::Unknown;
  // A number repeated is the same for every token.
  if (OpTrait::hasElementwiseMappableTraits(op) || isa<tensor::SplatOp>(op))
    return TokenMixing::RowWise;
  return TokenMixing::Unknown;
}

remark::RemarkOpts model::remarkAbout(Operation *op, StringRef pass) {
  auto function = op->getParentOfType<FunctionOpInterface>();
  return remark::RemarkOpts::name(pass).category("model").function(function ? function.getName()
                                                                            : StringRef("module"));
}
