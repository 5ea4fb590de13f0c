//===- Reach.h - How far a kernel goes from an argument ------------------------------*- C++ -*-===//
//
// A kernel touches of each argument what its view covers and nothing behind it. The plan carries
// that number, so that the runtime can prove before the first step that every launch stays in its
// memory.
//
//===----------------------------------------------------------------------------------------------===//

#ifndef INGOT_PASSES_PLAN_REACH_H
#define INGOT_PASSES_PLAN_REACH_H

#include "dialects/Plan/Plan.h"
#include "dialects/Tile/Tile.h"

namespace ingot::plan {

/// From the first byte to the end of the last element; null where that depends on an unknown size
/// or on several counts.
ReachAttr findReach(tile::ViewType view);

} // namespace ingot::plan

#endif // INGOT_PASSES_PLAN_REACH_H
