//===- RepeatedWeights.cpp - Equal parts of weights, stored once ------------------------------===//
//
// Threads pack weights and look each chunk up by its hash; bytes decide, the hash only finds. Which
// thread was first does not show: places are given out when all is known, in the order of use.
//
//===------------------------------------------------------------------------------------------===//

#include "ingot/Artifact/RepeatedWeights.h"
#include "llvm/ADT/Twine.h"
#include "llvm/Support/MathExtras.h"
#include "llvm/Support/ThreadPool.h"
#include "llvm/Support/xxhash.h"
#include <atomic>
#include <cstring>
#include <memory>
#include <mutex>
#include <unordered_map>

using namespace ingot;
using namespace ingot::artifact;
using llvm::ArrayRef;
using llvm::createStringError;
using llvm::Error;
using llvm::Twine;

namespace {

struct Chunk {
  std::vector<uint8_t> bytes;
  uint64_t place = UINT64_MAX; ///< in the section Weights, once it is given out
};

class Collector {
public:
  Collector(const PlanTables &plan, const WeightProducer &produce, const WriteOptions &options)
      : plan(plan), produce(produce), options(options), chunksOf(plan.weights.size()) {
    for (const format::WeightRecord &weight : plan.weights)
      total += weight.bytes;
  }
  Error run();
  RepeatedWeights layOut();

private:
  Error collect(size_t index);
  Chunk *find(std::vector<uint8_t> &bytes);

  const PlanTables &plan;
  const WeightProducer &produce;
  const WriteOptions &options;
  std::vector<std::vector<Chunk *>> chunksOf; ///< of each weight, in order
  uint64_t total = 0;
  std::mutex mutex; ///< guards what follows
  std::unordered_multimap<uint64_t, std::unique_ptr<Chunk>> known;
  uint64_t done = 0;
  Error failure = Error::success();
  std::atomic<bool> hasFailed = false; ///< tells the other threads to stop early; orders nothing
};

uint64_t getChunkBytes(const format::WeightRecord &weight, uint64_t rows) {
  if (!rows || weight.rows % rows || weight.bytes % (weight.rows / rows))
    return weight.bytes;
  return weight.bytes / (weight.rows / rows);
}

/// The chunk with these bytes, which are taken if they are new.
Chunk *Collector::find(std::vector<uint8_t> &bytes) {
  uint64_t hash = llvm::xxh3_64bits(bytes);
  std::lock_guard lock(mutex);
  done += bytes.size();
  if (options.progress)
    options.progress(done, total);
  auto [at, end] = known.equal_range(hash);
  for (; at != end; ++at)
    if (at->second->bytes == bytes)
      return at->second.get();
  auto chunk = std::make_unique<Chunk>();
  chunk->bytes.swap(bytes);
  return known.emplace(hash, std::move(chunk))->second.get();
}

Error Collector::collect(size_t index) {
  const format::WeightRecord &weight = plan.weights[index];
  uint64_t chunkBytes = getChunkBytes(weight, options.repeatedRows), taken = 0;
  std::vector<uint8_t> pending;
  auto sink = [&](ArrayRef<uint8_t> data) -> Error {
    if (hasFailed)
      return createStringError("stopped");
    taken += data.size();
    while (taken <= weight.bytes && !data.empty()) {
      size_t count = std::min<uint64_t>(chunkBytes - pending.size(), data.size());
      pending.insert(pending.end(), data.begin(), data.begin() + count);
      data = data.drop_front(count);
      if (pending.size() < chunkBytes)
        continue;
      chunksOf[index].push_back(find(pending));
      pending.clear();
    }
    return Error::success();
  };
  if (Error error = produce(index, sink))
    return error;
  if (taken != weight.bytes)
    return createStringError("weight '" + plan.names.get(weight.name) + "': the plan has " +
                             Twine(weight.bytes) + " bytes for it, its packing made " +
                             Twine(taken));
  return Error::success();
}

Error Collector::run() {
  std::atomic<size_t> next = 0; // hands out the weights; orders nothing
  auto work = [&]() {
    for (size_t index = next++; index < plan.weights.size() && !hasFailed; index = next++)
      if (Error error = collect(index)) {
        std::lock_guard lock(mutex);
        if (hasFailed.exchange(true)) // what follows from stopping early is not told
          llvm::consumeError(std::move(error));
        else
          failure = std::move(error);
      }
  };
  llvm::cantFail(std::move(failure));
  llvm::DefaultThreadPool pool(llvm::hardware_concurrency(std::max(options.threads, 1u)));
  for (unsigned i = 0; i < std::max(options.threads, 1u); ++i)
    pool.async(work);
  pool.wait();
  return std::move(failure);
}

RepeatedWeights Collector::layOut() {
  RepeatedWeights result;
  std::vector<format::RepeatRun> runs;
  for (auto [weight, chunks] : llvm::zip_equal(plan.weights, chunksOf)) {
    uint64_t offset = weight.offset;
    const Chunk *last = nullptr; // runs do not join weights
    for (Chunk *chunk : chunks) {
      if (chunk->place == UINT64_MAX) {
        result.weights.resize(llvm::alignTo(result.weights.size(), format::weightAlignment));
        chunk->place = result.weights.size();
        llvm::append_range(result.weights, chunk->bytes);
      }
      if (chunk == last)
        runs.back().bytes += chunk->bytes.size();
      else
        runs.push_back({offset, chunk->bytes.size(), chunk->place, chunk->bytes.size()});
      offset += chunk->bytes.size();
      last = chunk;
    }
  }
  llvm::sort(runs, [](const format::RepeatRun &a, const format::RepeatRun &b) {
    return a.offset < b.offset;
  });
  format::RepeatHeader header = {};
  for (const format::RepeatRun &run : runs)
    header.bytes = std::max(header.bytes, run.offset + run.bytes);
  header.runs = {sizeof header, runs.size()};
  result.runs.resize(sizeof header + runs.size() * sizeof(format::RepeatRun));
  std::memcpy(result.runs.data(), &header, sizeof header);
  if (!runs.empty())
    std::memcpy(result.runs.data() + sizeof header, runs.data(),
                runs.size() * sizeof(format::RepeatRun));
  return result;
}

} // namespace

llvm::Expected<RepeatedWeights> artifact::collectRepeatedWeights(const PlanTables &plan,
                                                                 const WeightProducer &produce,
                                                                 const WriteOptions &options) {
  Collector collector(plan, produce, options);
  if (Error error = collector.run())
    return std::move(error);
  return collector.layOut();
}
