//===- Upload.h - Bytes of the host into a GPU, fast --------------------------------------------===//
//
// Several threads ask the source (a mapped file gives one thread a fraction of what the bus takes)
// into pinned buffers, from which the GPU fetches while the next ones are filled.
//
//===------------------------------------------------------------------------------------------===//

#ifndef INGOT_RUNTIME_CUDA_UPLOAD_H
#define INGOT_RUNTIME_CUDA_UPLOAD_H

#include "runtime/cuda/CudaContext.h"

namespace ingot::runtime::cuda {

/// Returns when all bytes are there. Several threads read the source (a mapped file gives one
/// thread a fraction of what the bus takes) into pinned buffers, from which the GPU fetches while
/// the next ones are filled.
Status upload(const ContextRef &context, const ByteSource &source, std::span<std::byte> to);

} // namespace ingot::runtime::cuda

#endif // INGOT_RUNTIME_CUDA_UPLOAD_H
