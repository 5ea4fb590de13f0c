//===- Gguf.h - Reader of GGUF files ----------------------------------------------------------------===//
//
// GGUF versions 2 and 3, little-endian, memory-mapped and zero-copy: names, strings, arrays and
// tensor data are views into the file, which lives as long as the `GgufFile`. A file is untrusted:
// `open` checks every count, length, offset, name and type before anything is followed, so that
// what it hands out needs no further check; what it refuses it names in one sentence (file, entry,
// value, limit).
//
//   "GGUF" · version u32 · tensor count u64 · entry count u64
//   entries:  key · value type u32 · value          (a string is length u64 + bytes; an array is
//   type u32, tensors:  name · dimensions u32 · sizes u64[] · type u32 · offset u64 count u64,
//   elements) padding to `general.alignment` (32) · tensor data, each at an aligned offset from
//   here
//
// Sizes stand fastest first in the file and slowest first here. A tensor of a type that no numeric
// format describes is refused by the type's name.
//
//===----------------------------------------------------------------------------------------------===//

#ifndef INGOT_IMPORT_GGUF_H
#define INGOT_IMPORT_GGUF_H

#include "ingot/Import/ReadCounter.h"
#include "ingot/Support/WeightStore.h"
#include "llvm/Support/MemoryBuffer.h"
#include <memory>

namespace ingot {

/// The file's numbers of value types.
enum class GgufType : uint32_t {
  U8 = 0,
  I8,
  U16,
  I16,
  U32,
  I32,
  F32,
  Bool,
  String,
  Array,
  U64,
  I64,
  F64,
};

/// A metadata value: a view of its bytes in the file. The accessors return nothing for another
/// type.
class GgufValue {
public:
  GgufType getType() const { return type; }
  bool isArray() const { return type == GgufType::Array; }

  /// Any integer type (no bool) that the result can represent.
  std::optional<int64_t> getInteger() const;
  std::optional<uint64_t> getUnsigned() const;
  /// f32 or f64.
  std::optional<double> getFloat() const;
  std::optional<bool> getBool() const;
  /// The bytes; they need not be UTF-8.
  std::optional<llvm::StringRef> getString() const;

  /// Arrays: the type and number of their elements (no elements for other values).
  GgufType getElementType() const { return elementType; }
  uint64_t getElementCount() const { return elementCount; }
  /// Visits the elements in order. Strings and arrays have no random access in a GGUF file.
  void forEachElement(llvm::function_ref<void(GgufValue)> visit) const;
  /// All elements through one of the accessors, or nothing where that fails for one of them.
  std::optional<std::vector<llvm::StringRef>> getStrings() const;
  std::optional<std::vector<int64_t>> getIntegers() const;
  std::optional<std::vector<double>> getFloats() const;

private:
  friend class GgufParser;
  GgufType type = GgufType::U8, elementType = GgufType::U8;
  uint64_t elementCount = 0;
  const uint8_t *bytes = nullptr; ///< the scalar, the string's length, the first element
};

struct GgufEntry {
  llvm::StringRef key;
  GgufValue value;
};

struct GgufTensor {
  llvm::StringRef name;
  WeightInfo info;               ///< slowest dimension first
  llvm::ArrayRef<uint8_t> bytes; ///< in the mapped file
};

/// An open file; also the weight store of its tensors.
class GgufFile : public WeightStore {
public:
  static llvm::Expected<std::unique_ptr<GgufFile>> open(llvm::StringRef path);
  /// Reads from memory; the buffer's identifier is the file name in errors.
  static llvm::Expected<std::unique_ptr<GgufFile>>
  parse(std::unique_ptr<llvm::MemoryBuffer> buffer);

  uint32_t getVersion() const { return version; }
  uint64_t getAlignment() const { return alignment; }
  /// In the file's order.
  llvm::ArrayRef<GgufEntry> getEntries() const { return entries; }
  llvm::ArrayRef<GgufTensor> getTensors() const { return tensors; }
  const GgufValue *findEntry(llvm::StringRef key) const;
  const GgufTensor *findTensor(llvm::StringRef name) const;

  /// Required entries: a sentence where one is missing, has another type or does not fit the range.
  llvm::Expected<int64_t> getInteger(llvm::StringRef key, int64_t low, int64_t high) const;
  llvm::Expected<double> getFloat(llvm::StringRef key) const;
  llvm::Expected<llvm::StringRef> getString(llvm::StringRef key) const;

  const WeightInfo *find(llvm::StringRef name) const override;
  std::vector<std::string> getNames() const override;
  llvm::ArrayRef<uint8_t> getMapped(llvm::StringRef name) const override;
  llvm::StringRef getDescription() const override { return buffer->getBufferIdentifier(); }

protected:
  llvm::Error read(llvm::StringRef name, const WeightInfo &info, int64_t first, int64_t count,
                   llvm::MutableArrayRef<uint8_t> rows) const override;

private:
  friend class GgufParser;
  std::unique_ptr<llvm::MemoryBuffer> buffer;
  ReadCounter reads;
  uint32_t version = 0;
  uint64_t alignment = 32;
  std::vector<GgufEntry> entries;
  std::vector<GgufTensor> tensors;
  llvm::StringMap<size_t> entryIndex, tensorIndex;
};

} // namespace ingot

#endif // INGOT_IMPORT_GGUF_H
