//===- Utf8.h - Valid text from any bytes -----------------------------------------------------===//
//
// Text that comes in may be invalid UTF-8, and a token may end inside a character. Both are mended
// the way Python's `bytes.decode("utf-8", errors="replace")` and the Unicode standard (chapter 3,
// maximal subparts) do: each longest piece that begins a character without completing it, and each
// byte that cannot begin one, becomes one U+FFFD.
//
//===------------------------------------------------------------------------------------------===//

#ifndef INGOT_RUNTIME_CORE_UTF8_H
#define INGOT_RUNTIME_CORE_UTF8_H

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace ingot::runtime {

/// What begins a string of bytes.
struct Utf8Sequence {
  enum Kind : uint8_t {
    Character,  ///< a whole character
    Invalid,    ///< bytes that become one U+FFFD
    Incomplete, ///< the string ends inside of a character
  };
  Kind kind;
  uint8_t length; ///< in bytes, at least 1
};

/// Looks at the first bytes of `bytes`, which is not empty.
Utf8Sequence scanUtf8(std::string_view bytes);

/// Appends `bytes` to `text`, mended, and returns how many were used: all at the end of a stream
/// (`isLast`), else all but an incomplete character at the end, of at most three bytes.
size_t appendMended(std::string_view bytes, bool isLast, std::string &text);

/// The whole of `bytes`, mended.
std::string mendUtf8(std::string_view bytes);

bool isValidUtf8(std::string_view bytes);

/// Appends the UTF-8 form of `codePoint`, U+FFFD where it is not a Unicode scalar value.
void appendUtf8(uint32_t codePoint, std::string &text);

/// The code point of the whole character at the start of `bytes`.
uint32_t decodeUtf8(std::string_view bytes, uint8_t length);

} // namespace ingot::runtime

#endif // INGOT_RUNTIME_CORE_UTF8_H
