//===- TemplateAst.h - A chat template, parsed ------------------------------------------------===//
//
// All nodes of a template lie in one array and name their children by index, so that nothing is
// recursive to copy or free; `depth` bounds what is recursive to run. One struct serves all kinds:
//
//   kind          children                                     name, names, value, operation
//   Constant                                                   value
//   Name                                                       name
//   List, Tuple   items
//   Dictionary    key, value, key, value, ...
//   Not           operand
//   Negative      operand
//   Binary        left, right                                  operation
//   And, Or       left, right
//   Conditional   condition, then, else or `noNode`
//   Attribute     object                                       name
//   Item          object, index
//   Slice         object, start, stop, step (or `noNode`)
//   Call          callee, arguments                            names: of the last arguments
//   Filter        input, arguments                             name; names: of the last arguments
//   Test          input, arguments                             name; names: of the last arguments
//   Text                                                       value
//   Print         expression
//   Block         statements
//   If            condition, body, else or `noNode`
//   For           iterable, condition or `noNode`, body,       names: targets
//                 else or `noNode`
//   Set           expression                                   names: targets
//   SetAttribute  object, expression                           name
//   SetBlock      body, filters (a chain on `BlockText`) or `noNode`   name
//   BlockText
//   Macro         body, default values                         name; names: parameters
//   Break, Continue
//
//===------------------------------------------------------------------------------------------===//

#ifndef INGOT_RUNTIME_CORE_TEMPLATEAST_H
#define INGOT_RUNTIME_CORE_TEMPLATEAST_H

#include "runtime/core/Value.h"

namespace ingot::runtime {

using NodeId = uint32_t;
inline constexpr NodeId noNode = UINT32_MAX;

enum class NodeKind : uint8_t {
  Constant,
  Name,
  List,
  Tuple,
  Dictionary,
  Not,
  Negative,
  Binary,
  And,
  Or,
  Conditional,
  Attribute,
  Item,
  Slice,
  Call,
  Filter,
  Test,
  Text,
  Print,
  Block,
  If,
  For,
  Set,
  SetAttribute,
  SetBlock,
  BlockText,
  Macro,
  Break,
  Continue,
};

enum class Operation : uint8_t {
  Add,
  Subtract,
  Multiply,
  Divide,
  FloorDivide,
  Modulo,
  Power,
  Concatenate,
  Equal,
  NotEqual,
  Less,
  LessEqual,
  Greater,
  GreaterEqual,
  In,
  NotIn,
};

struct TemplateNode {
  NodeKind kind;
  Operation operation = Operation::Add;
  uint32_t line = 0;
  uint32_t depth = 1; ///< of the tree under it
  std::string name;
  std::vector<std::string> names;
  std::vector<NodeId> children;
  Value value;
};

struct TemplateAst {
  std::vector<TemplateNode> nodes;
  NodeId root = noNode;
};

/// Limits on templates, which come with checkpoints and may be anything.
struct TemplateLimits {
  static constexpr size_t sourceBytes = 1 << 18;
  static constexpr uint32_t nesting = 200;      ///< of a template's syntax
  static constexpr uint32_t callDepth = 400;    ///< of running it, through all macros
  static constexpr uint32_t valueDepth = 100;   ///< of lists and dictionaries that it makes
  static constexpr uint64_t steps = 10'000'000; ///< nodes run, and pieces of 16 bytes made
};

} // namespace ingot::runtime

#endif // INGOT_RUNTIME_CORE_TEMPLATEAST_H
