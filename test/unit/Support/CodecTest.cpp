//===- CodecTest.cpp - Decoding is exact ------------------------------------------------------===//
//
// Here are the properties; test/unit/Import/FormatsTest.cpp compares with PyPI gguf.
//
//===----------------------------------------------------------------------------------------------===//

#include "ingot/Support/Codec.h"
#include "llvm/ADT/APFloat.h"
#include "gtest/gtest.h"
#include <cmath>
#include <random>

using namespace ingot;

// Every f16 and bf16 becomes the f32 that APFloat says, and comes back.
TEST(Codec, WidensEveryHalf) {
  for (unsigned bits = 0; bits < 0x10000; ++bits)
    for (bool isHalf : {true, false}) {
      const llvm::fltSemantics &semantics =
          isHalf ? llvm::APFloat::IEEEhalf() : llvm::APFloat::BFloat();
      float expected = llvm::APFloat(semantics, llvm::APInt(16, bits)).convertToFloat();
      float actual = isHalf ? halfToFloat(bits) : bfloatToFloat(bits);
      if (std::isnan(expected)) {
        EXPECT_TRUE(std::isnan(actual));
        continue;
      }
      ASSERT_EQ(llvm::bit_cast<uint32_t>(actual), llvm::bit_cast<uint32_t>(expected)) << bits;
      ASSERT_EQ(isHalf ? floatToHalf(actual) : floatToBfloat(actual), bits);
    }
}

// Narrowing rounds to nearest even and overflows to infinity.
TEST(Codec, NarrowsToNearestEven) {
  EXPECT_EQ(floatToHalf(1.0f + 0x1p-11f), 0x3c00); // a tie, to even
  EXPECT_EQ(floatToHalf(1.0f + 0x3p-11f), 0x3c02); // a tie, to even
  EXPECT_EQ(floatToHalf(1.0f + 0x1p-11f + 0x1p-20f), 0x3c01);
  EXPECT_EQ(floatToHalf(65520.0f), 0x7c00);
  EXPECT_EQ(floatToHalf(-65519.0f), 0xfbff);
  EXPECT_EQ(floatToHalf(0x1p-25f), 0); // half of the smallest, to even
  EXPECT_EQ(floatToBfloat(1.0f + 0x1p-8f), 0x3f80);
  EXPECT_EQ(floatToBfloat(1.0f + 0x3p-8f), 0x3f82);
}

// Every 8-bit float becomes the f32 that APFloat says; NaN's codes go on where the others end.
TEST(Codec, WidensEveryFloat8) {
  for (unsigned bits = 0; bits < 256; ++bits) {
    llvm::APFloat number(llvm::APFloat::Float8E4M3FN(), llvm::APInt(8, bits));
    float expected = number.isNaN() ? (bits & 0x80 ? -480.0f : 480.0f) : number.convertToFloat();
    EXPECT_EQ(llvm::bit_cast<uint32_t>(float8ToFloat(bits)), llvm::bit_cast<uint32_t>(expected))
        << bits;
  }
}

// A scale that is written is read again, as near as its type comes.
TEST(Codec, KeepsScales) {
  std::vector<uint8_t> block(256);
  for (const NumericFormat &format : NumericFormat::all()) {
    if (format.isFloat())
      continue;
    SCOPED_TRACE(format.name.str());
    for (float scale : {0x1p-3f, 0x1p-14f, 1.0f}) {
      writeScale(format, scale, block.data());
      EXPECT_EQ(readScale(format, block.data()), scale);
    }
    writeScale(format, 0.05f, block.data());
    float step = format.scaleKind == ScaleKind::E8M0  ? 0.0125f
                 : format.scaleKind == ScaleKind::F32 ? 0.0f
                                                      : 0x1p-15f;
    EXPECT_NEAR(readScale(format, block.data()), 0.05f, step);
  }
}

// What a zero-point stands for is exactly zero, and steps away from it are steps of the scale.
TEST(Codec, ZeroPointsAreZero) {
  for (const NumericFormat &format : NumericFormat::all()) {
    if (!format.minimumIsZeroPoint)
      continue;
    SCOPED_TRACE(format.name.str());
    std::vector<uint8_t> bytes(format.blockBytes);
    std::vector<float> values(format.blockElements);
    float scale = 0x1.5cp-7f; // eight bits, as of bf16
    writeScale(format, scale, bytes.data());
    for (int zero = 0; zero < (1 << format.codeBits); ++zero) {
      bytes[format.minimumOffset] = zero;
      std::fill(bytes.begin() + format.planes[0].offset, bytes.end(),
                zero * (format.codeBits == 4 ? 17 : 1));
      decodeRow(format, bytes, values);
      for (float value : values)
        EXPECT_EQ(value, 0.0f);
      bytes[format.planes[0].offset] ^= 1;
      decodeRow(format, bytes, values);
      EXPECT_EQ(values[0], zero & 1 ? -scale : scale);
    }
  }
}

// scale * code is exact in f32 for every code and group scale, so that a fused multiply-add decodes
// to the same bits.
TEST(Codec, ScaledCodesAreExact) {
  std::mt19937_64 random(1);
  for (const NumericFormat &format : NumericFormat::all()) {
    if (format.isFloat() || format.scaleKind == ScaleKind::F32)
      continue; // a scale of 24 bits leaves no room for a code
    SCOPED_TRACE(format.name.str());
    std::vector<uint8_t> bytes(format.blockBytes);
    std::vector<float> values(format.blockElements);
    for (int round = 0; round < 200; ++round) {
      for (uint8_t &byte : bytes)
        byte = random();
      if (format.scaleKind == ScaleKind::E8M0) {
        bytes[format.scaleOffset] %= 240;
      } else {
        bytes[format.scaleOffset + 1] &= 0xbf; // a finite scale, of any magnitude below 2
        bytes[format.scaleOffset] |= 1;        // with all bits of its fraction in use
        if (format.hasMinimum && !format.minimumIsZeroPoint)
          bytes[format.minimumOffset + 1] &= 0xbf;
      }
      DecodedBlock block;
      decodeBlock(format, bytes.data(), block);
      decodeRow(format, bytes, values);
      for (unsigned i = 0; i < format.blockElements; ++i) {
        float scale = block.scales[i / format.groupElements];
        float minimum = block.minimums[i / format.groupElements];
        float code = float(format.decodeCode(block.codes[i]));
        EXPECT_EQ(double(scale) * double(code), double(scale * code));
        if (format.hasMinimum)
          EXPECT_EQ(std::fma(scale, code, minimum), values[i]);
      }
    }
  }
}

// What a format can hold, its encoder keeps.
TEST(Codec, EncodesItsOwnValues) {
  for (llvm::StringRef name : {"f32", "f16", "bf16", "q4_0", "q4_1", "q5_0", "q5_1", "q8_0"}) {
    SCOPED_TRACE(name.str());
    const NumericFormat &format = *NumericFormat::lookup(name);
    ASSERT_TRUE(canEncode(format));
    std::vector<float> values(64), decoded(64);
    int low = format.isFloat() ? -8 : format.decodeCode(format.codesAreSigned ? 0x81 : 0);
    int span = format.isFloat() ? 16 : format.codesAreSigned ? 255 : 1 << format.codeBits;
    for (int i = 0; i < 64; ++i) // both ends of the range are in each block
      values[i] = 0.25f * (i % 32 == 1 ? low + span - 1 : low + i * 7 % 32 % span);
    std::vector<uint8_t> bytes(*format.bytesForRow(64));
    encodeRow(format, values, bytes);
    decodeRow(format, bytes, decoded);
    EXPECT_EQ(decoded, values);
  }
  EXPECT_FALSE(canEncode(*NumericFormat::lookup("q4_k")));
}

// A block of zeros, and one with an infinity, are encoded without a crash.
TEST(Codec, EncodesExtremes) {
  for (const NumericFormat &format : NumericFormat::all()) {
    if (!canEncode(format))
      continue;
    std::vector<float> values(32), decoded(32);
    std::vector<uint8_t> bytes(*format.bytesForRow(32));
    encodeRow(format, values, bytes);
    decodeRow(format, bytes, decoded);
    for (float value : decoded)
      EXPECT_EQ(value, 0.0f);
    values[3] = INFINITY;
    values[4] = NAN;
    values[5] = -3e38f;
    encodeRow(format, values, bytes);
  }
}
