//===- TileCompute.cpp - Contractions and rearrangements of tiles -----------------------------===//
//
// Written after the formulas of the dialect's documentation; floats are added in the order that is
// stated there.
//
//===------------------------------------------------------------------------------------------===//

#include "TileBlock.h"
#include "llvm/Support/FormatVariadic.h"
#include <cmath>

using namespace mlir;
using namespace ingot;
using namespace ingot::reference;

/// A tile of `shape` whose element at `at` is `element(at)`.
static TileValue makeTile(ArrayRef<int64_t> shape,
                          llvm::function_ref<Number(ArrayRef<int64_t>)> element) {
  TileValue result;
  llvm::cantFail(forEachElement(shape, [&](ArrayRef<int64_t> at, size_t) {
    result.numbers.push_back(element(at));
    return llvm::Error::success();
  }));
  return result;
}

//===------------------------------------------------------------------------------------------===//
// Rearrangement
//===------------------------------------------------------------------------------------------===//

TileValue TileBlock::iota(tile::IotaOp op) {
  return makeTile(op.getResult().getType().getShape(),
                  [&](ArrayRef<int64_t> at) { return Number::of(at[op.getDim()]); });
}

TileValue TileBlock::broadcast(tile::BroadcastOp op) {
  const TileValue &value = get(op.getValue());
  ArrayRef<int64_t> shape = op.getValue().getType().getShape();
  return makeTile(op.getResult().getType().getShape(), [&](ArrayRef<int64_t> at) {
    SmallVector<int64_t, 5> from(at);
    for (auto [coordinate, size] : llvm::zip_equal(from, shape))
      coordinate = size == 1 ? 0 : coordinate;
    return value.numbers[getLinearIndex(shape, from)];
  });
}

TileValue TileBlock::exchange(tile::ExchangeOp op) {
  const TileValue &value = get(op.getValue());
  ArrayRef<int64_t> shape = op.getValue().getType().getShape();
  return makeTile(shape, [&](ArrayRef<int64_t> at) {
    SmallVector<int64_t, 5> from(at);
    from[op.getDim()] ^= op.getDistance();
    return value.numbers[getLinearIndex(shape, from)];
  });
}

TileValue TileBlock::transpose(tile::TransposeOp op) {
  const TileValue &value = get(op.getValue());
  ArrayRef<int64_t> shape = op.getValue().getType().getShape();
  TileValue result = makeTile(op.getResult().getType().getShape(), [&](ArrayRef<int64_t> at) {
    SmallVector<int64_t, 5> from(at.size());
    for (auto [i, dim] : llvm::enumerate(op.getPermutation()))
      from[dim] = at[i];
    return value.numbers[getLinearIndex(shape, from)];
  });
  result.sources = value.sources; // the same registers, or none where an operand is read in place
  return result;
}

//===------------------------------------------------------------------------------------------===//
// Reduction
//===------------------------------------------------------------------------------------------===//

static Number combine(tile::ReduceKind kind, bool isFloat, Number a, Number b) {
  if (kind == tile::ReduceKind::Add)
    return isFloat ? Number::of(a.real + b.real)
                   : Number::of(int64_t(int32_t(uint32_t(a.integer) + uint32_t(b.integer))));
  return (isFloat ? a.real > b.real : a.integer > b.integer) ? a : b;
}

// The order is that of registers and lanes, so the tile is laid out in them: place i has the
// inputs' bits beside each other, registers lowest.
static TileReduction makeReduction(tile::ReduceOp op) {
  RankedTensorType type = op.getValue().getType();
  ArrayRef<int64_t> shape = op.getResult().getType().getShape();
  int64_t dim = op.getDim();
  LinearLayout layout = tile::getLayout(type).getLinearLayout(type.getShape());
  TileReduction reduction;
  for (size_t i = 0, places = layout.getDomainSize(); i < places; ++i) {
    SmallVector<int64_t, 4> inputs;
    size_t rest = i;
    for (unsigned input = 0; input < layout.getInputCount(); ++input) {
      inputs.push_back(rest % layout.getInputSize(input));
      rest /= layout.getInputSize(input);
    }
    LinearLayout::Coordinates at = layout.apply(inputs);
    reduction.elements.push_back(getLinearIndex(type.getShape(), at));
    at[dim] = 0;
    reduction.results.push_back(getLinearIndex(shape, at));
  }
  unsigned firstBit = 0;
  for (unsigned input = 0; input < layout.getInputCount(); ++input) {
    const LinearLayout::Bases &bases = layout.getBases(input);
    for (size_t bit = bases.size(); bit-- > 0;)
      if (bases[bit][dim] != 0)
        reduction.masks.push_back(size_t(1) << (firstBit + bit));
    firstBit += bases.size();
  }
  return reduction;
}

TileValue TileBlock::reduce(tile::ReduceOp op) {
  auto [found, isNew] = sharedRun.reductions.try_emplace(op);
  if (isNew)
    found->second = makeReduction(op);
  const TileReduction &reduction = found->second;
  const TileValue &value = get(op.getValue());
  bool isFloat = op.getType().getElementType().isF32();
  size_t places = reduction.elements.size();
  std::vector<Number> held(places);
  for (size_t i = 0; i < places; ++i)
    held[i] = value.numbers[reduction.elements[i]];
  for (size_t mask : reduction.masks)
    for (size_t i = 0; i < places; ++i)
      if (!(i & mask))
        held[i] = held[i | mask] = combine(op.getKind(), isFloat, held[i], held[i | mask]);
  TileValue result;
  result.numbers.resize(op.getType().getNumElements());
  for (size_t i = 0; i < places; ++i)
    result.numbers[reduction.results[i]] = held[i];
  return result;
}

//===------------------------------------------------------------------------------------------===//
// Contraction
//===------------------------------------------------------------------------------------------===//

/// What the integer atoms assume of their numbers.
llvm::Error TileBlock::checkRun(tile::ContractOp op) {
  const std::vector<Number> &a = get(op.getA()).numbers, &b = get(op.getB()).numbers;
  for (auto [i, number] : llvm::enumerate(a))
    if (number.integer < 0 && !op.getSignedCodes())
      return fail(op, llvm::formatv("element {0} of 'a' is {1}, but unsigned codes have 7 bits", i,
                                    number.integer)
                          .str());
  if (op.getAtom() == tile::Atom::Vpmaddwd)
    return llvm::Error::success();
  for (auto [i, number] : llvm::enumerate(b))
    if (number.integer < -127)
      return fail(op,
                  llvm::formatv("element {0} of 'b' is {1}, below -127", i, number.integer).str());
  if (op.getAtom() != tile::Atom::Vpmaddubsw)
    return llvm::Error::success();
  // Of four consecutive k, products 0 and 1, and 2 and 3, go to one 16-bit sum each.
  int64_t rows = op.getType().getDimSize(0), columns = op.getType().getDimSize(1),
          depth = op.getA().getType().getDimSize(1), run = op.getRun();
  for (int64_t m = 0; m < rows; ++m)
    for (int64_t n = 0; n < columns; ++n)
      for (int64_t half = 0; half < 2; ++half)
        for (int64_t k = 0, sum = 0; k < depth; k += 4) {
          if (k / 4 % run == 0)
            sum = 0;
          for (int64_t i = k + 2 * half; i < k + 2 * half + 2; ++i)
            sum += a[m * depth + i].integer * b[i * columns + n].integer;
          if (sum != int16_t(sum))
            return fail(op, llvm::formatv("run {0} overflows 16 bits at result [{1}, {2}]: {3}",
                                          run, m, n, sum)
                                .str());
        }
  return llvm::Error::success();
}

TileBlock::Result TileBlock::contract(tile::ContractOp op) {
  const std::vector<Number> &a = get(op.getA()).numbers, &b = get(op.getB()).numbers;
  ArrayRef<int64_t> shape = op.getType().getShape();
  int64_t rows = shape[shape.size() - 2], columns = shape.back(),
          depth = op.getA().getType().getShape().back(), batches = shape.size() == 3 ? shape[0] : 1;
  bool isInteger = op.getType().getElementType().isInteger(32);
  if (isInteger)
    if (llvm::Error error = checkRun(op))
      return std::move(error);
  TileValue result = get(op.getAccumulator());
  for (int64_t row = 0; row < batches * rows; ++row)
    for (int64_t n = 0; n < columns; ++n) {
      Number &sum = result.numbers[row * columns + n];
      for (int64_t k = 0; k < depth; ++k) {
        Number left = a[row * depth + k], right = b[(row / rows * depth + k) * columns + n];
        if (isInteger)
          sum.integer += left.integer * right.integer;
        else
          sum.real = std::fma(left.real, right.real, sum.real);
      }
      if (isInteger)
        sum.integer = int32_t(sum.integer);
    }
  result.isPending = op.getAtom() == tile::Atom::WgmmaM64K16;
  if (!result.isPending)
    return result;
  for (Value operand : {op.getA(), op.getB()})
    for (auto [memory, byte] : get(operand).sources) {
      memory->pendingReads.resize(memory->bytes.size());
      ++memory->pendingReads[byte];
      result.sources.push_back({memory, byte});
    }
  return result;
}
