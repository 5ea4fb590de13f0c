//===- FuzzQuantizedWeights.cpp - Any tensors are quantised weights or are refused ------------===//
//
// The input is a line, the `quantization_config` of a config.json, and a safetensors file behind
// it. What opens hands out the first and last row of each of its weights, or says why not.
//
//===------------------------------------------------------------------------------------------===//

#include "ingot/Import/Json.h"
#include "lib/Import/QuantizedWeights.h"
#include <cstdlib>

using namespace ingot;
using namespace ingot::import;

static void checkMessage(llvm::Error error, llvm::StringRef start) {
  std::string message = llvm::toString(std::move(error));
  if (!llvm::StringRef(message).starts_with(start) || message.find('\n') != std::string::npos)
    abort();
}

static void visit(const QuantizedWeights &store, llvm::StringRef name) {
  const WeightInfo *info = store.find(name);
  if (!info) // a tensor that is no weight
    return;
  std::vector<float> row(info->columns);
  for (int64_t index : {int64_t(0), info->rows - 1})
    if (llvm::Error error = store.readValues(name, index, 1, row))
      checkMessage(std::move(error), "fuzz.safetensors: ");
  llvm::StringRef order = store.getOrder(name);
  if (order.empty())
    return;
  if (store.readValues(order, 0, 1, row))
    abort();
  std::vector<bool> isTaken(row.size());
  for (float column : row) {
    if (isTaken.at(size_t(column)))
      abort();
    isTaken[size_t(column)] = true;
  }
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  auto [line, bytes] = llvm::StringRef(reinterpret_cast<const char *>(data), size).split('\n');
  auto value = parseJson(line, "config.json");
  if (!value)
    return llvm::consumeError(value.takeError()), 0;
  llvm::json::Object config{{"quantization_config", std::move(*value)}};
  auto quantization = readQuantizationConfig(config);
  if (!quantization)
    return checkMessage(quantization.takeError(), "entry '"), 0;
  if (!*quantization)
    return 0;
  // A copy of the exact size, so that a read behind the end is seen.
  auto buffer = llvm::WritableMemoryBuffer::getNewUninitMemBuffer(bytes.size(), "fuzz.safetensors");
  llvm::copy(bytes, buffer->getBufferStart());
  auto file = SafetensorsFile::parse(std::move(buffer));
  if (!file)
    return llvm::consumeError(file.takeError()), 0;
  auto store = QuantizedWeights::open(std::move(*file), **quantization);
  if (!store)
    return checkMessage(store.takeError(), "fuzz.safetensors: "), 0;
  for (const std::string &name : (*store)->getNames())
    visit(**store, name);
  return 0;
}
