//===- AttentionOps.cpp - Verifiers of ops in which tokens see each other ---------------------===//
//
// Ops of AttentionOps.td: masks, attention, caches. Constraints are checked in the order C1 to Cn
// of the .td file; sizes written `?` agree with everything.
//
//===------------------------------------------------------------------------------------------===//

#include "dialects/Transformer/Verify.h"

using namespace mlir;
using namespace ingot::transformer;

// The mask relates tokens but carries no values of theirs; what applies it is classified by what it
// computes.
TokenMixing AttentionMaskOp::getTokenMixing() { return TokenMixing::Unknown; }
TokenMixing AttentionOp::getTokenMixing() { return TokenMixing::Attention; }
TokenMixing AppendCacheOp::getTokenMixing() { return TokenMixing::Attention; }
TokenMixing CachedAttentionOp::getTokenMixing() { return TokenMixing::Attention; }

static LogicalResult verifyWindow(Operation *op, std::optional<int64_t> window) {
  if (!window || *window > 0)
    return success();
  return op->emitOpError("expected 'window' to be positive, got ") << *window;
}

static LogicalResult verifySoftCap(Operation *op, std::optional<APFloat> cap) {
  if (!cap || cap->convertToFloat() > 0)
    return success();
  return op->emitOpError("expected 'soft_cap' to be positive, got ") << cap->convertToFloat();
}

LogicalResult AttentionMaskOp::verify() {
  // (C1)
  if (failed(verifyRank(*this, "positions", getPositions().getType(), 2)) ||
      failed(verifyShape(*this, "lengths", shapeOf(getLengths()), {shapeOf(getPositions())[0]})))
    return failure();
  auto shape = shapeOf(getPositions());
  if (failed(verifyShape(*this, "result", shapeOf(getResult()), {shape[0], shape[1], shape[1]})))
    return failure();
  // (C2)
  return verifyWindow(*this, getWindow());
}

LogicalResult AttentionOp::verify() {
  auto query = shapeOf(getQuery()), key = shapeOf(getKey()), value = shapeOf(getValue());
  bool isRagged = bool(getBatch());
  // (C2)
  if (isRagged == bool(getPositions()) || isRagged == bool(getLengths()))
    return emitOpError("expected either 'positions' and 'lengths' or 'batch'");
  if (failed(verifyRank(*this, "query", getQuery().getType(), isRagged ? 3 : 4)))
    return failure();
  // (C1)
  if (failed(verifyShape(*this, "value", value, key)))
    return failure();
  SmallVector<int64_t> expected(query);
  int64_t heads = key.size() == query.size() ? key[key.size() - 2] : ShapedType::kDynamic;
  expected[expected.size() - 2] = heads;
  if (failed(verifyShape(*this, "key", key, expected)))
    return failure();
  if (heads <= 0 || query[query.size() - 2] % heads)
    return emitOpError("expected the heads of 'key' to divide ")
           << query[query.size() - 2] << ", got " << heads;
  if (!isRagged &&
      (failed(verifyShape(*this, "positions", shapeOf(getPositions()), query.take_front(2))) ||
       failed(verifyShape(*this, "lengths", shapeOf(getLengths()), query.take_front(1)))))
    return failure();
  // (C3)
  if (failed(verifyWindow(*this, getWindow())))
    return failure();
  // (C4)
  if (failed(verifyShape(*this, "result", shapeOf(getResult()), query)))
    return failure();
  // (C5)
  return verifySoftCap(*this, getSoftCap());
}

LogicalResult AppendCacheOp::verify() {
  // (C1)
  auto cache = getCache().getType();
  auto key = shapeOf(getKey());
  int64_t tokens = key.empty() ? ShapedType::kDynamic : key.front();
  if (failed(verifyShape(*this, "key", key, {tokens, cache.getHeads(), cache.getDim()})))
    return failure();
  return verifyShape(*this, "value", shapeOf(getValue()), key);
}

LogicalResult CachedAttentionOp::verify() {
  // (C1)
  auto cache = getCache().getType();
  if (failed(verifyRank(*this, "query", getQuery().getType(), 3)))
    return failure();
  auto query = shapeOf(getQuery());
  if (failed(verifyShape(*this, "query", query, {query[0], query[1], cache.getDim()})))
    return failure();
  if (query[1] % cache.getHeads())
    return emitOpError("expected the cache's heads to divide ")
           << query[1] << ", got " << cache.getHeads();
  // (C2)
  if (failed(verifyWindow(*this, getWindow())))
    return failure();
  if (getBidirectional() && getWindow())
    return emitOpError("expected no window with 'bidirectional', got ") << *getWindow();
  // (C3)
  return verifySoftCap(*this, getSoftCap());
}
