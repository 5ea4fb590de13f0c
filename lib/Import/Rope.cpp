//===- Rope.cpp - Published scalings of rotary embedding --------------------------------------===//
//
// See Rope.h. Pair i of `dims` / 2 turns base^(-2i / dims) radians a token before scaling.
//
//===------------------------------------------------------------------------------------------===//

#include "Rope.h"
#include <algorithm>
#include <cmath>
#include <numbers>

using namespace ingot;
using namespace ingot::import;

static double frequencyOf(const RopeParameters &rope, int64_t pair) {
  return std::pow(rope.base, -2.0 * double(pair) / double(rope.dims));
}

void import::scaleLinear(RopeParameters &rope, double factor) {
  rope.factors.assign(rope.dims / 2, float(factor));
}

void import::scaleDynamic(RopeParameters &rope, double factor, double trained, double context) {
  if (context <= trained || rope.dims <= 2)
    return;
  rope.base *= std::pow(factor * context / trained - (factor - 1),
                        double(rope.dims) / double(rope.dims - 2));
}

void import::scaleLlama3(RopeParameters &rope, const Llama3Scaling &scaling) {
  rope.factors.clear();
  double longest = scaling.trained / scaling.lowFactor,
         shortest = scaling.trained / scaling.highFactor;
  for (int64_t pair = 0; pair < rope.dims / 2; ++pair) {
    double wave = 2 * std::numbers::pi / frequencyOf(rope, pair), divisor = 1;
    if (wave > longest) {
      divisor = scaling.factor;
    } else if (wave >= shortest) {
      double share =
          (scaling.trained / wave - scaling.lowFactor) / (scaling.highFactor - scaling.lowFactor);
      divisor = 1 / ((1 - share) / scaling.factor + share);
    }
    rope.factors.push_back(float(divisor));
  }
}

void import::scaleYarn(RopeParameters &rope, const YarnScaling &scaling) {
  // The pair that turns `turns` times in the trained context.
  auto pairOf = [&](double turns) {
    return double(rope.dims) * std::log(scaling.trained / (turns * 2 * std::numbers::pi)) /
           (2 * std::log(rope.base));
  };
  double low = pairOf(scaling.fast), high = pairOf(scaling.slow);
  if (scaling.isTruncated)
    low = std::floor(low), high = std::ceil(high);
  low = std::max(low, 0.0), high = std::min(high, double(rope.dims - 1));
  if (low == high)
    high += 0.001;
  rope.factors.clear();
  for (int64_t pair = 0; pair < rope.dims / 2; ++pair) {
    double ramp = std::clamp((double(pair) - low) / (high - low), 0.0, 1.0);
    rope.factors.push_back(float(1 / (ramp / scaling.factor + (1 - ramp))));
  }
}

double import::getYarnMagnitude(double factor, double weight) {
  return factor <= 1 ? 1 : 0.1 * weight * std::log(factor) + 1;
}
