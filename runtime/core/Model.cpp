//===- Model.cpp - An artefact on a device ----------------------------------------------------===//
//
// Chooses the code, loads it and finds every kernel of the plan at once, so that a missing one is
// an error when the model is opened and not in the middle of a step.
//
//===------------------------------------------------------------------------------------------===//

#include "runtime/core/Model.h"

using namespace ingot;
using namespace ingot::runtime;

InputLayout::InputLayout(const format::PlanHeader &header) {
  static_assert(uint32_t(format::Input::PageTable) == format::inputCount - 1);
  constexpr uint64_t alignment = 64;
  auto align = [](uint64_t bytes) { return (bytes + alignment - 1) / alignment * alignment; };
  offsets[0] = align(countsOffset + format::countCount * sizeof(int64_t));
  for (uint32_t i = 0; i < format::inputCount; ++i)
    offsets[i + 1] = align(offsets[i] + getInputItems(header, format::Input(i)) * sizeof(int32_t));
}

Result<std::unique_ptr<Model>> Model::open(const std::string &path, Device &device) {
  Result<Artifact> artifact = Artifact::open(path);
  if (!artifact)
    return artifact.takeStatus();
  return create(std::make_shared<const Artifact>(std::move(*artifact)), device);
}

Result<std::unique_ptr<Model>> Model::create(std::shared_ptr<const Artifact> opened,
                                             Device &device) {
  std::unique_ptr<Model> model(new Model(std::move(opened), device));
  const Artifact &artifact = *model->artifact;
  Result<const Section *> code = device.selectCode(artifact);
  if (!code)
    return code.takeStatus();
  model->code = *code;
  if (Status status = device.checkMemory(model->getMemoryUse()); !status)
    return std::move(status).withContext(artifact.getPath());
  std::string context = artifact.getPath() + ": section Kernels of " + std::string((*code)->target);
  Result<std::unique_ptr<Module>> module = device.loadModule((*code)->bytes);
  if (!module)
    return module.takeStatus().withContext(context);
  model->module = std::move(*module);
  for (const format::KernelRecord &record : artifact.getPlan().kernels) {
    KernelShape shape{record.argumentCount, record.threads, record.sharedBytes,
                      (record.flags & format::DependentLaunch) != 0};
    Result<Kernel> kernel = model->module->findKernel(artifact.getName(record.symbol), shape);
    if (!kernel)
      return kernel.takeStatus().withContext(context);
    model->kernels.push_back(*kernel);
  }
  uint64_t bytes = artifact.getWeightsBytes();
  bool isMapped = !artifact.hasRepeats() && device.readsInPlace(bytes);
  Result<std::unique_ptr<DeviceMemory>> weights =
      isMapped ? device.importBytes(artifact.getWeights())
               : device.importBytes(bytes, [&](uint64_t offset, std::span<std::byte> to) {
                   artifact.copyWeights(offset, to);
                   artifact.releaseWeights(offset, to.size());
                 });
  if (!weights)
    return weights.takeStatus().withContext(artifact.getPath());
  model->weights = std::move(*weights);
  return model;
}

MemoryUse Model::getMemoryUse() const {
  const format::PlanHeader &header = *getPlan().header;
  return {artifact->getWeightsBytes(), header.arenaBytes, header.cacheBytes,
          InputLayout(header).getBytes()};
}
