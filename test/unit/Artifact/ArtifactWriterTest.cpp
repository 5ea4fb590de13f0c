//===- ArtifactWriterTest.cpp - What is written is what the runtime reads ---------------------===//

#include "ingot/Artifact/ArtifactWriter.h"
#include "runtime/core/Artifact.h"
#include "test/unit/Artifact/TestFolder.h"
#include "gmock/gmock.h"
#include <atomic>

using namespace ingot;
using namespace ingot::artifact;
using ingot::test::TestFolder;
using llvm::toString;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::UnorderedElementsAre;

namespace {

/// A plan of one launch over weights of the given sizes, laid out at multiples of 64.
ArtifactContents makeContents(const std::vector<uint64_t> &weightBytes) {
  ArtifactContents contents;
  PlanTables &plan = contents.plan;
  plan.header = {};
  plan.header.maxTokens = 4;
  plan.header.maxOutputs = 2;
  plan.header.maxSequences = 1;
  plan.header.maxContext = 16;
  plan.header.pageTokens = 16;
  plan.header.arenaBytes = 64;
  plan.header.outputWidth = 8;
  plan.header.inputVocabulary = 100;
  plan.buffers.push_back({plan.names.add("out"), 0, 64, 0, 0});
  uint64_t end = 0;
  for (size_t i = 0; i < weightBytes.size(); ++i) {
    plan.weights.push_back({plan.names.add("weight" + std::to_string(i)), plan.names.add("f32"),
                            plan.names.add("plain"), end, weightBytes[i], 1, weightBytes[i] / 4});
    end = (end + weightBytes[i] + 63) / 64 * 64;
  }
  plan.kernels.push_back(
      {plan.names.add("kernel"), plan.names.add("Family"), 2, 0, 0, 1, 2, 3, 0, 0});
  plan.reaches.assign(2, {format::noCount, 0, 0, 1});
  plan.arguments.push_back({static_cast<uint32_t>(format::Space::Input), 0, 0, 0});
  plan.arguments.push_back({static_cast<uint32_t>(format::Space::Arena), 0, 0, 0});
  format::CommandRecord launch = {};
  launch.argumentCount = 2;
  for (format::GridExtent &side : launch.grid)
    side = {format::noCount, 0, 1, 0, 1};
  launch.layer = plan.names.add("step");
  plan.commands.push_back(launch);
  plan.entries.push_back({plan.names.add("step"), 0, 1, 1, 4});
  contents.kernels.push_back({"cpu:x86-64-v3", {'E', 'L', 'F'}});
  contents.kernels.push_back({"cpu:x86-64-v4", {'E', 'L', 'F', '4'}});
  contents.card = R"({"name": "test"})";
  contents.chatTemplate = "{{ x }}";
  contents.tokenizer = {'t', 'o', 'k'};
  return contents;
}

uint8_t byteAt(size_t weight, uint64_t position) {
  return weight * 31 + position * 7 + position / 251;
}

/// Makes the bytes of `byteAt` in pieces of uneven sizes.
WeightProducer makeProducer(std::vector<uint64_t> sizes) {
  return [sizes](size_t index, WeightSink sink) -> llvm::Error {
    std::vector<uint8_t> piece;
    for (uint64_t position = 0; position < sizes[index]; position += piece.size()) {
      piece.resize(std::min<uint64_t>(sizes[index] - position, 100003));
      for (size_t i = 0; i < piece.size(); ++i)
        piece[i] = byteAt(index, position + i);
      if (llvm::Error error = sink(piece))
        return error;
    }
    return llvm::Error::success();
  };
}

/// Sizes below, at and above the borders of checksums, and many small ones.
std::vector<uint64_t> makeSizes() {
  std::vector<uint64_t> sizes = {64, (1 << 20) - 64, 1 << 20, 3 << 20, 100, 4, (1 << 20) + 4};
  sizes.insert(sizes.end(), 200, 2304);
  return sizes;
}

TEST(ArtifactWriter, TheRuntimeReadsWhatIsWritten) {
  TestFolder folder;
  std::vector<uint64_t> sizes = makeSizes();
  ArtifactContents contents = makeContents(sizes);
  ASSERT_EQ(toString(writeArtifact(folder / "a", contents, makeProducer(sizes))), "");
  EXPECT_THAT(folder.list(), UnorderedElementsAre("a"));

  auto artifact = runtime::Artifact::open(folder / "a");
  ASSERT_TRUE(bool(artifact)) << artifact.takeStatus().message();
  EXPECT_TRUE(bool(artifact->verifyWeights()));
  EXPECT_EQ(artifact->getCard(), contents.card);
  EXPECT_EQ(artifact->getChatTemplate(), contents.chatTemplate);
  EXPECT_EQ(artifact->getTokenizer().size(), 3u);
  const runtime::Plan &plan = artifact->getPlan();
  EXPECT_EQ(plan.header->inputVocabulary, 100u);
  ASSERT_EQ(plan.weights.size(), sizes.size());
  EXPECT_EQ(artifact->getName(plan.weights[3].name), "weight3");
  EXPECT_EQ(artifact->getName(plan.kernels[0].family), "Family");
  std::vector<std::string> targets;
  for (const runtime::Section &section : artifact->getSections())
    if (section.kind == format::SectionKind::Kernels)
      targets.emplace_back(section.target);
  EXPECT_THAT(targets, ElementsAre("cpu:x86-64-v3", "cpu:x86-64-v4"));
  for (size_t i = 0; i < sizes.size(); ++i)
    for (uint64_t j = 0; j < sizes[i]; j += 97)
      ASSERT_EQ(uint8_t(artifact->getWeights()[plan.weights[i].offset + j]), byteAt(i, j))
          << "byte " << j << " of weight " << i;
}

TEST(ArtifactWriter, ThreadsDoNotChangeTheFile) {
  TestFolder folder;
  std::vector<uint64_t> sizes = makeSizes();
  ASSERT_EQ(toString(writeArtifact(folder / "one", makeContents(sizes), makeProducer(sizes))), "");
  WriteOptions options;
  options.threads = 4;
  ASSERT_EQ(
      toString(writeArtifact(folder / "four", makeContents(sizes), makeProducer(sizes), options)),
      "");
  EXPECT_TRUE(folder.read(folder / "one") == folder.read(folder / "four"));
}

TEST(ArtifactWriter, RepeatedRowsAreStoredOnce) {
  TestFolder folder;
  std::vector<uint64_t> sizes = {1 << 16, 1 << 17, 100, 1 << 16, 24 << 10};
  const uint64_t rows[] = {64, 128, 1, 64, 24};
  auto make = [&] {
    ArtifactContents contents = makeContents(sizes);
    for (size_t i = 0; i < sizes.size(); ++i)
      contents.plan.weights[i].rows = rows[i];
    return contents;
  };
  // Rows of 1,024 bytes that come again after 16, the same in the first, second and fourth weight;
  // the last one's rows do not divide.
  auto byteOf = [&](size_t index, uint64_t position) {
    return index % 2 == 0 && index ? byteAt(index, position) : byteAt(0, position % (16 << 10));
  };
  auto produce = [&](size_t index, WeightSink sink) -> llvm::Error {
    std::vector<uint8_t> all(sizes[index]);
    for (size_t i = 0; i < all.size(); ++i)
      all[i] = byteOf(index, i);
    llvm::ArrayRef<uint8_t> rest = all;
    for (; !rest.empty(); rest = rest.drop_front(std::min<size_t>(rest.size(), 10007)))
      if (llvm::Error error = sink(rest.take_front(10007)))
        return error;
    return llvm::Error::success();
  };
  WriteOptions options;
  options.repeatedRows = 16;
  ASSERT_EQ(toString(writeArtifact(folder / "one", make(), produce, options)), "");
  options.threads = 4;
  ASSERT_EQ(toString(writeArtifact(folder / "four", make(), produce, options)), "");
  EXPECT_TRUE(folder.read(folder / "one") == folder.read(folder / "four"));

  auto artifact = runtime::Artifact::open(folder / "one");
  ASSERT_TRUE(bool(artifact)) << artifact.takeStatus().message();
  EXPECT_TRUE(bool(artifact->verifyWeights()));
  EXPECT_EQ(artifact->getWeights().size(), (16u << 10) + 128 + (24 << 10));
  for (size_t i = 0; i < sizes.size(); ++i) {
    std::vector<std::byte> bytes(sizes[i]);
    artifact->copyWeights(artifact->getPlan().weights[i].offset, bytes);
    for (size_t j = 0; j < bytes.size(); ++j)
      ASSERT_EQ(uint8_t(bytes[j]), byteOf(i, j)) << "byte " << j << " of weight " << i;
  }
  // What a packing makes must be what the plan says here too.
  sizes[1] -= 1024;
  EXPECT_THAT(toString(writeArtifact(folder / "bad", make(), produce, options)), "");
  ArtifactContents contents = make();
  sizes[1] += 1024;
  EXPECT_THAT(toString(writeArtifact(folder / "bad", contents, produce, options)),
              HasSubstr("weight 'weight1': the plan has 130048 bytes for it"));
}

TEST(ArtifactWriter, WritesAModelWithoutWeights) {
  TestFolder folder;
  ASSERT_EQ(toString(writeArtifact(folder / "a", makeContents({}), makeProducer({}))), "");
  auto artifact = runtime::Artifact::open(folder / "a");
  ASSERT_TRUE(bool(artifact)) << artifact.takeStatus().message();
  EXPECT_TRUE(bool(artifact->verifyWeights()));
}

TEST(ArtifactWriter, ReportsProgressFromBeforeTheFirstByteToTheEnd) {
  TestFolder folder;
  std::vector<uint64_t> sizes = makeSizes();
  int64_t last = -1;
  uint64_t all = 0;
  WriteOptions options;
  options.threads = 3;
  options.progress = [&](uint64_t done, uint64_t total) {
    EXPECT_GT(int64_t(done), last);
    EXPECT_TRUE(last >= 0 || done == 0);
    last = done;
    all = total;
  };
  ASSERT_EQ(
      toString(writeArtifact(folder / "a", makeContents(sizes), makeProducer(sizes), options)), "");
  EXPECT_EQ(uint64_t(last), all);
  EXPECT_EQ(all, std::accumulate(sizes.begin(), sizes.end(), uint64_t(0)));
}

/// Tries to write over an earlier file with a producer that fails; the sentence.
std::string failToWrite(const WeightProducer &producer, unsigned threads) {
  TestFolder folder;
  std::string path = folder.write("a", "old");
  WriteOptions options;
  options.threads = threads;
  std::string error = toString(writeArtifact(path, makeContents(makeSizes()), producer, options));
  EXPECT_EQ(folder.read(path), "old");
  EXPECT_THAT(folder.list(), UnorderedElementsAre("a"));
  return error;
}

TEST(ArtifactWriter, AFailureLeavesTheEarlierFile) {
  std::vector<uint64_t> sizes = makeSizes();
  for (unsigned threads : {1, 4}) {
    auto broken = [&](size_t index, WeightSink sink) -> llvm::Error {
      if (index == 5)
        return llvm::createStringError("checkpoint.gguf: cannot be read");
      return makeProducer(sizes)(index, sink);
    };
    EXPECT_EQ(failToWrite(broken, threads), "checkpoint.gguf: cannot be read");
    std::vector<uint64_t> less = sizes, more = sizes;
    less[3] -= 8;
    more[3] += 8;
    EXPECT_EQ(failToWrite(makeProducer(less), threads),
              "weight 'weight3': the plan has 3145728 bytes for it, its packing made 3145720");
    EXPECT_EQ(
        failToWrite(makeProducer(more), threads),
        "weight 'weight3': the plan has 3145728 bytes for it, its packing makes more than 3145728");
  }
}

TEST(NameTable, KeepsEachStringOnce) {
  NameTable names;
  format::Name a = names.add("a"), bc = names.add("bc"), again = names.add("a");
  EXPECT_EQ(a.offset, again.offset);
  EXPECT_EQ(names.get(bc), "bc");
  EXPECT_EQ(names.get(names.add("")), "");
  EXPECT_EQ(names.getBytes(), "abc");
}

} // namespace
