//===- TileEmitter.cpp - What the emission of a kernel has in common on all machines --------------===//
//
// See TileEmitter.h.
//
//===----------------------------------------------------------------------------------------------===//

#include "passes/Tile/TileEmitter.h"
#include "mlir/Conversion/SCFToControlFlow/SCFToControlFlow.h"
#include "mlir/Dialect/Arith/Transforms/Passes.h"
#include "mlir/Transforms/DialectConversion.h"

using namespace mlir;
using namespace ingot;
using namespace ingot::tile;

LogicalResult TileEmitter::emitBlock(Block &block) {
  for (Operation &op : block) {
    loc = op.getLoc();
    if (!op.hasTrait<OpTrait::IsTerminator>() && failed(emitOp(op)))
      return failure();
  }
  return success();
}

void TileEmitter::emitClone(Operation &op) {
  IRMapping mapping;
  for (Value operand : op.getOperands())
    mapping.map(operand, getScalar(operand));
  Operation *clone = b.clone(op, mapping);
  for (auto [result, emitted] : llvm::zip_equal(op.getResults(), clone->getResults()))
    set(result, emitted);
}

void TileEmitter::emitYield(Operation *yield) {
  Values operands;
  for (Value operand : yield->getOperands())
    llvm::append_range(operands, get(operand));
  scf::YieldOp::create(b, loc, operands);
}

void TileEmitter::distribute(ValueRange targets, ValueRange flat) {
  size_t next = 0;
  for (Value target : targets) {
    size_t size = getTypes(target.getType()).size();
    set(target, flat.slice(next, size));
    next += size;
  }
}

LogicalResult TileEmitter::emitFor(scf::ForOp op) {
  Values inits;
  for (Value init : op.getInitArgs())
    llvm::append_range(inits, get(init));
  auto loop = scf::ForOp::create(b, loc, getScalar(op.getLowerBound()),
                                 getScalar(op.getUpperBound()), getScalar(op.getStep()), inits);
  set(op.getInductionVar(), loop.getInductionVar());
  distribute(ValueRange(op.getRegionIterArgs()), ValueRange(loop.getRegionIterArgs()));
  OpBuilder::InsertionGuard guard(b);
  Block *body = loop.getBody();
  if (body->mightHaveTerminator())
    body->getTerminator()->erase();
  b.setInsertionPointToEnd(body);
  if (failed(emitBlock(*op.getBody())))
    return failure();
  emitYield(op.getBody()->getTerminator());
  distribute(op.getResults(), loop.getResults());
  return success();
}

LogicalResult TileEmitter::emitIf(scf::IfOp op) {
  bool hasElse = !op.getElseRegion().empty();
  auto branch = scf::IfOp::create(b, loc, getTypes(op.getResultTypes()),
                                  getScalar(op.getCondition()), hasElse);
  OpBuilder::InsertionGuard guard(b);
  for (unsigned i = 0; i < (hasElse ? 2 : 1); ++i) {
    Block &from = op->getRegion(i).front(), &to = branch->getRegion(i).front();
    to.clear();
    b.setInsertionPointToEnd(&to);
    if (failed(emitBlock(from)))
      return failure();
    emitYield(from.getTerminator());
  }
  distribute(op.getResults(), branch.getResults());
  return success();
}

void TileEmitter::emitFma(ContractOp op) {
  Values a = get(op.getA()), y = get(op.getB()), sums = get(op.getAccumulator());
  RankedTensorType type = op.getAccumulator().getType();
  SmallVector<int64_t> fromA = findOperandRegisters(op.getA().getType(), type, 0);
  SmallVector<int64_t> fromB = findOperandRegisters(op.getB().getType(), type, 1);
  int64_t depth = op.getA().getType().getDimSize(1);
  for (int64_t k = 0; k < depth; ++k)
    for (auto [r, sum] : llvm::enumerate(sums))
      sum = math::FmaOp::create(b, loc, a[fromA[r * depth + k]], y[fromB[r * depth + k]], sum);
  set(op, sums);
}

Value TileEmitter::combine(ReduceOp op, Value first, Value second) {
  bool isFloat = op.getValue().getType().getElementType().isF32();
  if (op.getKind() == ReduceKind::Add)
    return isFloat ? Value(arith::AddFOp::create(b, loc, first, second))
                   : Value(arith::AddIOp::create(b, loc, first, second));
  Value greater =
      isFloat ? Value(arith::CmpFOp::create(b, loc, arith::CmpFPredicate::OGT, first, second))
              : Value(arith::CmpIOp::create(b, loc, arith::CmpIPredicate::sgt, first, second));
  return arith::SelectOp::create(b, loc, greater, first, second);
}

Values TileEmitter::reduceRegisters(ReduceOp op, const LinearLayout &layout) {
  Values left = get(op.getValue());
  const LinearLayout::Bases &registers = layout.getBases(0);
  for (size_t bit = registers.size(); bit-- > 0;) {
    bool reduces = registers[bit][op.getDim()] != 0;
    if (!reduces && llvm::any_of(registers[bit], [](int64_t c) { return c != 0; }))
      continue;
    Values halved;
    for (size_t i = 0; i < left.size(); ++i)
      if (!(i >> bit & 1))
        halved.push_back(reduces ? combine(op, left[i], left[i | size_t(1) << bit]) : left[i]);
    left = halved;
  }
  return left;
}

LogicalResult tile::lowerControlFlow(Operation *function) {
  MLIRContext *context = function->getContext();
  ConversionTarget target(*context);
  target.addIllegalDialect<scf::SCFDialect>();
  target.addIllegalOp<arith::CeilDivSIOp, arith::CeilDivUIOp, arith::FloorDivSIOp>();
  target.markUnknownOpDynamicallyLegal([](Operation *) { return true; });
  RewritePatternSet patterns(context);
  populateSCFToControlFlowConversionPatterns(patterns);
  arith::populateCeilFloorDivExpandOpsPatterns(patterns);
  return applyPartialConversion(function, target, std::move(patterns));
}
