//===- CudaDeviceTest.cpp - GPUs: conformance, code, graphs, and everything that fails ------------===//
//
// On the fake driver, which fails on demand and keeps a record; what any device must do also on a
// real GPU where there is one.
//
//===----------------------------------------------------------------------------------------------===//

#include "runtime/core/Session.h"
#include "runtime/cuda/CudaModule.h"
#include "runtime/cuda/CudaQueue.h"
#include "runtime/cuda/Upload.h"
#include "test/unit/runtime/DeviceConformance.h"
#include "test/unit/runtime/GpuDevices.h"

#include <algorithm>
#include <filesystem>

using namespace ingot;
using namespace ingot::runtime;
using namespace ingot::runtime::cuda;
using namespace ingot::test;
using testing::HasSubstr;

namespace {

INSTANTIATE_TEST_SUITE_P(Gpu, DeviceConformance,
                         testing::Values(DeviceUnderTest{"Fake", openFakeGpu, GpuCode::readKernels},
                                         DeviceUnderTest{"Real", openGpu, GpuCode::readKernels}),
                         [](const auto &info) { return info.param.name; });

/// The fake GPU and the toy model on it.
class CudaDeviceTest : public testing::Test {
protected:
  void SetUp() override { fake.reset(); }
  void TearDown() override {
    session.reset();
    model.reset();
    device.reset();
    if (expectsClean)
      EXPECT_TRUE(fake.isClean()) << fake.lastError;
  }

  std::string open(CudaOptions options = getFakeOptions()) {
    auto opened = CudaDevice::open(options);
    if (!opened)
      return opened.message();
    device = std::move(*opened);
    return "opened";
  }

  /// Opens the toy model; "opened" or what went wrong.
  std::string openModel(ArtifactBuilder builder = GpuCode::makeBuilder()) {
    if (!device)
      EXPECT_EQ(open(), "opened");
    file = builder.build();
    Result<Artifact> artifact = Artifact::read(file, "toy.ingot");
    EXPECT_TRUE(artifact.ok()) << artifact.message();
    auto made = Model::create(std::make_shared<Artifact>(std::move(*artifact)), *device);
    if (!made)
      return made.message();
    model = std::move(*made);
    auto begun = Session::create(*model);
    if (!begun)
      return begun.message();
    session = std::move(*begun);
    sequence.reset();
    return "opened";
  }

  /// A step of one sequence from its beginning; "done" or what went wrong.
  std::string step(std::vector<int32_t> tokens, uint64_t outputs = 1) {
    if (!sequence)
      sequence = *session->addSequence();
    EXPECT_TRUE(session->truncateSequence(*sequence, 0).ok());
    SequenceTokens part{*sequence, tokens, outputs};
    Result<StepOutput> output = session->step({&part, 1});
    if (!output)
      return output.message();
    if (outputs)
      EXPECT_EQ(output->logits[(outputs - 1) * Toy::vocabulary], Toy::predict(tokens));
    return "done";
  }

  FakeCuda &fake = getFakeCuda();
  bool expectsClean = true;
  std::unique_ptr<CudaDevice> device;
  std::vector<std::byte> file;
  std::unique_ptr<Model> model;
  std::unique_ptr<Session> session;
  std::optional<SequenceId> sequence;
};

//===--------------------------------------------------------------------------------------------===//
// Finding a GPU
//===--------------------------------------------------------------------------------------------===//

TEST_F(CudaDeviceTest, AMachineWithoutADriverSaysSo) {
  CudaOptions options;
  options.library = "libno-such-driver.so.1";
  EXPECT_THAT(open(options), HasSubstr("cuda:0: this machine has no NVIDIA driver: libno-such"));
}

TEST_F(CudaDeviceTest, ADriverWithoutAFunctionIsTooOld) {
  CudaOptions options;
  options.library = "libm.so.6";
  EXPECT_EQ(open(options), "cuda:0: the NVIDIA driver is too old: it lacks cuInit, which came with "
                           "CUDA 12; update the driver");
}

TEST_F(CudaDeviceTest, AMachineWithoutAGpuSaysSo) {
  fake.devices = 0;
  EXPECT_THAT(open(), HasSubstr("this machine has no NVIDIA GPU: the driver finds none"));
}

TEST_F(CudaDeviceTest, AnIndexBeyondTheLastNamesHowManyThereAre) {
  fake.devices = 2;
  CudaOptions options = getFakeOptions();
  options.index = 2;
  EXPECT_EQ(open(options), "there is no GPU cuda:2: the driver finds 2, from cuda:0 on");
  options.index = 1;
  EXPECT_EQ(open(options), "opened");
  EXPECT_EQ(device->describe(), "cuda:1, Fake GPU 1, compute capability 9.0, 4 multiprocessors, "
                                "driver for CUDA 13.0");
}

TEST_F(CudaDeviceTest, AGpuThatIsTakenIsNamed) {
  fake.failures["cuDevicePrimaryCtxRetain"] = {codeDeviceUnavailable};
  EXPECT_EQ(open(),
            "cannot open GPU cuda:0: the GPU is busy or was taken away (unknown error, 46)");
}

//===--------------------------------------------------------------------------------------------===//
// Code
//===--------------------------------------------------------------------------------------------===//

std::string choose(const CudaDevice &device, ArtifactBuilder builder) {
  std::vector<std::byte> file = builder.build();
  Result<Artifact> artifact = Artifact::read(file, "toy.ingot");
  EXPECT_TRUE(artifact.ok()) << artifact.message();
  Result<const Section *> section = device.selectCode(*artifact);
  return section.ok() ? std::string((*section)->target) : section.message();
}

TEST_F(CudaDeviceTest, TheBestCodeForTheGpuIsChosen) {
  auto section = [](uint32_t capability, bool isExact) {
    return GpuCode::makeSection(GpuCode::getPtx(), "", capability, isExact);
  };
  ArtifactBuilder builder = GpuCode::makeBuilder();
  builder.code = {{"cuda:sm_80", section(80, false)},
                  {"cuda:sm_90a", section(90, true)},
                  {"cuda:sm_90", section(90, false)},
                  {"cuda:sm_100a", section(100, true)},
                  {"cpu:x86-64", Toy::readKernels()}};
  auto chooseOn = [&](int capability) {
    device.reset();
    fake.capability = capability;
    EXPECT_EQ(open(), "opened");
    return choose(*device, builder);
  };
  EXPECT_EQ(chooseOn(90), "cuda:sm_90a");
  EXPECT_EQ(chooseOn(100), "cuda:sm_100a");
  EXPECT_EQ(chooseOn(120), "cuda:sm_90");
  EXPECT_EQ(chooseOn(86), "cuda:sm_80");
  EXPECT_EQ(chooseOn(75),
            "toy.ingot: no code for this GPU (Fake GPU 0, compute capability 7.5): 'cuda:sm_80' "
            "needs compute capability 8.0 or later; 'cuda:sm_90a' needs compute capability 9.0; "
            "'cuda:sm_90' needs compute capability 9.0 or later; 'cuda:sm_100a' needs compute "
            "capability 10.0; 'cpu:x86-64' is for CPUs");
}

TEST_F(CudaDeviceTest, ACubinIsTakenWhereItFits) {
  std::string cubin(4096, 'x');
  cubin.replace(0, 4,
                "\x7f"
                "ELF");
  GpuProperties gpu = {};
  auto rank = [&](const std::string &ptx, uint32_t capability, bool isExact, unsigned has) {
    std::vector<std::byte> section = GpuCode::makeSection(ptx, cubin, capability, isExact);
    Result<CudaCode> code = readCudaCode(section);
    EXPECT_TRUE(code.ok()) << code.message();
    gpu.capability = has;
    Result<int> result = rankCode(*code, "cuda:x", gpu);
    return result.ok() ? "runs" : result.message();
  };
  EXPECT_EQ(rank("", 80, false, 80), "runs");
  EXPECT_EQ(rank("", 80, false, 86), "runs");
  EXPECT_EQ(rank("", 80, false, 90),
            "'cuda:x' has machine code for compute capability 8.0 alone and no PTX");
  EXPECT_EQ(rank(GpuCode::getPtx(), 80, false, 90), "runs");
  EXPECT_EQ(rank("", 90, true, 90), "runs");
  EXPECT_EQ(rank(GpuCode::getPtx(), 90, true, 100), "'cuda:x' needs compute capability 9.0");
  // The fake driver does not know this cubin: that it is asked shows that it was chosen.
  ArtifactBuilder builder = GpuCode::makeBuilder();
  builder.code = {{"cuda:sm_90a", GpuCode::makeSection(GpuCode::getPtx(), cubin, 90, true)}};
  EXPECT_EQ(openModel(builder),
            "toy.ingot: section Kernels of cuda:sm_90a: cannot load the kernels' machine code: "
            "words of the fake driver for 200 (CUDA_ERROR_INVALID_IMAGE, 200)");
}

TEST_F(CudaDeviceTest, CodeFromAFileIsNotBelieved) {
  std::vector<std::byte> good = GpuCode::makeSection(GpuCode::getPtx());
  for (size_t length = 0; length < good.size() - 16; length += 7)
    EXPECT_FALSE(readCudaCode(Bytes(good).first(length)).ok()) << length;
  EXPECT_THAT(readCudaCode(Bytes(good).first(47)).message(), HasSubstr("47 bytes are too few"));
  auto reason = [](const std::string &ptx, const std::string &cubin, uint32_t capability = 90) {
    std::vector<std::byte> section = GpuCode::makeSection(ptx, cubin, capability);
    return readCudaCode(section).message();
  };
  EXPECT_EQ(reason("", ""), "there is neither PTX nor a cubin");
  EXPECT_EQ(reason("abc", ""), "PTX: its 3 bytes do not end with their only NUL");
  EXPECT_EQ(reason(std::string("a\0c\0", 4), ""),
            "PTX: its 4 bytes do not end with their only NUL");
  EXPECT_EQ(reason("", "abc"), "cubin: its 3 bytes are no ELF file");
  EXPECT_THAT(reason(std::string(1, '\0'), "", 7), HasSubstr("compute capability 7"));
  // Whatever bits are flipped in the header, what is accepted lies in the section.
  for (size_t bit = 0; bit < sizeof(format::CudaCodeHeader) * 8; ++bit) {
    good[bit / 8] ^= std::byte(1 << bit % 8);
    if (Result<CudaCode> code = readCudaCode(good); code.ok() && !code->ptx.empty()) {
      EXPECT_GE(code->ptx.data(), good.data());
      EXPECT_LE(code->ptx.data() + code->ptx.size(), good.data() + good.size());
    }
    good[bit / 8] ^= std::byte(1 << bit % 8);
  }
}

TEST_F(CudaDeviceTest, ADriverThatIsTooOldForThePtxNamesBothVersions) {
  fake.failures["cuLinkComplete"] = {codePtxTooNew};
  EXPECT_EQ(openModel(), "toy.ingot: section Kernels of cuda:sm_90: the NVIDIA driver, for CUDA "
                         "13.0, is too old for PTX 7.8: update it, or compile the model where "
                         "ptxas is installed");
}

TEST_F(CudaDeviceTest, WhatTheDriversCompilerSaysIsShown) {
  ArtifactBuilder builder = GpuCode::makeBuilder();
  builder.code = {{"cuda:sm_90", GpuCode::makeSection(std::string("nonsense\0", 9))}};
  EXPECT_EQ(openModel(builder),
            "toy.ingot: section Kernels of cuda:sm_90: the driver cannot compile the kernels' PTX: "
            "words of the fake driver for 218 (CUDA_ERROR_INVALID_PTX, 218): kernels.ptx, line 1;; "
            "syntax error");
}

TEST_F(CudaDeviceTest, AKernelThatIsMissingOrWantsTooMuchIsNamed) {
  ArtifactBuilder builder = GpuCode::makeBuilder();
  builder.kernels[1].symbol = builder.name("absent");
  EXPECT_EQ(openModel(builder),
            "toy.ingot: section Kernels of cuda:sm_90: the code has no kernel 'absent'");
  builder = GpuCode::makeBuilder();
  builder.kernels[2].sharedBytes = 227 << 10;
  EXPECT_EQ(openModel(builder), "opened"); // was allowed before it is launched
  EXPECT_EQ(step({1, 2, 3}), "done");
}

TEST_F(CudaDeviceTest, WhatTheDriverCompiledIsKept) {
  std::string directory = testing::TempDir() + "cuda-code/deep";
  std::filesystem::remove_all(directory);
  CudaOptions options = getFakeOptions();
  options.cacheDirectory = directory;
  auto openAgain = [&] {
    session.reset();
    model.reset();
    fake.calls.clear();
    ASSERT_EQ(open(options), "opened");
    ASSERT_EQ(openModel(), "opened");
    ASSERT_EQ(step({1, 2}), "done");
  };
  openAgain();
  EXPECT_EQ(fake.calls["cuLinkComplete"], 1);
  openAgain();
  EXPECT_EQ(fake.calls["cuLinkComplete"], 0);
  std::vector<std::filesystem::path> kept;
  for (auto &entry : std::filesystem::directory_iterator(directory))
    kept.push_back(entry.path());
  ASSERT_EQ(kept.size(), 1u);
  // A file that was cut, or of which a byte is wrong, is made again.
  std::vector<std::byte> whole = Toy::readFile(kept[0]);
  std::filesystem::resize_file(kept[0], whole.size() / 2);
  openAgain();
  EXPECT_EQ(fake.calls["cuLinkComplete"], 1);
  EXPECT_EQ(Toy::readFile(kept[0]), whole);
  std::fstream(kept[0], std::ios::in | std::ios::out).seekp(whole.size() - 100).put('#');
  openAgain();
  EXPECT_EQ(fake.calls["cuLinkComplete"], 1);
  // Another capability or version is another file; no directory keeps nothing.
  fake.capability = 100;
  openAgain();
  EXPECT_EQ(fake.calls["cuLinkComplete"], 1);
  options.cacheDirectory = "/proc/no/such";
  openAgain();
  EXPECT_EQ(fake.calls["cuLinkComplete"], 1);
}

//===--------------------------------------------------------------------------------------------===//
// Memory
//===--------------------------------------------------------------------------------------------===//

TEST_F(CudaDeviceTest, TooLittleMemoryIsSaidBeforeAnythingIsTaken) {
  ArtifactBuilder builder = GpuCode::makeBuilder();
  builder.plan.arenaBytes = 5 << 20;
  builder.plan.cacheBytes = 7 << 20;
  builder.weights.resize(11 << 20);
  fake.memory = 20 << 20;
  EXPECT_EQ(openModel(builder),
            "toy.ingot: 3.0 MiB of memory are missing on cuda:0: 23.0 are needed (weights 11.0, "
            "cache 7.0, activations 5.0), 20.0 of 20.0 are free; a smaller --max-context or "
            "--max-batch needs less");
  EXPECT_EQ(fake.calls["cuMemAlloc_v2"], 0);
  EXPECT_EQ(fake.calls["cuModuleLoadData"], 0);
}

TEST_F(CudaDeviceTest, MemoryThatIsRefusedIsAnErrorOfOneSentence) {
  for (int after = 0; after < 5; ++after) {
    fake.calls.clear();
    fake.failures["cuMemAlloc_v2"] = {codeOutOfMemory, after};
    std::string message = openModel();
    session.reset();
    model.reset();
    EXPECT_THAT(message, HasSubstr("of the GPU's memory: there is not enough "
                                   "(CUDA_ERROR_OUT_OF_MEMORY, 2)"));
    EXPECT_THAT(message, testing::StartsWith("toy.ingot: "));
  }
}

TEST_F(CudaDeviceTest, MemoryOfTheGpuIsWhatThePlanSays) {
  ASSERT_EQ(openModel(), "opened");
  MemoryUse use = session->getMemoryUse();
  constexpr uint64_t countsOfQueue = 4096;
  EXPECT_EQ(fake.used, use.weights + use.arena + use.cache + use.inputs + countsOfQueue);
  EXPECT_EQ(model->getMemoryUse().inputs, use.inputs);
}

TEST_F(CudaDeviceTest, UploadsOfAnySizeArrive) {
  ASSERT_EQ(open(), "opened");
  for (uint64_t bytes : {uint64_t(0), uint64_t(1), uint64_t(8) << 20, (uint64_t(50) << 20) + 123}) {
    std::vector<std::byte> source(bytes);
    for (size_t i = 0; i < bytes; ++i)
      source[i] = std::byte(i * 2654435761u >> 13);
    auto memory = device->importBytes(source);
    ASSERT_TRUE(memory.ok()) << memory.message();
    EXPECT_TRUE(std::equal(source.begin(), source.end(), (*memory)->address()));
  }
  fake.failures["cuEventRecordWithFlags"] = {codeUnknown, fake.calls["cuEventRecordWithFlags"] + 3};
  EXPECT_EQ(device->importBytes(std::vector<std::byte>(uint64_t(40) << 20)).message(),
            "cannot upload weights: the GPU was lost (CUDA_ERROR_UNKNOWN, 999)");
}

//===--------------------------------------------------------------------------------------------===//
// Graphs
//===--------------------------------------------------------------------------------------------===//

TEST_F(CudaDeviceTest, AStepBecomesAGraphTheSecondTime) {
  ASSERT_EQ(openModel(), "opened");
  fake.calls.clear();
  for (int i = 0; i < 10; ++i)
    ASSERT_EQ(step({i}), "done");
  EXPECT_EQ(fake.calls["cuStreamBeginCapture_v2"], 1);
  EXPECT_EQ(fake.calls["cuGraphInstantiateWithFlags"], 1);
  EXPECT_EQ(fake.calls["cuGraphLaunch"], 9);
  EXPECT_EQ(fake.calls["cuLaunchKernelEx"], 2 * 8); // 2 + 3 layers of 2 launches, twice
  EXPECT_EQ(fake.calls["cuStreamSynchronize"], 10);
  EXPECT_EQ(fake.calls["cuMemcpyAsync"], 2 * 2);
  EXPECT_EQ(fake.liveRuns, 1);
  EXPECT_EQ(fake.liveGraphs, 0);
}

TEST_F(CudaDeviceTest, OtherCountsAreOtherGraphs) {
  ASSERT_EQ(openModel(), "opened");
  fake.calls.clear();
  for (int i = 0; i < 4; ++i) {
    ASSERT_EQ(step({1}), "done");
    ASSERT_EQ(step({1, 2, 3}), "done");
    ASSERT_EQ(step({1, 2, 3}, 2), "done");
    ASSERT_EQ(step({1, 2, 3, 4}), "done");
  }
  EXPECT_EQ(fake.calls["cuGraphInstantiateWithFlags"], 4);
  EXPECT_EQ(fake.calls["cuGraphLaunch"], 4 * 3);
}

TEST_F(CudaDeviceTest, OnlyLaunchesAfterTheFirstBeginEarly) {
  ASSERT_EQ(openModel(), "opened");
  for (int i = 0; i < 2; ++i) {
    fake.work.clear();
    ASSERT_EQ(step({1, 2}), "done");
    if (i)
      EXPECT_EQ(fake.work[0], "graph");
    fake.work.erase(fake.work.begin(), fake.work.begin() + i);
    ASSERT_EQ(fake.work.size(), 10u);
    EXPECT_THAT(fake.work[0], testing::StartsWith("copy "));
    EXPECT_EQ(fake.work[1], "launch embed 2x1x1");
    EXPECT_EQ(fake.work[2], "launch append 2x1x1 early");
    EXPECT_EQ(fake.work[8], "launch project 11x1x1 early");
    EXPECT_EQ(fake.work[9], "copy 44");
  }
}

TEST_F(CudaDeviceTest, ANumberOfGraphsIsKeptTheLeastUsedGoesFirst) {
  ASSERT_EQ(open(), "opened");
  {
    auto queue = device->createQueue();
    ASSERT_TRUE(queue.ok());
    std::vector<std::array<int64_t, format::countCount>> counts(200);
    auto run = [&](int64_t index) {
      counts[index] = {index, 0, 0};
      Step step;
      step.counts = step.gridCounts = step.deviceCounts = counts[index].data();
      ASSERT_TRUE((*queue)->run(step).ok());
    };
    for (int64_t index = 0; index < 200; ++index)
      for (int repeat = 0; repeat < 3; ++repeat) {
        run(index);
        run(0);
      }
    EXPECT_LE(fake.liveRuns, 64);
    EXPECT_EQ(fake.calls["cuGraphInstantiateWithFlags"], 200); // the first was always in use
  }
}

TEST_F(CudaDeviceTest, AGraphThatCannotBeMadeIsAnErrorAndTheNextStepWorks) {
  ASSERT_EQ(openModel(), "opened");
  for (const char *function : {"cuStreamBeginCapture_v2", "cuLaunchKernelEx", "cuStreamEndCapture",
                               "cuGraphInstantiateWithFlags", "cuGraphLaunch"}) {
    ASSERT_EQ(openModel(), "opened");
    EXPECT_EQ(step({1}), "done");
    fake.failures[function] = {codeOutOfMemory, fake.calls[function]};
    EXPECT_THAT(step({1}), HasSubstr("there is not enough (CUDA_ERROR_OUT_OF_MEMORY, 2)"))
        << function;
    fake.failures.clear();
    EXPECT_EQ(step({1}), "done") << function;
    EXPECT_EQ(step({1}), "done") << function;
  }
}

//===--------------------------------------------------------------------------------------------===//
// What goes wrong while it runs
//===--------------------------------------------------------------------------------------------===//

TEST_F(CudaDeviceTest, AKernelThatFailsIsAnErrorAndNothingHangs) {
  ASSERT_EQ(openModel(), "opened");
  ASSERT_EQ(step({1}), "done");
  fake.failures["cuStreamSynchronize"] = {codeIllegalAddress, fake.calls["cuStreamSynchronize"],
                                          true};
  std::string expected =
      "the GPU's work failed: a kernel read or wrote memory that is not its own; "
      "the model must be opened again (CUDA_ERROR_ILLEGAL_ADDRESS, 700)";
  EXPECT_EQ(step({1}), expected);
  EXPECT_THAT(step({1}), HasSubstr("CUDA_ERROR_ILLEGAL_ADDRESS"));
  expectsClean = false; // the driver takes nothing back any more
}

TEST_F(CudaDeviceTest, AGpuThatIsLostIsAnErrorAndNothingHangs) {
  ASSERT_EQ(openModel(), "opened");
  for (int i = 0; i < 3; ++i)
    ASSERT_EQ(step({1}), "done");
  fake.failures["cuGraphLaunch"] = {codeUnknown, fake.calls["cuGraphLaunch"], true};
  EXPECT_EQ(step({1}), "cannot launch a step: the GPU was lost (CUDA_ERROR_UNKNOWN, 999)");
  EXPECT_THAT(openModel(), HasSubstr("the GPU was lost"));
  expectsClean = false;
}

TEST_F(CudaDeviceTest, AGridThatIsTooLargeForAGpuIsRefused) {
  ASSERT_EQ(openModel(), "opened");
  auto queue = device->createQueue();
  ASSERT_TRUE(queue.ok());
  Grid grid{1, 70000, 1};
  int64_t counts[format::countCount] = {};
  Launch launch{model->getKernels()[0], nullptr, 0, &grid};
  EXPECT_EQ((*queue)->launch({&launch, 1}, counts).message(),
            "a launch of 1 x 70000 x 1 blocks with 0 arguments is more than a GPU takes");
}

} // namespace
