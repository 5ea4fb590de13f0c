//===- CudaCode.h - The code of an artefact for GPUs ------------------------------------------===//
//
// A Kernels section for GPUs holds PTX, which the driver compiles for whatever GPU there is, and
// perhaps a cubin, machine code for one chip (format::CudaCodeHeader). Here it is read and judged;
// CudaModule.h loads it.
//
//===------------------------------------------------------------------------------------------===//

#ifndef INGOT_RUNTIME_CUDA_CUDACODE_H
#define INGOT_RUNTIME_CUDA_CUDACODE_H

#include "runtime/core/Artifact.h"

namespace ingot::runtime::cuda {

/// What code must know of a GPU.
struct GpuProperties {
  std::string name;
  unsigned index;      ///< as users count
  unsigned capability; ///< compute capability times ten: 90
  unsigned multiprocessors;
  unsigned sharedBytesOfBlock;
  uint64_t memoryBytes;
};

/// A section, looked into.
struct CudaCode {
  Bytes ptx; ///< with the NUL that ends it; empty: none
  Bytes cubin;
  unsigned ptxVersion; ///< 83 for 8.3
  unsigned capability; ///< 90 for 9.0
  bool isExact;        ///< runs on this capability alone (sm_90a), not on later ones
};

/// Believes nothing: the section comes from a file.
Result<CudaCode> readCudaCode(Bytes section);

/// Higher is better; or why the GPU cannot run it. `target` is what errors call the code.
Result<int> rankCode(const CudaCode &code, std::string_view target, const GpuProperties &gpu);

/// Whether the GPU runs the cubin as it is.
bool cubinFits(const CudaCode &code, const GpuProperties &gpu);

/// "9.0" for 90.
std::string printCapability(unsigned capability);

} // namespace ingot::runtime::cuda

#endif // INGOT_RUNTIME_CUDA_CUDACODE_H
