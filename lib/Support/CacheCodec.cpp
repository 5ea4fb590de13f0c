//===- CacheCodec.cpp - Numbers of a cache as integers with a scale -------------------------------===//

#include "ingot/Support/CacheCodec.h"
#include "ingot/Support/Codec.h"
#include <algorithm>
#include <cmath>

using namespace ingot;

uint16_t ingot::encodeCacheGroup(llvm::ArrayRef<float> numbers, unsigned bits,
                                 llvm::MutableArrayRef<int8_t> codes) {
  auto [smallest, largest] = std::minmax_element(numbers.begin(), numbers.end());
  float extreme = *largest >= -*smallest ? *largest : *smallest;
  float limit = float(1 << (bits - 1));
  uint16_t scale = floatToHalf(extreme / -limit);
  float step = halfToFloat(scale), inverse = step == 0 ? 0 : 1 / step;
  for (size_t i = 0; i < numbers.size(); ++i)
    codes[i] = int8_t(std::clamp(std::nearbyint(numbers[i] * inverse), -limit, limit - 1));
  return scale;
}

float ingot::decodeCacheCode(int8_t code, uint16_t scale) { return code * halfToFloat(scale); }
