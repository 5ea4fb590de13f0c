//===- TemplateMethods.cpp - Methods of values, global functions ------------------------------===//
//
// The methods of Python's str, dict and list that change nothing: templates run in what Jinja calls
// the immutable sandbox. `raise_exception` and `strftime_now` are those of chat templates.
//
//===------------------------------------------------------------------------------------------===//

#include "runtime/core/PythonText.h"
#include "runtime/core/TemplateInterpreter.h"
#include "runtime/core/Utf8.h"

#include <algorithm>

using namespace ingot::runtime;

using Interpreter = TemplateInterpreter;
using Arguments = TemplateArguments;

namespace {
/// A method of a string: what it is called on, and with.
struct Call {
  Interpreter &interpreter;
  const std::string &text;
  const Arguments &arguments;

  const Value *get(size_t index, std::string_view name = {}) const {
    const Value *value = arguments.get(index, name);
    return value && value->isNone() ? nullptr : value;
  }
  /// A string argument, null where it is not given; anything else is an error.
  const std::string *getString(size_t index, std::string_view name = {}) const {
    const Value *value = get(index, name);
    if (value && !value->isString())
      interpreter.fail("expected a str, got a " + std::string(value->typeName()));
    return value && value->isString() ? &value->asString() : nullptr;
  }
  int64_t getInteger(size_t index, std::string_view name, int64_t otherwise) const {
    const Value *value = get(index, name);
    if (value && !value->isInteger())
      interpreter.fail("expected an int, got a " + std::string(value->typeName()));
    return value && value->isInteger() ? value->asInteger() : otherwise;
  }
  /// A string argument that must be there.
  std::string_view needString(size_t index) const {
    const std::string *value = getString(index);
    if (!value)
      interpreter.fail("an argument is missing");
    return value ? std::string_view(*value) : std::string_view();
  }
};
} // namespace

static Value stripSide(const Call &call, python::Side side) {
  const std::string *given = call.getString(0);
  std::string_view characters;
  if (given)
    characters = *given;
  if (!call.interpreter.charge(call.text.size() / 16 * (characters.size() + 1)))
    return Value();
  return call.interpreter.makeString(
      std::string(python::strip(call.text, side, given ? &characters : nullptr)));
}

static Value stripBoth(const Call &call) { return stripSide(call, python::Side::Both); }
static Value stripLeft(const Call &call) { return stripSide(call, python::Side::Left); }
static Value stripRight(const Call &call) { return stripSide(call, python::Side::Right); }

static Value makePieces(Interpreter &interpreter, const std::vector<std::string_view> &pieces) {
  Value::Items items;
  if (interpreter.charge(pieces.size() * 4))
    for (std::string_view piece : pieces)
      items.push_back(Value::string(std::string(piece)));
  return interpreter.makeList(std::move(items));
}

static Value splitSide(const Call &call, bool fromRight) {
  const std::string *separator = call.getString(0, "sep");
  int64_t limit = call.getInteger(1, "maxsplit", -1);
  if (call.interpreter.failed())
    return Value();
  if (separator && separator->empty())
    return call.interpreter.fail("'split' needs a separator that is not empty");
  if (!call.interpreter.chargeSearch(call.text, separator ? *separator : ""))
    return Value();
  if (!separator && fromRight && limit >= 0)
    return call.interpreter.fail("'rsplit' with a limit needs a separator");
  return makePieces(call.interpreter, separator
                                          ? python::splitAt(call.text, *separator, limit, fromRight)
                                          : python::splitSpaces(call.text, limit));
}

static Value split(const Call &call) { return splitSide(call, false); }
static Value splitFromRight(const Call &call) { return splitSide(call, true); }

static Value splitLines(const Call &call) {
  const Value *keeps = call.get(0, "keepends");
  return makePieces(call.interpreter, python::splitLines(call.text, keeps && keeps->isTrue()));
}

/// startswith, endswith: with a string or any of a tuple.
static Value matchEnd(const Call &call, bool atStart) {
  const Value *given = call.get(0);
  Value::Items affixes;
  if (given)
    affixes = given->isList() ? given->asList() : Value::Items{*given};
  for (const Value &affix : affixes) {
    if (!affix.isString())
      return call.interpreter.fail("expected a str, got a " + std::string(affix.typeName()));
    if (atStart ? call.text.starts_with(affix.asString()) : call.text.ends_with(affix.asString()))
      return Value::boolean(true);
  }
  return given ? Value::boolean(false) : call.interpreter.fail("an argument is missing");
}

static Value startsWith(const Call &call) { return matchEnd(call, true); }
static Value endsWith(const Call &call) { return matchEnd(call, false); }

static Value removePrefix(const Call &call) {
  std::string_view prefix = call.needString(0);
  return call.interpreter.makeString(call.text.starts_with(prefix) ? call.text.substr(prefix.size())
                                                                   : call.text);
}

static Value removeSuffix(const Call &call) {
  std::string_view suffix = call.needString(0);
  return call.interpreter.makeString(call.text.ends_with(suffix)
                                         ? call.text.substr(0, call.text.size() - suffix.size())
                                         : call.text);
}

static Value upper(const Call &call) {
  return call.interpreter.makeString(python::toUpper(call.text));
}
static Value lower(const Call &call) {
  return call.interpreter.makeString(python::toLower(call.text));
}
static Value title(const Call &call) {
  return call.interpreter.makeString(python::toTitle(call.text));
}
static Value capitalize(const Call &call) {
  return call.interpreter.makeString(python::capitalize(call.text));
}

static Value replaceText(const Call &call) {
  std::string_view from = call.needString(0), to = call.needString(1);
  int64_t limit = call.getInteger(2, "count", -1);
  if (!call.interpreter.chargeSearch(call.text, from))
    return Value();
  uint64_t found = python::countOccurrences(call.text, from);
  if (limit >= 0)
    found = std::min(found, static_cast<uint64_t>(limit));
  if (!call.interpreter.charge(found * (to.size() / 16 + 1)))
    return Value();
  return call.interpreter.makeString(python::replace(call.text, from, to, limit));
}

static Value findSide(const Call &call, bool fromRight) {
  std::string_view part = call.needString(0);
  if (!call.interpreter.chargeSearch(call.text, part))
    return Value();
  size_t at = fromRight ? call.text.rfind(part) : call.text.find(part);
  if (at == std::string::npos)
    return Value::integer(-1);
  return Value::integer(
      static_cast<int64_t>(python::countCharacters(std::string_view(call.text).substr(0, at))));
}

static Value find(const Call &call) { return findSide(call, false); }
static Value findFromRight(const Call &call) { return findSide(call, true); }

static Value index(const Call &call) {
  Value found = findSide(call, false);
  return found.isInteger() && found.asInteger() < 0
             ? call.interpreter.fail("'index' does not find what it looks for")
             : found;
}

static Value count(const Call &call) {
  std::string_view part = call.needString(0);
  if (!call.interpreter.chargeSearch(call.text, part))
    return Value();
  return Value::integer(static_cast<int64_t>(python::countOccurrences(call.text, part)));
}

static Value join(const Call &call) {
  const Value *items = call.get(0);
  if (!items)
    return call.interpreter.fail("'join' needs a list");
  std::string text;
  bool isFirst = true;
  for (const Value &item : call.interpreter.iterate(*items)) {
    if (!item.isString())
      return call.interpreter.fail("'join' needs strings, got a " + std::string(item.typeName()));
    if (!call.interpreter.charge(item.weight() + call.text.size() / 16))
      return Value();
    text.append(isFirst ? "" : call.text).append(item.asString());
    isFirst = false;
  }
  return call.interpreter.makeString(std::move(text));
}

static Value isDigit(const Call &call) {
  return Value::boolean(python::isAll(call.text, python::isDigit));
}
static Value isAlpha(const Call &call) {
  return Value::boolean(python::isAll(call.text, python::isLetter));
}
static Value isAlphaNumeric(const Call &call) {
  return Value::boolean(python::isAll(
      call.text, [](uint32_t c) { return python::isLetter(c) || python::isDigit(c); }));
}
static Value isSpace(const Call &call) {
  return Value::boolean(python::isAll(call.text, python::isSpace));
}
static Value isUpper(const Call &call) { return Value::boolean(python::isUpper(call.text)); }
static Value isLower(const Call &call) { return Value::boolean(python::isLower(call.text)); }

namespace {
struct StringMethod {
  std::string_view name;
  Value (*run)(const Call &);
};
} // namespace

static constexpr StringMethod stringMethods[] = {
    {"strip", stripBoth},
    {"lstrip", stripLeft},
    {"rstrip", stripRight},
    {"split", split},
    {"rsplit", splitFromRight},
    {"splitlines", splitLines},
    {"startswith", startsWith},
    {"endswith", endsWith},
    {"removeprefix", removePrefix},
    {"removesuffix", removeSuffix},
    {"upper", upper},
    {"lower", lower},
    {"title", title},
    {"capitalize", capitalize},
    {"replace", replaceText},
    {"find", find},
    {"rfind", findFromRight},
    {"index", index},
    {"count", count},
    {"join", join},
    {"isdigit", isDigit},
    {"isnumeric", isDigit},
    {"isdecimal", isDigit},
    {"isalpha", isAlpha},
    {"isalnum", isAlphaNumeric},
    {"isspace", isSpace},
    {"isupper", isUpper},
    {"islower", isLower},
};
static constexpr std::string_view dictionaryMethods[] = {"items", "keys", "values", "get", "copy"};
static constexpr std::string_view listMethods[] = {"index", "count", "copy"};

bool TemplateInterpreter::hasMethod(const Value &object, std::string_view name) {
  auto has = [&](const auto &names) {
    return std::find(std::begin(names), std::end(names), name) != std::end(names);
  };
  if (object.isString())
    return std::any_of(std::begin(stringMethods), std::end(stringMethods),
                       [&](const StringMethod &method) { return method.name == name; });
  return (object.isDictionary() && has(dictionaryMethods)) || (object.isList() && has(listMethods));
}

static Value callDictionaryMethod(Interpreter &interpreter, const Value &object,
                                  std::string_view name, const Arguments &arguments) {
  if (name == "copy")
    return object;
  if (name == "get") {
    const Value *key = arguments.get(0, "key"), *otherwise = arguments.get(1, "default");
    if (!key)
      return interpreter.fail("'get' needs a key");
    if (const Value *found = key->isString() ? object.find(key->asString()) : nullptr)
      return *found;
    return otherwise ? *otherwise : Value::none();
  }
  Value::Items items;
  if (!interpreter.charge(object.weight()))
    return Value();
  for (const auto &[key, value] : object.asDictionary()) {
    if (name == "keys")
      items.push_back(Value::string(key));
    else if (name == "values")
      items.push_back(value);
    else
      items.push_back(interpreter.makeList({Value::string(key), value}, /*isTuple=*/true));
  }
  return interpreter.makeList(std::move(items));
}

static Value callListMethod(Interpreter &interpreter, const Value &object, std::string_view name,
                            const Arguments &arguments) {
  if (name == "copy")
    return object;
  const Value *wanted = arguments.get(0, "value");
  if (!wanted)
    return interpreter.fail("an argument is missing");
  int64_t found = 0;
  for (size_t i = 0; i < object.asList().size(); ++i) {
    if (!interpreter.charge(std::min(object.asList()[i].weight(), wanted->weight())))
      return Value();
    if (!(object.asList()[i] == *wanted))
      continue;
    if (name == "index")
      return Value::integer(static_cast<int64_t>(i));
    ++found;
  }
  return name == "count" ? Value::integer(found)
                         : interpreter.fail("'index' does not find what it looks for");
}

Value TemplateInterpreter::callMethod(const Value &object, const std::string &name,
                                      const TemplateArguments &arguments) {
  if (failed())
    return Value();
  if (object.isDictionary())
    return callDictionaryMethod(*this, object, name, arguments);
  if (object.isList())
    return callListMethod(*this, object, name, arguments);
  if (!charge(1 + object.asString().size() / 16))
    return Value();
  for (const StringMethod &method : stringMethods)
    if (method.name == name)
      return method.run({*this, object.asString(), arguments});
  return fail("a str has no function '" + name + "'");
}

//===------------------------------------------------------------------------------------------===//
// Functions
//===------------------------------------------------------------------------------------------===//

static constexpr std::string_view functionNames[] = {"range", "dict", "namespace",
                                                     "raise_exception", "strftime_now"};

std::optional<uint32_t> TemplateInterpreter::findFunction(std::string_view name) {
  for (uint32_t i = 0; i < std::size(functionNames); ++i)
    if (functionNames[i] == name)
      return i;
  return std::nullopt;
}

static Value makeRange(Interpreter &interpreter, const Arguments &arguments) {
  int64_t bounds[3] = {0, 0, 1};
  const std::vector<Value> &given = arguments.positional;
  if (given.empty() || given.size() > 3)
    return interpreter.fail("'range' takes one to three numbers");
  for (size_t i = 0; i < given.size(); ++i) {
    if (!given[i].isInteger())
      return interpreter.fail("'range' needs an int, got a " + std::string(given[i].typeName()));
    bounds[given.size() == 1 ? 1 : i] = given[i].asInteger();
  }
  auto [start, stop, step] = bounds;
  if (step == 0)
    return interpreter.fail("'range' has a step of 0");
  constexpr int64_t limit = int64_t(1) << 40;
  if (std::max({start, stop, step}) > limit || std::min({start, stop, step}) < -limit)
    return interpreter.fail("'range' has a bound that is too large");
  int64_t span = step > 0 ? stop - start : start - stop, stride = step > 0 ? step : -step;
  uint64_t count = span <= 0 ? 0 : static_cast<uint64_t>((span - 1) / stride + 1);
  Value::Items items;
  if (!interpreter.charge(count))
    return Value();
  for (uint64_t i = 0; i < count; ++i)
    items.push_back(Value::integer(start + static_cast<int64_t>(i) * step));
  return interpreter.makeList(std::move(items));
}

/// The entries that `dict(...)` and `namespace(...)` are called with.
static Value::Entries takeEntries(Interpreter &interpreter, const Arguments &arguments) {
  Value::Entries entries;
  for (const Value &value : arguments.positional) {
    if (!value.isDictionary()) {
      interpreter.fail("expected a dict, got a " + std::string(value.typeName()));
      return entries;
    }
    if (!interpreter.charge(value.asDictionary().size() * 4))
      return entries;
    entries.insert(entries.end(), value.asDictionary().begin(), value.asDictionary().end());
  }
  for (const auto &[name, value] : arguments.named)
    entries.emplace_back(name, value);
  return entries;
}

/// datetime.now().strftime(format), in English.
static Value formatTime(Interpreter &interpreter, const Arguments &arguments, const std::tm &now) {
  const Value *format = arguments.get(0, "format");
  if (!format || !format->isString())
    return interpreter.fail("'strftime_now' needs a format");
  char buffer[512];
  // The marker at the end tells an empty result from one that does not fit.
  size_t length = std::strftime(buffer, sizeof(buffer), (format->asString() + "$").c_str(), &now);
  if (!length)
    return interpreter.fail("'strftime_now' makes more than 511 bytes");
  return interpreter.makeString(mendUtf8(std::string_view(buffer, length - 1)));
}

Value TemplateInterpreter::callFunction(uint32_t function, const TemplateArguments &arguments) {
  std::string_view name = functionNames[function];
  if (name == "range")
    return makeRange(*this, arguments);
  if (name == "dict")
    return makeDictionary(takeEntries(*this, arguments));
  if (name == "namespace") {
    Value entries = makeDictionary(takeEntries(*this, arguments));
    if (!charge(16))
      return Value();
    namespaces.push_back(entries.asDictionary());
    return Value::reference(Value::Reference::Kind::Namespace,
                            static_cast<uint32_t>(namespaces.size() - 1));
  }
  if (name == "strftime_now")
    return formatTime(*this, arguments, now);
  const Value *message = arguments.get(0, "message");
  return fail(message && chargeValue(*message) ? message->toText() : "raise_exception");
}
