//===- LayerTest.cpp - Properties of row-wise ops ---------------------------------------------===//
//
// Each test says a property that follows from the op's documentation alone.
//
//===------------------------------------------------------------------------------------------===//

#include "Run.h"
#include <cmath>

using namespace ingot;
using namespace ingot::reference;

using LayerTest = ReferenceTest;

static constexpr char embedding[] = R"mlir(
  transformer.weight @w : !transformer.weight<[3, 2], f32> value dense<[[0.0, 1.0], [10.0, 11.0], [20.0, 21.0]]> : tensor<3x2xf32>
  func.func @f(%ids: tensor<?xi32>) -> tensor<?x2xf32> {
    %w = transformer.get_weight @w : !transformer.weight<[3, 2], f32>
    %y = transformer.embedding %ids, %w : tensor<?xi32>, !transformer.weight<[3, 2], f32> -> tensor<?x2xf32>
    return %y : tensor<?x2xf32>
  })mlir";

TEST_F(LayerTest, EmbeddingGathersRowsOfAnInlineWeight) {
  auto result = runOne(embedding, {ids({2}, {2, 0})});
  EXPECT_EQ(result.floats(), llvm::ArrayRef<float>({20, 21, 0, 1}));
}

TEST_F(LayerTest, EmbeddingRefusesIdsOutsideOfTheVocabulary) {
  EXPECT_TRUE(run(embedding, {Datum(ids({1}, {3}))}).empty());
  EXPECT_EQ(message, "expected ids from 0 to 2, got 3");
}

static constexpr char linear[] = R"mlir(
  transformer.weight @w : !transformer.weight<[70, 3], f32> source "w"
  transformer.weight @b : !transformer.weight<[70], f32> source "b"
  func.func @f(%x: tensor<?x3xf32>) -> tensor<?x70xf32> {
    %w = transformer.get_weight @w : !transformer.weight<[70, 3], f32>
    %b = transformer.get_weight @b : !transformer.weight<[70], f32>
    %y = transformer.linear %x, %w bias %b : tensor<?x3xf32>, !transformer.weight<[70, 3], f32>
        bias !transformer.weight<[70], f32> -> tensor<?x70xf32>
    return %y : tensor<?x70xf32>
  })mlir";

TEST_F(LayerTest, LinearOfUnitVectorsGivesColumnsPlusBias) {
  auto w = randomFloats({70, 3}, 1), b = randomFloats({70}, 2);
  addWeight("w", {70, 3}, w.floats().vec());
  addWeight("b", {70}, b.floats().vec());
  auto y = runOne(linear, {floats({3, 3}, {1, 0, 0, 0, 1, 0, 0, 0, 1})});
  for (int64_t c = 0; c < 3; ++c)
    for (int64_t f = 0; f < 70; ++f)
      EXPECT_EQ(y.floats()[c * 70 + f], float(double(w.floats()[f * 3 + c]) + b.floats()[f]));
}

TEST_F(LayerTest, AWeightOfAnotherShapeInTheStoreIsRefused) {
  addWeight("w", {3, 70}, std::vector<float>(210));
  addWeight("b", {70}, std::vector<float>(70));
  EXPECT_TRUE(run(linear, {Datum(floats({1, 3}, {1, 2, 3}))}).empty());
  EXPECT_EQ(message, "weight 'w' has another shape or format in inline weights");
}

TEST_F(LayerTest, InputsOfOtherTypesAreRefused) {
  EXPECT_TRUE(run(linear, {Datum(floats({1, 4}, {1, 2, 3, 4}))}).empty());
  EXPECT_EQ(message, "expected input 0 to be a 'tensor<?x3xf32>'");
}

TEST_F(LayerTest, ConcatenatedWeightsGiveTheResultsSideBySide) {
  addWeight("a", {2, 2}, {1, 2, 3, 4});
  addWeight("b", {1, 2}, {5, 6});
  auto y = runOne(R"mlir(
    transformer.weight @a : !transformer.weight<[2, 2], f32> source "a"
    transformer.weight @b : !transformer.weight<[1, 2], f32> source "b"
    func.func @f(%x: tensor<?x2xf32>) -> tensor<?x3xf32> {
      %a = transformer.get_weight @a : !transformer.weight<[2, 2], f32>
      %b = transformer.get_weight @b : !transformer.weight<[1, 2], f32>
      %w = transformer.concat_weights %a, %b : !transformer.weight<[2, 2], f32>, !transformer.weight<[1, 2], f32>
          -> !transformer.weight<[3, 2], f32>
      %y = transformer.linear %x, %w : tensor<?x2xf32>, !transformer.weight<[3, 2], f32> -> tensor<?x3xf32>
      return %y : tensor<?x3xf32>
    })mlir",
                  {floats({2, 2}, {1, 0, 0, 1})});
  EXPECT_EQ(y.floats(), llvm::ArrayRef<float>({1, 3, 5, 2, 4, 6}));
}

static std::string normProgram(llvm::StringRef kind) {
  return R"mlir(
  transformer.weight @w : !transformer.weight<[8], f32> value dense<1.0> : tensor<8xf32>
  func.func @f(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
    %w = transformer.get_weight @w : !transformer.weight<[8], f32>
    %y = transformer.norm )mlir" +
         kind.str() +
         R"mlir( %x, %w {epsilon = 0.0 : f32} : tensor<?x8xf32>, !transformer.weight<[8], f32>
    return %y : tensor<?x8xf32>
  })mlir";
}

TEST_F(LayerTest, NormsHaveUnitMeanSquareAndIgnoreScale) {
  auto x = randomFloats({3, 8}, 3);
  for (auto kind : {"rms", "layer"}) {
    auto y = runOne(normProgram(kind), {x});
    for (int64_t row = 0; row < 3; ++row) {
      double squares = 0, sum = 0;
      for (float value : y.floats().slice(row * 8, 8)) {
        squares += double(value) * value;
        sum += value;
      }
      EXPECT_NEAR(squares / 8, 1, 1e-6);
      if (kind == llvm::StringRef("layer")) {
        EXPECT_NEAR(sum, 0, 1e-6);
      }
    }
    std::vector<float> doubled;
    for (float value : x.floats())
      doubled.push_back(2 * value);
    EXPECT_EQ(runOne(normProgram(kind), {floats({3, 8}, doubled)}).floats(), y.floats());
  }
}

static std::string ropeProgram(llvm::StringRef layout, llvm::StringRef attributes) {
  return R"mlir(
  func.func @f(%x: tensor<?x1x8xf32>, %p: tensor<?xi32>) -> tensor<?x1x8xf32> {
    %y = transformer.rope )mlir" +
         (layout + " %x, %p {" + attributes + R"mlir(} : tensor<?x1x8xf32>, tensor<?xi32>
    return %y : tensor<?x1x8xf32>
  })mlir")
             .str();
}

static double dotOf(llvm::ArrayRef<float> a, llvm::ArrayRef<float> b) {
  double sum = 0;
  for (auto [x, y] : llvm::zip_equal(a, b))
    sum += double(x) * y;
  return sum;
}

TEST_F(LayerTest, RopePreservesNormsAndSeesOnlyDistances) {
  auto q = randomFloats({1, 1, 8}, 4), k = randomFloats({1, 1, 8}, 5);
  for (auto layout : {"interleaved", "half"}) {
    std::string program = ropeProgram(layout, "base = 1.0e4 : f64");
    auto at = [&](const Tensor &x, int32_t position) {
      return runOne(program, {x, ids({1}, {position})});
    };
    EXPECT_EQ(at(q, 0).floats(), q.floats());
    EXPECT_NEAR(dotOf(at(q, 77).floats(), at(q, 77).floats()), dotOf(q.floats(), q.floats()), 1e-5);
    double near = dotOf(at(q, 10).floats(), at(k, 7).floats());
    EXPECT_NEAR(dotOf(at(q, 50).floats(), at(k, 47).floats()), near, 1e-4);
    EXPECT_GT(std::fabs(dotOf(at(q, 50).floats(), at(k, 40).floats()) - near), 1e-2);
  }
}

TEST_F(LayerTest, RopeLayoutsAreTheSameRotationOfOtherPairs) {
  auto x = randomFloats({1, 1, 8}, 6);
  auto interleaved = runOne(ropeProgram("interleaved", "base = 1.0e4 : f64"), {x, ids({1}, {5})});
  auto toHalf = [](const Tensor &t) {
    return t.gathered(t.shape(), [](int64_t i) { return i < 4 ? 2 * i : 2 * (i - 4) + 1; });
  };
  auto half = runOne(ropeProgram("half", "base = 1.0e4 : f64"), {toHalf(x), ids({1}, {5})});
  EXPECT_EQ(half.floats(), toHalf(interleaved).floats());
}

TEST_F(LayerTest, RopeLeavesChannelsBeyondItsDimensions) {
  auto x = randomFloats({1, 1, 8}, 7);
  auto y = runOne(ropeProgram("half", "base = 1.0e4 : f64, dims = 4 : i64"), {x, ids({1}, {3})});
  EXPECT_EQ(y.floats().drop_front(4), x.floats().drop_front(4));
  EXPECT_NE(y.floats()[0], x.floats()[0]);
}

TEST_F(LayerTest, RopeFactorsSlowTheRotation) {
  auto x = randomFloats({1, 1, 8}, 8);
  auto slow =
      runOne(ropeProgram("half", "base = 1.0e4 : f64, factors = array<f32: 2.0, 2.0, 2.0, 2.0>"),
             {x, ids({1}, {6})});
  auto plain = runOne(ropeProgram("half", "base = 1.0e4 : f64"), {x, ids({1}, {3})});
  for (auto [a, b] : llvm::zip_equal(slow.floats(), plain.floats()))
    EXPECT_NEAR(a, b, 1e-6);
}

TEST_F(LayerTest, ActivationsHaveTheirKnownValues) {
  for (auto [kind, expected] : {std::pair("relu", std::vector<float>{0, 0, 2}),
                                {"silu", {-0.26894143f, 0, 1.7615942f}},
                                {"gelu", {-0.15865526f, 0, 1.9544997f}},
                                {"gelu_tanh", {-0.15880801f, 0, 1.9545977f}}}) {
    auto y =
        runOne("func.func @f(%x: tensor<?xf32>) -> tensor<?xf32> {\n%y = transformer.activation " +
                   std::string(kind) + " %x : tensor<?xf32>\nreturn %y : tensor<?xf32> }",
               {floats({3}, {-1, 0, 2})});
    for (auto [actual, wanted] : llvm::zip_equal(y.floats(), expected))
      EXPECT_NEAR(actual, wanted, 3e-7) << kind;
  }
}

static constexpr char quantize[] = R"mlir(
  func.func @f(%x: tensor<?x8xf32>) -> (tensor<?x8xi8>, tensor<?x2xf32>) {
    %q, %s = transformer.quantize %x : tensor<?x8xf32> -> tensor<?x8xi8>, tensor<?x2xf32>
    return %q, %s : tensor<?x8xi8>, tensor<?x2xf32>
  })mlir";

TEST_F(LayerTest, QuantizeIsWithinHalfAStepAndKeepsTheLargest) {
  auto x = randomFloats({5, 8}, 9);
  auto results = run(quantize, {Datum(x)});
  ASSERT_EQ(results.size(), 2u);
  auto values = std::get<Tensor>(results[0]).elements<int8_t>();
  auto scales = std::get<Tensor>(results[1]).floats();
  for (int64_t block = 0; block < 10; ++block) {
    int largest = 0;
    for (int64_t i = block * 4; i < block * 4 + 4; ++i) {
      largest = std::max(largest, std::abs(int(values[i])));
      EXPECT_LE(std::fabs(values[i] * scales[block] - x.floats()[i]), scales[block] * 0.50001f);
    }
    EXPECT_EQ(largest, 127);
  }
}

TEST_F(LayerTest, QuantizeRoundsHalvesToEvenAndAcceptsZeros) {
  auto results = run(quantize, {Datum(floats({1, 8}, {127, 0.5f, 1.5f, -2.5f, 0, 0, 0, 0}))});
  ASSERT_EQ(results.size(), 2u);
  EXPECT_EQ(std::get<Tensor>(results[0]).elements<int8_t>(),
            llvm::ArrayRef<int8_t>({127, 0, 2, -2, 0, 0, 0, 0}));
  EXPECT_EQ(std::get<Tensor>(results[1]).floats(), llvm::ArrayRef<float>({1, 0}));
}

TEST_F(LayerTest, LinearOfQuantizedValuesIsLinearOfWhatTheyMean) {
  addWeight("w", {3, 8}, randomFloats({3, 8}, 10).floats().vec());
  std::string declarations = R"mlir(
    transformer.weight @w : !transformer.weight<[3, 8], f32> source "w")mlir";
  auto y = runOne(declarations + R"mlir(
    func.func @f(%q: tensor<?x8xi8>, %s: tensor<?x2xf32>) -> tensor<?x3xf32> {
      %w = transformer.get_weight @w : !transformer.weight<[3, 8], f32>
      %y = transformer.linear %q scales %s, %w : tensor<?x8xi8> scales tensor<?x2xf32>,
          !transformer.weight<[3, 8], f32> -> tensor<?x3xf32>
      return %y : tensor<?x3xf32>
    })mlir",
                  {Tensor({1, 8}, std::vector<int8_t>{127, -127, 3, 0, 1, 2, 3, -4}),
                   floats({1, 2}, {0.5f, 2})});
  auto z = runOne(declarations + R"mlir(
    func.func @f(%x: tensor<?x8xf32>) -> tensor<?x3xf32> {
      %w = transformer.get_weight @w : !transformer.weight<[3, 8], f32>
      %y = transformer.linear %x, %w : tensor<?x8xf32>, !transformer.weight<[3, 8], f32> -> tensor<?x3xf32>
      return %y : tensor<?x3xf32>
    })mlir",
                  {floats({1, 8}, {63.5f, -63.5f, 1.5f, 0, 2, 4, 6, -8})});
  EXPECT_EQ(y.floats(), z.floats());
}
