//===- CudaModule.h - The code of an artefact on a GPU ----------------------------------------===//
//
// The cubin is loaded where it fits; else the driver compiles the PTX, and what it made is kept in
// a cache directory (CodeCache.h), so that this is done once.
//
//===------------------------------------------------------------------------------------------===//

#ifndef INGOT_RUNTIME_CUDA_CUDAMODULE_H
#define INGOT_RUNTIME_CUDA_CUDAMODULE_H

#include "runtime/cuda/CudaContext.h"

#include <deque>
#include <mutex>

namespace ingot::runtime::cuda {

/// What `Kernel` points to.
struct CudaKernel {
  Function function;
  KernelShape shape;
};

class CudaModule : public Module {
public:
  /// An empty `cacheDirectory` keeps nothing.
  static Result<std::unique_ptr<CudaModule>> load(ContextRef context, Bytes section,
                                                  const std::string &cacheDirectory);
  /// PTX that the program itself wrote.
  static Result<std::unique_ptr<CudaModule>> loadText(ContextRef context, const std::string &ptx);
  ~CudaModule() override;
  Result<Kernel> findKernel(std::string_view symbol, const KernelShape &shape) const override;

private:
  CudaModule(ContextRef context) : context(std::move(context)) {}
  Status loadCubin(const CudaCode &code);
  Status loadPtx(const CudaCode &code, const std::string &cacheDirectory);
  Result<std::vector<std::byte>> compilePtx(const CudaCode &code) const;

  ContextRef context;
  DriverModule module = nullptr;
  mutable std::mutex mutex;               ///< guards `kernels`
  mutable std::deque<CudaKernel> kernels; ///< handed out by address
};

} // namespace ingot::runtime::cuda

#endif // INGOT_RUNTIME_CUDA_CUDAMODULE_H
