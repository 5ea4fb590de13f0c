//===- LayerMath.cpp - Formulas of the transformer ops ----------------------------------------===//
//
// See LayerMath.h.
//
//===------------------------------------------------------------------------------------------===//

#include "LayerMath.h"
#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

using namespace ingot;
using namespace ingot::reference;

double reference::dot(llvm::ArrayRef<double> a, llvm::ArrayRef<double> b) {
  // Sixteen partial sums, so that the compiler may use vectors without changing the order.
  constexpr size_t lanes = 16;
  double partial[lanes] = {};
  size_t count = a.size(), whole = count / lanes * lanes;
  for (size_t i = 0; i < whole; i += lanes)
    for (size_t lane = 0; lane < lanes; ++lane)
      partial[lane] += a[i + lane] * b[i + lane];
  double sum = 0;
  for (double value : partial)
    sum += value;
  for (size_t i = whole; i < count; ++i)
    sum += a[i] * b[i];
  return sum;
}

std::vector<float> reference::ropeFrequencies(double base, int64_t pairs,
                                              llvm::ArrayRef<float> factors) {
  std::vector<float> frequencies(pairs);
  for (int64_t i = 0; i < pairs; ++i)
    frequencies[i] =
        std::pow(base, -double(i) / double(pairs)) / (factors.empty() ? 1.0 : double(factors[i]));
  return frequencies;
}

float reference::activate(transformer::ActivationKind kind, float value) {
  double x = value;
  switch (kind) {
  case transformer::ActivationKind::Silu:
    return x / (1 + std::exp(-x));
  case transformer::ActivationKind::Gelu:
    return x * 0.5 * std::erfc(-x / std::numbers::sqrt2);
  case transformer::ActivationKind::GeluTanh:
    return 0.5 * x * (1 + std::tanh(std::sqrt(2 / std::numbers::pi) * (x + 0.044715 * x * x * x)));
  case transformer::ActivationKind::Relu:
    return std::max(x, 0.0);
  }
  return value;
}

float reference::quantizeBlock(llvm::ArrayRef<float> x, llvm::MutableArrayRef<int8_t> values) {
  float largest = 0;
  for (float value : x)
    largest = std::max(largest, std::fabs(value));
  float inverse = largest > 0 ? 127.0f / largest : 0.0f;
  for (size_t i = 0; i < x.size(); ++i) {
    float scaled = x[i] * inverse;
    values[i] = int8_t(std::clamp(std::nearbyint(scaled), -127.0f, 127.0f));
  }
  return largest / 127.0f;
}

void reference::attend(llvm::ArrayRef<float> query, llvm::ArrayRef<const float *> keys,
                       llvm::ArrayRef<const float *> values, const ScoreRule &rule,
                       llvm::MutableArrayRef<float> result) {
  double largest = -std::numeric_limits<double>::infinity(), total = 0;
  std::vector<double> scores, sums(result.size(), 0.0);
  for (const float *key : keys) {
    double score = 0;
    for (size_t c = 0; c < query.size(); ++c)
      score += double(query[c]) * key[c];
    score *= rule.scale;
    if (rule.softCap)
      score = *rule.softCap * std::tanh(score / *rule.softCap);
    scores.push_back(score);
    largest = std::max(largest, scores.back());
  }
  for (size_t t = 0; t < keys.size(); ++t) {
    double weight = std::exp(scores[t] - largest);
    total += weight;
    for (size_t c = 0; c < sums.size(); ++c)
      sums[c] += weight * values[t][c];
  }
  for (size_t c = 0; c < sums.size(); ++c)
    result[c] = keys.empty() ? 0.0f : float(sums[c] / total);
}
