//===- GgufTokenizer.cpp - The tokenizer of a GGUF file ---------------------------------------===//
//
// Reads the keys "tokenizer.ggml.*". Only types and kinds are checked here; whether tokens, merges
// and ids agree is checked by who writes the artefact's section.
//
//===------------------------------------------------------------------------------------------===//

#include "ingot/Import/Import.h"
#include <cmath>
#include <limits>

using namespace ingot;
using namespace ingot::import;

namespace {

/// Reads entries; keeps the first error.
struct Reader {
  const GgufFile &file;
  std::string sentence = {};

  static std::string key(llvm::StringRef name) { return ("tokenizer.ggml." + name).str(); }

  template <typename T>
  std::optional<T> read(llvm::StringRef name, llvm::StringRef kind,
                        std::optional<T> (GgufValue::*get)() const) {
    auto *value = file.findEntry(key(name));
    if (!value || !sentence.empty())
      return std::nullopt;
    auto result = (value->*get)();
    if (!result)
      fail("metadata entry '" + key(name) + "' is not " + kind.str());
    return result;
  }
  int32_t id(llvm::StringRef name) {
    auto value = read(name, "an integer", &GgufValue::getInteger);
    if (value && (*value < 0 || *value > std::numeric_limits<int32_t>::max()))
      fail("metadata entry '" + key(name) + "' is " + std::to_string(*value) +
           ", expected a token id");
    return int32_t(value.value_or(-1));
  }
  bool flag(llvm::StringRef name, bool otherwise = false) {
    return read(name, "a bool", &GgufValue::getBool).value_or(otherwise);
  }
  std::vector<std::string> texts(llvm::StringRef name) {
    auto values = read(name, "an array of strings", &GgufValue::getStrings);
    std::vector<std::string> result;
    if (values)
      for (llvm::StringRef value : *values)
        result.push_back(value.str());
    return result;
  }
  void fail(const std::string &problem) {
    if (sentence.empty())
      sentence = file.getDescription().str() + ": " + problem;
  }
};

} // namespace

/// Tokens after which generation stops besides the end of the text: what chat models end a turn
/// with.
static std::vector<int32_t> findEndIds(const artifact::TokenizerData &data, int32_t endOfTurn) {
  static constexpr llvm::StringLiteral names[] = {"<|im_end|>", "<|eot_id|>", "<|end_of_text|>",
                                                  "<|endoftext|>", "<|eom_id|>"};
  std::vector<int32_t> ids;
  if (endOfTurn >= 0)
    ids.push_back(endOfTurn);
  constexpr int32_t control = int32_t(format::TokenType::Control);
  for (size_t id = 0; id < data.tokens.size() && id < data.types.size(); ++id)
    if (data.types[id] == control && llvm::is_contained(names, data.tokens[id]) &&
        !llvm::is_contained(ids, int32_t(id)))
      ids.push_back(int32_t(id));
  return ids;
}

/// SentencePiece's BPE: of all neighbours the pair whose token has the highest score is joined, the
/// leftmost of several. So the rank of a merge is the place of its token by score.
static void addMergesOfScores(artifact::TokenizerData &data, const std::vector<double> &scores) {
  llvm::StringMap<uint32_t> ids;
  std::vector<uint32_t> order;
  for (uint32_t id = 0; id < data.tokens.size(); ++id)
    if (data.types[id] == int32_t(format::TokenType::Normal) ||
        data.types[id] == int32_t(format::TokenType::UserDefined)) {
      ids.try_emplace(data.tokens[id], id);
      order.push_back(id);
    }
  llvm::sort(order, [&](uint32_t a, uint32_t b) {
    return scores[a] != scores[b] ? scores[a] > scores[b] : a < b;
  });
  for (auto [rank, id] : llvm::enumerate(order)) {
    llvm::StringRef token = data.tokens[id];
    for (size_t cut = 1; cut < token.size(); ++cut) {
      llvm::StringRef left = token.take_front(cut), right = token.drop_front(cut);
      // A merge is written with a space between its parts.
      if (!ids.contains(left) || !ids.contains(right) || token.contains(' '))
        continue;
      data.merges.push_back((left + " " + right).str());
      data.mergeRanks.push_back(uint32_t(rank));
    }
  }
}

/// What the tokenizer `llama` of GGUF files is: SentencePiece's BPE of characters, spaces written
/// as U+2581, bytes for characters that have no token.
static void readSentencePiece(Reader &reader, artifact::TokenizerData &data) {
  constexpr llvm::StringLiteral mark = "\u2581";
  auto scores = reader.read("scores", "an array of floats", &GgufValue::getFloats)
                    .value_or(std::vector<double>());
  if (scores.size() != data.tokens.size() || data.types.size() != data.tokens.size())
    return reader.fail("tokenizer has " + std::to_string(data.tokens.size()) + " tokens but " +
                       std::to_string(scores.size()) + " scores and " +
                       std::to_string(data.types.size()) + " types");
  for (double score : scores)
    if (!std::isfinite(score))
      return reader.fail("metadata entry '" + Reader::key("scores") +
                         "' has a score that is no "
                         "finite number");
  addMergesOfScores(data, scores); // while bytes are told apart
  artifact::TokenizerPipeline &pipeline = data.pipeline.emplace();
  pipeline.model = format::TokenizerModel::CharBpe;
  pipeline.flags = format::ByteFallback | format::FuseUnknown;
  bool prepends = reader.read("add_space_prefix", "a bool", &GgufValue::getBool).value_or(true);
  if (prepends) {
    pipeline.normalizers.push_back({format::TextStepKind::Prepend, 0, " "});
    pipeline.flags |= format::StripFirstSpace;
  }
  pipeline.normalizers.push_back({format::TextStepKind::Replace, 0, " ", mark.str()});
  for (size_t id = 0; id < data.tokens.size(); ++id) {
    std::string text = data.tokens[id];
    unsigned byte;
    llvm::StringRef digits = text;
    if (data.types[id] == int32_t(format::TokenType::Byte)) {
      if (digits.consume_front("<0x") && digits.consume_back(">") && !digits.getAsInteger(16, byte))
        text.assign(1, char(byte));
      data.types[id] = int32_t(format::TokenType::Normal);
    } else {
      for (size_t at = 0; (at = text.find(mark.str(), at)) != std::string::npos; ++at)
        text.replace(at, mark.size(), " ");
    }
    pipeline.texts.push_back(std::move(text));
  }
}

llvm::Expected<std::optional<artifact::TokenizerData>>
import::readGgufTokenizer(const GgufFile &file) {
  Reader reader{file};
  auto kind = reader.read("model", "a string", &GgufValue::getString);
  if (!kind && reader.sentence.empty())
    return std::nullopt;
  artifact::TokenizerData data;
  bool isSentencePiece = kind && *kind == "llama";
  if (kind && *kind != "gpt2" && !isSentencePiece)
    reader.fail("tokenizer '" + kind->str() +
                "' is not supported, only gpt2 (byte-level BPE) and llama (SentencePiece's BPE)");
  auto splitter = reader.read("pre", "a string", &GgufValue::getString).value_or("default");
  if (!isSentencePiece && !artifact::setPreTokenizer(data, splitter))
    reader.fail("pre-tokenizer '" + splitter.str() + "' is not supported, only " +
                artifact::listPreTokenizers());
  data.tokens = reader.texts("tokens");
  data.merges = reader.texts("merges");
  auto types = reader.read("token_type", "an array of integers", &GgufValue::getIntegers);
  for (int64_t type : types.value_or(std::vector<int64_t>())) {
    if (type < 0 || type > std::numeric_limits<uint8_t>::max())
      reader.fail("metadata entry '" + Reader::key("token_type") + "' has the type " +
                  std::to_string(type) + ", expected 0 to 255");
    data.types.push_back(int32_t(type));
  }
  if (isSentencePiece && reader.sentence.empty())
    readSentencePiece(reader, data);
  data.bosId = reader.id("bos_token_id");
  data.eosId = reader.id("eos_token_id");
  data.unknownId = reader.id("unknown_token_id");
  data.padId = reader.id("padding_token_id");
  data.endIds = findEndIds(data, reader.id("eot_token_id"));
  data.addBos = reader.flag("add_bos_token", /*otherwise=*/isSentencePiece && data.bosId >= 0);
  data.addEos = reader.flag("add_eos_token");
  if (!reader.sentence.empty())
    return llvm::createStringError(reader.sentence);
  return data;
}
