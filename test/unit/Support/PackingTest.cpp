//===- PackingTest.cpp - Packing moves bits and loses none ------------------------------------===//

#include "ingot/Support/Packing.h"
#include "ingot/Support/Codec.h"
#include "gtest/gtest.h"
#include <cmath>
#include <random>

using namespace ingot;

namespace {

std::vector<uint8_t> makeRandomBytes(size_t size, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<uint8_t> bytes(size);
  for (uint8_t &byte : bytes)
    byte = random();
  return bytes;
}

/// A weight of one format with random bytes, as stored and as packed.
struct Weight {
  PackedLayout layout;
  uint64_t rowBytes;
  std::vector<uint8_t> source, packed;

  Weight(const NumericFormat &format, int64_t rows, int64_t columns, int64_t interleave = 8,
         PackedOrder order = PackedOrder::Interleaved)
      : layout(cantFail(PackedLayout::get(format, rows, columns, interleave, order))),
        rowBytes(*format.bytesForRow(columns)), source(makeRandomBytes(rows * rowBytes, rows)) {
    cantFail(packRows(
        layout,
        [&](int64_t first, int64_t count, llvm::MutableArrayRef<uint8_t> buffer) {
          EXPECT_EQ(buffer.size(), count * rowBytes);
          std::copy_n(source.begin() + first * rowBytes, buffer.size(), buffer.begin());
          return llvm::Error::success();
        },
        [&](llvm::ArrayRef<uint8_t> group) {
          packed.insert(packed.end(), group.begin(), group.end());
          return llvm::Error::success();
        }));
  }

  std::vector<float> decode(int64_t row) const {
    std::vector<float> values(layout.columns);
    decodeRow(*layout.format, llvm::ArrayRef(source).slice(row * rowBytes, rowBytes), values);
    return values;
  }
};

void expectSameBits(float actual, float expected) {
  if (std::isnan(expected))
    EXPECT_TRUE(std::isnan(actual));
  else
    EXPECT_EQ(llvm::bit_cast<uint32_t>(actual), llvm::bit_cast<uint32_t>(expected));
}

} // namespace

// Every number survives, in every format, with a row group that is not full, bit for bit.
TEST(Packing, KeepsEveryValue) {
  for (const NumericFormat &format : NumericFormat::all())
    for (int64_t interleave : {8, 16}) {
      SCOPED_TRACE(format.name.str());
      Weight weight(format, 21, 512, interleave);
      ASSERT_EQ(weight.packed.size(), weight.layout.bytes);
      for (int64_t row = 0; row < 21; ++row) {
        std::vector<float> values = weight.decode(row);
        for (int64_t column = 0; column < 512; ++column)
          expectSameBits(unpackValue(weight.layout, weight.packed, row, column), values[column]);
      }
    }
}

// The same in the order of GPUs.
TEST(Packing, KeepsEveryValueInPlanes) {
  for (const NumericFormat &format : NumericFormat::all()) {
    if (!format.isAffine())
      continue;
    SCOPED_TRACE(format.name.str());
    Weight weight(format, 21, 512, 8, PackedOrder::Planar);
    ASSERT_EQ(weight.packed.size(), weight.layout.bytes);
    for (int64_t row = 0; row < 21; ++row) {
      std::vector<float> values = weight.decode(row);
      for (int64_t column = 0; column < 512; ++column)
        expectSameBits(unpackValue(weight.layout, weight.packed, row, column), values[column]);
    }
  }
}

// Planes, scales and minimums of a planar row group share no bit and leave none; row groups and
// planes start where 16 bytes can be loaded, and neighbouring columns are 16 bits apart in a word.
TEST(Packing, PlanesAreWordsOfPairs) {
  for (const NumericFormat &format : NumericFormat::all()) {
    if (!format.isAffine())
      continue;
    SCOPED_TRACE(format.name.str());
    PackedLayout layout =
        cantFail(PackedLayout::get(format, 8, 3 * format.blockElements, 8, PackedOrder::Planar));
    EXPECT_EQ(layout.rowGroupBytes % 16, 0u);
    std::vector<unsigned> uses(layout.bytes * 8);
    for (unsigned plane = 0; plane < layout.planes.size(); ++plane) {
      EXPECT_EQ(layout.planes[plane].offset % 16, 0u);
      unsigned bits = layout.planes[plane].bits;
      for (int64_t row = 0; row < 8; ++row)
        for (int64_t column = 0; column < layout.columns; ++column) {
          PackedAddress place = layout.address(plane, row, column);
          for (unsigned bit = 0; bit < bits; ++bit)
            ++uses.at(place.byte * 8 + place.shift + bit);
          PackedAddress even = layout.address(plane, row, column & ~int64_t(1));
          unsigned half = std::min<unsigned>(16, layout.planes[plane].bytes * 4);
          if (column % 2)
            EXPECT_EQ(place.byte * 8 + place.shift, even.byte * 8 + even.shift + half);
        }
    }
    for (int64_t row = 0; row < 8; ++row)
      for (int64_t group = 0; group < layout.groupsPerRow; ++group)
        for (unsigned bit = 0; bit < layout.getScaleStride() * 8; ++bit)
          ++uses.at(layout.scaleAddress(row, group) * 8 + bit);
    EXPECT_TRUE(llvm::all_of(uses, [](unsigned count) { return count == 1; }));
  }
}

// The addresses of codes, scales and minimums cover a record exactly: no bit twice, none unused.
TEST(Packing, UsesEveryBitOnce) {
  for (const NumericFormat &format : NumericFormat::all()) {
    SCOPED_TRACE(format.name.str());
    PackedLayout layout = cantFail(PackedLayout::get(format, 8, format.blockElements));
    uint64_t blockScales = layout.hasBlockScales() ? 8 * 2 * (1 + format.hasMinimum) : 0;
    EXPECT_EQ(layout.blockScaleBytes, blockScales);
    EXPECT_EQ(layout.blockScaleOffset, format.groupsPerBlock() * layout.groupBytes);
    EXPECT_EQ(layout.rowGroupBytes, layout.blockScaleOffset + blockScales);
    std::vector<unsigned> uses(layout.groupBytes * 8);
    for (unsigned plane = 0; plane < layout.planes.size(); ++plane)
      for (int64_t row = 0; row < 8; ++row)
        for (int64_t column = 0; column < layout.groupColumns; ++column) {
          PackedAddress place = layout.address(plane, row, column);
          for (unsigned bit = 0; bit < layout.planes[plane].bits; ++bit)
            ++uses.at(place.byte * 8 + place.shift + bit);
        }
    for (uint64_t bit = layout.scaleOffset * 8; bit < uses.size(); ++bit)
      ++uses[bit];
    EXPECT_TRUE(llvm::all_of(uses, [](unsigned count) { return count == 1; }));
    EXPECT_EQ(layout.groupBytes, layout.scaleOffset + layout.scaleBits + layout.minimumBits);
  }
}

// One loaded register, shifted and masked, holds 8 rows x 4 consecutive columns: byte 4 r + j is
// row r, column j.
TEST(Packing, RegistersHoldConsecutiveColumns) {
  for (const NumericFormat &format : NumericFormat::all()) {
    if (format.isFloat())
      continue;
    SCOPED_TRACE(format.name.str());
    Weight weight(format, 8, 512);
    const PackedLayout &layout = weight.layout;
    unsigned columns = layout.groupColumns;
    for (int64_t group = 0; group < layout.groupsPerRow; ++group)
      for (unsigned column = 0; column < columns; column += 4) {
        std::vector<unsigned> codes(32);
        unsigned position = 0;
        for (const PackedPlane &plane : layout.planes) {
          const uint8_t *bytes =
              weight.packed.data() + layout.recordOffset(0, group) + plane.offset;
          std::vector<uint8_t> loaded(bytes, bytes + std::min<size_t>(32, plane.bytes));
          unsigned shift = column / 4;
          if (plane.isHalfRegister) {
            for (unsigned i = 0; i < 16; ++i)
              loaded.push_back(loaded[i] >> 4);
          } else {
            unsigned apart = columns * plane.bits / 8;
            bytes += column % apart / 4 * 32;
            loaded.assign(bytes, bytes + 32);
            shift = column / apart * plane.bits;
          }
          for (unsigned i = 0; i < 32; ++i)
            codes[i] |= ((loaded[i] >> shift) & ((1 << plane.bits) - 1)) << position;
          position += plane.bits;
        }
        UnpackedGroup unpacked = unpackGroup(layout, weight.packed, 0, group);
        for (unsigned row = 0; row < 8; ++row)
          for (unsigned j = 0; j < 4; ++j)
            EXPECT_EQ(codes[4 * row + j], unpacked.codes[row * columns + column + j]);
      }
  }
}

// The worked examples of Packing.h, and the bytes that a weight takes.
TEST(Packing, MatchesTheWorkedExamples) {
  auto get = [](llvm::StringRef name) {
    return cantFail(PackedLayout::get(*NumericFormat::lookup(name), 576, 1536));
  };
  PackedLayout q4 = get("q4_1");
  EXPECT_EQ(q4.groupBytes, 160u);
  EXPECT_EQ(q4.scaleOffset, 128u);
  EXPECT_EQ(q4.minimumOffset, 144u);
  EXPECT_EQ(q4.bytes, 576u * 1536 * 5 / 8);
  EXPECT_EQ(q4.address(0, 2, 21).byte, 41u);
  EXPECT_EQ(q4.address(0, 2, 21).shift, 4u);
  EXPECT_EQ(q4.address(0, 10, 32 + 21).byte, q4.rowGroupBytes + 160 + 41);
  EXPECT_EQ(get("q8_0").groupBytes, 256u + 16);
  EXPECT_EQ(get("q5_0").groupBytes, 128u + 32 + 16);
  EXPECT_EQ(get("q3_k").groupBytes, 32u + 16 + 8);
  EXPECT_EQ(get("q6_k").groupBytes, 64u + 32 + 8);
  PackedLayout q4k = get("q4_k");
  EXPECT_EQ(q4k.groupBytes, 128u + 8 + 8);
  EXPECT_EQ(q4k.bytes, uint64_t(576 * 1536 * 4.625 / 8));
  EXPECT_EQ(q4k.blockScaleAddress(10, 17), q4k.rowGroupBytes + 48 * 144 + 2 * 32 + 2 * 2);
  EXPECT_EQ(get("iq4_nl").groupBytes, 128u + 16);
  EXPECT_EQ(get("mxfp4").groupBytes, 128u + 32);
  EXPECT_EQ(get("i4z_f16").groupBytes, 128u + 16 + 8);
  EXPECT_EQ(get("i4z_f16").minimumAddress(10, 1),
            get("i4z_f16").rowGroupBytes + 152 + 128 + 16 + 2);
  EXPECT_EQ(get("f16").groupBytes, 16u);
}

// Rows that fill up the last row group are zero: codes, scales and minimums.
TEST(Packing, PadsWithZeros) {
  for (const NumericFormat &format : NumericFormat::all()) {
    if (format.isFloat())
      continue;
    Weight weight(format, 9, 256);
    UnpackedGroup group = unpackGroup(weight.layout, weight.packed, 1, 0);
    for (int64_t row = 1; row < 8; ++row) {
      EXPECT_EQ(group.scales[row], 0.0f);
      EXPECT_EQ(group.minimums[row], 0.0f);
      for (int64_t column = 0; column < weight.layout.groupColumns; ++column)
        EXPECT_EQ(group.codes[row * weight.layout.groupColumns + column], 0);
    }
  }
}

// What cannot be packed is refused in a sentence.
TEST(Packing, RefusesWhatDoesNotFit) {
  const NumericFormat &q4 = *NumericFormat::lookup("q4_1"), &f32 = *NumericFormat::lookup("f32");
  auto message = [](llvm::Expected<PackedLayout> layout) {
    return layout ? "" : llvm::toString(layout.takeError());
  };
  EXPECT_EQ(message(PackedLayout::get(q4, 8, 48)),
            "a weight of 8 x 48 cannot be packed as q4_1, whose rows are whole blocks of 32");
  EXPECT_EQ(message(PackedLayout::get(q4, 0, 32)),
            "a weight of 0 x 32 cannot be packed as q4_1, whose rows are whole blocks of 32");
  EXPECT_EQ(message(PackedLayout::get(q4, 8, 32, 12)),
            "a packing of 12 rows is not a power of two from 2 to 64");
  EXPECT_EQ(message(PackedLayout::get(f32, int64_t(1) << 40, int64_t(1) << 40)),
            "a weight of 1099511627776 x 1099511627776 packed as f32 exceeds 2^63 bytes");
  EXPECT_EQ(message(PackedLayout::get(f32, 8, 576)), "");
  EXPECT_EQ(message(PackedLayout::get(f32, 8, 576, 8, PackedOrder::Planar)),
            "a weight of f32 has no planes: its packing cannot be planar");
  EXPECT_EQ(
      message(PackedLayout::get(*NumericFormat::lookup("iq4_nl"), 8, 64, 8, PackedOrder::Planar)),
      "a weight of iq4_nl has no planes: its packing cannot be planar");
}
