//===- Tokenizer.cpp - Encoding and decoding --------------------------------------------------===//
//
// Merging keeps the word as a linked list and the joinable pairs in a heap by (rank, position), so
// a word of n bytes costs O(n log n). An entry of the heap may be out of date: it counts only if
// the two tokens at its position still join into what it says.
//
//===------------------------------------------------------------------------------------------===//

#include "runtime/core/Tokenizer.h"
#include "runtime/core/Utf8.h"

#include <algorithm>
#include <utf8proc.h>

using namespace ingot;
using namespace ingot::runtime;

static constexpr uint32_t none = UINT32_MAX;

struct Tokenizer::Scratch {
  struct Symbol {
    uint32_t token; ///< `none` once it was merged into its left neighbour
    uint32_t previous, next;
  };
  struct Candidate {
    uint32_t rank, position, result;
    /// Heaps have their largest in front: the lowest rank, then the leftmost.
    bool operator<(const Candidate &other) const {
      return rank != other.rank ? rank > other.rank : position > other.position;
    }
  };
  std::vector<Symbol> symbols;
  std::vector<Candidate> heap;
};

const format::MergeRecord *Tokenizer::findMerge(uint32_t left, uint32_t right) const {
  auto begin = merges.begin() + mergeBegins[left], end = merges.begin() + mergeBegins[left + 1];
  auto found =
      std::lower_bound(begin, end, right, [](const format::MergeRecord &merge, uint32_t r) {
        return merge.right < r;
      });
  return found != end && found->right == right ? &*found : nullptr;
}

void Tokenizer::pushMerge(Scratch &scratch, uint32_t position) const {
  const Scratch::Symbol &symbol = scratch.symbols[position];
  if (symbol.next == none)
    return;
  if (const auto *merge = findMerge(symbol.token, scratch.symbols[symbol.next].token)) {
    scratch.heap.push_back({merge->rank, position, merge->result});
    std::push_heap(scratch.heap.begin(), scratch.heap.end());
  }
}

void Tokenizer::encodeWord(std::string_view word, Scratch &scratch,
                           std::vector<int32_t> &ids) const {
  if (header.flags & format::IgnoreMerges) {
    if (std::optional<int32_t> whole = findNormal(word)) {
      ids.push_back(*whole);
      return;
    }
  }
  auto &symbols = scratch.symbols;
  symbols.clear();
  for (char byte : word) {
    int32_t token = byteTokens[static_cast<uint8_t>(byte)];
    if (token < 0)
      continue;
    uint32_t index = static_cast<uint32_t>(symbols.size());
    symbols.push_back({static_cast<uint32_t>(token), index - 1, index + 1});
  }
  if (symbols.empty())
    return;
  symbols.front().previous = none;
  symbols.back().next = none;

  auto &heap = scratch.heap;
  heap.clear();
  for (uint32_t i = 0; i + 1 < symbols.size(); ++i)
    pushMerge(scratch, i);
  while (!heap.empty()) {
    std::pop_heap(heap.begin(), heap.end());
    Scratch::Candidate best = heap.back();
    heap.pop_back();
    Scratch::Symbol &left = symbols[best.position];
    if (left.token == none || left.next == none)
      continue;
    Scratch::Symbol &right = symbols[left.next];
    const auto *merge = findMerge(left.token, right.token);
    if (!merge || merge->result != best.result)
      continue;
    left.token = merge->result;
    left.next = right.next;
    right.token = none;
    if (left.next != none)
      symbols[left.next].previous = best.position;
    if (left.previous != none)
      pushMerge(scratch, left.previous);
    pushMerge(scratch, best.position);
  }
  for (uint32_t i = 0; i != none; i = symbols[i].next)
    ids.push_back(static_cast<int32_t>(symbols[i].token));
}

/// Form C of `text`, which is valid UTF-8; leaves it alone where no character could change.
static Status normalizeNfc(std::string_view text, std::string &normalized) {
  // Below U+0300 (CC 80) everything is in form C.
  if (std::none_of(text.begin(), text.end(),
                   [](char c) { return static_cast<uint8_t>(c) >= 0xCC; })) {
    normalized = text;
    return Status::success();
  }
  utf8proc_uint8_t *result = nullptr;
  utf8proc_ssize_t length =
      utf8proc_map(reinterpret_cast<const utf8proc_uint8_t *>(text.data()),
                   static_cast<utf8proc_ssize_t>(text.size()), &result,
                   static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE));
  if (length < 0)
    return INGOT_ERROR("text of %zu bytes cannot be normalised: %s", text.size(),
                       utf8proc_errmsg(length));
  normalized.assign(reinterpret_cast<const char *>(result), static_cast<size_t>(length));
  free(result);
  return Status::success();
}

Status Tokenizer::encodePlain(std::string_view text, WordSplitter &splitter, Scratch &scratch,
                              std::vector<int32_t> &ids) const {
  std::string normalized;
  if (header.flags & format::NormalizeNfc) {
    INGOT_RETURN_IF_ERROR(normalizeNfc(text, normalized));
    text = normalized;
  }
  for (size_t start = 0; start < text.size();) {
    Result<size_t> length = splitter.measureWord(text, start);
    if (!length)
      return length.takeStatus();
    encodeWord(text.substr(start, *length), scratch, ids);
    start += *length;
  }
  return Status::success();
}

int32_t Tokenizer::matchSpecial(std::string_view text, bool parseControl) const {
  // [begin, end): the special tokens that begin with the first `length` bytes of the text. They are
  // sorted, so the shortest of them, the only one that can be over, comes first.
  auto begin = specials.begin(), end = specials.end();
  int32_t best = -1;
  size_t bestLength = 0;
  for (size_t length = 0; begin != end; ++length) {
    std::string_view first = tokenBytes(static_cast<int32_t>(*begin));
    for (; first.size() == length; first = tokenBytes(static_cast<int32_t>(*begin))) {
      bool counts =
          parseControl || types[*begin] == static_cast<uint8_t>(format::TokenType::UserDefined);
      if (counts && bestLength < length) {
        best = static_cast<int32_t>(*begin);
        bestLength = length;
      }
      if (++begin == end)
        return best;
    }
    if (length == text.size())
      return best;
    uint8_t next = static_cast<uint8_t>(text[length]);
    auto byteAt = [&](uint32_t id) {
      return static_cast<uint8_t>(tokenBytes(static_cast<int32_t>(id))[length]);
    };
    begin = std::partition_point(begin, end, [&](uint32_t id) { return byteAt(id) < next; });
    end = std::partition_point(begin, end, [&](uint32_t id) { return byteAt(id) <= next; });
  }
  return best;
}

Result<std::vector<int32_t>> Tokenizer::encode(std::string_view text, EncodeOptions options) const {
  if (text.size() > maxTextBytes)
    return INGOT_ERROR("text has %zu bytes, more than the %zu that can be encoded at once",
                       text.size(), maxTextBytes);
  std::string mended;
  if (!isValidUtf8(text)) {
    mended = mendUtf8(text);
    text = mended;
  }
  std::vector<int32_t> ids;
  if (options.addSpecial && addsBos())
    ids.push_back(bosId());
  WordSplitter splitter(preTokenizer);
  Scratch scratch;
  size_t plain = 0;
  for (size_t at = 0; at < text.size();) {
    int32_t special = beginsSpecial[static_cast<uint8_t>(text[at])]
                          ? matchSpecial(text.substr(at), options.parseSpecial)
                          : -1;
    if (special < 0) {
      ++at;
      continue;
    }
    INGOT_RETURN_IF_ERROR(encodePlain(text.substr(plain, at - plain), splitter, scratch, ids));
    ids.push_back(special);
    at += tokenBytes(special).size();
    plain = at;
  }
  INGOT_RETURN_IF_ERROR(encodePlain(text.substr(plain), splitter, scratch, ids));
  if (options.addSpecial && addsEos())
    ids.push_back(eosId());
  return ids;
}

std::string_view Tokenizer::tokenBytes(int32_t id) const {
  if (id < 0 || static_cast<size_t>(id) >= tokenEnds.size())
    return {};
  uint32_t begin = id == 0 ? 0 : tokenEnds[id - 1];
  return std::string_view(bytes).substr(begin, tokenEnds[id] - begin);
}

bool Tokenizer::isSpecial(int32_t id) const {
  if (id < 0 || static_cast<size_t>(id) >= types.size())
    return false;
  auto type = static_cast<format::TokenType>(types[id]);
  return type == format::TokenType::Control || type == format::TokenType::Unknown;
}

bool Tokenizer::isEnd(int32_t id) const {
  return id >= 0 &&
         std::find(endIds.begin(), endIds.end(), static_cast<uint32_t>(id)) != endIds.end();
}

std::optional<int32_t> Tokenizer::findNormal(std::string_view text) const {
  auto found =
      std::lower_bound(sortedIds.begin(), sortedIds.end(), text, [&](uint32_t id, auto value) {
        return tokenBytes(static_cast<int32_t>(id)) < value;
      });
  if (found == sortedIds.end() || tokenBytes(static_cast<int32_t>(*found)) != text)
    return std::nullopt;
  return static_cast<int32_t>(*found);
}

std::optional<int32_t> Tokenizer::findToken(std::string_view text) const {
  for (uint32_t id : specials)
    if (tokenBytes(static_cast<int32_t>(id)) == text)
      return static_cast<int32_t>(id);
  return findNormal(text);
}

std::string Tokenizer::decode(std::span<const int32_t> ids, bool showSpecial) const {
  std::string joined;
  for (int32_t id : ids)
    if (showSpecial || !isSpecial(id))
      joined += tokenBytes(id);
  return mendUtf8(joined);
}

std::string StreamDecoder::put(int32_t id) {
  std::string text;
  if (!showSpecial && tokenizer->isSpecial(id))
    return text;
  pending += tokenizer->tokenBytes(id);
  pending.erase(0, appendMended(pending, /*isLast=*/false, text));
  return text;
}

std::string StreamDecoder::finish() {
  std::string text = mendUtf8(pending);
  pending.clear();
  return text;
}
