//===- NumericFormat.h - How stored bits become numbers ---------------------------------------===//
//
// A numeric format says what a stored weight means, exactly. All formats are records of one table,
// so a new one is a line of data: where the bits of a code lie in a block, which code is zero, how
// the scale of a group is found. The records describe the storage of *checkpoints*; the order of
// bits that a kernel wants is a packing (Packing.h) and is not part of the format.
//
// An integer format stores codes c in groups of 16 or 32 columns that share a scale s and a minimum
// m:
//
//     value = s * (c - offset) + m                      (unsigned codes; signed codes have offset
//     0)
//
// For every format of GGUF s * (c - offset) is exact in f32 (at most 24 significant bits), so the
// addition is the only rounding, a fused multiply-add gives the same result, and the value is
// ggml's `dequantize_row_*` bit for bit. Formats that subtract their minimum (q2_k, q4_k, q5_k) are
// read with a negated m: x - m and x + (-m) are the same number.
//
// What else a code may be:
//   codebook       the index of a signed byte in a table (iq4_nl, iq4_xs, mxfp4); s * byte
//   zero-point     s * (c - z), z one byte a group (i4z_*, i8z_f32): m = -(s * z). s has at most 16
//                  significant bits (f16 or bf16), so that s * c, m and their sum are exact
//   8-bit float    s * f8E4M3, one rounding. There are no NaNs: their two codes mean +-480
//
// i4_*, i4z_*, i8_*, i8z_* and f8e4m3_f32 are what the quantised checkpoints of Hugging Face
// folders become: their scales stand in tensors of their own, for groups of any size; here each 32
// columns have theirs.
//
//===----------------------------------------------------------------------------------------------===//

#ifndef INGOT_SUPPORT_NUMERICFORMAT_H
#define INGOT_SUPPORT_NUMERICFORMAT_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include <cstdint>
#include <optional>

namespace ingot {

/// Where the bits of a block's codes lie. A plane holds `bits` bits of each code, in runs: the
/// codes of `run` consecutive columns lie in `run` consecutive bytes, the next run in the same
/// bytes but `bits` higher, until the bytes are full. Column i of the block is found at
///
///     chunk = run * 8 / bits;   byte = offset + (i / chunk) * run + i % run;   shift = (i % chunk)
///     / run * bits
///
/// Examples: q4_0 has low nibbles for columns 0-15 and high ones for 16-31 (bits 4, run 16); the
/// fifth bits of q5_0 are one 32-bit number (bits 1, run 1); GPTQ's nibbles in column order would
/// be bits 4, run 1.
struct CodePlane {
  uint8_t bits;
  uint8_t run;
  uint16_t offset;
};

/// How the scale (and minimum) of a group is stored.
enum class ScaleKind : uint8_t {
  None,   ///< floats need none
  F16,    ///< one f16 a block, which is one group
  F16xU4, ///< f16 a block times u4 a group: byte g holds scale (low) and minimum (high) of group g
  F16xS6, ///< f16 a block times 6 bits a group, offset 32, spread as in ggml's q3_k
  F16xU6, ///< f16 a block times u6 a group, scales and minimums spread as in ggml's q4_k
  F16xS8, ///< f16 a block times s8 a group
  F16xI6, ///< f16 a block times 6 bits a group, offset 32, spread as in ggml's iq4_xs
  E8M0,   ///< one byte e a block, which is one group: 2^(e - 128)
  F32,    ///< one f32 a block, which is one group
};

/// One numeric format. Records live forever; compare them by address.
struct NumericFormat {
  /// The largest magnitude of an 8-bit activation that `exactRun` allows for.
  static constexpr int activationLimit = 127;

  llvm::StringRef name;   ///< as written in the IR: "q4_1"
  uint8_t codeBits;       ///< bits of a stored code, of the float for float formats
  bool codesAreSigned;    ///< two's complement codes (only 8 bits); else unsigned with `codeOffset`
  uint8_t codeOffset;     ///< the unsigned code that means zero
  uint16_t blockElements; ///< columns of one stored block; 1 for floats
  uint16_t blockBytes;
  uint16_t groupElements; ///< columns that share a scale; divides `blockElements`; 1 for floats
  ScaleKind scaleKind;
  bool hasMinimum;
  uint16_t scaleOffset;    ///< byte of the block's f16 scale
  uint16_t minimumOffset;  ///< byte of the block's f16 minimum, or of its zero-point
  uint16_t subScaleOffset; ///< first byte of the group scales of two-level formats
  CodePlane planes[2];     ///< low bits first; the second has 0 bits where one is enough
  /// How many `vpmaddubsw` results (each a sum of two products of a code and an activation within
  /// `activationLimit`) fit exactly in one 16-bit sum, whatever the codes. 0 for floats.
  uint16_t exactRun;
  bool minimumIsZeroPoint = false;  ///< one byte at `minimumOffset`, signed as the codes are
  const int8_t *codebook = nullptr; ///< what each code means; the codes are then "signed"
  bool codesAreFloats = false;      ///< f8E4M3

  bool isFloat() const { return scaleKind == ScaleKind::None; }
  bool hasIntegerCodes() const { return !isFloat() && !codesAreFloats; }
  bool isTwoLevel() const { return !isFloat() && scaleKind != ScaleKind::F16 && !hasWideScale(); }
  /// One scale a block that is no f16.
  bool hasWideScale() const { return scaleKind == ScaleKind::F32 || scaleKind == ScaleKind::E8M0; }
  /// Whether codes meet nothing but a scale and an offset or a minimum of the scale's type.
  bool isAffine() const { return hasIntegerCodes() && !codebook && !minimumIsZeroPoint; }
  unsigned groupsPerBlock() const { return blockElements / groupElements; }

  /// Bytes of one stored row, or nothing where `columns` is negative, not a multiple of
  /// `blockElements` or too large for 64 bits.
  std::optional<uint64_t> bytesForRow(int64_t columns) const;

  /// Bits a weight takes in storage, scales included: 5 for q4_1.
  double bitsPerWeight() const { return blockBytes * 8.0 / blockElements; }

  /// The number that `code` (as stored, in the low bits) means before scaling. Integer codes only.
  int decodeCode(uint8_t code) const {
    return codebook ? codebook[code] : codesAreSigned ? int8_t(code) : code - int(codeOffset);
  }
  /// The minimum that a zero-point means.
  float getZeroMinimum(float scale, uint8_t zero) const {
    return -(scale * float(codesAreSigned ? int8_t(zero) : int(zero)));
  }
  /// The byte that kernels multiply: without the offset, which is part of the minimum.
  uint8_t getKernelCode(uint8_t code) const { return codebook ? uint8_t(codebook[code]) : code; }

  /// The record called `name`, or null.
  static const NumericFormat *lookup(llvm::StringRef name);
  /// All records, floats first.
  static llvm::ArrayRef<NumericFormat> all();
};

} // namespace ingot

#endif // INGOT_SUPPORT_NUMERICFORMAT_H
