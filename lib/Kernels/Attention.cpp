//===- Attention.cpp - Attention over a paged cache -------------------------------------------------===//
//
// What is computed, and in which order, is AttentionWalk.h's; here is who computes what. A *run* is
// the tokens of one sequence in the step; they lie side by side. Block (split, token, cache head):
//
//   a run of more than 8 tokens (a prompt) is cut into tiles of up to 8; the block of a tile's
//   first token and split 0 walks all splits of the context, and stores the result; a run of up to
//   8 tokens (decoding, a draft to verify) is one tile; each split of a context of several has a
//   block, which stores its state, and a second kernel merges them. So a long context is divided
//   among threads however few tokens there are.
//
// Other blocks return at once. Both ways do the same arithmetic in the same order.
//
//===----------------------------------------------------------------------------------------------===//

#include "AttentionWalk.h"
#include "Families.h"
#include "GpuCache.h"

using namespace mlir;
using namespace ingot;
using namespace ingot::kernels;

namespace {

LogicalResult supports(const Request &request, std::string &reason) {
  auto op = findOp<transformer::CachedAttentionOp>(request.compute);
  if (!op)
    return reason = "the region is not one cached_attention", failure();
  auto cache = op.getCache().getType();
  if (cache.getDim() % 8 || cache.getPage() % 8 || !llvm::isPowerOf2_64(cache.getPage()))
    return reason = "head dimension and page are not multiples of 8", failure();
  if (isGpuCache(request.machine, cache) && op.getBidirectional())
    return reason = "attention to later positions is not there for GPUs", failure();
  if (failed(canCache(request.machine, cache, reason)))
    return failure();
  constexpr int64_t most[] = {512 << 10, 48 << 10}; // a CPU's stack, a GPU's shared memory
  bool isGpu = request.machine == Machine::Cuda;
  if (!isGpuCache(request.machine, cache) &&
      AttentionShape(op, request.machine).blockBytes() > most[isGpu])
    return reason = "the heads that share a cache head need too much memory of a block", failure();
  return success();
}

/// Where a token stands in its run, and how the run is computed.
struct Run {
  Value position;              ///< of the token, or up to which all tokens of the run see
  Value sequence, before;      ///< of the token; tokens of the run before it, at most 8
  Value isShort;               ///< the run is one tile
  Value count;                 ///< tokens of the run, or of its tile, from this one on
  Value firstSplit, lastSplit; ///< of what these tokens see
  Value isSplit;               ///< each split has a block of its own
};

Value compare(TileBuilder &b, arith::CmpIPredicate predicate, Value x, Value y) {
  return arith::CmpIOp::create(b.builder, b.loc, predicate, x, y);
}
Value isLess(TileBuilder &b, Value x, Value y) {
  return compare(b, arith::CmpIPredicate::ult, x, y);
}
Value select(TileBuilder &b, Value condition, Value x, Value y) {
  return arith::SelectOp::create(b.builder, b.loc, condition, x, y);
}
Value both(TileBuilder &b, Value x, Value y) {
  return arith::AndIOp::create(b.builder, b.loc, x, y);
}

/// Of the next tokens in a direction, as many as a tile has, those of the same sequence.
Value countNeighbours(TileBuilder &b, const AttentionShape &shape, Value sequences, Value token,
                      Value sequence, Value tokens, bool isForward) {
  Value count = b.index(0);
  for (int64_t distance = 1; distance <= shape.tileTokens; ++distance) {
    Value other = isForward ? b.add(token, distance) : b.sub(token, b.index(distance));
    Value exists = isForward ? isLess(b, other, tokens) : isLess(b, b.index(distance - 1), token);
    Value same = compare(b, arith::CmpIPredicate::eq,
                         b.readIndex(sequences, {select(b, exists, other, token)}), sequence);
    Value counts = both(b, exists, same);
    count = b.add(count,
                  arith::IndexCastUIOp::create(b.builder, b.loc, b.builder.getIndexType(), counts)
                      .getResult());
  }
  return count;
}

/// The last token of a token's run, found by halving what the longest sequence may have.
Value findLast(TileBuilder &b, Value sequences, Value token, Value sequence, Value tokens,
               int64_t contextTokens) {
  Value last = token;
  for (int64_t step = llvm::PowerOf2Ceil(contextTokens); step > 0; step /= 2) {
    Value other = b.add(last, step);
    Value exists = isLess(b, other, tokens);
    Value at = select(b, exists, other, token);
    Value same = compare(b, arith::CmpIPredicate::eq, b.readIndex(sequences, {at}), sequence);
    last = select(b, both(b, exists, same), other, last);
  }
  return last;
}

Run readRun(TileBuilder &b, const AttentionShape &shape, ValueRange batch, Value token,
            int64_t contextTokens) {
  Run run;
  run.sequence = b.readIndex(batch[1], {token});
  Value tokens = b.count(tile::Count::Tokens), most = b.index(shape.tileTokens);
  Value seesUpTo = token;
  if (shape.isBidirectional)
    seesUpTo = findLast(b, batch[1], token, run.sequence, tokens, contextTokens);
  run.position = b.readIndex(batch[0], {seesUpTo});
  run.before = countNeighbours(b, shape, batch[1], token, run.sequence, tokens, false);
  Value after = countNeighbours(b, shape, batch[1], token, run.sequence, tokens, true);
  run.isShort = isLess(b, b.add(run.before, after), most);
  Value toBorder = b.sub(most, b.rem(token, shape.tileTokens));
  Value inTile = arith::MinUIOp::create(b.builder, b.loc, b.add(after, 1), toBorder);
  run.count = select(b, run.isShort, b.add(after, 1), inTile);
  Value last = run.position;
  if (!shape.isBidirectional)
    last = b.sub(b.add(run.position, run.count), b.index(1));
  run.firstSplit = b.div(firstVisible(b, shape, run.position), AttentionShape::splitTokens);
  run.lastSplit = b.div(last, AttentionShape::splitTokens);
  run.isSplit = both(b, run.isShort, isLess(b, b.index(0), run.lastSplit));
  return run;
}

/// Most splits of one sequence.
int64_t splitsOf(const Request &request) {
  return llvm::divideCeil(request.contextTokens, AttentionShape::splitTokens);
}

void emitWalk(TileBuilder &b, const AttentionShape &shape, ValueRange views, Value result,
              Value partial, int64_t contextTokens) {
  Value split = b.blockId(tile::Axis::X), token = b.blockId(tile::Axis::Y),
        head = b.blockId(tile::Axis::Z), zero = b.index(0), one = b.index(1);
  Value position = b.readIndex(views[1], {token}), sequence = b.readIndex(views[2], {token});
  // Most blocks have nothing to do: their split is past the context, or the token is no tile's
  // first.
  Value isReached =
      isLess(b, b.mul(split, AttentionShape::splitTokens), b.add(position, shape.tileTokens));
  if (shape.isBidirectional)
    isReached = arith::ConstantOp::create(b.builder, b.loc, b.builder.getBoolAttr(true));
  Value previous = select(b, isLess(b, zero, token), b.sub(token, one), token);
  Value begins = compare(b, arith::CmpIPredicate::ne, b.readIndex(views[2], {previous}), sequence);
  for (Value at : {token, b.rem(token, shape.tileTokens)})
    begins = arith::OrIOp::create(b.builder, b.loc, begins,
                                  compare(b, arith::CmpIPredicate::eq, at, zero));
  b.ifTrue(both(b, isReached, begins), [&] {
    Run run = readRun(b, shape, views.slice(1, 2), token, contextTokens);
    Value isFirst = compare(b, arith::CmpIPredicate::eq, run.before, zero);
    Value isLong =
        compare(b, arith::CmpIPredicate::eq, run.isShort,
                arith::ConstantOp::create(b.builder, b.loc, b.builder.getBoolAttr(false)));
    Value leads = arith::OrIOp::create(b.builder, b.loc, isLong, isFirst);
    Value walksAll = compare(b, arith::CmpIPredicate::eq, split, zero);
    Value walksOne = both(b, compare(b, arith::CmpIPredicate::uge, split, run.firstSplit),
                          compare(b, arith::CmpIPredicate::ule, split, run.lastSplit));
    Value walks = select(b, run.isSplit, walksOne, walksAll);
    b.ifTrue(both(b, leads, walks), [&] {
      AttentionWalk walk(b, shape, views, {token, run.count, run.position, run.sequence, head});
      auto walkAllSplits = [&] {
        walk.clearTotals();
        b.forLoop(run.firstSplit, b.add(run.lastSplit, 1), 1, [&](Value each) {
          walk.walkSplit(each);
          walk.mergeSplit(each);
        });
        walk.storeTotals(result);
      };
      if (!partial) // the longest context is one split
        return walkAllSplits();
      b.ifTrue(
          run.isSplit,
          [&] {
            walk.walkSplit(split);
            walk.storePartial(partial, split);
          },
          walkAllSplits);
    });
  });
}

/// One head of one token: merges its splits, where they were computed one by one.
void emitMerge(TileBuilder &b, const AttentionShape &shape, ValueRange batch, Value partial,
               Value result, int64_t contextTokens) {
  constexpr int64_t lanes = AttentionShape::lanes;
  Value head = b.blockId(tile::Axis::X), token = b.blockId(tile::Axis::Y);
  auto vector = tileType({1, lanes}, b.f32(), 1), one = tileType({1, 1}, b.f32(), -1);
  Run run = readRun(b, shape, batch, token, contextTokens);
  // The last token of the run decides for all of it.
  b.ifTrue(run.isSplit, [&] {
    Value last = b.add(b.div(run.position, AttentionShape::splitTokens), 1);
    auto load = [&](Value split, int64_t column, RankedTensorType type) {
      return b.load(partial, {run.sequence, run.before, split, head, b.index(column)}, type);
    };
    SmallVector<Value> state{b.constant(one, -INFINITY), b.constant(one, 0)};
    state.append(shape.dim / lanes, b.constant(vector, 0));
    state = b.forLoop(run.firstSplit, last, 1, state, [&](Value split, auto acc) {
      MergedState merged = mergeStates(b, acc[0], acc[1], load(split, shape.dim, one),
                                       load(split, shape.dim + 1, one));
      Value keep = b.broadcast(merged.keep, vector), take = b.broadcast(merged.take, vector);
      SmallVector<Value> next{merged.largest, merged.sum};
      for (auto [i, sum] : llvm::enumerate(acc.drop_front(2)))
        next.push_back(b.fma(sum, keep, b.mulf(load(split, i * lanes, vector), take)));
      return next;
    });
    Value sum = b.broadcast(state[1], vector);
    for (auto [i, output] : llvm::enumerate(ArrayRef(state).drop_front(2)))
      b.store(b.divf(output, sum), result, {token, head, b.index(i * lanes)});
  });
}

Emission emit(const Request &request, OpBuilder &builder, OpBuilder &kernelBuilder) {
  transformer::ComputeOp compute = request.compute;
  auto op = findOp<transformer::CachedAttentionOp>(compute);
  auto cache = op.getCache().getType();
  if (isGpuCache(request.machine, cache))
    return emitGpuAttention(request, kernelBuilder);
  auto query = cast<RankedTensorType>(op.getQuery().getType());
  MLIRContext *context = builder.getContext();
  AttentionShape shape(op, request.machine);
  int64_t splits = splitsOf(request);
  auto batch = batchViews(context, pagesPerSequence(request, cache));
  auto partialType = RankedTensorType::get({ShapedType::kDynamic, shape.tileTokens, splits,
                                            shape.heads, shape.dim + AttentionShape::lanes},
                                           builder.getF32Type());
  Type queryView = rowsView(query, request.rows),
       partialView = rowsView(partialType, tile::Count::Sequences);
  SmallVector<Type> views{queryView};
  llvm::append_range(views, batch);
  llvm::append_range(views, cacheViews(cache, request.cachePages));
  unsigned result = views.size();
  views.push_back(queryView);
  if (splits > 1)
    views.push_back(partialView);
  auto tokens = tile::ExtentAttr::get(context, request.rows);
  auto kernel = beginKernel(kernelBuilder, request, views,
                            {tile::ExtentAttr::get(context, splits), tokens,
                             tile::ExtentAttr::get(context, shape.cacheHeads)});
  TileBuilder b(kernelBuilder, compute.getLoc());
  auto args = kernel.getViews();
  emitWalk(b, shape, args, args[result], splits > 1 ? Value(args.back()) : Value(),
           request.contextTokens);
  tile::ReturnOp::create(kernelBuilder, compute.getLoc());

  Value outerBatch = outerValue(compute, op.getBatch());
  Emission emission{kernel};
  emission.operands = {outerValue(compute, op.getQuery()), outerBatch,
                       outerValue(compute, op.getCache()), outerValue(compute, op.getLayer())};
  emission.inPlace = {-1};
  uint64_t headBytes = 0;
  for (bool isKey : {true, false})
    headBytes += cache.getHeadBytes(isKey) + cache.getScaleBytes(isKey);
  emission.cost = {0, uint64_t(cache.getHeads()) * headBytes, 4 * uint64_t(shape.heads) * shape.dim,
                   /*perContext=*/true};
  if (splits == 1)
    return emission;
  emission.scratch = {partialType};
  Location loc = compute.getLoc();
  emission.finish = [=](OpBuilder &kernelBuilder, ValueRange results) {
    SmallVector<Type> views;
    llvm::append_range(views, batch);
    views.append({queryView, partialView});
    Request merge = request;
    merge.name += "Merge";
    auto kernel = beginKernel(kernelBuilder, merge, views,
                              {tile::ExtentAttr::get(context, shape.heads), tokens});
    auto args = kernel.getViews();
    TileBuilder b(kernelBuilder, loc);
    emitMerge(b, shape, ValueRange(args).take_front(2), args[4], args[3], merge.contextTokens);
    tile::ReturnOp::create(kernelBuilder, b.loc);
    Emission second{kernel};
    second.operands = {outerBatch, results[0], results[1]};
    second.inPlace = {1};
    return second;
  };
  return emission;
}

} // namespace

const Family kernels::pagedAttentionFamily = {"PagedAttention", supports, emit};
