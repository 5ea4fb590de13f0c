//===- Main.cpp - ingot-translate: between files of models and MLIR text ----------------------===//
//
// As mlir-translate, with Ingot's importers: `ingot-translate --import-gguf FILE` prints the dense
// program of a checkpoint. The bytes of its weights stay in the file.
//
//===------------------------------------------------------------------------------------------===//

#include "ingot/Import/Import.h"
#include "mlir/Tools/mlir-translate/MlirTranslateMain.h"
#include "mlir/Tools/mlir-translate/Translation.h"
#include "llvm/Support/SourceMgr.h"

using namespace mlir;
using namespace ingot;

/// The buffer stays with the source manager: the file is read through a view of it.
static OwningOpRef<Operation *> importGguf(llvm::SourceMgr &sources, MLIRContext *context) {
  auto &buffer = *sources.getMemoryBuffer(sources.getMainFileID());
  auto file = GgufFile::parse(llvm::MemoryBuffer::getMemBuffer(buffer.getMemBufferRef(),
                                                               /*RequiresNullTerminator=*/false));
  if (!file) {
    emitError(UnknownLoc::get(context)) << llvm::toString(file.takeError());
    return nullptr;
  }
  auto module = import::importGgufProgram(**file, context);
  return failed(module) ? nullptr : OwningOpRef<Operation *>(module->release());
}

int main(int argc, char **argv) {
  TranslateToMLIRRegistration gguf("import-gguf", "the dense program of a GGUF checkpoint",
                                   importGguf, import::registerImportDialects);
  return failed(mlirTranslateMain(argc, argv, "Ingot's translations"));
}
