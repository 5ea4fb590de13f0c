//===- CodeCache.h - What the driver compiled, kept ---------------------------------------------===//
//
// One file for each PTX, GPU capability and driver version, named by them and holding them again
// before the cubin, with a checksum. A file that is missing, cut or of something else reads as
// empty; one that cannot be written is not: the cache saves time and decides nothing.
//
//===------------------------------------------------------------------------------------------===//

#ifndef INGOT_RUNTIME_CUDA_CODECACHE_H
#define INGOT_RUNTIME_CUDA_CODECACHE_H

#include "runtime/core/Memory.h"

#include <vector>

namespace ingot::runtime::cuda {

struct CodeKey {
  uint64_t ptxChecksum, capability, driverVersion;
};

class CodeCache {
public:
  /// An empty directory keeps nothing.
  CodeCache(const std::string &directory, const CodeKey &key);
  std::vector<std::byte> read() const;
  /// Makes the directory where it is missing; readers see the whole file or none.
  void write(Bytes cubin) const;

private:
  std::string directory, path;
  CodeKey key;
};

} // namespace ingot::runtime::cuda

#endif // INGOT_RUNTIME_CUDA_CODECACHE_H
