//===- Interpreter.h - Runs transformer-stage programs by their meaning -----------------------===//
//
// Runs any module of the transformer level, from the dense program after import to compute regions
// after fuse, op by op, each by a readable implementation of what its documentation says. This is
// what kernels and passes are compared with; it is not fast, but products use all threads.
//
// Accumulation: every result of an op is computed in double from its float32 operands and rounded
// once, but where the op's contract fixes float32 steps (rope, quantize). So the result is what all
// float32 orders of summation approximate.
//
// It does not run the tile level and below, control flow, or ops on buffers.
//
//===------------------------------------------------------------------------------------------===//

#ifndef INGOT_REFERENCE_INTERPRETER_H
#define INGOT_REFERENCE_INTERPRETER_H

#include "ingot/Reference/Value.h"
#include "ingot/Support/WeightStore.h"
#include "mlir/IR/BuiltinOps.h"

namespace ingot::reference {

/// Calls the function `entry` of `module`. Bytes of weights are read from `weights` under their
/// `source`, values of inline weights from the module. Errors are reported at the op concerned.
/// `threads` = 0: all.
llvm::FailureOr<std::vector<Datum>> runEntry(mlir::ModuleOp module, llvm::StringRef entry,
                                             llvm::ArrayRef<Datum> inputs,
                                             const WeightStore &weights, unsigned threads = 0);

} // namespace ingot::reference

#endif // INGOT_REFERENCE_INTERPRETER_H
