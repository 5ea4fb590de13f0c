//===- Measure.cpp - How fast this CPU reads and multiplies ---------------------------------------===//
//
// Vector code of three widths by GNU vector extensions; the widest that the machine has is taken.
// Results go to memory, so that no compiler may leave the work out.
//
//===----------------------------------------------------------------------------------------------===//

#include "runtime/cpu/Measure.h"

#include <algorithm>
#include <atomic>
#include <limits>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

using namespace ingot::runtime;
using namespace ingot::runtime::cpu;

namespace {

constexpr uint64_t readBytes = uint64_t(256) << 20; ///< several times the usual last-level cache
constexpr uint64_t pieceBytes = 1 << 20;
constexpr int64_t multiplyRounds = 100000;
constexpr int chains = 12; ///< independent, more than latency times throughput of any core so far
constexpr int repeats = 7;

/// Sums a piece: arguments are the memory and a sum for each piece.
template <typename Vector>
[[gnu::always_inline]] inline void readPiece(void *const *arguments, int64_t x) {
  auto *data = static_cast<const Vector *>(arguments[0]) + x * (pieceBytes / sizeof(Vector));
  Vector sums[4] = {};
  for (uint64_t i = 0; i < pieceBytes / sizeof(Vector); i += 4)
    for (int k = 0; k < 4; ++k)
      sums[k] += data[i + k];
  Vector sum = sums[0] + sums[1] + sums[2] + sums[3];
  static_cast<int64_t *>(arguments[1])[x] = sum[0] + sum[1];
}

/// Runs `chains` chains of multiply-adds: arguments are factor and summand, and a result for each
/// block.
template <typename Vector>
[[gnu::always_inline]] inline void multiplyAdd(void *const *arguments, int64_t x) {
  auto *constants = static_cast<const float *>(arguments[0]);
  Vector factor = Vector{} + constants[0], summand = Vector{} + constants[1];
  Vector values[chains] = {};
  for (int64_t round = 0; round < multiplyRounds; ++round) {
#pragma clang loop unroll(full)
    for (int chain = 0; chain < chains; ++chain)
      values[chain] = values[chain] * factor + summand;
  }
  Vector sum = {};
  for (Vector &value : values)
    sum += value;
  static_cast<float *>(arguments[1])[x] = sum[0];
}

#define INGOT_MEASURE(name, bytes, ...)                                                            \
  typedef int64_t name##Integers __attribute__((vector_size(bytes)));                              \
  typedef float name##Floats __attribute__((vector_size(bytes)));                                  \
  __VA_ARGS__ void name##Read(void *const *arguments, const int64_t *, int64_t x, int64_t,         \
                              int64_t) {                                                           \
    readPiece<name##Integers>(arguments, x);                                                       \
  }                                                                                                \
  __VA_ARGS__ void name##Multiply(void *const *arguments, const int64_t *, int64_t x, int64_t,     \
                                  int64_t) {                                                       \
    multiplyAdd<name##Floats>(arguments, x);                                                       \
  }

INGOT_MEASURE(narrow, 16)
#if defined(__x86_64__)
INGOT_MEASURE(avx2, 32, [[gnu::target("avx2,fma")]])
INGOT_MEASURE(avx512, 64, [[gnu::target("avx512f,fma")]])
#endif

#if defined(__x86_64__)
// Chains of the instructions that products of 8-bit integers are made of, with their additions. A
// chain's own sum is the next factor, so that no product can be taken out of the loop.
#define INGOT_MEASURE_DOT(name, features, vector, load, step)                                      \
  [[gnu::target(features)]] void name(void *const *arguments, const int64_t *, int64_t x, int64_t, \
                                      int64_t) {                                                   \
    vector codes = load(static_cast<const vector *>(arguments[0])), sums[chains];                  \
    for (vector &sum : sums)                                                                       \
      sum = codes;                                                                                 \
    for (int64_t round = 0; round < multiplyRounds; ++round) {                                     \
      _Pragma("clang loop unroll(full)") for (int chain = 0; chain < chains; ++chain)              \
          sums[chain] = step;                                                                      \
    }                                                                                              \
    static_cast<int64_t *>(arguments[1])[x] = 0;                                                   \
    for (vector &sum : sums)                                                                       \
      static_cast<int64_t *>(arguments[1])[x] += sum[0];                                           \
  }
INGOT_MEASURE_DOT(avx2Dot, "avx2", __m256i, _mm256_loadu_si256,
                  _mm256_add_epi16(sums[chain], _mm256_maddubs_epi16(codes, sums[chain])))
INGOT_MEASURE_DOT(vnniDot, "avx2,avxvnni", __m256i, _mm256_loadu_si256,
                  _mm256_dpbusd_avx_epi32(sums[chain], codes, sums[chain]))
INGOT_MEASURE_DOT(avx512Dot, "avx512f,avx512vnni", __m512i, _mm512_loadu_si512,
                  _mm512_dpbusd_epi32(sums[chain], codes, sums[chain]))
#endif

struct Variant {
  KernelFunction read, multiply;
  int64_t floats; ///< of one vector
};

Variant choose(const Features &features) {
#if defined(__x86_64__)
  if (features.has("avx512f"))
    return {avx512Read, avx512Multiply, 16};
  if (features.has("avx2") && features.has("fma"))
    return {avx2Read, avx2Multiply, 8};
#endif
  return {narrowRead, narrowMultiply, 4};
}

struct DotVariant {
  KernelFunction multiply; ///< null where the machine has no such instruction
  int64_t bytes;           ///< of one vector
};

DotVariant chooseDot(const Features &features) {
#if defined(__x86_64__)
  if (features.has("avx512vnni") && features.has("avx512f"))
    return {avx512Dot, 64};
  if (features.has("avxvnni"))
    return {vnniDot, 32};
  if (features.has("avx2"))
    return {avx2Dot, 32};
#endif
  return {nullptr, 0};
}

/// Where the blocks of a launch meet: each arrives and waits until all have. Whole launches arrive
/// one after the other, so the count of arrivals says which meeting it is.
struct Meeting {
  uint64_t members;
  int64_t rounds;
  alignas(64) std::atomic<uint64_t> arrived = 0;
};

/// A block of a launch of `members` blocks. Where a worker has no CPU, so that nobody comes, it
/// goes on after a while: then the time is long, but no block waits for one behind it.
void meet(void *const *arguments, const int64_t *, int64_t, int64_t, int64_t) {
  auto &meeting = *static_cast<Meeting *>(arguments[0]);
  constexpr int patience = 20000;
  for (int64_t round = 0; round < meeting.rounds; ++round) {
    // Acquire and release: the worth of a barrier, though nothing is written here.
    uint64_t ticket = meeting.arrived.fetch_add(1, std::memory_order_acq_rel);
    uint64_t all = (ticket / meeting.members + 1) * meeting.members;
    for (int i = 0; i < patience && meeting.arrived.load(std::memory_order_acquire) < all; ++i)
      relax();
  }
}

/// Seconds of `launches` launches, in the best of several runs; in each, so many blocks meet so
/// often.
double timeMeetings(WorkerPool &pool, size_t launches, uint64_t members, int64_t rounds) {
  Meeting meeting{members, rounds};
  void *arguments[] = {&meeting};
  Grid grid{int64_t(members), 1, 1};
  std::vector<Launch> list(launches, {reinterpret_cast<Kernel>(&meet), arguments, 1, &grid});
  std::vector<uint64_t> nanoseconds(launches);
  double best = std::numeric_limits<double>::infinity();
  for (int i = 0; i < repeats; ++i) {
    pool.run(list, nullptr, nanoseconds.data());
    double sum = 0;
    for (uint64_t each : nanoseconds)
      sum += 1e-9 * double(each);
    best = std::min(best, sum);
  }
  return best;
}

/// A launch that all workers must have a block of: one in which they meet, without the meeting.
void timeLaunches(WorkerPool &pool, DeviceSpeed &speed) {
  constexpr size_t count = 1000;
  double launches = timeMeetings(pool, count, pool.size(), 1),
         meetings = timeMeetings(pool, 1, pool.size(), count);
  speed.launchSeconds = std::max(launches - meetings, 0.0) / count;
  // An arrival takes the line from the other worker, whose next look brings it back.
  if (pool.size() > 1)
    speed.exchangeSeconds = timeMeetings(pool, 1, 2, count) / count;
}

/// Seconds of the fastest of several runs, after one to warm up.
double timeBest(WorkerPool &pool, KernelFunction kernel, void *const *arguments, int64_t blocks) {
  Grid grid{blocks, 1, 1};
  Launch launch{reinterpret_cast<Kernel>(kernel), arguments, 2, &grid};
  pool.run({&launch, 1}, nullptr);
  uint64_t best = ~uint64_t(0), nanoseconds;
  for (int i = 0; i < repeats; ++i) {
    pool.run({&launch, 1}, nullptr, &nanoseconds);
    best = std::min(best, nanoseconds);
  }
  return double(std::max<uint64_t>(best, 1)) * 1e-9;
}

} // namespace

Result<DeviceSpeed> cpu::measureSpeed(WorkerPool &pool, const Features &features) {
  Result<MappedMemory> memory = MappedMemory::allocate(readBytes);
  if (!memory)
    return memory.takeStatus();
  std::fill_n(memory->data(), memory->size(),
              std::byte(1)); // untouched pages are one page of zeros
  std::vector<int64_t> sums(readBytes / pieceBytes);
  const float constants[] = {0.999f, 0.001f};
  std::vector<float> results(pool.size());
  Variant variant = choose(features);
  void *readArguments[] = {memory->data(), sums.data()};
  void *multiplyArguments[] = {const_cast<float *>(constants), results.data()};
  double readSeconds = timeBest(pool, variant.read, readArguments, int64_t(sums.size()));
  double multiplySeconds = timeBest(pool, variant.multiply, multiplyArguments, pool.size());
  double rounds = 2.0 * chains * double(multiplyRounds) * pool.size();
  DeviceSpeed speed{double(readBytes) / readSeconds, rounds * variant.floats / multiplySeconds};
  timeLaunches(pool, speed);
  if (DotVariant dot = chooseDot(features); dot.multiply) {
    void *dotArguments[] = {memory->data(), sums.data()};
    speed.integerOperationsPerSecond =
        rounds * dot.bytes / timeBest(pool, dot.multiply, dotArguments, pool.size());
  }
  return speed;
}
