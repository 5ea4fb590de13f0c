//===- CudaQueue.h - Work of a GPU in order: a stream, and steps as graphs ----------------------===//
//
// Handing the driver a kernel costs the host about as long as a small kernel runs, so a step of
// some hundred of them is handed over as one thing, a graph:
//
//   counts seen for the first time     the launches go to the stream one by one
//   for the second time                they are captured into a graph, which is launched
//   from then on                       the graph is launched
//
// A graph holds grids and addresses, so it serves the steps of the same launches and the same grid
// counts (Device::roundCount keeps these few). What differs between such steps, tokens, positions,
// pages and the true counts, lies in the memory that the step's own input copy fills. The graph
// holds that copy and the one of the output too: a step is one launch and one wait.
//
//===------------------------------------------------------------------------------------------===//

#ifndef INGOT_RUNTIME_CUDA_CUDAQUEUE_H
#define INGOT_RUNTIME_CUDA_CUDAQUEUE_H

#include "runtime/cuda/CudaContext.h"

#include <vector>

namespace ingot::runtime::cuda {

class CudaQueue : public Queue {
public:
  static Result<std::unique_ptr<CudaQueue>> create(ContextRef context);
  ~CudaQueue() override;

  Status copy(void *to, const void *from, uint64_t bytes) override;
  Status fill(void *to, std::byte value, uint64_t bytes) override;
  Status launch(std::span<const Launch> launches, const int64_t *counts) override;
  Status launchTimed(std::span<const Launch> launches, const int64_t *counts,
                     uint64_t *nanoseconds) override;
  Status run(const Step &step) override;
  Result<uint64_t> timeStep(const Step &step, unsigned repeats) override;
  Result<std::unique_ptr<Event>> record() override;
  Status synchronize() override;

  Stream getStream() const { return stream; }

private:
  /// A step that was run before, and its graph from the second time on.
  struct PreparedStep {
    const Launch *launches = nullptr;
    int64_t gridCounts[format::countCount] = {};
    GraphRun graph = nullptr;
    uint64_t lastUse = 0;
  };

  CudaQueue(ContextRef context) : context(std::move(context)) {}
  Status prepare();
  PreparedStep &findPrepared(const Step &step);
  Status prepareGraph(PreparedStep &known, const Step &step);
  Status enqueueStep(const Step &step);
  Status enqueueLaunches(std::span<const Launch> launches, const int64_t *deviceCounts,
                         std::span<const DriverEvent> events);
  Status enqueueLaunch(const Launch &launch, const int64_t *deviceCounts, bool mayOverlap);
  /// Captures what `enqueue` hands to the stream.
  template <typename Enqueue> Result<GraphRun> capture(Enqueue enqueue);
  Result<const int64_t *> uploadCounts(const int64_t *counts);
  Status createEvents(size_t count);
  Status measureEvents();
  Result<double> timeGraph(GraphRun graph);

  ContextRef context;
  Stream stream = nullptr;
  DriverEvent begin = nullptr;
  uint64_t beginNanoseconds = 0;
  std::unique_ptr<PinnedMemory> hostCounts;
  std::unique_ptr<GpuMemory> gpuCounts;
  uint64_t countSlot = 0;
  std::vector<DriverEvent> events; ///< of launchTimed
  double eventNanoseconds = -1;    ///< what an event between two launches costs; below 0: unknown
  std::vector<PreparedStep> prepared;
  uint64_t steps = 0;
};

} // namespace ingot::runtime::cuda

#endif // INGOT_RUNTIME_CUDA_CUDAQUEUE_H
