//===- DeviceConformance.h - What every device must do --------------------------------------------===//
//
// One suite for all devices. A device takes part by instantiating it with a maker and the toy
// kernels in its code; where the maker has no device, the tests are skipped:
//
//   INSTANTIATE_TEST_SUITE_P(Cpu, DeviceConformance, testing::Values(DeviceUnderTest{...}));
//
//===----------------------------------------------------------------------------------------------===//

#ifndef INGOT_TEST_RUNTIME_DEVICECONFORMANCE_H
#define INGOT_TEST_RUNTIME_DEVICECONFORMANCE_H

#include "runtime/core/Device.h"

#include <functional>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <numeric>

namespace ingot::test {

struct DeviceUnderTest {
  std::string name;
  std::function<std::unique_ptr<runtime::Device>()> make;
  std::function<std::vector<std::byte>()> readKernels;
};

class DeviceConformance : public testing::TestWithParam<DeviceUnderTest> {
protected:
  void SetUp() override {
    device = GetParam().make();
    if (!device)
      GTEST_SKIP() << "this machine has no such device";
    code = GetParam().readKernels();
    auto loaded = device->loadModule(code);
    ASSERT_TRUE(loaded.ok()) << loaded.message();
    module = std::move(*loaded);
    auto made = device->createQueue();
    ASSERT_TRUE(made.ok()) << made.message();
    queue = std::move(*made);
  }

  std::unique_ptr<runtime::DeviceMemory> allocate(uint64_t bytes) {
    auto memory = device->allocate(bytes);
    EXPECT_TRUE(memory.ok()) << memory.message();
    return std::move(*memory);
  }

  runtime::Kernel find(const char *symbol) {
    auto kernel = module->findKernel(symbol, shape);
    EXPECT_TRUE(kernel.ok()) << kernel.message();
    return *kernel;
  }

  /// Device memory with these numbers.
  std::unique_ptr<runtime::DeviceMemory> upload(const std::vector<int64_t> &values) {
    auto memory = allocate(values.size() * sizeof(int64_t));
    EXPECT_TRUE(queue->copy(memory->address(), values.data(), memory->size()).ok());
    return memory;
  }

  std::vector<int64_t> download(const runtime::DeviceMemory &memory) {
    std::vector<int64_t> values(memory.size() / sizeof(int64_t));
    EXPECT_TRUE(queue->copy(values.data(), memory.address(), memory.size()).ok());
    EXPECT_TRUE(queue->synchronize().ok());
    return values;
  }

  static constexpr runtime::KernelShape shape{0, /*threads=*/32, 0, false};
  std::unique_ptr<runtime::Device> device;
  std::vector<std::byte> code;
  std::unique_ptr<runtime::Module> module;
  std::unique_ptr<runtime::Queue> queue;
  int64_t counts[format::countCount] = {};
};

TEST_P(DeviceConformance, NewMemoryIsZero) {
  EXPECT_EQ(download(*allocate(4096)), std::vector<int64_t>(512, 0));
  EXPECT_EQ(allocate(0)->size(), 0u);
}

TEST_P(DeviceConformance, TooMuchMemoryIsAnError) {
  auto memory = device->allocate(uint64_t(1) << 60);
  ASSERT_FALSE(memory.ok());
  EXPECT_THAT(memory.message(), testing::HasSubstr("1152921504606846976"));
}

TEST_P(DeviceConformance, ImportedBytesAreThere) {
  std::vector<int64_t> values(1000);
  std::iota(values.begin(), values.end(), 7);
  auto memory = device->importBytes(std::as_bytes(std::span(values)));
  ASSERT_TRUE(memory.ok()) << memory.message();
  EXPECT_EQ(download(**memory), values);
}

TEST_P(DeviceConformance, AMissingKernelIsNamed) {
  EXPECT_THAT(module->findKernel("nothing", shape).message(),
              testing::HasSubstr("no kernel 'nothing'"));
}

TEST_P(DeviceConformance, CodeThatIsNoneIsRefused) {
  EXPECT_FALSE(device->loadModule({}).ok());
  EXPECT_FALSE(device->loadModule(runtime::Bytes(code).first(code.size() / 2)).ok());
}

TEST_P(DeviceConformance, EveryBlockOfAGridRunsOnce) {
  runtime::Kernel visit = find("visit");
  for (runtime::Grid grid :
       {runtime::Grid{1, 1, 1}, {7, 1, 1}, {1, 5, 3}, {64, 3, 5}, {1, 1, 1000}, {4, 0, 9}}) {
    int64_t blocks = grid.x * grid.y * grid.z;
    auto table = allocate(std::max<int64_t>(blocks, 1) * sizeof(int64_t));
    auto extents = upload({grid.x, grid.y, grid.z});
    void *arguments[] = {table->address(), extents->address()};
    runtime::Launch launch{visit, arguments, 2, &grid};
    counts[0] = 4;
    ASSERT_TRUE(queue->launch({&launch, 1}, counts).ok());
    EXPECT_EQ(download(*table), std::vector<int64_t>(std::max<int64_t>(blocks, 1), blocks ? 5 : 0));
  }
}

TEST_P(DeviceConformance, ALaunchSeesAllOfTheOneBefore) {
  constexpr int64_t size = 97, rounds = 400;
  std::vector<int64_t> start(size);
  std::iota(start.begin(), start.end(), 0);
  auto a = upload(start), b = upload(std::vector<int64_t>(size));
  void *forth[] = {a->address(), b->address()}, *back[] = {b->address(), a->address()};
  runtime::Grid grid{size, 1, 1};
  std::vector<runtime::Launch> launches;
  for (int64_t i = 0; i < rounds; ++i)
    launches.push_back({find("reverse"), i % 2 ? back : forth, 2, &grid});
  counts[0] = size;
  for (int repeat = 0; repeat < 4; ++repeat)
    ASSERT_TRUE(queue->launch(launches, counts).ok());
  for (int64_t &value : start)
    value += 4 * rounds; // reversed an even number of times
  EXPECT_EQ(download(*a), start);
}

TEST_P(DeviceConformance, ConstantTablesAreRelocated) {
  auto table = allocate(6 * sizeof(int64_t));
  void *arguments[] = {table->address()};
  runtime::Grid grid{6, 1, 1};
  runtime::Launch launch{find("lookUp"), arguments, 1, &grid};
  ASSERT_TRUE(queue->launch({&launch, 1}, counts).ok());
  EXPECT_EQ(download(*table), (std::vector<int64_t>{5, 3, 2, 5, 3, 2}));
}

TEST_P(DeviceConformance, MemoryIsFilled) {
  auto memory = upload({1, 2, 3, 4});
  ASSERT_TRUE(queue->fill(memory->address() + 8, std::byte(0xff), 16).ok());
  EXPECT_EQ(download(*memory), (std::vector<int64_t>{1, -1, -1, 4}));
}

// Counts, table -> table: what a session does, with other numbers each time.
TEST_P(DeviceConformance, EveryStepUsesItsOwnInputs) {
  constexpr int64_t size = 20, inputs = format::countCount + size;
  auto staging = device->allocateStaging(inputs * sizeof(int64_t));
  auto result = device->allocateStaging(size * sizeof(int64_t));
  ASSERT_TRUE(staging.ok() && result.ok() && (*staging)->isHostAccessible());
  auto *host = reinterpret_cast<int64_t *>((*staging)->address());
  auto *output = reinterpret_cast<int64_t *>((*result)->address());
  EXPECT_EQ(std::vector<int64_t>(output, output + size), std::vector<int64_t>(size, 0));
  auto input = allocate(inputs * sizeof(int64_t)), to = allocate(size * sizeof(int64_t));
  std::byte *table = input->address() + format::countCount * sizeof(int64_t);
  void *forth[] = {table, to->address()}, *back[] = {to->address(), table};
  runtime::Grid grid;
  runtime::Kernel kernel = find("reverse");
  std::vector<runtime::Launch> launches = {
      {kernel, forth, 2, &grid}, {kernel, back, 2, &grid}, {kernel, forth, 2, &grid}};
  for (int64_t step = 0; step < 40; ++step) {
    int64_t count = step % 4 == 3 ? size : 7;
    grid.x = counts[0] = host[0] = count;
    for (int64_t i = 0; i < size; ++i)
      host[format::countCount + i] = 100 * step + i;
    runtime::Step work;
    work.input = {input->address(), host, inputs * sizeof(int64_t)};
    work.launches = launches;
    work.counts = work.gridCounts = counts;
    work.deviceCounts = reinterpret_cast<const int64_t *>(input->address());
    work.output = {output, to->address(), count * sizeof(int64_t)};
    ASSERT_TRUE(queue->run(work).ok());
    for (int64_t i = 0; i < count; ++i)
      ASSERT_EQ(output[i], 100 * step + count - 1 - i + 3) << step << " " << i;
  }
}

TEST_P(DeviceConformance, RoundedCountsAreFewAndNotFarOff) {
  uint64_t last = 0, different = 0;
  for (uint64_t count = 0; count <= 4096; ++count) {
    uint64_t rounded = device->roundCount(count);
    ASSERT_GE(rounded, count);
    ASSERT_LE(rounded, count + count / 8);
    ASSERT_GE(rounded, last);
    ASSERT_EQ(device->roundCount(rounded), rounded);
    different += rounded != last;
    last = rounded;
  }
  RecordProperty("different", std::to_string(different));
}

TEST_P(DeviceConformance, TimedLaunchesComputeTheSame) {
  auto table = allocate(3 * sizeof(int64_t));
  auto extents = upload({3, 1, 1});
  void *arguments[] = {table->address(), extents->address()};
  runtime::Grid grid{3, 1, 1};
  std::vector<runtime::Launch> launches(5, runtime::Launch{find("visit"), arguments, 2, &grid});
  std::vector<uint64_t> nanoseconds(5, ~uint64_t(0));
  ASSERT_TRUE(queue->launchTimed(launches, counts, nanoseconds.data()).ok());
  EXPECT_EQ(download(*table), std::vector<int64_t>(3, 5));
  for (uint64_t time : nanoseconds)
    EXPECT_LT(time, uint64_t(60) * 1000 * 1000 * 1000);
}

TEST_P(DeviceConformance, SpeedIsMeasured) {
  auto speed = device->measureSpeed();
  ASSERT_TRUE(speed.ok()) << speed.message();
  EXPECT_GT(speed->readBytesPerSecond, 1e6);
  EXPECT_GT(speed->operationsPerSecond, 1e6);
  RecordProperty("GBps", std::to_string(speed->readBytesPerSecond * 1e-9));
  RecordProperty("GFLOPs", std::to_string(speed->operationsPerSecond * 1e-9));
}

TEST_P(DeviceConformance, EventsAreInOrder) {
  auto first = queue->record();
  ASSERT_TRUE(first.ok() && queue->launch({}, counts).ok());
  auto second = queue->record();
  ASSERT_TRUE(second.ok() && (*second)->wait().ok() && (*first)->wait().ok());
  EXPECT_LE((*first)->getNanoseconds(), (*second)->getNanoseconds());
}

} // namespace ingot::test

#endif // INGOT_TEST_RUNTIME_DEVICECONFORMANCE_H
