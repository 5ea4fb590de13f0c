//===- Passes.h - Passes of the partition stage -------------------------------------------------===//
//
// What each does is in Passes.td.
//
//===--------------------------------------------------------------------------------------------===//

#ifndef INGOT_PASSES_PARTITION_PASSES_H
#define INGOT_PASSES_PARTITION_PASSES_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"

namespace ingot::partition {

#define GEN_PASS_DECL
#include "passes/Partition/Passes.h.inc"
#define GEN_PASS_REGISTRATION
#include "passes/Partition/Passes.h.inc"

} // namespace ingot::partition

#endif // INGOT_PASSES_PARTITION_PASSES_H
