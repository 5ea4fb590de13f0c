//===- Padding.cpp - What of a dense program can act on packed tokens --------------------------===//

#include "passes/Model/Padding.h"
#include "dialects/Transformer/Transformer.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "passes/Model/TokenMixing.h"

using namespace mlir;
using namespace ingot;
using namespace ingot::model;
using transformer::TokenMixing;

static constexpr StringLiteral calleeReason = "calls what cannot be packed";

PaddingAnalysis::PaddingAnalysis(const CallTree &tree) : tree(tree) {
  for (Operation *function : tree.getFunctions())
    findRoles(cast<func::FuncOp>(function));
  findDense();
  for (Operation *function : tree.getFunctions()) {
    Obstacle obstacle = findObstacle(cast<func::FuncOp>(function));
    if (!obstacle)
      packable.insert(function);
    else if (obstacle.reason != calleeReason) // the callee's own says more
      obstacles.push_back(obstacle);
  }
  keepCallable();
}

BlockArgument PaddingAnalysis::getArgument(func::FuncOp function, DenseRole wanted) const {
  for (auto [argument, role] : llvm::zip(function.getArguments(), roles.at(function)))
    if (role == wanted)
      return argument;
  return {};
}

/// The roles of a function's arguments follow from their uses; those of its callees are known.
void PaddingAnalysis::findRoles(func::FuncOp function) {
  auto &found = roles[function];
  for (BlockArgument argument : function.getArguments()) {
    DenseRole role = DenseRole::Plain;
    for (OpOperand &use : argument.getUses()) {
      Operation *user = use.getOwner();
      if (auto attention = dyn_cast<transformer::AttentionOp>(user)) {
        if (attention.getLengths() == argument)
          role = DenseRole::Lengths;
        if (attention.getPositions() == argument)
          role = DenseRole::Positions;
      } else if (auto rope = dyn_cast<transformer::RopeOp>(user)) {
        if (rope.getPositions() == argument)
          role = DenseRole::Positions;
      } else if (auto call = dyn_cast<func::CallOp>(user)) {
        auto callee = roles.find(tree.getCallee(call));
        DenseRole passed =
            callee == roles.end() ? DenseRole::Plain : callee->second[use.getOperandNumber()];
        role = passed == DenseRole::Plain ? role : passed;
      }
    }
    found.push_back(role);
  }
}

void PaddingAnalysis::findDense() {
  BlockArgument positions;
  for (Operation *function : tree.getFunctions())
    if (BlockArgument argument = getArgument(cast<func::FuncOp>(function), DenseRole::Positions))
      positions = argument;
  Sizes sizes;
  if (!positions || cast<RankedTensorType>(positions.getType()).getRank() != 2 ||
      failed(sizes.analyze(tree.getFunctions().back()->getParentOfType<ModuleOp>(),
                           /*reportErrors=*/false)))
    return;
  auto add = [&](Value value) {
    auto type = dyn_cast<RankedTensorType>(value.getType());
    if (type && type.getRank() >= 2 && sizes.isEqual(value, 0, positions, 0) &&
        sizes.isEqual(value, 1, positions, 1))
      dense.insert(value);
  };
  for (Operation *function : tree.getFunctions()) {
    for (BlockArgument argument : cast<func::FuncOp>(function).getArguments())
      add(argument);
    function->walk([&](Operation *op) { llvm::for_each(op->getResults(), add); });
  }
}

/// Whether the number of sequences or slots is used for more than the shape of a dense value.
std::string PaddingAnalysis::whyNotDim(Operation *op) const {
  for (Operation *user : op->getUsers())
    if (!isa<tensor::ExpandShapeOp, tensor::SplatOp>(user) || !isDense(user->getResult(0)))
      return "counts slots for " + user->getName().getStringRef().str();
  return {};
}

/// Positions and lengths have to be the function's own wherever an op or a callee uses them.
std::string PaddingAnalysis::whyNotRoles(Operation *op, func::FuncOp function) const {
  Value positions = getArgument(function, DenseRole::Positions),
        lengths = getArgument(function, DenseRole::Lengths);
  if (auto attention = dyn_cast<transformer::AttentionOp>(op)) {
    if (attention.getPositions() != positions || attention.getLengths() != lengths)
      return "attends by positions or lengths that are not the entry's";
    return {};
  }
  if (auto call = dyn_cast<func::CallOp>(op)) {
    for (auto [operand, role] : llvm::zip(call.getOperands(), roles.at(tree.getCallee(call))))
      if ((role == DenseRole::Positions && operand != positions) ||
          (role == DenseRole::Lengths && operand != lengths))
        return "passes positions or lengths that are not the entry's";
    return {};
  }
  if (lengths && llvm::is_contained(op->getOperands(), lengths))
    return "uses the lengths of sequences";
  return {};
}

std::string PaddingAnalysis::whyNot(Operation *op, func::FuncOp function) const {
  if (std::string reason = whyNotRoles(op, function); !reason.empty())
    return reason;
  if (auto call = dyn_cast<func::CallOp>(op))
    return packable.contains(tree.getCallee(call)) ? "" : calleeReason.str();
  bool touches = false;
  op->walk([&](Operation *inner) {
    auto isDenseValue = [&](Value value) { return isDense(value); };
    touches |= llvm::any_of(inner->getOperands(), isDenseValue) ||
               llvm::any_of(inner->getResults(), isDenseValue);
  });
  if (!touches || isa<func::ReturnOp>(op))
    return {};
  if (isa<transformer::AttentionOp, transformer::SelectRowsOp>(op))
    return {};
  if (isa<tensor::SplatOp>(op))
    return llvm::any_of(function.getArguments(), [&](Value value) { return isDense(value); })
               ? ""
               : "has no tokens to take its size from";
  if (auto dim = dyn_cast<tensor::DimOp>(op)) {
    std::optional<int64_t> index = dim.getConstantIndex();
    return index && *index >= 2 ? "" : whyNotDim(op);
  }
  return getTokenMixing(op, 2) == TokenMixing::RowWise
             ? ""
             : "may relate tokens in a way that is not known";
}

Obstacle PaddingAnalysis::findObstacle(func::FuncOp function) const {
  for (DenseRole role : {DenseRole::Lengths, DenseRole::Positions})
    if (llvm::count(roles.at(function), role) > 1)
      return {function, "takes positions or lengths twice"};
  for (Operation &op : function.getBody().front())
    if (std::string reason = whyNot(&op, function); !reason.empty())
      return {&op, reason};
  return {};
}

/// Leaves in `packable` what can be called: a function that stays dense makes a batch of positions
/// and lengths for those it calls, and a packed function calls packed ones only.
void PaddingAnalysis::keepCallable() {
  auto findWrong = [&](Operation *caller) -> Operation * {
    Operation *wrong = nullptr;
    bool isPacked = packable.contains(caller);
    caller->walk([&](func::CallOp call) {
      func::FuncOp callee = tree.getCallee(call);
      bool isCalleePacked = packable.contains(callee);
      if (isPacked && !isCalleePacked)
        wrong = caller;
      else if (!isPacked && isCalleePacked &&
               (!getArgument(callee, DenseRole::Lengths) ||
                !getArgument(callee, DenseRole::Positions)))
        wrong = callee;
    });
    return wrong;
  };
  for (bool hasChanged = true; hasChanged;) {
    hasChanged = false;
    for (Operation *caller : tree.getFunctions())
      if (Operation *wrong = findWrong(caller))
        hasChanged |= packable.erase(wrong);
  }
}
