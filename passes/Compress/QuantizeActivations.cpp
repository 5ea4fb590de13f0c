//===- QuantizeActivations.cpp - 8-bit activations for integer weights --------------------------===//
//
// Puts `transformer.quantize` in front of linears; see Passes.td. Which weights a linear multiplies
// with is only known through calls: a weight that is an argument stands for all that callers pass.
//
//===--------------------------------------------------------------------------------------------===//

#include "ingot/Support/NumericFormat.h"
#include "passes/Compress/Passes.h"
#include "llvm/Support/GlobPattern.h"

namespace ingot::compress {
#define GEN_PASS_DEF_QUANTIZEACTIVATIONS
#include "passes/Compress/Passes.h.inc"
} // namespace ingot::compress

using namespace mlir;
using namespace ingot;
using compress::Activations;

namespace {

/// Channels that share a scale.
constexpr int64_t blockChannels = 32;

/// Finds the names of the weights that a value can be.
class WeightNames {
public:
  explicit WeightNames(ModuleOp module) {
    module.walk([&](func::CallOp call) { callsOf[call.getCallee()].push_back(call); });
  }

  SmallVector<StringRef> of(Value weight) const {
    SmallVector<StringRef> names;
    SetVector<Value> values;
    values.insert(weight);
    for (size_t i = 0; i < values.size(); ++i) {
      Value value = values[i];
      if (auto get = value.getDefiningOp<transformer::GetWeightOp>()) {
        names.push_back(get.getName());
      } else if (auto concat = value.getDefiningOp<transformer::ConcatWeightsOp>()) {
        values.insert(concat.getWeights().begin(), concat.getWeights().end());
      } else if (auto argument = dyn_cast<BlockArgument>(value)) {
        auto function = dyn_cast<func::FuncOp>(argument.getOwner()->getParentOp());
        if (function && argument.getOwner()->isEntryBlock())
          for (func::CallOp call : callsOf.lookup(function.getSymName()))
            values.insert(call.getOperand(argument.getArgNumber()));
      }
    }
    return names;
  }

private:
  llvm::StringMap<SmallVector<func::CallOp>> callsOf;
};

struct QuantizeActivations : compress::impl::QuantizeActivationsBase<QuantizeActivations> {
  using QuantizeActivationsBase::QuantizeActivationsBase;

  void runOnOperation() override {
    if (activations == Activations::Float)
      return;
    patterns.clear();
    for (const std::string &text : exclude) {
      auto pattern = llvm::GlobPattern::create(text);
      if (!pattern) {
        getOperation().emitError("expected 'exclude' to be a pattern of file names, got \"")
            << text << "\": " << llvm::toString(pattern.takeError());
        return signalPassFailure();
      }
      patterns.push_back(std::move(*pattern));
    }
    WeightNames names(getOperation());
    getOperation().walk([&](Block *block) {
      llvm::SmallDenseMap<Value, transformer::QuantizeOp> quantized;
      for (auto linear : llvm::make_early_inc_range(block->getOps<transformer::LinearOp>()))
        if (!linear.getScales())
          visit(linear, names, quantized);
    });
  }

private:
  /// Why the linear keeps float32 activations; empty if it need not.
  std::string reasonAgainst(transformer::LinearOp linear, ArrayRef<StringRef> names) const {
    transformer::WeightType type = linear.getWeight().getType();
    const NumericFormat *format = NumericFormat::lookup(type.getFormat());
    if (!format)
      return llvm::formatv("{0} is no numeric format that is known", type.getFormat());
    if (!format->hasIntegerCodes())
      return llvm::formatv("{0} stores floats", type.getFormat());
    if (type.getColumns() % blockChannels)
      return llvm::formatv("{0} columns are no multiple of {1}", type.getColumns(), blockChannels);
    for (StringRef name : names)
      for (auto [pattern, text] : llvm::zip(patterns, exclude))
        if (pattern.match(name))
          return llvm::formatv("'{0}' is excluded by \"{1}\"", name, text);
    return {};
  }

  void visit(transformer::LinearOp linear, const WeightNames &names,
             llvm::SmallDenseMap<Value, transformer::QuantizeOp> &quantized) {
    SmallVector<StringRef> weights = names.of(linear.getWeight());
    auto opts = remark::RemarkOpts::name("QuantizeActivations").category("compress");
    if (auto function = linear->getParentOfType<func::FuncOp>())
      opts = opts.function(function.getSymName());
    if (std::string reason = reasonAgainst(linear, weights); !reason.empty()) {
      remark::missed(linear.getLoc(), opts) << remark::reason("{0}", reason);
      return;
    }
    transformer::QuantizeOp &quantize = quantized[linear.getInput()];
    OpBuilder builder(linear);
    if (!quantize) {
      quantize = createQuantize(builder, linear.getInput());
      ++numQuantizes;
    }
    linear.getInputMutable().assign(quantize.getValues());
    linear.getScalesMutable().assign(quantize.getScales());
    ++numLinears;
    remark::passed(linear.getLoc(), opts)
        << remark::add("8-bit activations for {0}", describe(weights));
  }

  transformer::QuantizeOp createQuantize(OpBuilder &builder, TypedValue<RankedTensorType> input) {
    RankedTensorType type = input.getType();
    SmallVector<int64_t> shape(type.getShape());
    shape.back() /= blockChannels;
    return transformer::QuantizeOp::create(builder, input.getLoc(), type.clone(builder.getI8Type()),
                                           type.clone(shape), input);
  }

  /// The weights for a reader: all of one layer, the first of many.
  static std::string describe(ArrayRef<StringRef> names) {
    if (names.empty())
      return "a weight without a name";
    if (names.size() == 1)
      return llvm::formatv("'{0}'", names.front());
    return llvm::formatv("'{0}' and {1} more", names.front(), names.size() - 1);
  }

  SmallVector<llvm::GlobPattern> patterns;
};

} // namespace
