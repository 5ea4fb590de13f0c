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

/// As `computeLogits` for all tokens of one sequence, in steps of at most `chunk` tokens that share
/// the cache; for entries of the ragged form.
llvm::FailureOr<Tensor> computeLogitsInChunks(mlir::ModuleOp module, llvm::ArrayRef<int32_t> tokens,
                                              int64_t chunk, const WeightStore &weights,
                                              unsigned threads = 0);

/// How far logits are from others that are taken as true.
struct LogitsDistance {
  double largest;    ///< largest difference over the deviation of the true logits
  double divergence; ///< Kullback-Leibler, mean over the rows, in nats
  double agreement;  ///< share of rows with the same largest logit
};

/// Both are [rows, vocabulary], flattened.
LogitsDistance compareLogits(llvm::ArrayRef<float> logits, llvm::ArrayRef<float> truth,
                             int64_t vocabulary);

} // namespace ingot::reference

#endif // INGOT_REFERENCE_LOGITS_H
