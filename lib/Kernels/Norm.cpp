//===- Norm.cpp - Norms over channels, and activations as 8-bit integers ----------------------------===//
//
// One block a row. A row of a model's width fits the first-level cache, so it is read twice: once
// for the sum of squares, once to scale it, and where the region says so to quantise it. A layer
// norm reads it once more before, for the mean, and takes squares of the distance to it. A sum
// goes through 8 lanes and the registers of one tile in an order that depends on the width alone;
// the same row gives the same bits in every step.
//
// Quantising: in blocks of 32, scale = max|x| / 127, value = x * (127 / max|x|) rounded to even.
//
//===----------------------------------------------------------------------------------------------===//

#include "Common.h"
#include "Families.h"
#include "GpuProduct.h"

using namespace mlir;
using namespace ingot;
using namespace ingot::kernels;

namespace {

/// Widths of the blocks that share a scale.
constexpr int64_t quantizedBlock = 32;

struct NormRegion {
  transformer::NormOp norm;         ///< null for Quantize
  transformer::QuantizeOp quantize; ///< null for the norms alone
  Value input() { return norm ? norm.getInput() : quantize.getInput(); }
};

NormRegion regionOf(const Request &request) {
  return {findOp<transformer::NormOp>(request.compute),
          findOp<transformer::QuantizeOp>(request.compute)};
}

/// `kind`: none for Quantize.
LogicalResult supports(const Request &request, std::optional<transformer::NormKind> kind,
                       bool hasQuantize, std::string &reason) {
  NormRegion region = regionOf(request);
  bool hasNorm = kind.has_value();
  if (bool(region.norm) != hasNorm || bool(region.quantize) != hasQuantize ||
      (hasNorm && region.norm.getKind() != *kind))
    return reason = "the region's ops are not those of the family", failure();
  auto type = cast<RankedTensorType>(region.input().getType());
  if (type.getRank() != 2)
    return reason = "only rank 2 is packed", failure();
  if (hasNorm && !plainElementType(region.norm.getWeight().getType()))
    return reason = "the norm's weight is not a float format", failure();
  if (hasNorm && region.norm.getBias() && !plainElementType(region.norm.getBias().getType()))
    return reason = "the norm's bias is not a float format", failure();
  if (hasQuantize && region.quantize.getScales().getType().getShape().back() * quantizedBlock !=
                         type.getDimSize(1))
    return reason = "only blocks of 32 are quantised", failure();
  return success();
}

/// The sum of a tile [1, N] over `columns`, in every lane of a [1, 1] tile.
Value divideSum(TileBuilder &b, Value tile, int64_t columns) {
  Value sum = b.reduce(tile::ReduceKind::Add, tile, 1);
  return b.divf(sum, b.constant(cast<RankedTensorType>(sum.getType()), columns));
}

/// Mean over a row of what `add` adds up from its tiles, in every lane of a [1, 1] tile.
Value meanOf(TileBuilder &b, RankedTensorType type, Value view, Value row, int64_t columns,
             llvm::function_ref<Value(Value column, Value x, Value sum)> add) {
  int64_t tileColumns = type.getDimSize(1);
  bool masked = columns % tileColumns;
  Value sums = b.forLoop(b.index(0), b.index(columns), tileColumns, {b.constant(type, 0)},
                         [&](Value column, auto carried) {
                           Value x = b.load(view, {row, column}, type, masked);
                           return SmallVector<Value>{add(column, x, carried[0])};
                         })[0];
  return divideSum(b, sums, columns);
}

/// 1 / sqrt(square + epsilon).
Value inverseRoot(TileBuilder &b, Value square, double epsilon) {
  auto one = cast<RankedTensorType>(square.getType());
  Value shifted = b.addf(square, b.constant(one, epsilon));
  return b.divf(b.constant(one, 1), math::SqrtOp::create(b.builder, b.loc, shifted));
}

/// `x`, or 0 in the columns of a tile that are behind the row's last.
Value keepColumns(TileBuilder &b, Value x, Value column, int64_t columns) {
  auto type = cast<RankedTensorType>(x.getType());
  if (columns % type.getDimSize(1) == 0)
    return x;
  Value offsets = b.iotaOf(tile::withElement(type, b.i32()), 1);
  auto integers = cast<RankedTensorType>(offsets.getType());
  Value left = b.splat(b.toI32(b.sub(b.index(columns), column)), integers);
  Value isInside =
      arith::CmpIOp::create(b.builder, b.loc, arith::CmpIPredicate::slt, offsets, left);
  return arith::SelectOp::create(b.builder, b.loc, isInside, x, b.constant(type, 0));
}

/// What a row is normed with: y = (x - mean) * scale, without a mean y = x * scale.
struct Statistics {
  Value mean, scale;
};

Statistics emitStatistics(TileBuilder &b, RankedTensorType type, transformer::NormOp norm,
                          Value view, Value row, int64_t columns) {
  double epsilon = norm.getEpsilon().convertToDouble();
  if (norm.getKind() == transformer::NormKind::Rms) {
    Value square = meanOf(b, type, view, row, columns,
                          [&](Value, Value x, Value sum) { return b.fma(x, x, sum); });
    return {{}, b.broadcast(inverseRoot(b, square, epsilon), type)};
  }
  Value mean = b.broadcast(meanOf(b, type, view, row, columns,
                                  [&](Value, Value x, Value sum) { return b.addf(sum, x); }),
                           type);
  Value variance = meanOf(b, type, view, row, columns, [&](Value column, Value x, Value sum) {
    Value distance = keepColumns(b, b.subf(x, mean), column, columns);
    return b.fma(distance, distance, sum);
  });
  return {mean, b.broadcast(inverseRoot(b, variance, epsilon), type)};
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

/// Norms a row, in tiles of `type`. `args`: input, weight, bias where there is one, results.
void emitRow(TileBuilder &b, NormRegion region, ValueRange args, RankedTensorType type, Value row) {
  Value zero = b.index(0);
  int64_t columns = cast<RankedTensorType>(region.input().getType()).getDimSize(1),
          tileColumns = type.getDimSize(1);
  bool masked = columns % tileColumns, hasBias = region.norm && region.norm.getBias();
  Statistics statistics;
  if (region.norm)
    statistics = emitStatistics(b, type, region.norm, args[0], row, columns);
  auto loadVector = [&](Value view, Value column) {
    auto stored = type.clone(cast<tile::ViewType>(view.getType()).getElementType());
    return b.toF32(b.load(view, {zero, column}, cast<RankedTensorType>(stored), masked));
  };
  Value output = args[!region.norm ? 1 : hasBias ? 3 : 2];
  b.forLoop(zero, b.index(columns), tileColumns, [&](Value column) {
    Value x = b.load(args[0], {row, column}, type, masked);
    if (region.norm) {
      if (statistics.mean)
        x = b.subf(x, statistics.mean);
      x = b.mulf(b.mulf(x, statistics.scale), loadVector(args[1], column));
      if (hasBias)
        x = b.addf(x, loadVector(args[2], column));
    }
    if (region.quantize)
      storeQuantized(b, x, output, args.back(), row, column);
    else
      b.store(x, output, {row, column}, masked);
  });
}

Emission emitNorm(const Request &request, OpBuilder &builder, OpBuilder &kernelBuilder) {
  NormRegion region = regionOf(request);
  transformer::ComputeOp compute = request.compute;
  auto inputType = cast<RankedTensorType>(region.input().getType());
  int64_t columns = inputType.getDimSize(1);
  SmallVector<Type> views{rowsView(inputType, request.rows)};
  SmallVector<Value, 2> vectors; // weight, bias
  if (region.norm) {
    vectors.push_back(region.norm.getWeight());
    if (Value bias = region.norm.getBias())
      vectors.push_back(bias);
  }
  for (Value vector : vectors)
    views.push_back(vectorView(cast<transformer::WeightType>(vector.getType())));
  for (Type type : compute.getResultTypes())
    views.push_back(rowsView(cast<RankedTensorType>(type), request.rows));
  auto kernel = beginKernel(kernelBuilder, request, views,
                            {tile::ExtentAttr::get(builder.getContext(), request.rows)});

  TileBuilder b(kernelBuilder, compute.getLoc());
  auto type = region.quantize ? tileType({1, quantizedBlock}, b.f32(), 1)
                              : rowTile(request, b.f32(), columns);
  tile::AwaitLaunchesOp::create(b.builder, b.loc);
  emitRow(b, region, kernel.getViews(), type, b.blockId(tile::Axis::X));
  tile::ReturnOp::create(kernelBuilder, compute.getLoc());

  Emission emission{kernel};
  emission.operands.push_back(outerValue(compute, region.input()));
  for (Value vector : vectors)
    emission.operands.push_back(outerValue(compute, vector));
  emission.inPlace.assign(compute.getNumResults(), -1);
  uint64_t outputBytes = region.quantize ? columns + columns / 8 : 4 * columns;
  emission.cost = {uint64_t(4 * columns) * vectors.size(), 4 * columns + outputBytes,
                   uint64_t(5 * columns)};
  return emission;
}

} // namespace

Value kernels::emitNormScale(TileBuilder &b, Value squares, int64_t columns, double epsilon) {
  Value scale = inverseRoot(b, divideSum(b, squares, columns), epsilon);
  return b.broadcast(scale, cast<RankedTensorType>(squares.getType()));
}

Emission kernels::prepareRmsNorm(const Request &request, transformer::NormOp norm, Emission few,
                                 Emission many) {
  auto type = cast<RankedTensorType>(norm.getInput().getType());
  int64_t columns = type.getDimSize(1), fewTokens = getNormTokens(columns);
  MLIRContext *context = norm.getContext();
  Request named = request;
  named.name = ("RmsNorm_" + Twine(columns) + "_beyond_" + Twine(fewTokens)).str();
  // Just past the border there are fewer blocks than rows.
  constexpr int64_t blocksPerRow = 4;
  auto extent =
      tile::ExtentAttr::get(context, request.rows, blocksPerRow, -blocksPerRow * fewTokens, 1);
  OpBuilder kernelBuilder = OpBuilder::atBlockEnd(few.kernel->getBlock());
  auto kernel = beginKernel(kernelBuilder, named,
                            {rowsView(type, request.rows), vectorView(norm.getWeight().getType()),
                             rowsView(type, request.rows)},
                            extent);
  TileBuilder b(kernelBuilder, norm.getLoc());
  auto args = kernel.getViews();
  Value rows = b.count(request.rows);
  Value blocks = b.mul(b.sub(rows, b.index(fewTokens)), blocksPerRow);
  tile::AwaitLaunchesOp::create(b.builder, b.loc);
  auto step = scf::ForOp::create(b.builder, b.loc, b.blockId(tile::Axis::X), rows, blocks);
  b.builder.setInsertionPointToStart(step.getBody());
  emitRow(b, {norm, {}}, args, rowTile(request, b.f32(), columns), step.getInductionVar());
  b.builder.setInsertionPointAfter(step);
  tile::ReturnOp::create(b.builder, b.loc);

  Emission emission{kernel};
  emission.operands = {outerValue(request.compute, norm.getInput()),
                       outerValue(request.compute, norm.getWeight())};
  emission.cost = {uint64_t(4 * columns), uint64_t(8 * columns), uint64_t(5 * columns)};
  emission.isPreparation = true;
  emission.scratch = {type};
  emission.finish = [few, many](OpBuilder &, ValueRange results) mutable {
    few.operands.front() = many.operands.front() = results.front();
    return joinLaunches(few, many);
  };
  return emission;
}

const Family kernels::rmsNormFamily = {"RmsNorm",
                                       [](auto &request, auto &reason) {
                                         return supports(request, transformer::NormKind::Rms,
                                                         /*hasQuantize=*/false, reason);
                                       },
                                       emitNorm};
const Family kernels::rmsNormQuantizeFamily = {
    "RmsNormQuantize",
    [](auto &request, auto &reason) {
      return supports(request, transformer::NormKind::Rms, /*hasQuantize=*/true, reason);
    },
    emitNorm};
const Family kernels::layerNormFamily = {"LayerNorm",
                                         [](auto &request, auto &reason) {
                                           return supports(request, transformer::NormKind::Layer,
                                                           /*hasQuantize=*/false, reason);
                                         },
                                         emitNorm};
const Family kernels::layerNormQuantizeFamily = {
    "LayerNormQuantize",
    [](auto &request, auto &reason) {
      return supports(request, transformer::NormKind::Layer, /*hasQuantize=*/true, reason);
    },
    emitNorm};
const Family kernels::quantizeFamily = {"Quantize",
                                        [](auto &request, auto &reason) {
                                          return supports(request, std::nullopt,
                                                          /*hasQuantize=*/true, reason);
                                        },
                                        emitNorm};
