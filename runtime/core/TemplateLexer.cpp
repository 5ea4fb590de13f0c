//===- TemplateLexer.cpp - A chat template's tokens -------------------------------------------===//
//
// Text and tags take turns: `scanText` goes to the next tag and decides which blanks around it
// stay, `scanTag` cuts what is inside. Inside, a tag's end counts only outside of brackets, so that
// `{{ {'a': {}} }}` works as it does in Jinja.
//
//===------------------------------------------------------------------------------------------===//

#include "runtime/core/TemplateLexer.h"
#include "runtime/core/Utf8.h"

#include <algorithm>

using namespace ingot::runtime;

using Kind = TemplateToken::Kind;

static bool isBlank(char c) { return c == ' ' || (c >= '\t' && c <= '\r') || (c >= 28 && c < 32); }
static bool isDigit(char c) { return c >= '0' && c <= '9'; }
static bool isHexDigit(char c) {
  return isDigit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}
static bool isNameStart(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
         static_cast<unsigned char>(c) >= 0x80;
}
static bool isNamePart(char c) { return isNameStart(c) || isDigit(c); }

/// Line breaks become "\n"; one at the end goes away.
static std::string normalizeLineBreaks(std::string_view source) {
  std::string text;
  text.reserve(source.size());
  for (size_t i = 0; i < source.size(); ++i) {
    if (source[i] == '\r' && i + 1 < source.size() && source[i + 1] == '\n')
      continue;
    text += source[i] == '\r' ? '\n' : source[i];
  }
  if (text.ends_with('\n'))
    text.pop_back();
  return text;
}

namespace {
class Lexer {
public:
  explicit Lexer(std::string_view source) : source(normalizeLineBreaks(source)) {}

  Status run();
  std::vector<TemplateToken> tokens;

private:
  char at(size_t i) const { return i < source.size() ? source[i] : '\0'; }
  bool hasAt(size_t i, std::string_view what) const {
    return source.compare(i, what.size(), what) == 0;
  }
  /// Goes on to `end`, counting lines.
  void advance(size_t end) {
    line += std::count(source.begin() + position, source.begin() + end, '\n');
    position = end;
  }
  void skipBlanks() {
    size_t end = position;
    while (end < source.size() && isBlank(source[end]))
      ++end;
    advance(end);
  }
  void push(Kind kind, std::string text = {}) {
    tokens.push_back({kind, static_cast<uint32_t>(line), std::move(text)});
  }
  Status fail(const char *what) const { return INGOT_ERROR("line %zu: %s", line, what); }

  Status scanText();
  void pushText(size_t end, bool isVariable, char sign);
  Status scanComment();
  bool isRawTag(size_t &end) const;
  Status scanRaw();
  bool scanTagEnd(bool isVariable);
  Status scanTag(bool isVariable);
  Status scanToken();
  void scanNumber();
  Status scanString();
  bool scanEscape(std::string &text);

  std::string source;
  size_t position = 0;
  size_t line = 1;
  /// Brackets that are open inside of the tag.
  std::string brackets;
};
} // namespace

Status Lexer::run() {
  while (position < source.size())
    INGOT_RETURN_IF_ERROR(scanText());
  push(Kind::End);
  return Status::success();
}

/// Pushes the text from here to the tag at `end`, less the blanks that the tag takes away.
void Lexer::pushText(size_t end, bool isVariable, char sign) {
  std::string_view text = std::string_view(source).substr(position, end - position);
  if (sign == '-') {
    while (!text.empty() && isBlank(text.back()))
      text.remove_suffix(1);
  } else if (sign != '+' && !isVariable) {
    bool startsLine = position == 0 || source[position - 1] == '\n';
    size_t lineStart = text.rfind('\n') + 1; // 0 where there is no line break
    if ((lineStart > 0 || startsLine) && std::all_of(text.begin() + lineStart, text.end(), isBlank))
      text = text.substr(0, lineStart);
  }
  if (!text.empty())
    push(Kind::Text, std::string(text));
  advance(end);
}

Status Lexer::scanText() {
  size_t tag = position;
  while ((tag = source.find('{', tag)) != std::string::npos) {
    char second = at(tag + 1);
    if (second == '{' || second == '%' || second == '#')
      break;
    ++tag;
  }
  if (tag == std::string::npos) {
    push(Kind::Text, source.substr(position));
    advance(source.size());
    return Status::success();
  }
  bool isVariable = at(tag + 1) == '{';
  char sign = at(tag + 2) == '-' || at(tag + 2) == '+' ? at(tag + 2) : '\0';
  pushText(tag, isVariable, sign);
  if (at(tag + 1) == '#')
    return scanComment();
  if (size_t end; isRawTag(end)) {
    advance(end);
    return scanRaw();
  }
  push(isVariable ? Kind::VariableBegin : Kind::BlockBegin);
  advance(tag + (sign ? 3 : 2));
  return scanTag(isVariable);
}

Status Lexer::scanComment() {
  size_t end = source.find("#}", position + 2);
  if (end == std::string::npos)
    return fail("this comment has no end '#}'");
  bool strips = source[end - 1] == '-' && end > position + 2;
  bool keeps = source[end - 1] == '+' && end > position + 2;
  advance(end + 2);
  if (strips)
    skipBlanks();
  else if (!keeps && at(position) == '\n')
    advance(position + 1);
  return Status::success();
}

/// Whether `{% raw %}` stands here, and where what it protects begins.
bool Lexer::isRawTag(size_t &end) const {
  if (!hasAt(position, "{%"))
    return false;
  size_t i = position + 2;
  i += at(i) == '-' || at(i) == '+';
  while (isBlank(at(i)))
    ++i;
  if (!hasAt(i, "raw"))
    return false;
  for (i += 3; isBlank(at(i));)
    ++i;
  bool strips = at(i) == '-';
  i += strips;
  if (!hasAt(i, "%}"))
    return false;
  for (i += 2; strips && isBlank(at(i));)
    ++i;
  end = i;
  return true;
}

Status Lexer::scanRaw() {
  for (size_t tag = position; (tag = source.find("{%", tag)) != std::string::npos; ++tag) {
    size_t i = tag + 2;
    char sign = at(i) == '-' || at(i) == '+' ? at(i) : '\0';
    i += sign != '\0';
    while (isBlank(at(i)))
      ++i;
    if (!hasAt(i, "endraw"))
      continue;
    for (i += 6; isBlank(at(i));)
      ++i;
    char endSign = at(i) == '-' || at(i) == '+' ? at(i) : '\0';
    i += endSign != '\0';
    if (!hasAt(i, "%}"))
      continue;
    pushText(tag, /*isVariable=*/false, sign);
    advance(i + 2);
    if (endSign == '-')
      skipBlanks();
    else if (endSign != '+' && at(position) == '\n')
      advance(position + 1);
    return Status::success();
  }
  return fail("this 'raw' has no 'endraw'");
}

/// Takes the tag's end if it stands here.
bool Lexer::scanTagEnd(bool isVariable) {
  std::string_view end = isVariable ? "}}" : "%}";
  bool strips = at(position) == '-' && hasAt(position + 1, end);
  bool keeps = !isVariable && at(position) == '+' && hasAt(position + 1, end);
  if (!brackets.empty() || (!strips && !keeps && !hasAt(position, end)))
    return false;
  push(isVariable ? Kind::VariableEnd : Kind::BlockEnd);
  advance(position + 2 + (strips || keeps));
  if (strips)
    skipBlanks();
  else if (!keeps && !isVariable && at(position) == '\n')
    advance(position + 1);
  return true;
}

Status Lexer::scanTag(bool isVariable) {
  brackets.clear();
  size_t begin = line;
  while (position < source.size()) {
    skipBlanks();
    if (scanTagEnd(isVariable))
      return Status::success();
    if (position < source.size())
      INGOT_RETURN_IF_ERROR(scanToken());
  }
  return INGOT_ERROR("line %zu: this tag has no end '%s'", begin, isVariable ? "}}" : "%}");
}

Status Lexer::scanToken() {
  char first = at(position);
  if (isNameStart(first)) {
    size_t end = position;
    while (isNamePart(at(end)))
      ++end;
    push(Kind::Name, source.substr(position, end - position));
    advance(end);
    return Status::success();
  }
  if (isDigit(first)) {
    scanNumber();
    return Status::success();
  }
  if (first == '\'' || first == '"')
    return scanString();
  static constexpr std::string_view operators[] = {
      "//", "**", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[",
      "]",  "(",  ")",  "{",  "}",  ">",  "<", "=", ".", ":", "|", ",",
  };
  for (std::string_view text : operators) {
    if (!hasAt(position, text))
      continue;
    if (text == "(" || text == "[" || text == "{")
      brackets += text == "(" ? ')' : text == "[" ? ']' : '}';
    if (text == ")" || text == "]" || text == "}") {
      if (brackets.empty() || brackets.back() != text[0])
        return fail("a bracket is closed that was not opened");
      brackets.pop_back();
    }
    push(Kind::Operator, std::string(text));
    advance(position + text.size());
    return Status::success();
  }
  std::string shown = isBlank(first) || static_cast<unsigned char>(first) < 32
                          ? "control character"
                          : std::string("'") + first + "'";
  return fail(("unexpected " + shown + " in a tag").c_str());
}

void Lexer::scanNumber() {
  size_t begin = position, end = position;
  std::string digits;
  auto take = [&](bool (*belongs)(char)) {
    for (; belongs(at(end)) || (at(end) == '_' && belongs(at(end + 1))); ++end)
      if (at(end) != '_')
        digits += at(end);
  };
  char radix = at(begin) == '0' ? static_cast<char>(at(begin + 1) | 0x20) : '\0';
  if ((radix == 'x' || radix == 'o' || radix == 'b') && isHexDigit(at(begin + 2))) {
    digits = {'0', radix};
    end += 2;
    take(isHexDigit);
    push(Kind::Integer, digits);
    return advance(end);
  }
  take(isDigit);
  bool isReal = false;
  bool followsDot = begin > 0 && source[begin - 1] == '.';
  if (!followsDot && at(end) == '.' && isDigit(at(end + 1))) {
    isReal = true;
    digits += source[end++];
    take(isDigit);
  }
  size_t exponent = end + 1 + (at(end + 1) == '+' || at(end + 1) == '-');
  if (!followsDot && (at(end) | 0x20) == 'e' && isDigit(at(exponent))) {
    isReal = true;
    digits.append(source, end, exponent - end);
    end = exponent;
    take(isDigit);
  }
  push(isReal ? Kind::Float : Kind::Integer, digits);
  advance(end);
}

Status Lexer::scanString() {
  char quote = at(position);
  size_t begin = line;
  std::string text;
  advance(position + 1);
  while (position < source.size() && at(position) != quote) {
    if (at(position) == '\\') {
      if (!scanEscape(text))
        return fail("a string has a bad escape");
      continue;
    }
    text += at(position);
    advance(position + 1);
  }
  if (position >= source.size())
    return INGOT_ERROR("line %zu: this string has no end", begin);
  push(Kind::String, std::move(text));
  advance(position + 1);
  return Status::success();
}

/// Appends what the backslash and the characters after it stand for, by Python's rules.
bool Lexer::scanEscape(std::string &text) {
  char letter = at(position + 1);
  if (position + 1 >= source.size())
    return false;
  static constexpr std::string_view letters = "\\'\"abfnrtv", meanings = "\\'\"\a\b\f\n\r\t\v";
  if (size_t index = letters.find(letter); index != letters.npos) {
    text += meanings[index];
    advance(position + 2);
    return true;
  }
  size_t digits = letter == 'x' ? 2 : letter == 'u' ? 4 : letter == 'U' ? 8 : 0;
  bool isOctal = letter >= '0' && letter <= '7';
  if (letter == '\n' || (!digits && !isOctal)) {
    if (letter != '\n')
      (text += '\\') += letter;
    advance(position + 2);
    return true;
  }
  size_t i = position + (isOctal ? 1 : 2), end = i + (isOctal ? 3 : digits);
  uint32_t value = 0;
  for (; i < end && (isOctal ? at(i) >= '0' && at(i) <= '7' : isHexDigit(at(i))); ++i)
    value = isOctal ? value * 8 + (at(i) - '0')
                    : value * 16 + (isDigit(at(i)) ? at(i) - '0' : (at(i) | 0x20) - 'a' + 10);
  if (!isOctal && i < end)
    return false;
  appendUtf8(value, text);
  advance(i);
  return true;
}

Result<std::vector<TemplateToken>> ingot::runtime::scanTemplate(std::string_view source) {
  Lexer lexer(source);
  if (Status status = lexer.run(); !status)
    return status;
  return std::move(lexer.tokens);
}
