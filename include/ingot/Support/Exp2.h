//===- Exp2.h - The polynomial that 2^x is on a CPU -------------------------------------------===//
//
// Kernels call no library, so 2^x is arithmetic. Its constants stand here once: the CPU's lowering
// writes them as vector code, the tile interpreter computes with the same steps, and both have the
// same bits.
//
//   2^x = 2^n * 2^f, n the nearest integer, |f| <= 1/2.   2^f = 1 + f q(f), q of degree 5 with a
//   relative error of 2e-9 (weighted least squares on Chebyshev nodes, iterated to an even error).
//
// Rounding to an integer is an addition of 1.5 * 2^23, after which the integer stands in the low
// bits. 2^n is applied as two factors that are normal numbers, so that subnormal results are
// rounded once. Below -150 the result is 0, above 129 it is infinite, NaN stays NaN. Everywhere
// within 2 ulp.
//
//===------------------------------------------------------------------------------------------===//

#ifndef INGOT_SUPPORT_EXP2_H
#define INGOT_SUPPORT_EXP2_H

#include <cstdint>

namespace ingot {

struct Exp2 {
  static constexpr float lowest = -150, highest = 129; ///< x is clamped to these
  static constexpr float magic = 12582912;             ///< 1.5 * 2^23
  static constexpr int32_t magicBits = 0x4b400000;     ///< of `magic`
  /// Of q, highest power first; then the 1.
  static constexpr float coefficients[] = {
      0.15353362e-3f, 1.3398874e-3f, 9.618437e-3f, 5.5503324e-2f, 0.24022648f, 0.6931472f, 1.0f};
  /// 2^x by these steps.
  static float compute(float x);
};

} // namespace ingot

#endif // INGOT_SUPPORT_EXP2_H
