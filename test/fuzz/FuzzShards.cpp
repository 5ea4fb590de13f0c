//===- FuzzShards.cpp - Any index of shards is read or refused in a sentence ------------------===//
//
// Two small shards lie in a folder of this process; the input is their index. What opens has all of
// the tensors of the index.
//
//===------------------------------------------------------------------------------------------===//

#include "ingot/Import/Safetensors.h"
#include "test/fuzz/Folder.h"

using namespace ingot;

namespace {

struct Shards : fuzz::Folder {
  Shards() : Folder("fuzz-shards") {
    for (std::string name : {"a", "b"})
      writeTensors(name + ".safetensors",
                   "{\"" + name + "\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}",
                   "1234");
  }
};

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const Shards folder;
  folder.write("model.safetensors.index.json",
               llvm::StringRef(reinterpret_cast<const char *>(data), size));
  auto file = SafetensorsFile::open(folder.getPath());
  if (!file) {
    folder.checkSentence(file.takeError());
    return 0;
  }
  for (const SafetensorsTensor &tensor : (*file)->getTensors())
    if (tensor.bytes.size() != 4)
      abort();
  return 0;
}
