//===- TemplateParser.cpp - From a chat template's text to its tree ---------------------------===//
//
// Recursive descent, a function for each level of precedence. After the first error the cursor
// stays at the End token, where every loop stops, so only `parseTemplate` has to look at the
// status.
//
//===------------------------------------------------------------------------------------------===//

#include "runtime/core/TemplateParser.h"
#include "runtime/core/TemplateLexer.h"

#include <algorithm>
#include <charconv>
#include <initializer_list>

using namespace ingot::runtime;

using Token = TemplateToken;

namespace {
class Parser {
public:
  explicit Parser(std::vector<Token> tokens) : tokens(std::move(tokens)) {}

  Status run();
  TemplateAst ast;

private:
  /// Counts how deep the parser is inside of itself.
  class Guard {
  public:
    explicit Guard(Parser &parser) : parser(parser) {
      if (++parser.nesting > TemplateLimits::nesting)
        parser.fail("the template is nested more than " + std::to_string(TemplateLimits::nesting) +
                    " levels");
    }
    ~Guard() { --parser.nesting; }

  private:
    Parser &parser;
  };

  const Token &token() const { return tokens[cursor]; }
  const Token &following() const { return tokens[std::min(cursor + 1, tokens.size() - 1)]; }
  bool is(Token::Kind kind, std::string_view text = {}) const {
    return token().kind == kind && (text.empty() || token().text == text);
  }
  bool isOperator(std::string_view text) const { return is(Token::Operator, text); }
  bool isName(std::string_view text) const { return is(Token::Name, text); }
  bool take(Token::Kind kind, std::string_view text = {}) {
    bool found = is(kind, text);
    cursor += found && cursor + 1 < tokens.size();
    return found;
  }
  void expect(Token::Kind kind, std::string_view text = {});
  std::string takeName(const char *what);
  void fail(std::string what) {
    if (status)
      status = INGOT_ERROR("line %u: %s", token().line, what.c_str());
    cursor = tokens.size() - 1;
  }
  std::string show() const;

  NodeId add(NodeKind kind, uint32_t line, std::vector<NodeId> children = {});
  NodeId addConstant(Value value);
  TemplateNode &node(NodeId id) { return ast.nodes[id]; }

  // Statements
  NodeId parseBody(std::initializer_list<std::string_view> ends);
  NodeId parseStatement();
  NodeId parseIf();
  NodeId parseFor();
  NodeId parseSet();
  NodeId parseMacro();
  NodeId parseGeneration();
  void endBlock(std::string_view keyword);
  std::vector<std::string> parseTargets();

  // Expressions, from the loosest to the tightest
  NodeId parseTuple(bool withConditional = true);
  NodeId parseExpression();
  NodeId parseOr();
  NodeId parseAnd();
  NodeId parseNot();
  NodeId parseComparison();
  bool takeComparison(Operation &operation);
  NodeId parseSum();
  NodeId parseConcatenation();
  NodeId parseProduct();
  NodeId parsePower();
  NodeId parseUnary(bool withFilter = true);
  NodeId parsePrimary();
  NodeId parseNumber();
  NodeId parseListOrDictionary();
  NodeId parsePostfix(NodeId operand);
  NodeId parseSubscript(NodeId operand);
  NodeId parseFilters(NodeId operand);
  NodeId parseFilter(NodeId operand);
  NodeId parseTest(NodeId operand);
  void parseArguments(NodeId call);

  std::vector<Token> tokens;
  size_t cursor = 0;
  uint32_t nesting = 0;
  uint32_t loops = 0; ///< that enclose the statement
  Status status;
};
} // namespace

Status Parser::run() {
  ast.root = parseBody({});
  return std::move(status);
}

std::string Parser::show() const {
  switch (token().kind) {
  case Token::Text:
  case Token::BlockBegin:
  case Token::VariableBegin:
    return "text";
  case Token::BlockEnd:
    return "'%}'";
  case Token::VariableEnd:
    return "'}}'";
  case Token::String:
    return "a string";
  case Token::End:
    return "the template's end";
  default:
    return "'" + token().text + "'";
  }
}

void Parser::expect(Token::Kind kind, std::string_view text) {
  if (take(kind, text))
    return;
  std::string wanted = kind == Token::BlockEnd      ? "%}"
                       : kind == Token::VariableEnd ? "}}"
                                                    : std::string(text);
  fail("expected '" + wanted + "', found " + show());
}

std::string Parser::takeName(const char *what) {
  if (!is(Token::Name)) {
    fail(std::string("expected ") + what + ", found " + show());
    return {};
  }
  return tokens[cursor++].text;
}

NodeId Parser::add(NodeKind kind, uint32_t line, std::vector<NodeId> children) {
  TemplateNode result;
  result.kind = kind;
  result.line = line;
  for (NodeId child : children)
    if (child != noNode)
      result.depth = std::max(result.depth, node(child).depth + 1);
  if (result.depth > TemplateLimits::nesting)
    fail("the template is nested more than " + std::to_string(TemplateLimits::nesting) + " levels");
  result.children = std::move(children);
  ast.nodes.push_back(std::move(result));
  return static_cast<NodeId>(ast.nodes.size() - 1);
}

NodeId Parser::addConstant(Value value) {
  NodeId id = add(NodeKind::Constant, token().line);
  node(id).value = std::move(value);
  return id;
}

//===------------------------------------------------------------------------------------------===//
// Statements
//===------------------------------------------------------------------------------------------===//

/// Statements up to a block tag whose keyword is one of `ends`, which is left to the caller.
NodeId Parser::parseBody(std::initializer_list<std::string_view> ends) {
  Guard guard(*this);
  uint32_t line = token().line;
  std::vector<NodeId> statements;
  while (true) {
    if (is(Token::BlockBegin) && following().kind == Token::Name &&
        std::find(ends.begin(), ends.end(), following().text) != ends.end()) {
      ++cursor;
      break;
    }
    if (is(Token::End)) {
      if (ends.size())
        fail("expected '" + std::string(*(ends.end() - 1)) + "', found the template's end");
      break;
    }
    statements.push_back(parseStatement());
  }
  return add(NodeKind::Block, line, std::move(statements));
}

/// The rest of the tag `keyword`, and its end.
void Parser::endBlock(std::string_view keyword) {
  expect(Token::Name, keyword);
  expect(Token::BlockEnd);
}

NodeId Parser::parseStatement() {
  uint32_t line = token().line;
  if (is(Token::Text)) {
    NodeId text = add(NodeKind::Text, line);
    node(text).value = Value::string(tokens[cursor++].text);
    return text;
  }
  if (take(Token::VariableBegin)) {
    NodeId print = add(NodeKind::Print, line, {parseTuple()});
    expect(Token::VariableEnd);
    return print;
  }
  expect(Token::BlockBegin);
  std::string keyword = takeName("a statement");
  if (keyword == "if")
    return parseIf();
  if (keyword == "for")
    return parseFor();
  if (keyword == "set")
    return parseSet();
  if (keyword == "macro")
    return parseMacro();
  if (keyword == "generation")
    return parseGeneration();
  if (keyword == "break" || keyword == "continue") {
    if (!loops)
      fail("'" + keyword + "' stands outside of a loop");
    expect(Token::BlockEnd);
    return add(keyword == "break" ? NodeKind::Break : NodeKind::Continue, line);
  }
  fail("statement '" + keyword + "' is not supported here");
  return noNode;
}

NodeId Parser::parseIf() {
  uint32_t line = token().line;
  NodeId condition = parseTuple(/*withConditional=*/false);
  expect(Token::BlockEnd);
  NodeId body = parseBody({"elif", "else", "endif"}), otherwise = noNode;
  if (take(Token::Name, "elif")) {
    Guard guard(*this);
    otherwise = parseIf();
  } else if (take(Token::Name, "else")) {
    expect(Token::BlockEnd);
    otherwise = parseBody({"endif"});
    endBlock("endif");
  } else {
    endBlock("endif");
  }
  return add(NodeKind::If, line, {condition, body, otherwise});
}

std::vector<std::string> Parser::parseTargets() {
  bool hasParenthesis = take(Token::Operator, "(");
  std::vector<std::string> names;
  do {
    names.push_back(takeName("a variable's name"));
  } while (take(Token::Operator, ","));
  if (hasParenthesis)
    expect(Token::Operator, ")");
  return names;
}

NodeId Parser::parseFor() {
  uint32_t line = token().line;
  std::vector<std::string> targets = parseTargets();
  expect(Token::Name, "in");
  NodeId iterable = parseTuple(/*withConditional=*/false), condition = noNode, otherwise = noNode;
  if (take(Token::Name, "if"))
    condition = parseExpression();
  if (isName("recursive"))
    fail("recursive loops are not supported");
  expect(Token::BlockEnd);
  ++loops;
  NodeId body = parseBody({"else", "endfor"});
  --loops;
  if (take(Token::Name, "else")) {
    expect(Token::BlockEnd);
    otherwise = parseBody({"endfor"});
  }
  endBlock("endfor");
  NodeId loop = add(NodeKind::For, line, {iterable, condition, body, otherwise});
  node(loop).names = std::move(targets);
  return loop;
}

NodeId Parser::parseSet() {
  uint32_t line = token().line;
  if (is(Token::Name) && following().text == "." && following().kind == Token::Operator) {
    NodeId object = add(NodeKind::Name, line);
    node(object).name = takeName("a variable's name");
    expect(Token::Operator, ".");
    std::string attribute = takeName("an attribute's name");
    expect(Token::Operator, "=");
    NodeId set = add(NodeKind::SetAttribute, line, {object, parseTuple()});
    node(set).name = std::move(attribute);
    expect(Token::BlockEnd);
    return set;
  }
  std::vector<std::string> targets = parseTargets();
  if (take(Token::Operator, "=")) {
    NodeId set = add(NodeKind::Set, line, {parseTuple()});
    node(set).names = std::move(targets);
    expect(Token::BlockEnd);
    return set;
  }
  if (targets.size() > 1)
    fail("a block can be set to one variable only");
  NodeId filters = noNode;
  if (isOperator("|"))
    filters = parseFilters(add(NodeKind::BlockText, line));
  expect(Token::BlockEnd);
  NodeId body = parseBody({"endset"});
  endBlock("endset");
  NodeId set = add(NodeKind::SetBlock, line, {body, filters});
  node(set).name = targets.empty() ? "" : targets.front();
  return set;
}

NodeId Parser::parseMacro() {
  uint32_t line = token().line;
  std::string name = takeName("a macro's name");
  std::vector<std::string> parameters;
  std::vector<NodeId> children = {noNode};
  expect(Token::Operator, "(");
  while (!isOperator(")") && !is(Token::End)) {
    parameters.push_back(takeName("a parameter's name"));
    if (take(Token::Operator, "="))
      children.push_back(parseExpression());
    else if (children.size() > 1)
      fail("a parameter without a default value follows one that has one");
    if (!take(Token::Operator, ","))
      break;
  }
  expect(Token::Operator, ")");
  expect(Token::BlockEnd);
  uint32_t outerLoops = std::exchange(loops, 0);
  children[0] = parseBody({"endmacro"});
  loops = outerLoops;
  endBlock("endmacro");
  NodeId macro = add(NodeKind::Macro, line, std::move(children));
  node(macro).name = std::move(name);
  node(macro).names = std::move(parameters);
  return macro;
}

/// Marks what a model is trained on; prints like any text.
NodeId Parser::parseGeneration() {
  expect(Token::BlockEnd);
  NodeId body = parseBody({"endgeneration"});
  endBlock("endgeneration");
  return body;
}

//===------------------------------------------------------------------------------------------===//
// Expressions
//===------------------------------------------------------------------------------------------===//

NodeId Parser::parseTuple(bool withConditional) {
  uint32_t line = token().line;
  std::vector<NodeId> items = {withConditional ? parseExpression() : parseOr()};
  bool isTuple = false;
  while (take(Token::Operator, ",")) {
    isTuple = true;
    if (is(Token::VariableEnd) || is(Token::BlockEnd) || isOperator(")"))
      break;
    items.push_back(withConditional ? parseExpression() : parseOr());
  }
  return isTuple ? add(NodeKind::Tuple, line, std::move(items)) : items[0];
}

NodeId Parser::parseExpression() {
  Guard guard(*this);
  NodeId value = parseOr();
  while (isName("if")) {
    uint32_t line = tokens[cursor++].line;
    NodeId condition = parseOr();
    NodeId otherwise = take(Token::Name, "else") ? parseExpression() : noNode;
    value = add(NodeKind::Conditional, line, {condition, value, otherwise});
  }
  return value;
}

NodeId Parser::parseOr() {
  NodeId left = parseAnd();
  while (isName("or")) {
    uint32_t line = tokens[cursor++].line;
    left = add(NodeKind::Or, line, {left, parseAnd()});
  }
  return left;
}

NodeId Parser::parseAnd() {
  NodeId left = parseNot();
  while (isName("and")) {
    uint32_t line = tokens[cursor++].line;
    left = add(NodeKind::And, line, {left, parseNot()});
  }
  return left;
}

NodeId Parser::parseNot() {
  if (!isName("not"))
    return parseComparison();
  Guard guard(*this);
  uint32_t line = token().line;
  take(Token::Name, "not");
  return add(NodeKind::Not, line, {parseNot()});
}

bool Parser::takeComparison(Operation &operation) {
  static constexpr std::pair<std::string_view, Operation> operators[] = {
      {"==", Operation::Equal},  {"!=", Operation::NotEqual},  {"<", Operation::Less},
      {">", Operation::Greater}, {"<=", Operation::LessEqual}, {">=", Operation::GreaterEqual}};
  for (auto [text, found] : operators) {
    if (take(Token::Operator, text)) {
      operation = found;
      return true;
    }
  }
  if (take(Token::Name, "in")) {
    operation = Operation::In;
    return true;
  }
  if (isName("not") && following().kind == Token::Name && following().text == "in") {
    cursor += 2;
    operation = Operation::NotIn;
    return true;
  }
  return false;
}

/// `a < b < c` becomes `a < b and b < c`; expressions have no effects, so b may run twice.
NodeId Parser::parseComparison() {
  NodeId left = parseSum(), result = noNode;
  Operation operation;
  uint32_t line = token().line;
  while (takeComparison(operation)) {
    NodeId right = parseSum();
    NodeId compare = add(NodeKind::Binary, line, {left, right});
    node(compare).operation = operation;
    result = result == noNode ? compare : add(NodeKind::And, line, {result, compare});
    left = right;
    line = token().line;
  }
  return result == noNode ? left : result;
}

NodeId Parser::parseSum() {
  NodeId left = parseConcatenation();
  while (isOperator("+") || isOperator("-")) {
    Operation operation = isOperator("+") ? Operation::Add : Operation::Subtract;
    uint32_t line = tokens[cursor++].line;
    left = add(NodeKind::Binary, line, {left, parseConcatenation()});
    node(left).operation = operation;
  }
  return left;
}

NodeId Parser::parseConcatenation() {
  NodeId left = parseProduct();
  while (isOperator("~")) {
    uint32_t line = tokens[cursor++].line;
    left = add(NodeKind::Binary, line, {left, parseProduct()});
    node(left).operation = Operation::Concatenate;
  }
  return left;
}

NodeId Parser::parseProduct() {
  static constexpr std::pair<std::string_view, Operation> operators[] = {
      {"*", Operation::Multiply},
      {"/", Operation::Divide},
      {"//", Operation::FloorDivide},
      {"%", Operation::Modulo}};
  NodeId left = parsePower();
  while (true) {
    auto found = std::find_if(std::begin(operators), std::end(operators),
                              [&](auto &entry) { return isOperator(entry.first); });
    if (found == std::end(operators))
      return left;
    uint32_t line = tokens[cursor++].line;
    left = add(NodeKind::Binary, line, {left, parsePower()});
    node(left).operation = found->second;
  }
}

NodeId Parser::parsePower() {
  NodeId left = parseUnary();
  while (isOperator("**")) {
    uint32_t line = tokens[cursor++].line;
    left = add(NodeKind::Binary, line, {left, parseUnary()});
    node(left).operation = Operation::Power;
  }
  return left;
}

NodeId Parser::parseUnary(bool withFilter) {
  Guard guard(*this);
  uint32_t line = token().line;
  NodeId operand;
  if (take(Token::Operator, "-"))
    operand = add(NodeKind::Negative, line, {parseUnary(/*withFilter=*/false)});
  else if (take(Token::Operator, "+"))
    operand = parseUnary(/*withFilter=*/false);
  else
    operand = parsePrimary();
  operand = parsePostfix(operand);
  return withFilter ? parseFilters(operand) : operand;
}

NodeId Parser::parseNumber() {
  const Token &number = token();
  std::string_view digits = number.text;
  Value value;
  bool isValid;
  if (number.kind == Token::Float) {
    double real = 0;
    isValid = std::from_chars(digits.data(), digits.data() + digits.size(), real).ec == std::errc();
    value = Value::real(real);
  } else {
    int base = digits.size() < 3  ? 10
               : digits[1] == 'x' ? 16
               : digits[1] == 'o' ? 8
               : digits[1] == 'b' ? 2
                                  : 10;
    digits.remove_prefix(base == 10 ? 0 : 2);
    int64_t integer = 0;
    auto end = std::from_chars(digits.data(), digits.data() + digits.size(), integer, base);
    isValid = end.ec == std::errc() && end.ptr == digits.data() + digits.size();
    value = Value::integer(integer);
  }
  NodeId id = addConstant(std::move(value));
  if (!isValid)
    fail("number '" + number.text + "' is out of range");
  else
    ++cursor;
  return id;
}

NodeId Parser::parsePrimary() {
  if (is(Token::Integer) || is(Token::Float))
    return parseNumber();
  if (is(Token::String)) {
    std::string text;
    while (is(Token::String))
      text += tokens[cursor++].text;
    return addConstant(Value::string(std::move(text)));
  }
  if (is(Token::Name)) {
    std::string name = tokens[cursor++].text;
    if (name == "true" || name == "True")
      return addConstant(Value::boolean(true));
    if (name == "false" || name == "False")
      return addConstant(Value::boolean(false));
    if (name == "none" || name == "None")
      return addConstant(Value::none());
    NodeId id = add(NodeKind::Name, token().line);
    node(id).name = std::move(name);
    return id;
  }
  if (isOperator("[") || isOperator("{"))
    return parseListOrDictionary();
  uint32_t line = token().line;
  if (take(Token::Operator, "(")) {
    NodeId inner = isOperator(")") ? add(NodeKind::Tuple, line) : parseTuple();
    expect(Token::Operator, ")");
    return inner;
  }
  fail("expected an expression, found " + show());
  return add(NodeKind::Constant, line);
}

NodeId Parser::parseListOrDictionary() {
  uint32_t line = token().line;
  bool isDictionary = isOperator("{");
  std::string_view end = isDictionary ? "}" : "]";
  ++cursor;
  std::vector<NodeId> children;
  while (!isOperator(end) && !is(Token::End)) {
    children.push_back(parseExpression());
    if (isDictionary) {
      expect(Token::Operator, ":");
      children.push_back(parseExpression());
    }
    if (!take(Token::Operator, ","))
      break;
  }
  expect(Token::Operator, end);
  return add(isDictionary ? NodeKind::Dictionary : NodeKind::List, line, std::move(children));
}

NodeId Parser::parsePostfix(NodeId operand) {
  while (true) {
    uint32_t line = token().line;
    if (take(Token::Operator, ".")) {
      if (is(Token::Integer)) {
        operand = add(NodeKind::Item, line, {operand, parseNumber()});
      } else {
        operand = add(NodeKind::Attribute, line, {operand});
        node(operand).name = takeName("an attribute's name");
      }
    } else if (isOperator("[")) {
      operand = parseSubscript(operand);
    } else if (isOperator("(")) {
      operand = add(NodeKind::Call, line, {operand});
      parseArguments(operand);
    } else {
      return operand;
    }
  }
}

NodeId Parser::parseSubscript(NodeId operand) {
  uint32_t line = token().line;
  expect(Token::Operator, "[");
  NodeId bounds[3] = {noNode, noNode, noNode};
  int colons = 0;
  if (!isOperator(":"))
    bounds[0] = parseExpression();
  while (colons < 2 && take(Token::Operator, ":")) {
    ++colons;
    if (!isOperator(":") && !isOperator("]"))
      bounds[colons] = parseExpression();
  }
  expect(Token::Operator, "]");
  if (!colons)
    return add(NodeKind::Item, line, {operand, bounds[0]});
  return add(NodeKind::Slice, line, {operand, bounds[0], bounds[1], bounds[2]});
}

NodeId Parser::parseFilters(NodeId operand) {
  while (true) {
    if (isOperator("|"))
      operand = parseFilter(operand);
    else if (isName("is"))
      operand = parseTest(operand);
    else if (isOperator("("))
      operand = parsePostfix(operand);
    else
      return operand;
  }
}

NodeId Parser::parseFilter(NodeId operand) {
  uint32_t line = token().line;
  expect(Token::Operator, "|");
  NodeId filter = add(NodeKind::Filter, line, {operand});
  std::string name = takeName("a filter's name");
  node(filter).name = std::move(name);
  if (isOperator("("))
    parseArguments(filter);
  return filter;
}

NodeId Parser::parseTest(NodeId operand) {
  uint32_t line = token().line;
  expect(Token::Name, "is");
  bool isNegated = take(Token::Name, "not");
  NodeId test = add(NodeKind::Test, line, {operand});
  std::string name = takeName("a test's name");
  node(test).name = std::move(name);
  bool startsOperand = is(Token::String) || is(Token::Integer) || is(Token::Float) ||
                       isOperator("[") || isOperator("{") ||
                       (is(Token::Name) && !isName("else") && !isName("or") && !isName("and"));
  if (isOperator("(")) {
    parseArguments(test);
  } else if (isName("is")) {
    fail("tests cannot be chained with 'is'");
  } else if (startsOperand && !isName("if") && !isName("in") && !isName("not")) {
    NodeId argument = parsePostfix(parsePrimary());
    node(test).children.push_back(argument);
    node(test).depth = std::max(node(test).depth, node(argument).depth + 1);
  }
  return isNegated ? add(NodeKind::Not, line, {test}) : test;
}

/// Adds `(a, b, name=c)` to the children and names of `call`.
void Parser::parseArguments(NodeId call) {
  expect(Token::Operator, "(");
  while (!isOperator(")") && !is(Token::End)) {
    bool isNamed =
        is(Token::Name) && following().kind == Token::Operator && following().text == "=";
    if (isNamed) {
      std::string name = takeName("an argument's name");
      ++cursor;
      node(call).names.push_back(std::move(name));
    } else if (!node(call).names.empty()) {
      fail("an argument without a name follows one with a name");
    } else if (isOperator("*") || isOperator("**")) {
      fail("arguments with '*' are not supported");
    }
    NodeId argument = parseExpression();
    node(call).children.push_back(argument);
    node(call).depth = std::max(node(call).depth, node(argument).depth + 1);
    if (!take(Token::Operator, ","))
      break;
  }
  expect(Token::Operator, ")");
}

Result<TemplateAst> ingot::runtime::parseTemplate(std::string_view source) {
  if (source.size() > TemplateLimits::sourceBytes)
    return INGOT_ERROR("the template has %zu bytes, more than %zu", source.size(),
                       TemplateLimits::sourceBytes);
  Result<std::vector<TemplateToken>> tokens = scanTemplate(source);
  if (!tokens)
    return tokens.takeStatus();
  Parser parser(std::move(*tokens));
  if (Status status = parser.run(); !status)
    return status;
  return std::move(parser.ast);
}
