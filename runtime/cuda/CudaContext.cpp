//===- CudaContext.cpp - One GPU, opened ------------------------------------------------------===//

#include "runtime/cuda/CudaContext.h"

using namespace ingot::runtime;
using namespace ingot::runtime::cuda;

Result<ContextRef> CudaContext::open(const Driver &driver, unsigned index) {
  int count = 0;
  INGOT_RETURN_IF_ERROR(driver.check(driver.getDeviceCount(&count), "cannot count the GPUs"));
  if (count == 0)
    return INGOT_ERROR("this machine has no NVIDIA GPU: the driver finds none");
  if (index >= unsigned(count))
    return INGOT_ERROR("there is no GPU cuda:%u: the driver finds %d, from cuda:0 on", index,
                       count);
  std::shared_ptr<CudaContext> made(new CudaContext(driver));
  std::string action = formatText("cannot open GPU cuda:%u", index);
  INGOT_RETURN_IF_ERROR(driver.check(driver.getDevice(&made->device, int(index)), action.c_str()));
  INGOT_RETURN_IF_ERROR(
      driver.check(driver.retainContext(&made->context, made->device), action.c_str()));
  INGOT_RETURN_IF_ERROR(made->use());
  INGOT_RETURN_IF_ERROR(made->readProperties(index));
  return std::shared_ptr<const CudaContext>(std::move(made));
}

Status CudaContext::readProperties(unsigned index) {
  char name[256] = {};
  const char *action = "cannot ask what the GPU can do";
  INGOT_RETURN_IF_ERROR(driver.check(driver.getDeviceName(name, sizeof name - 1, device), action));
  properties.name = name;
  properties.index = index;
  int major = 0, minor = 0, multiprocessors = 0, shared = 0;
  struct {
    int attribute, &value;
  } const wanted[] = {{attributeMajor, major},
                      {attributeMinor, minor},
                      {attributeMultiprocessors, multiprocessors},
                      {attributeSharedBytesOfBlock, shared}};
  for (auto &[attribute, value] : wanted)
    INGOT_RETURN_IF_ERROR(driver.check(driver.getAttribute(&value, attribute, device), action));
  size_t free = 0, total = 0;
  INGOT_RETURN_IF_ERROR(driver.check(driver.getMemory(&free, &total), action));
  properties.capability = unsigned(major * 10 + minor);
  properties.multiprocessors = unsigned(multiprocessors);
  properties.sharedBytesOfBlock = unsigned(shared);
  properties.memoryBytes = total;
  return Status::success();
}

CudaContext::~CudaContext() {
  if (context)
    driver.releaseContext(device);
}

Result<uint64_t> CudaContext::getFreeBytes() const {
  INGOT_RETURN_IF_ERROR(use());
  size_t free = 0, total = 0;
  INGOT_RETURN_IF_ERROR(
      driver.check(driver.getMemory(&free, &total), "cannot ask for the GPU's free memory"));
  return uint64_t(free);
}

//===------------------------------------------------------------------------------------------===//
// Memory
//===------------------------------------------------------------------------------------------===//

Result<std::unique_ptr<GpuMemory>> GpuMemory::allocate(ContextRef context, uint64_t bytes) {
  INGOT_RETURN_IF_ERROR(context->use());
  const Driver &driver = context->getDriver();
  std::unique_ptr<GpuMemory> memory(new GpuMemory(std::move(context)));
  if (bytes) {
    Address address = 0;
    if (Code code = driver.allocate(&address, bytes))
      return driver.describe(code, formatText("cannot allocate %llu bytes of the GPU's memory",
                                              (unsigned long long)bytes)
                                       .c_str());
    memory->base = reinterpret_cast<std::byte *>(address);
  }
  memory->bytes = bytes;
  return memory;
}

GpuMemory::~GpuMemory() {
  if (base && context->tryUse())
    context->getDriver().free(toAddress(base));
}

Result<std::unique_ptr<PinnedMemory>> PinnedMemory::allocate(ContextRef context, uint64_t bytes) {
  INGOT_RETURN_IF_ERROR(context->use());
  const Driver &driver = context->getDriver();
  std::unique_ptr<PinnedMemory> memory(new PinnedMemory(std::move(context)));
  if (bytes) {
    void *address = nullptr;
    if (Code code = driver.allocateHost(&address, bytes, 0))
      return driver.describe(code, formatText("cannot allocate %llu bytes of pinned host memory",
                                              (unsigned long long)bytes)
                                       .c_str());
    memory->base = static_cast<std::byte *>(address);
  }
  memory->bytes = bytes;
  memory->hostAccessible = true;
  return memory;
}

PinnedMemory::~PinnedMemory() {
  if (base && context->tryUse())
    context->getDriver().freeHost(base);
}
