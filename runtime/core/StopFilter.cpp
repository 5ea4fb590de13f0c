//===- StopFilter.cpp - Ends a stream of text at a stop string ------------------------------------===//
//
// `pending` is never longer than a stop string and a piece, so that plain searching is fast enough.
// The earliest stop string wins; where several begin at the same place, they cut at the same place.
//
//===----------------------------------------------------------------------------------------------===//

#include "runtime/core/StopFilter.h"

#include <algorithm>

using namespace ingot::runtime;

StopFilter::StopFilter(std::vector<std::string> given) : stops(std::move(given)) {
  std::erase_if(stops, [](const std::string &stop) { return stop.empty(); });
}

std::string StopFilter::put(std::string_view piece) {
  if (stopped)
    return {};
  pending += piece;
  size_t first = std::string::npos;
  for (const std::string &stop : stops)
    first = std::min(first, pending.find(stop));
  stopped = first != std::string::npos;
  size_t shown = stopped ? first : pending.size() - countHeldBack();
  std::string text = pending.substr(0, shown);
  pending.erase(0, stopped ? std::string::npos : shown);
  return text;
}

/// The length of the longest end of `pending` that a stop string begins with.
size_t StopFilter::countHeldBack() const {
  size_t longest = 0;
  for (const std::string &stop : stops)
    for (size_t length = std::min(stop.size() - 1, pending.size()); length > longest; --length)
      if (std::string_view(pending).substr(pending.size() - length) ==
          std::string_view(stop).substr(0, length))
        longest = length;
  return longest;
}

std::string StopFilter::finish() {
  std::string text = std::move(pending);
  pending.clear();
  return text;
}
