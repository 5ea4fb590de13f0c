//===- Value.cpp - What a chat template computes with -----------------------------------------===//
//
// Text forms follow CPython to the character: shortest float that reads back, quotes and escapes of
// repr(), separators of json.dumps(). Recursion is bounded by the depth that the interpreter
// allows.
//
//===------------------------------------------------------------------------------------------===//

#include "runtime/core/Value.h"
#include "runtime/core/Utf8.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <utf8proc.h>

using namespace ingot::runtime;

Value Value::undefined(std::string reason) {
  return Value(
      Content(std::in_place_index<0>, std::make_shared<const std::string>(std::move(reason))));
}

Value Value::string(std::string text) {
  return Value(
      Content(std::in_place_index<5>, std::make_shared<const std::string>(std::move(text))));
}

/// Lets `data`, a list or dictionary, grow by `item`.
template <typename Data> static void addMeasures(Data &data, const Value &item) {
  data.depth = std::max(data.depth, item.depth() + 1);
  uint64_t weight = item.weight();
  data.weight = weight > UINT64_MAX - data.weight ? UINT64_MAX : data.weight + weight;
}

Value Value::list(Items items, bool isTuple) {
  auto data = std::make_shared<ListData>();
  for (const Value &item : items)
    addMeasures(*data, item);
  data->items = std::move(items);
  data->isTuple = isTuple;
  return Value(Content(std::in_place_index<6>, std::move(data)));
}

/// The indices of `entries`, by key, those of the same key in their order.
static std::vector<uint32_t> sortByKey(const Value::Entries &entries) {
  std::vector<uint32_t> order(entries.size());
  for (uint32_t i = 0; i < order.size(); ++i)
    order[i] = i;
  std::sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) {
    int compared = entries[a].first.compare(entries[b].first);
    return compared ? compared < 0 : a < b;
  });
  return order;
}

/// Moves the last value of each key to its first place; false if no key is doubled.
static bool removeDoubledKeys(Value::Entries &entries, const std::vector<uint32_t> &order) {
  std::vector<bool> isDoubled(entries.size(), false);
  for (size_t begin = 0, i = 1; i < order.size(); ++i) {
    if (entries[order[i]].first != entries[order[begin]].first) {
      begin = i;
      continue;
    }
    entries[order[begin]].second = std::move(entries[order[i]].second);
    isDoubled[order[i]] = true;
  }
  Value::Entries kept;
  for (size_t i = 0; i < entries.size(); ++i)
    if (!isDoubled[i])
      kept.push_back(std::move(entries[i]));
  std::swap(entries, kept);
  return entries.size() != kept.size();
}

Value Value::dictionary(Entries entries) {
  auto data = std::make_shared<DictionaryData>();
  data->order = sortByKey(entries);
  if (removeDoubledKeys(entries, data->order))
    data->order = sortByKey(entries);
  for (const Entry &entry : entries) {
    addMeasures(*data, entry.second);
    data->weight += 1 + entry.first.size() / 16;
  }
  data->entries = std::move(entries);
  return Value(Content(std::in_place_index<7>, std::move(data)));
}

int64_t Value::asInteger() const {
  return kind() == Kind::Boolean ? asBoolean() : *std::get_if<3>(&content);
}

double Value::asReal() const {
  return kind() == Kind::Float ? *std::get_if<4>(&content) : static_cast<double>(asInteger());
}

std::string_view Value::undefinedReason() const {
  const auto &reason = *std::get_if<0>(&content);
  return reason ? std::string_view(*reason) : std::string_view("a value is undefined");
}

const Value *Value::find(std::string_view key) const {
  const DictionaryData &data = **std::get_if<7>(&content);
  auto found = std::partition_point(data.order.begin(), data.order.end(), [&](uint32_t index) {
    return data.entries[index].first < key;
  });
  if (found == data.order.end() || data.entries[*found].first != key)
    return nullptr;
  return &data.entries[*found].second;
}

uint32_t Value::depth() const {
  if (isList())
    return (*std::get_if<6>(&content))->depth;
  return isDictionary() ? (*std::get_if<7>(&content))->depth : 0;
}

uint64_t Value::weight() const {
  if (isList())
    return (*std::get_if<6>(&content))->weight;
  if (isDictionary())
    return (*std::get_if<7>(&content))->weight;
  return isString() ? 1 + asString().size() / 16 : 1;
}

bool Value::isTrue() const {
  switch (kind()) {
  case Kind::Undefined:
  case Kind::None:
    return false;
  case Kind::Boolean:
  case Kind::Integer:
    return asInteger() != 0;
  case Kind::Float:
    return asReal() != 0;
  case Kind::String:
    return !asString().empty();
  case Kind::List:
    return !asList().empty();
  case Kind::Dictionary:
    return !asDictionary().empty();
  case Kind::Reference:
    return true;
  }
  return false;
}

bool Value::operator==(const Value &other) const {
  if (isNumber() && other.isNumber()) {
    if (isInteger() && other.isInteger())
      return asInteger() == other.asInteger();
    return asReal() == other.asReal();
  }
  if (kind() != other.kind())
    return false;
  switch (kind()) {
  case Kind::String:
    return asString() == other.asString();
  case Kind::List:
    return isTuple() == other.isTuple() && asList() == other.asList();
  case Kind::Dictionary:
    if (asDictionary().size() != other.asDictionary().size())
      return false;
    return std::all_of(asDictionary().begin(), asDictionary().end(), [&](const Entry &entry) {
      const Value *counterpart = other.find(entry.first);
      return counterpart && *counterpart == entry.second;
    });
  case Kind::Reference:
    return asReference() == other.asReference();
  default:
    return true;
  }
}

std::optional<bool> Value::isLess(const Value &other) const {
  if (isInteger() && other.isInteger())
    return asInteger() < other.asInteger();
  if (isNumber() && other.isNumber())
    return asReal() < other.asReal();
  if (isString() && other.isString())
    return asString() < other.asString();
  if (!isList() || !other.isList())
    return std::nullopt;
  const Items &left = asList(), &right = other.asList();
  for (size_t i = 0; i < left.size() && i < right.size(); ++i)
    if (!(left[i] == right[i]))
      return left[i].isLess(right[i]);
  return left.size() < right.size();
}

std::string_view Value::typeName() const {
  switch (kind()) {
  case Kind::Undefined:
    return "undefined";
  case Kind::None:
    return "none";
  case Kind::Boolean:
    return "bool";
  case Kind::Integer:
    return "int";
  case Kind::Float:
    return "float";
  case Kind::String:
    return "str";
  case Kind::List:
    return isTuple() ? "tuple" : "list";
  case Kind::Dictionary:
    return "dict";
  case Kind::Reference:
    break;
  }
  switch (asReference().kind) {
  case Reference::Kind::Namespace:
    return "namespace";
  case Reference::Kind::Loop:
    return "loop";
  case Reference::Kind::Macro:
    return "macro";
  case Reference::Kind::Function:
    break;
  }
  return "function";
}

//===------------------------------------------------------------------------------------------===//
// Text
//===------------------------------------------------------------------------------------------===//

/// Python's repr of a float: the shortest digits that read back, scientific below 1e-4 and from
/// 1e16.
static std::string formatReal(double value) {
  if (std::isnan(value))
    return "nan";
  if (std::isinf(value))
    return value < 0 ? "-inf" : "inf";
  double magnitude = std::fabs(value);
  bool isScientific = magnitude != 0 && (magnitude < 1e-4 || magnitude >= 1e16);
  char buffer[64];
  auto end = std::to_chars(buffer, buffer + sizeof(buffer), value,
                           isScientific ? std::chars_format::scientific : std::chars_format::fixed);
  std::string text(buffer, end.ptr);
  if (!isScientific && text.find('.') == std::string::npos)
    text += ".0";
  return text;
}

/// Whether repr() shows a character as it is.
static bool isPrintable(uint32_t codePoint) {
  switch (utf8proc_category(static_cast<utf8proc_int32_t>(codePoint))) {
  case UTF8PROC_CATEGORY_CC:
  case UTF8PROC_CATEGORY_CF:
  case UTF8PROC_CATEGORY_CS:
  case UTF8PROC_CATEGORY_CO:
  case UTF8PROC_CATEGORY_CN:
  case UTF8PROC_CATEGORY_ZL:
  case UTF8PROC_CATEGORY_ZP:
    return false;
  case UTF8PROC_CATEGORY_ZS:
    return codePoint == ' ';
  default:
    return true;
  }
}

static void appendHex(std::string &text, char letter, uint32_t value, int digits) {
  text += '\\';
  text += letter;
  for (int shift = 4 * (digits - 1); shift >= 0; shift -= 4)
    text += "0123456789abcdef"[value >> shift & 15];
}

static void appendQuoted(std::string_view string, std::string &text) {
  bool usesDouble = string.find('\'') != string.npos && string.find('"') == std::string_view::npos;
  char quote = usesDouble ? '"' : '\'';
  text += quote;
  while (!string.empty()) {
    Utf8Sequence sequence = scanUtf8(string);
    uint32_t codePoint =
        sequence.kind == Utf8Sequence::Character ? decodeUtf8(string, sequence.length) : 0xFFFD;
    if (codePoint == static_cast<uint32_t>(quote) || codePoint == '\\')
      (text += '\\') += static_cast<char>(codePoint);
    else if (codePoint == '\n')
      text += "\\n";
    else if (codePoint == '\r')
      text += "\\r";
    else if (codePoint == '\t')
      text += "\\t";
    else if (isPrintable(codePoint))
      appendUtf8(codePoint, text);
    else if (codePoint < 0x100)
      appendHex(text, 'x', codePoint, 2);
    else if (codePoint < 0x10000)
      appendHex(text, 'u', codePoint, 4);
    else
      appendHex(text, 'U', codePoint, 8);
    string.remove_prefix(sequence.length);
  }
  text += quote;
}

void Value::appendRepresentation(std::string &text) const {
  switch (kind()) {
  case Kind::Undefined:
    text += "Undefined";
    return;
  case Kind::None:
    text += "None";
    return;
  case Kind::Boolean:
    text += asBoolean() ? "True" : "False";
    return;
  case Kind::Integer:
    text += std::to_string(asInteger());
    return;
  case Kind::Float:
    text += formatReal(asReal());
    return;
  case Kind::String:
    appendQuoted(asString(), text);
    return;
  case Kind::List:
    text += isTuple() ? '(' : '[';
    for (size_t i = 0; i < asList().size(); ++i) {
      text += i ? ", " : "";
      asList()[i].appendRepresentation(text);
    }
    text += isTuple() ? (asList().size() == 1 ? ",)" : ")") : "]";
    return;
  case Kind::Dictionary:
    text += '{';
    for (size_t i = 0; i < asDictionary().size(); ++i) {
      text += i ? ", " : "";
      appendQuoted(asDictionary()[i].first, text);
      text += ": ";
      asDictionary()[i].second.appendRepresentation(text);
    }
    text += '}';
    return;
  case Kind::Reference:
    text.append("<").append(typeName()).append(">");
    return;
  }
}

std::string Value::toRepresentation() const {
  std::string text;
  appendRepresentation(text);
  return text;
}

std::string Value::toText() const {
  if (isUndefined())
    return {};
  return isString() ? asString() : toRepresentation();
}

//===------------------------------------------------------------------------------------------===//
// JSON
//===------------------------------------------------------------------------------------------===//

static void appendJsonString(std::string_view string, std::string &text) {
  text += '"';
  for (char character : string) {
    static constexpr std::string_view escaped = "\"\\\n\r\t\f\b", letters = "\"\\nrtfb";
    if (size_t at = escaped.find(character); at != escaped.npos)
      (text += '\\') += letters[at];
    else if (static_cast<unsigned char>(character) < 0x20)
      appendHex(text, 'u', static_cast<unsigned char>(character), 4);
    else
      text += character;
  }
  text += '"';
}

bool Value::appendJson(std::string &text, int indent, int level, bool sortKeys) const {
  auto separate = [&](bool isFirst, int at) {
    if (!isFirst)
      text += indent < 0 ? ", " : ",";
    if (indent >= 0)
      text.append("\n").append(static_cast<size_t>(indent) * at, ' ');
  };
  switch (kind()) {
  case Kind::Undefined:
  case Kind::Reference:
    return false;
  case Kind::None:
    text += "null";
    return true;
  case Kind::Boolean:
    text += asBoolean() ? "true" : "false";
    return true;
  case Kind::Integer:
    text += std::to_string(asInteger());
    return true;
  case Kind::Float:
    text += std::isnan(asReal())   ? "NaN"
            : std::isinf(asReal()) ? (asReal() < 0 ? "-Infinity" : "Infinity")
                                   : formatReal(asReal());
    return true;
  case Kind::String:
    appendJsonString(asString(), text);
    return true;
  case Kind::List: {
    text += '[';
    bool isFirst = true;
    for (const Value &item : asList()) {
      separate(std::exchange(isFirst, false), level + 1);
      if (!item.appendJson(text, indent, level + 1, sortKeys))
        return false;
    }
    if (!isFirst && indent >= 0)
      separate(true, level);
    text += ']';
    return true;
  }
  case Kind::Dictionary: {
    std::vector<const Entry *> entries;
    for (const Entry &entry : asDictionary())
      entries.push_back(&entry);
    if (sortKeys)
      std::sort(entries.begin(), entries.end(),
                [](const Entry *a, const Entry *b) { return a->first < b->first; });
    text += '{';
    bool isFirst = true;
    for (const Entry *entry : entries) {
      separate(std::exchange(isFirst, false), level + 1);
      appendJsonString(entry->first, text);
      text += ": ";
      if (!entry->second.appendJson(text, indent, level + 1, sortKeys))
        return false;
    }
    if (!isFirst && indent >= 0)
      separate(true, level);
    text += '}';
    return true;
  }
  }
  return false;
}

std::optional<std::string> Value::toJson(int indent, bool sortKeys) const {
  std::string text;
  if (!appendJson(text, indent, 0, sortKeys))
    return std::nullopt;
  return text;
}
