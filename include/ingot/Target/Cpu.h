//===- Cpu.h - What x86 processors can do, and code for them -----------------------------------------===//
//
// A CPU target is a level (a set of features that processors of some year have) and single features
// beside it, written as in artefacts: `cpu:x86-64-v3`, `cpu:x86-64-v3+avxvnni`. Levels and the
// instructions that contractions are made of are data. Code comes from functions of the LLVM
// dialect and leaves as an ELF shared object, without any other program.
//
//===----------------------------------------------------------------------------------------------===//

#ifndef INGOT_TARGET_CPU_H
#define INGOT_TARGET_CPU_H

#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include <string>

namespace ingot {

/// An instruction that a contraction can be made of.
struct CpuAtom {
  llvm::StringRef name; ///< as in `tile.contract`
  llvm::StringRef
      features; ///< LLVM's names, separated by commas: all of one alternative; alternatives by `|`
  unsigned lanes;            ///< lanes of 32 bits in one vector
  unsigned depth;            ///< elements of k that one instruction sums in a lane
  bool isExactForSigned8Bit; ///< whether u8 x s8 products cannot saturate
};

/// A set of features. Records live forever.
struct CpuLevel {
  llvm::StringRef name; ///< also LLVM's name of the processor
  unsigned lanes;       ///< lanes of 32 bits of the vectors that kernels use
  unsigned vectorRegisters;
  static const CpuLevel *lookup(llvm::StringRef name);
  static llvm::ArrayRef<CpuLevel> all();
};

class CpuTarget {
public:
  /// Reads `cpu:LEVEL[+FEATURE...]` or the same without `cpu:`.
  static llvm::Expected<CpuTarget> parse(llvm::StringRef text);

  const CpuLevel &getLevel() const { return *level; }
  llvm::ArrayRef<std::string> getExtraFeatures() const { return extraFeatures; }
  /// `cpu:LEVEL+FEATURE...`
  std::string getName() const;
  /// `features` as in CpuAtom: whether one of the alternatives is complete.
  bool has(llvm::StringRef features) const;
  /// The atoms that this target has, best first.
  llvm::SmallVector<CpuAtom> getAtoms() const;

private:
  const CpuLevel *level = nullptr;
  llvm::SmallVector<std::string, 2> extraFeatures;
};

/// All atoms, whatever the target.
llvm::ArrayRef<CpuAtom> getCpuAtoms();

/// An error where a function of the LLVM dialect calls an intrinsic that the target lacks, or one
/// that no table knows: LLVM would end the process. Diagnostics name the call.
llvm::LogicalResult verifyCpuIntrinsics(mlir::ModuleOp module, const CpuTarget &target);

struct CpuCode {
  std::string sharedObject; ///< bytes of an ELF shared object that needs nothing and starts nothing
  std::string assembly;     ///< where asked for
};

struct CpuOptions {
  bool withAssembly = false;
};

/// Compiles the functions of the LLVM dialect in `module` (everything else in it is ignored).
llvm::Expected<CpuCode> compileForCpu(mlir::ModuleOp module, const CpuTarget &target,
                                      const CpuOptions &options = {});

/// Assembly of the functions of such an object, with addresses; for people.
llvm::Expected<std::string> disassembleForCpu(llvm::StringRef sharedObject);

} // namespace ingot

#endif // INGOT_TARGET_CPU_H
