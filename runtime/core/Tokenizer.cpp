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
  explicit Scratch(const PreTokenizer &preTokenizer) : splitter(preTokenizer) {}
  void push(int32_t token) {
    uint32_t index = static_cast<uint32_t>(symbols.size());
    symbols.push_back({static_cast<uint32_t>(token), index - 1, index + 1});
  }

  WordSplitter splitter;
  std::vector<Symbol> symbols;
  std::vector<Candidate> heap;
  std::vector<std::string> words;
  std::vector<int32_t> bytes;
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
  auto model = static_cast<format::TokenizerModel>(extension.model);
  if (model == format::TokenizerModel::WordPiece)
    return encodeWordPiece(word, ids);
  if (model == format::TokenizerModel::Unigram)
    return encodeUnigram(word, ids);
  if (header.flags & format::IgnoreMerges) {
    if (std::optional<int32_t> whole = findNormal(word)) {
      ids.push_back(*whole);
      return;
    }
  }
  scratch.symbols.clear();
  if (model == format::TokenizerModel::ByteBpe)
    startWithBytes(word, scratch);
  else
    startWithCharacters(word, scratch);
  mergeSymbols(scratch, ids);
}

void Tokenizer::startWithBytes(std::string_view word, Scratch &scratch) const {
  for (char byte : word)
    if (int32_t token = byteTokens[static_cast<uint8_t>(byte)]; token >= 0)
      scratch.push(token);
}

void Tokenizer::startWithCharacters(std::string_view word, Scratch &scratch) const {
  bool follows = false; // an unknown character
  for (size_t at = 0; at < word.size();) {
    std::string_view character = word.substr(at, scanUtf8(word.substr(at)).length);
    at += character.size();
    bool isKnown = true;
    if (std::optional<int32_t> token = findNormal(character)) {
      scratch.push(*token);
    } else if (scratch.bytes.clear(); pushBytes(character, scratch.bytes)) {
      for (int32_t token : scratch.bytes)
        scratch.push(token);
    } else {
      isKnown = false;
      bool joins = follows && (extension.flags & format::FuseUnknown);
      if (header.unknownId >= 0 && !joins)
        scratch.push(header.unknownId);
    }
    follows = !isKnown;
  }
}

bool Tokenizer::pushBytes(std::string_view bytes, std::vector<int32_t> &ids) const {
  if (!(extension.flags & format::ByteFallback))
    return false;
  for (char byte : bytes)
    if (byteTokens[static_cast<uint8_t>(byte)] < 0)
      return false;
  for (char byte : bytes)
    ids.push_back(byteTokens[static_cast<uint8_t>(byte)]);
  return true;
}

void Tokenizer::mergeSymbols(Scratch &scratch, std::vector<int32_t> &ids) const {
  auto &symbols = scratch.symbols;
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

Status Tokenizer::encodePlain(std::string_view text, bool isStart, Scratch &scratch,
                              std::vector<int32_t> &ids) const {
  if (header.flags & format::Extended) {
    INGOT_RETURN_IF_ERROR(steps.split(std::string(text), isStart, scratch.words));
    for (const std::string &word : scratch.words)
      encodeWord(word, scratch, ids);
    return Status::success();
  }
  std::string normalized;
  if (header.flags & format::NormalizeNfc) {
    INGOT_RETURN_IF_ERROR(normalizeNfc(text, normalized));
    text = normalized;
  }
  for (size_t start = 0; start < text.size();) {
    Result<size_t> length = scratch.splitter.measureWord(text, start);
    if (!length)
      return length.takeStatus();
    encodeWord(text.substr(start, *length), scratch, ids);
    start += *length;
  }
  return Status::success();
}

/// Calls `plain(begin, end)` for what lies between added tokens; pushes these.
template <typename Plain>
static Status splitAtAdded(const AddedTokens &added, std::string_view text, bool parseSpecial,
                           std::vector<int32_t> &ids, Plain plain) {
  size_t start = 0;
  while (start < text.size()) {
    auto match = added.findNext(text, start, parseSpecial);
    size_t end = match ? match->begin : text.size();
    if (end > start)
      INGOT_RETURN_IF_ERROR(plain(start, end));
    if (!match)
      break;
    ids.push_back(match->id);
    start = match->end;
  }
  return Status::success();
}

Status Tokenizer::encodePiece(std::string_view text, bool isStart, bool parseSpecial,
                              Scratch &scratch, std::vector<int32_t> &ids) const {
  std::string normalized(text);
  INGOT_RETURN_IF_ERROR(steps.normalize(normalized));
  return splitAtAdded(normalizedAdded, normalized, parseSpecial, ids,
                      [&](size_t begin, size_t end) {
                        return encodePlain(std::string_view(normalized).substr(begin, end - begin),
                                           isStart && begin == 0, scratch, ids);
                      });
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
  if (options.addSpecial)
    ids.assign(prefixIds.begin(), prefixIds.end());
  Scratch scratch(preTokenizer);
  INGOT_RETURN_IF_ERROR(
      splitAtAdded(added, text, options.parseSpecial, ids, [&](size_t begin, size_t end) {
        std::string_view piece = text.substr(begin, end - begin);
        if (header.flags & format::Extended)
          return encodePiece(piece, begin == 0, options.parseSpecial, scratch, ids);
        return encodePlain(piece, begin == 0, scratch, ids);
      }));
  if (options.addSpecial)
    ids.insert(ids.end(), suffixIds.begin(), suffixIds.end());
  return ids;
}

std::string_view Tokenizer::tokenBytes(int32_t id) const {
  if (id < 0 || static_cast<size_t>(id) >= tokenEnds.size())
    return {};
  uint32_t begin = id == 0 ? 0 : tokenEnds[id - 1];
  return std::string_view(bytes).substr(begin, tokenEnds[id] - begin);
}

std::string_view Tokenizer::tokenText(int32_t id) const {
  if (textEnds.empty() || id < 0 || static_cast<size_t>(id) >= textEnds.size())
    return tokenBytes(id);
  uint32_t begin = id == 0 ? 0 : textEnds[id - 1];
  return std::string_view(texts).substr(begin, textEnds[id] - begin);
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
  for (const AddedTokens *tokens : {&added, &normalizedAdded})
    if (std::optional<int32_t> id = tokens->find(text))
      return id;
  return findNormal(text);
}

std::string Tokenizer::firstTokenText(int32_t id) const {
  std::string text(tokenText(id));
  if (extension.flags & format::StripFirstToken)
    std::erase(text, ' ');
  if ((extension.flags & format::StripFirstSpace) && text.starts_with(' '))
    text.erase(0, 1);
  return text;
}

std::string Tokenizer::decode(std::span<const int32_t> ids, bool showSpecial) const {
  std::string joined;
  bool isFirst = true;
  for (int32_t id : ids) {
    if (!showSpecial && isSpecial(id))
      continue;
    if (isFirst)
      joined = firstTokenText(id);
    else
      joined += tokenText(id);
    isFirst = false;
  }
  return mendUtf8(joined);
}

std::string StreamDecoder::put(int32_t id) {
  std::string text;
  if (!showSpecial && tokenizer->isSpecial(id))
    return text;
  if (isAtStart)
    pending += tokenizer->firstTokenText(id);
  else
    pending += tokenizer->tokenText(id);
  isAtStart = false;
  pending.erase(0, appendMended(pending, /*isLast=*/false, text));
  return text;
}

std::string StreamDecoder::finish() {
  std::string text = mendUtf8(pending);
  pending.clear();
  isAtStart = true;
  return text;
}
