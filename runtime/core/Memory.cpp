//===- Memory.cpp - Mapped memory and checksums -----------------------------------------------===//
//
// One mmap for each range; nothing here knows what the bytes mean. The checksum is xxhash's XXH3,
// inlined, so that the runtime needs no library at run time.
//
//===------------------------------------------------------------------------------------------===//

#include "runtime/core/Memory.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

using namespace ingot::runtime;

static constexpr uint64_t pageBytes = 4096;
static constexpr uint64_t hugePageBytes = 2 << 20;

MappedMemory::~MappedMemory() {
  if (base)
    munmap(base, bytes);
}

Result<MappedMemory> MappedMemory::mapFile(const std::string &path) {
  int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0)
    return INGOT_ERROR("cannot open '%s': %s", path.c_str(), std::strerror(errno));
  struct stat state;
  if (fstat(file, &state) != 0 || !S_ISREG(state.st_mode)) {
    close(file);
    return INGOT_ERROR("cannot open '%s': not a regular file", path.c_str());
  }
  MappedMemory memory;
  memory.bytes = state.st_size;
  if (memory.bytes) {
    void *address = mmap(nullptr, memory.bytes, PROT_READ, MAP_PRIVATE, file, 0);
    int reason = errno;
    if (address == MAP_FAILED) {
      close(file);
      return INGOT_ERROR("cannot map the %zu bytes of '%s': %s", memory.bytes, path.c_str(),
                         std::strerror(reason));
    }
    memory.base = static_cast<std::byte *>(address);
  }
  close(file);
  return memory;
}

Result<MappedMemory> MappedMemory::allocate(uint64_t bytes) {
  MappedMemory memory;
  if (!bytes)
    return memory;
  // Large memory begins where a huge page may: what is mapped too much is given back at both ends.
  uint64_t slack = bytes >= hugePageBytes ? hugePageBytes : 0;
  void *address = mmap(nullptr, bytes + slack, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (address == MAP_FAILED)
    return INGOT_ERROR("cannot allocate %llu bytes: %s", (unsigned long long)bytes,
                       std::strerror(errno));
  std::byte *begin = static_cast<std::byte *>(address);
  if (slack) {
    uint64_t before = -reinterpret_cast<uintptr_t>(begin) % hugePageBytes;
    if (before)
      munmap(begin, before);
    begin += before;
    uint64_t pages = (bytes + pageBytes - 1) / pageBytes * pageBytes;
    if (uint64_t after = slack - before; after > pages - bytes)
      munmap(begin + pages, after - (pages - bytes));
    madvise(begin, bytes, MADV_HUGEPAGE); // a wish
  }
  memory.base = begin;
  memory.bytes = bytes;
  return memory;
}

/// The pages that lie in `part`: their first byte, and their bytes.
static std::pair<void *, size_t> findPages(Bytes part) {
  auto begin = reinterpret_cast<uintptr_t>(part.data());
  uintptr_t first = (begin + pageBytes - 1) / pageBytes * pageBytes;
  uintptr_t last = (begin + part.size()) / pageBytes * pageBytes;
  return {reinterpret_cast<void *>(first), first < last ? last - first : 0};
}

void MappedMemory::bringIntoMemory(Bytes part) {
#ifndef MADV_POPULATE_READ
  constexpr int MADV_POPULATE_READ = 22; // Linux 5.14
#endif
  auto [pages, size] = findPages(part);
  if (size && madvise(pages, size, MADV_POPULATE_READ) != 0 && errno == EINVAL)
    madvise(pages, size, MADV_WILLNEED);
}

void MappedMemory::forgetFilePages(Bytes part) const {
  if (auto [pages, size] = findPages(part); size)
    madvise(pages, size, MADV_DONTNEED);
}

uint64_t ingot::runtime::computeChecksum(Bytes bytes) {
  return XXH3_64bits(bytes.data(), bytes.size());
}
