//===- Product.cpp - The inner loop that all products with weights share ----------------------------===//
//
// See Product.h for what is computed and in which order.
//
//===----------------------------------------------------------------------------------------------===//

#include "Product.h"
#include "ingot/Support/Packing.h"

using namespace mlir;
using namespace ingot;
using namespace ingot::kernels;

/// Columns of activations that share a scale.
static constexpr int64_t quantizedBlock = 32;

LogicalResult kernels::canMultiply(transformer::LinearOp linear, std::string &reason) {
  auto type = linear.getInput().getType();
  if (cast<RankedTensorType>(type).getRank() != 2)
    return reason = "only rank 2 is packed", failure();
  if (linear.getBias() && !plainElementType(linear.getBias().getType()))
    return reason = "the bias is not a float format", failure();
  if (failed(canDecode(linear.getWeight().getType(), reason)))
    return failure();
  if (!linear.getScales())
    return success();
  if (NumericFormat::lookup(linear.getWeight().getType().getFormat())->isFloat())
    return reason = "integer activations need a weight of integers", failure();
  int64_t blocks = cast<RankedTensorType>(linear.getScales().getType()).getDimSize(1);
  if (blocks * quantizedBlock != linear.getWeight().getType().getColumns())
    return reason = "only blocks of 32 activations share a scale", failure();
  return success();
}

SmallVector<Type> kernels::productViews(transformer::LinearOp linear, tile::Count rows) {
  auto type = cast<RankedTensorType>(linear.getInput().getType());
  SmallVector<Type> views{transposedView(type.getElementType(), type.getDimSize(1), rows)};
  if (Value scales = linear.getScales())
    views.push_back(transposedView(Float32Type::get(type.getContext()),
                                   cast<RankedTensorType>(scales.getType()).getDimSize(1), rows));
  return views;
}

Cost kernels::productCost(transformer::LinearOp linear) {
  auto weight = linear.getWeight().getType();
  const NumericFormat &format = *NumericFormat::lookup(weight.getFormat());
  auto layout = llvm::cantFail(
      PackedLayout::get(format, weight.getRows(), weight.getColumns(), interleavedRows));
  uint64_t inputBytes = linear.getScales() ? weight.getColumns() * 9 / 8 : weight.getColumns() * 4;
  return {layout.bytes, inputBytes + 4 * weight.getRows(),
          2 * uint64_t(weight.getRows()) * weight.getColumns()};
}

namespace {

/// What stays the same for all columns of a product.
struct ProductShape {
  RankedTensorType sums; ///< [8, tokens] f32, rows in lanes
  const NumericFormat &format;
  int64_t group, tokens;
};

/// acc + W x for one decoded group of columns, in float32.
Value addFloatGroup(TileBuilder &b, const ProductShape &shape, const ProductInput &input,
                    Value weight, Value row, Value token, Value column, Value acc) {
  Value values = decodeValues(b, weight, row, column);
  Value x =
      b.load(input.values, {column, token}, tileType({shape.group, shape.tokens}, b.f32(), -1));
  return tile::ContractOp::create(b.builder, b.loc, acc.getType(), tile::Atom::Fma, values, x, acc);
}

/// dot(codes, x) as f32, exact.
Value multiplyIntegers(TileBuilder &b, const ProductShape &shape, Value codes, Value x, int64_t run,
                       bool isSigned) {
  auto sums = cast<RankedTensorType>(cast<ShapedType>(shape.sums).clone(b.i32()));
  auto product = tile::ContractOp::create(b.builder, b.loc, sums, tile::Atom::Vpmaddubsw, codes, x,
                                          b.constant(sums, 0), run, isSigned);
  return b.toF32(product);
}

/// s_w dot(codes, x) + m_w sum(x) for one decoded group, in float32; added to `partial` where there
/// is one. `sumOfX` is made at its first use: it is the same for all row groups.
Value addIntegerGroup(TileBuilder &b, const ProductShape &shape, const DecodedGroup &group, Value x,
                      Value partial, Value &sumOfX) {
  Value scales = b.broadcast(group.scales, shape.sums);
  Value dot = multiplyIntegers(b, shape, group.codes, x, shape.format.exactRun,
                               shape.format.codesAreSigned);
  Value result = partial ? b.fma(scales, dot, partial) : b.mulf(scales, dot);
  if (shape.format.codesAreSigned && !shape.format.hasMinimum)
    return result;
  if (!sumOfX) {
    Value ones = b.constant(cast<RankedTensorType>(group.codes.getType()), 1);
    constexpr int64_t runOfOnes = 16; // 32 columns are 16 pairs; 16 * 2 * 127 fits 16 bits
    sumOfX = multiplyIntegers(b, shape, ones, x, runOfOnes, false);
  }
  return b.fma(b.broadcast(group.minimums, shape.sums), sumOfX, result);
}

} // namespace

int64_t kernels::tilesAtOnce(int64_t tokens) {
  // One token is bound by memory: one stream of weights at a time. Four tokens are bound by
  // instructions: two row groups take 101 cycles where one takes 66 (q4_1, llvm-mca for Zen 3),
  // because sums of activations are shared.
  return tokens == 1 ? 1 : 2;
}

SmallVector<Value> kernels::emitProducts(TileBuilder &b, const ProductInput &input,
                                         ValueRange weights, Value firstRow, int64_t rowGroups,
                                         Value firstToken, int64_t tokens) {
  auto packing = cast<tile::ViewType>(weights.front().getType()).getPacking();
  const NumericFormat &format = *NumericFormat::lookup(packing.getFormat());
  ProductShape shape{tileType({interleavedRows, tokens}, b.f32(), 0), format,
                     decodedColumns(format), tokens};
  SmallVector<std::pair<Value, Value>> tiles; // (weight, first row)
  SmallVector<Value> rows;
  for (int64_t group = 0; group < rowGroups; ++group)
    rows.push_back(group == 0 ? firstRow : b.add(firstRow, group * interleavedRows));
  for (Value weight : weights)
    for (Value row : rows)
      tiles.emplace_back(weight, row);
  SmallVector<Value> zeros(tiles.size(), b.constant(shape.sums, 0));

  if (!input.scales)
    return b.forLoop(b.index(0), b.index(input.columns), shape.group, zeros,
                     [&](Value column, auto carried) {
                       SmallVector<Value> next;
                       for (auto [tile, acc] : llvm::zip(tiles, carried))
                         next.push_back(addFloatGroup(b, shape, input, tile.first, tile.second,
                                                      firstToken, column, acc));
                       return next;
                     });

  int64_t blocks = input.columns / quantizedBlock;
  return b.forLoop(b.index(0), b.index(blocks), 1, zeros, [&](Value block, auto carried) {
    SmallVector<Value> partials(tiles.size());
    Value column = b.mul(block, quantizedBlock);
    for (int64_t offset = 0; offset < quantizedBlock; offset += shape.group) {
      Value first = b.add(column, offset), sumOfX;
      Value x =
          b.load(input.values, {first, firstToken}, tileType({shape.group, tokens}, b.i8(), -1));
      for (auto [tile, partial] : llvm::zip(tiles, partials))
        partial = addIntegerGroup(b, shape, decodeGroup(b, tile.first, tile.second, first), x,
                                  partial, sumOfX);
    }
    Value scale = b.broadcast(
        b.load(input.scales, {block, firstToken}, tileType({1, tokens}, b.f32(), -1)), shape.sums);
    SmallVector<Value> next;
    for (auto [partial, acc] : llvm::zip(partials, carried))
      next.push_back(b.fma(scale, partial, acc));
    return next;
  });
}

void kernels::forTokens(TileBuilder &b, Value begin, Value end, int64_t most,
                        llvm::function_ref<void(Value, int64_t)> emit) {
  Value full = b.add(begin, b.mul(b.div(b.sub(end, begin), most), most));
  b.forLoop(begin, full, most, [&](Value token) { emit(token, most); });
  b.forLoop(full, end, 1, [&](Value token) { emit(token, 1); });
}
