//===- Sampler.cpp - From logits to the next token ------------------------------------------------===//
//
// Candidates are sorted only where an order is needed (top-k, top-p); else they stay in the order
// of ids. Either way the order is determined, so that sums and draws are. Compiled without
// contraction to fused multiply-adds, which would make results depend on the machine.
//
//===----------------------------------------------------------------------------------------------===//

#include "runtime/core/Sampler.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>

using namespace ingot::runtime;

/// 1/13!, ..., 1/1!, 1/0!
static constexpr auto inverseFactorials = [] {
  std::array<double, 14> values = {};
  double factorial = 1;
  for (int n = 0; n < 14; ++n) {
    factorial *= n ? n : 1;
    values[13 - n] = 1 / factorial;
  }
  return values;
}();

double ingot::runtime::computeExponential(double x) {
  constexpr double smallest = -708; // below, the result would not be a normal number
  if (!(x >= smallest))
    return 0;
  // x = k ln 2 + r with |r| <= ln 2 / 2; the two parts of ln 2 make k * high exact.
  constexpr double high = 0x1.62e42fee00000p-1, low = 0x1.a39ef35793c76p-33;
  double k = -double(int64_t(0.5 - x * 0x1.71547652b82fep+0));
  double r = (x - k * high) - k * low;
  // Taylor's series: the first term left out is below 2^-57.
  double sum = 0;
  for (double coefficient : inverseFactorials)
    sum = sum * r + coefficient;
  return sum * std::bit_cast<double>(uint64_t(int64_t(k) + 1023) << 52);
}

Status SamplingOptions::check() const {
  auto require = [](bool holds, const char *name, double value, const char *range) {
    return holds ? Status::success() : INGOT_ERROR("%s %g is not %s", name, value, range);
  };
  INGOT_RETURN_IF_ERROR(require(temperature >= 0 && std::isfinite(temperature), "temperature",
                                temperature, "at least 0"));
  INGOT_RETURN_IF_ERROR(require(topP > 0 && topP <= 1, "top-p", topP, "above 0 and at most 1"));
  INGOT_RETURN_IF_ERROR(require(minP >= 0 && minP <= 1, "min-p", minP, "between 0 and 1"));
  INGOT_RETURN_IF_ERROR(require(repetitionPenalty > 0 && std::isfinite(repetitionPenalty),
                                "repetition penalty", repetitionPenalty, "above 0"));
  INGOT_RETURN_IF_ERROR(
      require(std::isfinite(frequencyPenalty), "frequency penalty", frequencyPenalty, "finite"));
  return require(std::isfinite(presencePenalty), "presence penalty", presencePenalty, "finite");
}

Sampler::Sampler(const SamplingOptions &options, uint64_t vocabulary)
    : options(options), random(options.seed),
      hasPenalties(options.repetitionPenalty != 1 || options.frequencyPenalty != 0 ||
                   options.presencePenalty != 0),
      occurred(vocabulary), answerCounts(vocabulary) {
  candidates.reserve(vocabulary);
}

void Sampler::acceptPrompt(std::span<const int32_t> tokens) {
  for (int32_t token : tokens)
    if (uint64_t(token) < occurred.size())
      occurred[token] = true;
}

void Sampler::accept(int32_t token) {
  if (uint64_t(token) >= occurred.size())
    return;
  occurred[token] = true;
  ++answerCounts[token];
}

double Sampler::penalise(double logit, int32_t token) const {
  if (occurred[token])
    logit = logit > 0 ? logit / options.repetitionPenalty : logit * options.repetitionPenalty;
  if (uint32_t count = answerCounts[token])
    logit -= count * options.frequencyPenalty + options.presencePenalty;
  return logit;
}

/// The float's place among all floats, as an integer: vectors of these have a maximum without
/// questions of order. Both zeros are one; what is not above minus infinity, and what is no number,
/// comes last.
static int32_t getRank(float logit) {
  constexpr int32_t infinity = 0x7f800000, last = INT32_MIN;
  int32_t bits = std::bit_cast<int32_t>(logit + 0.0f);
  int32_t rank = bits < 0 ? bits ^ 0x7fffffff : bits;
  return rank > infinity || rank <= (-infinity - 1) ? last : rank;
}

/// The first of the largest logits, -1 where none is a number: without the list of candidates,
/// which for 128,000 logits takes longer than a GPU takes for a token of a small model.
static int32_t findLargest(std::span<const float> logits) {
  int32_t largest = INT32_MIN;
  for (float logit : logits)
    largest = std::max(largest, getRank(logit));
  if (largest == INT32_MIN)
    return -1;
  for (size_t i = 0;; ++i)
    if (getRank(logits[i]) == largest)
      return int32_t(i);
}

Result<int32_t> Sampler::sample(std::span<const float> logits) {
  if (logits.size() != occurred.size())
    return INGOT_ERROR("%zu logits for a vocabulary of %zu", logits.size(), occurred.size());
  if (options.temperature == 0 && !hasPenalties)
    if (int32_t token = findLargest(logits); token >= 0)
      return token;
  candidates.clear();
  for (size_t i = 0; i < logits.size(); ++i) {
    double logit = hasPenalties ? penalise(logits[i], int32_t(i)) : logits[i];
    if (logit > -HUGE_VAL) // false for not-a-number
      candidates.push_back({logit, int32_t(i)});
  }
  if (candidates.empty())
    return INGOT_ERROR("none of the %zu logits is a number", logits.size());
  auto less = [](const Candidate &a, const Candidate &b) { return a.value < b.value; };
  auto largest =
      std::max_element(candidates.begin(), candidates.end(), less); // the first of equals
  if (options.temperature == 0 || largest->value == HUGE_VAL)
    return largest->token;
  double largestValue = largest->value;
  keepTopK();
  weigh(largestValue);
  keepTopP();
  return draw();
}

static bool comesBefore(double a, int32_t tokenA, double b, int32_t tokenB) {
  return a != b ? a > b : tokenA < tokenB;
}

void Sampler::keepTopK() {
  if (!options.topK || options.topK >= candidates.size())
    return;
  auto before = [](const Candidate &a, const Candidate &b) {
    return comesBefore(a.value, a.token, b.value, b.token);
  };
  std::nth_element(candidates.begin(), candidates.begin() + options.topK, candidates.end(), before);
  candidates.resize(options.topK);
  std::sort(candidates.begin(), candidates.end(), before);
}

/// Logits become weights; that of the most probable token is 1.
void Sampler::weigh(double largest) {
  for (Candidate &candidate : candidates)
    candidate.value = computeExponential((candidate.value - largest) / options.temperature);
}

void Sampler::keepTopP() {
  if (options.topP < 1) {
    double total = 0;
    for (const Candidate &candidate : candidates)
      total += candidate.value;
    // All tokens below this together are less than what top-p leaves out: they need not be sorted.
    double negligible = (1 - options.topP) * total / double(candidates.size());
    std::erase_if(candidates, [&](const Candidate &c) { return c.value < negligible; });
    std::sort(candidates.begin(), candidates.end(), [](const Candidate &a, const Candidate &b) {
      return comesBefore(a.value, a.token, b.value, b.token);
    });
    double sum = 0;
    size_t count = 0;
    while (count < candidates.size() && sum < options.topP * total)
      sum += candidates[count++].value;
    candidates.resize(std::max<size_t>(count, 1));
  }
  if (options.minP > 0)
    std::erase_if(candidates, [&](const Candidate &c) { return c.value < options.minP; });
}

int32_t Sampler::draw() {
  double total = 0;
  for (const Candidate &candidate : candidates)
    total += candidate.value;
  double rest = random.nextUniform() * total;
  for (const Candidate &candidate : candidates) {
    rest -= candidate.value;
    if (rest < 0)
      return candidate.token;
  }
  return candidates.back().token; // rounding left a little
}
