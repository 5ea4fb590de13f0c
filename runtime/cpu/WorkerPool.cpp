//===- WorkerPool.cpp - Pinned workers that run launches in order -----------------------------===//
//
// The invariant: between two barriers every worker is in the same launch, and `nextBlock` counts
// its blocks. The last worker to arrive resets the counters; the store of the phase publishes the
// resets and all writes of all blocks. A job ends with a barrier, so that no worker is behind when
// `run` returns. Nothing is allocated.
//
//===------------------------------------------------------------------------------------------===//

#include "runtime/cpu/WorkerPool.h"

#include <algorithm>
#include <chrono>
#include <pthread.h>

using namespace ingot::runtime;
using namespace ingot::runtime::cpu;

namespace {

/// Longer than a launch or the pause between two tokens usually lasts, shorter than a scheduler's
/// slice.
constexpr std::chrono::microseconds spinTime(100);
constexpr int pausesBetweenClocks = 32;
/// A launch is cut into about this many pieces a worker: enough to even out, few enough to be
/// cheap.
constexpr uint64_t piecesPerWorker = 8;

void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

uint64_t readClock() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

void pinTo(int cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpu, &set);
  pthread_setaffinity_np(pthread_self(), sizeof(set), &set); // a wish; a refusal changes no result
}

} // namespace

WorkerPool::WorkerPool(const WorkerPoolOptions &options)
    : threadCount(options.threads ? options.threads : chooseThreadCount()) {
  std::vector<unsigned> cpus = listUsableCpus();
  spin =
      threadCount <= cpus.size(); // else a worker that spins takes the CPU from one that could work
  bool pin = options.pin && spin;
  for (unsigned worker = 1; worker < threadCount; ++worker)
    workers.emplace_back([this, worker, cpu = pin ? int(cpus[worker]) : -1] { work(worker, cpu); });
}

WorkerPool::~WorkerPool() {
  stopping = true;
  // Release: a worker that sees the new number sees `stopping`.
  jobNumber.fetch_add(1, std::memory_order_release);
  jobNumber.notify_all();
  for (std::thread &worker : workers)
    worker.join();
}

void WorkerPool::run(std::span<const Launch> launches, const int64_t *counts,
                     uint64_t *nanoseconds) {
  if (launches.empty())
    return;
  std::lock_guard lock(runMutex);
  job = {launches, counts, nanoseconds};
  // Release: a worker that sees the new number sees `job`, and what the caller wrote for the
  // kernels. No worker can still be reading the last job: each copied it before its first barrier,
  // and the last job is over.
  jobNumber.fetch_add(1, std::memory_order_release);
  jobNumber.notify_all();
  runJob(job, /*isCaller=*/true);
}

void WorkerPool::work(unsigned worker, int cpu) {
  pthread_setname_np(pthread_self(), ("ingot-" + std::to_string(worker)).c_str());
  if (cpu >= 0)
    pinTo(cpu);
  // A job cannot end without this worker, so that no number is missed.
  for (uint32_t seen = 0;;) {
    seen = waitForChange(jobNumber, seen);
    if (stopping)
      return;
    Job copy = job;
    runJob(copy, /*isCaller=*/false);
  }
}

void WorkerPool::runJob(const Job &job, bool isCaller) {
  uint64_t *nanoseconds = isCaller ? job.nanoseconds : nullptr;
  uint64_t before = nanoseconds ? readClock() : 0;
  for (size_t i = 0; i < job.launches.size(); ++i) {
    runBlocks(job.launches[i], job.counts);
    passBarrier();
    if (nanoseconds) {
      uint64_t now = readClock();
      nanoseconds[i] = now - before;
      before = now;
    }
  }
}

void WorkerPool::runBlocks(const Launch &launch, const int64_t *counts) {
  auto kernel = reinterpret_cast<KernelFunction>(const_cast<void *>(launch.kernel));
  const Grid grid = *launch.grid;
  uint64_t blocks = uint64_t(grid.x) * grid.y * grid.z;
  uint64_t piece = std::max<uint64_t>(1, blocks / (threadCount * piecesPerWorker));
  for (;;) {
    // Relaxed: the counter only divides the blocks. What they read and write is ordered by the
    // barriers, and its reset by the barrier before this launch.
    uint64_t begin = nextBlock.fetch_add(piece, std::memory_order_relaxed);
    if (begin >= blocks)
      return;
    uint64_t end = std::min(begin + piece, blocks);
    int64_t x = begin % grid.x, y = begin / grid.x % grid.y, z = begin / grid.x / grid.y;
    for (uint64_t block = begin; block < end; ++block) {
      kernel(launch.arguments, counts, x, y, z);
      if (++x == grid.x) {
        x = 0;
        if (++y == grid.y) {
          y = 0;
          ++z;
        }
      }
    }
  }
}

void WorkerPool::passBarrier() {
  // Relaxed: the phase cannot change before this worker arrives, so this reads the current one.
  uint32_t current = phase.load(std::memory_order_relaxed);
  // Release: what this worker's blocks wrote comes before its arrival. Acquire: the last to arrive
  // has seen what all others wrote, and passes it on below.
  if (arrived.fetch_add(1, std::memory_order_acq_rel) + 1 < threadCount) {
    waitForChange(phase, current);
    return;
  }
  // Relaxed: all others wait for the phase, whose store below publishes both resets.
  arrived.store(0, std::memory_order_relaxed);
  nextBlock.store(0, std::memory_order_relaxed);
  // Release: whoever sees the new phase sees all writes of all blocks of this launch.
  phase.store(current + 1, std::memory_order_release);
  phase.notify_all();
}

/// Waits until the word is no longer `old`; returns what it is. Acquire: what was written before
/// the change is seen.
uint32_t WorkerPool::waitForChange(std::atomic<uint32_t> &word, uint32_t old) const {
  auto end = std::chrono::steady_clock::now() + (spin ? spinTime : spinTime.zero());
  do {
    for (int i = 0; i < pausesBetweenClocks; ++i) {
      uint32_t value = word.load(std::memory_order_acquire);
      if (value != old)
        return value;
      relax();
    }
  } while (std::chrono::steady_clock::now() < end);
  word.wait(old, std::memory_order_acquire);
  return word.load(std::memory_order_acquire);
}
