//===- FuseResidual.cpp - Product and addition in one region ------------------------------------===//
//
// The kernel adds in place, so this pass proves that nobody reads the residual afterwards: neither
// in its block nor, where it is an argument, in the callers.
//
//===--------------------------------------------------------------------------------------------===//

#include "passes/Fuse/Passes.h"
#include "passes/Fuse/Regions.h"

namespace ingot::fuse {
#define GEN_PASS_DEF_FUSERESIDUAL
#include "passes/Fuse/Passes.h.inc"
} // namespace ingot::fuse

using namespace mlir;
using namespace ingot;

namespace {

bool changesShape(Operation *op) {
  return isa_and_present<tensor::ExpandShapeOp, tensor::CollapseShapeOp, tensor::CastOp>(op);
}

/// Why `last`, which reads `value`, may not overwrite its memory; empty if it may. Calls seen
/// before are in `visited`.
std::string reasonAgainstReuse(Value value, Operation *last,
                               llvm::SmallPtrSetImpl<Operation *> &visited) {
  if (!visited.insert(last).second)
    return {};
  if (value.getParentBlock() != last->getBlock())
    return "the residual is needed again in the next turn of a loop";
  if (changesShape(value.getDefiningOp()) || llvm::any_of(value.getUsers(), changesShape))
    return "the residual shares memory with a value of another shape";
  if (llvm::count(last->getOperands(), value) > 1)
    return "the residual is passed twice";
  for (Operation *user : value.getUsers()) {
    Operation *ancestor = last->getBlock()->findAncestorOpInBlock(*user);
    if (ancestor != last && (!ancestor || !ancestor->isBeforeInBlock(last)))
      return "the residual is needed later";
  }
  auto argument = dyn_cast<BlockArgument>(value);
  if (!argument)
    return {};
  auto function = dyn_cast<func::FuncOp>(argument.getOwner()->getParentOp());
  if (!function || !argument.getOwner()->isEntryBlock() || !function.isPrivate())
    return "the residual belongs to somebody else";
  auto uses = SymbolTable::getSymbolUses(function, function->getParentOfType<ModuleOp>());
  if (!uses)
    return "the callers are not known";
  for (SymbolTable::SymbolUse use : *uses) {
    auto call = dyn_cast<func::CallOp>(use.getUser());
    std::string reason =
        call ? reasonAgainstReuse(call.getOperand(argument.getArgNumber()), call, visited)
             : "the callers are not known";
    if (!reason.empty())
      return reason;
  }
  return {};
}

struct FuseResidual : fuse::impl::FuseResidualBase<FuseResidual> {
  using FuseResidualBase::FuseResidualBase;

  void runOnOperation() override {
    fuse::forwardRowCounts(getOperation());
    for (auto add : fuse::opsOutsideOfRegions<arith::AddFOp>(getOperation()))
      if (transformer::LinearOp linear = laterProduct(add))
        visit(linear, add);
  }

private:
  /// The product that the addition follows: of two, the later.
  static transformer::LinearOp laterProduct(arith::AddFOp add) {
    auto left = add.getLhs().getDefiningOp<transformer::LinearOp>();
    auto right = add.getRhs().getDefiningOp<transformer::LinearOp>();
    if (!left || !right)
      return left ? left : right;
    bool rightIsLater = left->getBlock() == right->getBlock() && left->isBeforeInBlock(right);
    return rightIsLater ? right : left;
  }

  /// Why the ops stay apart; empty if they can be computed together.
  static std::string reasonAgainst(transformer::LinearOp linear, arith::AddFOp add,
                                   Value residual) {
    if (fuse::onlyUser<arith::AddFOp>(linear) != add)
      return "the product is used elsewhere too";
    if (residual == linear.getInput())
      return "the product reads the residual";
    llvm::SmallPtrSet<Operation *, 4> visited;
    return reasonAgainstReuse(residual, add, visited);
  }

  void visit(transformer::LinearOp linear, arith::AddFOp add) {
    auto opts = fuse::remarkOptions(linear, "FuseResidual");
    Location loc = linear.getLoc();
    Value residual = add.getLhs() == linear.getResult() ? add.getRhs() : add.getLhs();
    std::string reason = reasonAgainst(linear, add, residual);
    if (!reason.empty() || failed(fuse::fuseOps("Linear", {linear, add}, reason))) {
      remark::missed(loc, opts) << remark::reason("{0}", reason);
      return;
    }
    ++numRegions;
    remark::passed(loc, opts) << remark::add("product and residual in one region");
  }
};

} // namespace
