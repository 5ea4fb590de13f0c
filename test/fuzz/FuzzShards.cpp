//===- FuzzShards.cpp - Any index of shards is read or refused in a sentence ------------------===//
//
// Two small shards lie in a folder of this process; the input is their index. What opens has all of
// the tensors of the index.
//
//===------------------------------------------------------------------------------------------===//

#include "ingot/Import/Safetensors.h"
#include "llvm/Support/Endian.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/raw_ostream.h"
#include <cstdlib>

using namespace ingot;

static void write(const std::string &path, llvm::StringRef bytes) {
  std::error_code error;
  llvm::raw_fd_ostream(path, error) << bytes;
  if (error)
    abort();
}

static std::string makeFolder() {
  llvm::SmallString<64> folder;
  if (llvm::sys::fs::createUniqueDirectory("fuzz-shards", folder))
    abort();
  for (const char *name : {"a", "b"}) {
    std::string header = std::string("{\"") + name +
                         "\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}",
                bytes(8, '\0');
    llvm::support::endian::write64le(bytes.data(), header.size());
    write(std::string(folder) + "/" + name + ".safetensors", bytes + header + "1234");
  }
  return folder.str().str();
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const std::string folder = makeFolder();
  static const bool isCleared = std::atexit([] { llvm::sys::fs::remove_directories(folder); }) == 0;
  if (!isCleared)
    abort();
  write(folder + "/model.safetensors.index.json",
        llvm::StringRef(reinterpret_cast<const char *>(data), size));
  auto file = SafetensorsFile::open(folder);
  if (file) {
    for (const SafetensorsTensor &tensor : (*file)->getTensors())
      if (tensor.bytes.size() != 4)
        abort();
    return 0;
  }
  std::string message = llvm::toString(file.takeError());
  if (!llvm::StringRef(message).starts_with(folder) || message.find('\n') != std::string::npos)
    abort();
  return 0;
}
