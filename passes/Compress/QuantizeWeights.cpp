//===- QuantizeWeights.cpp - Another numeric format for the weights of products -----------------===//
//
// Only types change here; whoever reads the bytes of a weight rounds them to its type's format. The
// weights of a linear are found backwards through arguments and calls, and all that is made of the
// same declarations is retyped with them.
//
//===--------------------------------------------------------------------------------------------===//

#include "ingot/Support/Codec.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "passes/Compress/Passes.h"

namespace ingot::compress {
#define GEN_PASS_DEF_QUANTIZEWEIGHTS
#include "passes/Compress/Passes.h.inc"
} // namespace ingot::compress

using namespace mlir;
using namespace ingot;

namespace {

struct QuantizeWeights : compress::impl::QuantizeWeightsBase<QuantizeWeights> {
  using QuantizeWeightsBase::QuantizeWeightsBase;

  void runOnOperation() override {
    if (format.empty())
      return;
    target = NumericFormat::lookup(format);
    if (!target || !canEncode(*target)) {
      std::string known;
      for (const NumericFormat &other : NumericFormat::all())
        if (canEncode(other))
          known += (known.empty() ? "" : ", ") + other.name.str();
      getOperation().emitError("expected the format of weights to be one of ")
          << known << ", got '" << format << "'";
      return signalPassFailure();
    }
    connect();
    getOperation().walk([&](transformer::LinearOp linear) { visit(linear); });
    for (auto function : getOperation().getOps<func::FuncOp>())
      if (!function.isExternal())
        function.setType(FunctionType::get(&getContext(),
                                           function.getBody().front().getArgumentTypes(),
                                           function.getFunctionType().getResults()));
  }

private:
  /// What must have the type that a value has: other values and declarations, both ways.
  void connect() {
    auto module = getOperation();
    module.walk([&](Operation *op) {
      if (auto get = dyn_cast<transformer::GetWeightOp>(op)) {
        gets[get.getName()].push_back(get.getWeight());
      } else if (auto call = dyn_cast<func::CallOp>(op)) {
        auto callee = module.lookupSymbol<func::FuncOp>(call.getCallee());
        if (!callee || callee.isExternal())
          return;
        for (auto [operand, argument] :
             llvm::zip(call.getOperands(), callee.getBody().front().getArguments()))
          if (isa<transformer::WeightType>(operand.getType())) {
            linked[operand].push_back(argument);
            linked[argument].push_back(operand);
          }
      }
    });
  }

  /// All values that are the weights of `first`; false where not all of them are declared.
  bool collect(Value first, SetVector<Value> &values) {
    values.insert(first);
    for (size_t i = 0; i < values.size(); ++i) {
      Value value = values[i];
      for (Value other : linked.lookup(value))
        values.insert(other);
      if (auto get = value.getDefiningOp<transformer::GetWeightOp>()) {
        for (Value other : gets.lookup(get.getName()))
          values.insert(other);
      } else if (!isa<BlockArgument>(value)) {
        return false;
      }
    }
    return true;
  }

  std::string reasonAgainst(transformer::WeightType type) const {
    const NumericFormat *stored = NumericFormat::lookup(type.getFormat());
    if (!stored || !stored->isFloat())
      return llvm::formatv("it is stored in {0} already", type.getFormat());
    if (type.getColumns() % target->blockElements)
      return llvm::formatv("{0} columns are no multiple of {1}", type.getColumns(),
                           target->blockElements);
    return {};
  }

  void visit(transformer::LinearOp linear) {
    transformer::WeightType type = linear.getWeight().getType();
    if (type.getFormat() == target->name)
      return;
    auto opts = remark::RemarkOpts::name("QuantizeWeights").category("compress");
    std::string reason = reasonAgainst(type);
    SetVector<Value> values;
    if (reason.empty() && !collect(linear.getWeight(), values))
      reason = "it is made of other weights";
    SetVector<transformer::WeightOp> declarations;
    for (Value value : values)
      if (auto get = value.getDefiningOp<transformer::GetWeightOp>())
        declarations.insert(
            SymbolTable::lookupNearestSymbolFrom<transformer::WeightOp>(get, get.getNameAttr()));
    if (reason.empty() && llvm::any_of(declarations, [](auto op) { return bool(op.getValue()); }))
      reason = "its numbers are written inline";
    if (!reason.empty()) {
      remark::missed(linear.getLoc(), opts) << remark::reason("{0}", reason);
      return;
    }
    auto changed = transformer::WeightType::get(&getContext(), type.getShape(), target->name);
    for (Value value : values)
      value.setType(changed);
    for (transformer::WeightOp declaration : declarations)
      declaration.setType(changed);
    numWeights += declarations.size();
    remark::passed(linear.getLoc(), opts) << remark::add(
        "{0} weights from {1} to {2}", declarations.size(), type.getFormat(), target->name);
  }

  const NumericFormat *target = nullptr;
  DenseMap<Value, SmallVector<Value, 2>> linked;
  llvm::StringMap<SmallVector<Value, 1>> gets;
};

} // namespace
