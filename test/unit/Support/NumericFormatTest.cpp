//===- NumericFormatTest.cpp - The records agree with themselves ------------------------------===//

#include "ingot/Support/NumericFormat.h"
#include "gtest/gtest.h"
#include <climits>
#ifdef __x86_64__
#include <immintrin.h>
#endif

using namespace ingot;

// Every record is found by its name, and by no other.
TEST(NumericFormat, IsFoundByName) {
  for (const NumericFormat &format : NumericFormat::all())
    EXPECT_EQ(NumericFormat::lookup(format.name), &format);
  EXPECT_EQ(NumericFormat::lookup("q4_2"), nullptr);
  EXPECT_EQ(NumericFormat::lookup("Q4_0"), nullptr);
  EXPECT_EQ(NumericFormat::lookup(""), nullptr);
}

// Codes, scales and minimums fill a block exactly, and the planes give a code its bits.
TEST(NumericFormat, BlocksHaveNoGaps) {
  for (const NumericFormat &format : NumericFormat::all()) {
    SCOPED_TRACE(format.name.str());
    EXPECT_EQ(format.blockElements % format.groupElements, 0);
    if (format.isFloat()) {
      EXPECT_EQ(format.blockBytes * 8, format.codeBits);
      continue;
    }
    unsigned bits = 0, bytes = format.scaleKind == ScaleKind::F32    ? 4
                               : format.scaleKind == ScaleKind::E8M0 ? 1
                                                                     : 2;
    if (format.hasMinimum)
      bytes += format.minimumIsZeroPoint ? 1 : 2;
    for (const CodePlane &plane : format.planes) {
      bits += plane.bits;
      bytes += format.blockElements * plane.bits / 8;
    }
    if (format.scaleKind == ScaleKind::F16xU4 || format.scaleKind == ScaleKind::F16xS8)
      bytes += format.groupsPerBlock();
    if (format.scaleKind == ScaleKind::F16xU6 || format.scaleKind == ScaleKind::F16xS6)
      bytes += 12;
    if (format.scaleKind == ScaleKind::F16xI6)
      bytes += 6;
    EXPECT_EQ(bits, format.codeBits);
    EXPECT_EQ(bytes, format.blockBytes);
  }
}

// A row is a whole number of blocks; what is not, or does not fit, has no size.
TEST(NumericFormat, RowsAreWholeBlocks) {
  const NumericFormat *q4 = NumericFormat::lookup("q4_1"), *q6 = NumericFormat::lookup("q6_k");
  EXPECT_EQ(q4->bytesForRow(576), 360u);
  EXPECT_EQ(q4->bytesForRow(0), 0u);
  EXPECT_EQ(q4->bytesForRow(33), std::nullopt);
  EXPECT_EQ(q4->bytesForRow(-32), std::nullopt);
  EXPECT_EQ(q6->bytesForRow(576), std::nullopt);
  EXPECT_EQ(NumericFormat::lookup("f32")->bytesForRow(INT64_MAX), std::nullopt);
}

/// The largest magnitude that a kernel multiplies. Signed codes enter as their magnitude, the sign
/// moves to the activation: |-128| = 128.
static int getLargest(const NumericFormat &format) {
  int largest = 0;
  for (int code = 0; code < 1 << format.codeBits; ++code) {
    uint8_t byte = format.getKernelCode(code);
    largest = std::max(largest, format.codesAreSigned ? std::abs(int8_t(byte)) : int(byte));
  }
  return largest;
}

// `exactRun` results of vpmaddubsw fit in 16 bits at the extremes, and one more does not: the
// largest run.
TEST(NumericFormat, ExactRunIsTheLargest) {
  for (const NumericFormat &format : NumericFormat::all()) {
    SCOPED_TRACE(format.name.str());
    if (!format.hasIntegerCodes()) {
      EXPECT_EQ(format.exactRun, 0);
      continue;
    }
    int largest = getLargest(format);
    for (int activation : {NumericFormat::activationLimit, -NumericFormat::activationLimit}) {
      int sum = 0, exact = 0;
      while (true) {
        int pair = largest * activation + largest * activation;
        if (sum + pair > INT16_MAX || sum + pair < INT16_MIN)
          break;
        sum += pair;
        ++exact;
      }
      EXPECT_EQ(exact, format.exactRun);
    }
  }
}

#ifdef __x86_64__
/// The 16-bit sum of `count` vpmaddubsw results of equal operands, as the instruction computes it.
__attribute__((target("avx2"))) static int sumOnTheMachine(uint8_t code, int8_t activation,
                                                           int count) {
  __m256i sum = _mm256_setzero_si256();
  for (int i = 0; i < count; ++i)
    sum = _mm256_add_epi16(
        sum, _mm256_maddubs_epi16(_mm256_set1_epi8(code), _mm256_set1_epi8(activation)));
  return int16_t(_mm256_extract_epi16(sum, 0));
}

// The instruction itself is exact for `exactRun` results at both extremes, and wrong for one more.
TEST(NumericFormat, ExactRunHoldsOnTheMachine) {
  if (!__builtin_cpu_supports("avx2"))
    GTEST_SKIP() << "needs AVX2";
  for (const NumericFormat &format : NumericFormat::all()) {
    if (!format.hasIntegerCodes())
      continue;
    SCOPED_TRACE(format.name.str());
    int largest = getLargest(format);
    for (int activation : {NumericFormat::activationLimit, -NumericFormat::activationLimit})
      for (int count : {int(format.exactRun), format.exactRun + 1}) {
        bool isExact =
            sumOnTheMachine(largest, activation, count) == 2 * largest * activation * count;
        EXPECT_EQ(isExact, count == format.exactRun) << count;
      }
  }
}
#endif
