//===- CpuDeviceTest.cpp - The CPU device: conformance, code levels, ELF checks, pool ---------------===//

#include "runtime/cpu/CpuDevice.h"
#include "runtime/core/Model.h"
#include "runtime/cpu/ElfLoad.h"
#include "test/unit/runtime/DeviceConformance.h"
#include "test/unit/runtime/ToyModel.h"

#include <algorithm>
#include <array>
#include <elf.h>
#include <filesystem>
#include <fstream>
#include <sched.h>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>

using namespace ingot;
using namespace ingot::runtime;
using namespace ingot::runtime::cpu;
using namespace ingot::test;
using testing::HasSubstr;

namespace {

DeviceUnderTest makeCpu(unsigned threads, WeightPlacement placement = WeightPlacement::Automatic) {
  return {"Threads" + std::to_string(threads) + std::array{"", "Mapped", "Copied"}[int(placement)],
          [threads, placement] {
            return std::make_unique<CpuDevice>(CpuOptions{threads, true, placement});
          },
          Toy::readKernels};
}

INSTANTIATE_TEST_SUITE_P(Cpu, DeviceConformance,
                         testing::Values(makeCpu(1), makeCpu(2),
                                         makeCpu(3, WeightPlacement::Mapped),
                                         makeCpu(8, WeightPlacement::Copied)),
                         [](const auto &info) { return info.param.name; });

//===--------------------------------------------------------------------------------------------===//
// Features and levels
//===--------------------------------------------------------------------------------------------===//

const std::set<std::string, std::less<>> v3 = {"cx16",   "sahf",   "popcnt", "sse3",  "ssse3",
                                               "sse4.1", "sse4.2", "avx",    "avx2",  "bmi",
                                               "bmi2",   "f16c",   "fma",    "lzcnt", "movbe"};

Features without(std::string_view feature) {
  auto names = v3;
  names.erase(names.find(feature));
  return Features(names);
}

Features with(std::string feature) {
  auto names = v3;
  names.insert(std::move(feature));
  return Features(names);
}

TEST(Features, TheMissingOneIsNamed) {
  EXPECT_TRUE(Features(v3).rank("cpu:x86-64-v3").ok());
  EXPECT_EQ(without("f16c").rank("cpu:x86-64-v3").message(),
            "'cpu:x86-64-v3' needs the CPU feature f16c, which this machine lacks");
  EXPECT_THAT(Features(v3).rank("cpu:x86-64-v4").message(), HasSubstr("CPU feature avx512f,"));
  EXPECT_THAT(Features(v3).rank("cpu:x86-64-v3+avxvnni").message(),
              HasSubstr("CPU feature avxvnni,"));
  EXPECT_TRUE(without("f16c").rank("cpu:x86-64-v2").ok());
}

TEST(Features, UnknownTargetsAreRefused) {
  EXPECT_THAT(Features(v3).rank("cuda:sm_90a").message(), HasSubstr("not a CPU target"));
  EXPECT_THAT(Features(v3).rank("cpu:x86-64-v9").message(), HasSubstr("level 'x86-64-v9'"));
  EXPECT_THAT(Features(v3).rank("cpu:x86-64-v3+").message(), HasSubstr("feature ''"));
  EXPECT_THAT(Features(v3).rank("cpu:x86-64-v3+amx").message(), HasSubstr("feature 'amx'"));
}

TEST(Features, MoreSpecificCodeRanksHigher) {
  Features features = with("avxvnni");
  EXPECT_LT(*features.rank("cpu:x86-64"), *features.rank("cpu:x86-64-v2"));
  EXPECT_LT(*features.rank("cpu:x86-64-v2+avx2"), *features.rank("cpu:x86-64-v3"));
  EXPECT_LT(*features.rank("cpu:x86-64-v3"), *features.rank("cpu:x86-64-v3+avxvnni"));
  EXPECT_EQ(features.describe(), "x86-64-v3+avxvnni");
  EXPECT_EQ(without("fma").describe(), "x86-64-v2+avx+avx2+bmi+bmi2+f16c+lzcnt+movbe");
}

TEST(CpuDevice, TheBestLevelOfTheArtefactIsChosen) {
  ArtifactBuilder builder = Toy::makeBuilder();
  std::vector<std::byte> elf = builder.code[0].second;
  builder.code = {
      {"cpu:x86-64-v4", elf}, {"cpu:x86-64", elf}, {"cpu:x86-64-v3", elf}, {"cuda:sm_90a", elf}};
  std::vector<std::byte> file = builder.build();
  Result<Artifact> artifact = Artifact::read(file, "toy.ingot");
  ASSERT_TRUE(artifact.ok()) << artifact.message();
  EXPECT_EQ((*CpuDevice({1}, Features(v3)).selectCode(*artifact))->target, "cpu:x86-64-v3");
  EXPECT_EQ((*CpuDevice({1}, Features()).selectCode(*artifact))->target, "cpu:x86-64");
  builder.code = {{"cpu:x86-64-v4", elf}, {"cpu:x86-64-v3", elf}};
  file = builder.build();
  artifact = Artifact::read(file, "toy.ingot");
  EXPECT_EQ(CpuDevice({1}, without("bmi2")).selectCode(*artifact).message(),
            "toy.ingot: no code for this CPU: 'cpu:x86-64-v4' needs the CPU feature bmi2, which "
            "this machine lacks; "
            "'cpu:x86-64-v3' needs the CPU feature bmi2, which this machine lacks");
}

TEST(CpuDevice, AModelWithoutOneOfItsKernelsDoesNotOpen) {
  ArtifactBuilder builder = Toy::makeBuilder();
  builder.kernels[2].symbol = builder.name("absent");
  std::vector<std::byte> file = builder.build();
  Result<Artifact> artifact = Artifact::read(file, "toy.ingot");
  ASSERT_TRUE(artifact.ok()) << artifact.message();
  CpuDevice device({1});
  EXPECT_EQ(Model::create(std::make_shared<Artifact>(std::move(*artifact)), device).message(),
            "toy.ingot: section Kernels of cpu:x86-64: the code has no kernel 'absent'");
}

//===--------------------------------------------------------------------------------------------===//
// ELF
//===--------------------------------------------------------------------------------------------===//

std::string check(const std::vector<std::byte> &elf) {
  Result<KernelElf> result = checkKernelElf(elf);
  return result.ok() ? "accepted" : result.message();
}

TEST(ElfCheck, AcceptsKernels) { EXPECT_EQ(check(Toy::readKernels()), "accepted"); }

TEST(ElfCheck, RefusesWhatIsMoreThanKernels) {
  auto read = [](const char *name) {
    return Toy::readFile(std::string(INGOT_TEST_BAD_KERNELS) + name + ".so");
  };
  EXPECT_THAT(check(read("undefined")), HasSubstr("symbol 'missing' is not defined"));
  EXPECT_THAT(check(read("constructor")), HasSubstr("initialiser"));
  EXPECT_THAT(check(read("needed")), HasSubstr("DT_NEEDED"));
  EXPECT_THAT(check(read("thread")), HasSubstr("segment of type 0x7"));
  EXPECT_THAT(check(read("ifunc")), HasSubstr("of type 10"));
}

TEST(ElfCheck, EveryTruncationIsRefused) {
  std::vector<std::byte> elf = Toy::readKernels();
  // What follows the last loaded byte (section headers) is not looked at.
  auto *header = reinterpret_cast<const Elf64_Ehdr *>(elf.data());
  uint64_t loaded = 0;
  for (int i = 0; i < header->e_phnum; ++i) {
    auto *segment = reinterpret_cast<const Elf64_Phdr *>(elf.data() + header->e_phoff) + i;
    if (segment->p_type == PT_LOAD)
      loaded = std::max(loaded, segment->p_offset + segment->p_filesz);
  }
  for (uint64_t length = 0; length < loaded; ++length)
    EXPECT_NE(check({elf.begin(), elf.begin() + length}), "accepted") << length;
}

TEST(ElfCheck, FlippedBitsNeverCrashAndWhatIsAcceptedLoads) {
  std::vector<std::byte> elf = Toy::readKernels();
  size_t refused = 0;
  for (size_t bit = 0; bit < elf.size() * 8; ++bit) {
    elf[bit / 8] ^= std::byte(1 << bit % 8);
    if (Result<KernelElf> result = checkKernelElf(elf); !result)
      ++refused;
    else
      EXPECT_TRUE(loadKernelElf(elf, *result).ok()) << bit;
    elf[bit / 8] ^= std::byte(1 << bit % 8);
  }
  EXPECT_GT(refused, 1000u);
}

/// The rights, as in /proc/self/maps, of the page that holds `address`.
std::string readRights(const void *address) {
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    unsigned long begin, end;
    char rights[5];
    if (std::sscanf(line.c_str(), "%lx-%lx %4s", &begin, &end, rights) == 3 &&
        reinterpret_cast<uintptr_t>(address) - begin < end - begin)
      return rights;
  }
  return "unmapped";
}

TEST(ElfLoad, CodeIsExecutableNotWritableAndLeavesWithItsModule) {
  std::vector<std::byte> elf = Toy::readKernels();
  CpuDevice device({1});
  auto module = device.loadModule(elf);
  ASSERT_TRUE(module.ok()) << module.message();
  elf.clear(); // nothing of the file is needed any longer
  Kernel kernel = *(*module)->findKernel("embed", {});
  EXPECT_EQ(readRights(kernel), "r-xp");
  EXPECT_EQ((*module)->findKernel("embe", {}).message(), "the code has no kernel 'embe'");
  EXPECT_FALSE((*module)->findKernel(std::string_view("embed\0", 6), {}).ok());
  module->reset();
  EXPECT_EQ(readRights(kernel), "unmapped");
}

TEST(ElfLoad, AddressesInDataAreThoseOfTheLoadedCode) {
  std::vector<std::byte> elf = Toy::readFile(INGOT_TEST_RELOCATED_KERNELS);
  CpuDevice device({1});
  // Two copies lie at different addresses; each must use its own data.
  auto first = device.loadModule(elf), second = device.loadModule(elf);
  ASSERT_TRUE(first.ok()) << first.message();
  ASSERT_TRUE(second.ok()) << second.message();
  using Function = void (*)(void *const *, const int64_t *, int64_t, int64_t, int64_t);
  for (const std::unique_ptr<Module> *module : {&*first, &*second}) {
    const void *table[4] = {};
    void *arguments[] = {table};
    auto function =
        reinterpret_cast<Function>(const_cast<void *>(*(*module)->findKernel("describe", {})));
    function(arguments, nullptr, 0, 0, 0);
    EXPECT_EQ(table[0], reinterpret_cast<const void *>(function)); // R_X86_64_64 or RELATIVE
    EXPECT_STREQ(static_cast<const char *>(table[1]), "constant"); // by a table of addresses
    EXPECT_EQ(readRights(table[2]), "r--p");                       // relro: the table itself
    EXPECT_EQ(readRights(table[3]), "rw-p");                       // plain data
  }
}

//===--------------------------------------------------------------------------------------------===//
// Pool
//===--------------------------------------------------------------------------------------------===//

void addOne(void *const *arguments, const int64_t *, int64_t x, int64_t, int64_t) {
  static_cast<int64_t *>(arguments[0])[x] += 1;
}

TEST(CpuDevice, WeightsAreCopiedOrUsedInPlaceAsAsked) {
  std::vector<std::byte> weights(5 << 20 | 123);
  for (size_t i = 0; i < weights.size(); ++i)
    weights[i] = std::byte(i * 31 >> 3);
  for (WeightPlacement placement :
       {WeightPlacement::Mapped, WeightPlacement::Copied, WeightPlacement::Automatic}) {
    std::vector<std::byte> source = weights;
    CpuDevice device({2, true, placement});
    auto memory = device.importBytes(source);
    ASSERT_TRUE(memory.ok());
    EXPECT_EQ((*memory)->address() == source.data(), placement == WeightPlacement::Mapped);
    EXPECT_TRUE(std::equal(weights.begin(), weights.end(), (*memory)->address()));
  }
}

/// Pages of this process from `begin` on that are in memory.
uint64_t countPagesInMemory(const std::byte *begin, uint64_t pages) {
  std::ifstream map("/proc/self/pagemap", std::ios::binary);
  std::vector<uint64_t> entries(pages);
  map.seekg(reinterpret_cast<uintptr_t>(begin) / 4096 * sizeof(uint64_t));
  map.read(reinterpret_cast<char *>(entries.data()), pages * sizeof(uint64_t));
  return std::count_if(entries.begin(), entries.end(), [](uint64_t entry) { return entry >> 63; });
}

TEST(CpuDevice, MappedWeightsComeIntoMemoryInTheBackgroundAndCopiedOnesLeave) {
  std::string path = testing::TempDir() + "pages-" + std::to_string(getpid());
  constexpr uint64_t pages = 1024;
  std::ofstream(path, std::ios::binary) << std::string(pages * 4096, 'x');
  Result<MappedMemory> file = MappedMemory::mapFile(path);
  unlink(path.c_str());
  ASSERT_TRUE(file.ok());
  EXPECT_EQ(countPagesInMemory(file->data(), pages), 0u);
  CpuDevice device({2, true, WeightPlacement::Mapped});
  auto memory = device.importBytes(file->view());
  ASSERT_TRUE(memory.ok());
  for (int i = 0; i < 10000 && countPagesInMemory(file->data(), pages) < pages; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  EXPECT_EQ(countPagesInMemory(file->data(), pages), pages);
  file->forgetFilePages(file->view().first(pages * 4096 / 2 + 5));
  EXPECT_EQ(countPagesInMemory(file->data(), pages), pages / 2);
  EXPECT_EQ((*memory)->address()[0], std::byte('x'));
  memory = device.importBytes(file->view().subspan(1, 4096)); // no whole page
  EXPECT_TRUE(memory.ok());
}

TEST(Memory, LargeMemoryBeginsAtAHugePageAndEndsWhereItShould) {
  for (uint64_t bytes : {uint64_t(1), uint64_t(4096), (uint64_t(2) << 20) - 1, uint64_t(2) << 20,
                         (uint64_t(6) << 20) + 1}) {
    Result<MappedMemory> memory = MappedMemory::allocate(bytes);
    ASSERT_TRUE(memory.ok());
    if (bytes >= 2 << 20)
      EXPECT_EQ(reinterpret_cast<uintptr_t>(memory->data()) % (2 << 20), 0u);
    memory->data()[bytes - 1] = std::byte(1);
    EXPECT_EQ(memory->data()[0], std::byte(bytes == 1));
  }
}

TEST(WorkerPool, ThreadsAreAtLeastOneAndAtMostTheCpus) {
  unsigned cores = 0;
  EXPECT_FALSE(listUsableCpus(&cores).empty());
  EXPECT_GE(chooseThreadCount(), 1u);
  EXPECT_LE(chooseThreadCount(), cores);
  EXPECT_EQ(WorkerPool({5}).size(), 5u);
}

// Two nodes of two cores of two threads, numbered as systems do: cores of one node, then of the
// other, then the second threads.
TEST(WorkerPool, CpusAreTakenByCoreAndFromAllMemoryNodesInTurn) {
  std::string folder = testing::TempDir() + "cpus-" + std::to_string(getpid());
  for (int cpu = 0; cpu < 8; ++cpu) {
    std::filesystem::path home = folder + "/cpu" + std::to_string(cpu);
    std::filesystem::create_directories(home / "topology");
    std::filesystem::create_directories(home / ("node" + std::to_string(cpu % 4 / 2)));
    std::ofstream(home / "topology/thread_siblings_list") << cpu % 4 << "," << cpu % 4 + 4 << "\n";
  }
  unsigned cores = 0;
  EXPECT_THAT(orderCpus({0, 1, 2, 3, 4, 5, 6, 7}, folder, &cores),
              testing::ElementsAre(0, 2, 1, 3, 4, 6, 5, 7));
  EXPECT_EQ(cores, 4u);
  // What the affinity mask leaves: a core by its second thread, one node only.
  EXPECT_THAT(orderCpus({1, 5, 6}, folder, &cores), testing::ElementsAre(1, 6, 5));
  EXPECT_EQ(cores, 2u);
  EXPECT_THAT(orderCpus({0, 1, 4, 5}, folder, &cores), testing::ElementsAre(0, 1, 4, 5));
  std::filesystem::remove_all(folder);
  // A system that says nothing: every CPU is a core.
  EXPECT_THAT(orderCpus({3, 4}, folder, &cores), testing::ElementsAre(3, 4));
  EXPECT_EQ(cores, 2u);
}

/// Runs `body` on a thread that may use the first usable CPU only.
template <typename Body> void runOnOneCpu(Body body) {
  std::thread([&] {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(listUsableCpus().front(), &set);
    ASSERT_EQ(sched_setaffinity(0, sizeof(set), &set), 0);
    body();
  }).join();
}

/// What many launches of one table do, with empty ones between them.
void expectComplete(WorkerPool &pool) {
  std::vector<int64_t> table(100);
  std::vector<uint64_t> nanoseconds(5);
  void *arguments[] = {table.data()};
  Grid grid{100, 1, 1}, empty{0, 1, 1};
  Launch full{reinterpret_cast<Kernel>(&addOne), arguments, 1, &grid}, none = full;
  none.grid = &empty;
  std::vector<Launch> launches = {none, full, none, none, full};
  for (int job = 0; job < 200; ++job)
    pool.run(launches, nullptr, job % 2 ? nanoseconds.data() : nullptr);
  EXPECT_EQ(table, std::vector<int64_t>(100, 400));
}

TEST(WorkerPool, TheAffinityMaskIsRespected) {
  runOnOneCpu([] {
    unsigned cores = 0;
    EXPECT_EQ(listUsableCpus(&cores).size(), 1u);
    EXPECT_EQ(cores, 1u);
    EXPECT_EQ(chooseThreadCount(), 1u);
  });
}

TEST(WorkerPool, MoreWorkersThanCpusComplete) {
  runOnOneCpu([] {
    for (unsigned threads : {1, 2, 7}) {
      WorkerPool pool({threads});
      EXPECT_EQ(pool.isSpinning(), threads == 1);
      expectComplete(pool);
    }
  });
  WorkerPool pool({2});
  expectComplete(pool);
}

/// A control group of this process with a quota of CPU time, where the system lets us make one.
class QuotaGroup {
public:
  QuotaGroup(const char *quota, const char *period) {
    std::ifstream groups("/proc/self/cgroup");
    std::string line;
    while (std::getline(groups, line))
      if (size_t path = line.find(":cpu:/"); path != std::string::npos)
        parent = "/sys/fs/cgroup/cpu" + line.substr(path + 5);
    folder = parent + "/ingot-test-" + std::to_string(getpid());
    isFolder = !parent.empty() && mkdir(folder.c_str(), 0700) == 0;
    made = isFolder && write("cpu.cfs_period_us", period) && write("cpu.cfs_quota_us", quota) &&
           write("cgroup.procs", "0");
  }
  ~QuotaGroup() {
    if (made)
      std::ofstream(parent + "/cgroup.procs") << "0";
    if (isFolder)
      rmdir(folder.c_str());
  }
  bool isMade() const { return made; }

private:
  bool write(const char *file, const char *text) {
    std::ofstream stream(folder + "/" + file);
    return stream.good() && (stream << text).flush().good();
  }
  std::string parent, folder;
  bool isFolder = false, made = false;
};

TEST(WorkerPool, TheQuotaOfTheControlGroupIsRespected) {
  QuotaGroup group("150000", "100000");
  if (!group.isMade())
    GTEST_SKIP() << "no control group of version 1 can be made here";
  EXPECT_DOUBLE_EQ(readCgroupQuota(), 1.5);
  EXPECT_EQ(chooseThreadCount(), 1u);
  for (unsigned threads : {2, 4}) {
    WorkerPool pool({threads});
    EXPECT_FALSE(pool.isSpinning());
    expectComplete(pool);
  }
}

// A launch of one block goes to who ended the one before, so a chain of them does not change
// threads.
TEST(WorkerPool, AChainOfSingleBlocksStaysOnOneThread) {
  WorkerPool pool({2});
  std::vector<std::thread::id> threads(50);
  auto note = [](void *const *arguments, const int64_t *, int64_t, int64_t, int64_t) {
    *static_cast<std::thread::id *>(arguments[0]) = std::this_thread::get_id();
  };
  KernelFunction kernel = note;
  Grid grid{1, 1, 1};
  std::vector<void *> arguments;
  for (std::thread::id &id : threads)
    arguments.push_back(&id);
  std::vector<Launch> launches;
  for (void *&argument : arguments)
    launches.push_back({reinterpret_cast<Kernel>(kernel), &argument, 1, &grid});
  pool.run(launches, nullptr);
  EXPECT_EQ(threads, std::vector(50, std::this_thread::get_id()));
}

TEST(CpuDevice, WhatALaunchAndAnExchangeOfACacheLineCostIsMeasured) {
  CpuDevice two({2}), one({1});
  Result<DeviceSpeed> speed = two.measureSpeed();
  ASSERT_TRUE(speed.ok());
  EXPECT_GT(speed->exchangeSeconds, 0);
  EXPECT_GE(speed->launchSeconds, 0);
  speed = one.measureSpeed();
  ASSERT_TRUE(speed.ok());
  EXPECT_EQ(speed->exchangeSeconds, 0); // there is nobody to exchange with
}

TEST(WorkerPool, JobsThatFollowEachOtherAtAnyPaceAreComplete) {
  for (unsigned threads : {1, 2, 5}) {
    WorkerPool pool({threads});
    std::vector<int64_t> table(100);
    void *arguments[] = {table.data()};
    Grid grid{100, 1, 1};
    std::vector<Launch> launches(3, Launch{reinterpret_cast<Kernel>(&addOne), arguments, 1, &grid});
    for (int job = 0; job < 300; ++job) {
      pool.run(launches, nullptr);
      if (job % 100 == 99) // long enough for all workers to fall asleep
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    EXPECT_EQ(table, std::vector<int64_t>(100, 900));
  }
}

} // namespace
