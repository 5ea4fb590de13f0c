//===- Codec.cpp - Exact decoding and encoding of stored weights ------------------------------===//

#include "ingot/Support/Codec.h"
#include "llvm/ADT/APFloat.h"
#include "llvm/ADT/bit.h"
#include "llvm/Support/Endian.h"
#include <cassert>
#include <cmath>

using namespace ingot;
namespace endian = llvm::support::endian;

// The encoders must round each product before they add, as numpy does; decoding does not depend on
// it.
#pragma STDC FP_CONTRACT OFF

//===----------------------------------------------------------------------------------------------===//
// Floats
//===----------------------------------------------------------------------------------------------===//

float ingot::halfToFloat(uint16_t bits) {
  uint32_t sign = uint32_t(bits & 0x8000) << 16, exponent = (bits >> 10) & 31,
           fraction = bits & 0x3ff;
  if (exponent == 0) // zero or subnormal: fraction * 2^-24
    return llvm::bit_cast<float>(sign | llvm::bit_cast<uint32_t>(float(fraction) * 0x1p-24f));
  if (exponent == 31)
    return llvm::bit_cast<float>(sign | 0x7f800000 | fraction << 13);
  return llvm::bit_cast<float>(sign | (exponent + 112) << 23 | fraction << 13);
}

static uint16_t narrow(float value, const llvm::fltSemantics &semantics) {
  llvm::APFloat number(value);
  bool losesInfo;
  number.convert(semantics, llvm::APFloat::rmNearestTiesToEven, &losesInfo);
  return number.bitcastToAPInt().getZExtValue();
}

uint16_t ingot::floatToHalf(float value) { return narrow(value, llvm::APFloat::IEEEhalf()); }

float ingot::bfloatToFloat(uint16_t bits) { return llvm::bit_cast<float>(uint32_t(bits) << 16); }

uint16_t ingot::floatToBfloat(float value) { return narrow(value, llvm::APFloat::BFloat()); }

float ingot::float8ToFloat(uint8_t bits) {
  // Exponent and fraction in the places of f32's, whose bias is 120 more.
  uint32_t moved = uint32_t(int32_t(int8_t(bits))) << 20 & 0x87f00000;
  return llvm::bit_cast<float>(moved) * 0x1p120f;
}

//===----------------------------------------------------------------------------------------------===//
// Blocks
//===----------------------------------------------------------------------------------------------===//

float ingot::readScale(const NumericFormat &format, const uint8_t *block) {
  const uint8_t *bytes = block + format.scaleOffset;
  switch (format.scaleKind) {
  case ScaleKind::F32:
    return llvm::bit_cast<float>(endian::read32le(bytes));
  case ScaleKind::E8M0: // 2^(e - 128), the two least of which are subnormal
    return llvm::bit_cast<float>(*bytes < 2 ? 0x00200000u << *bytes : (*bytes - 1u) << 23);
  default:
    return halfToFloat(endian::read16le(bytes));
  }
}

void ingot::writeScale(const NumericFormat &format, float scale, uint8_t *block) {
  uint8_t *bytes = block + format.scaleOffset;
  switch (format.scaleKind) {
  case ScaleKind::F32:
    return endian::write32le(bytes, llvm::bit_cast<uint32_t>(scale));
  case ScaleKind::E8M0:
    *bytes = std::clamp(std::ilogb(scale * 0x1.6a09e6p0f) + 128, 0, 255);
    return;
  default:
    return endian::write16le(bytes, floatToHalf(scale));
  }
}

/// Adds the bits of one plane to the codes, above the `position` bits that earlier planes gave.
static void decodePlane(const CodePlane &plane, unsigned elements, unsigned position,
                        const uint8_t *block, uint8_t *codes) {
  const uint8_t *bytes = block + plane.offset;
  uint8_t mask = (1 << plane.bits) - 1;
  for (unsigned column = 0; column < elements; bytes += plane.run)
    for (unsigned shift = 0; shift < 8; shift += plane.bits, column += plane.run)
      for (unsigned i = 0; i < plane.run; ++i)
        codes[column + i] |= ((bytes[i] >> shift) & mask) << position;
}

/// The integers by which the block's scale and minimum are multiplied for one group.
static SubScale decodeSubScale(const NumericFormat &format, const uint8_t *block, unsigned group) {
  const uint8_t *bytes = block + format.subScaleOffset;
  switch (format.scaleKind) {
  case ScaleKind::None:
  case ScaleKind::F16:
  case ScaleKind::E8M0:
  case ScaleKind::F32:
    return {};
  case ScaleKind::F16xU4:
    return {bytes[group] & 15, bytes[group] >> 4};
  case ScaleKind::F16xS8:
    return {int8_t(bytes[group]), 0};
  case ScaleKind::F16xI6: {
    // Two bytes: two high bits of each group; then four: its nibble.
    int high = (endian::read16le(bytes) >> (2 * group)) & 3;
    int low = (bytes[2 + group / 2] >> (4 * (group % 2))) & 15;
    return {(low | high << 4) - 32, 0};
  }
  case ScaleKind::F16xS6: {
    // Bytes 0-7: low nibbles of groups 0-7 (low) and 8-15 (high); bytes 8-11: two bits of group 4 i
    // + byte.
    int low = group < 8 ? bytes[group] & 15 : bytes[group - 8] >> 4;
    int high = (bytes[8 + group % 4] >> (2 * (group / 4))) & 3;
    return {(low | high << 4) - 32, 0};
  }
  case ScaleKind::F16xU6:
    // Bytes 0-3 and 4-7: scales and minimums of groups 0-3 in the low six bits, and in the top two
    // bits those of groups 4-7, whose low nibbles share bytes 8-11.
    if (group < 4)
      return {bytes[group] & 63, bytes[group + 4] & 63};
    return {(bytes[group + 4] & 15) | (bytes[group - 4] >> 6) << 4,
            (bytes[group + 4] >> 4) | (bytes[group] >> 6) << 4};
  }
  return {};
}

void ingot::decodeBlock(const NumericFormat &format, const uint8_t *bytes, DecodedBlock &result) {
  assert(!format.isFloat() && "floats have no codes");
  std::fill_n(result.codes, format.blockElements, 0);
  unsigned position = 0;
  for (const CodePlane &plane : format.planes) {
    if (plane.bits)
      decodePlane(plane, format.blockElements, position, bytes, result.codes);
    position += plane.bits;
  }
  float scale = readScale(format, bytes), minimum = 0.0f;
  if (format.minimumIsZeroPoint)
    minimum = format.getZeroMinimum(scale, bytes[format.minimumOffset]);
  else if (format.hasMinimum)
    minimum = halfToFloat(endian::read16le(bytes + format.minimumOffset));
  for (unsigned group = 0; group < format.groupsPerBlock(); ++group) {
    SubScale sub = result.subScales[group] = decodeSubScale(format, bytes, group);
    result.scales[group] = format.isTwoLevel() ? scale * float(sub.scale) : scale;
    result.minimums[group] =
        format.isTwoLevel() && format.hasMinimum ? -(minimum * float(sub.minimum)) : minimum;
  }
}

float ingot::decodeNumber(const NumericFormat &format, uint8_t code) {
  return format.codesAreFloats ? float8ToFloat(code) : float(format.decodeCode(code));
}

//===----------------------------------------------------------------------------------------------===//
// Rows
//===----------------------------------------------------------------------------------------------===//

static void decodeFloatRow(const NumericFormat &format, const uint8_t *bytes,
                           llvm::MutableArrayRef<float> values) {
  bool isBfloat = format.name == "bf16";
  for (size_t i = 0; i < values.size(); ++i) {
    if (format.codeBits == 32) {
      values[i] = llvm::bit_cast<float>(endian::read32le(bytes + 4 * i));
      continue;
    }
    uint16_t bits = endian::read16le(bytes + 2 * i);
    values[i] = isBfloat ? bfloatToFloat(bits) : halfToFloat(bits);
  }
}

void ingot::decodeRow(const NumericFormat &format, llvm::ArrayRef<uint8_t> bytes,
                      llvm::MutableArrayRef<float> values) {
  assert(format.bytesForRow(values.size()) == bytes.size() && "not as many blocks as values");
  if (format.isFloat())
    return decodeFloatRow(format, bytes.data(), values);
  DecodedBlock block;
  for (; !values.empty(); values = values.drop_front(format.blockElements),
                          bytes = bytes.drop_front(format.blockBytes)) {
    decodeBlock(format, bytes.data(), block);
    for (unsigned i = 0; i < format.blockElements; ++i) {
      unsigned group = i / format.groupElements;
      float value = block.scales[group] * decodeNumber(format, block.codes[i]);
      values[i] = format.hasMinimum ? value + block.minimums[group] : value;
    }
  }
}

//===----------------------------------------------------------------------------------------------===//
// Encoding
//===----------------------------------------------------------------------------------------------===//

bool ingot::canEncode(const NumericFormat &format) {
  return format.isFloat() || (format.scaleKind == ScaleKind::F16 && format.isAffine());
}

/// Truncates towards zero into [low, high]; NaN becomes `low`.
static int truncateTo(float value, int low, int high) {
  if (!(value > float(low)))
    return low;
  return value < float(high) ? int(value) : high;
}

/// The inverse of `decodePlane` for one code.
static void encodeCode(const NumericFormat &format, unsigned column, uint8_t code, uint8_t *block) {
  for (const CodePlane &plane : format.planes) {
    if (!plane.bits)
      continue;
    unsigned chunk = plane.run * 8 / plane.bits;
    unsigned shift = (column % chunk) / plane.run * plane.bits;
    block[plane.offset + column / chunk * plane.run + column % plane.run] |=
        (code & ((1 << plane.bits) - 1)) << shift;
    code >>= plane.bits;
  }
}

/// One block of a one-level format. The three kinds round the way ggml does: with a minimum, codes
/// span [min, max]; unsigned with an offset, the value of largest magnitude takes code 0; signed,
/// it takes ±127.
static void encodeBlock(const NumericFormat &format, const float *values, uint8_t *block) {
  unsigned elements = format.blockElements;
  float low = values[0], high = values[0], extreme = values[0];
  for (unsigned i = 1; i < elements; ++i) {
    low = std::fmin(low, values[i]);
    high = std::fmax(high, values[i]);
    if (std::fabs(values[i]) > std::fabs(extreme))
      extreme = values[i];
  }
  int largestCode = (1 << format.codeBits) - 1;
  float scale = format.hasMinimum       ? (high - low) / float(largestCode)
                : format.codesAreSigned ? std::fabs(extreme) / 127.0f
                                        : extreme / -float(format.codeOffset);
  float inverse = scale == 0 ? 0.0f : 1.0f / scale;
  std::fill_n(block, format.blockBytes, 0);
  endian::write16le(block + format.scaleOffset, floatToHalf(scale));
  if (format.hasMinimum)
    endian::write16le(block + format.minimumOffset, floatToHalf(low));
  for (unsigned i = 0; i < elements; ++i) {
    int code;
    if (format.hasMinimum)
      code = truncateTo((values[i] - low) * inverse + 0.5f, 0, largestCode);
    else if (format.codesAreSigned)
      code = truncateTo(std::round(values[i] * inverse), -127, 127);
    else
      code = truncateTo(values[i] * inverse + (float(format.codeOffset) + 0.5f), 0, largestCode);
    encodeCode(format, i, uint8_t(code), block);
  }
}

void ingot::encodeRow(const NumericFormat &format, llvm::ArrayRef<float> values,
                      llvm::MutableArrayRef<uint8_t> bytes) {
  assert(canEncode(format) && "no encoder for this format");
  assert(format.bytesForRow(values.size()) == bytes.size() && "not as many blocks as values");
  for (size_t i = 0, block = 0; i < values.size(); i += format.blockElements, ++block) {
    uint8_t *out = bytes.data() + block * format.blockBytes;
    if (!format.isFloat())
      encodeBlock(format, values.data() + i, out);
    else if (format.codeBits == 32)
      endian::write32le(out, llvm::bit_cast<uint32_t>(values[i]));
    else
      endian::write16le(out,
                        format.name == "bf16" ? floatToBfloat(values[i]) : floatToHalf(values[i]));
  }
}
