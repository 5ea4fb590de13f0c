//===- AttentionOps.cpp - Meaning of ops in which tokens see each other -----------------------===//
//
// Ops of AttentionOps.td. Each form of attention says which keys a query sees and hands them, in
// the order of their positions in the batch or cache, to `attend`.
//
//===------------------------------------------------------------------------------------------===//

#include "Frame.h"
#include "LayerMath.h"
#include "ingot/Support/CacheCodec.h"
#include "ingot/Support/Codec.h"

using namespace mlir;
using namespace ingot;
using namespace ingot::reference;
using namespace ingot::transformer;

namespace {

/// What `causal` and `window` let a query at position `query` see.
struct Visibility {
  bool causal;
  std::optional<int64_t> window;
  bool sees(int64_t query, int64_t key) const {
    return (!causal || key <= query) && (!window || query - key < *window);
  }
};

} // namespace

static LogicalResult attentionMask(AttentionMaskOp op, Frame &frame) {
  auto &positions = frame.tensor(op.getPositions());
  auto lengths = frame.tensor(op.getLengths()).ids();
  int64_t sequences = positions.dim(0), slots = positions.dim(1);
  Visibility visibility{op.getCausal(), op.getWindow()};
  std::vector<uint8_t> mask(sequences * slots * slots);
  for (int64_t b = 0; b < sequences; ++b)
    for (int64_t s = 0; s < slots; ++s)
      for (int64_t t = 0; t < slots; ++t) {
        auto row = positions.ids().slice(b * slots, slots);
        // Rows of padding see everything: what is computed for them is unspecified, but a row
        // without keys would make it NaN, and 0 * NaN would reach the other rows.
        mask[(b * slots + s) * slots + t] =
            s >= lengths[b] || (t < lengths[b] && visibility.sees(row[s], row[t]));
      }
  frame.set(op.getResult(), Tensor({sequences, slots, slots}, std::move(mask)));
  return success();
}

template <typename OpT> static ScoreRule getScoreRule(OpT op) {
  ScoreRule rule{op.getScale().convertToFloat(), {}};
  if (std::optional<APFloat> cap = op.getSoftCap())
    rule.softCap = cap->convertToFloat();
  return rule;
}

/// Attention of every token and head; `findKeys(token)` are the tokens that it sees.
static Tensor attendAll(AttentionOp op, Frame &frame,
                        llvm::function_ref<std::vector<int64_t>(int64_t)> findKeys) {
  auto &query = frame.tensor(op.getQuery());
  auto key = frame.tensor(op.getKey()), value = frame.tensor(op.getValue());
  int64_t heads = query.dim(query.rank() - 2), dim = query.dim(query.rank() - 1);
  int64_t keyHeads = key.dim(key.rank() - 2), group = heads / keyHeads;
  std::vector<float> result(query.size());
  frame.context.parallelFor(query.rows() / heads, /*grain=*/16, [&](int64_t begin, int64_t end) {
    for (int64_t token = begin; token < end; ++token) {
      auto seen = findKeys(token);
      for (int64_t head = 0; head < heads; ++head) {
        std::vector<const float *> keys, values;
        for (int64_t other : seen) {
          int64_t offset = (other * keyHeads + head / group) * dim;
          keys.push_back(key.floats().data() + offset);
          values.push_back(value.floats().data() + offset);
        }
        int64_t row = (token * heads + head) * dim;
        attend(query.floats().slice(row, dim), keys, values, getScoreRule(op),
               MutableArrayRef(result).slice(row, dim));
      }
    }
  });
  return Tensor(query.shape(), std::move(result));
}

static LogicalResult attention(AttentionOp op, Frame &frame) {
  Visibility visibility{op.getCausal(), op.getWindow()};
  if (op.getBatch()) {
    auto &batch = frame.ragged(op.getBatch());
    frame.set(op.getResult(), attendAll(op, frame, [&](int64_t token) {
                std::vector<int64_t> seen;
                for (int64_t other = 0; other < batch.tokens(); ++other)
                  if (batch.sequences[other] == batch.sequences[token] &&
                      visibility.sees(batch.positions[token], batch.positions[other]))
                    seen.push_back(other);
                return seen;
              }));
    return success();
  }
  auto &positions = frame.tensor(op.getPositions());
  auto lengths = frame.tensor(op.getLengths()).ids();
  int64_t slots = positions.dim(1);
  frame.set(op.getResult(), attendAll(op, frame, [&](int64_t token) {
              std::vector<int64_t> seen;
              int64_t first = token / slots * slots;
              for (int64_t t = first; t < first + lengths[token / slots]; ++t)
                if (visibility.sees(positions.ids()[token], positions.ids()[t]))
                  seen.push_back(t);
              return seen;
            }));
  return success();
}

/// A row of keys or values, rounded to the cache's format.
static std::vector<float> roundToCache(ArrayRef<float> row, KVCacheType type, bool isKey) {
  std::vector<float> result(row);
  if (type.getFormat().isF16())
    for (float &value : result)
      value = halfToFloat(floatToHalf(value));
  if (!type.isQuantized())
    return result;
  size_t group = type.getGroupChannels(isKey);
  std::vector<int8_t> codes(group);
  for (size_t first = 0; first < row.size(); first += group) {
    uint16_t scale = encodeCacheGroup(row.slice(first, group), type.getBits(isKey), codes);
    for (size_t i = 0; i < group; ++i)
      result[first + i] = decodeCacheCode(codes[i], scale);
  }
  return result;
}

static FailureOr<int64_t> readLayer(Operation *op, Frame &frame, mlir::Value layer,
                                    const Cache &cache) {
  int64_t index = frame.integer(layer);
  if (index >= 0 && index < int64_t(cache.layers.size()))
    return index;
  return op->emitError("expected a layer from 0 to ")
         << cache.layers.size() - 1 << ", got " << index;
}

static LogicalResult appendCache(AppendCacheOp op, Frame &frame) {
  Cache cache = frame.cache(op.getCache());
  auto &batch = frame.ragged(op.getBatch());
  auto layer = readLayer(op, frame, op.getLayer(), cache);
  if (failed(layer))
    return failure();
  auto changed = std::make_shared<Cache::Layer>(*cache.layers[*layer]);
  int64_t row = cache.type.getHeads() * cache.type.getDim();
  auto keys = frame.tensor(op.getKey()).floats(), values = frame.tensor(op.getValue()).floats();
  if (int64_t(keys.size()) != batch.tokens() * row)
    return op.emitError("expected keys of ")
           << batch.tokens() << " tokens, got " << keys.size() / row;
  for (int64_t token = 0; token < batch.tokens(); ++token)
    (*changed)[{batch.sequences[token], batch.positions[token]}] = {
        roundToCache(keys.slice(token * row, row), cache.type, /*isKey=*/true),
        roundToCache(values.slice(token * row, row), cache.type, /*isKey=*/false)};
  cache.layers[*layer] = std::move(changed);
  frame.set(op.getResult(), std::move(cache));
  return success();
}

static LogicalResult cachedAttention(CachedAttentionOp op, Frame &frame) {
  auto &cache = frame.cache(op.getCache());
  auto &batch = frame.ragged(op.getBatch());
  auto &query = frame.tensor(op.getQuery());
  auto index = readLayer(op, frame, op.getLayer(), cache);
  if (failed(index))
    return failure();
  auto &layer = *cache.layers[*index];
  int64_t heads = query.dim(1), dim = query.dim(2), group = heads / cache.type.getHeads();
  Visibility visibility{/*causal=*/true, op.getWindow()};
  // Positions up to which the tokens of a sequence see, where all see the same.
  std::map<int32_t, int32_t> last;
  for (auto [sequence, position] : llvm::zip_equal(batch.sequences, batch.positions))
    last[sequence] = std::max(last[sequence], position);
  std::vector<float> result(query.size());
  frame.context.parallelFor(query.dim(0), /*grain=*/16, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin * heads; row < end * heads; ++row) {
      int32_t sequence = batch.sequences[row / heads], position = batch.positions[row / heads];
      if (op.getBidirectional())
        position = last.at(sequence);
      int64_t offset = row % heads / group * dim;
      std::vector<const float *> keys, values;
      // Ascending positions of this sequence.
      for (auto entry = layer.lower_bound({sequence, 0});
           entry != layer.end() && entry->first.first == sequence; ++entry)
        if (visibility.sees(position, entry->first.second)) {
          keys.push_back(entry->second.key.data() + offset);
          values.push_back(entry->second.value.data() + offset);
        }
      attend(query.floats().slice(row * dim, dim), keys, values, getScoreRule(op),
             MutableArrayRef(result).slice(row * dim, dim));
    }
  });
  frame.set(op.getResult(), Tensor(query.shape(), std::move(result)));
  return success();
}

void reference::addAttentionOps(Context &context) {
  context.add(attentionMask);
  context.add(attention);
  context.add(appendCache);
  context.add(cachedAttention);
}
