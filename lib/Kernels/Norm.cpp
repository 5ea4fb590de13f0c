//===- Norm.cpp - Root mean square norm, and activations as 8-bit integers --------------------------===//
//
// One block a row. A row of a model's width fits the first-level cache, so it is read twice: once
// for the sum of squares, once to scale it, and where the region says so to quantise it. The sum
// goes through 8 lanes and the registers of one tile in an order that depends on the width alone;
// the same row gives the same bits in every step.
//
// Quantising: in blocks of 32, scale = max|x| / 127, value = x * (127 / max|x|) rounded to even.
//
//===----------------------------------------------------------------------------------------------===//

#include "Common.h"
#include "Families.h"

using namespace mlir;
using namespace ingot;
using namespace ingot::kernels;

namespace {

/// Columns of one step of the loops: four registers.
constexpr int64_t tileColumns = 32;

/// Widths of the blocks that share a scale.
constexpr int64_t quantizedBlock = 32;

struct NormRegion {
  transformer::NormOp norm;         ///< null for Quantize
  transformer::QuantizeOp quantize; ///< null for RmsNorm
  Value input() { return norm ? norm.getInput() : quantize.getInput(); }
};

NormRegion regionOf(const Request &request) {
  return {findOp<transformer::NormOp>(request.compute),
          findOp<transformer::QuantizeOp>(request.compute)};
}

template <bool hasNorm, bool hasQuantize>
LogicalResult supports(const Request &request, std::string &reason) {
  NormRegion region = regionOf(request);
  if (bool(region.norm) != hasNorm || bool(region.quantize) != hasQuantize)
    return reason = "the region's ops are not those of the family", failure();
  auto type = cast<RankedTensorType>(region.input().getType());
  if (type.getRank() != 2)
    return reason = "only rank 2 is packed", failure();
  if (hasNorm && region.norm.getKind() != transformer::NormKind::Rms)
    return reason = "only kind rms is there", failure();
  if (hasNorm && !plainElementType(region.norm.getWeight().getType()))
    return reason = "the norm's weight is not a float format", failure();
  if (hasQuantize && region.quantize.getScales().getType().getShape().back() * quantizedBlock !=
                         type.getDimSize(1))
    return reason = "only blocks of 32 are quantised", failure();
  return success();
}

/// 1 / sqrt(mean of squares + epsilon) of a row, in every lane of a [1, 1] tile.
Value inverseRootMeanSquare(TileBuilder &b, Value view, Value row, int64_t columns,
                            double epsilon) {
  auto type = tileType({1, tileColumns}, b.f32(), 1);
  bool masked = columns % tileColumns;
  Value zero = b.constant(type, 0);
  Value squares =
      b.forLoop(b.index(0), b.index(columns), tileColumns, {zero}, [&](Value column, auto carried) {
        Value x = b.load(view, {row, column}, type, masked);
        return SmallVector<Value>{b.fma(x, x, carried[0])};
      })[0];
  Value sum = b.reduce(tile::ReduceKind::Add, squares, 1);
  auto one = cast<RankedTensorType>(sum.getType());
  Value mean = b.addf(b.divf(sum, b.constant(one, columns)), b.constant(one, epsilon));
  return b.divf(b.constant(one, 1), math::SqrtOp::create(b.builder, b.loc, mean));
}

/// Stores a block of 32 as integers, and its scale.
void storeQuantized(TileBuilder &b, Value x, Value values, Value scales, Value row, Value column) {
  auto type = cast<RankedTensorType>(x.getType());
  Value largest = b.reduce(tile::ReduceKind::Max, math::AbsFOp::create(b.builder, b.loc, x), 1);
  auto one = cast<RankedTensorType>(largest.getType());
  Value zero = b.constant(one, 0), limit = b.constant(one, NumericFormat::activationLimit);
  Value isZero = arith::CmpFOp::create(b.builder, b.loc, arith::CmpFPredicate::OEQ, largest, zero);
  Value inverse = arith::SelectOp::create(b.builder, b.loc, isZero, zero, b.divf(limit, largest));
  Value scaled = b.mulf(x, b.broadcast(inverse, type));
  Value rounded = math::RoundEvenOp::create(b.builder, b.loc, scaled);
  Value integers = arith::FPToSIOp::create(b.builder, b.loc, type.clone(b.i32()), rounded);
  Value bytes = arith::TruncIOp::create(b.builder, b.loc, type.clone(b.i8()), integers);
  b.store(bytes, values, {row, column});
  b.store(b.divf(largest, limit), scales, {row, b.div(column, quantizedBlock)});
}

Emission emitNorm(const Request &request, OpBuilder &builder, OpBuilder &kernelBuilder) {
  NormRegion region = regionOf(request);
  transformer::ComputeOp compute = request.compute;
  auto inputType = cast<RankedTensorType>(region.input().getType());
  int64_t columns = inputType.getDimSize(1);
  SmallVector<Type> views{rowsView(inputType, request.rows)};
  if (region.norm)
    views.push_back(vectorView(region.norm.getWeight().getType()));
  for (Type type : compute.getResultTypes())
    views.push_back(rowsView(cast<RankedTensorType>(type), request.rows));
  auto kernel = beginKernel(kernelBuilder, request, views,
                            {tile::ExtentAttr::get(builder.getContext(), request.rows)});
  auto args = kernel.getViews();
  Value output = args[region.norm ? 2 : 1];

  TileBuilder b(kernelBuilder, compute.getLoc());
  Value row = b.blockId(tile::Axis::X), zero = b.index(0);
  auto type = tileType({1, tileColumns}, b.f32(), 1);
  bool masked = columns % tileColumns;
  Value inverse;
  if (region.norm) {
    Value scale =
        inverseRootMeanSquare(b, args[0], row, columns, region.norm.getEpsilon().convertToDouble());
    inverse = b.broadcast(scale, type);
  }
  b.forLoop(zero, b.index(columns), tileColumns, [&](Value column) {
    Value x = b.load(args[0], {row, column}, type, masked);
    if (region.norm) {
      auto stored = type.clone(cast<tile::ViewType>(args[1].getType()).getElementType());
      Value weight = b.toF32(b.load(args[1], {zero, column}, stored, masked));
      x = b.mulf(b.mulf(x, inverse), weight);
    }
    if (region.quantize)
      storeQuantized(b, x, output, args.back(), row, column);
    else
      b.store(x, output, {row, column}, masked);
  });
  tile::ReturnOp::create(kernelBuilder, compute.getLoc());

  Emission emission{kernel};
  emission.operands.push_back(outerValue(compute, region.input()));
  if (region.norm)
    emission.operands.push_back(outerValue(compute, region.norm.getWeight()));
  emission.inPlace.assign(compute.getNumResults(), -1);
  uint64_t outputBytes = region.quantize ? columns + columns / 8 : 4 * columns;
  emission.cost = {region.norm ? uint64_t(4 * columns) : 0, 4 * columns + outputBytes,
                   uint64_t(5 * columns)};
  return emission;
}

} // namespace

const Family kernels::rmsNormFamily = {"RmsNorm", supports<true, false>, emitNorm};
const Family kernels::rmsNormQuantizeFamily = {"RmsNormQuantize", supports<true, true>, emitNorm};
const Family kernels::quantizeFamily = {"Quantize", supports<false, true>, emitNorm};
