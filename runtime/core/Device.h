//===- Device.h - What a machine must be able to do -------------------------------------------===//
//
// The interface between the session and the hardware: memory, modules (code), queues and events.
// runtime/cpu implements it with threads, runtime/cuda with streams and graphs. Every
// implementation runs the suite test/unit/runtime/DeviceConformance.h.
//
// The session prepares everything ahead: launches with resolved addresses that never change while
// it lives, in order. A step only writes the inputs, evaluates the grids and hands the list to the
// queue.
//
//===------------------------------------------------------------------------------------------===//

#ifndef INGOT_RUNTIME_CORE_DEVICE_H
#define INGOT_RUNTIME_CORE_DEVICE_H

#include "runtime/core/Artifact.h"

#include <functional>
#include <memory>

namespace ingot::runtime {

/// Memory that kernels of the device can use.
class DeviceMemory {
public:
  virtual ~DeviceMemory() = default;
  std::byte *address() const { return base; } ///< as kernels see it
  uint64_t size() const { return bytes; }
  bool isHostAccessible() const { return hostAccessible; }

protected:
  std::byte *base = nullptr;
  uint64_t bytes = 0;
  bool hostAccessible = false;
};

/// Writes the bytes from an offset on.
using ByteSource = std::function<void(uint64_t offset, std::span<std::byte> to)>;

/// A function of a module, as its device understands it.
using Kernel = const void *;

/// How a GPU must launch a kernel; a CPU needs none of it. See format::KernelRecord.
struct KernelShape {
  uint32_t argumentCount = 0;
  uint32_t threads = 0;     ///< of a block
  uint32_t sharedBytes = 0; ///< dynamic, of a block
  bool isDependent = false; ///< may begin before the launch before it is complete
};

/// The code of one target, loaded.
class Module {
public:
  virtual ~Module() = default;
  virtual Result<Kernel> findKernel(std::string_view symbol, const KernelShape &shape) const = 0;
};

/// Numbers of blocks; all blocks with x below grid.x and so on are run, in no order.
struct Grid {
  int64_t x = 1, y = 1, z = 1;
};

/// One run of a kernel over a grid. `arguments` and `grid` stay the caller's and stay where they
/// are.
struct Launch {
  Kernel kernel = nullptr;
  void *const *arguments = nullptr;
  uint32_t argumentCount = 0;
  const Grid *grid = nullptr;
};

/// Bytes to bring from one place to another.
struct Copy {
  void *to = nullptr;
  const void *from = nullptr;
  uint64_t bytes = 0;
};

/// A copy, launches, a copy, in this order. Steps of the same `launches` (by address) and the same
/// `gridCounts` must be equal in everything else but the contents of memory and of `counts`: a
/// device may keep what it prepared for one and use it for the next.
struct Step {
  Copy input;
  std::span<const Launch> launches;
  const int64_t *counts = nullptr;       ///< as for `launch`
  const int64_t *deviceCounts = nullptr; ///< where kernels find them once `input` is copied
  const int64_t *gridCounts = nullptr;   ///< for which the grids were evaluated
  Copy output;
};

/// A point in a queue.
class Event {
public:
  virtual ~Event() = default;
  /// Returns when all work before the point is done.
  virtual Status wait() = 0;
  /// Nanoseconds of a steady clock at which the point was reached, after `wait`.
  virtual uint64_t getNanoseconds() const = 0;
};

/// Work in order: what is handed in later sees all effects of what was handed in earlier.
class Queue {
public:
  virtual ~Queue() = default;
  /// Copies between any two of host and device memory; both must stay until it is done.
  virtual Status copy(void *to, const void *from, uint64_t bytes) = 0;
  /// Sets bytes of device memory.
  virtual Status fill(void *to, std::byte value, uint64_t bytes) = 0;
  /// Runs the launches one after the other; blocks of one launch run in parallel. `counts`
  /// (format::countCount numbers in host memory) is read before this returns or must stay until
  /// `synchronize`.
  virtual Status launch(std::span<const Launch> launches, const int64_t *counts) = 0;
  /// The same, and measures: nanoseconds[i] becomes the time of launch i. Returns when all are
  /// done.
  virtual Status launchTimed(std::span<const Launch> launches, const int64_t *counts,
                             uint64_t *nanoseconds) = 0;
  /// Returns when all of the step is done.
  virtual Status run(const Step &step) = 0;
  /// Nanoseconds of a step that was run before, on the device alone: the mean of so many, one right
  /// after the other. What `run` takes beyond that is the host's.
  virtual Result<uint64_t> timeStep(const Step &step, unsigned repeats) = 0;
  virtual Result<std::unique_ptr<Event>> record() = 0;
  /// Returns when everything handed in is done.
  virtual Status synchronize() = 0;
};

/// The roofs of a report, in a second: bytes read, operations (a multiply-add counts as two) of
/// products in float32 on a CPU, in bf16 with float32 sums on a GPU, and of dot products of 8-bit
/// integers; what a launch takes that all workers have a block of; and what two workers take to
/// exchange a cache line, there and back. 0: not measured.
struct DeviceSpeed {
  double readBytesPerSecond, operationsPerSecond;
  double integerOperationsPerSecond = 0, launchSeconds = 0, exchangeSeconds = 0;
};

/// Bytes that a model and one session of it take.
struct MemoryUse {
  uint64_t weights, arena, cache, inputs;
};

class Device {
public:
  virtual ~Device() = default;
  /// For people and reports, as "cpu:x86-64-v3+avxvnni, 8 threads".
  virtual std::string describe() const = 0;
  virtual unsigned getThreadCount() const = 0;
  /// Of the artefact's Kernels sections the best that this device can run; else why it can run
  /// none.
  virtual Result<const Section *> selectCode(const Artifact &artifact) const = 0;
  virtual Result<std::unique_ptr<Module>> loadModule(Bytes code) = 0;
  /// Before anything is taken: says how much is missing. A device that takes memory as it is
  /// touched need not know.
  virtual Status checkMemory(const MemoryUse &) const { return Status::success(); }
  /// Zeroed memory.
  virtual Result<std::unique_ptr<DeviceMemory>> allocate(uint64_t bytes) = 0;
  /// Zeroed memory of the host that copies are fast from and to.
  virtual Result<std::unique_ptr<DeviceMemory>> allocateStaging(uint64_t bytes) = 0;
  /// Memory with the bytes that `source` writes, from several threads at once, a part each.
  virtual Result<std::unique_ptr<DeviceMemory>> importBytes(uint64_t bytes,
                                                            const ByteSource &source) = 0;
  /// Whether `importBytes` of so many bytes would leave them where they are.
  virtual bool readsInPlace(uint64_t bytes) const { return false; }
  /// Makes host bytes visible to kernels, read-only: in place where the device can, else by a copy.
  /// The host bytes must outlive the result.
  virtual Result<std::unique_ptr<DeviceMemory>> importBytes(Bytes bytes) = 0;
  /// The count to evaluate grids for where a step has `count`: the same, or a larger one where the
  /// device's kernels do nothing in blocks that are too many and few different steps are better.
  virtual uint64_t roundCount(uint64_t count) const { return count; }
  virtual Result<std::unique_ptr<Queue>> createQueue() = 0;
  /// Takes about a second.
  virtual Result<DeviceSpeed> measureSpeed() = 0;
};

} // namespace ingot::runtime

#endif // INGOT_RUNTIME_CORE_DEVICE_H
