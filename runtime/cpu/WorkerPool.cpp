//===- WorkerPool.cpp - Pinned workers that run launches in order -----------------------------===//
//
// The invariant: a launch is published after all blocks of the one before are complete, and a job
// does not end while somebody has a piece of it. So who has taken a piece may read `job`; who has
// none reads the cursor only. Nothing is allocated.
//
// Order: publishing is a release store of the cursor, taking a piece an acquire of it; completing
// blocks is a release of `done`, and who completes the last acquires what all others released. So
// all writes of a launch come before all reads of the next.
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

uint64_t pack(uint32_t number, uint64_t blocks) { return uint64_t(number) << 32 | blocks; }
uint32_t numberOf(uint64_t cursor) { return uint32_t(cursor >> 32); }
uint32_t blocksOf(uint64_t cursor) { return uint32_t(cursor); }

uint64_t countBlocks(const Launch &launch) {
  return uint64_t(launch.grid->x) * launch.grid->y * launch.grid->z;
}

} // namespace

WorkerPool::WorkerPool(const WorkerPoolOptions &options)
    : threadCount(options.threads ? options.threads : chooseThreadCount()) {
  std::vector<unsigned> cpus = listUsableCpus();
  double quota = readCgroupQuota();
  spin = threadCount <= cpus.size() && (quota <= 0 || threadCount <= quota);
  bool pin = options.pin && threadCount <= cpus.size();
  for (unsigned worker = 1; worker < threadCount; ++worker)
    workers.emplace_back([this, worker, cpu = pin ? int(cpus[worker]) : -1] {
      pthread_setname_np(pthread_self(), ("ingot-" + std::to_string(worker)).c_str());
      work(cpu);
    });
}

WorkerPool::~WorkerPool() {
  // Release: a worker that sees the new number sees `stopping`.
  stopping.store(true, std::memory_order_relaxed);
  published.fetch_add(1, std::memory_order_release);
  published.notify_all();
  for (std::thread &worker : workers)
    worker.join();
}

void WorkerPool::run(std::span<const Launch> launches, const int64_t *counts,
                     uint64_t *nanoseconds) {
  if (launches.empty())
    return;
  std::lock_guard lock(runMutex);
  // Relaxed: nobody else writes the cursor between jobs.
  uint32_t first = numberOf(cursor.load(std::memory_order_relaxed)) + 1;
  job = {launches, counts, nanoseconds, nanoseconds ? readClock() : 0, first};
  uint32_t end = first + uint32_t(launches.size());
  runPieces(publish(first));
  for (;;) {
    Piece piece = take(); // an acquire: the end of the job comes after all its writes
    if (piece.count)
      runPieces(piece);
    else if (piece.number == end)
      return;
    else
      waitForChange(piece.number);
  }
}

void WorkerPool::work(int cpu) {
  if (cpu >= 0)
    pinTo(cpu);
  while (!stopping.load(std::memory_order_relaxed)) {
    if (Piece piece = take(); piece.count)
      runPieces(piece);
    else
      waitForChange(piece.number);
  }
}

/// Runs a piece and what else it can take of the launch; then, if these were the last blocks, goes
/// on with the next launch.
void WorkerPool::runPieces(Piece piece) {
  while (piece.count) {
    const Launch &launch = job.launches[piece.number - job.first];
    uint64_t blocks = countBlocks(launch), mine = 0;
    uint32_t number = piece.number;
    for (; piece.count && piece.number == number; piece = take()) {
      runBlocks(launch, piece);
      mine += piece.count;
      if (mine == blocks)
        break;
    }
    // The next launch cannot be published before `done` has these blocks, so `piece` is of this
    // one.
    bool isLast =
        mine == blocks || done.fetch_add(mine, std::memory_order_acq_rel) + mine == blocks;
    if (!isLast)
      return;
    piece = publish(number + 1);
  }
}

/// Makes a launch known, or the end of the job; returns the piece of it that the caller keeps.
WorkerPool::Piece WorkerPool::publish(uint32_t number) {
  uint32_t index = number - job.first;
  if (job.nanoseconds && index) {
    uint64_t now = readClock();
    job.nanoseconds[index - 1] = now - job.clock;
    job.clock = now;
  }
  bool isEnd = index == job.launches.size();
  uint64_t blocks = isEnd ? 0 : countBlocks(job.launches[index]);
  if (!isEnd && blocks == 0)
    return publish(number + 1);
  uint32_t kept = countPiece(blocks);
  // Relaxed, both: made visible by the store of the cursor. After it, where this is the end, the
  // next job may begin: `published` must not change late.
  done.store(0, std::memory_order_relaxed);
  published.store(number, std::memory_order_relaxed);
  cursor.store(pack(number, blocks - kept), std::memory_order_release);
  if (isEnd || blocks > kept) // else there is nothing to wake for
    published.notify_all();
  return {number, 0, kept};
}

/// Takes a piece of the current launch.
WorkerPool::Piece WorkerPool::take() {
  uint64_t current = cursor.load(std::memory_order_acquire);
  while (uint32_t left = blocksOf(current)) {
    uint32_t count = countPiece(left);
    if (!cursor.compare_exchange_weak(current, current - count, std::memory_order_acquire,
                                      std::memory_order_acquire))
      continue;
    uint32_t number = numberOf(current);
    return {number, countBlocks(job.launches[number - job.first]) - left, count};
  }
  return {numberOf(current), 0, 0};
}

/// Large pieces first, then smaller ones: few exchanges, and all end at about the same time.
uint32_t WorkerPool::countPiece(uint64_t blocks) const {
  if (threadCount == 1 || blocks <= 1)
    return uint32_t(blocks);
  return uint32_t(std::max<uint64_t>(1, blocks / (2 * threadCount)));
}

void WorkerPool::runBlocks(const Launch &launch, Piece piece) const {
  auto kernel = reinterpret_cast<KernelFunction>(const_cast<void *>(launch.kernel));
  const Grid grid = *launch.grid;
  int64_t x = piece.begin % grid.x, y = piece.begin / grid.x % grid.y,
          z = piece.begin / grid.x / grid.y;
  for (uint64_t block = 0; block < piece.count; ++block) {
    kernel(launch.arguments, job.counts, x, y, z);
    if (++x == grid.x) {
      x = 0;
      if (++y == grid.y) {
        y = 0;
        ++z;
      }
    }
  }
}

/// Returns when a launch after `number` was published, perhaps earlier.
void WorkerPool::waitForChange(uint32_t number) const {
  std::chrono::steady_clock::time_point end = {};
  do {
    for (int i = 0; i < pausesBetweenClocks; ++i) {
      // Relaxed: who returns looks at the cursor again.
      if (published.load(std::memory_order_relaxed) != number)
        return;
      relax();
    }
    auto now = std::chrono::steady_clock::now();
    if (end == std::chrono::steady_clock::time_point())
      end = now + (spin ? spinTime : spinTime.zero());
    if (now >= end)
      break;
  } while (true);
  published.wait(number, std::memory_order_acquire);
}
