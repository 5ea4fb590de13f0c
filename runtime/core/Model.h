//===- Model.h - An artefact on a device ------------------------------------------------------===//
//
// What all sessions of a model share: the opened artefact, its code loaded, its kernels found, its
// weights where kernels can read them. Immutable once made.
//
//===------------------------------------------------------------------------------------------===//

#ifndef INGOT_RUNTIME_CORE_MODEL_H
#define INGOT_RUNTIME_CORE_MODEL_H

#include "runtime/core/Device.h"

namespace ingot::runtime {

/// Where the arrays of a step descriptor lie in the memory for inputs: the plan's counts, the
/// arrays with an item for each token or output, and last the page table, of which a step fills as
/// many rows as it has sequences.
struct InputLayout {
  uint64_t offsets[format::inputCount + 1] = {}; ///< the last: bytes of all
  static constexpr uint64_t countsOffset = 0;

  explicit InputLayout(const format::PlanHeader &header);
  uint64_t getBytes() const { return offsets[format::inputCount]; }
};

class Model {
public:
  /// The device must outlive the model.
  static Result<std::unique_ptr<Model>> open(const std::string &path, Device &device);
  static Result<std::unique_ptr<Model>> create(std::shared_ptr<const Artifact> artifact,
                                               Device &device);

  const Artifact &getArtifact() const { return *artifact; }
  const Plan &getPlan() const { return artifact->getPlan(); }
  Device &getDevice() const { return *device; }
  /// Of the code in use.
  std::string_view getTarget() const { return code->target; }
  /// In the order of the plan's kernels.
  std::span<const Kernel> getKernels() const { return kernels; }
  const DeviceMemory &getWeights() const { return *weights; }
  /// What the model and one session take.
  MemoryUse getMemoryUse() const;

private:
  Model(std::shared_ptr<const Artifact> artifact, Device &device)
      : artifact(std::move(artifact)), device(&device) {}

  std::shared_ptr<const Artifact> artifact;
  Device *device;
  const Section *code = nullptr;
  std::unique_ptr<Module> module;
  std::vector<Kernel> kernels;
  std::unique_ptr<DeviceMemory> weights;
};

} // namespace ingot::runtime

#endif // INGOT_RUNTIME_CORE_MODEL_H
