//===- TemplateInterpreter.h - Running a chat template ----------------------------------------===//
//
// One `Interpreter` renders once. Errors: the first one is kept, with its line; from then on every
// evaluation returns undefined at once, so callers need not look. Work is counted in steps, which
// bound time and memory together: a node that runs is one, and so are 16 bytes that are made.
//
// What the language has is split over the files that implement this class: statements and
// expressions (TemplateInterpreter.cpp), operators (TemplateOperators.cpp), filters and tests
// (TemplateFilters.cpp), methods and functions (TemplateMethods.cpp).
//
//===------------------------------------------------------------------------------------------===//

#ifndef INGOT_RUNTIME_CORE_TEMPLATEINTERPRETER_H
#define INGOT_RUNTIME_CORE_TEMPLATEINTERPRETER_H

#include "runtime/core/Status.h"
#include "runtime/core/TemplateAst.h"

#include <ctime>
#include <optional>
#include <string_view>

namespace ingot::runtime {

/// The arguments of a call, filter or test.
struct TemplateArguments {
  std::vector<Value> positional;
  std::vector<std::pair<std::string_view, Value>> named;

  /// The argument at `index` or called `name`; null if it was not given.
  const Value *get(size_t index, std::string_view name) const;
};

class TemplateInterpreter {
public:
  TemplateInterpreter(const TemplateAst &ast, const Value &variables, std::tm now,
                      uint64_t maxSteps)
      : ast(ast), variables(variables), now(now), stepsLeft(maxSteps) {}

  Result<std::string> run();

  //===--- For the language's parts ---===//

  /// Records the error, unless there is one already, and returns undefined.
  Value fail(std::string what);
  bool failed() const { return !status.ok(); }
  /// Counts `steps`; false, and an error, where too many were made.
  bool charge(uint64_t steps);
  /// Counts a search for `part` in `text`.
  bool chargeSearch(std::string_view text, std::string_view part);
  /// New values, counted and within the limits.
  Value makeString(std::string text);
  Value makeList(Value::Items items, bool isTuple = false);
  Value makeDictionary(Value::Entries entries);
  /// The items that a loop over `value` sees; an error if it has none.
  Value::Items iterate(const Value &value);
  /// Python's `in`.
  bool contains(const Value &container, const Value &item);
  Value getAttribute(const Value &object, const std::string &name);
  /// Counts what comparing or writing out `value` takes.
  bool chargeValue(const Value &value) { return charge(value.weight()); }
  /// `value` by `name`, a dotted path, as `map(attribute=...)` and `selectattr` take it.
  Value getPath(const Value &value, std::string_view path);

  // Operators
  Value compute(Operation operation, const Value &left, const Value &right);
  Value slice(const Value &object, const Value &start, const Value &stop, const Value &step);
  Value getItem(const Value &object, const Value &index);

  // Filters, tests, methods, functions
  Value applyFilter(std::string_view name, const Value &input, const TemplateArguments &arguments);
  bool applyTest(std::string_view name, const Value &input, const TemplateArguments &arguments);
  Value callMethod(const Value &object, const std::string &name,
                   const TemplateArguments &arguments);
  static bool hasMethod(const Value &object, std::string_view name);
  static std::optional<uint32_t> findFunction(std::string_view name);
  Value callFunction(uint32_t function, const TemplateArguments &arguments);

private:
  enum class Flow : uint8_t { Normal, Break, Continue };
  struct Frame {
    std::vector<std::pair<std::string_view, Value>> variables;
    size_t parent;
  };
  struct Loop {
    Value::Items items;
    size_t index = 0;
    std::optional<Value> last; ///< what `changed` was called with
  };
  /// Runs one level deeper and remembers the line.
  class Guard;

  // Statements
  Flow execute(NodeId id);
  Flow executeBlock(const TemplateNode &node);
  Flow executeFor(const TemplateNode &node);
  void runLoop(const TemplateNode &node, uint32_t loop);
  void executeSet(const TemplateNode &node);
  void executeSetAttribute(const TemplateNode &node);
  void executeSetBlock(const TemplateNode &node);
  void print(std::string_view text);
  std::string capture(NodeId body);

  // Expressions
  Value evaluate(NodeId id);
  Value evaluateList(const TemplateNode &node);
  Value evaluateDictionary(const TemplateNode &node);
  Value evaluateSlice(const TemplateNode &node);
  Value evaluateCall(const TemplateNode &node);
  TemplateArguments evaluateArguments(const TemplateNode &node);
  Value callMacro(NodeId macro, const TemplateArguments &arguments);
  Value getLoopAttribute(const Loop &loop, const std::string &name);
  Value callLoop(Loop &loop, const std::string &name, const TemplateArguments &arguments);

  // Variables
  Value lookUp(const std::string &name) const;
  void assign(std::string_view name, Value value);
  void assignAll(const std::vector<std::string> &names, const Value &value);

  const TemplateAst &ast;
  const Value &variables;
  std::tm now;
  uint64_t stepsLeft;
  uint32_t depth = 0;
  uint32_t line = 0;
  std::string *output = nullptr;
  const Value *blockText = nullptr;
  std::vector<Frame> frames;
  size_t frame = 0;
  std::vector<Value::Entries> namespaces;
  std::vector<Loop> loops;
  Status status;
};

} // namespace ingot::runtime

#endif // INGOT_RUNTIME_CORE_TEMPLATEINTERPRETER_H
