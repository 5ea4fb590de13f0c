//===- CudaDevice.cpp - An NVIDIA GPU as a device ---------------------------------------------===//

#include "runtime/cuda/CudaDevice.h"
#include "runtime/cuda/CudaModule.h"
#include "runtime/cuda/CudaQueue.h"
#include "runtime/cuda/Measure.h"
#include "runtime/cuda/Upload.h"

#include <bit>
#include <cstring>

using namespace ingot;
using namespace ingot::runtime;
using namespace ingot::runtime::cuda;

static std::string printGpu(const GpuProperties &gpu) {
  return gpu.name + ", compute capability " + printCapability(gpu.capability);
}

Result<std::unique_ptr<CudaDevice>> CudaDevice::open(const CudaOptions &options) {
  Result<const Driver *> driver = Driver::load(options.library);
  if (!driver)
    return driver.takeStatus().withContext(formatText("cuda:%u", options.index));
  Result<ContextRef> context = CudaContext::open(**driver, options.index);
  if (!context)
    return context.takeStatus();
  return std::unique_ptr<CudaDevice>(new CudaDevice(std::move(*context), options));
}

std::string CudaDevice::describe() const {
  const GpuProperties &gpu = context->getProperties();
  return formatText("cuda:%u, %s, %u multiprocessors, driver for CUDA %s", gpu.index,
                    printGpu(gpu).c_str(), gpu.multiprocessors,
                    printVersion(context->getDriver().version).c_str());
}

Result<const Section *> CudaDevice::selectCode(const Artifact &artifact) const {
  const Section *best = nullptr;
  int bestRank = -1;
  std::string refusals;
  for (const Section &section : artifact.getSections()) {
    if (section.kind != format::SectionKind::Kernels)
      continue;
    auto rank = [&]() -> Result<int> {
      if (!section.target.starts_with("cuda:"))
        return INGOT_ERROR("'%.*s' is for CPUs", int(section.target.size()), section.target.data());
      Result<CudaCode> code = readCudaCode(section.bytes);
      if (!code)
        return code.takeStatus().withContext("'" + std::string(section.target) + "'");
      return rankCode(*code, section.target, context->getProperties());
    }();
    if (!rank)
      refusals += (refusals.empty() ? "" : "; ") + rank.message();
    else if (*rank > bestRank) {
      best = &section;
      bestRank = *rank;
    }
  }
  if (!best)
    return INGOT_ERROR("%s: no code for this GPU (%s): %s", artifact.getPath().c_str(),
                       printGpu(context->getProperties()).c_str(), refusals.c_str());
  return best;
}

Result<std::unique_ptr<Module>> CudaDevice::loadModule(Bytes code) {
  Result<std::unique_ptr<CudaModule>> module =
      CudaModule::load(context, code, options.cacheDirectory);
  if (!module)
    return module.takeStatus();
  return std::unique_ptr<Module>(std::move(*module));
}

Status CudaDevice::checkMemory(const MemoryUse &need) const {
  Result<uint64_t> free = context->getFreeBytes();
  if (!free)
    return free.takeStatus();
  uint64_t wanted = need.weights + need.arena + need.cache + need.inputs;
  if (wanted <= *free)
    return Status::success();
  auto print = [](uint64_t bytes) { return double(bytes) / double(1 << 20); };
  return INGOT_ERROR(
      "%.1f MiB of memory are missing on cuda:%u: %.1f are needed (weights %.1f, cache %.1f, "
      "activations %.1f), %.1f of %.1f are free; a smaller --max-context or --max-batch needs less",
      print(wanted - *free), context->getProperties().index, print(wanted), print(need.weights),
      print(need.cache), print(need.arena + need.inputs), print(*free),
      print(context->getProperties().memoryBytes));
}

Result<std::unique_ptr<DeviceMemory>> CudaDevice::allocate(uint64_t bytes) {
  Result<std::unique_ptr<GpuMemory>> memory = GpuMemory::allocate(context, bytes);
  if (!memory)
    return memory.takeStatus();
  if (bytes) {
    const Driver &driver = context->getDriver();
    constexpr Stream defaultStream = nullptr; // queues do not wait for it, nor it for them
    const char *action = "cannot clear the GPU's memory";
    INGOT_RETURN_IF_ERROR(driver.check(
        driver.fillAsync(toAddress((*memory)->address()), 0, bytes, defaultStream), action));
    INGOT_RETURN_IF_ERROR(driver.check(driver.synchronizeStream(defaultStream), action));
  }
  return std::unique_ptr<DeviceMemory>(std::move(*memory));
}

Result<std::unique_ptr<DeviceMemory>> CudaDevice::allocateStaging(uint64_t bytes) {
  Result<std::unique_ptr<PinnedMemory>> memory = PinnedMemory::allocate(context, bytes);
  if (!memory)
    return memory.takeStatus();
  if (bytes)
    std::memset((*memory)->address(), 0, bytes);
  return std::unique_ptr<DeviceMemory>(std::move(*memory));
}

Result<std::unique_ptr<DeviceMemory>> CudaDevice::importBytes(Bytes bytes) {
  return importBytes(bytes.size(), [bytes](uint64_t offset, std::span<std::byte> to) {
    std::memcpy(to.data(), bytes.data() + offset, to.size());
  });
}

Result<std::unique_ptr<DeviceMemory>> CudaDevice::importBytes(uint64_t bytes,
                                                              const ByteSource &source) {
  Result<std::unique_ptr<GpuMemory>> memory = GpuMemory::allocate(context, bytes);
  if (!memory)
    return memory.takeStatus();
  INGOT_RETURN_IF_ERROR(upload(context, source, {(*memory)->address(), bytes}));
  return std::unique_ptr<DeviceMemory>(std::move(*memory));
}

/// At most 8 steps to each doubling, so that graphs are few and at most an eighth of the blocks
/// have nothing to do.
uint64_t CudaDevice::roundCount(uint64_t count) const {
  if (count <= 16)
    return count;
  uint64_t unit = std::bit_floor(count - 1) / 8;
  return (count + unit - 1) / unit * unit;
}

Result<std::unique_ptr<Queue>> CudaDevice::createQueue() {
  Result<std::unique_ptr<CudaQueue>> queue = CudaQueue::create(context);
  if (!queue)
    return queue.takeStatus();
  return std::unique_ptr<Queue>(std::move(*queue));
}

Result<DeviceSpeed> CudaDevice::measureSpeed() { return cuda::measureSpeed(context); }
