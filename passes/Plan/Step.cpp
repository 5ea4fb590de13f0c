//===- Step.cpp - The step program as a flat list of launches --------------------------------------===//

#include "passes/Plan/Step.h"
#include "ingot/Support/Packing.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace ingot;
using namespace ingot::plan;
using transformer::KVCacheType;
using transformer::RaggedType;

//===----------------------------------------------------------------------------------------------===//
// Sizes
//===----------------------------------------------------------------------------------------------===//

BoundsAttr ingot::plan::getBounds(func::FuncOp entry, const StepLimits &limits) {
  int64_t pageTokens = 16, pagesPerSequence = 0, pages = 0;
  for (Type type : entry.getArgumentTypes()) {
    auto cache = dyn_cast<KVCacheType>(type);
    if (!cache)
      continue;
    pageTokens = cache.getPage();
    pagesPerSequence = llvm::divideCeil(limits.context, pageTokens);
    pages = limits.pages != 0 ? limits.pages : limits.sequences * pagesPerSequence;
  }
  return BoundsAttr::get(entry.getContext(), limits.tokens, limits.outputs, limits.sequences,
                         limits.context, pageTokens, pages, pagesPerSequence);
}

std::string ingot::plan::getPackingName(transformer::WeightType type) {
  auto packing = dyn_cast_or_null<tile::PackedAttr>(type.getPacking());
  if (!packing)
    return "plain";
  return (packing.getPlanar() ? "planar" : "rows") + std::to_string(packing.getRows());
}

std::optional<int64_t> ingot::plan::getPackedBytes(transformer::WeightType type) {
  const NumericFormat *format = NumericFormat::lookup(type.getFormat());
  if (!format)
    return std::nullopt;
  int64_t columns = type.getColumns(), rows = type.getRows();
  if (!type.getPacking()) {
    std::optional<uint64_t> rowBytes = format->bytesForRow(columns);
    if (!rowBytes)
      return std::nullopt;
    return *rowBytes * rows;
  }
  auto packing = dyn_cast<tile::PackedAttr>(type.getPacking());
  if (!packing)
    return std::nullopt;
  llvm::Expected<PackedLayout> layout =
      PackedLayout::get(*format, rows, columns, packing.getRows(),
                        packing.getPlanar() ? PackedOrder::Planar : PackedOrder::Interleaved);
  if (!layout) {
    llvm::consumeError(layout.takeError());
    return std::nullopt;
  }
  return layout->bytes;
}

/// The one count that the sizes of `view` depend on.
static std::optional<Count> findCount(Type type) {
  auto view = dyn_cast<tile::ViewType>(type);
  std::optional<Count> found;
  for (int64_t size : view ? view.getShape() : ArrayRef<int64_t>()) {
    if (!tile::ViewType::isCount(size))
      continue;
    auto count = static_cast<Count>(tile::ViewType::countOf(size));
    if (found && *found != count)
      return std::nullopt;
    found = count;
  }
  return found;
}

//===----------------------------------------------------------------------------------------------===//
// Flattening
//===----------------------------------------------------------------------------------------------===//

namespace {

/// What a value of the tensor program is in memory.
struct Place {
  enum class Kind { Buffer, Weight, Cache, Input, Ragged, Number };
  Kind kind;
  int64_t index;       ///< of the buffer, weight expression or cache; the input; the number itself
  int64_t version = 0; ///< Buffer, Cache: how often it had been changed in place
};

/// A weight before some kernel reads it.
struct WeightExpression {
  SmallVector<Attribute> sources;
  transformer::WeightType type;
};

class Flattener {
public:
  Flattener(func::FuncOp entry, BoundsAttr bounds)
      : module(entry->getParentOfType<ModuleOp>()), symbols(module), bounds(bounds) {
    step.entry = entry;
    // These names are taken in the program.
    makeUnique("step");
    for (auto kernel : module.getOps<tile::KernelOp>())
      makeUnique(kernel.getSymName());
  }

  FailureOr<Step> run();

private:
  using Scope = DenseMap<Value, Place>;

  LogicalResult bindArguments(Scope &scope);
  LogicalResult flattenBody(func::FuncOp function, Scope &scope, SmallVectorImpl<Place> &results);
  LogicalResult flattenOp(Operation &op, Scope &scope);
  LogicalResult flattenCall(func::CallOp call, Scope &scope);
  LogicalResult flattenLaunch(tile::LaunchOp launch, Scope &scope);
  LogicalResult addOperand(StepLaunch &step, Value operand, Place place, bool isUpdated,
                           int64_t layer);
  LogicalResult addResult(StepLaunch &step, OpResult result, Scope &scope);
  void noteVocabulary(const StepLaunch &step);
  bool flattenWeight(Operation &op, Scope &scope);

  Place addExpression(ArrayRef<Attribute> sources, Type type);
  FailureOr<unsigned> getWeight(Operation *user, const WeightExpression &expression);
  FailureOr<int64_t> getBytes(Operation *user, Value value, Type view);
  int64_t &versionOf(const Place &place) {
    return versions[{static_cast<int>(place.kind), place.index}];
  }
  std::string makeUnique(StringRef name);
  std::string getLayer(Operation *call);

  ModuleOp module;
  SymbolTable symbols;
  BoundsAttr bounds;
  Step step;
  SmallVector<WeightExpression> expressions;
  DenseMap<std::pair<Attribute, Type>, unsigned> weights;
  DenseMap<std::pair<int, int64_t>, int64_t> versions;
  SmallVector<func::FuncOp> stack; ///< functions being expanded
  std::string layer;               ///< of the launches being expanded
  llvm::StringMap<unsigned> names;
};

} // namespace

std::string Flattener::makeUnique(StringRef name) {
  unsigned count = names[name]++;
  return count == 0 ? name.str() : makeUnique((name + "." + Twine(count)).str());
}

std::string Flattener::getLayer(Operation *call) {
  std::string name;
  call->getLoc()->walk([&](Location location) {
    auto named = dyn_cast<NameLoc>(location);
    if (!named)
      return WalkResult::advance();
    name = named.getName().str();
    return WalkResult::interrupt();
  });
  return name.empty() ? cast<func::CallOp>(call).getCallee().str() : name;
}

LogicalResult Flattener::bindArguments(Scope &scope) {
  int64_t inputs = 0, cacheEnd = 0;
  for (BlockArgument argument : step.entry.getArguments()) {
    Type type = argument.getType();
    auto tensor = dyn_cast<RankedTensorType>(type);
    if (isa<RaggedType>(type)) {
      scope[argument] = {Place::Kind::Ragged, 0};
    } else if (auto cache = dyn_cast<KVCacheType>(type)) {
      scope[argument] = {Place::Kind::Cache, static_cast<int64_t>(step.caches.size())};
      int64_t slots = bounds.getPages() * cache.getHeads() * cache.getPage();
      auto align = [&](int64_t headBytes) -> int64_t {
        return llvm::alignTo(slots * headBytes, alignment);
      };
      step.caches.push_back(
          {makeUnique("kv_cache"),
           cache,
           cacheEnd,
           {align(cache.getHeadBytes(/*isKey=*/true)), align(cache.getHeadBytes(/*isKey=*/false)),
            align(cache.getScaleBytes(/*isKey=*/true)),
            align(cache.getScaleBytes(/*isKey=*/false))}});
      cacheEnd += step.caches.back().getLayerBytes() * cache.getLayers();
      if (cache.getPage() != bounds.getPageTokens())
        return step.entry.emitError() << "expected caches with pages of " << bounds.getPageTokens()
                                      << " tokens, got " << cache.getPage();
    } else if (tensor && tensor.getRank() == 1 && tensor.getElementType().isInteger(32) &&
               inputs < 2) {
      Input input = inputs++ == 0 ? Input::TokenIds : Input::OutputRows;
      scope[argument] = {Place::Kind::Input, static_cast<int64_t>(input)};
    } else {
      return step.entry.emitError()
             << "expected argument " << argument.getArgNumber()
             << " to be token ids, a batch, output rows or a cache, got " << type;
    }
  }
  return success();
}

FailureOr<Step> Flattener::run() {
  Scope scope;
  SmallVector<Place> results;
  if (failed(bindArguments(scope)) || failed(flattenBody(step.entry, scope, results)))
    return failure();
  Type resultType;
  for (auto [type, place] : llvm::zip_equal(step.entry.getResultTypes(), results)) {
    if (place.kind == Place::Kind::Cache)
      continue;
    auto tensor = dyn_cast<RankedTensorType>(type);
    if (resultType || place.kind != Place::Kind::Buffer || !tensor || tensor.getRank() != 2 ||
        !tensor.getElementType().isF32() || tensor.isDynamicDim(1))
      return step.entry.emitError()
             << "expected one result, float32 [outputs, width], beside caches, got " << type;
    resultType = type;
    step.result = place.index;
    step.resultWidth = tensor.getDimSize(1);
  }
  if (!resultType)
    return step.entry.emitError() << "expected one result, float32 [outputs, width], got none";
  if (step.vocabulary == 0)
    step.vocabulary = step.resultWidth;
  return std::move(step);
}

LogicalResult Flattener::flattenBody(func::FuncOp function, Scope &scope,
                                     SmallVectorImpl<Place> &results) {
  if (!function.getBody().hasOneBlock())
    return function.emitError() << "expected a function of one block to plan, got '"
                                << function.getSymName() << "'";
  if (llvm::is_contained(stack, function))
    return function.emitError() << "expected no recursion, got a call of '" << function.getSymName()
                                << "' from itself";
  stack.push_back(function);
  for (Operation &op : function.getBody().front().without_terminator())
    if (failed(flattenOp(op, scope)))
      return failure();
  stack.pop_back();
  Operation *end = function.getBody().front().getTerminator();
  for (Value value : end->getOperands()) {
    auto place = scope.find(value);
    if (place == scope.end())
      return end->emitError() << "expected a returned value to be made by a launch, got a value of "
                              << value.getType();
    results.push_back(place->second);
  }
  return success();
}

LogicalResult Flattener::flattenOp(Operation &op, Scope &scope) {
  if (auto call = dyn_cast<func::CallOp>(op))
    return flattenCall(call, scope);
  if (auto launch = dyn_cast<tile::LaunchOp>(op))
    return flattenLaunch(launch, scope);
  if (flattenWeight(op, scope))
    return success();
  Attribute constant;
  if (matchPattern(&op, m_Constant(&constant))) {
    if (auto number = dyn_cast<IntegerAttr>(constant))
      scope[op.getResult(0)] = {Place::Kind::Number, number.getInt()};
    return success();
  }
  auto bindInput = [&](Input input) {
    scope[op.getResult(0)] = {Place::Kind::Input, static_cast<int64_t>(input)};
    return success();
  };
  if (isa<transformer::PositionsOp>(op))
    return bindInput(Input::Positions);
  if (isa<transformer::SequencesOp>(op))
    return bindInput(Input::SequenceOf);
  if (isa<transformer::PageTableOp>(op))
    return bindInput(Input::PageTable);
  if (isa<tensor::CollapseShapeOp, tensor::ExpandShapeOp, tensor::CastOp>(op)) {
    // Another name for the same bytes.
    if (auto place = scope.find(op.getOperand(0)); place != scope.end())
      scope[op.getResult(0)] = Place(place->second);
    return success();
  }
  // What is left and unused in memory (sizes of tensors) does not run in a step.
  if (isMemoryEffectFree(&op) && llvm::none_of(op.getResultTypes(), llvm::IsaPred<TensorType>))
    return success();
  if (isMemoryEffectFree(&op) && op.use_empty())
    return success();
  return op.emitError() << "expected launches and calls in a step, got '" << op.getName() << "'";
}

LogicalResult Flattener::flattenCall(func::CallOp call, Scope &scope) {
  auto callee = symbols.lookup<func::FuncOp>(call.getCallee());
  if (!callee || callee.isExternal())
    return call.emitError() << "expected a call of a function with a body, got '"
                            << call.getCallee() << "'";
  Scope inner;
  for (auto [argument, operand] : llvm::zip_equal(callee.getArguments(), call.getOperands())) {
    auto place = scope.find(operand);
    if (place != scope.end())
      inner[argument] = place->second;
  }
  bool isOutermost = stack.size() == 1;
  unsigned first = step.launches.size();
  if (isOutermost)
    layer = getLayer(call);
  SmallVector<Place> results;
  if (failed(flattenBody(callee, inner, results)))
    return failure();
  for (auto [result, place] : llvm::zip_equal(call.getResults(), results))
    scope[result] = place;
  if (isOutermost) {
    step.calls.push_back(
        {call, callee, first, static_cast<unsigned>(step.launches.size()) - first});
    layer.clear();
  }
  return success();
}

//===----------------------------------------------------------------------------------------------===//
// Weights
//===----------------------------------------------------------------------------------------------===//

Place Flattener::addExpression(ArrayRef<Attribute> sources, Type type) {
  expressions.push_back({llvm::to_vector(sources), cast<transformer::WeightType>(type)});
  return {Place::Kind::Weight, static_cast<int64_t>(expressions.size()) - 1};
}

/// Ops that name, stack, pack or generate weights; false where `op` is none of these.
bool Flattener::flattenWeight(Operation &op, Scope &scope) {
  MLIRContext *context = op.getContext();
  if (auto get = dyn_cast<transformer::GetWeightOp>(op)) {
    auto weight = symbols.lookup<transformer::WeightOp>(get.getName());
    StringAttr source = weight && weight.getSourceAttr() ? weight.getSourceAttr()
                                                         : StringAttr::get(context, get.getName());
    scope[get.getResult()] = addExpression({source}, get.getType());
    return true;
  }
  if (auto table = dyn_cast<transformer::RopeTableOp>(op)) {
    scope[table.getResult()] =
        addExpression({RopeTableAttr::get(context, table.getBaseAttr(), table.getFactorsAttr())},
                      table.getType());
    return true;
  }
  if (!isa<transformer::ConcatWeightsOp, transformer::PackWeightOp>(op))
    return false;
  SmallVector<Attribute> sources;
  for (Value operand : op.getOperands())
    if (auto place = scope.find(operand); place != scope.end())
      llvm::append_range(sources, expressions[place->second.index].sources);
  scope[op.getResult(0)] = addExpression(sources, op.getResult(0).getType());
  return true;
}

/// The packed weight that `expression` is: equal ones are the same bytes.
FailureOr<unsigned> Flattener::getWeight(Operation *user, const WeightExpression &expression) {
  ArrayAttr sources = ArrayAttr::get(user->getContext(), expression.sources);
  auto [entry, isNew] = weights.try_emplace({sources, expression.type}, step.weights.size());
  if (!isNew)
    return entry->second;
  std::optional<int64_t> bytes = getPackedBytes(expression.type);
  if (!bytes)
    return user->emitError() << "expected a weight with a known format and packing, got "
                             << expression.type;
  bool isTable = llvm::any_of(sources, llvm::IsaPred<RopeTableAttr>);
  if (isTable && expression.type.getRows() < bounds.getContextTokens())
    return user->emitError() << "expected a rope table of at least " << bounds.getContextTokens()
                             << " positions, the context, got " << expression.type.getRows();
  std::string name;
  for (Attribute source : sources) {
    auto text = dyn_cast<StringAttr>(source);
    name += (name.empty() ? "" : "+") + (text ? text.str() : "rope_table");
  }
  step.weights.push_back({makeUnique(name), sources, expression.type, *bytes, user->getLoc()});
  return entry->second;
}

//===----------------------------------------------------------------------------------------------===//
// Launches
//===----------------------------------------------------------------------------------------------===//

LogicalResult Flattener::flattenLaunch(tile::LaunchOp launch, Scope &scope) {
  auto kernel = symbols.lookup<tile::KernelOp>(launch.getKernel());
  if (!kernel)
    return launch.emitError() << "expected a kernel of the module, got '" << launch.getKernel()
                              << "'";
  StepLaunch flat{launch, kernel, {}, layer.empty() ? step.entry.getSymName().str() : layer};

  int64_t cacheLayer = 0;
  for (Value operand : launch.getInputs())
    if (isa<IndexType>(operand.getType())) {
      auto number = scope.find(operand);
      if (number == scope.end() || number->second.kind != Place::Kind::Number)
        return launch.emitError() << "expected the layer of a cache to be a constant";
      cacheLayer = number->second.index;
    }

  SmallVector<int64_t> updated;
  for (unsigned i = 0; i < launch->getNumResults(); ++i)
    updated.push_back(launch.getInPlaceOperand(i));
  for (auto [number, operand] : llvm::enumerate(launch.getInputs())) {
    auto place = scope.find(operand);
    if (place == scope.end())
      return launch.emitError() << "expected operand " << number << " of '" << launch.getKernel()
                                << "' to be made by a launch, got a value of " << operand.getType();
    bool isUpdated = llvm::is_contained(updated, static_cast<int64_t>(number));
    if (failed(addOperand(flat, operand, place->second, isUpdated, cacheLayer)))
      return failure();
  }
  for (OpResult result : launch->getResults())
    if (failed(addResult(flat, result, scope)))
      return failure();
  if (flat.arguments.size() != kernel.getViews().size())
    return launch.emitError() << "expected " << kernel.getViews().size() << " arguments for '"
                              << launch.getKernel() << "', got " << flat.arguments.size();
  noteVocabulary(flat);
  step.launches.push_back(std::move(flat));
  return success();
}

/// A launch that reads token ids gathers rows of its weights: ids are below their number.
void Flattener::noteVocabulary(const StepLaunch &flat) {
  auto readsIds = [](const StepArgument &argument) {
    return argument.kind == StepArgument::Kind::Input &&
           argument.index == static_cast<unsigned>(Input::TokenIds);
  };
  if (llvm::none_of(flat.arguments, readsIds))
    return;
  for (const StepArgument &argument : flat.arguments) {
    if (argument.kind != StepArgument::Kind::Weight)
      continue;
    transformer::WeightType type = step.weights[argument.index].type;
    if (type.getRank() == 2 && (step.vocabulary == 0 || type.getRows() < step.vocabulary))
      step.vocabulary = type.getRows();
  }
}

LogicalResult Flattener::addOperand(StepLaunch &flat, Value operand, Place place, bool isUpdated,
                                    int64_t layer) {
  Operation *op = flat.op;
  Access access = isUpdated ? Access::Update : Access::Read;
  bool isMemory = place.kind == Place::Kind::Buffer || place.kind == Place::Kind::Cache;
  if (isUpdated && !isMemory)
    return op->emitError() << "expected '" << flat.op.getKernel()
                           << "' to change only buffers and caches in place, got a value of "
                           << operand.getType();
  if (isMemory && place.version != versionOf(place))
    return op->emitError()
           << "expected no use of a value that another launch changed in place, got "
              "one by '"
           << flat.op.getKernel() << "'";
  auto add = [&](StepArgument::Kind kind, int64_t index) -> StepArgument & {
    flat.arguments.push_back({kind, access, static_cast<unsigned>(index)});
    return flat.arguments.back();
  };
  switch (place.kind) {
  case Place::Kind::Number:
    break;
  case Place::Kind::Buffer:
    add(StepArgument::Kind::Buffer, place.index);
    break;
  case Place::Kind::Input:
    add(StepArgument::Kind::Input, place.index);
    break;
  case Place::Kind::Ragged:
    for (Input input : {Input::Positions, Input::SequenceOf, Input::PageTable})
      add(StepArgument::Kind::Input, static_cast<int64_t>(input));
    break;
  case Place::Kind::Weight: {
    FailureOr<unsigned> weight = getWeight(op, expressions[place.index]);
    if (failed(weight))
      return failure();
    add(StepArgument::Kind::Weight, *weight);
    break;
  }
  case Place::Kind::Cache: {
    KVCacheType type = step.caches[place.index].type;
    int64_t layers = type.getLayers();
    if (layer < 0 || layer >= layers)
      return op->emitError() << "expected a layer of a cache with " << layers << " layers, got "
                             << layer;
    for (auto part :
         {CachePart::Keys, CachePart::Values, CachePart::KeyScales, CachePart::ValueScales}) {
      if (part >= CachePart::KeyScales && !type.isQuantized())
        break;
      StepArgument &argument = add(StepArgument::Kind::Cache, place.index);
      argument.layer = layer;
      argument.part = part;
    }
    break;
  }
  }
  return success();
}

LogicalResult Flattener::addResult(StepLaunch &flat, OpResult result, Scope &scope) {
  tile::LaunchOp launch = flat.op;
  if (int64_t operand = launch.getInPlaceOperand(result.getResultNumber()); operand >= 0) {
    Place place = scope.find(launch.getInputs()[operand])->second;
    place.version = ++versionOf(place);
    scope[result] = place;
    return success();
  }
  // Its view comes next among the kernel's.
  size_t number = flat.arguments.size();
  auto views = flat.kernel.getViews();
  FailureOr<int64_t> bytes =
      getBytes(launch, result, number < views.size() ? views[number].getType() : Type());
  if (failed(bytes))
    return failure();
  std::string name = launch.getKernel().str() + ".out";
  auto isNew = [&](OpResult other) {
    return launch.getInPlaceOperand(other.getResultNumber()) < 0;
  };
  if (llvm::count_if(launch->getResults(), isNew) > 1)
    name += std::to_string(result.getResultNumber());
  unsigned buffer = step.buffers.size();
  step.buffers.push_back({makeUnique(name), *bytes, launch.getLoc()});
  flat.arguments.push_back({StepArgument::Kind::Buffer, Access::Write, buffer});
  scope[result] = {Place::Kind::Buffer, buffer};
  return success();
}

/// Bytes of a launch's result for the largest step; the view says which count its unknown size is.
FailureOr<int64_t> Flattener::getBytes(Operation *user, Value value, Type view) {
  auto tensor = dyn_cast<RankedTensorType>(value.getType());
  if (!tensor || !tensor.getElementType().isIntOrFloat())
    return user->emitError() << "expected a launch to make tensors of numbers, got "
                             << value.getType();
  int64_t bytes = llvm::divideCeil(tensor.getElementTypeBitWidth(), 8);
  for (int64_t size : tensor.getShape()) {
    if (ShapedType::isDynamic(size)) {
      std::optional<Count> count = findCount(view);
      if (!count)
        return user->emitError()
               << "expected the view of a result to say one count for the unknown size of "
               << value.getType() << ", got " << view;
      size = bounds.get(*count);
    }
    if (llvm::MulOverflow(bytes, size, bytes) || bytes > (int64_t(1) << 46))
      return user->emitError() << "expected a result of at most " << (int64_t(1) << 46)
                               << " bytes, got " << value.getType();
  }
  return bytes;
}

FailureOr<Step> ingot::plan::flattenStep(func::FuncOp entry, BoundsAttr bounds) {
  return Flattener(entry, bounds).run();
}
