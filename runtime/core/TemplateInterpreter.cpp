//===- TemplateInterpreter.cpp - Statements and expressions -----------------------------------===//
//
// Scopes follow Jinja: a loop's body and a macro have their own variables, so what is set inside is
// gone outside; `if` has none. Frames lie on a stack, each knows the one around it; a macro's is
// the template itself.
//
//===------------------------------------------------------------------------------------------===//

#include "runtime/core/TemplateInterpreter.h"
#include "runtime/core/PythonText.h"

#include <algorithm>

using namespace ingot::runtime;

const Value *TemplateArguments::get(size_t index, std::string_view name) const {
  if (index < positional.size())
    return &positional[index];
  for (const auto &[key, value] : named)
    if (key == name)
      return &value;
  return nullptr;
}

/// Namespaces and loops cannot outnumber steps, but they are large.
static constexpr uint64_t stepsOfALoop = 16;

class TemplateInterpreter::Guard {
public:
  Guard(TemplateInterpreter &interpreter, uint32_t line)
      : interpreter(interpreter), outerLine(std::exchange(interpreter.line, line)) {
    if (++interpreter.depth > TemplateLimits::callDepth)
      interpreter.fail("the template calls itself more than " +
                       std::to_string(TemplateLimits::callDepth) + " levels deep");
    interpreter.charge(1);
  }
  ~Guard() {
    interpreter.line = outerLine;
    --interpreter.depth;
  }

private:
  TemplateInterpreter &interpreter;
  uint32_t outerLine;
};

Result<std::string> TemplateInterpreter::run() {
  std::string text;
  output = &text;
  frames.push_back({{}, 0});
  execute(ast.root);
  if (!status)
    return std::move(status);
  return text;
}

Value TemplateInterpreter::fail(std::string what) {
  if (status)
    status = INGOT_ERROR("line %u: %s", line, what.c_str());
  return Value();
}

bool TemplateInterpreter::charge(uint64_t steps) {
  if (failed())
    return false;
  if (steps <= stepsLeft) {
    stepsLeft -= steps;
    return true;
  }
  stepsLeft = 0;
  fail("the template does or makes too much");
  return false;
}

bool TemplateInterpreter::chargeSearch(std::string_view text, std::string_view part) {
  return charge((text.size() / 16 + 1) * (part.size() / 64 + 1));
}

Value TemplateInterpreter::makeString(std::string text) {
  if (!charge(1 + text.size() / 16))
    return Value();
  return Value::string(std::move(text));
}

Value TemplateInterpreter::makeList(Value::Items items, bool isTuple) {
  if (!charge(2 + items.size() * 2))
    return Value();
  Value list = Value::list(std::move(items), isTuple);
  if (list.depth() > TemplateLimits::valueDepth)
    return fail("a list is nested more than " + std::to_string(TemplateLimits::valueDepth) +
                " levels");
  return list;
}

Value TemplateInterpreter::makeDictionary(Value::Entries entries) {
  if (!charge(2 + entries.size() * 4))
    return Value();
  Value dictionary = Value::dictionary(std::move(entries));
  if (dictionary.depth() > TemplateLimits::valueDepth)
    return fail("a dictionary is nested more than " + std::to_string(TemplateLimits::valueDepth) +
                " levels");
  return dictionary;
}

//===------------------------------------------------------------------------------------------===//
// Variables
//===------------------------------------------------------------------------------------------===//

Value TemplateInterpreter::lookUp(const std::string &name) const {
  for (size_t at = frame;; at = frames[at].parent) {
    for (const auto &[key, value] : frames[at].variables)
      if (key == name)
        return value;
    if (at == 0)
      break;
  }
  if (const Value *value = variables.isDictionary() ? variables.find(name) : nullptr)
    return *value;
  if (std::optional<uint32_t> function = findFunction(name))
    return Value::reference(Value::Reference::Kind::Function, *function);
  return Value::undefined("'" + name + "' is undefined");
}

void TemplateInterpreter::assign(std::string_view name, Value value) {
  for (auto &[key, old] : frames[frame].variables) {
    if (key == name) {
      old = std::move(value);
      return;
    }
  }
  frames[frame].variables.emplace_back(name, std::move(value));
}

void TemplateInterpreter::assignAll(const std::vector<std::string> &names, const Value &value) {
  if (names.size() == 1)
    return assign(names[0], value);
  Value::Items items = iterate(value);
  if (!failed() && items.size() != names.size())
    fail("cannot set " + std::to_string(names.size()) + " variables to " +
         std::to_string(items.size()) + " values");
  for (size_t i = 0; !failed() && i < names.size(); ++i)
    assign(names[i], items[i]);
}

//===------------------------------------------------------------------------------------------===//
// Statements
//===------------------------------------------------------------------------------------------===//

void TemplateInterpreter::print(std::string_view text) {
  if (charge(text.size() / 16))
    output->append(text);
}

/// What the statements of `body` print.
std::string TemplateInterpreter::capture(NodeId body) {
  std::string text;
  std::string *outer = std::exchange(output, &text);
  execute(body);
  output = outer;
  return text;
}

TemplateInterpreter::Flow TemplateInterpreter::execute(NodeId id) {
  const TemplateNode &node = ast.nodes[id];
  Guard guard(*this, node.line);
  if (failed())
    return Flow::Break;
  switch (node.kind) {
  case NodeKind::Text:
    print(node.value.asString());
    break;
  case NodeKind::Print: {
    Value value = evaluate(node.children[0]);
    if (value.isString())
      print(value.asString());
    else if (chargeValue(value))
      print(value.toText());
    break;
  }
  case NodeKind::Block:
    return executeBlock(node);
  case NodeKind::If:
    if (evaluate(node.children[0]).isTrue())
      return execute(node.children[1]);
    if (node.children[2] != noNode)
      return execute(node.children[2]);
    break;
  case NodeKind::For:
    return executeFor(node);
  case NodeKind::Set:
    executeSet(node);
    break;
  case NodeKind::SetAttribute:
    executeSetAttribute(node);
    break;
  case NodeKind::SetBlock:
    executeSetBlock(node);
    break;
  case NodeKind::Macro:
    assign(node.name, Value::reference(Value::Reference::Kind::Macro, id));
    break;
  case NodeKind::Break:
    return Flow::Break;
  case NodeKind::Continue:
    return Flow::Continue;
  default:
    fail("an expression stands where a statement should");
    break;
  }
  return failed() ? Flow::Break : Flow::Normal;
}

TemplateInterpreter::Flow TemplateInterpreter::executeBlock(const TemplateNode &node) {
  for (NodeId child : node.children)
    if (Flow flow = execute(child); flow != Flow::Normal)
      return flow;
  return Flow::Normal;
}

TemplateInterpreter::Flow TemplateInterpreter::executeFor(const TemplateNode &node) {
  Value::Items items = iterate(evaluate(node.children[0]));
  if (!charge(stepsOfALoop + items.size()))
    return Flow::Break;
  size_t outer = std::exchange(frame, frames.size());
  frames.push_back({{}, outer});
  if (node.children[1] != noNode) {
    Value::Items kept;
    for (Value &item : items) {
      assignAll(node.names, item);
      if (evaluate(node.children[1]).isTrue())
        kept.push_back(std::move(item));
      if (failed())
        break;
    }
    items = std::move(kept);
  }
  Flow flow = Flow::Normal;
  if (items.empty()) {
    frames.back().variables.clear();
    if (node.children[3] != noNode)
      flow = execute(node.children[3]);
  } else {
    uint32_t loop = static_cast<uint32_t>(loops.size());
    loops.push_back({std::move(items), 0, std::nullopt});
    runLoop(node, loop);
    loops[loop].items.clear();
  }
  frames.pop_back();
  frame = outer;
  return failed() ? Flow::Break : flow;
}

void TemplateInterpreter::runLoop(const TemplateNode &node, uint32_t loop) {
  for (size_t i = 0; i < loops[loop].items.size(); ++i) {
    if (!charge(1))
      return;
    loops[loop].index = i;
    // Each round begins with nothing but the targets.
    frames[frame].variables.clear();
    assign("loop", Value::reference(Value::Reference::Kind::Loop, loop));
    assignAll(node.names, Value(loops[loop].items[i]));
    if (failed() || execute(node.children[2]) == Flow::Break)
      return;
  }
}

void TemplateInterpreter::executeSet(const TemplateNode &node) {
  Value value = evaluate(node.children[0]);
  if (!failed())
    assignAll(node.names, value);
}

void TemplateInterpreter::executeSetAttribute(const TemplateNode &node) {
  Value object = evaluate(node.children[0]);
  Value value = evaluate(node.children[1]);
  if (failed())
    return;
  if (!object.isReference(Value::Reference::Kind::Namespace)) {
    fail("cannot set '" + node.name + "' of a " + std::string(object.typeName()) +
         ", only of a namespace");
    return;
  }
  Value::Entries &entries = namespaces[object.asReference().index];
  for (auto &[key, old] : entries) {
    if (key == node.name) {
      old = std::move(value);
      return;
    }
  }
  entries.emplace_back(node.name, std::move(value));
}

void TemplateInterpreter::executeSetBlock(const TemplateNode &node) {
  Value text = makeString(capture(node.children[0]));
  if (node.children[1] != noNode) {
    const Value *outer = std::exchange(blockText, &text);
    Value filtered = evaluate(node.children[1]);
    blockText = outer;
    text = std::move(filtered);
  }
  if (!failed())
    assign(node.name, std::move(text));
}

//===------------------------------------------------------------------------------------------===//
// Expressions
//===------------------------------------------------------------------------------------------===//

Value TemplateInterpreter::evaluate(NodeId id) {
  const TemplateNode &node = ast.nodes[id];
  Guard guard(*this, node.line);
  if (failed())
    return Value();
  auto child = [&](size_t i) { return evaluate(node.children[i]); };
  switch (node.kind) {
  case NodeKind::Constant:
    return node.value;
  case NodeKind::Name:
    return lookUp(node.name);
  case NodeKind::List:
  case NodeKind::Tuple:
    return evaluateList(node);
  case NodeKind::Dictionary:
    return evaluateDictionary(node);
  case NodeKind::Not:
    return Value::boolean(!child(0).isTrue());
  case NodeKind::Negative:
    return compute(Operation::Subtract, Value::integer(0), child(0));
  case NodeKind::And: {
    Value left = child(0);
    return left.isTrue() ? child(1) : left;
  }
  case NodeKind::Or: {
    Value left = child(0);
    return left.isTrue() ? left : child(1);
  }
  case NodeKind::Binary: {
    Value left = child(0);
    return compute(node.operation, left, child(1));
  }
  case NodeKind::Conditional:
    if (child(0).isTrue())
      return child(1);
    return node.children[2] == noNode
               ? Value::undefined("the condition is false and there is no 'else'")
               : child(2);
  case NodeKind::Attribute:
    return getAttribute(child(0), node.name);
  case NodeKind::Item: {
    Value object = child(0);
    return getItem(object, child(1));
  }
  case NodeKind::Slice:
    return evaluateSlice(node);
  case NodeKind::Call:
    return evaluateCall(node);
  case NodeKind::Filter: {
    Value input = child(0);
    TemplateArguments arguments = evaluateArguments(node);
    return failed() ? Value() : applyFilter(node.name, input, arguments);
  }
  case NodeKind::Test: {
    Value input = child(0);
    TemplateArguments arguments = evaluateArguments(node);
    return failed() ? Value() : Value::boolean(applyTest(node.name, input, arguments));
  }
  case NodeKind::BlockText:
    return blockText ? *blockText : Value();
  default:
    return fail("a statement stands where an expression should");
  }
}

Value TemplateInterpreter::evaluateList(const TemplateNode &node) {
  Value::Items items;
  for (NodeId child : node.children)
    items.push_back(evaluate(child));
  return failed() ? Value() : makeList(std::move(items), node.kind == NodeKind::Tuple);
}

Value TemplateInterpreter::evaluateDictionary(const TemplateNode &node) {
  Value::Entries entries;
  for (size_t i = 0; i + 1 < node.children.size(); i += 2) {
    Value key = evaluate(node.children[i]);
    if (!failed() && !key.isString())
      return fail("a dictionary's key is a " + std::string(key.typeName()) + ", not a str");
    Value value = evaluate(node.children[i + 1]);
    if (failed())
      return Value();
    entries.emplace_back(key.asString(), std::move(value));
  }
  return makeDictionary(std::move(entries));
}

Value TemplateInterpreter::evaluateSlice(const TemplateNode &node) {
  auto bound = [&](size_t i) {
    return node.children[i] == noNode ? Value::none() : evaluate(node.children[i]);
  };
  Value object = bound(0), start = bound(1), stop = bound(2), step = bound(3);
  return failed() ? Value() : slice(object, start, stop, step);
}

TemplateArguments TemplateInterpreter::evaluateArguments(const TemplateNode &node) {
  TemplateArguments arguments;
  size_t firstNamed = node.children.size() - node.names.size();
  for (size_t i = 1; i < node.children.size(); ++i) {
    Value value = evaluate(node.children[i]);
    if (i < firstNamed)
      arguments.positional.push_back(std::move(value));
    else
      arguments.named.emplace_back(node.names[i - firstNamed], std::move(value));
  }
  return arguments;
}

Value TemplateInterpreter::evaluateCall(const TemplateNode &node) {
  const TemplateNode &callee = ast.nodes[node.children[0]];
  Value function;
  if (callee.kind == NodeKind::Attribute) {
    Value object = evaluate(callee.children[0]);
    TemplateArguments arguments = evaluateArguments(node);
    if (failed())
      return Value();
    if (object.isUndefined())
      return fail(std::string(object.undefinedReason()));
    if (object.isReference(Value::Reference::Kind::Loop))
      return callLoop(loops[object.asReference().index], callee.name, arguments);
    if (hasMethod(object, callee.name))
      return callMethod(object, callee.name, arguments);
    function = getAttribute(object, callee.name);
  } else {
    function = evaluate(node.children[0]);
  }
  if (failed())
    return Value();
  if (function.isUndefined())
    return fail(std::string(function.undefinedReason()));
  if (function.isReference(Value::Reference::Kind::Macro))
    return callMacro(function.asReference().index, evaluateArguments(node));
  if (!function.isReference(Value::Reference::Kind::Function) ||
      function.asReference().index == UINT32_MAX)
    return fail("a " + std::string(function.typeName()) + " cannot be called");
  TemplateArguments arguments = evaluateArguments(node);
  return failed() ? Value() : callFunction(function.asReference().index, arguments);
}

Value TemplateInterpreter::callMacro(NodeId macro, const TemplateArguments &arguments) {
  const TemplateNode &node = ast.nodes[macro];
  if (failed())
    return Value();
  if (arguments.positional.size() > node.names.size())
    return fail("macro '" + node.name + "' takes " + std::to_string(node.names.size()) +
                " arguments, got " + std::to_string(arguments.positional.size()));
  for (const auto &[name, value] : arguments.named)
    if (std::find(node.names.begin(), node.names.end(), name) == node.names.end())
      return fail("macro '" + node.name + "' has no argument '" + std::string(name) + "'");
  size_t outer = std::exchange(frame, frames.size());
  frames.push_back({{}, 0});
  // Default values stand in children[1...], for the last parameters.
  size_t firstDefault = node.names.size() - (node.children.size() - 1);
  for (size_t i = 0; i < node.names.size(); ++i) {
    if (const Value *given = arguments.get(i, node.names[i]))
      assign(node.names[i], *given);
    else if (i >= firstDefault)
      assign(node.names[i], evaluate(node.children[1 + i - firstDefault]));
    else
      assign(node.names[i], Value::undefined("parameter '" + node.names[i] + "' was not given"));
  }
  std::string text = capture(node.children[0]);
  frames.pop_back();
  frame = outer;
  return makeString(std::move(text));
}

//===------------------------------------------------------------------------------------------===//
// Loops
//===------------------------------------------------------------------------------------------===//

Value TemplateInterpreter::getLoopAttribute(const Loop &loop, const std::string &name) {
  int64_t size = static_cast<int64_t>(loop.items.size()), index = static_cast<int64_t>(loop.index);
  if (name == "index")
    return Value::integer(index + 1);
  if (name == "index0")
    return Value::integer(index);
  if (name == "first")
    return Value::boolean(index == 0);
  if (name == "last")
    return Value::boolean(index + 1 == size);
  if (name == "length")
    return Value::integer(size);
  if (name == "revindex")
    return Value::integer(size - index);
  if (name == "revindex0")
    return Value::integer(size - index - 1);
  // Depth counts recursive loops only, which are refused.
  if (name == "depth" || name == "depth0")
    return Value::integer(name == "depth");
  if (name == "previtem")
    return index > 0 && index <= size ? loop.items[loop.index - 1]
                                      : Value::undefined("there is no previous item");
  if (name == "nextitem")
    return index + 1 < size ? loop.items[loop.index + 1]
                            : Value::undefined("there is no next item");
  return Value::undefined("'loop' has no attribute '" + name + "'");
}

Value TemplateInterpreter::callLoop(Loop &loop, const std::string &name,
                                    const TemplateArguments &arguments) {
  const std::vector<Value> &values = arguments.positional;
  if (name == "cycle" && !values.empty())
    return values[loop.index % values.size()];
  if (name == "changed") {
    Value current = makeList(values, /*isTuple=*/true);
    if (!chargeValue(current))
      return Value();
    bool hasChanged = !loop.last || !(*loop.last == current);
    loop.last = std::move(current);
    return Value::boolean(hasChanged);
  }
  return fail("'loop' has no function '" + name + "'");
}
