//===- GpuAttention.cpp - Attention over a paged cache by matrix units -------------------------------===//
//
// A block has one token and one head of the cache, with up to 16 query heads as rows. Its warps
// take pages in turn, each with an online softmax of its own:
//
//   s = q K^T,  m' = max(m, max s),  p = 2^(s - m'),  l' = l 2^(m - m') + sum p,  o' = o 2^(m - m')
//   + p V
//
// with s in units of log2 e; at the end the warps' (m, l, o) are merged through memory of the
// block. Products are of f16, sums and softmax float32.
//
// Who takes which page. Where a step has more tokens than sequences (a prompt), a block walks the
// context alone: page = step * warps + warp. Else (decoding) tokens are too few for the chip, and
// the context is dealt out to `splits` blocks too: page = (step * splits + split) * warps + warp;
// blocks past the token's last page return. They leave their states, and a second launch merges
// those of a token, split by split. Either way the order of the sums depends on the token's
// position alone. An example, 4 warps, 16 splits, pages of 32: a token at position 1000 sees pages
// 0 to 31; split 0 has pages 0 to 3, split 7 pages 28 to 31, splits 8 to 15 have none.
//
// What is read ahead. Positions and page table are inputs of the step, and pages before the token's
// last were written by earlier steps where it is the first of its sequence in this one: a split of
// such pages is on its way while what the launch waits for, the queries, is still computed.
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
constexpr int64_t warps = 4; ///< of a block
constexpr int64_t mostSplits = 16;
/// Columns behind the channels of a stored state: its maximum and its sum. With 8, rows of it
/// start in other banks of shared memory.
constexpr int64_t stateColumns = 8;
/// Stands for minus infinity, so that differences are never NaN.
constexpr double lowest = -1e30;
constexpr double log2e = 1.4426950408889634;

/// Sizes of one attention.
struct Sizes {
  Sizes(transformer::CachedAttentionOp op, int64_t contextTokens) : cache(op.getCache().getType()) {
    heads = cast<RankedTensorType>(op.getQuery().getType()).getDimSize(1);
    group = heads / cache.getHeads();
    rowBlocks = llvm::divideCeil(group, rows);
    splits =
        std::min<int64_t>(mostSplits, llvm::divideCeil(contextTokens, warps * cache.getPage()));
  }

  transformer::KVCacheType cache;
  int64_t heads, group; ///< query heads; those that share a head of the cache
  int64_t rowBlocks;    ///< blocks for one head of the cache
  int64_t splits;       ///< blocks that share the context of one token
};

/// What softmax has come to: maximum, sum of weights, weighted sum of values.
struct State {
  Value largest, sum, output;
};

/// States of several parts of the context, [parts, rows, dim], in registers side by side; rows and
/// channels over the threads.
class Merger {
public:
  Merger(TileBuilder &b, const Sizes &sizes) : b(b), sizes(sizes), dim(sizes.cache.getDim()) {
    tileRows = llvm::PowerOf2Ceil(std::min(sizes.group, rows));
  }

  /// Of the warps, from memory of the block [warps, rows, dim + 2].
  State mergeWarps(Value shared) {
    auto type = stateType(warps);
    Value zero = b.index(0);
    auto load = [&](RankedTensorType type, int64_t column) {
      return b.load(shared, {zero, zero, b.index(column)}, type, /*masked=*/true);
    };
    auto one = tile::getReducedType(type, 2);
    return add(start(), {load(one, dim), load(one, dim + 1), load(type, 0)});
  }

  /// Of the first `count` splits of a token, from memory [.., splits, rows of the head, dim + 2].
  State mergeSplits(Value partial, Value token, Value head, Value firstRow, Value count) {
    constexpr int64_t mostRegisters = 64;
    int64_t ofOne = std::max<int64_t>(tileRows * dim / (32 * warps), 1);
    int64_t parts = std::min<int64_t>(llvm::PowerOf2Ceil(sizes.splits),
                                      std::max<int64_t>(mostRegisters / ofOne, 1));
    auto addParts = [&](Value first, const State &state) {
      return add(state,
                 loadSplits(partial, {token, head, first, firstRow}, parts, b.sub(count, first)));
    };
    if (parts >= sizes.splits)
      return addParts(b.index(0), start());
    State state = start();
    auto merged = b.forLoop(b.index(0), count, parts, {state.largest, state.sum, state.output},
                            [&](Value first, auto carried) -> SmallVector<Value> {
                              State next = addParts(first, {carried[0], carried[1], carried[2]});
                              return {next.largest, next.sum, next.output};
                            });
    return {merged[0], merged[1], merged[2]};
  }

private:
  using Part = Spread::Part;

  RankedTensorType stateType(int64_t parts) {
    constexpr int64_t lanes = 32, run = 4;
    int64_t laneColumns = std::min(lanes, dim / run),
            laneRows = std::min(lanes / laneColumns, tileRows),
            warpRows = std::min(warps, tileRows / laneRows);
    return spreadTile({parts, tileRows, dim}, b.f32(),
                      {{Part::Register, 2, run},
                       {Part::Lane, 2, laneColumns},
                       {Part::Lane, 1, laneRows},
                       {Part::Lane, -1, lanes / (laneColumns * laneRows)},
                       {Part::Warp, 1, warpRows},
                       {Part::Warp, -1, warps / warpRows},
                       {Part::Register, 2, dim / (run * laneColumns)},
                       {Part::Register, 1, tileRows / (laneRows * warpRows)},
                       {Part::Register, 0, parts}});
  }

  /// The state of no slot.
  State start() {
    auto output = tile::getReducedType(stateType(1), 0), one = tile::getReducedType(output, 2);
    return {b.constant(one, lowest), b.constant(one, 0), b.constant(output, 0)};
  }

  /// `parts` splits from a place on, `left` of which there are; the others count nothing.
  State loadSplits(Value partial, ArrayRef<Value> place, int64_t parts, Value left) {
    auto type = stateType(parts), one = tile::getReducedType(type, 2);
    auto integers = tile::withElement(one, b.i32());
    auto isBelow = [&](int64_t dim, Value limit) -> Value {
      return arith::CmpIOp::create(b.builder, b.loc, arith::CmpIPredicate::slt,
                                   b.iotaOf(integers, dim), b.splat(b.toI32(limit), integers));
    };
    Value isThere = isBelow(0, left);
    if (sizes.group % tileRows != 0)
      isThere = arith::AndIOp::create(b.builder, b.loc, isThere,
                                      isBelow(1, b.sub(b.index(sizes.group), place.back())));
    auto load = [&](RankedTensorType type, int64_t column) {
      SmallVector<Value> offsets(place);
      offsets.push_back(b.index(column));
      return b.gather(partial, offsets, type, {}, isThere);
    };
    Value largest =
        arith::SelectOp::create(b.builder, b.loc, isThere, load(one, dim), b.constant(one, lowest));
    return {largest, load(one, dim + 1), load(type, 0)};
  }

  /// `state` and the parts of `other` together. A part that saw no slot has weight 0: its maximum
  /// is the lowest.
  State add(const State &state, const State &other) {
    auto parts = cast<RankedTensorType>(other.largest.getType());
    Value largest = arith::MaximumFOp::create(b.builder, b.loc, state.largest,
                                              b.reduce(tile::ReduceKind::Max, other.largest, 0));
    Value keep = b.exp2(b.subf(state.largest, largest));
    Value weight = b.exp2(b.subf(other.largest, b.broadcast(largest, parts)));
    Value sum =
        b.fma(state.sum, keep, b.reduce(tile::ReduceKind::Add, b.mulf(other.sum, weight), 0));
    auto outputs = cast<RankedTensorType>(other.output.getType());
    Value added =
        b.reduce(tile::ReduceKind::Add, b.mulf(other.output, b.broadcast(weight, outputs)), 0);
    auto whole = cast<RankedTensorType>(state.output.getType());
    return {largest, sum, b.fma(state.output, b.broadcast(keep, whole), added)};
  }

  TileBuilder &b;
  const Sizes &sizes;
  int64_t dim, tileRows;
};

/// The program of a block: of one split of a context, or of one that walks all of it.
class Walk {
public:
  /// Numbers of the kernel's views.
  enum View { Query, Positions, Sequences, PageTable, Keys, Values };

  Walk(TileBuilder &b, transformer::CachedAttentionOp op, const Sizes &sizes, tile::KernelOp kernel)
      : b(b), op(op), sizes(sizes), cache(sizes.cache), args(kernel.getViews()),
        dim(cache.getDim()), page(cache.getPage()), merger(b, sizes) {
    scores = sums(page);
    outputs = sums(dim);
    perRow = tile::getReducedType(scores, 2);
    int64_t shape[] = {warps, std::min(sizes.group, rows), dim + stateColumns};
    auto view =
        tile::ViewType::get(b.builder.getContext(), shape, b.f32(),
                            tile::ViewType::rowMajorStrides(shape), {}, tile::Space::Shared);
    shared = tile::AllocOp::create(b.builder, b.loc, view);
  }

  /// Leaves the state of a split in `partial`.
  void emitSplit(Value partial) {
    Value z = b.blockId(tile::Axis::Z);
    token = b.blockId(tile::Axis::Y);
    head = b.div(z, sizes.rowBlocks);
    firstRow = sizes.rowBlocks == 1 ? b.index(0) : b.mul(b.rem(z, sizes.rowBlocks), rows);
    split = b.blockId(tile::Axis::X);
    Value tokens = b.count(tile::Count::Tokens), zero = b.index(0);
    Value isDecoding =
        both(isLess(tokens, b.add(b.count(tile::Count::Sequences), 1)), isLess(token, tokens));
    token = arith::SelectOp::create(b.builder, b.loc, isDecoding, token, zero);
    readPlace();
    Value isReached = isLess(b.mul(split, warps), b.add(lastPage, 1));
    auto await = [&] { tile::AwaitLaunchesOp::create(b.builder, b.loc); };
    b.ifTrue(
        both(isDecoding, isReached),
        [&] {
          Value step = findFirstStep();
          b.ifTrue(
              isOld(step),
              [&] {
                Pages pages = loadPages(step, /*isWhole=*/true);
                await();
                storePartial(walk(step, pages), partial);
              },
              [&] {
                await();
                storePartial(walk(step, loadPages(step, /*isWhole=*/false)), partial);
              });
        },
        await);
  }

  /// Stores the result of a token: of the states in `partial` where it is split, else of a walk.
  void emitWhole(Value partial) {
    token = b.blockId(tile::Axis::X);
    head = b.blockId(tile::Axis::Y);
    firstRow = b.mul(b.blockId(tile::Axis::Z), rows);
    readPlace();
    auto walkAll = [&] {
      tile::AwaitLaunchesOp::create(b.builder, b.loc);
      Value step = findFirstStep();
      storeResult(walk(step, loadPages(step, /*isWhole=*/false)));
    };
    if (!partial)
      return walkAll();
    b.ifLess(b.count(tile::Count::Sequences), b.count(tile::Count::Tokens), walkAll, [&] {
      Value reached = b.add(b.div(lastPage, warps), 1);
      Value count = arith::MinUIOp::create(b.builder, b.loc, reached, b.index(sizes.splits));
      tile::AwaitLaunchesOp::create(b.builder, b.loc);
      storeResult(merger.mergeSplits(partial, token, head, firstRow, count));
    });
  }

private:
  using Part = Spread::Part;

  /// What the warps read in a step.
  struct Pages {
    Value keys, values; ///< operands of the products
  };

  Value isLess(Value x, Value y) {
    return arith::CmpIOp::create(b.builder, b.loc, arith::CmpIPredicate::ult, x, y);
  }
  Value both(Value x, Value y) { return arith::AndIOp::create(b.builder, b.loc, x, y); }

  //===--------------------------------------------------------------------------------------------===//
  // Where the block stands
  //===--------------------------------------------------------------------------------------------===//

  void readPlace() {
    position = b.readIndex(args[Positions], {token});
    sequence = b.readIndex(args[Sequences], {token});
    lastPage = b.div(position, page);
    if (auto window = op.getWindow()) {
      Value end = b.add(position, 1);
      start = b.sub(end, arith::MinUIOp::create(b.builder, b.loc, end, b.index(*window)));
    }
  }

  /// Pages of all blocks of the token in a step.
  int64_t stepPages() const { return warps * (split ? sizes.splits : 1); }

  /// The page of the block's first warp in a step.
  Value firstPageOf(Value step) {
    Value number = b.mul(step, stepPages());
    return split ? b.add(number, b.mul(split, warps)) : number;
  }

  /// The first step in which the token sees some of what its blocks read.
  Value findFirstStep() { return start ? b.div(start, page * stepPages()) : b.index(0); }

  /// One more than the block's last step.
  Value findStepsEnd() {
    Value number = b.div(lastPage, warps);
    if (!split)
      return b.add(number, 1);
    return b.add(b.div(b.sub(number, split), sizes.splits), 1);
  }

  /// Whether all pages of a step are of earlier steps: they are before the token's last, and no
  /// token before it in this step is of its sequence.
  Value isOld(Value step) {
    Value zero = b.index(0),
          isFirst = arith::CmpIOp::create(b.builder, b.loc, arith::CmpIPredicate::eq, token, zero);
    Value previous =
        arith::SelectOp::create(b.builder, b.loc, isFirst, token, b.sub(token, b.index(1)));
    Value begins = arith::CmpIOp::create(b.builder, b.loc, arith::CmpIPredicate::ne,
                                         b.readIndex(args[Sequences], {previous}), sequence);
    isFirst = arith::OrIOp::create(b.builder, b.loc, isFirst, begins);
    Value end = b.add(firstPageOf(step), warps);
    return both(isFirst, isLess(end, b.add(lastPage, 1)));
  }

  //===--------------------------------------------------------------------------------------------===//
  // Walking
  //===--------------------------------------------------------------------------------------------===//

  /// The state of the block from a step on, whose pages are loaded.
  State walk(Value step, const Pages &pages) {
    query = loadQuery();
    SmallVector<Value> state = {b.constant(perRow, lowest), b.constant(perRow, 0),
                                b.constant(outputs, 0)};
    state = addPages(step, pages, state);
    state = b.forLoop(b.add(step, 1), findStepsEnd(), 1, state, [&](Value next, auto carried) {
      return addPages(next, loadPages(next, /*isWhole=*/false), carried);
    });
    Value zero = b.index(0);
    auto place = [&](int64_t column) { return SmallVector<Value>{zero, zero, b.index(column)}; };
    b.store(state[0], shared, place(dim), /*masked=*/true);
    b.store(state[1], shared, place(dim + 1), /*masked=*/true);
    b.store(state[2], shared, place(0), /*masked=*/true);
    tile::BarrierOp::create(b.builder, b.loc); // states of all warps are there
    return merger.mergeWarps(shared);
  }

  /// A tile [1, rows, columns] of a state without its first dimension.
  Value flatten(Value tile) {
    auto type = cast<RankedTensorType>(tile.getType());
    return b.reshape(tile, type.getShape().drop_front());
  }

  void storePartial(const State &state, Value partial) {
    for (auto [tile, column] : {std::pair(state.output, int64_t(0)), std::pair(state.largest, dim),
                                std::pair(state.sum, dim + 1)})
      b.store(flatten(tile), partial, {token, head, split, firstRow, b.index(column)},
              /*masked=*/true);
  }

  void storeResult(const State &state) {
    auto type = cast<RankedTensorType>(state.output.getType());
    Value result = b.divf(state.output, b.broadcast(state.sum, type));
    b.store(flatten(result), args.back(), {token, head, firstRow, b.index(0)}, /*masked=*/true);
  }

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
    auto type = spreadTile({rows, dim}, b.f32(),
                           {{Part::Register, 1, run},
                            {Part::Lane, 1, 4},
                            {Part::Lane, 0, 8},
                            {Part::Register, 0, 2},
                            {Part::Register, 1, dim / (4 * run)},
                            {Part::Warp, -1, warps}});
    Value x = b.load(args[Query], {token, head, firstRow, b.index(0)}, type, /*masked=*/true);
    auto cap = op.getSoftCap();
    double unit = cap ? 1 / cap->convertToDouble() : log2e; // of the scores
    x = b.mulf(x, b.constant(type, op.getScale().convertToDouble() * unit));
    auto whole = spreadTile({warps, rows, dim}, b.f16(),
                            {{Part::Register, 2, run},
                             {Part::Lane, 2, 4},
                             {Part::Lane, 1, 8},
                             {Part::Register, 1, 2},
                             {Part::Register, 2, dim / (4 * run)},
                             {Part::Warp, 0, warps}});
    return b.broadcast(b.reshape(b.fromF32(x, b.f16()), {1, rows, dim}), whole);
  }

  /// The pages that the warps read in a step, and whether they are there: [warps, 1, 1]. With
  /// `isWhole` all are, and the second is null.
  std::pair<Value, Value> findPages(Value step, bool isWhole) {
    auto column = spreadTile({warps, 1}, b.i32(), {{Part::Lane, -1, 32}, {Part::Warp, 0, warps}});
    Value number = arith::AddIOp::create(b.builder, b.loc, b.iotaOf(column, 0),
                                         b.splat(b.toI32(firstPageOf(step)), column));
    Value isThere;
    if (!isWhole)
      isThere = arith::CmpIOp::create(b.builder, b.loc, arith::CmpIPredicate::sle, number,
                                      b.splat(b.toI32(lastPage), column));
    Value none = b.constant(tile::getReducedType(column, 0), 0);
    Value physical = b.gather(args[PageTable], {sequence, b.index(0)}, column,
                              {{0, none}, {1, number}}, isThere);
    return {b.reshape(physical, {warps, 1, 1}),
            isWhole ? Value() : b.reshape(isThere, {warps, 1, 1})};
  }

  Pages loadPages(Value step, bool isWhole) {
    auto [physical, isThere] = findPages(step, isWhole);
    return {loadKeys(physical, isThere), loadValues(physical, isThere)};
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
    Value keys =
        toF16(b.gather(args[Keys], {head, zero, zero, zero}, type, {{1, physical}}, isThere));
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
        toF16(b.gather(args[Values], {head, zero, zero, zero}, type, {{1, physical}}, isThere));
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
    Value place = add(add(slot, pageStart), b.splat(b.toI32(b.mul(firstPageOf(step), page)), type));
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

  SmallVector<Value> addPages(Value step, const Pages &pages, ArrayRef<Value> state) {
    Value score = tile::ContractOp::create(b.builder, b.loc, scores, tile::Atom::MmaM16N8K16, query,
                                           pages.keys, b.constant(scores, 0));
    if (auto cap = op.getSoftCap())
      score = b.mulf(kernels::tanh(b, score), b.constant(scores, cap->convertToDouble() * log2e));
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
                                            b.fromF32(weight, b.f16()), pages.values, scaled);
    return {largest, sum, output};
  }

  TileBuilder &b;
  transformer::CachedAttentionOp op;
  const Sizes &sizes;
  transformer::KVCacheType cache;
  ValueRange args;
  int64_t dim, page;
  Merger merger;
  RankedTensorType scores, outputs, perRow;
  Value shared; ///< states of the warps
  Value token, head, firstRow, position, sequence, lastPage, query;
  Value split; ///< null where the block walks the whole context
  Value start; ///< first position of the window, null without
};

/// The kernels of a region and their views.
class Launches {
public:
  Launches(const Request &request)
      : request(request), op(findOp<transformer::CachedAttentionOp>(request.compute)),
        sizes(op, request.contextTokens), context(op.getContext()) {
    transformer::KVCacheType cache = sizes.cache;
    Type f32 = Float32Type::get(context);
    // Query heads as [heads of the cache, heads that share one]: rows past the last are masked.
    grouped = tile::ViewType::get(
        context,
        {tile::ViewType::sizeFor(request.rows), cache.getHeads(), sizes.group, cache.getDim()},
        f32);
    partialType = RankedTensorType::get({ShapedType::kDynamic, cache.getHeads(), sizes.splits,
                                         sizes.group, cache.getDim() + stateColumns},
                                        f32);
    views.push_back(grouped);
    llvm::append_range(views, batchViews(context, pagesPerSequence(request, cache)));
    llvm::append_range(views, gpuCacheViews(cache, request.cachePages));
  }

  bool isSplit() const { return sizes.splits > 1; }

  /// The launch that leaves the states of splits.
  Emission emitSplits(OpBuilder &kernelBuilder) {
    Emission emission{
        build(kernelBuilder, rowsView(partialType, tile::Count::Sequences), "",
              {number(sizes.splits), tile::ExtentAttr::get(context, tile::Count::Sequences),
               number(sizes.cache.getHeads() * sizes.rowBlocks)},
              [&](TileBuilder &b, tile::KernelOp kernel) {
                Walk(b, op, sizes, kernel).emitSplit(kernel.getViews().back());
              })};
    emission.operands = getOperands();
    emission.cost = getCost();
    emission.isPreparation = true;
    emission.scratch = {partialType};
    return emission;
  }

  /// The launch that makes the results: `partial` of those states, or null.
  Emission emitResults(OpBuilder &kernelBuilder, Value partial) {
    SmallVector<Type> more;
    if (partial)
      more.push_back(rowsView(partialType, tile::Count::Sequences));
    more.push_back(grouped);
    Emission emission{build(kernelBuilder, more, partial ? "Merge" : "",
                            {tile::ExtentAttr::get(context, request.rows),
                             number(sizes.cache.getHeads()), number(sizes.rowBlocks)},
                            [&](TileBuilder &b, tile::KernelOp kernel) {
                              Value states =
                                  partial ? kernel.getViews().drop_back().back() : Value();
                              Walk(b, op, sizes, kernel).emitWhole(states);
                            })};
    emission.operands = getOperands();
    if (partial)
      emission.operands.push_back(partial);
    else
      emission.cost = getCost();
    emission.inPlace = {-1};
    return emission;
  }

private:
  tile::ExtentAttr number(int64_t value) { return tile::ExtentAttr::get(context, value); }

  SmallVector<Value> getOperands() {
    transformer::ComputeOp compute = request.compute;
    return {outerValue(compute, op.getQuery()), outerValue(compute, op.getBatch()),
            outerValue(compute, op.getCache()), outerValue(compute, op.getLayer())};
  }

  Cost getCost() {
    transformer::KVCacheType cache = sizes.cache;
    uint64_t elementBytes = cache.getFormat().getIntOrFloatBitWidth() / 8;
    return {0, 2 * uint64_t(cache.getHeads()) * cache.getDim() * elementBytes,
            4 * uint64_t(sizes.heads) * cache.getDim(), /*perContext=*/true};
  }

  tile::KernelOp build(OpBuilder &kernelBuilder, TypeRange moreViews, StringRef suffix,
                       ArrayRef<tile::ExtentAttr> grid,
                       llvm::function_ref<void(TileBuilder &, tile::KernelOp)> emit) {
    Request named = request;
    named.name += suffix;
    SmallVector<Type> all(views);
    llvm::append_range(all, moreViews);
    auto kernel = beginKernel(kernelBuilder, named, all, grid);
    kernel.setThreads(warps * 32);
    TileBuilder b(kernelBuilder, kernel.getLoc());
    emit(b, kernel);
    tile::ReturnOp::create(kernelBuilder, kernel.getLoc());
    return kernel;
  }

  Request request;
  transformer::CachedAttentionOp op;
  Sizes sizes;
  MLIRContext *context;
  tile::ViewType grouped; ///< queries, and results
  RankedTensorType partialType;
  SmallVector<Type> views; ///< queries, batch, cache
};

} // namespace

Emission kernels::emitGpuAttention(const Request &request, OpBuilder &kernelBuilder) {
  Launches launches(request);
  if (!launches.isSplit())
    return launches.emitResults(kernelBuilder, {});
  Emission emission = launches.emitSplits(kernelBuilder);
  emission.finish = [launches](OpBuilder &kernelBuilder, ValueRange results) mutable {
    return launches.emitResults(kernelBuilder, results.front());
  };
  return emission;
}
