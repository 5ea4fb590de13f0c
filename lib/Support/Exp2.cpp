//===- Exp2.cpp - The polynomial that 2^x is on a CPU -----------------------------------------===//

#include "ingot/Support/Exp2.h"
#include "llvm/ADT/bit.h"
#include <cmath>

using namespace ingot;

float Exp2::compute(float x) {
  // Comparisons as the lowering makes them: a NaN is neither below nor above.
  x = x < lowest ? lowest : x;
  x = x > highest ? highest : x;
  float shifted = x + magic, f = x - (shifted - magic), sum = coefficients[0];
  for (size_t i = 1; i < std::size(coefficients); ++i)
    sum = std::fma(sum, f, coefficients[i]);
  // Of a NaN the bits are anything, and the sum is a NaN whatever it is multiplied with.
  int32_t n = int32_t(uint32_t(llvm::bit_cast<int32_t>(shifted)) - uint32_t(magicBits));
  int32_t half = n >> 1;
  for (int32_t exponent : {half, n - half})
    sum *= llvm::bit_cast<float>(uint32_t(exponent + 127) << 23);
  return sum;
}
