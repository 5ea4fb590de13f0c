//===- WorkerPool.h - Pinned workers that run launches in order -------------------------------===//
//
// The workers, the calling thread among them, take pieces of a launch's grid from one word, the
// cursor:
//
//   cursor = (number of the launch, blocks that nobody has taken)
//
// Who ends the last block of a launch publishes the next one, and keeps a first piece of it. So a
// launch is complete when its blocks are, not when all workers have passed a barrier: a worker that
// the system does not let run is not waited for unless it holds a block, and a chain of launches of
// one block each runs on one worker without any exchange. Which worker runs which block is not
// determined, and must not matter: blocks of a launch write disjoint memory.
//
// Waiting is spinning for a while, since a launch lasts microseconds and waking a thread costs tens
// of them, then sleeping in the kernel, since the machine may be shared.
//
// Threads that call `run` at the same time wait for each other.
//
//===------------------------------------------------------------------------------------------===//

#ifndef INGOT_RUNTIME_CPU_WORKERPOOL_H
#define INGOT_RUNTIME_CPU_WORKERPOOL_H

#include "runtime/core/Device.h"

#include <atomic>
#include <mutex>
#include <thread>
#include <vector>

namespace ingot::runtime::cpu {

/// A kernel of a module; see format::KernelRecord.
using KernelFunction = void (*)(void *const *arguments, const int64_t *counts, int64_t x, int64_t y,
                                int64_t z);

struct WorkerPoolOptions {
  unsigned threads = 0; ///< with the caller; 0: one for each core that this process may use
  bool pin = true;      ///< each worker to its CPU; never the caller, whose thread is not ours
};

/// CPUs that this process may use (affinity mask), ordered as by `orderCpus`.
std::vector<unsigned> listUsableCpus(unsigned *coreCount = nullptr);
/// First one CPU of each core, then their siblings; each from all memory nodes in turn, so that few
/// workers too have the bandwidth of all nodes. `folder` has what the system says of its CPUs
/// ("cpu0/topology/thread_siblings_list", "cpu0/node1").
std::vector<unsigned> orderCpus(const std::vector<unsigned> &cpus, const std::string &folder,
                                unsigned *coreCount = nullptr);
/// CPUs' worth of time that the control group allows (cgroup v1 or v2); 0: no limit.
double readCgroupQuota();
/// Bytes that this process can take without swapping, by the system and its control group.
uint64_t readAvailableMemory();
/// One thread a usable core, at most the quota, at least one.
unsigned chooseThreadCount();

/// Says to the core that this thread only waits.
inline void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

class WorkerPool {
public:
  explicit WorkerPool(const WorkerPoolOptions &options);
  ~WorkerPool();
  WorkerPool(const WorkerPool &) = delete;

  unsigned size() const { return threadCount; }
  /// Whether workers wait for the next launch on their CPU before they sleep: not where there are
  /// more of them than CPUs or than the quota, since they would take the time from who works.
  bool isSpinning() const { return spin; }

  /// Runs all launches; returns when the last is done. With `nanoseconds`, the time of each is
  /// stored there. A launch has less than 2^32 blocks.
  void run(std::span<const Launch> launches, const int64_t *counts,
           uint64_t *nanoseconds = nullptr);

private:
  struct Job {
    std::span<const Launch> launches;
    const int64_t *counts = nullptr;
    uint64_t *nanoseconds = nullptr;
    uint64_t clock = 0; ///< when the last launch was published
    uint32_t first = 0; ///< number of the first launch
  };
  /// Blocks [begin, begin + count) of launch `number`, taken by one worker; none where count is 0.
  struct Piece {
    uint32_t number;
    uint64_t begin, count;
  };

  void work(int cpu);
  void runPieces(Piece piece);
  void runBlocks(const Launch &launch, Piece piece) const;
  Piece publish(uint32_t number);
  Piece take();
  uint32_t countPiece(uint64_t blocks) const;
  void waitForChange(uint32_t number) const;

  // `cursor` and `published` share a cache line: both change together. `done` has one of its own,
  // since it is written while others read the cursor in a loop.
  alignas(64) std::atomic<uint64_t> cursor{0};
  std::atomic<uint32_t> published{0}; ///< number in `cursor`, for those who sleep
  std::atomic<bool> stopping{false};
  alignas(64) std::atomic<uint64_t> done{0}; ///< blocks of the launch that are complete
  alignas(64) Job job; ///< read and written only by who has a piece of it, and by `run`
  std::mutex runMutex; ///< held by the caller whose job it is
  bool spin = true;
  unsigned threadCount;
  std::vector<std::thread> workers;
};

} // namespace ingot::runtime::cpu

#endif // INGOT_RUNTIME_CPU_WORKERPOOL_H
