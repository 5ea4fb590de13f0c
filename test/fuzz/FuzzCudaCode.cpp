//===- FuzzCudaCode.cpp - Code for GPUs of any content is read safely -------------------------------===//

#include "runtime/cuda/CudaCode.h"

#include <cstdlib>

using namespace ingot::runtime;
using namespace ingot::runtime::cuda;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  Bytes section = std::as_bytes(std::span(data, size));
  Result<CudaCode> code = readCudaCode(section);
  if (!code)
    return code.message().empty() ? std::abort(), 0 : 0;
  // What was accepted lies in the section, ends where the driver will stop, and has one verdict.
  for (Bytes part : {code->ptx, code->cubin})
    if (!part.empty() && (part.data() < section.data() ||
                          part.data() + part.size() > section.data() + section.size()))
      std::abort();
  if (!code->ptx.empty() &&
      std::string_view(reinterpret_cast<const char *>(code->ptx.data())).size() + 1 !=
          code->ptx.size())
    std::abort();
  GpuProperties gpu = {};
  for (unsigned capability : {75, 80, 86, 90, 100, 120}) {
    gpu.capability = capability;
    bool runs = rankCode(*code, "cuda:x", gpu).ok();
    if (runs && code->ptx.empty() && !cubinFits(*code, gpu))
      std::abort();
  }
  return 0;
}
