//===- GeneratorTest.cpp - The loop from prompt to answer, on the toy model -------------------------===//

#include "runtime/core/Generator.h"
#include "runtime/cpu/CpuDevice.h"
#include "test/unit/runtime/ToyTokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

using namespace ingot;
using namespace ingot::runtime;
using namespace ingot::test;
using testing::HasSubstr;

namespace {

//===--------------------------------------------------------------------------------------------===//
// Stop strings
//===--------------------------------------------------------------------------------------------===//

TEST(StopFilter, HoldsBackOnlyWhatMayBeAStop) {
  StopFilter filter({"\n\n"});
  EXPECT_EQ(filter.put("one\n"), "one");
  EXPECT_EQ(filter.put("two"), "\ntwo");
  EXPECT_EQ(filter.put("\n"), "");
  EXPECT_FALSE(filter.isStopped());
  EXPECT_EQ(filter.put("\nthree"), "");
  EXPECT_TRUE(filter.isStopped());
  EXPECT_EQ(filter.put("four"), "");
  EXPECT_EQ(filter.finish(), "");
}

TEST(StopFilter, GivesBackWhatWasHeldWhenTheTextEnds) {
  StopFilter filter({"</s>", "</tool>"});
  EXPECT_EQ(filter.put("a</to"), "a");
  EXPECT_EQ(filter.finish(), "</to");
}

TEST(StopFilter, OverlappingBeginningsAreFollowed) {
  StopFilter filter({"aab"});
  EXPECT_EQ(filter.put("aa"), "");
  EXPECT_EQ(filter.put("aa"), "aa");
  EXPECT_EQ(filter.put("b"), "");
  EXPECT_TRUE(filter.isStopped());
}

// However a text is cut, what comes out is the text before the first stop string.
TEST(StopFilter, CutsDoNotMatter) {
  const std::string text = "abcabcabdabcabe";
  for (std::vector<std::string> stops : std::vector<std::vector<std::string>>{
           {"abd"}, {"cabd", "bda"}, {"x"}, {"e"}, {"abcabe", "abcabd"}, {"", "bcabc"}, {}}) {
    size_t end = text.size();
    for (const std::string &stop : stops)
      if (!stop.empty())
        end = std::min(end, text.find(stop));
    for (unsigned cuts = 0; cuts < 1u << (text.size() - 1); cuts += 7) {
      StopFilter filter(stops);
      std::string shown, piece;
      for (size_t i = 0; i < text.size(); ++i) {
        piece += text[i];
        if (cuts >> i & 1 || i + 1 == text.size()) {
          shown += filter.put(piece);
          piece.clear();
        }
      }
      EXPECT_EQ(filter.isStopped(), end != text.size());
      ASSERT_EQ(shown + filter.finish(), text.substr(0, end));
    }
  }
}

//===--------------------------------------------------------------------------------------------===//
// Generation
//===--------------------------------------------------------------------------------------------===//

class GeneratorTest : public testing::Test {
protected:
  void SetUp() override {
    file = Toy::makeBuilder().build();
    Result<Artifact> artifact = Artifact::read(file, "toy.ingot");
    ASSERT_TRUE(artifact.ok()) << artifact.message();
    model = std::move(*Model::create(std::make_shared<Artifact>(std::move(*artifact)), device));
    session = std::move(*Session::create(*model));
    draft = std::move(*Session::create(*model));
    generator = std::move(*Generator::create(*session, tokenizer));
    options.sampling = {.temperature = 200, .seed = 5}; // close to uniform
    options.ignoreEnd = true;
  }

  /// The tokens that definition and sampler give, without session and generator.
  std::vector<int32_t> simulate(std::vector<int32_t> history, size_t count) {
    Sampler sampler(options.sampling, Toy::vocabulary);
    sampler.acceptPrompt(history);
    std::vector<int32_t> answer;
    for (size_t i = 0; i < count; ++i) {
      float state = Toy::predict(history);
      std::vector<float> logits;
      for (int64_t v = 0; v < Toy::vocabulary; ++v)
        logits.push_back(state * float(v + 1));
      answer.push_back(*sampler.sample(logits));
      history.push_back(answer.back());
      sampler.accept(answer.back());
    }
    return answer;
  }

  GenerationReport generate(const std::vector<int32_t> &prompt) {
    tokens.clear();
    text.clear();
    Result<GenerationReport> report = generator->generate(
        prompt, options,
        [&](std::string_view piece, int32_t token) {
          text += piece;
          if (token >= 0)
            tokens.push_back(token);
          return tokens.size() < callbackLimit;
        },
        &cancel);
    EXPECT_TRUE(report.ok()) << report.message();
    return *report;
  }

  std::string refuse(const std::vector<int32_t> &prompt) {
    return generator->generate(prompt, options, nullptr).message();
  }

  std::vector<std::byte> file;
  cpu::CpuDevice device{{/*threads=*/2}};
  std::unique_ptr<Model> model;
  std::unique_ptr<Session> session;
  std::unique_ptr<Session> draft; ///< of a model that guesses; the generator may hold on to it
  Tokenizer tokenizer = openToyTokenizer();
  std::unique_ptr<Generator> generator;
  GenerationOptions options;
  std::atomic<bool> cancel = false;
  size_t callbackLimit = ~size_t(0);
  std::vector<int32_t> tokens;
  std::string text;
};

const std::vector<int32_t> prompt = {3, 1, 4, 1, 5, 9, 2, 6, 5, 3};

TEST_F(GeneratorTest, TheAnswerIsWhatModelAndSamplerDefine) {
  options.maxTokens = 12;
  for (uint64_t seed : {1, 2, 3, 4}) {
    options.sampling.seed = seed;
    options.sampling.frequencyPenalty = double(seed);
    GenerationReport report = generate(prompt);
    EXPECT_EQ(tokens, simulate(prompt, 12));
    EXPECT_EQ(text, tokenizer.decode(tokens));
    EXPECT_EQ(report.reason, FinishReason::Length);
    EXPECT_EQ(report.promptTokens, 10u);
    EXPECT_EQ(report.answerTokens, 12u);
  }
}

TEST_F(GeneratorTest, TheContextEndsTheAnswer) {
  GenerationReport report = generate(prompt);
  EXPECT_EQ(report.reason, FinishReason::Context);
  EXPECT_EQ(tokens.size(), 21u); // 30 in the cache, and one that did not go in
  EXPECT_EQ(tokens, simulate(prompt, 21));
}

TEST_F(GeneratorTest, AnEndTokenEndsTheAnswer) {
  options.ignoreEnd = false;
  std::vector<int32_t> expected = simulate(prompt, 21);
  auto end = std::find(expected.begin(), expected.end(), toyEndToken);
  ASSERT_NE(end, expected.end()) << "choose another seed";
  EXPECT_EQ(generate(prompt).reason, FinishReason::End);
  EXPECT_EQ(tokens, std::vector<int32_t>(expected.begin(), end));
}

TEST_F(GeneratorTest, AStopStringEndsTheAnswerAndIsNotShown) {
  std::vector<int32_t> expected = simulate(prompt, 21);
  std::string whole = tokenizer.decode(expected);
  options.stops = {whole.substr(5, 3), "not there"};
  EXPECT_EQ(generate(prompt).reason, FinishReason::Stop);
  EXPECT_EQ(text, whole.substr(0, whole.find(options.stops[0])));
}

TEST_F(GeneratorTest, WhatWasHeldBackComesAtTheEnd) {
  options.maxTokens = 6;
  std::string whole = tokenizer.decode(simulate(prompt, 6));
  options.stops = {whole.substr(whole.size() - 2) + "never"};
  EXPECT_EQ(generate(prompt).reason, FinishReason::Length);
  EXPECT_EQ(text, whole);
}

TEST_F(GeneratorTest, FlagAndCallbackCancel) {
  callbackLimit = 3;
  EXPECT_EQ(generate(prompt).reason, FinishReason::Cancelled);
  EXPECT_EQ(tokens.size(), 3u);
  callbackLimit = ~size_t(0);
  cancel = true;
  EXPECT_EQ(generate(prompt).reason, FinishReason::Cancelled);
  EXPECT_EQ(tokens.size(), 0u);
  cancel = false;
  options.maxTokens = 5;
  generate(prompt); // a cancelled answer leaves nothing behind
  EXPECT_EQ(tokens, simulate(prompt, 5));
}

TEST_F(GeneratorTest, TheNextTurnReusesWhatTheCacheHolds) {
  options.maxTokens = 4;
  EXPECT_EQ(generate(prompt).reusedTokens, 0u);
  std::vector<int32_t> longer = prompt;
  longer.insert(longer.end(), tokens.begin(), tokens.end());
  longer.insert(longer.end(), {7, 7});
  GenerationReport second = generate(longer);
  EXPECT_EQ(second.reusedTokens, 13u); // the last token of the answer never went in
  EXPECT_EQ(tokens, simulate(longer, 4));
  EXPECT_EQ(generate(prompt).reusedTokens, 9u); // the last is computed for its logits
  EXPECT_EQ(tokens, simulate(prompt, 4));
  std::vector<int32_t> other = {3, 1, 5};
  EXPECT_EQ(generate(other).reusedTokens, 2u);
  EXPECT_EQ(tokens, simulate(other, 4));
}

//===--------------------------------------------------------------------------------------------===//
// Drafts
//===--------------------------------------------------------------------------------------------===//

std::vector<int32_t> lookUp(std::vector<int32_t> history, size_t most) {
  std::vector<int32_t> draft = {99};
  EXPECT_TRUE(LookupDrafter().propose(history, most, draft).ok());
  return draft;
}

TEST(Lookup, GoesOnAsTheTextDidAfterTheLongestSuchEnd) {
  using Tokens = std::vector<int32_t>;
  EXPECT_EQ(lookUp({1, 2, 3, 4, 5, 1, 2}, 2), (Tokens{3, 4}));
  EXPECT_EQ(lookUp({1, 2, 3, 4, 5, 2}, 2), (Tokens{}));                 // one token is no end
  EXPECT_EQ(lookUp({9, 1, 2, 3, 8, 1, 2, 4, 9, 1, 2}, 1), (Tokens{3})); // the longer one
  EXPECT_EQ(lookUp({1, 2, 3, 1, 2, 4, 1, 2}, 1), (Tokens{4}));          // the later one
  EXPECT_EQ(lookUp({5, 7, 8, 7, 8}, 5), (Tokens{7, 8, 7, 8, 7}));       // on and on
  EXPECT_EQ(lookUp({5}, 5), (Tokens{}));
}

// A loss stops the drafts until one in a hundred of the time since outweighs it.
TEST(SpeculationBudget, StopsWhatLoses) {
  SpeculationBudget budget(16);
  EXPECT_EQ(budget.getDraftLength(), 0u); // what a single step takes is not known yet
  budget.add(0, 0, 100);
  EXPECT_EQ(budget.getDraftLength(), 4u);
  budget.add(4, 4, 150);
  EXPECT_EQ(budget.getDraftLength(), 8u);
  budget.add(8, 1, 150); // length falls to what stood, at least 2
  EXPECT_EQ(budget.getDraftLength(), 2u);
  for (int i = 0; i < 20; ++i)
    budget.add(2, 0, 150);
  EXPECT_EQ(budget.getDraftLength(), 0u);
  int singles = 0;
  for (; budget.getDraftLength() == 0; ++singles)
    budget.add(0, 0, 100);
  // Gained 500 - 150 and 200 - 150, lost 20 times 50: 600 + the advance are one hundredth of more
  // than 520 steps.
  EXPECT_GT(singles, 400);
  EXPECT_LT(singles, 600);
}

// At any temperature, the sampler sees the same logits in the same order.
TEST_F(GeneratorTest, DraftsChangeNoTokenOfTheAnswer) {
  for (bool usesModel : {false, true})
    for (double temperature : {0.0, 20.0, 60.0, 200.0})
      for (uint64_t seed : {1, 2, 3}) {
        options.sampling = {.temperature = temperature, .frequencyPenalty = 3, .seed = seed};
        options.lookup = !usesModel;
        options.draft = usesModel ? draft.get() : nullptr;
        options.maxTokens = 0;
        GenerationReport report = generate(prompt);
        EXPECT_EQ(report.reason, FinishReason::Context);
        ASSERT_EQ(tokens, simulate(prompt, 21)) << temperature << ", seed " << seed;
        options.maxTokens = 7; // and what the cache holds afterwards is right
        EXPECT_EQ(generate(prompt).reason, FinishReason::Length);
        ASSERT_EQ(tokens, simulate(prompt, 7));
        std::vector<int32_t> longer = prompt;
        longer.insert(longer.end(), tokens.begin(), tokens.end());
        EXPECT_EQ(generate(longer).reusedTokens, 16u);
        ASSERT_EQ(tokens, simulate(longer, 7));
      }
}

TEST_F(GeneratorTest, GuessesThatStandSaveSteps) {
  options.sampling = {};
  for (Session *session : {static_cast<Session *>(nullptr), draft.get()}) {
    options.draft = session;
    options.lookup = !session;
    GenerationReport report = generate(prompt);
    EXPECT_GT(report.acceptedTokens, 0u);
    EXPECT_GE(report.draftedTokens, report.acceptedTokens);
    EXPECT_EQ(report.steps + report.acceptedTokens + 1, report.answerTokens);
  }
}

TEST_F(GeneratorTest, ADraftNeedsASessionOfItsOwnAndTheSameVocabulary) {
  options.draft = session.get();
  EXPECT_THAT(refuse(prompt), HasSubstr("session is the model's own"));
  ArtifactBuilder builder = Toy::makeBuilder();
  builder.plan.outputWidth = builder.plan.inputVocabulary = Toy::vocabulary - 1;
  std::vector<std::byte> other = builder.build();
  auto artifact = std::make_shared<Artifact>(std::move(*Artifact::read(other, "other.ingot")));
  std::unique_ptr<Model> otherModel = std::move(*Model::create(artifact, device));
  std::unique_ptr<Session> otherSession = std::move(*Session::create(*otherModel));
  options.draft = otherSession.get();
  EXPECT_THAT(refuse(prompt), HasSubstr("a vocabulary of 10 tokens, the model one of 11"));
  options.draft = nullptr;
  options.maxTokens = 3;
  generate(prompt);
  EXPECT_EQ(tokens, simulate(prompt, 3));
}

TEST_F(GeneratorTest, ErrorsNameTheLimitAndLeaveTheGeneratorUsable) {
  EXPECT_THAT(refuse({}), HasSubstr("the prompt has no tokens"));
  EXPECT_THAT(refuse(std::vector<int32_t>(31, 1)),
              HasSubstr("31 tokens, more than the context of 30"));
  EXPECT_THAT(refuse({1, 11}), HasSubstr("token 1 is 11"));
  options.sampling.topP = 2;
  EXPECT_THAT(refuse(prompt), HasSubstr("top-p 2"));
  options.sampling.topP = 1;
  options.maxTokens = 3;
  generate(prompt);
  EXPECT_EQ(tokens, simulate(prompt, 3));
}

} // namespace
