//===- Codec.h - Exact decoding and encoding of stored weights --------------------------------===//
//
// The one scalar codec of every numeric format: importers, the packer, the reference interpreter
// and the tests all read stored bytes through it. It is written for exactness first; there is no
// fast path whose result differs. Float conversions keep every value; rounding (only where an
// encoder narrows) is to nearest, ties to even.
//
// NaNs stay NaNs; their payloads are not part of the contract.
//
//===----------------------------------------------------------------------------------------------===//

#ifndef INGOT_SUPPORT_CODEC_H
#define INGOT_SUPPORT_CODEC_H

#include "ingot/Support/NumericFormat.h"

namespace ingot {

/// f16 → f32, exact.
float halfToFloat(uint16_t bits);
/// f32 → f16, to nearest even; too large becomes infinity.
uint16_t floatToHalf(float value);
/// bf16 → f32, exact.
float bfloatToFloat(uint16_t bits);
/// f32 → bf16, to nearest even.
uint16_t floatToBfloat(float value);
/// f8E4M3 → f32, exact; the codes of NaN are read as +-480.
float float8ToFloat(uint8_t bits);
/// What a stored code of an integer or 8-bit float format means before scaling.
float decodeNumber(const NumericFormat &format, uint8_t code);

/// The scale of a block with one level of scales, or the outer one of two.
float readScale(const NumericFormat &format, const uint8_t *block);
/// Its inverse: rounded to the nearest that the format holds (a power of two above 2^-128 for
/// E8M0).
void writeScale(const NumericFormat &format, float scale, uint8_t *block);

/// One stored block of an integer format, taken apart: column i of the block has the value
///     scales[g] * decodeNumber(format, codes[i]) + minimums[g]     with g = i /
///     format.groupElements
/// where the addition is left out for a format without minimums (it would turn -0 into +0).
/// The integers that multiply a block's scale and minimum in a group of a format of two levels.
struct SubScale {
  int scale = 1;
  int minimum = 1;
};

struct DecodedBlock {
  static constexpr unsigned maxElements = 256;
  static constexpr unsigned maxGroups = 16;
  uint8_t codes[maxElements]; ///< as stored: unsigned, or the bits of a signed code
  float scales[maxGroups];
  SubScale subScales[maxGroups];
  float minimums[maxGroups]; ///< already negated where the format subtracts; 0 where it has none
};

/// Takes the block at `bytes` (`format.blockBytes` of them) apart. Integer formats only.
void decodeBlock(const NumericFormat &format, const uint8_t *bytes, DecodedBlock &result);

/// Decodes `values.size()` weights, a multiple of the block size, from as many blocks in `bytes`.
/// Equal to ggml's `dequantize_row_*` bit for bit.
void decodeRow(const NumericFormat &format, llvm::ArrayRef<uint8_t> bytes,
               llvm::MutableArrayRef<float> values);

/// Whether `encodeRow` knows the format: the floats, q4_0, q4_1, q5_0, q5_1 and q8_0.
bool canEncode(const NumericFormat &format);

/// The inverse of `decodeRow` up to rounding; the blocks are those of PyPI `gguf`'s `quantize`. An
/// infinite or NaN input leaves its block's other codes unspecified.
void encodeRow(const NumericFormat &format, llvm::ArrayRef<float> values,
               llvm::MutableArrayRef<uint8_t> bytes);

} // namespace ingot

#endif // INGOT_SUPPORT_CODEC_H
