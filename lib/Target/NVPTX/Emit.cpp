//===- Emit.cpp - Functions of the LLVM dialect to PTX text ------------------------------------------------===//
//
// Floating-point code keeps its meaning: no fast-math, and multiplications and additions are
// written with their rounding, which forbids the driver to fuse them.
//
//===----------------------------------------------------------------------------------------------===//

#include "../Backend.h"
#include "ingot/Target/Nvptx.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/NVVM/NVVMToLLVMIRTranslation.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/TargetParser/Triple.h"
#include <mutex>

using namespace mlir;
using namespace ingot;

static llvm::Expected<std::unique_ptr<llvm::TargetMachine>> createMachine(const NvptxChip &chip) {
  static std::once_flag initialised;
  std::call_once(initialised, [] {
    LLVMInitializeNVPTXTargetInfo();
    LLVMInitializeNVPTXTarget();
    LLVMInitializeNVPTXTargetMC();
    LLVMInitializeNVPTXAsmPrinter();
  });
  llvm::Triple triple("nvptx64-nvidia-cuda");
  std::string error;
  const llvm::Target *backend = llvm::TargetRegistry::lookupTarget(triple, error);
  if (!backend)
    return llvm::createStringError("LLVM has no code generator for NVPTX: " + error);
  llvm::TargetOptions options;
  options.AllowFPOpFusion = llvm::FPOpFusion::Strict;
  return std::unique_ptr<llvm::TargetMachine>(
      backend->createTargetMachine(triple, chip.name, "+ptx" + std::to_string(ptxVersion), options,
                                   std::nullopt, std::nullopt, llvm::CodeGenOptLevel::Aggressive));
}

llvm::Expected<std::string> ingot::compileForNvptx(ModuleOp module, const NvptxChip &chip) {
  if (failed(verifyNvptxOps(module, chip)))
    return llvm::createStringError("a kernel uses an instruction that " + chip.name + " lacks");
  DialectRegistry registry;
  registerBuiltinDialectTranslation(registry);
  registerLLVMDialectTranslation(registry);
  registerNVVMDialectTranslation(registry);
  module.getContext()->appendDialectRegistry(registry);
  llvm::LLVMContext context;
  auto code = translateFunctions(module, context);
  if (!code)
    return code.takeError();
  auto machine = createMachine(chip);
  if (!machine)
    return machine.takeError();
  optimise(**code, **machine);
  return emit(**code, **machine, llvm::CodeGenFileType::AssemblyFile);
}
