//===- FuzzAdapter.cpp - Any adapter is applied or refused in a sentence ----------------------===//
//
// The input is the adapter_config.json of a small adapter in a folder of this process. Where it is
// applied the adapted weight can be read.
//
//===------------------------------------------------------------------------------------------===//

#include "lib/Import/Adapter.h"
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
  if (llvm::sys::fs::createUniqueDirectory("fuzz-adapter", folder))
    abort();
  std::string header =
      R"({"base_model.model.m.w.lora_A.weight":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]},)"
      R"("base_model.model.m.w.lora_B.weight":{"dtype":"F32","shape":[2,1],"data_offsets":[8,16]}})";
  std::string bytes(8, '\0');
  llvm::support::endian::write64le(bytes.data(), header.size());
  write(std::string(folder) + "/adapter_model.safetensors", bytes + header + "0123456789abcdef");
  return folder.str().str();
}

static std::shared_ptr<const WeightStore> makeBase() {
  auto base = std::make_shared<InlineWeightStore>();
  if (auto error = base->addValues("m.w.weight", *NumericFormat::lookup("bf16"), {2, 2},
                                   {1.0f, 2.0f, 3.0f, 4.0f}))
    abort();
  return base;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const std::string folder = makeFolder();
  static const auto base = makeBase();
  static const bool isCleared = std::atexit([] { llvm::sys::fs::remove_directories(folder); }) == 0;
  if (!isCleared)
    abort();
  write(folder + "/adapter_config.json",
        llvm::StringRef(reinterpret_cast<const char *>(data), size));
  auto adapted = import::applyAdapter(base, folder);
  if (adapted) {
    float values[4];
    if (auto error = adapted->store->readValues("m.w.weight", 0, 2, values))
      abort();
    return 0;
  }
  std::string message = llvm::toString(adapted.takeError());
  if (!llvm::StringRef(message).starts_with(folder) || message.find('\n') != std::string::npos)
    abort();
  return 0;
}
