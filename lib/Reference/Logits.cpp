//===- Logits.cpp - Logits of a token list by the reference -----------------------------------===//
//
// See Logits.h. Padding of dense batches gets token 0 at position 0.
//
//===------------------------------------------------------------------------------------------===//

#include "ingot/Reference/Logits.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

using namespace mlir;
using namespace ingot;
using namespace ingot::reference;

static std::vector<Datum> makeDenseInputs(ArrayRef<Sequence> sequences) {
  int64_t count = sequences.size(), slots = 0;
  for (auto &sequence : sequences)
    slots = std::max<int64_t>(slots, sequence.tokens.size());
  std::vector<int32_t> tokens(count * slots, 0), positions(count * slots, 0), lengths, rows;
  for (auto [b, sequence] : llvm::enumerate(sequences)) {
    lengths.push_back(sequence.tokens.size());
    for (auto [s, token] : llvm::enumerate(sequence.tokens)) {
      tokens[b * slots + s] = token;
      positions[b * slots + s] = s;
    }
    for (int32_t row : sequence.rows)
      rows.push_back(b * slots + row);
  }
  int64_t rowCount = rows.size();
  return {Tensor({count, slots}, std::move(tokens)), Tensor({count, slots}, std::move(positions)),
          Tensor({count}, std::move(lengths)), Tensor({rowCount}, std::move(rows))};
}

static std::vector<Datum> makeRaggedInputs(ArrayRef<Sequence> sequences,
                                           transformer::KVCacheType cache) {
  std::vector<int32_t> tokens, rows;
  Ragged batch;
  for (auto [b, sequence] : llvm::enumerate(sequences)) {
    for (int32_t row : sequence.rows)
      rows.push_back(tokens.size() + row);
    for (auto [position, token] : llvm::enumerate(sequence.tokens)) {
      tokens.push_back(token);
      batch.sequences.push_back(b);
      batch.positions.push_back(position);
    }
  }
  int64_t tokenCount = tokens.size(), rowCount = rows.size();
  return {Tensor({tokenCount}, std::move(tokens)), std::move(batch), Cache(cache),
          Tensor({rowCount}, std::move(rows))};
}

FailureOr<Tensor> reference::computeLogits(ModuleOp module, ArrayRef<Sequence> sequences,
                                           const WeightStore &weights, unsigned threads) {
  func::FuncOp entry;
  for (auto function : module.getOps<func::FuncOp>())
    if (function->hasAttr("transformer.entry"))
      entry = function;
  if (!entry)
    return module.emitError("there is no function with the attribute 'transformer.entry'");
  std::vector<Datum> inputs;
  auto types = entry.getArgumentTypes();
  auto *cache = llvm::find_if(types, llvm::IsaPred<transformer::KVCacheType>);
  if (cache == types.end())
    inputs = makeDenseInputs(sequences);
  else
    inputs = makeRaggedInputs(sequences, cast<transformer::KVCacheType>(*cache));
  auto results = runEntry(module, entry.getSymName(), inputs, weights, threads);
  if (failed(results))
    return failure();
  if (results->empty() || !std::holds_alternative<Tensor>(results->front()))
    return entry.emitError("expected the first result to be the logits");
  return std::get<Tensor>(results->front());
}

FailureOr<Tensor> reference::computeLogits(ModuleOp module, ArrayRef<int32_t> tokens,
                                           ArrayRef<int32_t> rows, const WeightStore &weights,
                                           unsigned threads) {
  return computeLogits(module, Sequence{tokens, rows}, weights, threads);
}
