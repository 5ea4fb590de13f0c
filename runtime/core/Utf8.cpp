//===- Utf8.cpp - Valid text from any bytes ---------------------------------------------------===//
//
// The ranges of the second byte are those of table 3-7 of the Unicode standard; they exclude
// overlong forms, surrogates and numbers past U+10FFFF.
//
//===------------------------------------------------------------------------------------------===//

#include "runtime/core/Utf8.h"

using namespace ingot::runtime;

static constexpr std::string_view replacement = "\xEF\xBF\xBD";

Utf8Sequence ingot::runtime::scanUtf8(std::string_view bytes) {
  auto at = [&](size_t i) { return static_cast<uint8_t>(bytes[i]); };
  uint8_t lead = at(0);
  if (lead < 0x80)
    return {Utf8Sequence::Character, 1};
  if (lead < 0xC2 || lead > 0xF4)
    return {Utf8Sequence::Invalid, 1};
  uint8_t length = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  uint8_t low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
  uint8_t high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
  for (uint8_t i = 1; i < length; ++i) {
    if (i == bytes.size())
      return {Utf8Sequence::Incomplete, i};
    if (at(i) < low || at(i) > high)
      return {Utf8Sequence::Invalid, i};
    low = 0x80, high = 0xBF;
  }
  return {Utf8Sequence::Character, length};
}

size_t ingot::runtime::appendMended(std::string_view bytes, bool isLast, std::string &text) {
  size_t done = 0;
  while (done < bytes.size()) {
    // Whole characters are copied in one go.
    size_t end = done;
    Utf8Sequence next = {Utf8Sequence::Character, 0};
    while (end < bytes.size()) {
      next = scanUtf8(bytes.substr(end));
      if (next.kind != Utf8Sequence::Character)
        break;
      end += next.length;
    }
    text.append(bytes.substr(done, end - done));
    done = end;
    if (done == bytes.size() || (next.kind == Utf8Sequence::Incomplete && !isLast))
      break;
    text.append(replacement);
    done += next.length;
  }
  return done;
}

std::string ingot::runtime::mendUtf8(std::string_view bytes) {
  std::string text;
  text.reserve(bytes.size());
  appendMended(bytes, /*isLast=*/true, text);
  return text;
}

bool ingot::runtime::isValidUtf8(std::string_view bytes) {
  while (!bytes.empty()) {
    Utf8Sequence next = scanUtf8(bytes);
    if (next.kind != Utf8Sequence::Character)
      return false;
    bytes.remove_prefix(next.length);
  }
  return true;
}

void ingot::runtime::appendUtf8(uint32_t codePoint, std::string &text) {
  auto put = [&](uint32_t byte) { text.push_back(static_cast<char>(byte)); };
  auto putTail = [&](uint32_t shift) { put(0x80 | ((codePoint >> shift) & 0x3F)); };
  if (codePoint < 0x80) {
    put(codePoint);
  } else if (codePoint < 0x800) {
    put(0xC0 | codePoint >> 6), putTail(0);
  } else if (codePoint >= 0x110000 || (codePoint >= 0xD800 && codePoint < 0xE000)) {
    text.append(replacement);
  } else if (codePoint < 0x10000) {
    put(0xE0 | codePoint >> 12), putTail(6), putTail(0);
  } else {
    put(0xF0 | codePoint >> 18), putTail(12), putTail(6), putTail(0);
  }
}

uint32_t ingot::runtime::decodeUtf8(std::string_view bytes, uint8_t length) {
  static constexpr uint8_t leadMask[] = {0, 0x7F, 0x1F, 0x0F, 0x07};
  uint32_t codePoint = static_cast<uint8_t>(bytes[0]) & leadMask[length];
  for (uint8_t i = 1; i < length; ++i)
    codePoint = codePoint << 6 | (static_cast<uint8_t>(bytes[i]) & 0x3F);
  return codePoint;
}
