//===- GgufBuilder.h - Writes GGUF files for tests, good and bad -------------------------------------===//
//
// Appends whatever it is told: a wrong count, type or offset is the point of most tests.
//
//===----------------------------------------------------------------------------------------------===//

#ifndef INGOT_TEST_UNIT_IMPORT_GGUFBUILDER_H
#define INGOT_TEST_UNIT_IMPORT_GGUFBUILDER_H

#include "ingot/Import/Gguf.h"
#include <cstring>

namespace ingot {

class GgufBuilder {
public:
  std::string bytes;

  template <typename T> GgufBuilder &add(T value) {
    char raw[sizeof(T)];
    memcpy(raw, &value, sizeof(T));
    bytes.append(raw, sizeof(T));
    return *this;
  }
  GgufBuilder &addName(llvm::StringRef name) {
    add<uint64_t>(name.size());
    bytes += name;
    return *this;
  }
  GgufBuilder &addHeader(uint64_t tensors, uint64_t entries, uint32_t version = 3) {
    bytes += "GGUF";
    return add(version).add(tensors).add(entries);
  }
  template <typename T> GgufBuilder &addEntry(llvm::StringRef key, GgufType type, T value) {
    return addName(key).add(type).add(value);
  }
  GgufBuilder &addStringEntry(llvm::StringRef key, llvm::StringRef value) {
    return addName(key).add(GgufType::String).addName(value);
  }
  GgufBuilder &addTensor(llvm::StringRef name, llvm::ArrayRef<uint64_t> sizes, uint32_t type,
                         uint64_t offset) {
    addName(name).add<uint32_t>(sizes.size());
    for (uint64_t size : sizes)
      add(size);
    return add(type).add(offset);
  }
  GgufBuilder &pad(size_t alignment = 32) {
    bytes.resize((bytes.size() + alignment - 1) / alignment * alignment);
    return *this;
  }

  llvm::Expected<std::unique_ptr<GgufFile>> parse() const {
    return GgufFile::parse(llvm::MemoryBuffer::getMemBufferCopy(bytes, "test.gguf"));
  }
  /// The sentence with which the file is refused; empty where it is not.
  std::string message() const {
    auto file = parse();
    return file ? "" : llvm::toString(file.takeError());
  }
};

} // namespace ingot

#endif // INGOT_TEST_UNIT_IMPORT_GGUFBUILDER_H
