//===- TokenizerJsonTest.cpp - tokenizer.json against PyPI's `tokenizers` ---------------------===//
//
// Every fixture is a tokenizer.json and what the oracle makes of a corpus with it; the script that
// writes them is tools/fixtures/make_tokenizer_json_fixtures.py. A tokenizer takes the whole way:
// reader, artefact's writer, runtime. INGOT_EXTRA_FIXTURES names a folder of further ones.
//
//===------------------------------------------------------------------------------------------===//

#include "ingot/Import/TokenizerJson.h"
#include "ingot/Import/Import.h"
#include "ingot/Import/Json.h"
#include "lib/Import/TokenizerRegex.h"
#include "runtime/core/Tokenizer.h"
#include "runtime/core/Utf8.h"
#include "llvm/ADT/StringExtras.h"

#include <cstdlib>
#include <filesystem>
#include <gtest/gtest.h>

using namespace ingot;
using runtime::StreamDecoder;
using runtime::Tokenizer;
namespace fs = std::filesystem;
namespace json = llvm::json;

static std::vector<std::string> listFixtures() {
  std::vector<std::string> paths;
  const char *extra = std::getenv("INGOT_EXTRA_FIXTURES");
  for (const char *folder : {INGOT_FIXTURES "/tokenizer-json", extra})
    for (const auto &file : folder ? fs::directory_iterator(folder) : fs::directory_iterator())
      paths.push_back(file.path());
  return paths;
}

static Tokenizer open(const artifact::TokenizerData &data) {
  std::string reason;
  auto section = artifact::writeTokenizer(data, reason);
  EXPECT_TRUE(section) << reason;
  auto tokenizer = Tokenizer::open(std::as_bytes(std::span(*section)));
  EXPECT_TRUE(tokenizer.ok()) << tokenizer.message();
  return std::move(*tokenizer);
}

static std::vector<int32_t> toIds(const json::Array *array) {
  std::vector<int32_t> ids;
  for (const json::Value &id : *array)
    ids.push_back(int32_t(*id.getAsInteger()));
  return ids;
}

namespace {
class TokenizerJsonTest : public testing::TestWithParam<std::string> {
protected:
  TokenizerJsonTest()
      : fixture(llvm::cantFail(readJsonObject(GetParam()))),
        tokenizer(open(llvm::cantFail(
            import::readTokenizerJson(*fixture.getObject("tokenizer"), "tokenizer.json")))) {}

  json::Object fixture;
  Tokenizer tokenizer;
};
} // namespace

// Same ids as the oracle, with control tokens recognised in the text and as plain text; the same
// text, at once and streamed.
TEST_P(TokenizerJsonTest, DoesAsTheOracle) {
  int wrong = 0, cases = 0;
  for (const json::Value &value : *fixture.getArray("cases")) {
    const json::Object &entry = *value.getAsObject();
    std::string hex = entry.getString("hex")->str(), text = llvm::fromHex(hex);
    auto ids = toIds(entry.getArray("ids"));
    auto *plain = entry.getArray("plainIds");
    auto parsed = tokenizer.encode(text, {.addSpecial = true, .parseSpecial = true});
    auto unparsed = tokenizer.encode(text, {.addSpecial = true, .parseSpecial = false});
    ASSERT_TRUE(parsed.ok() && unparsed.ok()) << parsed.message() << unparsed.message();
    EXPECT_EQ(*parsed, ids) << hex << " " << text;
    EXPECT_EQ(*unparsed, plain ? toIds(plain) : ids) << hex << " " << text;
    EXPECT_EQ(tokenizer.decode(ids), *entry.getString("text")) << hex << " " << text;
    StreamDecoder decoder(tokenizer);
    std::string streamed;
    for (int32_t id : ids) {
      std::string piece = decoder.put(id);
      EXPECT_TRUE(runtime::isValidUtf8(piece));
      streamed += piece;
    }
    EXPECT_EQ(streamed + decoder.finish(), *entry.getString("text")) << hex;
    ++cases;
    if (HasFailure() && ++wrong == 10)
      break;
  }
  EXPECT_GT(cases, 50);
}

INSTANTIATE_TEST_SUITE_P(Fixtures, TokenizerJsonTest, testing::ValuesIn(listFixtures()),
                         [](const auto &info) {
                           std::string name = fs::path(info.param).stem();
                           std::replace_if(
                               name.begin(), name.end(), [](char c) { return !isalnum(c); }, '_');
                           return name;
                         });

// The tokenizer `llama` of GGUF files against PyPI's `sentencepiece`
// (tools/fixtures/make_sentencepiece_fixtures.py).
TEST(SentencePiece, DoesAsTheOracle) {
  auto file = llvm::cantFail(GgufFile::open(INGOT_FIXTURES "/sentencepiece.gguf"));
  auto data = llvm::cantFail(import::readGgufTokenizer(*file));
  ASSERT_TRUE(data);
  EXPECT_TRUE(data->addBos);
  Tokenizer tokenizer = open(*data);
  json::Object fixture = llvm::cantFail(readJsonObject(INGOT_FIXTURES "/sentencepiece.json"));
  for (const json::Value &value : *fixture.getArray("cases")) {
    const json::Object &entry = *value.getAsObject();
    std::string text = llvm::fromHex(*entry.getString("hex"));
    auto ids = tokenizer.encode(text, {.addSpecial = false});
    ASSERT_TRUE(ids.ok()) << ids.message();
    EXPECT_EQ(*ids, toIds(entry.getArray("ids"))) << text;
    EXPECT_EQ(tokenizer.decode(*ids), *entry.getString("text")) << text;
  }
}

/// The sentence with which a tokenizer.json is refused; empty where it is not.
static std::string refuse(llvm::StringRef text) {
  auto value = llvm::cantFail(parseJson(text, "t.json"));
  auto tokenizer = import::readTokenizerJson(*value.getAsObject(), "t.json");
  return tokenizer ? "" : llvm::toString(tokenizer.takeError());
}

/// A small tokenizer with one more entry.
static std::string refuseWith(const std::string &entry) {
  return refuse(R"({"model":{"type":"BPE","vocab":{"a":0},"merges":[]},)" + entry + "}");
}

TEST(TokenizerJson, RefusesUnknownComponentsByName) {
  EXPECT_EQ(refuseWith(R"("normalizer":{"type":"Precompiled"})"),
            "t.json: normalizer 'Precompiled' is not supported");
  EXPECT_EQ(refuseWith(R"("normalizer":{"type":"Sequence","normalizers":[{"type":"Nmt"}]})"),
            "t.json: normalizer 'Nmt' is not supported");
  EXPECT_EQ(refuseWith(R"("pre_tokenizer":{"type":"UnicodeScripts"})"),
            "t.json: pre-tokenizer 'UnicodeScripts' is not supported");
  EXPECT_EQ(refuseWith(R"("post_processor":{"type":"New"})"),
            "t.json: post-processor 'New' is not supported");
  EXPECT_EQ(refuseWith(R"("decoder":{"type":"CTC"})"), "t.json: decoder 'CTC' is not supported");
  EXPECT_EQ(refuse(R"({"model":{"type":"WordLevel","vocab":{}}})"),
            "t.json: model 'WordLevel' is not supported");
  EXPECT_EQ(refuse("{}"), "t.json: there is no object 'model'");
}

TEST(TokenizerJson, RefusesUnknownSettingsByName) {
  EXPECT_EQ(refuse(R"({"model":{"type":"BPE","vocab":{},"end_of_word_suffix":"</w>"}})"),
            "t.json: 'end_of_word_suffix' of BPE is not supported, got '</w>'");
  EXPECT_EQ(refuse(R"({"model":{"type":"BPE","vocab":{},"dropout":0.1}})"),
            "t.json: 'dropout' of BPE is not supported");
  EXPECT_EQ(refuseWith(R"("decoder":{"type":"Strip","content":" ","start":2,"stop":0})"),
            "t.json: decoder 'Strip' is supported for one space at the start only");
  EXPECT_EQ(refuseWith(R"("pre_tokenizer":{"type":"Split","pattern":{"Regex":"[a&&b]"}})"),
            "t.json: an intersection of classes in a regular expression is not supported: "
            "'[a&&b]'");
  EXPECT_EQ(refuseWith(R"("pre_tokenizer":{"type":"Split","pattern":{"String":"a"},)"
                       R"("behavior":"Sideways"})"),
            "t.json: behavior 'Sideways' is not supported");
}

TEST(TokenizerJson, RefusesBadTokens) {
  EXPECT_EQ(refuse(R"({"model":{"type":"BPE","vocab":{"a":0,"b":0}}})").substr(0, 14),
            "t.json: tokens");
  EXPECT_EQ(refuse(R"({"model":{"type":"BPE","vocab":{"a":-1}}})"),
            "t.json: token 'a' has the id -1, expected 0 to 16777215");
  EXPECT_EQ(refuse(R"({"model":{"type":"BPE","vocab":{"a":"b"}}})"), "t.json: token 'a' has no id");
  EXPECT_EQ(refuse(R"({"model":{"type":"WordPiece","vocab":{"a":0},"unk_token":"[UNK]"}})"),
            "t.json: the unknown token '[UNK]' is not in the vocabulary");
  EXPECT_EQ(refuse(R"({"model":{"type":"Unigram","vocab":[["a",0.5]],"unk_id":1}})"),
            "t.json: 'unk_id' of Unigram is not one of its 1 tokens");
  EXPECT_EQ(refuseWith(R"("added_tokens":[{"content":"x"}])"),
            "t.json: an added token has no id or no content");
}

TEST(TokenizerRegex, RewritesWhatPcreReadsOtherwise) {
  auto convert = [](llvm::StringRef regex) {
    return llvm::cantFail(import::convertPattern(regex));
  };
  EXPECT_EQ(convert(R"(\s+(?!\S)|[^\s\p{L}])"),
            R"(\p{White_Space}+(?!\P{White_Space})|[^\p{White_Space}\p{L}])");
  EXPECT_EQ(convert("[^(a|[.,])]+"), "[^(a|.,)]+");
  EXPECT_EQ(convert("[]a]"), R"([\]a])");
  EXPECT_EQ(convert("[[:alpha:]_]"), "[[:alpha:]_]");
  EXPECT_EQ(import::quotePattern("a.b"), R"(a\.b)");
  for (llvm::StringRef regex : {"\\h", "[a", "[a[^b]]", "[\\W]"})
    EXPECT_FALSE(llvm::errorToBool(import::convertPattern(regex).takeError()) == false)
        << regex.str();
}

TEST(Json, ReadsEscapedCharactersBeyondTheFirstPlanes) {
  auto value = llvm::cantFail(
      parseJson(R"(["\ud840\uDC00 \udbff\udfff \ud83d\ude00 \\ud840\\udc00"])", "t"));
  EXPECT_EQ(value.getAsArray()->front().getAsString(),
            "\U00020000 \U0010FFFF \U0001F600 \\ud840\\udc00");
}
