//===- PlanEncoderTest.cpp - A plan survives the way into the file and back -------------------===//

#include "ingot/Artifact/PlanEncoder.h"
#include "ingot/Artifact/WeightPacker.h"
#include "mlir/Parser/Parser.h"
#include "runtime/core/Artifact.h"
#include "test/unit/Artifact/TestFolder.h"
#include "gmock/gmock.h"

using namespace ingot;
using namespace ingot::artifact;
using ingot::test::TestFolder;
using llvm::toString;

namespace {

/// Two entries, one with a loop over two layers.
constexpr const char *program = R"(
plan.program @model
    bounds<tokens = 64, outputs = 2, sequences = 2, context_tokens = 128, page_tokens = 16, pages = 16, pages_per_sequence = 8>
    arena 8192 cache 131136 vocabulary 100 result @logits width 512 {
  plan.buffer @hidden arena at 0 bytes 4096 live [0, 6]
  plan.buffer @logits arena at 4096 bytes 4096 live [4, 6]
  plan.weight @table at 0 bytes 4096 [64, 16] "f32" packing "plain" sources ["table"]
  plan.weight @w0 at 4096 bytes 1024 [16, 16] "f32" packing "plain" sources ["w0"]
  plan.weight @w1 at 5120 bytes 1024 [16, 16] "f32" packing "plain" sources ["w1"]
  plan.cache @first at 0 layers 1 of 64 bytes
  plan.cache @kv at 64 layers 2 of 65536 bytes
  plan.kernel @embed family "Embedding" arguments 3 block<threads = 32, shared_bytes = 0, dependent = 0>
  plan.kernel @project family "Linear" arguments 5 block<threads = 128, shared_bytes = 2048, dependent = 1> cost<weight_bytes = 4096, bytes_per_row = 128, operations_per_row = 2048, outputs>
      reaches [1024, tokens * 4, outputs * 96 - 32, 64, tokens]
  plan.entry @prompt tokens 1 to 8 {
    plan.launch @embed grid [tokens, 1, 1] (token_ids, @table, out @hidden) layer "embd"
    plan.loop 2 {
      plan.launch @project grid [7, ceildiv(tokens * 3 + 1, 8), 1] (@w0 step 1024, positions, inout @kv + 128 step 65536, @first, inout @hidden) layer "blk"
    }
    plan.launch @embed grid [outputs, 1, 1] (@hidden, @table + 64, out @logits)
  }
  plan.entry @chunk tokens 9 to 64 {
    plan.launch @embed grid [1, 1, 1] (page_table, @table, out @hidden)
    plan.launch @embed grid [1, 1, 1] (@hidden, @table, out @logits)
  }
}
)";

class PlanEncoder : public testing::Test {
protected:
  PlanEncoder() {
    context.loadDialect<plan::PlanDialect>();
    module = mlir::parseSourceString<mlir::ModuleOp>(program, &context);
  }
  plan::ProgramOp getProgram() { return *module->getOps<plan::ProgramOp>().begin(); }

  mlir::MLIRContext context;
  mlir::OwningOpRef<mlir::ModuleOp> module;
};

TEST_F(PlanEncoder, TheRuntimeReadsThePlan) {
  ASSERT_TRUE(module);
  InlineWeightStore store;
  auto addWeight = [&](llvm::StringRef name, int64_t rows) {
    std::vector<float> values(rows * 16, float(rows));
    llvm::cantFail(store.addValues(name, *NumericFormat::lookup("f32"), {rows, 16}, values));
  };
  addWeight("table", 64);
  addWeight("w0", 16);
  addWeight("w1", 16);
  ArtifactContents contents;
  contents.plan = encodePlan(getProgram());
  contents.kernels.push_back({"cpu:x86-64-v3", {'E', 'L', 'F'}});
  contents.card = "{}";
  TestFolder folder;
  ASSERT_EQ(
      toString(writeArtifact(folder / "a", contents, makeWeightProducer(getProgram(), store))), "");

  auto artifact = runtime::Artifact::open(folder / "a");
  ASSERT_TRUE(bool(artifact)) << artifact.takeStatus().message();
  EXPECT_TRUE(bool(artifact->verifyWeights()));
  const runtime::Plan &plan = artifact->getPlan();
  EXPECT_EQ(plan.header->outputOffset, 4096u);
  EXPECT_EQ(plan.header->cacheBytes, 131136u);
  EXPECT_EQ(plan.header->pagesPerSequence, 8u);
  ASSERT_EQ(plan.entries.size(), 2u);
  EXPECT_EQ(plan.entries[0].commandCount, 5u);
  EXPECT_EQ(plan.entries[1].firstCommand, 5u);
  EXPECT_EQ(plan.entries[1].minTokens, 9u);
  ASSERT_EQ(plan.commands.size(), 7u);
  EXPECT_EQ(plan.commands[1].kind, uint32_t(format::CommandKind::LoopBegin));
  EXPECT_EQ(plan.commands[1].iterations, 2u);
  EXPECT_EQ(plan.commands[3].kind, uint32_t(format::CommandKind::LoopEnd));

  const format::CommandRecord &launch = plan.commands[2];
  EXPECT_EQ(artifact->getName(launch.layer), "blk");
  EXPECT_EQ(artifact->getName(plan.kernels[launch.kernel].symbol), "project");
  EXPECT_EQ(launch.grid[0].count, format::noCount);
  EXPECT_EQ(launch.grid[0].multiplier, 7u);
  EXPECT_EQ(launch.grid[1].count, uint32_t(format::Count::Tokens));
  EXPECT_EQ(launch.grid[1].multiplier, 3u);
  EXPECT_EQ(launch.grid[1].addend, 1u);
  EXPECT_EQ(launch.grid[1].divisor, 8u);
  auto argument = [&](int index) { return plan.arguments[launch.firstArgument + index]; };
  auto expectArgument = [&](int index, format::Space space, uint64_t offset, uint64_t stride) {
    EXPECT_EQ(argument(index).space, uint32_t(space)) << index;
    EXPECT_EQ(argument(index).offset, offset) << index;
    EXPECT_EQ(argument(index).loopStride, stride) << index;
  };
  expectArgument(0, format::Space::Weights, 4096, 1024);
  expectArgument(1, format::Space::Input, uint64_t(format::Input::Positions), 0);
  expectArgument(2, format::Space::Cache, 64 + 128, 65536);
  expectArgument(3, format::Space::Cache, 0, 0);
  expectArgument(4, format::Space::Arena, 0, 0);
  EXPECT_EQ(plan.kernels[launch.kernel].costCount, uint32_t(format::Count::Outputs));
  EXPECT_EQ(plan.kernels[launch.kernel].threads, 128);
  EXPECT_EQ(plan.kernels[launch.kernel].sharedBytes, 2048u);
  EXPECT_EQ(plan.kernels[launch.kernel].flags, format::DependentLaunch);
  EXPECT_EQ(plan.kernels[0].costCount, format::noCount);

  // The first kernel does not say how far it goes: the first byte of its three arguments counts.
  ASSERT_EQ(plan.reaches.size(), 8u);
  std::vector<uint64_t> reaches;
  for (const format::ReachRecord &reach : plan.reaches)
    reaches.push_back(runtime::evaluateReach(*plan.header, reach));
  EXPECT_THAT(reaches, testing::ElementsAre(1, 1, 1, 1024, 64 * 4, 2 * 96 - 32, 64, 64));
  EXPECT_EQ(plan.reaches[5].count, uint32_t(format::Count::Outputs));
  EXPECT_EQ(plan.reaches[5].addend, -32);
}

} // namespace
