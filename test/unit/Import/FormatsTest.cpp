//===- FormatsTest.cpp - Decoding and encoding equal PyPI gguf, bit for bit --------------------------===//
//
// The fixtures are made by tools/fixtures/make_gguf_fixtures.py: ordinary blocks, random bits in
// every field, all zeros, all ones, the largest, smallest and infinite scales.
//
//===----------------------------------------------------------------------------------------------===//

#include "ingot/Import/Gguf.h"
#include "ingot/Support/Codec.h"
#include "ingot/Support/Packing.h"
#include "llvm/Support/Endian.h"
#include "gtest/gtest.h"
#include <cmath>

using namespace ingot;

namespace {
std::unique_ptr<GgufFile> openFixture(llvm::StringRef name) {
  return cantFail(GgufFile::open((llvm::Twine(INGOT_FIXTURES "/") + name).str()));
}

std::vector<float> readExpected() {
  auto buffer = llvm::MemoryBuffer::getFile(INGOT_FIXTURES "/formats.f32", /*IsText=*/false,
                                            /*RequiresNullTerminator=*/false);
  std::vector<float> values((*buffer)->getBufferSize() / 4);
  memcpy(values.data(), (*buffer)->getBufferStart(), values.size() * 4);
  return values;
}

bool areSame(float a, float b) {
  return (std::isnan(a) && std::isnan(b)) ||
         llvm::bit_cast<uint32_t>(a) == llvm::bit_cast<uint32_t>(b);
}
} // namespace

// The values of every format of GGUF are those of gguf.quants, by rows and through the packed
// layout.
TEST(Formats, DecodeAsGgufDoes) {
  std::unique_ptr<GgufFile> file = openFixture("formats.gguf");
  std::vector<float> expected = readExpected();
  ASSERT_EQ(file->getTensors().size(), 16u);
  size_t offset = 0;
  for (const GgufTensor &tensor : file->getTensors()) {
    SCOPED_TRACE(tensor.name.str());
    EXPECT_EQ(tensor.info.format->name, tensor.name);
    std::vector<float> values(tensor.info.rows * tensor.info.columns);
    ASSERT_EQ(llvm::toString(file->readValues(tensor.name, 0, tensor.info.rows, values)), "");
    PackedLayout layout =
        cantFail(PackedLayout::get(*tensor.info.format, tensor.info.rows, tensor.info.columns));
    std::vector<uint8_t> packed(layout.bytes);
    packRowGroup(layout, tensor.bytes, packed);
    unsigned finite = 0;
    for (size_t i = 0; i < values.size(); ++i) {
      ASSERT_TRUE(areSame(values[i], expected[offset + i])) << i;
      float unpacked =
          unpackValue(layout, packed, i / tensor.info.columns, i % tensor.info.columns);
      ASSERT_TRUE(areSame(unpacked, expected[offset + i])) << i;
      finite += std::isfinite(values[i]);
    }
    EXPECT_GT(finite, values.size() / 2); // the comparison is not one of NaNs
    offset += values.size();
  }
  EXPECT_EQ(offset, expected.size());
}

// Every encoder's blocks are those of gguf.quants.
TEST(Formats, EncodeAsGgufDoes) {
  std::unique_ptr<GgufFile> file = openFixture("encoded.gguf");
  const GgufTensor *source = file->findTensor("source");
  std::vector<float> values(source->info.rows * source->info.columns);
  ASSERT_EQ(llvm::toString(file->readValues("source", 0, source->info.rows, values)), "");
  unsigned compared = 0;
  for (const NumericFormat &format : NumericFormat::all()) {
    const GgufTensor *expected = file->findTensor(format.name);
    if (!expected)
      continue;
    SCOPED_TRACE(format.name.str());
    ASSERT_TRUE(canEncode(format));
    std::vector<uint8_t> bytes(expected->info.bytes);
    encodeRow(format, values, bytes);
    EXPECT_EQ(llvm::ArrayRef(bytes), expected->bytes);
    ++compared;
  }
  EXPECT_EQ(compared, 7u);
}
