//===- CpuDevice.h - The CPU as a device ------------------------------------------------------===//
//
// Memory is the host's, weights are used where they are mapped, code is an ELF shared object that
// the dynamic loader takes from a memory file, a queue runs what it is given at once on the worker
// pool. Queues of one device share its pool: one thread uses a device at a time.
//
//===------------------------------------------------------------------------------------------===//

#ifndef INGOT_RUNTIME_CPU_CPUDEVICE_H
#define INGOT_RUNTIME_CPU_CPUDEVICE_H

#include "runtime/core/Device.h"
#include "runtime/cpu/Features.h"
#include "runtime/cpu/WorkerPool.h"

namespace ingot::runtime::cpu {

class CpuDevice : public Device {
public:
  explicit CpuDevice(const WorkerPoolOptions &options = {}, Features features = Features::detect());

  std::string describe() const override;
  unsigned getThreadCount() const override { return pool.size(); }
  Result<const Section *> selectCode(const Artifact &artifact) const override;
  Result<std::unique_ptr<Module>> loadModule(Bytes code) override;
  Result<std::unique_ptr<DeviceMemory>> allocate(uint64_t bytes) override;
  Result<std::unique_ptr<DeviceMemory>> importBytes(Bytes bytes) override;
  Result<std::unique_ptr<Queue>> createQueue() override;
  Result<DeviceSpeed> measureSpeed() override;

private:
  Features features;
  WorkerPool pool;
};

} // namespace ingot::runtime::cpu

#endif // INGOT_RUNTIME_CPU_CPUDEVICE_H
