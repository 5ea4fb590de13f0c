//===- Emit.cpp - Functions of the LLVM dialect to an ELF shared object -----------------------------------===//
//
// Translates, optimises and emits. No library exists for kernels: LLVM may not recognise or invent
// calls of one, and a declaration that is left is an error. Floating-point code keeps its meaning:
// no fast-math, no fusion of multiply and add that the program does not ask for.
//
//===----------------------------------------------------------------------------------------------===//

#include "Link.h"
#include "ingot/Target/Cpu.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Analysis/TargetLibraryInfo.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Module.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/CrashRecoveryContext.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/TargetParser/Triple.h"
#include "llvm/Transforms/Utils/Cloning.h"
#include <mutex>

using namespace mlir;
using namespace ingot;

static llvm::Expected<std::unique_ptr<llvm::TargetMachine>> createMachine(const CpuTarget &target) {
  static std::once_flag initialised;
  std::call_once(initialised, [] {
    llvm::InitializeNativeTarget();
    llvm::InitializeNativeTargetAsmPrinter();
  });
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

static void optimise(llvm::Module &module, llvm::TargetMachine &machine) {
  llvm::LoopAnalysisManager loops;
  llvm::FunctionAnalysisManager functions;
  llvm::CGSCCAnalysisManager graphs;
  llvm::ModuleAnalysisManager modules;
  llvm::TargetLibraryInfoImpl library(machine.getTargetTriple());
  library.disableAllFunctions();
  for (llvm::Function &function : module)
    function.addFnAttr("no-builtins"); // else loops become calls of memcpy and memset
  functions.registerPass([&] { return llvm::TargetLibraryAnalysis(library); });
  // Kernels are vectors already, and their loops are as long as the schedule wants them.
  llvm::PipelineTuningOptions tuning;
  tuning.LoopVectorization = tuning.SLPVectorization = tuning.LoopUnrolling =
      tuning.LoopInterleaving = false;
  llvm::PassBuilder builder(&machine, tuning);
  builder.registerModuleAnalyses(modules);
  builder.registerCGSCCAnalyses(graphs);
  builder.registerFunctionAnalyses(functions);
  builder.registerLoopAnalyses(loops);
  builder.crossRegisterProxies(loops, functions, graphs, modules);
  builder.buildPerModuleDefaultPipeline(llvm::OptimizationLevel::O2).run(module, modules);
}

static llvm::Expected<std::string> emit(llvm::Module &module, llvm::TargetMachine &machine,
                                        llvm::CodeGenFileType kind) {
  llvm::SmallString<0> text;
  llvm::raw_svector_ostream stream(text);
  llvm::legacy::PassManager passes;
  if (machine.addPassesToEmitFile(passes, stream, nullptr, kind))
    return llvm::createStringError("LLVM cannot emit code for this machine");
  llvm::CrashRecoveryContext::Enable(); // the code generator aborts on what it cannot select
  llvm::CrashRecoveryContext guard;
  if (!guard.RunSafely([&] { passes.run(module); }))
    return llvm::createStringError("LLVM's code generator failed on the kernels");
  return std::string(text);
}

/// The functions and globals of the LLVM dialect, in a module of their own.
static OwningOpRef<ModuleOp> extractFunctions(ModuleOp module) {
  OwningOpRef<ModuleOp> extracted = ModuleOp::create(module.getLoc());
  OpBuilder builder(extracted->getBodyRegion());
  for (Operation &op : *module.getBody())
    if (isa<LLVM::LLVMFuncOp, LLVM::GlobalOp>(op))
      builder.clone(op);
  return extracted;
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
  std::unique_ptr<llvm::Module> code =
      translateModuleToLLVMIR(*extractFunctions(module), context, "kernels");
  if (!code)
    return llvm::createStringError("the kernels cannot be translated to LLVM");
  for (const llvm::Function &function : *code)
    if (function.isDeclaration() && !function.isIntrinsic())
      return llvm::createStringError("the kernels call '" + function.getName() +
                                     "', which is not among them");
  auto machine = createMachine(target);
  if (!machine)
    return machine.takeError();
  code->setTargetTriple((*machine)->getTargetTriple());
  code->setDataLayout((*machine)->createDataLayout());
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
