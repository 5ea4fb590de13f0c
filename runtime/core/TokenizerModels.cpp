//===- TokenizerModels.cpp - WordPiece and Unigram --------------------------------------------===//
//
// How a word becomes tokens where nothing is merged.
//
//===------------------------------------------------------------------------------------------===//

#include "runtime/core/Tokenizer.h"
#include "runtime/core/Utf8.h"

#include <limits>

using namespace ingot;
using namespace ingot::runtime;

void Tokenizer::encodeWordPiece(std::string_view word, std::vector<int32_t> &ids) const {
  size_t characters = 0, before = ids.size();
  for (char byte : word)
    characters += (static_cast<uint8_t>(byte) & 0xC0) != 0x80;
  std::string piece;
  for (size_t start = 0; start < word.size();) {
    // The longest token that the rest begins with.
    std::optional<int32_t> token;
    size_t end = word.size();
    for (; end > start && characters <= extension.maxWordChars; --end) {
      if (end < word.size() && (static_cast<uint8_t>(word[end]) & 0xC0) == 0x80)
        continue;
      piece.clear();
      if (start)
        piece.assign(strings, extension.prefixOffset, extension.prefixBytes);
      piece += word.substr(start, end - start);
      if ((token = findNormal(piece)))
        break;
    }
    if (!token) {
      // A word with a part that is not known is not known as a whole.
      ids.resize(before);
      ids.push_back(header.unknownId);
      return;
    }
    ids.push_back(*token);
    start = end;
  }
}

void Tokenizer::encodeUnigram(std::string_view word, std::vector<int32_t> &ids) const {
  // The best way to each byte of the word, from the left.
  struct Node {
    double score = 0;
    size_t from = SIZE_MAX; ///< where its last token begins
    int32_t token = -1;
  };
  std::vector<Node> best(word.size() + 1);
  double unknown = lowestScore - 10;
  auto offer = [&](size_t from, size_t to, int32_t token, double score) {
    double sum = best[from].score + score;
    if (best[to].from == SIZE_MAX || sum > best[to].score)
      best[to] = {sum, from, token};
  };
  for (size_t at = 0; at < word.size();) {
    size_t length = scanUtf8(word.substr(at)).length;
    bool isKnown = false;
    // [begin, end): the tokens that begin with the bytes from `at` to `to`.
    auto begin = sortedIds.begin(), end = sortedIds.end();
    for (size_t to = at; to < word.size() && begin != end;) {
      uint8_t next = static_cast<uint8_t>(word[to]);
      auto byteAt = [&, depth = to - at](uint32_t id) -> int {
        std::string_view text = tokenBytes(static_cast<int32_t>(id));
        return text.size() > depth ? static_cast<uint8_t>(text[depth]) : -1;
      };
      begin = std::partition_point(begin, end, [&](uint32_t id) { return byteAt(id) < next; });
      end = std::partition_point(begin, end, [&](uint32_t id) { return byteAt(id) <= next; });
      ++to;
      // The shortest of them comes first.
      if (begin != end && tokenBytes(static_cast<int32_t>(*begin)).size() == to - at) {
        offer(at, to, static_cast<int32_t>(*begin), scores[*begin]);
        isKnown |= to - at == length;
      }
    }
    if (!isKnown)
      offer(at, at + length, header.unknownId, unknown);
    at += length;
  }
  std::vector<std::pair<size_t, size_t>> pieces; // from the end
  bool wasUnknown = false;
  for (size_t end = word.size(); end > 0; end = best[end].from) {
    bool isUnknown = best[end].token == header.unknownId;
    if (isUnknown && wasUnknown && (extension.flags & format::FuseUnknown))
      pieces.back().first = best[end].from;
    else
      pieces.emplace_back(best[end].from, end);
    wasUnknown = isUnknown;
  }
  for (auto piece = pieces.rbegin(); piece != pieces.rend(); ++piece) {
    std::string_view text = word.substr(piece->first, piece->second - piece->first);
    if (std::optional<int32_t> token = findNormal(text))
      ids.push_back(*token);
    else if (!pushBytes(text, ids))
      ids.push_back(header.unknownId);
  }
}
