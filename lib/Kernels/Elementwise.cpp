//===- Elementwise.cpp - What stays unfused: add, activation, rope, append --------------------------===//
//
// Each is one pass over a row, one block a token. They serve regions that no product could take in:
// weights of different formats, orders of ops that no fusion knows.
//
//===----------------------------------------------------------------------------------------------===//

#include "Common.h"
#include "Families.h"

using namespace mlir;
using namespace ingot;
using namespace ingot::kernels;

namespace {

constexpr int64_t width = 32;

/// Emits a loop over the columns of the row: `compute` makes the result's tile from the operands'
/// tiles.
Emission emitRowwise(const Request &request, OpBuilder &builder, OpBuilder &kernelBuilder,
                     ValueRange operands,
                     llvm::function_ref<Value(TileBuilder &, ArrayRef<Value>)> combine) {
  transformer::ComputeOp compute = request.compute;
  auto type = cast<RankedTensorType>(compute.getResult(0).getType());
  int64_t columns = type.getDimSize(1);
  SmallVector<Type> views(operands.size() + 1, rowsView(type, request.rows));
  auto kernel = beginKernel(kernelBuilder, request, views,
                            {tile::ExtentAttr::get(builder.getContext(), request.rows)});
  auto args = kernel.getViews();
  TileBuilder b(kernelBuilder, compute.getLoc());
  Value row = b.blockId(tile::Axis::X);
  auto tile = tileType({1, width}, b.f32(), 1);
  b.forLoop(b.index(0), b.index(columns), width, [&](Value column) {
    SmallVector<Value> loaded;
    for (Value view : args.drop_back())
      loaded.push_back(b.load(view, {row, column}, tile, columns % width));
    b.store(combine(b, loaded), args.back(), {row, column}, columns % width);
  });
  tile::ReturnOp::create(kernelBuilder, compute.getLoc());

  Emission emission{kernel};
  for (Value operand : operands)
    emission.operands.push_back(outerValue(compute, operand));
  emission.inPlace = {-1};
  emission.cost = {0, uint64_t(4 * columns) * (operands.size() + 1), uint64_t(columns)};
  return emission;
}

//===----------------------------------------------------------------------------------------------===//
// Add, ActivationMultiply
//===----------------------------------------------------------------------------------------------===//

LogicalResult supportsAdd(const Request &request, std::string &reason) {
  auto op = findOp<arith::AddFOp>(request.compute);
  bool is = op && cast<RankedTensorType>(op.getType()).getRank() == 2;
  return success(is || (reason = "the region is not one addition of rank 2", false));
}

Emission emitAdd(const Request &request, OpBuilder &builder, OpBuilder &kernelBuilder) {
  auto op = findOp<arith::AddFOp>(request.compute);
  return emitRowwise(request, builder, kernelBuilder, op->getOperands(),
                     [](TileBuilder &b, ArrayRef<Value> x) { return b.addf(x[0], x[1]); });
}

LogicalResult supportsActivationMultiply(const Request &request, std::string &reason) {
  auto op = findOp<transformer::ActivationOp>(request.compute);
  if (!op || cast<RankedTensorType>(op.getType()).getRank() != 2)
    return reason = "the region has no activation of rank 2", failure();
  return success();
}

Emission emitActivationMultiply(const Request &request, OpBuilder &builder,
                                OpBuilder &kernelBuilder) {
  auto activation = findOp<transformer::ActivationOp>(request.compute);
  auto multiply = findOp<arith::MulFOp>(request.compute);
  SmallVector<Value> operands{activation.getInput()};
  if (multiply)
    operands.push_back(multiply.getLhs() == activation.getResult() ? multiply.getRhs()
                                                                   : multiply.getLhs());
  return emitRowwise(request, builder, kernelBuilder, operands,
                     [&](TileBuilder &b, ArrayRef<Value> x) {
                       Value y = activate(b, activation.getKind(), x[0]);
                       return x.size() == 2 ? b.mulf(y, x[1]) : y;
                     });
}

//===----------------------------------------------------------------------------------------------===//
// Rope
//===----------------------------------------------------------------------------------------------===//

LogicalResult supportsRope(const Request &request, std::string &reason) {
  auto op = findOp<transformer::RopeOp>(request.compute);
  if (!op || cast<RankedTensorType>(op.getInput().getType()).getRank() != 3)
    return reason = "the region is not one rope of rank 3", failure();
  int64_t dim = cast<RankedTensorType>(op.getInput().getType()).getDimSize(2);
  if (int64_t(op.getDims().value_or(dim)) != dim || dim % 16)
    return reason = "only whole heads of a multiple of 16 are rotated", failure();
  return success();
}

/// Rotates one head of one token: first and second channels of 8 pairs at a time.
Emission emitRope(const Request &request, OpBuilder &builder, OpBuilder &kernelBuilder) {
  transformer::ComputeOp compute = request.compute;
  auto op = findOp<transformer::RopeOp>(compute);
  auto type = cast<RankedTensorType>(op.getInput().getType());
  int64_t heads = type.getDimSize(1), dim = type.getDimSize(2);
  MLIRContext *context = builder.getContext();
  bool isHalf = op.getLayout() == transformer::RopeLayout::Half;
  // Channels as [which of the pair, pair]: the first of a pair is 0, the second 1 or dim/2 further.
  auto pairs = tile::ViewType::get(
      context, {tile::ViewType::sizeFor(request.rows), heads, 2, dim / 2}, builder.getF32Type(),
      {heads * dim, dim, isHalf ? dim / 2 : 1, isHalf ? 1 : 2});
  auto table =
      tile::ViewType::get(context, {request.contextTokens, 2, dim / 2}, builder.getF32Type());
  auto positions =
      tile::ViewType::get(context, {tile::ViewType::sizeFor(request.rows)}, builder.getI32Type());
  auto kernel = beginKernel(
      kernelBuilder, request, {pairs, positions, table, pairs},
      {tile::ExtentAttr::get(context, request.rows), tile::ExtentAttr::get(context, heads)});
  auto args = kernel.getViews();
  constexpr int64_t lanes = 8;
  TileBuilder b(kernelBuilder, compute.getLoc());
  Value token = b.blockId(tile::Axis::X), head = b.blockId(tile::Axis::Y), zero = b.index(0),
        one = b.index(1);
  Value position = b.readIndex(args[1], {token});
  auto tile = tileType({1, lanes}, b.f32(), 1);
  b.forLoop(zero, b.index(dim / 2), lanes, [&](Value pair) {
    Value x = b.load(args[0], {token, head, zero, pair}, tile),
          y = b.load(args[0], {token, head, one, pair}, tile);
    Value cosine = b.load(args[2], {position, zero, pair}, tile),
          sine = b.load(args[2], {position, one, pair}, tile);
    b.store(b.subf(b.mulf(x, cosine), b.mulf(y, sine)), args[3], {token, head, zero, pair});
    b.store(b.addf(b.mulf(y, cosine), b.mulf(x, sine)), args[3], {token, head, one, pair});
  });
  tile::ReturnOp::create(kernelBuilder, compute.getLoc());

  Emission emission{kernel};
  emission.operands = {outerValue(compute, op.getInput()), outerValue(compute, op.getPositions()),
                       ropeTable(request, builder, op, dim)};
  emission.inPlace = {-1};
  emission.cost = {0, uint64_t(8 * heads * dim), uint64_t(3 * heads * dim)};
  return emission;
}

//===----------------------------------------------------------------------------------------------===//
// AppendCache
//===----------------------------------------------------------------------------------------------===//

LogicalResult supportsAppendCache(const Request &request, std::string &reason) {
  auto op = findOp<transformer::AppendCacheOp>(request.compute);
  if (!op || op.getCache().getType().getDim() % 8)
    return reason = "the region is not one append_cache with heads of a multiple of 8", failure();
  return success();
}

Emission emitAppendCache(const Request &request, OpBuilder &builder, OpBuilder &kernelBuilder) {
  transformer::ComputeOp compute = request.compute;
  auto op = findOp<transformer::AppendCacheOp>(compute);
  auto cache = op.getCache().getType();
  MLIRContext *context = builder.getContext();
  Type rows = rowsView(cast<RankedTensorType>(op.getKey().getType()), request.rows);
  SmallVector<Type> views{rows, rows};
  llvm::append_range(views, batchViews(context, pagesPerSequence(request, cache)));
  llvm::append_range(views, cacheViews(cache, request.cachePages));
  auto kernel = beginKernel(kernelBuilder, request, views,
                            {tile::ExtentAttr::get(context, request.rows),
                             tile::ExtentAttr::get(context, cache.getHeads())});
  ValueRange args = kernel.getViews();
  constexpr int64_t lanes = 8;
  TileBuilder b(kernelBuilder, compute.getLoc());
  Value token = b.blockId(tile::Axis::X), head = b.blockId(tile::Axis::Y);
  TokenPlace place = readPlace(b, args.slice(2, 3), token, cache.getPage());
  b.forLoop(b.index(0), b.index(cache.getDim()), lanes, [&](Value channel) {
    auto tile = tileType({1, lanes}, b.f32(), 1);
    Value key = b.fromF32(b.load(args[0], {token, head, channel}, tile), cache.getFormat());
    Value across = tile::TransposeOp::create(b.builder, b.loc, key, ArrayRef<int64_t>{1, 0});
    b.store(across, args[5], {place.page, head, channel, place.slot});
    Value value = b.fromF32(b.load(args[1], {token, head, channel}, tile), cache.getFormat());
    b.store(value, args[6], {place.page, head, place.slot, channel});
  });
  tile::ReturnOp::create(kernelBuilder, compute.getLoc());

  Emission emission{kernel};
  emission.operands = {outerValue(compute, op.getKey()), outerValue(compute, op.getValue()),
                       outerValue(compute, op.getBatch()), outerValue(compute, op.getCache()),
                       outerValue(compute, op.getLayer())};
  emission.inPlace = resultsInPlace(compute, 3);
  emission.cost = {0, uint64_t(12 * cache.getHeads() * cache.getDim()), 0};
  return emission;
}

} // namespace

const Family kernels::addFamily = {"Add", supportsAdd, emitAdd};
const Family kernels::activationMultiplyFamily = {"ActivationMultiply", supportsActivationMultiply,
                                                  emitActivationMultiply};
const Family kernels::ropeFamily = {"Rope", supportsRope, emitRope};
const Family kernels::appendCacheFamily = {"AppendCache", supportsAppendCache, emitAppendCache};
