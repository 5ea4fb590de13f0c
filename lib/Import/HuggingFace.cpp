//===- HuggingFace.cpp - Folders of config.json, safetensors and tokenizer files --------------===//
//
// config.json says the family and its sizes, the safetensors files hold the weights. With random
// weights nothing but config.json is needed.
//
//===------------------------------------------------------------------------------------------===//

#include "HuggingFace.h"
#include "Adapter.h"
#include "ConfigParameters.h"
#include "QuantizedWeights.h"
#include "ingot/Import/Json.h"
#include "ingot/Import/Safetensors.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"

using namespace mlir;
using namespace ingot;
using namespace ingot::import;
namespace json = llvm::json;
namespace fs = llvm::sys::fs;

namespace {

/// A folder's weights, or made-up ones.
struct FolderWeights {
  std::shared_ptr<const WeightStore> store;
  std::shared_ptr<const QuantizedWeights> quantized; ///< the same, where it is
  RandomWeights random;
  std::vector<std::string> files;
};

} // namespace

/// The format of made-up matrices: as asked for, or the type that the model was trained in.
static llvm::Expected<const NumericFormat *> chooseFormat(const json::Object &config,
                                                          StringRef asked) {
  if (!asked.empty()) {
    if (auto *format = NumericFormat::lookup(asked))
      return format;
    std::string known;
    for (const NumericFormat &format : NumericFormat::all())
      known += (known.empty() ? "" : ", ") + format.name.str();
    return llvm::createStringError("expected --weight-format to be one of " + known + ", got '" +
                                   asked + "'");
  }
  StringRef type = config.getString("dtype").value_or(config.getString("torch_dtype").value_or(""));
  return NumericFormat::lookup(llvm::StringSwitch<StringRef>(type)
                                   .Case("bfloat16", "bf16")
                                   .Case("float16", "f16")
                                   .Default("f32"));
}

static llvm::Expected<FolderWeights> addAdapter(FolderWeights weights, StringRef folder) {
  if (folder.empty())
    return weights;
  auto adapted = applyAdapter(weights.store, folder);
  if (!adapted)
    return adapted.takeError();
  weights.store = std::move(adapted->store);
  llvm::append_range(weights.files, adapted->files);
  return weights;
}

static llvm::Expected<FolderWeights> openWeights(StringRef folder, const json::Object &config,
                                                 const ImportOptions &options) {
  FolderWeights weights;
  if (!options.randomSeed) {
    auto file = SafetensorsFile::open(folder);
    if (!file)
      return file.takeError();
    weights.files = (*file)->getFiles();
    auto quantization = readQuantizationConfig(config);
    if (!quantization)
      return quantization.takeError();
    if (!*quantization) {
      weights.store = std::move(*file);
      return addAdapter(std::move(weights), options.adapter);
    }
    auto quantized = QuantizedWeights::open(std::move(*file), **quantization);
    if (!quantized)
      return quantized.takeError();
    weights.store = weights.quantized = std::move(*quantized);
    return addAdapter(std::move(weights), options.adapter);
  }
  if (!options.adapter.empty())
    return llvm::createStringError("an adapter cannot be added to made-up weights");
  auto format = chooseFormat(config, options.weightFormat);
  if (!format)
    return format.takeError();
  weights.random = {std::make_shared<RandomWeightStore>(*options.randomSeed), *format};
  weights.store = weights.random.store;
  return weights;
}

FailureOr<ImportedModel> import::importHuggingFace(StringRef path, MLIRContext *context,
                                                   const ImportOptions &options) {
  auto report = [&](llvm::Error error) {
    emitError(UnknownLoc::get(context)) << llvm::toString(std::move(error));
    return failure();
  };
  loadImportDialects(context);
  bool isFolder = fs::is_directory(path);
  std::string folder = isFolder ? path.str() : llvm::sys::path::parent_path(path).str();
  std::string configPath = isFolder ? joinPath(folder, "config.json") : path.str();
  if (!isFolder && !options.randomSeed)
    return report(llvm::createStringError(
        path + ": a configuration alone has no weights; name its folder, or ask for random ones"));
  auto config = readJsonObject(configPath);
  if (!config)
    return report(config.takeError());
  auto weights = openWeights(folder, *config, options);
  if (!weights)
    return report(weights.takeError());

  // Which words the tensors have is the family's, so it is looked up before the model is built.
  StringRef type = config->getString("model_type").value_or("");
  auto *known =
      llvm::find_if(architectures(), [&](auto *family) { return family->huggingFace == type; });
  llvm::SmallVector<NameTable, 3> tensors, parameters;
  StringRef ignored;
  if (known != architectures().end() && !type.empty()) {
    ignored = (*known)->ignored;
    for (const Architecture *family = *known; family; family = family->relative) {
      tensors.push_back(family->tensors);
      parameters.push_back(family->parameters);
    }
  }
  tensors.push_back(commonTensors);
  parameters.push_back(commonParameters);
  ModelBuilder model(context, weights->store, TensorNames(tensors, *weights->store),
                     weights->random);
  if (weights->quantized)
    model.setOrders([&](StringRef weight) { return weights->quantized->getOrder(weight); });
  if (type.empty()) {
    model.error() << "entry 'model_type' of config.json is missing";
    return failure();
  }
  auto *architecture = findArchitecture(type, &Architecture::huggingFace, "model_type", model);
  if (!architecture)
    return failure();
  model.setParameter("architecture", StringAttr::get(context, type));
  ConfigParameters reader(*config, type, parameters, ignored, options.context, model);
  auto result = finishModel(reader, *architecture, model);
  if (failed(result))
    return failure();
  result->name = llvm::sys::path::filename(fs::is_directory(path) ? StringRef(folder) : type).str();
  result->files = std::move(weights->files);
  result->files.insert(result->files.begin(), configPath);
  if (auto error = readFolderText(folder, *config, *result))
    return report(std::move(error));
  if (auto error = readFolderPooling(folder, *result))
    return report(std::move(error));
  return result;
}
