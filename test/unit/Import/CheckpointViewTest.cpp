//===- CheckpointViewTest.cpp - Views of weights ----------------------------------------------===//

#include "lib/Import/CheckpointView.h"
#include <gtest/gtest.h>
#include <numeric>

using namespace ingot;
using namespace ingot::import;

/// Matrix "m" [6, 4] holds 0, 1, 2, ...; vector "v" [6] too.
static std::shared_ptr<const WeightStore> makeCheckpoint(llvm::StringRef format) {
  auto store = std::make_shared<InlineWeightStore>();
  std::vector<float> numbers(24);
  std::iota(numbers.begin(), numbers.end(), 0.0f);
  const NumericFormat &numeric = *NumericFormat::lookup(format);
  llvm::cantFail(store->addValues("m", numeric, {6, 4}, numbers));
  llvm::cantFail(store->addValues("v", numeric, {6}, llvm::ArrayRef(numbers).take_front(6)));
  return store;
}

static std::vector<float> read(const WeightStore &store, llvm::StringRef name) {
  const WeightInfo &info = *store.find(name);
  std::vector<float> values(info.rows * info.columns);
  llvm::cantFail(store.readValues(name, 0, info.rows, values));
  return values;
}

TEST(CheckpointView, TakesRows) {
  CheckpointView view(makeCheckpoint("bf16"));
  llvm::cantFail(view.add("rows", {.base = "m", .rows = {2, 2}}));
  EXPECT_EQ(read(view, "rows"), (std::vector<float>{8, 9, 10, 11, 12, 13, 14, 15}));
  EXPECT_EQ(view.find("rows")->format->name, "bf16");
  // Every third row in runs of one, from the second on.
  llvm::cantFail(view.add("third", {.base = "m", .rows = {1, 2, 1, 3}}));
  EXPECT_EQ(read(view, "third"), (std::vector<float>{4, 5, 6, 7, 16, 17, 18, 19}));
  llvm::cantFail(view.add("numbers", {.base = "v", .rows = {1, 4, 2, 3}}));
  EXPECT_EQ(read(view, "numbers"), (std::vector<float>{1, 2, 4, 5}));
}

TEST(CheckpointView, TurnsAMatrix) {
  CheckpointView view(makeCheckpoint("f32"));
  llvm::cantFail(view.add("turned", {.base = "m", .rows = {1, 2}, .isTransposed = true}));
  EXPECT_EQ(read(view, "turned"), (std::vector<float>{1, 5, 9, 13, 17, 21, 2, 6, 10, 14, 18, 22}));
}

TEST(CheckpointView, AddsInFloat32) {
  CheckpointView view(makeCheckpoint("f16"));
  llvm::cantFail(view.add("more", {.base = "v", .addend = 0.5f}));
  EXPECT_EQ(read(view, "more"), (std::vector<float>{0.5, 1.5, 2.5, 3.5, 4.5, 5.5}));
  EXPECT_EQ(view.find("more")->format->name, "f32");
}

TEST(CheckpointView, PassesOtherWeightsThrough) {
  CheckpointView view(makeCheckpoint("f32"));
  EXPECT_EQ(read(view, "v").back(), 5);
  EXPECT_EQ(view.getMapped("v").size(), 24u);
  EXPECT_EQ(view.find("w"), nullptr);
}

TEST(CheckpointView, RefusesRowsThatAreNotThere) {
  CheckpointView view(makeCheckpoint("f32"));
  auto refuse = [&](WeightView wanted) {
    return llvm::toString(view.add("bad", std::move(wanted)));
  };
  EXPECT_EQ(refuse({.base = "m", .rows = {3, 4}}),
            "inline weights: expected tensor 'm' to have more than 6 rows, got 6");
  EXPECT_EQ(refuse({.base = "m", .rows = {1, 4}, .isTransposed = true}),
            "inline weights: expected tensor 'm' to have more than 4 rows, got 4");
  EXPECT_EQ(refuse({.base = "w"}), "inline weights: there is no weight 'w'");
}
