//===- UpstreamTest.cpp - Upstream ops by the reference ---------------------------------------===//
//
// Structured ops, slices, arithmetic, regions; and what has no meaning here is refused by name.
//
//===------------------------------------------------------------------------------------------===//

#include "Run.h"

using namespace ingot;
using namespace ingot::reference;

using UpstreamTest = ReferenceTest;

TEST_F(UpstreamTest, AGenericOpReducesAndUsesIndices) {
  auto y = runOne(R"mlir(
    func.func @f(%x: tensor<2x3xf32>) -> tensor<2xf32> {
      %zero = arith.constant 0.0 : f32
      %e = tensor.empty() : tensor<2xf32>
      %f = linalg.fill ins(%zero : f32) outs(%e : tensor<2xf32>) -> tensor<2xf32>
      %y = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i)>],
                           iterator_types = ["parallel", "reduction"]}
          ins(%x : tensor<2x3xf32>) outs(%f : tensor<2xf32>) {
      ^bb0(%a: f32, %sum: f32):
        %j = linalg.index 1 : index
        %i = arith.index_cast %j : index to i32
        %n = arith.sitofp %i : i32 to f32
        %p = arith.mulf %a, %n : f32
        %s = arith.subf %sum, %p : f32
        linalg.yield %s : f32
      } -> tensor<2xf32>
      return %y : tensor<2xf32>
    })mlir",
                  {floats({2, 3}, {1, 2, 3, 4, 5, 6})});
  EXPECT_EQ(y.floats(), llvm::ArrayRef<float>({-8, -17}));
}

TEST_F(UpstreamTest, MatmulsAndTransposesAreStructuredOps) {
  auto y = runOne(R"mlir(
    func.func @f(%a: tensor<1x2x2xf32>, %b: tensor<1x2x2xf32>) -> tensor<1x2x2xf32> {
      %zero = arith.constant 0.0 : f32
      %e = tensor.empty() : tensor<1x2x2xf32>
      %t = linalg.transpose ins(%b : tensor<1x2x2xf32>) outs(%e : tensor<1x2x2xf32>) permutation = [0, 2, 1]
      %f = linalg.fill ins(%zero : f32) outs(%e : tensor<1x2x2xf32>) -> tensor<1x2x2xf32>
      %y = linalg.batch_matmul ins(%a, %t : tensor<1x2x2xf32>, tensor<1x2x2xf32>) outs(%f : tensor<1x2x2xf32>)
          -> tensor<1x2x2xf32>
      return %y : tensor<1x2x2xf32>
    })mlir",
                  {floats({1, 2, 2}, {1, 2, 3, 4}), floats({1, 2, 2}, {5, 6, 7, 8})});
  EXPECT_EQ(y.floats(), llvm::ArrayRef<float>({17, 23, 39, 53}));
}

TEST_F(UpstreamTest, SlicesWithStridesDropUnitDimensions) {
  auto y =
      runOne(R"mlir(
    func.func @f(%x: tensor<2x6xf32>, %from: index) -> tensor<2xf32> {
      %y = tensor.extract_slice %x[1, %from] [1, 2] [1, 3] : tensor<2x6xf32> to tensor<2xf32>
      return %y : tensor<2xf32>
    })mlir",
             {floats({2, 6}, {0, 1, 2, 3, 4, 5, 10, 11, 12, 13, 14, 15}), Scalar::ofInteger(2)});
  EXPECT_EQ(y.floats(), llvm::ArrayRef<float>({12, 15}));
}

TEST_F(UpstreamTest, ASliceOutsideIsRefused) {
  run(R"mlir(
    func.func @f(%x: tensor<?xf32>) -> tensor<4xf32> {
      %y = tensor.extract_slice %x[0] [4] [1] : tensor<?xf32> to tensor<4xf32>
      return %y : tensor<4xf32>
    })mlir",
      {Datum(floats({3}, {1, 2, 3}))});
  EXPECT_EQ(message, "slice of dimension 0 is outside of its size 3");
}

TEST_F(UpstreamTest, FloatsRoundToF32AfterEveryOp) {
  auto y = runOne(R"mlir(
    func.func @f(%x: tensor<1xf32>) -> tensor<1xf32> {
      %big = arith.constant dense<16777216.0> : tensor<1xf32>
      %a = arith.addf %x, %big : tensor<1xf32>
      %y = arith.subf %a, %big : tensor<1xf32>
      return %y : tensor<1xf32>
    })mlir",
                  {floats({1}, {1})});
  EXPECT_EQ(y.floats()[0], 0.0f);
}

TEST_F(UpstreamTest, IntegersWrapAndCompareAsTheirPredicatesSay) {
  auto y = runOne(R"mlir(
    func.func @f(%x: tensor<2xi32>) -> tensor<2xi1> {
      %one = arith.constant dense<1> : tensor<2xi32>
      %a = arith.addi %x, %one : tensor<2xi32>
      %y = arith.cmpi ult, %a, %x : tensor<2xi32>
      return %y : tensor<2xi1>
    })mlir",
                  {ids({2}, {-1, 5})});
  EXPECT_EQ(y.elements<uint8_t>(), llvm::ArrayRef<uint8_t>({1, 0}));
}

TEST_F(UpstreamTest, OperandsOfDifferentSizesAreRefused) {
  run(R"mlir(
    func.func @f(%a: tensor<?xf32>, %b: tensor<?xf32>) -> tensor<?xf32> {
      %y = arith.addf %a, %b : tensor<?xf32>
      return %y : tensor<?xf32>
    })mlir",
      {Datum(floats({2}, {1, 2})), Datum(floats({3}, {1, 2, 3}))});
  EXPECT_EQ(message, "'arith.addf' op has operands of shapes [2] and [3]");
}

TEST_F(UpstreamTest, OpsWithoutAMeaningAreRefusedByName) {
  run(R"mlir(
    func.func @f(%a: tensor<2xf32>) -> tensor<2xf64> {
      %y = arith.extf %a : tensor<2xf32> to tensor<2xf64>
      return %y : tensor<2xf64>
    })mlir",
      {Datum(floats({2}, {1, 2}))});
  EXPECT_EQ(message, "'arith.extf' op has no reference semantics");
}

TEST_F(UpstreamTest, RegionsAndCallsPassValuesThrough) {
  auto y = runOne(R"mlir(
    func.func private @g(%x: tensor<?xf32>) -> (tensor<?xf32>, tensor<?xf32>) {
      %y = arith.addf %x, %x : tensor<?xf32>
      return %x, %y : tensor<?xf32>, tensor<?xf32>
    }
    func.func @f(%x: tensor<?xf32>) -> tensor<?xf32> {
      %a:2 = call @g(%x) : (tensor<?xf32>) -> (tensor<?xf32>, tensor<?xf32>)
      %z = transformer.compute "Multiply" (%p = %a#0 : tensor<?xf32>, %q = %a#1 : tensor<?xf32>) -> (tensor<?xf32>) {
        %m = arith.mulf %p, %q : tensor<?xf32>
        transformer.yield %m : tensor<?xf32>
      }
      return %z : tensor<?xf32>
    })mlir",
                  {floats({2}, {3, 4})});
  EXPECT_EQ(y.floats(), llvm::ArrayRef<float>({18, 32}));
}
