//===- Transformer.cpp - Registration and shared checks of the transformer dialect ------------===//
//
// Registers what the tables generate and holds the checks that several verifiers share. Verifiers
// of ops are in the file named as their .td.
//
//===----------------------------------------------------------------------------------------------===//

#include "dialects/Transformer/Transformer.h"
#include "dialects/Transformer/Verify.h"
#include "dialects/Version.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace ingot::transformer;

#include "dialects/Transformer/TransformerDialect.cpp.inc"
#include "dialects/Transformer/TransformerEnums.cpp.inc"
#include "dialects/Transformer/TransformerInterfaces.cpp.inc"
#define GET_ATTRDEF_CLASSES
#include "dialects/Transformer/TransformerAttributes.cpp.inc"
#define GET_OP_CLASSES
#include "dialects/Transformer/Transformer.cpp.inc"

void TransformerDialect::initialize() {
  registerTypes();
  addAttributes<
#define GET_ATTRDEF_LIST
#include "dialects/Transformer/TransformerAttributes.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "dialects/Transformer/Transformer.cpp.inc"
      >();
}

LogicalResult TransformerDialect::verifyOperationAttribute(Operation *op,
                                                           NamedAttribute attribute) {
  if (attribute.getName() == versionAttrName)
    return verifyVersion(op, attribute, version);
  if (attribute.getName() != devicesAttrName)
    return success();
  auto number = dyn_cast<IntegerAttr>(attribute.getValue());
  if (!number || number.getInt() < 1)
    return op->emitOpError("expected '")
           << devicesAttrName << "' to be an integer of at least 1, got " << attribute.getValue();
  return success();
}

std::string ingot::transformer::printShape(ArrayRef<int64_t> shape) {
  std::string text;
  llvm::raw_string_ostream os(text);
  llvm::interleave(
      shape, os, [&](int64_t size) { ShapedType::isDynamic(size) ? os << '?' : os << size; }, "x");
  return text;
}

LogicalResult ingot::transformer::verifyShape(Operation *op, StringRef name,
                                              ArrayRef<int64_t> shape, ArrayRef<int64_t> expected) {
  if (canEqual(shape, expected))
    return success();
  return op->emitOpError("expected '")
         << name << "' to have shape " << printShape(expected) << ", got " << printShape(shape);
}

LogicalResult ingot::transformer::verifyRank(Operation *op, StringRef name, Type type,
                                             int64_t rank) {
  int64_t actual = cast<ShapedType>(type).getRank();
  if (actual == rank)
    return success();
  return op->emitOpError("expected '") << name << "' to have rank " << rank << ", got " << actual;
}
