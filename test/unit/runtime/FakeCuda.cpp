//===- FakeCuda.cpp - A driver without a GPU, to be told what to do ---------------------------------===//

#include "test/unit/runtime/FakeCuda.h"
#include "runtime/cuda/Driver.h"

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <functional>
#include <mutex>
#include <set>

using namespace ingot::runtime::cuda;
using ingot::test::FakeCuda;

extern "C" {
[[gnu::visibility("default")]] FakeCuda fakeCuda;

#define FAKE_KERNEL(name)                                                                          \
  void name(void *const *arguments, const int64_t *counts, int64_t x, int64_t y, int64_t z)
FAKE_KERNEL(embed);
FAKE_KERNEL(append);
FAKE_KERNEL(attend);
FAKE_KERNEL(project);
FAKE_KERNEL(visit);
FAKE_KERNEL(reverse);
FAKE_KERNEL(lookUp);
}

namespace {

FAKE_KERNEL(doNothing) {}

using Body = decltype(&doNothing);
const std::map<std::string, Body> bodies = {
    {"embed", embed},        {"append", append},   {"attend", attend}, {"project", project},
    {"visit", visit},        {"reverse", reverse}, {"lookUp", lookUp}, {"readStream", doNothing},
    {"multiply", doNothing}, {"idle", doNothing}};

/// The toy kernels do nothing in blocks beyond the counts, as those of the compiler.
bool isBeyond(const std::string &name, const int64_t *counts, int64_t x, int64_t y) {
  if (name == "embed" || name == "append" || name == "attend")
    return x >= counts[0];
  return name == "project" && y >= counts[1];
}

constexpr Code invalidValue = 1, invalidContext = 201, captureUnsupported = 900;

std::recursive_mutex mutex;
thread_local Context current = nullptr;

struct Entry {
  std::string name;
  uint32_t parameters; ///< with the counts
  uint32_t dynamicShared = 48 << 10;
};
struct FakeModule {
  std::map<std::string, Entry> entries;
};
using Operation = std::function<Code()>;
struct FakeGraph {
  std::vector<Operation> operations;
};
struct FakeStream {
  std::deque<Operation> pending;
  FakeGraph *capture = nullptr;
};
struct FakeEvent {
  double milliseconds = 0;
  FakeStream *stream = nullptr; ///< of the last record
};
struct FakeLinker {
  char *log;
  size_t logBytes;
  std::vector<char> cubin;
};

FakeStream defaultStream;
std::map<uint64_t, uint64_t> gpuMemory;
std::map<uint64_t, uint64_t> pinnedMemory;
constexpr char cubinHead[] = "\x7f"
                             "ELF of the fake driver; padding to the size of a header: .......";

FakeStream &toStream(Stream stream) {
  return stream ? *reinterpret_cast<FakeStream *>(stream) : defaultStream;
}

Code refuse(Code code, const char *reason) {
  fakeCuda.lastError = reason;
  return code;
}

/// The part of every function: records the call, fails where it must.
Code enter(const char *function, bool needsContext = true) {
  int number = fakeCuda.calls[function]++;
  if (fakeCuda.stickyCode)
    return fakeCuda.stickyCode;
  auto failure = fakeCuda.failures.find(function);
  if (failure != fakeCuda.failures.end() && number >= failure->second.after) {
    if (failure->second.isSticky)
      fakeCuda.stickyCode = failure->second.code;
    return failure->second.code;
  }
  if (needsContext && !current)
    return refuse(invalidContext, "no context is current");
  return 0;
}

#define ENTER(...)                                                                                 \
  std::lock_guard lock(mutex);                                                                     \
  if (Code code = enter(__func__ __VA_OPT__(, ) __VA_ARGS__))                                      \
    return code;

bool isInside(const std::map<uint64_t, uint64_t> &ranges, uint64_t address, uint64_t bytes) {
  auto range = ranges.upper_bound(address);
  if (range == ranges.begin())
    return false;
  --range;
  return address >= range->first && address + bytes <= range->first + range->second;
}

Code drain(FakeStream &stream) {
  while (!stream.pending.empty()) {
    Operation operation = std::move(stream.pending.front());
    stream.pending.pop_front();
    if (Code code = operation())
      return code;
  }
  return 0;
}

Code enqueue(FakeStream &stream, Operation operation) {
  if (stream.capture)
    stream.capture->operations.push_back(std::move(operation));
  else
    stream.pending.push_back(std::move(operation));
  return 0;
}

double readClock() {
  return std::chrono::duration<double, std::milli>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

/// The entries of a PTX text and how many parameters each has; none for what is no PTX.
std::map<std::string, Entry> parse(const std::string &text) {
  std::map<std::string, Entry> entries;
  constexpr std::string_view keyword = ".visible .entry ";
  if (text.find(".version") == std::string::npos)
    return entries;
  for (size_t at = 0; (at = text.find(keyword, at)) != std::string::npos;) {
    at += keyword.size();
    size_t open = text.find('(', at), close = text.find(')', at);
    if (close == std::string::npos)
      return {};
    Entry entry{text.substr(at, open - at), 0};
    for (size_t p = open; (p = text.find(".param", p)) < close; ++p)
      ++entry.parameters;
    entries[entry.name] = entry;
  }
  return entries;
}

/// FAKE_CUDA: see FakeCuda.h.
void configure(const std::string &text) {
  for (size_t at = 0; at < text.size();) {
    size_t end = std::min(text.find(',', at), text.size());
    std::string item = text.substr(at, end - at);
    at = end + 1;
    size_t equal = item.find('=');
    std::string name = item.substr(0, equal), value = item.substr(equal + 1);
    uint64_t number = std::strtoull(value.c_str(), nullptr, 10);
    if (name == "devices")
      fakeCuda.devices = int(number);
    else if (name == "version")
      fakeCuda.version = int(number);
    else if (name == "capability")
      fakeCuda.capability = int(number);
    else if (name == "memory")
      fakeCuda.memory = number;
    else
      fakeCuda.failures[name] = {
          int(number),
          value.find('@') == std::string::npos ? 0 : std::atoi(value.c_str() + value.find('@') + 1),
          number >= 700 && number < 720};
  }
}

/// After `fakeCuda`, which stands above it in this file.
[[maybe_unused]] const bool isConfigured = [] {
  if (const char *text = std::getenv("FAKE_CUDA"))
    configure(text);
  return true;
}();

} // namespace

#pragma GCC visibility push(default)
extern "C" {

Code cuInit(unsigned) {
  ENTER(false)
  return fakeCuda.devices ? 0 : codeNoDevice;
}

Code cuDriverGetVersion(int *version) {
  ENTER(false)
  *version = fakeCuda.version;
  return 0;
}

Code cuGetErrorName(Code code, const char **name) {
  static const std::map<Code, const char *> names = {{2, "CUDA_ERROR_OUT_OF_MEMORY"},
                                                     {100, "CUDA_ERROR_NO_DEVICE"},
                                                     {200, "CUDA_ERROR_INVALID_IMAGE"},
                                                     {218, "CUDA_ERROR_INVALID_PTX"},
                                                     {700, "CUDA_ERROR_ILLEGAL_ADDRESS"},
                                                     {719, "CUDA_ERROR_LAUNCH_FAILED"},
                                                     {222, "CUDA_ERROR_UNSUPPORTED_PTX_VERSION"},
                                                     {999, "CUDA_ERROR_UNKNOWN"}};
  auto known = names.find(code);
  *name = known == names.end() ? nullptr : known->second;
  return *name ? 0 : invalidValue;
}

Code cuGetErrorString(Code code, const char **text) {
  static std::string words;
  words = "words of the fake driver for " + std::to_string(code);
  *text = words.c_str();
  return 0;
}

Code cuDeviceGetCount(int *count) {
  ENTER(false)
  *count = fakeCuda.devices;
  return 0;
}

// Numbers of devices differ from their indexes, so that nobody takes one for the other.
constexpr int firstDevice = 40;

Code cuDeviceGet(DeviceNumber *device, int index) {
  ENTER(false)
  if (index < 0 || index >= fakeCuda.devices)
    return refuse(invalidValue, "no such device");
  *device = firstDevice + index;
  return 0;
}

Code cuDeviceGetName(char *name, int bytes, DeviceNumber device) {
  ENTER(false)
  if (device < firstDevice)
    return refuse(invalidValue, "no such device");
  std::snprintf(name, size_t(bytes), "Fake GPU %d", device - firstDevice);
  return 0;
}

Code cuDeviceGetAttribute(int *value, int attribute, DeviceNumber) {
  ENTER(false)
  switch (attribute) {
  case attributeMajor:
    *value = fakeCuda.capability / 10;
    return 0;
  case attributeMinor:
    *value = fakeCuda.capability % 10;
    return 0;
  case attributeMultiprocessors:
    *value = 4;
    return 0;
  case attributeSharedBytesOfBlock:
    *value = 227 << 10;
    return 0;
  }
  return refuse(invalidValue, "unknown attribute");
}

Code cuDevicePrimaryCtxRetain(Context *context, DeviceNumber device) {
  ENTER(false)
  ++fakeCuda.retained;
  *context = reinterpret_cast<Context>(uintptr_t(device));
  return 0;
}

Code cuDevicePrimaryCtxRelease_v2(DeviceNumber) {
  ENTER(false)
  --fakeCuda.retained;
  return 0;
}

Code cuCtxSetCurrent(Context context) {
  ENTER(false)
  current = context;
  return 0;
}

Code cuMemGetInfo_v2(size_t *free, size_t *total) {
  ENTER()
  *free = fakeCuda.memory - fakeCuda.used;
  *total = fakeCuda.memory;
  return 0;
}

Code cuMemAlloc_v2(Address *address, size_t bytes) {
  ENTER()
  if (!bytes)
    return refuse(invalidValue, "allocation of nothing");
  if (bytes > fakeCuda.memory - fakeCuda.used)
    return codeOutOfMemory;
  void *memory = std::aligned_alloc(256, (bytes + 255) / 256 * 256);
  std::memset(memory, 0xab, bytes);
  *address = reinterpret_cast<uint64_t>(memory);
  gpuMemory[*address] = bytes;
  fakeCuda.used += bytes;
  return 0;
}

Code cuMemFree_v2(Address address) {
  ENTER()
  auto known = gpuMemory.find(address);
  if (known == gpuMemory.end())
    return refuse(invalidValue, "memory that is not the GPU's is freed");
  fakeCuda.used -= known->second;
  gpuMemory.erase(known);
  std::free(reinterpret_cast<void *>(address));
  return 0;
}

Code cuMemHostAlloc(void **address, size_t bytes, unsigned) {
  ENTER()
  *address = std::malloc(bytes);
  std::memset(*address, 0xab, bytes);
  pinnedMemory[reinterpret_cast<uint64_t>(*address)] = bytes;
  ++fakeCuda.livePinned;
  return 0;
}

Code cuMemFreeHost(void *address) {
  ENTER()
  if (!pinnedMemory.erase(reinterpret_cast<uint64_t>(address)))
    return refuse(invalidValue, "memory that is not pinned is freed");
  --fakeCuda.livePinned;
  std::free(address);
  return 0;
}

Code cuMemcpyAsync(Address to, Address from, size_t bytes, Stream handle) {
  ENTER()
  FakeStream &stream = toStream(handle);
  auto isKnown = [&](Address address) {
    return isInside(gpuMemory, address, bytes) || isInside(pinnedMemory, address, bytes);
  };
  if (!isInside(gpuMemory, to, bytes) && !isInside(gpuMemory, from, bytes) &&
      !(isKnown(to) && isKnown(from)))
    return refuse(invalidValue, "a copy leaves the GPU's memory");
  auto work = [=]() -> Code {
    std::memmove(reinterpret_cast<void *>(to), reinterpret_cast<const void *>(from), bytes);
    fakeCuda.work.push_back("copy " + std::to_string(bytes));
    return 0;
  };
  if (isKnown(to) && isKnown(from))
    return enqueue(stream, work);
  if (stream.capture)
    return refuse(captureUnsupported, "a copy of pageable memory in a capture");
  if (Code code = drain(stream)) // pageable memory: done before the call returns
    return code;
  return work();
}

Code cuMemsetD8Async(Address to, unsigned char value, size_t bytes, Stream stream) {
  ENTER()
  if (!isInside(gpuMemory, to, bytes))
    return refuse(invalidValue, "a fill leaves the GPU's memory");
  return enqueue(toStream(stream), [=]() -> Code {
    std::memset(reinterpret_cast<void *>(to), value, bytes);
    return 0;
  });
}

Code cuModuleLoadData(DriverModule *module, const void *image) {
  ENTER()
  const char *text = static_cast<const char *>(image);
  if (std::memcmp(text,
                  "\x7f"
                  "ELF",
                  4) == 0) {
    if (std::memcmp(text, cubinHead, sizeof cubinHead) != 0)
      return codeInvalidImage;
    text += sizeof cubinHead;
  }
  auto entries = parse(text);
  if (entries.empty())
    return codeInvalidImage;
  *module = reinterpret_cast<DriverModule>(new FakeModule{std::move(entries)});
  ++fakeCuda.liveModules;
  return 0;
}

Code cuModuleUnload(DriverModule module) {
  ENTER()
  delete reinterpret_cast<FakeModule *>(module);
  --fakeCuda.liveModules;
  return 0;
}

Code cuModuleGetFunction(Function *function, DriverModule module, const char *name) {
  ENTER()
  auto &entries = reinterpret_cast<FakeModule *>(module)->entries;
  auto entry = entries.find(name);
  if (entry == entries.end() || !bodies.count(name))
    return codeNotFound;
  *function = reinterpret_cast<Function>(&entry->second);
  return 0;
}

Code cuFuncSetAttribute(Function function, int attribute, int value) {
  ENTER()
  if (attribute != functionDynamicSharedBytes)
    return refuse(invalidValue, "unknown attribute of a function");
  reinterpret_cast<Entry *>(function)->dynamicShared = uint32_t(value);
  return 0;
}

Code cuLinkCreate_v2(unsigned count, int *options, void **values, Linker *linker) {
  ENTER()
  auto *made = new FakeLinker{};
  for (unsigned i = 0; i < count; ++i) {
    if (options[i] == linkErrorLog)
      made->log = static_cast<char *>(values[i]);
    if (options[i] == linkErrorLogBytes)
      made->logBytes = reinterpret_cast<size_t>(values[i]);
  }
  *linker = reinterpret_cast<Linker>(made);
  return 0;
}

Code cuLinkAddData_v2(Linker handle, int type, void *data, size_t bytes, const char *, unsigned,
                      int *, void **) {
  ENTER()
  auto *linker = reinterpret_cast<FakeLinker *>(handle);
  std::string text(static_cast<const char *>(data), bytes);
  if (type != linkInputPtx || parse(text).empty()) {
    std::snprintf(linker->log, linker->logBytes, "kernels.ptx, line 1;\nsyntax error\n");
    return codeInvalidPtx;
  }
  linker->cubin.assign(std::begin(cubinHead), std::end(cubinHead));
  linker->cubin.insert(linker->cubin.end(), text.begin(), text.end());
  return 0;
}

Code cuLinkComplete(Linker linker, void **cubin, size_t *bytes) {
  ENTER()
  auto &made = reinterpret_cast<FakeLinker *>(linker)->cubin;
  *cubin = made.data();
  *bytes = made.size();
  return 0;
}

Code cuLinkDestroy(Linker linker) {
  ENTER()
  delete reinterpret_cast<FakeLinker *>(linker);
  return 0;
}

Code cuStreamCreate(Stream *stream, unsigned) {
  ENTER()
  *stream = reinterpret_cast<Stream>(new FakeStream);
  ++fakeCuda.liveStreams;
  return 0;
}

Code cuStreamDestroy_v2(Stream stream) {
  ENTER()
  delete reinterpret_cast<FakeStream *>(stream);
  --fakeCuda.liveStreams;
  return 0;
}

Code cuStreamSynchronize(Stream stream) {
  ENTER()
  if (toStream(stream).capture)
    return refuse(captureUnsupported, "a wait in a capture");
  return drain(toStream(stream));
}

Code cuStreamBeginCapture_v2(Stream stream, int) {
  ENTER()
  toStream(stream).capture = new FakeGraph;
  ++fakeCuda.liveGraphs;
  return 0;
}

Code cuStreamEndCapture(Stream stream, Graph *graph) {
  // The stream leaves the capture also where the call fails.
  *graph = reinterpret_cast<Graph>(std::exchange(toStream(stream).capture, nullptr));
  ENTER()
  return 0;
}

Code cuGraphInstantiateWithFlags(GraphRun *run, Graph graph, unsigned long long) {
  ENTER()
  *run = reinterpret_cast<GraphRun>(new FakeGraph(*reinterpret_cast<FakeGraph *>(graph)));
  ++fakeCuda.liveRuns;
  return 0;
}

Code cuGraphLaunch(GraphRun run, Stream stream) {
  ENTER()
  for (Operation &operation : reinterpret_cast<FakeGraph *>(run)->operations)
    enqueue(toStream(stream), operation);
  fakeCuda.work.push_back("graph");
  return 0;
}

Code cuGraphDestroy(Graph graph) {
  ENTER()
  delete reinterpret_cast<FakeGraph *>(graph);
  --fakeCuda.liveGraphs;
  return 0;
}

Code cuGraphExecDestroy(GraphRun run) {
  ENTER()
  delete reinterpret_cast<FakeGraph *>(run);
  --fakeCuda.liveRuns;
  return 0;
}

Code cuLaunchKernelEx(const LaunchConfig *config, Function function, void **parameters, void **) {
  ENTER()
  const Entry &entry = *reinterpret_cast<Entry *>(function);
  if (!config->gridX || !config->gridY || !config->gridZ || config->gridY > 65535 ||
      config->gridZ > 65535 || !config->blockX || config->blockX > 1024)
    return refuse(invalidValue, "a grid or block that no GPU takes");
  if (config->sharedBytes > entry.dynamicShared)
    return refuse(invalidValue, "more shared memory than the function was allowed");
  std::vector<void *> arguments(entry.parameters);
  for (uint32_t i = 0; i < entry.parameters; ++i)
    arguments[i] = *static_cast<void **>(parameters[i]);
  bool isEarly = config->attributeCount == 1 &&
                 config->attributes[0].id == attributeProgrammaticSerialization &&
                 config->attributes[0].value.programmaticSerialization;
  std::string word = "launch " + entry.name + " " + std::to_string(config->gridX) + "x" +
                     std::to_string(config->gridY) + "x" + std::to_string(config->gridZ) +
                     (isEarly ? " early" : "");
  return enqueue(toStream(config->stream),
                 [arguments, word, name = entry.name, x = config->gridX, y = config->gridY,
                  z = config->gridZ]() -> Code {
                   fakeCuda.work.push_back(word);
                   auto *counts = static_cast<const int64_t *>(arguments.back());
                   Body body = bodies.at(name);
                   for (int64_t k = 0; k < z; ++k)
                     for (int64_t j = 0; j < y; ++j)
                       for (int64_t i = 0; i < x; ++i)
                         if (body != doNothing && !isBeyond(name, counts, i, j))
                           body(arguments.data(), counts, i, j, k);
                   return 0;
                 });
}

Code cuEventCreate(DriverEvent *event, unsigned) {
  ENTER()
  *event = reinterpret_cast<DriverEvent>(new FakeEvent);
  ++fakeCuda.liveEvents;
  return 0;
}

Code cuEventDestroy_v2(DriverEvent event) {
  ENTER()
  delete reinterpret_cast<FakeEvent *>(event);
  --fakeCuda.liveEvents;
  return 0;
}

Code cuEventRecordWithFlags(DriverEvent handle, Stream stream, unsigned flags) {
  ENTER()
  auto *event = reinterpret_cast<FakeEvent *>(handle);
  if (toStream(stream).capture && !(flags & recordExternal))
    return refuse(captureUnsupported, "a record in a capture is no node");
  event->stream = &toStream(stream);
  return enqueue(toStream(stream), [event]() -> Code {
    event->milliseconds = readClock();
    return 0;
  });
}

Code cuEventSynchronize(DriverEvent event) {
  ENTER()
  FakeStream *stream = reinterpret_cast<FakeEvent *>(event)->stream;
  return stream ? drain(*stream) : 0;
}

Code cuEventElapsedTime(float *milliseconds, DriverEvent from, DriverEvent to) {
  ENTER()
  *milliseconds = float(reinterpret_cast<FakeEvent *>(to)->milliseconds -
                        reinterpret_cast<FakeEvent *>(from)->milliseconds);
  return 0;
}

} // extern "C"
#pragma GCC visibility pop
