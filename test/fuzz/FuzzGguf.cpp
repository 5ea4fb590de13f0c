//===- FuzzGguf.cpp - Any bytes are a GGUF file or are refused in a sentence -------------------------===//
//
// Reads everything that an accepted file hands out: values, strings, and the first and last rows of
// all tensors, decoded.
//
//===----------------------------------------------------------------------------------------------===//

#include "ingot/Import/Gguf.h"
#include <cstdlib>

using namespace ingot;

static volatile uint64_t sink;

static void visitValue(const GgufValue &value) {
  sink = sink + value.getInteger().value_or(0) + value.getUnsigned().value_or(0) +
         value.getBool().value_or(false) + (value.getFloat().value_or(0) != 0);
  if (std::optional<llvm::StringRef> text = value.getString())
    for (char c : *text)
      sink = sink + c;
  value.forEachElement(visitValue);
  if (value.isArray())
    sink = sink + value.getStrings().has_value() + value.getIntegers().has_value() +
           value.getFloats().has_value();
}

static void visitTensor(const GgufFile &file, const GgufTensor &tensor) {
  if (tensor.info.bytes != tensor.bytes.size() || file.findTensor(tensor.name) != &tensor)
    abort();
  std::vector<float> row(tensor.info.columns);
  for (int64_t index : {int64_t(0), tensor.info.rows - 1})
    if (file.readValues(tensor.name, index, 1, row))
      abort();
  llvm::consumeError(file.readValues(tensor.name, tensor.info.rows, 1, row));
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  // A copy of the exact size, so that a read behind the end is seen.
  auto buffer = llvm::WritableMemoryBuffer::getNewUninitMemBuffer(size, "fuzz.gguf");
  std::copy_n(data, size, buffer->getBufferStart());
  llvm::Expected<std::unique_ptr<GgufFile>> file = GgufFile::parse(std::move(buffer));
  if (!file) {
    std::string message = llvm::toString(file.takeError());
    if (!llvm::StringRef(message).starts_with("fuzz.gguf: ") ||
        message.find('\n') != std::string::npos)
      abort();
    return 0;
  }
  for (const GgufEntry &entry : (*file)->getEntries())
    visitValue(entry.value);
  for (const GgufTensor &tensor : (*file)->getTensors())
    visitTensor(**file, tensor);
  return 0;
}
