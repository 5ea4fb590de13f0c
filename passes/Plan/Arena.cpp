//===- Arena.cpp - Places for values in one block of memory ----------------------------------------===//

#include "passes/Plan/Arena.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/Sequence.h"
#include "llvm/Support/MathExtras.h"
#include <algorithm>
#include <map>

using namespace ingot::plan;

/// The smallest gap between `taken` (offset and end, ascending) that holds `bytes`, or their end.
static int64_t findGap(llvm::ArrayRef<std::pair<int64_t, int64_t>> taken, int64_t bytes) {
  int64_t end = 0, best = -1, bestGap = 0;
  for (auto [begin, stop] : taken) {
    int64_t gap = begin - end;
    if (gap >= bytes && (best < 0 || gap < bestGap)) {
      best = end;
      bestGap = gap;
    }
    end = std::max(end, stop);
  }
  return best < 0 ? end : best;
}

/// Most bytes that live at one moment.
static int64_t findLeastBytes(llvm::ArrayRef<ArenaValue> values, int64_t alignment) {
  std::map<int64_t, int64_t> changes;
  for (const ArenaValue &value : values) {
    int64_t bytes = llvm::alignTo(value.bytes, alignment);
    changes[value.first] += bytes;
    changes[value.last + 1] -= bytes;
  }
  int64_t live = 0, most = 0;
  for (auto [moment, change] : changes)
    most = std::max(most, live += change);
  return most;
}

Arena ingot::plan::layOutArena(llvm::ArrayRef<ArenaValue> values, int64_t alignment) {
  Arena arena;
  arena.offsets.assign(values.size(), 0);
  arena.leastBytes = findLeastBytes(values, alignment);

  llvm::SmallVector<size_t> order(llvm::to_vector(llvm::seq<size_t>(values.size())));
  llvm::sort(order, [&](size_t a, size_t b) {
    return std::pair(values[b].bytes, a) < std::pair(values[a].bytes, b);
  });
  llvm::SmallVector<size_t> placed;
  for (size_t index : order) {
    const ArenaValue &value = values[index];
    llvm::SmallVector<std::pair<int64_t, int64_t>> taken;
    for (size_t other : placed)
      if (values[other].first <= value.last && value.first <= values[other].last)
        taken.push_back(
            {arena.offsets[other],
             arena.offsets[other] + int64_t(llvm::alignTo(values[other].bytes, alignment))});
    llvm::sort(taken);
    int64_t bytes = llvm::alignTo(value.bytes, alignment);
    arena.offsets[index] = findGap(taken, bytes);
    arena.bytes = std::max(arena.bytes, arena.offsets[index] + bytes);
    placed.push_back(index);
  }
  return arena;
}
