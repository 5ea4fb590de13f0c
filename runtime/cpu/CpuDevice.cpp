//===- CpuDevice.cpp - The CPU as a device ----------------------------------------------------===//
//
// Everything is done when a call returns: queues have nothing to wait for and events are times.
// Code is checked (ElfCheck) before it is loaded (ElfLoad), and leaves with its module.
//
//===------------------------------------------------------------------------------------------===//

#include "runtime/cpu/CpuDevice.h"
#include "runtime/cpu/ElfLoad.h"
#include "runtime/cpu/Measure.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>

using namespace ingot;
using namespace ingot::runtime;
using namespace ingot::runtime::cpu;

namespace {

class HostMemory : public DeviceMemory {
public:
  explicit HostMemory(MappedMemory memory) : owned(std::move(memory)) { show(owned.view()); }

protected:
  HostMemory() = default;
  void show(Bytes view) {
    base = const_cast<std::byte *>(view.data());
    bytes = view.size();
    hostAccessible = true;
  }

private:
  MappedMemory owned;
};

/// Bytes of a mapped file, which a thread brings into memory from the first on while the model may
/// already run.
class BorrowedMemory : public HostMemory {
public:
  explicit BorrowedMemory(Bytes borrowed) {
    show(borrowed);
    if (!borrowed.empty())
      prefault = std::thread([this, borrowed] { touch(borrowed); });
  }
  ~BorrowedMemory() override {
    stopping.store(true, std::memory_order_relaxed); // orders nothing
    if (prefault.joinable())
      prefault.join();
  }

private:
  void touch(Bytes rest) const {
    constexpr size_t pieceBytes = 1 << 20;
    while (!rest.empty() && !stopping.load(std::memory_order_relaxed)) {
      Bytes piece = rest.first(std::min(rest.size(), pieceBytes));
      MappedMemory::bringIntoMemory(piece);
      rest = rest.subspan(piece.size());
    }
  }

  std::atomic<bool> stopping = false;
  std::thread prefault;
};

class ReachedEvent : public Event {
public:
  ReachedEvent()
      : nanoseconds(std::chrono::duration_cast<std::chrono::nanoseconds>(
                        std::chrono::steady_clock::now().time_since_epoch())
                        .count()) {}
  Status wait() override { return Status::success(); }
  uint64_t getNanoseconds() const override { return nanoseconds; }

private:
  uint64_t nanoseconds;
};

/// Does everything before it returns, so that nothing is left to wait for.
class CpuQueue : public Queue {
public:
  explicit CpuQueue(WorkerPool &pool) : pool(pool) {}
  Status copy(void *to, const void *from, uint64_t bytes) override {
    if (bytes)
      std::memmove(to, from, bytes);
    return Status::success();
  }
  Status fill(void *to, std::byte value, uint64_t bytes) override {
    if (bytes)
      std::memset(to, int(value), bytes);
    return Status::success();
  }
  Status launch(std::span<const Launch> launches, const int64_t *counts) override {
    pool.run(launches, counts);
    return Status::success();
  }
  Status launchTimed(std::span<const Launch> launches, const int64_t *counts,
                     uint64_t *nanoseconds) override {
    pool.run(launches, counts, nanoseconds);
    return Status::success();
  }
  Status run(const Step &step) override {
    INGOT_RETURN_IF_ERROR(copy(step.input.to, step.input.from, step.input.bytes));
    pool.run(step.launches, step.counts);
    return copy(step.output.to, step.output.from, step.output.bytes);
  }
  Result<uint64_t> timeStep(const Step &step, unsigned repeats) override {
    ReachedEvent begin;
    for (unsigned i = 0; i < repeats; ++i)
      INGOT_RETURN_IF_ERROR(run(step));
    return (ReachedEvent().getNanoseconds() - begin.getNanoseconds()) / std::max(repeats, 1u);
  }
  Result<std::unique_ptr<Event>> record() override {
    return std::unique_ptr<Event>(std::make_unique<ReachedEvent>());
  }
  Status synchronize() override { return Status::success(); }

private:
  WorkerPool &pool;
};

/// A huge page: it lies on the node of the worker that touches it first, so that weights are spread
/// over the nodes as workers are, which all read all of them.
constexpr uint64_t copyPieceBytes = 2 << 20;

/// A kernel: arguments are the source and the destination, x is the piece.
void copyPiece(void *const *arguments, const int64_t *, int64_t x, int64_t, int64_t) {
  auto &source = *static_cast<const ByteSource *>(arguments[0]);
  auto &to = *static_cast<const std::span<std::byte> *>(arguments[1]);
  uint64_t offset = x * copyPieceBytes;
  source(offset, to.subspan(offset, std::min(copyPieceBytes, to.size() - offset)));
}

void copyInParallel(WorkerPool &pool, const ByteSource &source, std::span<std::byte> to) {
  void *arguments[] = {const_cast<ByteSource *>(&source), &to};
  Grid grid{int64_t((to.size() + copyPieceBytes - 1) / copyPieceBytes), 1, 1};
  Launch launch{reinterpret_cast<Kernel>(&copyPiece), arguments, 2, &grid};
  pool.run({&launch, 1}, nullptr);
}

} // namespace

CpuDevice::CpuDevice(const CpuOptions &options, Features features)
    : features(std::move(features)), placement(options.weights),
      pool({options.threads, options.pin}) {}

std::string CpuDevice::describe() const {
  return formatText("cpu:%s, %u threads", features.describe().c_str(), pool.size());
}

Result<const Section *> CpuDevice::selectCode(const Artifact &artifact) const {
  const Section *best = nullptr;
  int bestRank = -1;
  std::string refusals;
  for (const Section &section : artifact.getSections()) {
    if (section.kind != format::SectionKind::Kernels)
      continue;
    Result<int> rank = features.rank(section.target);
    if (!rank)
      refusals += (refusals.empty() ? "" : "; ") + rank.message();
    else if (*rank > bestRank) {
      best = &section;
      bestRank = *rank;
    }
  }
  if (!best)
    return INGOT_ERROR("%s: no code for this CPU: %s", artifact.getPath().c_str(),
                       refusals.c_str());
  return best;
}

Result<std::unique_ptr<Module>> CpuDevice::loadModule(Bytes code) {
  Result<KernelElf> elf = checkKernelElf(code);
  if (!elf)
    return elf.takeStatus().withContext("kernel code");
  return loadKernelElf(code, *elf);
}

Result<std::unique_ptr<DeviceMemory>> CpuDevice::allocate(uint64_t bytes) {
  Result<MappedMemory> memory = MappedMemory::allocate(bytes);
  if (!memory)
    return memory.takeStatus();
  return std::unique_ptr<DeviceMemory>(std::make_unique<HostMemory>(std::move(*memory)));
}

bool CpuDevice::readsInPlace(uint64_t bytes) const {
  if (placement == WeightPlacement::Automatic)
    return bytes == 0 || bytes > readAvailableMemory() / 2;
  return bytes == 0 || placement == WeightPlacement::Mapped;
}

Result<std::unique_ptr<DeviceMemory>> CpuDevice::importBytes(Bytes bytes) {
  if (!readsInPlace(bytes.size()))
    return importBytes(bytes.size(), [bytes](uint64_t offset, std::span<std::byte> to) {
      std::memcpy(to.data(), bytes.data() + offset, to.size());
    });
  return std::unique_ptr<DeviceMemory>(std::make_unique<BorrowedMemory>(bytes));
}

Result<std::unique_ptr<DeviceMemory>> CpuDevice::importBytes(uint64_t bytes,
                                                             const ByteSource &source) {
  Result<MappedMemory> copy = MappedMemory::allocate(bytes);
  if (!copy)
    return copy.takeStatus();
  copyInParallel(pool, source, {copy->data(), copy->size()});
  return std::unique_ptr<DeviceMemory>(std::make_unique<HostMemory>(std::move(*copy)));
}

Result<std::unique_ptr<Queue>> CpuDevice::createQueue() {
  return std::unique_ptr<Queue>(std::make_unique<CpuQueue>(pool));
}

Result<DeviceSpeed> CpuDevice::measureSpeed() { return cpu::measureSpeed(pool, features); }
