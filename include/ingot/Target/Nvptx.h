//===- Nvptx.h - What NVIDIA GPUs can do, and code for them -------------------------------------------===//
//
// Chips are data. Code comes from functions of the LLVM dialect (and NVVM) and leaves as PTX text,
// which the driver compiles for the chip; no toolkit is needed. Where there is one, its assembler
// makes the machine code at once.
//
//===----------------------------------------------------------------------------------------------===//

#ifndef INGOT_TARGET_NVPTX_H
#define INGOT_TARGET_NVPTX_H

#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include <string>
#include <vector>

namespace ingot {

/// A chip that PTX can be written for. Records live forever.
struct NvptxChip {
  llvm::StringRef name; ///< `sm_80`, also LLVM's name of the processor
  unsigned capability;  ///< 80
  bool isExact;         ///< `sm_90a`: its PTX runs on no later chip
  static const NvptxChip *lookup(llvm::StringRef name);
  /// `cuda:CHIP`
  static llvm::Expected<const NvptxChip *> parseTarget(llvm::StringRef text);
  std::string getTargetName() const { return ("cuda:" + name).str(); }
  static llvm::ArrayRef<NvptxChip> all();
};

/// An error where a function of the LLVM dialect uses an op of NVVM that the chip lacks, or one
/// that no table knows: LLVM would end the process. Diagnostics name the op.
llvm::LogicalResult verifyNvptxOps(mlir::ModuleOp module, const NvptxChip &chip);

/// The version of the instruction set that PTX is written in, times 10.
inline constexpr unsigned ptxVersion = 83;

/// The functions of the LLVM dialect in `module` as PTX (everything else in it is ignored).
llvm::Expected<std::string> compileForNvptx(mlir::ModuleOp module, const NvptxChip &chip);

/// What the assembler says of one kernel.
struct GpuKernelUse {
  std::string name;
  unsigned registers = 0;   ///< of a thread
  unsigned sharedBytes = 0; ///< static, of a block
  unsigned spillBytes = 0;  ///< stored and loaded, of a thread
};

struct GpuBinary {
  std::string cubin;
  std::vector<GpuKernelUse> kernels;
  std::vector<std::string> warnings;
};

/// The path of `ptxas`, empty where there is none: of PATH, else where toolkits are installed.
std::string findPtxas();

/// Machine code of PTX that `compileForNvptx` wrote for the chip.
llvm::Expected<GpuBinary> assembleForNvptx(llvm::StringRef ptxas, llvm::StringRef ptx,
                                           const NvptxChip &chip);

} // namespace ingot

#endif // INGOT_TARGET_NVPTX_H
