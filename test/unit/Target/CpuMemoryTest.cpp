//===- CpuMemoryTest.cpp - Loads, stores, masks and rearrangement of compiled kernels ----------------------===//
//
// Every layout must move the same numbers: tiles are copied through several layouts and element
// types, with and without masks, and what is outside must stay as it was. Packed weights are
// decoded and compared with the codec.
//
//===----------------------------------------------------------------------------------------------===//

#include "ingot/Support/Codec.h"
#include "ingot/Support/Packing.h"
#include "test/lib/CompiledKernels.h"
#include "gtest/gtest.h"
#include <cstring>
#include <random>
#include <vector>

using namespace ingot;
using namespace ingot::test;

namespace {

/// Layouts of a tile of 4 x 16, by what they are.
const std::pair<const char *, const char *> layouts[] = {
    {"lanes over columns", "register = [[0, 8], [1, 0], [2, 0]], lane = [[0, 1], [0, 2], [0, 4]]"},
    {"pairs of columns in a lane",
     "register = [[0, 1], [1, 0], [2, 0]], lane = [[0, 2], [0, 4], [0, 8]]"},
    {"four columns in a lane",
     "register = [[0, 1], [0, 2], [1, 0]], lane = [[0, 4], [0, 8], [2, 0]]"},
    {"lanes over rows",
     "register = [[0, 1], [0, 2], [0, 4], [0, 8]], lane = [[1, 0], [2, 0], [0, 0]]"},
    {"replicated lanes", "register = [[0, 1], [0, 2], [0, 4], [0, 8], [1, 0], [2, 0]], lane = [[0, "
                         "0], [0, 0], [0, 0]]"},
    {"swizzled", "register = [[0, 8], [1, 4], [2, 2]], lane = [[0, 1], [0, 2], [0, 4]]"},
};

std::string makeCopy(const std::string &element, const char *layout, const char *second,
                     const char *masked) {
  std::string view = "!tile.view<[tokens, 20], " + element + ">";
  std::string tile = "tensor<4x16x" + element + ", #l>", other = "tensor<4x16x" + element + ", #m>";
  return std::string("#l = #tile.layout<") + layout + ">\n#m = #tile.layout<" + second +
         ">\ntile.kernel @Copy(%a: " + view + ", %b: " + view + R"() grid [tokens ceildiv 4] {
      %i = tile.block_id x
      %c4 = arith.constant 4 : index
      %t = arith.muli %i, %c4 : index
      %n = tile.count sequences
      %x = tile.load %a[%t, %n] )" +
         masked + " : " + view + " -> " + tile + "\n%y = tile.convert_layout %x : " + tile +
         " -> " + other + "\ntile.store %y, %b[%t, %n] " + masked + " : " + other + ", " + view +
         "\ntile.return\n}";
}

template <typename T> void checkCopies(const std::string &element) {
  std::mt19937 random(1);
  for (auto [name, layout] : layouts)
    for (auto [secondName, second] : layouts)
      for (const char *masked : {"", "masked"}) {
        // From and to the first layout, without masks; each layout alone with them.
        bool isAlone = layout == second,
             meetsFirst = layout == layouts[0].second || second == layouts[0].second;
        if (*masked ? !isAlone : !meetsFirst)
          continue;
        CompiledKernels kernels(makeCopy(element, layout, second, masked));
        ASSERT_EQ(kernels.error, "") << name << ", " << secondName;
        // Masked: 6 of 8 rows exist, columns from 7 (13 of 16 exist). Otherwise all from column 2
        // on.
        int64_t tokens = *masked ? 6 : 8, first = *masked ? 7 : 2;
        std::vector<T> a(tokens * 20), b(tokens * 20, 99);
        for (T &value : a)
          value = T(int(random() % 90));
        kernels.run("Copy", {a.data(), b.data()}, {tokens, 1, first}, {2, 1, 1});
        for (int64_t t = 0; t < tokens; ++t)
          for (int64_t c = 0; c < 20; ++c)
            ASSERT_EQ(float(b[t * 20 + c]),
                      c >= first && c < first + 16 ? float(a[t * 20 + c]) : 99.0f)
                << element << " " << name << " to " << secondName << " " << masked << " at " << t
                << ", " << c;
      }
}

TEST(CpuMemory, CopiesF32InEveryLayout) { checkCopies<float>("f32"); }
TEST(CpuMemory, CopiesBytesInEveryLayout) { checkCopies<int8_t>("i8"); }
TEST(CpuMemory, CopiesHalvesInEveryLayout) { checkCopies<_Float16>("f16"); }

TEST(CpuMemory, MaskedLoadsReadZeroOutside) {
  CompiledKernels kernels(R"(
    #l = #tile.layout<register = [[0, 8], [1, 0], [2, 0]], lane = [[0, 1], [0, 2], [0, 4]]>
    tile.kernel @Pad(%a: !tile.view<[tokens, 13], f32>, %b: !tile.view<[4, 16], f32>) grid [] {
      %c0 = arith.constant 0 : index
      %x = tile.load %a[%c0, %c0] masked : !tile.view<[tokens, 13], f32> -> tensor<4x16xf32, #l>
      tile.store %x, %b[%c0, %c0] : tensor<4x16xf32, #l>, !tile.view<[4, 16], f32>
      tile.return
    })");
  ASSERT_EQ(kernels.error, "");
  std::vector<float> a(3 * 13, 5), b(64, 99);
  kernels.run("Pad", {a.data(), b.data()}, {3, 1, 1});
  for (int t = 0; t < 4; ++t)
    for (int c = 0; c < 16; ++c)
      EXPECT_EQ(b[t * 16 + c], t < 3 && c < 13 ? 5 : 0) << t << ", " << c;
}

TEST(CpuMemory, MaskedStoresKeepWhatTheOutsideOverlaps) {
  // Rows 3..7 of one column lie where the next columns are.
  CompiledKernels kernels(R"(
    #l = #tile.layout<register = [[0, 1], [0, 2]], lane = [[1, 0], [2, 0], [4, 0]]>
    tile.kernel @K(%a: !tile.view<[8, 4], f32>, %b: !tile.view<[3, 4], f32, strides = [1, 3]>) grid [] {
      %c0 = arith.constant 0 : index
      %x = tile.load %a[%c0, %c0] : !tile.view<[8, 4], f32> -> tensor<8x4xf32, #l>
      tile.store %x, %b[%c0, %c0] masked : tensor<8x4xf32, #l>, !tile.view<[3, 4], f32, strides = [1, 3]>
      tile.return
    })");
  ASSERT_EQ(kernels.error, "");
  std::vector<float> a(32), b(12, 99);
  for (int i = 0; i < 32; ++i)
    a[i] = i;
  kernels.run("K", {a.data(), b.data()});
  for (int column = 0; column < 4; ++column)
    for (int row = 0; row < 3; ++row)
      EXPECT_EQ(b[column * 3 + row], a[row * 4 + column]) << row << ", " << column;
}

TEST(CpuMemory, StridesScalarsBroadcastAndExchange) {
  // b[t, i] = a[i, t] (a transposed view) + s[t], neighbours swapped.
  CompiledKernels kernels(R"(
    #l = #tile.layout<register = [[0, 8]], lane = [[0, 1], [0, 2], [0, 4]]>
    #s = #tile.layout<lane = [[0, 0], [0, 0], [0, 0]]>
    tile.kernel @K(%a: !tile.view<[tokens, 16], f32, strides = [1, 4]>, %s: !tile.view<[tokens, 1], f32>,
                   %b: !tile.view<[tokens, 16], f32>, %w: !tile.view<[tokens], i32>) grid [tokens] {
      %t = tile.block_id x
      %c0 = arith.constant 0 : index
      %x = tile.load %a[%t, %c0] : !tile.view<[tokens, 16], f32, strides = [1, 4]> -> tensor<1x16xf32, #l>
      %r = tile.load %s[%t, %c0] : !tile.view<[tokens, 1], f32> -> tensor<1x1xf32, #s>
      %q = tile.broadcast %r : tensor<1x1xf32, #s> -> tensor<1x16xf32, #l>
      %y = arith.addf %x, %q : tensor<1x16xf32, #l>
      %e = tile.exchange %y dim 1 distance 9 : tensor<1x16xf32, #l>
      tile.store %e, %b[%t, %c0] : tensor<1x16xf32, #l>, !tile.view<[tokens, 16], f32>
      %i = tile.read %w[%c0] : !tile.view<[tokens], i32> -> i32
      %j = arith.addi %i, %i : i32
      tile.write %j, %w[%t] : i32, !tile.view<[tokens], i32>
      tile.return
    })");
  ASSERT_EQ(kernels.error, "");
  std::vector<float> a(64), s = {100, 200, 300, 400}, b(64);
  std::vector<int32_t> w = {1, 0, 0, 0};
  for (int i = 0; i < 64; ++i)
    a[i] = i;
  kernels.run("K", {a.data(), s.data(), b.data(), w.data()}, {4, 1, 1}, {4, 1, 1});
  for (int t = 0; t < 4; ++t)
    for (int i = 0; i < 16; ++i)
      EXPECT_EQ(b[t * 16 + i], a[(i ^ 9) * 4 + t] + s[t]);
  EXPECT_EQ(w, (std::vector<int32_t>{2, 4, 4, 4}));
}

TEST(CpuMemory, TilesGoThroughLoopsAndConditions) {
  CompiledKernels kernels(R"(
    #l = #tile.layout<register = [[8]], lane = [[1], [2], [4]]>
    tile.kernel @K(%a: !tile.view<[16], f32>) grid [] {
      %c0 = arith.constant 0 : index
      %c1 = arith.constant 1 : index
      %n = tile.count tokens
      %x = tile.load %a[%c0] : !tile.view<[16], f32> -> tensor<16xf32, #l>
      %y, %k = scf.for %i = %c0 to %n step %c1 iter_args(%v = %x, %j = %c0) -> (tensor<16xf32, #l>, index) {
        %p = arith.cmpi slt, %i, %c1 : index
        %w = scf.if %p -> tensor<16xf32, #l> {
          scf.yield %v : tensor<16xf32, #l>
        } else {
          %d = arith.addf %v, %v : tensor<16xf32, #l>
          scf.yield %d : tensor<16xf32, #l>
        }
        %m = arith.addi %j, %c1 : index
        scf.yield %w, %m : tensor<16xf32, #l>, index
      }
      tile.store %y, %a[%c0] : tensor<16xf32, #l>, !tile.view<[16], f32>
      tile.return
    })");
  ASSERT_EQ(kernels.error, "");
  std::vector<float> a(16);
  for (int i = 0; i < 16; ++i)
    a[i] = i;
  kernels.run("K", {a.data()}, {4, 1, 1});
  for (int i = 0; i < 16; ++i)
    EXPECT_EQ(a[i], 8 * i);
}

/// Random bytes of a format's blocks whose scales are ordinary numbers.
std::vector<uint8_t> makeStoredRow(const NumericFormat &format, int64_t columns,
                                   std::mt19937 &random) {
  std::vector<uint8_t> bytes(*format.bytesForRow(columns));
  for (uint8_t &byte : bytes)
    byte = random();
  auto halve = [&](size_t at) { bytes[at + 1] = 0x20 + random() % 0x10 + (random() % 2) * 0x80; };
  for (size_t block = 0; block < bytes.size(); block += format.blockBytes) {
    if (format.isFloat()) {
      bytes[block + format.blockBytes - 1] = 0x38 + random() % 8;
      continue;
    }
    writeScale(format, 0x1.5cp-7f * (1 + random() % 8), &bytes[block]);
    if (format.hasMinimum && !format.minimumIsZeroPoint)
      halve(block + format.minimumOffset);
  }
  return bytes;
}

TEST(CpuMemory, DecodesEveryFormatBitForBit) {
  std::mt19937 random(3);
  for (const NumericFormat &format : NumericFormat::all()) {
    SCOPED_TRACE(format.name.str());
    int64_t rows = 13, columns = 512, group = format.isFloat() ? 8 : format.groupElements;
    auto layout = PackedLayout::get(format, rows, columns);
    ASSERT_TRUE(bool(layout));
    std::vector<uint8_t> packed(layout->bytes), stored;
    for (int64_t row = 0; row < rows; ++row) {
      std::vector<uint8_t> bytes = makeStoredRow(format, columns, random);
      stored.insert(stored.end(), bytes.begin(), bytes.end());
    }
    size_t rowBytes = stored.size() / rows;
    for (int64_t first = 0; first < rows; first += 8)
      packRowGroup(*layout,
                   llvm::ArrayRef(stored).slice(first * rowBytes,
                                                std::min<int64_t>(8, rows - first) * rowBytes),
                   llvm::MutableArrayRef(packed).slice(first / 8 * layout->rowGroupBytes,
                                                       layout->rowGroupBytes));
    std::string weight = "!tile.view<[13, 512], #tile.packed<" + format.name.str() + ", rows = 8>>";
    std::string registers;
    for (int64_t step = 1; step < group; step *= 2)
      registers += (registers.empty() ? "[0, " : ", [0, ") + std::to_string(step) + "]";
    std::string size = "8x" + std::to_string(group), codes = "tensor<" + size + "xi8, #c>";
    std::string values = "tensor<" + size + "xf32, #c>", column = "tensor<8x1xf32, #s>";
    std::string body =
        format.isFloat() ? "%v = tile.decode %w[%row, %k] : " + weight + " -> " + values + "\n"
                         : "%c, %s, %m = tile.decode %w[%row, %k] : " + weight + " -> " + codes +
                               ", " + column + ", " + column + "\n%f = arith.sitofp %c : " + codes +
                               " to " + values + "\n%sb = tile.broadcast %s : " + column + " -> " +
                               values + "\n%mb = tile.broadcast %m : " + column + " -> " + values +
                               "\n%v = math.fma %sb, %f, %mb : " + values + "\n";
    CompiledKernels kernels(
        "#c = #tile.layout<register = [" + registers + R"(], lane = [[1, 0], [2, 0], [4, 0]]>
      #s = #tile.layout<lane = [[1, 0], [2, 0], [4, 0]]>
      tile.kernel @Decode(%w: )" +
        weight + R"(, %b: !tile.view<[13, 512], f32>) grid [2] {
        %i = tile.block_id x
        %c8 = arith.constant 8 : index
        %row = arith.muli %i, %c8 : index
        %c0 = arith.constant 0 : index
        %n = arith.constant 512 : index
        %g = arith.constant )" +
        std::to_string(group) + " : index\n scf.for %k = %c0 to %n step %g {\n" + body +
        "tile.store %v, %b[%row, %k] masked : " + values +
        ", !tile.view<[13, 512], f32>\n}\ntile.return\n}");
    ASSERT_EQ(kernels.error, "");
    std::vector<float> result(rows * columns, 99), expected(columns);
    kernels.run("Decode", {packed.data(), result.data()}, {1, 1, 1}, {2, 1, 1});
    for (int64_t row = 0; row < rows; ++row) {
      decodeRow(format, llvm::ArrayRef(stored).slice(row * rowBytes, rowBytes), expected);
      // Codes of 8-bit floats are bytes to the decode; what they mean is the kernel's to compute.
      for (int64_t k = 0; format.codesAreFloats && k < columns; ++k) {
        const uint8_t *block = &stored[row * rowBytes + k / 32 * format.blockBytes];
        expected[k] = readScale(format, block) * float(int8_t(block[4 + k % 32]));
      }
      for (int64_t k = 0; k < columns; ++k)
        ASSERT_EQ(result[row * columns + k], expected[k]) << row << ", " << k;
    }
  }
}

} // namespace
