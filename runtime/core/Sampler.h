//===- Sampler.h - From logits to the next token --------------------------------------------------===//
//
// In this order, each step skipped at its neutral value:
//   1. penalties: a token that occurred in prompt or answer has its logit divided by
//   `repetitionPenalty` if positive,
//      else multiplied; one that occurred n times in the answer loses n * frequencyPenalty +
//      presencePenalty;
//   2. temperature 0: the token with the largest logit, the lowest id of several; else logits /
//   temperature;
//   3. top-k: the k largest; 4. top-p: of those the fewest, largest first, whose probabilities
//   reach p;
//   5. min-p: of those the ones at least min-p times as probable as the most probable;
//   6. one of those, each with its probability.
// All in float64 with an exponential of our own, and ties go to the lower id: the same logits,
// options and seed give the same token on every machine.
//
//===----------------------------------------------------------------------------------------------===//

#ifndef INGOT_RUNTIME_CORE_SAMPLER_H
#define INGOT_RUNTIME_CORE_SAMPLER_H

#include "runtime/core/Random.h"
#include "runtime/core/Status.h"

#include <span>
#include <vector>

namespace ingot::runtime {

struct SamplingOptions {
  double temperature = 0;
  uint64_t topK = 0; ///< 0: all
  double topP = 1;
  double minP = 0;
  double repetitionPenalty = 1;
  double frequencyPenalty = 0;
  double presencePenalty = 0;
  uint64_t seed = 0;

  /// Names the option that is out of its range.
  Status check() const;
};

class Sampler {
public:
  /// `options` must pass their check.
  Sampler(const SamplingOptions &options, uint64_t vocabulary);

  /// Tokens that count for the repetition penalty only.
  void acceptPrompt(std::span<const int32_t> tokens);
  /// A token of the answer.
  void accept(int32_t token);

  /// Takes one logit for each word of the vocabulary. Not-a-number counts as impossible; an error
  /// if all are.
  Result<int32_t> sample(std::span<const float> logits);

private:
  struct Candidate {
    double value; ///< logit, then weight: exp(logit - largest)
    int32_t token;
  };

  double penalise(double logit, int32_t token) const;
  void keepTopK();
  void weigh(double largest);
  void keepTopP();
  int32_t draw();

  SamplingOptions options;
  Random random;
  bool hasPenalties;
  std::vector<bool> occurred;         ///< in prompt or answer
  std::vector<uint32_t> answerCounts; ///< in the answer
  std::vector<Candidate> candidates;  ///< of this sample; kept for its memory
};

/// e^x for x <= 0, by operations whose results IEEE 754 fixes; within 2 units in the last place.
double computeExponential(double x);

} // namespace ingot::runtime

#endif // INGOT_RUNTIME_CORE_SAMPLER_H
