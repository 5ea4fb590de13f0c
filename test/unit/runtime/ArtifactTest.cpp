//===- ArtifactTest.cpp - A damaged artefact is an error, never a crash ---------------------------===//

#include "test/unit/runtime/ToyModel.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

using namespace ingot;
using namespace ingot::runtime;
using namespace ingot::test;
using testing::HasSubstr;

namespace {

using File = std::vector<std::byte>;

/// The message of opening, "accepted" when it opens.
std::string open(const File &file) {
  Result<Artifact> artifact = Artifact::read(file, "toy.ingot");
  return artifact.ok() ? "accepted" : artifact.message();
}

size_t getTableEnd(const File &file) {
  format::FileHeader header;
  std::memcpy(&header, file.data(), sizeof(header));
  return sizeof(header) + header.sectionCount * sizeof(format::SectionEntry);
}

format::SectionEntry *getEntries(File &file) {
  return reinterpret_cast<format::SectionEntry *>(file.data() + sizeof(format::FileHeader));
}

/// Order of the sections in files of ArtifactBuilder with one code level.
enum { Kernels, Names, PlanIndex, KernelReaches, Weights, WeightChecksums, Card };

TEST(Artifact, AnIntactFileShowsWhatWasWritten) {
  ArtifactBuilder builder = Toy::makeBuilder();
  builder.card = "{\"name\": \"toy\"}";
  builder.chatTemplate = "{{ messages }}";
  File file = builder.build();
  Result<Artifact> artifact = Artifact::read(file, "toy.ingot");
  ASSERT_TRUE(artifact.ok()) << artifact.message();
  EXPECT_EQ(artifact->getCard(), builder.card);
  EXPECT_EQ(artifact->getChatTemplate(), builder.chatTemplate);
  EXPECT_TRUE(artifact->getTokenizer().empty());
  EXPECT_EQ(artifact->getWeights().size(), builder.weights.size());
  EXPECT_EQ(artifact->getPlan().commands.size(), builder.commands.size());
  EXPECT_EQ(artifact->getName(artifact->getPlan().weights[1].name), "layer.1");
  EXPECT_TRUE(artifact->verifyWeights().ok());
}

/// The toy model; its weights (the floats 2, 3, 5 at multiples of 64) are made of two stored parts.
ArtifactBuilder makeRepeated() {
  ArtifactBuilder builder = Toy::makeBuilder();
  std::vector<std::byte> whole = builder.weights;
  whole.resize(192 + 200);
  builder.weights.assign(whole.begin(), whole.begin() + 128);                              // 2, 3
  builder.weights.insert(builder.weights.end(), whole.begin() + 128, whole.begin() + 132); // 5
  builder.repeatedBytes = whole.size();
  builder.runs = {{0, 128, 0, 128}, {128, 4, 128, 4}, {200, 190, 0, 68}};
  return builder;
}

TEST(Artifact, RepeatedWeightsAreWrittenOut) {
  ArtifactBuilder builder = makeRepeated();
  File file = builder.build();
  Result<Artifact> artifact = Artifact::read(file, "toy.ingot");
  ASSERT_TRUE(artifact.ok()) << artifact.message();
  EXPECT_TRUE(artifact->hasRepeats());
  EXPECT_EQ(artifact->getWeightsBytes(), 392u);
  EXPECT_TRUE(artifact->verifyWeights().ok());
  std::vector<std::byte> expected(392);
  for (const format::RepeatRun &run : builder.runs)
    for (uint64_t i = 0; i < run.bytes; ++i)
      expected[run.offset + i] = builder.weights[run.source + i % run.period];
  for (uint64_t begin = 0; begin <= 392; begin += 3)
    for (uint64_t end = begin; end <= 392; end += 7) {
      std::vector<std::byte> part(end - begin, std::byte(0xee));
      artifact->copyWeights(begin, part);
      ASSERT_TRUE(std::equal(part.begin(), part.end(), expected.begin() + begin)) << begin << end;
    }
}

TEST(Artifact, BadRunsAreRefused) {
  auto refuse = [](auto edit) {
    ArtifactBuilder builder = makeRepeated();
    edit(builder);
    return open(builder.build());
  };
  EXPECT_EQ(refuse([](auto &) {}), "accepted");
  std::string section = "toy.ingot: section RepeatedWeights: ";
  EXPECT_EQ(refuse([](auto &b) { b.runs[1].offset = 127; }),
            section + "run 1: 4 bytes at 127 do not lie between 128 and 392");
  EXPECT_EQ(refuse([](auto &b) { b.runs[2].bytes = 193; }),
            section + "run 2: 193 bytes at 200 do not lie between 132 and 392");
  EXPECT_EQ(refuse([](auto &b) { b.runs[2].bytes = ~uint64_t(0); }),
            section + "run 2: 18446744073709551615 bytes at 200 do not lie between 132 and 392");
  EXPECT_EQ(refuse([](auto &b) { b.runs[0].period = 0; }),
            section + "run 0: 0 bytes at 0 do not lie in the 132 bytes of weights");
  EXPECT_EQ(refuse([](auto &b) { b.runs[0].source = 5; }),
            section + "run 0: 128 bytes at 5 do not lie in the 132 bytes of weights");
  EXPECT_EQ(refuse([](auto &b) { b.repeatedBytes = uint64_t(1) << 60; }),
            section + "1152921504606846976 bytes of weights are more than the limit of "
                      "70368744177664");
  EXPECT_THAT(refuse([](auto &b) {
                b.repeatedBytes = 130;
                b.runs.resize(1);
              }),
              HasSubstr("weight 2: 4 bytes at 128 end past the 130 bytes of weights"));
}

TEST(Artifact, OpensAFileByMappingIt) {
  std::string path = testing::TempDir() + "toy-" + std::to_string(getpid()) + ".ingot";
  File file = Toy::makeBuilder().build();
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char *>(file.data()), file.size());
  Result<Artifact> artifact = Artifact::open(path);
  ASSERT_TRUE(artifact.ok()) << artifact.message();
  Artifact moved = std::move(*artifact);
  EXPECT_EQ(moved.getFileBytes(), file.size());
  EXPECT_TRUE(moved.verifyWeights().ok());
  unlink(path.c_str());
  EXPECT_THAT(Artifact::open(path).message(),
              HasSubstr("cannot open '" + path + "': No such file"));
  EXPECT_THAT(Artifact::open("/").message(), HasSubstr("not a regular file"));
}

TEST(Artifact, EveryFlippedBitOfHeaderAndTableIsFound) {
  File file = Toy::makeBuilder().build();
  for (size_t bit = 0; bit < getTableEnd(file) * 8; ++bit) {
    file[bit / 8] ^= std::byte(1 << bit % 8);
    EXPECT_NE(open(file), "accepted") << "bit " << bit;
    file[bit / 8] ^= std::byte(1 << bit % 8);
  }
}

TEST(Artifact, EveryFlippedByteOfACheckedSectionIsFound) {
  File file = Toy::makeBuilder().build();
  for (uint32_t section : {Kernels, Names, PlanIndex, WeightChecksums, Card}) {
    format::SectionEntry entry = getEntries(file)[section];
    for (size_t i = 0; i < entry.bytes; i += 13) {
      file[entry.offset + i] ^= std::byte(0x10);
      EXPECT_THAT(open(file), HasSubstr("checksum does not match")) << "section " << section;
      file[entry.offset + i] ^= std::byte(0x10);
    }
  }
}

TEST(Artifact, EveryTruncationIsFound) {
  File file = Toy::makeBuilder().build();
  for (size_t length = 0; length < file.size(); ++length) {
    // A copy of its own, so that a sanitizer sees a read past the end.
    if (length > 2 * format::sectionAlignment && length % 61)
      continue;
    File cut(file.begin(), file.begin() + length);
    EXPECT_NE(open(cut), "accepted") << length;
    if (length < sizeof(format::FileHeader))
      continue;
    // The same with a header that says the new length: the sections must be found out of range.
    uint64_t bytes = length;
    std::memcpy(cut.data() + offsetof(format::FileHeader, fileBytes), &bytes, sizeof(bytes));
    if (length >= getTableEnd(file))
      ArtifactBuilder::sealHeader(cut);
    EXPECT_NE(open(cut), "accepted") << length;
  }
}

TEST(Artifact, FlippedBitsOfAPlanWithRightChecksumsNeverCrash) {
  ArtifactBuilder builder = Toy::makeBuilder();
  builder.code[0].second.resize(64); // not loaded here
  std::vector<std::byte> plan = builder.layOutPlan();
  size_t refused = 0;
  for (size_t bit = 0; bit < plan.size() * 8; ++bit) {
    plan[bit / 8] ^= std::byte(1 << bit % 8);
    ArtifactBuilder copy = builder;
    refused += open(copy.build(plan)) != "accepted";
    plan[bit / 8] ^= std::byte(1 << bit % 8);
  }
  // Names may be cut shorter, offsets moved inside their space: only some of the changes can be
  // seen.
  EXPECT_GT(refused, plan.size() * 8 / 3);
}

TEST(Artifact, HeadersThatLieAreRefusedWithTheReason) {
  auto edit = [](auto change) {
    File file = Toy::makeBuilder().build();
    format::FileHeader header;
    std::memcpy(&header, file.data(), sizeof(header));
    change(header);
    std::memcpy(file.data(), &header, sizeof(header));
    return open(file);
  };
  EXPECT_THAT(edit([](auto &h) { h.magic[0] = 'X'; }), HasSubstr("not an Ingot artefact"));
  EXPECT_THAT(edit([](auto &h) { h.majorVersion += 1; }), HasSubstr("is newer than the"));
  EXPECT_THAT(edit([](auto &h) { h.majorVersion = 0; }), HasSubstr("is older than the"));
  EXPECT_THAT(edit([](auto &h) { h.fileBytes += 1; }), HasSubstr("it was cut or extended"));
  EXPECT_THAT(edit([](auto &h) { h.sectionCount = 0xffffffff; }), HasSubstr("more than the limit"));
  EXPECT_THAT(edit([](auto &h) { h.sectionCount = 1000; }),
              HasSubstr("table of 1000 sections ends"));
  EXPECT_THAT(edit([](auto &h) { h.minorVersion += 1; }), HasSubstr("checksum of header"));
}

TEST(Artifact, SectionTablesThatLieAreRefusedWithTheReason) {
  auto edit = [](auto change) {
    File file = Toy::makeBuilder().build();
    change(getEntries(file));
    ArtifactBuilder::sealHeader(file);
    return open(file);
  };
  EXPECT_EQ(edit([](auto *) {}), "accepted");
  EXPECT_THAT(edit([](auto *s) { s[Card].offset += 8; }), HasSubstr("is not a multiple of 4096"));
  EXPECT_THAT(edit([](auto *s) { s[Card].offset = 0; }),
              HasSubstr("section 6 (Card): 2 bytes at 0 do not"));
  EXPECT_THAT(edit([](auto *s) { s[Card].bytes = ~uint64_t(0); }), HasSubstr("do not lie between"));
  EXPECT_THAT(edit([](auto *s) { s[Card].offset = ~uint64_t(4095); }),
              HasSubstr("do not lie between"));
  EXPECT_THAT(edit([](auto *s) { s[Card].checksum ^= 1; }), HasSubstr("(Card): checksum"));
  EXPECT_THAT(edit([](auto *s) { s[Card].reserved = 1; }), HasSubstr("reserved field is 1"));
  EXPECT_THAT(edit([](auto *s) { s[Card] = s[Names]; }), HasSubstr("(Names): a second one"));
  EXPECT_THAT(edit([](auto *s) { s[Card] = s[PlanIndex]; }), HasSubstr("section Plan at"));
  EXPECT_THAT(edit([](auto *s) { s[Card].kind = 99; }), "accepted"); // from a newer writer
  EXPECT_THAT(edit([](auto *s) { s[Weights].kind = 99; }), HasSubstr("(unknown): checksum"));
  EXPECT_THAT(edit([](auto *s) { s[Kernels].kind = 99; }),
              HasSubstr("at least one Kernels section, got 0"));
  EXPECT_THAT(edit([](auto *s) { s[Kernels].target.offset = 1 << 30; }),
              HasSubstr("target name ends at"));
  EXPECT_THAT(edit([](auto *s) { s[Weights].bytes = 0; }), HasSubstr("0 weight pieces need 0"));
}

TEST(Artifact, VerifyingWeightsNamesThePieceAndTheWeight) {
  ArtifactBuilder builder = Toy::makeBuilder();
  builder.weights.resize(format::checksumPiece * 2 + 77);
  builder.weightRecords.push_back(
      {builder.name("large"), {}, {}, 256, builder.weights.size() - 256, 1, 1});
  File file = builder.build();
  Result<Artifact> artifact = Artifact::read(file, "toy.ingot");
  ASSERT_TRUE(artifact.ok()) << artifact.message();
  EXPECT_TRUE(artifact->verifyWeights().ok());
  size_t weights = getEntries(file)[Weights].offset;
  for (size_t piece = 0; piece < 3; ++piece) {
    size_t place = weights + piece * format::checksumPiece + 70;
    file[place] ^= std::byte(1);
    EXPECT_THAT(artifact->verifyWeights().message(),
                HasSubstr("checksum of piece " + std::to_string(piece) + " (bytes"));
    EXPECT_EQ(open(file), "accepted"); // opening does not read weights
    file[place] ^= std::byte(1);
  }
  file[weights + 2 * format::checksumPiece] ^= std::byte(1);
  EXPECT_THAT(artifact->verifyWeights().message(), HasSubstr("from 'large' on"));
}

TEST(Artifact, MemoryMustBeAligned) {
  File file = Toy::makeBuilder().build();
  EXPECT_THAT(Artifact::read(Bytes(file).subspan(1), "toy").message(), HasSubstr("multiple of 8"));
}

} // namespace
