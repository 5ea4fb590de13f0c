//===- CpuShuffle.cpp - Rearrangement of tiles on a CPU ----------------------------------------------===//
//
// Layout conversions, broadcasts and exchanges are all "each element of the result is some element
// of the operand": the algebra of layouts says which register and lane that is, a shuffle fetches
// it. Reductions are trees of them.
//
//===----------------------------------------------------------------------------------------------===//

#include "passes/Tile/CpuEmitter.h"

using namespace mlir;
using namespace ingot::tile;

Values CpuEmitter::rearrange(const PhysicalTile &from, ValueRange vectors, const PhysicalTile &to,
                             llvm::function_ref<Coordinates(Coordinates)> source) {
  LinearLayout inverse = *from.layout.invert(); // layouts of tiles are surjective
  // Of replicated lanes, take the one where the result is: then nothing moves.
  int64_t freeLanes = 0;
  for (auto [bit, basis] : llvm::enumerate(from.layout.getBases(1)))
    if (llvm::all_of(basis, [](int64_t c) { return c == 0; }))
      freeLanes |= int64_t(1) << bit;
  Values results;
  for (int64_t vector = 0; vector < to.getVectorCount(); ++vector) {
    SmallVector<std::pair<int64_t, int64_t>> places; // (vector, position) in the operand
    for (int64_t position = 0; position < to.getVectorSize(); ++position) {
      Coordinates place = inverse.apply(source(to.getCoordinates(vector, position)));
      int64_t lane = place[1] | (position / to.pack & freeLanes);
      places.push_back({place[0] / from.pack, lane * from.pack + place[0] % from.pack});
    }
    // Merge one operand vector after the other into the result.
    Value merged;
    SmallVector<bool> done(places.size(), false);
    for (size_t first = 0; first < places.size(); ++first) {
      if (done[first])
        continue;
      int64_t chosen = places[first].first;
      SmallVector<int64_t> mask(places.size(), -1);
      for (auto [i, place] : llvm::enumerate(places)) {
        if (place.first == chosen)
          mask[i] = merged ? place.second + int64_t(places.size()) : place.second;
        else if (merged && done[i])
          mask[i] = i;
      }
      for (auto [i, place] : llvm::enumerate(places))
        done[i] = done[i] || place.first == chosen;
      // Positions still to come: anything will do; repeat what is there so that identities are
      // seen.
      for (auto [i, position] : llvm::enumerate(mask))
        if (position < 0)
          position = merged ? int64_t(i) : std::min<int64_t>(i, from.getVectorSize() - 1);
      Value vectorOf = vectors[chosen];
      if (!merged) {
        merged = shuffle(vectorOf, vectorOf, mask);
        continue;
      }
      if (vectorOf.getType() != merged.getType()) { // both sides of a shuffle have the same length
        SmallVector<int64_t> widen(places.size());
        for (auto [i, position] : llvm::enumerate(widen))
          position = mask[i] >= int64_t(places.size()) ? mask[i] - int64_t(places.size()) : 0;
        vectorOf = shuffle(vectorOf, vectorOf, widen);
        for (auto [i, position] : llvm::enumerate(mask))
          if (position >= int64_t(places.size()))
            position = places.size() + i;
      }
      merged = shuffle(merged, vectorOf, mask);
    }
    results.push_back(merged);
  }
  return results;
}

LogicalResult CpuEmitter::emitReduce(ReduceOp op) {
  const PhysicalTile &tile = getPhysical(op.getValue().getType());
  Values vectors = reduceRegisters(op, tile.layout);
  // Lanes: every lane ends with the result.
  const LinearLayout::Bases &lanes = tile.layout.getBases(1);
  for (size_t bit = lanes.size(); bit-- > 0;) {
    if (lanes[bit][op.getDim()] == 0)
      continue;
    SmallVector<int64_t> without, with;
    for (int64_t lane = 0; lane < tile.lanes; ++lane) {
      without.push_back(lane & ~(int64_t(1) << bit));
      with.push_back(lane | int64_t(1) << bit);
    }
    for (Value &vector : vectors)
      vector = combine(op, shuffle(vector, vector, without), shuffle(vector, vector, with));
  }
  set(op, vectors);
  return success();
}

LogicalResult CpuEmitter::emitIota(IotaOp op) {
  const PhysicalTile &tile = getPhysical(op.getType());
  Values vectors;
  for (int64_t vector = 0; vector < tile.getVectorCount(); ++vector) {
    SmallVector<int32_t> numbers;
    for (int64_t position = 0; position < tile.getVectorSize(); ++position)
      numbers.push_back(tile.getCoordinates(vector, position)[op.getDim()]);
    vectors.push_back(arith::ConstantOp::create(
        b, loc, DenseElementsAttr::get(tile.getVectorType(), ArrayRef<int32_t>(numbers))));
  }
  set(op, vectors);
  return success();
}

LogicalResult CpuEmitter::emitSplat(SplatOp op) {
  const PhysicalTile &tile = getPhysical(op.getType());
  Value vector =
      vector::BroadcastOp::create(b, loc, tile.getVectorType(), getScalar(op.getValue()));
  set(op, Values(tile.getVectorCount(), vector));
  return success();
}
