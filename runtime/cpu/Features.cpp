//===- Features.cpp - cpuid, levels and targets -----------------------------------------------===//
//
// One table says, for each feature, the level of the psABI that has it, where cpuid shows it and
// which registers the operating system must save. To add a feature, add a line.
//
//===------------------------------------------------------------------------------------------===//

#include "runtime/cpu/Features.h"

#include <cstdint>
#include <iterator>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

using namespace ingot::runtime;
using namespace ingot::runtime::cpu;

namespace {

enum Register { A, B, C, D };
enum State { NoState, Avx, Avx512 }; ///< registers that the operating system must save

struct FeatureRecord {
  const char *name;
  int level; ///< of the psABI that has it: 2, 3, 4; 0 when no level has it
  uint32_t leaf, subleaf;
  Register place;
  int bit;
  State state;
};

constexpr FeatureRecord records[] = {
    {"cx16", 2, 1, 0, C, 13, NoState},      {"sahf", 2, 0x80000001, 0, C, 0, NoState},
    {"popcnt", 2, 1, 0, C, 23, NoState},    {"sse3", 2, 1, 0, C, 0, NoState},
    {"ssse3", 2, 1, 0, C, 9, NoState},      {"sse4.1", 2, 1, 0, C, 19, NoState},
    {"sse4.2", 2, 1, 0, C, 20, NoState},    {"avx", 3, 1, 0, C, 28, Avx},
    {"avx2", 3, 7, 0, B, 5, Avx},           {"bmi", 3, 7, 0, B, 3, NoState},
    {"bmi2", 3, 7, 0, B, 8, NoState},       {"f16c", 3, 1, 0, C, 29, Avx},
    {"fma", 3, 1, 0, C, 12, Avx},           {"lzcnt", 3, 0x80000001, 0, C, 5, NoState},
    {"movbe", 3, 1, 0, C, 22, NoState},     {"avx512f", 4, 7, 0, B, 16, Avx512},
    {"avx512bw", 4, 7, 0, B, 30, Avx512},   {"avx512cd", 4, 7, 0, B, 28, Avx512},
    {"avx512dq", 4, 7, 0, B, 17, Avx512},   {"avx512vl", 4, 7, 0, B, 31, Avx512},
    {"avxvnni", 0, 7, 1, A, 4, Avx},        {"avxvnniint8", 0, 7, 1, D, 4, Avx},
    {"avx512vnni", 0, 7, 0, C, 11, Avx512}, {"avx512vbmi", 0, 7, 0, C, 1, Avx512},
    {"avx512bf16", 0, 7, 1, A, 5, Avx512},  {"avx512fp16", 0, 7, 0, D, 23, Avx512},
};

constexpr std::string_view levelNames[] = {"", "x86-64", "x86-64-v2", "x86-64-v3", "x86-64-v4"};
constexpr std::string_view prefix = "cpu:";

int findLevel(std::string_view name) {
  for (int level = 1; level < int(std::size(levelNames)); ++level)
    if (levelNames[level] == name)
      return level;
  return 0;
}

const FeatureRecord *findFeature(std::string_view name) {
  for (const FeatureRecord &record : records)
    if (record.name == name)
      return &record;
  return nullptr;
}

#if defined(__x86_64__)
/// Which vector registers the operating system saves, from XCR0.
State detectState() {
  uint32_t a, b, c, d;
  constexpr uint32_t osxsave = 1u << 27;
  if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & osxsave))
    return NoState;
  uint32_t low, high;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  constexpr uint32_t avxBits = 0x06, avx512Bits = 0xe6; // XMM, YMM; and opmask, both halves of ZMM
  if ((low & avx512Bits) == avx512Bits)
    return Avx512;
  return (low & avxBits) == avxBits ? Avx : NoState;
}
#endif

} // namespace

Features Features::detect() {
  Features features;
#if defined(__x86_64__)
  State state = detectState();
  for (const FeatureRecord &record : records) {
    uint32_t values[4] = {};
    if (record.state <= state &&
        __get_cpuid_count(record.leaf, record.subleaf, &values[A], &values[B], &values[C],
                          &values[D]) &&
        (values[record.place] >> record.bit & 1))
      features.names.insert(record.name);
  }
#endif
  return features;
}

Result<int> Features::rank(std::string_view target) const {
  if (target.substr(0, prefix.size()) != prefix)
    return INGOT_ERROR("'%.*s' is not a CPU target", int(target.size()), target.data());
  std::string_view rest = target.substr(prefix.size());
  size_t plus = rest.find('+');
  std::string_view levelName = rest.substr(0, plus);
  int level = findLevel(levelName);
  if (!level)
    return INGOT_ERROR("level '%.*s' of target '%.*s' is unknown", int(levelName.size()),
                       levelName.data(), int(target.size()), target.data());
  for (const FeatureRecord &record : records)
    if (record.level && record.level <= level && !has(record.name))
      return INGOT_ERROR("'%.*s' needs the CPU feature %s, which this machine lacks",
                         int(target.size()), target.data(), record.name);
  int extras = 0;
  while (plus != std::string_view::npos) {
    rest = rest.substr(plus + 1);
    plus = rest.find('+');
    std::string_view feature = rest.substr(0, plus);
    if (!findFeature(feature))
      return INGOT_ERROR("feature '%.*s' of target '%.*s' is unknown", int(feature.size()),
                         feature.data(), int(target.size()), target.data());
    if (!has(feature))
      return INGOT_ERROR("'%.*s' needs the CPU feature %.*s, which this machine lacks",
                         int(target.size()), target.data(), int(feature.size()), feature.data());
    ++extras;
  }
  return level * 100 + extras;
}

std::string Features::describe() const {
  int level = int(std::size(levelNames)) - 1;
  for (const FeatureRecord &record : records)
    if (record.level && record.level <= level && !has(record.name))
      level = record.level - 1;
  std::string text(levelNames[level]);
  for (const FeatureRecord &record : records)
    if ((!record.level || record.level > level) && has(record.name))
      text += std::string("+") + record.name;
  return text;
}
