//===- PythonText.h - Python's string methods on UTF-8 ----------------------------------------===//
//
// Templates are written for Python: `strip` takes Unicode's spaces, positions count characters.
// These functions do the same on UTF-8. Case changes character by character, with "ß" to "SS" as
// the only one that lengthens. Bytes that are not UTF-8 count as characters and stay what they are.
//
//===------------------------------------------------------------------------------------------===//

#ifndef INGOT_RUNTIME_CORE_PYTHONTEXT_H
#define INGOT_RUNTIME_CORE_PYTHONTEXT_H

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace ingot::runtime::python {

/// str.isspace of one character.
bool isSpace(uint32_t codePoint);

size_t countCharacters(std::string_view text);
/// The characters one by one.
std::vector<std::string_view> splitCharacters(std::string_view text);

enum class Side : uint8_t { Both, Left, Right };
/// Without the characters of `characters`, or spaces where that is null, at its ends.
std::string_view strip(std::string_view text, Side side, const std::string_view *characters);

/// Pieces between runs of spaces, at most `limit` cuts (negative: all).
std::vector<std::string_view> splitSpaces(std::string_view text, int64_t limit);
/// Pieces between `separator`, which is not empty; cuts from the right if asked.
std::vector<std::string_view> splitAt(std::string_view text, std::string_view separator,
                                      int64_t limit, bool fromRight);
std::vector<std::string_view> splitLines(std::string_view text, bool keepEnds);

size_t countOccurrences(std::string_view text, std::string_view part);
std::string replace(std::string_view text, std::string_view from, std::string_view to,
                    int64_t limit);

std::string toUpper(std::string_view text);
std::string toLower(std::string_view text);
/// The first character in upper case, the others in lower case.
std::string capitalize(std::string_view text);
/// str.title: so for each run of letters.
std::string toTitle(std::string_view text);

/// Whether there is a character and all are of the kind.
bool isAll(std::string_view text, bool (*belongs)(uint32_t codePoint));
bool isLetter(uint32_t codePoint);
bool isDigit(uint32_t codePoint);
/// str.isupper, str.islower: some letter has a case, and all that have one have this.
bool isUpper(std::string_view text);
bool isLower(std::string_view text);

/// Python's slices: the positions that [start:stop:step] takes of `length` items. Null: not given.
struct Slice {
  int64_t start, step;
  size_t count;
};
Slice resolveSlice(size_t length, const int64_t *start, const int64_t *stop, int64_t step);

} // namespace ingot::runtime::python

#endif // INGOT_RUNTIME_CORE_PYTHONTEXT_H
