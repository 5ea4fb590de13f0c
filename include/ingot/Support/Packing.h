//===- Packing.h - How kernels want weights in memory -----------------------------------------===//
//
// `#tile.packed<FORMAT, rows = R>`: the order of bits in which a CPU kernel reads a weight. The
// numbers are those of the numeric format, untouched; only their places change. The packer writes
// this layout, the tile interpreter and the lowering of `tile.decode` read it, all from the plain
// numbers below.
//
// The idea. A dot product over k with one weight row per register ends in a horizontal sum. With R
// = 8 rows side by side, one 32-byte register holds 8 rows x 4 columns of bytes, row r in the r-th
// 32-bit lane: exactly the operand of vpmaddubsw and vpdpbusd, whose sums stay in the row's own
// lane. So the unit of the layout is the *code register* of 4 R bytes:
//
//     byte 4 r + j  belongs to  row r, column 4 v + j      (v: number of the register)
//
// A *group record* holds R rows x G columns, G = the format's group (32, or 16 for q2_k, q3_k,
// q6_k):
//
//     plane 0 | plane 1, if any | R scales | R minimums, if any
//
// A plane stores b bits of every code (8; 4; 4+1; 4+2; 2; 2+1: the low bits first), n = 8 / b codes
// to a byte. Columns that share a byte are G / n apart, so that a shift and a mask turn one loaded
// register into a register of consecutive columns. With q = column / (G / n) and c = column % (G /
// n):
//
//     byte = plane.offset + c / 4 * 4 R + 4 r + c % 4        shift = q * b
//
// Worked example, q4_1 (G = 32, b = 4, n = 2, R = 8). 16 columns of codes fit a register of
// nibbles: register 0 has columns 0-3 in its low and 16-19 in its high nibbles, register 3 has
// 12-15 and 28-31. Four loads give eight operands. Row 2, column 21: q = 1, c = 5, byte = 1 * 32 +
// 8 + 1 = 41, shift 4. The record is 4 * 32 + 8 * 2 + 8 * 2 = 160 bytes for 256 weights: the 5 bits
// of the file.
//
// The one exception is a plane of single bits with G = 16 (q3_k): its G / n = 2 columns do not fill
// a register, so it is half as long: 16 columns x 8 rows are 16 bytes. Rows R/2..R-1 use the upper
// four bits:
//
//     byte = plane.offset + 4 (r % (R/2)) + column % 4       shift = column / 4 + 4 (r / (R/2))
//
// Load 2 R bytes as x; the register (x, x >> 4) has column 4 q + j of row r in bit q of byte 4 r +
// j.
//
// GPUs read in another order, *planar*: 16 bytes that follow each other belong to one row, so that
// a lane which holds a whole group of one row loads it at once and its neighbours load what comes
// next. Within a row group each plane is R rows of groups, then come R rows of scales, each
// followed by its minimum:
//
//     byte = plane.offset + (r * groups + group) * plane.bytes + ...    plane.bytes = G * b / 8
//
// and a group is words of 32 bits (of 16 where it has no more). Neighbouring columns stand half a
// word apart, so that one mask takes a pair of codes as a pair of 16-bit numbers: code i of the n
// of a word starts at bit ((i / 2) + (i % 2) * n / 2) * b. Four bits: columns 0, 2, 4, 6, 1, 3, 5,
// 7 from the lowest bits up. Floats are not planar: the order of the file is what a GPU wants; nor
// are codebooks, zero-points and 8-bit floats, which no kernel reads so.
//
// Around the records: the records of one row group follow each other along k, row groups follow
// each other. The last row group is padded with codes, scales and minimums of zero. Scales and
// minimums are f16 where a block has one scale. Where the format has two levels, a record has the
// second one's scales and minimums as signed bytes, and behind the records of a row group stand the
// f16 of each block of 256 columns, R scales and R negated minimums if any: q4_k takes 4.625 bits
// instead of the 6 of f32 scales. The product of both is exact in f32, and planar packings, whose
// groups are read one by one, hold that. Minimums are added (Codec.h); zero-points stay bytes, of a
// padded row as well. Scales that are no f16 are f32. Codes are as stored: unsigned, still with the
// format's offset; indices of a codebook; bytes. A float format is the same with G = 1: a record is
// one column of R rows, its only plane the floats.
//
//===----------------------------------------------------------------------------------------------===//

#ifndef INGOT_SUPPORT_PACKING_H
#define INGOT_SUPPORT_PACKING_H

#include "ingot/Support/NumericFormat.h"
#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/Support/Error.h"

namespace ingot {

/// How the rows of a row group share its bytes.
enum class PackedOrder {
  Interleaved, ///< records of R rows x G columns
  Planar,      ///< for each plane the groups of a row side by side
};

/// One plane of a group record.
struct PackedPlane {
  unsigned bits;   ///< of each code (32 or 16: a float)
  uint64_t offset; ///< of the plane in the record; planar: in the row group
  uint64_t bytes;  ///< of the plane in one record; planar: of one group of one row
  /// A one-bit plane with 16 columns, which holds half a code register (see above).
  bool isHalfRegister;
};

/// Where the bits of one code lie, counted from the first byte of the packed weight.
struct PackedAddress {
  uint64_t byte;
  unsigned shift;
};

/// The layout of one packed weight of [rows, columns].
struct PackedLayout {
  const NumericFormat *format;
  int64_t rows, columns;
  int64_t interleave;   ///< R: rows of a row group
  int64_t groupColumns; ///< G: columns of a group record; 1 for floats
  PackedOrder order;
  llvm::SmallVector<PackedPlane, 2> planes;
  unsigned scaleBits;     ///< 8 (signed), 16, 32, or 0 for floats
  unsigned minimumBits;   ///< as many, 8 for zero-points, 0 where there are no minimums
  uint64_t scaleOffset;   ///< of the R scales in a record; planar: of the first in the row group
  uint64_t minimumOffset; ///< of the R minimums; meaningful where `format->hasMinimum`
  /// With 8-bit scales: of the f16 that they are multiplied with, in the row group, and the bytes
  /// of those of one block.
  uint64_t blockScaleOffset, blockScaleBytes;
  uint64_t groupBytes; ///< of one record: the stride between records along k; planar: of one row's
  int64_t groupsPerRow;
  uint64_t rowGroupBytes; ///< the stride between row groups
  int64_t rowGroups;
  uint64_t bytes; ///< of the whole packed weight

  /// `interleave` must be a power of two from 2 to 64, `columns` a multiple of the format's block.
  static llvm::Expected<PackedLayout> get(const NumericFormat &format, int64_t rows,
                                          int64_t columns, int64_t interleave = 8,
                                          PackedOrder order = PackedOrder::Interleaved);

  bool hasBlockScales() const { return scaleBits == 8; }
  uint64_t recordOffset(int64_t rowGroup, int64_t group) const {
    return rowGroup * rowGroupBytes + group * groupBytes;
  }
  PackedAddress address(unsigned plane, int64_t row, int64_t column) const;
  /// The first byte of the scale, and of the minimum, of a row's group.
  uint64_t scaleAddress(int64_t row, int64_t group) const;
  uint64_t minimumAddress(int64_t row, int64_t group) const;
  /// The first byte of the f16 scale of the block that a row's group is in, where there are 8-bit
  /// scales; its minimum is `getBlockMinimumDistance()` further.
  uint64_t blockScaleAddress(int64_t row, int64_t group) const;
  uint64_t getBlockMinimumDistance() const { return 2 * interleave; }
  /// Planar: bytes from one group's scale to the next one's.
  uint64_t getScaleStride() const { return (scaleBits + minimumBits) / 8; }
};

/// The place of a column's code in a plane of a planar group: byte from the group's first, and
/// shift.
PackedAddress getPlanarAddress(const PackedPlane &plane, unsigned columnInGroup);

/// Packs up to R source rows (one row group; fewer in the last) from the format's stored bytes into
/// `layout.rowGroupBytes` bytes.
void packRowGroup(const PackedLayout &layout, llvm::ArrayRef<uint8_t> source,
                  llvm::MutableArrayRef<uint8_t> packed);

/// Fills the buffer with the stored bytes of `count` rows from row `first` on.
using RowReader = llvm::function_ref<llvm::Error(int64_t first, int64_t count,
                                                 llvm::MutableArrayRef<uint8_t> buffer)>;
/// Takes the packed bytes, one row group a call, in order.
using PackedSink = llvm::function_ref<llvm::Error(llvm::ArrayRef<uint8_t> rowGroup)>;

/// Repacks a whole weight, one row group in memory at a time.
llvm::Error packRows(const PackedLayout &layout, RowReader read, PackedSink write);

/// The scale and the minimum (0 where none) of a row's group.
std::pair<float, float> unpackScale(const PackedLayout &layout, llvm::ArrayRef<uint8_t> packed,
                                    int64_t row, int64_t group);

/// The code of one weight, as stored. Integer formats only.
uint8_t unpackCode(const PackedLayout &layout, llvm::ArrayRef<uint8_t> packed, int64_t row,
                   int64_t column);

/// A group record taken apart: codes[r * G + column] as stored, scales[r], minimums[r] (0 where
/// none).
struct UnpackedGroup {
  llvm::SmallVector<uint8_t, 256> codes;
  llvm::SmallVector<float, 8> scales, minimums;
};
UnpackedGroup unpackGroup(const PackedLayout &layout, llvm::ArrayRef<uint8_t> packed,
                          int64_t rowGroup, int64_t group);

/// The weight as a number, any format.
float unpackValue(const PackedLayout &layout, llvm::ArrayRef<uint8_t> packed, int64_t row,
                  int64_t column);

} // namespace ingot

#endif // INGOT_SUPPORT_PACKING_H
