//===- RemovePadding.cpp - Turn the dense batch into packed tokens ----------------------------===//
//
// What can be packed is decided before (Padding.h). Here functions are rewritten, callees first; a
// function that cannot be packed packs the operands of its calls of packed ones and unpacks their
// results, so what lies between two such calls folds away. What counted slots (`tensor.dim` of a
// dense tensor) dies.
//
//===------------------------------------------------------------------------------------------===//

#include "mlir/Transforms/GreedyPatternRewriteDriver.h"
#include "mlir/Transforms/RegionUtils.h"
#include "passes/Model/Padding.h"
#include "passes/Model/Passes.h"
#include "passes/Model/TokenMixing.h"

namespace ingot::model {
#define GEN_PASS_DEF_REMOVEPADDING
#include "passes/Model/Passes.h.inc"
} // namespace ingot::model

using namespace mlir;
using namespace ingot;
using model::CallTree;
using model::DenseRole;
using model::PaddingAnalysis;

namespace {

/// [B, S, ...] -> [T, ...].
RankedTensorType packType(Type type) {
  auto tensor = cast<RankedTensorType>(type);
  SmallVector<int64_t> shape(tensor.getShape().drop_front());
  shape.front() = ShapedType::kDynamic;
  return tensor.clone(shape);
}

/// Rewrites one function in place; its callees are packed already.
class Packer {
public:
  Packer(func::FuncOp function, const PaddingAnalysis &analysis)
      : function(function), analysis(analysis) {}

  /// The number of ops that act on packed tokens now.
  unsigned run() {
    Block &block = function.getBody().front();
    unsigned denseArguments = block.getNumArguments();
    packArguments(block);
    for (Operation &op : llvm::make_early_inc_range(block))
      packOp(&op);
    for (Operation *op : llvm::reverse(dead))
      op->erase();
    function.setAllArgAttrs(ArrayRef<DictionaryAttr>());
    block.eraseArguments(0, denseArguments);
    function.setType(FunctionType::get(function.getContext(), block.getArgumentTypes(),
                                       block.getTerminator()->getOperandTypes()));
    return numPacked;
  }

private:
  /// Adds the packed arguments behind the dense ones: the batch stands where the first of its parts
  /// stood.
  void packArguments(Block &block) {
    SmallVector<BlockArgument> dense(block.getArguments());
    for (auto [argument, role] : llvm::zip(dense, analysis.getRoles(function))) {
      Type type = analysis.isDense(argument) ? packType(argument.getType()) : argument.getType();
      if (role == DenseRole::Plain) {
        packed[argument] = block.addArgument(type, argument.getLoc());
        if (isDense(argument))
          tokens = packed[argument];
      } else if (!batch) {
        batch = block.addArgument(transformer::RaggedType::get(function.getContext()),
                                  argument.getLoc());
      }
    }
    OpBuilder builder = OpBuilder::atBlockBegin(&block);
    if (BlockArgument positions = analysis.getArgument(function, DenseRole::Positions))
      tokens = packed[positions] = transformer::PositionsOp::create(
          builder, positions.getLoc(), packType(positions.getType()), batch);
  }

  /// The number of packed tokens.
  Value countTokens(OpBuilder &builder, Location loc) const {
    return tensor::DimOp::create(builder, loc, tokens, 0);
  }

  Value lookup(Value value) const {
    auto found = packed.find(value);
    return found == packed.end() ? value : found->second;
  }

  bool isDense(Value value) const { return analysis.isDense(value); }

  void packOp(Operation *op) {
    OpBuilder builder(op);
    if (auto attention = dyn_cast<transformer::AttentionOp>(op))
      return packAttention(attention, builder);
    if (auto call = dyn_cast<func::CallOp>(op))
      return packCall(call, builder);
    if (auto dim = dyn_cast<tensor::DimOp>(op); dim && isDense(dim.getSource()))
      return packDim(dim, builder);
    if (auto splat = dyn_cast<tensor::SplatOp>(op); splat && isDense(splat.getResult()))
      return packSplat(splat, builder);
    if (auto expand = dyn_cast<tensor::ExpandShapeOp>(op); expand && isDense(expand.getResult()))
      return packExpand(expand, builder);
    if (auto collapse = dyn_cast<tensor::CollapseShapeOp>(op);
        collapse && isDense(collapse.getResult()))
      return replace(
          op, tensor::CollapseShapeOp::create(builder, op->getLoc(), packType(collapse.getType()),
                                              lookup(collapse.getSrc()),
                                              dropFirst(collapse.getReassociationIndices())));
    if (op->hasTrait<OpTrait::IsTerminator>()) {
      for (OpOperand &operand : op->getOpOperands())
        operand.set(lookup(operand.get()));
      return;
    }
    if (llvm::none_of(op->getOperands(), [&](Value operand) { return packed.contains(operand); }))
      return;
    packRowWise(op, builder);
  }

  void packRowWise(Operation *op, OpBuilder &builder) {
    IRMapping mapping;
    for (Value operand : op->getOperands())
      mapping.map(operand, lookup(operand));
    Operation *copy = builder.clone(*op, mapping);
    for (auto [old, result] : llvm::zip(op->getResults(), copy->getResults()))
      if (isDense(old))
        result.setType(packType(old.getType()));
    replace(op, copy);
  }

  /// A number in every slot becomes one for every token.
  void packSplat(tensor::SplatOp splat, OpBuilder &builder) {
    SmallVector<Value> sizes{countTokens(builder, splat.getLoc())};
    unsigned next = 0;
    for (int64_t dim = 0; dim < splat.getType().getRank(); ++dim) {
      if (!splat.getType().isDynamicDim(dim))
        continue;
      Value size = splat.getDynamicSizes()[next++];
      if (dim >= 2)
        sizes.push_back(lookup(size));
    }
    replace(splat, tensor::SplatOp::create(builder, splat.getLoc(), packType(splat.getType()),
                                           lookup(splat.getInput()), sizes));
  }

  void packAttention(transformer::AttentionOp attention, OpBuilder &builder) {
    if (!isDense(attention.getResult()))
      return;
    replace(attention,
            transformer::AttentionOp::create(
                builder, attention.getLoc(), packType(attention.getType()),
                lookup(attention.getQuery()), lookup(attention.getKey()),
                lookup(attention.getValue()), Value(), Value(), batch, attention.getCausal(),
                attention.getScale(), attention.getWindowAttr(), attention.getSoftCapAttr()));
  }

  /// The number of slots is gone: what used it is made anew with the number of tokens.
  void packDim(tensor::DimOp dim, OpBuilder &builder) {
    std::optional<int64_t> index = dim.getConstantIndex();
    if (index && *index >= 2)
      return replace(
          dim, tensor::DimOp::create(builder, dim.getLoc(), lookup(dim.getSource()), *index - 1));
    dead.push_back(dim);
  }

  void packExpand(tensor::ExpandShapeOp expand, OpBuilder &builder) {
    Value source = lookup(expand.getSrc());
    RankedTensorType type = packType(expand.getType());
    SmallVector<OpFoldResult> sizes{countTokens(builder, expand.getLoc())};
    for (OpFoldResult size : ArrayRef(expand.getMixedOutputShape()).drop_front(2)) {
      auto value = dyn_cast<Value>(size);
      sizes.push_back(value ? OpFoldResult(lookup(value)) : size);
    }
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
    func::FuncOp callee = analysis.getTree().getCallee(call);
    SmallVector<Value> operands;
    bool passesBatch = false;
    for (auto [operand, role] : llvm::zip(call.getOperands(), analysis.getRoles(callee))) {
      if (role == DenseRole::Plain)
        operands.push_back(lookup(operand));
      else if (!std::exchange(passesBatch, true))
        operands.push_back(batch);
    }
    replace(call, func::CallOp::create(builder, call.getLoc(), callee, operands));
  }

  void replace(Operation *op, Operation *copy) {
    for (auto [old, result] : llvm::zip(op->getResults(), copy->getResults()))
      packed[old] = result;
    dead.push_back(op);
    ++numPacked;
  }

  func::FuncOp function;
  const PaddingAnalysis &analysis;
  Value batch;
  DenseMap<Value, Value> packed;
  Value tokens; ///< a packed tensor
  SmallVector<Operation *> dead;
  unsigned numPacked = 0;
};

/// Calls a packed function from one that stays dense. `unpacked` are results of calls before.
void packAtCall(func::CallOp call, const PaddingAnalysis &analysis, DenseSet<Value> &unpacked) {
  func::FuncOp callee = analysis.getTree().getCallee(call);
  OpBuilder builder(call);
  Location loc = call.getLoc();
  auto roles = analysis.getRoles(callee);
  Value positions = call.getOperand(llvm::find(roles, DenseRole::Positions) - roles.begin()),
        lengths = call.getOperand(llvm::find(roles, DenseRole::Lengths) - roles.begin());
  SmallVector<Value> operands;
  bool passesBatch = false;
  for (auto [operand, role] : llvm::zip(call.getOperands(), roles)) {
    if (role != DenseRole::Plain) {
      if (!std::exchange(passesBatch, true))
        operands.push_back(transformer::MakeRaggedOp::create(builder, loc, positions, lengths));
    } else if (analysis.isDense(operand) || unpacked.contains(operand)) {
      operands.push_back(
          transformer::PackOp::create(builder, loc, packType(operand.getType()), operand, lengths));
    } else {
      operands.push_back(operand);
    }
  }
  auto packed = func::CallOp::create(builder, loc, callee, operands);
  for (auto [old, result] : llvm::zip(call.getResults(), packed.getResults())) {
    Value value = result;
    if (analysis.isDense(old)) {
      value = transformer::UnpackOp::create(builder, loc, old.getType(), result, lengths);
      unpacked.insert(value);
    }
    old.replaceAllUsesWith(value);
  }
  call.erase();
}

struct RemovePadding : model::impl::RemovePaddingBase<RemovePadding> {
  void runOnOperation() override {
    for (auto function : llvm::to_vector(getOperation().getOps<func::FuncOp>()))
      if (function->hasAttr("transformer.entry"))
        packEntry(function);
  }

private:
  void packEntry(func::FuncOp entry) {
    CallTree tree(entry);
    if (tree.getObstacle())
      return refuse(tree.getObstacle());
    PaddingAnalysis analysis(tree);
    for (const model::Obstacle &obstacle : analysis.getObstacles())
      refuse(obstacle);
    if (analysis.isPackable(entry) && !takesBatch(entry, analysis))
      return refuse({entry, "takes no lengths and positions"});
    bool hasPacked = false;
    for (Operation *op : tree.getFunctions()) {
      auto function = cast<func::FuncOp>(op);
      if (analysis.isPackable(op)) {
        numPacked += Packer(function, analysis).run();
        hasPacked = true;
        continue;
      }
      DenseSet<Value> unpacked;
      for (auto call : llvm::to_vector(function.getOps<func::CallOp>()))
        if (analysis.isPackable(tree.getCallee(call)))
          packAtCall(call, analysis, unpacked);
    }
    if (!hasPacked)
      return;
    // What stood between a call's results and the next call's operands folds away.
    for (Operation *function : tree.getFunctions()) {
      (void)applyPatternsGreedily(function, RewritePatternSet(&getContext()));
      if (analysis.isPackable(function))
        remark::passed(function->getLoc(), aboutFunction(function)) << "the batch is packed";
    }
  }

  /// Whether the entry has something to make a batch of; if not, it is packed already or no model.
  static bool takesBatch(func::FuncOp entry, const PaddingAnalysis &analysis) {
    return analysis.getArgument(entry, DenseRole::Lengths) ||
           analysis.getArgument(entry, DenseRole::Positions);
  }

  static remark::RemarkOpts aboutFunction(Operation *function) {
    return model::remarkAbout(&cast<func::FuncOp>(function).getBody().front().front(),
                              "RemovePadding");
  }

  void refuse(const model::Obstacle &obstacle) {
    remark::missed(obstacle.op->getLoc(), model::remarkAbout(obstacle.op, "RemovePadding"))
        << remark::reason("{0} {1}", obstacle.op->getName().getStringRef(), obstacle.reason);
  }
};

} // namespace
