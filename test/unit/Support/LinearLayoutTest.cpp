//===- LinearLayoutTest.cpp - Layout algebra over whole domains -----------------------------------===//
//
// Laws of the algebra, each checked on every point of the domain of named and of random maps.
//
//===----------------------------------------------------------------------------------------------===//

#include "ingot/Support/LinearLayout.h"
#include "gtest/gtest.h"
#include <random>
#include <set>

using namespace ingot;
using Bases = LinearLayout::Bases;
using Coordinates = LinearLayout::Coordinates;

namespace {

/// Calls `visit` with every tuple of numbers below `sizes`.
void forEach(llvm::ArrayRef<int64_t> sizes, llvm::function_ref<void(Coordinates)> visit) {
  int64_t total = 1;
  for (int64_t size : sizes)
    total *= size;
  for (int64_t i = 0; i < total; ++i) {
    Coordinates at;
    int64_t rest = i;
    for (int64_t size : sizes) {
      at.push_back(rest % size);
      rest /= size;
    }
    visit(at);
  }
}

Coordinates inputSizes(const LinearLayout &layout) {
  Coordinates sizes;
  for (unsigned i = 0; i < layout.getInputCount(); ++i)
    sizes.push_back(layout.getInputSize(i));
  return sizes;
}

/// The number of different values, by looking at all of them.
size_t countValues(const LinearLayout &layout) {
  std::set<std::vector<int64_t>> seen;
  forEach(inputSizes(layout), [&](Coordinates at) {
    Coordinates value = layout.apply(at);
    seen.insert({value.begin(), value.end()});
  });
  return seen.size();
}

LinearLayout makeRandom(std::mt19937 &random, llvm::ArrayRef<int> inputBits,
                        llvm::ArrayRef<int64_t> outputs) {
  llvm::SmallVector<Bases, 4> inputs;
  for (int bits : inputBits) {
    Bases &bases = inputs.emplace_back();
    for (int i = 0; i < bits; ++i) {
      Coordinates &basis = bases.emplace_back();
      for (int64_t size : outputs)
        basis.push_back(random() % size);
    }
  }
  return *LinearLayout::get(inputs, outputs);
}

TEST(LinearLayout, GivesThePlacesOfTheHeadersExample) {
  auto layout = LinearLayout::get({{{1, 0}}, {{0, 1}, {0, 2}}}, {2, 4});
  ASSERT_TRUE(layout);
  forEach({2, 4}, [&](Coordinates at) { EXPECT_EQ(layout->apply(at), at); });
  auto swizzled = LinearLayout::get({{{1, 1}}, {{0, 1}, {0, 2}}}, {2, 4});
  EXPECT_EQ(swizzled->apply({1, 0}), (Coordinates{1, 1}));
  EXPECT_EQ(swizzled->apply({1, 1}), (Coordinates{1, 0}));
}

TEST(LinearLayout, RefusesWhatIsNotALayout) {
  EXPECT_FALSE(LinearLayout::get({{{1}}}, {3}));    // not a power of two
  EXPECT_FALSE(LinearLayout::get({{{2}}}, {2}));    // past the size
  EXPECT_FALSE(LinearLayout::get({{{-1}}}, {2}));   // negative
  EXPECT_FALSE(LinearLayout::get({{{1, 0}}}, {2})); // too many coordinates
}

TEST(LinearLayout, IsLinear) {
  std::mt19937 random(1);
  for (int i = 0; i < 20; ++i) {
    LinearLayout layout = makeRandom(random, {3, 2}, {4, 8});
    forEach({8, 4, 8, 4}, [&](Coordinates at) {
      Coordinates a = layout.apply({at[0], at[1]}), b = layout.apply({at[2], at[3]});
      for (auto [x, y] : llvm::zip_equal(a, b))
        x ^= y;
      EXPECT_EQ(layout.apply({at[0] ^ at[2], at[1] ^ at[3]}), a);
    });
  }
}

TEST(LinearLayout, KnowsWhetherItReachesAllAndRepeatsNone) {
  std::mt19937 random(2);
  int surjective = 0, injective = 0;
  for (int i = 0; i < 200; ++i) {
    LinearLayout layout =
        i % 2 ? makeRandom(random, {2, 2}, {2, 4}) : makeRandom(random, {1, 2}, {4, 4});
    size_t values = countValues(layout);
    EXPECT_EQ(layout.isSurjective(), values == size_t(layout.getRangeSize()));
    EXPECT_EQ(layout.isInjective(), values == size_t(layout.getDomainSize()));
    surjective += layout.isSurjective();
    injective += layout.isInjective();
  }
  EXPECT_GT(surjective, 10);
  EXPECT_GT(injective, 10);
}

TEST(LinearLayout, ComposesAsFunctions) {
  std::mt19937 random(3);
  for (int i = 0; i < 20; ++i) {
    LinearLayout inner = makeRandom(random, {3, 2}, {4, 8}),
                 outer = makeRandom(random, {2, 3}, {2, 2, 16});
    LinearLayout both = inner.compose(outer);
    EXPECT_EQ(both.getOutputSizes(), outer.getOutputSizes());
    forEach({8, 4},
            [&](Coordinates at) { EXPECT_EQ(both.apply(at), outer.apply(inner.apply(at))); });
  }
}

TEST(LinearLayout, InverseLeadsBack) {
  std::mt19937 random(4);
  int inverted = 0;
  for (int i = 0; i < 100; ++i) {
    LinearLayout layout =
        i % 2 ? makeRandom(random, {3, 3}, {4, 8}) : makeRandom(random, {3, 2}, {4, 8});
    std::optional<LinearLayout> inverse = layout.invert();
    ASSERT_EQ(inverse.has_value(), layout.isSurjective());
    if (!inverse)
      continue;
    ++inverted;
    forEach({4, 8}, [&](Coordinates at) { EXPECT_EQ(layout.apply(inverse->apply(at)), at); });
    if (layout.isInjective())
      forEach({8, 4}, [&](Coordinates at) { EXPECT_EQ(inverse->apply(layout.apply(at)), at); });
  }
  EXPECT_GT(inverted, 10);
}

TEST(LinearLayout, InverseLeavesReplicatedBitsAtZero) {
  // Lane bit 1 is replicated, and register bit 1 repeats register bit 0.
  auto layout = LinearLayout::get({{{1}, {1}}, {{2}, {0}}}, {4});
  std::optional<LinearLayout> inverse = layout->invert();
  ASSERT_TRUE(inverse);
  forEach({4}, [&](Coordinates at) {
    Coordinates input = inverse->apply(at);
    EXPECT_LT(input[0], 2);
    EXPECT_LT(input[1], 2);
  });
}

TEST(LinearLayout, ProductIsTwoMapsBesideEachOther) {
  std::mt19937 random(5);
  for (int i = 0; i < 10; ++i) {
    LinearLayout a = makeRandom(random, {1, 2}, {4}), b = makeRandom(random, {2, 1}, {2, 8});
    LinearLayout product = a * b;
    EXPECT_EQ(inputSizes(product), (Coordinates{8, 8}));
    EXPECT_EQ(product.getOutputSizes(), (llvm::ArrayRef<int64_t>{8, 8}));
    forEach({2, 4, 4, 2}, [&](Coordinates at) {
      Coordinates x = a.apply({at[0], at[1]}), y = b.apply({at[2], at[3]});
      EXPECT_EQ(product.apply({at[0] + 2 * at[2], at[1] + 4 * at[3]}),
                (Coordinates{x[0] + 4 * y[0], y[1]}));
    });
  }
}

TEST(LinearLayout, NamedMapsAndSizes) {
  LinearLayout identity = LinearLayout::identity(16);
  forEach({16}, [&](Coordinates at) { EXPECT_EQ(identity.apply(at), at); });
  EXPECT_EQ(*identity.invert(), identity);
  LinearLayout zeros = LinearLayout::zeros(4);
  EXPECT_EQ(zeros.getDomainSize(), 4);
  EXPECT_EQ(zeros.getRangeSize(), 1);
  EXPECT_TRUE(zeros.isSurjective());
  EXPECT_FALSE(zeros.isInjective());
}

} // namespace
