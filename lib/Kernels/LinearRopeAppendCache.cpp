//===- LinearRopeAppendCache.cpp - Queries, keys and values of a layer in one launch ----------------===//
//
// One product with the stacked weights of query, key and value. A row group of 8 outputs lies in
// one head, so what becomes of it is decided by its number: queries are rotated and stored, keys
// are rotated and appended to the cache, values are appended. Interleaved pairs are neighbouring
// lanes; cosines and sines come from the table of `rope_table`, a row for each position. Tokens are
// taken one by one because each has its own position and page.
//
// Keys are stored transposed, [dim, page], so that attention finds a register of positions side by
// side.
//
//===----------------------------------------------------------------------------------------------===//

#include "Families.h"
#include "Product.h"

using namespace mlir;
using namespace ingot;
using namespace ingot::kernels;

namespace {

constexpr int64_t rowGroupsPerBlock = 2;

struct Region {
  transformer::LinearOp linear;
  transformer::RopeOp queryRope, keyRope;
  transformer::AppendCacheOp append;
};

std::optional<Region> regionOf(const Request &request) {
  Region region{findOp<transformer::LinearOp>(request.compute),
                {},
                {},
                findOp<transformer::AppendCacheOp>(request.compute)};
  if (!region.linear || !region.append)
    return std::nullopt;
  region.keyRope = region.append.getKey().getDefiningOp<transformer::RopeOp>();
  for (auto rope : request.compute->getRegion(0).front().getOps<transformer::RopeOp>())
    if (rope != region.keyRope)
      region.queryRope = rope;
  return region.keyRope && region.queryRope ? std::optional(region) : std::nullopt;
}

LogicalResult supports(const Request &request, std::string &reason) {
  auto region = regionOf(request);
  if (!region)
    return reason = "the region is not linear, rope of query and key, append_cache", failure();
  auto rope = region->queryRope;
  auto cache = region->append.getCache().getType();
  if (rope.getLayout() != transformer::RopeLayout::Interleaved ||
      int64_t(rope.getDims().value_or(cache.getDim())) != cache.getDim())
    return reason = "only interleaved rope over the whole head is there", failure();
  if (cache.getDim() % interleavedRows)
    return reason = "the head dimension is not a multiple of 8", failure();
  if (rope.getBase() != region->keyRope.getBase() ||
      rope.getFactors() != region->keyRope.getFactors())
    return reason = "query and key rotate differently", failure();
  return canMultiply(region->linear, reason);
}

/// A tile of D/2 consecutive values of the table for 8 channels: [8, 1], each value in the two
/// lanes of its pair.
Value loadAngles(TileBuilder &b, Value table, Value position, Value firstPair) {
  auto pairs = tileType({interleavedRows, 1}, b.f32(), 0);
  // As [4, 2, 1] the pair's number moves with the upper lane bits; loading [4, 1, 1] replicates it
  // over the lowest.
  Value channels = b.constant(pairs, 0);
  auto shaped = tile::ReshapeOp::create(b.builder, b.loc, channels,
                                        ArrayRef<int64_t>{interleavedRows / 2, 2, 1});
  auto whole = cast<RankedTensorType>(shaped.getType());
  auto layout = cast<tile::LayoutAttr>(whole.getEncoding()).getReduced(1);
  auto loaded = RankedTensorType::get({interleavedRows / 2, 1, 1}, b.f32(), layout);
  Value angles = b.load(table, {firstPair, b.index(0), position}, loaded);
  Value both = b.broadcast(angles, whole);
  return tile::ReshapeOp::create(b.builder, b.loc, both, ArrayRef<int64_t>{interleavedRows, 1});
}

/// (a, b) -> (a cos - b sin, b cos + a sin) for neighbouring lanes.
Value rotatePairs(TileBuilder &b, Value x, Value cosine, Value sine) {
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

Emission emit(const Request &request, OpBuilder &builder, OpBuilder &kernelBuilder) {
  Region region = *regionOf(request);
  transformer::ComputeOp compute = request.compute;
  MLIRContext *context = builder.getContext();
  auto cache = region.append.getCache().getType();
  auto weight = region.linear.getWeight().getType();
  int64_t dim = cache.getDim(), keyRows = cache.getHeads() * dim,
          queryRows = weight.getRows() - 2 * keyRows;

  SmallVector<Type> views = productViews(region.linear, request.rows);
  views.push_back(packedView(weight));
  unsigned tableView = views.size();
  views.push_back(ropeTableView(context, request.contextTokens, dim));
  llvm::append_range(views, batchViews(context, pagesPerSequence(request, cache)));
  llvm::append_range(views, cacheViews(cache, request.cachePages));
  views.push_back(transposedView(builder.getF32Type(), queryRows, request.rows));
  int64_t groups = weight.getRows() / interleavedRows;
  constexpr int64_t blockTokens = 64;
  auto kernel =
      beginKernel(kernelBuilder, request, views,
                  {tile::ExtentAttr::get(context, llvm::divideCeil(groups, rowGroupsPerBlock)),
                   tile::ExtentAttr::get(context, request.rows, blockTokens)});
  auto args = kernel.getViews();
  bool isQuantized = bool(region.linear.getScales());
  ProductInput input{args[0], isQuantized ? Value(args[1]) : Value(), weight.getColumns()};
  Value weights = args[tableView - 1], angles = args[tableView];
  ValueRange batch = ValueRange(args).slice(tableView + 1, 3);
  Value keys = args[tableView + 4], values = args[tableView + 5], queries = args[tableView + 6];

  TileBuilder b(kernelBuilder, compute.getLoc());
  auto clamp = [&](Value end, Value limit) -> Value {
    return arith::MinUIOp::create(b.builder, b.loc, end, limit);
  };
  Value firstGroup = b.mul(b.blockId(tile::Axis::X), rowGroupsPerBlock);
  Value firstToken = b.mul(b.blockId(tile::Axis::Y), blockTokens);
  Value lastGroup = clamp(b.add(firstGroup, rowGroupsPerBlock), b.index(groups));
  Value lastToken = clamp(b.add(firstToken, blockTokens), b.count(request.rows));
  b.forLoop(firstGroup, lastGroup, 1, [&](Value group) {
    Value row = b.mul(group, interleavedRows);
    b.forLoop(firstToken, lastToken, 1, [&](Value token) {
      Value sums = emitProducts(b, input, weights, row, 1, token, 1)[0];
      TokenPlace place = readPlace(b, batch, token, cache.getPage());
      Value channel = b.rem(row, dim), pair = b.div(channel, 2);
      auto rotated = [&] {
        // Sines are the same view, dim/2 further.
        Value firstSine = b.add(pair, dim / 2);
        Value cosine = loadAngles(b, angles, place.position, pair),
              sine = loadAngles(b, angles, place.position, firstSine);
        return rotatePairs(b, sums, cosine, sine);
      };
      b.ifLess(
          row, b.index(queryRows), [&] { b.store(rotated(), queries, {row, token}); },
          [&] {
            Value keyRow = b.sub(row, b.index(queryRows));
            b.ifLess(
                keyRow, b.index(keyRows),
                [&] {
                  b.store(b.fromF32(rotated(), cache.getFormat()), keys,
                          {place.page, b.div(keyRow, dim), channel, place.slot});
                },
                [&] {
                  Value valueRow = b.sub(keyRow, b.index(keyRows));
                  Value across =
                      tile::TransposeOp::create(b.builder, b.loc, sums, ArrayRef<int64_t>{1, 0});
                  b.store(b.fromF32(across, cache.getFormat()), values,
                          {place.page, b.div(valueRow, dim), place.slot, channel});
                });
          });
    });
  });
  tile::ReturnOp::create(kernelBuilder, compute.getLoc());

  Emission emission{kernel};
  emission.operands.push_back(outerValue(compute, region.linear.getInput()));
  if (isQuantized)
    emission.operands.push_back(outerValue(compute, region.linear.getScales()));
  emission.operands.push_back(
      packWeight(builder, compute.getLoc(), outerValue(compute, region.linear.getWeight())));
  emission.operands.push_back(ropeTable(request, builder, region.queryRope, dim));
  emission.operands.push_back(outerValue(compute, region.append.getBatch()));
  int64_t cacheOperand = emission.operands.size();
  emission.operands.push_back(outerValue(compute, region.append.getCache()));
  emission.operands.push_back(outerValue(compute, region.append.getLayer()));
  emission.inPlace = resultsInPlace(compute, cacheOperand);
  emission.cost = productCost(region.linear);
  return emission;
}

} // namespace

const Family kernels::linearRopeAppendCacheFamily = {"LinearRopeAppendCache", supports, emit};
