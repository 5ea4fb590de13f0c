//===- GpuDevices.h - GPUs for tests: the fake one, and a real one where there is one -----------===//

#ifndef INGOT_TEST_RUNTIME_GPUDEVICES_H
#define INGOT_TEST_RUNTIME_GPUDEVICES_H

#include "runtime/cuda/CudaDevice.h"
#include "test/unit/runtime/FakeCuda.h"
#include "test/unit/runtime/GpuCode.h"

#include <cstdlib>
#include <dlfcn.h>
#include <filesystem>
#include <gtest/gtest.h>

namespace ingot::test {

/// In the build's folder, wherever that was copied to.
inline const char *findFakeLibrary() {
  static const std::string library =
      std::filesystem::read_symlink("/proc/self/exe").parent_path().parent_path() /
      "test/fake-cuda/libcuda.so.1";
  return library.c_str();
}

inline FakeCuda &getFakeCuda() {
  static FakeCuda *fake = [] {
    void *library = dlopen(findFakeLibrary(), RTLD_NOW);
    void *symbol = library ? dlsym(library, "fakeCuda") : nullptr;
    if (!symbol) {
      std::fprintf(stderr, "%s\n", dlerror());
      std::abort();
    }
    return static_cast<FakeCuda *>(symbol);
  }();
  return *fake;
}

inline runtime::cuda::CudaOptions getFakeOptions() {
  runtime::cuda::CudaOptions options;
  options.library = findFakeLibrary();
  return options;
}

inline std::unique_ptr<runtime::Device> openFakeGpu() {
  getFakeCuda().reset();
  auto device = runtime::cuda::CudaDevice::open(getFakeOptions());
  if (device.ok())
    return std::move(*device);
  ADD_FAILURE() << device.message();
  return nullptr;
}

inline std::unique_ptr<runtime::Device> openGpu() {
  auto device = runtime::cuda::CudaDevice::open();
  return device.ok() ? std::unique_ptr<runtime::Device>(std::move(*device)) : nullptr;
}

} // namespace ingot::test

#endif // INGOT_TEST_RUNTIME_GPUDEVICES_H
