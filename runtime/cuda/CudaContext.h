//===- CudaContext.h - One GPU, opened ----------------------------------------------------------===//
//
// The driver with a device and its primary context, held for as long as anything lives there:
// memory, code and queues share it, so that they may be let go in any order. The driver keeps a
// current context for each thread; `use` sets it, and stands before every call that needs one.
//
//===------------------------------------------------------------------------------------------===//

#ifndef INGOT_RUNTIME_CUDA_CUDACONTEXT_H
#define INGOT_RUNTIME_CUDA_CUDACONTEXT_H

#include "runtime/core/Device.h"
#include "runtime/cuda/CudaCode.h"
#include "runtime/cuda/Driver.h"

namespace ingot::runtime::cuda {

class CudaContext {
public:
  static Result<std::shared_ptr<const CudaContext>> open(const Driver &driver, unsigned index);
  ~CudaContext();

  const Driver &getDriver() const { return driver; }
  const GpuProperties &getProperties() const { return properties; }
  /// Makes the context that of the calling thread.
  Status use() const { return driver.check(driver.setContext(context), "cannot use the GPU"); }
  /// `use` for destructors, which report nothing: a lost GPU has already been reported.
  bool tryUse() const { return driver.setContext(context) == codeSuccess; }
  Result<uint64_t> getFreeBytes() const;

private:
  CudaContext(const Driver &driver) : driver(driver) {}
  Status readProperties(unsigned index);

  const Driver &driver;
  DeviceNumber device = 0;
  Context context = nullptr;
  GpuProperties properties = {};
};

using ContextRef = std::shared_ptr<const CudaContext>;

/// Memory of the GPU.
class GpuMemory : public DeviceMemory {
public:
  /// As it comes: not zeroed.
  static Result<std::unique_ptr<GpuMemory>> allocate(ContextRef context, uint64_t bytes);
  ~GpuMemory() override;

private:
  GpuMemory(ContextRef context) : context(std::move(context)) {}
  ContextRef context;
};

/// Memory of the host that the GPU reads and writes without detours.
class PinnedMemory : public DeviceMemory {
public:
  /// As it comes: not zeroed.
  static Result<std::unique_ptr<PinnedMemory>> allocate(ContextRef context, uint64_t bytes);
  ~PinnedMemory() override;

private:
  PinnedMemory(ContextRef context) : context(std::move(context)) {}
  ContextRef context;
};

/// An address as the driver writes it. The driver tells addresses of host and GPU apart itself.
inline Address toAddress(const void *pointer) { return reinterpret_cast<Address>(pointer); }

} // namespace ingot::runtime::cuda

#endif // INGOT_RUNTIME_CUDA_CUDACONTEXT_H
