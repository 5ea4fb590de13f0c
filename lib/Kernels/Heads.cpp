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
