//===- SoftmaxMatch.cpp - Softmax as one op or as its parts -----------------------------------===//

#include "passes/Model/SoftmaxMatch.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "passes/Model/Axes.h"

using namespace mlir;
using namespace ingot::model;

namespace {

/// One reduction of `input` over `dim` by an op that combines two numbers.
struct Reduction {
  Value input;
  int64_t dim;
  Operation *combiner;
  Value init;
};

} // namespace

/// The op that combines the block's last argument, the accumulator, with its first.
static Operation *matchCombiner(Block *block) {
  Operation *combiner = block->getTerminator()->getOperand(0).getDefiningOp();
  if (block->getNumArguments() != 2 || !combiner || combiner->getNumOperands() != 2)
    return nullptr;
  Value a = combiner->getOperand(0), b = combiner->getOperand(1);
  bool combinesBoth = (a == block->getArgument(0) && b == block->getArgument(1)) ||
                      (b == block->getArgument(0) && a == block->getArgument(1));
  return combinesBoth ? combiner : nullptr;
}

static std::optional<Reduction> matchReduction(Operation *op) {
  if (auto reduce = dyn_cast<linalg::ReduceOp>(op)) {
    if (reduce.getInputs().size() != 1 || reduce.getDimensions().size() != 1)
      return std::nullopt;
    Operation *combiner = matchCombiner(&reduce.getCombiner().front());
    if (!combiner)
      return std::nullopt;
    return Reduction{reduce.getInputs()[0], reduce.getDimensions()[0], combiner,
                     reduce.getInits()[0]};
  }
  auto generic = dyn_cast<linalg::GenericOp>(op);
  if (!generic || generic.getNumDpsInputs() != 1 || generic.getNumDpsInits() != 1 ||
      generic.getNumReductionLoops() != 1)
    return std::nullopt;
  SmallVector<unsigned> reduced;
  generic.getReductionDims(reduced);
  AffineMap input = generic.getIndexingMapsArray()[0], output = generic.getIndexingMapsArray()[1];
  SmallVector<AffineExpr> kept;
  for (AffineExpr expr : input.getResults())
    if (expr != getAffineDimExpr(reduced[0], op->getContext()))
      kept.push_back(expr);
  Operation *combiner = matchCombiner(generic.getBlock());
  if (!combiner || !input.isIdentity() || !llvm::equal(kept, output.getResults()))
    return std::nullopt;
  return Reduction{generic.getDpsInputs()[0], reduced[0], combiner, generic.getDpsInits()[0]};
}

/// The reduction of `input` that `value` is, broadcast over the dimension that was reduced.
static std::optional<Reduction> matchBroadcastReduction(Value value, Value input) {
  Axes axes;
  AxisPoint point{value, axes.createFor(value)};
  AxisLabels all = point.labels;
  while (true) {
    Operation *op = point.value.getDefiningOp();
    std::optional<Reduction> reduction = op ? matchReduction(op) : std::nullopt;
    if (!reduction) {
      FailureOr<AxisPoint> next = axes.stepBack(point, /*throughScale=*/false);
      if (failed(next))
        return std::nullopt;
      point = *next;
      continue;
    }
    AxisLabels kept = axes.resolveAll(all);
    if (reduction->dim >= int64_t(kept.size()))
      return std::nullopt;
    kept.erase(kept.begin() + reduction->dim);
    if (reduction->input != input || axes.resolveAll(point.labels) != kept)
      return std::nullopt;
    return reduction;
  }
}

static std::optional<Softmax> matchParts(arith::DivFOp divide) {
  auto exponential = divide.getLhs().getDefiningOp<math::ExpOp>();
  if (!exponential)
    return std::nullopt;
  auto shifted = exponential.getOperand().getDefiningOp<arith::SubFOp>();
  if (!shifted)
    return std::nullopt;
  auto sum = matchBroadcastReduction(divide.getRhs(), divide.getLhs());
  auto maximum = matchBroadcastReduction(shifted.getRhs(), shifted.getLhs());
  if (!sum || !maximum || sum->dim != maximum->dim || !isa<arith::AddFOp>(sum->combiner) ||
      matchSplat(sum->init) != 0.0 || !isa<arith::MaximumFOp, arith::MaxNumFOp>(maximum->combiner))
    return std::nullopt;
  // The maximum begins at the least number, so it is that of the row.
  std::optional<double> least = matchSplat(maximum->init);
  if (!least || *least > -std::numeric_limits<float>::max())
    return std::nullopt;
  return Softmax{shifted.getLhs(), divide.getResult(), sum->dim};
}

SmallVector<Softmax> ingot::model::findSoftmaxes(ModuleOp module) {
  SmallVector<Softmax> found;
  module.walk([&](Operation *op) {
    if (auto softmax = dyn_cast<linalg::SoftmaxOp>(op)) {
      if (softmax->getNumResults() == 1)
        found.push_back(
            {softmax.getInput(), softmax->getResult(0), int64_t(softmax.getDimension())});
    } else if (auto divide = dyn_cast<arith::DivFOp>(op)) {
      if (std::optional<Softmax> parts = matchParts(divide))
        found.push_back(*parts);
    }
  });
  return found;
}
