//===- Elementwise.cpp - What stays unfused: arithmetic, rope, append -------------------------------===//
//
// Elementwise computes any tree of ops that act on each number alone (sums, products, activations,
// scaling, soft-capping) in one pass over its operands; a block is a piece of a row. Rope and
// AppendCache serve what no product could take in: orders of ops that no fusion knows; a block is a
// head of a token.
//
//===----------------------------------------------------------------------------------------------===//

#include "Families.h"
#include "GpuCache.h"
#include "Heads.h"
#include "ingot/Kernels/ElementwiseOps.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace ingot;
using namespace ingot::kernels;

//===----------------------------------------------------------------------------------------------===//
// Elementwise
//===----------------------------------------------------------------------------------------------===//

bool kernels::isElementwise(Operation *op) {
  if (!isa<transformer::ActivationOp, arith::AddFOp, arith::SubFOp, arith::MulFOp, arith::DivFOp,
           arith::NegFOp, arith::MaximumFOp, arith::MinimumFOp, math::TanhOp, math::ExpOp>(op))
    return false;
  auto type = dyn_cast<RankedTensorType>(op->getResult(0).getType());
  return type && type.getElementType().isF32();
}

std::optional<double> kernels::getRepeatedNumber(Value value) {
  auto splat = value.getDefiningOp<tensor::SplatOp>();
  FloatAttr number;
  if (!splat || !matchPattern(splat.getInput(), m_Constant(&number)))
    return std::nullopt;
  return number.getValueAsDouble();
}

namespace {

/// Columns of a tile, and of a block.
constexpr int64_t width = 32, blockColumns = 2048;

LogicalResult supportsElementwise(const Request &request, std::string &reason) {
  transformer::ComputeOp compute = request.compute;
  if (compute.getNumResults() != 1)
    return reason = "the region has more than one result", failure();
  auto type = dyn_cast<RankedTensorType>(compute.getResult(0).getType());
  if (!type || type.getRank() != 2 || type.isDynamicDim(1))
    return reason = "only rank 2 is packed", failure();
  for (Operation &op : compute.getBody().front().without_terminator()) {
    if (isa<arith::ConstantOp>(op) ||
        (isa<tensor::SplatOp>(op) && getRepeatedNumber(op.getResult(0))))
      continue;
    if (!isElementwise(&op))
      return reason = llvm::formatv("{0} does not act on each number alone", op.getName()),
             failure();
  }
  return success();
}

/// The op of a tensor on tiles.
Value emitOnTiles(TileBuilder &b, Operation &op, ValueRange operands, RankedTensorType type) {
  if (auto activation = dyn_cast<transformer::ActivationOp>(op))
    return activate(b, activation.getKind(), operands[0]);
  if (isa<math::TanhOp>(op))
    return tanh(b, operands[0]);
  if (isa<math::ExpOp>(op))
    return b.exp(operands[0]);
  OperationState state(b.loc, op.getName(), operands, type, op.getAttrs());
  return b.builder.create(state)->getResult(0);
}

Emission emitElementwise(const Request &request, OpBuilder &builder, OpBuilder &kernelBuilder) {
  transformer::ComputeOp compute = request.compute;
  Block &body = compute.getBody().front();
  auto type = cast<RankedTensorType>(compute.getResult(0).getType());
  int64_t columns = type.getDimSize(1);
  SmallVector<BlockArgument> tensors;
  for (BlockArgument argument : body.getArguments())
    if (isa<RankedTensorType>(argument.getType()))
      tensors.push_back(argument);
  SmallVector<Type> views(tensors.size() + 1, rowsView(type, request.rows));
  MLIRContext *context = builder.getContext();
  auto kernel =
      beginKernel(kernelBuilder, request, views,
                  {tile::ExtentAttr::get(context, request.rows),
                   tile::ExtentAttr::get(context, llvm::divideCeil(columns, blockColumns))});
  auto args = kernel.getViews();
  TileBuilder b(kernelBuilder, compute.getLoc());
  Value row = b.blockId(tile::Axis::X), first = b.mul(b.blockId(tile::Axis::Y), blockColumns);
  Value last =
      arith::MinUIOp::create(b.builder, b.loc, b.add(first, blockColumns), b.index(columns));
  auto tile = tileType({1, width}, b.f32(), 1);
  uint64_t operations = 0;
  b.forLoop(first, last, width, [&](Value column) {
    IRMapping mapping;
    for (auto [tensor, view] : llvm::zip_equal(tensors, args.drop_back()))
      mapping.map(tensor, b.load(view, {row, column}, tile, columns % width));
    for (Operation &op : body.without_terminator()) {
      if (op.getNumResults() != 1 || isa<arith::ConstantOp>(op))
        continue;
      if (std::optional<double> number = getRepeatedNumber(op.getResult(0))) {
        mapping.map(op.getResult(0), b.constant(tile, *number));
        continue;
      }
      auto operands = llvm::map_to_vector(op.getOperands(),
                                          [&](Value operand) { return mapping.lookup(operand); });
      mapping.map(op.getResult(0), emitOnTiles(b, op, operands, tile));
      ++operations;
    }
    b.store(mapping.lookup(body.getTerminator()->getOperand(0)), args.back(), {row, column},
            columns % width);
  });
  tile::ReturnOp::create(kernelBuilder, compute.getLoc());

  Emission emission{kernel};
  for (BlockArgument tensor : tensors)
    emission.operands.push_back(outerValue(compute, tensor));
  emission.inPlace = {-1};
  emission.cost = {0, uint64_t(4 * columns) * (tensors.size() + 1), operations * columns};
  return emission;
}

//===----------------------------------------------------------------------------------------------===//
// Rope
//===----------------------------------------------------------------------------------------------===//

LogicalResult supportsRope(const Request &request, std::string &reason) {
  auto op = findOp<transformer::RopeOp>(request.compute);
  bool is = op && cast<RankedTensorType>(op.getInput().getType()).getRank() == 3;
  return success(is || (reason = "the region is not one rope of rank 3", false));
}

/// One block a head of a token.
Emission emitRope(const Request &request, OpBuilder &builder, OpBuilder &kernelBuilder) {
  transformer::ComputeOp compute = request.compute;
  auto op = findOp<transformer::RopeOp>(compute);
  auto type = cast<RankedTensorType>(op.getInput().getType());
  int64_t heads = type.getDimSize(1), dim = type.getDimSize(2), dims = op.getDims().value_or(dim);
  MLIRContext *context = builder.getContext();
  Type rows = transposedView(builder.getF32Type(), heads * dim, request.rows);
  auto positions =
      tile::ViewType::get(context, {tile::ViewType::sizeFor(request.rows)}, builder.getI32Type());
  auto kernel = beginKernel(
      kernelBuilder, request,
      {rows, positions, ropeTableView(context, request.contextTokens, dims), rows},
      {tile::ExtentAttr::get(context, request.rows), tile::ExtentAttr::get(context, heads)});
  auto args = kernel.getViews();
  TileBuilder b(kernelBuilder, compute.getLoc());
  Value token = b.blockId(tile::Axis::X), head = b.blockId(tile::Axis::Y);
  HeadRotation rotation{args[2], b.readIndex(args[1], {token}), dims,
                        op.getLayout() == transformer::RopeLayout::Half};
  emitHead(b, {args[0], token}, {HeadKind::Query, args[3], head, dim, token}, rotation,
           b.mul(head, dim));
  tile::ReturnOp::create(kernelBuilder, compute.getLoc());

  Emission emission{kernel};
  emission.operands = {outerValue(compute, op.getInput()), outerValue(compute, op.getPositions()),
                       ropeTable(request, builder, op, dims)};
  emission.inPlace = {-1};
  emission.cost = {0, uint64_t(8 * heads * dim), uint64_t(3 * heads * dims)};
  return emission;
}

//===----------------------------------------------------------------------------------------------===//
// AppendCache
//===----------------------------------------------------------------------------------------------===//

LogicalResult supportsAppendCache(const Request &request, std::string &reason) {
  auto op = findOp<transformer::AppendCacheOp>(request.compute);
  if (!op)
    return reason = "the region is not one append_cache", failure();
  return canCache(request.machine, op.getCache().getType(), reason);
}

/// One block a head of a token.
Emission emitAppendCache(const Request &request, OpBuilder &builder, OpBuilder &kernelBuilder) {
  transformer::ComputeOp compute = request.compute;
  auto op = findOp<transformer::AppendCacheOp>(compute);
  auto cache = op.getCache().getType();
  int64_t dim = cache.getDim();
  MLIRContext *context = builder.getContext();
  Type rows = transposedView(builder.getF32Type(), cache.getHeads() * dim, request.rows);
  SmallVector<Type> views{rows, rows};
  llvm::append_range(views, batchViews(context, pagesPerSequence(request, cache)));
  llvm::append_range(views, cacheViewsFor(request, cache));
  auto kernel = beginKernel(kernelBuilder, request, views,
                            {tile::ExtentAttr::get(context, request.rows),
                             tile::ExtentAttr::get(context, cache.getHeads())});
  ValueRange args = kernel.getViews();
  TileBuilder b(kernelBuilder, compute.getLoc());
  Value token = b.blockId(tile::Axis::X), head = b.blockId(tile::Axis::Y);
  TokenPlace place = readPlace(b, args.slice(2, 3), token, cache.getPage());
  bool isGpu = isGpuCache(request.machine, cache);
  Value memory = cache.isQuantized() ? allocateHead(b, dim) : Value(), row = b.mul(head, dim);
  for (auto [kind, number] : {std::pair(HeadKind::Key, 0), std::pair(HeadKind::Value, 1)}) {
    HeadInput input{args[number], token};
    if (cache.isQuantized())
      emitHeadCodes(b, input, memory,
                    {cache, kind == HeadKind::Key, args[5 + number], args[7 + number], head, place},
                    std::nullopt, row);
    else
      emitHead(b, input, {kind, args[5 + number], head, dim, {}, place, isGpu}, std::nullopt, row);
  }
  tile::ReturnOp::create(kernelBuilder, compute.getLoc());

  Emission emission{kernel};
  emission.operands = {outerValue(compute, op.getKey()), outerValue(compute, op.getValue()),
                       outerValue(compute, op.getBatch()), outerValue(compute, op.getCache()),
                       outerValue(compute, op.getLayer())};
  emission.inPlace = resultsInPlace(compute, 3);
  emission.cost = {0, uint64_t(12 * cache.getHeads() * dim), 0};
  return emission;
}

} // namespace

const Family kernels::elementwiseFamily = {"Elementwise", supportsElementwise, emitElementwise};
const Family kernels::ropeFamily = {"Rope", supportsRope, emitRope};
const Family kernels::appendCacheFamily = {"AppendCache", supportsAppendCache, emitAppendCache};
