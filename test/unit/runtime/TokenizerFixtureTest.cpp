//===- TokenizerFixtureTest.cpp - The tokenizer against PyPI's `tokenizers` -------------------===//
//
// Every fixture is a vocabulary and what the oracle makes of a corpus with it; the script that
// writes them is tools/fixtures/make_tokenizer_fixtures.py. INGOT_EXTRA_FIXTURES names a folder of
// further ones, for vocabularies that are too large for the tree.
//
//===------------------------------------------------------------------------------------------===//

#include "test/unit/runtime/TokenizerFixture.h"

#include <cstdlib>
#include <filesystem>

using namespace ingot;
using namespace ingot::runtime;
namespace fs = std::filesystem;

static std::vector<std::string> listFixtures() {
  std::vector<std::string> paths;
  const char *extra = std::getenv("INGOT_EXTRA_FIXTURES");
  for (const char *folder : {static_cast<const char *>(INGOT_FIXTURES), extra})
    for (const auto &file : folder ? fs::directory_iterator(folder) : fs::directory_iterator())
      if (file.path().filename().string().starts_with("tokenizer-"))
        paths.push_back(file.path());
  return paths;
}

namespace {
class TokenizerFixtureTest : public testing::TestWithParam<std::string> {
protected:
  TokenizerFixtureTest()
      : fixture(readJson(GetParam())), tokenizer(openTokenizer(readTokenizerData(fixture))) {}

  nlohmann::json fixture;
  Tokenizer tokenizer;
};
} // namespace

// Same ids as the oracle, with control tokens recognised in the text and as plain text.
TEST_P(TokenizerFixtureTest, EncodesAsTheOracle) {
  int wrong = 0;
  for (const auto &entry : fixture["cases"]) {
    std::string text = fromHex(entry["hex"]);
    auto ids = entry["ids"].get<std::vector<int32_t>>();
    auto plainIds =
        entry.contains("plainIds") ? entry["plainIds"].get<std::vector<int32_t>>() : ids;
    EXPECT_EQ(encode(tokenizer, text, true), ids) << "bytes " << entry["hex"] << " " << text;
    EXPECT_EQ(encode(tokenizer, text, false), plainIds) << "bytes " << entry["hex"] << " " << text;
    if (HasFailure() && ++wrong == 20)
      break;
  }
}

// Same text as the oracle, at once and streamed, and every streamed piece is valid UTF-8.
TEST_P(TokenizerFixtureTest, DecodesAsTheOracle) {
  for (const auto &entry : fixture["cases"]) {
    auto ids = entry["ids"].get<std::vector<int32_t>>();
    EXPECT_EQ(tokenizer.decode(ids), entry["text"].get<std::string>()) << entry["hex"];
    StreamDecoder decoder(tokenizer);
    std::string streamed;
    for (int32_t id : ids) {
      std::string piece = decoder.put(id);
      EXPECT_TRUE(isValidUtf8(piece));
      streamed += piece;
    }
    streamed += decoder.finish();
    EXPECT_EQ(streamed, entry["text"].get<std::string>()) << entry["hex"];
  }
}

// Decoding what was encoded gives valid text back, where every byte has a token and nothing is
// normalised.
TEST_P(TokenizerFixtureTest, RoundTrips) {
  TokenizerData data = readTokenizerData(fixture);
  if (data.normalizeNfc || data.preTokenizer == format::PreTokenizer::SmolLM)
    GTEST_SKIP() << "this vocabulary normalises or lacks bytes";
  for (const auto &entry : fixture["cases"]) {
    std::string text = mendUtf8(fromHex(entry["hex"]));
    EXPECT_EQ(tokenizer.decode(encode(tokenizer, text, true), /*showSpecial=*/true), text);
  }
}

INSTANTIATE_TEST_SUITE_P(Fixtures, TokenizerFixtureTest, testing::ValuesIn(listFixtures()),
                         [](const auto &info) {
                           std::string name = fs::path(info.param).stem();
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });
