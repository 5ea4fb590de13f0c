//===- SessionTest.cpp - The step, on a toy model whose logits are known ----------------------===//

#include "runtime/core/Session.h"
#include "runtime/cpu/CpuDevice.h"
#include "test/unit/runtime/GpuDevices.h"

#include <functional>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <map>
#include <random>
#include <thread>

using namespace ingot;
using namespace ingot::runtime;
using namespace ingot::test;
using testing::HasSubstr;

namespace {

/// A device, and the toy model for it.
struct SessionCase {
  std::string name;
  std::function<std::unique_ptr<Device>()> open; ///< null: there is none
  std::function<ArtifactBuilder()> makeBuilder;
  bool profile;
};

class SessionTest : public testing::TestWithParam<SessionCase> {
protected:
  void SetUp() override {
    device = GetParam().open();
    if (!device)
      GTEST_SKIP() << "this machine has no such device";
    file = GetParam().makeBuilder().build();
    Result<Artifact> artifact = Artifact::read(file, "toy.ingot");
    ASSERT_TRUE(artifact.ok()) << artifact.message();
    Result<std::unique_ptr<Model>> made =
        Model::create(std::make_shared<Artifact>(std::move(*artifact)), *device);
    ASSERT_TRUE(made.ok()) << made.message();
    model = std::move(*made);
    restart({/*poisonArena=*/true, GetParam().profile});
  }

  void restart(const SessionOptions &options) {
    Result<std::unique_ptr<Session>> made = Session::create(*model, options);
    ASSERT_TRUE(made.ok()) << made.message();
    session = std::move(*made);
    histories.clear();
  }

  SequenceId add() { return *session->addSequence(); }

  struct Part {
    SequenceId sequence;
    std::vector<int32_t> tokens;
    uint64_t outputs;
  };

  /// Runs a step and compares every logit with the prediction from the whole history.
  void expectStep(const std::vector<Part> &parts) {
    std::vector<SequenceTokens> batch;
    std::vector<float> states;
    for (const Part &part : parts) {
      batch.push_back({part.sequence, part.tokens, part.outputs});
      std::vector<int32_t> &history = histories[part.sequence];
      for (size_t i = 0; i < part.tokens.size(); ++i) {
        history.push_back(part.tokens[i]);
        if (i >= part.tokens.size() - part.outputs)
          states.push_back(Toy::predict(history));
      }
    }
    Result<StepOutput> output = session->step(batch);
    ASSERT_TRUE(output.ok()) << output.message();
    ASSERT_EQ(output->rows, states.size());
    ASSERT_EQ(output->width, uint64_t(Toy::vocabulary));
    for (size_t row = 0; row < states.size(); ++row)
      for (int64_t v = 0; v < Toy::vocabulary; ++v)
        ASSERT_EQ(output->logits[row * Toy::vocabulary + v], states[row] * float(v + 1));
  }

  std::string refuse(const std::vector<Part> &parts) {
    std::vector<SequenceTokens> batch;
    for (const Part &part : parts)
      batch.push_back({part.sequence, part.tokens, part.outputs});
    Result<StepOutput> output = session->step(batch);
    return output.ok() ? "accepted" : output.message();
  }

  std::vector<std::byte> file;
  std::unique_ptr<Device> device;
  std::unique_ptr<Model> model;
  std::unique_ptr<Session> session;
  std::map<SequenceId, std::vector<int32_t>> histories;
};

std::unique_ptr<Device> openCpu() {
  return std::make_unique<cpu::CpuDevice>(cpu::CpuOptions{/*threads=*/3});
}

INSTANTIATE_TEST_SUITE_P(
    Devices, SessionTest,
    testing::Values(SessionCase{"Cpu", openCpu, Toy::makeBuilder, false},
                    SessionCase{"CpuProfiled", openCpu, Toy::makeBuilder, true},
                    SessionCase{"FakeGpu", openFakeGpu, GpuCode::makeBuilder, false},
                    SessionCase{"FakeGpuProfiled", openFakeGpu, GpuCode::makeBuilder, true},
                    SessionCase{"Gpu", openGpu, GpuCode::makeBuilder, false},
                    SessionCase{"GpuProfiled", openGpu, GpuCode::makeBuilder, true}),
    [](const auto &info) { return info.param.name; });

TEST_P(SessionTest, AChunkAndSingleTokensGiveTheLogitsOfTheWholeHistory) {
  SequenceId s = add();
  expectStep({{s, {3, 1, 4, 1, 5}, 1}});
  expectStep({{s, {9}, 1}});
  expectStep({{s, {2, 6, 5, 3}, 4}});
  EXPECT_EQ(*session->getLength(s), 10u);
}

TEST_P(SessionTest, AStepMayWantNoOutput) {
  SequenceId s = add();
  expectStep({{s, {3, 1, 4}, 0}});
  expectStep({{s, {1}, 1}});
}

TEST_P(SessionTest, SequencesOfAStepDoNotDisturbEachOther) {
  SequenceId a = add(), b = add(), c = add();
  expectStep({{a, {1, 2, 3}, 1}, {b, {4}, 1}, {c, {5, 6}, 2}});
  expectStep({{c, {7}, 1}, {a, {8}, 1}}); // other rows of the page table
  expectStep({{b, {9, 9, 9}, 1}, {c, {1}, 1}, {a, {2}, 1}});
}

TEST_P(SessionTest, PagesComeBackAndMixAgain) {
  SequenceId a = add(), b = add();
  expectStep({{a, {1, 2, 3, 4, 5}, 1}});
  expectStep({{b, {1, 2, 3, 4, 5, 6}, 1}});
  EXPECT_EQ(session->getFreePages(), uint64_t(Toy::pageCount - 4));
  ASSERT_TRUE(session->removeSequence(a).ok());
  histories.erase(a);
  EXPECT_EQ(session->getFreePages(), uint64_t(Toy::pageCount - 2));
  SequenceId c = add();
  EXPECT_EQ(c, a);
  expectStep({{c, {7, 8}, 1}, {b, {9, 1, 2}, 3}});
  expectStep({{b, {3}, 1}, {c, {4, 4, 4}, 1}});
}

TEST_P(SessionTest, TruncationForgetsTokens) {
  SequenceId s = add();
  expectStep({{s, {1, 2, 3, 4, 5, 6}, 1}});
  ASSERT_TRUE(session->truncateSequence(s, 3).ok());
  EXPECT_EQ(session->getFreePages(), uint64_t(Toy::pageCount - 1));
  histories[s].resize(3);
  expectStep({{s, {9, 8, 7}, 3}});
  EXPECT_THAT(session->truncateSequence(s, 7).message(), HasSubstr("has 6 tokens, fewer than 7"));
}

TEST_P(SessionTest, RandomBatchesGiveTheLogitsOfTheWholeHistory) {
  std::mt19937 random(7);
  auto below = [&](uint32_t limit) { return random() % limit; };
  std::vector<SequenceId> live;
  for (int step = 0; step < 500; ++step) {
    if (live.size() < 3)
      live.push_back(add());
    std::shuffle(live.begin(), live.end(), random);
    std::vector<Part> parts;
    for (SequenceId s : live) {
      if (histories[s].size() > 8) {
        uint64_t length = below(histories[s].size());
        ASSERT_TRUE(session->truncateSequence(s, length).ok());
        histories[s].resize(length);
      }
      Part part{s, std::vector<int32_t>(1 + below(2)), 1};
      for (int32_t &token : part.tokens)
        token = below(Toy::vocabulary);
      parts.push_back(part);
    }
    expectStep(parts);
    if (below(5) == 0) {
      ASSERT_TRUE(session->removeSequence(live.back()).ok());
      histories.erase(live.back());
      live.pop_back();
    }
  }
}

TEST_P(SessionTest, ARefusedStepNamesTheLimitAndChangesNothing) {
  SequenceId a = add(), b = add();
  expectStep({{a, {1, 2}, 1}});
  EXPECT_THAT(refuse({}), HasSubstr("0 sequences is not between 1 and 3"));
  EXPECT_THAT(refuse({{17, {1}, 1}}), HasSubstr("there is no sequence 17"));
  EXPECT_THAT(refuse({{a, {}, 0}}), HasSubstr("0 outputs of 0 tokens"));
  EXPECT_THAT(refuse({{a, {1}, 2}}), HasSubstr("2 outputs of 1 tokens"));
  EXPECT_THAT(refuse({{a, {1}, 1}, {a, {2}, 1}}), HasSubstr("twice"));
  EXPECT_THAT(refuse({{a, {1, 11}, 1}}), HasSubstr("token 1 is 11, not between 0 and 10"));
  EXPECT_THAT(refuse({{a, {-1}, 1}}), HasSubstr("token 0 is -1"));
  EXPECT_THAT(refuse({{a, {1, 2, 3, 4, 5, 6, 7}, 1}}),
              HasSubstr("7 tokens is more than the plan's 6"));
  EXPECT_THAT(refuse({{a, {1, 2, 3}, 3}, {b, {1, 2}, 2}}), HasSubstr("5 rows of output"));
  expectStep({{a, {3}, 1}, {b, {4}, 1}});
}

TEST_P(SessionTest, TheContextEndsWithAClearError) {
  SequenceId a = add();
  for (int i = 0; i < 5; ++i)
    expectStep({{a, {1, 2, 3, 4, 5, 6}, 1}});
  EXPECT_THAT(refuse({{a, {1}, 1}}), HasSubstr("30 tokens and 1 more exceed the context of 30"));
  SequenceId b = add();
  expectStep({{b, {1, 2, 3, 4, 5, 6}, 1}});
  EXPECT_THAT(refuse({{b, {1, 2, 3}, 1}}),
              HasSubstr("needs 1 more pages of the cache, 0 of 10 are free"));
  ASSERT_TRUE(session->removeSequence(a).ok());
  expectStep({{b, {1, 2, 3}, 1}});
}

TEST_P(SessionTest, TheProfileCountsTheLaunchesOfTheEntryThatServed) {
  restart({/*poisonArena=*/true, /*profile=*/true});
  SequenceId s = add();
  expectStep({{s, {1, 2}, 1}});
  expectStep({{s, {1}, 1}});
  expectStep({{s, {1}, 1}});
  std::vector<uint64_t> launches;
  for (const CommandTime &time : session->getProfile())
    launches.push_back(time.launches);
  EXPECT_EQ(launches, (std::vector<uint64_t>{2, 0, 6, 6, 0, 2, 1, 0, 3, 3, 0, 1}));
}

TEST_P(SessionTest, SessionsOfSeveralThreadsShareTheDevice) {
  std::vector<std::thread> threads;
  for (int32_t t = 0; t < 3; ++t)
    threads.emplace_back([&, t] {
      std::unique_ptr<Session> own = std::move(*Session::create(*model));
      SequenceId s = *own->addSequence();
      std::vector<int32_t> history;
      for (int32_t i = 0; i < 300; ++i) {
        if (history.size() == size_t(Toy::maxContext)) {
          ASSERT_TRUE(own->truncateSequence(s, 0).ok());
          history.clear();
        }
        int32_t token = (i * 7 + t) % Toy::vocabulary;
        history.push_back(token);
        SequenceTokens part{s, {&token, 1}, 1};
        Result<StepOutput> output = own->step({&part, 1});
        ASSERT_TRUE(output.ok()) << output.message();
        ASSERT_EQ(output->logits[0], Toy::predict(history));
      }
    });
  for (std::thread &thread : threads)
    thread.join();
}

TEST_P(SessionTest, RepeatedWeightsAreTheSameWeights) {
  ArtifactBuilder builder = GetParam().makeBuilder();
  builder.repeatedBytes = builder.weights.size();
  builder.runs = {{0, builder.weights.size(), 0, builder.weights.size()}};
  file = builder.build();
  Result<Artifact> artifact = Artifact::read(file, "toy.ingot");
  ASSERT_TRUE(artifact.ok()) << artifact.message();
  session.reset();
  auto made = Model::create(std::make_shared<Artifact>(std::move(*artifact)), *device);
  ASSERT_TRUE(made.ok()) << made.message();
  model = std::move(*made);
  restart({});
  expectStep({{add(), {3, 1, 4, 1, 5}, 1}});
  EXPECT_EQ(session->getMemoryUse().weights, builder.weights.size());
}

TEST_P(SessionTest, TimingAStepChangesNothing) {
  restart({});
  EXPECT_EQ(session->timeLastStep(3).message(), "there was no step to be timed");
  SequenceId s = add();
  expectStep({{s, {1, 2, 3}, 1}});
  for (int i = 0; i < 3; ++i) {
    Result<uint64_t> time = session->timeLastStep(5);
    ASSERT_TRUE(time.ok()) << time.message();
    EXPECT_LT(*time, uint64_t(60) * 1000 * 1000 * 1000);
    expectStep({{s, {4}, 1}});
  }
}

TEST_P(SessionTest, MemoryIsWhatThePlanSays) {
  MemoryUse use = session->getMemoryUse();
  EXPECT_EQ(use.arena, model->getPlan().header->arenaBytes);
  EXPECT_EQ(use.cache, model->getPlan().header->cacheBytes);
  EXPECT_EQ(use.weights, 3u * 64);
}

} // namespace
