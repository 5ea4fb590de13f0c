//===- CpuContractTest.cpp - Contractions of compiled kernels against plain C++ ------------------------------===//
//
// f32: bit for bit in the order that the dialect states. Integers: exact at the extremes of every
// format's codes, where 16-bit sums are as large as they can be.
//
//===----------------------------------------------------------------------------------------------===//

#include "ingot/Support/NumericFormat.h"
#include "test/lib/CompiledKernels.h"
#include "gtest/gtest.h"
#include <cmath>
#include <random>
#include <vector>

using namespace ingot;
using namespace ingot::test;

namespace {

TEST(CpuContract, FmaAscendsInK) {
  // Both ways: lanes over N with a replicated, and lanes over M with b replicated.
  std::string heads[] = {
      R"(#a = #tile.layout<register = [[0, 1], [0, 2], [1, 0], [2, 0]], lane = [[0, 0], [0, 0], [0, 0]]>
         #b = #tile.layout<register = [[1, 0], [2, 0], [0, 8]], lane = [[0, 1], [0, 2], [0, 4]]>
         #y = #tile.layout<register = [[1, 0], [2, 0], [0, 8]], lane = [[0, 1], [0, 2], [0, 4]]>)",
      R"(#a = #tile.layout<register = [[0, 1], [0, 2]], lane = [[1, 0], [2, 0], [0, 0]]>
         #b = #tile.layout<register = [[0, 1], [0, 2], [0, 4], [0, 8], [1, 0], [2, 0]], lane = [[0, 0], [0, 0], [0, 0]]>
         #y = #tile.layout<register = [[0, 1], [0, 2], [0, 4], [0, 8]], lane = [[1, 0], [2, 0], [0, 0]]>)"};
  for (const std::string &head : heads) {
    CompiledKernels kernels(head + R"(
      tile.kernel @K(%a: !tile.view<[4, 12], f32>, %b: !tile.view<[12, 16], f32>, %y: !tile.view<[4, 16], f32>) grid [] {
        %c0 = arith.constant 0 : index
        %c4 = arith.constant 4 : index
        %c12 = arith.constant 12 : index
        %z = tile.load %y[%c0, %c0] : !tile.view<[4, 16], f32> -> tensor<4x16xf32, #y>
        %s = scf.for %k = %c0 to %c12 step %c4 iter_args(%acc = %z) -> (tensor<4x16xf32, #y>) {
          %ta = tile.load %a[%c0, %k] : !tile.view<[4, 12], f32> -> tensor<4x4xf32, #a>
          %tb = tile.load %b[%k, %c0] : !tile.view<[12, 16], f32> -> tensor<4x16xf32, #b>
          %n = tile.contract fma %ta, %tb, %acc : tensor<4x4xf32, #a>, tensor<4x16xf32, #b>, tensor<4x16xf32, #y>
          scf.yield %n : tensor<4x16xf32, #y>
        }
        tile.store %s, %y[%c0, %c0] : tensor<4x16xf32, #y>, !tile.view<[4, 16], f32>
        tile.return
      })");
    ASSERT_EQ(kernels.error, "");
    std::mt19937 random(1);
    std::normal_distribution<float> normal;
    std::vector<float> a(4 * 12), b(12 * 16), y(4 * 16);
    for (std::vector<float> *values : {&a, &b, &y})
      for (float &value : *values)
        value = normal(random);
    std::vector<float> expected = y;
    for (int m = 0; m < 4; ++m)
      for (int n = 0; n < 16; ++n)
        for (int k = 0; k < 12; ++k)
          expected[m * 16 + n] = std::fma(a[m * 12 + k], b[k * 16 + n], expected[m * 16 + n]);
    kernels.run("K", {a.data(), b.data(), y.data()});
    EXPECT_EQ(y, expected);
  }
}

/// y[8 rows, 2 tokens] = codes[8, 32] * x[tokens, 32] + y.
std::string makeIntegerKernel(const std::string &options, const std::string &atom = "vpmaddubsw") {
  return R"(
    #a = #tile.layout<register = [[0, 1], [0, 2], [0, 4], [0, 8], [0, 16]], lane = [[1, 0], [2, 0], [4, 0]]>
    #x = #tile.layout<register = [[0, 1], [0, 2], [0, 4], [0, 8], [0, 16], [1, 0]], lane = [[0, 0], [0, 0], [0, 0]]>
    #b = #tile.layout<register = [[1, 0], [2, 0], [4, 0], [8, 0], [16, 0], [0, 1]], lane = [[0, 0], [0, 0], [0, 0]]>
    #y = #tile.layout<register = [[0, 1]], lane = [[1, 0], [2, 0], [4, 0]]>
    tile.kernel @K(%a: !tile.view<[8, 32], i8>, %x: !tile.view<[2, 32], i8>, %y: !tile.view<[8, 2], i32>) grid [] {
      %c0 = arith.constant 0 : index
      %z = tile.load %y[%c0, %c0] : !tile.view<[8, 2], i32> -> tensor<8x2xi32, #y>
      %ta = tile.load %a[%c0, %c0] : !tile.view<[8, 32], i8> -> tensor<8x32xi8, #a>
      %tx = tile.load %x[%c0, %c0] : !tile.view<[2, 32], i8> -> tensor<2x32xi8, #x>
      %tb = tile.transpose %tx [1, 0] : tensor<2x32xi8, #x> -> tensor<32x2xi8, #b>
      %s = tile.contract )" +
         atom + " %ta, %tb, %z " + options +
         R"( : tensor<8x32xi8, #a>, tensor<32x2xi8, #b>, tensor<8x2xi32, #y>
      tile.store %s, %y[%c0, %c0] : tensor<8x2xi32, #y>, !tile.view<[8, 2], i32>
      tile.return
    })";
}

template <typename T>
void checkProduct(const CompiledKernels &kernels, std::vector<int8_t> codes, std::vector<T> x) {
  std::vector<int32_t> y(16), expected(16);
  for (int i = 0; i < 16; ++i)
    y[i] = expected[i] = i * 1000 - 7;
  for (int row = 0; row < 8; ++row)
    for (int token = 0; token < 2; ++token)
      for (int k = 0; k < 32; ++k)
        expected[row * 2 + token] += int(codes[row * 32 + k]) * x[token * 32 + k];
  kernels.run("K", {codes.data(), x.data(), y.data()});
  EXPECT_EQ(y, expected);
}

TEST(CpuContract, IntegersAreExactAtTheExtremesOfEveryFormat) {
  for (const NumericFormat &format : NumericFormat::all()) {
    if (!format.hasIntegerCodes())
      continue;
    SCOPED_TRACE(format.name.str());
    std::string options =
        "run " + std::to_string(format.exactRun) + (format.codesAreSigned ? " signed" : "");
    CompiledKernels kernels(makeIntegerKernel(options));
    ASSERT_EQ(kernels.error, "");
    auto getCode = [&](unsigned stored) {
      uint8_t code = format.getKernelCode(stored % (1 << format.codeBits));
      return format.codesAreSigned ? int(int8_t(code)) : int(code);
    };
    std::vector<int> extremes;
    for (int stored = 0; stored < 1 << format.codeBits; stored += format.codeBits == 8 ? 127 : 1)
      extremes.push_back(getCode(stored));
    for (int code : extremes)
      for (int activation : {127, -127, 0})
        checkProduct(kernels, std::vector<int8_t>(256, code), std::vector<int8_t>(64, activation));
    std::mt19937 random(2);
    for (int i = 0; i < 50; ++i) {
      std::vector<int8_t> codes(256), x(64);
      for (int8_t &code : codes)
        code = getCode(random());
      for (int8_t &value : x)
        value = int(random() % 255) - 127;
      checkProduct(kernels, codes, x);
    }
  }
}

TEST(CpuContract, WideActivationsAreExactAtTheExtremes) {
  for (bool isSigned : {false, true}) {
    CompiledKernels kernels(std::string(R"(
      #a = #tile.layout<register = [[0, 1], [0, 2], [0, 4], [0, 8], [0, 16]], lane = [[1, 0], [2, 0], [4, 0]]>
      #x = #tile.layout<register = [[0, 2], [0, 1], [0, 4], [0, 8], [0, 16], [1, 0]], lane = [[0, 0], [0, 0], [0, 0]]>
      #b = #tile.layout<register = [[2, 0], [1, 0], [4, 0], [8, 0], [16, 0], [0, 1]], lane = [[0, 0], [0, 0], [0, 0]]>
      #y = #tile.layout<register = [[0, 1]], lane = [[1, 0], [2, 0], [4, 0]]>
      tile.kernel @K(%a: !tile.view<[8, 32], i8>, %x: !tile.view<[2, 32], i16>, %y: !tile.view<[8, 2], i32>) grid [] {
        %c0 = arith.constant 0 : index
        %z = tile.load %y[%c0, %c0] : !tile.view<[8, 2], i32> -> tensor<8x2xi32, #y>
        %ta = tile.load %a[%c0, %c0] : !tile.view<[8, 32], i8> -> tensor<8x32xi8, #a>
        %tx = tile.load %x[%c0, %c0] : !tile.view<[2, 32], i16> -> tensor<2x32xi16, #x>
        %tb = tile.transpose %tx [1, 0] : tensor<2x32xi16, #x> -> tensor<32x2xi16, #b>
        %s = tile.contract vpmaddwd %ta, %tb, %z )") +
                            (isSigned ? "signed" : "") + R"(
            : tensor<8x32xi8, #a>, tensor<32x2xi16, #b>, tensor<8x2xi32, #y>
        tile.store %s, %y[%c0, %c0] : tensor<8x2xi32, #y>, !tile.view<[8, 2], i32>
        tile.return
      })");
    ASSERT_EQ(kernels.error, "");
    int lowest = isSigned ? -128 : 0;
    for (int code : {lowest, 127})
      for (int activation : {-32768, 32767, 0})
        checkProduct(kernels, std::vector<int8_t>(256, code), std::vector<int16_t>(64, activation));
    std::mt19937 random(4);
    for (int i = 0; i < 50; ++i) {
      std::vector<int8_t> codes(256);
      std::vector<int16_t> x(64);
      for (int8_t &code : codes)
        code = int(random() % (128 - lowest)) + lowest;
      for (int16_t &value : x)
        value = int(random() % 65536) - 32768;
      checkProduct(kernels, codes, x);
    }
  }
}

TEST(CpuContract, AtomsAgreeWhereTheProcessorHasBoth) {
  const char *target = __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512vl")
                           ? "cpu:x86-64-v4+avx512vnni"
                       : __builtin_cpu_supports("avxvnni") ? "cpu:x86-64-v3+avxvnni"
                                                           : nullptr;
  if (!target)
    GTEST_SKIP() << "the processor has neither AVX-512 VNNI nor AVX VNNI";
  for (const char *options : {"", "signed"}) {
    CompiledKernels kernels(makeIntegerKernel(options, "vpdpbusd"), target);
    ASSERT_EQ(kernels.error, "");
    std::mt19937 random(3);
    for (int i = 0; i < 50; ++i) {
      std::vector<int8_t> codes(256), x(64);
      for (int8_t &code : codes)
        code = *options ? int(random() % 256) - 128 : int(random() % 64);
      for (int8_t &value : x)
        value = int(random() % 255) - 127;
      checkProduct(kernels, codes, x);
    }
  }
}

} // namespace
