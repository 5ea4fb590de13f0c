//===- Adapter.cpp - Low-rank adapters of Hugging Face folders --------------------------------===//
//
// See Adapter.h. Adapter folders are untrusted: every entry of the configuration that changes what
// is computed is either heeded or refused, and every tensor has to find its place in the base.
//
//===------------------------------------------------------------------------------------------===//

#include "Adapter.h"
#include "ingot/Import/Json.h"
#include "ingot/Import/Safetensors.h"
#include "ingot/Support/Codec.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Regex.h"
#include <cmath>

using namespace ingot;
using namespace ingot::import;
using llvm::createStringError;
using llvm::StringRef;
using llvm::Twine;
namespace json = llvm::json;

namespace {

/// How much of an adapter's product is added to a weight.
class AdapterScales {
public:
  static llvm::Expected<AdapterScales> read(json::Object config, StringRef path);
  /// For the module called `name`, whose A has `rank` rows.
  double get(StringRef name, int64_t rank) const;
  bool isTransposed() const { return transposed; }
  StringRef getBaseName() const { return baseName; }

private:
  static bool isHarmless(StringRef entry);

  double alpha = 8;
  std::vector<std::pair<std::string, double>> alphaPatterns;
  bool rankStabilised = false, transposed = false;
  std::string baseName;
};

/// A weight of the base and what is added to it.
struct Delta {
  std::string a, b;
  float scale;
  bool isTransposed; ///< the base stores the weight as [C, F]
};

class AdapterStore : public WeightStore {
public:
  AdapterStore(std::shared_ptr<const WeightStore> base, std::unique_ptr<SafetensorsFile> file)
      : base(std::move(base)), adapter(std::move(file)) {}

  llvm::Error addTensors(const AdapterScales &scales);

  const WeightInfo *find(StringRef name) const override;
  std::vector<std::string> getNames() const override { return base->getNames(); }
  llvm::ArrayRef<uint8_t> getMapped(StringRef name) const override;
  StringRef getDescription() const override { return base->getDescription(); }

protected:
  llvm::Error read(StringRef name, const WeightInfo &info, int64_t first, int64_t count,
                   llvm::MutableArrayRef<uint8_t> buffer) const override;

private:
  /// The name that the base has for the adapter's `path`, or nothing.
  std::optional<std::string> findInBase(StringRef path) const;
  llvm::Error addProduct(const SafetensorsTensor &a, const AdapterScales &scales);
  llvm::Error addWhole(const SafetensorsTensor &tensor, const AdapterScales &scales);
  llvm::Error refuse(const Twine &what, const AdapterScales &scales) const;
  llvm::Error addTo(const Delta &delta, int64_t first, int64_t columns,
                    llvm::MutableArrayRef<float> values) const;

  std::shared_ptr<const WeightStore> base;
  std::unique_ptr<SafetensorsFile> adapter;
  llvm::StringMap<Delta> deltas;
  llvm::StringMap<std::string> replaced; ///< a weight of the base -> one of the adapter
};

} // namespace

//===------------------------------------------------------------------------------------------===//
// Configuration
//===------------------------------------------------------------------------------------------===//

/// Entries that say how the adapter was trained, or that its tensors say too.
bool AdapterScales::isHarmless(StringRef entry) {
  static constexpr StringRef names[] = {"auto_mapping",
                                        "base_model_name_or_path",
                                        "bias",
                                        "corda_config",
                                        "ensure_weight_tying",
                                        "eva_config",
                                        "exclude_modules",
                                        "inference_mode",
                                        "layers_pattern",
                                        "layers_to_transform",
                                        "loftq_config",
                                        "lora_dropout",
                                        "lora_ga_config",
                                        "megatron_config",
                                        "megatron_core",
                                        "modules_to_save",
                                        "peft_version",
                                        "qalora_group_size",
                                        "r",
                                        "rank_pattern",
                                        "revision",
                                        "runtime_config",
                                        "target_modules",
                                        "task_type"};
  return llvm::is_contained(names, entry);
}

/// null, false, "" and empty lists ask for nothing.
static bool isEmpty(const json::Value &value) {
  if (auto *array = value.getAsArray())
    return array->empty();
  if (auto *object = value.getAsObject())
    return object->empty();
  return value.getAsNull() || value.getAsBoolean() == false || value.getAsString() == StringRef();
}

llvm::Expected<AdapterScales> AdapterScales::read(json::Object config, StringRef path) {
  auto fail = [&](const Twine &text) { return createStringError(path + ": " + text); };
  auto take = [&](StringRef name) {
    json::Value value = nullptr;
    if (auto *found = config.get(name))
      value = std::move(*found);
    config.erase(name);
    return value;
  };
  AdapterScales scales;
  if (auto type = take("peft_type"); type.getAsString() != StringRef("LORA"))
    return fail("expected 'peft_type' to be \"LORA\", the one kind of adapter that is supported");
  if (auto value = take("lora_alpha"); auto number = value.getAsNumber())
    scales.alpha = *number;
  else
    return fail("expected 'lora_alpha' to be a number, got " + getTypeName(value));
  if (auto value = take("alpha_pattern"); auto *patterns = value.getAsObject()) {
    for (auto &[pattern, alpha] : *patterns) {
      std::string reason, expression = "(^|.*\\.)(" + pattern.str() + ")$";
      if (!alpha.getAsNumber() || !llvm::Regex(expression).isValid(reason))
        return fail("'alpha_pattern' of " + quoteName(pattern) + " is no number for a pattern");
      scales.alphaPatterns.emplace_back(std::move(expression), *alpha.getAsNumber());
    }
  }
  scales.rankStabilised = take("use_rslora").getAsBoolean().value_or(false);
  scales.transposed = take("fan_in_fan_out").getAsBoolean().value_or(false);
  if (auto *name = config.get("base_model_name_or_path"))
    scales.baseName = name->getAsString().value_or("").str();
  // Some ways to start training change the base too; PEFT writes their name here.
  auto start = take("init_lora_weights");
  if (auto name = start.getAsString();
      name && *name != "gaussian" && *name != "orthogonal" && *name != "eva")
    return fail("'init_lora_weights' " + quoteName(*name) +
                " changes the base's weights, which is not supported");
  for (auto &[name, value] : config)
    if (!isHarmless(name) && !isEmpty(value))
      return fail("'" + name.str() + "' is not supported in adapters");
  return scales;
}

double AdapterScales::get(StringRef name, int64_t rank) const {
  double numerator = alpha;
  for (auto &[pattern, value] : alphaPatterns)
    if (llvm::Regex(pattern).match(name))
      numerator = value;
  return numerator / (rankStabilised ? std::sqrt(double(rank)) : double(rank));
}

//===------------------------------------------------------------------------------------------===//
// Tensors
//===------------------------------------------------------------------------------------------===//

llvm::Error AdapterStore::refuse(const Twine &what, const AdapterScales &scales) const {
  std::string message = (adapter->getDescription() + ": " + what).str();
  if (!scales.getBaseName().empty())
    message += "; it was made for the base " + quoteName(scales.getBaseName());
  return createStringError(message);
}

std::optional<std::string> AdapterStore::findInBase(StringRef path) const {
  // PEFT wraps the model in two of its own; a folder without the head leaves out the first word.
  path.consume_front("base_model.model.");
  if (base->find(path))
    return path.str();
  if (StringRef shorter = path.split('.').second; base->find(shorter))
    return shorter.str();
  return std::nullopt;
}

llvm::Error AdapterStore::addProduct(const SafetensorsTensor &a, const AdapterScales &scales) {
  StringRef path = StringRef(a.name).drop_back(StringRef(".lora_A.weight").size());
  std::string bName = (path + ".lora_B.weight").str();
  const SafetensorsTensor *b = adapter->findTensor(bName);
  if (!b)
    return refuse("there is no tensor " + quoteName(bName), scales);
  for (auto *tensor : {&a, b})
    if (!tensor->info || !tensor->info->format->isFloat() || tensor->shape.size() != 2)
      return refuse("expected tensor " + quoteName(tensor->name) + " to be a matrix of floats",
                    scales);
  int64_t rank = a.shape[0];
  if (b->shape[1] != rank)
    return refuse("expected tensor " + quoteName(bName) + " to have " + Twine(rank) +
                      " columns, got " + Twine(b->shape[1]),
                  scales);
  auto name = findInBase((path + ".weight").str());
  if (!name)
    return refuse("the base has no weight " + quoteName((path + ".weight").str()), scales);
  const WeightInfo &info = *base->find(*name);
  if (!info.format->isFloat())
    return refuse("weight " + quoteName(*name) + " of the base is stored in " + info.format->name +
                      "; only floats can be adapted",
                  scales);
  int64_t features = b->shape[0], channels = a.shape[1];
  llvm::SmallVector<int64_t, 2> expected = {features, channels};
  if (scales.isTransposed())
    std::swap(expected[0], expected[1]);
  if (info.shape.size() != 2 || info.shape[0] != expected[0] || info.shape[1] != expected[1])
    return refuse("the product for weight " + quoteName(*name) + " is [" + Twine(expected[0]) +
                      ", " + Twine(expected[1]) + "], the base's has " + Twine(info.rows) +
                      " rows of " + Twine(info.columns),
                  scales);
  StringRef module = path;
  module.consume_front("base_model.model.");
  deltas[*name] = {a.name, std::move(bName), float(scales.get(module, rank)),
                   scales.isTransposed()};
  return llvm::Error::success();
}

llvm::Error AdapterStore::addWhole(const SafetensorsTensor &tensor, const AdapterScales &scales) {
  auto name = findInBase(tensor.name);
  if (!name)
    return refuse("tensor " + quoteName(tensor.name) + " belongs to no weight of the base", scales);
  if (!tensor.info || tensor.info->shape != base->find(*name)->shape)
    return refuse("tensor " + quoteName(tensor.name) + " has not the type and shape of the base's",
                  scales);
  replaced[*name] = tensor.name;
  return llvm::Error::success();
}

llvm::Error AdapterStore::addTensors(const AdapterScales &scales) {
  constexpr StringRef aEnding = ".lora_A.weight", bEnding = ".lora_B.weight";
  for (const SafetensorsTensor &tensor : adapter->getTensors())
    if (StringRef(tensor.name).ends_with(aEnding))
      if (llvm::Error error = addProduct(tensor, scales))
        return error;
  for (const SafetensorsTensor &tensor : adapter->getTensors()) {
    StringRef name = tensor.name;
    if (name.ends_with(aEnding))
      continue;
    if (!name.ends_with(bEnding)) {
      if (llvm::Error error = addWhole(tensor, scales))
        return error;
    } else if (std::string other = (name.drop_back(bEnding.size()) + aEnding).str();
               !adapter->findTensor(other)) {
      return refuse("there is no tensor " + quoteName(other), scales);
    }
  }
  if (deltas.empty() && replaced.empty())
    return refuse("the adapter changes no weight", scales);
  return llvm::Error::success();
}

//===------------------------------------------------------------------------------------------===//
// Reading
//===------------------------------------------------------------------------------------------===//

const WeightInfo *AdapterStore::find(StringRef name) const {
  auto found = replaced.find(name);
  return found == replaced.end() ? base->find(name) : adapter->find(found->second);
}

llvm::ArrayRef<uint8_t> AdapterStore::getMapped(StringRef name) const {
  if (auto found = replaced.find(name); found != replaced.end())
    return adapter->getMapped(found->second);
  return deltas.contains(name) ? llvm::ArrayRef<uint8_t>() : base->getMapped(name);
}

/// [rows, columns] -> [columns, rows].
static std::vector<float> transpose(llvm::ArrayRef<float> values, int64_t columns) {
  int64_t rows = values.size() / columns;
  std::vector<float> result(values.size());
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = 0; j < columns; ++j)
      result[j * rows + i] = values[i * columns + j];
  return result;
}

/// Adds rows `first` on of the product, [rows, columns]. Sums run over the rank, ascending.
llvm::Error AdapterStore::addTo(const Delta &delta, int64_t first, int64_t columns,
                                llvm::MutableArrayRef<float> values) const {
  int64_t rank = adapter->find(delta.a)->rows, rows = values.size() / columns;
  std::vector<float> left(rows * rank), right(rank * columns), sums(columns);
  if (!delta.isTransposed) {
    if (llvm::Error error = adapter->readValues(delta.b, first, rows, left))
      return error;
    if (llvm::Error error = adapter->readValues(delta.a, 0, rank, right))
      return error;
  } else {
    int64_t channels = adapter->find(delta.a)->columns;
    std::vector<float> all(rank * channels);
    if (llvm::Error error = adapter->readValues(delta.a, 0, rank, all))
      return error;
    if (llvm::Error error = adapter->readValues(delta.b, 0, columns, right))
      return error;
    all = transpose(all, channels), right = transpose(right, rank);
    llvm::copy(llvm::ArrayRef<float>(all).slice(first * rank, rows * rank), left.begin());
  }
  for (int64_t row = 0; row < rows; ++row) {
    llvm::fill(sums, 0);
    for (int64_t k = 0; k < rank; ++k)
      for (int64_t column = 0; column < columns; ++column)
        sums[column] += left[row * rank + k] * right[k * columns + column];
    for (int64_t column = 0; column < columns; ++column)
      values[row * columns + column] += delta.scale * sums[column];
  }
  return llvm::Error::success();
}

llvm::Error AdapterStore::read(StringRef name, const WeightInfo &info, int64_t first, int64_t count,
                               llvm::MutableArrayRef<uint8_t> buffer) const {
  if (auto found = replaced.find(name); found != replaced.end())
    return adapter->readRows(found->second, first, count, buffer);
  auto found = deltas.find(name);
  if (found == deltas.end())
    return base->readRows(name, first, count, buffer);
  std::vector<float> values(count * info.columns);
  if (llvm::Error error = base->readValues(name, first, count, values))
    return error;
  if (llvm::Error error = addTo(found->second, first, info.columns, values))
    return error;
  encodeRow(*info.format, values, buffer);
  return llvm::Error::success();
}

llvm::Expected<AdaptedWeights> import::applyAdapter(std::shared_ptr<const WeightStore> base,
                                                    StringRef folder) {
  std::string config = joinPath(folder, "adapter_config.json"),
              tensors = joinPath(folder, "adapter_model.safetensors");
  auto object = readJsonObject(config);
  if (!object)
    return object.takeError();
  auto scales = AdapterScales::read(std::move(*object), config);
  if (!scales)
    return scales.takeError();
  auto file = SafetensorsFile::open(tensors);
  if (!file)
    return file.takeError();
  auto store = std::make_shared<AdapterStore>(std::move(base), std::move(*file));
  if (llvm::Error error = store->addTensors(*scales))
    return error;
  return AdaptedWeights{std::move(store), {std::move(config), std::move(tensors)}};
}
