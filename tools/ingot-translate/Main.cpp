//===- Main.cpp - ingot-translate: between files of models and MLIR text ----------------------===//
//
// As mlir-translate, with Ingot's importers and targets. `--import-gguf FILE` prints the dense
// program of a checkpoint; the bytes of its weights stay in the file. `--emit-ptx --chip=sm_80`
// prints the PTX of functions of the LLVM dialect, `--emit-assembly --cpu=cpu:x86-64-v3` their code
// for a CPU.
//
//===------------------------------------------------------------------------------------------===//

#include "ingot/Import/Import.h"
#include "ingot/Target/Cpu.h"
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
  auto model = import::importGgufProgram(std::move(*file), context);
  return failed(model) ? nullptr : OwningOpRef<Operation *>(model->module.release());
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

static LogicalResult emitAssembly(ModuleOp module, StringRef name, raw_ostream &output) {
  auto target = CpuTarget::parse(name);
  if (!target)
    return module.emitError() << llvm::toString(target.takeError());
  auto code = compileForCpu(module, *target, {/*withAssembly=*/true});
  if (!code)
    return module.emitError() << llvm::toString(code.takeError());
  output << code->assembly;
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
  llvm::cl::opt<std::string> cpu("cpu", llvm::cl::desc("CPU that --emit-assembly writes for"),
                                 llvm::cl::init("cpu:x86-64-v3"));
  // The linker resets options, so the name is taken before.
  TranslateFromMLIRRegistration assembly(
      "emit-assembly", "assembly of functions of the LLVM dialect for a CPU",
      [&](ModuleOp module, raw_ostream &output) {
        return emitAssembly(module, std::string(cpu), output);
      },
      [](DialectRegistry &registry) { registry.insert<LLVM::LLVMDialect>(); });
  return failed(mlirTranslateMain(argc, argv, "Ingot's translations"));
}
