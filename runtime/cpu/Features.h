//===- Features.h - What this CPU can do, against what code asks for --------------------------===//
//
// A target of CPU code is "cpu:LEVEL" or "cpu:LEVEL+FEATURE+...", with the levels x86-64,
// x86-64-v2, -v3, -v4 of the psABI and LLVM's names of features ("cpu:x86-64-v3+avxvnni"). A level
// is a list of features, so that a refusal can name the one that is missing.
//
//===------------------------------------------------------------------------------------------===//

#ifndef INGOT_RUNTIME_CPU_FEATURES_H
#define INGOT_RUNTIME_CPU_FEATURES_H

#include "runtime/core/Status.h"

#include <set>
#include <string>
#include <string_view>

namespace ingot::runtime::cpu {

class Features {
public:
  Features() = default;
  explicit Features(std::set<std::string, std::less<>> names) : names(std::move(names)) {}
  /// By cpuid, and only what the operating system saves on a context switch.
  static Features detect();

  bool has(std::string_view feature) const { return names.find(feature) != names.end(); }
  /// The rank of `target` among those that this CPU runs (higher is better), or why it does not run
  /// it.
  Result<int> rank(std::string_view target) const;
  /// The highest level and the features above it, as in a target without "cpu:".
  std::string describe() const;

private:
  std::set<std::string, std::less<>> names;
};

} // namespace ingot::runtime::cpu

#endif // INGOT_RUNTIME_CPU_FEATURES_H
