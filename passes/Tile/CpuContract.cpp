//===- CpuContract.cpp - Contractions on a CPU ---------------------------------------------------------===//
//
// Every lane holds what its results need, so a contraction is a list of multiply-add instructions
// on whole vectors. Those with the same activations are written side by side, step by step in k, so
// that an activation that all lanes share is read once for all and then forgotten. Integer sums are
// exact: `run` bounds what is added in 16 bits, and signed codes are multiplied as magnitudes with
// the sign moved to the activation, because vpmaddubsw and vpdpbusd want one unsigned operand. With
// 16-bit activations each register of codes becomes two of 16 bits, the even and the odd columns.
//
//===----------------------------------------------------------------------------------------------===//

#include "passes/Tile/CpuEmitter.h"

using namespace mlir;
using namespace ingot::tile;

//===----------------------------------------------------------------------------------------------===//
// Integers
//===----------------------------------------------------------------------------------------------===//

namespace {

/// Sums of one accumulator register: in 16 bits while they fit, then in 32.
struct Chain {
  Value sum, pairs;
  int64_t added = 0;
};

/// The intrinsics for 8 or 16 lanes.
struct IntegerAtom {
  bool isWide;
  StringRef multiplyBytes() const {
    return isWide ? "llvm.x86.avx512.pmaddubs.w.512" : "llvm.x86.avx2.pmadd.ub.sw";
  }
  StringRef addPairs() const {
    return isWide ? "llvm.x86.avx512.pmaddw.d.512" : "llvm.x86.avx2.pmadd.wd";
  }
  StringRef dot() const {
    return isWide ? "llvm.x86.avx512.vpdpbusd.512" : "llvm.x86.avx512.vpdpbusd.256";
  }
};

} // namespace

/// What a register of codes was loaded as; registers of one byte's nibbles have it in common.
static Operation *getLoaded(Value codes) {
  Operation *op = codes.getDefiningOp();
  while (op && !isa<LLVM::LoadOp>(op) && op->getNumOperands() > 0)
    op = op->getOperand(0).getDefiningOp();
  return op;
}

/// For each register of the result, its steps of four k in an order in which codes that come from
/// the same bytes follow each other, so that these bytes need not be kept. Exact sums have no
/// order.
static SmallVector<SmallVector<int64_t>> orderSteps(ValueRange codes, ArrayRef<int64_t> fromA,
                                                    int64_t depth) {
  llvm::MapVector<Operation *, int64_t> ranks;
  for (Value code : codes)
    ranks.try_emplace(getLoaded(code), ranks.size());
  SmallVector<SmallVector<int64_t>> result;
  for (ArrayRef<int64_t> rest = fromA; !rest.empty(); rest = rest.drop_front(depth)) {
    auto rank = [&](int64_t step) { return ranks.lookup(getLoaded(codes[rest[4 * step] / 4])); };
    auto &steps = result.emplace_back(llvm::to_vector(llvm::seq<int64_t>(0, depth / 4)));
    llvm::sort(steps,
               [&](int64_t a, int64_t b) { return std::pair(rank(a), a) < std::pair(rank(b), b); });
  }
  return result;
}

/// Whether the second, which follows the first, can be written beside it.
static bool goTogether(ContractOp first, ContractOp second) {
  return first.getAtom() == second.getAtom() && first.getB() == second.getB() &&
         first.getA().getType() == second.getA().getType() && first.getType() == second.getType() &&
         first.getRun() == second.getRun() && first.getSignedCodes() == second.getSignedCodes() &&
         second.getAccumulator() != first.getResult() && second.getA() != first.getResult();
}

/// Where the step of four k stands in what `findOperandRegisters` returns: that of a register of
/// the result, by number in its order.
static int64_t findStep(ArrayRef<SmallVector<int64_t>> steps, int64_t depth, int64_t sum,
                        int64_t number) {
  return sum * depth + 4 * steps[sum][number];
}

LogicalResult CpuEmitter::emitWideContracts(ArrayRef<ContractOp> ops) {
  ContractOp op = ops.front();
  const PhysicalTile &sumTile = getPhysical(op.getType());
  int64_t lanes = sumTile.lanes, registers = sumTile.getVectorCount(),
          depth = op.getA().getType().getDimSize(1);
  IntegerAtom atom{lanes == 16};
  if (lanes != 8 && !atom.isWide)
    return op.emitOpError("expected 8 or 16 lanes, got ") << lanes;
  VectorType i16 = VectorType::get(2 * lanes, b.getI16Type()), i32 = sumTile.getVectorType();
  SmallVector<int64_t> fromA = findOperandRegisters(op.getA().getType(), op.getType(), 0);
  SmallVector<int64_t> fromB = findOperandRegisters(op.getB().getType(), op.getType(), 1);
  Values x = get(op.getB());
  SmallVector<Values> sums;
  for (ContractOp contract : ops)
    sums.push_back(get(contract.getAccumulator()));
  llvm::DenseMap<std::pair<Value, int64_t>, Value> halves;
  // The even or the odd bytes of a register of codes.
  auto widen = [&](Value codes, int64_t half) {
    Value &wide = halves[{codes, half}];
    if (wide)
      return wide;
    Value pairs = vector::BitCastOp::create(b, loc, i16, codes), eight = makeInteger(i16, 8);
    if (!op.getSignedCodes())
      wide = half ? Value(arith::ShRUIOp::create(b, loc, pairs, eight))
                  : Value(arith::AndIOp::create(b, loc, pairs, makeInteger(i16, 255)));
    else
      wide = arith::ShRSIOp::create(
          b, loc, half ? pairs : Value(arith::ShLIOp::create(b, loc, pairs, eight)), eight);
    return wide;
  };
  auto steps = orderSteps(get(op.getA()), fromA, depth);
  for (int64_t i = 0; i < depth / 4; ++i)
    for (int64_t half = 0; half < 2; ++half)
      for (int64_t r = 0; r < registers; ++r)
        for (auto [o, contract] : llvm::enumerate(ops)) {
          int64_t place = findStep(steps, depth, r, i);
          // Registers of b: the even k of a step, then the odd ones.
          Value activations = x[fromB[place + half] / 2];
          Value codes = widen(get(ContractOp(contract).getA())[fromA[place] / 4], half);
          Value products = callIntrinsic(atom.addPairs(), i32, {codes, activations});
          sums[o][r] = arith::AddIOp::create(b, loc, sums[o][r], products);
        }
  for (auto [contract, results] : llvm::zip(llvm::to_vector(ops), sums))
    set(contract, results);
  return success();
}

LogicalResult CpuEmitter::emitIntegerContracts(ArrayRef<ContractOp> ops) {
  ContractOp op = ops.front();
  const PhysicalTile &sumTile = getPhysical(op.getType());
  int64_t lanes = sumTile.lanes;
  IntegerAtom atom{lanes == 16};
  if (lanes != 8 && !atom.isWide)
    return op.emitOpError("expected 8 or 16 lanes, got ") << lanes;
  bool isDot = op.getAtom() == Atom::Vpdpbusd;
  if (atom.isWide && op.getSignedCodes())
    return op.emitOpError("expected 8 lanes with signed codes, got ") << lanes;
  VectorType i8 = VectorType::get(4 * lanes, b.getI8Type()),
             i16 = VectorType::get(2 * lanes, b.getI16Type()), i32 = sumTile.getVectorType();
  SmallVector<int64_t> fromA = findOperandRegisters(op.getA().getType(), op.getType(), 0);
  SmallVector<int64_t> fromB = findOperandRegisters(op.getB().getType(), op.getType(), 1);
  int64_t depth = op.getA().getType().getDimSize(1), registers = sumTile.getVectorCount();
  Values x = get(op.getB());
  llvm::DenseMap<Value, Value> magnitudes;
  SmallVector<SmallVector<Chain>> chains; // of each op, for each register of its result
  for (ContractOp contract : ops)
    llvm::transform(get(contract.getAccumulator()), std::back_inserter(chains.emplace_back()),
                    [](Value sum) { return Chain{sum, {}}; });
  auto flush = [&](Chain &chain) {
    if (!chain.pairs)
      return;
    Value quads = callIntrinsic(atom.addPairs(), i32, {chain.pairs, makeInteger(i16, 1)});
    chain = {arith::AddIOp::create(b, loc, chain.sum, quads), {}};
  };
  auto multiply = [&](Chain &chain, Value codes, Value activations) {
    if (op.getSignedCodes()) {
      activations = callIntrinsic("llvm.x86.avx2.psign.b", i8, {activations, codes});
      Value &magnitude = magnitudes[codes];
      if (!magnitude)
        magnitude = math::AbsIOp::create(b, loc, codes);
      codes = magnitude;
    }
    if (isDot) {
      chain.sum = callIntrinsic(atom.dot(), i32, {chain.sum, codes, activations});
      return;
    }
    Value products = callIntrinsic(atom.multiplyBytes(), i16, {codes, activations});
    chain.pairs =
        chain.pairs ? Value(arith::AddIOp::create(b, loc, chain.pairs, products)) : products;
    if (++chain.added == int64_t(op.getRun()))
      flush(chain);
  };
  auto steps = orderSteps(get(op.getA()), fromA, depth);
  for (int64_t i = 0; i < depth / 4; ++i)
    for (int64_t r = 0; r < registers; ++r)
      for (auto [o, sums] : llvm::enumerate(chains)) {
        ContractOp contract = ops[o];
        int64_t place = findStep(steps, depth, r, i);
        multiply(sums[r], get(contract.getA())[fromA[place] / 4], x[fromB[place] / 4]);
      }
  for (auto [contract, sums] : llvm::zip(llvm::to_vector(ops), chains)) {
    Values results;
    for (Chain &chain : sums) {
      flush(chain);
      results.push_back(chain.sum);
    }
    set(contract, results);
  }
  return success();
}

LogicalResult CpuEmitter::emitContract(ContractOp op) {
  if (emitted.contains(op))
    return success();
  if (op.getAtom() == Atom::Fma) {
    emitFma(op);
    return success();
  }
  bool isWide = op.getAtom() == Atom::Vpmaddwd;
  if (!isWide && op.getAtom() != Atom::Vpmaddubsw && op.getAtom() != Atom::Vpdpbusd)
    return op.emitOpError("cannot be lowered to a CPU: it is made of a GPU's instruction");
  SmallVector<ContractOp> together{op};
  while (auto next = dyn_cast_or_null<ContractOp>(together.back()->getNextNode())) {
    if (!llvm::all_of(together, [&](ContractOp first) { return goTogether(first, next); }))
      break;
    together.push_back(next);
  }
  emitted.insert(together.begin(), together.end());
  return isWide ? emitWideContracts(together) : emitIntegerContracts(together);
}
