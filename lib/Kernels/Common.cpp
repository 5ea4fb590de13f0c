//===- Common.cpp - What emitters of several families share -----------------------------------------===//
//
// See Common.h. Views describe the same bytes as the tensors of the region; their strides are
// static but for the leading count.
//
//===----------------------------------------------------------------------------------------------===//

#include "Common.h"
#include "ingot/Support/Packing.h"

using namespace mlir;
using namespace ingot;
using namespace ingot::kernels;

Value kernels::outerValue(transformer::ComputeOp compute, Value value) {
  while (Operation *op = value.getDefiningOp()) {
    if (!isa<tensor::ExpandShapeOp, tensor::CollapseShapeOp>(op))
      return {};
    value = op->getOperand(0);
  }
  auto argument = cast<BlockArgument>(value);
  return argument.getOwner()->getParentOp() == compute
             ? compute.getInputs()[argument.getArgNumber()]
             : Value();
}

Type kernels::plainElementType(transformer::WeightType type) {
  MLIRContext *context = type.getContext();
  if (type.getFormat() == "f32")
    return Float32Type::get(context);
  if (type.getFormat() == "f16")
    return Float16Type::get(context);
  if (type.getFormat() == "bf16")
    return BFloat16Type::get(context);
  return {};
}

int64_t kernels::decodedColumns(const NumericFormat &format) {
  return format.isFloat() ? 8 : format.groupElements;
}

LogicalResult kernels::canDecode(transformer::WeightType type, std::string &reason) {
  const NumericFormat *format = NumericFormat::lookup(type.getFormat());
  llvm::raw_string_ostream os(reason);
  if (!format) {
    os << "unknown numeric format " << type.getFormat();
    return failure();
  }
  int64_t multiple = std::max<int64_t>(decodedColumns(*format), format->blockElements);
  if (type.getRank() == 2 && type.getColumns() % multiple == 0)
    return success();
  os << "columns of " << type << " are not a multiple of " << multiple;
  return failure();
}

static tile::PackedAttr packingOf(transformer::WeightType type) {
  return tile::PackedAttr::get(type.getContext(), type.getFormat(), interleavedRows);
}

Value kernels::packWeight(OpBuilder &builder, Location loc, Value weight) {
  auto type = cast<transformer::WeightType>(weight.getType());
  return transformer::PackWeightOp::create(builder, loc, type.withPacking(packingOf(type)), weight);
}

tile::ViewType kernels::packedView(transformer::WeightType type) {
  return tile::ViewType::get(type.getContext(), type.getShape(), packingOf(type));
}

tile::ViewType kernels::rowsView(RankedTensorType type, tile::Count rows) {
  SmallVector<int64_t> shape(type.getShape());
  shape.front() = tile::ViewType::sizeFor(rows);
  return tile::ViewType::get(type.getContext(), shape, type.getElementType());
}

tile::ViewType kernels::transposedView(Type element, int64_t columns, tile::Count rows) {
  return tile::ViewType::get(element.getContext(), {columns, tile::ViewType::sizeFor(rows)},
                             element, {1, columns});
}

tile::ViewType kernels::vectorView(transformer::WeightType type) {
  return tile::ViewType::get(type.getContext(), {1, type.getColumns()}, plainElementType(type));
}

tile::ViewType kernels::columnView(transformer::WeightType type) {
  return tile::ViewType::get(type.getContext(), {type.getColumns(), 1}, plainElementType(type),
                             {1, 1});
}

Value kernels::loadColumn(TileBuilder &b, Value view, Value row, RankedTensorType type,
                          bool masked) {
  auto stored = tile::withElement(tile::getReducedType(type, 1),
                                  cast<tile::ViewType>(view.getType()).getElementType());
  return b.broadcast(b.toF32(b.load(view, {row, b.index(0)}, stored, masked)), type);
}

SmallVector<Type, 3> kernels::batchViews(MLIRContext *context, int64_t pagesPerSequence) {
  Type i32 = IntegerType::get(context, 32);
  auto perToken = tile::ViewType::get(context, {tile::ViewType::sizeFor(tile::Count::Tokens)}, i32);
  auto table = tile::ViewType::get(
      context, {tile::ViewType::sizeFor(tile::Count::Sequences), pagesPerSequence}, i32);
  return {perToken, perToken, table};
}

SmallVector<Type, 4> kernels::cacheViews(transformer::KVCacheType type, int64_t pages) {
  MLIRContext *context = type.getContext();
  int64_t heads = type.getHeads(), page = type.getPage();
  SmallVector<Type, 4> views;
  for (bool isKey : {true, false}) {
    Type element = type.isQuantized() ? IntegerType::get(context, 8) : type.getFormat(isKey);
    int64_t columns = type.isQuantized() ? type.getHeadBytes(isKey) : type.getDim();
    SmallVector<int64_t> shape{pages, heads, columns, page};
    if (!isKey)
      std::swap(shape[2], shape[3]);
    views.push_back(tile::ViewType::get(context, shape, element));
  }
  for (bool isKey : {true, false})
    if (type.isQuantized())
      views.push_back(tile::ViewType::get(context, {pages, heads, type.getGroups(isKey), page},
                                          Float16Type::get(context)));
  return views;
}

LogicalResult kernels::canCache(Machine machine, transformer::KVCacheType type,
                                std::string &reason) {
  if (!type.isQuantized())
    return success();
  if (machine == Machine::Cuda)
    return reason = "a cache of integers is not there for GPUs", failure();
  for (bool isKey : {true, false})
    if (type.getGroupChannels(isKey) % interleavedRows)
      return reason = "channels that share a scale of the cache are not a multiple of 8", failure();
  return success();
}

DecodedGroup kernels::decodeGroup(TileBuilder &b, Value view, Value row, Value column) {
  auto decode = tile::DecodeOp::create(b.builder, b.loc, view, row, column);
  if (decode.getNumResults() == 1)
    return {decode.getResult(0), {}, {}};
  return {decode.getResult(0), decode.getResult(1), decode.getResult(2)};
}

/// f8E4M3 to f32 as float8ToFloat does: the bits in the places of f32's, whose bias is 120 more.
static Value widenFloat8(TileBuilder &b, Value codes) {
  auto bytes = cast<RankedTensorType>(codes.getType()),
       words = cast<RankedTensorType>(bytes.clone(b.i32()));
  Value wide = arith::ExtSIOp::create(b.builder, b.loc, words, codes);
  Value moved = arith::ShLIOp::create(b.builder, b.loc, wide, b.constant(words, 20));
  moved = arith::AndIOp::create(b.builder, b.loc, moved, b.constant(words, int32_t(0x87f00000)));
  Value small = arith::BitcastOp::create(b.builder, b.loc, words.clone(b.f32()), moved);
  return b.mulf(small, b.constant(cast<RankedTensorType>(small.getType()), 0x1p120));
}

Value kernels::decodeValues(TileBuilder &b, Value view, Value row, Value column) {
  DecodedGroup group = decodeGroup(b, view, row, column);
  if (!group.scales)
    return group.codes;
  auto packing = cast<tile::ViewType>(view.getType()).getPacking();
  const NumericFormat &format = *NumericFormat::lookup(packing.getFormat());
  Value codes = format.codesAreFloats ? widenFloat8(b, group.codes)
                                      : b.toF32(group.codes, format.codesAreSigned);
  auto type = cast<RankedTensorType>(codes.getType());
  if (format.codesAreFloats)
    return b.mulf(codes, b.broadcast(group.scales, type));
  return b.fma(codes, b.broadcast(group.scales, type), b.broadcast(group.minimums, type));
}

/// x Phi(x) = max(x, 0) - |x| Phi(-|x|). With z = |x| / sqrt 2, Phi(-|x|) = erfc(z) / 2, and
/// erfc(z) e^(z^2) = t P(t), t = 1 / (1 + 0.3 z), where P is a polynomial of degree 8, fitted for
/// the least relative error over z <= 12: 2.2e-8, and 2.4e-7 for gelu in float32, absolute.
static Value gelu(TileBuilder &b, Value x) {
  constexpr double coefficients[] = {-0.1292524712, 0.4842983496,   -0.5097659245,
                                     0.544960145,   -0.09282173032, 0.2141797389,
                                     0.1485216494,  0.1706908777,   0.1691893568};
  constexpr double log2e = 1.4426950408889634, inverseRootOf2 = 0.7071067811865476;
  auto type = cast<RankedTensorType>(x.getType());
  auto number = [&](double value) { return b.constant(type, value); };
  // Behind 16 the tail is 0 in float32; the bound keeps infinity out of the products.
  Value size = arith::MinimumFOp::create(b.builder, b.loc,
                                         math::AbsFOp::create(b.builder, b.loc, x), number(16));
  Value t = b.divf(number(1), b.fma(size, number(0.3 * inverseRootOf2), number(1)));
  Value sum = number(coefficients[0]);
  for (double coefficient : ArrayRef(coefficients).drop_front())
    sum = b.fma(sum, t, number(coefficient));
  Value decay = b.exp2(b.mulf(b.mulf(size, size), number(-0.5 * log2e)));
  Value tail = b.mulf(b.mulf(b.mulf(size, number(0.5)), b.mulf(t, sum)), decay);
  return b.subf(arith::MaximumFOp::create(b.builder, b.loc, x, number(0)), tail);
}

/// x (1 + tanh u) / 2 = x / (1 + e^(-2u)), u = sqrt(2 / pi) (x + 0.044715 x^3).
static Value geluTanh(TileBuilder &b, Value x) {
  constexpr double factor = 0.7978845608028654, cubic = 0.044715;
  auto type = cast<RankedTensorType>(x.getType());
  auto number = [&](double value) { return b.constant(type, value); };
  Value u = b.mulf(x, b.fma(b.mulf(x, x), number(-2 * factor * cubic), number(-2 * factor)));
  return b.divf(x, b.addf(number(1), b.exp(u)));
}

/// Near 0 by the series, whose sixth term is below 5e-8 of the first there; elsewhere as
/// 1 - 2 / (1 + e^2x).
Value kernels::tanh(TileBuilder &b, Value x) {
  constexpr double border = 0.3;
  constexpr double series[] = {62.0 / 2835, -17.0 / 315, 2.0 / 15, -1.0 / 3};
  auto type = cast<RankedTensorType>(x.getType());
  auto number = [&](double value) { return b.constant(type, value); };
  Value square = b.mulf(x, x), sum = number(series[0]);
  for (double coefficient : ArrayRef(series).drop_front())
    sum = b.fma(sum, square, number(coefficient));
  Value nearZero = b.fma(b.mulf(x, square), sum, x);
  Value ratio = b.divf(number(2), b.addf(number(1), b.exp(b.mulf(x, number(2)))));
  Value isNear = arith::CmpFOp::create(b.builder, b.loc, arith::CmpFPredicate::OLT,
                                       math::AbsFOp::create(b.builder, b.loc, x), number(border));
  return arith::SelectOp::create(b.builder, b.loc, isNear, nearZero, b.subf(number(1), ratio));
}

Value kernels::activate(TileBuilder &b, transformer::ActivationKind kind, Value x) {
  switch (kind) {
  case transformer::ActivationKind::Silu:
    return b.silu(x);
  case transformer::ActivationKind::Gelu:
    return gelu(b, x);
  case transformer::ActivationKind::GeluTanh:
    return geluTanh(b, x);
  case transformer::ActivationKind::Relu:
    return arith::MaximumFOp::create(b.builder, b.loc, x,
                                     b.constant(cast<RankedTensorType>(x.getType()), 0));
  }
  return {};
}

Value kernels::ropeTable(const Request &request, OpBuilder &builder, transformer::RopeOp rope,
                         int64_t dim) {
  auto type =
      transformer::WeightType::get(builder.getContext(), {request.contextTokens, dim}, "f32");
  return transformer::RopeTableOp::create(builder, rope.getLoc(), type, rope.getBaseAttr(),
                                          rope.getFactorsAttr());
}

tile::ViewType kernels::ropeTableView(MLIRContext *context, int64_t contextTokens, int64_t dim) {
  return tile::ViewType::get(context, {dim, 1, contextTokens}, Float32Type::get(context),
                             {1, 1, dim});
}

RankedTensorType kernels::rowTile(const Request &request, Type element, int64_t columns) {
  constexpr int64_t cpuColumns = 32, side = 4, lanes = 32, mostWarps = 8, mostRegisters = 32;
  if (request.machine == Machine::Cpu)
    return tileType({1, cpuColumns}, element, 1);
  using Part = Spread::Part;
  int64_t warps = 1, registers = side, width = llvm::PowerOf2Ceil(columns);
  while (warps < mostWarps && registers * lanes * warps < width)
    warps *= 2;
  while (registers < mostRegisters && registers * lanes * warps < width)
    registers *= 2;
  return spreadTile({1, registers * lanes * warps}, element,
                    {{Part::Register, 1, side},
                     {Part::Lane, 1, lanes},
                     {Part::Warp, 1, warps},
                     {Part::Register, 1, registers / side}});
}

TokenPlace kernels::readPlace(TileBuilder &b, ValueRange batch, Value token, int64_t pageTokens) {
  Value position = b.readIndex(batch[0], {token});
  Value sequence = b.readIndex(batch[1], {token});
  Value page = b.readIndex(batch[2], {sequence, b.div(position, pageTokens)});
  return {position, b.rem(position, pageTokens), page};
}

SmallVector<int64_t> kernels::resultsInPlace(transformer::ComputeOp compute, int64_t cacheOperand) {
  SmallVector<int64_t> inPlace;
  for (Type type : compute.getResultTypes())
    inPlace.push_back(isa<transformer::KVCacheType>(type) ? cacheOperand : -1);
  return inPlace;
}

int64_t kernels::pagesPerSequence(const Request &request, transformer::KVCacheType cache) {
  return llvm::divideCeil(request.contextTokens, cache.getPage());
}

tile::KernelOp kernels::beginKernel(OpBuilder &kernelBuilder, const Request &request,
                                    TypeRange views, ArrayRef<tile::ExtentAttr> grid) {
  transformer::ComputeOp compute = request.compute;
  auto kernel = tile::KernelOp::create(kernelBuilder, compute.getLoc(), request.name, views, grid,
                                       compute.getKernel());
  kernelBuilder.setInsertionPointToStart(&kernel.getBody().front());
  return kernel;
}
