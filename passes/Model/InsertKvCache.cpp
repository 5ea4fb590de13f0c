//===- InsertKvCache.cpp - Keep keys and values of earlier tokens in a paged cache ------------===//
//
// A cache is right where what is computed at position t depends on positions up to t only, so that
// it never changes later. Here that is proven op by op: row-wise ops keep it, causal attention
// keeps it, nothing else does. The cache is a value: each append yields the next one, calls thread
// it in the order of the program, and the layer's number is an argument, so equal layers stay one
// function.
//
//===------------------------------------------------------------------------------------------===//

#include "passes/Model/Passes.h"
#include "passes/Model/TokenMixing.h"

namespace ingot::model {
#define GEN_PASS_DEF_INSERTKVCACHE
#include "passes/Model/Passes.h.inc"
} // namespace ingot::model

using namespace mlir;
using namespace ingot;
using transformer::TokenMixing;

namespace {

/// Why positions up to t might not be enough for what `op` computes at t, or nothing.
StringRef whyNotCausal(Operation *op) {
  if (auto attention = dyn_cast<transformer::AttentionOp>(op)) {
    if (!attention.getBatch())
      return "is not over packed tokens";
    return attention.getCausal() ? StringRef() : StringRef("sees later positions");
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
    if (format != "f16" && format != "f32")
      return emitError(UnknownLoc::get(context))
             << "expected option 'format' to be f16 or f32, got " << format.getValue();
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
  void insert(func::FuncOp entry) {
    llvm::SetVector<Operation *> functions;
    model::collectReachable(entry, functions);
    SmallVector<transformer::AttentionOp> attentions;
    for (Operation *function : functions) {
      WalkResult proof = function->walk([&](Operation *op) {
        if (auto attention = dyn_cast<transformer::AttentionOp>(op))
          attentions.push_back(attention);
        StringRef reason = whyNotCausal(op);
        if (!reason.empty())
          refuse(op, reason);
        return reason.empty() ? WalkResult::advance() : WalkResult::interrupt();
      });
      if (proof.wasInterrupted())
        return;
    }
    if (attentions.empty())
      return refuse(entry, "has no attention to cache for");
    for (transformer::AttentionOp attention : attentions)
      if (attention.getKey().getType() != attentions.front().getKey().getType())
        return refuse(attention, "has other heads than the first: one group of layers is there");

    int64_t layers = countLayers(entry);
    numLayers += layers;
    auto key = cast<RankedTensorType>(attentions.front().getKey().getType());
    MLIRContext *context = &getContext();
    Type element =
        format == "f16" ? Type(Float16Type::get(context)) : Type(Float32Type::get(context));
    auto cache = transformer::KVCacheType::get(context, layers, key.getDimSize(1),
                                               key.getDimSize(2), element, pageTokens);
    for (Operation *function : functions)
      if (layersOf.lookup(function))
        thread(cast<func::FuncOp>(function), cache, function == entry);
    entry.setSymName("step");
    remark::passed(entry.getLoc(),
                   model::remarkAbout(&entry.getBody().front().front(), "InsertKvCache"))
        << "causal" << remark::metric("layers", int(layers));
  }

  /// Attentions that one run of a function computes, its calls included.
  int64_t countLayers(func::FuncOp function) {
    if (auto known = layersOf.find(function); known != layersOf.end())
      return known->second;
    int64_t layers = 0;
    function.walk([&](Operation *op) {
      if (isa<transformer::AttentionOp>(op))
        ++layers;
      else if (auto call = dyn_cast<func::CallOp>(op))
        layers += countLayers(calleeOf(call));
    });
    return layersOf[function] = layers;
  }

  static func::FuncOp calleeOf(func::CallOp call) {
    return SymbolTable::lookupNearestSymbolFrom<func::FuncOp>(call, call.getCalleeAttr());
  }

  /// Gives a function the cache, and but for the entry the number of its first layer; both go
  /// through in program order.
  void thread(func::FuncOp function, transformer::KVCacheType type, bool isEntry) {
    Block &block = function.getBody().front();
    Location loc = function.getLoc();
    unsigned behindBatch = 0;
    for (BlockArgument argument : block.getArguments())
      if (isa<transformer::RaggedType>(argument.getType()))
        behindBatch = argument.getArgNumber() + 1;
    Value cache = block.insertArgument(behindBatch, type, loc);
    Value first = isEntry
                      ? Value()
                      : block.insertArgument(behindBatch + 1, IndexType::get(&getContext()), loc);
    int64_t layer = 0;
    for (Operation &op : llvm::make_early_inc_range(block)) {
      OpBuilder builder(&op);
      auto number = [&]() -> Value {
        if (first && layer == 0)
          return first;
        Value constant = arith::ConstantIndexOp::create(builder, op.getLoc(), layer);
        return first ? arith::AddIOp::create(builder, op.getLoc(), first, constant).getResult()
                     : constant;
      };
      if (auto attention = dyn_cast<transformer::AttentionOp>(op)) {
        cache = cacheAttention(attention, builder, cache, number());
        ++layer;
      } else if (auto call = dyn_cast<func::CallOp>(op); call && layersOf.lookup(calleeOf(call))) {
        int64_t layers = layersOf.lookup(calleeOf(call));
        cache = passCache(call, builder, cache, number());
        layer += layers;
      }
    }
    block.getTerminator()->insertOperands(block.getTerminator()->getNumOperands(), cache);
    function.setType(FunctionType::get(&getContext(), block.getArgumentTypes(),
                                       block.getTerminator()->getOperandTypes()));
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
        attention.getScaleAttr(), attention.getWindowAttr());
    attention.replaceAllUsesWith(result);
    attention.erase();
    return next;
  }

  static Value passCache(func::CallOp call, OpBuilder &builder, Value cache, Value layer) {
    func::FuncOp callee = calleeOf(call);
    SmallVector<Value> operands(call.getOperands());
    for (auto [index, operand] : llvm::enumerate(operands))
      if (isa<transformer::RaggedType>(operand.getType())) {
        operands.insert(operands.begin() + index + 1, {cache, layer});
        break;
      }
    auto copy = func::CallOp::create(builder, call.getLoc(), callee, operands);
    call->replaceAllUsesWith(copy->getResults().drop_back());
    call.erase();
    return copy->getResults().back();
  }

  void refuse(Operation *op, StringRef reason) {
    remark::missed(op->getLoc(), model::remarkAbout(op, "InsertKvCache"))
        << remark::reason("{0} {1}", op->getName().getStringRef(), reason);
  }

  DenseMap<Operation *, int64_t> layersOf;
};

} // namespace
