//===- GpuAttention.cpp - Attention over a paged cache by matrix units -------------------------------===//
//
// A block is one token and one head of the cache, with up to 16 query heads as rows. Its warps take
// pages in turn (page = step * warps + warp), each with an online softmax of its own:
//
//   s = q K^T,  m' = max(m, max s),  p = 2^(s - m'),  l' = l 2^(m - m') + sum p,  o' = o 2^(m - m')
//   + p V
//
// with s in units of log2 e; at the end the warps' (m, l, o) are merged. Products are of f16, sums
// and softmax float32. The order of the sums depends on the token's position alone.
//
// The order of the slots. What a lane has of s it must have as operand A of p V, and its operand B
// is a piece of 16 bytes of a row of values: slots that lie side by side. The instruction gives the
// lane columns 2 t, 2 t + 1 (t = lane % 4) of each 8. So column n of s is slot
//
//   (bits of n, lowest first)   n0 -> s0     n1 n2 -> the two highest     n3 ... -> s1 ...
//
// and lane t has the slots of piece t. Reshapes and transposes say so; no data moves.
//
//===----------------------------------------------------------------------------------------------===//

#include "GpuCache.h"

using namespace mlir;
using namespace ingot;
using namespace ingot::kernels;

namespace {

constexpr int64_t rows = 16; ///< query heads of a block
/// Stands for minus infinity, so that differences are never NaN.
constexpr double lowest = -1e30;

class Walk {
public:
  Walk(TileBuilder &b, transformer::CachedAttentionOp op, tile::KernelOp kernel, int64_t warps)
      : b(b), op(op), cache(op.getCache().getType()), args(kernel.getViews()), warps(warps),
        dim(cache.getDim()), page(cache.getPage()) {
    token = b.blockId(tile::Axis::X);
    head = b.blockId(tile::Axis::Y);
    firstRow = b.mul(b.blockId(tile::Axis::Z), rows);
    scores = sums(page);
    outputs = sums(dim);
    perRow = tile::getReducedType(scores, 2);
  }

  void emit() {
    tile::AwaitLaunchesOp::create(b.builder, b.loc);
    position = b.readIndex(args[1], {token});
    sequence = b.readIndex(args[2], {token});
    query = loadQuery();
    lastPage = b.div(position, page);
    Value first = b.index(0);
    if (auto window = op.getWindow()) {
      Value end = b.add(position, 1);
      start = b.sub(end, arith::MinUIOp::create(b.builder, b.loc, end, b.index(*window)));
      first = b.div(start, page * warps);
    }
    Value steps = b.add(b.div(lastPage, warps), 1);
    SmallVector<Value> state = {b.constant(perRow, lowest), b.constant(perRow, 0),
                                b.constant(outputs, 0)};
    state = b.forLoop(first, steps, 1, state,
                      [&](Value step, auto carried) { return addPages(step, carried); });
    merge(state);
  }

private:
  using Part = Spread::Part;

  /// The sums of a product, [warps, 16, columns].
  RankedTensorType sums(int64_t columns) {
    return spreadTile({warps, rows, columns}, b.f32(),
                      {{Part::Register, 2, 2},
                       {Part::Lane, 2, 4},
                       {Part::Lane, 1, 8},
                       {Part::Register, 1, 2},
                       {Part::Register, 2, columns / 8},
                       {Part::Warp, 0, warps}});
  }

  /// Operand A of q K^T, scaled: [warps, 16, dim], the same in all warps.
  Value loadQuery() {
    constexpr int64_t run = 8;
    constexpr double log2e = 1.4426950408889634;
    auto type = spreadTile({rows, dim}, b.f32(),
                           {{Part::Register, 1, run},
                            {Part::Lane, 1, 4},
                            {Part::Lane, 0, 8},
                            {Part::Register, 0, 2},
                            {Part::Register, 1, dim / (4 * run)},
                            {Part::Warp, -1, warps}});
    Value x = b.load(args[0], {token, head, firstRow, b.index(0)}, type, /*masked=*/true);
    x = b.mulf(x, b.constant(type, op.getScale().convertToDouble() * log2e));
    auto whole = spreadTile({warps, rows, dim}, b.f16(),
                            {{Part::Register, 2, run},
                             {Part::Lane, 2, 4},
                             {Part::Lane, 1, 8},
                             {Part::Register, 1, 2},
                             {Part::Register, 2, dim / (4 * run)},
                             {Part::Warp, 0, warps}});
    return b.broadcast(b.reshape(b.fromF32(x, b.f16()), {1, rows, dim}), whole);
  }

  /// The pages that the warps read in a step, and whether they are there: [warps, 1, 1].
  std::pair<Value, Value> findPages(Value step) {
    auto column = spreadTile({warps, 1}, b.i32(), {{Part::Lane, -1, 32}, {Part::Warp, 0, warps}});
    Value number = arith::AddIOp::create(b.builder, b.loc, b.iotaOf(column, 0),
                                         b.splat(b.toI32(b.mul(step, warps)), column));
    Value isThere = arith::CmpIOp::create(b.builder, b.loc, arith::CmpIPredicate::sle, number,
                                          b.splat(b.toI32(lastPage), column));
    Value none = b.constant(tile::getReducedType(column, 0), 0);
    Value physical =
        b.gather(args[3], {sequence, b.index(0)}, column, {{0, none}, {1, number}}, isThere);
    return {b.reshape(physical, {warps, 1, 1}), b.reshape(isThere, {warps, 1, 1})};
  }

  /// [.., slots] in the order of columns: see above.
  Value orderSlots(Value tile, int64_t before) {
    Value split = b.reshape(tile, {warps, before, 4, page / 8, 2});
    Value moved =
        tile::TransposeOp::create(b.builder, b.loc, split, ArrayRef<int64_t>{0, 1, 3, 2, 4});
    return b.reshape(moved, {warps, before, page});
  }

  /// Numbers past the range of f16 become its ends: slots that nothing has written hold anything,
  /// and their weight of 0 must meet a number.
  Value toF16(Value tile) {
    if (cache.getFormat().isF16())
      return tile;
    constexpr double end = 65504;
    Value x = b.toF32(tile);
    auto type = cast<RankedTensorType>(x.getType());
    x = arith::MinimumFOp::create(b.builder, b.loc, x, b.constant(type, end));
    x = arith::MaximumFOp::create(b.builder, b.loc, x, b.constant(type, -end));
    return b.fromF32(x, b.f16());
  }

  Value transposeLast(Value tile) {
    return tile::TransposeOp::create(b.builder, b.loc, tile, ArrayRef<int64_t>{0, 2, 1});
  }

  /// Operand B of q K^T: [warps, dim, columns].
  Value loadKeys(Value physical, Value isThere) {
    constexpr int64_t run = 8;
    auto type = spreadTile({warps, page, dim}, cache.getFormat(),
                           {{Part::Register, 2, run},
                            {Part::Lane, 2, 4},
                            {Part::Lane, 1, 2},
                            {Part::Register, 1, page / 8},
                            {Part::Lane, 1, 4},
                            {Part::Register, 2, dim / (4 * run)},
                            {Part::Warp, 0, warps}});
    Value zero = b.index(0);
    Value keys = toF16(b.gather(args[4], {head, zero, zero, zero}, type, {{1, physical}}, isThere));
    return orderSlots(transposeLast(keys), dim);
  }

  /// Operand B of p V: [warps, columns, dim].
  Value loadValues(Value physical, Value isThere) {
    auto type = spreadTile({warps, dim, page}, cache.getFormat(),
                           {{Part::Register, 2, page / 4},
                            {Part::Lane, 2, 4},
                            {Part::Lane, 1, 8},
                            {Part::Register, 1, dim / 8},
                            {Part::Warp, 0, warps}});
    Value zero = b.index(0);
    Value values =
        toF16(b.gather(args[5], {head, zero, zero, zero}, type, {{1, physical}}, isThere));
    return transposeLast(orderSlots(values, dim));
  }

  /// Whether the token sees the slot of each column: [warps, 1, columns].
  Value findVisible(Value step) {
    auto type = tile::getReducedType(tile::withElement(scores, b.i32()), 1);
    auto binary = [&](auto op, Value x, int64_t y) -> Value {
      return decltype(op)::create(b.builder, b.loc, x, b.constant(type, y));
    };
    auto add = [&](Value x, Value y) -> Value {
      return arith::AddIOp::create(b.builder, b.loc, x, y);
    };
    Value column = b.iotaOf(type, 2);
    Value lowest = binary(arith::AndIOp(), column, 1);
    Value highest = binary(arith::AndIOp(), binary(arith::ShRUIOp(), column, 1), 3);
    Value middle = binary(arith::ShRUIOp(), column, 3);
    Value slot = add(lowest, add(binary(arith::MulIOp(), highest, page / 4),
                                 binary(arith::MulIOp(), middle, 2)));
    Value pageStart = binary(arith::MulIOp(), b.iotaOf(type, 0), page);
    Value place = add(add(slot, pageStart), b.splat(b.toI32(b.mul(step, warps * page)), type));
    auto compare = [&](arith::CmpIPredicate predicate, Value bound) -> Value {
      return arith::CmpIOp::create(b.builder, b.loc, predicate, place,
                                   b.splat(b.toI32(bound), type));
    };
    Value isPast = compare(arith::CmpIPredicate::sle, position);
    if (!start)
      return isPast;
    return arith::AndIOp::create(b.builder, b.loc, isPast,
                                 compare(arith::CmpIPredicate::sge, start));
  }

  SmallVector<Value> addPages(Value step, ArrayRef<Value> state) {
    auto [physical, isThere] = findPages(step);
    Value keys = loadKeys(physical, isThere), values = loadValues(physical, isThere);
    Value score = tile::ContractOp::create(b.builder, b.loc, scores, tile::Atom::MmaM16N8K16, query,
                                           keys, b.constant(scores, 0));
    Value isSeen =
        b.broadcast(findVisible(step), cast<RankedTensorType>(scores.clone(b.builder.getI1Type())));
    score = arith::SelectOp::create(b.builder, b.loc, isSeen, score, b.constant(scores, lowest));
    Value largest = arith::MaximumFOp::create(b.builder, b.loc, state[0],
                                              b.reduce(tile::ReduceKind::Max, score, 2));
    Value correction = b.exp2(b.subf(state[0], largest));
    Value weight = b.exp2(b.subf(score, b.broadcast(largest, scores)));
    Value sum = b.fma(state[1], correction, b.reduce(tile::ReduceKind::Add, weight, 2));
    Value scaled = b.mulf(state[2], b.broadcast(correction, outputs));
    Value output = tile::ContractOp::create(b.builder, b.loc, outputs, tile::Atom::MmaM16N8K16,
                                            b.fromF32(weight, b.f16()), values, scaled);
    return {largest, sum, output};
  }

  /// A warp that saw no slot has weight 0: its maximum is the lowest.
  void merge(ArrayRef<Value> state) {
    Value largest = b.reduce(tile::ReduceKind::Max, state[0], 0);
    Value weight = b.exp2(b.subf(state[0], b.broadcast(largest, perRow)));
    Value sum = b.reduce(tile::ReduceKind::Add, b.mulf(state[1], weight), 0);
    Value output =
        b.reduce(tile::ReduceKind::Add, b.mulf(state[2], b.broadcast(weight, outputs)), 0);
    auto type = cast<RankedTensorType>(output.getType());
    Value result = b.reshape(b.divf(output, b.broadcast(sum, type)), {rows, dim});
    b.store(result, args[6], {token, head, firstRow, b.index(0)}, /*masked=*/true);
  }

  TileBuilder &b;
  transformer::CachedAttentionOp op;
  transformer::KVCacheType cache;
  ValueRange args; // query, positions, sequences, page table, keys, values, result
  int64_t warps, dim, page;
  RankedTensorType scores, outputs, perRow;
  Value token, head, firstRow, position, sequence, lastPage, query;
  Value start; // first position of the window, null without
};

} // namespace

Emission kernels::emitGpuAttention(const Request &request, OpBuilder &builder,
                                   OpBuilder &kernelBuilder) {
  transformer::ComputeOp compute = request.compute;
  auto op = findOp<transformer::CachedAttentionOp>(compute);
  auto cache = op.getCache().getType();
  auto query = cast<RankedTensorType>(op.getQuery().getType());
  MLIRContext *context = builder.getContext();
  int64_t heads = query.getDimSize(1), group = heads / cache.getHeads(), dim = cache.getDim();
  // Query heads as [heads of the cache, heads that share one]: rows past the last are masked.
  auto grouped = tile::ViewType::get(
      context, {tile::ViewType::sizeFor(request.rows), cache.getHeads(), group, dim},
      query.getElementType());
  SmallVector<Type> views{grouped};
  llvm::append_range(views, batchViews(context, pagesPerSequence(request, cache)));
  llvm::append_range(views, gpuCacheViews(cache, request.cachePages));
  views.push_back(grouped);
  auto kernel = beginKernel(kernelBuilder, request, views,
                            {tile::ExtentAttr::get(context, request.rows),
                             tile::ExtentAttr::get(context, cache.getHeads()),
                             tile::ExtentAttr::get(context, llvm::divideCeil(group, rows))});
  // What warps merge goes through 48 KB of shared memory.
  int64_t warps = dim <= 64 ? 8 : 4;
  kernel.setThreads(warps * 32);
  TileBuilder b(kernelBuilder, compute.getLoc());
  Walk(b, op, kernel, warps).emit();
  tile::ReturnOp::create(kernelBuilder, compute.getLoc());

  Emission emission{kernel};
  emission.operands = {outerValue(compute, op.getQuery()), outerValue(compute, op.getBatch()),
                       outerValue(compute, op.getCache()), outerValue(compute, op.getLayer())};
  emission.inPlace = {-1};
  emission.cost = {0, uint64_t(8 * heads * dim), 0};
  return emission;
}
