//===- Memory.h - Mapped memory: files and anonymous pages ------------------------------------===//
//
// An owning range of mapped pages: a file read-only, or zeroed anonymous memory (arena, cache,
// inputs). Pages are taken from the system when they are first touched, so reserving the cache of a
// long context is free.
//
//===------------------------------------------------------------------------------------------===//

#ifndef INGOT_RUNTIME_CORE_MEMORY_H
#define INGOT_RUNTIME_CORE_MEMORY_H

#include "runtime/core/Status.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace ingot::runtime {

using Bytes = std::span<const std::byte>;

class MappedMemory {
public:
  MappedMemory() = default;
  MappedMemory(MappedMemory &&other) noexcept { swap(other); }
  MappedMemory &operator=(MappedMemory &&other) noexcept {
    MappedMemory taken(std::move(other));
    swap(taken);
    return *this;
  }
  ~MappedMemory();

  /// The whole of a file, read-only. The file must not shrink while it is mapped (SIGBUS).
  static Result<MappedMemory> mapFile(const std::string &path);
  /// `bytes` zeroes, aligned to pages; large ones to huge pages, and on them where the system gives
  /// them.
  static Result<MappedMemory> allocate(uint64_t bytes);

  /// Brings the pages that lie in a part of any memory into this process, so that reading them
  /// waits for nothing. A wish: old systems only read ahead.
  static void bringIntoMemory(Bytes part);
  /// Takes the pages of a part of a mapped file out of this process; they come back when they are
  /// touched.
  void forgetFilePages(Bytes part) const;

  std::byte *data() const { return base; }
  size_t size() const { return bytes; }
  Bytes view() const { return {base, bytes}; }

private:
  void swap(MappedMemory &other) noexcept {
    std::swap(base, other.base);
    std::swap(bytes, other.bytes);
  }

  std::byte *base = nullptr;
  size_t bytes = 0;
};

/// XXH3, 64 bits, seed 0: the checksum of everything in an artefact.
uint64_t computeChecksum(Bytes bytes);

} // namespace ingot::runtime

#endif // INGOT_RUNTIME_CORE_MEMORY_H
