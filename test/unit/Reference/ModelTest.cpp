//===- ModelTest.cpp - Imported checkpoints by the reference, against transformers ------------===//
//
// The logits of the small random checkpoints were made by transformers in float32
// (tools/fixtures/make_llama_fixtures.py). A logit is a sum of at most 96 products behind three
// layers of such sums; float32 there differs from exact sums by some 1e-6 of the logits' deviation.
// A wrong angle, mask or head moves them by more than 1e-1.
//
//===------------------------------------------------------------------------------------------===//

#include "Run.h"
#include "ingot/Reference/Logits.h"
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

struct Fixture {
  mlir::MLIRContext context;
  std::optional<import::ImportedModel> model;
  std::vector<int32_t> tokens, rows;
  std::vector<float> logits;

  explicit Fixture(const std::string &name) {
    std::string base = std::string(INGOT_INPUTS "/") + name;
    auto imported = import::importGguf(base + ".gguf", &context);
    if (succeeded(imported))
      model = std::move(*imported);
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
  // Causality: the fifth token's logits do not know what follows.
  EXPECT_EQ(logits->floats().take_front(vocabulary),
            alone->floats().slice(4 * vocabulary, vocabulary));
}

INSTANTIATE_TEST_SUITE_P(Llama, ModelTest, testing::Values("tiny-tied", "tiny-untied"));

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
}

TEST(ModelFeatures, SwitchingOffAnyOneMovesTheLogits) {
  Fixture fixture("tiny-untied");
  ASSERT_TRUE(fixture.model);
  for (llvm::StringRef feature : {"factors", "base", "causal", "bias"}) {
    mlir::OwningOpRef<mlir::ModuleOp> changed = fixture.model->module->clone();
    changed->walk([&](mlir::Operation *op) { removeFeature(op, feature); });
    auto logits = computeLogits(*changed, fixture.tokens, fixture.rows, *fixture.model->weights);
    ASSERT_TRUE(succeeded(logits));
    EXPECT_GT(distance(*logits, fixture.logits), 100 * tolerance) << feature.str();
  }
}

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
  Fixture fixture("tiny-tied");
  ASSERT_TRUE(fixture.model);
  mlir::ScopedDiagnosticHandler handler(&fixture.context, [](mlir::Diagnostic &diagnostic) {
    EXPECT_EQ(diagnostic.str(), "expected an entry that takes and returns a cache");
  });
  EXPECT_TRUE(failed(
      computeLogitsInChunks(*fixture.model->module, fixture.tokens, 4, *fixture.model->weights)));
}
