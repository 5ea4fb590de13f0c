//===- ModelBuilder.cpp - Weights, layers and the entry of an imported model ------------------===//
//
// See ModelBuilder.h. The module holds the weights in the order in which they are first used, the
// entry @main, then the layer functions.
//
//===------------------------------------------------------------------------------------------===//

#include "ModelBuilder.h"
#include "dialects/Transformer/Verify.h"
#include <cmath>

using namespace mlir;
using namespace ingot;
using namespace ingot::import;

static constexpr StringLiteral entryAttrName = "transformer.entry";
static constexpr StringLiteral modelAttrName = "transformer.model";

static NameLoc locationOf(MLIRContext *context, StringRef name) {
  return NameLoc::get(StringAttr::get(context, name));
}

/// Names the arguments of a function for whoever prints them.
static void nameArguments(Block &block, ArrayRef<StringRef> names) {
  for (auto [argument, name] : llvm::zip_equal(block.getArguments(), names))
    argument.setLoc(locationOf(argument.getContext(), name));
}

ModelBuilder::ModelBuilder(MLIRContext *context, std::shared_ptr<const WeightStore> checkpoint,
                           TensorNames names, RandomWeights random)
    : names(std::move(names)), random(std::move(random)),
      view(std::make_shared<CheckpointView>(std::move(checkpoint))),
      module(ModuleOp::create(UnknownLoc::get(context))), builder(context) {
  auto i32 = builder.getI32Type();
  int64_t unknown = ShapedType::kDynamic;
  auto slots = RankedTensorType::get({unknown, unknown}, i32),
       list = RankedTensorType::get({unknown}, i32);
  // The result's type is known when the logits are.
  auto type = builder.getFunctionType({slots, slots, list, list}, {});
  builder.setInsertionPointToEnd(module->getBody());
  main = func::FuncOp::create(builder, locationOf(context, "main"), "main", type);
  main->setAttr(entryAttrName, builder.getUnitAttr());
  nameArguments(*main.addEntryBlock(), {"tokens", "positions", "lengths", "rows"});
  builder.setInsertionPointToEnd(&main.front());
}

InFlightDiagnostic ModelBuilder::error() {
  // One sentence tells the user what is wrong; what follows from it is noise.
  if (failed)
    return InFlightDiagnostic();
  failed = true;
  return emitError(builder.getUnknownLoc()) << view->getDescription() << ": ";
}

void ModelBuilder::error(llvm::Error error) {
  std::string sentence = llvm::toString(std::move(error));
  if (!failed)
    emitError(builder.getUnknownLoc()) << sentence;
  failed = true;
}

int64_t ModelBuilder::rowsOf(StringRef role) const {
  auto *info = view->find(names.get(role));
  return info ? info->shape.front() : 1;
}

void ModelBuilder::setParameter(StringRef name, Attribute value) { parameters.set(name, value); }
void ModelBuilder::setParameter(StringRef name, int64_t value) {
  setParameter(name, builder.getI64IntegerAttr(value));
}
void ModelBuilder::setParameter(StringRef name, double value) {
  setParameter(name, builder.getF64FloatAttr(value));
}
void ModelBuilder::setParameter(StringRef name, float value) {
  setParameter(name, builder.getF32FloatAttr(value));
}

//===------------------------------------------------------------------------------------------===//
// Weights of a layer
//===------------------------------------------------------------------------------------------===//

void ModelBuilder::LayerWeights::add(StringRef role, ArrayRef<int64_t> shape) {
  std::string tensor = model.names.get(prefix + role.str());
  auto type = model.declareWeight(tensor, shape);
  weights.push_back({role.str(), std::move(tensor), type});
}

void ModelBuilder::LayerWeights::addOrder(StringRef role, StringRef tensor, int64_t channels) {
  StringRef order = model.findOrder ? model.findOrder(tensor) : StringRef();
  if (order.empty())
    return;
  std::string weightRole = (role + ".order").str();
  auto *known =
      llvm::find_if(weights, [&](const Weight &weight) { return weight.tensor == order; });
  if (known != weights.end())
    return void(orders.emplace_back(weightRole, known->role));
  weights.push_back({weightRole, order.str(), model.declareWeight(order, {channels})});
}

void ModelBuilder::LayerWeights::setOrders(DenseBuilder &layer) const {
  for (auto &[role, of] : orders)
    layer.setWeight(role, layer.weight(of));
}

void ModelBuilder::LayerWeights::addView(StringRef role, StringRef base,
                                         ArrayRef<int64_t> baseShape, const WeightView &view,
                                         ArrayRef<int64_t> shape) {
  WeightView made = view;
  made.base = model.names.get(prefix + base.str());
  std::string tensor = role == base ? made.base + "'" : made.base + "/" + role.str();
  if (model.checkTensor(made.base, baseShape)) {
    model.used.insert(made.base);
    if (auto error = model.view->add(tensor, made))
      model.error(std::move(error));
  }
  auto type = model.declareWeight(tensor, shape);
  weights.push_back({role.str(), std::move(tensor), type});
}

void ModelBuilder::LayerWeights::addNumbers(StringRef role, int64_t count, float addend) {
  // Kernels read vectors as they are, and a vector costs nothing.
  auto *info = model.view->find(model.names.get(prefix + role.str()));
  if (addend != 0 || (info && info->format->isFloat() && info->format->name != "f32"))
    addView(role, role, count, {.base = "", .isFloat32 = true, .addend = addend}, count);
  else
    add(role, {count});
}

void ModelBuilder::LayerWeights::addLinear(StringRef role, int64_t features, int64_t channels,
                                           bool hasBias) {
  add((role + ".weight").str(), {features, channels});
  addOrder(role, std::string(weights.back().tensor), channels);
  if (hasBias)
    addNumbers((role + ".bias").str(), features);
}

void ModelBuilder::LayerWeights::addTransposed(StringRef role, int64_t features, int64_t channels,
                                               bool hasBias) {
  addSplit(role, Part{role, {0, features}}, features, channels, hasBias, /*isTransposed=*/true);
}

void ModelBuilder::LayerWeights::addSplit(StringRef role, ArrayRef<Part> parts, int64_t features,
                                          int64_t channels, bool hasBias, bool isTransposed) {
  SmallVector<int64_t> shape = {features, channels};
  if (isTransposed)
    std::swap(shape[0], shape[1]);
  for (const Part &part : parts) {
    addView((part.role + ".weight").str(), (role + ".weight").str(), shape,
            {.base = "", .rows = part.rows, .isTransposed = isTransposed},
            {part.rows.count, channels});
    addOrder(part.role, model.names.get(prefix + (role + ".weight").str()), channels);
    if (hasBias && parts.size() == 1)
      addNumbers((role + ".bias").str(), features);
    else if (hasBias)
      addView((part.role + ".bias").str(), (role + ".bias").str(), features,
              {.base = "", .rows = part.rows, .isFloat32 = true}, part.rows.count);
  }
}

void ModelBuilder::LayerWeights::addVector(StringRef role, int64_t channels, bool hasBias,
                                           float addend) {
  addNumbers((role + ".weight").str(), channels, addend);
  if (hasBias)
    addNumbers((role + ".bias").str(), channels);
}

bool ModelBuilder::checkTensor(StringRef tensor, ArrayRef<int64_t> shape) {
  if (random.store && !view->find(tensor)) {
    bool isVector = shape.size() == 1, isBias = tensor.ends_with(".bias");
    const NumericFormat &format = isVector ? *NumericFormat::lookup("f32") : *random.format;
    // Norms keep the activations' size, products keep it too.
    float deviation = isVector ? 0.02f : 1 / std::sqrt(float(shape.back()));
    if (auto added = random.store->add(tensor, format, shape, deviation, isVector && !isBias)) {
      error() << llvm::toString(std::move(added));
      return false;
    }
  }
  auto *info = view->find(tensor);
  if (!info) {
    error() << "tensor '" << tensor << "' of shape [" << shape << "] is missing";
    return false;
  }
  if (ArrayRef(info->shape) != shape) {
    error() << "expected tensor '" << tensor << "' to have shape [" << shape
            << "] by the hyper-parameters, got [" << ArrayRef(info->shape) << "]";
    return false;
  }
  return true;
}

transformer::WeightType ModelBuilder::declareWeight(StringRef tensor, ArrayRef<int64_t> shape) {
  auto *context = builder.getContext();
  if (!checkTensor(tensor, shape))
    return transformer::WeightType::get(context, shape, "f32");
  auto [entry, isNew] = declared.try_emplace(tensor);
  if (!isNew)
    return entry->second;
  used.insert(tensor);
  auto type = transformer::WeightType::get(context, shape, view->find(tensor)->format->name);
  OpBuilder before(main);
  transformer::WeightOp::create(before, locationOf(context, tensor), tensor, type,
                                before.getStringAttr(tensor),
                                /*hash=*/StringAttr(), /*value=*/ElementsAttr());
  return entry->second = type;
}

Value ModelBuilder::getWeight(StringRef tensor, transformer::WeightType type) {
  Value &value = values[tensor];
  if (!value)
    value = transformer::GetWeightOp::create(builder, locationOf(builder.getContext(), tensor),
                                             type, tensor);
  return value;
}

//===------------------------------------------------------------------------------------------===//
// Entry and layers
//===------------------------------------------------------------------------------------------===//

Value ModelBuilder::embed(Value ids, StringRef tensor, int64_t rows, int64_t width) {
  auto type = declareWeight(tensor, {rows, width});
  auto result = RankedTensorType::get({ShapedType::kDynamic, ShapedType::kDynamic, width},
                                      builder.getF32Type());
  return transformer::EmbeddingOp::create(builder, locationOf(builder.getContext(), tensor), result,
                                          ids, getWeight(tensor, type));
}

Value ModelBuilder::embedTokens(StringRef role, int64_t vocabulary, int64_t width) {
  return embed(main.getArgument(0), names.get(role), vocabulary, width);
}

Value ModelBuilder::embedPositions(StringRef role, int64_t positions, int64_t width,
                                   const PositionTable &table) {
  std::string tensor = names.get(role), sum = tensor;
  WeightView rows{.base = tensor, .rows = {.first = table.first, .count = positions}};
  if (!checkTensor(tensor, {table.first + positions, width}))
    return embed(main.getArgument(1), tensor, positions, width);
  if (!table.added.empty()) {
    rows.added = names.get(table.added);
    sum += "+" + rows.added;
    if (!checkTensor(rows.added, {table.addedRows, width}))
      return embed(main.getArgument(1), tensor, positions, width);
    used.insert(rows.added);
  }
  if (table.first)
    sum += "'";
  if (sum != tensor) {
    used.insert(tensor);
    if (auto error = view->add(sum, std::move(rows)))
      this->error(std::move(error));
  }
  return embed(main.getArgument(1), sum, positions, width);
}

Value ModelBuilder::writeEntry(Value x, const LayerWeights &weights, LayerBody body) {
  SmallVector<Value> operands;
  for (auto &weight : weights.weights)
    operands.push_back(getWeight(weight.tensor, weight.type));
  DenseBuilder entry(builder.getInsertionBlock(), x, main.getArgument(1), main.getArgument(2));
  for (auto [weight, value] : llvm::zip_equal(weights.weights, operands))
    entry.setWeight(weight.role, value);
  weights.setOrders(entry);
  return body(entry, x);
}

func::FuncOp ModelBuilder::createLayer(Type input, const LayerWeights &weights, LayerBody body) {
  SmallVector<Type> inputs = {input, main.getArgument(1).getType(), main.getArgument(2).getType()};
  SmallVector<StringRef> arguments = {"x", "positions", "lengths"};
  for (auto &weight : weights.weights) {
    inputs.push_back(weight.type);
    arguments.push_back(weight.role);
  }
  std::string name = layers.empty() ? "layer" : "layer_" + std::to_string(layers.size());
  OpBuilder atEnd = OpBuilder::atBlockEnd(module->getBody());
  auto function = func::FuncOp::create(atEnd, locationOf(atEnd.getContext(), name), name,
                                       atEnd.getFunctionType(inputs, input));
  function.setPrivate();
  Block *block = function.addEntryBlock();
  nameArguments(*block, arguments);
  DenseBuilder layer(block, block->getArgument(0), block->getArgument(1), block->getArgument(2));
  for (auto [role, argument] :
       llvm::zip_equal(ArrayRef(arguments).drop_front(3), block->getArguments().drop_front(3)))
    layer.setWeight(role, argument);
  weights.setOrders(layer);
  Value result = body(layer, block->getArgument(0));
  atEnd.setInsertionPointToEnd(block);
  func::ReturnOp::create(atEnd, function.getLoc(), result);
  return function;
}

Value ModelBuilder::callLayer(StringRef name, Value x, const LayerWeights &weights, LayerBody body,
                              StringRef kind) {
  Structure structure{kind.str(), {}, weights.orders};
  for (auto &weight : weights.weights)
    structure.weights.emplace_back(weight.role, weight.type);
  auto *known = llvm::find_if(layers, [&](auto &layer) { return layer.first == structure; });
  if (known == layers.end()) {
    auto function = createLayer(x.getType(), weights, body);
    layers.emplace_back(std::move(structure), function);
    known = std::prev(layers.end());
  }
  SmallVector<Value> operands = {x, main.getArgument(1), main.getArgument(2)};
  for (auto &weight : weights.weights)
    operands.push_back(getWeight(weight.tensor, weight.type));
  return func::CallOp::create(builder, locationOf(builder.getContext(), name), known->second,
                              operands)
      .getResult(0);
}

Value ModelBuilder::selectRows(Value x) {
  int64_t width = cast<RankedTensorType>(x.getType()).getShape().back();
  auto type = RankedTensorType::get({ShapedType::kDynamic, width}, builder.getF32Type());
  auto loc = locationOf(builder.getContext(), "rows");
  return transformer::SelectRowsOp::create(builder, loc, type, x, main.getArgument(3));
}

void ModelBuilder::returnLogits(Value x, const LayerWeights &weights, LayerBody body) {
  Value logits = writeEntry(selectRows(x), weights, body);
  func::ReturnOp::create(builder, main.getLoc(), logits);
  main.setFunctionType(builder.getFunctionType(main.getArgumentTypes(), logits.getType()));
}

void ModelBuilder::returnRows(Value x) {
  setParameter("kind", builder.getStringAttr("encoder"));
  Value rows = selectRows(x);
  func::ReturnOp::create(builder, main.getLoc(), rows);
  main.setFunctionType(builder.getFunctionType(main.getArgumentTypes(), rows.getType()));
}

FailureOr<OwningOpRef<ModuleOp>> ModelBuilder::finish() {
  for (auto &name : view->getNames()) {
    bool isIgnored =
        llvm::any_of(ignored, [&](auto &end) { return StringRef(name).ends_with(end); });
    if (!failed && !used.contains(name) && !isIgnored)
      error() << "tensor '" << name << "' is not part of the architecture";
  }
  if (failed)
    return failure();
  (*module)->setAttr(transformer::TransformerDialect::versionAttrName,
                     builder.getI64IntegerAttr(transformer::TransformerDialect::version));
  (*module)->setAttr(modelAttrName, parameters.getDictionary(builder.getContext()));
  return std::move(module);
}
