//===- Packing.cpp - How kernels want weights in memory ---------------------------------------===//

#include "ingot/Support/Packing.h"
#include "ingot/Support/Codec.h"
#include "llvm/Support/Endian.h"
#include "llvm/Support/MathExtras.h"
#include <cassert>
#include <cstring>

using namespace ingot;
namespace endian = llvm::support::endian;

//===----------------------------------------------------------------------------------------------===//
// Layout
//===----------------------------------------------------------------------------------------------===//

/// Bits of each plane, low bits of the codes first.
static llvm::SmallVector<unsigned, 2> getPlaneBits(const NumericFormat &format) {
  switch (format.codeBits) {
  case 3:
    return {2, 1};
  case 5:
    return {4, 1};
  case 6:
    return {4, 2};
  default:
    return {format.codeBits};
  }
}

llvm::Expected<PackedLayout> PackedLayout::get(const NumericFormat &format, int64_t rows,
                                               int64_t columns, int64_t interleave,
                                               PackedOrder order) {
  if (interleave < 2 || interleave > 64 || !llvm::isPowerOf2_64(interleave))
    return llvm::createStringError("a packing of " + llvm::Twine(interleave) +
                                   " rows is not a power of two from 2 to 64");
  if (rows <= 0 || columns <= 0 || columns % format.blockElements != 0)
    return llvm::createStringError("a weight of " + llvm::Twine(rows) + " x " +
                                   llvm::Twine(columns) + " cannot be packed as " + format.name +
                                   ", whose rows are whole blocks of " +
                                   llvm::Twine(format.blockElements));
  bool isPlanar = order == PackedOrder::Planar;
  if (isPlanar && !format.isAffine())
    return llvm::createStringError("a weight of " + format.name +
                                   " has no planes: its packing cannot be planar");
  PackedLayout layout;
  layout.format = &format;
  layout.order = order;
  layout.rows = rows;
  layout.columns = columns;
  layout.interleave = interleave;
  layout.groupColumns = format.groupElements;
  layout.groupsPerRow = columns / layout.groupColumns;
  layout.rowGroups = (rows - 1) / interleave + 1;
  uint64_t rowsOfRecord = isPlanar ? 1 : interleave;
  uint64_t records = layout.groupsPerRow * (isPlanar ? interleave : 1); // of a row group
  uint64_t offset = 0;
  for (unsigned bits : getPlaneBits(format)) {
    uint64_t bytes = rowsOfRecord * layout.groupColumns * bits / 8;
    layout.planes.push_back({bits, offset * (isPlanar ? records : 1), bytes,
                             !isPlanar && bits == 1 && layout.groupColumns == 16});
    offset += bytes;
  }
  layout.scaleBits = format.isFloat()                     ? 0
                     : format.scaleKind == ScaleKind::F16 ? 16
                     : isPlanar || format.hasWideScale()  ? 32
                                                          : 8;
  layout.minimumBits = !format.hasMinimum ? 0 : format.minimumIsZeroPoint ? 8 : layout.scaleBits;
  layout.scaleOffset = offset * (isPlanar ? records : 1);
  layout.minimumOffset = layout.scaleOffset + rowsOfRecord * layout.scaleBits / 8;
  layout.groupBytes = offset + rowsOfRecord * layout.getScaleStride();
  layout.blockScaleBytes =
      layout.hasBlockScales() ? 2 * interleave * (format.hasMinimum ? 2 : 1) : 0;
  uint64_t blockScales = columns / format.blockElements * layout.blockScaleBytes;
  if (__builtin_mul_overflow(layout.groupBytes, records, &layout.blockScaleOffset) ||
      __builtin_add_overflow(layout.blockScaleOffset, blockScales, &layout.rowGroupBytes) ||
      __builtin_mul_overflow(layout.rowGroupBytes, uint64_t(layout.rowGroups), &layout.bytes) ||
      layout.bytes > uint64_t(INT64_MAX))
    return llvm::createStringError("a weight of " + llvm::Twine(rows) + " x " +
                                   llvm::Twine(columns) + " packed as " + format.name +
                                   " exceeds 2^63 bytes");
  return layout;
}

/// The place of a code within its record.
static PackedAddress getAddressInRecord(const PackedLayout &layout, const PackedPlane &plane,
                                        unsigned row, unsigned column) {
  unsigned interleave = layout.interleave;
  if (layout.format->isFloat())
    return {plane.offset + uint64_t(row) * plane.bits / 8, 0};
  if (plane.isHalfRegister)
    return {plane.offset + 4 * (row % (interleave / 2)) + column % 4,
            column / 4 + 4 * (row / (interleave / 2))};
  unsigned apart = layout.groupColumns * plane.bits / 8; // G / n
  unsigned inRegister = column % apart;
  return {plane.offset + inRegister / 4 * 4 * interleave + 4 * row + inRegister % 4,
          column / apart * plane.bits};
}

PackedAddress ingot::getPlanarAddress(const PackedPlane &plane, unsigned columnInGroup) {
  unsigned wordBits = std::min<unsigned>(32, 8 * plane.bytes), codes = wordBits / plane.bits;
  unsigned i = columnInGroup % codes;
  unsigned bit = (i / 2 + i % 2 * codes / 2) * plane.bits;
  return {columnInGroup / codes * wordBits / 8 + bit / 8, bit % 8};
}

PackedAddress PackedLayout::address(unsigned plane, int64_t row, int64_t column) const {
  if (order == PackedOrder::Planar) {
    uint64_t record = row % interleave * groupsPerRow + column / groupColumns;
    PackedAddress place = getPlanarAddress(planes[plane], column % groupColumns);
    place.byte +=
        row / interleave * rowGroupBytes + planes[plane].offset + record * planes[plane].bytes;
    return place;
  }
  PackedAddress place =
      getAddressInRecord(*this, planes[plane], row % interleave, column % groupColumns);
  place.byte += recordOffset(row / interleave, column / groupColumns);
  return place;
}

uint64_t PackedLayout::scaleAddress(int64_t row, int64_t group) const {
  uint64_t inGroup = row % interleave;
  if (order == PackedOrder::Planar)
    return row / interleave * rowGroupBytes + scaleOffset +
           (inGroup * groupsPerRow + group) * getScaleStride();
  return recordOffset(row / interleave, group) + scaleOffset + inGroup * scaleBits / 8;
}

uint64_t PackedLayout::blockScaleAddress(int64_t row, int64_t group) const {
  return row / interleave * rowGroupBytes + blockScaleOffset +
         group * groupColumns / format->blockElements * blockScaleBytes + row % interleave * 2;
}

uint64_t PackedLayout::minimumAddress(int64_t row, int64_t group) const {
  if (order == PackedOrder::Planar)
    return scaleAddress(row, group) + scaleBits / 8;
  return recordOffset(row / interleave, group) + minimumOffset + row % interleave * minimumBits / 8;
}

//===----------------------------------------------------------------------------------------------===//
// Packing
//===----------------------------------------------------------------------------------------------===//

// A row group is packed in two steps. First the codes of all its rows are staged as whole bytes in
// the order of code registers: byte 4 r + j of register v holds row r, column 4 v + j. Then each
// register of a plane is the union of n staged registers, shifted: loops over whole registers that
// the compiler turns into vector code.

/// Writes one plane of one record from the record's staged registers.
static void writePlane(const PackedLayout &layout, const PackedPlane &plane, unsigned position,
                       const uint8_t *staged, uint8_t *record) {
  unsigned registerBytes = 4 * layout.interleave, mask = (1u << plane.bits) - 1;
  uint8_t *out = record + plane.offset;
  unsigned apart = layout.groupColumns * plane.bits / 8; // columns between codes that share a byte
  if (plane.isHalfRegister) {
    unsigned half = registerBytes / 2;
    for (unsigned q = 0; q < 4; ++q)
      for (unsigned i = 0; i < half; ++i) {
        const uint8_t *codes = staged + q * registerBytes + i;
        out[i] |= (codes[0] >> position & 1) << q | (codes[half] >> position & 1) << (q + 4);
      }
    return;
  }
  for (unsigned v = 0; v < apart / 4; ++v, out += registerBytes)
    for (unsigned q = 0; q < 8 / plane.bits; ++q) {
      const uint8_t *codes = staged + (q * apart / 4 + v) * registerBytes;
      for (unsigned i = 0; i < registerBytes; ++i)
        out[i] |= (codes[i] >> position & mask) << (q * plane.bits);
    }
}

/// Writes the scale of one group of a block, and its minimum, to their places.
static void writeScales(const PackedLayout &layout, const uint8_t *block,
                        const DecodedBlock &decoded, unsigned group, uint8_t *scale,
                        uint8_t *minimum) {
  const NumericFormat &format = *layout.format;
  if (layout.hasBlockScales()) {
    *scale = decoded.subScales[group].scale;
    if (format.hasMinimum)
      *minimum = decoded.subScales[group].minimum;
    return;
  }
  if (layout.scaleBits == 16) // copied, so that even a NaN keeps its bits
    memcpy(scale, block + format.scaleOffset, 2);
  else
    endian::write32le(scale, llvm::bit_cast<uint32_t>(decoded.scales[group]));
  if (layout.minimumBits == 32)
    endian::write32le(minimum, llvm::bit_cast<uint32_t>(decoded.minimums[group]));
  else
    memcpy(minimum, block + format.minimumOffset, layout.minimumBits / 8);
}

/// Stages the codes of one stored row of an integer format and writes its scales.
static void stageRow(const PackedLayout &layout, unsigned row, const uint8_t *source,
                     uint8_t *staged, uint8_t *packed) {
  const NumericFormat &format = *layout.format;
  DecodedBlock block;
  uint8_t *blockScale = packed + layout.blockScaleOffset + 2 * row;
  for (int64_t column = 0; column < layout.columns;
       column += format.blockElements, source += format.blockBytes) {
    decodeBlock(format, source, block);
    if (layout.hasBlockScales()) { // copied, so that even a NaN keeps its bits
      memcpy(blockScale, source + format.scaleOffset, 2);
      if (format.hasMinimum) // subtracted there, added here
        endian::write16le(blockScale + layout.getBlockMinimumDistance(),
                          endian::read16le(source + format.minimumOffset) ^ 0x8000);
      blockScale += layout.blockScaleBytes;
    }
    for (unsigned i = 0; i < format.blockElements; i += 4)
      memcpy(staged + (column + i) * layout.interleave + 4 * row, block.codes + i, 4);
    for (unsigned group = 0; group < format.groupsPerBlock(); ++group, packed += layout.groupBytes)
      writeScales(layout, source, block, group, packed + layout.scaleAddress(row, 0),
                  packed + layout.minimumAddress(row, 0));
  }
}

/// Writes one stored row of a planar row group.
static void packPlanarRow(const PackedLayout &layout, int64_t row, const uint8_t *source,
                          uint8_t *packed) {
  const NumericFormat &format = *layout.format;
  DecodedBlock block;
  int64_t group = 0;
  for (; group < layout.groupsPerRow; source += format.blockBytes) {
    decodeBlock(format, source, block);
    for (unsigned i = 0; i < format.groupsPerBlock(); ++i, ++group) {
      const uint8_t *codes = block.codes + i * layout.groupColumns;
      unsigned position = 0;
      for (const PackedPlane &plane : layout.planes) {
        uint8_t *out = packed + plane.offset + (row * layout.groupsPerRow + group) * plane.bytes;
        unsigned mask = (1u << plane.bits) - 1;
        for (unsigned column = 0; column < layout.groupColumns; ++column) {
          PackedAddress place = getPlanarAddress(plane, column);
          out[place.byte] |= (codes[column] >> position & mask) << place.shift;
        }
        position += plane.bits;
      }
      writeScales(layout, source, block, i, packed + layout.scaleAddress(row, group),
                  packed + layout.minimumAddress(row, group));
    }
  }
}

void ingot::packRowGroup(const PackedLayout &layout, llvm::ArrayRef<uint8_t> source,
                         llvm::MutableArrayRef<uint8_t> packed) {
  uint64_t rowBytes = *layout.format->bytesForRow(layout.columns);
  int64_t rows = source.size() / rowBytes;
  assert(rows * rowBytes == source.size() && rows <= layout.interleave && "not a row group");
  assert(packed.size() == layout.rowGroupBytes && "not the room of a row group");
  std::fill(packed.begin(), packed.end(), 0);
  if (layout.order == PackedOrder::Planar) {
    for (int64_t row = 0; row < rows; ++row)
      packPlanarRow(layout, row, source.data() + row * rowBytes, packed.data());
    return;
  }
  if (!layout.format->isFloat()) {
    std::vector<uint8_t> staged(layout.interleave * layout.columns);
    for (int64_t row = 0; row < rows; ++row)
      stageRow(layout, row, source.data() + row * rowBytes, staged.data(), packed.data());
    uint64_t stagedBytes = layout.interleave * layout.groupColumns;
    for (int64_t group = 0; group < layout.groupsPerRow; ++group) {
      unsigned position = 0;
      for (const PackedPlane &plane : layout.planes) {
        writePlane(layout, plane, position, staged.data() + group * stagedBytes,
                   packed.data() + group * layout.groupBytes);
        position += plane.bits;
      }
    }
    return;
  }
  unsigned size = layout.format->blockBytes;
  for (int64_t row = 0; row < rows; ++row)
    for (int64_t column = 0; column < layout.columns; ++column)
      memcpy(packed.data() + column * layout.groupBytes + row * size,
             source.data() + row * rowBytes + column * size, size);
}

llvm::Error ingot::packRows(const PackedLayout &layout, RowReader read, PackedSink write) {
  uint64_t rowBytes = *layout.format->bytesForRow(layout.columns);
  std::vector<uint8_t> source(rowBytes * layout.interleave), packed(layout.rowGroupBytes);
  for (int64_t first = 0; first < layout.rows; first += layout.interleave) {
    int64_t count = std::min(layout.interleave, layout.rows - first);
    llvm::MutableArrayRef<uint8_t> rows(source.data(), count * rowBytes);
    if (llvm::Error error = read(first, count, rows))
      return error;
    packRowGroup(layout, rows, packed);
    if (llvm::Error error = write(packed))
      return error;
  }
  return llvm::Error::success();
}

//===----------------------------------------------------------------------------------------------===//
// Reading
//===----------------------------------------------------------------------------------------------===//

uint8_t ingot::unpackCode(const PackedLayout &layout, llvm::ArrayRef<uint8_t> packed, int64_t row,
                          int64_t column) {
  assert(!layout.format->isFloat() && "floats have no codes");
  unsigned code = 0, position = 0;
  for (unsigned plane = 0; plane < layout.planes.size(); ++plane) {
    PackedAddress place = layout.address(plane, row, column);
    unsigned bits = layout.planes[plane].bits;
    code |= ((packed[place.byte] >> place.shift) & ((1u << bits) - 1)) << position;
    position += bits;
  }
  return code;
}

static float readNumber(unsigned bits, const uint8_t *bytes) {
  if (bits == 8)
    return int8_t(*bytes);
  return bits == 16 ? halfToFloat(endian::read16le(bytes))
                    : llvm::bit_cast<float>(endian::read32le(bytes));
}

std::pair<float, float> ingot::unpackScale(const PackedLayout &layout,
                                           llvm::ArrayRef<uint8_t> packed, int64_t row,
                                           int64_t group) {
  float scale = readNumber(layout.scaleBits, packed.data() + layout.scaleAddress(row, group));
  const uint8_t *place = packed.data() + layout.minimumAddress(row, group);
  if (layout.hasBlockScales()) {
    const uint8_t *block = packed.data() + layout.blockScaleAddress(row, group);
    float minimum = layout.minimumBits ? readNumber(layout.minimumBits, place) : 0.0f;
    return {scale * readNumber(16, block),
            layout.minimumBits ? minimum * readNumber(16, block + layout.getBlockMinimumDistance())
                               : 0.0f};
  }
  if (layout.minimumBits == 0)
    return {scale, 0.0f};
  if (layout.minimumBits == 8)
    return {scale, layout.format->getZeroMinimum(scale, *place)};
  return {scale, readNumber(layout.minimumBits, place)};
}

UnpackedGroup ingot::unpackGroup(const PackedLayout &layout, llvm::ArrayRef<uint8_t> packed,
                                 int64_t rowGroup, int64_t group) {
  UnpackedGroup result;
  for (int64_t row = 0; row < layout.interleave; ++row) {
    for (int64_t column = 0; column < layout.groupColumns; ++column)
      result.codes.push_back(unpackCode(layout, packed, rowGroup * layout.interleave + row,
                                        group * layout.groupColumns + column));
    auto [scale, minimum] = unpackScale(layout, packed, rowGroup * layout.interleave + row, group);
    result.scales.push_back(scale);
    result.minimums.push_back(minimum);
  }
  return result;
}

float ingot::unpackValue(const PackedLayout &layout, llvm::ArrayRef<uint8_t> packed, int64_t row,
                         int64_t column) {
  const NumericFormat &format = *layout.format;
  if (format.isFloat()) {
    float value;
    decodeRow(format, packed.slice(layout.address(0, row, column).byte, format.blockBytes), value);
    return value;
  }
  auto [scale, minimum] = unpackScale(layout, packed, row, column / layout.groupColumns);
  float value = scale * decodeNumber(format, unpackCode(layout, packed, row, column));
  return format.hasMinimum ? value + minimum : value;
}
