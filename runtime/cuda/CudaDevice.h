//===- CudaDevice.h - An NVIDIA GPU as a device -------------------------------------------------===//
//
// Memory is the GPU's, code is PTX or a cubin (CudaModule.h), a queue is a stream whose steps
// become graphs (CudaQueue.h). Weights come in through pinned memory, in large pieces (Upload.h).
// The driver is found when a device is opened: without one, opening says so.
//
//===------------------------------------------------------------------------------------------===//

#ifndef INGOT_RUNTIME_CUDA_CUDADEVICE_H
#define INGOT_RUNTIME_CUDA_CUDADEVICE_H

#include "runtime/cuda/CudaContext.h"

namespace ingot::runtime::cuda {

struct CudaOptions {
  unsigned index = 0; ///< which GPU, as the driver counts
  /// Where kernels that the driver compiled are kept; empty: nowhere.
  std::string cacheDirectory;
  const char *library = Driver::defaultLibrary;
};

class CudaDevice : public Device {
public:
  static Result<std::unique_ptr<CudaDevice>> open(const CudaOptions &options = {});

  std::string describe() const override;
  /// Multiprocessors.
  unsigned getThreadCount() const override { return context->getProperties().multiprocessors; }
  Result<const Section *> selectCode(const Artifact &artifact) const override;
  Result<std::unique_ptr<Module>> loadModule(Bytes code) override;
  Status checkMemory(const MemoryUse &need) const override;
  Result<std::unique_ptr<DeviceMemory>> allocate(uint64_t bytes) override;
  Result<std::unique_ptr<DeviceMemory>> allocateStaging(uint64_t bytes) override;
  Result<std::unique_ptr<DeviceMemory>> importBytes(Bytes bytes) override;
  Result<std::unique_ptr<DeviceMemory>> importBytes(uint64_t bytes,
                                                    const ByteSource &source) override;
  uint64_t roundCount(uint64_t count) const override;
  Result<std::unique_ptr<Queue>> createQueue() override;
  Result<DeviceSpeed> measureSpeed() override;

private:
  CudaDevice(ContextRef context, const CudaOptions &options)
      : context(std::move(context)), options(options) {}

  ContextRef context;
  CudaOptions options;
};

} // namespace ingot::runtime::cuda

#endif // INGOT_RUNTIME_CUDA_CUDADEVICE_H
