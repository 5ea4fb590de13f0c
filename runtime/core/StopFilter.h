//===- StopFilter.h - Ends a stream of text at a stop string --------------------------------------===//
//
// Text comes in pieces that are cut anywhere; a stop string may begin in one and end in another.
// What may still turn out to be the beginning of a stop string is held back, all else passes at
// once:
//
//   stop "\n\n":  "one\n" -> "one"    "two" -> "\ntwo"    "\n" -> ""    "\nthree" -> "", stopped
//
//===----------------------------------------------------------------------------------------------===//

#ifndef INGOT_RUNTIME_CORE_STOPFILTER_H
#define INGOT_RUNTIME_CORE_STOPFILTER_H

#include <string>
#include <string_view>
#include <vector>

namespace ingot::runtime {

class StopFilter {
public:
  /// Empty stop strings are ignored.
  explicit StopFilter(std::vector<std::string> stops);

  /// The text that may be shown now. After a stop string was found, nothing more comes.
  std::string put(std::string_view piece);
  /// What was held back, when the text ends for another reason.
  std::string finish();
  bool isStopped() const { return stopped; }

private:
  size_t countHeldBack() const;

  std::vector<std::string> stops;
  std::string pending;
  bool stopped = false;
};

} // namespace ingot::runtime

#endif // INGOT_RUNTIME_CORE_STOPFILTER_H
