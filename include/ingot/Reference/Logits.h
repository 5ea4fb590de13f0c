//===- Logits.h - Logits of a token list by the reference -------------------------------------===//
//
// Runs the entry of a transformer-stage module on one sequence, whichever of the two forms the
// entry has: dense (tokens, positions, lengths, rows) after import, ragged (tokens, batch, cache,
// rows) after the model stage. `ingot eval --reference` and the tests of passes compare with this.
//
//===------------------------------------------------------------------------------------------===//

#ifndef INGOT_REFERENCE_LOGITS_H
#define INGOT_REFERENCE_LOGITS_H

#include "ingot/Reference/Interpreter.h"

namespace ingot::reference {

/// Logits [rows, V] of the tokens `rows` of the one sequence `tokens`, by the function with the
/// attribute `transformer.entry`.
llvm::FailureOr<Tensor> computeLogits(mlir::ModuleOp module, llvm::ArrayRef<int32_t> tokens,
                                      llvm::ArrayRef<int32_t> rows, const WeightStore &weights,
                                      unsigned threads = 0);

/// One sequence of a batch.
struct Sequence {
  std::vector<int32_t> tokens, rows;
};

/// The same for several sequences in one step; the rows of the result are those of the first
/// sequence, then those of the second, and so on.
llvm::FailureOr<Tensor> computeLogits(mlir::ModuleOp module, llvm::ArrayRef<Sequence> sequences,
                                      const WeightStore &weights, unsigned threads = 0);

} // namespace ingot::reference

#endif // INGOT_REFERENCE_LOGITS_H
