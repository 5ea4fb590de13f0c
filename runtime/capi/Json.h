//===- Json.h - Writes JSON --------------------------------------------------------------------===//
//
// For the reports of the runtime core, which cannot use a library with exceptions. Keys and nesting
// are the caller's to get right; strings are mended to UTF-8 and escaped.
//
//   JsonWriter json;
//   json.beginObject().key("tokens").number(3).key("names").beginArray().string("a").end(']').end('}');
//
//===----------------------------------------------------------------------------------------------===//

#ifndef INGOT_RUNTIME_CORE_JSON_H
#define INGOT_RUNTIME_CORE_JSON_H

#include "runtime/core/Utf8.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace ingot::runtime {

class JsonWriter {
public:
  JsonWriter &beginObject() { return open('{'); }
  JsonWriter &beginArray() { return open('['); }
  /// Closes what was begun last with its bracket.
  JsonWriter &end(char bracket) {
    text += bracket;
    needsComma = true;
    return *this;
  }
  JsonWriter &key(std::string_view name) {
    string(name);
    text += ':';
    needsComma = false;
    return *this;
  }
  JsonWriter &number(uint64_t value) { return raw(std::to_string(value)); }
  JsonWriter &signedNumber(int64_t value) { return raw(std::to_string(value)); }
  JsonWriter &string(std::string_view value) {
    std::string quoted = "\"";
    for (char c : mendUtf8(value)) {
      if (c == '"' || c == '\\')
        quoted += '\\';
      if (static_cast<unsigned char>(c) >= 0x20) {
        quoted += c;
        continue;
      }
      constexpr char digits[] = "0123456789abcdef";
      quoted += "\\u00";
      quoted += digits[c >> 4];
      quoted += digits[c & 15];
    }
    return raw(quoted + '"');
  }
  std::string take() { return std::move(text); }

private:
  JsonWriter &open(char bracket) {
    comma();
    text += bracket;
    needsComma = false;
    return *this;
  }
  JsonWriter &raw(std::string_view value) {
    comma();
    text += value;
    needsComma = true;
    return *this;
  }
  void comma() {
    if (needsComma)
      text += ',';
  }

  std::string text;
  bool needsComma = false;
};

} // namespace ingot::runtime

#endif // INGOT_RUNTIME_CORE_JSON_H
