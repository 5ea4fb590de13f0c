//===- PlanMemory.cpp - The memory that the plan says is what the runtime takes, to the byte ---------===//
//
//   PlanMemory MODEL.ingot
//
// Runs the largest steps that the model allows until every page of the cache is in use, on a device
// whose memory ends at a page that nobody may touch: weights, arena, cache and inputs each. Then
//
//   - what was allocated is what the plan says, and nothing else: no step allocates;
//   - no kernel touched a byte behind it (that would be SIGSEGV);
//   - the last bytes of arena and cache were used: a smaller plan would not have done.
//
// The sequences of a step must divide its tokens and outputs, else no step is the largest.
//
//===----------------------------------------------------------------------------------------------===//

#include "runtime/core/Session.h"
#include "runtime/cpu/CpuDevice.h"

#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>
#include <string>
#include <sys/mman.h>
#include <unistd.h>
#include <vector>

using namespace ingot;
using namespace ingot::runtime;

static std::atomic<uint64_t> heapAllocations = 0; // counts; orders nothing

void *operator new(size_t bytes) {
  ++heapAllocations;
  if (void *memory = std::malloc(bytes))
    return memory;
  std::abort();
}
void operator delete(void *memory) noexcept { std::free(memory); }
void operator delete(void *memory, size_t) noexcept { std::free(memory); }

namespace {

[[noreturn]] void fail(const std::string &text) {
  std::fprintf(stderr, "error: %s\n", text.c_str());
  std::exit(1);
}

template <typename T> T take(Result<T> result) {
  if (!result)
    fail(result.message());
  return std::move(*result);
}

constexpr uint64_t pageBytes = 4096;
constexpr std::byte mark{0xa5};

/// Between two pages that nobody may touch, and ending at the second.
class GuardedMemory : public DeviceMemory {
public:
  explicit GuardedMemory(uint64_t size, std::byte fill) {
    uint64_t pages = (size + pageBytes - 1) / pageBytes * pageBytes;
    total = pages + 2 * pageBytes;
    auto *memory = static_cast<std::byte *>(
        mmap(nullptr, total, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
    if (memory == MAP_FAILED || mprotect(memory + pageBytes, pages, PROT_READ | PROT_WRITE) != 0)
      fail("cannot allocate " + std::to_string(size) + " bytes");
    begin = memory;
    base = memory + pageBytes + (pages - size);
    bytes = size;
    hostAccessible = true;
    std::memset(base, int(fill), size);
  }
  ~GuardedMemory() override { munmap(begin, total); }

private:
  std::byte *begin;
  uint64_t total;
};

class GuardedDevice : public cpu::CpuDevice {
public:
  GuardedDevice() : CpuDevice({2}) {}
  Result<std::unique_ptr<DeviceMemory>> allocate(uint64_t bytes) override {
    allocated.push_back(new GuardedMemory(bytes, mark));
    return std::unique_ptr<DeviceMemory>(allocated.back());
  }
  bool readsInPlace(uint64_t) const override { return true; } // what is imported here is guarded
  Result<std::unique_ptr<DeviceMemory>> importBytes(Bytes bytes) override {
    auto memory = std::make_unique<GuardedMemory>(bytes.size(), std::byte(0));
    std::memcpy(memory->address(), bytes.data(), bytes.size());
    return std::unique_ptr<DeviceMemory>(std::move(memory));
  }
  std::vector<DeviceMemory *> allocated; ///< the session's
};

/// Lengthens all sequences, as many tokens a step as it may have, until the context is full.
void fillContext(Session &session, const format::PlanHeader &plan, uint64_t &steps) {
  std::vector<SequenceId> sequences;
  for (uint64_t i = 0; i < plan.maxSequences; ++i)
    sequences.push_back(take(session.addSequence()));
  std::vector<int32_t> tokens(plan.maxTokens);
  for (size_t i = 0; i < tokens.size(); ++i)
    tokens[i] = int32_t((i * 7919 + 13) % plan.inputVocabulary);
  uint64_t share = plan.maxTokens / plan.maxSequences;
  std::vector<SequenceTokens> batch(sequences.size());
  for (uint64_t done = 0; done < plan.maxContext; done += share, ++steps) {
    uint64_t count = std::min(share, plan.maxContext - done);
    uint64_t outputs = std::min(count, plan.maxOutputs / plan.maxSequences);
    for (size_t i = 0; i < batch.size(); ++i)
      batch[i] = {sequences[i], std::span(tokens).subspan(i, count), outputs};
    uint64_t before = heapAllocations;
    take(session.step(batch));
    if (heapAllocations != before)
      fail("step " + std::to_string(steps) + " allocated " +
           std::to_string(heapAllocations - before) + " times");
  }
  for (SequenceId sequence : sequences)
    if (Status status = session.removeSequence(sequence); !status)
      fail(status.message());
}

/// Offsets and sizes of buffers are rounded to 64 bytes, so the last byte in use is among the
/// last 64.
void checkIsUsedToItsEnd(const char *name, const DeviceMemory &memory) {
  constexpr uint64_t granule = 64;
  const std::byte *end = memory.address() + memory.size();
  for (const std::byte *byte = end - std::min(granule, memory.size()); byte < end; ++byte)
    if (*byte != mark)
      return;
  fail(std::string("the last bytes of the ") + name + " were never used");
}

void onFault(int) {
  static constexpr char text[] = "error: a kernel touched memory outside of what the plan says\n";
  [[maybe_unused]] ssize_t written = write(STDERR_FILENO, text, sizeof text - 1);
  _exit(1);
}

} // namespace

int main(int argc, char **argv) {
  if (argc != 2)
    fail("usage: PlanMemory MODEL.ingot");
  std::signal(SIGSEGV, onFault);
  std::signal(SIGBUS, onFault);
  GuardedDevice device;
  std::unique_ptr<Model> model = take(Model::open(argv[1], device));
  const format::PlanHeader &plan = *model->getPlan().header;
  std::unique_ptr<Session> session = take(Session::create(*model));

  MemoryUse use = session->getMemoryUse();
  std::vector<uint64_t> sizes;
  for (DeviceMemory *memory : device.allocated)
    sizes.push_back(memory->size());
  if (sizes != std::vector{plan.arenaBytes, plan.cacheBytes, use.inputs} ||
      use.arena != plan.arenaBytes || use.cache != plan.cacheBytes ||
      use.weights != model->getArtifact().getWeights().size())
    fail("the session took other sizes than the plan says");

  uint64_t steps = 0;
  for (int round = 0; round < 2; ++round)
    fillContext(*session, plan, steps);
  checkIsUsedToItsEnd("arena", *device.allocated[0]);
  checkIsUsedToItsEnd("cache", *device.allocated[1]);
  std::printf("%llu steps in arena %llu cache %llu weights %llu\n", (unsigned long long)steps,
              (unsigned long long)plan.arenaBytes, (unsigned long long)plan.cacheBytes,
              (unsigned long long)use.weights);
  if (device.allocated.size() != 3)
    fail("a step allocated memory of the device");
}
