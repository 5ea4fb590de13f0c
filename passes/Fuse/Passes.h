//===- Passes.h - Passes of the fuse stage ------------------------------------------------------===//
//
// What each does is in Passes.td.
//
//===--------------------------------------------------------------------------------------------===//

#ifndef INGOT_PASSES_FUSE_PASSES_H
#define INGOT_PASSES_FUSE_PASSES_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"

namespace ingot::fuse {

#define GEN_PASS_DECL
#include "passes/Fuse/Passes.h.inc"
#define GEN_PASS_REGISTRATION
#include "passes/Fuse/Passes.h.inc"

} // namespace ingot::fuse

#endif // INGOT_PASSES_FUSE_PASSES_H
