//===- FolderText.cpp - Tokenizer, chat template and stop tokens of a folder ------------------===//
//
// tokenizer.json is the tokenizer; tokenizer_config.json names its special tokens and may hold the
// chat template, which newer folders keep in a file of its own; generation_config.json (or
// config.json, in older folders) says after which tokens generation stops.
//
//===------------------------------------------------------------------------------------------===//

#include "HuggingFace.h"
#include "ingot/Import/Json.h"
#include "ingot/Import/TokenizerJson.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FormatVariadic.h"

using namespace ingot;
using namespace ingot::import;
using llvm::StringRef;
namespace json = llvm::json;

namespace {

/// Reads files that need not be there; keeps the first error.
class TextReader {
public:
  TextReader(StringRef folder, ImportedModel &model) : folder(folder), model(model) {}

  llvm::Error read(const json::Object &config);

private:
  std::string pathOf(StringRef name) const { return joinPath(folder, name); }
  bool isThere(StringRef name) const { return llvm::sys::fs::exists(pathOf(name)); }
  /// The object in a file; an empty one where there is no such file.
  json::Object readObject(StringRef name);
  void readTemplate(const json::Object &tokenizerConfig);
  int32_t findToken(const json::Object &tokenizerConfig, StringRef key);
  void readStops(const json::Object &source, StringRef name);
  void readSampling(const json::Object &generation);

  StringRef folder;
  ImportedModel &model;
  artifact::TokenizerData data;
  std::string sentence;
};

} // namespace

json::Object TextReader::readObject(StringRef name) {
  if (!sentence.empty() || !isThere(name))
    return {};
  auto object = readJsonObject(pathOf(name));
  if (object) {
    model.files.push_back(pathOf(name));
    return std::move(*object);
  }
  sentence = llvm::toString(object.takeError());
  return {};
}

void TextReader::readTemplate(const json::Object &tokenizerConfig) {
  constexpr StringRef file = "chat_template.jinja";
  if (isThere(file)) {
    if (auto buffer = openFile(pathOf(file))) {
      model.chatTemplate = (*buffer)->getBuffer().str();
      model.files.push_back(pathOf(file));
    } else {
      sentence = llvm::toString(buffer.takeError());
    }
    return;
  }
  auto *value = tokenizerConfig.get("chat_template");
  if (!value)
    return;
  if (auto text = value->getAsString())
    model.chatTemplate = text->str();
  // Several templates have names; the one of conversations is the default.
  for (const json::Value &named : value->getAsArray() ? *value->getAsArray() : json::Array())
    if (auto *object = named.getAsObject(); object && object->getString("name") == "default")
      model.chatTemplate = object->getString("template").value_or("").str();
}

/// The id of a special token that is given by its text, -1 where there is none.
int32_t TextReader::findToken(const json::Object &tokenizerConfig, StringRef key) {
  auto text = tokenizerConfig.getString(key);
  if (auto *object = tokenizerConfig.getObject(key))
    text = object->getString("content");
  if (!text || text->empty())
    return -1;
  for (size_t id = 0; id < data.tokens.size(); ++id)
    if (data.tokens[id] == *text)
      return int32_t(id);
  return -1;
}

/// Adds the ids after which generation stops.
void TextReader::readStops(const json::Object &source, StringRef name) {
  auto *value = source.get("eos_token_id");
  if (!value || value->kind() == json::Value::Null)
    return;
  auto add = [&](const json::Value &value) {
    auto id = value.getAsInteger();
    if (!id || *id < 0 || *id >= int64_t(data.tokens.size()))
      sentence = pathOf(name) + ": 'eos_token_id' is not one of the " +
                 std::to_string(data.tokens.size()) + " tokens, nor a list of them";
    else
      data.endIds.push_back(int32_t(*id));
  };
  if (auto *ids = value->getAsArray())
    llvm::for_each(*ids, add);
  else
    add(*value);
}

/// What generation draws with, where it draws.
void TextReader::readSampling(const json::Object &generation) {
  bool draws = generation.getBoolean("do_sample").value_or(false);
  struct Setting {
    StringRef name;
    double low, high;
    bool isOfDrawing;
  };
  static constexpr Setting settings[] = {{"temperature", 0, 100, true},
                                         {"top_k", 0, 1 << 20, true},
                                         {"top_p", 0, 1, true},
                                         {"min_p", 0, 1, true},
                                         {"repetition_penalty", 0.01, 100, false}};
  for (const Setting &setting : settings) {
    auto *value = generation.get(setting.name);
    if (!value || value->kind() == json::Value::Null || (setting.isOfDrawing && !draws))
      continue;
    auto number = value->getAsNumber();
    if (number && *number >= setting.low && *number <= setting.high)
      model.sampling[setting.name] = *number;
    else if (sentence.empty())
      sentence = llvm::formatv("{0}: '{1}' is {2}, expected a number from {3} to {4}",
                               pathOf("generation_config.json"), setting.name, *value, setting.low,
                               setting.high);
  }
  if (draws && !model.sampling.get("temperature"))
    model.sampling["temperature"] = 1.0;
}

llvm::Error TextReader::read(const json::Object &config) {
  json::Object tokenizerConfig = readObject("tokenizer_config.json");
  readTemplate(tokenizerConfig);
  if (sentence.empty() && isThere("tokenizer.json")) {
    json::Object tokenizer = readObject("tokenizer.json");
    if (sentence.empty()) {
      auto read = readTokenizerJson(tokenizer, pathOf("tokenizer.json"));
      if (!read)
        return read.takeError();
      data = std::move(*read);
      data.bosId = findToken(tokenizerConfig, "bos_token");
      data.eosId = findToken(tokenizerConfig, "eos_token");
      data.padId = findToken(tokenizerConfig, "pad_token");
      json::Object generation = readObject("generation_config.json");
      readStops(generation, "generation_config.json");
      readSampling(generation);
      if (data.endIds.empty())
        readStops(config, "config.json");
      if (data.eosId < 0 && !data.endIds.empty())
        data.eosId = data.endIds.front();
      model.tokenizer = std::move(data);
    }
  }
  return sentence.empty() ? llvm::Error::success() : llvm::createStringError(sentence);
}

llvm::Error import::readFolderText(StringRef folder, const json::Object &config,
                                   ImportedModel &model) {
  return TextReader(folder, model).read(config);
}
