//===- Main.cpp - ingot-translate: between files of models and MLIR text ----------------------===//
//
// As mlir-translate, with Ingot's importers and targets. `--import-gguf FILE` prints the dense
// program of a checkpoint; the bytes of its weights stay in the file. `--emit-ptx --chip=sm_80`
// prints the PTX of functions of the LLVM dialect.
//
//===------------------------------------------------------------------------------------------===//

#include "ingot/Import/Import.h"
#include "ingot/Target/Nvptx.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Tools/mlir-translate/MlirTranslateMain.h"
#include "mlir/Tools/mlir-translate/Translation.h"
#include "llvm/Support/CommandLine.h"
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

static LogicalResult emitPtx(ModuleOp module, StringRef chipName, raw_ostream &output) {
  const NvptxChip *chip = NvptxChip::lookup(chipName);
  if (!chip)
    return module.emitError("expected a chip that PTX can be written for, got '")
           << chipName << "'";
  auto ptx = compileForNvptx(module, *chip);
  if (!ptx)
    return module.emitError() << llvm::toString(ptx.takeError());
  output << *ptx;
  return success();
}

int main(int argc, char **argv) {
  TranslateToMLIRRegistration gguf("import-gguf", "the dense program of a GGUF checkpoint",
                                   importGguf, import::registerImportDialects);
  llvm::cl::opt<std::string> chip("chip", llvm::cl::desc("GPU that --emit-ptx writes for"),
                                  llvm::cl::init("sm_80"));
  TranslateFromMLIRRegistration ptx(
      "emit-ptx", "PTX of functions of the LLVM dialect",
      [&](ModuleOp module, raw_ostream &output) { return emitPtx(module, chip, output); },
      [](DialectRegistry &registry) { registry.insert<LLVM::LLVMDialect, NVVM::NVVMDialect>(); });
  return failed(mlirTranslateMain(argc, argv, "Ingot's translations"));
}
