//===- PlanVerifierTest.cpp - Each thing that a plan must not say --------------------------------===//

#include "test/unit/runtime/ToyModel.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

using namespace ingot;
using namespace ingot::runtime;
using namespace ingot::test;
using testing::HasSubstr;

namespace {

constexpr uint64_t huge = ~uint64_t(0);
/// Indexes of Toy's first entry.
enum { Embed, LoopBegin, Append, Attend, LoopEnd, Project };

/// The message for a plan with one change, all checksums right.
template <typename Change> std::string verify(Change change) {
  ArtifactBuilder builder = Toy::makeBuilder();
  change(builder);
  Result<Plan> plan =
      readPlan(builder.layOutPlan(), {builder.names.size(), builder.weights.size(),
                                      std::as_bytes(std::span(builder.reaches)), true});
  return plan.ok() ? "accepted" : plan.message();
}

/// The same for a change of the laid-out header.
template <typename Change> std::string verifyHeader(Change change) {
  ArtifactBuilder builder = Toy::makeBuilder();
  std::vector<std::byte> bytes = builder.layOutPlan();
  format::PlanHeader header;
  std::memcpy(&header, bytes.data(), sizeof(header));
  change(header);
  std::memcpy(bytes.data(), &header, sizeof(header));
  Result<Plan> plan = readPlan(bytes, {builder.names.size(), builder.weights.size()});
  return plan.ok() ? "accepted" : plan.message();
}

#define EXPECT_REFUSED(change, message)                                                            \
  EXPECT_THAT(verify([](ArtifactBuilder &b) { change; }), HasSubstr(message))
#define EXPECT_HEADER_REFUSED(change, message)                                                     \
  EXPECT_THAT(verifyHeader([](format::PlanHeader &h) { change; }), HasSubstr(message))

TEST(PlanVerifier, AcceptsTheToy) {
  EXPECT_EQ(verify([](ArtifactBuilder &) {}), "accepted");
}

TEST(PlanVerifier, TablesLieInTheSection) {
  EXPECT_HEADER_REFUSED(h.buffers.offset += 4, "table buffers: offset");
  EXPECT_HEADER_REFUSED(h.weights.count = huge, "table weights: 18446744073709551615 records");
  EXPECT_HEADER_REFUSED(h.kernels.count += 1000, "table kernels");
  EXPECT_HEADER_REFUSED(h.arguments.offset = huge & ~7, "table arguments");
  EXPECT_HEADER_REFUSED(h.commands.count = uint64_t(1) << 57, "table commands");
  EXPECT_HEADER_REFUSED(h.entries.offset += 1 << 20, "table entries");
  std::vector<std::byte> small(sizeof(format::PlanHeader) - 1);
  EXPECT_THAT(readPlan(small, {}).message(), HasSubstr("too few for the plan's header"));
}

TEST(PlanVerifier, HeaderNumbersAreBounded) {
  EXPECT_REFUSED(b.plan.maxTokens = 0, "maxTokens is 0, not between 1 and");
  EXPECT_REFUSED(b.plan.maxTokens = huge, "maxTokens is");
  EXPECT_REFUSED(b.plan.maxOutputs = 7, "maxOutputs is 7, not between 1 and 6");
  EXPECT_REFUSED(b.plan.maxSequences = huge, "maxSequences is");
  EXPECT_REFUSED(b.plan.maxContext = huge, "maxContext is");
  EXPECT_REFUSED(b.plan.inputVocabulary = 0, "inputVocabulary is 0");
  EXPECT_REFUSED(b.plan.outputWidth = 0, "outputWidth is 0");
  EXPECT_REFUSED(b.plan.arenaBytes = huge, "arenaBytes is");
  EXPECT_REFUSED(b.plan.cacheBytes = huge, "cacheBytes is");
  EXPECT_REFUSED(b.plan.pageCount = huge, "pageCount is");
  EXPECT_REFUSED(b.plan.pageTokens = 0, "pageTokens is 0");
  EXPECT_REFUSED(b.plan.pagesPerSequence = huge, "pagesPerSequence is");
  EXPECT_REFUSED(b.plan.pagesPerSequence = 7, "7 pages of 4 tokens are too few for maxContext 30");
  EXPECT_REFUSED(b.plan.pageCount = 0, "has no pages");
  EXPECT_REFUSED(b.plan.outputOffset = 2, "the output, 4 rows of 11 floats at 2");
  EXPECT_REFUSED(b.plan.outputOffset += 4, "does not fit the arena's");
  EXPECT_REFUSED(b.plan.outputWidth = 0x7fffffff, "the output");
}

TEST(PlanVerifier, APlanWithoutCacheHasNoPageTable) {
  EXPECT_REFUSED(b.plan.pageCount = b.plan.pagesPerSequence = b.plan.cacheBytes = 0,
                 "leaves the cache of 0");
  EXPECT_REFUSED(
      {
        b.plan.pageCount = b.plan.pagesPerSequence = b.plan.cacheBytes = 0;
        for (format::ArgumentRecord &argument : b.arguments)
          if (argument.space == uint32_t(format::Space::Cache))
            argument = {};
      },
      "the page table of a plan without pages");
}

TEST(PlanVerifier, BuffersAndWeightsLieInTheirSpaces) {
  EXPECT_REFUSED(b.buffers[0].offset = huge, "buffer 0: 24 bytes at");
  EXPECT_REFUSED(b.buffers[1].bytes += 1, "buffer 1");
  EXPECT_REFUSED(b.buffers[1].name.offset = 1 << 20, "buffer 1: name of");
  EXPECT_REFUSED(b.buffers[0].lastCommand = 99, "lifetime 0 to 99");
  EXPECT_REFUSED(b.buffers[0].firstCommand = 99, "lifetime 99 to");
  EXPECT_REFUSED(b.weightRecords[1].offset += 8, "is not a multiple of 64");
  EXPECT_REFUSED(b.weightRecords[1].bytes = huge, "weight 1: ");
  EXPECT_REFUSED(b.weightRecords[2].packing.length = 0xffffffff, "packing of weight 2");
}

TEST(PlanVerifier, LaunchesMatchTheirKernels) {
  EXPECT_REFUSED(b.commands[Embed].kernel = 4, "command 0: kernel 4 is past the last of 4");
  EXPECT_REFUSED(b.commands[Embed].argumentCount = 3,
                 "command 0: 3 arguments for kernel 0, which takes 2");
  EXPECT_REFUSED(b.commands[Embed].firstArgument = 0xffffffff, "are past the last of");
  EXPECT_REFUSED(b.commands[Embed].kind = 7, "command 0: kind 7 is unknown");
  EXPECT_REFUSED(b.commands[Embed].layer.length = 1 << 30, "layer of command 0");
  EXPECT_REFUSED(b.kernels[1].argumentCount = 1000, "1000 arguments are more than");
  EXPECT_REFUSED(b.kernels[1].costCount = 4, "count 4 of its cost");
  EXPECT_REFUSED(b.kernels[1].symbol.offset = 0xffffffff, "symbol of kernel 1");
}

TEST(PlanVerifier, BlocksFitAGpu) {
  auto all = [](ArtifactBuilder &b, uint16_t threads) {
    for (format::KernelRecord &kernel : b.kernels)
      kernel.threads = threads;
  };
  EXPECT_THAT(verify([&](auto &b) { all(b, 1024); }), "accepted");
  EXPECT_THAT(verify([&](auto &b) { all(b, 48); }), HasSubstr("kernel 0: 48 threads of a block"));
  EXPECT_THAT(verify([&](auto &b) { all(b, 1056); }), HasSubstr("of 32 up to 1024"));
  EXPECT_REFUSED(b.kernels[1].threads = 32, "kernel 1: kernels for CPUs and for GPUs in one plan");
  EXPECT_REFUSED(b.kernels[1].flags = 2, "kernel 1: flags 0x2 are unknown");
  EXPECT_REFUSED(b.kernels[1].sharedBytes = 1 << 20, "kernel 1: 1048576 bytes of shared memory");
}

TEST(PlanVerifier, ArgumentsStayInTheirSpacesOverTheWholeLoop) {
  auto first = [](ArtifactBuilder &b, int command) -> format::ArgumentRecord & {
    return b.arguments[b.commands[command].firstArgument];
  };
  EXPECT_THAT(verify([&](auto &b) { first(b, Attend).loopStride += 64; }),
              HasSubstr("offset 0 with stride 128 over 3 iterations leaves the weights of 192"));
  EXPECT_THAT(verify([&](auto &b) { first(b, Attend).loopStride = 94; }), "accepted");
  EXPECT_THAT(verify([&](auto &b) { first(b, Attend).loopStride = uint64_t(1) << 63; }),
              HasSubstr("leaves"));
  EXPECT_THAT(verify([&](auto &b) { first(b, Attend).offset = huge; }), HasSubstr("leaves"));
  EXPECT_THAT(verify([&](auto &b) { first(b, Embed).offset = 5; }),
              HasSubstr("leaves the inputs of 5"));
  EXPECT_THAT(verify([&](auto &b) { first(b, Embed).loopStride = 1; }),
              HasSubstr("an input has stride 1"));
  EXPECT_THAT(verify([&](auto &b) { first(b, Embed).space = 4; }), HasSubstr("space 4 is unknown"));
  EXPECT_REFUSED(b.commands[LoopBegin].iterations = 4, "over 4 iterations leaves");
}

TEST(PlanVerifier, KernelsReachNoFurtherThanTheirSpaces) {
  // Reaches in the order of Toy: embed 0, append 2, attend 7, project 13.
  EXPECT_REFUSED(
      b.reaches[7].addend = 65,
      "command 3: argument 7: its kernel reaches 65 bytes from 128, past the 192 bytes of "
      "the weights");
  EXPECT_REFUSED(b.arguments[7].loopStride = 95, "reaches 4 bytes from 190, past the 192");
  EXPECT_REFUSED(b.reaches[3].addend += 1,
                 "command 2: argument 3: its kernel reaches 161 bytes from "
                 "320, past the 480 bytes of the cache");
  EXPECT_REFUSED(b.reaches[15].multiplier += 1, "past the 240 bytes of the arena");
  EXPECT_REFUSED(
      b.reaches[0].multiplier = 5,
      "command 0: argument 0: its kernel reaches 30 bytes from 0, past the 24 bytes of the "
      "input");
  EXPECT_REFUSED(b.reaches[6].addend = 1,
                 "reaches 97 bytes from 0, past the 96 bytes of the input");
  EXPECT_REFUSED(b.reaches[14].count = uint32_t(format::Count::Tokens), "past the 16 bytes");
  // Arithmetic that does not fit, and negative results.
  EXPECT_REFUSED(b.reaches[0].multiplier = huge, "reaches 18446744073709551615 bytes");
  EXPECT_REFUSED((b.reaches[0].multiplier = huge / 6, b.reaches[0].addend = INT64_MAX),
                 "reaches 18446744073709551615 bytes");
  EXPECT_EQ(verify([](ArtifactBuilder &b) { b.reaches[0].addend = INT64_MIN; }), "accepted");
  // The table itself.
  EXPECT_REFUSED(b.reaches[5].count = 3, "reach 5: count 3 is unknown");
  EXPECT_REFUSED(b.reaches.pop_back(),
                 "16 arguments of kernels need 384 bytes of reaches, there are "
                 "360");
  // Bounds that grew in the header grow what kernels touch.
  EXPECT_REFUSED((b.plan.maxTokens = 400, b.entries[1].maxTokens = 400), "of the arena");
}

TEST(PlanVerifier, AFileOfAnOlderVersionDoesNotSayHowFarKernelsGo) {
  ArtifactBuilder builder = Toy::makeBuilder();
  builder.minorVersion = format::reachesMinorVersion - 1;
  std::vector<std::byte> file = builder.build();
  Result<Artifact> artifact = Artifact::read(file, "toy.ingot");
  ASSERT_TRUE(artifact.ok()) << artifact.message();
  EXPECT_TRUE(artifact->getPlan().reaches.empty());
}

TEST(PlanVerifier, GridsAreDefinedAndBounded) {
  EXPECT_REFUSED(b.commands[Embed].grid[1].divisor = 0, "command 0: grid y: divisor is 0");
  EXPECT_REFUSED(b.commands[Embed].grid[2].count = 3, "grid z: count 3 is unknown");
  EXPECT_REFUSED(b.commands[Embed].grid[0].multiplier = INT64_MAX, "grid x: (6 *");
  EXPECT_REFUSED(b.commands[Embed].grid[0].addend = INT64_MAX, "more than");
  EXPECT_REFUSED(b.commands[Embed].grid[0].multiplier = int64_t(1) << 40, "more than");
  EXPECT_REFUSED((b.commands[Embed].grid[0].multiplier = -1,
                  b.commands[Embed].grid[0].addend = int64_t(1) << 41),
                 "more than");
  EXPECT_REFUSED((b.commands[Embed].grid[0].divisor = huge, b.commands[Embed].grid[0].addend = 1),
                 "more than");
  // For some counts alone: where the sum is negative there are no blocks.
  auto isForFew = [](ArtifactBuilder &b) {
    b.commands[Embed].grid[1].multiplier = -1;
    b.commands[Embed].grid[1].addend = 9;
  };
  EXPECT_EQ(verify(isForFew), "accepted");
  EXPECT_EQ(verify([](ArtifactBuilder &b) { b.commands[Embed].grid[1].addend = INT64_MIN; }),
            "accepted");
}

TEST(PlanVerifier, LoopsMatchAndDoNotNest) {
  auto kind = [](ArtifactBuilder &b, int index, format::CommandKind kind) {
    b.commands[index].kind = uint32_t(kind);
    b.commands[index].iterations = 1;
  };
  EXPECT_THAT(verify([&](auto &b) { kind(b, Append, format::CommandKind::LoopBegin); }),
              HasSubstr("command 2: a loop inside the loop of command 1"));
  EXPECT_THAT(verify([&](auto &b) { kind(b, Embed, format::CommandKind::LoopEnd); }),
              HasSubstr("command 0: the end of a loop that has not begun"));
  EXPECT_THAT(verify([&](auto &b) { kind(b, 11, format::CommandKind::LoopBegin); }),
              HasSubstr("no end"));
  EXPECT_REFUSED(b.commands[LoopBegin].iterations = 0, "0 iterations are not between");
  EXPECT_REFUSED(b.commands[LoopBegin].iterations = huge, "iterations are not between");
  EXPECT_REFUSED(
      {
        b.commands[LoopBegin].iterations = 1 << 23;
        for (format::ArgumentRecord &argument : b.arguments)
          argument.loopStride = 0;
      },
      "the unrolled program has more than");
}

TEST(PlanVerifier, EntriesCoverAllTokenCountsInOrder) {
  EXPECT_REFUSED(b.entries[1].minTokens = 3, "entry 1: serves 3 to 6 tokens, expected from 2 up");
  EXPECT_REFUSED(b.entries[1].maxTokens = 5, "the entries serve up to 5 tokens, not all 6");
  EXPECT_REFUSED(b.entries[1].maxTokens = 7, "entry 1: serves 2 to 7");
  EXPECT_REFUSED(b.entries[0].maxTokens = 0, "entry 0: serves 1 to 0");
  EXPECT_REFUSED(b.entries.clear(), "the entries serve up to 0 tokens");
  EXPECT_REFUSED(b.entries[0].firstCommand = 0xffffffff, "end past the last of 12");
  EXPECT_REFUSED(b.entries[0].commandCount = 3, "begins or ends inside a loop");
  EXPECT_REFUSED(b.entries[0].firstCommand = 2, "begins or ends inside a loop");
  EXPECT_REFUSED(b.entries[0].name.length = 1 << 30, "entry 0: name");
}

} // namespace
