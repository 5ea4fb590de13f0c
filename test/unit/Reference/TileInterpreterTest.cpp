//===- TileInterpreterTest.cpp - What the tile interpreter computes and what it refuses ------------===//
//
// Hand-written kernels. Messages are compared with the words that name op, memory, place and limit.
//
//===----------------------------------------------------------------------------------------------===//

#include "RunTile.h"
#include <cmath>

using namespace ingot;
using testing::ElementsAre;
using testing::HasSubstr;

namespace {

const char *const layouts = R"(
  #row = #tile.layout<register = [], lane = [[0, 1], [0, 2], [0, 4]]>
  #same = #tile.layout<register = [], lane = [[0, 0], [0, 0], [0, 0]]>
  #wide = #tile.layout<register = [[0, 8], [0, 16]], lane = [[0, 1], [0, 2], [0, 4]]>
)";

std::string run(const std::string &text, llvm::ArrayRef<llvm::MutableArrayRef<uint8_t>> arguments,
                std::array<int64_t, 3> counts = {1, 1, 1}) {
  return ingot::run(layouts + text, arguments, counts);
}

/// Doubles 4 rows of 8 numbers a block, the last block masked.
std::string makeDouble(const std::string &masked) {
  return R"(
    #rows = #tile.layout<register = [[1, 0], [2, 0]], lane = [[0, 1], [0, 2], [0, 4]]>
    tile.kernel @Double(%a: !tile.view<[tokens, 8], f32>, %b: !tile.view<[tokens, 8], f32>) grid [tokens ceildiv 4] {
      %c0 = arith.constant 0 : index
      %c4 = arith.constant 4 : index
      %x = tile.block_id x
      %t = arith.muli %x, %c4 : index
      %v = tile.load %a[%t, %c0] )" +
         masked + R"( : !tile.view<[tokens, 8], f32> -> tensor<4x8xf32, #rows>
      %y = arith.addf %v, %v : tensor<4x8xf32, #rows>
      tile.store %y, %b[%t, %c0] masked : tensor<4x8xf32, #rows>, !tile.view<[tokens, 8], f32>
      tile.return
    })";
}

TEST(TileInterpreter, MaskedElementsAreNotTouched) {
  std::vector<float> a(6 * 8), b(6 * 8 + 1, 7);
  for (size_t i = 0; i < a.size(); ++i)
    a[i] = i;
  ASSERT_EQ(run(makeDouble("masked"), {bytesOf(a), bytesOf(b)}, {6, 1, 1}), "");
  for (size_t i = 0; i < a.size(); ++i)
    EXPECT_EQ(b[i], 2 * a[i]);
  EXPECT_EQ(b.back(), 7);
}

TEST(TileInterpreter, WrongIndexIsRefused) {
  std::vector<float> a(6 * 8), b(6 * 8);
  EXPECT_THAT(run(makeDouble(""), {bytesOf(a), bytesOf(b)}, {6, 1, 1}),
              HasSubstr("'tile.load' in block (1, 0, 0) of kernel 'Double': coordinate [6, 0] of "
                        "argument 0 is outside: dimension 0 has size 6"));
}

TEST(TileInterpreter, ShortMemoryIsRefused) {
  std::vector<float> a(5 * 8 + 3), b(6 * 8);
  EXPECT_THAT(run(makeDouble("masked"), {bytesOf(a), bytesOf(b)}, {6, 1, 1}),
              HasSubstr("coordinate [5, 3] of argument 0 is byte 172, but there are 172 bytes"));
  EXPECT_THAT(run(makeDouble("masked"), {bytesOf(a)}, {6, 1, 1}),
              HasSubstr("kernel 'Double' takes 2 arguments, got 1"));
}

TEST(TileInterpreter, ReduceAddsInTheOrderOfTheLayout) {
  std::vector<float> a(32), b(1);
  for (size_t i = 0; i < a.size(); ++i)
    a[i] = 1.0f / float(3 * i + 1);
  ASSERT_EQ(run(R"(
    #one = #tile.layout<register = [], lane = [[0, 0], [0, 0], [0, 0]]>
    tile.kernel @Sum(%a: !tile.view<[1, 32], f32>, %b: !tile.view<[1, 1], f32>) grid [] {
      %c0 = arith.constant 0 : index
      %x = tile.load %a[%c0, %c0] : !tile.view<[1, 32], f32> -> tensor<1x32xf32, #wide>
      %y = tile.reduce add %x dim 1 : tensor<1x32xf32, #wide> -> tensor<1x1xf32, #one>
      tile.store %y, %b[%c0, %c0] : tensor<1x1xf32, #one>, !tile.view<[1, 1], f32>
      tile.return
    })",
                {bytesOf(a), bytesOf(b)}),
            "");
  // Columns 16 apart first (the highest register bit), then 8, then lanes 4, 2 and 1 apart.
  std::vector<float> sums = a;
  for (size_t distance : {16, 8, 4, 2, 1})
    for (size_t i = 0; i < distance; ++i)
      sums[i] = sums[i] + sums[i + distance];
  EXPECT_EQ(b[0], sums[0]);
}

TEST(TileInterpreter, LoopsCarryTilesAndBranchesChoose) {
  std::vector<int32_t> a(8);
  ASSERT_EQ(run(R"(
    tile.kernel @Count(%a: !tile.view<[1, 8], i32>) grid [] {
      %c0 = arith.constant 0 : index
      %c1 = arith.constant 1 : index
      %c3 = arith.constant 3 : index
      %i = tile.iota dim 1 : tensor<1x8xi32, #row>
      %s = scf.for %k = %c0 to %c3 step %c1 iter_args(%acc = %i) -> (tensor<1x8xi32, #row>) {
        %last = arith.cmpi eq, %k, %c1 : index
        %n = scf.if %last -> (tensor<1x8xi32, #row>) {
          %e = tile.exchange %acc dim 1 distance 1 : tensor<1x8xi32, #row>
          scf.yield %e : tensor<1x8xi32, #row>
        } else {
          %d = arith.addi %acc, %acc : tensor<1x8xi32, #row>
          scf.yield %d : tensor<1x8xi32, #row>
        }
        scf.yield %n : tensor<1x8xi32, #row>
      }
      tile.store %s, %a[%c0, %c0] : tensor<1x8xi32, #row>, !tile.view<[1, 8], i32>
      tile.return
    })",
                {bytesOf(a)}),
            "");
  EXPECT_THAT(a, ElementsAre(4, 0, 12, 8, 20, 16, 28, 24));
}

/// Through shared memory; `wait` stands between the copy and the load.
std::string makeCopy(const std::string &start, const std::string &wait) {
  return R"(
    tile.kernel @Copy(%a: !tile.view<[1, 8], f32>, %b: !tile.view<[1, 8], f32>) grid [] {
      %c0 = arith.constant 0 : index
      %s = tile.alloc : !tile.view<[1, 8], f32, shared>
      )" +
         start + wait + R"(
      %x = tile.load %s[%c0, %c0] : !tile.view<[1, 8], f32, shared> -> tensor<1x8xf32, #row>
      tile.store %x, %b[%c0, %c0] : tensor<1x8xf32, #row>, !tile.view<[1, 8], f32>
      tile.return
    })";
}

const char *const start = "%t = tile.copy_async %a[%c0, %c0] to %s[%c0, %c0] [1, 8] "
                          ": !tile.view<[1, 8], f32> to !tile.view<[1, 8], f32, shared>\n";

TEST(TileInterpreter, CopiesArriveAtTheWait) {
  std::vector<float> a = {1, 2, 3, 4, 5, 6, 7, 8}, b(8);
  ASSERT_EQ(run(makeCopy(start, "tile.wait %t\ntile.barrier"), {bytesOf(a), bytesOf(b)}), "");
  EXPECT_EQ(a, b);
}

TEST(TileInterpreter, MissingWaitIsRefused) {
  std::vector<float> a(8), b(8);
  EXPECT_THAT(run(makeCopy(start, "tile.barrier"), {bytesOf(a), bytesOf(b)}),
              HasSubstr("'tile.load' in block (0, 0, 0) of kernel 'Copy': byte 0 of shared memory "
                        "is touched before the tile.wait"));
  EXPECT_THAT(run(makeCopy("", ""), {bytesOf(a), bytesOf(b)}),
              HasSubstr("byte 0 of shared memory is read, but nothing has written it"));
  EXPECT_THAT(
      run(makeCopy(start, "%z = arith.constant 0.0 : f32\n"
                          "tile.write %z, %a[%c0, %c0] : f32, !tile.view<[1, 8], f32>\n"),
          {bytesOf(a), bytesOf(b)}),
      HasSubstr("'tile.write' in block (0, 0, 0) of kernel 'Copy': byte 0 of argument 0 is written "
                "before the tile.wait"));
}

TEST(TileInterpreter, DependenceOnTheOrderOfBlocksIsRefused) {
  std::vector<int32_t> a(1);
  EXPECT_THAT(run(R"(
    tile.kernel @Race(%a: !tile.view<[1], i32>) grid [tokens] {
      %c0 = arith.constant 0 : index
      %x = tile.block_id x
      %n = arith.index_castui %x : index to i32
      tile.write %n, %a[%c0] : i32, !tile.view<[1], i32>
      tile.return
    })",
                  {bytesOf(a)}, {3, 1, 1}),
              HasSubstr("byte 0 of argument 0 is written differently by another block"));
}

TEST(TileInterpreter, AsynchronousAccumulatorNeedsItsWait) {
  std::vector<float> b(1);
  auto makeContract = [](const std::string &wait) {
    return R"(
    tile.kernel @Accumulate(%b: !tile.view<[1, 1], f32>) grid [] {
      %c0 = arith.constant 0 : index
      %x = arith.constant dense<3.0> : tensor<1x8xf16, #row>
      %xt = tile.transpose %x [1, 0] : tensor<1x8xf16, #row> -> tensor<8x1xf16, #tile.layout<register = [], lane = [[1, 0], [2, 0], [4, 0]]>>
      %z = arith.constant dense<0.5> : tensor<1x1xf32, #same>
      %y = tile.contract wgmma_m64k16 %x, %xt, %z : tensor<1x8xf16, #row>, tensor<8x1xf16, #tile.layout<register = [], lane = [[1, 0], [2, 0], [4, 0]]>>, tensor<1x1xf32, #same>
      )" + wait +
           R"(
      tile.store %w, %b[%c0, %c0] : tensor<1x1xf32, #same>, !tile.view<[1, 1], f32>
      tile.return
    })";
  };
  ASSERT_EQ(run(makeContract("%w = tile.wait (%y : tensor<1x1xf32, #same>)"), {bytesOf(b)}), "");
  EXPECT_EQ(b[0], 72.5f);
  EXPECT_THAT(run(makeContract("%w = arith.addf %y, %y : tensor<1x1xf32, #same>"), {bytesOf(b)}),
              HasSubstr("'arith.addf' in block (0, 0, 0) of kernel 'Accumulate': operand 0 is the "
                        "result of an asynchronous contraction before its tile.wait"));
}

TEST(TileInterpreter, NumbersWithoutResultAreRefused) {
  std::vector<int32_t> a(1);
  EXPECT_THAT(
      run(R"(
    tile.kernel @Divide(%a: !tile.view<[1], i32>) grid [] {
      %c0 = arith.constant 0 : index
      %x = tile.read %a[%c0] : !tile.view<[1], i32> -> i32
      %y = arith.divui %x, %x : i32
      tile.write %y, %a[%c0] : i32, !tile.view<[1], i32>
      tile.return
    })",
          {bytesOf(a)}),
      HasSubstr("'arith.divui' in block (0, 0, 0) of kernel 'Divide': no result is stated"));
}

/// Codes of 64 and activations of 127: a pair sums to 16,256, so two pairs fit 16 bits, three do
/// not.
TEST(TileInterpreter, RunThatOverflowsIsRefused) {
  auto makeContract = [](const std::string &options, const std::string &code) {
    return R"(
    #a = #tile.layout<register = [[0, 1], [0, 2], [0, 4], [0, 8]], lane = [[1, 0], [2, 0], [4, 0]]>
    #b = #tile.layout<register = [[1, 0], [2, 0], [4, 0], [8, 0]], lane = [[0, 0], [0, 0], [0, 0]]>
    #y = #tile.layout<register = [], lane = [[1, 0], [2, 0], [4, 0]]>
    tile.kernel @Dot(%y: !tile.view<[8, 1], i32>) grid [] {
      %c0 = arith.constant 0 : index
      %a = arith.constant dense<)" +
           code + R"(> : tensor<8x16xi8, #a>
      %b = arith.constant dense<127> : tensor<16x1xi8, #b>
      %z = arith.constant dense<1> : tensor<8x1xi32, #y>
      %s = tile.contract vpmaddubsw %a, %b, %z )" +
           options + R"( : tensor<8x16xi8, #a>, tensor<16x1xi8, #b>, tensor<8x1xi32, #y>
      tile.store %s, %y[%c0, %c0] : tensor<8x1xi32, #y>, !tile.view<[8, 1], i32>
      tile.return
    })";
  };
  std::vector<int32_t> y(8);
  ASSERT_EQ(run(makeContract("run 2", "64"), {bytesOf(y)}), "");
  EXPECT_THAT(y, testing::Each(1 + 16 * 64 * 127));
  EXPECT_THAT(run(makeContract("run 3", "64"), {bytesOf(y)}),
              HasSubstr("run 3 overflows 16 bits at result [0, 0]"));
  EXPECT_THAT(run(makeContract("run 1", "-1"), {bytesOf(y)}),
              HasSubstr("element 0 of 'a' is -1, but unsigned codes have 7 bits"));
  ASSERT_EQ(run(makeContract("run 1 signed", "-1"), {bytesOf(y)}), "");
  EXPECT_THAT(y, testing::Each(1 - 16 * 127));
}

} // namespace
