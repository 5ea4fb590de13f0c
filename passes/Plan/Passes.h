//===- Passes.h - Passes of the plan stage --------------------------------------------*- C++ -*-===//
//
// Declarations generated from Passes.td: from launches on tensors to a fixed list of commands on
// bytes.
//
//===----------------------------------------------------------------------------------------------===//

#ifndef INGOT_PASSES_PLAN_PASSES_H
#define INGOT_PASSES_PLAN_PASSES_H

#include "mlir/Pass/Pass.h"

namespace ingot::plan {
#define GEN_PASS_DECL
#include "passes/Plan/Passes.h.inc"
#define GEN_PASS_REGISTRATION
#include "passes/Plan/Passes.h.inc"
} // namespace ingot::plan

#endif // INGOT_PASSES_PLAN_PASSES_H
