//===- Backend.cpp - What the code generators of all targets share --------------------------------------===//

#include "Backend.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/IR/Builders.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "llvm/Analysis/TargetLibraryInfo.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/CrashRecoveryContext.h"

using namespace mlir;
using namespace ingot;

llvm::Expected<std::unique_ptr<llvm::Module>>
ingot::translateFunctions(ModuleOp module, llvm::LLVMContext &context) {
  OwningOpRef<ModuleOp> functions = ModuleOp::create(module.getLoc());
  OpBuilder builder(functions->getBodyRegion());
  for (Operation &op : *module.getBody())
    if (isa<LLVM::LLVMFuncOp, LLVM::GlobalOp>(op))
      builder.clone(op);
  std::unique_ptr<llvm::Module> code = translateModuleToLLVMIR(*functions, context, "kernels");
  if (!code)
    return llvm::createStringError("the kernels cannot be translated to LLVM");
  for (const llvm::Function &function : *code)
    if (function.isDeclaration() && !function.isIntrinsic())
      return llvm::createStringError("the kernels call '" + function.getName() +
                                     "', which is not among them");
  return code;
}

void ingot::optimise(llvm::Module &module, llvm::TargetMachine &machine) {
  module.setTargetTriple(machine.getTargetTriple());
  module.setDataLayout(machine.createDataLayout());
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

llvm::Expected<std::string> ingot::emit(llvm::Module &module, llvm::TargetMachine &machine,
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
