//===- CardTest.cpp - The card says where an artefact comes from ------------------------------===//

#include "ingot/Artifact/Card.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Parser/Parser.h"
#include "test/unit/Artifact/TestFolder.h"
#include "gmock/gmock.h"

using namespace ingot;
using namespace ingot::artifact;
using ingot::test::TestFolder;
using testing::HasSubstr;

namespace {

constexpr const char *text = R"(
module attributes {transformer.model = {architecture = "llama", layers = 2 : i64, rope_base = 1.0e5 : f64, other = [1]}} {
  plan.program @model
      bounds<tokens = 4, outputs = 2, sequences = 1, context_tokens = 8, page_tokens = 16, pages = 0, pages_per_sequence = 0>
      arena 128 cache 0 vocabulary 100 result @logits width 16 {
    plan.buffer @logits arena at 0 bytes 128 live [0, 0]
    plan.weight @a at 0 bytes 100 [5, 5] "f32" packing "plain" sources ["a"]
    plan.weight @b at 128 bytes 64 [4, 4] "f32" packing "plain" sources ["b"]
    plan.weight @c at 192 bytes 64 [8, 8] "q8_0" packing "rows8" sources ["c"]
    plan.kernel @k family "K" arguments 1
    plan.entry @step tokens 1 to 4 {
      plan.launch @k grid [1, 1, 1] (out @logits)
    }
  }
}
)";

TEST(Card, TellsModelSourcesWeightsAndMemory) {
  mlir::MLIRContext context(mlir::MLIRContext::Threading::DISABLED);
  context.allowUnregisteredDialects();
  context.loadDialect<plan::PlanDialect>();
  auto module = mlir::parseSourceString<mlir::ModuleOp>(text, &context);
  ASSERT_TRUE(module);
  CardData data;
  data.compiler = "ingot 1.2.3";
  data.sources.push_back({"dir/a \"b\".gguf", "A", "00ff", 12});
  data.targets = {"cpu:x86-64-v3"};
  data.recipe["activations"] = "int8";
  data.remarks.push_back({"missed", "plan", "Loop: no"});
  std::string card = writeCard(*module->getOps<plan::ProgramOp>().begin(), data);

  auto parsed = llvm::json::parse(card);
  ASSERT_TRUE(bool(parsed)) << llvm::toString(parsed.takeError());
  const llvm::json::Object &object = *parsed->getAsObject();
  EXPECT_EQ(object.getString("compiler"), "ingot 1.2.3");
  EXPECT_EQ(object.getObject("model")->getString("architecture"), "llama");
  EXPECT_EQ(object.getObject("model")->getInteger("layers"), 2);
  EXPECT_EQ(object.getObject("model")->getNumber("rope_base"), 1e5);
  const llvm::json::Object &source = *object.getArray("sources")->front().getAsObject();
  EXPECT_EQ(source.getString("file"), "dir/a \"b\".gguf");
  EXPECT_EQ(source.getInteger("bytes"), 12);
  ASSERT_EQ(object.getArray("weights")->size(), 2u);
  const llvm::json::Object &plain = *object.getArray("weights")->front().getAsObject();
  EXPECT_EQ(plain.getString("format"), "f32");
  EXPECT_EQ(plain.getInteger("count"), 2);
  EXPECT_EQ(plain.getInteger("bytes"), 164);
  const llvm::json::Object &memory = *object.getObject("memory");
  EXPECT_EQ(memory.getInteger("arena_bytes"), 128);
  EXPECT_EQ(memory.getInteger("weight_bytes"), 256);
  EXPECT_EQ(memory.getArray("buffers")->front().getAsObject()->getString("name"), "logits");
  EXPECT_EQ(object.getArray("remarks")->front().getAsObject()->getString("kind"), "missed");
}

TEST(Card, HashesSources) {
  TestFolder folder;
  auto source = describeSource(folder.write("a", "abc"), "A");
  ASSERT_TRUE(bool(source)) << llvm::toString(source.takeError());
  EXPECT_EQ(source->bytes, 3u);
  // FIPS 180-2, appendix B.1.
  EXPECT_EQ(source->sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  auto missing = describeSource(folder / "missing", "A");
  ASSERT_FALSE(bool(missing));
  EXPECT_THAT(llvm::toString(missing.takeError()),
              HasSubstr("missing': No such file or directory"));
}

} // namespace
