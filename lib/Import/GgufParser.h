//===- GgufParser.h - Checks a GGUF file ------------------------------------------------------------===//
//
// The one place that walks unchecked bytes. A cursor never moves past the end of the file, no
// allocation is larger than a small multiple of the file, and nesting is bounded.
//
//===----------------------------------------------------------------------------------------------===//

#ifndef INGOT_LIB_IMPORT_GGUFPARSER_H
#define INGOT_LIB_IMPORT_GGUFPARSER_H

#include "ingot/Import/Gguf.h"

namespace ingot {

class GgufParser {
public:
  static constexpr uint64_t maxNameBytes = 65535;
  static constexpr uint32_t maxDimensions = 4;
  static constexpr unsigned maxNesting = 4;
  static constexpr uint32_t maxAlignment = 1 << 20;

  explicit GgufParser(GgufFile &file);
  llvm::Error parse();

  /// A value of checked bytes; moves `next` behind it.
  static GgufValue viewValue(GgufType type, const uint8_t *&next);
  static llvm::StringRef getTypeName(GgufType type);

private:
  llvm::Error parseHeader(uint64_t &tensorCount, uint64_t &entryCount);
  llvm::Error parseEntry(uint64_t index);
  llvm::Error parseAlignment();
  llvm::Error parseTensor(uint64_t index);
  llvm::Error parseSizes(GgufTensor &tensor);
  llvm::Error placeTensors();

  llvm::Error readU32(uint32_t &value, const llvm::Twine &what);
  llvm::Error readU64(uint64_t &value, const llvm::Twine &what);
  /// A length and as many bytes, which must be UTF-8 and not empty.
  llvm::Error readName(llvm::StringRef &name, const llvm::Twine &what);
  /// Moves the cursor behind a value of the type.
  llvm::Error skipValue(GgufType type, const llvm::Twine &what, unsigned nesting);
  llvm::Error skipArray(const llvm::Twine &what, unsigned nesting);
  llvm::Error skipBools(uint64_t count, const llvm::Twine &what);

  uint64_t getRemaining() const { return end - cursor; }
  uint64_t getOffset() const { return cursor - begin; }
  llvm::Error fail(const llvm::Twine &message) const;
  /// "`what` needs N bytes at offset O, the file ends at E".
  llvm::Error failAtEnd(const llvm::Twine &what, uint64_t bytes) const;

  GgufFile &file;
  const uint8_t *begin, *cursor, *end;
  std::vector<uint64_t> offsets; ///< of the tensors, from the start of the data
};

} // namespace ingot

#endif // INGOT_LIB_IMPORT_GGUFPARSER_H
