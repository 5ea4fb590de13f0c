//===- SafetensorsTest.cpp - What the reader hands out and what it refuses --------------------===//
//
// Files are made in memory; `written.safetensors` and its values come from PyPI `safetensors`
// (tools/fixtures/make_safetensors_fixtures.py).
//
//===------------------------------------------------------------------------------------------===//

#include "ingot/Import/Safetensors.h"
#include "llvm/Support/Endian.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/raw_ostream.h"
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>

using namespace ingot;

/// A file of this header and so many bytes of data, byte i being i.
static std::string makeFile(llvm::StringRef header, size_t dataBytes) {
  std::string bytes(8, '\0');
  llvm::support::endian::write64le(bytes.data(), header.size());
  bytes += header;
  for (size_t i = 0; i < dataBytes; ++i)
    bytes.push_back(char(i));
  return bytes;
}

static llvm::Expected<std::unique_ptr<SafetensorsFile>> parse(const std::string &bytes) {
  return SafetensorsFile::parse(llvm::MemoryBuffer::getMemBufferCopy(bytes, "t.safetensors"));
}

/// The sentence with which a file is refused; empty where it is not.
static std::string refuse(llvm::StringRef header, size_t dataBytes) {
  auto file = parse(makeFile(header, dataBytes));
  return file ? "" : llvm::toString(file.takeError());
}

TEST(Safetensors, HandsOutTensorsInTheirOrder) {
  auto file = llvm::cantFail(parse(makeFile(
      R"({"__metadata__":{"format":"pt"},"b":{"dtype":"F32","shape":[2,2],"data_offsets":[4,20]},)"
      R"("a":{"dtype":"BF16","shape":[2],"data_offsets":[0,4]},)"
      R"("ids":{"dtype":"I64","shape":[1],"data_offsets":[20,28]}})",
      28)));
  EXPECT_EQ(file->getNames(), (std::vector<std::string>{"a", "b", "ids"}));
  EXPECT_EQ(file->find("b")->format->name, "f32");
  EXPECT_EQ(file->find("b")->rows, 2);
  EXPECT_EQ(file->getMapped("b").front(), 4);
  EXPECT_EQ(file->find("ids"), nullptr) << "integers are no weights";
  EXPECT_EQ(file->findTensor("ids")->bytes.size(), 8u);
}

TEST(Safetensors, ReadsASingleNumberAsAVector) {
  auto file = llvm::cantFail(
      parse(makeFile(R"({"s":{"dtype":"F32","shape":[],"data_offsets":[0,4]}})", 4)));
  EXPECT_EQ(file->find("s")->columns, 1);
}

TEST(Safetensors, RefusesWhatIsNoSuchFile) {
  EXPECT_EQ(llvm::toString(parse("short").takeError()),
            "t.safetensors: not a safetensors file (it has 5 bytes, fewer than 8)");
  EXPECT_EQ(llvm::toString(parse(std::string(8, '\xff')).takeError()),
            "t.safetensors: not a safetensors file (its header would have 18446744073709551615 "
            "bytes, more than 100000000)");
  EXPECT_EQ(llvm::toString(parse(makeFile("{}", 0).substr(0, 9)).takeError()),
            "t.safetensors: the header needs 2 bytes at offset 8, the file ends at 9");
  EXPECT_EQ(refuse("[]", 0), "t.safetensors: the header is not a JSON object");
  EXPECT_EQ(refuse(std::string(100, '['), 0), "t.safetensors: JSON nests 100 deep, more than 64");
}

TEST(Safetensors, RefusesBadEntries) {
  auto entry = [](const char *text) { return refuse((R"({"w":)" + std::string(text) + "}"), 4); };
  EXPECT_EQ(entry("1"), "t.safetensors: tensor 'w' is not an object");
  EXPECT_EQ(entry(R"({"shape":[1],"data_offsets":[0,4]})"),
            "t.safetensors: tensor 'w' has no string 'dtype'");
  EXPECT_EQ(entry(R"({"dtype":"F31","shape":[1],"data_offsets":[0,4]})"),
            "t.safetensors: tensor 'w' has the unknown type 'F31'");
  EXPECT_EQ(entry(R"({"dtype":"F32","shape":[-1],"data_offsets":[0,4]})"),
            "t.safetensors: tensor 'w' has a dimension that is not an integer from 0 to 2^63 - 1");
  EXPECT_EQ(entry(R"({"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,4]})"),
            "t.safetensors: tensor 'w' has more than 2^64 elements");
  EXPECT_EQ(entry(R"({"dtype":"F32","shape":[1,1,1,1,1,1,1,1,1],"data_offsets":[0,4]})"),
            "t.safetensors: tensor 'w' has 9 dimensions, more than 8");
  EXPECT_EQ(entry(R"({"dtype":"F32","shape":[1],"data_offsets":[0]})"),
            "t.safetensors: tensor 'w' has no 'data_offsets' of two integers");
  EXPECT_EQ(entry(R"({"dtype":"F32","shape":[1],"data_offsets":[0,8]})"),
            "t.safetensors: tensor 'w' lies at bytes 0 to 8 of the data, which has 4");
  EXPECT_EQ(entry(R"({"dtype":"F32","shape":[2],"data_offsets":[0,4]})"),
            "t.safetensors: tensor 'w' takes 4 bytes, but 2 elements of type F32 take 2 times 32 "
            "bits");
}

TEST(Safetensors, RefusesOverlapsAndHoles) {
  auto two = [](const char *first, const char *second) {
    return refuse(R"({"a":{"dtype":"U8","shape":[4],"data_offsets":)" + std::string(first) +
                      R"(},"b":{"dtype":"U8","shape":[4],"data_offsets":)" + second + "}}",
                  9);
  };
  EXPECT_EQ(two("[0,4]", "[3,7]"), "t.safetensors: tensors 'a' and 'b' share bytes of the file");
  EXPECT_EQ(two("[0,4]", "[5,9]"), "t.safetensors: bytes 4 to 5 of the data belong to no tensor");
  EXPECT_EQ(two("[0,4]", "[4,8]"),
            "t.safetensors: the tensors end at byte 8 of the data, which has 9");
}

namespace {

/// A folder of shards that goes away with the test.
struct Shards {
  std::filesystem::path folder;
  Shards() {
    llvm::SmallString<128> path;
    llvm::sys::fs::createUniqueDirectory("shards", path);
    folder = path.str().str();
  }
  ~Shards() { std::filesystem::remove_all(folder); }
  void write(const char *name, const std::string &bytes) const {
    std::ofstream(folder / name, std::ios::binary) << bytes;
  }
  void writeShard(const char *name, const char *tensor) const {
    write(name, makeFile(std::string(R"({")") + tensor +
                             R"(":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})",
                         4));
  }
  /// What opening says, without the folder's name.
  std::string open() const {
    auto file = SafetensorsFile::open(folder.string());
    if (file)
      return "";
    std::string text = llvm::toString(file.takeError());
    if (size_t at = text.find(folder.string() + "/"); at != std::string::npos)
      text.erase(at, folder.string().size() + 1);
    return text;
  }
};

} // namespace

TEST(Safetensors, ReadsShards) {
  Shards shards;
  shards.write("model.safetensors.index.json",
               R"({"metadata":{},"weight_map":{"a":"1.safetensors","b":"2.safetensors"}})");
  shards.writeShard("1.safetensors", "a");
  EXPECT_EQ(shards.open(), "2.safetensors: No such file or directory");
  shards.writeShard("2.safetensors", "b");
  EXPECT_EQ(shards.open(), "");
  shards.writeShard("2.safetensors", "a");
  EXPECT_EQ(shards.open(), "2.safetensors: tensor 'a' is in another shard too");
  shards.writeShard("2.safetensors", "c");
  EXPECT_EQ(shards.open(), "2.safetensors: tensor 'b' is missing, which the index says is here");
  shards.write("model.safetensors.index.json", R"({"weight_map":{"a":"1.safetensors"}})");
  EXPECT_EQ(shards.open(), "");
  shards.writeShard("1.safetensors", "b");
  EXPECT_EQ(shards.open(), "1.safetensors: tensor 'a' is missing, which the index says is here");
  shards.write("model.safetensors.index.json", R"({"weight_map":{"a":"../1.safetensors"}})");
  EXPECT_EQ(shards.open(), "model.safetensors.index.json: tensor 'a' is not in a file "
                           "'*.safetensors' of the folder");
  shards.write("model.safetensors.index.json", R"({"weight_map":{}})");
  EXPECT_EQ(shards.open(),
            "model.safetensors.index.json: there is no object 'weight_map' with tensors");
}

TEST(Safetensors, ReadsWhatItsOwnPackageWrites) {
  auto file = llvm::cantFail(SafetensorsFile::open(INGOT_FIXTURES "/written.safetensors"));
  for (const SafetensorsTensor &tensor : file->getTensors()) {
    if (!tensor.info)
      continue;
    std::vector<float> values(tensor.info->rows * tensor.info->columns);
    llvm::cantFail(file->readValues(tensor.name, 0, tensor.info->rows, values));
    // Element i of every tensor is (i - 3) / 4, exact in each type.
    for (size_t i = 0; i < values.size(); ++i)
      EXPECT_EQ(values[i], (float(i) - 3) / 4) << tensor.name << " " << i;
  }
  EXPECT_EQ(file->getTensors().size(), 6u);
}
