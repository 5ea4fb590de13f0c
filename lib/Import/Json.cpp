//===- Json.cpp - JSON from outside -----------------------------------------------------------===//

#include "ingot/Import/Json.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/ConvertUTF.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Process.h"
#include <sys/mman.h>

using namespace ingot;
using llvm::createStringError;
using llvm::StringRef;
using llvm::Twine;

/// Deeper than any published file; the parser's stack is safe far beyond.
static constexpr unsigned maxNesting = 64;

llvm::Expected<std::unique_ptr<llvm::MemoryBuffer>> ingot::openFile(StringRef path) {
  llvm::sys::fs::file_status status;
  if (std::error_code error = llvm::sys::fs::status(path, status))
    return createStringError(path + ": " + error.message());
  if (!llvm::sys::fs::is_regular_file(status))
    return createStringError(path + ": not a regular file");
  auto buffer =
      llvm::MemoryBuffer::getFile(path, /*IsText=*/false, /*RequiresNullTerminator=*/false);
  if (!buffer)
    return createStringError(path + ": " + buffer.getError().message());
  return std::move(*buffer);
}

std::string ingot::joinPath(StringRef folder, StringRef name) {
  llvm::SmallString<128> path(folder);
  llvm::sys::path::append(path, name);
  return path.str().str();
}

void ingot::releasePages(const llvm::MemoryBuffer &buffer) {
  if (buffer.getBufferKind() != llvm::MemoryBuffer::MemoryBuffer_MMap)
    return; // would lose what is there
  // LLVM's dontNeedIfMmap is posix_madvise, which does nothing in glibc.
  auto begin = reinterpret_cast<uintptr_t>(buffer.getBufferStart());
  uintptr_t aligned = begin & -uintptr_t(llvm::sys::Process::getPageSizeEstimate());
  madvise(reinterpret_cast<void *>(aligned), begin - aligned + buffer.getBufferSize(),
          MADV_DONTNEED);
}

/// How deep arrays and objects nest, whatever else is wrong with the text.
static unsigned measureNesting(StringRef text) {
  unsigned depth = 0, deepest = 0;
  bool inString = false;
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (inString) {
      if (c == '\\')
        ++i;
      else if (c == '"')
        inString = false;
    } else if (c == '"') {
      inString = true;
    } else if (c == '[' || c == '{') {
      deepest = std::max(deepest, ++depth);
    } else if ((c == ']' || c == '}') && depth) {
      --depth;
    }
  }
  return deepest;
}

/// The code unit of an escape \uXXXX at the start of `text`.
static std::optional<unsigned> readEscape(StringRef text) {
  unsigned unit;
  if (!text.starts_with("\\u") || text.size() < 6 || text.substr(2, 4).getAsInteger(16, unit))
    return std::nullopt;
  return unit;
}

/// The text with escaped surrogate pairs as the characters that they mean: LLVM 22's parser puts
/// their halves together with `or` where it should add, which is wrong from U+20000 on.
static std::string joinSurrogates(StringRef text) {
  std::string result;
  result.reserve(text.size());
  while (!text.empty()) {
    size_t plain = std::min(text.find('\\'), text.size());
    result += text.take_front(plain);
    text = text.drop_front(plain);
    if (text.empty())
      break;
    auto high = readEscape(text),
         low = readEscape(text.drop_front(std::min<size_t>(6, text.size())));
    if (high && low && *high >> 10 == 0xD800 >> 10 && *low >> 10 == 0xDC00 >> 10) {
      char bytes[4], *end = bytes;
      llvm::ConvertCodePointToUTF8(0x10000 + ((*high & 0x3FF) << 10) + (*low & 0x3FF), end);
      result.append(bytes, end);
      text = text.drop_front(12);
    } else {
      result += text.take_front(2); // an escape of one character, or the start of one of four
      text = text.drop_front(std::min<size_t>(2, text.size()));
    }
  }
  return result;
}

llvm::Expected<llvm::json::Value> ingot::parseJson(StringRef text, StringRef file) {
  if (unsigned depth = measureNesting(text); depth > maxNesting)
    return createStringError(file + ": JSON nests " + Twine(depth) + " deep, more than " +
                             Twine(maxNesting));
  std::string joined;
  if (text.contains_insensitive("\\ud"))
    text = joined = joinSurrogates(text);
  auto value = llvm::json::parse(text);
  if (!value)
    return createStringError(file + ": not JSON: " + llvm::toString(value.takeError()));
  return value;
}

llvm::Expected<llvm::json::Object> ingot::readJsonObject(StringRef path) {
  auto buffer = openFile(path);
  if (!buffer)
    return buffer.takeError();
  auto value = parseJson((*buffer)->getBuffer(), path);
  if (!value)
    return value.takeError();
  if (auto *object = value->getAsObject())
    return std::move(*object);
  return createStringError(path + ": expected a JSON object, got " + getTypeName(*value));
}

StringRef ingot::getTypeName(const llvm::json::Value &value) {
  switch (value.kind()) {
  case llvm::json::Value::Null:
    return "null";
  case llvm::json::Value::Boolean:
    return "bool";
  case llvm::json::Value::Number:
    return "number";
  case llvm::json::Value::String:
    return "string";
  case llvm::json::Value::Array:
    return "array";
  case llvm::json::Value::Object:
    return "object";
  }
  return "value";
}

std::string ingot::quoteName(StringRef name) {
  std::string text;
  llvm::raw_string_ostream stream(text);
  stream << '\'';
  llvm::printEscapedString(name.take_front(100), stream);
  stream << (name.size() > 100 ? "...'" : "'");
  return text;
}
