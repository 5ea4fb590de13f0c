//===- Random.h - Random numbers that are the same everywhere -------------------------------------===//
//
// The standard library fixes neither its distributions nor its seeding, so that a seed would mean
// another text on another system. This is xoshiro256++ 1.0 of Blackman and Vigna; its four words of
// state are the first four outputs of SplitMix64 begun at the seed. A uniform number is the top 53
// bits times 2^-53. Not for cryptography.
//
//===----------------------------------------------------------------------------------------------===//

#ifndef INGOT_RUNTIME_CORE_RANDOM_H
#define INGOT_RUNTIME_CORE_RANDOM_H

#include <bit>
#include <cstdint>

namespace ingot::runtime {

class SplitMix64 {
public:
  explicit SplitMix64(uint64_t seed) : state(seed) {}
  uint64_t next() {
    uint64_t z = state += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
  }

private:
  uint64_t state;
};

class Random {
public:
  explicit Random(uint64_t seed) {
    SplitMix64 words(seed);
    for (uint64_t &word : state)
      word = words.next();
  }
  Random(uint64_t a, uint64_t b, uint64_t c, uint64_t d) : state{a, b, c, d} {}

  uint64_t next() {
    uint64_t result = std::rotl(state[0] + state[3], 23) + state[0];
    uint64_t shifted = state[1] << 17;
    state[2] ^= state[0];
    state[3] ^= state[1];
    state[1] ^= state[2];
    state[0] ^= state[3];
    state[2] ^= shifted;
    state[3] = std::rotl(state[3], 45);
    return result;
  }

  /// In [0, 1).
  double nextUniform() { return double(next() >> 11) * 0x1p-53; }

private:
  uint64_t state[4];
};

} // namespace ingot::runtime

#endif // INGOT_RUNTIME_CORE_RANDOM_H
