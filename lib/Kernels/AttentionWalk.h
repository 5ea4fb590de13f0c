//===- AttentionWalk.h - Softmax attention of a few tokens over a range of the context --------------===//
//
// Some consecutive tokens of one sequence, and the query heads that share a cache head, walk the
// context together, so that each key and value that is loaded serves all of them. The softmax is
// taken online (Milakov and Gimelshein 2018) at two levels:
//
//   span   64 positions: scores s of all, in units of log2 e; then with the maximum m so far
//            m' = max(m, max s),  p = 2^(s - m'),  l' = l 2^(m - m') + sum p,  o' = o 2^(m - m') +
//            p V
//   split  256 positions: begins with m = -inf, l = o = 0. Splits are merged in ascending order:
//            M' = max(M, m),  L' = L 2^(M - M') + l 2^(m - M'),  O' = O 2^(M - M') + o 2^(m - M')
//
// An example: a token at position 300 sees splits [0, 256) and [256, 300]. The first has 4 spans,
// the second one of 45 positions. The token's numbers come from its own row, its own positions and
// these borders alone, wherever the splits are computed and whoever walks with it; so do its bits.
//
// Keys lie transposed, so a register holds the scores of 8 positions and no sum goes across lanes;
// for p V the lanes are channels. The unit of both products is a piece of up to 16 positions that
// lie in one page. Pieces that all tokens see entirely are taken for several rows (a row is a head
// of a token) at once; those at the ends of what a token sees are taken token by token, where what
// it does not see is masked and its values are not read: behind a token's position the cache holds
// other numbers, perhaps not finite.
//
// While it scores the keys of a piece a CPU asks memory for the values of that piece, and while it
// adds these for the keys of the piece a span further on: a page is too short for processors to see
// where the next one is.
//
// State is in memory of the block, a row for each head of each token; barriers stand where a lane
// reads what others wrote (they are nothing on a CPU).
//
//===----------------------------------------------------------------------------------------------===//

#ifndef INGOT_LIB_KERNELS_ATTENTIONWALK_H
#define INGOT_LIB_KERNELS_ATTENTIONWALK_H

#include "Common.h"

namespace ingot::kernels {

/// How keys or values are stored.
struct CachedNumbers {
  mlir::Type format;
  int64_t groups, groupDim; ///< of channels that share a scale

  bool isQuantized() const { return mlir::isa<mlir::IntegerType>(format); }
  /// Bytes of an element of the view, and channels that it has numbers of.
  int64_t elementBytes() const { return isQuantized() ? 1 : format.getIntOrFloatBitWidth() / 8; }
  int64_t elementChannels() const { return format.isInteger(4) ? 2 : 1; }
  /// Whether the codes of a group are the upper bits of their bytes.
  bool isUpper(int64_t group) const { return elementChannels() == 2 && 2 * group >= groups; }
};

/// Sizes of one attention and of its walk.
struct AttentionShape {
  AttentionShape(transformer::CachedAttentionOp op, Machine machine);

  static constexpr int64_t lanes = 8;
  static constexpr int64_t spanTokens = 64;
  static constexpr int64_t splitTokens = 256;
  int64_t tileTokens; ///< that walk together
  int64_t heads, cacheHeads, dim, page;
  int64_t group;                     ///< query heads that share a cache head
  int64_t piece;                     ///< positions of the unit of work
  int64_t headsAtOnce, tokensAtOnce; ///< rows of a product: their sums fit the registers
  std::optional<int64_t> window;
  bool isBidirectional; ///< tokens see what the last of their sequence in the step sees
  double scale;
  std::optional<double> softCap;
  CachedNumbers keys, values;
  bool prefetches; ///< asks memory for what comes

  int64_t rows() const { return tileTokens * group; }
  /// Memory that a block takes: scores, sums of a split and of all, and their states.
  int64_t blockBytes() const {
    return 4 * rows() * (values.groups * spanTokens + 2 * (dim + lanes));
  }
};

/// Weights of two states that are merged: (M', 2^(M - M'), 2^(m - M'), L'), all [1, 1] tiles.
struct MergedState {
  mlir::Value largest, keep, take, sum;
};
MergedState mergeStates(TileBuilder &b, mlir::Value largest, mlir::Value sum,
                        mlir::Value otherLargest, mlir::Value otherSum);

/// The first position that a token sees.
mlir::Value firstVisible(TileBuilder &b, const AttentionShape &shape, mlir::Value position);

/// Which tokens walk: `count` of them from row `token` of the step on, at `position` and after; or
/// all see up to `position`, where they see the same.
struct AttentionTile {
  mlir::Value token, count, position, sequence, cacheHead;
};

class AttentionWalk {
public:
  /// `views`: query, positions, sequences, page table, keys, values, and of codes the scales of
  /// both.
  AttentionWalk(TileBuilder &b, const AttentionShape &shape, mlir::ValueRange views,
                const AttentionTile &tile);

  /// Computes the state of a split for all tokens of the tile that see some of it.
  void walkSplit(mlir::Value split);
  /// Sets the totals to those of no position.
  void clearTotals();
  /// Adds the split's state to the totals of the tokens that see some of it.
  void mergeSplit(mlir::Value split);
  /// Writes O / L to `result` [tokens, heads, dim].
  void storeTotals(mlir::Value result);
  /// Writes the split's state to `partial` [sequences, tile, splits, heads, dim + 8]: o, then m and
  /// l, for the tokens that see some of it.
  void storePartial(mlir::Value partial, mlir::Value split);

private:
  using Value = mlir::Value;

  /// Pieces [begin, end) of a span: seen in part by some, by all, in part.
  struct Pieces {
    Value begin, fullBegin, fullEnd, end;
  };
  struct Place {
    Value page, slot;
  };
  struct Rows {
    Value token, head; ///< first of each
    int64_t tokens, heads;
  };

  Pieces piecesOf(Value span, Value begin, Value end);
  Place placeOf(Value piece);
  void clearSplit();
  void clearScores();
  void walkSpan(Value span, Value begin, Value end);
  void forEachFull(const Pieces &pieces, llvm::function_ref<void(const Rows &)> emit);
  void forEachPartial(const Pieces &pieces,
                      llvm::function_ref<void(Value piece, const Rows &rows)> emit);
  void scorePiece(Value piece, Value span, const Rows &rows, bool isMasked);
  llvm::SmallVector<Value> sumProducts(const Place &place, const Rows &rows, int64_t group);
  Value loadNumbers(bool isKey, const Place &place, Value position, Value channel, int64_t group);
  Value loadScales(Value view, const Place &place, Value position, int64_t group);
  void prefetchValues(const Place &place, Value channel, int64_t channels);
  void prefetchKeys(const Place &place, Value channel, int64_t first, int64_t last);
  void prefetchFirstKeys(Value piece);
  Value nextSpan(Value piece);
  void scaleWeights(const Pieces &pieces, Value span);
  void addSoftmax(Value span);
  void addFullValues(const Pieces &pieces, Value span, const Rows &rows);
  void addPartialValues(Value piece, Value span, const Rows &rows);
  /// Loads the sums of the rows' channels, lets `add` continue them, stores them.
  void forChannels(const Rows &rows,
                   llvm::function_ref<llvm::SmallVector<Value>(int64_t group, Value channel,
                                                               mlir::ValueRange sums)>
                       add);
  void addPosition(const Place &place, Value position, Value offset, const Rows &rows,
                   int64_t group, Value channel, llvm::MutableArrayRef<Value> sums);

  /// Calls `emit(row)` for each row of the tokens that see some of [begin, end).
  void forVisibleRows(Value begin, Value end,
                      llvm::function_ref<void(Value token, Value head, Value row)> emit);
  Value isVisible(Value token, Value begin, Value end);
  Value rowOf(const Rows &rows, int64_t token, int64_t head);
  /// The last position that a token sees.
  Value positionOf(Value token) {
    return shape.isBidirectional ? tile.position : b.add(tile.position, token);
  }
  Value isNotMasked(Value token, Value piece, int64_t offset);

  TileBuilder &b;
  AttentionShape shape;
  mlir::Value query, table, keys, values, keyScales, valueScales;
  AttentionTile tile;
  mlir::RankedTensorType vector, one;
  Value lastPiece; ///< that the split at hand sees
  /// Memory of the block. Weights follow in the scores' place, with the scales of each group of
  /// channels in a span of columns of its own.
  Value scores, outputs, states, totals, totalStates;
};

} // namespace ingot::kernels

#endif // INGOT_LIB_KERNELS_ATTENTIONWALK_H
