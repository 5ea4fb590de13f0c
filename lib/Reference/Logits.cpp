//===- Logits.cpp - Logits of a token list by the reference -----------------------------------===//
//
// See Logits.h. Padding of dense batches gets token 0 at position 0.
//
//===------------------------------------------------------------------------------------------===//

#include "ingot/Reference/Logits.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include <cmath>
#include <numeric>

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

static FailureOr<func::FuncOp> findEntry(ModuleOp module) {
  for (auto function : module.getOps<func::FuncOp>())
    if (function->hasAttr("transformer.entry"))
      return function;
  return module.emitError("there is no function with the attribute 'transformer.entry'");
}

/// The type of the entry's cache; null for the dense form.
static transformer::KVCacheType findCache(func::FuncOp entry) {
  for (Type type : entry.getArgumentTypes())
    if (auto cache = dyn_cast<transformer::KVCacheType>(type))
      return cache;
  return nullptr;
}

/// The results of the entry, of which the first is logits.
static FailureOr<std::vector<Datum>> runStep(func::FuncOp entry, ArrayRef<Datum> inputs,
                                             const WeightStore &weights, unsigned threads) {
  auto module = entry->getParentOfType<ModuleOp>();
  auto results = runEntry(module, entry.getSymName(), inputs, weights, threads);
  if (failed(results))
    return failure();
  auto *logits = results->empty() ? nullptr : std::get_if<Tensor>(&results->front());
  if (!logits || !logits->holds<float>() || logits->rank() != 2)
    return entry.emitError("expected the first result to be the logits");
  return results;
}

FailureOr<Tensor> reference::computeLogits(ModuleOp module, ArrayRef<Sequence> sequences,
                                           const WeightStore &weights, unsigned threads) {
  auto entry = findEntry(module);
  if (failed(entry))
    return failure();
  auto cache = findCache(*entry);
  auto inputs = cache ? makeRaggedInputs(sequences, cache) : makeDenseInputs(sequences);
  auto results = runStep(*entry, inputs, weights, threads);
  if (failed(results))
    return failure();
  return std::get<Tensor>(results->front());
}

FailureOr<Tensor> reference::computeLogits(ModuleOp module, ArrayRef<int32_t> tokens,
                                           ArrayRef<int32_t> rows, const WeightStore &weights,
                                           unsigned threads) {
  return computeLogits(module, Sequence{tokens, rows}, weights, threads);
}

FailureOr<Tensor> reference::computeLogitsInChunks(ModuleOp module, ArrayRef<int32_t> tokens,
                                                   int64_t chunk, const WeightStore &weights,
                                                   unsigned threads) {
  auto entry = findEntry(module);
  if (failed(entry))
    return failure();
  auto type = findCache(*entry);
  if (!type || entry->getNumResults() != 2)
    return entry->emitError("expected an entry that takes and returns a cache");
  Datum cache = Cache(type);
  std::vector<float> logits;
  int64_t vocabulary = 0, count = tokens.size();
  for (int64_t first = 0; first < count; first += chunk) {
    int64_t size = std::min(chunk, count - first);
    Ragged batch{std::vector<int32_t>(size, 0), std::vector<int32_t>(size)};
    std::iota(batch.positions.begin(), batch.positions.end(), first);
    std::vector<int32_t> rows(size);
    std::iota(rows.begin(), rows.end(), 0);
    auto results = runStep(*entry,
                           {Tensor({size}, tokens.slice(first, size).vec()), std::move(batch),
                            cache, Tensor({size}, std::move(rows))},
                           weights, threads);
    if (failed(results))
      return failure();
    auto &step = std::get<Tensor>(results->front());
    llvm::append_range(logits, step.floats());
    vocabulary = step.dim(1);
    cache = results->back();
  }
  return Tensor({count, vocabulary}, std::move(logits));
}

/// Logarithm of the sum of exponentials.
static double logSumExp(ArrayRef<float> row) {
  double largest = *llvm::max_element(row), sum = 0;
  for (float value : row)
    sum += std::exp(value - largest);
  return largest + std::log(sum);
}

LogitsDistance reference::compareLogits(ArrayRef<float> logits, ArrayRef<float> truth,
                                        int64_t vocabulary) {
  LogitsDistance result = {};
  double sum = 0, squares = 0;
  int64_t rows = truth.size() / vocabulary;
  for (int64_t index = 0; index < rows; ++index) {
    auto row = logits.slice(index * vocabulary, vocabulary),
         trueRow = truth.slice(index * vocabulary, vocabulary);
    double norm = logSumExp(row), trueNorm = logSumExp(trueRow);
    for (auto [value, trueValue] : llvm::zip_equal(row, trueRow)) {
      result.largest = std::max(result.largest, std::fabs(double(value) - trueValue));
      result.divergence +=
          std::exp(trueValue - trueNorm) * ((trueValue - trueNorm) - (value - norm)) / double(rows);
      sum += trueValue;
      squares += double(trueValue) * trueValue;
    }
    bool agrees =
        llvm::max_element(row) - row.begin() == llvm::max_element(trueRow) - trueRow.begin();
    result.agreement += agrees / double(rows);
  }
  double mean = sum / double(truth.size());
  result.largest /= std::sqrt(squares / double(truth.size()) - mean * mean);
  return result;
}
