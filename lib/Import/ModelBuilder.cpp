//===- ModelBuilder.cpp - Weights, layers and the entry of an imported model ------------------===//
//
// See ModelBuilder.h. The module holds the weights in the order in which they are first used, the
// entry @main, then the layer functions.
//
//===------------------------------------------------------------------------------------------===//

#include "ModelBuilder.h"
#include "dialects/Transformer/Verify.h"

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

ModelBuilder::ModelBuilder(MLIRContext *context, const WeightStore &checkpoint)
    : checkpoint(checkpoint), module(ModuleOp::create(UnknownLoc::get(context))), builder(context) {
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
  return emitError(builder.getUnknownLoc()) << checkpoint.getDescription() << ": ";
}

void ModelBuilder::error(llvm::Error error) {
  std::string sentence = llvm::toString(std::move(error));
  if (!failed)
    emitError(builder.getUnknownLoc()) << sentence;
  failed = true;
}

int64_t ModelBuilder::rowsOf(StringRef tensor) const {
  auto *info = checkpoint.find(tensor);
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

void ModelBuilder::LayerWeights::add(std::string role, ArrayRef<int64_t> shape) {
  auto type = model.declareWeight(prefix + role, shape);
  weights.emplace_back(std::move(role), type);
}

void ModelBuilder::LayerWeights::addLinear(StringRef role, int64_t features, int64_t channels) {
  add((role + ".weight").str(), {features, channels});
  if (model.hasTensor(prefix + role.str() + ".bias"))
    add((role + ".bias").str(), {features});
}

void ModelBuilder::LayerWeights::addVector(StringRef role, int64_t channels) {
  add((role + ".weight").str(), {channels});
}

transformer::WeightType ModelBuilder::declareWeight(StringRef tensor, ArrayRef<int64_t> shape) {
  auto *context = builder.getContext();
  auto placeholder = transformer::WeightType::get(context, shape, "f32");
  auto *info = checkpoint.find(tensor);
  if (!info) {
    error() << "tensor '" << tensor << "' of shape [" << shape << "] is missing";
    return placeholder;
  }
  if (ArrayRef(info->shape) != shape) {
    error() << "expected tensor '" << tensor << "' to have shape [" << shape
            << "] by the hyper-parameters, got [" << ArrayRef(info->shape) << "]";
    return placeholder;
  }
  auto [entry, isNew] = declared.try_emplace(tensor);
  if (!isNew)
    return entry->second;
  used.insert(tensor);
  auto type = transformer::WeightType::get(context, shape, info->format->name);
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

Value ModelBuilder::embedTokens(StringRef tensor, int64_t vocabulary, int64_t width) {
  auto type = declareWeight(tensor, {vocabulary, width});
  auto result = RankedTensorType::get({ShapedType::kDynamic, ShapedType::kDynamic, width},
                                      builder.getF32Type());
  return transformer::EmbeddingOp::create(builder, locationOf(builder.getContext(), tensor), result,
                                          main.getArgument(0), getWeight(tensor, type));
}

func::FuncOp ModelBuilder::createLayer(Type input, const LayerWeights &weights, LayerBody body) {
  SmallVector<Type> inputs = {input, main.getArgument(1).getType(), main.getArgument(2).getType()};
  SmallVector<StringRef> names = {"x", "positions", "lengths"};
  for (auto &[role, type] : weights.weights) {
    inputs.push_back(type);
    names.push_back(role);
  }
  std::string name = layers.empty() ? "layer" : "layer_" + std::to_string(layers.size());
  OpBuilder atEnd = OpBuilder::atBlockEnd(module->getBody());
  auto function = func::FuncOp::create(atEnd, locationOf(atEnd.getContext(), name), name,
                                       atEnd.getFunctionType(inputs, input));
  function.setPrivate();
  Block *block = function.addEntryBlock();
  nameArguments(*block, names);
  DenseBuilder layer(block, block->getArgument(0), block->getArgument(1), block->getArgument(2));
  for (auto [role, argument] :
       llvm::zip_equal(ArrayRef(names).drop_front(3), block->getArguments().drop_front(3)))
    layer.setWeight(role, argument);
  Value result = body(layer, block->getArgument(0));
  atEnd.setInsertionPointToEnd(block);
  func::ReturnOp::create(atEnd, function.getLoc(), result);
  return function;
}

Value ModelBuilder::callLayer(StringRef name, Value x, const LayerWeights &weights,
                              LayerBody body) {
  auto *known = llvm::find_if(layers, [&](auto &layer) { return layer.first == weights.weights; });
  if (known == layers.end()) {
    auto function = createLayer(x.getType(), weights, body);
    layers.emplace_back(weights.weights, function);
    known = std::prev(layers.end());
  }
  SmallVector<Value> operands = {x, main.getArgument(1), main.getArgument(2)};
  for (auto &[role, type] : weights.weights)
    operands.push_back(getWeight(weights.prefix + role, type));
  return func::CallOp::create(builder, locationOf(builder.getContext(), name), known->second,
                              operands)
      .getResult(0);
}

Value ModelBuilder::normSelectedRows(Value x, StringRef norm, float epsilon) {
  int64_t width = cast<RankedTensorType>(x.getType()).getShape().back();
  auto loc = locationOf(builder.getContext(), norm);
  auto type = RankedTensorType::get({ShapedType::kDynamic, width}, builder.getF32Type());
  Value rows = transformer::SelectRowsOp::create(builder, loc, type, x, main.getArgument(3));
  auto weight = declareWeight(norm, {width});
  return transformer::NormOp::create(builder, loc, transformer::NormKind::Rms, rows,
                                     getWeight(norm, weight),
                                     /*bias=*/Value(), llvm::APFloat(epsilon));
}

void ModelBuilder::returnLogits(Value x, StringRef tensor, int64_t vocabulary) {
  auto loc = locationOf(builder.getContext(), tensor);
  auto input = cast<RankedTensorType>(x.getType());
  auto weight = declareWeight(tensor, {vocabulary, input.getShape().back()});
  auto type = RankedTensorType::get({ShapedType::kDynamic, vocabulary}, builder.getF32Type());
  Value logits = transformer::LinearOp::create(builder, loc, type, x, getWeight(tensor, weight));
  func::ReturnOp::create(builder, main.getLoc(), logits);
  main.setFunctionType(builder.getFunctionType(main.getArgumentTypes(), logits.getType()));
}

FailureOr<OwningOpRef<ModuleOp>> ModelBuilder::finish() {
  for (auto &name : checkpoint.getNames())
    if (!failed && !used.contains(name))
      error() << "tensor '" << name << "' is not part of the architecture";
  if (failed)
    return failure();
  (*module)->setAttr(transformer::TransformerDialect::versionAttrName,
                     builder.getI64IntegerAttr(transformer::TransformerDialect::version));
  (*module)->setAttr(modelAttrName, parameters.getDictionary(builder.getContext()));
  return std::move(module);
}
