//===- CodeCache.cpp - What the driver compiled, kept -----------------------------------------===//

#include "runtime/cuda/CodeCache.h"

#include <cstring>
#include <sys/stat.h>
#include <unistd.h>

using namespace ingot::runtime;
using namespace ingot::runtime::cuda;

namespace {
struct FileHeader {
  char magic[8];
  CodeKey key;
  uint64_t bytes, checksum; ///< of the cubin, which follows
};
constexpr char magic[8] = {'I', 'N', 'G', 'O', 'T', 'J', 'I', 'T'};

FileHeader makeHeader(const CodeKey &key, Bytes cubin) {
  FileHeader header = {};
  std::memcpy(header.magic, magic, sizeof magic);
  header.key = key;
  header.bytes = cubin.size();
  header.checksum = computeChecksum(cubin);
  return header;
}
} // namespace

CodeCache::CodeCache(const std::string &directory, const CodeKey &key)
    : directory(directory), key(key) {
  path = directory + formatText("/%016llx-sm_%llu-%llu.cubin", (unsigned long long)key.ptxChecksum,
                                (unsigned long long)key.capability,
                                (unsigned long long)key.driverVersion);
}

std::vector<std::byte> CodeCache::read() const {
  if (directory.empty())
    return {};
  Result<MappedMemory> file = MappedMemory::mapFile(path);
  if (!file || file->size() < sizeof(FileHeader))
    return {};
  Bytes cubin = file->view().subspan(sizeof(FileHeader));
  FileHeader expected = makeHeader(key, cubin);
  if (std::memcmp(file->data(), &expected, sizeof expected) != 0)
    return {};
  return {cubin.begin(), cubin.end()};
}

void CodeCache::write(Bytes cubin) const {
  if (directory.empty())
    return;
  for (size_t at = 0; at != std::string::npos;) {
    at = directory.find('/', at + 1);
    mkdir(directory.substr(0, at).c_str(), 0777);
  }
  std::string temporary = path + formatText(".%d", int(getpid()));
  std::FILE *file = std::fopen(temporary.c_str(), "wb");
  if (!file)
    return;
  FileHeader header = makeHeader(key, cubin);
  bool written = std::fwrite(&header, sizeof header, 1, file) == 1 &&
                 std::fwrite(cubin.data(), 1, cubin.size(), file) == cubin.size();
  written &= std::fclose(file) == 0;
  if (!written || std::rename(temporary.c_str(), path.c_str()) != 0)
    unlink(temporary.c_str());
}
