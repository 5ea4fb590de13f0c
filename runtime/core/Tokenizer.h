//===- Tokenizer.h - Text to token ids and back -----------------------------------------------===//
//
// Text is normalised and cut into words, and a word becomes tokens by one of the models of
// Format.h. Byte-level BPE, for example: a word is a row of bytes, each a token; then neighbours
// that the merge table joins become one token, lowest rank first, until nothing joins.
//
//   "hello"  ->  h e l l o  ->  he l l o  ->  he ll o  ->  hell o  ->  hello
//
// Text that is not UTF-8 is mended first (Utf8.h), so encode(bytes) equals what a Python pipeline
// gives for bytes.decode("utf-8", errors="replace"). Decoding concerns bytes: with byte-level BPE
// decoding what was encoded gives the text back, if it was valid, in form C where the tokenizer
// normalises, and the vocabulary has all its bytes; a byte without a token is left out, as
// `tokenizers` and llama.cpp do.
//
// A Tokenizer owns a checked copy of its tables and is immutable: any number of threads may share
// it.
//
//===------------------------------------------------------------------------------------------===//

#ifndef INGOT_RUNTIME_CORE_TOKENIZER_H
#define INGOT_RUNTIME_CORE_TOKENIZER_H

#include "ingot/Artifact/Format.h"
#include "runtime/core/AddedTokens.h"
#include "runtime/core/PreTokenizer.h"
#include "runtime/core/Status.h"
#include "runtime/core/TextSteps.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ingot::runtime {

struct EncodeOptions {
  bool addSpecial =
      true; ///< begin-of-sequence and end-of-sequence tokens, where the model wants them
  bool parseSpecial = false; ///< control tokens written in the text become themselves
};

class Tokenizer {
public:
  /// Checks and copies a Tokenizer section; the bytes need not be aligned nor outlive the call.
  static Result<Tokenizer> open(std::span<const std::byte> section);

  /// Text longer than this is refused.
  static constexpr size_t maxTextBytes = size_t(1) << 30;
  Result<std::vector<int32_t>> encode(std::string_view text, EncodeOptions options = {}) const;

  /// The text of `ids`, mended to valid UTF-8. Control tokens only if asked for; ids that are not
  /// in the vocabulary are nothing.
  std::string decode(std::span<const int32_t> ids, bool showSpecial = false) const;

  /// The bytes of a token as it is found in text, empty for an id that is not in the vocabulary.
  std::string_view tokenBytes(int32_t id) const;
  /// What it stands for in decoded text.
  std::string_view tokenText(int32_t id) const;
  /// What the first token of a decoded text stands for: it may lose spaces.
  std::string firstTokenText(int32_t id) const;
  size_t tokenCount() const { return types.size(); }
  /// True for Control and Unknown tokens; `id` may be anything.
  bool isSpecial(int32_t id) const;
  /// True for tokens after which generation stops.
  bool isEnd(int32_t id) const;
  /// The token whose bytes are `bytes`: special tokens first, then normal ones.
  std::optional<int32_t> findToken(std::string_view bytes) const;

  /// -1 where the model has none.
  int32_t bosId() const { return header.bosId; }
  int32_t eosId() const { return header.eosId; }
  int32_t unknownId() const { return header.unknownId; }
  int32_t padId() const { return header.padId; }
  /// Whether texts begin, or end, with that token.
  bool addsBos() const { return contains(prefixIds, header.bosId); }
  bool addsEos() const { return contains(suffixIds, header.eosId); }

private:
  /// The working memory of one encode call.
  struct Scratch;

  Tokenizer(PreTokenizer preTokenizer) : preTokenizer(std::move(preTokenizer)) {}
  static bool contains(const std::vector<uint32_t> &ids, int32_t id) {
    return id >= 0 && std::find(ids.begin(), ids.end(), static_cast<uint32_t>(id)) != ids.end();
  }
  Status readExtension(std::span<const std::byte> section);
  Status checkTokens() const;
  Status checkExtension() const;
  Status checkMerges();
  void indexBytes();
  Status indexAdded();

  Status encodePiece(std::string_view text, bool isStart, bool parseSpecial, Scratch &scratch,
                     std::vector<int32_t> &ids) const;
  Status encodePlain(std::string_view text, bool isStart, Scratch &scratch,
                     std::vector<int32_t> &ids) const;
  void encodeWord(std::string_view word, Scratch &scratch, std::vector<int32_t> &ids) const;
  void startWithBytes(std::string_view word, Scratch &scratch) const;
  void startWithCharacters(std::string_view word, Scratch &scratch) const;
  void mergeSymbols(Scratch &scratch, std::vector<int32_t> &ids) const;
  void encodeWordPiece(std::string_view word, std::vector<int32_t> &ids) const;
  void encodeUnigram(std::string_view word, std::vector<int32_t> &ids) const;
  /// Pushes the tokens <0x00> to <0xFF> of all bytes, if there is one for each.
  bool pushBytes(std::string_view bytes, std::vector<int32_t> &ids) const;
  void pushMerge(Scratch &scratch, uint32_t position) const;
  const format::MergeRecord *findMerge(uint32_t left, uint32_t right) const;
  std::optional<int32_t> findNormal(std::string_view bytes) const;

  PreTokenizer preTokenizer;
  format::TokenizerHeader header = {};
  format::TokenizerExtension extension = {};
  TextSteps steps;
  std::string strings, texts;
  std::vector<uint32_t> textEnds;
  std::vector<double> scores;
  double lowestScore = 0;
  std::vector<uint32_t> prefixIds, suffixIds;
  std::vector<uint8_t> addedFlags;
  std::string bytes;
  std::vector<uint32_t> tokenEnds;
  std::vector<uint8_t> types;
  std::vector<uint32_t> sortedIds;
  std::vector<format::MergeRecord> merges;
  std::vector<uint32_t> endIds;

  /// Merges of left token i: [mergeBegins[i], mergeBegins[i + 1]).
  std::vector<uint32_t> mergeBegins;
  /// The token of each single byte, -1 for none; with byte fallback the tokens <0x00> to <0xFF>.
  std::array<int32_t, 256> byteTokens = {};
  /// Tokens found in text before it is cut into words: as it comes, and normalised.
  AddedTokens added, normalizedAdded;
};

/// Turns a stream of tokens into text, piece by piece: a piece never ends inside a character.
class StreamDecoder {
public:
  explicit StreamDecoder(const Tokenizer &tokenizer, bool showSpecial = false)
      : tokenizer(&tokenizer), showSpecial(showSpecial) {}

  /// The text that is certain after `id`; a character that is not complete yet is held back.
  std::string put(int32_t id);
  /// The rest: U+FFFD where the stream ended inside a character. Ready for another stream
  /// afterwards.
  std::string finish();

private:
  const Tokenizer *tokenizer;
  bool showSpecial;
  bool isAtStart = true;
  std::string pending;
};

} // namespace ingot::runtime

#endif // INGOT_RUNTIME_CORE_TOKENIZER_H
