//===- PythonText.cpp - Python's string methods on UTF-8 --------------------------------------===//
//
// Everything walks over characters with `forEach`, the only place that decodes.
//
//===------------------------------------------------------------------------------------------===//

#include "runtime/core/PythonText.h"
#include "runtime/core/Utf8.h"

#include <algorithm>
#include <utf8proc.h>

using namespace ingot::runtime;
using namespace ingot::runtime::python;

/// Calls `visit(codePoint, bytes)` for each character; bytes that are none are U+FFFD.
template <typename Visit> static void forEach(std::string_view text, Visit visit) {
  while (!text.empty()) {
    Utf8Sequence sequence = scanUtf8(text);
    bool isCharacter = sequence.kind == Utf8Sequence::Character;
    visit(isCharacter ? decodeUtf8(text, sequence.length) : 0xFFFDu,
          text.substr(0, sequence.length));
    text.remove_prefix(sequence.length);
  }
}

bool python::isSpace(uint32_t c) {
  return (c >= 0x09 && c <= 0x0D) || (c >= 0x1C && c <= 0x20) || c == 0x85 || c == 0xA0 ||
         c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F ||
         c == 0x205F || c == 0x3000;
}

size_t python::countCharacters(std::string_view text) {
  size_t count = 0;
  forEach(text, [&](uint32_t, std::string_view) { ++count; });
  return count;
}

std::vector<std::string_view> python::splitCharacters(std::string_view text) {
  std::vector<std::string_view> characters;
  forEach(text, [&](uint32_t, std::string_view bytes) { characters.push_back(bytes); });
  return characters;
}

std::string_view python::strip(std::string_view text, Side side,
                               const std::string_view *characters) {
  std::vector<std::string_view> set;
  if (characters)
    set = splitCharacters(*characters);
  size_t begin = std::string_view::npos, end = 0, at = 0;
  forEach(text, [&](uint32_t codePoint, std::string_view bytes) {
    bool isStripped =
        characters ? std::find(set.begin(), set.end(), bytes) != set.end() : isSpace(codePoint);
    if (!isStripped) {
      begin = std::min(begin, at);
      end = at + bytes.size();
    }
    at += bytes.size();
  });
  if (begin == std::string_view::npos)
    return text.substr(0, 0);
  if (side == Side::Right)
    begin = 0;
  if (side == Side::Left)
    end = text.size();
  return text.substr(begin, end - begin);
}

std::vector<std::string_view> python::splitSpaces(std::string_view text, int64_t limit) {
  std::vector<std::string_view> pieces;
  size_t begin = std::string_view::npos, at = 0; // of the piece that grows, none between pieces
  forEach(text, [&](uint32_t c, std::string_view bytes) {
    bool mayCut = limit < 0 || pieces.size() < static_cast<size_t>(limit);
    if (!isSpace(c)) {
      begin = std::min(begin, at);
    } else if (begin != std::string_view::npos && mayCut) {
      pieces.push_back(text.substr(begin, at - begin));
      begin = std::string_view::npos;
    }
    at += bytes.size();
  });
  if (begin != std::string_view::npos)
    pieces.push_back(text.substr(begin));
  return pieces;
}

std::vector<std::string_view> python::splitAt(std::string_view text, std::string_view separator,
                                              int64_t limit, bool fromRight) {
  std::vector<std::string_view> pieces;
  while (limit < 0 || pieces.size() < static_cast<size_t>(limit)) {
    size_t at = fromRight ? text.rfind(separator) : text.find(separator);
    if (at == std::string_view::npos)
      break;
    pieces.push_back(fromRight ? text.substr(at + separator.size()) : text.substr(0, at));
    text = fromRight ? text.substr(0, at) : text.substr(at + separator.size());
  }
  pieces.push_back(text);
  if (fromRight)
    std::reverse(pieces.begin(), pieces.end());
  return pieces;
}

std::vector<std::string_view> python::splitLines(std::string_view text, bool keepEnds) {
  std::vector<std::string_view> lines;
  size_t begin = 0, at = 0;
  bool afterReturn = false; // a "\n" here belongs to the break before it
  forEach(text, [&](uint32_t c, std::string_view bytes) {
    size_t end = at + bytes.size();
    if (c == '\n' && afterReturn) {
      if (keepEnds)
        lines.back() = text.substr(end - lines.back().size() - 1, lines.back().size() + 1);
      begin = end;
    } else if ((c >= 0x0A && c <= 0x0D) || (c >= 0x1C && c <= 0x1E) || c == 0x85 || c == 0x2028 ||
               c == 0x2029) {
      lines.push_back(text.substr(begin, (keepEnds ? end : at) - begin));
      begin = end;
    }
    afterReturn = c == '\r';
    at = end;
  });
  if (begin < text.size())
    lines.push_back(text.substr(begin));
  return lines;
}

size_t python::countOccurrences(std::string_view text, std::string_view part) {
  if (part.empty())
    return countCharacters(text) + 1;
  size_t count = 0;
  for (size_t at = 0; (at = text.find(part, at)) != std::string_view::npos; at += part.size())
    ++count;
  return count;
}

std::string python::replace(std::string_view text, std::string_view from, std::string_view to,
                            int64_t limit) {
  std::string result;
  auto mayReplace = [&] { return limit < 0 || limit-- > 0; };
  if (from.empty()) {
    // The empty string is before each character and at the end.
    forEach(text, [&](uint32_t, std::string_view bytes) {
      if (limit != 0 && mayReplace())
        result += to;
      result += bytes;
    });
    if (limit != 0)
      result += to;
    return result;
  }
  size_t at = 0;
  for (size_t found; limit != 0 && (found = text.find(from, at)) != std::string_view::npos;) {
    if (limit > 0)
      --limit;
    result.append(text.substr(at, found - at)).append(to);
    at = found + from.size();
  }
  return result.append(text.substr(at));
}

static void appendUpper(uint32_t codePoint, std::string_view bytes, std::string &text) {
  if (codePoint == 0xDF)
    text += "SS";
  else if (codePoint == 0xFFFD)
    text += bytes;
  else
    appendUtf8(static_cast<uint32_t>(utf8proc_toupper(static_cast<utf8proc_int32_t>(codePoint))),
               text);
}

static void appendLower(uint32_t codePoint, std::string_view bytes, std::string &text) {
  if (codePoint == 0xFFFD)
    text += bytes;
  else
    appendUtf8(static_cast<uint32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(codePoint))),
               text);
}

std::string python::toUpper(std::string_view text) {
  std::string result;
  forEach(text, [&](uint32_t c, std::string_view bytes) { appendUpper(c, bytes, result); });
  return result;
}

std::string python::toLower(std::string_view text) {
  std::string result;
  forEach(text, [&](uint32_t c, std::string_view bytes) { appendLower(c, bytes, result); });
  return result;
}

std::string python::capitalize(std::string_view text) {
  std::string result;
  bool isFirst = true;
  forEach(text, [&](uint32_t c, std::string_view bytes) {
    isFirst ? appendUpper(c, bytes, result) : appendLower(c, bytes, result);
    isFirst = false;
  });
  return result;
}

static utf8proc_category_t categoryOf(uint32_t codePoint) {
  return utf8proc_category(static_cast<utf8proc_int32_t>(codePoint));
}

static bool hasCase(uint32_t c) {
  utf8proc_category_t category = categoryOf(c);
  return category == UTF8PROC_CATEGORY_LU || category == UTF8PROC_CATEGORY_LL ||
         category == UTF8PROC_CATEGORY_LT;
}

std::string python::toTitle(std::string_view text) {
  std::string result;
  bool afterLetter = false;
  forEach(text, [&](uint32_t c, std::string_view bytes) {
    afterLetter ? appendLower(c, bytes, result) : appendUpper(c, bytes, result);
    afterLetter = hasCase(c);
  });
  return result;
}

bool python::isAll(std::string_view text, bool (*belongs)(uint32_t codePoint)) {
  bool all = !text.empty();
  forEach(text, [&](uint32_t c, std::string_view) { all = all && belongs(c); });
  return all;
}

bool python::isLetter(uint32_t c) {
  utf8proc_category_t category = categoryOf(c);
  return hasCase(c) || category == UTF8PROC_CATEGORY_LM || category == UTF8PROC_CATEGORY_LO;
}

bool python::isDigit(uint32_t c) { return categoryOf(c) == UTF8PROC_CATEGORY_ND; }

static bool isAllOfCase(std::string_view text, utf8proc_category_t wanted) {
  bool any = false, all = true;
  forEach(text, [&](uint32_t c, std::string_view) {
    any |= hasCase(c);
    all = all && (!hasCase(c) || categoryOf(c) == wanted);
  });
  return any && all;
}

bool python::isUpper(std::string_view text) { return isAllOfCase(text, UTF8PROC_CATEGORY_LU); }
bool python::isLower(std::string_view text) { return isAllOfCase(text, UTF8PROC_CATEGORY_LL); }

Slice python::resolveSlice(size_t length, const int64_t *start, const int64_t *stop, int64_t step) {
  int64_t size = static_cast<int64_t>(length);
  // Forwards, positions lie in [0, size]; backwards in [-1, size - 1].
  int64_t low = step > 0 ? 0 : -1, high = step > 0 ? size : size - 1;
  auto clamp = [&](int64_t position) {
    return std::clamp(position < 0 ? position + size : position, low, high);
  };
  int64_t first = start ? clamp(*start) : (step > 0 ? low : high);
  int64_t last = stop ? clamp(*stop) : (step > 0 ? high : low);
  int64_t span = step > 0 ? last - first : first - last;
  if (span <= 0)
    return {0, 1, 0};
  uint64_t stride = step > 0 ? static_cast<uint64_t>(step) : 0 - static_cast<uint64_t>(step);
  return {first, step, static_cast<size_t>((static_cast<uint64_t>(span) - 1) / stride + 1)};
}
