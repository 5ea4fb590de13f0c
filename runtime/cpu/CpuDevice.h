//===- CpuDevice.h - The CPU as a device ------------------------------------------------------===//
//
// Memory is the host's, weights are used where they are mapped, code is an ELF shared object that
// is copied and relocated in memory, a queue runs what it is given at once on the worker pool.
// Queues of one device share its pool and wait for each other.
//
//===------------------------------------------------------------------------------------------===//

#ifndef INGOT_RUNTIME_CPU_CPUDEVICE_H
#define INGOT_RUNTIME_CPU_CPUDEVICE_H

#include "runtime/core/Device.h"
#include "runtime/cpu/Features.h"
#include "runtime/cpu/WorkerPool.h"

namespace ingot::runtime::cpu {

/// Where weights are read from. Mapped pages of a file are small, and looking them up costs: on an
/// EPYC 7003 under KVM reading the 98 MB of a file took 16 GB/s, a copy on huge pages 21 GB/s. A
/// copy needs the memory, and is not shared by processes.
enum class WeightPlacement {
  Automatic, ///< a copy if at most half of the available memory goes into it
  Mapped,
  Copied,
};

struct CpuOptions {
  unsigned threads = 0; ///< as in WorkerPoolOptions
  bool pin = true;
  WeightPlacement weights = WeightPlacement::Automatic;
};

class CpuDevice : public Device {
public:
  explicit CpuDevice(const CpuOptions &options = {}, Features features = Features::detect());

  std::string describe() const override;
  unsigned getThreadCount() const override { return pool.size(); }
  Result<const Section *> selectCode(const Artifact &artifact) const override;
  Result<std::unique_ptr<Module>> loadModule(Bytes code) override;
  Result<std::unique_ptr<DeviceMemory>> allocate(uint64_t bytes) override;
  Result<std::unique_ptr<DeviceMemory>> allocateStaging(uint64_t bytes) override {
    return allocate(bytes);
  }
  bool readsInPlace(uint64_t bytes) const override;
  Result<std::unique_ptr<DeviceMemory>> importBytes(Bytes bytes) override;
  Result<std::unique_ptr<DeviceMemory>> importBytes(uint64_t bytes,
                                                    const ByteSource &source) override;
  Result<std::unique_ptr<Queue>> createQueue() override;
  Result<DeviceSpeed> measureSpeed() override;

private:
  Features features;
  WeightPlacement placement;
  WorkerPool pool;
};

} // namespace ingot::runtime::cpu

#endif // INGOT_RUNTIME_CPU_CPUDEVICE_H
