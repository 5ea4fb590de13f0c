//===- Driver.cpp - The CUDA driver, found at run time ----------------------------------------===//
//
// The library stays open for the life of the process: the driver has threads of its own, which must
// not lose their code.
//
//===------------------------------------------------------------------------------------------===//

#include "runtime/cuda/Driver.h"

#include <dlfcn.h>
#include <map>
#include <mutex>

using namespace ingot::runtime;
using namespace ingot::runtime::cuda;

Result<const Driver *> Driver::load(const char *library) {
  static std::mutex mutex;
  static std::map<std::string, std::unique_ptr<const Driver>> loaded;
  std::lock_guard lock(mutex);
  std::unique_ptr<const Driver> &known = loaded[library];
  if (!known) {
    Result<const Driver *> opened = open(library);
    if (!opened)
      return opened;
    known.reset(*opened);
  }
  return known.get();
}

Result<const Driver *> Driver::open(const char *library) {
  void *handle = dlopen(library, RTLD_NOW | RTLD_LOCAL);
  if (!handle)
    return INGOT_ERROR("this machine has no NVIDIA driver: %s", dlerror());
  auto driver = std::make_unique<Driver>();
#define INGOT_CUDA_FIND(member, symbol, parameters)                                                \
  driver->member = reinterpret_cast<decltype(driver->member)>(dlsym(handle, #symbol));             \
  if (!driver->member)                                                                             \
    return INGOT_ERROR("the NVIDIA driver is too old: it lacks " #symbol                           \
                       ", which came with CUDA 12; update the driver");
  INGOT_CUDA_FUNCTIONS(INGOT_CUDA_FIND)
#undef INGOT_CUDA_FIND
  Code code = driver->init(0);
  if (code == codeNoDevice)
    return INGOT_ERROR("this machine has no NVIDIA GPU: the driver finds none");
  if (code == codeStub)
    return INGOT_ERROR("this machine has no NVIDIA driver: %s is the toolkit's stub", library);
  if (code == codeMismatch)
    return INGOT_ERROR("the NVIDIA driver's library and its kernel module are of different "
                       "versions; restart the machine");
  INGOT_RETURN_IF_ERROR(driver->check(code, "cannot start the NVIDIA driver"));
  INGOT_RETURN_IF_ERROR(
      driver->check(driver->getDriverVersion(&driver->version), "cannot ask the driver's version"));
  return driver.release();
}

/// What a code means for the user; null where the driver's own words must do.
static const char *explain(Code code) {
  switch (code) {
  case codeOutOfMemory:
    return "there is not enough";
  case codeDeviceUnavailable:
    return "the GPU is busy or was taken away";
  case codeUncorrectable:
    return "the GPU reports an error of its memory that it cannot correct; it must be restarted";
  case codeIllegalAddress:
    return "a kernel read or wrote memory that is not its own; the model must be opened again";
  case codeHardwareStack:
  case codeLaunchFailed:
    return "a kernel failed; the model must be opened again";
  case codeContextDestroyed:
  case codeUnknown:
    return "the GPU was lost";
  default:
    return nullptr;
  }
}

Status Driver::describe(Code code, const char *action) const {
  const char *name = nullptr, *text = nullptr;
  if (getErrorName(code, &name) != codeSuccess || !name)
    name = "unknown error";
  if (const char *words = explain(code))
    text = words;
  else if (getErrorText(code, &text) != codeSuccess || !text)
    text = "the driver does not say why";
  return INGOT_ERROR("%s: %s (%s, %d)", action, text, name, code);
}

std::string cuda::printVersion(int version) {
  return formatText("%d.%d", version / 1000, version % 1000 / 10);
}
