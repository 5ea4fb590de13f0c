//===- CostModelTest.cpp - What the cost model counts, predicts and picks -----------------------------===//
//
// Counts of small products by hand; predictions move in the right direction; a fit finds the
// constants that times were made from. Nothing here measures a time.
//
//===----------------------------------------------------------------------------------------------===//

#include "ingot/Kernels/CostModel.h"
#include "gtest/gtest.h"

using namespace ingot;
using namespace ingot::kernels;

namespace {

ProductShape makeShape(int64_t rows, int64_t columns, int64_t weights = 1) {
  return {"q4_1", rows, columns, weights, /*isInteger=*/true};
}

double predict(const ProductShape &shape, const ProductSchedule &schedule, int64_t tokens,
               int64_t threads = 2) {
  return countProduct(shape, schedule, tokens, threads).predictSeconds(Tuning::getDefault());
}

double getUnit(const Work &work, const std::string &name) {
  auto at = work.units.find(name);
  return at == work.units.end() ? 0 : at->second;
}

TEST(CostModel, CountsTheExampleOfItsHeader) {
  // 9 blocks of 8 row groups on two threads: one has 5. A cell is 8 rows by 32 columns.
  Work work = countProduct(makeShape(576, 1536), {8, 64, 4, 8, 1}, 64, 2);
  double cells = 5 * 8 * 48;
  EXPECT_DOUBLE_EQ(getUnit(work, "q4_1 int8 fill"), cells);
  EXPECT_DOUBLE_EQ(getUnit(work, "q4_1 int8 panel 4"), 16 * cells);
  EXPECT_DOUBLE_EQ(getUnit(work, "q4_1 int8 panel 1"), 0);
  EXPECT_DOUBLE_EQ(getUnit(work, "q4_1 int8 sum"), 5 * 64 * 48);
  EXPECT_DOUBLE_EQ(getUnit(work, "q4_1 int8 block"), 5);
  EXPECT_DOUBLE_EQ(getUnit(work, "q4_1 int8 element"), 5 * 8 * 64);
  EXPECT_DOUBLE_EQ(getUnit(work, "launch"), 1);
  EXPECT_DOUBLE_EQ(work.weightBytes, 576 * 1536 * 5 / 8);
}

TEST(CostModel, TellsOneAFewAndManyTokensApart) {
  ProductShape shape = makeShape(64, 64);
  ProductSchedule schedule{8, 64, 4, 8, 2};
  Work one = countProduct(shape, schedule, 1, 1), few = countProduct(shape, schedule, 7, 1),
       many = countProduct(shape, schedule, 9, 1), parts = countProduct(shape, schedule, 66, 1);
  EXPECT_DOUBLE_EQ(getUnit(one, "q4_1 int8 single 2"), 16);
  EXPECT_EQ(one.units.count("q4_1 int8 sum"), 0u);
  EXPECT_DOUBLE_EQ(getUnit(few, "q4_1 int8 direct 4"), 16);
  EXPECT_DOUBLE_EQ(getUnit(few, "q4_1 int8 direct 1"), 3 * 16);
  EXPECT_EQ(few.units.count("q4_1 int8 fill"), 0u);
  EXPECT_DOUBLE_EQ(getUnit(many, "q4_1 int8 panel 4"), 2 * 16);
  EXPECT_DOUBLE_EQ(getUnit(many, "q4_1 int8 panel 1"), 16);
  // 64 tokens with a panel, and 2 in a block of their own.
  EXPECT_DOUBLE_EQ(getUnit(parts, "q4_1 int8 panel 4"), 16 * 16);
  EXPECT_DOUBLE_EQ(getUnit(parts, "q4_1 int8 direct 1"), 2 * 16);
}

TEST(CostModel, RowGroupsThatAreLeftOverGoAlone) {
  Work work = countProduct(makeShape(24, 32), {3, 64, 4, 8, 2}, 1, 1);
  EXPECT_DOUBLE_EQ(getUnit(work, "q4_1 int8 single 2"), 2);
  EXPECT_DOUBLE_EQ(getUnit(work, "q4_1 int8 single 1"), 1);
}

TEST(CostModel, GrowsWithWork) {
  ProductSchedule schedule{4, 64, 4, 8, 1};
  for (int64_t tokens : {1, 2, 4, 5, 16, 64, 300}) {
    EXPECT_LT(predict(makeShape(512, 512), schedule, tokens),
              predict(makeShape(1024, 512), schedule, tokens));
    EXPECT_LT(predict(makeShape(512, 512), schedule, tokens),
              predict(makeShape(512, 1024), schedule, tokens));
    EXPECT_LT(predict(makeShape(512, 512), schedule, tokens),
              predict(makeShape(512, 512, 2), schedule, tokens));
    EXPECT_LE(predict(makeShape(512, 512), schedule, tokens),
              predict(makeShape(512, 512), schedule, 2 * tokens));
    EXPECT_GT(predict(makeShape(512, 512), schedule, tokens, 1),
              predict(makeShape(512, 512), schedule, tokens, 2));
  }
}

TEST(CostModel, RanksWhatIsDealtOutUnevenly) {
  // 9 blocks on 2 threads leave one idle for a tenth of the time, 12 do not.
  ProductShape shape = makeShape(576, 1536);
  EXPECT_LT(predict(shape, {6, 64, 4, 8, 1}, 64), predict(shape, {8, 64, 4, 8, 1}, 64));
  // Tiles of one token decode as often as there are tokens.
  EXPECT_LT(predict(shape, {6, 64, 4, 8, 1}, 4), predict(shape, {6, 64, 1, 8, 1}, 4));
}

TEST(CostModel, WaitsForMemoryWithOneToken) {
  Tuning slow = Tuning::getDefault(), fast = slow;
  slow.bytesPerSecond /= 4;
  Work one = countProduct(makeShape(576, 1536), {6, 64, 4, 8, 1}, 1, 2),
       many = countProduct(makeShape(576, 1536), {6, 64, 4, 8, 1}, 256, 2);
  EXPECT_GT(one.predictSeconds(slow), 2 * one.predictSeconds(fast));
  EXPECT_NEAR(many.predictSeconds(slow), many.predictSeconds(fast),
              0.01 * many.predictSeconds(fast));
}

TEST(CostModel, PicksTheNearestToTheBestOfEach) {
  auto rate = [](llvm::SmallVector<double, 5> seconds) { return RatedSchedule{{}, seconds}; };
  EXPECT_EQ(findNearest({rate({1, 2}), rate({1.1, 1.1}), rate({2, 1})}), 1u);
  EXPECT_EQ(findNearest({rate({1, 1}), rate({1, 1})}), 0u);
  // No candidate is predicted to be better for all numbers of tokens than what is chosen.
  Choice choice = chooseSchedule(makeShape(576, 1536), Tuning::getDefault());
  const RatedSchedule &chosen = choice.candidates[choice.chosen];
  for (const RatedSchedule &other : choice.candidates)
    EXPECT_FALSE(llvm::all_of(llvm::zip_equal(other.seconds, chosen.seconds), [](auto pair) {
      return std::get<0>(pair) < std::get<1>(pair);
    })) << other.schedule.toText();
}

TEST(CostModel, FitFindsTheConstantsThatTimesCameFrom) {
  Tuning truth = Tuning::getDefault();
  truth.bytesPerSecond = 0; // weights in caches
  for (auto &[unit, nanoseconds] : truth.nanoseconds)
    nanoseconds *= 1.0 + 0.05 * double(unit.size() % 11);
  std::vector<Measurement> measurements;
  for (auto [rows, columns] : {std::pair(64, 256), {256, 1024}, {768, 256}})
    for (const ProductSchedule &schedule : scheduleCandidates())
      for (int64_t tokens : {1, 2, 3, 4, 5, 8, 9, 64, 100}) {
        Measurement measured{countProduct(makeShape(rows, columns), schedule, tokens, 2)};
        measured.seconds = measured.work.predictSeconds(truth);
        measurements.push_back(measured);
      }
  Tuning fitted = Tuning::getDefault();
  fitted.bytesPerSecond = 0;
  for (const auto &[unit, nanoseconds] : fitUnits(measurements, fitted))
    fitted.nanoseconds[unit] = nanoseconds;
  for (const Measurement &measured : measurements)
    EXPECT_NEAR(measured.work.predictSeconds(fitted) / measured.seconds, 1, 0.02);
  EXPECT_NEAR(fitted.getNanoseconds("q4_1 int8 panel 4") / truth.getNanoseconds("int8 panel 4"), 1,
              0.05);
}

TEST(CostModel, FormatsWithoutNumbersTakeThoseOfTheirClass) {
  Tuning tuning;
  tuning.nanoseconds = {{"int8 fill", 3}, {"q4_1 int8 fill", 2}};
  EXPECT_EQ(tuning.getNanoseconds("q4_1 int8 fill"), 2);
  EXPECT_EQ(tuning.getNanoseconds("q6_k int8 fill"), 3);
  EXPECT_EQ(tuning.getNanoseconds("q6_k float fill"), 0);
}

TEST(Schedule, TextsComeBack) {
  for (const ProductSchedule &schedule : scheduleCandidates()) {
    std::string reason;
    auto parsed = ProductSchedule::parse(schedule.toText(), reason);
    ASSERT_TRUE(succeeded(parsed)) << reason;
    EXPECT_EQ(*parsed, schedule);
  }
  ProductShape plain = makeShape(576, 1536, 2), spans{"q6_k", 960, 512, 1, false, 2, 2, 256};
  EXPECT_EQ(plain.toText(), "q4_1 int8 2x576x1536");
  EXPECT_EQ(ProductShape::parse(plain.toText()), plain);
  EXPECT_EQ(ProductShape::parse(spans.toText()), spans);
}

TEST(Schedule, OtherTextsAreRefused) {
  for (llvm::StringRef text :
       {"", "rows=4", "row_groups", "row_groups=", "row_groups=0", "row_groups=1025",
        "row_groups=4,", "tile_tokens=3", "block_tokens=48", "single_groups=16",
        "panel_tokens=99999999999999999999"}) {
    std::string reason;
    EXPECT_TRUE(failed(ProductSchedule::parse(text, reason))) << text.str();
    EXPECT_NE(reason, "");
  }
  for (llvm::StringRef text :
       {"", "q4_1", "q4_1 int8", "q4_1 int8 1x2", "q4_1 int8 1x2x0", "q4_1 int8 1x2x-3",
        "q9_9 int8 1x8x32", "q4_1 int4 1x8x32", "q4_1 int8 1x8x32 spans 2x2", "q4_1 int8 1x8x32 ",
        "q4_1 int8 1x8x99999999999", "q4_1 int8 1x8x32 spans 2x2 tokens x"})
    EXPECT_FALSE(ProductShape::parse(text)) << text.str();
}

} // namespace
