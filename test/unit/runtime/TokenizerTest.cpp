//===- TokenizerTest.cpp - What the oracle does not show --------------------------------------===//
//
// Options, streaming, long words, and sections that are corrupt: each check of the reader has a
// case that it must refuse.
//
//===------------------------------------------------------------------------------------------===//

#include "test/unit/runtime/TokenizerFixture.h"

#include <cstring>
#include <functional>
#include <gmock/gmock.h>
#include <random>

using namespace ingot;
using namespace ingot::runtime;
using testing::ElementsAre;
using testing::HasSubstr;

/// 0 to 3: a b c "Ġ"; 4 "ab", 5 "abc", 6 "bc"; 7 and 8 the bytes of U+00E9; 9 a control token, 10 a
/// user-defined one.
static TokenizerData makeData() {
  TokenizerData data;
  data.tokens = {"a", "b", "c", "\u0120", "ab", "abc", "bc", "\u00C3", "\u00A9", "<end>", "<x>"};
  data.types = {1, 1, 1, 1, 1, 1, 1, 1, 1, 3, 4};
  data.merges = {"b c", "a b", "a bc"};
  data.bosId = 10;
  data.eosId = 9;
  return data;
}

// The lowest rank is merged first, the leftmost of equals.
TEST(TokenizerTest, MergesByRank) {
  Tokenizer tokenizer = openTokenizer(makeData());
  EXPECT_THAT(encode(tokenizer, "abc"), ElementsAre(5));
  EXPECT_THAT(encode(tokenizer, "ab"), ElementsAre(4));
  EXPECT_THAT(encode(tokenizer, "aabcb bc"), ElementsAre(0, 5, 1, 3, 6));
}

// A word that is a token is taken whole only where the flag says so.
TEST(TokenizerTest, IgnoresMergesWhereAsked) {
  TokenizerData data = makeData();
  data.merges = {"a b"};
  EXPECT_THAT(encode(openTokenizer(data), "abc"), ElementsAre(4, 2));
  data.ignoreMerges = true;
  EXPECT_THAT(encode(openTokenizer(data), "abc"), ElementsAre(5));
  EXPECT_THAT(encode(openTokenizer(data), "abcc"), ElementsAre(4, 2, 2));
}

// A user-defined token may be what merges lead to.
TEST(TokenizerTest, MergesIntoUserDefinedTokens) {
  TokenizerData data = makeData();
  data.types[5] = 4;
  EXPECT_THAT(encode(openTokenizer(data), "abc"), ElementsAre(5));
}

// Begin and end tokens are added only where the model wants them and the caller does not object.
TEST(TokenizerTest, AddsSpecialTokens) {
  TokenizerData data = makeData();
  EXPECT_THAT(*openTokenizer(data).encode("a"), ElementsAre(0));
  data.addBos = data.addEos = true;
  Tokenizer tokenizer = openTokenizer(data);
  EXPECT_THAT(*tokenizer.encode("a"), ElementsAre(10, 0, 9));
  EXPECT_THAT(*tokenizer.encode(""), ElementsAre(10, 9));
  EXPECT_THAT(encode(tokenizer, "a"), ElementsAre(0));
}

// Control tokens in the text count when they are asked for, user-defined ones always.
TEST(TokenizerTest, ParsesSpecialTokens) {
  Tokenizer tokenizer = openTokenizer(makeData());
  EXPECT_THAT(encode(tokenizer, "a<end>b<x>", true), ElementsAre(0, 9, 1, 10));
  EXPECT_THAT(encode(tokenizer, "<end><x>", false), ElementsAre(10));
  EXPECT_EQ(tokenizer.findToken("<end>"), 9);
  EXPECT_EQ(tokenizer.findToken("abc"), 5);
  EXPECT_EQ(tokenizer.findToken("nothing"), std::nullopt);
  EXPECT_TRUE(tokenizer.isEnd(9));
  EXPECT_FALSE(tokenizer.isEnd(0));
  EXPECT_FALSE(tokenizer.isEnd(-1));
}

// A character is held back until it is whole; what never becomes whole is U+FFFD at the end.
TEST(TokenizerTest, StreamsWholeCharacters) {
  Tokenizer tokenizer = openTokenizer(makeData());
  StreamDecoder decoder(tokenizer);
  EXPECT_EQ(decoder.put(7), "");
  EXPECT_EQ(decoder.put(8), "\u00E9");
  EXPECT_EQ(decoder.put(8), "\uFFFD");
  EXPECT_EQ(decoder.put(7), "");
  EXPECT_EQ(decoder.put(0), "\uFFFDa");
  EXPECT_EQ(decoder.put(9), "");
  EXPECT_EQ(decoder.put(7), "");
  EXPECT_EQ(decoder.finish(), "\uFFFD");
  EXPECT_EQ(decoder.finish(), "");
}

// Ids that do not exist decode to nothing; special tokens show only where asked.
TEST(TokenizerTest, DecodesAnyIds) {
  Tokenizer tokenizer = openTokenizer(makeData());
  std::vector<int32_t> ids = {-1, 0, 9, 10, 11, INT32_MAX, INT32_MIN, 2};
  EXPECT_EQ(tokenizer.decode(ids), "a<x>c");
  EXPECT_EQ(tokenizer.decode(ids, /*showSpecial=*/true), "a<end><x>c");
}

// A word of 400,000 bytes and a run of 130,000 spaces or line breaks are no special case.
TEST(TokenizerTest, EncodesLongWords) {
  for (auto kind : {format::PreTokenizer::Gpt2, format::PreTokenizer::Llama3,
                    format::PreTokenizer::Qwen2, format::PreTokenizer::SmolLM}) {
    TokenizerData data = makeData();
    data.preTokenizer = kind;
    data.tokens.insert(data.tokens.end(), {"\u010A", "\u00F0"});
    data.types.insert(data.types.end(), {1, 1});
    Tokenizer tokenizer = openTokenizer(data);
    size_t count = 1 << 17;
    std::string text;
    for (size_t i = 0; i < count; ++i)
      text += "abc";
    EXPECT_EQ(encode(tokenizer, text), std::vector<int32_t>(count, 5));
    EXPECT_EQ(encode(tokenizer, std::string(count, ' ') + "a").size(), count + 1);
    EXPECT_EQ(encode(tokenizer, std::string(count, '\n')).size(), count);
    std::string mixed, smileys;
    for (size_t i = 0; i < count; ++i)
      mixed += " \n", smileys += "\U0001F600";
    EXPECT_EQ(encode(tokenizer, mixed + "a").size(), 2 * count + 1);
    EXPECT_EQ(encode(tokenizer, smileys).size(), count) << "only F0 has a token";
  }
}

/// The same with steps from text to words, as tokenizer.json files have them.
static TokenizerData makePipeline(std::vector<artifact::TextStep> splitters) {
  TokenizerData data = makeData();
  data.pipeline.emplace();
  data.pipeline->splitters = std::move(splitters);
  return data;
}

// Steps run in order: text is changed, then cut; merges do not cross cuts.
TEST(TokenizerTest, TakesSteps) {
  using format::TextStepKind;
  EXPECT_THAT(encode(openTokenizer(makePipeline({})), "abc"), ElementsAre(5));
  EXPECT_THAT(encode(openTokenizer(makePipeline({{TextStepKind::Split, 1, "b"}})), "abc"),
              ElementsAre(0, 1, 2));
  EXPECT_THAT(encode(openTokenizer(makePipeline({{TextStepKind::Lowercase}})), "ABC"),
              ElementsAre(5));
  EXPECT_THAT(encode(openTokenizer(makePipeline({{TextStepKind::Replace, 0, "x+", "b"}})), "axxxc"),
              ElementsAre(5));
  EXPECT_THAT(encode(openTokenizer(makePipeline({{TextStepKind::Prepend, 0, "a"}})), "bc"),
              ElementsAre(5));
  EXPECT_THAT(encode(openTokenizer(makePipeline({{TextStepKind::Strip, 3}})), " \u3000abc\n"),
              ElementsAre(5));
}

// A long text costs no stack, and a pattern that would take forever is an error.
TEST(TokenizerTest, BoundsTheWorkOfPatterns) {
  auto split = [](const char *pattern) {
    return openTokenizer(makePipeline({{format::TextStepKind::Split, 1, pattern}}));
  };
  std::string spaces(1 << 17, ' ');
  EXPECT_EQ(encode(split(R"(\p{L}+|\p{White_Space}+(?!\P{White_Space})|\p{White_Space}+)"),
                   spaces + "abc")
                .size(),
            spaces.size() + 1);
  auto ids = split("(a+)+$").encode(std::string(64, 'a') + "b", {.addSpecial = false});
  EXPECT_FALSE(ids.ok());
  EXPECT_THAT(ids.message(), HasSubstr("words from byte 0 on cannot be found"));
}

//===------------------------------------------------------------------------------------------===//
// What must be refused
//===------------------------------------------------------------------------------------------===//

// Steps and models that this version does not know, and tables that do not fit, are refused.
TEST(TokenizerOpenTest, RefusesBadPipelines) {
  auto refuse = [](std::function<void(artifact::TokenizerPipeline &)> change,
                   const char *expected) {
    TokenizerData data = makePipeline({{format::TextStepKind::Split, 1, "b"}});
    change(*data.pipeline);
    EXPECT_THAT(open(write(data)).message(), HasSubstr(expected));
  };
  using format::TextStepKind;
  refuse([](auto &p) { p.splitters[0].first = "("; }, "step 0 has a pattern that does not compile");
  refuse([](auto &p) { p.splitters[0].first = "(*UTF)a"; }, "does not compile");
  refuse([](auto &p) { p.splitters[0].first = "\xff"; }, "not in UTF-8");
  refuse([](auto &p) { p.splitters[0].number = 5; }, "step 0 is of kind 8 with number 5");
  refuse([](auto &p) { p.splitters[0].kind = TextStepKind(9); }, "step 0 is of kind 9");
  refuse([](auto &p) { std::swap(p.splitters, p.normalizers); }, "normaliser 0 cuts the text");
  refuse([](auto &p) { p.flags = 16; }, "flags 0x10, which this version does not know");
  refuse([](auto &p) { p.model = format::TokenizerModel(4); }, "is of model 4");
  refuse([](auto &p) { p.model = format::TokenizerModel::WordPiece; }, "has no unknown token");
  refuse([](auto &p) { p.model = format::TokenizerModel::Unigram; }, "11 tokens, but 0 texts");
}

// The writer names what is inconsistent.
TEST(TokenizerWriterTest, RefusesInconsistentData) {
  auto refuse = [](std::function<void(TokenizerData &)> change, const char *expected) {
    TokenizerData data = makeData();
    change(data);
    std::string error;
    EXPECT_FALSE(artifact::writeTokenizer(data, error)) << expected;
    EXPECT_THAT(error, HasSubstr(expected));
  };
  refuse([](auto &d) { d.types.pop_back(); }, "11 tokens but 10 types");
  refuse([](auto &d) { d.types[2] = 7; }, "token 2 has the unknown type 7");
  refuse([](auto &d) { d.bosId = 11; }, "begin-of-sequence token 11 is not one of its 11 tokens");
  refuse([](auto &d) { d.padId = -2; }, "padding token -2");
  refuse([](auto &d) { d.endIds = {99}; }, "end token 99");
  refuse([](auto &d) { d.addBos = true, d.bosId = -1; }, "does not name it");
  refuse([](auto &d) { d.merges.push_back("a"); }, "merge 3 'a' is not two tokens");
  refuse([](auto &d) { d.merges.push_back("a "); }, "merge 3 'a ' is not two tokens");
  refuse([](auto &d) { d.merges.push_back(""); }, "is not two tokens");
  refuse([](auto &d) { d.merges.push_back("b a"); }, "'b a' names a token that is not in");
  refuse([](auto &d) { d.merges.push_back("<end> a"); }, "names a token that is not in");
  refuse(
      [](auto &d) {
        d.tokens[10] = "\u0120\u0120";
        d.merges.push_back("\u0120 \u0120");
      },
      "mixes tokens in and out of the byte alphabet");
}

// A name of GGUF's that is not known is refused, the known ones are listed.
TEST(TokenizerWriterTest, KnowsPreTokenizers) {
  TokenizerData data;
  EXPECT_FALSE(artifact::setPreTokenizer(data, "nonsense"));
  EXPECT_TRUE(artifact::setPreTokenizer(data, "smollm"));
  EXPECT_EQ(data.preTokenizer, format::PreTokenizer::SmolLM);
  EXPECT_THAT(artifact::listPreTokenizers(), HasSubstr("smollm"));
}

namespace {
/// A section whose header and tables a test may change.
struct Section {
  std::vector<char> bytes = write(makeData());
  format::TokenizerHeader header;

  Section() { std::memcpy(&header, bytes.data(), sizeof(header)); }
  template <typename T> void put(format::Table table, size_t index, T value) {
    std::memcpy(bytes.data() + table.offset + index * sizeof(T), &value, sizeof(T));
  }
  void expectRefused(const char *expected) {
    std::memcpy(bytes.data(), &header, sizeof(header));
    Result<Tokenizer> tokenizer = open(bytes);
    ASSERT_FALSE(tokenizer.ok()) << expected;
    EXPECT_THAT(tokenizer.message(), HasSubstr(expected));
  }
};
} // namespace

static void expectRefused(std::function<void(Section &)> change, const char *expected) {
  Section section;
  change(section);
  section.expectRefused(expected);
}

TEST(TokenizerOpenTest, RefusesABadHeader) {
  expectRefused([](Section &s) { s.header.preTokenizer = 4; }, "pre-tokenizer 4 is unknown");
  expectRefused([](Section &s) { s.header.flags = 0x60; }, "flags 0x60");
  expectRefused([](Section &s) { s.header.bosId = 11; }, "special token 11");
  expectRefused([](Section &s) { s.header.padId = -2; }, "special token -2");
  expectRefused([](Section &s) { s.header.flags = format::AddBos, s.header.bosId = -1; },
                "begin-of-sequence");
  expectRefused([](Section &s) { s.header.flags = format::AddEos, s.header.eosId = -1; },
                "end-of-sequence");
  EXPECT_THAT(std::string(open(std::vector<char>(119)).message()), HasSubstr("119 bytes"));
}

TEST(TokenizerOpenTest, RefusesTablesOutsideOfTheSection) {
  using Header = format::TokenizerHeader;
  for (auto table : {&Header::bytes, &Header::tokenEnds, &Header::types, &Header::sortedIds,
                     &Header::merges, &Header::endIds}) {
    expectRefused([&](Section &s) { (s.header.*table).offset = s.bytes.size() + 1; }, "ends past");
    expectRefused([&](Section &s) { (s.header.*table).offset = UINT64_MAX; }, "ends past");
    expectRefused([&](Section &s) { (s.header.*table).count = UINT64_MAX / 4 + 2; }, "more than");
    expectRefused(
        [&](Section &s) {
          (s.header.*table).offset = s.bytes.size();
          (s.header.*table).count = 1;
        },
        "ends past");
  }
}

TEST(TokenizerOpenTest, RefusesBadTokens) {
  expectRefused([](Section &s) { --s.header.types.count; }, "11 tokens but 10 types");
  expectRefused([](Section &s) { s.put<uint32_t>(s.header.tokenEnds, 10, 1000); }, "token 10 ends");
  expectRefused([](Section &s) { s.put<uint32_t>(s.header.tokenEnds, 5, 1); }, "token 5 ends");
  expectRefused([](Section &s) { s.put<uint8_t>(s.header.types, 3, 0); }, "unknown type 0");
  expectRefused([](Section &s) { s.put<uint8_t>(s.header.types, 3, 7); }, "unknown type 7");
  expectRefused([](Section &s) { s.put<uint32_t>(s.header.sortedIds, 0, 9); },
                "which no word can become");
  expectRefused([](Section &s) { s.put<uint32_t>(s.header.sortedIds, 0, 11); },
                "which no word can become");
  expectRefused([](Section &s) { s.put<uint32_t>(s.header.sortedIds, 1, 3); }, "out of order");
  expectRefused([](Section &s) { s.put<uint32_t>(s.header.endIds, 0, 11); }, "end token 11");
}

TEST(TokenizerOpenTest, RefusesBadMerges) {
  auto put = [](size_t index, format::MergeRecord merge) {
    return [=](Section &s) { s.put(s.header.merges, index, merge); };
  };
  // In order: (a, b) (a, bc) (b, c).
  expectRefused(put(0, {11, 1, 4, 1}), "names a token past its 11");
  expectRefused(put(0, {0, 11, 4, 1}), "names a token past its 11");
  expectRefused(put(0, {0, 1, 11, 1}), "names a token past its 11");
  expectRefused(put(1, {0, 1, 4, 1}), "out of order");
  expectRefused(put(0, {0, 1, 6, 1}), "does not make token 6");
  expectRefused(put(0, {0, 1, 5, 1}), "does not make token 5");
}

// Whatever bytes are changed, opening either refuses or yields a tokenizer that works.
TEST(TokenizerOpenTest, SurvivesCorruption) {
  std::mt19937 random(1);
  std::vector<char> good = write(makeData());
  int opened = 0;
  for (int round = 0; round < 3000; ++round) {
    std::vector<char> bytes = good;
    for (int change = 0; change < 1 + round % 3; ++change)
      bytes[random() % bytes.size()] = static_cast<char>(random());
    if (round % 10 == 0)
      bytes.resize(random() % bytes.size());
    if (Result<Tokenizer> tokenizer = open(bytes)) {
      ++opened;
      std::vector<int32_t> ids = encode(*tokenizer, "abc <x><end> b\u00E9", true);
      (void)tokenizer->decode(ids, true);
    }
  }
  EXPECT_GT(opened, 0);
}
