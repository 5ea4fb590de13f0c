//===- WeightPackerTest.cpp - Packed weights hold the numbers of the checkpoint ---------------===//

#include "ingot/Artifact/WeightPacker.h"
#include "ingot/Support/Packing.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/OwningOpRef.h"
#include "gmock/gmock.h"
#include <cmath>
#include <cstring>

using namespace ingot;
using namespace ingot::artifact;
using llvm::toString;

namespace {

class WeightPacker : public testing::Test {
protected:
  WeightPacker() : store(1) {
    context.loadDialect<plan::PlanDialect>();
    for (const char *name : {"a", "b"})
      llvm::cantFail(store.add(name, *NumericFormat::lookup("q8_0"), {12, 64}));
    llvm::cantFail(store.add("c", *NumericFormat::lookup("f32"), {700, 96}));
  }

  mlir::OwningOpRef<plan::WeightOp> makeWeight(int64_t rows, int64_t columns,
                                               llvm::StringRef format, llvm::StringRef packing,
                                               llvm::ArrayRef<mlir::Attribute> sources) {
    mlir::OpBuilder builder(&context);
    return plan::WeightOp::create(builder, builder.getUnknownLoc(), "w", 0, 64, rows, columns,
                                  format, packing, builder.getArrayAttr(sources));
  }

  /// The packed bytes, or the sentence of the error in `error`.
  std::vector<uint8_t> pack(plan::WeightOp weight) {
    std::vector<uint8_t> bytes;
    auto sink = [&](llvm::ArrayRef<uint8_t> data) {
      bytes.insert(bytes.end(), data.begin(), data.end());
      return llvm::Error::success();
    };
    error = toString(packWeight(weight, store, sink));
    return bytes;
  }

  mlir::Attribute name(llvm::StringRef text) { return mlir::StringAttr::get(&context, text); }

  mlir::MLIRContext context;
  RandomWeightStore store;
  std::string error;
};

TEST_F(WeightPacker, StacksSourcesByRows) {
  auto weight = makeWeight(24, 64, "q8_0", "rows8", {name("b"), name("a")});
  std::vector<uint8_t> packed = pack(*weight);
  ASSERT_EQ(error, "");
  auto layout = llvm::cantFail(PackedLayout::get(*NumericFormat::lookup("q8_0"), 24, 64, 8));
  ASSERT_EQ(packed.size(), layout.bytes);
  std::vector<float> values(24 * 64);
  llvm::cantFail(store.readValues("b", 0, 12, llvm::MutableArrayRef(values).take_front(12 * 64)));
  llvm::cantFail(store.readValues("a", 0, 12, llvm::MutableArrayRef(values).drop_front(12 * 64)));
  for (int64_t row = 0; row < 24; ++row)
    for (int64_t column = 0; column < 64; ++column)
      ASSERT_EQ(unpackValue(layout, packed, row, column), values[row * 64 + column])
          << row << ", " << column;
}

TEST_F(WeightPacker, CopiesPlainRows) {
  auto weight = makeWeight(700, 96, "f32", "plain", {name("c")});
  std::vector<uint8_t> packed = pack(*weight), expected(700 * 96 * 4);
  ASSERT_EQ(error, "");
  llvm::cantFail(store.readRows("c", 0, 700, expected));
  EXPECT_TRUE(packed == expected);
}

TEST_F(WeightPacker, GeneratesRopeTables) {
  mlir::Builder builder(&context);
  float factors[] = {1, 1, 2, 4};
  auto table = plan::RopeTableAttr::get(&context, builder.getF64FloatAttr(1e4),
                                        mlir::DenseF32ArrayAttr::get(&context, factors));
  auto weight = makeWeight(50, 8, "f32", "plain", {table});
  std::vector<uint8_t> packed = pack(*weight);
  ASSERT_EQ(error, "");
  ASSERT_EQ(packed.size(), 50u * 8 * 4);
  std::vector<float> values(50 * 8);
  std::memcpy(values.data(), packed.data(), packed.size());
  for (int position : {0, 1, 7, 49})
    for (int i = 0; i < 4; ++i) {
      double angle = position * std::pow(1e4, -i / 4.0) / factors[i];
      // The angle is rounded twice to 24 bits: 2^-23 relative; below 50 that is 6e-6.
      EXPECT_NEAR(values[position * 8 + i], std::cos(angle), 1e-5);
      EXPECT_NEAR(values[position * 8 + 4 + i], std::sin(angle), 1e-5);
    }
}

TEST_F(WeightPacker, RefusesWhatTheStoreDoesNotHave) {
  pack(*makeWeight(12, 64, "q8_0", "rows8", {name("missing")}));
  EXPECT_THAT(error, testing::HasSubstr("there is no weight 'missing'"));
  pack(*makeWeight(12, 64, "q4_1", "rows8", {name("a")}));
  EXPECT_EQ(error, "weight 'a': expected rows of 64 in q4_1, got 64 in q8_0");
  pack(*makeWeight(12, 32, "q8_0", "rows8", {name("a")}));
  EXPECT_EQ(error, "weight 'a': expected rows of 32 in q8_0, got 64 in q8_0");
  pack(*makeWeight(13, 64, "q8_0", "rows8", {name("a")}));
  EXPECT_EQ(error, "weight 'w': expected 13 rows, got 12");
  pack(*makeWeight(12, 64, "q8_0", "columns8", {name("a")}));
  EXPECT_EQ(error, "weight 'w': packing 'columns8' of format 'q8_0' is unknown");
  mlir::Builder builder(&context);
  auto table = plan::RopeTableAttr::get(&context, builder.getF64FloatAttr(1e4), {});
  pack(*makeWeight(12, 64, "q8_0", "plain", {name("a"), table}));
  EXPECT_EQ(error, "weight 'w': generated content cannot be stacked");
  pack(*makeWeight(12, 63, "f32", "plain", {table}));
  EXPECT_EQ(error, "weight 'w': expected a rope table of plain f32 with a factor for each pair");
}

} // namespace
