//===- ComputeOps.cpp - Checks of arithmetic and rearrangement of tiles ---------------------------------===//
//
// Result types that follow from operands are computed by one function each, which the builder and
// the verifier share.
//
//===----------------------------------------------------------------------------------------------===//

#include "dialects/Tile/Tile.h"
#include "mlir/IR/Builders.h"

using namespace mlir;
using namespace ingot::tile;
using ingot::LinearLayout;

static LogicalResult verifyDim(Operation *op, RankedTensorType tile, int64_t dim) {
  if (dim < 0 || dim >= tile.getRank())
    return op->emitOpError("expected 'dim' from 0 to ") << tile.getRank() - 1 << ", got " << dim;
  return success();
}

static LogicalResult verifyResultType(Operation *op, Type expected) {
  if (op->getResult(0).getType() != expected)
    return op->emitOpError("expected the result to have type ")
           << expected << ", got " << op->getResult(0).getType();
  return success();
}

LogicalResult SplatOp::verify() {
  if (getValue().getType() != getResult().getType().getElementType()) // (C1)
    return emitOpError("expected a tile of ")
           << getValue().getType() << ", got " << getResult().getType();
  return success();
}

LogicalResult IotaOp::verify() {
  return verifyDim(*this, getResult().getType(), getDim()); // (C1)
}

LogicalResult BroadcastOp::verify() {
  RankedTensorType from = getValue().getType(), to = getResult().getType();
  if (from.getRank() != to.getRank() || from.getElementType() != to.getElementType()) // (C1)
    return emitOpError("expected tiles of the same rank and elements, got ")
           << from << " and " << to;
  std::optional<unsigned> dim;
  for (int64_t i = 0; i < from.getRank(); ++i) {
    if (from.getDimSize(i) == to.getDimSize(i))
      continue;
    if (dim || from.getDimSize(i) != 1)
      return emitOpError("expected shapes that differ in one dimension of size 1, got ")
             << from << " and " << to;
    dim = i;
  }
  if (!dim)
    return emitOpError("expected shapes that differ in one dimension of size 1, got ")
           << from << " and " << to;
  LayoutAttr expected = getLayout(to).getReduced(*dim);
  if (getLayout(from) != expected) // (C2)
    return emitOpError("expected the operand's layout to be ")
           << expected << ", got " << getLayout(from);
  return success();
}

void ReduceOp::build(OpBuilder &builder, OperationState &state, ReduceKind kind, Value value,
                     int64_t dim) {
  build(builder, state, getReducedType(cast<RankedTensorType>(value.getType()), dim), kind, value,
        dim);
}

LogicalResult ReduceOp::verify() {
  RankedTensorType tile = getValue().getType();
  if (failed(verifyDim(*this, tile, getDim()))) // (C1)
    return failure();
  if (!tile.getElementType().isF32() && !tile.getElementType().isInteger(32)) // (C2)
    return emitOpError("expected elements to be f32 or i32, got ") << tile.getElementType();
  LinearLayout layout = getLayout(tile).getLinearLayout(tile.getShape());
  for (unsigned input = 0; input < layout.getInputCount(); ++input) // (C3)
    for (const LinearLayout::Coordinates &basis : layout.getBases(input))
      if (basis[getDim()] != 0 && llvm::count_if(basis, [](int64_t c) { return c != 0; }) > 1)
        return emitOpError("expected bases that move along dimension ")
               << getDim() << " alone or not at all";
  return verifyResultType(*this, getReducedType(tile, getDim())); // (C4)
}

LogicalResult ExchangeOp::verify() {
  RankedTensorType tile = getValue().getType();
  if (failed(verifyDim(*this, tile, getDim()))) // (C1)
    return failure();
  if (getDistance() <= 0 || int64_t(getDistance()) >= tile.getDimSize(getDim())) // (C2)
    return emitOpError("expected 'distance' from 1 to ")
           << tile.getDimSize(getDim()) - 1 << ", got " << getDistance();
  return success();
}

static RankedTensorType getTransposedType(RankedTensorType tile, ArrayRef<int64_t> permutation) {
  SmallVector<int64_t> shape;
  for (int64_t dim : permutation)
    shape.push_back(tile.getDimSize(dim));
  return getTileType(shape, tile.getElementType(), getLayout(tile).getTransposed(permutation));
}

void TransposeOp::build(OpBuilder &builder, OperationState &state, Value value,
                        ArrayRef<int64_t> permutation) {
  build(builder, state, getTransposedType(cast<RankedTensorType>(value.getType()), permutation),
        value, permutation);
}

LogicalResult TransposeOp::verify() {
  RankedTensorType tile = getValue().getType();
  SmallVector<int64_t> sorted(getPermutation()); // (C1)
  llvm::sort(sorted);
  if (!llvm::equal(sorted, llvm::seq<int64_t>(0, tile.getRank())))
    return emitOpError("expected 'permutation' to be one of ") << tile.getRank() << " dimensions";
  return verifyResultType(*this, getTransposedType(tile, getPermutation())); // (C2)
}

static RankedTensorType getReshapedType(RankedTensorType tile, ArrayRef<int64_t> shape) {
  return getTileType(shape, tile.getElementType(),
                     getLayout(tile).getReshaped(tile.getShape(), shape));
}

void ReshapeOp::build(OpBuilder &builder, OperationState &state, Value value,
                      ArrayRef<int64_t> shape) {
  build(builder, state, getReshapedType(cast<RankedTensorType>(value.getType()), shape), value);
}

LogicalResult ReshapeOp::verify() {
  RankedTensorType from = getValue().getType(), to = getResult().getType();
  if (from.getNumElements() != to.getNumElements() ||
      from.getElementType() != to.getElementType()) // (C1)
    return emitOpError("expected tiles of as many elements of the same type, got ")
           << from << " and " << to;
  return verifyResultType(*this, getReshapedType(from, to.getShape())); // (C2)
}

LogicalResult ConvertLayoutOp::verify() {
  RankedTensorType from = getValue().getType(), to = getResult().getType();
  if (from.getShape() != to.getShape() || from.getElementType() != to.getElementType()) // (C1)
    return emitOpError("expected tiles of the same shape and elements, got ")
           << from << " and " << to;
  return success();
}

//===----------------------------------------------------------------------------------------------===//
// ContractOp
//===----------------------------------------------------------------------------------------------===//

/// (C4) Registers come in fours that hold consecutive k.
static LogicalResult verifyFours(ContractOp op, RankedTensorType tile, unsigned dim,
                                 StringRef name) {
  ArrayRef<int64_t> registers = getLayout(tile).getRegisters();
  int64_t expected[] = {0, 0, 0, 0};
  bool isWide = tile.getElementType().isInteger(16);
  expected[dim] = isWide ? 2 : 1;
  expected[2 + dim] = isWide ? 1 : 2;
  if (registers.size() < 4 || !llvm::equal(registers.take_front(4), expected))
    return op.emitOpError("expected the lowest two register bits of '")
           << name << "' to be " << (isWide ? "bits 1 and 0" : "bits 0 and 1") << " of k, got "
           << getLayout(tile);
  return success();
}

SmallVector<int64_t> ingot::tile::findOperandRegisters(RankedTensorType operand,
                                                       RankedTensorType accumulator,
                                                       unsigned accumulatorDim) {
  LinearLayout have = getLayout(operand).getLinearLayout(operand.getShape());
  LinearLayout want = getLayout(accumulator).getLinearLayout(accumulator.getShape());
  unsigned kDim = 1 - accumulatorDim;
  // Both are linear: if steps of the lane agree, lane 0 speaks for all.
  for (unsigned input = 1; input < have.getInputCount(); ++input) {
    if (have.getInputSize(input) != want.getInputSize(input))
      return {};
    for (auto [step, wanted] : llvm::zip_equal(have.getBases(input), want.getBases(input)))
      if (step[accumulatorDim] != wanted[accumulatorDim] || step[kDim] != 0)
        return {};
  }
  int64_t depth = operand.getDimSize(kDim);
  SmallVector<int64_t> registerOf(operand.getNumElements(),
                                  -1); // at (coordinate of the accumulator) * K + k
  for (int64_t i = have.getInputSize(0); i-- > 0;) {
    LinearLayout::Coordinates at = have.apply({i, 0, 0, 0});
    registerOf[at[accumulatorDim] * depth + at[kDim]] = i;
  }
  SmallVector<int64_t> result;
  for (int64_t r = 0; r < want.getInputSize(0); ++r)
    for (int64_t k = 0; k < depth; ++k) {
      int64_t found = registerOf[want.apply({r, 0, 0, 0})[accumulatorDim] * depth + k];
      if (found < 0)
        return {};
      result.push_back(found);
    }
  return result;
}

LogicalResult ContractOp::verify() {
  RankedTensorType a = getA().getType(), b = getB().getType(), y = getAccumulator().getType();
  bool isWide = getAtom() == Atom::Vpmaddwd;
  bool isInteger = isWide || getAtom() == Atom::Vpmaddubsw || getAtom() == Atom::Vpdpbusd;
  bool isHalf = getAtom() == Atom::MmaM16N8K16 || getAtom() == Atom::WgmmaM64K16;
  int64_t rank = y.getRank(), row = rank - 2, column = rank - 1; // (C1)
  if ((rank != 2 && !(rank == 3 && isHalf)) || a.getRank() != rank || b.getRank() != rank ||
      a.getDimSize(column) != b.getDimSize(row) || a.getDimSize(row) != y.getDimSize(row) ||
      b.getDimSize(column) != y.getDimSize(column) || a.getDimSize(0) != y.getDimSize(0) ||
      (rank == 3 && b.getDimSize(0) != y.getDimSize(0)))
    return emitOpError("expected shapes M x K, K x N and M x N, got ")
           << a << ", " << b << " and " << y;
  Builder builder(getContext()); // (C2)
  SmallVector<Type, 2> operandTypes = {builder.getF32Type()};
  if (isInteger)
    operandTypes = {builder.getI8Type()};
  if (isHalf)
    operandTypes = {builder.getF16Type(), builder.getBF16Type()};
  Type resultType = isInteger ? Type(builder.getI32Type()) : Type(builder.getF32Type());
  Type second = isWide ? Type(builder.getI16Type()) : a.getElementType();
  if (!llvm::is_contained(operandTypes, a.getElementType()) || b.getElementType() != second ||
      y.getElementType() != resultType)
    return emitOpError("expected elements of '")
           << stringifyAtom(getAtom()) << "' to be " << operandTypes.front()
           << (isWide ? ", 'i16'" : "") << " and " << resultType << ", got " << a.getElementType()
           << ", " << b.getElementType() << " and " << y.getElementType();
  if (isHalf) // fragments are checked when they are lowered
    return success();
  if (isInteger &&
      (failed(verifyFours(*this, a, 1, "a")) || failed(verifyFours(*this, b, 0, "b")))) // (C4)
    return failure();
  if (findOperandRegisters(a, y, 0).empty()) // (C3)
    return emitOpError("expected every lane to hold the elements of 'a' that its results need");
  if (findOperandRegisters(b, y, 1).empty())
    return emitOpError("expected every lane to hold the elements of 'b' that its results need");
  if (getRun() < 1 || ((!isInteger || isWide) && getRun() != 1) ||
      (!isInteger && getSignedCodes())) // (C5)
    return emitOpError("expected 'run' to be at least 1, and above 1 only with atoms of i8; and "
                       "'signed' only with integer atoms");
  return success();
}
