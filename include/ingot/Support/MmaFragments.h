//===- MmaFragments.h - Layouts that matrix instructions fix ----------------------------------------===//
//
// A matrix instruction of a GPU is executed by a whole warp and says which lane holds which
// elements in which register. Such a fragment is a linear layout like any other, a constant of the
// machine.
//
//===----------------------------------------------------------------------------------------------===//

#ifndef INGOT_SUPPORT_MMAFRAGMENTS_H
#define INGOT_SUPPORT_MMAFRAGMENTS_H

#include "ingot/Support/LinearLayout.h"

namespace ingot {

enum class MmaOperand { A, B, Accumulator };

/// The fragment of `mma.sync.m16n8k16` with 16-bit operands and a 32-bit accumulator: inputs
/// register and lane, outputs the coordinates in A (16 x 16: m, k), B (16 x 8: k, n) or the
/// accumulator (16 x 8: m, n). Registers count elements; 16-bit ones go in pairs.
LinearLayout getMmaM16N8K16Fragment(MmaOperand operand);

} // namespace ingot

#endif // INGOT_SUPPORT_MMAFRAGMENTS_H
