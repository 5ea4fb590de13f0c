//===- AttentionWalk.cpp - Softmax attention of a few tokens over a range of the context ------------===//
//
// See AttentionWalk.h for what is computed and in which order.
//
//===----------------------------------------------------------------------------------------------===//

#include "AttentionWalk.h"

using namespace mlir;
using namespace ingot;
using namespace ingot::kernels;

/// Sums that a product keeps in registers: 12 of 16, two for what is loaded, one for a factor.
static constexpr int64_t mostRows = 6;

AttentionShape::AttentionShape(transformer::CachedAttentionOp op, Machine machine) {
  auto cache = op.getCache().getType();
  // A GPU takes this walk for caches of odd shapes alone, and has little memory for a block.
  tileTokens = machine == Machine::Cpu ? 8 : 1;
  heads = cast<RankedTensorType>(op.getQuery().getType()).getDimSize(1);
  cacheHeads = cache.getHeads();
  dim = cache.getDim();
  page = cache.getPage();
  group = heads / cacheHeads;
  piece = std::min<int64_t>(page, 16);
  for (headsAtOnce = std::min(group, mostRows); group % headsAtOnce;)
    --headsAtOnce;
  tokensAtOnce = int64_t(1) << llvm::Log2_64(mostRows / headsAtOnce);
  if (auto width = op.getWindow())
    window = int64_t(*width);
  isBidirectional = op.getBidirectional();
  scale = op.getScale().convertToDouble();
  if (std::optional<APFloat> cap = op.getSoftCap())
    softCap = cap->convertToDouble();
  for (bool isKey : {true, false})
    (isKey ? keys : values) = {cache.getFormat(isKey), cache.getGroups(isKey),
                               cache.getGroupChannels(isKey)};
  prefetches = machine == Machine::Cpu;
}

//===----------------------------------------------------------------------------------------------===//
// Helpers
//===----------------------------------------------------------------------------------------------===//

static Value smaller(TileBuilder &b, Value x, Value y) {
  return arith::MinUIOp::create(b.builder, b.loc, x, y);
}
static Value larger(TileBuilder &b, Value x, Value y) {
  return arith::MaxUIOp::create(b.builder, b.loc, x, y);
}
static Value isLess(TileBuilder &b, Value x, Value y) {
  return arith::CmpIOp::create(b.builder, b.loc, arith::CmpIPredicate::ult, x, y);
}
static Value both(TileBuilder &b, Value x, Value y) {
  return arith::AndIOp::create(b.builder, b.loc, x, y);
}

MergedState kernels::mergeStates(TileBuilder &b, Value largest, Value sum, Value otherLargest,
                                 Value otherSum) {
  MergedState merged;
  merged.largest = arith::MaximumFOp::create(b.builder, b.loc, largest, otherLargest);
  merged.keep = b.exp2(b.subf(largest, merged.largest));
  merged.take = b.exp2(b.subf(otherLargest, merged.largest));
  merged.sum = b.fma(sum, merged.keep, b.mulf(otherSum, merged.take));
  return merged;
}

Value kernels::firstVisible(TileBuilder &b, const AttentionShape &shape, Value position) {
  if (!shape.window)
    return b.index(0);
  Value end = b.add(position, 1);
  return b.sub(end, smaller(b, end, b.index(*shape.window)));
}

AttentionWalk::AttentionWalk(TileBuilder &b, const AttentionShape &shape, ValueRange views,
                             const AttentionTile &tile)
    : b(b), shape(shape), query(views[0]), table(views[3]), keys(views[4]), values(views[5]),
      keyScales(shape.keys.isQuantized() ? views[6] : Value()),
      valueScales(shape.values.isQuantized() ? views[7] : Value()), tile(tile),
      vector(tileType({1, AttentionShape::lanes}, b.f32(), 1)), one(tileType({1, 1}, b.f32(), -1)) {
  auto allocate = [&](int64_t columns) -> Value {
    int64_t sizes[] = {shape.rows(), columns};
    auto type =
        tile::ViewType::get(b.builder.getContext(), sizes, b.f32(),
                            tile::ViewType::rowMajorStrides(sizes), {}, tile::Space::Shared);
    return tile::AllocOp::create(b.builder, b.loc, type);
  };
  scores = allocate(shape.values.groups * AttentionShape::spanTokens);
  outputs = allocate(shape.dim);
  states = allocate(AttentionShape::lanes);
  totals = allocate(shape.dim);
  totalStates = allocate(AttentionShape::lanes);
}

Value AttentionWalk::rowOf(const Rows &rows, int64_t token, int64_t head) {
  return b.add(b.add(b.mul(b.add(rows.token, token), shape.group), rows.head), head);
}

/// Whether a token sees some of positions [begin, end).
Value AttentionWalk::isVisible(Value token, Value begin, Value end) {
  Value position = positionOf(token);
  Value isPast = isLess(b, begin, b.add(position, 1));
  if (!shape.window)
    return isPast;
  return both(b, isPast, isLess(b, firstVisible(b, shape, position), end));
}

void AttentionWalk::forVisibleRows(Value begin, Value end,
                                   llvm::function_ref<void(Value, Value, Value)> emit) {
  b.forLoop(b.index(0), tile.count, 1, [&](Value token) {
    b.ifTrue(isVisible(token, begin, end), [&] {
      b.forLoop(b.index(0), b.index(shape.group), 1,
                [&](Value head) { emit(token, head, b.add(b.mul(token, shape.group), head)); });
    });
  });
}

/// The page and slot where a piece begins.
AttentionWalk::Place AttentionWalk::placeOf(Value piece) {
  int64_t perPage = shape.page / shape.piece;
  return {b.readIndex(table, {tile.sequence, b.div(piece, perPage)}),
          perPage == 1 ? b.index(0) : b.mul(b.rem(piece, perPage), shape.piece)};
}

//===----------------------------------------------------------------------------------------------===//
// Splits
//===----------------------------------------------------------------------------------------------===//

static void clearRows(TileBuilder &b, Value rows, int64_t dim, RankedTensorType one,
                      RankedTensorType vector, Value outputs, Value states) {
  b.forLoop(b.index(0), rows, 1, [&](Value row) {
    b.store(b.constant(one, -INFINITY), states, {row, b.index(0)});
    b.store(b.constant(one, 0), states, {row, b.index(1)});
    b.forLoop(b.index(0), b.index(dim), AttentionShape::lanes,
              [&](Value channel) { b.store(b.constant(vector, 0), outputs, {row, channel}); });
  });
  tile::BarrierOp::create(b.builder, b.loc);
}

void AttentionWalk::clearSplit() {
  clearRows(b, b.mul(tile.count, shape.group), shape.dim, one, vector, outputs, states);
}

void AttentionWalk::clearTotals() {
  clearRows(b, b.mul(tile.count, shape.group), shape.dim, one, vector, totals, totalStates);
}

void AttentionWalk::walkSplit(Value split) {
  clearSplit();
  Value last = positionOf(b.sub(tile.count, b.index(1)));
  Value begin = b.mul(split, AttentionShape::splitTokens);
  Value end = smaller(b, b.mul(b.add(split, 1), AttentionShape::splitTokens), b.add(last, 1));
  if (shape.window)
    begin = larger(b, begin, firstVisible(b, shape, tile.position));
  lastPiece = b.div(b.sub(end, b.index(1)), shape.piece);
  Value firstSpan = b.div(begin, AttentionShape::spanTokens);
  Value lastSpan = b.div(b.add(end, AttentionShape::spanTokens - 1), AttentionShape::spanTokens);
  prefetchFirstKeys(b.div(begin, shape.piece));
  b.forLoop(firstSpan, lastSpan, 1, [&](Value span) { walkSpan(span, begin, end); });
}

void AttentionWalk::mergeSplit(Value split) {
  Value begin = b.mul(split, AttentionShape::splitTokens);
  Value end = b.add(begin, AttentionShape::splitTokens), zero = b.index(0), first = b.index(1);
  forVisibleRows(begin, end, [&](Value, Value, Value row) {
    MergedState merged = mergeStates(
        b, b.load(totalStates, {row, zero}, one), b.load(totalStates, {row, first}, one),
        b.load(states, {row, zero}, one), b.load(states, {row, first}, one));
    b.store(merged.largest, totalStates, {row, zero});
    b.store(merged.sum, totalStates, {row, first});
    Value keep = b.broadcast(merged.keep, vector), take = b.broadcast(merged.take, vector);
    b.forLoop(zero, b.index(shape.dim), AttentionShape::lanes, [&](Value channel) {
      Value other = b.mulf(b.load(outputs, {row, channel}, vector), take);
      Value sum = b.fma(b.load(totals, {row, channel}, vector), keep, other);
      b.store(sum, totals, {row, channel});
    });
  });
  tile::BarrierOp::create(b.builder, b.loc);
}

void AttentionWalk::storeTotals(Value result) {
  b.forLoop(b.index(0), tile.count, 1, [&](Value token) {
    b.forLoop(b.index(0), b.index(shape.group), 1, [&](Value head) {
      Value row = b.add(b.mul(token, shape.group), head);
      Value queryHead = b.add(b.mul(tile.cacheHead, shape.group), head);
      Value sum = b.broadcast(b.load(totalStates, {row, b.index(1)}, one), vector);
      b.forLoop(b.index(0), b.index(shape.dim), AttentionShape::lanes, [&](Value channel) {
        b.store(b.divf(b.load(totals, {row, channel}, vector), sum), result,
                {b.add(tile.token, token), queryHead, channel});
      });
    });
  });
}

void AttentionWalk::storePartial(Value partial, Value split) {
  Value begin = b.mul(split, AttentionShape::splitTokens);
  Value end = b.add(begin, AttentionShape::splitTokens);
  forVisibleRows(begin, end, [&](Value token, Value head, Value row) {
    Value queryHead = b.add(b.mul(tile.cacheHead, shape.group), head);
    auto copy = [&](Value from, Value column, RankedTensorType type, Value to) {
      b.store(b.load(from, {row, column}, type), partial,
              {tile.sequence, token, split, queryHead, to});
    };
    b.forLoop(b.index(0), b.index(shape.dim), AttentionShape::lanes,
              [&](Value channel) { copy(outputs, channel, vector, channel); });
    copy(states, b.index(0), one, b.index(shape.dim));
    copy(states, b.index(1), one, b.index(shape.dim + 1));
  });
}

//===----------------------------------------------------------------------------------------------===//
// Spans
//===----------------------------------------------------------------------------------------------===//

/// The pieces of a span within positions [begin, end) that some token of the tile sees.
AttentionWalk::Pieces AttentionWalk::piecesOf(Value span, Value begin, Value end) {
  auto piecesUp = [&](Value position) {
    return b.div(b.add(position, shape.piece - 1), shape.piece);
  };
  Value spanBegin = b.mul(span, AttentionShape::spanTokens);
  Value spanEnd = smaller(b, b.add(spanBegin, AttentionShape::spanTokens), end);
  Pieces pieces;
  pieces.end = piecesUp(spanEnd);
  pieces.begin = pieces.fullBegin = b.div(spanBegin, shape.piece);
  if (shape.window) {
    // The last token's window begins last.
    Value last = positionOf(b.sub(tile.count, b.index(1)));
    pieces.begin = b.div(larger(b, spanBegin, begin), shape.piece);
    pieces.fullBegin = piecesUp(larger(b, spanBegin, firstVisible(b, shape, last)));
    pieces.fullBegin = smaller(b, pieces.fullBegin, pieces.end);
  }
  Value seenByAll = smaller(b, spanEnd, b.add(tile.position, 1));
  pieces.fullEnd = larger(b, b.div(seenByAll, shape.piece), pieces.fullBegin);
  return pieces;
}

void AttentionWalk::clearScores() {
  auto span = tileType({1, AttentionShape::spanTokens}, b.f32(), 1);
  b.forLoop(b.index(0), b.mul(tile.count, shape.group), 1,
            [&](Value row) { b.store(b.constant(span, -INFINITY), scores, {row, b.index(0)}); });
}

void AttentionWalk::walkSpan(Value span, Value begin, Value end) {
  Pieces pieces = piecesOf(span, begin, end);
  clearScores();
  forEachFull(pieces, [&](const Rows &rows) {
    b.forLoop(pieces.fullBegin, pieces.fullEnd, 1,
              [&](Value piece) { scorePiece(piece, span, rows, /*isMasked=*/false); });
  });
  forEachPartial(
      {pieces.begin, pieces.fullBegin, pieces.fullEnd, pieces.end},
      [&](Value piece, const Rows &rows) { scorePiece(piece, span, rows, /*isMasked=*/true); });
  addSoftmax(span);
  if (shape.values.isQuantized())
    scaleWeights(pieces, span);
  if (shape.window)
    forEachPartial({pieces.begin, pieces.fullBegin, pieces.end, pieces.end},
                   [&](Value piece, const Rows &rows) { addPartialValues(piece, span, rows); });
  forEachFull(pieces, [&](const Rows &rows) { addFullValues(pieces, span, rows); });
  forEachPartial({pieces.begin, pieces.begin, pieces.fullEnd, pieces.end},
                 [&](Value piece, const Rows &rows) { addPartialValues(piece, span, rows); });
  tile::BarrierOp::create(b.builder, b.loc);
}

/// Rows for pieces that all tokens see: as many tokens at once as fit, then single ones.
void AttentionWalk::forEachFull(const Pieces &pieces, llvm::function_ref<void(const Rows &)> emit) {
  b.ifLess(pieces.fullBegin, pieces.fullEnd, [&] {
    int64_t atOnce = shape.tokensAtOnce;
    Value most = b.mul(b.div(tile.count, atOnce), atOnce);
    auto emitHeads = [&](Value token, int64_t tokens) {
      b.forLoop(b.index(0), b.index(shape.group), shape.headsAtOnce,
                [&](Value head) { emit({token, head, tokens, shape.headsAtOnce}); });
    };
    b.forLoop(b.index(0), most, atOnce, [&](Value token) { emitHeads(token, atOnce); });
    if (atOnce > 1)
      b.forLoop(most, tile.count, 1, [&](Value token) { emitHeads(token, 1); });
  });
}

/// Each token alone, for the pieces of [begin, fullBegin) and [fullEnd, end) that it sees some of.
void AttentionWalk::forEachPartial(const Pieces &pieces,
                                   llvm::function_ref<void(Value, const Rows &)> emit) {
  auto forPieces = [&](Value begin, Value end) {
    if (begin == end)
      return;
    b.forLoop(begin, end, 1, [&](Value piece) {
      Value first = b.mul(piece, shape.piece), last = b.add(first, shape.piece);
      b.forLoop(b.index(0), tile.count, 1, [&](Value token) {
        b.ifTrue(isVisible(token, first, last), [&] {
          b.forLoop(b.index(0), b.index(shape.group), shape.headsAtOnce,
                    [&](Value head) { emit(piece, {token, head, 1, shape.headsAtOnce}); });
        });
      });
    });
  };
  forPieces(pieces.begin, pieces.fullBegin);
  forPieces(pieces.fullEnd, pieces.end);
}

//===----------------------------------------------------------------------------------------------===//
// Memory ahead
//===----------------------------------------------------------------------------------------------===//

static constexpr int64_t lineBytes = 64;

/// The share of some channels' work in the lines of a piece's values.
void AttentionWalk::prefetchValues(const Place &place, Value channel, int64_t channels) {
  if (!shape.prefetches)
    return;
  // All positions of the piece lie side by side.
  int64_t perElement = shape.values.elementChannels();
  int64_t share = shape.piece * channels, line = lineBytes / shape.values.elementBytes();
  Value first = b.mul(channel, shape.piece);
  for (int64_t number = 0; number < share; number += line * perElement) {
    Value at = b.div(b.add(first, number), perElement);
    tile::PrefetchLineOp::create(b.builder, b.loc, values,
                                 ValueRange{place.page, tile.cacheHead, place.slot, at});
  }
}

/// The lines of a piece's keys that begin with channels from `first` to `last` behind `channel`, a
/// multiple of 8.
void AttentionWalk::prefetchKeys(const Place &place, Value channel, int64_t first, int64_t last) {
  int64_t step = std::clamp<int64_t>(lineBytes / (shape.keys.elementBytes() * shape.page), 1,
                                     AttentionShape::lanes);
  for (int64_t i = llvm::alignTo(first, step); i < last; i += step)
    tile::PrefetchLineOp::create(
        b.builder, b.loc, keys,
        ValueRange{place.page, tile.cacheHead, b.add(channel, i), place.slot});
}

/// The keys of a span from this piece on, which nothing before them asks for.
void AttentionWalk::prefetchFirstKeys(Value piece) {
  if (!shape.prefetches)
    return;
  b.forLoop(piece, nextSpan(piece), 1, [&](Value each) {
    Place place = placeOf(each);
    b.forLoop(b.index(0), b.index(shape.dim / shape.keys.elementChannels()), AttentionShape::lanes,
              [&](Value channel) { prefetchKeys(place, channel, 0, AttentionShape::lanes); });
  });
}

/// The piece that has the same place in the next span, or the last one that is seen.
Value AttentionWalk::nextSpan(Value piece) {
  return smaller(b, b.add(piece, AttentionShape::spanTokens / shape.piece), lastPiece);
}

//===----------------------------------------------------------------------------------------------===//
// Scores
//===----------------------------------------------------------------------------------------------===//

/// Whether a token sees each of the 8 positions from `offset` of a piece on.
Value AttentionWalk::isNotMasked(Value token, Value piece, int64_t offset) {
  Value offsets = b.iota(vector.getShape(), 1, 1);
  auto type = cast<RankedTensorType>(offsets.getType());
  auto splat = [&](Value index) { return b.splat(b.toI32(index), type); };
  Value first = b.add(b.mul(piece, shape.piece), offset);
  Value positions = arith::AddIOp::create(b.builder, b.loc, offsets, splat(first));
  auto compare = [&](arith::CmpIPredicate predicate, Value bound) -> Value {
    return arith::CmpIOp::create(b.builder, b.loc, predicate, positions, splat(bound));
  };
  Value position = positionOf(token);
  Value isPast = compare(arith::CmpIPredicate::sle, position);
  if (!shape.window)
    return isPast;
  return both(b, isPast, compare(arith::CmpIPredicate::sge, firstVisible(b, shape, position)));
}

/// 8 numbers of a group's channel and following positions, or of a position and following channels,
/// without their scales. Of codes of 4 bits the second half of the groups has the upper bits.
Value AttentionWalk::loadNumbers(bool isKey, const Place &place, Value position, Value channel,
                                 int64_t group) {
  const CachedNumbers &stored = isKey ? shape.keys : shape.values;
  bool isUpper = stored.isUpper(group);
  Value column = isUpper ? b.sub(channel, b.index(shape.dim / 2)) : channel;
  Value at[] = {place.page, tile.cacheHead, isKey ? column : position, isKey ? position : column};
  Type element = stored.isQuantized() ? b.i8() : stored.format;
  Value numbers =
      b.load(isKey ? keys : values, at, tileType({1, AttentionShape::lanes}, element, 1));
  if (stored.elementChannels() == 1)
    return b.toF32(numbers);
  auto type = vector.clone(b.i32());
  Value codes = arith::ExtSIOp::create(b.builder, b.loc, type, numbers);
  if (!isUpper)
    codes = arith::ShLIOp::create(b.builder, b.loc, codes, b.constant(type, 28));
  return b.toF32(
      arith::ShRSIOp::create(b.builder, b.loc, codes, b.constant(type, isUpper ? 4 : 28)));
}

/// The scales of a group at 8 positions.
Value AttentionWalk::loadScales(Value view, const Place &place, Value position, int64_t group) {
  Value at[] = {place.page, tile.cacheHead, b.index(group), position};
  auto type = tileType({1, AttentionShape::lanes}, b.f16(), 1);
  return b.toF32(b.load(view, at, type));
}

/// q . k for some rows and the positions of a piece over the channels of a group, ascending.
SmallVector<Value> AttentionWalk::sumProducts(const Place &place, const Rows &rows, int64_t group) {
  constexpr int64_t lanes = AttentionShape::lanes;
  int64_t vectors = shape.piece / lanes;
  Value firstHead = b.add(b.mul(tile.cacheHead, shape.group), rows.head);
  int64_t channels = shape.keys.groupDim;
  Value begin = b.index(group * channels), end = b.index((group + 1) * channels);
  SmallVector<Value> zeros(rows.tokens * rows.heads * vectors, b.constant(vector, 0));
  return b.forLoop(begin, end, lanes, zeros, [&](Value first, auto acc) {
    SmallVector<Value> next(acc);
    prefetchValues(place, first, lanes);
    for (int64_t i = 0; i < lanes; ++i) {
      Value channel = b.add(first, i);
      SmallVector<Value> keyVectors;
      for (int64_t v = 0; v < vectors; ++v)
        keyVectors.push_back(
            loadNumbers(/*isKey=*/true, place, b.add(place.slot, v * lanes), channel, group));
      auto sum = next.begin();
      for (int64_t token = 0; token < rows.tokens; ++token)
        for (int64_t head = 0; head < rows.heads; ++head) {
          Value row = b.add(b.add(tile.token, rows.token), token);
          Value factor = b.load(query, {row, b.add(firstHead, head), channel}, one);
          for (Value key : keyVectors) {
            *sum = tile::ContractOp::create(b.builder, b.loc, vector, tile::Atom::Fma, factor, key,
                                            *sum);
            ++sum;
          }
        }
    }
    return next;
  });
}

/// Scores of some rows and the positions of a piece, in units of log2 e.
void AttentionWalk::scorePiece(Value piece, Value span, const Rows &rows, bool isMasked) {
  constexpr int64_t lanes = AttentionShape::lanes;
  constexpr double log2e = 1.4426950408889634;
  int64_t vectors = shape.piece / lanes;
  Place place = placeOf(piece);
  SmallVector<Value> sums;
  for (int64_t group = 0; group < shape.keys.groups; ++group) {
    SmallVector<Value> products = sumProducts(place, rows, group);
    if (!shape.keys.isQuantized()) {
      sums = products;
      break;
    }
    for (auto [i, product] : llvm::enumerate(products)) {
      Value scale = loadScales(keyScales, place, b.add(place.slot, i % vectors * lanes), group);
      product = group == 0 ? b.mulf(product, scale) : b.fma(product, scale, sums[i]);
    }
    sums = products;
  }

  // A cap c makes c tanh(s / c) of a score s.
  Value scale =
      b.constant(vector, shape.softCap ? shape.scale / *shape.softCap : shape.scale * log2e);
  Value offset = b.sub(b.mul(piece, shape.piece), b.mul(span, AttentionShape::spanTokens));
  auto sum = sums.begin();
  for (int64_t token = 0; token < rows.tokens; ++token)
    for (int64_t head = 0; head < rows.heads; ++head)
      for (int64_t v = 0; v < vectors; ++v) {
        Value score = b.mulf(*sum++, scale);
        if (shape.softCap)
          score = b.mulf(kernels::tanh(b, score), b.constant(vector, *shape.softCap * log2e));
        if (isMasked)
          score =
              arith::SelectOp::create(b.builder, b.loc, isNotMasked(rows.token, piece, v * lanes),
                                      score, b.constant(vector, -INFINITY));
        b.store(score, scores, {rowOf(rows, token, head), b.add(offset, v * lanes)});
      }
}

/// Turns the scores of a span into weights, and rescales what was summed before.
void AttentionWalk::addSoftmax(Value span) {
  Value begin = b.mul(span, AttentionShape::spanTokens);
  Value end = b.add(begin, AttentionShape::spanTokens), zero = b.index(0), first = b.index(1);
  auto wide = tileType({1, AttentionShape::spanTokens}, b.f32(), 1);
  forVisibleRows(begin, end, [&](Value, Value, Value row) {
    Value score = b.load(scores, {row, zero}, wide), before = b.load(states, {row, zero}, one);
    Value largest = arith::MaximumFOp::create(b.builder, b.loc, before,
                                              b.reduce(tile::ReduceKind::Max, score, 1));
    Value correction = b.exp2(b.subf(before, largest));
    Value weight = b.exp2(b.subf(score, b.broadcast(largest, wide)));
    Value sum = b.fma(b.load(states, {row, first}, one), correction,
                      b.reduce(tile::ReduceKind::Add, weight, 1));
    b.store(weight, scores, {row, zero});
    b.store(largest, states, {row, zero});
    b.store(sum, states, {row, first});
    Value factor = b.broadcast(correction, vector);
    b.forLoop(zero, b.index(shape.dim), AttentionShape::lanes, [&](Value channel) {
      b.store(b.mulf(b.load(outputs, {row, channel}, vector), factor), outputs, {row, channel});
    });
  });
  tile::BarrierOp::create(b.builder, b.loc);
}

/// Multiplies the weights of a span with the scales of the values, those of each group into columns
/// of their own.
void AttentionWalk::scaleWeights(const Pieces &pieces, Value span) {
  constexpr int64_t lanes = AttentionShape::lanes;
  Value first = b.mul(span, AttentionShape::spanTokens);
  b.forLoop(pieces.begin, pieces.end, 1, [&](Value piece) {
    Place place = placeOf(piece);
    Value begin = b.sub(b.mul(piece, shape.piece), first);
    b.forLoop(b.index(0), b.index(shape.piece), lanes, [&](Value offset) {
      SmallVector<Value> scales;
      for (int64_t group = 0; group < shape.values.groups; ++group)
        scales.push_back(loadScales(valueScales, place, b.add(place.slot, offset), group));
      b.forLoop(b.index(0), b.mul(tile.count, shape.group), 1, [&](Value row) {
        Value column = b.add(begin, offset), weight = b.load(scores, {row, column}, vector);
        for (int64_t group = 0; group < shape.values.groups; ++group)
          b.store(b.mulf(weight, scales[group]), scores,
                  {row, b.add(column, group * AttentionShape::spanTokens)});
      });
    });
  });
  tile::BarrierOp::create(b.builder, b.loc);
}

//===----------------------------------------------------------------------------------------------===//
// Values
//===----------------------------------------------------------------------------------------------===//

void AttentionWalk::forChannels(
    const Rows &rows, llvm::function_ref<SmallVector<Value>(int64_t, Value, ValueRange)> add) {
  constexpr int64_t lanes = AttentionShape::lanes;
  int64_t vectors = shape.values.groupDim % (2 * lanes) ? 1 : 2;
  auto addChannels = [&](int64_t group, Value channel) {
    auto forSums = [&](llvm::function_ref<void(ArrayRef<Value> at)> visit) {
      for (int64_t token = 0; token < rows.tokens; ++token)
        for (int64_t head = 0; head < rows.heads; ++head)
          for (int64_t v = 0; v < vectors; ++v)
            visit({rowOf(rows, token, head), b.add(channel, v * lanes)});
    };
    SmallVector<Value> sums;
    forSums([&](ArrayRef<Value> at) { sums.push_back(b.load(outputs, at, vector)); });
    sums = add(group, channel, sums);
    auto sum = sums.begin();
    forSums([&](ArrayRef<Value> at) { b.store(*sum++, outputs, at); });
  };
  for (int64_t group = 0; group < shape.values.groups; ++group)
    b.forLoop(b.index(group * shape.values.groupDim), b.index((group + 1) * shape.values.groupDim),
              vectors * lanes, [&](Value channel) { addChannels(group, channel); });
}

/// sums += p V for one position; `offset`: of the position in the span.
void AttentionWalk::addPosition(const Place &place, Value position, Value offset, const Rows &rows,
                                int64_t group, Value channel, MutableArrayRef<Value> sums) {
  constexpr int64_t lanes = AttentionShape::lanes;
  int64_t vectors = sums.size() / (rows.tokens * rows.heads);
  SmallVector<Value> valueVectors;
  for (int64_t v = 0; v < vectors; ++v)
    valueVectors.push_back(
        loadNumbers(/*isKey=*/false, place, position, b.add(channel, v * lanes), group));
  Value column = b.add(offset, group * AttentionShape::spanTokens);
  auto sum = sums.begin();
  for (int64_t token = 0; token < rows.tokens; ++token)
    for (int64_t head = 0; head < rows.heads; ++head) {
      Value weight = b.load(scores, {rowOf(rows, token, head), column}, one);
      for (Value value : valueVectors) {
        *sum = tile::ContractOp::create(b.builder, b.loc, vector, tile::Atom::Fma, weight, value,
                                        *sum);
        ++sum;
      }
    }
}

void AttentionWalk::addFullValues(const Pieces &pieces, Value span, const Rows &rows) {
  Value spanBegin = b.mul(span, AttentionShape::spanTokens);
  forChannels(rows, [&](int64_t group, Value channel, ValueRange sums) {
    return b.forLoop(
        pieces.fullBegin, pieces.fullEnd, 1, SmallVector<Value>(sums), [&](Value piece, auto acc) {
          Place place = placeOf(piece);
          Value first = b.sub(b.mul(piece, shape.piece), spanBegin);
          SmallVector<Value> next(acc);
          // The upper bits of codes lie in the lines of the lower ones.
          bool asks =
              shape.prefetches &&
              (group + 1) * shape.values.groupDim * shape.keys.elementChannels() <= shape.dim;
          Place ahead = asks ? placeOf(nextSpan(piece)) : place;
          int64_t channels = sums.size() / (rows.tokens * rows.heads) * AttentionShape::lanes;
          for (int64_t i = 0; i < shape.piece; ++i) {
            if (asks)
              prefetchKeys(ahead, channel, i * channels / shape.piece,
                           (i + 1) * channels / shape.piece);
            addPosition(place, b.add(place.slot, i), b.add(first, i), rows, group, channel, next);
          }
          return next;
        });
  });
}

/// Only the positions that the token sees: values of others are not touched.
void AttentionWalk::addPartialValues(Value piece, Value span, const Rows &rows) {
  Value begin = b.mul(piece, shape.piece), position = positionOf(rows.token);
  Value end = smaller(b, b.add(begin, shape.piece), b.add(position, 1));
  Value first = begin;
  if (shape.window)
    first = larger(b, begin, firstVisible(b, shape, position));
  Place place = placeOf(piece);
  Value spanBegin = b.mul(span, AttentionShape::spanTokens);
  forChannels(rows, [&](int64_t group, Value channel, ValueRange sums) {
    return b.forLoop(first, end, 1, SmallVector<Value>(sums), [&](Value at, auto acc) {
      SmallVector<Value> next(acc);
      Value slot = b.add(place.slot, b.sub(at, begin));
      addPosition(place, slot, b.sub(at, spanBegin), rows, group, channel, next);
      return next;
    });
  });
}
