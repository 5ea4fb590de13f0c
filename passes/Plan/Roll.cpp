//===- Roll.cpp - Equal layers as one loop, weights in the order of use ----------------------------===//
//
// Three steps. Buffers: corresponding buffers of all iterations become one where none of them is
// still needed when the next is written. Weights: laid out in the order of use; in a loop those
// that all iterations share come first, so that the others are one block per iteration. Strides:
// whatever breaks the constant stride splits the run there. Each refusal is a remark.
//
//===----------------------------------------------------------------------------------------------===//

#include "passes/Plan/Roll.h"
#include "mlir/IR/Remarks.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace ingot::plan;

namespace {

using Kind = StepArgument::Kind;

class Roller {
public:
  explicit Roller(Step &step) : step(step) {
    for (unsigned i = 0; i < step.buffers.size(); ++i)
      rolled.memoryOf.push_back(i);
  }

  RolledStep run();

private:
  void findLifetimes();
  void tryRun(ArrayRef<StepCall> calls, size_t period);
  bool shareBuffers(const StepLoop &loop, std::string &reason);
  bool areLifetimesDisjoint(ArrayRef<unsigned> shared, std::string &reason);
  void placeWeights();
  void placeWeight(const StepArgument &argument);
  void placeLoop(const StepLoop &loop);
  void splitAtStrides(const StepLoop &loop, SmallVectorImpl<StepLoop> &kept);
  unsigned countRegular(const StepLoop &loop, std::string &reason);
  bool isShared(const StepLoop &loop, unsigned launch, unsigned argument);

  const StepArgument &at(const StepLoop &loop, unsigned iteration, unsigned launch,
                         unsigned argument) {
    return step.launches[loop.first + iteration * loop.count + launch].arguments[argument];
  }
  unsigned memoryOf(unsigned buffer) { return rolled.memoryOf[buffer]; }

  Step &step;
  RolledStep rolled;
  SmallVector<std::pair<unsigned, unsigned>> lifetimes; ///< of each buffer, in launches
  int64_t weightsEnd = 0;
};

} // namespace

static remark::RemarkOpts describe(StringRef name) {
  return remark::RemarkOpts::name(name).category("plan");
}

void Roller::findLifetimes() {
  lifetimes.assign(step.buffers.size(), {~0u, 0});
  for (auto [number, launch] : llvm::enumerate(step.launches))
    for (const StepArgument &argument : launch.arguments)
      if (argument.kind == Kind::Buffer) {
        auto &[first, last] = lifetimes[argument.index];
        first = std::min<unsigned>(first, number);
        last = std::max<unsigned>(last, number);
      }
  lifetimes[step.result].second = step.launches.size();
}

//===----------------------------------------------------------------------------------------------===//
// Buffers
//===----------------------------------------------------------------------------------------------===//

/// Buffers that would share memory must not need it at the same time.
bool Roller::areLifetimesDisjoint(ArrayRef<unsigned> shared, std::string &reason) {
  SmallVector<unsigned> order(shared);
  llvm::sort(order, [&](unsigned a, unsigned b) { return lifetimes[a] < lifetimes[b]; });
  for (size_t i = 1; i < order.size(); ++i) {
    const StepBuffer &before = step.buffers[order[i - 1]], &after = step.buffers[order[i]];
    if (before.bytes != after.bytes) {
      reason = "'" + after.name + "' and '" + before.name + "' differ in size";
      return false;
    }
    if (lifetimes[order[i]].first <= lifetimes[order[i - 1]].second) {
      reason = "'" + after.name + "' is written while '" + before.name + "' is still needed";
      return false;
    }
  }
  return true;
}

/// Gives corresponding buffers of all iterations one memory; changes nothing where that cannot be.
bool Roller::shareBuffers(const StepLoop &loop, std::string &reason) {
  // Each buffer points to an earlier one of its group, the first to itself.
  SmallVector<unsigned> memory(rolled.memoryOf);
  auto find = [&](unsigned buffer) {
    while (memory[buffer] != buffer)
      buffer = memory[buffer] = memory[memory[buffer]];
    return buffer;
  };
  auto join = [&](unsigned a, unsigned b) {
    a = find(a);
    b = find(b);
    memory[std::max(a, b)] = std::min(a, b);
  };
  for (unsigned i = 1; i < loop.iterations; ++i)
    for (unsigned launch = 0; launch < loop.count; ++launch)
      for (unsigned j = 0; j < step.launches[loop.first + launch].arguments.size(); ++j) {
        const StepArgument &first = at(loop, 0, launch, j), &other = at(loop, i, launch, j);
        if (first.kind != other.kind || (first.kind == Kind::Input && first.index != other.index)) {
          reason = "the iterations read different inputs";
          return false;
        }
        if (first.kind == Kind::Buffer)
          join(first.index, other.index);
      }
  DenseMap<unsigned, SmallVector<unsigned>> groups;
  for (unsigned buffer = 0; buffer < memory.size(); ++buffer)
    groups[memory[buffer] = find(buffer)].push_back(buffer);
  for (unsigned buffer = 0; buffer < memory.size(); ++buffer)
    if (auto group = groups.find(buffer); group != groups.end())
      if (!areLifetimesDisjoint(group->second, reason))
        return false;
  rolled.memoryOf = std::move(memory);
  return true;
}

/// The first calls as repetitions of a few callees (A A A, or A B A B): how many calls repeat, and
/// how often. Of all periods the one that covers most calls, the shortest of those.
static std::pair<size_t, size_t> findRun(ArrayRef<StepCall> calls) {
  constexpr size_t longestPeriod = 8;
  std::pair<size_t, size_t> best = {1, 1};
  for (size_t period = 1; period <= std::min(longestPeriod, calls.size() / 2); ++period) {
    size_t length = period;
    auto repeats = [&](size_t i) {
      const StepCall &call = calls[i], &before = calls[i - 1];
      return call.callee == calls[i - period].callee && call.first == before.first + before.count;
    };
    // The first repetition has no launches between its calls either.
    bool isDense = true;
    for (size_t i = 1; i < period; ++i)
      isDense &= calls[i].first == calls[i - 1].first + calls[i - 1].count;
    while (isDense && length < calls.size() && repeats(length))
      ++length;
    size_t iterations = length / period;
    if (iterations >= 2 && period * iterations > best.first * best.second)
      best = {period, iterations};
  }
  return best;
}

/// `calls` repeat the first `period` of them: makes them a loop where their buffers can be shared.
void Roller::tryRun(ArrayRef<StepCall> calls, size_t period) {
  StepCall first = calls.front();
  StepLoop loop{first.first, 0, static_cast<unsigned>(calls.size() / period)};
  for (const StepCall &call : calls.take_front(period))
    loop.count += call.count;
  if (loop.count == 0 || loop.iterations < 2)
    return;
  std::string reason;
  if (shareBuffers(loop, reason)) {
    rolled.loops.push_back(loop);
    return;
  }
  remark::missed(first.op.getLoc(), describe("Loop"))
      << remark::add("{0} calls of '{1}' stay unrolled", calls.size(), first.op.getCallee())
      << remark::reason("{0}", reason);
}

//===----------------------------------------------------------------------------------------------===//
// Weights
//===----------------------------------------------------------------------------------------------===//

void Roller::placeWeight(const StepArgument &argument) {
  if (argument.kind != Kind::Weight)
    return;
  StepWeight &weight = step.weights[argument.index];
  if (weight.offset >= 0)
    return;
  weight.offset = weightsEnd;
  weightsEnd += llvm::alignTo(weight.bytes, alignment);
}

/// Whether all iterations read the same weight there.
bool Roller::isShared(const StepLoop &loop, unsigned launch, unsigned argument) {
  for (unsigned i = 1; i < loop.iterations; ++i)
    if (at(loop, i, launch, argument).index != at(loop, 0, launch, argument).index)
      return false;
  return true;
}

void Roller::placeLoop(const StepLoop &loop) {
  for (unsigned launch = 0; launch < loop.count; ++launch)
    for (unsigned j = 0; j < step.launches[loop.first + launch].arguments.size(); ++j)
      if (isShared(loop, launch, j))
        placeWeight(at(loop, 0, launch, j));
  for (unsigned launch = loop.first; launch < loop.first + loop.count * loop.iterations; ++launch)
    llvm::for_each(step.launches[launch].arguments,
                   [&](const StepArgument &argument) { placeWeight(argument); });
}

void Roller::placeWeights() {
  ArrayRef<StepLoop> loops = rolled.loops;
  for (unsigned launch = 0; launch < step.launches.size();) {
    if (!loops.empty() && loops.front().first == launch) {
      placeLoop(loops.front());
      launch += loops.front().count * loops.front().iterations;
      loops = loops.drop_front();
      continue;
    }
    llvm::for_each(step.launches[launch++].arguments,
                   [&](const StepArgument &argument) { placeWeight(argument); });
  }
}

/// How many iterations, from the first on, lie at constant strides.
unsigned Roller::countRegular(const StepLoop &loop, std::string &reason) {
  unsigned regular = loop.iterations;
  for (unsigned launch = 0; launch < loop.count; ++launch)
    for (unsigned j = 0; j < step.launches[loop.first + launch].arguments.size(); ++j) {
      const StepArgument &first = at(loop, 0, launch, j);
      if (first.kind != Kind::Weight && first.kind != Kind::Cache)
        continue;
      auto position = [&](unsigned iteration) {
        const StepArgument &argument = at(loop, iteration, launch, j);
        return argument.kind == Kind::Weight ? step.weights[argument.index].offset : argument.layer;
      };
      int64_t stride = position(1) - position(0);
      for (unsigned i = 1; i < regular; ++i) {
        const StepArgument &other = at(loop, i, launch, j);
        bool sameGroup = first.kind == Kind::Weight || first.index == other.index;
        if (sameGroup && stride >= 0 && position(i) == position(0) + i * stride)
          continue;
        regular = i;
        reason = first.kind == Kind::Weight ? "'" + step.weights[other.index].name + "'"
                                            : "the cache of iteration " + std::to_string(i);
        reason += " does not lie at the stride of the iterations before";
      }
    }
  return regular;
}

/// Keeps the stretches of `loop` that have constant strides.
void Roller::splitAtStrides(const StepLoop &loop, SmallVectorImpl<StepLoop> &kept) {
  StepLoop rest = loop;
  while (rest.iterations >= 2) {
    std::string reason;
    StepLoop stretch = rest;
    stretch.iterations = countRegular(rest, reason);
    StepLaunch &launch = step.launches[stretch.first];
    if (stretch.iterations >= 2) {
      kept.push_back(stretch);
      remark::passed(launch.op.getLoc(), describe("Loop")) << remark::add(
          "{0} iterations of {1} launches are one loop", stretch.iterations, stretch.count);
    }
    if (stretch.iterations < rest.iterations)
      remark::missed(launch.op.getLoc(), describe("Loop"))
          << remark::add("a loop of {0} iterations ends after {1}", rest.iterations,
                         stretch.iterations)
          << remark::reason("{0}", reason);
    rest.first += stretch.iterations * rest.count;
    rest.iterations -= stretch.iterations;
  }
}

RolledStep Roller::run() {
  findLifetimes();
  ArrayRef<StepCall> calls = step.calls;
  while (!calls.empty()) {
    auto [period, iterations] = findRun(calls);
    tryRun(calls.take_front(period * iterations), period);
    calls = calls.drop_front(period * iterations);
  }
  placeWeights();
  SmallVector<StepLoop> kept;
  for (const StepLoop &loop : rolled.loops)
    splitAtStrides(loop, kept);
  rolled.loops = std::move(kept);
  return std::move(rolled);
}

RolledStep ingot::plan::rollStep(Step &step) { return Roller(step).run(); }
