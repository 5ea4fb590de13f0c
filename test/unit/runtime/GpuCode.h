//===- GpuCode.h - The toy kernels as a section for GPUs ----------------------------------------===//

#ifndef INGOT_TEST_RUNTIME_GPUCODE_H
#define INGOT_TEST_RUNTIME_GPUCODE_H

#include "test/unit/runtime/ToyModel.h"

namespace ingot::test {

struct GpuCode {
  static constexpr uint32_t threads = 32; ///< of a block of the toy kernels

  /// TestKernelsGpu.c, compiled; with a NUL at the end.
  static std::string getPtx() {
    static constexpr char text[] = {
#embed INGOT_TEST_PTX suffix(, 0)
    };
    return {text, sizeof text};
  }

  static std::vector<std::byte> makeSection(const std::string &ptx, const std::string &cubin = "",
                                            uint32_t capability = 90, bool isExact = false) {
    format::CudaCodeHeader header = {};
    uint64_t cubinOffset = (sizeof header + ptx.size() + 15) / 16 * 16;
    header.ptx = {sizeof header, ptx.size()};
    header.cubin = {cubinOffset, cubin.size()};
    header.ptxVersion = 78;
    header.capability = capability;
    header.isExact = isExact;
    std::vector<std::byte> bytes(cubinOffset + cubin.size());
    std::memcpy(bytes.data(), &header, sizeof header);
    std::memcpy(bytes.data() + sizeof header, ptx.data(), ptx.size());
    std::memcpy(bytes.data() + cubinOffset, cubin.data(), cubin.size());
    return bytes;
  }

  static std::vector<std::byte> readKernels() { return makeSection(getPtx()); }

  /// The toy model with this code instead of a CPU's.
  static ArtifactBuilder makeBuilder() {
    ArtifactBuilder builder = Toy::makeBuilder();
    builder.code = {{"cuda:sm_90", readKernels()}};
    for (format::KernelRecord &kernel : builder.kernels) {
      kernel.threads = threads;
      kernel.flags = format::DependentLaunch;
    }
    return builder;
  }
};

} // namespace ingot::test

#endif // INGOT_TEST_RUNTIME_GPUCODE_H
