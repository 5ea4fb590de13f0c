//===- Import.cpp - From a checkpoint to the dense program ------------------------------------===//
//
// Tells the kinds of sources apart and imports GGUF files; folders are HuggingFace.cpp's.
//
//===------------------------------------------------------------------------------------------===//

#include "ingot/Import/Import.h"
#include "GgufParameters.h"
#include "HuggingFace.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Verifier.h"
#include "llvm/Support/FileSystem.h"

using namespace mlir;
using namespace ingot;
using namespace ingot::import;

void import::registerImportDialects(DialectRegistry &registry) {
  registry.insert<arith::ArithDialect, func::FuncDialect, linalg::LinalgDialect, math::MathDialect,
                  tensor::TensorDialect, transformer::TransformerDialect>();
}

void import::loadImportDialects(MLIRContext *context) {
  DialectRegistry registry;
  registerImportDialects(registry);
  context->appendDialectRegistry(registry);
  context->loadAllAvailableDialects();
}

const Architecture *import::findArchitecture(StringRef name, StringLiteral Architecture::*spelling,
                                             StringRef what, ModelBuilder &model) {
  const Architecture *nearest = nullptr;
  std::string known;
  for (const Architecture *architecture : architectures()) {
    StringRef other = architecture->*spelling;
    if (other.empty())
      continue;
    if (other == name)
      return architecture;
    if (!nearest || name.edit_distance(other) < name.edit_distance(nearest->*spelling))
      nearest = architecture;
    known += (known.empty() ? "" : ", ") + other.str();
  }
  model.error() << what << " '" << name << "' is not supported; known are " << known
                << "; the nearest is " << nearest->*spelling;
  return nullptr;
}

FailureOr<ImportedModel>
import::finishModel(Parameters &parameters, const Architecture &architecture, ModelBuilder &model) {
  architecture.import(parameters, model);
  if (!model.hasFailed())
    parameters.finish();
  auto module = model.finish();
  if (failed(module) || failed(verify(**module)))
    return failure();
  ImportedModel result;
  result.module = std::move(*module);
  result.weights = model.getWeights();
  return result;
}

FailureOr<ImportedModel> import::importGgufProgram(std::shared_ptr<const GgufFile> file,
                                                   MLIRContext *context,
                                                   const ImportOptions &options) {
  loadImportDialects(context);
  ModelBuilder model(context, file);
  auto name = file->getString("general.architecture");
  if (!name) {
    model.error(name.takeError());
    return failure();
  }
  auto *architecture = findArchitecture(*name, &Architecture::gguf, "architecture", model);
  if (!architecture)
    return failure();
  model.setParameter("architecture", StringAttr::get(context, *name));
  GgufParameters parameters(*file, *name, options.context, model);
  return finishModel(parameters, *architecture, model);
}

static FailureOr<ImportedModel> importGguf(StringRef path, MLIRContext *context,
                                           const ImportOptions &options) {
  auto report = [&](llvm::Error error) {
    emitError(UnknownLoc::get(context)) << llvm::toString(std::move(error));
    return failure();
  };
  if (options.randomSeed)
    return report(llvm::createStringError(
        path + ": random weights are for Hugging Face folders and a config.json alone"));
  if (!options.adapter.empty())
    return report(llvm::createStringError(path + ": adapters are for Hugging Face folders"));
  auto opened = GgufFile::open(path);
  if (!opened)
    return report(opened.takeError());
  std::shared_ptr<const GgufFile> file = std::move(*opened);
  auto result = importGgufProgram(file, context, options);
  if (failed(result))
    return failure();
  auto tokenizer = readGgufTokenizer(*file);
  if (!tokenizer)
    return report(tokenizer.takeError());
  result->tokenizer = std::move(*tokenizer);
  auto textOf = [&](StringRef key) {
    auto *value = file->findEntry(key);
    return value ? value->getString().value_or("").str() : std::string();
  };
  result->chatTemplate = textOf("tokenizer.chat_template");
  result->name = textOf("general.name");
  result->files = {path.str()};
  return result;
}

FailureOr<ImportedModel> import::importModel(StringRef path, MLIRContext *context,
                                             const ImportOptions &options) {
  bool isFolder =
      !path.ends_with(".gguf") && (llvm::sys::fs::is_directory(path) || path.ends_with(".json"));
  return isFolder ? importHuggingFace(path, context, options) : importGguf(path, context, options);
}
