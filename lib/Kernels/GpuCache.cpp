//===- GpuCache.cpp - Writing queries, keys and values on a GPU -----------------------------------===//
//
// A block of 16 rows lies in one head, so what becomes of it is decided by its number. Tokens are
// the tile's columns: each has its own position, page and slot, which gathers and scatters reach.
//
//===----------------------------------------------------------------------------------------------===//

#include "GpuCache.h"

using namespace mlir;
using namespace ingot;
using namespace ingot::kernels;

bool kernels::isGpuCache(Machine machine, transformer::KVCacheType cache) {
  int64_t dim = cache.getDim(), page = cache.getPage();
  constexpr int64_t leastDim = 32, mostDim = 128, leastPage = 16, mostPage = 32;
  return machine == Machine::Cuda && llvm::isPowerOf2_64(dim) && dim >= leastDim &&
         dim <= mostDim && llvm::isPowerOf2_64(page) && page >= leastPage && page <= mostPage;
}

SmallVector<Type, 2> kernels::gpuCacheViews(transformer::KVCacheType type, int64_t pages) {
  MLIRContext *context = type.getContext();
  int64_t heads = type.getHeads(), dim = type.getDim(), page = type.getPage();
  return {tile::ViewType::get(context, {heads, pages, page, dim}, type.getFormat(),
                              {page * dim, heads * page * dim, dim, 1}),
          tile::ViewType::get(context, {heads, pages, dim, page}, type.getFormat(),
                              {page * dim, heads * page * dim, page, 1})};
}

tile::ViewType kernels::gpuAnglesView(MLIRContext *context, int64_t contextTokens, int64_t dim) {
  return tile::ViewType::get(context, {contextTokens, dim}, Float32Type::get(context));
}

SmallVector<Type, 4> kernels::cacheViewsFor(const Request &request, transformer::KVCacheType type) {
  if (isGpuCache(request.machine, type))
    return llvm::to_vector<4>(gpuCacheViews(type, request.cachePages));
  return cacheViews(type, request.cachePages);
}

namespace {

/// Where the tokens of a tile go, along its columns: [1, tokens] each.
struct Places {
  Value position, slot, page;
  Value isThere; ///< whether the token is one of the step
};

Places readPlaces(TileBuilder &b, const GpuProjection &projection, Value token,
                  RankedTensorType sums) {
  auto along = tile::getReducedType(tile::withElement(sums, b.i32()), 0);
  int64_t tokens = sums.getDimSize(1), page = projection.cache.getPage();
  auto layout = tile::getLayout(along).getReshaped(along.getShape(), {tokens});
  auto flat = tile::getTileType({tokens}, b.i32(), layout);
  auto read = [&](Value view) {
    return b.reshape(b.load(view, {token}, flat, /*masked=*/true), along.getShape());
  };
  Places places;
  Value number =
      arith::AddIOp::create(b.builder, b.loc, b.iotaOf(along, 1), b.splat(b.toI32(token), along));
  places.isThere = arith::CmpIOp::create(b.builder, b.loc, arith::CmpIPredicate::slt, number,
                                         b.splat(b.toI32(b.count(projection.rows)), along));
  places.position = read(projection.batch[0]);
  Value pageNumber = arith::ShRUIOp::create(b.builder, b.loc, places.position,
                                            b.constant(along, llvm::Log2_64(page)));
  places.slot =
      arith::AndIOp::create(b.builder, b.loc, places.position, b.constant(along, page - 1));
  Value zero = b.index(0);
  places.page = b.gather(projection.batch[2], {zero, zero}, along,
                         {{0, read(projection.batch[1])}, {1, pageNumber}}, places.isThere);
  return places;
}

/// What the rows of a tile are, along its rows: [16, 1] each.
struct Channels {
  Value first;      ///< channel of the head that `offsets` count from
  Value offsets;    ///< of each row's channel
  Value pairs;      ///< number of each row's pair, counted from that of row 0
  Value isFirst;    ///< whether the row is the first of its pair
  int64_t distance; ///< rows between the two of a pair
};

Channels findChannels(TileBuilder &b, const GpuProjection &projection, Value row,
                      RankedTensorType sums) {
  auto type = tile::getReducedType(tile::withElement(sums, b.i32()), 1);
  int64_t dim = projection.cache.getDim(), half = sums.getDimSize(0) / 2;
  auto number = [&](int64_t value) { return b.constant(type, value); };
  Value inTile = b.iotaOf(type, 0), inHead = b.rem(row, dim);
  Channels channels;
  channels.distance = projection.isHalf ? half : 1;
  Value side = arith::AndIOp::create(b.builder, b.loc, inTile, number(channels.distance));
  channels.isFirst =
      arith::CmpIOp::create(b.builder, b.loc, arith::CmpIPredicate::eq, side, number(0));
  if (!projection.isHalf) {
    channels.first = inHead;
    channels.offsets = inTile;
    channels.pairs = arith::ShRUIOp::create(b.builder, b.loc, inTile, number(1));
    return channels;
  }
  channels.first = b.div(inHead, 2);
  channels.pairs = arith::AndIOp::create(b.builder, b.loc, inTile, number(half - 1));
  Value further = arith::MulIOp::create(b.builder, b.loc, side, number(dim / 2 / half));
  channels.offsets = arith::AddIOp::create(b.builder, b.loc, channels.pairs, further);
  return channels;
}

/// What is done with tiles of a projection, one after the other.
class ProjectionWriter {
public:
  ProjectionWriter(TileBuilder &b, const GpuProjection &projection)
      : b(b), projection(projection), cache(projection.cache), dim(cache.getDim()) {}

  /// Places and angles of the tokens follow from inputs of the step alone.
  void read(Value row, Value token, RankedTensorType sums) {
    places = readPlaces(b, projection, token, sums);
    channels = findChannels(b, projection, row, sums);
    Value firstPair = projection.isHalf ? channels.first : b.div(channels.first, 2);
    auto readAngles = [&](int64_t offset) {
      return b.gather(projection.angles, {b.index(0), b.add(firstPair, offset)}, sums,
                      {{0, places.position}, {1, channels.pairs}});
    };
    cosine = readAngles(0);
    sine = readAngles(dim / 2);
  }

  void write(Value row, Value token, Value sums) {
    b.ifLess(
        row, b.index(projection.queryRows), [&] { writeQueries(row, token, sums); },
        [&] {
          Value keyRow = b.sub(row, b.index(projection.queryRows));
          b.ifLess(
              keyRow, b.index(projection.keyRows), [&] { writeKeys(keyRow, sums); },
              [&] { writeValues(b.sub(keyRow, b.index(projection.keyRows)), sums); });
        });
  }

private:
  void writeQueries(Value row, Value token, Value sums) {
    Value first = b.add(b.mul(b.div(row, dim), dim), channels.first);
    b.scatter(rotate(sums), projection.queries, {first, token}, {{0, channels.offsets}},
              places.isThere);
  }

  void writeKeys(Value row, Value sums) {
    Value zero = b.index(0);
    b.scatter(b.fromF32(rotate(sums), cache.getFormat()), projection.keys,
              {b.div(row, dim), zero, zero, channels.first},
              {{1, places.page}, {2, places.slot}, {3, channels.offsets}}, places.isThere);
  }

  void writeValues(Value row, Value sums) {
    Value zero = b.index(0);
    b.scatter(b.fromF32(sums, cache.getFormat()), projection.values,
              {b.div(row, dim), zero, channels.first, zero},
              {{1, places.page}, {2, channels.offsets}, {3, places.slot}}, places.isThere);
  }

  /// (a, b) -> (a cos - b sin, b cos + a sin) for the rows of a pair.
  Value rotate(Value x) {
    auto type = cast<RankedTensorType>(x.getType());
    auto signs = cast<RankedTensorType>(type.clone(b.builder.getI1Type()));
    Value minus = arith::NegFOp::create(b.builder, b.loc, sine);
    Value signedSine = arith::SelectOp::create(b.builder, b.loc,
                                               b.broadcast(channels.isFirst, signs), minus, sine);
    Value partner =
        tile::ExchangeOp::create(b.builder, b.loc, type, x, /*dim=*/0, channels.distance);
    return b.fma(partner, signedSine, b.mulf(x, cosine));
  }

  TileBuilder &b;
  const GpuProjection &projection;
  transformer::KVCacheType cache;
  int64_t dim;
  // Of the tile at hand.
  Places places;
  Channels channels;
  Value cosine, sine;
};

} // namespace

GpuEpilogue kernels::makeProjectionEpilogue(TileBuilder &b, const GpuProjection &projection) {
  auto writer = std::make_shared<ProjectionWriter>(b, projection);
  GpuEpilogue epilogue;
  epilogue.readInputs = [=](Value row, Value token, RankedTensorType sums) {
    writer->read(row, token, sums);
  };
  epilogue.finish = [=](Value row, Value token, MutableArrayRef<Value> sums) {
    writer->write(row, token, sums.front());
  };
  return epilogue;
}
