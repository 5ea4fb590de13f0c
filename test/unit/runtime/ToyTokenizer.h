//===- ToyTokenizer.h - Words for the eleven tokens of the toy model --------------------------------===//
//
// Letters, a space, the two bytes of U+00E9, an end token: enough for text that is cut inside a
// character.
//
//===----------------------------------------------------------------------------------------------===//

#ifndef INGOT_TEST_RUNTIME_TOYTOKENIZER_H
#define INGOT_TEST_RUNTIME_TOYTOKENIZER_H

#include "ingot/Artifact/TokenizerWriter.h"
#include "runtime/core/Tokenizer.h"
#include "test/unit/runtime/ToyModel.h"

#include <gtest/gtest.h>

namespace ingot::test {

inline constexpr int32_t toyEndToken = 9;

inline std::vector<std::byte> makeToyTokenizer() {
  artifact::TokenizerData data;
  data.tokens = {"a", "b", "c", "d", "e", "\u0120", "ab", "\u00C3", "\u00A9", "<end>", "f"};
  data.types = {1, 1, 1, 1, 1, 1, 1, 1, 1, 3, 1};
  data.merges = {"a b"};
  data.eosId = toyEndToken;
  std::string error;
  std::optional<std::vector<char>> section = artifact::writeTokenizer(data, error);
  EXPECT_TRUE(section.has_value()) << error;
  Bytes bytes = std::as_bytes(std::span(*section));
  return {bytes.begin(), bytes.end()};
}

inline runtime::Tokenizer openToyTokenizer() {
  return std::move(*runtime::Tokenizer::open(makeToyTokenizer()));
}

} // namespace ingot::test

#endif // INGOT_TEST_RUNTIME_TOYTOKENIZER_H
