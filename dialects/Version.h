//===- Version.h - The version of a dialect that a module was written for ---------------------------===//
//
// A module says with the attribute `DIALECT.version` for which version of the dialect it was
// written. Versions only grow; a compiler reads those up to its own and refuses newer ones.
//
//===----------------------------------------------------------------------------------------------===//

#ifndef INGOT_DIALECTS_VERSION_H
#define INGOT_DIALECTS_VERSION_H

#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/Operation.h"

namespace ingot {

/// Checks the attribute that says the version, which may be from 1 to `newest`.
inline mlir::LogicalResult verifyVersion(mlir::Operation *op, mlir::NamedAttribute attribute,
                                         int64_t newest) {
  auto number = llvm::dyn_cast<mlir::IntegerAttr>(attribute.getValue());
  if (number && number.getType().isSignlessInteger(64) && number.getInt() >= 1 &&
      number.getInt() <= newest)
    return mlir::success();
  return op->emitError() << "expected '" << attribute.getName().getValue()
                         << "' to be a 64-bit integer from 1 to " << newest << ", got "
                         << attribute.getValue();
}

} // namespace ingot

#endif // INGOT_DIALECTS_VERSION_H
