//===- TokenizerJson.cpp - Tokenizers of Hugging Face folders ---------------------------------===//
//
// See TokenizerJson.h. The components' own meaning is that of PyPI `tokenizers`, which the tests
// compare with.
//
//===------------------------------------------------------------------------------------------===//

#include "ingot/Import/TokenizerJson.h"
#include "TokenizerRegex.h"
#include "ingot/Import/Json.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringSwitch.h"

using namespace ingot;
using namespace ingot::import;
using artifact::TextStep;
using format::TextStepKind;
using llvm::StringRef;
namespace json = llvm::json;

/// Ids beyond this are refused; the runtime's limit.
static constexpr int64_t maxTokens = int64_t(1) << 24;

/// The regular expression of the ByteLevel pre-tokenizer.
static constexpr StringRef byteLevelPattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

namespace {

class Reader {
public:
  Reader(const json::Object &root, StringRef file) : root(root), file(file) {}

  llvm::Expected<artifact::TokenizerData> read();

private:
  void fail(const llvm::Twine &problem) {
    if (sentence.empty())
      sentence = (file + ": " + problem).str();
  }
  void refuse(StringRef part, StringRef type) {
    fail(part + " " + quoteName(type) + " is not supported");
  }

  // Components. `visit` is called for each of a chain.
  void forEach(const json::Object *component, StringRef list,
               llvm::function_ref<void(const json::Object &, StringRef type)> visit);
  std::string readPattern(const json::Object &component);
  void readNormalizer(const json::Object &component, StringRef type);
  void readBertNormalizer(const json::Object &component);
  void readSplitter(const json::Object &component, StringRef type);
  void readMetaspace(const json::Object &component);
  void addSplit(StringRef pattern, StringRef behavior, bool inverted = false);
  void readPostProcessor(const json::Object &component, StringRef type);
  void readTemplate(const json::Object &component);
  int32_t readPair(const json::Object &component, StringRef key);
  void readDecoders();
  void addDecoder(const json::Object &component, StringRef type);

  // Model and tokens.
  void readModel();
  void readBpe(const json::Object &model);
  void readMerges(const json::Object &model);
  void readUnigram(const json::Object &model);
  void readVocabulary(const json::Object &model);
  void readAddedTokens();
  void setToken(int64_t id, StringRef text, format::TokenType type);
  int32_t idOf(StringRef text, StringRef what);

  const json::Object &root;
  StringRef file;
  std::string sentence;
  artifact::TokenizerData data;
  artifact::TokenizerPipeline pipeline;
  bool isByteLevel = false;
  std::vector<bool> isSet; ///< tokens that there are
  /// What a token's text becomes, decoder by decoder.
  std::vector<std::function<void(std::string &text)>> decoders;
};

} // namespace

static StringRef typeOf(const json::Object &component) {
  return component.getString("type").value_or("");
}

void Reader::forEach(const json::Object *component, StringRef list,
                     llvm::function_ref<void(const json::Object &, StringRef)> visit) {
  if (!component)
    return;
  if (typeOf(*component) != "Sequence")
    return visit(*component, typeOf(*component));
  auto *members = component->getArray(list);
  if (!members)
    return fail("a Sequence has no array '" + list + "'");
  for (const json::Value &member : *members)
    forEach(member.getAsObject(), list, visit);
}

/// The PCRE2 form of a pattern that is a string or a regular expression.
std::string Reader::readPattern(const json::Object &component) {
  auto *pattern = component.getObject("pattern");
  if (auto text = pattern ? pattern->getString("String") : std::nullopt)
    return quotePattern(*text);
  auto regex = pattern ? pattern->getString("Regex") : std::nullopt;
  if (!regex) {
    fail(typeOf(component) + " has no pattern");
    return "";
  }
  auto converted = convertPattern(*regex);
  if (!converted) {
    fail(llvm::toString(converted.takeError()));
    return "";
  }
  return *converted;
}

//===------------------------------------------------------------------------------------------===//
// Normalisers and pre-tokenizers
//===------------------------------------------------------------------------------------------===//

void Reader::readBertNormalizer(const json::Object &component) {
  auto add = [&](TextStepKind kind, uint32_t number = 0) {
    pipeline.normalizers.push_back({kind, number});
  };
  bool lowers = component.getBoolean("lowercase").value_or(true);
  if (component.getBoolean("clean_text").value_or(true))
    add(TextStepKind::CleanControl);
  if (component.getBoolean("handle_chinese_chars").value_or(true))
    add(TextStepKind::PadChinese);
  if (component.getBoolean("strip_accents").value_or(lowers)) {
    add(TextStepKind::Normalize, uint32_t(format::TextNormalForm::D));
    add(TextStepKind::StripAccents);
  }
  if (lowers)
    add(TextStepKind::Lowercase);
}

void Reader::readNormalizer(const json::Object &component, StringRef type) {
  auto add = [&](TextStep step) { pipeline.normalizers.push_back(std::move(step)); };
  auto form = llvm::StringSwitch<std::optional<format::TextNormalForm>>(type)
                  .Case("NFC", format::TextNormalForm::C)
                  .Case("NFD", format::TextNormalForm::D)
                  .Case("NFKC", format::TextNormalForm::KC)
                  .Case("NFKD", format::TextNormalForm::KD)
                  .Default(std::nullopt);
  if (form)
    return add({TextStepKind::Normalize, uint32_t(*form)});
  if (type == "Lowercase")
    return add({TextStepKind::Lowercase});
  if (type == "StripAccents")
    return add({TextStepKind::StripAccents, 1});
  if (type == "Strip")
    return add(
        {TextStepKind::Strip, (component.getBoolean("strip_left").value_or(true) ? 1u : 0u) |
                                  (component.getBoolean("strip_right").value_or(true) ? 2u : 0u)});
  if (type == "Replace")
    return add({TextStepKind::Replace, 0, readPattern(component),
                component.getString("content").value_or("").str()});
  if (type == "Prepend")
    return add({TextStepKind::Prepend, uint32_t(format::PrependRule::Always),
                component.getString("prepend").value_or("").str()});
  if (type == "BertNormalizer")
    return readBertNormalizer(component);
  refuse("normalizer", type);
}

void Reader::addSplit(StringRef pattern, StringRef behavior, bool inverted) {
  auto rule = llvm::StringSwitch<std::optional<format::SplitRule>>(behavior)
                  .Case("Removed", format::SplitRule::Removed)
                  .Case("Isolated", format::SplitRule::Isolated)
                  .Case("MergedWithPrevious", format::SplitRule::MergedWithPrevious)
                  .Case("MergedWithNext", format::SplitRule::MergedWithNext)
                  .Case("Contiguous", format::SplitRule::Contiguous)
                  .Default(std::nullopt);
  if (!rule)
    return refuse("behavior", behavior);
  pipeline.splitters.push_back(
      {TextStepKind::Split, uint32_t(*rule) + (inverted ? 16 : 0), pattern.str()});
}

void Reader::readMetaspace(const json::Object &component) {
  std::string mark = component.getString("replacement").value_or("\u2581").str();
  bool older = !component.get("prepend_scheme");
  StringRef scheme =
      component.getString("prepend_scheme")
          .value_or(component.getBoolean("add_prefix_space").value_or(true) ? "always" : "never");
  pipeline.splitters.push_back({TextStepKind::Replace, 0, quotePattern(" "), mark});
  if (scheme == "always" || scheme == "first")
    pipeline.splitters.push_back(
        {TextStepKind::Prepend,
         uint32_t(scheme == "always" ? format::PrependRule::IfMissing
                                     : format::PrependRule::FirstIfMissing),
         mark});
  else if (scheme != "never")
    refuse("prepend_scheme", scheme);
  if (older || component.getBoolean("split").value_or(true))
    addSplit(quotePattern(mark), "MergedWithNext");
}

void Reader::readSplitter(const json::Object &component, StringRef type) {
  if (isByteLevel)
    return fail("a pre-tokenizer after ByteLevel is not supported, got " + quoteName(type));
  auto behavior = [&](StringRef otherwise) {
    return component.getString("behavior").value_or(otherwise);
  };
  constexpr StringRef punctuation = R"([!-/:-@\[-`{-~\p{P}])";
  if (type == "ByteLevel") {
    if (component.getBoolean("add_prefix_space").value_or(true))
      pipeline.splitters.push_back(
          {TextStepKind::Prepend, uint32_t(format::PrependRule::IfMissing), " "});
    if (component.getBoolean("use_regex").value_or(true))
      addSplit(llvm::cantFail(convertPattern(byteLevelPattern)), "Isolated");
    isByteLevel = true;
  } else if (type == "Split") {
    addSplit(readPattern(component), behavior(""), component.getBoolean("invert").value_or(false));
  } else if (type == "Digits") {
    addSplit(R"(\p{N})",
             component.getBoolean("individual_digits").value_or(false) ? "Isolated" : "Contiguous");
  } else if (type == "Whitespace") {
    addSplit(llvm::cantFail(convertPattern(R"(\w+|[^\w\s]+)")), "Removed", /*inverted=*/true);
  } else if (type == "WhitespaceSplit") {
    addSplit(R"(\p{White_Space})", "Removed");
  } else if (type == "Punctuation") {
    addSplit(punctuation, behavior("Isolated"));
  } else if (type == "BertPreTokenizer") {
    addSplit(R"(\p{White_Space})", "Removed");
    addSplit(punctuation, "Isolated");
  } else if (type == "CharDelimiterSplit") {
    addSplit(quotePattern(component.getString("delimiter").value_or("")), "Removed");
  } else if (type == "Metaspace") {
    readMetaspace(component);
  } else {
    refuse("pre-tokenizer", type);
  }
}

//===------------------------------------------------------------------------------------------===//
// Post-processors and decoders
//===------------------------------------------------------------------------------------------===//

/// The id of ["text", id].
int32_t Reader::readPair(const json::Object &component, StringRef key) {
  auto *pair = component.getArray(key);
  auto id = pair && pair->size() == 2 ? (*pair)[1].getAsInteger() : std::nullopt;
  if (!id || *id < 0 || *id >= maxTokens) {
    fail("post-processor " + quoteName(typeOf(component)) + " has no token '" + key + "'");
    return 0;
  }
  return int32_t(*id);
}

void Reader::readTemplate(const json::Object &component) {
  auto *single = component.getArray("single");
  auto *special = component.getObject("special_tokens");
  bool isAfter = false;
  for (const json::Value &value : single ? *single : json::Array()) {
    auto *piece = value.getAsObject();
    auto *token = piece ? piece->getObject("SpecialToken") : nullptr;
    if (!token) {
      if (!piece || !piece->getObject("Sequence") || isAfter)
        return fail("TemplateProcessing has a template that is not special tokens around one text");
      isAfter = true;
      continue;
    }
    auto name = token->getString("id");
    auto *entry = special && name ? special->getObject(*name) : nullptr;
    auto *ids = entry ? entry->getArray("ids") : nullptr;
    if (!ids)
      return fail("TemplateProcessing names a special token that it does not define");
    for (const json::Value &id : *ids)
      (isAfter ? pipeline.suffixIds : pipeline.prefixIds)
          .push_back(int32_t(std::clamp<int64_t>(id.getAsInteger().value_or(-1), -1, maxTokens)));
  }
}

void Reader::readPostProcessor(const json::Object &component, StringRef type) {
  if (type == "TemplateProcessing") {
    readTemplate(component);
  } else if (type == "BertProcessing" || type == "RobertaProcessing") {
    pipeline.prefixIds.push_back(readPair(component, "cls"));
    pipeline.suffixIds.push_back(readPair(component, "sep"));
  } else if (type != "ByteLevel") { // which moves offsets only
    refuse("post-processor", type);
  }
}

static void replaceAll(std::string &text, StringRef from, StringRef to) {
  if (from.empty())
    return;
  for (size_t at = 0; (at = text.find(from.str(), at)) != std::string::npos; at += to.size())
    text.replace(at, from.size(), to.str());
}

/// What the WordPiece decoder does to a token by itself.
static void cleanUp(std::string &text) {
  for (auto [from, to] : {std::pair(" .", "."),
                          {" ?", "?"},
                          {" !", "!"},
                          {" ,", ","},
                          {" ' ", "'"},
                          {" n't", "n't"},
                          {" 'm", "'m"},
                          {" do not", " don't"},
                          {" 's", "'s"},
                          {" 've", "'ve"},
                          {" 're", "'re"}})
    replaceAll(text, from, to);
}

void Reader::addDecoder(const json::Object &component, StringRef type) {
  if (type == "ByteLevel") {
    if (!isByteLevel)
      fail("decoder 'ByteLevel' without the pre-tokenizer of that name is not supported");
  } else if (type == "Replace") {
    auto *pattern = component.getObject("pattern");
    auto from = pattern ? pattern->getString("String") : std::nullopt;
    if (!from)
      return fail("decoder 'Replace' is supported for strings only");
    decoders.push_back([from = from->str(), to = component.getString("content").value_or("").str()](
                           std::string &text) { replaceAll(text, from, to); });
  } else if (type == "ByteFallback") {
    decoders.push_back([](std::string &text) {
      unsigned byte;
      StringRef view = text;
      if (view.size() == 6 && view.consume_front("<0x") && view.consume_back(">") &&
          !view.getAsInteger(16, byte))
        text.assign(1, char(byte));
    });
  } else if (type == "Strip") {
    if (component.getString("content") != " " || component.getInteger("start") != 1 ||
        component.getInteger("stop").value_or(0) != 0)
      return fail("decoder 'Strip' is supported for one space at the start only");
    pipeline.flags |= format::StripFirstSpace;
  } else if (type == "Metaspace") {
    std::string mark = component.getString("replacement").value_or("\u2581").str();
    decoders.push_back([mark](std::string &text) { replaceAll(text, mark, " "); });
    bool prepends = component.getString("prepend_scheme") != "never" &&
                    component.getBoolean("add_prefix_space").value_or(true);
    pipeline.flags |= prepends ? format::StripFirstToken : 0;
  } else if (type == "WordPiece") {
    decoders.push_back(
        [prefix = component.getString("prefix").value_or("##").str(),
         cleans = component.getBoolean("cleanup").value_or(true)](std::string &text) {
          if (StringRef(text).starts_with(prefix))
            text.erase(0, prefix.size());
          else
            text.insert(0, " ");
          if (cleans)
            cleanUp(text);
        });
    pipeline.flags |= format::StripFirstSpace;
  } else if (type != "Fuse") {
    refuse("decoder", type);
  }
}

void Reader::readDecoders() {
  auto *decoder = root.getObject("decoder");
  forEach(decoder, "decoders",
          [&](const json::Object &member, StringRef type) { addDecoder(member, type); });
  if (!decoder) {
    // Without a decoder tokens come with spaces between them.
    decoders.push_back([](std::string &text) { text.insert(0, " "); });
    pipeline.flags |= format::StripFirstSpace;
  }
  if (decoders.empty())
    return;
  if (isByteLevel)
    return fail("decoders beside ByteLevel are not supported");
  for (const std::string &token : data.tokens) {
    pipeline.texts.push_back(token);
    for (auto &decode : decoders)
      decode(pipeline.texts.back());
  }
}

//===------------------------------------------------------------------------------------------===//
// Model and tokens
//===------------------------------------------------------------------------------------------===//

void Reader::setToken(int64_t id, StringRef text, format::TokenType type) {
  if (id < 0 || id >= maxTokens)
    return fail("token " + quoteName(text) + " has the id " + llvm::Twine(id) + ", expected 0 to " +
                llvm::Twine(maxTokens - 1));
  if (size_t(id) >= data.tokens.size()) {
    data.tokens.resize(id + 1);
    data.types.resize(id + 1, int32_t(format::TokenType::Unused));
    isSet.resize(id + 1);
  }
  if (isSet[id] && data.tokens[id] != text)
    return fail("tokens " + quoteName(data.tokens[id]) + " and " + quoteName(text) +
                " both have the id " + llvm::Twine(id));
  isSet[id] = true;
  data.tokens[id] = text.str();
  data.types[id] = int32_t(type);
}

int32_t Reader::idOf(StringRef text, StringRef what) {
  auto found = llvm::find(data.tokens, text);
  if (found == data.tokens.end()) {
    fail("the " + what + " token " + quoteName(text) + " is not in the vocabulary");
    return -1;
  }
  return int32_t(found - data.tokens.begin());
}

void Reader::readVocabulary(const json::Object &model) {
  auto *vocabulary = model.getObject("vocab");
  if (!vocabulary)
    return fail("the model has no object 'vocab'");
  for (auto &[text, value] : *vocabulary) {
    auto id = value.getAsInteger();
    if (!id)
      return fail("token " + quoteName(text) + " has no id");
    setToken(*id, text, format::TokenType::Normal);
  }
}

void Reader::readMerges(const json::Object &model) {
  auto *merges = model.getArray("merges");
  for (const json::Value &merge : merges ? *merges : json::Array()) {
    auto text = merge.getAsString();
    auto *pair = merge.getAsArray();
    if (pair && pair->size() == 2 && (*pair)[0].getAsString() && (*pair)[1].getAsString()) {
      StringRef left = *(*pair)[0].getAsString(), right = *(*pair)[1].getAsString();
      if (left.contains(' ') || right.contains(' '))
        return fail("a merge of tokens with spaces is not supported, got " + quoteName(left) +
                    " and " + quoteName(right));
      data.merges.push_back((left + " " + right).str());
    } else if (text) {
      data.merges.push_back(text->str());
    } else {
      return fail("a merge is neither a text nor two");
    }
  }
}

void Reader::readBpe(const json::Object &model) {
  for (StringRef key : {"continuing_subword_prefix", "end_of_word_suffix"})
    if (auto text = model.getString(key); text && !text->empty())
      return fail("'" + key + "' of BPE is not supported, got " + quoteName(*text));
  if (model.getNumber("dropout").value_or(0) != 0)
    return fail("'dropout' of BPE is not supported");
  readVocabulary(model);
  readMerges(model);
  data.ignoreMerges = model.getBoolean("ignore_merges").value_or(false);
  if (isByteLevel)
    return;
  pipeline.model = format::TokenizerModel::CharBpe;
  pipeline.flags |= model.getBoolean("fuse_unk").value_or(false) ? format::FuseUnknown : 0;
  pipeline.flags |= model.getBoolean("byte_fallback").value_or(false) ? format::ByteFallback : 0;
}

void Reader::readUnigram(const json::Object &model) {
  pipeline.model = format::TokenizerModel::Unigram;
  pipeline.flags |= format::FuseUnknown;
  pipeline.flags |= model.getBoolean("byte_fallback").value_or(false) ? format::ByteFallback : 0;
  auto *vocabulary = model.getArray("vocab");
  for (const json::Value &value : vocabulary ? *vocabulary : json::Array()) {
    auto *pair = value.getAsArray();
    auto text = pair && pair->size() == 2 ? (*pair)[0].getAsString() : std::nullopt;
    auto score = text ? (*pair)[1].getAsNumber() : std::nullopt;
    if (!score)
      return fail("the model's 'vocab' has an element that is not a text and a score");
    setToken(int64_t(pipeline.scores.size()), *text, format::TokenType::Normal);
    pipeline.scores.push_back(*score);
  }
  auto unknown = model.getInteger("unk_id");
  if (!unknown || *unknown < 0 || *unknown >= int64_t(pipeline.scores.size()))
    return fail("'unk_id' of Unigram is not one of its " + llvm::Twine(pipeline.scores.size()) +
                " tokens");
  data.unknownId = int32_t(*unknown);
  data.types[*unknown] = int32_t(format::TokenType::Unknown);
}

void Reader::readModel() {
  auto *model = root.getObject("model");
  if (!model)
    return fail("there is no object 'model'");
  StringRef type = typeOf(*model);
  if (type.empty()) // older files do not say
    type = model->getArray("merges") ? "BPE" : model->getObject("vocab") ? "WordPiece" : "Unigram";
  if (type == "BPE") {
    readBpe(*model);
  } else if (type == "WordPiece") {
    pipeline.model = format::TokenizerModel::WordPiece;
    readVocabulary(*model);
    pipeline.continuingPrefix = model->getString("continuing_subword_prefix").value_or("##").str();
    pipeline.maxWordChars = uint32_t(std::clamp<int64_t>(
        model->getInteger("max_input_chars_per_word").value_or(100), 0, 1 << 20));
  } else if (type == "Unigram") {
    readUnigram(*model);
  } else {
    return refuse("model", type);
  }
  if (isByteLevel && type != "BPE")
    return fail("pre-tokenizer 'ByteLevel' with a model " + quoteName(type) + " is not supported");
  auto unknown = model->getString("unk_token");
  if (unknown && sentence.empty() && !isByteLevel)
    data.unknownId = idOf(*unknown, "unknown");
}

void Reader::readAddedTokens() {
  auto *added = root.getArray("added_tokens");
  for (const json::Value &value : added ? *added : json::Array()) {
    auto *token = value.getAsObject();
    auto text = token ? token->getString("content") : std::nullopt;
    auto id = token ? token->getInteger("id") : std::nullopt;
    if (!text || !id)
      return fail("an added token has no id or no content");
    bool isControl = token->getBoolean("special").value_or(false);
    setToken(*id, *text, isControl ? format::TokenType::Control : format::TokenType::UserDefined);
    if (!sentence.empty())
      return;
    pipeline.addedFlags.resize(data.tokens.size());
    auto flag = [&](StringRef key, format::AddedTokenFlags bit, bool otherwise) {
      pipeline.addedFlags[*id] |= token->getBoolean(key).value_or(otherwise) ? bit : 0;
    };
    flag("lstrip", format::StripLeft, false);
    flag("rstrip", format::StripRight, false);
    flag("single_word", format::SingleWord, false);
    flag("normalized", format::Normalized, !isControl);
  }
}

llvm::Expected<artifact::TokenizerData> Reader::read() {
  forEach(root.getObject("normalizer"), "normalizers",
          [&](const json::Object &member, StringRef type) { readNormalizer(member, type); });
  forEach(root.getObject("pre_tokenizer"), "pretokenizers",
          [&](const json::Object &member, StringRef type) { readSplitter(member, type); });
  forEach(root.getObject("post_processor"), "processors",
          [&](const json::Object &member, StringRef type) { readPostProcessor(member, type); });
  readModel();
  if (sentence.empty())
    readAddedTokens();
  if (sentence.empty())
    readDecoders();
  if (!sentence.empty())
    return llvm::createStringError(sentence);
  pipeline.addedFlags.resize(data.tokens.size());
  // What was added is found before the model looks at words; it never chooses it.
  if (pipeline.model == format::TokenizerModel::Unigram)
    pipeline.scores.resize(data.tokens.size(), -1e20);
  data.pipeline = std::move(pipeline);
  return std::move(data);
}

llvm::Expected<artifact::TokenizerData> import::readTokenizerJson(const json::Object &json,
                                                                  StringRef file) {
  return Reader(json, file).read();
}
