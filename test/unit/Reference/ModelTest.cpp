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

/// max |a - b| over the deviation of b.
static double distance(llvm::ArrayRef<float> a, llvm::ArrayRef<float> b) {
  double largest = 0, sum = 0, squares = 0;
  for (auto [x, y] : llvm::zip_equal(a, b)) {
    largest = std::max(largest, std::fabs(double(x) - y));
    sum += y;
    squares += double(y) * y;
  }
  double mean = sum / double(b.size());
  return largest / std::sqrt(squares / double(b.size()) - mean * mean);
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
  EXPECT_LT(distance(logits->floats(), fixture.logits), tolerance);
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
    EXPECT_GT(distance(logits->floats(), fixture.logits), 100 * tolerance) << feature.str();
  }
}
