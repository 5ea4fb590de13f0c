//===- TokenizerRegex.cpp - Regular expressions of tokenizer files in PCRE2's words -----------===//
//
//   Oniguruma       PCRE2
//   \s \S           \p{White_Space}, \P{White_Space}     PCRE2's own \s has U+180E too
//   \w \W           a class of letters, marks, decimal digits, connectors
//   [a[bc]]         [abc]                                a class in a class
//   [a&&b]          refused
//
//===------------------------------------------------------------------------------------------===//

#include "TokenizerRegex.h"
#include "ingot/Import/Json.h"

using namespace ingot;
using llvm::StringRef;

static constexpr StringRef wordClass = R"(\p{Alphabetic}\p{M}\p{Nd}\p{Pc})";

std::string import::quotePattern(StringRef text) {
  std::string result;
  for (char c : text) {
    if (StringRef("\\^$.[]|()?*+{}-#").contains(c))
      result += '\\';
    result += c;
  }
  return result;
}

llvm::Expected<std::string> import::convertPattern(StringRef regex) {
  std::string result;
  unsigned depth = 0; // of classes
  auto refuse = [&](StringRef what) {
    return llvm::createStringError(
        what + " in a regular expression is not supported: " + quoteName(regex));
  };
  for (size_t i = 0; i < regex.size(); ++i) {
    char c = regex[i], next = i + 1 < regex.size() ? regex[i + 1] : '\0';
    if (c == '\\') {
      ++i;
      if (next == 's' || next == 'S') {
        result += next == 's' ? R"(\p{White_Space})" : R"(\P{White_Space})";
      } else if (next == 'w' || next == 'W') {
        if (depth && next == 'W')
          return refuse("\\W in a class");
        result += depth ? wordClass.str() : (next == 'w' ? "[" : "[^") + wordClass.str() + "]";
      } else if (next == 'h' || next == 'H' || next == 'R' || next == 'X' || next == 'O' ||
                 next == 'N' || next == 'K' || next == 'G' || next == 'y' || next == 'Y') {
        return refuse((llvm::Twine("\\") + llvm::Twine(next)).str());
      } else {
        result += c;
        result += next;
      }
      continue;
    }
    if (c == '[') {
      bool isNamed = depth && next == ':';
      if (depth && !isNamed) {
        if (next == '^')
          return refuse("a negated class in a class");
        ++depth; // its members join those of the outer one
        continue;
      }
      if (isNamed) {
        size_t end = regex.find(":]", i);
        if (end == StringRef::npos)
          return refuse("an open class");
        result += regex.substr(i, end + 2 - i);
        i = end + 1;
        continue;
      }
      ++depth;
      result += c;
      if (next == '^') {
        result += next;
        ++i;
      }
      // A bracket that comes first is a member.
      if (i + 1 < regex.size() && regex[i + 1] == ']') {
        result += "\\]";
        ++i;
      }
      continue;
    }
    if (c == ']' && depth) {
      if (--depth == 0)
        result += c;
      continue;
    }
    if (depth && c == '&' && next == '&')
      return refuse("an intersection of classes");
    result += c;
  }
  if (depth)
    return refuse("an open class");
  return result;
}
