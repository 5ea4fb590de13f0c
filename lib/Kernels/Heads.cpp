//===- Heads.cpp - What happens to the channels of heads --------------------------------------------===//

#include "Heads.h"

using namespace mlir;
using namespace ingot;
using namespace ingot::kernels;

/// Calls `body(offset, lanes)` for tiles of at most 8 channels that cover [0, length); the last one
/// may overlap the one before.
static void forTiles(TileBuilder &b, int64_t length,
                     llvm::function_ref<void(Value offset, int64_t lanes)> body) {
  int64_t lanes = std::min<int64_t>(llvm::bit_floor(uint64_t(length)), interleavedRows);
  int64_t whole = length / lanes * lanes;
  if (whole == lanes)
    body(b.index(0), lanes);
  else
    b.forLoop(b.index(0), b.index(whole), lanes, [&](Value offset) { body(offset, lanes); });
  if (whole != length)
    body(b.index(length - lanes), lanes);
}

/// Channels [channel, channel + lanes) of the head, which lie from `row` on.
static Value readChannels(TileBuilder &b, const HeadInput &input, Value row, Value channel,
                          int64_t lanes) {
  auto type = tileType({lanes, 1}, b.f32(), 0);
  Value x = b.load(input.view, {row, input.token}, type);
  if (input.bias)
    x = b.addf(x, loadColumn(b, input.bias, b.add(input.biasRow, channel), type, false));
  if (input.normScale)
    x = b.mulf(b.mulf(x, b.broadcast(input.normScale, type)),
               loadColumn(b, input.normWeight, channel, type, false));
  return x;
}

static void writeChannels(TileBuilder &b, const HeadOutput &output, Value channel, Value x) {
  if (output.kind == HeadKind::Query)
    return b.store(x, output.view, {b.add(b.mul(output.head, output.dim), channel), output.token});
  const TokenPlace &place = output.place;
  Value stored = b.fromF32(x, cast<tile::ViewType>(output.view.getType()).getElementType());
  // Channels lie side by side in the values of a CPU and in the keys of a GPU.
  bool isAcross = (output.kind == HeadKind::Value) != output.isGpuCache;
  if (isAcross)
    stored = tile::TransposeOp::create(b.builder, b.loc, stored, ArrayRef<int64_t>{1, 0});
  Value first = place.page, second = output.head;
  if (output.isGpuCache)
    std::swap(first, second);
  if (isAcross)
    b.store(stored, output.view, {first, second, place.slot, channel});
  else
    b.store(stored, output.view, {first, second, channel, place.slot});
}

Value kernels::emitHeadNorm(TileBuilder &b, const HeadInput &input, Value row, int64_t dim,
                            double epsilon) {
  auto type = tileType({interleavedRows, 1}, b.f32(), 0);
  Value squares =
      b.forLoop(b.index(0), b.index(dim), interleavedRows, {b.constant(type, 0)},
                [&](Value channel, auto carried) {
                  Value x = readChannels(b, input, b.add(row, channel), channel, interleavedRows);
                  return SmallVector<Value>{b.fma(x, x, carried[0])};
                })[0];
  Value sum = b.reduce(tile::ReduceKind::Add, squares, 0);
  auto one = cast<RankedTensorType>(sum.getType());
  Value mean = b.addf(b.divf(sum, b.constant(one, dim)), b.constant(one, epsilon));
  return b.divf(b.constant(one, 1), math::SqrtOp::create(b.builder, b.loc, mean));
}

void kernels::emitHeadCopy(TileBuilder &b, const HeadInput &input, const HeadOutput &output,
                           Value row, Value channel, int64_t length) {
  forTiles(b, length, [&](Value offset, int64_t lanes) {
    Value at = b.add(channel, offset);
    writeChannels(b, output, at, readChannels(b, input, b.add(row, offset), at, lanes));
  });
}

/// `lanes` consecutive values of the table from `pair` on; with `isTwice` half as many, each in the
/// two lanes of its pair.
static Value loadAngles(TileBuilder &b, const HeadRotation &rotation, Value pair, int64_t lanes,
                        bool isTwice) {
  Value offsets[] = {pair, b.index(0), rotation.position};
  auto load = [&](RankedTensorType type) { return b.load(rotation.table, offsets, type); };
  SmallVector<int64_t> channels{lanes, 1};
  if (!isTwice)
    return tile::ReshapeOp::create(b.builder, b.loc, load(tileType({lanes, 1, 1}, b.f32(), 0)),
                                   channels);
  // As [4, 2, 1] the pair's number moves with the upper lane bits; loading [4, 1, 1] replicates it
  // over the lowest.
  Value anyNumbers = b.constant(tileType(channels, b.f32(), 0), 0);
  auto whole = cast<RankedTensorType>(
      tile::ReshapeOp::create(b.builder, b.loc, anyNumbers, ArrayRef<int64_t>{lanes / 2, 2, 1})
          .getType());
  auto layout = cast<tile::LayoutAttr>(whole.getEncoding()).getReduced(1);
  Value angles = load(RankedTensorType::get({lanes / 2, 1, 1}, b.f32(), layout));
  return tile::ReshapeOp::create(b.builder, b.loc, b.broadcast(angles, whole), channels);
}

/// Rotates neighbouring lanes.
static Value rotateNeighbours(TileBuilder &b, Value x, Value cosine, Value sine) {
  auto type = cast<RankedTensorType>(x.getType());
  Value channel = b.iota(type.getShape(), 0, 0);
  auto integers = cast<RankedTensorType>(channel.getType());
  Value odd = arith::AndIOp::create(b.builder, b.loc, channel, b.constant(integers, 1));
  Value isEven = arith::CmpIOp::create(b.builder, b.loc, arith::CmpIPredicate::eq, odd,
                                       b.constant(integers, 0));
  Value minus = arith::NegFOp::create(b.builder, b.loc, sine);
  Value signedSine = arith::SelectOp::create(b.builder, b.loc, isEven, minus, sine);
  Value partner = tile::ExchangeOp::create(b.builder, b.loc, type, x, /*dim=*/0, /*distance=*/1);
  return b.fma(partner, signedSine, b.mulf(x, cosine));
}

void kernels::emitHeadRotation(TileBuilder &b, const HeadInput &input, const HeadOutput &output,
                               const HeadRotation &rotation, Value row, Value channel,
                               int64_t length, int64_t partnerRows) {
  int64_t pairs = rotation.dims / 2; // sines are that much behind the cosines
  forTiles(b, length, [&](Value offset, int64_t lanes) {
    Value at = b.add(channel, offset), from = b.add(row, offset);
    Value pair = rotation.isHalf ? at : b.div(at, 2);
    Value cosine = loadAngles(b, rotation, pair, lanes, !rotation.isHalf),
          sine = loadAngles(b, rotation, b.add(pair, pairs), lanes, !rotation.isHalf);
    Value x = readChannels(b, input, from, at, lanes);
    if (!rotation.isHalf)
      return writeChannels(b, output, at, rotateNeighbours(b, x, cosine, sine));
    Value partnerAt = b.add(at, pairs);
    Value y = readChannels(b, input, b.add(from, partnerRows), partnerAt, lanes);
    Value minus = arith::NegFOp::create(b.builder, b.loc, sine);
    writeChannels(b, output, at, b.fma(y, minus, b.mulf(x, cosine)));
    writeChannels(b, output, partnerAt, b.fma(x, sine, b.mulf(y, cosine)));
  });
}

void kernels::emitHead(TileBuilder &b, const HeadInput &input, const HeadOutput &output,
                       const std::optional<HeadRotation> &rotation, Value row) {
  Value zero = b.index(0);
  int64_t dims = rotation ? rotation->dims : 0;
  if (rotation)
    emitHeadRotation(b, input, output, *rotation, row, zero, rotation->isHalf ? dims / 2 : dims,
                     dims / 2);
  if (dims < output.dim)
    emitHeadCopy(b, input, output, b.add(row, dims), b.index(dims), output.dim - dims);
}

//===----------------------------------------------------------------------------------------------===//
// Codes
//===----------------------------------------------------------------------------------------------===//

Value kernels::allocateHead(TileBuilder &b, int64_t dim) {
  auto type = tile::ViewType::get(b.builder.getContext(), {dim, 1}, b.f32(), {1, 1},
                                  tile::PackedAttr(), tile::Space::Shared);
  return tile::AllocOp::create(b.builder, b.loc, type);
}

/// Stores the scale of the group of channels from `channel` on; returns what a number is multiplied
/// with, [1, 1].
static Value storeScale(TileBuilder &b, Value memory, const HeadCodes &output, Value group,
                        Value channel) {
  constexpr int64_t lanes = interleavedRows;
  auto type = tileType({lanes, 1}, b.f32(), 0);
  Value zero = b.index(0), first = b.load(memory, {channel, zero}, type);
  Value end = b.add(channel, output.cache.getGroupChannels(output.isKey));
  auto extremes =
      b.forLoop(b.add(channel, lanes), end, lanes, {first, first}, [&](Value at, auto carried) {
        Value x = b.load(memory, {at, zero}, type);
        return SmallVector<Value>{arith::MaximumFOp::create(b.builder, b.loc, carried[0], x),
                                  arith::MinimumFOp::create(b.builder, b.loc, carried[1], x)};
      });
  Value largest = b.reduce(tile::ReduceKind::Max, extremes[0], 0);
  // The least number is the negative of the largest negative one.
  Value least =
      b.reduce(tile::ReduceKind::Max, arith::NegFOp::create(b.builder, b.loc, extremes[1]), 0);
  auto one = cast<RankedTensorType>(largest.getType());
  Value isPositive =
      arith::CmpFOp::create(b.builder, b.loc, arith::CmpFPredicate::OGE, largest, least);
  Value extreme = arith::SelectOp::create(b.builder, b.loc, isPositive, largest,
                                          arith::NegFOp::create(b.builder, b.loc, least));
  double limit = 1 << (output.cache.getBits(output.isKey) - 1);
  Value scale = b.fromF32(b.divf(extreme, b.constant(one, -limit)), b.f16());
  b.store(scale, output.scales, {output.place.page, output.head, group, output.place.slot});
  Value step = b.toF32(scale), none = b.constant(one, 0);
  Value isZero = arith::CmpFOp::create(b.builder, b.loc, arith::CmpFPredicate::OEQ, step, none);
  return arith::SelectOp::create(b.builder, b.loc, isZero, none, b.divf(b.constant(one, 1), step));
}

/// The codes of 8 channels as i32.
static Value encodeChannels(TileBuilder &b, Value memory, const HeadCodes &output, Value channel,
                            Value inverse) {
  auto type = tileType({interleavedRows, 1}, b.f32(), 0);
  double limit = 1 << (output.cache.getBits(output.isKey) - 1);
  Value scaled = b.mulf(b.load(memory, {channel, b.index(0)}, type), b.broadcast(inverse, type));
  Value rounded = math::RoundEvenOp::create(b.builder, b.loc, scaled);
  Value bounded = arith::MinimumFOp::create(b.builder, b.loc, rounded, b.constant(type, limit - 1));
  bounded = arith::MaximumFOp::create(b.builder, b.loc, bounded, b.constant(type, -limit));
  return arith::FPToSIOp::create(b.builder, b.loc, type.clone(b.i32()), bounded);
}

static void storeCodes(TileBuilder &b, const HeadCodes &output, Value column, Value codes) {
  auto type = cast<RankedTensorType>(codes.getType());
  Value bytes = arith::TruncIOp::create(b.builder, b.loc, type.clone(b.i8()), codes);
  const TokenPlace &place = output.place;
  if (output.isKey)
    return b.store(bytes, output.numbers, {place.page, output.head, column, place.slot});
  bytes = tile::TransposeOp::create(b.builder, b.loc, bytes, ArrayRef<int64_t>{1, 0});
  b.store(bytes, output.numbers, {place.page, output.head, place.slot, column});
}

void kernels::emitHeadCodes(TileBuilder &b, const HeadInput &input, Value memory,
                            const HeadCodes &output, const std::optional<HeadRotation> &rotation,
                            Value row) {
  transformer::KVCacheType cache = output.cache;
  Value zero = b.index(0);
  emitHead(b, input, {HeadKind::Query, memory, zero, cache.getDim(), zero}, rotation, row);
  tile::BarrierOp::create(b.builder, b.loc); // channels are there before scales look at them
  int64_t channels = cache.getGroupChannels(output.isKey),
          columns = cache.getHeadBytes(output.isKey);
  bool isHalved = columns != cache.getDim(); // two groups share the bytes of their codes
  int64_t groups = columns / channels;
  b.forLoop(zero, b.index(groups), 1, [&](Value group) {
    Value first = b.mul(group, channels);
    Value inverse = storeScale(b, memory, output, group, first), upper;
    if (isHalved)
      upper = storeScale(b, memory, output, b.add(group, groups), b.add(first, columns));
    b.forLoop(zero, b.index(channels), interleavedRows, [&](Value offset) {
      Value column = b.add(first, offset);
      Value codes = encodeChannels(b, memory, output, column, inverse);
      if (isHalved) {
        auto type = cast<RankedTensorType>(codes.getType());
        Value high = encodeChannels(b, memory, output, b.add(column, columns), upper);
        high = arith::ShLIOp::create(b.builder, b.loc, high, b.constant(type, 4));
        codes = arith::AndIOp::create(b.builder, b.loc, codes, b.constant(type, 15));
        codes = arith::OrIOp::create(b.builder, b.loc, codes, high);
      }
      storeCodes(b, output, column, codes);
    });
  });
  tile::BarrierOp::create(b.builder, b.loc); // and are read before the next token's replace them
}
