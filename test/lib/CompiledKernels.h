//===- CompiledKernels.h - Tile kernels that tests run in process ------------------------------------===//
//
// Text of tile kernels in, callable functions out: the whole way from parsing to the dynamic
// loader, as in an artefact. Tests compare what they compute with plain C++.
//
//===----------------------------------------------------------------------------------------------===//

#ifndef INGOT_TEST_LIB_COMPILEDKERNELS_H
#define INGOT_TEST_LIB_COMPILEDKERNELS_H

#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include <array>
#include <memory>
#include <string>

namespace ingot::test {

/// tokens, outputs, sequences.
using Counts = std::array<int64_t, 3>;

class CompiledKernels {
public:
  /// Lowers and compiles the kernels of a module; `error` is empty where that worked.
  explicit CompiledKernels(llvm::StringRef text, llvm::StringRef target = "cpu:x86-64-v3");
  /// The same for IR that is there already. The module is lowered in place.
  explicit CompiledKernels(mlir::ModuleOp module, llvm::StringRef target = "cpu:x86-64-v3");
  /// The same for a target that this machine need not be: instructions of dot products (vpdpbusd)
  /// are replaced by plain arithmetic that does what the processor's manual says of them.
  /// `emulated` says how many there were.
  static std::unique_ptr<CompiledKernels> emulate(mlir::ModuleOp module, llvm::StringRef target);
  ~CompiledKernels();
  CompiledKernels(const CompiledKernels &) = delete;

  /// Runs all blocks of a grid, one after the other.
  void run(llvm::StringRef kernel, llvm::ArrayRef<void *> arguments, Counts counts = {1, 1, 1},
           std::array<int64_t, 3> grid = {1, 1, 1}) const;

  std::string error, assembly;
  int64_t emulated = 0;

private:
  CompiledKernels() = default;
  bool lower(mlir::ModuleOp module, llvm::StringRef target);
  void compile(mlir::ModuleOp module, llvm::StringRef target);
  void *library = nullptr;
  int file = -1;
};

} // namespace ingot::test

#endif // INGOT_TEST_LIB_COMPILEDKERNELS_H
