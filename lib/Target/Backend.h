//===- Backend.h - What the code generators of all targets share ---------------------------------------===//
//
// From functions of the LLVM dialect to LLVM, through its optimiser, to text or bytes. No library
// exists for kernels: LLVM may not recognise or invent calls of one, and a declaration that is left
// is an error. Internal to lib/Target.
//
//===----------------------------------------------------------------------------------------------===//

#ifndef INGOT_LIB_TARGET_BACKEND_H
#define INGOT_LIB_TARGET_BACKEND_H

#include "mlir/IR/BuiltinOps.h"
#include "llvm/IR/Module.h"
#include "llvm/Support/CodeGen.h"
#include "llvm/Support/Error.h"
#include "llvm/Target/TargetMachine.h"
#include <memory>
#include <string>

namespace ingot {

/// The functions and globals of the LLVM dialect in `module` as a module of LLVM; the rest of it is
/// ignored. The dialects' translations must be registered in the module's context.
llvm::Expected<std::unique_ptr<llvm::Module>> translateFunctions(mlir::ModuleOp module,
                                                                 llvm::LLVMContext &context);

/// O2 without vectorising and unrolling, for `machine`, which also gets the module's layout.
void optimise(llvm::Module &module, llvm::TargetMachine &machine);

/// Assembly or an object. What the code generator cannot select is an error.
llvm::Expected<std::string> emit(llvm::Module &module, llvm::TargetMachine &machine,
                                 llvm::CodeGenFileType kind);

} // namespace ingot

#endif // INGOT_LIB_TARGET_BACKEND_H
