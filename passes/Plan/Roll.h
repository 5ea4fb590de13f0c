//===- Roll.h - Equal layers as one loop, weights in the order of use --------------*- C++ -*-===//
//
// A run of calls of the same function, or of the same few in turn, is one loop where that needs no
// copy: what one iteration hands to the next can lie in the same buffer, and weights and caches
// advance by constant strides.
//
//===----------------------------------------------------------------------------------------------===//

#ifndef INGOT_PASSES_PLAN_ROLL_H
#define INGOT_PASSES_PLAN_ROLL_H

#include "passes/Plan/Step.h"

namespace ingot::plan {

/// Launches [first, first + count) of the step, run `iterations` times; those of the later
/// iterations follow them in the step and are left out of the plan.
struct StepLoop {
  unsigned first, count, iterations;
};

struct RolledStep {
  llvm::SmallVector<StepLoop> loops; ///< ascending
  /// For each buffer the one whose memory it uses: itself, or an earlier one whose last use is
  /// over.
  llvm::SmallVector<unsigned> memoryOf;
};

/// Finds the loops, shares buffers across their iterations and gives every weight its offset.
RolledStep rollStep(Step &step);

} // namespace ingot::plan

#endif // INGOT_PASSES_PLAN_ROLL_H
