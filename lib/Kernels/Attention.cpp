//===- Attention.cpp - Attention over a paged cache -------------------------------------------------===//
//
// One block is one query head of one token; it walks the token's context page by page in ascending
// order with the online softmax (Milakov and Gimelshein 2018): maximum m, sum l and weighted values
// o of what has been seen,
//
//   m' = max(m, max s),  p = 2^(s - m'),  l' = l 2^(m - m') + sum p,  o' = o 2^(m - m') + p V
//
// with scores s in units of log2 e. Keys lie transposed, so a register holds the scores of 8
// positions and no sum goes across lanes; for p V the lanes are channels. Only pages at the ends of
// what the token sees are masked (the cache behind its position holds other numbers, perhaps not
// finite): others take the same arithmetic without. The order depends on the token's position
// alone, so do its bits.
//
//===----------------------------------------------------------------------------------------------===//

#include "Common.h"
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
  return success();
}

/// The emitter of one kernel: constants of the region, views of the kernel, values of the block.
class Walk {
public:
  Walk(TileBuilder &b, const Request &request, transformer::CachedAttentionOp op,
       tile::KernelOp kernel)
      : b(b), op(op), cache(op.getCache().getType()), args(kernel.getViews()),
        vector(tileType({1, int64_t(llvm::PowerOf2Ceil(cache.getDim()))}, b.f32(), 1)),
        scores(tileType({1, cache.getPage()}, b.f32(), 1)), one(tileType({1, 1}, b.f32(), -1)) {
    token = b.blockId(tile::Axis::X);
    head = b.blockId(tile::Axis::Y);
    int64_t heads = cast<RankedTensorType>(op.getQuery().getType()).getDimSize(1);
    cacheHead = b.div(head, heads / cache.getHeads());
    position = b.readIndex(args[1], {token});
    sequence = b.readIndex(args[2], {token});
  }

  void emit() {
    Value end = b.add(position, 1);
    Value last = b.div(position, cache.getPage());
    Value first = b.index(0), firstFull = first;
    if (auto window = op.getWindow()) {
      Value width = b.index(*window);
      start = b.sub(end, arith::MinUIOp::create(b.builder, b.loc, end, width));
      first = b.div(start, cache.getPage());
      firstFull = b.div(b.add(start, cache.getPage() - 1), cache.getPage());
      firstFull = arith::MinUIOp::create(b.builder, b.loc, firstFull, last);
    }
    SmallVector<Value> state{b.constant(one, -INFINITY), b.constant(one, 0), b.constant(vector, 0)};
    if (start)
      state = walk(first, firstFull, state, /*masked=*/true);
    state = walk(firstFull, last, state, /*masked=*/false);
    state = walk(last, b.add(last, 1), state, /*masked=*/true);
    Value result = b.divf(state[2], b.broadcast(state[1], vector));
    b.store(result, args[6], {token, head, b.index(0)}, isPadded());
  }

private:
  bool isPadded() const { return vector.getDimSize(1) != cache.getDim(); }

  SmallVector<Value> walk(Value begin, Value end, ArrayRef<Value> state, bool masked) {
    return b.forLoop(begin, end, 1, state,
                     [&](Value page, auto carried) { return addPage(page, carried, masked); });
  }

  /// q . k for each position of a page, in units of log2 e.
  Value scorePage(Value physical) {
    constexpr int64_t chunk = 8;
    constexpr double log2e = 1.4426950408889634;
    Value zero = b.index(0);
    Value sums = b.forLoop(
        zero, b.index(cache.getDim()), chunk, {b.constant(scores, 0)},
        [&](Value channel, auto acc) {
          Value query = b.load(args[0], {token, head, channel}, tileType({1, chunk}, b.f32(), -1));
          auto stored = tileType({chunk, cache.getPage()}, cache.getFormat(), 1);
          Value keys = b.toF32(b.load(args[4], {physical, cacheHead, channel, zero}, stored));
          Value next = tile::ContractOp::create(b.builder, b.loc, scores, tile::Atom::Fma, query,
                                                keys, acc[0]);
          return SmallVector<Value>{next};
        })[0];
    return b.mulf(sums, b.constant(scores, op.getScale().convertToDouble() * log2e));
  }

  /// Whether the token sees each position of `page`, positions along `dim` of a tile of this shape.
  Value visible(Value page, ArrayRef<int64_t> shape, int laneDim, int64_t dim) {
    Value offsets = b.iota(shape, laneDim, dim);
    auto type = cast<RankedTensorType>(offsets.getType());
    auto splat = [&](Value index) { return b.splat(b.toI32(index), type); };
    Value positions =
        arith::AddIOp::create(b.builder, b.loc, offsets, splat(b.mul(page, cache.getPage())));
    auto compare = [&](arith::CmpIPredicate predicate, Value bound) -> Value {
      return arith::CmpIOp::create(b.builder, b.loc, predicate, positions, splat(bound));
    };
    Value isPast = compare(arith::CmpIPredicate::sle, position);
    if (!start)
      return isPast;
    return arith::AndIOp::create(b.builder, b.loc, isPast,
                                 compare(arith::CmpIPredicate::sge, start));
  }

  Value select(Value condition, Value x, double otherwise) {
    return arith::SelectOp::create(b.builder, b.loc, condition, x,
                                   b.constant(cast<RankedTensorType>(x.getType()), otherwise));
  }

  SmallVector<Value> addPage(Value page, ArrayRef<Value> state, bool masked) {
    Value physical = b.readIndex(args[3], {sequence, page});
    Value score = scorePage(physical);
    if (masked)
      score = select(visible(page, scores.getShape(), 1, 1), score, -INFINITY);
    Value largest = arith::MaximumFOp::create(b.builder, b.loc, state[0],
                                              b.reduce(tile::ReduceKind::Max, score, 1));
    Value correction = b.exp2(b.subf(state[0], largest));
    Value weight = b.exp2(b.subf(score, b.broadcast(largest, scores)));
    Value sum = b.fma(state[1], correction, b.reduce(tile::ReduceKind::Add, weight, 1));

    Value zero = b.index(0);
    SmallVector<int64_t> valueShape{cache.getPage(), vector.getDimSize(1)};
    Value values = b.toF32(b.load(args[5], {physical, cacheHead, zero, zero},
                                  tileType(valueShape, cache.getFormat(), 1), isPadded()));
    if (masked)
      values = select(visible(page, valueShape, 1, 0), values, 0);
    Value replicated = b.convertLayout(weight, tileType({1, cache.getPage()}, b.f32(), -1));
    Value scaled = b.mulf(state[2], b.broadcast(correction, vector));
    Value output = tile::ContractOp::create(b.builder, b.loc, vector, tile::Atom::Fma, replicated,
                                            values, scaled);
    return {largest, sum, output};
  }

  TileBuilder &b;
  transformer::CachedAttentionOp op;
  transformer::KVCacheType cache;
  ValueRange args; // query, positions, sequences, page table, keys, values, result
  RankedTensorType vector, scores, one;
  Value token, head, cacheHead, position, sequence;
  Value start; // first position of the window, null without
};

Emission emit(const Request &request, OpBuilder &builder, OpBuilder &kernelBuilder) {
  transformer::ComputeOp compute = request.compute;
  auto op = findOp<transformer::CachedAttentionOp>(compute);
  auto cache = op.getCache().getType();
  if (isGpuCache(request.machine, cache))
    return emitGpuAttention(request, builder, kernelBuilder);
  auto query = cast<RankedTensorType>(op.getQuery().getType());
  MLIRContext *context = builder.getContext();
  Type queryView = rowsView(query, request.rows);
  SmallVector<Type> views{queryView};
  llvm::append_range(views, batchViews(context, pagesPerSequence(request, cache)));
  llvm::append_range(views, cacheViews(cache, request.cachePages));
  views.push_back(queryView);
  auto kernel = beginKernel(kernelBuilder, request, views,
                            {tile::ExtentAttr::get(context, request.rows),
                             tile::ExtentAttr::get(context, query.getDimSize(1))});
  TileBuilder b(kernelBuilder, compute.getLoc());
  Walk(b, request, op, kernel).emit();
  tile::ReturnOp::create(kernelBuilder, compute.getLoc());

  Emission emission{kernel};
  emission.operands = {outerValue(compute, op.getQuery()), outerValue(compute, op.getBatch()),
                       outerValue(compute, op.getCache()), outerValue(compute, op.getLayer())};
  emission.inPlace = {-1};
  // What the cache costs depends on the context, which is no count of a step; this is the part that
  // does not.
  emission.cost = {0, uint64_t(8 * query.getDimSize(1) * cache.getDim()), 0};
  return emission;
}

} // namespace

const Family kernels::pagedAttentionFamily = {"PagedAttention", supports, emit};
