//===- Passes.h - Passes of the target stage ----------------------------------------------------------===//
//
// What each does is in Passes.td.
//
//===----------------------------------------------------------------------------------------------===//

#ifndef INGOT_PASSES_TARGET_PASSES_H
#define INGOT_PASSES_TARGET_PASSES_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"

namespace ingot::target {

#define GEN_PASS_DECL
#include "passes/Target/Passes.h.inc"
#define GEN_PASS_REGISTRATION
#include "passes/Target/Passes.h.inc"

/// That no tile kernel is left and every function has a body.
llvm::LogicalResult verifyKernelsAreWhole(mlir::ModuleOp module);

} // namespace ingot::target

#endif // INGOT_PASSES_TARGET_PASSES_H
