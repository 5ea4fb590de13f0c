//===- WorkerPool.h - Pinned workers that run launches in order -------------------------------===//
//
// Every worker, the calling thread among them, walks the same list of launches. Within a launch the
// workers take pieces of the grid from one counter; between launches stands a barrier. Waiting is
// spinning for a while, since a launch lasts microseconds and waking a thread costs tens of them,
// then sleeping in the kernel, since the machine may be shared. Which worker runs which block is
// not determined, and must not matter: blocks of a launch write disjoint memory.
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

/// CPUs that this process may use (affinity mask), first one of each core, then their siblings.
std::vector<unsigned> listUsableCpus(unsigned *coreCount = nullptr);
/// CPUs' worth of time that the control group allows (cgroup v1 or v2); 0: no limit.
double readCgroupQuota();
/// Bytes that this process can take without swapping, by the system and its control group.
uint64_t readAvailableMemory();
/// One thread a usable core, at most the quota, at least one.
unsigned chooseThreadCount();

class WorkerPool {
public:
  explicit WorkerPool(const WorkerPoolOptions &options);
  ~WorkerPool();
  WorkerPool(const WorkerPool &) = delete;

  unsigned size() const { return threadCount; }

  /// Runs all launches; returns when the last is done. With `nanoseconds`, the time of each is
  /// stored there.
  void run(std::span<const Launch> launches, const int64_t *counts,
           uint64_t *nanoseconds = nullptr);

private:
  struct Job {
    std::span<const Launch> launches;
    const int64_t *counts = nullptr;
    uint64_t *nanoseconds = nullptr;
  };

  void work(unsigned worker, int cpu);
  void runJob(const Job &job, bool isCaller);
  void runBlocks(const Launch &launch, const int64_t *counts);
  void passBarrier();
  uint32_t waitForChange(std::atomic<uint32_t> &word, uint32_t old) const;

  // Each on a cache line of its own: all are written while others are read in a loop.
  alignas(64) std::atomic<uint64_t> nextBlock{
      0};                                       ///< first block of the launch that nobody has taken
  alignas(64) std::atomic<uint32_t> arrived{0}; ///< workers that wait at the barrier
  alignas(64) std::atomic<uint32_t> phase{0};   ///< barriers passed
  alignas(64) std::atomic<uint32_t> jobNumber{0}; ///< jobs handed out
  std::mutex runMutex;                            ///< held by the caller whose job it is
  alignas(64) Job job;                            ///< of jobNumber
  bool stopping = false;                          ///< belongs to job
  bool spin = true;
  unsigned threadCount;
  std::vector<std::thread> workers;
};

} // namespace ingot::runtime::cpu

#endif // INGOT_RUNTIME_CPU_WORKERPOOL_H
