//===- CpuElementwiseTest.cpp - Arithmetic of compiled kernels against plain C++ -------------------------===//
//
// Elementwise ops, casts, 2^x and reductions: tile kernels are compiled in process and compared
// with the same formula in C++, bit for bit except for 2^x, whose error bound is part of its
// contract.
//
//===----------------------------------------------------------------------------------------------===//

#include "test/lib/CompiledKernels.h"
#include "llvm/ADT/APFloat.h"
#include "llvm/ADT/bit.h"
#include "gtest/gtest.h"
#include <cmath>
#include <random>
#include <vector>

using namespace ingot::test;

namespace {

const char *layouts = R"(
#row = #tile.layout<register = [[0, 8], [0, 16], [0, 32]], lane = [[0, 1], [0, 2], [0, 4]]>
#one = #tile.layout<lane = [[0, 0], [0, 0], [0, 0]]>
#packed = #tile.layout<register = [[0, 1], [0, 2], [0, 4]], lane = [[0, 8], [0, 16], [0, 32]]>
)";

/// One kernel @K that turns the 64 elements of view %a into those of %b by `body` (%x is the tile
/// read, %y must be defined).
std::string makeMap(const char *from, const char *to, const std::string &body,
                    const char *layout = "#row") {
  std::string in = std::string("tensor<1x64x") + from + ", " + layout + ">";
  std::string out = std::string("tensor<1x64x") + to + ", " + layout + ">";
  std::string viewIn = std::string("!tile.view<[tokens, 64], ") + from + ">";
  std::string viewOut = std::string("!tile.view<[tokens, 64], ") + to + ">";
  return std::string(layouts) + "tile.kernel @K(%a: " + viewIn + ", %b: " + viewOut +
         ") grid [tokens] {\n" +
         "%t = tile.block_id x\n%c0 = arith.constant 0 : index\n%x = tile.load %a[%t, %c0] : " +
         viewIn + " -> " + in + "\n" + body + "\ntile.store %y, %b[%t, %c0] : " + out + ", " +
         viewOut + "\ntile.return\n}";
}

double ulpsOff(float value, double exact) {
  if (std::isinf(value) || std::isnan(value))
    return std::isinf(value) && exact > 3.4028235677973366e38 ? 0 : 1e9;
  int exponent;
  std::frexp(exact, &exponent);
  return std::abs(value - exact) / std::ldexp(1.0, std::max(exponent - 24, -149));
}

TEST(CpuElementwise, Exp2IsWithinTwoUlpsEverywhere) {
  CompiledKernels kernels(makeMap("f32", "f32", "%y = math.exp2 %x : tensor<1x64xf32, #row>"));
  ASSERT_EQ(kernels.error, "");
  // Every 499th float whose result is neither 0 nor infinite, of both signs, and random ones.
  std::vector<float> x;
  for (uint32_t bits = 0; bits < 0x43180000; bits += 499)
    for (uint32_t sign : {0u, 0x80000000u})
      x.push_back(llvm::bit_cast<float>(bits | sign));
  x.resize(x.size() / 64 * 64);
  std::vector<float> y(x.size());
  kernels.run("K", {x.data(), y.data()}, {int64_t(x.size() / 64), 1, 1},
              {int64_t(x.size() / 64), 1, 1});
  double worst = 0;
  for (size_t i = 0; i < x.size(); ++i)
    worst = std::max(worst, ulpsOff(y[i], std::exp2(double(x[i]))));
  EXPECT_LE(worst, 2.0);
  RecordProperty("worst_ulps", std::to_string(worst));
}

TEST(CpuElementwise, Exp2AtTheEnds) {
  CompiledKernels kernels(makeMap("f32", "f32", "%y = math.exp2 %x : tensor<1x64xf32, #row>"));
  ASSERT_EQ(kernels.error, "");
  std::vector<float> x(64, 0), y(64);
  float inputs[] = {-INFINITY, -1e30f, -150.5f, -149, 0, -0.0f, 1, 127, 128, 1e30f, INFINITY, NAN};
  std::copy(std::begin(inputs), std::end(inputs), x.begin());
  kernels.run("K", {x.data(), y.data()});
  float expected[] = {0, 0, 0, 0x1p-149f, 1, 1, 2, 0x1p127f, INFINITY, INFINITY, INFINITY};
  for (size_t i = 0; i < std::size(expected); ++i)
    EXPECT_EQ(y[i], expected[i]) << "2^" << x[i];
  EXPECT_TRUE(std::isnan(y[11]));
}

TEST(CpuElementwise, ReduceAddsInTheOrderOfTheDialect) {
  std::string text = std::string(layouts) + R"(
    tile.kernel @Sum(%a: !tile.view<[tokens, 64], f32>, %b: !tile.view<[tokens, 2], f32>) grid [tokens] {
      %t = tile.block_id x
      %c0 = arith.constant 0 : index
      %c1 = arith.constant 1 : index
      %x = tile.load %a[%t, %c0] : !tile.view<[tokens, 64], f32> -> tensor<1x64xf32, #row>
      %s = tile.reduce add %x dim 1 : tensor<1x64xf32, #row> -> tensor<1x1xf32, #one>
      tile.store %s, %b[%t, %c0] : tensor<1x1xf32, #one>, !tile.view<[tokens, 2], f32>
      %m = tile.reduce max %x dim 1 : tensor<1x64xf32, #row> -> tensor<1x1xf32, #one>
      tile.store %m, %b[%t, %c1] : tensor<1x1xf32, #one>, !tile.view<[tokens, 2], f32>
      tile.return
    })";
  CompiledKernels kernels(text);
  ASSERT_EQ(kernels.error, "");
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  std::vector<float> x(64 * 5), y(2 * 5);
  for (float &value : x)
    value = normal(random);
  kernels.run("Sum", {x.data(), y.data()}, {5, 1, 1}, {5, 1, 1});
  for (int t = 0; t < 5; ++t) {
    std::vector<float> sum(x.begin() + 64 * t, x.begin() + 64 * (t + 1));
    for (int half : {32, 16, 8, 4, 2, 1}) // register bits 32, 16, 8, then lane bits 4, 2, 1
      for (int i = 0; i < half; ++i)
        sum[i] += sum[i + half];
    EXPECT_EQ(y[2 * t], sum[0]);
    EXPECT_EQ(y[2 * t + 1], *std::max_element(x.begin() + 64 * t, x.begin() + 64 * (t + 1)));
  }
}

/// Runs a map on 64 elements.
template <typename From, typename To>
std::vector<To> runMap(const CompiledKernels &kernels, std::vector<From> x) {
  std::vector<To> y(64);
  kernels.run("K", {x.data(), y.data()});
  return y;
}

TEST(CpuElementwise, CastsBetweenIntegersAndFloats) {
  for (const char *layout : {"#row", "#packed"}) {
    std::string tile = std::string(", ") + layout + ">";
    std::vector<int8_t> bytes(64);
    std::vector<float> floats(64);
    std::vector<int32_t> integers(64);
    for (int i = 0; i < 64; ++i) {
      bytes[i] = i * 4 - 128 + i % 3;
      floats[i] = i * 3.9f - 125;
      integers[i] = i * 12345678;
    }
    CompiledKernels widen(makeMap(
        "i8", "f32", "%y = arith.sitofp %x : tensor<1x64xi8" + tile + " to tensor<1x64xf32" + tile,
        layout));
    ASSERT_EQ(widen.error, "");
    CompiledKernels extend(makeMap(
        "i8", "i32", "%y = arith.extui %x : tensor<1x64xi8" + tile + " to tensor<1x64xi32" + tile,
        layout));
    ASSERT_EQ(extend.error, "");
    CompiledKernels narrow(makeMap(
        "i32", "i8", "%y = arith.trunci %x : tensor<1x64xi32" + tile + " to tensor<1x64xi8" + tile,
        layout));
    ASSERT_EQ(narrow.error, "");
    CompiledKernels round(makeMap(
        "f32", "i8", "%y = arith.fptosi %x : tensor<1x64xf32" + tile + " to tensor<1x64xi8" + tile,
        layout));
    ASSERT_EQ(round.error, "");
    auto widened = runMap<int8_t, float>(widen, bytes);
    auto extended = runMap<int8_t, int32_t>(extend, bytes);
    auto narrowed = runMap<int32_t, int8_t>(narrow, integers);
    auto rounded = runMap<float, int8_t>(round, floats);
    for (int i = 0; i < 64; ++i) {
      EXPECT_EQ(widened[i], float(bytes[i]));
      EXPECT_EQ(extended[i], int32_t(uint8_t(bytes[i])));
      EXPECT_EQ(narrowed[i], int8_t(integers[i]));
      EXPECT_EQ(rounded[i], int8_t(floats[i]));
    }
  }
}

TEST(CpuElementwise, CastsToHalvesRoundToNearestEven) {
  std::mt19937 random(2);
  std::vector<float> x(64);
  for (float &value : x)
    value = llvm::bit_cast<float>(uint32_t(random()) % 0x10000000 + 0x38000000);
  x[0] = 1.00048828125f; // half way between two halves
  x[1] = 70000;
  x[2] = INFINITY;
  x[3] = NAN;
  for (const char *layout : {"#row", "#packed"}) {
    std::string tile = std::string(", ") + layout + ">";
    for (std::string type : {"f16", "bf16"}) {
      CompiledKernels kernels(makeMap(
          "f32", "f32",
          "%h = arith.truncf %x : tensor<1x64xf32" + tile + " to tensor<1x64x" + type + tile +
              "\n%y = arith.extf %h : tensor<1x64x" + type + tile + " to tensor<1x64xf32" + tile,
          layout));
      ASSERT_EQ(kernels.error, "");
      auto y = runMap<float, float>(kernels, x);
      for (int i = 0; i < 64; ++i) {
        llvm::APFloat exact(x[i]);
        bool loses;
        exact.convert(type == "f16" ? llvm::APFloat::IEEEhalf() : llvm::APFloat::BFloat(),
                      llvm::APFloat::rmNearestTiesToEven, &loses);
        exact.convert(llvm::APFloat::IEEEsingle(), llvm::APFloat::rmNearestTiesToEven, &loses);
        float expected = exact.convertToFloat();
        if (std::isnan(x[i]))
          EXPECT_TRUE(std::isnan(y[i]));
        else
          EXPECT_EQ(y[i], expected) << x[i] << " as " << type;
      }
    }
  }
}

TEST(CpuElementwise, MultiplyAndAddAreNotFused) {
  CompiledKernels kernels(makeMap("f32", "f32",
                                  "%p = arith.mulf %x, %x : tensor<1x64xf32, #row>\n"
                                  "%y = arith.subf %p, %x : tensor<1x64xf32, #row>"));
  ASSERT_EQ(kernels.error, "");
  std::vector<float> x(64);
  for (int i = 0; i < 64; ++i)
    x[i] = 1.0f + (i + 1) * 0x1p-20f;
  auto y = runMap<float, float>(kernels, x);
  for (int i = 0; i < 64; ++i) {
    volatile float product = x[i] * x[i];
    EXPECT_EQ(y[i], product - x[i]);
  }
}

TEST(CpuElementwise, SelectsByPredicates) {
  CompiledKernels kernels(makeMap("f32", "f32", R"(
    %i = tile.iota dim 1 : tensor<1x64xi32, #row>
    %c = arith.constant dense<20> : tensor<1x64xi32, #row>
    %z = arith.constant dense<0.5> : tensor<1x64xf32, #row>
    %p = arith.cmpi slt, %i, %c : tensor<1x64xi32, #row>
    %y = arith.select %p, %x, %z : tensor<1x64xi1, #row>, tensor<1x64xf32, #row>)"));
  ASSERT_EQ(kernels.error, "");
  auto y = runMap<float, float>(kernels, std::vector<float>(64, 3));
  for (int i = 0; i < 64; ++i)
    EXPECT_EQ(y[i], i < 20 ? 3 : 0.5f);
}

} // namespace
