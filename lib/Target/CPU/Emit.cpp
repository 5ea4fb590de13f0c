//===- Emit.cpp - Functions of the LLVM dialect to an ELF shared object -----------------------------------===//
//
// Translates, optimises, emits and links. Floating-point code keeps its meaning: no fast-math, no
// fusion of multiply and add that the program does not ask for. Chains of additions stay chains.
//
//===----------------------------------------------------------------------------------------------===//

#include "../Backend.h"
#include "Link.h"
#include "ingot/Target/Cpu.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/TargetParser/Triple.h"
#include "llvm/Transforms/Utils/Cloning.h"
#include <mutex>

using namespace mlir;
using namespace ingot;

/// Keeps LLVM from making trees of chains of additions. Kernels run several chains side by side,
/// each in one register; a tree needs more and spills (q4_1, 4 tokens: 71 -> 88 G multiply-adds/s
/// without it on Zen 4). There is no other way to say so, and the linker puts options back, so it
/// is said each time.
static void keepChains() {
  auto &options = llvm::cl::getRegisteredOptions();
  if (auto option = options.find("x86-machine-combiner"); option != options.end())
    static_cast<llvm::cl::opt<bool> *>(option->second)->setValue(false);
}

static llvm::Expected<std::unique_ptr<llvm::TargetMachine>> createMachine(const CpuTarget &target) {
  static std::once_flag initialised;
  std::call_once(initialised, [] {
    llvm::InitializeNativeTarget();
    llvm::InitializeNativeTargetAsmPrinter();
  });
  keepChains();
  llvm::Triple triple("x86_64-unknown-linux-gnu");
  std::string error;
  const llvm::Target *backend = llvm::TargetRegistry::lookupTarget(triple, error);
  if (!backend)
    return llvm::createStringError("LLVM has no code generator for x86-64: " + error);
  std::string features;
  for (const std::string &feature : target.getExtraFeatures())
    features += (features.empty() ? "+" : ",+") + feature;
  llvm::TargetOptions options;
  options.AllowFPOpFusion = llvm::FPOpFusion::Strict;
  return std::unique_ptr<llvm::TargetMachine>(backend->createTargetMachine(
      triple, target.getLevel().name, features, options, llvm::Reloc::PIC_, std::nullopt,
      llvm::CodeGenOptLevel::Default));
}

llvm::Expected<CpuCode> ingot::compileForCpu(ModuleOp module, const CpuTarget &target,
                                             const CpuOptions &options) {
  if (failed(verifyCpuIntrinsics(module, target)))
    return llvm::createStringError("a kernel uses an instruction that " + target.getName() +
                                   " lacks");
  DialectRegistry registry;
  registerBuiltinDialectTranslation(registry);
  registerLLVMDialectTranslation(registry);
  module.getContext()->appendDialectRegistry(registry);
  llvm::LLVMContext context;
  auto translated = translateFunctions(module, context);
  if (!translated)
    return translated.takeError();
  std::unique_ptr<llvm::Module> code = std::move(*translated);
  auto machine = createMachine(target);
  if (!machine)
    return machine.takeError();
  optimise(*code, **machine);
  CpuCode result;
  if (options.withAssembly) {
    auto assembly = emit(*llvm::CloneModule(*code), **machine, llvm::CodeGenFileType::AssemblyFile);
    if (!assembly)
      return assembly.takeError();
    result.assembly = std::move(*assembly);
  }
  auto object = emit(*code, **machine, llvm::CodeGenFileType::ObjectFile);
  if (!object)
    return object.takeError();
  auto shared = linkSharedObject(*object);
  if (!shared)
    return shared.takeError();
  result.sharedObject = std::move(*shared);
  return result;
}
