//===- TileBuilder.cpp - Writing tile programs by hand, briefly -------------------------------------===//
//
// Types, layouts and scalar arithmetic for the emitters; see TileBuilder.h.
//
//===----------------------------------------------------------------------------------------------===//

#include "ingot/Kernels/TileBuilder.h"

using namespace mlir;
using namespace ingot;
using namespace ingot::kernels;

RankedTensorType kernels::tileType(ArrayRef<int64_t> shape, Type element, int laneDim) {
  constexpr unsigned laneBits = 3;
  auto basis = [&](int64_t dim, int64_t value) {
    SmallVector<int64_t> coordinates(shape.size(), 0);
    if (dim >= 0)
      coordinates[dim] = value;
    return coordinates;
  };
  SmallVector<SmallVector<int64_t>> lanes, registers;
  for (unsigned bit = 0; bit < laneBits; ++bit) {
    bool moves = laneDim >= 0 && (int64_t(1) << bit) < shape[laneDim];
    lanes.push_back(basis(moves ? laneDim : -1, int64_t(1) << bit));
  }
  for (int64_t dim = 0, rank = shape.size(); dim < rank; ++dim)
    for (int64_t value = dim == laneDim ? 1 << laneBits : 1; value < shape[dim]; value *= 2)
      registers.push_back(basis(dim, value));
  auto layout = tile::LayoutAttr::get(element.getContext(), shape.size(), {}, {});
  SmallVector<int64_t> flatLanes, flatRegisters;
  for (auto &lane : lanes)
    llvm::append_range(flatLanes, lane);
  for (auto &reg : registers)
    llvm::append_range(flatRegisters, reg);
  layout = tile::LayoutAttr::get(element.getContext(), shape.size(), flatRegisters, flatLanes);
  return RankedTensorType::get(shape, element, layout);
}

RankedTensorType kernels::spreadTile(ArrayRef<int64_t> shape, Type element,
                                     ArrayRef<Spread> spreads) {
  SmallVector<int64_t> parts[3], next(shape.size(), 1);
  for (const Spread &spread : spreads)
    for (int64_t size = 1; size < spread.size; size *= 2) {
      SmallVector<int64_t> &bases = parts[unsigned(spread.part)];
      bases.append(shape.size(), 0);
      if (spread.dim < 0)
        continue;
      bases[bases.size() - shape.size() + spread.dim] = next[spread.dim];
      next[spread.dim] *= 2;
    }
  auto layout =
      tile::LayoutAttr::get(element.getContext(), shape.size(), parts[0], parts[1], parts[2], {});
  return RankedTensorType::get(shape, element, layout);
}

//===----------------------------------------------------------------------------------------------===//
// Scalars
//===----------------------------------------------------------------------------------------------===//

Value TileBuilder::index(int64_t value) {
  return arith::ConstantIndexOp::create(builder, loc, value);
}
Value TileBuilder::add(Value a, int64_t b) { return b ? add(a, index(b)) : a; }
Value TileBuilder::add(Value a, Value b) { return arith::AddIOp::create(builder, loc, a, b); }
Value TileBuilder::sub(Value a, Value b) { return arith::SubIOp::create(builder, loc, a, b); }
Value TileBuilder::mul(Value a, int64_t b) {
  return b == 1 ? a : arith::MulIOp::create(builder, loc, a, index(b)).getResult();
}
Value TileBuilder::div(Value a, int64_t b) {
  return b == 1 ? a : arith::DivUIOp::create(builder, loc, a, index(b)).getResult();
}
Value TileBuilder::rem(Value a, int64_t b) {
  return arith::RemUIOp::create(builder, loc, a, index(b));
}

Value TileBuilder::blockId(tile::Axis axis) {
  return tile::BlockIdOp::create(builder, loc, builder.getIndexType(), axis);
}
Value TileBuilder::count(tile::Count which) {
  return tile::CountOp::create(builder, loc, builder.getIndexType(), which);
}

Value TileBuilder::readIndex(Value view, Values offsets) {
  Value number = tile::ReadOp::create(builder, loc, i32(), view, offsets);
  return arith::IndexCastUIOp::create(builder, loc, builder.getIndexType(), number);
}

Value TileBuilder::toI32(Value index) {
  return arith::IndexCastUIOp::create(builder, loc, i32(), index);
}

//===----------------------------------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------------------------------===//

Value TileBuilder::load(Value view, Values offsets, RankedTensorType type, bool masked) {
  return tile::LoadOp::create(builder, loc, type, view, offsets, masked);
}

void TileBuilder::store(Value tile, Value view, Values offsets, bool masked) {
  tile::StoreOp::create(builder, loc, tile, view, offsets, masked);
}

static std::pair<SmallVector<Value>, SmallVector<int64_t>> split(TileBuilder::Indices indices) {
  std::pair<SmallVector<Value>, SmallVector<int64_t>> result;
  for (auto [dim, tile] : indices) {
    result.first.push_back(tile);
    result.second.push_back(dim);
  }
  return result;
}

Value TileBuilder::gather(Value view, Values offsets, RankedTensorType type, Indices indices,
                          Value mask) {
  auto [tiles, dims] = split(indices);
  return tile::GatherOp::create(builder, loc, type, view, offsets, tiles, mask, dims);
}

void TileBuilder::scatter(Value tile, Value view, Values offsets, Indices indices, Value mask) {
  auto [tiles, dims] = split(indices);
  tile::ScatterOp::create(builder, loc, tile, view, offsets, tiles, mask, dims);
}

//===----------------------------------------------------------------------------------------------===//
// Tiles
//===----------------------------------------------------------------------------------------------===//

Value TileBuilder::constant(RankedTensorType type, double value) {
  TypedAttr attribute;
  if (auto floatType = dyn_cast<FloatType>(type.getElementType()))
    attribute = DenseElementsAttr::get(type, FloatAttr::get(floatType, value).getValue());
  else
    attribute =
        DenseElementsAttr::get(type, APInt(type.getElementTypeBitWidth(), int64_t(value), true));
  return arith::ConstantOp::create(builder, loc, attribute);
}

Value TileBuilder::splat(Value scalar, RankedTensorType type) {
  return tile::SplatOp::create(builder, loc, type, scalar);
}

Value TileBuilder::iota(ArrayRef<int64_t> shape, int laneDim, int64_t dim) {
  return tile::IotaOp::create(builder, loc, tileType(shape, i32(), laneDim), dim);
}

Value TileBuilder::iotaOf(RankedTensorType type, int64_t dim) {
  return tile::IotaOp::create(builder, loc, type, dim);
}

Value TileBuilder::broadcast(Value tile, RankedTensorType type) {
  return tile.getType() == type ? tile
                                : tile::BroadcastOp::create(builder, loc, type, tile).getResult();
}

Value TileBuilder::reduce(tile::ReduceKind kind, Value tile, int64_t dim) {
  return tile::ReduceOp::create(builder, loc, kind, tile, dim);
}

Value TileBuilder::reshape(Value tile, ArrayRef<int64_t> shape) {
  return tile::ReshapeOp::create(builder, loc, tile, shape);
}

Value TileBuilder::convertLayout(Value tile, RankedTensorType type) {
  return tile::ConvertLayoutOp::create(builder, loc, type, tile);
}

Value TileBuilder::fma(Value a, Value b, Value c) {
  return math::FmaOp::create(builder, loc, a, b, c);
}
Value TileBuilder::addf(Value a, Value b) { return arith::AddFOp::create(builder, loc, a, b); }
Value TileBuilder::subf(Value a, Value b) { return arith::SubFOp::create(builder, loc, a, b); }
Value TileBuilder::mulf(Value a, Value b) { return arith::MulFOp::create(builder, loc, a, b); }
Value TileBuilder::divf(Value a, Value b) { return arith::DivFOp::create(builder, loc, a, b); }

static RankedTensorType withElement(Value tile, Type element) {
  return cast<RankedTensorType>(tile.getType()).clone(element);
}

Value TileBuilder::toF32(Value tile, bool isSigned) {
  Type element = cast<RankedTensorType>(tile.getType()).getElementType();
  if (element.isF32())
    return tile;
  auto type = withElement(tile, f32());
  if (isa<FloatType>(element))
    return arith::ExtFOp::create(builder, loc, type, tile);
  if (isSigned)
    return arith::SIToFPOp::create(builder, loc, type, tile);
  return arith::UIToFPOp::create(builder, loc, type, tile);
}

Value TileBuilder::fromF32(Value tile, Type element) {
  if (element.isF32())
    return tile;
  return arith::TruncFOp::create(builder, loc, withElement(tile, element), tile);
}

Value TileBuilder::exp2(Value tile) { return math::Exp2Op::create(builder, loc, tile); }

Value TileBuilder::exp(Value tile) {
  constexpr double log2e = 1.4426950408889634;
  return exp2(mulf(tile, constant(cast<RankedTensorType>(tile.getType()), log2e)));
}

Value TileBuilder::silu(Value tile) {
  Value one = constant(cast<RankedTensorType>(tile.getType()), 1);
  return divf(tile, addf(one, exp(arith::NegFOp::create(builder, loc, tile))));
}

//===----------------------------------------------------------------------------------------------===//
// Control flow
//===----------------------------------------------------------------------------------------------===//

SmallVector<Value>
TileBuilder::forLoop(Value begin, Value end, int64_t step, Values carried,
                     llvm::function_ref<SmallVector<Value>(Value, Values)> body) {
  auto loop = scf::ForOp::create(builder, loc, begin, end, index(step), carried);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToEnd(loop.getBody());
  SmallVector<Value> arguments(loop.getRegionIterArgs());
  scf::YieldOp::create(builder, loc, body(loop.getInductionVar(), arguments));
  return llvm::to_vector_of<Value>(loop.getResults());
}

void TileBuilder::forLoop(Value begin, Value end, int64_t step,
                          llvm::function_ref<void(Value)> body) {
  auto loop = scf::ForOp::create(builder, loc, begin, end, index(step));
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(loop.getBody());
  body(loop.getInductionVar());
}

void TileBuilder::ifLess(Value a, Value b, llvm::function_ref<void()> then,
                         llvm::function_ref<void()> otherwise) {
  ifTrue(arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ult, a, b), then, otherwise);
}

void TileBuilder::ifTrue(Value condition, llvm::function_ref<void()> then,
                         llvm::function_ref<void()> otherwise) {
  auto branch = scf::IfOp::create(builder, loc, condition, /*withElseRegion=*/bool(otherwise));
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(branch.thenBlock());
  then();
  if (!otherwise)
    return;
  builder.setInsertionPointToStart(branch.elseBlock());
  otherwise();
}
