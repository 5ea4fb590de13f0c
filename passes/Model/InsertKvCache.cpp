//===- InsertKvCache.cpp - Keep keys and values of earlier tokens in a paged cache ------------===//
//
// A cache is right where what is computed at position t depends on positions up to t only, so that
// it never changes later. Here that is proven op by op: row-wise ops keep it, causal attention
// keeps it, nothing else does. The cache is a value: each append yields the next one, calls thread
// it in the order of the program, and the layer's number is an argument, so equal layers stay one
// function. Layers with other heads, channels or windows have a cache of their own.
//
// In an encoder no attention is causal. Its sequences lie in one step from beginning to end, where
// pages are what holds the keys and values of one layer: the next layer's take their place.
//
//===------------------------------------------------------------------------------------------===//

#include "passes/Model/CallTree.h"
#include "passes/Model/Passes.h"
#include "passes/Model/TokenMixing.h"

namespace ingot::model {
#define GEN_PASS_DEF_INSERTKVCACHE
#include "passes/Model/Passes.h.inc"
} // namespace ingot::model

using namespace mlir;
using namespace ingot;
using model::CallTree;
using transformer::TokenMixing;

namespace {

/// Why positions up to t (in an encoder: those of the sequence) might not be enough for what `op`
/// computes at t, or nothing.
StringRef whyNotCached(Operation *op, bool isEncoder) {
  if (auto attention = dyn_cast<transformer::AttentionOp>(op)) {
    if (!attention.getBatch())
      return "is not over packed tokens";
    if (isEncoder && attention.getWindow())
      return "sees later positions within a window";
    return attention.getCausal() || isEncoder ? StringRef() : StringRef("sees later positions");
  }
  if (isa<func::CallOp, func::ReturnOp, func::FuncOp, tensor::DimOp, transformer::SelectRowsOp,
          transformer::PositionsOp, transformer::GetWeightOp>(op) ||
      op->hasTrait<OpTrait::ConstantLike>())
    return {};
  return model::getTokenMixing(op, 1) == TokenMixing::RowWise
             ? StringRef()
             : StringRef("may relate positions in a way that is not known");
}

struct InsertKvCache : model::impl::InsertKvCacheBase<InsertKvCache> {
  using InsertKvCacheBase::InsertKvCacheBase;

  LogicalResult initialize(MLIRContext *context) override {
    if (!transformer::KVCacheType::lookupFormats(context, format).first)
      return emitError(UnknownLoc::get(context))
             << "expected option 'format' to be one of " << transformer::KVCacheType::formatNames
             << ", got " << format.getValue();
    if (!llvm::isPowerOf2_64(pageTokens) || pageTokens < 8 || pageTokens > 1024)
      return emitError(UnknownLoc::get(context))
             << "expected option 'page-tokens' to be a power of two from 8 to 1024, got "
             << pageTokens.getValue();
    return success();
  }

  void runOnOperation() override {
    for (auto function : llvm::to_vector(getOperation().getOps<func::FuncOp>()))
      if (function->hasAttr("transformer.entry"))
        insert(function);
  }

private:
  /// Layers that share a cache: equal heads, channels and window.
  struct Group {
    int64_t heads, dim;
    std::optional<int64_t> window;
    bool operator==(const Group &other) const = default;
  };
  /// For each group, how many attentions one run of a function computes, its calls included.
  using Layers = SmallVector<int64_t, 1>;

  void insert(func::FuncOp entry) {
    CallTree tree(entry);
    calls = &tree;
    if (const model::Obstacle &obstacle = tree.getObstacle())
      return refuse(obstacle.op, obstacle.reason);
    groups.clear();
    layersOf.clear();
    isEncoder = sees(tree, /*later=*/true) && !sees(tree, /*later=*/false);
    for (Operation *function : tree.getFunctions()) {
      if (countBatches(cast<func::FuncOp>(function)) > 1)
        return refuse(function, "takes more than one batch");
      for (Operation &op : cast<func::FuncOp>(function).getBody().front()) {
        std::string reason = whyNotCached(&op, isEncoder).str();
        if (auto attention = dyn_cast<transformer::AttentionOp>(op); attention && reason.empty())
          reason = addGroup(attention);
        if (!reason.empty())
          return refuse(&op, reason);
      }
    }
    if (groups.empty())
      return refuse(entry, "has no attention to cache for");
    if (entry.getSymName() != "step" && SymbolTable::lookupSymbolIn(getOperation(), "step"))
      return refuse(entry, "cannot be renamed: there is another symbol 'step'");
    for (Operation *function : tree.getFunctions())
      countLayers(cast<func::FuncOp>(function));
    SmallVector<Type> caches = getCacheTypes(layersOf[entry]);
    for (Operation *function : tree.getFunctions())
      thread(cast<func::FuncOp>(function), caches, function == entry);
    entry.setSymName("step");
    report(entry);
  }

  /// Whether some attention sees later positions, or whether some does not.
  static bool sees(const CallTree &tree, bool later) {
    return llvm::any_of(tree.getFunctions(), [&](Operation *function) {
      return llvm::any_of(cast<func::FuncOp>(function).getOps<transformer::AttentionOp>(),
                          [&](auto attention) { return attention.getCausal() != later; });
    });
  }

  static unsigned countBatches(func::FuncOp function) {
    return llvm::count_if(function.getArgumentTypes(),
                          [](Type type) { return isa<transformer::RaggedType>(type); });
  }

  /// The group of an attention is known afterwards; or why it has none.
  std::string addGroup(transformer::AttentionOp attention) {
    auto batch = dyn_cast<BlockArgument>(attention.getBatch());
    if (!batch)
      return "is not over the batch that its function takes";
    Group group = getGroup(attention);
    if (ShapedType::isDynamic(group.heads) || ShapedType::isDynamic(group.dim))
      return "has heads or channels of unknown number";
    if ((format == "q4_0" || format == "k8v4") && group.dim % 2 != 0)
      return "has heads of an odd number of channels, which numbers of 4 bits cannot pair";
    if (!llvm::is_contained(groups, group))
      groups.push_back(group);
    return {};
  }

  static Group getGroup(transformer::AttentionOp attention) {
    auto key = cast<RankedTensorType>(attention.getKey().getType());
    return {key.getDimSize(1), key.getDimSize(2), attention.getWindow()};
  }

  size_t findGroup(transformer::AttentionOp attention) const {
    return llvm::find(groups, getGroup(attention)) - groups.begin();
  }

  /// Callees are counted already.
  void countLayers(func::FuncOp function) {
    Layers layers(groups.size());
    function.walk([&](Operation *op) {
      if (auto attention = dyn_cast<transformer::AttentionOp>(op))
        ++layers[findGroup(attention)];
      else if (auto call = dyn_cast<func::CallOp>(op))
        for (auto [sum, count] : llvm::zip(layers, layersOf[calls->getCallee(call)]))
          sum += count;
    });
    layersOf[function] = layers;
  }

  SmallVector<Type> getCacheTypes(ArrayRef<int64_t> layers) {
    using transformer::KVCacheType;
    MLIRContext *context = &getContext();
    auto [keys, values] = KVCacheType::lookupFormats(context, format);
    SmallVector<Type> types;
    for (auto [group, count] : llvm::zip(groups, layers))
      types.push_back(KVCacheType::get(context, isEncoder ? 1 : count, group.heads, group.dim, keys,
                                       pageTokens, values));
    return types;
  }

  /// Gives a function the caches that it needs, and but for the entry the number of its first layer
  /// in each; both go through in program order.
  void thread(func::FuncOp function, ArrayRef<Type> types, bool isEntry) {
    const Layers &layers = layersOf[function];
    Block &block = function.getBody().front();
    Location loc = function.getLoc();
    unsigned next = 0;
    for (BlockArgument argument : block.getArguments())
      if (isa<transformer::RaggedType>(argument.getType()))
        next = argument.getArgNumber() + 1;
    SmallVector<Value> caches(groups.size()), first(groups.size());
    for (size_t group = 0; group < groups.size(); ++group) {
      if (!layers[group])
        continue;
      caches[group] = block.insertArgument(next++, types[group], loc);
      if (!isEntry && !isEncoder)
        first[group] = block.insertArgument(next++, IndexType::get(&getContext()), loc);
    }
    Layers done(groups.size());
    for (Operation &op : llvm::make_early_inc_range(block)) {
      OpBuilder builder(&op);
      auto number = [&](size_t group) -> Value {
        if (first[group] && done[group] == 0)
          return first[group];
        Value constant =
            arith::ConstantIndexOp::create(builder, op.getLoc(), isEncoder ? 0 : done[group]);
        return first[group]
                   ? arith::AddIOp::create(builder, op.getLoc(), first[group], constant).getResult()
                   : constant;
      };
      if (auto attention = dyn_cast<transformer::AttentionOp>(op)) {
        size_t group = findGroup(attention);
        caches[group] = cacheAttention(attention, builder, caches[group], number(group));
        ++done[group];
      } else if (auto call = dyn_cast<func::CallOp>(op)) {
        const Layers &inside = layersOf[calls->getCallee(call)];
        passCaches(call, builder, inside, caches, number);
        for (auto [sum, count] : llvm::zip(done, inside))
          sum += count;
      }
    }
    Operation *end = block.getTerminator();
    for (Value cache : caches)
      if (cache)
        end->insertOperands(end->getNumOperands(), cache);
    function.setType(
        FunctionType::get(&getContext(), block.getArgumentTypes(), end->getOperandTypes()));
  }

  static Value cacheAttention(transformer::AttentionOp attention, OpBuilder &builder, Value cache,
                              Value layer) {
    Location loc = attention.getLoc();
    Value batch = attention.getBatch();
    Value next =
        transformer::AppendCacheOp::create(builder, loc, cache.getType(), cache, layer,
                                           attention.getKey(), attention.getValue(), batch);
    Value result = transformer::CachedAttentionOp::create(
        builder, loc, attention.getType(), attention.getQuery(), next, layer, batch,
        attention.getScaleAttr(), attention.getWindowAttr(), attention.getSoftCapAttr(),
        attention.getCausal() ? UnitAttr() : builder.getUnitAttr());
    attention.replaceAllUsesWith(result);
    attention.erase();
    return next;
  }

  /// Passes each cache that the callee needs, and takes it from the results.
  void passCaches(func::CallOp call, OpBuilder &builder, ArrayRef<int64_t> layers,
                  MutableArrayRef<Value> caches, function_ref<Value(size_t)> number) {
    if (llvm::all_of(layers, [](int64_t count) { return count == 0; }))
      return;
    SmallVector<Value> operands(call.getOperands()), added;
    for (size_t group = 0; group < layers.size(); ++group) {
      if (!layers[group])
        continue;
      added.push_back(caches[group]);
      if (!isEncoder)
        added.push_back(number(group));
    }
    auto batch = llvm::find_if(
        operands, [](Value operand) { return isa<transformer::RaggedType>(operand.getType()); });
    operands.insert(std::next(batch), added.begin(), added.end());
    auto copy = func::CallOp::create(builder, call.getLoc(), calls->getCallee(call), operands);
    unsigned next = call.getNumResults();
    call->replaceAllUsesWith(copy->getResults().take_front(next));
    call.erase();
    for (size_t group = 0; group < layers.size(); ++group)
      if (layers[group])
        caches[group] = copy.getResult(next++);
  }

  void report(func::FuncOp entry) {
    int64_t layers = 0;
    for (int64_t count : layersOf[entry])
      layers += count;
    numLayers += layers;
    remark::passed(entry.getLoc(),
                   model::remarkAbout(&entry.getBody().front().front(), "InsertKvCache"))
        << (isEncoder ? "sequences are whole in a step: one layer's keys and values are kept"
                      : "every position depends on earlier ones only")
        << remark::metric("layers", int(layers)) << remark::metric("caches", int(groups.size()));
  }

  void refuse(Operation *op, StringRef reason) {
    remark::missed(op->getLoc(), model::remarkAbout(op, "InsertKvCache"))
        << remark::reason("{0} {1}", op->getName().getStringRef(), reason);
  }

  const CallTree *calls = nullptr; ///< of the entry at hand
  bool isEncoder = false;          ///< no attention of the entry is causal
  SmallVector<Group> groups;
  DenseMap<Operation *, Layers> layersOf;
};

} // namespace
