//===- FuzzSafetensors.cpp - Any bytes are a safetensors file or are refused in a sentence ----===//
//
// Reads everything that an accepted file hands out: names, bytes, and the first and last rows of
// all tensors that are numbers, decoded.
//
//===------------------------------------------------------------------------------------------===//

#include "ingot/Import/Safetensors.h"
#include <cstdlib>

using namespace ingot;

static volatile uint64_t sink;

static void visit(const SafetensorsFile &file, const SafetensorsTensor &tensor) {
  for (uint8_t byte : tensor.bytes)
    sink = sink + byte;
  if (file.findTensor(tensor.name) != &tensor)
    abort();
  if (!tensor.info)
    return;
  uint64_t widening = llvm::StringRef(tensor.type).starts_with("F8") ? 2 : 1;
  if (tensor.info->bytes != tensor.bytes.size() * widening)
    abort();
  std::vector<float> row(tensor.info->columns);
  for (int64_t index : {int64_t(0), tensor.info->rows - 1})
    if (file.readValues(tensor.name, index, 1, row))
      abort();
  llvm::consumeError(file.readValues(tensor.name, tensor.info->rows, 1, row));
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  // A copy of the exact size, so that a read behind the end is seen.
  auto buffer = llvm::WritableMemoryBuffer::getNewUninitMemBuffer(size, "fuzz.safetensors");
  std::copy_n(data, size, buffer->getBufferStart());
  auto file = SafetensorsFile::parse(std::move(buffer));
  if (!file) {
    std::string message = llvm::toString(file.takeError());
    if (!llvm::StringRef(message).starts_with("fuzz.safetensors: ") ||
        message.find('\n') != std::string::npos)
      abort();
    return 0;
  }
  for (const SafetensorsTensor &tensor : (*file)->getTensors())
    visit(**file, tensor);
  return 0;
}
