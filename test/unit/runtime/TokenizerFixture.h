//===- TokenizerFixture.h - Reading tokenizer fixtures ----------------------------------------===//
//
// From a fixture's JSON to the compiler's TokenizerData, through its writer, to the runtime's
// Tokenizer: tests take the way that a real vocabulary takes.
//
//===------------------------------------------------------------------------------------------===//

#ifndef INGOT_TEST_UNIT_RUNTIME_TOKENIZERFIXTURE_H
#define INGOT_TEST_UNIT_RUNTIME_TOKENIZERFIXTURE_H

#include "ingot/Artifact/TokenizerWriter.h"
#include "runtime/core/Tokenizer.h"
#include "runtime/core/Utf8.h"

#include <fstream>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <stdexcept>

namespace ingot::runtime {

using artifact::TokenizerData;

inline nlohmann::json readJson(const std::string &path) {
  std::ifstream file(path);
  return nlohmann::json::parse(file);
}

inline std::string fromHex(const std::string &hex) {
  std::string bytes;
  for (size_t i = 0; i + 1 < hex.size(); i += 2)
    bytes.push_back(static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16)));
  return bytes;
}

inline TokenizerData readTokenizerData(const nlohmann::json &fixture) {
  TokenizerData data;
  EXPECT_TRUE(artifact::setPreTokenizer(data, fixture["preTokenizer"].get<std::string>()));
  data.tokens = fixture["tokens"].get<std::vector<std::string>>();
  data.types = fixture["types"].get<std::vector<int32_t>>();
  data.merges = fixture["merges"].get<std::vector<std::string>>();
  return data;
}

inline std::vector<char> write(const TokenizerData &data) {
  std::string error;
  std::optional<std::vector<char>> section = artifact::writeTokenizer(data, error);
  EXPECT_TRUE(section) << error;
  return section.value_or(std::vector<char>());
}

inline Result<Tokenizer> open(const std::vector<char> &section) {
  return Tokenizer::open(std::as_bytes(std::span(section)));
}

inline Tokenizer openTokenizer(const TokenizerData &data) {
  Result<Tokenizer> tokenizer = open(write(data));
  if (!tokenizer)
    throw std::runtime_error(tokenizer.message());
  return std::move(*tokenizer);
}

inline std::vector<int32_t> encode(const Tokenizer &tokenizer, std::string_view text,
                                   bool parseSpecial = false) {
  auto ids = tokenizer.encode(text, {.addSpecial = false, .parseSpecial = parseSpecial});
  EXPECT_TRUE(ids.ok()) << ids.message();
  return ids ? *ids : std::vector<int32_t>();
}

} // namespace ingot::runtime

#endif // INGOT_TEST_UNIT_RUNTIME_TOKENIZERFIXTURE_H
