//===- Regions.cpp - Making compute regions -----------------------------------------------------===//

#include "passes/Fuse/Regions.h"

using namespace mlir;
using namespace ingot;

bool fuse::needsKernel(Operation *op) {
  if (isa<transformer::GetWeightOp, transformer::ConcatWeightsOp, transformer::PackWeightOp,
          transformer::RopeTableOp, transformer::PositionsOp, transformer::SequencesOp,
          transformer::PageTableOp, transformer::WeightOp, transformer::ComputeOp>(op))
    return false;
  if (isa<transformer::TransformerDialect>(op->getDialect()))
    return true;
  if (isa<tensor::DimOp, tensor::ExpandShapeOp, tensor::CollapseShapeOp, tensor::CastOp,
          CallOpInterface, RegionBranchOpInterface, LoopLikeOpInterface>(op))
    return false;
  return llvm::any_of(op->getResultTypes(), llvm::IsaPred<TensorType>);
}

/// Whether an op outside of `ops`, but before `last` in its block, uses a result of `op`.
static bool isNeededBefore(Operation *op, Operation *last,
                           const llvm::SmallPtrSetImpl<Operation *> &ops) {
  return llvm::any_of(op->getUsers(), [&](Operation *user) {
    Operation *ancestor = op->getBlock()->findAncestorOpInBlock(*user);
    return ancestor && !ops.contains(ancestor) && ancestor->isBeforeInBlock(last);
  });
}

LogicalResult fuse::hasKernel(transformer::ComputeOp compute, kernels::Machine machine,
                              std::string &reason) {
  const kernels::Family *family = kernels::lookupFamily(compute.getKernel());
  if (!family)
    return reason = llvm::formatv("no kernel family is called {0}", compute.getKernel()), failure();
  // What a region needs does not depend on how its rows are counted or how long contexts get.
  kernels::Request request{compute, tile::Count::Tokens, 0, 0, {}, machine};
  return family->supports(request, reason);
}

static LogicalResult replaceByRegion(StringRef family, ArrayRef<Operation *> group,
                                     bool mustHaveKernel, std::string &reason) {
  SmallVector<Operation *> ops(group);
  llvm::sort(ops, [](Operation *a, Operation *b) { return a->isBeforeInBlock(b); });
  llvm::SmallPtrSet<Operation *, 8> set(ops.begin(), ops.end());
  llvm::SetVector<Value> inputs, outputs;
  SmallVector<Location> locations;
  for (Operation *op : ops) {
    if (isNeededBefore(op, ops.back(), set))
      return reason = llvm::formatv("a result of {0} is needed earlier", op->getName()), failure();
    locations.push_back(op->getLoc());
    for (Value operand : op->getOperands())
      if (!set.contains(operand.getDefiningOp()))
        inputs.insert(operand);
    for (Value result : op->getResults())
      if (llvm::any_of(result.getUsers(), [&](Operation *user) { return !set.contains(user); }))
        outputs.insert(result);
  }

  OpBuilder builder(ops.back());
  auto compute = transformer::ComputeOp::create(
      builder, builder.getFusedLoc(locations), TypeRange(ValueRange(outputs.getArrayRef())),
      builder.getStringAttr(family), inputs.getArrayRef());
  Block &body = compute.getBody().emplaceBlock();
  IRMapping mapping;
  for (Value input : inputs)
    mapping.map(input, body.addArgument(input.getType(), input.getLoc()));
  builder.setInsertionPointToStart(&body);
  for (Operation *op : ops)
    builder.clone(*op, mapping);
  auto yielded = llvm::map_to_vector(outputs, [&](Value output) { return mapping.lookup(output); });
  transformer::YieldOp::create(builder, compute.getLoc(), yielded);

  if (mustHaveKernel && failed(fuse::hasKernel(compute, kernels::Machine::Cpu, reason))) {
    compute.erase();
    return failure();
  }
  for (auto [index, output] : llvm::enumerate(outputs.takeVector()))
    output.replaceUsesWithIf(compute.getResult(index),
                             [&](OpOperand &use) { return !set.contains(use.getOwner()); });
  for (Operation *op : llvm::reverse(ops))
    op->erase();
  return success();
}

LogicalResult fuse::formRegion(StringRef family, ArrayRef<Operation *> ops, std::string &reason) {
  return replaceByRegion(family, ops, /*mustHaveKernel=*/false, reason);
}

LogicalResult fuse::fuseOps(StringRef family, ArrayRef<Operation *> ops, std::string &reason) {
  return replaceByRegion(family, ops, /*mustHaveKernel=*/true, reason);
}

LogicalResult fuse::prependOp(Operation *op, transformer::ComputeOp compute,
                              kernels::Machine machine, std::string &reason) {
  llvm::SetVector<Value> inputs;
  for (Value input : compute.getInputs())
    if (input != op->getResult(0))
      inputs.insert(input);
  inputs.insert(op->operand_begin(), op->operand_end());
  OpBuilder builder(compute);
  auto whole = transformer::ComputeOp::create(
      builder, builder.getFusedLoc({op->getLoc(), compute.getLoc()}), compute.getResultTypes(),
      compute.getKernelAttr(), inputs.getArrayRef());
  Block &body = whole.getBody().emplaceBlock();
  IRMapping mapping;
  for (Value input : inputs)
    mapping.map(input, body.addArgument(input.getType(), input.getLoc()));
  builder.setInsertionPointToStart(&body);
  builder.clone(*op, mapping);
  for (auto [argument, input] :
       llvm::zip_equal(compute.getBody().getArguments(), compute.getInputs()))
    mapping.map(argument, mapping.lookup(input));
  for (Operation &inner : compute.getBody().front())
    builder.clone(inner, mapping);
  if (failed(fuse::hasKernel(whole, machine, reason))) {
    whole.erase();
    return failure();
  }
  compute.replaceAllUsesWith(whole.getResults());
  compute.erase();
  op->erase();
  return success();
}

/// The operand whose rows the results of `op` have, or null.
static Value rowsOf(Operation *op) {
  if (isa<transformer::NormOp, transformer::LinearOp, transformer::QuantizeOp, transformer::RopeOp,
          transformer::ActivationOp, transformer::EmbeddingOp, transformer::CachedAttentionOp,
          transformer::GatherChannelsOp, arith::AddFOp, arith::MulFOp>(op))
    return op->getOperand(0);
  if (auto expand = dyn_cast<tensor::ExpandShapeOp>(op))
    return expand.getReassociationIndices().front().size() == 1 ? expand.getSrc() : Value();
  if (auto collapse = dyn_cast<tensor::CollapseShapeOp>(op))
    return collapse.getReassociationIndices().front().size() == 1 ? collapse.getSrc() : Value();
  return {};
}

void fuse::forwardRowCounts(Operation *root) {
  for (tensor::DimOp dim : opsOutsideOfRegions<tensor::DimOp>(root)) {
    if (dim.getConstantIndex() != 0)
      continue;
    Value source = dim.getSource();
    for (Operation *op = source.getDefiningOp(); op && rowsOf(op); op = source.getDefiningOp())
      source = rowsOf(op);
    dim.getSourceMutable().assign(source);
  }
}

remark::RemarkOpts fuse::remarkOptions(Operation *op, llvm::StringLiteral name) {
  auto function = op->getParentOfType<FunctionOpInterface>();
  return remark::RemarkOpts::name(name).category("fuse").function(function ? function.getName()
                                                                           : StringRef());
}
