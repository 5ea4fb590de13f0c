//===- TokenizerWriter.h - A tokenizer as a section of the artefact ---------------------------===//
//
// Importers fill a `TokenizerData` with what a checkpoint says, strings as it spells them (GGUF and
// tokenizer.json write the bytes of normal tokens in GPT-2's alphabet, where a space is U+0120);
// `writeTokenizer` checks it and makes the bytes that runtime/core/Tokenizer.h opens. Plain C++, no
// LLVM.
//
//===------------------------------------------------------------------------------------------===//

#ifndef INGOT_ARTIFACT_TOKENIZERWRITER_H
#define INGOT_ARTIFACT_TOKENIZERWRITER_H

#include "ingot/Artifact/Format.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ingot::artifact {

/// See format::TextStepRecord.
struct TextStep {
  format::TextStepKind kind;
  uint32_t number = 0;
  std::string first = {}, second = {};
};

/// What a tokenizer has that is not one of the known byte-level ones.
struct TokenizerPipeline {
  format::TokenizerModel model = format::TokenizerModel::ByteBpe;
  uint32_t flags = 0; ///< format::TokenizerExtensionFlags
  std::vector<TextStep> normalizers, splitters;
  uint32_t maxWordChars = 0;      ///< WordPiece
  std::string continuingPrefix;   ///< WordPiece
  std::vector<double> scores;     ///< Unigram, of each token
  std::vector<std::string> texts; ///< what tokens decode to; empty: what they are
  std::vector<int32_t> prefixIds, suffixIds;
  std::vector<uint8_t> addedFlags; ///< format::AddedTokenFlags; empty: none has any
};

struct TokenizerData {
  format::PreTokenizer preTokenizer = format::PreTokenizer::Gpt2;
  std::vector<std::string> tokens;
  std::vector<int32_t> types;       ///< GGUF's numbers; empty: all are Normal
  std::vector<std::string> merges;  ///< "left right" by rank
  std::vector<uint32_t> mergeRanks; ///< of each merge, where several have one; empty: 0, 1, 2, ...
  int32_t bosId = -1, eosId = -1, unknownId = -1, padId = -1;
  std::vector<int32_t> endIds; ///< where generation stops, besides eosId (end of turn, of message)
  bool addBos = false, addEos = false;
  bool ignoreMerges = false; ///< see format::TokenizerFlags
  bool normalizeNfc = false;
  std::optional<TokenizerPipeline> pipeline; ///< then `preTokenizer` and `normalizeNfc` count not
};

/// Sets the kind and what its models share (Llama 3 ignores merges, Qwen 2 normalises) from GGUF's
/// `tokenizer.ggml.pre`. False for a name that is not supported.
bool setPreTokenizer(TokenizerData &data, std::string_view ggufName);

/// The names that `setPreTokenizer` knows, for messages: "gpt-2, llama-bpe, ...".
std::string listPreTokenizers();

/// The bytes of a Tokenizer section; none, and one sentence in `error`, for data that is
/// inconsistent.
std::optional<std::vector<char>> writeTokenizer(const TokenizerData &data, std::string &error);

} // namespace ingot::artifact

#endif // INGOT_ARTIFACT_TOKENIZERWRITER_H
