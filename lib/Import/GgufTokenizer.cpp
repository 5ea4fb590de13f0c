//===- GgufTokenizer.cpp - The tokenizer of a GGUF file ---------------------------------------===//
//
// Reads the keys "tokenizer.ggml.*". Only types and kinds are checked here; whether tokens, merges
// and ids agree is checked by who writes the artefact's section.
//
//===------------------------------------------------------------------------------------------===//

#include "ingot/Import/Import.h"
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
  bool flag(llvm::StringRef name) {
    return read(name, "a bool", &GgufValue::getBool).value_or(false);
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

llvm::Expected<std::optional<artifact::TokenizerData>>
import::readGgufTokenizer(const GgufFile &file) {
  Reader reader{file};
  auto kind = reader.read("model", "a string", &GgufValue::getString);
  if (!kind && reader.sentence.empty())
    return std::nullopt;
  artifact::TokenizerData data;
  if (kind && *kind != "gpt2")
    reader.fail("tokenizer '" + kind->str() + "' is not supported, only gpt2 (byte-level BPE)");
  auto splitter = reader.read("pre", "a string", &GgufValue::getString).value_or("default");
  if (!artifact::setPreTokenizer(data, splitter))
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
  data.bosId = reader.id("bos_token_id");
  data.eosId = reader.id("eos_token_id");
  data.unknownId = reader.id("unknown_token_id");
  data.padId = reader.id("padding_token_id");
  data.endIds = findEndIds(data, reader.id("eot_token_id"));
  data.addBos = reader.flag("add_bos_token");
  data.addEos = reader.flag("add_eos_token");
  if (!reader.sentence.empty())
    return llvm::createStringError(reader.sentence);
  return data;
}
