//===- Interpreter.cpp - Runs transformer-stage programs by their meaning ---------------------===//
//
// The walk over blocks, calls, and what all implementations share. No recursion but by calls, which
// must not form a cycle.
//
//===------------------------------------------------------------------------------------------===//

#include "ingot/Reference/Interpreter.h"
#include "Frame.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/Support/Threading.h"
#include <algorithm>

using namespace mlir;
using namespace ingot;
using namespace ingot::reference;

Context::Context(ModuleOp module, const WeightStore &weights, unsigned threads)
    : module(module), weights(weights), pool(llvm::hardware_concurrency(threads)) {
  for (auto weight : module.getOps<transformer::WeightOp>()) {
    auto &source = sources[weight.getSymName()];
    source.name = weight.getSource().value_or("").str();
    if (auto values = weight.getValue())
      for (llvm::APFloat value : values->getValues<llvm::APFloat>()) {
        bool losesInfo;
        value.convert(llvm::APFloat::IEEEsingle(), llvm::APFloat::rmNearestTiesToEven, &losesInfo);
        source.values.push_back(value.convertToFloat());
      }
  }
  addWeightOps(*this);
  addLayerOps(*this);
  addAttentionOps(*this);
  addBatchOps(*this);
  addComputeOps(*this);
  addArithOps(*this);
  addTensorOps(*this);
  addLinalgOps(*this);
}

void Context::parallelFor(int64_t count, int64_t grain,
                          llvm::function_ref<void(int64_t, int64_t)> function) {
  if (count <= grain)
    return count ? function(0, count) : void();
  llvm::ThreadPoolTaskGroup group(pool);
  for (int64_t begin = 0; begin < count; begin += grain)
    group.async([=] { function(begin, std::min(begin + grain, count)); });
  group.wait();
}

llvm::Error Context::readPart(const Source &source, const transformer::WeightType &type,
                              int64_t first, int64_t count,
                              llvm::MutableArrayRef<float> values) const {
  if (!source.values.empty()) {
    llvm::copy(ArrayRef(source.values).slice(first * type.getColumns(), values.size()),
               values.begin());
    return llvm::Error::success();
  }
  auto info = weights.get(source.name);
  if (!info)
    return info.takeError();
  if (ArrayRef((*info)->shape) != type.getShape() || (*info)->format->name != type.getFormat())
    return llvm::createStringError("weight '" + source.name + "' has another shape or format in " +
                                   weights.getDescription().str());
  return weights.readValues(source.name, first, count, values);
}

LogicalResult Context::readRows(Operation *op, const Weight &weight, int64_t first, int64_t count,
                                llvm::MutableArrayRef<float> values) {
  int64_t columns = weight.type.getColumns();
  for (auto &part : weight.parts) {
    int64_t rows = part.type.getRows();
    int64_t fromHere = std::clamp<int64_t>(rows - first, 0, count);
    if (fromHere) {
      auto target = values.take_front(fromHere * columns);
      if (auto error =
              readPart(sources.find(part.name)->second, part.type, first, fromHere, target)) {
        std::lock_guard lock(diagnostics);
        return op->emitError(llvm::toString(std::move(error)));
      }
      values = values.drop_front(fromHere * columns);
      count -= fromHere;
      first = rows;
    }
    first -= rows;
  }
  return success();
}

FailureOr<std::vector<float>> Context::readVector(Operation *op, const Weight &weight) {
  std::vector<float> values(weight.type.getColumns());
  if (failed(readRows(op, weight, 0, 1, values)))
    return failure();
  return values;
}

const Handler *Context::find(Operation *op) const {
  auto found = handlers.find(op->getName().getStringRef());
  if (found != handlers.end())
    return &found->second;
  auto dialect = dialects.find(op->getName().getDialectNamespace());
  return dialect == dialects.end() ? nullptr : &dialect->second;
}

static FailureOr<std::vector<Datum>> callFunction(Context &context, func::FuncOp function,
                                                  ArrayRef<Datum> arguments) {
  if (function.isExternal() || !function.getBody().hasOneBlock())
    return function.emitError("the reference runs functions of one block only");
  return Frame(context).run(function.front(), arguments);
}

static LogicalResult call(func::CallOp op, Frame &frame) {
  auto function =
      frame.context.symbols.lookupNearestSymbolFrom<func::FuncOp>(op, op.getCalleeAttr());
  std::vector<Datum> arguments;
  for (mlir::Value operand : op.getOperands())
    arguments.push_back(frame.get(operand));
  auto results = callFunction(frame.context, function, arguments);
  if (failed(results))
    return failure();
  for (auto [result, value] : llvm::zip_equal(op.getResults(), *results))
    frame.set(result, std::move(value));
  return success();
}

LogicalResult Frame::execute(Operation *op) {
  auto *handler = context.find(op);
  if (!handler)
    return op->emitOpError("has no reference semantics");
  return (*handler)(op, *this);
}

void Frame::dropAfterLastUse(Operation *op) {
  for (mlir::Value operand : op->getOperands()) {
    auto [left, isNew] = usesLeft.try_emplace(operand, 0);
    if (isNew)
      left->second = std::distance(operand.use_begin(), operand.use_end());
    if (--left->second == 0)
      values.erase(operand);
  }
}

FailureOr<std::vector<Datum>> Frame::run(Block &block, ArrayRef<Datum> arguments) {
  for (auto [argument, value] : llvm::zip_equal(block.getArguments(), arguments))
    set(argument, value);
  for (Operation &op : block.without_terminator()) {
    if (failed(execute(&op)))
      return failure();
    dropAfterLastUse(&op);
  }
  std::vector<Datum> results;
  for (mlir::Value operand : block.getTerminator()->getOperands())
    results.push_back(get(operand));
  return results;
}

/// Whether a value that comes from outside can be an argument of `type`.
static bool isOfType(const Datum &value, Type type) {
  if (auto tensorType = dyn_cast<RankedTensorType>(type)) {
    auto *tensor = std::get_if<Tensor>(&value);
    Type element = tensorType.getElementType();
    return tensor && succeeded(verifyCompatibleShape(tensor->shape(), tensorType.getShape())) &&
           (element.isF32()         ? tensor->holds<float>()
            : element.isInteger(1)  ? tensor->holds<uint8_t>()
            : element.isInteger(8)  ? tensor->holds<int8_t>()
            : element.isInteger(16) ? tensor->holds<int16_t>()
            : element.isInteger(32) ? tensor->holds<int32_t>()
                                    : tensor->holds<int64_t>());
  }
  if (auto cacheType = dyn_cast<transformer::KVCacheType>(type))
    return std::holds_alternative<Cache>(value) && std::get<Cache>(value).type == cacheType;
  if (isa<transformer::RaggedType>(type))
    return std::holds_alternative<Ragged>(value);
  return type.isIntOrIndexOrFloat() && std::holds_alternative<Scalar>(value);
}

FailureOr<std::vector<Datum>> reference::runEntry(ModuleOp module, StringRef entry,
                                                  ArrayRef<Datum> inputs,
                                                  const WeightStore &weights, unsigned threads) {
  auto function = module.lookupSymbol<func::FuncOp>(entry);
  if (!function)
    return module.emitError() << "there is no function '@" << entry << "' to run";
  if (function.getNumArguments() != inputs.size())
    return function.emitError("expected ")
           << function.getNumArguments() << " inputs, got " << inputs.size();
  for (auto [index, type] : llvm::enumerate(function.getArgumentTypes()))
    if (!isOfType(inputs[index], type))
      return function.emitError("expected input ") << index << " to be a " << type;
  Context context(module, weights, threads);
  context.add(call);
  return callFunction(context, function, inputs);
}
