//===- NvptxCompute.cpp - Arithmetic and rearrangement of tiles on a GPU -------------------------------===//
//
// Elementwise ops are one scalar op a register. Where elements come from other lanes, the algebra
// of layouts says from which: a constant exclusive or of the lane number is a butterfly shuffle,
// anything else is refused. The fragments of matrix instructions are constants of the algebra.
//
//===----------------------------------------------------------------------------------------------===//

#include "ingot/Support/MmaFragments.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "passes/Tile/NvptxEmitter.h"

using namespace mlir;
using namespace ingot::tile;
using ingot::LinearLayout;

//===----------------------------------------------------------------------------------------------===//
// Elementwise
//===----------------------------------------------------------------------------------------------===//

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
  if (isa<math::MathDialect>(op.getDialect()) && isa<FloatType>(element) && !element.isF32())
    return refuse(&op, "expected f32");
  for (Value operand : op.getOperands())
    if (isTile(operand.getType()) && getThreadTile(operand.getType()).registers != registers)
      return refuse(&op, "expected operands with the layout of the result");
  Values results;
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

Value NvptxEmitter::shuffle(Value value, int64_t mask) {
  if (mask == 0)
    return value;
  Type type = value.getType(), i32 = b.getI32Type();
  unsigned bits = type.getIntOrFloatBitWidth();
  Type integer = b.getIntegerType(bits);
  if (bits != 32) { // shuffles move 32 bits
    if (type != integer)
      value = arith::BitcastOp::create(b, loc, integer, value);
    value = arith::ExtUIOp::create(b, loc, i32, value);
  }
  value = NVVM::ShflOp::create(b, loc, value.getType(), makeInteger(i32, -1), value,
                               makeInteger(i32, mask), makeInteger(i32, warpSize - 1),
                               NVVM::ShflKind::bfly, UnitAttr());
  if (bits == 32)
    return value;
  value = arith::TruncIOp::create(b, loc, integer, value);
  return type == integer ? value : Value(arith::BitcastOp::create(b, loc, type, value));
}

/// Bits of an input that only repeat elements: zero bases, and bits past the last of `size`.
static int64_t getFreeBits(const LinearLayout &layout, unsigned input, int64_t size) {
  int64_t free = (size - 1) & ~(layout.getInputSize(input) - 1);
  for (auto [bit, basis] : llvm::enumerate(layout.getBases(input)))
    if (llvm::all_of(basis, [](int64_t c) { return c == 0; }))
      free |= int64_t(1) << bit;
  return free;
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
    int64_t chosen = -1, distance = 0;
    for (int64_t thread = 0; thread < warps * warpSize; ++thread) {
      int64_t ownLane = thread % warpSize, ownWarp = thread / warpSize;
      Coordinates place = inverse.apply(
          source(to.layout.apply({index, ownLane % to.lanes, ownWarp % to.warps, 0})));
      int64_t lanes = (place[1] | (ownLane & freeLanes)) ^ ownLane;
      if ((place[2] | (ownWarp & freeWarps)) != ownWarp)
        return refuse(op, "it moves elements between warps");
      if (thread == 0) {
        chosen = place[0];
        distance = lanes;
      } else if (place[0] != chosen || lanes != distance) {
        return refuse(op, "its elements do not come from one register of the lane at a constant "
                          "exclusive or");
      }
    }
    results.push_back(shuffle(operands[chosen], distance));
  }
  set(op->getResult(0), results);
  return success();
}

LogicalResult NvptxEmitter::emitReduce(ReduceOp op) {
  const ThreadTile &tile = getThreadTile(op.getValue().getType());
  for (const Coordinates &basis : tile.layout.getBases(2))
    if (basis[op.getDim()] != 0)
      return refuse(op, "it reduces over warps");
  Values left = reduceRegisters(op, tile.layout);
  // Lanes: every lane ends with the result. The lane whose bit is 0 comes first in both.
  const LinearLayout::Bases &lanes = tile.layout.getBases(1);
  for (size_t bit = lanes.size(); bit-- > 0;) {
    if (lanes[bit][op.getDim()] == 0)
      continue;
    for (Value &own : left) {
      Value other = shuffle(own, int64_t(1) << bit);
      if (op.getKind() == ReduceKind::Add) { // commutes
        own = combine(op, own, other);
        continue;
      }
      Value mine = arith::AndIOp::create(b, loc, lane, makeIndex(int64_t(1) << bit));
      Value isFirst = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq, mine, makeIndex(0));
      own = combine(op, arith::SelectOp::create(b, loc, isFirst, own, other),
                    arith::SelectOp::create(b, loc, isFirst, other, own));
    }
  }
  set(op, left);
  return success();
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

/// Whether registers and lanes of a tile are those of a fragment; warps may repeat it.
static bool isFragment(const ThreadTile &tile, const LinearLayout &fragment) {
  return tile.layout.getBases(0) == fragment.getBases(0) &&
         tile.layout.getBases(1) == fragment.getBases(1);
}

LogicalResult NvptxEmitter::emitMma(ContractOp op) {
  const ThreadTile &a = getThreadTile(op.getA().getType()), &y = getThreadTile(op.getB().getType()),
                   &sum = getThreadTile(op.getType());
  if (!a.type.getElementType().isF16())
    return refuse(op, "expected operands of f16");
  if (!isFragment(a, ingot::getMmaM16N8K16Fragment(MmaOperand::A)) ||
      !isFragment(y, ingot::getMmaM16N8K16Fragment(MmaOperand::B)) ||
      !isFragment(sum, ingot::getMmaM16N8K16Fragment(MmaOperand::Accumulator)))
    return refuse(op, "expected the fragments of mma.m16n8k16 as layouts");
  // Each warp multiplies its own fragments.
  const LinearLayout::Bases &warpsA = a.layout.getBases(2), &warpsB = y.layout.getBases(2),
                            &warpsSum = sum.layout.getBases(2);
  auto getBasis = [](const LinearLayout::Bases &bases, size_t bit, unsigned dim) {
    return bit < bases.size() ? bases[bit][dim] : 0;
  };
  for (size_t bit = 0; bit < 5; ++bit)
    if (getBasis(warpsA, bit, 0) != getBasis(warpsSum, bit, 0) || getBasis(warpsA, bit, 1) != 0 ||
        getBasis(warpsB, bit, 1) != getBasis(warpsSum, bit, 1) || getBasis(warpsB, bit, 0) != 0)
      return refuse(op, "expected every warp to hold the operands of its own results");

  Type f32 = b.getF32Type(), pair = VectorType::get(2, b.getF16Type());
  auto getPairs = [&](const Values &registers) {
    SmallVector<Value> pairs;
    for (size_t i = 0; i < registers.size(); i += 2) {
      Value both = LLVM::PoisonOp::create(b, loc, pair);
      for (int64_t j : {0, 1})
        both = LLVM::InsertElementOp::create(b, loc, both, registers[i + j],
                                             makeInteger(b.getI32Type(), j));
      pairs.push_back(both);
    }
    return pairs;
  };
  auto structure =
      LLVM::LLVMStructType::getLiteral(b.getContext(), SmallVector<Type>(sum.registers, f32));
  Value product = NVVM::MmaOp::create(
      b, loc, structure, getPairs(get(op.getA())), getPairs(get(op.getB())),
      get(op.getAccumulator()), ArrayRef<int64_t>{16, 8, 16}, std::nullopt, std::nullopt,
      std::nullopt, std::array{NVVM::MMALayout::row, NVVM::MMALayout::col});
  Values results;
  for (int64_t i = 0; i < sum.registers; ++i)
    results.push_back(LLVM::ExtractValueOp::create(b, loc, product, ArrayRef<int64_t>{i}));
  set(op, results);
  return success();
}
