//===- NvptxCompute.cpp - Arithmetic and rearrangement of tiles on a GPU -------------------------------===//
//
// Elementwise ops are one scalar op a register. Where elements come from other lanes, the algebra
// of layouts says from which: a constant exclusive or of the lane number is a butterfly shuffle,
// else the lane is computed; between warps elements go through shared memory. Pairs of 16-bit
// floats are computed together.
//
//===----------------------------------------------------------------------------------------------===//

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "passes/Tile/NvptxEmitter.h"
#include "llvm/ADT/Sequence.h"
#include <functional>

using namespace mlir;
using namespace ingot::tile;
using ingot::LinearLayout;

//===----------------------------------------------------------------------------------------------===//
// Elementwise
//===----------------------------------------------------------------------------------------------===//

/// An op on 16-bit floats, two registers at a time.
void NvptxEmitter::emitPairs(Operation &op, int64_t registers, Values &results) {
  Type pair = VectorType::get(2, getElementTypeOrSelf(op.getResult(0).getType()));
  auto number = [&](int64_t i) { return makeInteger(b.getI32Type(), i); };
  for (int64_t i = 0; i < registers; i += 2) {
    OperationState state(loc, op.getName());
    for (Value operand : op.getOperands()) {
      const Values &emitted = get(operand);
      bool isScalar = !isTile(operand.getType());
      Value both = LLVM::PoisonOp::create(
          b, loc, VectorType::get(2, getElementTypeOrSelf(operand.getType())));
      for (int64_t j : {0, 1})
        both = LLVM::InsertElementOp::create(
            b, loc, both, isScalar ? emitted.front() : emitted[i + j], number(j));
      state.operands.push_back(both);
    }
    state.addTypes(pair);
    state.addAttributes(op.getAttrs());
    Value result = b.create(state)->getResult(0);
    for (int64_t j : {0, 1})
      results.push_back(LLVM::ExtractElementOp::create(b, loc, result, number(j)));
  }
}

LogicalResult NvptxEmitter::emitElementwise(Operation &op) {
  if (op.getNumResults() != 1 || op.getNumRegions() != 0)
    return refuse(&op, "expected an op with one result and no region");
  Type type = op.getResult(0).getType(), element = getElementTypeOrSelf(type);
  int64_t registers = isTile(type) ? getThreadTile(type).registers : 1;
  if (auto constant = dyn_cast<arith::ConstantOp>(op)) {
    auto elements = dyn_cast<SplatElementsAttr>(constant.getValue());
    if (!elements)
      return refuse(&op, "expected a constant with one value for all elements");
    Value scalar =
        arith::ConstantOp::create(b, loc, cast<TypedAttr>(elements.getSplatValue<Attribute>()));
    set(op.getResult(0), Values(registers, scalar));
    return success();
  }
  // The others would become calls of a library, or instructions of another precision.
  if (isa<math::MathDialect>(op.getDialect()) &&
      !isa<math::AbsFOp, math::AbsIOp, math::FmaOp, math::SqrtOp, math::RsqrtOp, math::FloorOp,
           math::CeilOp, math::TruncOp, math::RoundEvenOp, math::CopySignOp, math::Exp2Op>(op))
    return refuse(&op, "it has no instruction; write it with math.exp2 and arithmetic");
  bool isNarrow = element.isF16() || element.isBF16();
  if (isa<math::MathDialect>(op.getDialect()) && isa<FloatType>(element) && !element.isF32() &&
      !(isNarrow && isa<math::FmaOp>(op)))
    return refuse(&op, "expected f32");
  for (Value operand : op.getOperands())
    if (isTile(operand.getType()) && getThreadTile(operand.getType()).registers != registers)
      return refuse(&op, "expected operands with the layout of the result");
  Values results;
  if (isNarrow && registers % 2 == 0 &&
      isa<arith::AddFOp, arith::SubFOp, arith::MulFOp, math::FmaOp, arith::TruncFOp>(op)) {
    emitPairs(op, registers, results);
    set(op.getResult(0), results);
    return success();
  }
  for (int64_t i = 0; i < registers; ++i) {
    OperationState state(loc, op.getName());
    for (Value operand : op.getOperands()) {
      const Values &emitted = get(operand);
      state.operands.push_back(isTile(operand.getType()) ? emitted[i] : emitted.front());
    }
    state.addTypes(element);
    state.addAttributes(op.getAttrs());
    results.push_back(b.create(state)->getResult(0));
  }
  set(op.getResult(0), results);
  return success();
}

LogicalResult NvptxEmitter::emitIota(IotaOp op) {
  const ThreadTile &tile = getThreadTile(op.getType());
  Values numbers;
  for (int64_t i = 0; i < tile.registers; ++i)
    numbers.push_back(
        arith::IndexCastUIOp::create(b, loc, b.getI32Type(), getCoordinate(tile, i, op.getDim())));
  set(op, numbers);
  return success();
}

//===----------------------------------------------------------------------------------------------===//
// Rearrangement
//===----------------------------------------------------------------------------------------------===//

Value NvptxEmitter::emitShuffle(Value value, NVVM::ShflKind kind, Value operand) {
  Type type = value.getType(), i32 = b.getI32Type();
  unsigned bits = type.getIntOrFloatBitWidth();
  Type integer = b.getIntegerType(bits);
  if (bits != 32) { // shuffles move 32 bits
    if (type != integer)
      value = arith::BitcastOp::create(b, loc, integer, value);
    value = arith::ExtUIOp::create(b, loc, i32, value);
  }
  value = NVVM::ShflOp::create(b, loc, value.getType(), makeInteger(i32, -1), value, operand,
                               makeInteger(i32, warpSize - 1), kind, UnitAttr());
  if (bits == 32)
    return value;
  value = arith::TruncIOp::create(b, loc, integer, value);
  return type == integer ? value : Value(arith::BitcastOp::create(b, loc, type, value));
}

Value NvptxEmitter::shuffle(Value value, int64_t mask) {
  return mask == 0 ? value
                   : emitShuffle(value, NVVM::ShflKind::bfly, makeInteger(b.getI32Type(), mask));
}

Value NvptxEmitter::shuffleFrom(Value value, Value from) {
  return emitShuffle(value, NVVM::ShflKind::idx, from);
}

/// Bits of an input that only repeat elements: zero bases, and bits past the last of `size`.
static int64_t getFreeBits(const LinearLayout &layout, unsigned input, int64_t size) {
  int64_t free = (size - 1) & ~(layout.getInputSize(input) - 1);
  for (auto [bit, basis] : llvm::enumerate(layout.getBases(input)))
    if (llvm::all_of(basis, [](int64_t c) { return c == 0; }))
      free |= int64_t(1) << bit;
  return free;
}

/// A number that is linear in the bits of the own lane, by what it is for each lane; i32.
static Value emitLinear(OpBuilder &b, Location loc, Value lane, ArrayRef<int64_t> ofLane) {
  Type i32 = b.getI32Type();
  auto constant = [&](int64_t value) -> Value {
    return arith::ConstantOp::create(b, loc, b.getIntegerAttr(i32, value));
  };
  Value own = arith::IndexCastUIOp::create(b, loc, i32, lane), sum = constant(ofLane[0]);
  for (int64_t bit = 0; bit < 5; ++bit) {
    int64_t change = ofLane[int64_t(1) << bit] ^ ofLane[0];
    if (change == 0)
      continue;
    Value isSet = arith::AndIOp::create(b, loc, arith::ShRUIOp::create(b, loc, own, constant(bit)),
                                        constant(1));
    sum =
        arith::XOrIOp::create(b, loc, sum, arith::MulIOp::create(b, loc, isSet, constant(change)));
  }
  return sum;
}

LogicalResult NvptxEmitter::rearrange(Operation *op,
                                      llvm::function_ref<Coordinates(Coordinates)> source) {
  const ThreadTile &from = getThreadTile(op->getOperand(0).getType()),
                   &to = getThreadTile(op->getResult(0).getType());
  LinearLayout inverse = *from.layout.invert(); // layouts of tiles are surjective
  int64_t freeLanes = getFreeBits(from.layout, 1, warpSize),
          freeWarps = getFreeBits(from.layout, 2, warpSize);
  Values operands = get(op->getOperand(0)), results;
  for (int64_t index = 0; index < to.registers; ++index) {
    SmallVector<int64_t> registers(warpSize), lanes(warpSize); // by the own lane
    for (int64_t thread = 0; thread < warps * warpSize; ++thread) {
      int64_t ownLane = thread % warpSize, ownWarp = thread / warpSize;
      Coordinates place = inverse.apply(
          source(to.layout.apply({index, ownLane % to.lanes, ownWarp % to.warps, 0})));
      int64_t lane = place[1] | (ownLane & freeLanes);
      if ((place[2] | (ownWarp & freeWarps)) != ownWarp ||
          (ownWarp != 0 && (place[0] != registers[ownLane] || lane != lanes[ownLane])))
        return refuse(op, "it moves elements between warps");
      registers[ownLane] = place[0];
      lanes[ownLane] = lane;
    }
    auto fetch = [&](int64_t chosen) -> Value {
      auto isButterfly = [&](int64_t own) { return (lanes[own] ^ own) == lanes[0]; };
      if (llvm::all_of(llvm::seq<int64_t>(0, warpSize), isButterfly))
        return shuffle(operands[chosen], lanes[0]);
      return shuffleFrom(operands[chosen], emitLinear(b, loc, lane, lanes));
    };
    Value result = fetch(registers[0]);
    Value chosen;
    llvm::SmallDenseSet<int64_t> fetched = {registers[0]};
    for (int64_t number : registers) { // where lanes want different registers
      if (!fetched.insert(number).second)
        continue;
      if (!chosen)
        chosen = emitLinear(b, loc, lane, registers);
      Value isWanted = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq, chosen,
                                             makeInteger(b.getI32Type(), number));
      result = arith::SelectOp::create(b, loc, isWanted, fetch(number), result);
    }
    results.push_back(result);
  }
  set(op->getResult(0), results);
  return success();
}

bool NvptxEmitter::movesBetweenWarps(ConvertLayoutOp op) {
  const ThreadTile &from = getThreadTile(op.getValue().getType()),
                   &to = getThreadTile(op.getType());
  LinearLayout inverse = *from.layout.invert();
  int64_t freeWarps = getFreeBits(from.layout, 2, warpSize);
  for (int64_t index = 0; index < to.registers; ++index)
    for (int64_t own = 0; own < warps; ++own)
      for (int64_t lane = 0; lane < to.lanes; ++lane)
        if ((inverse.apply(to.layout.apply({index, lane, own % to.warps, 0}))[2] |
             (own & freeWarps)) != own)
          return true;
  return false;
}

LogicalResult NvptxEmitter::moveThroughShared(ConvertLayoutOp op) {
  const ThreadTile &from = getThreadTile(op.getValue().getType()),
                   &to = getThreadTile(op.getType());
  Type element = from.type.getElementType();
  if (element.isInteger(1))
    return refuse(op, "it moves predicates between warps");
  SmallVector<int64_t> strides = ViewType::rowMajorStrides(from.type.getShape());
  Value room =
      getScratch(from.type.getNumElements() * llvm::divideCeil(element.getIntOrFloatBitWidth(), 8));
  auto place = [&](const ThreadTile &tile, int64_t index) {
    Value sum = makeIndex(0);
    for (auto [dim, stride] : llvm::enumerate(strides))
      sum = arith::AddIOp::create(
          b, loc, sum,
          arith::MulIOp::create(b, loc, getCoordinate(tile, index, dim), makeIndex(stride)));
    return getAddress(room, element, sum);
  };
  // Threads that hold the same element write the same number.
  for (auto [index, value] : llvm::enumerate(get(op.getValue())))
    LLVM::StoreOp::create(b, loc, value, place(from, index));
  emitBarrier(); // all is written before anything is read
  Values results;
  for (int64_t index = 0; index < to.registers; ++index)
    results.push_back(LLVM::LoadOp::create(b, loc, element, place(to, index)));
  set(op, results);
  return success();
}

LogicalResult NvptxEmitter::emitReduce(ReduceOp op) {
  const ThreadTile &tile = getThreadTile(op.getValue().getType());
  auto combine = [&](Value first, Value second) { return TileEmitter::combine(op, first, second); };
  Values left = reduceRegisters(op, tile.layout);
  // Lanes: every lane ends with the result. The lane whose bit is 0 comes first in both.
  const LinearLayout::Bases &lanes = tile.layout.getBases(1);
  for (size_t bit = lanes.size(); bit-- > 0;) {
    if (lanes[bit][op.getDim()] == 0)
      continue;
    for (Value &own : left) {
      Value other = shuffle(own, int64_t(1) << bit);
      if (op.getKind() == ReduceKind::Add) { // commutes
        own = combine(own, other);
        continue;
      }
      Value mine = arith::AndIOp::create(b, loc, lane, makeIndex(int64_t(1) << bit));
      Value isFirst = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq, mine, makeIndex(0));
      own = combine(arith::SelectOp::create(b, loc, isFirst, own, other),
                    arith::SelectOp::create(b, loc, isFirst, other, own));
    }
  }
  reduceWarps(tile, op.getDim(), combine, left);
  set(op, left);
  return success();
}

/// Warps: every thread writes what its warp has, and reads what those have that differ in the
/// reduced bits. The tree is that of the lanes: the highest bit first, the warp whose bit is 0
/// before the other.
void NvptxEmitter::reduceWarps(const ThreadTile &tile, unsigned dim,
                               llvm::function_ref<Value(Value, Value)> combine, Values &left) {
  SmallVector<int64_t> masks; // of the warp number, highest bit first
  for (auto [bit, basis] : llvm::enumerate(tile.layout.getBases(2)))
    if (basis[dim] != 0)
      masks.insert(masks.begin(), int64_t(1) << bit);
  if (masks.empty())
    return;
  Type element = tile.type.getElementType();
  int64_t all = 0;
  for (int64_t mask : masks)
    all |= mask;
  Value room = getScratch(4 * warpSize * warps * left.size());
  auto place = [&](Value ofWarp, int64_t index) {
    Value number = arith::AddIOp::create(
        b, loc, arith::MulIOp::create(b, loc, ofWarp, makeIndex(warpSize)), lane);
    return getAddress(room, element,
                      arith::AddIOp::create(b, loc, number, makeIndex(index * warps * warpSize)));
  };
  for (auto [index, value] : llvm::enumerate(left))
    LLVM::StoreOp::create(b, loc, value, place(warp, index));
  emitBarrier(); // all warps have written before any reads
  Value rest = arith::AndIOp::create(b, loc, warp, makeIndex(~all & (warps - 1)));
  std::function<Value(size_t, int64_t, int64_t)> sum = [&](size_t depth, int64_t bits,
                                                           int64_t index) -> Value {
    if (depth < masks.size()) {
      // The tree combines the highest bit first, so it is the innermost pair.
      size_t next = masks.size() - 1 - depth;
      Value first = sum(depth + 1, bits, index);
      return combine(first, sum(depth + 1, bits | masks[next], index));
    }
    Value other = arith::OrIOp::create(b, loc, rest, makeIndex(bits));
    return LLVM::LoadOp::create(b, loc, element, place(other, index));
  };
  for (auto [index, value] : llvm::enumerate(left))
    value = sum(0, 0, index);
}

//===----------------------------------------------------------------------------------------------===//
// Contractions
//===----------------------------------------------------------------------------------------------===//

LogicalResult NvptxEmitter::emitContract(ContractOp op) {
  if (op.getAtom() == Atom::MmaM16N8K16)
    return emitMma(op);
  if (op.getAtom() != Atom::Fma)
    return refuse(op, "'" + stringifyAtom(op.getAtom()) + "' is not implemented");
  emitFma(op);
  return success();
}
