//===- GgufTest.cpp - GGUF files are read, or refused in a sentence ----------------------------------===//

#include "GgufBuilder.h"
#include "gtest/gtest.h"
#include <random>

using namespace ingot;

namespace {
std::unique_ptr<GgufFile> openFixture(llvm::StringRef name) {
  return cantFail(GgufFile::open((llvm::Twine(INGOT_FIXTURES "/") + name).str()));
}

/// A small good file with a value of every kind and two tensors.
GgufBuilder makeSmallFile() {
  GgufBuilder builder;
  builder.addHeader(2, 5).addStringEntry("general.architecture", "llama");
  builder.addEntry<uint32_t>("general.alignment", GgufType::U32, 64);
  builder.addEntry<uint8_t>("flag", GgufType::Bool, 1);
  builder.addName("words").add(GgufType::Array).add(GgufType::String).add<uint64_t>(2);
  builder.addName("one").addName("two");
  builder.addName("nested").add(GgufType::Array).add(GgufType::Array).add<uint64_t>(2);
  builder.add(GgufType::U16).add<uint64_t>(1).add<uint16_t>(7);
  builder.add(GgufType::String).add<uint64_t>(1).addName("x");
  builder.addTensor("a", {4, 3}, /*F32*/ 0, 0);
  builder.addTensor("b", {32, 2}, /*Q8_0*/ 8, 64);
  builder.pad(64);
  builder.bytes.append(64 + 68, 'x');
  return builder;
}
} // namespace

// Metadata of every type comes back as PyPI gguf wrote it.
TEST(Gguf, ReadsMetadata) {
  std::unique_ptr<GgufFile> file = openFixture("formats.gguf");
  EXPECT_EQ(file->getVersion(), 3u);
  auto get = [&](llvm::StringRef key) { return *file->findEntry(key); };
  EXPECT_EQ(get("value.u8").getInteger(), 255);
  EXPECT_EQ(get("value.i8").getInteger(), -128);
  EXPECT_EQ(get("value.i8").getUnsigned(), std::nullopt);
  EXPECT_EQ(get("value.u16").getInteger(), 65535);
  EXPECT_EQ(get("value.i16").getInteger(), -32768);
  EXPECT_EQ(get("value.u32").getUnsigned(), 4294967295u);
  EXPECT_EQ(get("value.i32").getInteger(), -2147483648ll);
  EXPECT_EQ(get("value.u64").getUnsigned(), UINT64_MAX);
  EXPECT_EQ(get("value.u64").getInteger(), std::nullopt);
  EXPECT_EQ(get("value.i64").getInteger(), INT64_MIN);
  EXPECT_EQ(get("value.f32").getFloat(), double(0.1f));
  EXPECT_EQ(get("value.f64").getFloat(), 0.1);
  EXPECT_EQ(get("value.f64").getInteger(), std::nullopt);
  EXPECT_EQ(get("value.bool").getBool(), true);
  EXPECT_EQ(get("value.string").getString(), "Grüße, 世界");
  EXPECT_EQ(get("value.string").getBool(), std::nullopt);
  EXPECT_EQ(get("array.i32").getIntegers(), (std::vector<int64_t>{-1, 0, 1}));
  EXPECT_EQ(get("array.i32").getStrings(), std::nullopt);
  EXPECT_EQ(get("array.f32").getFloats(), (std::vector<double>{0.5, -0.25}));
  EXPECT_EQ(get("array.string").getStrings(),
            (std::vector<llvm::StringRef>{"a", "", "ß", "<|end|>"}));
  EXPECT_EQ(get("array.bool").getElementType(), GgufType::Bool);
  EXPECT_EQ(file->findEntry("value"), nullptr);
}

// Nested arrays, alignment, both versions; sizes are slowest first; the file is a weight store.
TEST(Gguf, ReadsASmallFile) {
  GgufBuilder builder = makeSmallFile();
  for (char version : {2, 3}) {
    builder.bytes[4] = version;
    std::unique_ptr<GgufFile> file = cantFail(builder.parse());
    EXPECT_EQ(file->getAlignment(), 64u);
    EXPECT_EQ(file->getNames(), (std::vector<std::string>{"a", "b"}));
    EXPECT_EQ(file->find("a")->shape, (llvm::SmallVector<int64_t, 4>{3, 4}));
    EXPECT_EQ(file->find("b")->format, NumericFormat::lookup("q8_0"));
    EXPECT_EQ(file->getMapped("b").size(), 68u);
    EXPECT_EQ(file->getMapped("b").end() - file->getMapped("a").begin(), 64 + 68);
    std::vector<uint8_t> row(34);
    EXPECT_EQ(llvm::toString(file->readRows("b", 1, 1, row)), "");
    EXPECT_EQ(row, std::vector<uint8_t>(34, 'x'));
    std::vector<uint64_t> counts;
    file->findEntry("nested")->forEachElement([&](GgufValue element) {
      counts.push_back(element.getElementCount());
      EXPECT_TRUE(element.getIntegers().has_value() != element.getStrings().has_value());
    });
    EXPECT_EQ(counts, (std::vector<uint64_t>{1, 1}));
  }
}

// Required entries that are missing, of another type or out of range are named with both.
TEST(Gguf, NamesWhatARequiredEntryLacks) {
  std::unique_ptr<GgufFile> file = cantFail(makeSmallFile().parse());
  auto message = [](auto value) { return value ? "" : llvm::toString(value.takeError()); };
  EXPECT_EQ(cantFail(file->getString("general.architecture")), "llama");
  EXPECT_EQ(message(file->getInteger("general.alignment", 1, 64)), "");
  EXPECT_EQ(message(file->getInteger("general.alignment", 1, 63)),
            "test.gguf: metadata entry 'general.alignment' is 64, expected 1 to 63");
  EXPECT_EQ(message(file->getInteger("flag", 0, 1)),
            "test.gguf: metadata entry 'flag' is of type bool, expected an integer");
  EXPECT_EQ(message(file->getFloat("rope")), "test.gguf: metadata entry 'rope' is missing");
  EXPECT_EQ(message(file->getString("words")),
            "test.gguf: metadata entry 'words' is of type array, expected a string");
}

// What is not a GGUF file this reader knows.
TEST(Gguf, RefusesOtherFiles) {
  GgufBuilder empty, other, big, old, next;
  EXPECT_EQ(empty.message(), "test.gguf: not a GGUF file (it does not begin with 'GGUF')");
  other.bytes = "PK\3\4 and so on";
  EXPECT_EQ(other.message(), "test.gguf: not a GGUF file (it does not begin with 'GGUF')");
  EXPECT_EQ(big.addHeader(0, 0, 0x03000000).message(),
            "test.gguf: big-endian GGUF files are not supported");
  EXPECT_EQ(old.addHeader(0, 0, 1).message(),
            "test.gguf: GGUF version 1 is not supported, expected 2 or 3");
  EXPECT_EQ(next.addHeader(0, 0, 4).message(),
            "test.gguf: GGUF version 4 is not supported, expected 2 or 3");
  EXPECT_EQ(llvm::toString(GgufFile::open("/nonexistent/x.gguf").takeError()),
            "/nonexistent/x.gguf: No such file or directory");
  EXPECT_EQ(llvm::toString(GgufFile::open("/").takeError()), "/: not a regular file");
  EXPECT_EQ(llvm::toString(GgufFile::open("/dev/zero").takeError()),
            "/dev/zero: not a regular file");
}

// Counts and lengths beyond the file are refused before anything is allocated or followed.
TEST(Gguf, RefusesCountsBeyondTheFile) {
  auto header = [](uint64_t tensors, uint64_t entries) {
    GgufBuilder builder;
    builder.addHeader(tensors, entries);
    return builder;
  };
  EXPECT_EQ(header(0, UINT64_MAX).message(),
            "test.gguf: 18446744073709551615 metadata entries do not fit a file of 24 bytes");
  EXPECT_EQ(header(1, 0).message(), "test.gguf: 1 tensors do not fit a file of 24 bytes");
  EXPECT_EQ(header(0, 1).add<uint64_t>(1 << 20).pad(64).message(),
            "test.gguf: the key of metadata entry 0 has 1048576 bytes, expected 1 to 65535");
  EXPECT_EQ(header(0, 1).add<uint64_t>(0).pad(64).message(),
            "test.gguf: the key of metadata entry 0 has 0 bytes, expected 1 to 65535");
  EXPECT_EQ(
      header(0, 1).add<uint64_t>(1000).pad(64).message(),
      "test.gguf: the key of metadata entry 0 needs 1000 bytes at offset 32, the file ends at 64");
  EXPECT_EQ(header(0, 1).addName("k").add(GgufType::String).add(UINT64_MAX).message(),
            "test.gguf: metadata entry 'k' needs 18446744073709551615 bytes at offset 45, the file "
            "ends at 45");
  for (GgufType type : {GgufType::U64, GgufType::String, GgufType::Array, GgufType::Bool})
    EXPECT_EQ(
        header(0, 1)
            .addName("k")
            .add(GgufType::Array)
            .add(type)
            .add<uint64_t>(uint64_t(1) << 61)
            .message(),
        "test.gguf: metadata entry 'k' is an array of 2305843009213693952 elements at offset 49, "
        "the file ends at 49");
}

// Bad entries: unknown types, deep nesting, names that are not UTF-8 or occur twice.
TEST(Gguf, RefusesBadEntries) {
  auto entry = [](llvm::StringRef key, uint32_t type) {
    GgufBuilder builder;
    builder.addHeader(0, 1).addName(key).add(type);
    return builder;
  };
  EXPECT_EQ(entry("k", 13).pad(64).message(),
            "test.gguf: metadata entry 'k' has the unknown type 13");
  EXPECT_EQ(entry("k", 9).add<uint32_t>(99).add<uint64_t>(0).message(),
            "test.gguf: metadata entry 'k' is an array of the unknown type 99");
  EXPECT_EQ(entry("k", 7).add<uint8_t>(2).message(),
            "test.gguf: metadata entry 'k' holds the bool 2, expected 0 or 1");
  EXPECT_EQ(entry("k", 9).add(GgufType::Bool).add<uint64_t>(2).add<uint16_t>(0x0300).message(),
            "test.gguf: metadata entry 'k' holds the bool 3, expected 0 or 1");
  EXPECT_EQ(entry("k\xff\n", 0).pad(64).message(),
            "test.gguf: the key of metadata entry 0 'k\\FF\\0A' is not UTF-8");
  GgufBuilder nested = entry("k", 9);
  for (int i = 0; i < 1000; ++i)
    nested.add(GgufType::Array).add<uint64_t>(1);
  EXPECT_EQ(nested.message(), "test.gguf: metadata entry 'k' nests arrays deeper than 4");
  GgufBuilder twice;
  twice.addHeader(0, 2)
      .addEntry<uint8_t>("k", GgufType::U8, 1)
      .addEntry<uint8_t>("k", GgufType::U8, 1);
  EXPECT_EQ(twice.message(), "test.gguf: metadata entry 'k' occurs twice");
  for (uint32_t alignment : {0u, 24u, 1u << 21}) {
    GgufBuilder builder;
    builder.addHeader(0, 1).addEntry("general.alignment", GgufType::U32, alignment);
    EXPECT_EQ(builder.message(), "test.gguf: metadata entry 'general.alignment' is " +
                                     std::to_string(alignment) +
                                     ", expected a power of two up to 1048576");
  }
  GgufBuilder wide;
  wide.addHeader(0, 1).addEntry<uint64_t>("general.alignment", GgufType::U64, 32);
  EXPECT_EQ(wide.message(),
            "test.gguf: metadata entry 'general.alignment' is of type u64, expected u32");
}

// Bad tensors: dimensions, sizes that overflow, types, offsets, overlaps.
TEST(Gguf, RefusesBadTensors) {
  auto tensor = [](llvm::ArrayRef<uint64_t> sizes, uint32_t type, uint64_t offset) {
    GgufBuilder builder;
    builder.addHeader(1, 0).addTensor("t", sizes, type, offset).pad();
    builder.bytes.append(256, '\0');
    return builder.message();
  };
  EXPECT_EQ(tensor({64}, 0, 0), "");
  EXPECT_EQ(tensor({}, 0, 0), "test.gguf: tensor 't' has 0 dimensions, expected 1 to 4");
  EXPECT_EQ(tensor({1, 1, 1, 1, 1}, 0, 0),
            "test.gguf: tensor 't' has 5 dimensions, expected 1 to 4");
  EXPECT_EQ(tensor({64, 0}, 0, 0),
            "test.gguf: tensor 't' has a dimension of 0, expected 1 to 2^63 - 1");
  EXPECT_EQ(tensor({UINT64_MAX}, 0, 0), "test.gguf: tensor 't' has a dimension of "
                                        "18446744073709551615, expected 1 to 2^63 - 1");
  EXPECT_EQ(tensor({uint64_t(1) << 62}, 0, 0),
            "test.gguf: tensor 't': the weight exceeds 2^63 bytes");
  EXPECT_EQ(tensor({1, uint64_t(1) << 40, uint64_t(1) << 40}, 0, 0),
            "test.gguf: tensor 't': the weight has more than 2^63 rows");
  EXPECT_EQ(tensor({48, 2}, 2, 0),
            "test.gguf: tensor 't': rows of 48 weights are not whole blocks of 32 as q4_0 needs");
  EXPECT_EQ(tensor({256}, 16, 0),
            "test.gguf: tensor 't' has the type IQ2_XXS, which is not supported");
  EXPECT_EQ(tensor({32}, 40, 0),
            "test.gguf: tensor 't' has the type NVFP4, which is not supported");
  EXPECT_EQ(tensor({32}, 26, 0), "test.gguf: tensor 't' has the type I32, which is not supported");
  EXPECT_EQ(tensor({32}, 4, 0), "test.gguf: tensor 't' has the unknown type 4");
  EXPECT_EQ(tensor({32}, UINT32_MAX, 0), "test.gguf: tensor 't' has the unknown type 4294967295");
  EXPECT_EQ(tensor({8}, 0, 8),
            "test.gguf: tensor 't' is at offset 8, which is not a multiple of the alignment 32");
  EXPECT_EQ(tensor({65}, 0, 0),
            "test.gguf: tensor 't' takes 260 bytes at offset 0 of the data, which "
            "starts at 64; the file ends at 320");
  EXPECT_EQ(tensor({8}, 0, 256), "test.gguf: tensor 't' takes 32 bytes at offset 256 of the data, "
                                 "which starts at 64; the file ends at 320");
  EXPECT_EQ(
      tensor({8}, 0, UINT64_MAX - 31),
      "test.gguf: tensor 't' takes 32 bytes at offset 18446744073709551584 of the data, which "
      "starts at 64; the file ends at 320");
  auto pair = [](llvm::StringRef second, uint64_t offset) {
    GgufBuilder builder;
    builder.addHeader(2, 0).addTensor("a", {16}, 0, 0).addTensor(second, {16}, 0, offset).pad();
    builder.bytes.append(256, '\0');
    return builder.message();
  };
  EXPECT_EQ(pair("b", 64), "");
  EXPECT_EQ(pair("a", 64), "test.gguf: tensor 'a' occurs twice");
  EXPECT_EQ(pair("b", 32), "test.gguf: tensors 'a' and 'b' share bytes of the file");
}

// Every truncation of a good file is refused in one line that names the file.
TEST(Gguf, RefusesEveryTruncation) {
  GgufBuilder whole = makeSmallFile();
  ASSERT_EQ(whole.message(), "");
  for (size_t size = 0; size < whole.bytes.size(); ++size) {
    GgufBuilder part;
    part.bytes = whole.bytes.substr(0, size);
    std::string message = part.message();
    EXPECT_TRUE(llvm::StringRef(message).starts_with("test.gguf: ")) << size;
    EXPECT_EQ(message.find('\n'), std::string::npos);
  }
}

/// Reads everything that a file hands out; under AddressSanitizer a wrong bound is an error.
static uint64_t touchEverything(const GgufFile &file) {
  uint64_t sum = 0;
  for (const GgufEntry &entry : file.getEntries()) {
    sum += entry.key.size() + entry.value.getInteger().value_or(0);
    for (char c : entry.value.getString().value_or(""))
      sum += c;
    for (llvm::StringRef text : entry.value.getStrings().value_or(std::vector<llvm::StringRef>()))
      sum += text.size() ? text.back() : 0;
    sum += entry.value.getIntegers().value_or(std::vector<int64_t>()).size();
  }
  for (const GgufTensor &tensor : file.getTensors())
    for (uint8_t byte : tensor.bytes)
      sum += byte;
  return sum;
}

// A file with any one bit flipped, or a few random bytes, is read or refused, never followed out of
// its bounds.
TEST(Gguf, SurvivesFlippedBits) {
  GgufBuilder whole = makeSmallFile();
  unsigned refused = 0;
  auto check = [&](const GgufBuilder &builder) {
    auto file = builder.parse();
    if (file) {
      touchEverything(**file);
      return;
    }
    ++refused;
    std::string message = llvm::toString(file.takeError());
    EXPECT_TRUE(llvm::StringRef(message).starts_with("test.gguf: "));
    EXPECT_EQ(message.find('\n'), std::string::npos);
  };
  for (size_t bit = 0; bit < whole.bytes.size() * 8; ++bit) {
    GgufBuilder flipped = whole;
    flipped.bytes[bit / 8] ^= 1 << (bit % 8);
    check(flipped);
  }
  std::mt19937_64 random(1);
  for (int round = 0; round < 5000; ++round) {
    GgufBuilder changed = whole;
    for (int i = 0; i < 3; ++i)
      changed.bytes[random() % changed.bytes.size()] = random();
    check(changed);
  }
  EXPECT_GT(refused, 1000u);
}
