//===- MmaFragments.cpp - Layouts that matrix instructions fix ----------------------------------------===//

#include "ingot/Support/MmaFragments.h"

using namespace ingot;

// PTX ISA, "Matrix Fragments for mma.m16n8k16 with floating point type". With group = lane / 4 and
// t = lane % 4, register i of A holds row group (+ 8 if bit 1 of i), column 2 t + bit 0 of i (+ 8
// if bit 2 of i); B and the accumulator likewise.
LinearLayout ingot::getMmaM16N8K16Fragment(MmaOperand operand) {
  using Bases = LinearLayout::Bases;
  switch (operand) {
  case MmaOperand::A:
    return *LinearLayout::get(
        {Bases{{0, 1}, {8, 0}, {0, 8}}, Bases{{0, 2}, {0, 4}, {1, 0}, {2, 0}, {4, 0}}}, {16, 16});
  case MmaOperand::B:
    return *LinearLayout::get(
        {Bases{{1, 0}, {8, 0}}, Bases{{2, 0}, {4, 0}, {0, 1}, {0, 2}, {0, 4}}}, {16, 8});
  case MmaOperand::Accumulator:
    return *LinearLayout::get(
        {Bases{{0, 1}, {8, 0}}, Bases{{0, 2}, {0, 4}, {1, 0}, {2, 0}, {4, 0}}}, {16, 8});
  }
  __builtin_unreachable();
}
