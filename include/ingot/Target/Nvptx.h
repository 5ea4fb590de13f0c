//===- Nvptx.h - What NVIDIA GPUs can do, and code for them -------------------------------------------===//
//
// Chips are data. Code comes from functions of the LLVM dialect (and NVVM) and leaves as PTX text,
// which the driver compiles for the chip; no toolkit is needed.
//
//===----------------------------------------------------------------------------------------------===//

#ifndef INGOT_TARGET_NVPTX_H
#define INGOT_TARGET_NVPTX_H

#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include <string>

namespace ingot {

/// A chip that PTX can be written for. Records live forever.
struct NvptxChip {
  llvm::StringRef name; ///< `sm_80`, also LLVM's name of the processor
  unsigned capability;  ///< 80
  bool isExact;         ///< `sm_90a`: its PTX runs on no later chip
  static const NvptxChip *lookup(llvm::StringRef name);
  static llvm::ArrayRef<NvptxChip> all();
};

/// An error where a function of the LLVM dialect uses an op of NVVM that the chip lacks, or one
/// that no table knows: LLVM would end the process. Diagnostics name the op.
llvm::LogicalResult verifyNvptxOps(mlir::ModuleOp module, const NvptxChip &chip);

/// The functions of the LLVM dialect in `module` as PTX 8.3 (everything else in it is ignored).
llvm::Expected<std::string> compileForNvptx(mlir::ModuleOp module, const NvptxChip &chip);

} // namespace ingot

#endif // INGOT_TARGET_NVPTX_H
