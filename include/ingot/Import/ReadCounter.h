//===- ReadCounter.h - When to give mapped memory back ----------------------------------------===//
//
// What is read of a mapped file stays in memory until somebody says that it is not needed. Weights
// are read once, in a stream; a store counts what it hands out and lets go of its files now and
// then. Pages that are wanted again come from the file.
//
//===------------------------------------------------------------------------------------------===//

#ifndef INGOT_IMPORT_READCOUNTER_H
#define INGOT_IMPORT_READCOUNTER_H

#include <atomic>
#include <cstdint>

namespace ingot {

class ReadCounter {
public:
  /// About so much of a file may be in memory.
  static constexpr uint64_t mostBytes = 128 << 20;

  /// Whether the next `mostBytes` begin with these bytes. Several threads may ask.
  bool add(uint64_t bytes) const {
    return total.fetch_add(bytes, std::memory_order_relaxed) % mostBytes + bytes >= mostBytes;
  }

private:
  mutable std::atomic<uint64_t> total = 0;
};

} // namespace ingot

#endif // INGOT_IMPORT_READCOUNTER_H
