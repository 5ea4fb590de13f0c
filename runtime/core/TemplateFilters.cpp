//===- TemplateFilters.cpp - Filters and tests ------------------------------------------------===//
//
// Jinja's, with `tojson` as chat templates have it: json.dumps without escaping for HTML. Filters
// that are generators in Jinja return lists.
//
//===------------------------------------------------------------------------------------------===//

#include "runtime/core/PythonText.h"
#include "runtime/core/TemplateInterpreter.h"

#include <algorithm>
#include <charconv>
#include <cmath>

using namespace ingot::runtime;

using Interpreter = TemplateInterpreter;
using Arguments = TemplateArguments;

static std::string describe(const Value &value) { return std::string(value.typeName()); }

/// An argument that must be an integer; `otherwise` where it was not given.
static int64_t takeInteger(Interpreter &interpreter, const Value *value, int64_t otherwise) {
  if (!value || value->isNone())
    return otherwise;
  if (!value->isInteger()) {
    interpreter.fail("expected an int, got a " + describe(*value));
    return otherwise;
  }
  return value->asInteger();
}

static bool isTrue(const Value *value) { return value && value->isTrue(); }

/// str(value), counted.
static std::string toText(Interpreter &interpreter, const Value &value) {
  return interpreter.chargeValue(value) ? value.toText() : std::string();
}

//===------------------------------------------------------------------------------------------===//
// Filters on one value
//===------------------------------------------------------------------------------------------===//

static Value filterTrim(Interpreter &interpreter, const Value &input, const Arguments &arguments) {
  std::string text = toText(interpreter, input);
  const Value *given = arguments.get(0, "chars");
  std::string_view characters;
  if (given && given->isString()) {
    characters = given->asString();
    interpreter.charge(text.size() * characters.size() / 16);
  }
  if (interpreter.failed())
    return Value();
  return interpreter.makeString(std::string(
      python::strip(text, python::Side::Both, given && given->isString() ? &characters : nullptr)));
}

static Value filterLength(Interpreter &interpreter, const Value &input, const Arguments &) {
  switch (input.kind()) {
  case Value::Kind::Undefined:
    return Value::integer(0);
  case Value::Kind::String:
    interpreter.chargeValue(input);
    return Value::integer(static_cast<int64_t>(python::countCharacters(input.asString())));
  case Value::Kind::List:
    return Value::integer(static_cast<int64_t>(input.asList().size()));
  case Value::Kind::Dictionary:
    return Value::integer(static_cast<int64_t>(input.asDictionary().size()));
  default:
    return interpreter.fail("a " + describe(input) + " has no length");
  }
}

static Value filterToJson(Interpreter &interpreter, const Value &input,
                          const Arguments &arguments) {
  int64_t indent = takeInteger(interpreter, arguments.get(0, "indent"), -1);
  if (indent > 16)
    return interpreter.fail("'tojson' cannot indent by more than 16");
  uint64_t perValue = indent < 0 ? 1 : 1 + static_cast<uint64_t>(indent) * (input.depth() + 1) / 16;
  if (input.weight() > UINT32_MAX || !interpreter.charge(input.weight() * perValue))
    return interpreter.fail("the value for 'tojson' is too large");
  const Value *sort = arguments.get(UINT32_MAX, "sort_keys");
  std::optional<std::string> text = input.toJson(static_cast<int>(indent), isTrue(sort));
  return text ? interpreter.makeString(std::move(*text))
              : interpreter.fail(
                    "'tojson' cannot write a " + describe(input) +
                    (input.isList() || input.isDictionary() ? " that holds undefined values" : ""));
}

static Value filterDefault(Interpreter &, const Value &input, const Arguments &arguments) {
  const Value *value = arguments.get(0, "default_value");
  bool replaces = input.isUndefined() || (isTrue(arguments.get(1, "boolean")) && !input.isTrue());
  return replaces ? (value ? *value : Value::string("")) : input;
}

static Value filterString(Interpreter &interpreter, const Value &input, const Arguments &) {
  return input.isString() ? input : interpreter.makeString(toText(interpreter, input));
}

static Value filterSame(Interpreter &, const Value &input, const Arguments &) { return input; }

static Value filterUpper(Interpreter &interpreter, const Value &input, const Arguments &) {
  return interpreter.makeString(python::toUpper(toText(interpreter, input)));
}

static Value filterLower(Interpreter &interpreter, const Value &input, const Arguments &) {
  return interpreter.makeString(python::toLower(toText(interpreter, input)));
}

static Value filterCapitalize(Interpreter &interpreter, const Value &input, const Arguments &) {
  return interpreter.makeString(python::capitalize(toText(interpreter, input)));
}

/// Upper case after a space, a hyphen and an opening bracket.
static Value filterTitle(Interpreter &interpreter, const Value &input, const Arguments &) {
  std::string text = toText(interpreter, input), result, word;
  for (std::string_view character : python::splitCharacters(text)) {
    static constexpr std::string_view breaks = " \t\n\r\f\v-({[<";
    word += character;
    if (character.size() == 1 && breaks.find(character[0]) != breaks.npos) {
      result += python::capitalize(word);
      word.clear();
    }
  }
  return interpreter.makeString(result + python::capitalize(word));
}

static Value filterReplace(Interpreter &interpreter, const Value &input,
                           const Arguments &arguments) {
  const Value *from = arguments.get(0, "old"), *to = arguments.get(1, "new");
  if (!from || !to)
    return interpreter.fail("'replace' needs what to replace and with what");
  Arguments texts;
  texts.positional = {Value::string(toText(interpreter, *from)),
                      Value::string(toText(interpreter, *to))};
  if (const Value *count = arguments.get(2, "count"); count && !count->isNone())
    texts.positional.push_back(*count);
  return interpreter.callMethod(Value::string(toText(interpreter, input)), "replace", texts);
}

static Value filterInt(Interpreter &interpreter, const Value &input, const Arguments &arguments) {
  Value otherwise = arguments.get(0, "default") ? *arguments.get(0, "default") : Value::integer(0);
  if (input.isInteger())
    return Value::integer(input.asInteger());
  double real = 0;
  if (input.isString()) {
    std::string_view text = python::strip(input.asString(), python::Side::Both, nullptr);
    int64_t integer = 0;
    if (text.starts_with('+'))
      text.remove_prefix(1);
    auto end = std::from_chars(text.data(), text.data() + text.size(), integer);
    if (end.ec == std::errc() && end.ptr == text.data() + text.size())
      return Value::integer(integer);
    auto realEnd = std::from_chars(text.data(), text.data() + text.size(), real);
    if (realEnd.ec != std::errc() || realEnd.ptr != text.data() + text.size())
      return otherwise;
  } else if (input.isNumber()) {
    real = input.asReal();
  } else {
    return otherwise;
  }
  // Also false for what is not a number.
  if (!(std::fabs(real) < 9.2e18))
    return otherwise;
  return Value::integer(static_cast<int64_t>(real));
}

static Value filterFloat(Interpreter &, const Value &input, const Arguments &arguments) {
  if (input.isNumber())
    return Value::real(input.asReal());
  double real = 0;
  if (input.isString()) {
    std::string_view text = python::strip(input.asString(), python::Side::Both, nullptr);
    auto end = std::from_chars(text.data(), text.data() + text.size(), real);
    if (end.ec == std::errc() && end.ptr == text.data() + text.size())
      return Value::real(real);
  }
  return arguments.get(0, "default") ? *arguments.get(0, "default") : Value::real(0);
}

static Value filterAbs(Interpreter &interpreter, const Value &input, const Arguments &) {
  if (!input.isNumber())
    return interpreter.fail("'abs' needs a number, got a " + describe(input));
  if (!input.isInteger())
    return Value::real(std::fabs(input.asReal()));
  if (input.asInteger() >= 0)
    return input;
  return interpreter.compute(Operation::Subtract, Value::integer(0), input);
}

static Value filterRound(Interpreter &interpreter, const Value &input, const Arguments &arguments) {
  int64_t digits = takeInteger(interpreter, arguments.get(0, "precision"), 0);
  if (!input.isNumber() || digits < 0 || digits > 15)
    return interpreter.fail("'round' needs a number and 0 to 15 digits");
  double scale = std::pow(10.0, static_cast<double>(digits));
  double scaled = input.asReal() * scale;
  return Value::real(std::isfinite(scaled) ? std::nearbyint(scaled) / scale : input.asReal());
}

static Value filterIndent(Interpreter &interpreter, const Value &input,
                          const Arguments &arguments) {
  const Value *width = arguments.get(0, "width");
  std::string margin = width && width->isString() ? width->asString() : "";
  if (!width || !width->isString()) {
    int64_t spaces = takeInteger(interpreter, width, 4);
    if (spaces > 1000)
      return interpreter.fail("'indent' by more than 1000");
    margin.assign(static_cast<size_t>(std::max<int64_t>(spaces, 0)), ' ');
  }
  bool indentsFirst = isTrue(arguments.get(1, "first")),
       indentsBlank = isTrue(arguments.get(2, "blank"));
  std::string text = toText(interpreter, input) + "\n", result;
  size_t lines = std::count(text.begin(), text.end(), '\n');
  if (!interpreter.charge(lines * (margin.size() / 16 + 1)))
    return Value();
  std::vector<std::string_view> pieces = python::splitLines(text, /*keepEnds=*/false);
  for (size_t i = 0; i < pieces.size(); ++i) {
    bool indents = i == 0 ? indentsFirst : indentsBlank || !pieces[i].empty();
    result.append(i ? "\n" : "").append(indents ? margin : "").append(pieces[i]);
  }
  return interpreter.makeString(std::move(result));
}

//===------------------------------------------------------------------------------------------===//
// Filters on lists
//===------------------------------------------------------------------------------------------===//

static Value filterJoin(Interpreter &interpreter, const Value &input, const Arguments &arguments) {
  const Value *separatorValue = arguments.get(0, "d"), *path = arguments.get(1, "attribute");
  std::string separator = separatorValue ? toText(interpreter, *separatorValue) : "";
  std::string text;
  bool isFirst = true;
  for (const Value &item : interpreter.iterate(input)) {
    Value part = path && path->isString() ? interpreter.getPath(item, path->asString()) : item;
    if (!interpreter.charge(1 + separator.size() / 16) || !interpreter.chargeValue(part))
      return Value();
    text.append(isFirst ? "" : separator).append(part.toText());
    isFirst = false;
  }
  return interpreter.makeString(std::move(text));
}

static Value filterFirst(Interpreter &interpreter, const Value &input, const Arguments &) {
  Value::Items items = interpreter.iterate(input);
  return items.empty() ? Value::undefined("an empty list has no first item") : items.front();
}

static Value filterLast(Interpreter &interpreter, const Value &input, const Arguments &) {
  Value::Items items = interpreter.iterate(input);
  return items.empty() ? Value::undefined("an empty list has no last item") : items.back();
}

static Value filterList(Interpreter &interpreter, const Value &input, const Arguments &) {
  return interpreter.makeList(interpreter.iterate(input));
}

static Value filterReverse(Interpreter &interpreter, const Value &input, const Arguments &) {
  Value::Items items = interpreter.iterate(input);
  std::reverse(items.begin(), items.end());
  if (!input.isString())
    return interpreter.makeList(std::move(items));
  std::string text;
  for (const Value &character : items)
    text += character.asString();
  return interpreter.makeString(std::move(text));
}

static Value filterItems(Interpreter &interpreter, const Value &input, const Arguments &) {
  if (input.isUndefined())
    return interpreter.makeList({});
  if (!input.isDictionary())
    return interpreter.fail("'items' needs a dict, got a " + describe(input));
  return interpreter.callMethod(input, "items", {});
}

/// Sorts by keys, which must be all numbers or all strings; strings without regard to case unless
/// asked.
static bool sortBy(Interpreter &interpreter, Value::Items &items, Value::Items keys,
                   const Arguments &arguments) {
  bool allNumbers = true, allStrings = true;
  uint64_t steps = items.size();
  for (Value &key : keys) {
    allNumbers &= key.isNumber() && !std::isnan(key.asReal());
    allStrings &= key.isString();
    steps += key.weight() * 16;
    if (key.isString() && !isTrue(arguments.get(1, "case_sensitive")))
      key = Value::string(python::toLower(key.asString()));
  }
  if (!interpreter.charge(steps))
    return false;
  if (!allNumbers && !allStrings) {
    interpreter.fail("cannot sort values that are neither all numbers nor all strings");
    return false;
  }
  bool isReversed = isTrue(arguments.get(0, "reverse"));
  std::vector<size_t> order(items.size());
  for (size_t i = 0; i < order.size(); ++i)
    order[i] = i;
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    if (keys[a] == keys[b])
      return a < b;
    return *(isReversed ? keys[b].isLess(keys[a]) : keys[a].isLess(keys[b]));
  });
  Value::Items sorted;
  for (size_t index : order)
    sorted.push_back(std::move(items[index]));
  items = std::move(sorted);
  return true;
}

/// `value.path` of every item, or the items themselves without an `attribute` argument.
static Value::Items takeKeys(Interpreter &interpreter, const Value::Items &items,
                             const Value *path) {
  Value::Items keys;
  for (const Value &item : items)
    keys.push_back(path && path->isString() ? interpreter.getPath(item, path->asString()) : item);
  return keys;
}

static Value filterSort(Interpreter &interpreter, const Value &input, const Arguments &arguments) {
  Value::Items items = interpreter.iterate(input);
  Value::Items keys = takeKeys(interpreter, items, arguments.get(2, "attribute"));
  if (interpreter.failed() || !sortBy(interpreter, items, std::move(keys), arguments))
    return Value();
  return interpreter.makeList(std::move(items));
}

static Value filterDictSort(Interpreter &interpreter, const Value &input,
                            const Arguments &arguments) {
  if (!input.isDictionary())
    return interpreter.fail("'dictsort' needs a dict, got a " + describe(input));
  const Value *by = arguments.get(1, "by");
  bool byValue = by && by->isString() && by->asString() == "value";
  Value::Items pairs, keys;
  for (const auto &[key, value] : input.asDictionary()) {
    pairs.push_back(interpreter.makeList({Value::string(key), value}, /*isTuple=*/true));
    keys.push_back(byValue ? value : Value::string(key));
  }
  Arguments options;
  options.positional = {
      Value::boolean(isTrue(arguments.get(2, "reverse"))),
      Value::boolean(isTrue(arguments.get(0, "case_sensitive"))),
  };
  if (interpreter.failed() || !sortBy(interpreter, pairs, std::move(keys), options))
    return Value();
  return interpreter.makeList(std::move(pairs));
}

static Value filterUnique(Interpreter &interpreter, const Value &input,
                          const Arguments &arguments) {
  Value::Items items = interpreter.iterate(input), kept, seen;
  Value::Items keys = takeKeys(interpreter, items, arguments.get(1, "attribute"));
  for (size_t i = 0; i < items.size(); ++i) {
    Value key = keys[i];
    if (!interpreter.charge(key.weight() * (seen.size() + 1)))
      return Value();
    if (key.isString() && !isTrue(arguments.get(0, "case_sensitive")))
      key = Value::string(python::toLower(key.asString()));
    if (std::find(seen.begin(), seen.end(), key) != seen.end())
      continue;
    seen.push_back(std::move(key));
    kept.push_back(std::move(items[i]));
  }
  return interpreter.makeList(std::move(kept));
}

/// The smallest or largest item.
static Value findExtreme(Interpreter &interpreter, const Value &input, const Arguments &arguments,
                         bool isLargest) {
  Arguments options;
  if (const Value *path = arguments.get(1, "attribute"))
    options.named.emplace_back("attribute", *path);
  options.named.emplace_back("reverse", Value::boolean(isLargest));
  Value sorted = filterSort(interpreter, input, options);
  return sorted.isList() && !sorted.asList().empty() ? sorted.asList().front()
                                                     : Value::undefined("no items to choose from");
}

static Value filterMin(Interpreter &interpreter, const Value &input, const Arguments &arguments) {
  return findExtreme(interpreter, input, arguments, false);
}

static Value filterMax(Interpreter &interpreter, const Value &input, const Arguments &arguments) {
  return findExtreme(interpreter, input, arguments, true);
}

static Value filterSum(Interpreter &interpreter, const Value &input, const Arguments &arguments) {
  const Value *start = arguments.get(1, "start");
  Value sum = start ? *start : Value::integer(0);
  Value::Items items = interpreter.iterate(input);
  for (const Value &item : takeKeys(interpreter, items, arguments.get(0, "attribute")))
    sum = interpreter.compute(Operation::Add, sum, item);
  return sum;
}

static Value filterMap(Interpreter &interpreter, const Value &input, const Arguments &arguments) {
  Value::Items results;
  const Value *path = arguments.get(UINT32_MAX, "attribute");
  const Value *otherwise = arguments.get(UINT32_MAX, "default");
  Arguments rest = arguments;
  if (!path) {
    if (rest.positional.empty() || !rest.positional[0].isString())
      return interpreter.fail("'map' needs a filter's name or an attribute");
    rest.positional.erase(rest.positional.begin());
  }
  for (const Value &item : interpreter.iterate(input)) {
    if (path) {
      Value found = interpreter.getPath(item, path->isString() ? path->asString() : "");
      results.push_back(found.isUndefined() && otherwise ? *otherwise : found);
    } else {
      results.push_back(interpreter.applyFilter(arguments.positional[0].asString(), item, rest));
    }
    if (interpreter.failed())
      return Value();
  }
  return interpreter.makeList(std::move(results));
}

/// select, reject, selectattr, rejectattr: the items whose value (`path` or itself) passes a test,
/// or is true where none is named.
static Value selectItems(Interpreter &interpreter, const Value &input, Arguments arguments,
                         bool hasPath, bool wanted) {
  std::vector<Value> &rest = arguments.positional;
  if (hasPath && (rest.empty() || !rest[0].isString()))
    return interpreter.fail("an attribute's name is missing");
  std::string path = hasPath ? rest[0].asString() : "";
  if (hasPath)
    rest.erase(rest.begin());
  std::string test = !rest.empty() && rest[0].isString() ? rest[0].asString() : "";
  if (!rest.empty())
    rest.erase(rest.begin());
  Value::Items kept;
  for (Value &item : interpreter.iterate(input)) {
    Value value = hasPath ? interpreter.getPath(item, path) : item;
    bool passes = test.empty() ? value.isTrue() : interpreter.applyTest(test, value, arguments);
    if (interpreter.failed())
      return Value();
    if (passes == wanted)
      kept.push_back(std::move(item));
  }
  return interpreter.makeList(std::move(kept));
}

static Value filterSelect(Interpreter &interpreter, const Value &input,
                          const Arguments &arguments) {
  return selectItems(interpreter, input, arguments, false, true);
}

static Value filterReject(Interpreter &interpreter, const Value &input,
                          const Arguments &arguments) {
  return selectItems(interpreter, input, arguments, false, false);
}

static Value filterSelectAttribute(Interpreter &interpreter, const Value &input,
                                   const Arguments &arguments) {
  return selectItems(interpreter, input, arguments, true, true);
}

static Value filterRejectAttribute(Interpreter &interpreter, const Value &input,
                                   const Arguments &arguments) {
  return selectItems(interpreter, input, arguments, true, false);
}

Value TemplateInterpreter::getPath(const Value &value, std::string_view path) {
  Value at = value;
  while (!path.empty() && !failed()) {
    size_t dot = path.find('.');
    std::string name(path.substr(0, dot));
    path.remove_prefix(dot == path.npos ? path.size() : dot + 1);
    int64_t index = 0;
    auto end = std::from_chars(name.data(), name.data() + name.size(), index);
    bool isIndex = end.ec == std::errc() && end.ptr == name.data() + name.size();
    at = getItem(at, isIndex ? Value::integer(index) : Value::string(name));
  }
  return at;
}

Value TemplateInterpreter::applyFilter(std::string_view name, const Value &input,
                                       const TemplateArguments &arguments) {
  using Filter = Value (*)(Interpreter &, const Value &, const Arguments &);
  static constexpr std::pair<std::string_view, Filter> filters[] = {
      {"trim", filterTrim},
      {"tojson", filterToJson},
      {"length", filterLength},
      {"count", filterLength},
      {"default", filterDefault},
      {"d", filterDefault},
      {"join", filterJoin},
      {"string", filterString},
      {"safe", filterSame},
      {"upper", filterUpper},
      {"lower", filterLower},
      {"capitalize", filterCapitalize},
      {"title", filterTitle},
      {"replace", filterReplace},
      {"int", filterInt},
      {"float", filterFloat},
      {"abs", filterAbs},
      {"round", filterRound},
      {"indent", filterIndent},
      {"first", filterFirst},
      {"last", filterLast},
      {"list", filterList},
      {"reverse", filterReverse},
      {"items", filterItems},
      {"sort", filterSort},
      {"dictsort", filterDictSort},
      {"unique", filterUnique},
      {"min", filterMin},
      {"max", filterMax},
      {"sum", filterSum},
      {"map", filterMap},
      {"select", filterSelect},
      {"reject", filterReject},
      {"selectattr", filterSelectAttribute},
      {"rejectattr", filterRejectAttribute},
  };
  if (!charge(1))
    return Value();
  for (const auto &[known, filter] : filters)
    if (known == name)
      return filter(*this, input, arguments);
  return fail("filter '" + std::string(name) + "' is not supported");
}

//===------------------------------------------------------------------------------------------===//
// Tests
//===------------------------------------------------------------------------------------------===//

/// Tests that are comparisons with one argument.
static std::optional<Operation> findComparison(std::string_view name) {
  static constexpr std::pair<std::string_view, Operation> comparisons[] = {
      {"equalto", Operation::Equal},
      {"eq", Operation::Equal},
      {"==", Operation::Equal},
      {"sameas", Operation::Equal},
      {"ne", Operation::NotEqual},
      {"!=", Operation::NotEqual},
      {"lt", Operation::Less},
      {"lessthan", Operation::Less},
      {"<", Operation::Less},
      {"le", Operation::LessEqual},
      {"<=", Operation::LessEqual},
      {"gt", Operation::Greater},
      {"greaterthan", Operation::Greater},
      {">", Operation::Greater},
      {"ge", Operation::GreaterEqual},
      {">=", Operation::GreaterEqual},
      {"in", Operation::In},
  };
  for (const auto &[known, operation] : comparisons)
    if (known == name)
      return operation;
  return std::nullopt;
}

static std::optional<bool> testKind(std::string_view name, const Value &input) {
  using Kind = Value::Kind;
  if (name == "defined")
    return !input.isUndefined();
  if (name == "undefined")
    return input.isUndefined();
  if (name == "none")
    return input.isNone();
  if (name == "string")
    return input.isString();
  if (name == "mapping")
    return input.isDictionary();
  if (name == "iterable" || name == "sequence")
    return input.isUndefined() || input.isString() || input.isList() || input.isDictionary();
  if (name == "number")
    return input.isNumber();
  if (name == "integer")
    return input.kind() == Kind::Integer;
  if (name == "float")
    return input.kind() == Kind::Float;
  if (name == "boolean")
    return input.kind() == Kind::Boolean;
  if (name == "true")
    return input.kind() == Kind::Boolean && input.asBoolean();
  if (name == "false")
    return input.kind() == Kind::Boolean && !input.asBoolean();
  if (name == "callable")
    return input.isReference(Value::Reference::Kind::Macro) ||
           input.isReference(Value::Reference::Kind::Function);
  return std::nullopt;
}

bool TemplateInterpreter::applyTest(std::string_view name, const Value &input,
                                    const TemplateArguments &arguments) {
  if (std::optional<bool> result = testKind(name, input))
    return *result;
  const Value *argument = arguments.positional.empty() ? nullptr : &arguments.positional[0];
  if (std::optional<Operation> comparison = findComparison(name); comparison && argument)
    return compute(*comparison, input, *argument).isTrue();
  if (name == "upper" || name == "lower") {
    if (!chargeValue(input))
      return false;
    std::string text = input.toText();
    return name == "upper" ? python::isUpper(text) : python::isLower(text);
  }
  bool needsInteger = name == "even" || name == "odd" || (name == "divisibleby" && argument);
  if (!needsInteger) {
    fail("test '" + std::string(name) + "' is not supported");
    return false;
  }
  if (input.isUndefined() || !input.isNumber()) {
    fail("test '" + std::string(name) + "' needs a number, got a " + describe(input));
    return false;
  }
  Value divisor = name == "divisibleby" ? *argument : Value::integer(2);
  Value rest = compute(Operation::Modulo, input, divisor);
  return rest.isTrue() == (name == "odd");
}
