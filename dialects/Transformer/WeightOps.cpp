//===- WeightOps.cpp - Verifiers of ops on weights --------------------------------------------===//
//
// Declarations and uses of weights. No bytes are touched here.
//
//===------------------------------------------------------------------------------------------===//

#include "dialects/Transformer/Verify.h"

using namespace mlir;
using namespace ingot::transformer;

LogicalResult WeightOp::verify() {
  constexpr int64_t inlineLimit = 4096;
  auto type = cast<WeightType>(getType());
  if (auto value = getValue()) {
    // (C1)
    if (value->getShapedType().getShape() != type.getShape())
      return emitOpError("expected 'value' to have shape ")
             << printShape(type.getShape()) << ", got "
             << printShape(value->getShapedType().getShape());
    if (value->getNumElements() > inlineLimit)
      return emitOpError("expected 'value' to have at most ")
             << inlineLimit << " elements, got " << value->getNumElements();
    // (C2)
    if (!llvm::is_contained({"f32", "f16", "bf16"}, type.getFormat()))
      return emitOpError("expected a weight with 'value' to have format f32, f16 or bf16, got ")
             << type.getFormat();
  }
  // (C3)
  if (getSource().has_value() == getValue().has_value())
    return emitOpError("expected exactly one of 'source' and 'value', got ")
           << (getSource() ? "both" : "none");
  return success();
}

LogicalResult GetWeightOp::verifySymbolUses(SymbolTableCollection &tables) {
  // (C1)
  auto weight = tables.lookupNearestSymbolFrom<WeightOp>(*this, getNameAttr());
  if (!weight)
    return emitOpError("expected '@") << getName() << "' to be a transformer.weight";
  if (weight.getType() == getWeight().getType())
    return success();
  auto diagnostic = emitOpError("expected the result to have the weight's type ")
                    << weight.getType() << ", got " << getWeight().getType();
  diagnostic.attachNote(weight.getLoc()) << "the weight is declared here";
  return diagnostic;
}

LogicalResult ConcatWeightsOp::verify() {
  if (getWeights().empty())
    return emitOpError("expected at least one weight");
  auto result = getResult().getType();
  int64_t rows = 0;
  for (Value weight : getWeights()) {
    auto type = cast<WeightType>(weight.getType());
    // (C1)
    if (type.getColumns() != result.getColumns() || type.getFormat() != result.getFormat())
      return emitOpError("expected weights of ") << result.getColumns() << " columns in format "
                                                 << result.getFormat() << ", got " << type;
    rows += type.getRows();
  }
  // (C2)
  if (rows != result.getRows())
    return emitOpError("expected the result to have ") << rows << " rows, got " << result.getRows();
  return success();
}

LogicalResult PackWeightOp::verify() {
  auto from = getWeight().getType(), to = getResult().getType();
  // (C1)
  if (from.getShape() != to.getShape() || from.getFormat() != to.getFormat())
    return emitOpError("expected the result to have the operand's shape and format, got ")
           << from << " and " << to;
  // (C2)
  if (from.getPacking() || !to.getPacking())
    return emitOpError("expected a packing on the result only, got ") << from << " and " << to;
  return success();
}

LogicalResult RopeTableOp::verify() {
  auto type = getResult().getType();
  // (C1)
  if (type.getFormat() != "f32" || type.getRank() != 2 || type.getColumns() % 2)
    return emitOpError("expected the result to be [positions, even] in format f32, got ") << type;
  // (C2)
  if (!(getBase().convertToDouble() > 0))
    return emitOpError("expected 'base' to be positive, got ") << getBase().convertToDouble();
  return success();
}
