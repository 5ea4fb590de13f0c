//===- AttentionTest.cpp - Properties of attention, masks, caches and batches -----------------===//
//
// The dense spelling, the dense op, the ragged op and the cached op must agree; each is also held
// against what softmax attention is known to do.
//
//===------------------------------------------------------------------------------------------===//

#include "Run.h"
#include <cmath>

using namespace ingot;
using namespace ingot::reference;

using AttentionTest = ReferenceTest;

/// Four query heads over two key-value heads of dimension 8.
static std::string denseProgram(llvm::StringRef attributes) {
  return R"mlir(
  func.func @f(%q: tensor<?x?x4x8xf32>, %k: tensor<?x?x2x8xf32>, %v: tensor<?x?x2x8xf32>,
               %p: tensor<?x?xi32>, %l: tensor<?xi32>) -> tensor<?x?x4x8xf32> {
    %y = transformer.attention %q, %k, %v positions %p lengths %l {)mlir" +
         attributes.str() + R"mlir(}
        : tensor<?x?x4x8xf32>, tensor<?x?x2x8xf32>, tensor<?x?x2x8xf32> positions tensor<?x?xi32>
          lengths tensor<?xi32> -> tensor<?x?x4x8xf32>
    return %y : tensor<?x?x4x8xf32>
  })mlir";
}

/// The same, spelled as importers do.
static constexpr char spelled[] = R"mlir(
  #q = affine_map<(b, n, g, s, t, d) -> (b, s, n, g, d)>
  #k = affine_map<(b, n, g, s, t, d) -> (b, t, n, d)>
  #scores = affine_map<(b, n, g, s, t, d) -> (b, n, g, s, t)>
  #w = affine_map<(b, s, n, g, d, t) -> (b, n, g, s, t)>
  #v = affine_map<(b, s, n, g, d, t) -> (b, t, n, d)>
  #y = affine_map<(b, s, n, g, d, t) -> (b, s, n, g, d)>
  func.func @f(%q: tensor<?x?x4x8xf32>, %k: tensor<?x?x2x8xf32>, %v: tensor<?x?x2x8xf32>,
               %p: tensor<?x?xi32>, %l: tensor<?xi32>) -> tensor<?x?x4x8xf32> {
    %c0 = arith.constant 0 : index
    %c1 = arith.constant 1 : index
    %b = tensor.dim %p, %c0 : tensor<?x?xi32>
    %s = tensor.dim %p, %c1 : tensor<?x?xi32>
    %zero = arith.constant 0.0 : f32
    %half = arith.constant 0.5 : f32
    %infinity = arith.constant 0xFF800000 : f32
    %grouped = tensor.expand_shape %q [[0], [1], [2, 3], [4]] output_shape [%b, %s, 2, 2, 8]
        : tensor<?x?x4x8xf32> into tensor<?x?x2x2x8xf32>
    %e0 = tensor.empty(%b, %s, %s) : tensor<?x2x2x?x?xf32>
    %f0 = linalg.fill ins(%zero : f32) outs(%e0 : tensor<?x2x2x?x?xf32>) -> tensor<?x2x2x?x?xf32>
    %raw = linalg.contract indexing_maps = [#q, #k, #scores]
        ins(%grouped, %k : tensor<?x?x2x2x8xf32>, tensor<?x?x2x8xf32>) outs(%f0 : tensor<?x2x2x?x?xf32>)
        -> tensor<?x2x2x?x?xf32>
    %scale = tensor.splat %half[%b, %s, %s] : tensor<?x2x2x?x?xf32>
    %scaled = arith.mulf %raw, %scale : tensor<?x2x2x?x?xf32>
    %m = transformer.attention_mask %p, %l {causal} : tensor<?x?xi32>, tensor<?xi32> -> tensor<?x?x?xi1>
    %e1 = tensor.empty(%b, %s, %s) : tensor<?x2x2x?x?xi1>
    %mask = linalg.broadcast ins(%m : tensor<?x?x?xi1>) outs(%e1 : tensor<?x2x2x?x?xi1>) dimensions = [1, 2]
    %hidden = tensor.splat %infinity[%b, %s, %s] : tensor<?x2x2x?x?xf32>
    %masked = arith.select %mask, %scaled, %hidden : tensor<?x2x2x?x?xi1>, tensor<?x2x2x?x?xf32>
    %w = linalg.softmax dimension(4) ins(%masked : tensor<?x2x2x?x?xf32>) outs(%e0 : tensor<?x2x2x?x?xf32>)
        -> tensor<?x2x2x?x?xf32>
    %e2 = tensor.empty(%b, %s) : tensor<?x?x2x2x8xf32>
    %f2 = linalg.fill ins(%zero : f32) outs(%e2 : tensor<?x?x2x2x8xf32>) -> tensor<?x?x2x2x8xf32>
    %y = linalg.contract indexing_maps = [#w, #v, #y]
        ins(%w, %v : tensor<?x2x2x?x?xf32>, tensor<?x?x2x8xf32>) outs(%f2 : tensor<?x?x2x2x8xf32>)
        -> tensor<?x?x2x2x8xf32>
    %r = tensor.collapse_shape %y [[0], [1], [2, 3], [4]] : tensor<?x?x2x2x8xf32> into tensor<?x?x4x8xf32>
    return %r : tensor<?x?x4x8xf32>
  })mlir";

static constexpr char cached[] = R"mlir(
  func.func @f(%q: tensor<?x4x8xf32>, %k: tensor<?x2x8xf32>, %v: tensor<?x2x8xf32>, %batch: !transformer.ragged,
      %cache: !transformer.kv_cache<layers = 2, heads = 2, dim = 8, format = f32, page = 16>)
      -> (tensor<?x4x8xf32>, !transformer.kv_cache<layers = 2, heads = 2, dim = 8, format = f32, page = 16>) {
    %layer = arith.constant 1 : index
    %c = transformer.append_cache %cache[%layer], %k, %v, %batch
        : !transformer.kv_cache<layers = 2, heads = 2, dim = 8, format = f32, page = 16>, tensor<?x2x8xf32>
    %y = transformer.cached_attention %q, %c[%layer], %batch {scale = 0.5 : f32} : tensor<?x4x8xf32>,
        !transformer.kv_cache<layers = 2, heads = 2, dim = 8, format = f32, page = 16>
    return %y, %c : tensor<?x4x8xf32>, !transformer.kv_cache<layers = 2, heads = 2, dim = 8, format = f32, page = 16>
  })mlir";

namespace {
struct Operands {
  Tensor q, k, v;
};
} // namespace

static Operands randomOperands(llvm::ArrayRef<int64_t> batch, unsigned seed) {
  auto shape = [&](int64_t heads) {
    Shape result(batch);
    result.append({heads, 8});
    return result;
  };
  return {randomFloats(shape(4), seed), randomFloats(shape(2), seed + 1),
          randomFloats(shape(2), seed + 2)};
}

static void expectNear(llvm::ArrayRef<float> a, llvm::ArrayRef<float> b, double tolerance = 1e-6) {
  ASSERT_EQ(a.size(), b.size());
  for (auto [x, y] : llvm::zip_equal(a, b))
    ASSERT_NEAR(x, y, tolerance);
}

TEST_F(AttentionTest, TheSpellingAndTheOpAgree) {
  auto [q, k, v] = randomOperands({2, 5}, 1);
  auto positions = ids({2, 5}, {0, 1, 2, 3, 4, 0, 1, 2, 0, 0}), lengths = ids({2}, {5, 3});
  auto a = runOne(spelled, {q, k, v, positions, lengths});
  auto b = runOne(denseProgram("causal, scale = 0.5 : f32"), {q, k, v, positions, lengths});
  // The last two slots of the second sequence are padding.
  expectNear(a.floats().drop_back(2 * 32), b.floats().drop_back(2 * 32));
}

TEST_F(AttentionTest, TheSpellingAndTheOpAgreeOnASoftCap) {
  auto [q, k, v] = randomOperands({1, 5}, 1);
  auto positions = ids({1, 5}, {0, 1, 2, 3, 4}), lengths = ids({1}, {5});
  std::string program = spelled, from = "%masked = arith.select %mask, %scaled,";
  program.replace(program.find(from), from.size(), R"mlir(
    %two = arith.constant 2.0 : f32
    %cap = tensor.splat %two[%b, %s, %s] : tensor<?x2x2x?x?xf32>
    %ratio = arith.divf %scaled, %cap : tensor<?x2x2x?x?xf32>
    %bounded = math.tanh %ratio : tensor<?x2x2x?x?xf32>
    %capped = arith.mulf %bounded, %cap : tensor<?x2x2x?x?xf32>
    %masked = arith.select %mask, %capped,)mlir");
  auto a = runOne(program, {q, k, v, positions, lengths});
  auto b = runOne(denseProgram("causal, scale = 0.5 : f32, soft_cap = 2.0 : f32"),
                  {q, k, v, positions, lengths});
  expectNear(a.floats(), b.floats());
  auto uncapped = runOne(denseProgram("causal, scale = 0.5 : f32"), {q, k, v, positions, lengths});
  EXPECT_NE(b.floats(), uncapped.floats());
}

TEST_F(AttentionTest, PaddingNeverReachesTokens) {
  auto [q, k, v] = randomOperands({1, 4}, 2);
  auto positions = ids({1, 4}, {0, 1, 2, 3}), lengths = ids({1}, {2});
  auto before = runOne(spelled, {q, k, v, positions, lengths});
  std::vector<float> changed = v.floats().vec();
  std::fill(changed.begin() + 2 * 16, changed.end(), 1e30f);
  auto after = runOne(spelled, {q, k, floats({1, 4, 2, 8}, changed), positions, lengths});
  EXPECT_EQ(before.floats().take_front(2 * 32), after.floats().take_front(2 * 32));
}

TEST_F(AttentionTest, AConstantValueComesBack) {
  auto [q, k, v] = randomOperands({1, 6}, 3);
  auto positions = ids({1, 6}, {0, 1, 2, 3, 4, 5}), lengths = ids({1}, {6});
  auto constant = floats({1, 6, 2, 8}, std::vector<float>(96, 0.75f));
  for (auto attributes : {"causal, scale = 0.5 : f32", "scale = 3.0 : f32"})
    for (float value :
         runOne(denseProgram(attributes), {q, k, constant, positions, lengths}).floats().vec())
      EXPECT_NEAR(value, 0.75f, 1e-6);
}

TEST_F(AttentionTest, PermutingKeysChangesNothing) {
  auto [q, k, v] = randomOperands({1, 5}, 4);
  auto positions = ids({1, 5}, {0, 1, 2, 3, 4}), lengths = ids({1}, {5});
  auto reversed = [](const Tensor &x) {
    return x.gathered(x.shape(), [&](int64_t i) { return (4 - i / 16) * 16 + i % 16; });
  };
  std::string program = denseProgram("scale = 1.0 : f32");
  auto plain = runOne(program, {q, k, v, positions, lengths});
  auto permuted = runOne(program, {q, reversed(k), reversed(v), positions, lengths});
  expectNear(plain.floats(), permuted.floats());
}

TEST_F(AttentionTest, TheFirstTokenSeesOnlyItself) {
  auto [q, k, v] = randomOperands({1, 5}, 5);
  auto y = runOne(denseProgram("causal, scale = 1.0 : f32"),
                  {q, k, v, ids({1, 5}, {0, 1, 2, 3, 4}), ids({1}, {5})});
  for (int64_t head = 0; head < 4; ++head)
    expectNear(y.floats().slice(head * 8, 8), v.floats().slice(head / 2 * 8, 8));
}

TEST_F(AttentionTest, AWindowOfOneGivesEveryTokenItsOwnValue) {
  auto [q, k, v] = randomOperands({1, 5}, 6);
  auto y = runOne(denseProgram("causal, scale = 1.0 : f32, window = 1 : i64"),
                  {q, k, v, ids({1, 5}, {0, 1, 2, 3, 4}), ids({1}, {5})});
  for (int64_t row = 0; row < 20; ++row)
    expectNear(y.floats().slice(row * 8, 8), v.floats().slice((row / 4 * 2 + row % 4 / 2) * 8, 8));
}

TEST_F(AttentionTest, ARowThatSeesNoKeyIsZero) {
  auto [q, k, v] = randomOperands({1, 2}, 7);
  auto y = runOne(denseProgram("scale = 1.0 : f32"), {q, k, v, ids({1, 2}, {0, 1}), ids({1}, {0})});
  for (float value : y.floats())
    EXPECT_EQ(value, 0.0f);
}

TEST_F(AttentionTest, TheMaskFollowsPositionsNotSlots) {
  auto mask = runOne(R"mlir(
    func.func @f(%p: tensor<?x?xi32>, %l: tensor<?xi32>) -> tensor<?x?x?xi1> {
      %m = transformer.attention_mask %p, %l {causal, window = 2 : i64} : tensor<?x?xi32>, tensor<?xi32>
          -> tensor<?x?x?xi1>
      return %m : tensor<?x?x?xi1>
    })mlir",
                     {ids({1, 3}, {7, 5, 6}), ids({1}, {3})});
  EXPECT_EQ(mask.elements<uint8_t>(), llvm::ArrayRef<uint8_t>({1, 0, 1, 0, 1, 0, 0, 1, 1}));
}

TEST_F(AttentionTest, RaggedAndCachedAgreeWithDense) {
  auto [q, k, v] = randomOperands({2, 4}, 8);
  auto dense = runOne(denseProgram("causal, scale = 0.5 : f32"),
                      {q, k, v, ids({2, 4}, {0, 1, 2, 3, 0, 1, 2, 3}), ids({2}, {4, 4})});
  Ragged batch{{0, 0, 0, 0, 1, 1, 1, 1}, {0, 1, 2, 3, 0, 1, 2, 3}};
  auto packedQ = q.reshaped({8, 4, 8}), packedK = k.reshaped({8, 2, 8}),
       packedV = v.reshaped({8, 2, 8});
  auto ragged = runOne(R"mlir(
    func.func @f(%q: tensor<?x4x8xf32>, %k: tensor<?x2x8xf32>, %v: tensor<?x2x8xf32>, %batch: !transformer.ragged)
        -> tensor<?x4x8xf32> {
      %y = transformer.attention %q, %k, %v batch %batch {causal, scale = 0.5 : f32} : tensor<?x4x8xf32>,
          tensor<?x2x8xf32>, tensor<?x2x8xf32> batch !transformer.ragged -> tensor<?x4x8xf32>
      return %y : tensor<?x4x8xf32>
    })mlir",
                       {packedQ, packedK, packedV, batch});
  EXPECT_EQ(ragged.floats(), dense.floats());
  auto f32 = mlir::Float32Type::get(&context);
  auto type = transformer::KVCacheType::get(&context, 2, 2, 8, f32, 16);
  auto results = run(cached, {packedQ, packedK, packedV, batch, Cache(type)});
  ASSERT_EQ(results.size(), 2u) << message;
  EXPECT_EQ(std::get<Tensor>(results[0]).floats(), dense.floats());
}

TEST_F(AttentionTest, StepByStepEqualsAllAtOnce) {
  auto [q, k, v] = randomOperands({6}, 9);
  auto f32 = mlir::Float32Type::get(&context);
  auto type = transformer::KVCacheType::get(&context, 2, 2, 8, f32, 16);
  auto whole = run(cached, {q, k, v, Ragged{{3, 3, 3, 3, 3, 3}, {0, 1, 2, 3, 4, 5}}, Cache(type)});
  ASSERT_EQ(whole.size(), 2u) << message;
  Datum cache = Cache(type);
  std::vector<float> steps;
  for (int32_t token = 0; token < 6; ++token) {
    auto row = [&](const Tensor &x) {
      Shape shape(x.shape());
      shape[0] = 1;
      int64_t size = countElements(shape);
      return x.gathered(shape, [=](int64_t i) { return token * size + i; });
    };
    auto results = run(cached, {row(q), row(k), row(v), Ragged{{3}, {token}}, cache});
    ASSERT_EQ(results.size(), 2u) << message;
    llvm::append_range(steps, std::get<Tensor>(results[0]).floats());
    cache = results[1];
  }
  EXPECT_EQ(llvm::ArrayRef(steps), std::get<Tensor>(whole[0]).floats());
}

TEST_F(AttentionTest, TheOldCacheIsNotChanged) {
  auto [q, k, v] = randomOperands({2}, 10);
  auto f32 = mlir::Float32Type::get(&context);
  Cache before(transformer::KVCacheType::get(&context, 2, 2, 8, f32, 16));
  auto results = run(cached, {q, k, v, Ragged{{0, 0}, {0, 1}}, before});
  ASSERT_EQ(results.size(), 2u) << message;
  EXPECT_TRUE(before.layers[1]->empty());
  EXPECT_EQ(std::get<Cache>(results[1]).layers[1]->size(), 2u);
  EXPECT_TRUE(std::get<Cache>(results[1]).layers[0]->empty());
}

TEST_F(AttentionTest, AHalfCacheRoundsToNearestEven) {
  auto f16 = mlir::Float16Type::get(&context);
  auto type = transformer::KVCacheType::get(&context, 1, 1, 1, f16, 16);
  auto results = run(R"mlir(
    func.func @f(%k: tensor<?x1x1xf32>, %batch: !transformer.ragged,
        %cache: !transformer.kv_cache<layers = 1, heads = 1, dim = 1, format = f16, page = 16>)
        -> !transformer.kv_cache<layers = 1, heads = 1, dim = 1, format = f16, page = 16> {
      %layer = arith.constant 0 : index
      %c = transformer.append_cache %cache[%layer], %k, %k, %batch
          : !transformer.kv_cache<layers = 1, heads = 1, dim = 1, format = f16, page = 16>, tensor<?x1x1xf32>
      return %c : !transformer.kv_cache<layers = 1, heads = 1, dim = 1, format = f16, page = 16>
    })mlir",
                     {floats({1, 1, 1}, {2049}), Ragged{{0}, {0}}, Cache(type)});
  ASSERT_EQ(results.size(), 1u) << message;
  EXPECT_EQ(std::get<Cache>(results[0]).layers[0]->begin()->second.key[0], 2048.0f);
}

TEST_F(AttentionTest, ACacheOfCodesRoundsWithinHalfAStepOfTheGroup) {
  auto results = run(
      R"mlir(
    !cache = !transformer.kv_cache<layers = 1, heads = 2, dim = 8, format = i8, page = 16, values = i4>
    func.func @f(%k: tensor<?x2x8xf32>, %batch: !transformer.ragged, %cache: !cache) -> !cache {
      %layer = arith.constant 0 : index
      %c = transformer.append_cache %cache[%layer], %k, %k, %batch : !cache, tensor<?x2x8xf32>
      return %c : !cache
    })mlir",
      {floats({1, 2, 8}, {-8, 7, 3.4f, 0.5f, 16, 1, -3, 7.9f, //
                          0, 0, 0, 0, 0, 0, 0, 0}),
       Ragged{{0}, {0}},
       Cache(transformer::KVCacheType::get(&context, 1, 2, 8, mlir::IntegerType::get(&context, 8),
                                           16, mlir::IntegerType::get(&context, 4)))});
  ASSERT_EQ(results.size(), 1u) << message;
  const Cache::Entry &entry = std::get<Cache>(results[0]).layers[0]->begin()->second;
  // Keys: one group a head, the step is 16 / 128. Values: two, with steps of 1 and 2.
  EXPECT_EQ(entry.key, (std::vector<float>{-8, 7, 3.375f, 0.5f, 16, 1, -3, 7.875f, //
                                           0, 0, 0, 0, 0, 0, 0, 0}));
  EXPECT_EQ(entry.value, (std::vector<float>{-8, 7, 3, 0, 16, 0, -4, 8, //
                                             0, 0, 0, 0, 0, 0, 0, 0}));
}

TEST_F(AttentionTest, PackingDropsPaddingAndUnpackingPutsItBack) {
  auto x = randomFloats({2, 3, 2}, 11);
  auto results = run(R"mlir(
    func.func @f(%x: tensor<?x?x2xf32>, %l: tensor<?xi32>, %rows: tensor<?xi32>)
        -> (tensor<?x2xf32>, tensor<?x3x2xf32>, tensor<?x2xf32>) {
      %p = transformer.pack %x, %l : tensor<?x?x2xf32>, tensor<?xi32> -> tensor<?x2xf32>
      %u = transformer.unpack %p, %l : tensor<?x2xf32>, tensor<?xi32> -> tensor<?x3x2xf32>
      %r = transformer.select_rows %u, %rows : tensor<?x3x2xf32>, tensor<?xi32> -> tensor<?x2xf32>
      return %p, %u, %r : tensor<?x2xf32>, tensor<?x3x2xf32>, tensor<?x2xf32>
    })mlir",
                     {x, ids({2}, {1, 3}), ids({2}, {4, 0})});
  ASSERT_EQ(results.size(), 3u) << message;
  auto of = [&](int64_t token) { return x.floats().slice(token * 2, 2); };
  auto packed = std::get<Tensor>(results[0]);
  EXPECT_EQ(packed.shape(), llvm::ArrayRef<int64_t>({4, 2}));
  for (auto [index, token] : llvm::enumerate(std::vector<int64_t>{0, 3, 4, 5}))
    EXPECT_EQ(packed.floats().slice(index * 2, 2), of(token));
  EXPECT_EQ(std::get<Tensor>(results[2]).floats().take_front(2), of(4));
  EXPECT_EQ(std::get<Tensor>(results[2]).floats().take_back(2), of(0));
}

TEST_F(AttentionTest, SoftmaxRowsSumToOne) {
  auto y = runOne(R"mlir(
    func.func @f(%x: tensor<3x5x2xf32>) -> tensor<3x5x2xf32> {
      %e = tensor.empty() : tensor<3x5x2xf32>
      %y = linalg.softmax dimension(1) ins(%x : tensor<3x5x2xf32>) outs(%e : tensor<3x5x2xf32>) -> tensor<3x5x2xf32>
      return %y : tensor<3x5x2xf32>
    })mlir",
                  {randomFloats({3, 5, 2}, 12)});
  for (int64_t outer = 0; outer < 3; ++outer)
    for (int64_t inner = 0; inner < 2; ++inner) {
      double sum = 0;
      for (int64_t i = 0; i < 5; ++i)
        sum += y.floats()[(outer * 5 + i) * 2 + inner];
      EXPECT_NEAR(sum, 1, 1e-6);
    }
}
