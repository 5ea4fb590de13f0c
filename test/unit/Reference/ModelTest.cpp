//===- ModelTest.cpp - Imported checkpoints by the reference, against transformers ------------===//
//
// The logits of the small random checkpoints were made by transformers in float32
// (tools/fixtures/make_llama_fixtures.py, make_huggingface_fixtures.py,
// make_quantized_fixtures.py). A logit is a sum of at most 160 products behind three layers of such
// sums; float32 there differs from exact sums by some 1e-6 of the logits' deviation. A wrong angle,
// mask or head moves them by more than 1e-1.
//
//===------------------------------------------------------------------------------------------===//

#include "Run.h"
#include "ingot/Import/Json.h"
#include "ingot/Reference/Logits.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FormatVariadic.h"
#include <cmath>
#include <fstream>
#include <iterator>
#include <numeric>

using namespace ingot;
using namespace ingot::reference;

static constexpr double tolerance = 2e-5;

static double distance(const Tensor &logits, llvm::ArrayRef<float> truth) {
  return compareLogits(logits.floats(), truth, logits.dim(1)).largest;
}

namespace {

/// Frequencies that follow the length of a text are fixed for that of the fixture's.
import::ImportOptions optionsFor(llvm::StringRef name) {
  return {.context = name == "hf-llama-dynamic" ? 40 : 0};
}

struct Fixture {
  mlir::MLIRContext context;
  std::optional<import::ImportedModel> model;
  std::vector<int32_t> tokens, rows;
  std::vector<float> logits;

  explicit Fixture(const std::string &name) {
    std::string base = std::string(INGOT_INPUTS "/") + name;
    auto imported = import::importModel(base, &context, optionsFor(name));
    if (succeeded(imported))
      model = std::move(*imported);
    if (llvm::StringRef(base).ends_with(".gguf"))
      base.resize(base.size() - 5);
    std::ifstream ids(base + ".ids");
    tokens.assign(std::istream_iterator<int32_t>(ids), {});
    rows.resize(tokens.size());
    std::iota(rows.begin(), rows.end(), 0);
    auto bytes = llvm::cantFail(
        llvm::errorOrToExpected(llvm::MemoryBuffer::getFile(base + ".f32", /*IsText=*/false)));
    logits.resize(bytes->getBufferSize() / sizeof(float));
    memcpy(logits.data(), bytes->getBufferStart(), logits.size() * sizeof(float));
  }
};

class ModelTest : public testing::TestWithParam<const char *> {};

} // namespace

TEST_P(ModelTest, LogitsAreThoseOfTransformers) {
  Fixture fixture(GetParam());
  ASSERT_TRUE(fixture.model);
  auto logits =
      computeLogits(*fixture.model->module, fixture.tokens, fixture.rows, *fixture.model->weights);
  ASSERT_TRUE(succeeded(logits));
  EXPECT_LT(distance(*logits, fixture.logits), tolerance);
}

TEST_P(ModelTest, APaddedBatchGivesTheSameLogits) {
  Fixture fixture(GetParam());
  ASSERT_TRUE(fixture.model);
  // A shorter sequence first: the second is not at the start of the batch, and there is padding.
  Sequence shorter{{fixture.tokens.begin(), fixture.tokens.begin() + 5}, {4}};
  Sequence whole{fixture.tokens, fixture.rows};
  auto logits = computeLogits(*fixture.model->module, {shorter, whole}, *fixture.model->weights);
  auto alone =
      computeLogits(*fixture.model->module, fixture.tokens, fixture.rows, *fixture.model->weights);
  ASSERT_TRUE(succeeded(logits) && succeeded(alone));
  int64_t vocabulary = logits->dim(1);
  EXPECT_EQ(logits->floats().drop_front(vocabulary), alone->floats());
  bool isCausal = false;
  fixture.model->module->walk(
      [&](transformer::AttentionMaskOp mask) { isCausal |= mask.getCausal(); });
  if (!isCausal) // an encoder: every token knows all others
    return;
  // Causality: the fifth token's logits do not know what follows.
  EXPECT_EQ(logits->floats().take_front(vocabulary),
            alone->floats().slice(4 * vocabulary, vocabulary));
}

INSTANTIATE_TEST_SUITE_P(Gguf, ModelTest,
                         testing::Values("tiny-tied.gguf", "tiny-untied.gguf", "gguf-qwen2.gguf",
                                         "gguf-qwen3.gguf", "gguf-olmo2.gguf", "gguf-gpt2.gguf",
                                         "gguf-neox.gguf", "gguf-gemma2.gguf", "gguf-phi3.gguf"));
INSTANTIATE_TEST_SUITE_P(HuggingFace, ModelTest,
                         testing::Values("hf-llama", "hf-llama3", "hf-llama-linear",
                                         "hf-llama-yarn", "hf-llama-dynamic", "hf-mistral",
                                         "hf-qwen2", "hf-qwen3", "hf-gemma2", "hf-gemma3",
                                         "hf-olmo2", "hf-phi3", "hf-gpt2", "hf-neox", "hf-bert",
                                         "hf-roberta", "hf-distilbert"));
INSTANTIATE_TEST_SUITE_P(Quantized, ModelTest,
                         testing::Values("hf-gptq", "hf-gptq-order", "hf-gptq-order-asymmetric",
                                         "hf-gptq-8bit", "hf-gptq-3bit", "hf-gptq-2bit", "hf-awq",
                                         "hf-packed-int4", "hf-packed-int4-zeros", "hf-packed-int8",
                                         "hf-int8", "hf-float8", "hf-float8-blocks", "hf-mxfp4"));

/// Takes one feature out of the program.
static void removeFeature(mlir::Operation *op, llvm::StringRef feature) {
  if (auto rope = llvm::dyn_cast<transformer::RopeOp>(op)) {
    if (feature == "factors")
      rope.removeFactorsAttr();
    if (feature == "base")
      rope.setBase(llvm::APFloat(10000.0));
  }
  if (auto mask = llvm::dyn_cast<transformer::AttentionMaskOp>(op); mask && feature == "causal")
    mask.setCausal(false);
  if (auto linear = llvm::dyn_cast<transformer::LinearOp>(op); linear && feature == "bias")
    linear.getBiasMutable().clear();
  if (auto gather = llvm::dyn_cast<transformer::GatherChannelsOp>(op); gather && feature == "order")
    gather.replaceAllUsesWith(gather.getInput());
}

TEST(ModelFeatures, SwitchingOffAnyOneMovesTheLogits) {
  constexpr std::pair<const char *, llvm::StringLiteral> cases[] = {{"tiny-untied.gguf", "factors"},
                                                                    {"tiny-untied.gguf", "base"},
                                                                    {"tiny-untied.gguf", "causal"},
                                                                    {"tiny-untied.gguf", "bias"},
                                                                    {"hf-gptq-order", "order"}};
  for (auto [name, feature] : cases) {
    Fixture fixture(name);
    ASSERT_TRUE(fixture.model);
    fixture.model->module->walk([&](mlir::Operation *op) { removeFeature(op, feature); });
    auto logits = computeLogits(*fixture.model->module, fixture.tokens, fixture.rows,
                                *fixture.model->weights);
    ASSERT_TRUE(succeeded(logits));
    EXPECT_GT(distance(*logits, fixture.logits), 100 * tolerance) << feature.str();
  }
}

namespace {

/// An entry of a fixture's configuration and another value for it.
struct Mutation {
  const char *fixture, *key, *value;
};

class MutationTest : public testing::TestWithParam<Mutation> {};

} // namespace

// Were an entry ignored, or read wrongly, this would not move the logits: the weights stay.
TEST_P(MutationTest, MovesTheLogits) {
  const Mutation &mutation = GetParam();
  std::string source = std::string(INGOT_INPUTS "/") + mutation.fixture;
  llvm::SmallString<128> folder;
  ASSERT_FALSE(llvm::sys::fs::createUniqueDirectory("mutation", folder));
  auto config = llvm::cantFail(readJsonObject(source + "/config.json"));
  config[mutation.key] = llvm::cantFail(llvm::json::parse(mutation.value));
  std::ofstream(std::string(folder) + "/config.json")
      << llvm::formatv("{0}", llvm::json::Value(std::move(config))).str();
  ASSERT_FALSE(llvm::sys::fs::copy_file(source + "/model.safetensors",
                                        std::string(folder) + "/model.safetensors"));
  Fixture fixture(mutation.fixture);
  auto changed = import::importModel(folder, &fixture.context);
  llvm::sys::fs::remove_directories(folder);
  ASSERT_TRUE(succeeded(changed));
  auto logits = computeLogits(*changed->module, fixture.tokens, fixture.rows, *changed->weights);
  ASSERT_TRUE(succeeded(logits));
  EXPECT_GT(distance(*logits, fixture.logits), 100 * tolerance) << mutation.key;
}

INSTANTIATE_TEST_SUITE_P(
    HuggingFace, MutationTest,
    testing::Values(
        Mutation{"hf-llama", "rope_parameters", R"({"rope_theta": 20000})"},
        Mutation{"hf-llama", "rms_norm_eps", "0.1"},
        Mutation{"hf-llama", "hidden_act", R"("relu")"},
        Mutation{"hf-llama3", "rope_parameters", R"({"rope_theta": 500})"},
        Mutation{"hf-llama-linear", "rope_parameters", "null"},
        Mutation{"hf-llama-yarn", "rope_parameters", R"({"rope_theta": 500})"},
        Mutation{"hf-llama-dynamic", "rope_parameters", "null"},
        Mutation{"hf-llama-yarn", "rope_parameters",
                 R"({"rope_theta": 500, "rope_type": "yarn", "factor": 4, "attention_factor": 1,
                     "original_max_position_embeddings": 16})"},
        Mutation{"hf-mistral", "sliding_window", "null"},
        Mutation{"hf-mistral", "sliding_window", "10"},
        Mutation{"hf-qwen2", "layer_types", R"(["sliding_attention", "full_attention"])"},
        Mutation{"hf-qwen2", "sliding_window", "8"},
        Mutation{"hf-gemma2", "attn_logit_softcapping", "null"},
        Mutation{"hf-gemma2", "final_logit_softcapping", "null"},
        Mutation{"hf-gemma2", "query_pre_attn_scalar", "16"},
        Mutation{"hf-gemma2", "sliding_window", "8"},
        Mutation{"hf-gemma2", "hidden_activation", R"("silu")"},
        Mutation{"hf-gemma3", "layer_types",
                 R"(["full_attention", "sliding_attention", "full_attention"])"},
        Mutation{
            "hf-gemma3", "rope_parameters",
            R"({"full_attention": {"rope_theta": 5000}, "sliding_attention": {"rope_theta": 300}})"},
        Mutation{"hf-phi3", "rope_parameters", R"({"rope_theta": 10000})"},
        Mutation{"hf-gpt2", "scale_attn_weights", "false"},
        Mutation{"hf-gpt2", "layer_norm_epsilon", "0.1"},
        Mutation{"hf-gpt2", "activation_function", R"("relu")"},
        Mutation{"hf-neox", "use_parallel_residual", "false"},
        Mutation{"hf-bert", "hidden_act", R"("relu")"},
        Mutation{"hf-bert", "layer_norm_eps", "0.1"},
        Mutation{"hf-roberta", "hidden_act", R"("relu")"},
        Mutation{"hf-roberta", "pad_token_id", "0"},
        Mutation{"hf-distilbert", "activation", R"("relu")"},
        Mutation{"hf-neox", "hidden_act", R"("relu")"},
        Mutation{"hf-neox", "rope_parameters",
                 R"({"rope_theta": 10000, "partial_rotary_factor": 0.25})"},
        // Zero-points are stored less one, or as they are.
        Mutation{"hf-gptq", "quantization_config",
                 R"({"quant_method": "gptq", "bits": 4, "group_size": 64, "sym": false,
                     "checkpoint_format": "gptq_v2"})"},
        Mutation{"hf-gptq-8bit", "quantization_config",
                 R"({"quant_method": "gptq", "bits": 8, "group_size": -1, "sym": false})"}));

TEST(CompareLogits, HasItsKnownValues) {
  // One row agrees; in the other two tokens of probability 1/2 became 3/4 and 1/4.
  std::vector<float> truth = {0, 1, 0, 0}, logits = {2, 3, std::log(3.0f), 0};
  auto distance = compareLogits(logits, truth, /*vocabulary=*/2);
  EXPECT_NEAR(distance.divergence, (0.5 * std::log(0.5 / 0.75) + 0.5 * std::log(0.5 / 0.25)) / 2,
              1e-7);
  EXPECT_NEAR(distance.largest, 2 / std::sqrt(0.1875), 1e-7);
  EXPECT_EQ(distance.agreement, 1.0);
  EXPECT_EQ(compareLogits({0, 1}, {1, 0}, 2).agreement, 0.0);
}

TEST(Chunks, AreForEntriesWithACache) {
  Fixture fixture("tiny-tied.gguf");
  ASSERT_TRUE(fixture.model);
  mlir::ScopedDiagnosticHandler handler(&fixture.context, [](mlir::Diagnostic &diagnostic) {
    EXPECT_EQ(diagnostic.str(), "expected an entry that takes and returns a cache");
  });
  EXPECT_TRUE(failed(
      computeLogitsInChunks(*fixture.model->module, fixture.tokens, 4, *fixture.model->weights)));
}
