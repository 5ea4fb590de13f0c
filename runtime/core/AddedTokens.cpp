//===- AddedTokens.cpp - Tokens that are found in text before it is cut into words ------------===//

#include "runtime/core/AddedTokens.h"
#include "ingot/Artifact/Format.h"
#include "runtime/core/TextSteps.h"
#include "runtime/core/Utf8.h"

#include <algorithm>

using namespace ingot;
using namespace ingot::runtime;

/// Bounds the time of a match; no real token comes near.
static constexpr size_t maxTokenBytes = 1024;

void AddedTokens::add(std::string text, uint32_t id, uint8_t flags, bool isControl) {
  // A match must begin and end between characters, so it is whole text itself.
  if (text.empty() || text.size() > maxTokenBytes || !isValidUtf8(text))
    return;
  begins[static_cast<uint8_t>(text[0])] = true;
  tokens.push_back({std::move(text), id, flags, isControl});
}

void AddedTokens::finish() {
  std::sort(tokens.begin(), tokens.end(), [](const Token &a, const Token &b) {
    int order = a.text.compare(b.text);
    return order ? order < 0 : a.id < b.id;
  });
}

const AddedTokens::Token *AddedTokens::matchAt(std::string_view text, bool parseControl) const {
  // [begin, end): the tokens that begin with the first `length` bytes of the text. They are sorted,
  // so the shortest of them, the only one that can be over, comes first.
  auto begin = tokens.begin(), end = tokens.end();
  const Token *best = nullptr;
  for (size_t length = 0; begin != end; ++length) {
    for (; begin->text.size() == length;) {
      if ((parseControl || !begin->isControl) && (!best || best->text.size() < length))
        best = &*begin;
      if (++begin == end)
        return best;
    }
    if (length == text.size())
      return best;
    uint8_t next = static_cast<uint8_t>(text[length]);
    auto byteOf = [&](const Token &token) { return static_cast<uint8_t>(token.text[length]); };
    begin = std::partition_point(begin, end, [&](auto &token) { return byteOf(token) < next; });
    end = std::partition_point(begin, end, [&](auto &token) { return byteOf(token) <= next; });
  }
  return best;
}

/// The first byte of the character that ends at `end`.
static size_t characterBefore(std::string_view text, size_t end) {
  size_t start = end - 1;
  while (start > 0 && (static_cast<uint8_t>(text[start]) & 0xC0) == 0x80)
    --start;
  return start;
}

static uint32_t characterAt(std::string_view text, size_t at) {
  return decodeUtf8(text.substr(at), scanUtf8(text.substr(at)).length);
}

std::optional<AddedTokens::Match> AddedTokens::findNext(std::string_view text, size_t from,
                                                        bool parseControl) const {
  for (size_t at = from; at < text.size(); ++at) {
    const Token *token =
        begins[static_cast<uint8_t>(text[at])] ? matchAt(text.substr(at), parseControl) : nullptr;
    if (!token)
      continue;
    Match match{at, at + token->text.size(), static_cast<int32_t>(token->id)};
    if (token->flags & format::SingleWord) {
      bool touchesLeft = at > 0 && isWordCharacter(characterAt(text, characterBefore(text, at)));
      bool touchesRight = match.end < text.size() && isWordCharacter(characterAt(text, match.end));
      if (touchesLeft || touchesRight) {
        at = match.end - 1;
        continue;
      }
    }
    if (token->flags & format::StripLeft)
      while (match.begin > from) {
        size_t before = characterBefore(text, match.begin);
        if (!isWhiteSpace(characterAt(text, before)))
          break;
        match.begin = before;
      }
    if (token->flags & format::StripRight)
      while (match.end < text.size() && isWhiteSpace(characterAt(text, match.end)))
        match.end += scanUtf8(text.substr(match.end)).length;
    return match;
  }
  return std::nullopt;
}

std::optional<int32_t> AddedTokens::find(std::string_view text) const {
  auto found = std::lower_bound(tokens.begin(), tokens.end(), text,
                                [](const Token &token, auto value) { return token.text < value; });
  if (found == tokens.end() || found->text != text)
    return std::nullopt;
  return static_cast<int32_t>(found->id);
}
