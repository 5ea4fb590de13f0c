//===- RemovePadding.cpp - Turn the dense batch into packed tokens ----------------------------===//
//
// All or nothing: first every op of the entry and of what it calls is checked to be row-wise or to
// have a ragged form; then functions are rewritten one by one, callees first. Values keep their
// names and locations; what counted slots (`tensor.dim` of a dense tensor) dies.
//
//===------------------------------------------------------------------------------------------===//

#include "mlir/Transforms/RegionUtils.h"
#include "passes/Model/Passes.h"
#include "passes/Model/TokenMixing.h"

namespace ingot::model {
#define GEN_PASS_DEF_REMOVEPADDING
#include "passes/Model/Passes.h.inc"
} // namespace ingot::model

using namespace mlir;
using namespace ingot;
using transformer::TokenMixing;

namespace {

/// Whether a type is [B, S, ...] of the dense program.
bool isDense(Type type) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  return tensor && tensor.getRank() >= 2 && tensor.isDynamicDim(0) && tensor.isDynamicDim(1);
}

/// [B, S, ...] -> [T, ...]; other types stay.
Type packType(Type type) {
  if (!isDense(type))
    return type;
  auto tensor = cast<RankedTensorType>(type);
  return RankedTensorType::get(tensor.getShape().drop_front(), tensor.getElementType());
}

/// What a dense argument turns into: batches describe both lengths and positions.
enum class Role { Plain, Lengths, Positions };
using Roles = DenseMap<Operation *, SmallVector<Role>>;

/// The roles of a function's arguments follow from their uses; those of its callees are known.
SmallVector<Role> findRoles(func::FuncOp function, const Roles &known) {
  SmallVector<Role> roles;
  for (BlockArgument argument : function.getArguments()) {
    Role role = Role::Plain;
    for (OpOperand &use : argument.getUses()) {
      Operation *user = use.getOwner();
      if (auto attention = dyn_cast<transformer::AttentionOp>(user)) {
        if (attention.getLengths() == argument)
          role = Role::Lengths;
        if (attention.getPositions() == argument)
          role = Role::Positions;
      } else if (auto rope = dyn_cast<transformer::RopeOp>(user)) {
        if (rope.getPositions() == argument)
          role = Role::Positions;
      } else if (auto call = dyn_cast<func::CallOp>(user)) {
        Operation *callee = SymbolTable::lookupNearestSymbolFrom(call, call.getCalleeAttr());
        if (Role passed = known.at(callee)[use.getOperandNumber()]; passed != Role::Plain)
          role = passed;
      }
    }
    roles.push_back(role);
  }
  return roles;
}

bool needsBatch(ArrayRef<Role> roles) {
  return llvm::any_of(roles, [](Role role) { return role != Role::Plain; });
}

/// Why an op of the dense program cannot be packed, or nothing.
StringRef whyNot(Operation *op) {
  if (isa<func::CallOp, func::ReturnOp, tensor::DimOp, transformer::AttentionOp,
          transformer::SelectRowsOp>(op))
    return {};
  bool touches =
      llvm::any_of(op->getOperandTypes(), isDense) || llvm::any_of(op->getResultTypes(), isDense);
  if (!touches)
    return {};
  switch (model::getTokenMixing(op, 2)) {
  case TokenMixing::RowWise:
    return {};
  case TokenMixing::Attention:
    return "relates tokens and has no ragged form";
  default:
    return "may relate tokens in a way that is not known";
  }
}

/// Rewrites one function in place; its callees are packed already.
class Packer {
public:
  Packer(func::FuncOp function, const Roles &roles) : function(function), roles(roles) {}

  /// The number of ops that act on packed tokens now.
  unsigned run() {
    Block &block = function.getBody().front();
    unsigned denseArguments = block.getNumArguments();
    packArguments(block);
    for (Operation &op : llvm::make_early_inc_range(block))
      packOp(&op);
    unsigned count = replaced.size();
    for (Operation *op : llvm::reverse(replaced))
      op->erase();
    function.setAllArgAttrs(ArrayRef<DictionaryAttr>());
    block.eraseArguments(0, denseArguments);
    function.setType(FunctionType::get(function.getContext(), block.getArgumentTypes(),
                                       block.getTerminator()->getOperandTypes()));
    return count;
  }

private:
  /// Adds the packed arguments behind the dense ones: the batch stands where the first of its parts
  /// stood.
  void packArguments(Block &block) {
    SmallVector<BlockArgument> dense(block.getArguments());
    SmallVector<BlockArgument> positions;
    for (auto [argument, role] : llvm::zip(dense, roles.at(function))) {
      if (role == Role::Plain) {
        packed[argument] = block.addArgument(packType(argument.getType()), argument.getLoc());
        continue;
      }
      if (!batch)
        batch = block.addArgument(transformer::RaggedType::get(function.getContext()),
                                  argument.getLoc());
      if (role == Role::Positions)
        positions.push_back(argument);
    }
    OpBuilder builder = OpBuilder::atBlockBegin(&block);
    for (BlockArgument argument : positions)
      packed[argument] = transformer::PositionsOp::create(builder, argument.getLoc(),
                                                          packType(argument.getType()), batch);
  }

  Value lookup(Value value) const {
    auto found = packed.find(value);
    return found == packed.end() ? value : found->second;
  }

  void packOp(Operation *op) {
    OpBuilder builder(op);
    Location loc = op->getLoc();
    if (auto attention = dyn_cast<transformer::AttentionOp>(op))
      return replace(
          op, transformer::AttentionOp::create(
                  builder, loc, packType(attention.getType()), lookup(attention.getQuery()),
                  lookup(attention.getKey()), lookup(attention.getValue()), Value(), Value(), batch,
                  attention.getCausal(), attention.getScale(), attention.getWindowAttr()));
    if (auto call = dyn_cast<func::CallOp>(op))
      return packCall(call, builder);
    if (auto dim = dyn_cast<tensor::DimOp>(op); dim && isDense(dim.getSource().getType()))
      return packDim(dim, builder);
    if (auto expand = dyn_cast<tensor::ExpandShapeOp>(op); expand && isDense(expand.getType()))
      return packExpand(expand, builder);
    if (auto collapse = dyn_cast<tensor::CollapseShapeOp>(op);
        collapse && isDense(collapse.getType()))
      return replace(op, tensor::CollapseShapeOp::create(
                             builder, loc, packType(collapse.getType()), lookup(collapse.getSrc()),
                             dropFirst(collapse.getReassociationIndices())));
    if (op->hasTrait<OpTrait::IsTerminator>()) {
      for (OpOperand &operand : op->getOpOperands())
        operand.set(lookup(operand.get()));
      return;
    }
    if (llvm::none_of(op->getOperands(), [&](Value operand) { return packed.contains(operand); }))
      return;
    IRMapping mapping;
    for (Value operand : op->getOperands())
      mapping.map(operand, lookup(operand));
    Operation *copy = builder.clone(*op, mapping);
    for (Value result : copy->getResults())
      result.setType(packType(result.getType()));
    replace(op, copy);
  }

  /// The number of slots is gone; the token count stands where a size is still asked for.
  void packDim(tensor::DimOp dim, OpBuilder &builder) {
    int64_t index = dim.getConstantIndex().value_or(0);
    replace(dim, tensor::DimOp::create(builder, dim.getLoc(), lookup(dim.getSource()),
                                       index ? index - 1 : 0));
  }

  void packExpand(tensor::ExpandShapeOp expand, OpBuilder &builder) {
    Value source = lookup(expand.getSrc());
    auto type = cast<RankedTensorType>(packType(expand.getType()));
    SmallVector<OpFoldResult> sizes;
    for (int64_t dim = 0; dim < type.getRank(); ++dim)
      sizes.push_back(
          type.isDynamicDim(dim)
              ? OpFoldResult(
                    tensor::DimOp::create(builder, expand.getLoc(), source, dim).getResult())
              : OpFoldResult(builder.getIndexAttr(type.getDimSize(dim))));
    replace(expand,
            tensor::ExpandShapeOp::create(builder, expand.getLoc(), type, source,
                                          dropFirst(expand.getReassociationIndices()), sizes));
  }

  static SmallVector<ReassociationIndices> dropFirst(ArrayRef<ReassociationIndices> groups) {
    SmallVector<ReassociationIndices> result;
    for (const ReassociationIndices &group : groups.drop_front()) {
      auto &shifted = result.emplace_back();
      for (int64_t dim : group)
        shifted.push_back(dim - 1);
    }
    return result;
  }

  void packCall(func::CallOp call, OpBuilder &builder) {
    auto callee = SymbolTable::lookupNearestSymbolFrom<func::FuncOp>(call, call.getCalleeAttr());
    SmallVector<Value> operands;
    bool passesBatch = false;
    for (auto [operand, role] : llvm::zip(call.getOperands(), roles.at(callee))) {
      if (role == Role::Plain)
        operands.push_back(lookup(operand));
      else if (!std::exchange(passesBatch, true))
        operands.push_back(batch);
    }
    replace(call, func::CallOp::create(builder, call.getLoc(), callee, operands));
  }

  void replace(Operation *op, Operation *copy) {
    for (auto [old, result] : llvm::zip(op->getResults(), copy->getResults()))
      packed[old] = result;
    replaced.push_back(op);
  }

  func::FuncOp function;
  const Roles &roles;
  Value batch;
  DenseMap<Value, Value> packed;
  SmallVector<Operation *> replaced;
};

struct RemovePadding : model::impl::RemovePaddingBase<RemovePadding> {
  void runOnOperation() override {
    for (auto function : llvm::to_vector(getOperation().getOps<func::FuncOp>()))
      if (function->hasAttr("transformer.entry"))
        packEntry(function);
  }

private:
  void packEntry(func::FuncOp entry) {
    llvm::SetVector<Operation *> functions;
    model::collectReachable(entry, functions);
    Roles roles;
    for (Operation *function : functions) {
      if (Operation *obstacle = findObstacle(cast<func::FuncOp>(function)))
        return refuse(obstacle, whyNot(obstacle));
      roles[function] = findRoles(cast<func::FuncOp>(function), roles);
    }
    if (!needsBatch(roles.at(entry)))
      return refuse(entry, "the entry takes no lengths and positions");
    for (Operation *function : functions)
      numPacked += Packer(cast<func::FuncOp>(function), roles).run();
    IRRewriter rewriter(&getContext());
    for (Operation *function : functions)
      (void)runRegionDCE(rewriter, function->getRegions());
    remark::passed(entry.getLoc(),
                   model::remarkAbout(&entry.getBody().front().front(), "RemovePadding"))
        << "the batch is packed";
  }

  static Operation *findObstacle(func::FuncOp function) {
    Operation *obstacle = nullptr;
    function.walk([&](Operation *op) {
      if (op != function && !obstacle && !whyNot(op).empty())
        obstacle = op;
    });
    return obstacle;
  }

  void refuse(Operation *op, StringRef reason) {
    remark::missed(op->getLoc(), model::remarkAbout(op, "RemovePadding"))
        << remark::reason("{0} {1}", op->getName().getStringRef(), reason);
  }
};

} // namespace
