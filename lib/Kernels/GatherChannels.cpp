//===- GatherChannels.cpp - Channels in another order -------------------------------------------===//
//
// GatherChannels: y[c] = x[order[c]], one block a row. The order is a weight of whole numbers in
// float32; what it holds is the checkpoint's, so it is clamped to channels that exist. A row of
// activations fits the first-level cache, where reading it out of order costs little beside the
// product that follows.
//
//===--------------------------------------------------------------------------------------------===//

#include "Common.h"
#include "Families.h"

using namespace mlir;
using namespace ingot;
using namespace ingot::kernels;

static LogicalResult supportsGather(const Request &request, std::string &reason) {
  auto op = findOp<transformer::GatherChannelsOp>(request.compute);
  if (!op || op.getResult().getType().getRank() != 2)
    return reason = "the region is not one gather of rank 2", failure();
  return success();
}

/// Numbers, one or a tile of them, as channels from 0 to `last`: i32.
static Value toChannels(TileBuilder &b, Value order, int64_t last) {
  auto type = dyn_cast<RankedTensorType>(order.getType());
  auto constant = [&](double value) -> Value {
    return type ? b.constant(type, value)
                : Value(arith::ConstantOp::create(b.builder, b.loc,
                                                  b.builder.getF32FloatAttr(float(value))));
  };
  auto choose = [&](arith::CmpFPredicate predicate, Value x, Value bound) -> Value {
    Value holds = arith::CmpFOp::create(b.builder, b.loc, predicate, x, bound);
    return arith::SelectOp::create(b.builder, b.loc, holds, x, bound);
  };
  Value number = choose(arith::CmpFPredicate::OGT, order, constant(0));
  number = choose(arith::CmpFPredicate::OLT, number, constant(double(last)));
  Type integers = type ? Type(type.clone(b.i32())) : b.i32();
  return arith::FPToSIOp::create(b.builder, b.loc, integers, number);
}

/// CPUs read one number after the other: they have no better gather.
static void emitByNumber(TileBuilder &b, Value x, Value order, Value y, Value row,
                         int64_t columns) {
  Value zero = b.index(0);
  auto read = [&](Value view, Value at, Value column) -> Value {
    return tile::ReadOp::create(b.builder, b.loc, b.f32(), view, ValueRange{at, column});
  };
  b.forLoop(zero, b.index(columns), 1, [&](Value column) {
    Value channel = toChannels(b, read(order, zero, column), columns - 1);
    channel = arith::IndexCastOp::create(b.builder, b.loc, b.builder.getIndexType(), channel);
    tile::WriteOp::create(b.builder, b.loc, read(x, row, channel), y, ValueRange{row, column});
  });
}

static void emitByTile(TileBuilder &b, const Request &request, Value x, Value order, Value y,
                       Value row, int64_t columns) {
  Value zero = b.index(0);
  RankedTensorType type = rowTile(request, b.f32(), columns);
  int64_t width = type.getDimSize(1);
  bool masked = columns % width;
  b.forLoop(zero, b.index(columns), width, [&](Value column) {
    Value channels = toChannels(b, b.load(order, {zero, column}, type, masked), columns - 1);
    b.store(b.gather(x, {row, zero}, type, {{1, channels}}), y, {row, column}, masked);
  });
}

static Emission emitGather(const Request &request, OpBuilder &builder, OpBuilder &kernelBuilder) {
  auto op = findOp<transformer::GatherChannelsOp>(request.compute);
  RankedTensorType tensor = op.getResult().getType();
  int64_t columns = tensor.getDimSize(1);
  Type views[] = {rowsView(tensor, request.rows), vectorView(op.getOrder().getType()),
                  rowsView(tensor, request.rows)};
  auto kernel = beginKernel(kernelBuilder, request, views,
                            {tile::ExtentAttr::get(builder.getContext(), request.rows)});
  auto args = kernel.getViews();

  TileBuilder b(kernelBuilder, op.getLoc());
  Value row = b.blockId(tile::Axis::X);
  tile::AwaitLaunchesOp::create(b.builder, b.loc);
  if (request.machine == Machine::Cpu)
    emitByNumber(b, args[0], args[1], args[2], row, columns);
  else
    emitByTile(b, request, args[0], args[1], args[2], row, columns);
  tile::ReturnOp::create(kernelBuilder, op.getLoc());

  Emission emission{kernel};
  emission.operands = {outerValue(request.compute, op.getInput()),
                       outerValue(request.compute, op.getOrder())};
  emission.inPlace = {-1};
  emission.cost = {uint64_t(4 * columns), uint64_t(8 * columns), 0};
  return emission;
}

const Family kernels::gatherChannelsFamily = {"GatherChannels", supportsGather, emitGather};
