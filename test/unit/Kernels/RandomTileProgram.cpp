//===- RandomTileProgram.cpp - Small tile programs drawn from a seed --------------------------------===//

#include "RandomTileProgram.h"
#include "ingot/Support/Codec.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include <cmath>
#include <cstring>

using namespace mlir;
using namespace ingot;
using namespace ingot::test;

RandomTileProgram::RandomTileProgram(ModuleOp module, uint64_t seed)
    : b(module.getContext()), loc(b.getUnknownLoc()), random(seed), module(module),
      f32(b.getF32Type()), f16(b.getF16Type()), bf16(b.getBF16Type()), i32(b.getI32Type()),
      i8(b.getI8Type()) {}

//===----------------------------------------------------------------------------------------------===//
// Shapes and layouts
//===----------------------------------------------------------------------------------------------===//

SmallVector<int64_t> RandomTileProgram::drawShape() {
  SmallVector<int64_t> shape;
  for (int64_t elements = 1, rank = chance(80) ? 2 : 1 + draw(3); int64_t(shape.size()) < rank;
       elements *= shape.back())
    do
      shape.push_back(int64_t(1) << draw(6));
    while (elements * shape.back() > 64 && (shape.pop_back(), true));
  return shape;
}

/// Every bit of a coordinate goes to a lane or a register, in any order; sometimes two are mixed (a
/// swizzle), sometimes a register repeats another.
tile::LayoutAttr RandomTileProgram::drawLayout(ArrayRef<int64_t> shape) {
  unsigned rank = shape.size();
  SmallVector<SmallVector<int64_t>> bases;
  for (unsigned dim = 0; dim < rank; ++dim)
    for (int64_t value = 1; value < shape[dim]; value *= 2) {
      bases.emplace_back(rank, 0);
      bases.back()[dim] = value;
    }
  std::shuffle(bases.begin(), bases.end(), random);
  for (size_t i = 1; i < bases.size(); ++i)
    if (chance(10)) // adding an earlier basis keeps the map one to one
      for (unsigned dim = 0; dim < rank; ++dim)
        bases[i][dim] ^= bases[i - 1][dim];
  SmallVector<SmallVector<int64_t>> lanes, registers;
  for (unsigned bit = 0; bit < 3; ++bit) {
    bool isReplicated = bases.empty() || chance(10);
    lanes.push_back(isReplicated ? SmallVector<int64_t>(rank, 0) : bases.pop_back_val());
  }
  registers = bases;
  if (chance(10))
    registers.insert(registers.begin() + draw(registers.size() + 1), SmallVector<int64_t>(rank, 0));
  SmallVector<int64_t> flatLanes, flatRegisters;
  for (const auto &basis : lanes)
    llvm::append_range(flatLanes, basis);
  for (const auto &basis : registers)
    llvm::append_range(flatRegisters, basis);
  return tile::LayoutAttr::get(b.getContext(), rank, flatRegisters, flatLanes);
}

RankedTensorType RandomTileProgram::drawType(Type element) {
  SmallVector<int64_t> shape = drawShape();
  return tile::getTileType(shape, element, drawLayout(shape));
}

//===----------------------------------------------------------------------------------------------===//
// Values
//===----------------------------------------------------------------------------------------------===//

Value RandomTileProgram::index(int64_t value) {
  return arith::ConstantIndexOp::create(b, loc, value);
}

Value RandomTileProgram::constant(RankedTensorType type, double value) {
  TypedAttr attribute;
  if (auto element = dyn_cast<FloatType>(type.getElementType()))
    attribute = DenseElementsAttr::get(type, FloatAttr::get(element, value).getValue());
  else
    attribute = DenseElementsAttr::get(
        type, APInt(type.getElementTypeBitWidth(), int64_t(value), /*isSigned=*/true));
  return arith::ConstantOp::create(b, loc, attribute);
}

Value RandomTileProgram::pick(Type element) {
  SmallVector<Value> able;
  for (Value tile : tiles)
    if (typeOf(tile).getElementType() == element)
      able.push_back(tile);
  if (able.empty() || chance(10)) {
    Value loaded = load(drawType(element));
    add(loaded);
    return loaded;
  }
  return choose<Value>(able);
}

Value RandomTileProgram::pickAs(RankedTensorType type) {
  SmallVector<Value> able;
  for (Value tile : tiles)
    if (typeOf(tile).getElementType() == type.getElementType() &&
        typeOf(tile).getShape() == type.getShape())
      able.push_back(tile);
  if (able.empty() || chance(20))
    return load(type);
  Value tile = choose<Value>(able);
  return tile.getType() == type ? tile
                                : tile::ConvertLayoutOp::create(b, loc, type, tile).getResult();
}

//===----------------------------------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------------------------------===//

namespace {
/// A view around a tile: its block of the grid first, then the tile's dimensions.
struct Place {
  tile::ViewType view;
  SmallVector<int64_t> offsets;
  bool isMasked;
};
} // namespace

template <typename Draw> static Place drawPlace(RankedTensorType type, Draw draw) {
  Place place;
  place.isMasked = draw(2);
  SmallVector<int64_t> sizes, strides(type.getRank() + 1, 0);
  for (int64_t size : type.getShape()) {
    place.offsets.push_back(draw(4));
    int64_t end = place.offsets.back() + (place.isMasked ? draw(size + 1) : size + draw(3));
    sizes.push_back(std::max<int64_t>(end, 1));
  }
  // Any dimension may be the one that lies side by side; gaps in between.
  SmallVector<int64_t> order = llvm::to_vector(llvm::seq<int64_t>(0, type.getRank()));
  if (draw(3) != 0)
    std::reverse(order.begin(), order.end());
  int64_t stride = 1;
  for (int64_t dim : order) {
    strides[1 + dim] = stride;
    stride *= sizes[dim] + (draw(4) == 0);
  }
  strides[0] = stride;
  sizes.insert(sizes.begin(), tile::ViewType::sizeFor(tile::Count::Tokens));
  place.view = tile::ViewType::get(type.getContext(), sizes, type.getElementType(), strides);
  return place;
}

Value RandomTileProgram::load(RankedTensorType type) {
  Place place = drawPlace(type, [&](int64_t below) { return draw(below); });
  Value view = kernel.getBody().front().addArgument(place.view, loc);
  inputs.push_back(place.view);
  SmallVector<Value> offsets{tile::BlockIdOp::create(b, loc, b.getIndexType(), tile::Axis::X)};
  for (int64_t offset : place.offsets)
    offsets.push_back(index(offset));
  return tile::LoadOp::create(b, loc, type, view, offsets, place.isMasked);
}

void RandomTileProgram::store(Value tile) {
  Place place = drawPlace(typeOf(tile), [&](int64_t below) { return draw(below); });
  Value view = kernel.getBody().front().addArgument(place.view, loc);
  outputs.push_back(place.view);
  SmallVector<Value> offsets{tile::BlockIdOp::create(b, loc, b.getIndexType(), tile::Axis::X)};
  for (int64_t offset : place.offsets)
    offsets.push_back(index(offset));
  tile::StoreOp::create(b, loc, tile, view, offsets, place.isMasked);
}

//===----------------------------------------------------------------------------------------------===//
// Ops
//===----------------------------------------------------------------------------------------------===//

void RandomTileProgram::addFloatOp() {
  Value x = pick(f32);
  RankedTensorType type = typeOf(x);
  switch (draw(15)) {
  case 0:
    return add(make<arith::AddFOp>(x, pickAs(type)));
  case 1:
    return add(make<arith::SubFOp>(x, pickAs(type)));
  case 2:
    return add(make<arith::MulFOp>(x, pickAs(type)));
  case 3:
    return add(make<arith::DivFOp>(x, pickAs(type)));
  case 4:
    return add(make<arith::MaximumFOp>(x, pickAs(type)));
  case 5:
    return add(make<arith::MinimumFOp>(x, pickAs(type)));
  case 6:
    return add(math::FmaOp::create(b, loc, x, pickAs(type), pickAs(type)));
  case 7:
    return add(arith::NegFOp::create(b, loc, x));
  case 8:
    return add(math::SqrtOp::create(b, loc, math::AbsFOp::create(b, loc, x).getResult()));
  case 9:
    return add(math::Exp2Op::create(b, loc, x));
  case 10:
    return add(math::RoundEvenOp::create(b, loc, x));
  case 11:
    return add(math::FloorOp::create(b, loc, x));
  case 12:
    return add(math::TruncOp::create(b, loc, x));
  case 13:
    return add(math::CeilOp::create(b, loc, x));
  default: {
    auto predicate = arith::CmpFPredicate(1 + draw(14));
    Value condition = arith::CmpFOp::create(b, loc, predicate, x, pickAs(type));
    return add(arith::SelectOp::create(b, loc, condition, pickAs(type), x));
  }
  }
}

void RandomTileProgram::addIntegerOp() {
  Value x = pick(i32);
  RankedTensorType type = typeOf(x);
  switch (draw(13)) {
  case 0:
    return add(make<arith::AddIOp>(x, pickAs(type)));
  case 1:
    return add(make<arith::SubIOp>(x, pickAs(type)));
  case 2:
    return add(make<arith::MulIOp>(x, pickAs(type)));
  case 3:
    return add(make<arith::AndIOp>(x, pickAs(type)));
  case 4:
    return add(make<arith::OrIOp>(x, pickAs(type)));
  case 5:
    return add(make<arith::XOrIOp>(x, pickAs(type)));
  case 6:
    return add(make<arith::MinSIOp>(x, pickAs(type)));
  case 7:
    return add(make<arith::MaxSIOp>(x, pickAs(type)));
  case 8:
    return add(make<arith::MinUIOp>(x, pickAs(type)));
  case 9:
    return add(make<arith::ShLIOp>(x, constant(type, draw(32))));
  case 10:
    return add(make<arith::ShRSIOp>(x, constant(type, draw(32))));
  case 11:
    return add(make<arith::ShRUIOp>(x, constant(type, draw(32))));
  default: {
    auto predicate = arith::CmpIPredicate(draw(10));
    Value condition = arith::CmpIOp::create(b, loc, predicate, x, pickAs(type));
    return add(arith::SelectOp::create(b, loc, condition, pickAs(type), x));
  }
  }
}

void RandomTileProgram::addCast() {
  auto to = [&](Value x, Type element) { return typeOf(x).clone(element); };
  switch (draw(9)) {
  case 0: {
    Value x = pick(f32);
    return add(arith::TruncFOp::create(b, loc, to(x, chance(50) ? f16 : bf16), x));
  }
  case 1: {
    Value x = pick(chance(50) ? f16 : bf16);
    return add(arith::ExtFOp::create(b, loc, to(x, f32), x));
  }
  case 2: {
    Value x = pick(i32);
    return add(arith::TruncIOp::create(b, loc, to(x, i8), x));
  }
  case 3: {
    Value x = pick(i8);
    return add(arith::ExtSIOp::create(b, loc, to(x, chance(50) ? i32 : b.getI16Type()), x));
  }
  case 4: {
    Value x = pick(i8);
    return add(arith::ExtUIOp::create(b, loc, to(x, chance(50) ? i32 : b.getI16Type()), x));
  }
  case 5: {
    Value x = pick(chance(50) ? i8 : i32);
    return add(arith::SIToFPOp::create(b, loc, to(x, f32), x));
  }
  case 6: {
    Value x = pick(chance(50) ? i8 : i32);
    return add(arith::UIToFPOp::create(b, loc, to(x, f32), x));
  }
  case 7: { // only of numbers that fit
    Value x = pick(f32);
    Value size = math::AbsFOp::create(b, loc, x);
    Value fits = arith::CmpFOp::create(b, loc, arith::CmpFPredicate::OLT, size,
                                       constant(typeOf(x), 1 << 20));
    Value bounded = arith::SelectOp::create(b, loc, fits, x, constant(typeOf(x), 7));
    return add(arith::FPToSIOp::create(b, loc, to(x, i32), bounded));
  }
  default: {
    Value x = pick(i32);
    Value other = pickAs(typeOf(x));
    Value less = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::slt, x, other);
    return add(arith::ExtUIOp::create(b, loc, to(x, i32), less));
  }
  }
}

void RandomTileProgram::addMove() {
  Type elements[] = {f32, i32, i8, f16, bf16};
  Value x = pick(choose<Type>(elements));
  RankedTensorType type = typeOf(x);
  int64_t rank = type.getRank();
  switch (draw(6)) {
  case 0: {
    SmallVector<int64_t> permutation = llvm::to_vector(llvm::seq<int64_t>(0, rank));
    std::shuffle(permutation.begin(), permutation.end(), random);
    return add(tile::TransposeOp::create(b, loc, x, permutation));
  }
  case 1: {
    SmallVector<int64_t> shape(type.getShape());
    shape.insert(shape.begin() + draw(rank + 1), 1);
    if (rank > 1 && chance(50)) // also two dimensions as one
      shape = {type.getNumElements()};
    return shape.size() <= 3 ? add(tile::ReshapeOp::create(b, loc, x, shape)) : void();
  }
  case 2: {
    int64_t dim = draw(rank);
    if (type.getDimSize(dim) > 1)
      add(tile::ExchangeOp::create(b, loc, type, x, dim, 1 + draw(type.getDimSize(dim) - 1)));
    return;
  }
  case 3:
    return add(tile::IotaOp::create(b, loc, type.clone(i32), draw(rank)));
  case 4: {
    Value scalar = arith::ConstantOp::create(b, loc, b.getF32FloatAttr(float(draw(100)) / 8));
    return add(tile::SplatOp::create(b, loc, type.clone(f32), scalar));
  }
  default:
    return add(tile::ConvertLayoutOp::create(
        b, loc,
        tile::getTileType(type.getShape(), type.getElementType(), drawLayout(type.getShape())), x));
  }
}

void RandomTileProgram::addReduction() {
  Value x = pick(chance(70) ? f32 : i32);
  RankedTensorType type = typeOf(x);
  int64_t dim = draw(type.getRank());
  // Only layouts whose bases move along the dimension alone.
  LinearLayout layout = tile::getLayout(type).getLinearLayout(type.getShape());
  for (unsigned input = 0; input < layout.getInputCount(); ++input)
    for (const LinearLayout::Coordinates &basis : layout.getBases(input))
      if (basis[dim] != 0 && llvm::count_if(basis, [](int64_t c) { return c != 0; }) > 1)
        return;
  auto kind = chance(50) ? tile::ReduceKind::Add : tile::ReduceKind::Max;
  Value reduced = tile::ReduceOp::create(b, loc, kind, x, dim);
  bool isBack = type.getDimSize(dim) > 1 && chance(50);
  add(isBack ? tile::BroadcastOp::create(b, loc, type, reduced).getResult() : reduced);
}

/// The layout of a product's tile with 8 lanes along `laneDim` (-1: the same in all lanes).
static tile::LayoutAttr makeLayout(MLIRContext *context, int64_t rows, int64_t columns, int laneDim,
                                   bool firstColumns) {
  SmallVector<int64_t> lanes, registers;
  for (int64_t bit = 1; bit <= 4; bit *= 2)
    lanes.append({laneDim == 0 && bit < rows ? bit : 0, laneDim == 1 && bit < columns ? bit : 0});
  auto addRegisters = [&](int dim, int64_t size) {
    for (int64_t value = dim == laneDim ? 8 : 1; value < size; value *= 2)
      registers.append({dim == 0 ? value : 0, dim == 1 ? value : 0});
  };
  addRegisters(firstColumns ? 1 : 0, firstColumns ? columns : rows);
  addRegisters(firstColumns ? 0 : 1, firstColumns ? rows : columns);
  return tile::LayoutAttr::get(context, 2, registers, lanes);
}

void RandomTileProgram::addContraction() {
  int64_t m = int64_t(1) << draw(4), k = int64_t(1) << draw(4), n = int64_t(1) << draw(4);
  int laneDim = draw(2); // lanes are rows or columns of the result
  auto type = [&](int64_t rows, int64_t columns, int lanes) {
    return tile::getTileType({rows, columns}, f32,
                             makeLayout(b.getContext(), rows, columns, lanes, chance(50)));
  };
  RankedTensorType sums = type(m, n, laneDim), a = type(m, k, laneDim == 0 ? 0 : -1),
                   x = type(k, n, laneDim == 1 ? 1 : -1);
  Value left = pickAs(a), right = pickAs(x), start = pickAs(sums);
  add(tile::ContractOp::create(b, loc, sums, tile::Atom::Fma, left, right, start));
}

void RandomTileProgram::addIntegerContraction() {
  int64_t k = int64_t(4) << draw(4), n = int64_t(1) << draw(3);
  bool isSigned = chance(50);
  auto type = [&](int64_t rows, int64_t columns, Type element, int lanes, bool firstColumns) {
    return tile::getTileType({rows, columns}, element,
                             makeLayout(b.getContext(), rows, columns, lanes, firstColumns));
  };
  RankedTensorType sums = type(8, n, i32, 0, true), a = type(8, k, i8, 0, true),
                   x = type(k, n, i8, -1, false);
  if (chance(50)) { // of 16 bits, whose lowest two registers are bits 1 and 0 of k
    tile::LayoutAttr layout = tile::getLayout(x);
    SmallVector<int64_t> registers(layout.getRegisters());
    std::swap(registers[0], registers[2]);
    x = tile::getTileType(x.getShape(), b.getI16Type(),
                          tile::LayoutAttr::get(b.getContext(), 2, registers, layout.getLanes()));
    Value left = pickAs(a), right = pickAs(x);
    if (!isSigned)
      left = arith::AndIOp::create(b, loc, left, constant(a, 127));
    return add(tile::ContractOp::create(b, loc, sums, tile::Atom::Vpmaddwd, left, right,
                                        pickAs(sums), 1, isSigned));
  }
  Value left = pickAs(a), right = pickAs(x);
  // Within what the atoms are for: a of 4 bits, b within 127.
  right = arith::MaxSIOp::create(b, loc, right, constant(x, -127));
  if (!isSigned)
    left = arith::AndIOp::create(b, loc, left, constant(a, 15));
  add(tile::ContractOp::create(b, loc, sums, tile::Atom::Vpmaddubsw, left, right, pickAs(sums),
                               isSigned ? 1 : 8, isSigned));
}

void RandomTileProgram::addControl() {
  Value x = pick(f32);
  RankedTensorType type = typeOf(x);
  Value other = pickAs(type);
  if (chance(50)) {
    auto loop = scf::ForOp::create(b, loc, index(0), index(1 + draw(4)), index(1), x);
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToEnd(loop.getBody());
    Value sum = make<arith::AddFOp>(loop.getRegionIterArg(0), other);
    scf::YieldOp::create(b, loc, sum);
    return add(loop.getResult(0));
  }
  Value id = tile::BlockIdOp::create(b, loc, b.getIndexType(), tile::Axis::X);
  Value condition =
      arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq, id, index(draw(3))).getResult();
  auto branch = scf::IfOp::create(b, loc, TypeRange{type}, condition, /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(branch.thenBlock());
  scf::YieldOp::create(b, loc, make<arith::MulFOp>(x, other));
  b.setInsertionPointToStart(branch.elseBlock());
  scf::YieldOp::create(b, loc, other);
  add(branch.getResult(0));
}

/// Through the block's own memory into another layout.
void RandomTileProgram::addScratch() {
  Type elements[] = {f32, i32, i8, f16, bf16};
  Value x = pick(choose<Type>(elements));
  RankedTensorType type = typeOf(x);
  auto view = tile::ViewType::get(b.getContext(), type.getShape(), type.getElementType(),
                                  tile::ViewType::rowMajorStrides(type.getShape()),
                                  tile::PackedAttr(), tile::Space::Shared);
  Value memory = tile::AllocOp::create(b, loc, view);
  SmallVector<Value> offsets(type.getRank(), index(0));
  tile::StoreOp::create(b, loc, x, memory, offsets);
  tile::LayoutAttr layout = drawLayout(type.getShape());
  auto moved = tile::getTileType(type.getShape(), type.getElementType(), layout);
  add(tile::LoadOp::create(b, loc, moved, memory, offsets));
}

void RandomTileProgram::addOp() {
  switch (draw(17)) {
  case 0:
  case 1:
  case 2:
  case 3:
    return addFloatOp();
  case 4:
  case 5:
    return addIntegerOp();
  case 6:
  case 7:
    return addCast();
  case 8:
  case 9:
  case 10:
    return addMove();
  case 11:
  case 12:
    return addReduction();
  case 13:
    return addContraction();
  case 14:
    return addIntegerContraction();
  case 15:
    return addScratch();
  default:
    return addControl();
  }
}

//===----------------------------------------------------------------------------------------------===//
// The kernel
//===----------------------------------------------------------------------------------------------===//

tile::KernelOp RandomTileProgram::emit(StringRef name) {
  b.setInsertionPointToEnd(module.getBody());
  kernel = tile::KernelOp::create(b, loc, name, TypeRange{},
                                  {tile::ExtentAttr::get(b.getContext(), tile::Count::Tokens)});
  b.setInsertionPointToStart(&kernel.getBody().front());
  for (int64_t ops = 3 + draw(10); ops > 0; --ops)
    addOp();
  // What is not used further is seen from outside; views of inputs come before.
  SmallVector<Value> unused;
  for (Value tile : tiles)
    if (tile.use_empty())
      unused.push_back(tile);
  for (Value tile : unused)
    store(tile);
  tile::ReturnOp::create(b, loc);
  return kernel;
}

std::vector<std::vector<uint8_t>> RandomTileProgram::drawMemory() {
  std::vector<std::vector<uint8_t>> memory;
  for (auto [i, argument] : llvm::enumerate(kernel.getViews())) {
    auto view = cast<tile::ViewType>(argument.getType());
    int64_t elements = 1;
    for (auto [size, stride] : llvm::zip_equal(view.getShape(), view.getStrides()))
      elements += ((tile::ViewType::isCount(size) ? tokens : size) - 1) * stride;
    Type element = view.getElementType();
    int64_t bytes = element.getIntOrFloatBitWidth() / 8;
    std::vector<uint8_t> &content = memory.emplace_back(elements * bytes, 0);
    if (i >= inputs.size())
      continue;
    std::normal_distribution<float> normal;
    for (int64_t e = 0; e < elements; ++e) {
      float number = chance(5) ? 0.0f : normal(random) * (chance(20) ? 100.0f : 1.0f);
      uint64_t bits = element.isF32()    ? llvm::bit_cast<uint32_t>(number)
                      : element.isF16()  ? floatToHalf(number)
                      : element.isBF16() ? floatToBfloat(number)
                      : chance(50)       ? random()
                                         : draw(20) - 10;
      std::memcpy(content.data() + e * bytes, &bits, bytes);
    }
  }
  return memory;
}
