//===- TemplateOperators.cpp - What operators do ----------------------------------------------===//
//
// Python's rules: division of integers gives a float, `//` and `%` round down, strings and lists
// add and multiply. Integers have 64 bits; what would not fit is an error.
//
//===------------------------------------------------------------------------------------------===//

#include "runtime/core/PythonText.h"
#include "runtime/core/TemplateInterpreter.h"

#include <algorithm>
#include <cmath>

using namespace ingot::runtime;

/// x to the power of y, false where it overflows.
static bool raise(int64_t x, int64_t y, int64_t &result) {
  result = 1;
  if (x == 0 || x == 1 || x == -1) {
    result = y == 0 ? 1 : (x == -1 && y % 2 == 0) ? 1 : x;
    return true;
  }
  for (; y > 0; --y)
    if (__builtin_mul_overflow(result, x, &result))
      return false;
  return true;
}

/// None where the result does not fit or is not an integer.
static std::optional<int64_t> computeIntegers(Operation operation, int64_t x, int64_t y) {
  int64_t result = 0;
  switch (operation) {
  case Operation::Add:
    if (__builtin_add_overflow(x, y, &result))
      return std::nullopt;
    return result;
  case Operation::Subtract:
    if (__builtin_sub_overflow(x, y, &result))
      return std::nullopt;
    return result;
  case Operation::Multiply:
    if (__builtin_mul_overflow(x, y, &result))
      return std::nullopt;
    return result;
  case Operation::FloorDivide:
    if (y == -1)
      return x == INT64_MIN ? std::nullopt : std::optional(-x);
    return x / y - ((x % y != 0) && ((x < 0) != (y < 0)));
  case Operation::Modulo:
    if (y == -1)
      return 0;
    result = x % y;
    return result && (result < 0) != (y < 0) ? result + y : result;
  case Operation::Power:
    if (y < 0 || !raise(x, y, result))
      return std::nullopt;
    return result;
  default:
    return std::nullopt;
  }
}

static double computeReals(Operation operation, double x, double y) {
  switch (operation) {
  case Operation::Add:
    return x + y;
  case Operation::Subtract:
    return x - y;
  case Operation::Multiply:
    return x * y;
  case Operation::Divide:
    return x / y;
  case Operation::FloorDivide:
    return std::floor(x / y);
  case Operation::Modulo: {
    double rest = std::fmod(x, y);
    return rest != 0 && (rest < 0) != (y < 0) ? rest + y : rest;
  }
  default:
    return std::pow(x, y);
  }
}

static std::string_view nameOf(Operation operation) {
  static constexpr std::string_view names[] = {"+",  "-",  "*", "/",  "//", "%",  "**", "~",
                                               "==", "!=", "<", "<=", ">",  ">=", "in", "not in"};
  return names[static_cast<size_t>(operation)];
}

static std::string repeat(std::string_view text, int64_t times) {
  std::string result;
  for (int64_t i = 0; i < times; ++i)
    result += text;
  return result;
}

/// Numbers only: + - * / // % **.
static Value computeNumbers(TemplateInterpreter &interpreter, Operation operation,
                            const Value &left, const Value &right) {
  bool divides = operation == Operation::Divide || operation == Operation::FloorDivide ||
                 operation == Operation::Modulo;
  if (divides && right.asReal() == 0)
    return interpreter.fail("division by zero");
  bool isExact = left.isInteger() && right.isInteger() && operation != Operation::Divide &&
                 !(operation == Operation::Power && right.asInteger() < 0);
  if (!isExact)
    return Value::real(computeReals(operation, left.asReal(), right.asReal()));
  std::optional<int64_t> result = computeIntegers(operation, left.asInteger(), right.asInteger());
  return result ? Value::integer(*result) : interpreter.fail("an integer does not fit in 64 bits");
}

/// + and * of strings and lists; undefined, without an error, where there is no such thing.
static Value computeSequences(TemplateInterpreter &interpreter, Operation operation,
                              const Value &left, const Value &right) {
  if (operation == Operation::Add && left.isString() && right.isString()) {
    if (!interpreter.charge((left.asString().size() + right.asString().size()) / 16))
      return Value();
    return interpreter.makeString(left.asString() + right.asString());
  }
  if (operation == Operation::Add && left.isList() && right.isList() &&
      left.isTuple() == right.isTuple()) {
    Value::Items items = left.asList();
    items.insert(items.end(), right.asList().begin(), right.asList().end());
    return interpreter.makeList(std::move(items), left.isTuple());
  }
  if (operation == Operation::Multiply && right.isInteger() && (left.isString() || left.isList())) {
    int64_t times = std::max<int64_t>(right.asInteger(), 0);
    uint64_t weight = left.isString() ? left.weight() : left.asList().size() + 1;
    if (times > INT32_MAX || !interpreter.charge(static_cast<uint64_t>(times) * weight))
      return interpreter.fail("a repetition is too long");
    if (left.isString())
      return interpreter.makeString(repeat(left.asString(), times));
    Value::Items items;
    for (int64_t i = 0; i < times; ++i)
      items.insert(items.end(), left.asList().begin(), left.asList().end());
    return interpreter.makeList(std::move(items), left.isTuple());
  }
  return Value();
}

Value TemplateInterpreter::compute(Operation operation, const Value &left, const Value &right) {
  if (failed())
    return Value();
  switch (operation) {
  case Operation::Concatenate:
    if (!chargeValue(left) || !chargeValue(right))
      return Value();
    return makeString(left.toText() + right.toText());
  case Operation::Equal:
  case Operation::NotEqual:
    if (!charge(std::min(left.weight(), right.weight())))
      return Value();
    return Value::boolean((left == right) == (operation == Operation::Equal));
  case Operation::In:
  case Operation::NotIn:
    return Value::boolean(contains(right, left) == (operation == Operation::In));
  default:
    break;
  }
  for (const Value *operand : {&left, &right})
    if (operand->isUndefined())
      return fail(std::string(operand->undefinedReason()));
  bool isOrder = operation == Operation::Less || operation == Operation::LessEqual ||
                 operation == Operation::Greater || operation == Operation::GreaterEqual;
  if (isOrder) {
    if (!charge(std::min(left.weight(), right.weight())))
      return Value();
    bool swaps = operation == Operation::Greater || operation == Operation::LessEqual;
    bool negates = operation == Operation::LessEqual || operation == Operation::GreaterEqual;
    // a <= b is a < b or a == b for Python, which differs from not b < a for NaN only.
    std::optional<bool> isLess = swaps ? right.isLess(left) : left.isLess(right);
    if (isLess && left.isNumber() && (std::isnan(left.asReal()) || std::isnan(right.asReal())))
      return Value::boolean(false);
    if (isLess)
      return Value::boolean(*isLess != negates);
  } else if (left.isNumber() && right.isNumber()) {
    return computeNumbers(*this, operation, left, right);
  } else if (Value value = computeSequences(*this, operation, left, right);
             failed() || !value.isUndefined()) {
    return value;
  } else if (operation == Operation::Multiply && left.isInteger() && !right.isNumber()) {
    if (Value swapped = computeSequences(*this, operation, right, left);
        failed() || !swapped.isUndefined())
      return swapped;
  }
  return fail("cannot apply '" + std::string(nameOf(operation)) + "' to a " +
              std::string(left.typeName()) + " and a " + std::string(right.typeName()));
}

bool TemplateInterpreter::contains(const Value &container, const Value &item) {
  if (failed())
    return false;
  switch (container.kind()) {
  case Value::Kind::Undefined:
    return false;
  case Value::Kind::String:
    if (!item.isString())
      break;
    return chargeSearch(container.asString(), item.asString()) &&
           container.asString().find(item.asString()) != std::string::npos;
  case Value::Kind::List:
    for (const Value &candidate : container.asList()) {
      if (!charge(std::min(candidate.weight(), item.weight())))
        return false;
      if (candidate == item)
        return true;
    }
    return false;
  case Value::Kind::Dictionary:
    return item.isString() && container.find(item.asString());
  default:
    break;
  }
  fail("cannot look for a " + std::string(item.typeName()) + " in a " +
       std::string(container.typeName()));
  return false;
}

Value::Items TemplateInterpreter::iterate(const Value &value) {
  Value::Items items;
  if (failed())
    return items;
  switch (value.kind()) {
  case Value::Kind::Undefined:
    break;
  case Value::Kind::List:
    if (charge(value.asList().size()))
      items = value.asList();
    break;
  case Value::Kind::String:
    if (charge(value.asString().size() * 4))
      for (std::string_view character : python::splitCharacters(value.asString()))
        items.push_back(Value::string(std::string(character)));
    break;
  case Value::Kind::Dictionary:
    if (charge(value.weight()))
      for (const Value::Entry &entry : value.asDictionary())
        items.push_back(Value::string(entry.first));
    break;
  default:
    fail("cannot loop over a " + std::string(value.typeName()));
    break;
  }
  return items;
}

//===------------------------------------------------------------------------------------------===//
// Parts of values
//===------------------------------------------------------------------------------------------===//

Value TemplateInterpreter::getAttribute(const Value &object, const std::string &name) {
  if (failed())
    return Value();
  if (object.isUndefined())
    return fail(std::string(object.undefinedReason()));
  if (object.isReference(Value::Reference::Kind::Loop))
    return getLoopAttribute(loops[object.asReference().index], name);
  if (object.isReference(Value::Reference::Kind::Namespace)) {
    for (const Value::Entry &entry : namespaces[object.asReference().index])
      if (entry.first == name)
        return entry.second;
  } else if (hasMethod(object, name)) {
    return Value::reference(Value::Reference::Kind::Function, UINT32_MAX);
  } else if (object.isDictionary()) {
    if (const Value *value = object.find(name))
      return *value;
  }
  return Value::undefined("a " + std::string(object.typeName()) + " has no attribute '" + name +
                          "'");
}

Value TemplateInterpreter::getItem(const Value &object, const Value &index) {
  if (failed())
    return Value();
  if (object.isUndefined())
    return fail(std::string(object.undefinedReason()));
  if (index.isString()) {
    if (object.isDictionary())
      if (const Value *value = object.find(index.asString()))
        return *value;
    return getAttribute(object, index.asString());
  }
  if (index.isInteger() && (object.isList() || object.isString())) {
    int64_t at = index.asInteger();
    if (object.isString()) {
      if (!charge(object.asString().size() / 4))
        return Value();
      auto characters = python::splitCharacters(object.asString());
      at += at < 0 ? static_cast<int64_t>(characters.size()) : 0;
      if (at >= 0 && at < static_cast<int64_t>(characters.size()))
        return makeString(std::string(characters[at]));
    } else {
      const Value::Items &items = object.asList();
      at += at < 0 ? static_cast<int64_t>(items.size()) : 0;
      if (at >= 0 && at < static_cast<int64_t>(items.size()))
        return items[at];
    }
    return Value::undefined("a " + std::string(object.typeName()) + " has no element " +
                            std::to_string(index.asInteger()));
  }
  if (!chargeValue(index))
    return Value();
  return Value::undefined("a " + std::string(object.typeName()) + " has no element " +
                          index.toText());
}

Value TemplateInterpreter::slice(const Value &object, const Value &start, const Value &stop,
                                 const Value &step) {
  if (object.isUndefined())
    return fail(std::string(object.undefinedReason()));
  if (!object.isList() && !object.isString())
    return fail("a " + std::string(object.typeName()) + " cannot be sliced");
  int64_t bounds[3] = {0, 0, 1};
  const Value *given[3] = {&start, &stop, &step};
  for (int i = 0; i < 3; ++i) {
    if (given[i]->isInteger())
      bounds[i] = given[i]->asInteger();
    else if (!given[i]->isNone())
      return fail("a slice's bound is a " + std::string(given[i]->typeName()) + ", not an int");
  }
  if (bounds[2] == 0)
    return fail("a slice's step is 0");
  const int64_t *first = start.isNone() ? nullptr : &bounds[0];
  const int64_t *last = stop.isNone() ? nullptr : &bounds[1];
  if (object.isList()) {
    const Value::Items &items = object.asList();
    python::Slice part = python::resolveSlice(items.size(), first, last, bounds[2]);
    Value::Items taken;
    for (size_t i = 0; i < part.count; ++i)
      taken.push_back(items[part.start + static_cast<int64_t>(i) * part.step]);
    return makeList(std::move(taken), object.isTuple());
  }
  if (!charge(object.asString().size() / 4))
    return Value();
  std::vector<std::string_view> characters = python::splitCharacters(object.asString());
  python::Slice part = python::resolveSlice(characters.size(), first, last, bounds[2]);
  std::string text;
  for (size_t i = 0; i < part.count; ++i)
    text += characters[part.start + static_cast<int64_t>(i) * part.step];
  return makeString(std::move(text));
}
