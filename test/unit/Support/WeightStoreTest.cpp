//===- WeightStoreTest.cpp - Stores answer alike, and refuse in a sentence ---------------------------===//

#include "ingot/Support/WeightStore.h"
#include "ingot/Support/Codec.h"
#include "gtest/gtest.h"
#include <cmath>

using namespace ingot;

namespace {
const NumericFormat &get(llvm::StringRef name) { return *NumericFormat::lookup(name); }

std::vector<uint8_t> read(const WeightStore &store, llvm::StringRef name, int64_t first,
                          int64_t count) {
  std::vector<uint8_t> bytes(count * store.find(name)->rowBytes);
  cantFail(store.readRows(name, first, count, bytes));
  return bytes;
}

std::string message(llvm::Error error) { return llvm::toString(std::move(error)); }
} // namespace

// Inline weights come back by rows, by values and as a whole.
TEST(WeightStore, ReturnsInlineValues) {
  InlineWeightStore store;
  std::vector<float> values = {1, 2, 3, 4, 5, 6};
  cantFail(store.addValues("a", get("f16"), {3, 2}, values));
  EXPECT_EQ(store.find("b"), nullptr);
  EXPECT_EQ(store.find("a")->rows, 3);
  EXPECT_EQ(read(store, "a", 1, 1), (std::vector<uint8_t>{0x00, 0x42, 0x00, 0x44}));
  EXPECT_EQ(store.getMapped("a").size(), 12u);
  std::vector<float> decoded(4);
  cantFail(store.readValues("a", 1, 2, decoded));
  EXPECT_EQ(decoded, (std::vector<float>{3, 4, 5, 6}));
}

// Every misuse is refused in one sentence.
TEST(WeightStore, RefusesMisuse) {
  InlineWeightStore store;
  cantFail(store.add("a", get("f32"), {2, 1}, std::vector<uint8_t>(8)));
  std::vector<uint8_t> buffer(8);
  EXPECT_EQ(message(store.readRows("b", 0, 1, buffer)), "inline weights: there is no weight 'b'");
  EXPECT_EQ(message(store.readRows("a", 1, 2, buffer)),
            "inline weights: weight 'a' has 2 rows, asked for 2 from row 1");
  EXPECT_EQ(message(store.readRows("a", -1, 2, buffer)),
            "inline weights: weight 'a' has 2 rows, asked for 2 from row -1");
  EXPECT_EQ(message(store.readRows("a", INT64_MAX, 1, buffer)),
            "inline weights: weight 'a' has 2 rows, asked for 1 from row 9223372036854775807");
  EXPECT_EQ(message(store.readRows("a", 0, 1, buffer)),
            "inline weights: 1 rows of weight 'a' take 4 bytes, the buffer has 8");
  EXPECT_EQ(message(store.add("a", get("f32"), {2, 1}, buffer)), "there is a weight 'a' already");
  EXPECT_EQ(message(store.add("c", get("f32"), {2, 2}, buffer)),
            "weight 'c' takes 16 bytes, got 8");
  EXPECT_EQ(message(store.add("c", get("q4_0"), {2, 33}, buffer)),
            "weight 'c': rows of 33 weights are not whole blocks of 32 as q4_0 needs");
  EXPECT_EQ(message(store.add("c", get("f32"), {2, 0}, buffer)),
            "weight 'c': dimension 0 of a weight is not positive");
  EXPECT_EQ(message(store.add("c", get("f32"), {INT64_MAX, 2, 2}, buffer)),
            "weight 'c': the weight has more than 2^63 rows");
  EXPECT_EQ(message(store.add("c", get("f32"), {INT64_MAX, 2}, buffer)),
            "weight 'c': the weight exceeds 2^63 bytes");
}

// Random rows do not depend on how they are read, only on seed and name.
TEST(WeightStore, RandomRowsAreReproducible) {
  RandomWeightStore store(7), same(7), other(8);
  for (RandomWeightStore *each : {&store, &same, &other})
    for (const NumericFormat &format : NumericFormat::all()) {
      cantFail(each->add(format.name, format, {16, 512}));
      cantFail(each->add("again " + format.name.str(), format, {16, 512}));
    }
  for (const NumericFormat &format : NumericFormat::all()) {
    SCOPED_TRACE(format.name.str());
    std::vector<uint8_t> all = read(store, format.name, 0, 16), rows;
    for (int64_t row = 0; row < 16; ++row)
      for (uint8_t byte : read(same, format.name, row, 1))
        rows.push_back(byte);
    EXPECT_EQ(rows, all);
    EXPECT_NE(read(other, format.name, 0, 16), all);
    EXPECT_NE(read(store, "again " + format.name.str(), 0, 16), all);
    EXPECT_NE(read(store, format.name, 0, 1), read(store, format.name, 1, 1));
  }
}

// Rows come again after as many as the store says, and in the weights of other layers.
TEST(WeightStore, RandomRowsRepeat) {
  RandomWeightStore store(7);
  int64_t period = store.getRepeatedRows();
  for (const char *name : {"blk.0.q", "blk.13.q", "blk.0.k"})
    cantFail(store.add(name, get("q4_1"), {2 * period + 5, 64}));
  std::vector<uint8_t> all = read(store, "blk.0.q", 0, 2 * period + 5);
  EXPECT_EQ(read(store, "blk.0.q", period, period + 5), read(store, "blk.0.q", 0, period + 5));
  EXPECT_EQ(read(store, "blk.13.q", 3, 2 * period), read(store, "blk.0.q", 3, 2 * period));
  EXPECT_NE(read(store, "blk.0.k", 0, 5), read(store, "blk.0.q", 0, 5));
  EXPECT_NE(read(store, "blk.0.q", 0, period - 1), read(store, "blk.0.q", 1, period - 1));
  EXPECT_EQ(InlineWeightStore().getRepeatedRows(), 0u);
}

// Random weights have the deviation asked for and a mean near zero, in every format.
TEST(WeightStore, RandomWeightsAreCentred) {
  RandomWeightStore store(1);
  constexpr int64_t rows = 64, columns = 1024;
  for (const NumericFormat &format : NumericFormat::all()) {
    SCOPED_TRACE(format.name.str());
    cantFail(store.add(format.name, format, {rows, columns}, 0.05f));
    std::vector<float> values(rows * columns);
    cantFail(store.readValues(format.name, 0, rows, values));
    double sum = 0, squares = 0;
    for (float value : values) {
      sum += value;
      squares += double(value) * value;
    }
    double mean = sum / values.size(), deviation = std::sqrt(squares / values.size() - mean * mean);
    // Scales that are powers of two come within a factor of the root of two.
    EXPECT_NEAR(deviation, 0.05, format.scaleKind == ScaleKind::E8M0 ? 0.0205 : 0.003);
    // 65,536 values in groups that share their scale; q4_0 and its like are half a step off centre.
    EXPECT_NEAR(mean, 0, 0.006);
  }
  cantFail(store.add("norm", get("f32"), {4096}, 0.05f, 1.0f));
  std::vector<float> values(4096);
  cantFail(store.readValues("norm", 0, 1, values));
  double sum = 0;
  for (float value : values)
    sum += value;
  EXPECT_NEAR(sum / 4096, 1, 0.005);
}

// The hash is that of the content: the same in any store and under any name, another for another
// shape or byte.
TEST(WeightStore, HashesContent) {
  RandomWeightStore random(3);
  InlineWeightStore store;
  cantFail(random.add("w", get("q4_1"), {600, 2048}));
  std::vector<uint8_t> bytes = read(random, "w", 0, 600);
  cantFail(store.add("same", get("q4_1"), {600, 2048}, bytes));
  cantFail(store.add("shape", get("q4_1"), {1200, 1024}, bytes));
  bytes.back() ^= 1;
  cantFail(store.add("byte", get("q4_1"), {600, 2048}, bytes));
  std::string hash = cantFail(random.hash("w"));
  EXPECT_EQ(hash.size(), 64u);
  EXPECT_EQ(cantFail(store.hash("same")), hash);
  EXPECT_NE(cantFail(store.hash("shape")), hash);
  EXPECT_NE(cantFail(store.hash("byte")), hash);
}
