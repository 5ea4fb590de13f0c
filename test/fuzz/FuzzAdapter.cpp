//===- FuzzAdapter.cpp - Any adapter is applied or refused in a sentence ----------------------===//
//
// The input is the adapter_config.json of a small adapter in a folder of this process. Where it is
// applied the adapted weight can be read.
//
//===------------------------------------------------------------------------------------------===//

#include "lib/Import/Adapter.h"
#include "test/fuzz/Folder.h"

using namespace ingot;

namespace {

struct AdapterFolder : fuzz::Folder {
  AdapterFolder() : Folder("fuzz-adapter") {
    writeTensors(
        "adapter_model.safetensors",
        R"({"base_model.model.m.w.lora_A.weight":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]},)"
        R"("base_model.model.m.w.lora_B.weight":{"dtype":"F32","shape":[2,1],"data_offsets":[8,16]}})",
        "0123456789abcdef");
  }
};

} // namespace

static std::shared_ptr<const WeightStore> makeBase() {
  auto base = std::make_shared<InlineWeightStore>();
  if (auto error = base->addValues("m.w.weight", *NumericFormat::lookup("bf16"), {2, 2},
                                   {1.0f, 2.0f, 3.0f, 4.0f}))
    abort();
  return base;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const AdapterFolder folder;
  static const auto base = makeBase();
  folder.write("adapter_config.json", llvm::StringRef(reinterpret_cast<const char *>(data), size));
  auto adapted = import::applyAdapter(base, folder.getPath());
  if (!adapted) {
    folder.checkSentence(adapted.takeError());
    return 0;
  }
  float values[4];
  if (auto error = adapted->store->readValues("m.w.weight", 0, 2, values))
    abort();
  return 0;
}
