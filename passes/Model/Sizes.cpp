//===- Sizes.cpp - Which unknown sizes of a program are equal ---------------------------------===//

#include "passes/Model/Sizes.h"
#include "dialects/Transformer/Transformer.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace ingot;
using namespace ingot::model;

//===------------------------------------------------------------------------------------------===//
// Nodes and classes
//===------------------------------------------------------------------------------------------===//

unsigned Sizes::add(State state) {
  parents.push_back(parents.size());
  states.push_back(std::move(state));
  return parents.back();
}

unsigned Sizes::node(Value value, int64_t dim) {
  auto [found, isNew] = nodes.try_emplace({value, dim}, 0);
  if (!isNew)
    return found->second;
  State state;
  if (auto type = dyn_cast<RankedTensorType>(value.getType()); type && !type.isDynamicDim(dim)) {
    state.number = type.getDimSize(dim);
    state.place = value.getLoc();
  }
  unsigned id = add(std::move(state));
  nodes[{value, dim}] = id;
  return id;
}

unsigned Sizes::number(int64_t value, Location loc) {
  State state;
  state.number = value;
  state.place = loc;
  return add(std::move(state));
}

unsigned Sizes::derive(StringRef operation, ArrayRef<unsigned> operands) {
  std::vector<unsigned> roots;
  for (unsigned operand : operands)
    roots.push_back(find(operand));
  auto [found, isNew] = derived.try_emplace({operation.str(), roots}, 0);
  if (isNew) {
    State state;
    state.isDerived = llvm::all_of(roots, [&](unsigned root) { return states[root].isKnown(); });
    found->second = add(std::move(state));
  }
  return found->second;
}

unsigned Sizes::find(unsigned id) {
  while (parents[id] != id)
    id = parents[id] = parents[parents[id]];
  return id;
}

void Sizes::unite(unsigned a, unsigned b, Operation *at) {
  a = find(a);
  b = find(b);
  if (a == b)
    return;
  State &into = states[a], &from = states[b];
  bool differ = into.number && from.number && *into.number != *from.number;
  for (const Symbol &x : into.symbols)
    for (const Symbol &y : from.symbols)
      differ |= x.argument == y.argument && x.dim != y.dim;
  if (differ)
    return reportContradiction(into, from, at);
  if (!into.place)
    into.place = from.place;
  if (!into.number)
    into.number = from.number;
  llvm::append_range(into.symbols, from.symbols);
  into.isDerived |= from.isDerived;
  parents[b] = a;
}

void Sizes::reportContradiction(const State &a, const State &b, Operation *at) {
  hasContradiction = true;
  if (std::exchange(reported, at) == at || !reportErrors)
    return;
  auto describe = [](const State &state) {
    if (state.number)
      return std::to_string(*state.number);
    const Symbol &symbol = state.symbols.front();
    return "dimension " + std::to_string(symbol.dim) + " of argument " +
           std::to_string(symbol.argument.getArgNumber());
  };
  auto diagnostic = at->emitOpError("expected sizes that are equal, got ")
                    << describe(a) << " and " << describe(b);
  for (const State *state : {&a, &b})
    if (state->place)
      diagnostic.attachNote(*state->place) << describe(*state) << " is from here";
}

unsigned Sizes::countSymbols() {
  unsigned count = 0;
  for (unsigned id = 0; id < parents.size(); ++id)
    count += parents[id] == id && !states[id].number && states[id].isKnown();
  return count;
}

void Sizes::uniteLeading(Value a, Value b, int64_t count, Operation *at) {
  for (int64_t dim = 0; dim < count; ++dim)
    uniteDims(a, dim, b, dim, at);
}

static int64_t rankOf(Value value) {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  return type ? type.getRank() : 0;
}

void Sizes::uniteAll(Value a, Value b, Operation *at) {
  if (isa<transformer::RaggedType>(a.getType()))
    return uniteDims(a, tokensDim, b, tokensDim, at);
  if (a.getType().isIndex())
    return uniteDims(a, indexDim, b, indexDim, at);
  uniteLeading(a, b, std::min(rankOf(a), rankOf(b)), at);
}

//===------------------------------------------------------------------------------------------===//
// What ops say
//===------------------------------------------------------------------------------------------===//

void Sizes::addEntry(func::FuncOp function) {
  auto addSymbol = [&](BlockArgument argument, int64_t dim) {
    State &state = states[find(node(argument, dim))];
    state.symbols.push_back({argument, dim});
    state.place = argument.getLoc();
  };
  for (BlockArgument argument : function.getArguments()) {
    if (isa<transformer::RaggedType>(argument.getType()))
      addSymbol(argument, tokensDim);
    if (argument.getType().isIndex())
      addSymbol(argument, indexDim);
    if (auto type = dyn_cast<RankedTensorType>(argument.getType()))
      for (int64_t dim = 0; dim < type.getRank(); ++dim)
        if (type.isDynamicDim(dim))
          addSymbol(argument, dim);
  }
}

bool Sizes::relateTransformer(Operation *op) {
  using namespace transformer;
  return llvm::TypeSwitch<Operation *, bool>(op)
      .Case<EmbeddingOp>([&](auto op) {
        uniteLeading(op.getIds(), op.getResult(), rankOf(op.getIds()), op);
        return true;
      })
      .Case<LinearOp>([&](auto op) {
        int64_t leading = rankOf(op.getInput()) - 1;
        uniteLeading(op.getInput(), op.getResult(), leading, op);
        if (op.getScales())
          uniteLeading(op.getInput(), op.getScales(), leading, op);
        return true;
      })
      .Case<NormOp, ActivationOp, GatherChannelsOp>([&](auto op) {
        uniteAll(op.getInput(), op.getResult(), op);
        return true;
      })
      .Case<RopeOp>([&](auto op) {
        uniteAll(op.getInput(), op.getResult(), op);
        uniteLeading(op.getInput(), op.getPositions(), rankOf(op.getPositions()), op);
        return true;
      })
      .Case<QuantizeOp>([&](auto op) {
        uniteAll(op.getInput(), op.getValues(), op);
        uniteLeading(op.getInput(), op.getScales(), rankOf(op.getInput()) - 1, op);
        return true;
      })
      .Case<AttentionMaskOp>([&](auto op) {
        uniteLeading(op.getPositions(), op.getLengths(), 1, op);
        uniteLeading(op.getPositions(), op.getResult(), 2, op);
        uniteDims(op.getResult(), 1, op.getResult(), 2, op);
        return true;
      })
      .Case<AttentionOp>([&](auto op) {
        int64_t leading = op.getBatch() ? 1 : 2;
        uniteAll(op.getQuery(), op.getResult(), op);
        uniteLeading(op.getQuery(), op.getKey(), leading, op);
        uniteLeading(op.getQuery(), op.getValue(), leading, op);
        if (op.getBatch()) {
          uniteDims(op.getQuery(), 0, op.getBatch(), tokensDim, op);
        } else {
          uniteLeading(op.getQuery(), op.getPositions(), 2, op);
          uniteLeading(op.getQuery(), op.getLengths(), 1, op);
        }
        return true;
      })
      .Case<AppendCacheOp>([&](auto op) {
        uniteDims(op.getKey(), 0, op.getBatch(), tokensDim, op);
        uniteDims(op.getValue(), 0, op.getBatch(), tokensDim, op);
        return true;
      })
      .Case<CachedAttentionOp>([&](auto op) {
        uniteAll(op.getQuery(), op.getResult(), op);
        uniteDims(op.getQuery(), 0, op.getBatch(), tokensDim, op);
        return true;
      })
      .Case<SelectRowsOp>([&](auto op) {
        uniteLeading(op.getRows(), op.getResult(), 1, op);
        return true;
      })
      .Case<PositionsOp, SequencesOp>([&](auto op) {
        uniteDims(op.getResult(), 0, op.getBatch(), tokensDim, op);
        return true;
      })
      .Case<PageTableOp>([&](auto op) {
        unsigned tokens = node(op.getBatch(), tokensDim);
        unite(node(op.getResult(), 0), derive("sequences", {tokens}), op);
        unite(node(op.getResult(), 1), derive("pages", {tokens}), op);
        return true;
      })
      .Case<PackOp, UnpackOp>([&](auto op) {
        bool packs = isa<PackOp>(op);
        Value dense = packs ? op.getInput() : op.getResult(),
              packed = packs ? op.getResult() : op.getInput();
        unsigned lengths = node(op.getLengths(), 0);
        unite(lengths, node(dense, 0), op);
        unite(node(packed, 0), derive("tokens", {lengths}), op);
        if (!packs)
          unite(node(dense, 1), derive("slots", {lengths}), op);
        for (int64_t dim = 1; dim < rankOf(packed); ++dim)
          uniteDims(packed, dim, dense, dim + 1, op);
        return true;
      })
      .Case<MakeRaggedOp>([&](auto op) {
        uniteLeading(op.getPositions(), op.getLengths(), 1, op);
        unite(node(op.getResult(), tokensDim), derive("tokens", {node(op.getLengths(), 0)}), op);
        return true;
      })
      .Case<ComputeOp>([&](auto op) {
        for (auto [input, argument] : llvm::zip(op.getInputs(), op.getBody().getArguments()))
          uniteAll(input, argument, op);
        Operation *yield = op.getBody().front().getTerminator();
        for (auto [value, output] : llvm::zip(yield->getOperands(), op.getOutputs()))
          uniteAll(value, output, op);
        return true;
      })
      .Default([](Operation *) { return false; });
}

void Sizes::relateReshape(Operation *op, Value collapsed, Value expanded,
                          ArrayRef<ReassociationIndices> groups) {
  for (auto [dim, group] : llvm::enumerate(groups)) {
    SmallVector<unsigned> others;
    for (int64_t inner : group)
      if (cast<RankedTensorType>(expanded.getType()).getDimSize(inner) != 1)
        others.push_back(node(expanded, inner));
    if (others.size() == 1)
      unite(node(collapsed, dim), others[0], op);
    else if (cast<RankedTensorType>(collapsed.getType()).isDynamicDim(dim))
      unite(node(collapsed, dim), derive("product", others), op);
  }
}

bool Sizes::relateTensor(Operation *op) {
  auto uniteWithIndices = [&](Value tensor, ArrayRef<OpFoldResult> sizes) {
    for (auto [dim, size] : llvm::enumerate(sizes))
      if (auto value = dyn_cast<Value>(size))
        unite(node(tensor, dim), node(value, indexDim), op);
  };
  if (auto empty = dyn_cast<tensor::EmptyOp>(op)) {
    uniteWithIndices(empty.getResult(), empty.getMixedSizes());
  } else if (auto splat = dyn_cast<tensor::SplatOp>(op)) {
    unsigned next = 0;
    for (int64_t dim = 0; dim < rankOf(splat.getResult()); ++dim)
      if (splat.getType().isDynamicDim(dim))
        unite(node(splat.getResult(), dim), node(splat.getDynamicSizes()[next++], indexDim), op);
  } else if (auto expand = dyn_cast<tensor::ExpandShapeOp>(op)) {
    uniteWithIndices(expand.getResult(), expand.getMixedOutputShape());
    relateReshape(op, expand.getSrc(), expand.getResult(), expand.getReassociationIndices());
  } else if (auto collapse = dyn_cast<tensor::CollapseShapeOp>(op)) {
    relateReshape(op, collapse.getResult(), collapse.getSrc(), collapse.getReassociationIndices());
  } else if (auto slice = dyn_cast<tensor::ExtractSliceOp>(op)) {
    if (slice.getType().getRank() == slice.getSourceType().getRank())
      uniteWithIndices(slice.getResult(), slice.getMixedSizes());
  } else if (isa<tensor::CastOp>(op) || OpTrait::hasElementwiseMappableTraits(op)) {
    for (Value operand : op->getOperands())
      if (isa<RankedTensorType>(operand.getType()))
        uniteAll(operand, op->getResult(0), op);
  } else if (auto softmax = dyn_cast<linalg::SoftmaxOp>(op)) {
    uniteAll(softmax.getInput(), softmax.getOutput(), op);
    if (op->getNumResults())
      uniteAll(softmax.getInput(), op->getResult(0), op);
  } else if (auto linalgOp = dyn_cast<linalg::LinalgOp>(op)) {
    SmallVector<std::optional<unsigned>> loops(linalgOp.getNumLoops());
    for (OpOperand &operand : op->getOpOperands()) {
      if (!isa<RankedTensorType>(operand.get().getType()))
        continue;
      for (auto [dim, expr] :
           llvm::enumerate(linalgOp.getMatchingIndexingMap(&operand).getResults())) {
        auto loop = dyn_cast<AffineDimExpr>(expr);
        if (!loop)
          continue;
        unsigned id = node(operand.get(), dim);
        if (auto &known = loops[loop.getPosition()])
          unite(*known, id, op);
        else
          known = id;
      }
    }
    for (auto [init, result] : llvm::zip(linalgOp.getDpsInits(), op->getResults()))
      uniteAll(init, result, op);
  } else {
    return false;
  }
  return true;
}

void Sizes::relateIndex(Operation *op) {
  APInt constant;
  if (auto dim = dyn_cast<tensor::DimOp>(op)) {
    if (std::optional<int64_t> index = dim.getConstantIndex();
        index && *index < rankOf(dim.getSource()))
      unite(node(dim.getResult(), indexDim), node(dim.getSource(), *index), op);
  } else if (matchPattern(op, m_ConstantInt(&constant))) {
    if (op->getResult(0).getType().isIndex())
      unite(node(op->getResult(0), indexDim), number(constant.getSExtValue(), op->getLoc()), op);
  } else if (op->getNumResults() == 1 && op->getResult(0).getType().isIndex() &&
             isa_and_nonnull<arith::ArithDialect>(op->getDialect())) {
    SmallVector<unsigned> operands;
    for (Value operand : op->getOperands())
      operands.push_back(node(operand, indexDim));
    unite(node(op->getResult(0), indexDim), derive(op->getName().getStringRef(), operands), op);
  }
}

void Sizes::relate(Operation *op) {
  if (auto call = dyn_cast<func::CallOp>(op)) {
    auto callee = symbols.lookupNearestSymbolFrom<func::FuncOp>(op, call.getCalleeAttr());
    if (!callee || callee.isExternal())
      return;
    for (auto [operand, argument] : llvm::zip(call.getOperands(), callee.getArguments()))
      uniteAll(operand, argument, op);
    Operation *end = callee.getBody().front().getTerminator();
    for (auto [value, result] : llvm::zip(end->getOperands(), call.getResults()))
      uniteAll(value, result, op);
    return;
  }
  if (!relateTransformer(op) && !relateTensor(op))
    relateIndex(op);
}

LogicalResult Sizes::analyze(ModuleOp module, bool report) {
  reportErrors = report;
  for (auto function : module.getOps<func::FuncOp>())
    if (!function.isExternal() && (function.isPublic() || function->hasAttr("transformer.entry")))
      addEntry(function);
  module.walk<WalkOrder::PreOrder>([&](Operation *op) { relate(op); });
  // A size computed from others is known once they are, and calls may stand before what they call.
  for (bool hasChanged = true; hasChanged;) {
    hasChanged = false;
    for (const auto &[key, id] : derived) {
      State &state = states[find(id)];
      if (state.isDerived)
        continue;
      state.isDerived = llvm::all_of(
          key.second, [&](unsigned operand) { return states[find(operand)].isKnown(); });
      hasChanged |= state.isDerived;
    }
  }
  return failure(hasContradiction);
}
