//===- Arena.h - Places for values in one block of memory -------------------------*- C++ -*-===//
//
// Values with a size and a lifetime are given offsets so that values which live at the same time do
// not overlap. The order is by size, largest first; each goes into the smallest gap that fits
// between those that are there already and live at the same time. No IR here: numbers in, numbers
// out.
//
//===----------------------------------------------------------------------------------------------===//

#ifndef INGOT_PASSES_PLAN_ARENA_H
#define INGOT_PASSES_PLAN_ARENA_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/SmallVector.h"
#include <cstdint>

namespace ingot::plan {

/// A value of `bytes` that is needed from moment `first` to moment `last`, both included.
struct ArenaValue {
  int64_t bytes;
  int64_t first, last;
};

struct Arena {
  llvm::SmallVector<int64_t> offsets; ///< of each value, in the order given
  int64_t bytes = 0;                  ///< where the last value ends, rounded up to the alignment
  int64_t leastBytes = 0;             ///< most bytes that live at one moment: no arena is smaller
};

/// Offsets and sizes are multiples of `alignment`, a power of two.
Arena layOutArena(llvm::ArrayRef<ArenaValue> values, int64_t alignment);

} // namespace ingot::plan

#endif // INGOT_PASSES_PLAN_ARENA_H
