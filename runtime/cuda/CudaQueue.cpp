//===- CudaQueue.cpp - Work of a GPU in order: a stream, and steps as graphs ------------------===//

#include "runtime/cuda/CudaQueue.h"
#include "runtime/cuda/CudaModule.h"

#include <algorithm>
#include <chrono>
#include <cstring>

using namespace ingot;
using namespace ingot::runtime;
using namespace ingot::runtime::cuda;

namespace {

/// Counts of `launch` lie in slots, so that launches need not wait for earlier ones.
constexpr uint64_t countSlots = 64, countSlotBytes = 64;
static_assert(format::countCount * sizeof(int64_t) <= countSlotBytes);
/// A graph of some hundred launches takes the driver about a megabyte.
constexpr size_t maxPrepared = 64;
constexpr uint32_t maxParameters = 257; ///< the plan verifier's limit of arguments, and the counts

uint64_t readClock() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

class CudaEvent : public Event {
public:
  CudaEvent(ContextRef context, DriverEvent event, DriverEvent begin, uint64_t beginNanoseconds)
      : context(std::move(context)), event(event), begin(begin),
        beginNanoseconds(beginNanoseconds) {}
  ~CudaEvent() override {
    if (context->tryUse())
      context->getDriver().destroyEvent(event);
  }
  Status wait() override {
    INGOT_RETURN_IF_ERROR(context->use());
    const Driver &driver = context->getDriver();
    return driver.check(driver.synchronizeEvent(event), "the GPU's work failed");
  }
  uint64_t getNanoseconds() const override {
    float milliseconds = 0;
    if (context->tryUse())
      context->getDriver().getElapsedTime(&milliseconds, begin, event);
    return beginNanoseconds + uint64_t(double(milliseconds) * 1e6);
  }

private:
  ContextRef context;
  DriverEvent event, begin;
  uint64_t beginNanoseconds;
};

} // namespace

//===------------------------------------------------------------------------------------------===//
// Making and ending
//===------------------------------------------------------------------------------------------===//

Result<std::unique_ptr<CudaQueue>> CudaQueue::create(ContextRef context) {
  std::unique_ptr<CudaQueue> queue(new CudaQueue(std::move(context)));
  if (Status status = queue->prepare(); !status)
    return status;
  return queue;
}

Status CudaQueue::prepare() {
  INGOT_RETURN_IF_ERROR(context->use());
  const Driver &driver = context->getDriver();
  const char *action = "cannot make a queue of the GPU";
  INGOT_RETURN_IF_ERROR(driver.check(driver.createStream(&stream, streamNonBlocking), action));
  INGOT_RETURN_IF_ERROR(driver.check(driver.createEvent(&begin, 0), action));
  auto host = PinnedMemory::allocate(context, countSlots * countSlotBytes);
  auto gpu = GpuMemory::allocate(context, countSlots * countSlotBytes);
  if (!host || !gpu)
    return host ? gpu.takeStatus() : host.takeStatus();
  hostCounts = std::move(*host);
  gpuCounts = std::move(*gpu);
  INGOT_RETURN_IF_ERROR(driver.check(driver.recordEvent(begin, stream, 0), action));
  INGOT_RETURN_IF_ERROR(synchronize());
  beginNanoseconds = readClock();
  prepared.reserve(maxPrepared);
  return Status::success();
}

CudaQueue::~CudaQueue() {
  if (!context->tryUse())
    return;
  const Driver &driver = context->getDriver();
  if (stream)
    driver.synchronizeStream(stream); // its work uses what is let go now
  for (PreparedStep &step : prepared)
    if (step.graph)
      driver.destroyGraphRun(step.graph);
  for (DriverEvent event : events)
    driver.destroyEvent(event);
  if (begin)
    driver.destroyEvent(begin);
  if (stream)
    driver.destroyStream(stream);
}

//===------------------------------------------------------------------------------------------===//
// Single pieces of work
//===------------------------------------------------------------------------------------------===//

Status CudaQueue::copy(void *to, const void *from, uint64_t bytes) {
  if (!bytes)
    return Status::success();
  INGOT_RETURN_IF_ERROR(context->use());
  const Driver &driver = context->getDriver();
  return driver.check(driver.copyAsync(toAddress(to), toAddress(from), bytes, stream),
                      "cannot copy between host and GPU");
}

Status CudaQueue::fill(void *to, std::byte value, uint64_t bytes) {
  if (!bytes)
    return Status::success();
  INGOT_RETURN_IF_ERROR(context->use());
  const Driver &driver = context->getDriver();
  return driver.check(driver.fillAsync(toAddress(to), uint8_t(value), bytes, stream),
                      "cannot fill the GPU's memory");
}

Status CudaQueue::synchronize() {
  INGOT_RETURN_IF_ERROR(context->use());
  const Driver &driver = context->getDriver();
  return driver.check(driver.synchronizeStream(stream), "the GPU's work failed");
}

Result<std::unique_ptr<Event>> CudaQueue::record() {
  INGOT_RETURN_IF_ERROR(context->use());
  const Driver &driver = context->getDriver();
  DriverEvent event = nullptr;
  const char *action = "cannot mark a point in the GPU's work";
  INGOT_RETURN_IF_ERROR(driver.check(driver.createEvent(&event, 0), action));
  auto made = std::make_unique<CudaEvent>(context, event, begin, beginNanoseconds);
  INGOT_RETURN_IF_ERROR(driver.check(driver.recordEvent(event, stream, 0), action));
  return std::unique_ptr<Event>(std::move(made));
}

/// Where kernels find these counts.
Result<const int64_t *> CudaQueue::uploadCounts(const int64_t *counts) {
  if (countSlot == countSlots) {
    INGOT_RETURN_IF_ERROR(synchronize()); // the copies out of the slots are done
    countSlot = 0;
  }
  uint64_t offset = countSlot++ * countSlotBytes, bytes = format::countCount * sizeof(int64_t);
  std::memcpy(hostCounts->address() + offset, counts, bytes);
  INGOT_RETURN_IF_ERROR(copy(gpuCounts->address() + offset, hostCounts->address() + offset, bytes));
  return reinterpret_cast<const int64_t *>(gpuCounts->address() + offset);
}

Status CudaQueue::enqueueLaunch(const Launch &launch, const int64_t *deviceCounts,
                                bool mayOverlap) {
  constexpr int64_t mostX = 0x7fffffff, mostYZ = 65535;
  const CudaKernel &kernel = *static_cast<const CudaKernel *>(launch.kernel);
  const Grid &grid = *launch.grid;
  if (grid.x > mostX || grid.y > mostYZ || grid.z > mostYZ || launch.argumentCount >= maxParameters)
    return INGOT_ERROR("a launch of %lld x %lld x %lld blocks with %u arguments is more than a GPU "
                       "takes",
                       (long long)grid.x, (long long)grid.y, (long long)grid.z,
                       launch.argumentCount);
  void *parameters[maxParameters];
  for (uint32_t i = 0; i < launch.argumentCount; ++i)
    parameters[i] = const_cast<void **>(&launch.arguments[i]);
  parameters[launch.argumentCount] = &deviceCounts;
  LaunchAttribute overlap = {attributeProgrammaticSerialization, 0, {1}};
  LaunchConfig config = {unsigned(grid.x),
                         unsigned(grid.y),
                         unsigned(grid.z),
                         std::max(kernel.shape.threads, 1u),
                         1,
                         1,
                         kernel.shape.sharedBytes,
                         stream,
                         &overlap,
                         mayOverlap && kernel.shape.isDependent};
  const Driver &driver = context->getDriver();
  return driver.check(driver.launch(&config, kernel.function, parameters, nullptr),
                      "cannot launch a kernel");
}

/// The first launch waits for the copies before it; a later one that is marked so may begin while
/// the one before it ends. With `events`, one more than launches, each launch stands between two of
/// them.
Status CudaQueue::enqueueLaunches(std::span<const Launch> launches, const int64_t *deviceCounts,
                                  std::span<const DriverEvent> events) {
  const Driver &driver = context->getDriver();
  auto mark = [&](size_t i) {
    return events.empty() ? Status::success()
                          : driver.check(driver.recordEvent(events[i], stream, recordExternal),
                                         "cannot mark a point in the GPU's work");
  };
  INGOT_RETURN_IF_ERROR(mark(0));
  bool isFirst = true;
  for (size_t i = 0; i < launches.size(); ++i) {
    const Grid &grid = *launches[i].grid;
    if (grid.x > 0 && grid.y > 0 && grid.z > 0) { // the driver refuses an empty one
      INGOT_RETURN_IF_ERROR(enqueueLaunch(launches[i], deviceCounts, !isFirst && events.empty()));
      isFirst = false;
    }
    INGOT_RETURN_IF_ERROR(mark(i + 1));
  }
  return Status::success();
}

Status CudaQueue::launch(std::span<const Launch> launches, const int64_t *counts) {
  INGOT_RETURN_IF_ERROR(context->use());
  Result<const int64_t *> deviceCounts = uploadCounts(counts);
  if (!deviceCounts)
    return deviceCounts.takeStatus();
  return enqueueLaunches(launches, *deviceCounts, {});
}

//===------------------------------------------------------------------------------------------===//
// Graphs
//===------------------------------------------------------------------------------------------===//

template <typename Enqueue> Result<GraphRun> CudaQueue::capture(Enqueue enqueue) {
  const Driver &driver = context->getDriver();
  const char *action = "cannot capture a step as a graph";
  INGOT_RETURN_IF_ERROR(driver.check(driver.beginCapture(stream, captureThreadLocal), action));
  Status enqueued = enqueue();
  Graph graph = nullptr;
  Code ended = driver.endCapture(stream, &graph); // also after a failure: the stream goes on
  if (enqueued)
    enqueued = driver.check(ended, action);
  if (!enqueued) {
    if (graph)
      driver.destroyGraph(graph);
    return enqueued;
  }
  GraphRun run = nullptr;
  Code made = driver.instantiateGraph(&run, graph, 0);
  driver.destroyGraph(graph);
  INGOT_RETURN_IF_ERROR(driver.check(made, "cannot make a step's graph ready"));
  return run;
}

Status CudaQueue::enqueueStep(const Step &step) {
  INGOT_RETURN_IF_ERROR(copy(step.input.to, step.input.from, step.input.bytes));
  INGOT_RETURN_IF_ERROR(enqueueLaunches(step.launches, step.deviceCounts, {}));
  return copy(step.output.to, step.output.from, step.output.bytes);
}

/// The record of an earlier step like this, or a new one, for which the least used goes.
CudaQueue::PreparedStep &CudaQueue::findPrepared(const Step &step) {
  auto isAlike = [&](const PreparedStep &known) {
    return known.launches == step.launches.data() &&
           std::equal(std::begin(known.gridCounts), std::end(known.gridCounts), step.gridCounts);
  };
  auto known = std::find_if(prepared.begin(), prepared.end(), isAlike);
  if (known != prepared.end())
    return *known;
  if (prepared.size() < maxPrepared) {
    prepared.emplace_back();
    known = prepared.end() - 1;
  } else {
    known = std::min_element(
        prepared.begin(), prepared.end(),
        [](const PreparedStep &a, const PreparedStep &b) { return a.lastUse < b.lastUse; });
    if (known->graph) // idle: `run` waits for each
      context->getDriver().destroyGraphRun(known->graph);
  }
  *known = {};
  known->launches = step.launches.data();
  std::copy_n(step.gridCounts, format::countCount, known->gridCounts);
  return *known;
}

Status CudaQueue::run(const Step &step) {
  INGOT_RETURN_IF_ERROR(context->use());
  PreparedStep &known = findPrepared(step);
  bool isNew = known.lastUse == 0;
  known.lastUse = ++steps;
  if (isNew) {
    INGOT_RETURN_IF_ERROR(enqueueStep(step));
    return synchronize();
  }
  INGOT_RETURN_IF_ERROR(prepareGraph(known, step));
  const Driver &driver = context->getDriver();
  INGOT_RETURN_IF_ERROR(
      driver.check(driver.launchGraph(known.graph, stream), "cannot launch a step"));
  return synchronize();
}

Status CudaQueue::prepareGraph(PreparedStep &known, const Step &step) {
  if (known.graph)
    return Status::success();
  Result<GraphRun> made = capture([&] { return enqueueStep(step); });
  if (!made)
    return made.takeStatus();
  known.graph = *made;
  return Status::success();
}

Result<uint64_t> CudaQueue::timeStep(const Step &step, unsigned repeats) {
  INGOT_RETURN_IF_ERROR(context->use());
  INGOT_RETURN_IF_ERROR(createEvents(2));
  PreparedStep &known = findPrepared(step);
  known.lastUse = ++steps;
  INGOT_RETURN_IF_ERROR(prepareGraph(known, step));
  const Driver &driver = context->getDriver();
  const char *action = "cannot time a step";
  // The first only fills the pipe.
  for (unsigned i = 0; i <= repeats; ++i) {
    if (i == 1)
      INGOT_RETURN_IF_ERROR(driver.check(driver.recordEvent(events[0], stream, 0), action));
    INGOT_RETURN_IF_ERROR(driver.check(driver.launchGraph(known.graph, stream), action));
  }
  INGOT_RETURN_IF_ERROR(driver.check(driver.recordEvent(events[1], stream, 0), action));
  INGOT_RETURN_IF_ERROR(synchronize());
  float milliseconds = 0;
  INGOT_RETURN_IF_ERROR(
      driver.check(driver.getElapsedTime(&milliseconds, events[0], events[1]), action));
  return uint64_t(double(milliseconds) * 1e6 / std::max(repeats, 1u));
}

/// Nanoseconds of a graph, the best of several.
Result<double> CudaQueue::timeGraph(GraphRun graph) {
  const Driver &driver = context->getDriver();
  const char *action = "cannot time a graph";
  float best = 0;
  for (int i = 0; i < 5; ++i) {
    float milliseconds = 0;
    INGOT_RETURN_IF_ERROR(driver.check(driver.recordEvent(events[0], stream, 0), action));
    INGOT_RETURN_IF_ERROR(driver.check(driver.launchGraph(graph, stream), action));
    INGOT_RETURN_IF_ERROR(driver.check(driver.recordEvent(events[1], stream, 0), action));
    INGOT_RETURN_IF_ERROR(synchronize());
    INGOT_RETURN_IF_ERROR(
        driver.check(driver.getElapsedTime(&milliseconds, events[0], events[1]), action));
    best = i ? std::min(best, milliseconds) : milliseconds;
  }
  return double(best) * 1e6;
}

/// An event between two launches takes about as long as a small kernel, so launches that are timed
/// by events seem longer. How much: the same row of idle kernels with events and without.
Status CudaQueue::measureEvents() {
  constexpr const char *idle = R"(.version 7.0
.target sm_70
.address_size 64
.visible .entry idle(.param .u64 counts)
{
  ret;
}
)";
  constexpr size_t count = 64;
  Result<std::unique_ptr<CudaModule>> module = CudaModule::loadText(context, idle);
  if (!module)
    return module.takeStatus();
  Result<Kernel> kernel = (*module)->findKernel("idle", {0, 32, 0, false});
  if (!kernel)
    return kernel.takeStatus();
  INGOT_RETURN_IF_ERROR(createEvents(count + 3));
  Grid grid;
  std::vector<Launch> launches(count, Launch{*kernel, nullptr, 0, &grid});
  double nanoseconds[2];
  for (bool withEvents : {false, true}) {
    std::span used(events.data() + 2, withEvents ? count + 1 : 0);
    Result<GraphRun> graph = capture([&] { return enqueueLaunches(launches, nullptr, used); });
    if (!graph)
      return graph.takeStatus();
    Result<double> time = timeGraph(*graph);
    context->getDriver().destroyGraphRun(*graph);
    if (!time)
      return time.takeStatus();
    nanoseconds[withEvents] = *time;
  }
  eventNanoseconds = std::max(0.0, (nanoseconds[1] - nanoseconds[0]) / (count + 1));
  return Status::success();
}

/// Also a graph: handed over one by one, small kernels would be timed with the host's pauses
/// between them.
Status CudaQueue::launchTimed(std::span<const Launch> launches, const int64_t *counts,
                              uint64_t *nanoseconds) {
  INGOT_RETURN_IF_ERROR(context->use());
  if (eventNanoseconds < 0)
    INGOT_RETURN_IF_ERROR(measureEvents());
  INGOT_RETURN_IF_ERROR(createEvents(launches.size() + 1));
  Result<const int64_t *> deviceCounts = uploadCounts(counts);
  if (!deviceCounts)
    return deviceCounts.takeStatus();
  std::span used(events.data(), launches.size() + 1);
  Result<GraphRun> graph = capture([&] { return enqueueLaunches(launches, *deviceCounts, used); });
  if (!graph)
    return graph.takeStatus();
  const Driver &driver = context->getDriver();
  Status status = driver.check(driver.launchGraph(*graph, stream), "cannot launch a step");
  if (status)
    status = synchronize();
  driver.destroyGraphRun(*graph);
  INGOT_RETURN_IF_ERROR(std::move(status));
  for (size_t i = 0; i < launches.size(); ++i) {
    float milliseconds = 0;
    INGOT_RETURN_IF_ERROR(driver.check(driver.getElapsedTime(&milliseconds, used[i], used[i + 1]),
                                       "cannot read the time of a launch"));
    nanoseconds[i] = uint64_t(std::max(0.0, double(milliseconds) * 1e6 - eventNanoseconds));
  }
  return Status::success();
}

Status CudaQueue::createEvents(size_t count) {
  const Driver &driver = context->getDriver();
  while (events.size() < count) {
    DriverEvent event = nullptr;
    INGOT_RETURN_IF_ERROR(
        driver.check(driver.createEvent(&event, 0), "cannot make an event of the GPU"));
    events.push_back(event);
  }
  return Status::success();
}
