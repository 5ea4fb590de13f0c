//===- Measure.h - How fast a GPU reads and multiplies ------------------------------------------===//
//
// The roofs that a report names beside what a model reached: measured on this GPU, in this run,
// with kernels of the runtime's own.
//
//===------------------------------------------------------------------------------------------===//

#ifndef INGOT_RUNTIME_CUDA_MEASURE_H
#define INGOT_RUNTIME_CUDA_MEASURE_H

#include "runtime/cuda/CudaContext.h"

namespace ingot::runtime::cuda {

/// Reads of its memory, and bf16 products with float32 sums.
Result<DeviceSpeed> measureSpeed(const ContextRef &context);

/// The PTX of the two kernels, for a GPU of this capability.
std::string writeMeasureKernels(unsigned capability);

} // namespace ingot::runtime::cuda

#endif // INGOT_RUNTIME_CUDA_MEASURE_H
