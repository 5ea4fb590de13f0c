//===- Import.cpp - From a checkpoint to the dense program ------------------------------------===//
//
// Opens the file, finds the architecture, verifies what it built.
//
//===------------------------------------------------------------------------------------------===//

#include "ingot/Import/Import.h"
#include "Architectures/Architectures.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Verifier.h"

using namespace mlir;
using namespace ingot;
using namespace ingot::import;

void import::registerImportDialects(DialectRegistry &registry) {
  registry.insert<arith::ArithDialect, func::FuncDialect, linalg::LinalgDialect, math::MathDialect,
                  tensor::TensorDialect, transformer::TransformerDialect>();
}

static const Architecture *findArchitecture(StringRef name, ModelBuilder &model) {
  const Architecture *nearest = architectures().begin();
  std::string known;
  for (auto &architecture : architectures()) {
    if (architecture.name == name)
      return &architecture;
    if (name.edit_distance(architecture.name) < name.edit_distance(nearest->name))
      nearest = &architecture;
    known += (known.empty() ? "" : ", ") + architecture.name.str();
  }
  model.error() << "architecture '" << name << "' is not supported; known are " << known
                << "; the nearest is " << nearest->name;
  return nullptr;
}

FailureOr<OwningOpRef<ModuleOp>> import::importGgufProgram(const GgufFile &file,
                                                           MLIRContext *context) {
  DialectRegistry registry;
  registerImportDialects(registry);
  context->appendDialectRegistry(registry);
  context->loadAllAvailableDialects();
  ModelBuilder model(context, file);
  auto name = file.getString("general.architecture");
  if (!name) {
    model.error(name.takeError());
    return failure();
  }
  auto *architecture = findArchitecture(*name, model);
  if (!architecture)
    return failure();
  model.setParameter("architecture", StringAttr::get(context, *name));
  GgufParameters parameters(file, *name, model);
  architecture->importGguf(parameters, model);
  auto module = model.finish();
  if (failed(module) || failed(verify(**module)))
    return failure();
  return module;
}

FailureOr<ImportedModel> import::importGguf(StringRef path, MLIRContext *context) {
  auto report = [&](llvm::Error error) {
    emitError(UnknownLoc::get(context)) << llvm::toString(std::move(error));
    return failure();
  };
  auto opened = GgufFile::open(path);
  if (!opened)
    return report(opened.takeError());
  std::shared_ptr<const GgufFile> file = std::move(*opened);
  auto module = importGgufProgram(*file, context);
  if (failed(module))
    return failure();
  auto tokenizer = readGgufTokenizer(*file);
  if (!tokenizer)
    return report(tokenizer.takeError());
  ImportedModel result;
  result.module = std::move(*module);
  result.tokenizer = std::move(*tokenizer);
  auto textOf = [&](StringRef key) {
    auto *value = file->findEntry(key);
    return value ? value->getString().value_or("").str() : std::string();
  };
  result.chatTemplate = textOf("tokenizer.chat_template");
  result.name = textOf("general.name");
  result.weights = std::move(file);
  return result;
}
