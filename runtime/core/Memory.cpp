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
  void *address = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (address == MAP_FAILED)
    return INGOT_ERROR("cannot allocate %llu bytes: %s", (unsigned long long)bytes,
                       std::strerror(errno));
  madvise(address, bytes, MADV_HUGEPAGE); // a wish: fewer TLB misses
  memory.base = static_cast<std::byte *>(address);
  memory.bytes = bytes;
  return memory;
}

uint64_t ingot::runtime::computeChecksum(Bytes bytes) {
  return XXH3_64bits(bytes.data(), bytes.size());
}
