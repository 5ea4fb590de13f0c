//===- NvptxMma.cpp - Matrix instructions of a GPU ------------------------------------------------------===//
//
// A contraction of tiles is as many mma.m16n8k16 as its registers hold. What the instruction fixes
// is which lane holds which row of A, column of B and element of the sum, and which bits of a lane
// and a register move along k. Which k these bits stand for is free as long as A and B agree: the
// sum does not ask for its order. So a lane may hold what lies side by side in memory:
//
//   A of 16 x 32 in 16-byte pieces: lane 4 g + t holds columns 8 t ... 8 t + 7 of rows g and g + 8;
//   the first instruction takes columns 0 to 3 of each piece, the second 4 to 7; B likewise.
//
//===----------------------------------------------------------------------------------------------===//

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "passes/Tile/NvptxEmitter.h"
#include <map>

using namespace mlir;
using namespace ingot::tile;
using ingot::LinearLayout;

namespace {

/// One operand of the contraction: where its registers are.
class MmaOperandTile {
public:
  explicit MmaOperandTile(const ThreadTile &tile) : tile(tile), rank(tile.type.getRank()) {
    for (int64_t i = tile.registers; i-- > 0;)
      registerAt[SmallVector<int64_t>(tile.getCoordinates(i))] = i;
  }

  /// Basis of a bit of register (0), lane (1) or warp (2) as (batch, row, column); zeros past the
  /// last bit.
  std::array<int64_t, 3> getBasis(unsigned input, size_t bit) const {
    const LinearLayout::Bases &bases = tile.layout.getBases(input);
    std::array<int64_t, 3> basis = {0, 0, 0};
    if (bit < bases.size())
      llvm::copy(bases[bit], basis.begin() + (3 - rank));
    return basis;
  }
  size_t countRegisterBits() const { return tile.layout.getBases(0).size(); }

  /// The register that holds (batch, row, column) in lane 0 of warp 0, or -1.
  int64_t find(int64_t batch, int64_t row, int64_t column) const {
    SmallVector<int64_t> at = {batch, row, column};
    if (rank == 2)
      at.erase(at.begin());
    auto found = registerAt.find(at);
    return found == registerAt.end() ? -1 : found->second;
  }

private:
  const ThreadTile &tile;
  unsigned rank;
  std::map<SmallVector<int64_t>, int64_t> registerAt;
};

using Basis = std::array<int64_t, 3>;

/// What A, B and the sum agree on.
struct MmaShape {
  SmallVector<int64_t> kBits; ///< bases along k of registers, lowest register first
  std::string reason;         ///< why the layouts are no fragments
};

MmaShape matchFragments(const MmaOperandTile &a, const MmaOperandTile &y,
                        const MmaOperandTile &sum) {
  MmaShape shape;
  auto refuse = [&](StringRef reason) {
    shape.reason = reason.str();
    return shape;
  };
  constexpr StringLiteral fragments = "expected the fragments of mma.m16n8k16 as layouts";
  for (size_t bit = 0; bit < 5; ++bit) {
    Basis inA = a.getBasis(1, bit), inB = y.getBasis(1, bit), inSum = sum.getBasis(1, bit);
    int64_t row = int64_t(1) << (bit < 2 ? bit + 1 : bit - 2);
    bool isRight =
        bit < 2
            ? inA[1] == 0 && inA[2] != 0 && inB == Basis{0, inA[2], 0} && inSum == Basis{0, 0, row}
            : inA == Basis{0, row, 0} && inB == Basis{0, 0, row} && inSum == Basis{0, row, 0};
    if (!isRight || inA[0] != 0)
      return refuse(fragments);
  }
  SmallVector<int64_t> kOfB;
  for (size_t bit = 0; bit < a.countRegisterBits(); ++bit)
    if (Basis basis = a.getBasis(0, bit); basis[2] != 0)
      shape.kBits.push_back(basis[2]);
  for (size_t bit = 0; bit < y.countRegisterBits(); ++bit)
    if (Basis basis = y.getBasis(0, bit); basis[1] != 0)
      kOfB.push_back(basis[1]);
  SmallVector<int64_t> sorted(shape.kBits);
  llvm::sort(sorted);
  llvm::sort(kOfB);
  if (shape.kBits.size() < 2 || sorted != kOfB)
    return refuse(fragments);
  for (size_t bit = 0; bit < 5; ++bit) {
    Basis inA = a.getBasis(2, bit), inB = y.getBasis(2, bit), inSum = sum.getBasis(2, bit);
    if (inA != Basis{inSum[0], inSum[1], 0} || inB != Basis{inSum[0], 0, inSum[2]})
      return refuse("expected every warp to hold the operands of its own results");
  }
  return shape;
}

} // namespace

/// Two 16-bit registers as the instruction takes them.
Value NvptxEmitter::pack16(Value first, Value second) {
  Type element = first.getType();
  Value both = LLVM::PoisonOp::create(b, loc, VectorType::get(2, element));
  both = LLVM::InsertElementOp::create(b, loc, both, first, makeInteger(b.getI32Type(), 0));
  both = LLVM::InsertElementOp::create(b, loc, both, second, makeInteger(b.getI32Type(), 1));
  return element.isBF16() ? Value(LLVM::BitcastOp::create(b, loc, b.getI32Type(), both)) : both;
}

LogicalResult NvptxEmitter::emitMma(ContractOp op) {
  const ThreadTile &sumTile = getThreadTile(op.getType());
  MmaOperandTile a(getThreadTile(op.getA().getType())), y(getThreadTile(op.getB().getType())),
      sum(sumTile);
  MmaShape shape = matchFragments(a, y, sum);
  if (!shape.reason.empty())
    return refuse(op, shape.reason);
  bool isBf16 = op.getA().getType().getElementType().isBF16();
  Values left = get(op.getA()), right = get(op.getB()), sums = get(op.getAccumulator());
  constexpr int64_t nextColumn = 1, nextRow = 8; // in the sum's registers
  int64_t first = shape.kBits[0], second = shape.kBits[1];
  auto structure =
      LLVM::LLVMStructType::getLiteral(b.getContext(), SmallVector<Type>(4, b.getF32Type()));
  std::optional<std::array<NVVM::MMATypes, 2>> types;
  if (isBf16)
    types = std::array{NVVM::MMATypes::bf16, NVVM::MMATypes::bf16};
  llvm::SmallDenseSet<int64_t> done;
  for (int64_t index = 0; index < sumTile.registers; ++index) {
    Coordinates at = sumTile.getCoordinates(index);
    int64_t batch = at.size() == 3 ? at[0] : 0, m = at[at.size() - 2], n = at.back();
    if ((m & nextRow) || (n & nextColumn))
      continue;
    int64_t places[4];
    for (int64_t i = 0; i < 4; ++i)
      places[i] = sum.find(batch, m | (i & 2 ? nextRow : 0), n | (i & 1 ? nextColumn : 0));
    if (llvm::is_contained(places, -1))
      return refuse(op, "expected the fragments of mma.m16n8k16 as layouts");
    if (!done.insert(places[0]).second)
      continue; // a register that repeats another
    for (int64_t step = 0; step < int64_t(1) << (shape.kBits.size() - 2); ++step) {
      int64_t k = 0;
      for (size_t bit = 2; bit < shape.kBits.size(); ++bit)
        if (step >> (bit - 2) & 1)
          k ^= shape.kBits[bit];
      SmallVector<Value> pairsA, pairsB, accumulators;
      auto take = [&](const Values &registers, const MmaOperandTile &tile, Basis low, Basis high,
                      SmallVector<Value> &pairs) {
        int64_t lowest = tile.find(low[0], low[1], low[2]),
                next = tile.find(high[0], high[1], high[2]);
        if (lowest < 0 || next < 0)
          return false;
        pairs.push_back(pack16(registers[lowest], registers[next]));
        return true;
      };
      for (int64_t i = 0; i < 4; ++i) {
        int64_t row = m | (i & 1 ? nextRow : 0), column = k ^ (i & 2 ? second : 0);
        if (!take(left, a, {batch, row, column}, {batch, row, column ^ first}, pairsA))
          return refuse(op, "expected the fragments of mma.m16n8k16 as layouts");
      }
      for (int64_t i = 0; i < 2; ++i) {
        int64_t row = k ^ (i & 1 ? second : 0);
        if (!take(right, y, {batch, row, n}, {batch, row ^ first, n}, pairsB))
          return refuse(op, "expected the fragments of mma.m16n8k16 as layouts");
      }
      for (int64_t place : places)
        accumulators.push_back(sums[place]);
      Value product =
          NVVM::MmaOp::create(b, loc, structure, pairsA, pairsB, accumulators,
                              ArrayRef<int64_t>{16, 8, 16}, std::nullopt, std::nullopt, types,
                              std::array{NVVM::MMALayout::row, NVVM::MMALayout::col});
      for (int64_t i = 0; i < 4; ++i)
        sums[places[i]] = LLVM::ExtractValueOp::create(b, loc, product, ArrayRef<int64_t>{i});
    }
  }
  set(op, sums);
  return success();
}
