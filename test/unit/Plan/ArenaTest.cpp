//===- ArenaTest.cpp - Values that live together share no byte -------------------------------------===//

#include "passes/Plan/Arena.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include <random>

using namespace ingot::plan;
using testing::ElementsAre;

namespace {

TEST(Arena, IsEmptyWithoutValues) {
  Arena arena = layOutArena({}, 64);
  EXPECT_EQ(arena.bytes, 0);
  EXPECT_EQ(arena.leastBytes, 0);
}

TEST(Arena, ReusesMemoryOfValuesThatAreOver) {
  Arena arena = layOutArena({{100, 0, 1}, {100, 1, 2}, {100, 2, 3}}, 64);
  EXPECT_THAT(arena.offsets, ElementsAre(0, 128, 0));
  EXPECT_EQ(arena.bytes, 256);
  EXPECT_EQ(arena.leastBytes, 256);
}

TEST(Arena, TakesTheSmallestGapThatFits) {
  // When the last value comes, the second and the fourth are over: gaps of 256 and 128 bytes.
  Arena arena = layOutArena(
      {{512, 0, 9}, {256, 0, 4}, {192, 0, 9}, {128, 0, 4}, {128, 0, 9}, {100, 5, 9}}, 64);
  EXPECT_THAT(arena.offsets, ElementsAre(0, 512, 768, 960, 1088, 960));
  EXPECT_EQ(arena.bytes, 1216);
}

TEST(Arena, RandomValuesDoNotOverlap) {
  std::mt19937 random(1);
  for (int round = 0; round < 200; ++round) {
    llvm::SmallVector<ArenaValue> values(1 + random() % 40);
    for (ArenaValue &value : values) {
      value.first = random() % 50;
      value.last = value.first + random() % 20;
      value.bytes = 1 + random() % 1000;
    }
    Arena arena = layOutArena(values, 64);
    EXPECT_GE(arena.bytes, arena.leastBytes);
    int64_t end = 0;
    for (size_t i = 0; i < values.size(); ++i) {
      EXPECT_EQ(arena.offsets[i] % 64, 0);
      end = std::max(end, arena.offsets[i] + (values[i].bytes + 63) / 64 * 64);
      for (size_t j = 0; j < i; ++j) {
        bool live = values[i].first <= values[j].last && values[j].first <= values[i].last;
        bool overlap = arena.offsets[i] < arena.offsets[j] + values[j].bytes &&
                       arena.offsets[j] < arena.offsets[i] + values[i].bytes;
        EXPECT_FALSE(live && overlap) << i << " and " << j << " in round " << round;
      }
    }
    EXPECT_EQ(arena.bytes, end);
  }
}

} // namespace
