//===- SamplerTest.cpp - Random numbers, exponential, and sampling against its definition ---------===//

#include "runtime/core/Sampler.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <numeric>
#include <random>

using namespace ingot::runtime;
using testing::HasSubstr;

namespace {

// The words that the authors' own programs print.
TEST(Random, GivesThePublishedNumbers) {
  SplitMix64 split(1234567);
  for (uint64_t expected : {6457827717110365317u, 3203168211198807973u, 9817491932198370423u,
                            4593380528125082431u, 16408922859458223821u})
    EXPECT_EQ(split.next(), expected);
  Random random(1, 2, 3, 4);
  for (uint64_t expected : {41943041u, 58720359u})
    EXPECT_EQ(random.next(), expected);
  for (uint64_t expected : {3588806011781223u, 3591011842654386u, 9228616714210784205u})
    EXPECT_EQ(random.next(), expected);
}

TEST(Random, UniformNumbersFillTheUnitInterval) {
  Random random(3);
  double sum = 0, least = 1, most = 0;
  constexpr int count = 100000;
  for (int i = 0; i < count; ++i) {
    double value = random.nextUniform();
    sum += value;
    least = std::min(least, value);
    most = std::max(most, value);
  }
  EXPECT_GE(least, 0);
  EXPECT_LT(most, 1);
  EXPECT_NEAR(sum / count, 0.5, 0.005); // five deviations of the mean: 5 * sqrt(1/12/count)
}

TEST(Exponential, IsWithinTwoUnitsOfTheLibrary) {
  for (double x = -700; x <= 0; x += 0.00917) {
    double expected = std::exp(x);
    EXPECT_NEAR(computeExponential(x), expected, expected * 2 * 0x1p-52) << x;
  }
  EXPECT_EQ(computeExponential(0), 1);
  EXPECT_EQ(computeExponential(-1e300), 0);
  EXPECT_EQ(computeExponential(-HUGE_VAL), 0);
}

//===--------------------------------------------------------------------------------------------===//
// Against the definition
//===--------------------------------------------------------------------------------------------===//

/// Probabilities of all tokens, written as one would on paper.
std::vector<double> define(const std::vector<float> &logits, const SamplingOptions &options) {
  std::vector<size_t> order(logits.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return logits[a] != logits[b] ? logits[a] > logits[b] : a < b;
  });
  std::vector<double> p(logits.size());
  if (options.temperature == 0) {
    p[order[0]] = 1;
    return p;
  }
  auto normalise = [&] {
    double total = std::accumulate(p.begin(), p.end(), 0.0);
    for (double &value : p)
      value /= total;
  };
  for (size_t rank = 0; rank < order.size(); ++rank)
    if (!options.topK || rank < options.topK)
      p[order[rank]] = std::exp((logits[order[rank]] - logits[order[0]]) / options.temperature);
  normalise();
  double before = 0;
  for (size_t i : order) {
    double own = p[i];
    if (before >= options.topP || own < options.minP * p[order[0]])
      p[i] = 0;
    before += own;
  }
  normalise();
  return p;
}

std::vector<float> makeLogits(size_t count, float deviation, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0, deviation);
  std::vector<float> logits(count);
  for (float &logit : logits)
    logit = normal(random);
  return logits;
}

struct Case {
  const char *name;
  SamplingOptions options;
};

class SamplerDistribution : public testing::TestWithParam<Case> {};

INSTANTIATE_TEST_SUITE_P(
    Options, SamplerDistribution,
    testing::Values(Case{"Greedy", {.temperature = 0}}, Case{"Plain", {.temperature = 1}},
                    Case{"Cold", {.temperature = 0.3}}, Case{"Hot", {.temperature = 5}},
                    Case{"TopK", {.temperature = 1, .topK = 3}},
                    Case{"TopK1", {.temperature = 2, .topK = 1}},
                    Case{"TopP", {.temperature = 1, .topP = 0.7}},
                    Case{"TopPSmall", {.temperature = 1, .topP = 1e-9}},
                    Case{"MinP", {.temperature = 1, .minP = 0.2}},
                    Case{"MinP1", {.temperature = 1, .minP = 1}},
                    Case{"All", {.temperature = 1.5, .topK = 9, .topP = 0.9, .minP = 0.1}}),
    [](const auto &info) { return info.param.name; });

// Chi-squared with up to 19 degrees of freedom stays below 60 with probability 1 - 4e-6; the seed
// is fixed.
TEST_P(SamplerDistribution, FollowsTheDefinition) {
  constexpr int draws = 20000;
  for (unsigned seed : {1, 2, 3}) {
    std::vector<float> logits = makeLogits(20, 1.5f, seed);
    SamplingOptions options = GetParam().options;
    options.seed = seed;
    std::vector<double> expected = define(logits, options);
    Sampler sampler(options, logits.size());
    std::vector<int> seen(logits.size());
    for (int i = 0; i < draws; ++i)
      ++seen[*sampler.sample(logits)];
    double chiSquared = 0;
    for (size_t i = 0; i < seen.size(); ++i) {
      if (expected[i] == 0)
        EXPECT_EQ(seen[i], 0) << "token " << i << " is excluded";
      else
        chiSquared += std::pow(seen[i] - draws * expected[i], 2) / (draws * expected[i]);
    }
    EXPECT_LT(chiSquared, 60);
  }
}

TEST(Sampler, TheLargestIsFoundAsWithACandidateList) {
  constexpr float infinity = std::numeric_limits<float>::infinity(),
                  none = std::numeric_limits<float>::quiet_NaN();
  std::mt19937 bits(3);
  const float special[] = {0.0f, -0.0f, infinity, -infinity, none, -none, 1e-45f, -1e-45f, 3, -3};
  for (int round = 0; round < 2000; ++round) {
    std::vector<float> logits(1 + bits() % 40);
    for (float &logit : logits)
      logit = bits() % 3 ? special[bits() % std::size(special)]
                         : std::bit_cast<float>(uint32_t(bits()));
    // A penalty that changes nothing goes the long way.
    SamplingOptions options, longWay;
    longWay.presencePenalty = 1;
    Sampler fast(options, logits.size()), slow(longWay, logits.size());
    Result<int32_t> found = fast.sample(logits), expected = slow.sample(logits);
    ASSERT_EQ(found.ok(), expected.ok());
    if (found.ok())
      ASSERT_EQ(*found, *expected) << round;
  }
}

TEST(Sampler, LargeVocabulariesKeepTheRightTokens) {
  std::vector<float> logits = makeLogits(50000, 3, 9);
  for (SamplingOptions options :
       {SamplingOptions{.temperature = 1, .topK = 40},
        SamplingOptions{.temperature = 1, .topP = 0.9},
        SamplingOptions{.temperature = 0.8, .topK = 500, .topP = 0.95, .minP = 0.05}}) {
    std::vector<double> expected = define(logits, options);
    Sampler sampler(options, logits.size());
    for (int i = 0; i < 300; ++i)
      EXPECT_GT(expected[*sampler.sample(logits)], 0);
  }
}

TEST(Sampler, TheSeedDeterminesTheTokens) {
  std::vector<float> logits = makeLogits(1000, 1, 4);
  auto draw = [&](uint64_t seed) {
    Sampler sampler({.temperature = 1, .topP = 0.95, .seed = seed}, logits.size());
    std::vector<int32_t> tokens;
    for (int i = 0; i < 20; ++i)
      tokens.push_back(*sampler.sample(logits));
    return tokens;
  };
  EXPECT_EQ(draw(7), draw(7));
  EXPECT_NE(draw(7), draw(8));
}

// Written down once; another machine or library must give the same.
TEST(Sampler, TheTokensOfASeedAreTheseEverywhere) {
  std::vector<float> logits(64);
  for (int i = 0; i < 64; ++i)
    logits[i] = float(i * 37 % 64) / 16;
  Sampler sampler({.temperature = 0.7, .topK = 20, .topP = 0.9, .seed = 42}, logits.size());
  std::vector<int32_t> tokens;
  for (int i = 0; i < 12; ++i)
    tokens.push_back(*sampler.sample(logits));
  EXPECT_EQ(tokens, (std::vector<int32_t>{17, 12, 48, 43, 17, 5, 38, 5, 38, 10, 5, 36}));
}

TEST(Sampler, TiesGoToTheLowerId) {
  std::vector<float> logits = {1, 5, 5, 5, 2};
  EXPECT_EQ(*Sampler({}, 5).sample(logits), 1);
  Sampler two({.temperature = 1, .topK = 2}, 5);
  for (int i = 0; i < 100; ++i)
    EXPECT_LE(*two.sample(logits), 2);
}

TEST(Sampler, ImpossibleLogitsAreNeverDrawn) {
  float nan = std::nanf(""), infinity = HUGE_VALF;
  Sampler sampler({.temperature = 1}, 4);
  for (int i = 0; i < 100; ++i)
    EXPECT_EQ(*sampler.sample(std::vector<float>{nan, -infinity, 1, nan}), 2);
  EXPECT_EQ(*sampler.sample(std::vector<float>{0, infinity, 1, nan}), 1);
  EXPECT_THAT(sampler.sample(std::vector<float>(4, nan)).message(),
              HasSubstr("none of the 4 logits"));
  EXPECT_THAT(sampler.sample(std::vector<float>(3, 1.f)).message(),
              HasSubstr("3 logits for a vocabulary of 4"));
}

TEST(Sampler, RepetitionCountsPromptAndAnswerOnce) {
  std::vector<float> logits = {4, 3, -1, -1.5f};
  Sampler sampler({.repetitionPenalty = 2}, 4);
  EXPECT_EQ(*sampler.sample(logits), 0);
  sampler.acceptPrompt(std::vector<int32_t>{0, 0, 99, -5});
  EXPECT_EQ(*sampler.sample(logits), 1); // 2, 3
  sampler.accept(1);
  sampler.accept(1);
  EXPECT_EQ(*sampler.sample(logits), 0); // 2, 1.5
  Sampler negative({.repetitionPenalty = 2}, 4);
  negative.accept(2);
  EXPECT_EQ(*negative.sample(std::vector<float>{-9, -9, -1, -1.5f}), 3); // -2
}

TEST(Sampler, FrequencyAndPresenceCountTheAnswerOnly) {
  std::vector<float> logits = {4, 3};
  Sampler frequency({.frequencyPenalty = 0.4}, 2);
  frequency.acceptPrompt(std::vector<int32_t>{0, 0, 0, 0, 0});
  std::vector<int32_t> tokens;
  for (int i = 0; i < 5; ++i) {
    tokens.push_back(*frequency.sample(logits));
    frequency.accept(tokens.back());
  }
  EXPECT_EQ(tokens, (std::vector<int32_t>{0, 0, 0, 1, 0})); // 4, 3.6, 3.2, 2.8 < 3, then 2.6 < 2.8
  Sampler presence({.presencePenalty = 1.5}, 2);
  presence.accept(0);
  presence.accept(0);
  EXPECT_EQ(*presence.sample(logits), 1); // 2.5 < 3
}

TEST(SamplingOptions, OutOfRangeIsNamed) {
  EXPECT_TRUE(SamplingOptions().check().ok());
  EXPECT_EQ((SamplingOptions{.temperature = -1}).check().message(),
            "temperature -1 is not at least 0");
  EXPECT_EQ((SamplingOptions{.topP = 0}).check().message(), "top-p 0 is not above 0 and at most 1");
  EXPECT_EQ((SamplingOptions{.minP = 2}).check().message(), "min-p 2 is not between 0 and 1");
  EXPECT_EQ((SamplingOptions{.repetitionPenalty = 0}).check().message(),
            "repetition penalty 0 is not above 0");
  EXPECT_FALSE((SamplingOptions{.temperature = std::nan("")}).check().ok());
  EXPECT_FALSE((SamplingOptions{.frequencyPenalty = std::nan("")}).check().ok());
  EXPECT_FALSE((SamplingOptions{.presencePenalty = HUGE_VAL}).check().ok());
}

} // namespace
