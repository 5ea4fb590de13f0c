//===- FuzzTokenizer.cpp - Any section, any text ----------------------------------------------===//
//
// The first byte chooses. 0 to 3: the rest is text for a small tokenizer of that pre-tokenizer
// kind, which must come back from its tokens, whole and streamed. Anything else: the rest is a
// Tokenizer section; one that opens must encode and decode.
//
//===------------------------------------------------------------------------------------------===//

#include "ingot/Artifact/TokenizerWriter.h"
#include "runtime/core/Tokenizer.h"
#include "runtime/core/Utf8.h"

#include <cstdlib>

using namespace ingot;
using namespace ingot::runtime;

/// All bytes, as GPT-2's alphabet spells them, and a few merges and special tokens.
static Tokenizer makeTokenizer(uint32_t kind) {
  artifact::TokenizerData data;
  data.preTokenizer = static_cast<format::PreTokenizer>(kind);
  data.ignoreMerges = kind == 1;
  for (uint32_t byte = 0, next = 256; byte < 256; ++byte) {
    bool prints = (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte != 0xAD);
    data.tokens.emplace_back();
    appendUtf8(prints ? byte : next++, data.tokens.back());
  }
  for (const char *merge :
       {"t h", "th e", "\u0120 \u0120", "\u0120\u0120 \u0120\u0120", "1 2", "\u010A \u010A", "a a",
        "aa aa", "\u00C3 \u00A9", "' s", "e r", "r e"}) {
    data.merges.push_back(merge);
    data.tokens.push_back(merge);
    data.tokens.back().erase(data.tokens.back().find(' '), 1);
  }
  data.types.assign(data.tokens.size(), 1);
  data.tokens.insert(data.tokens.end(), {"<|end|>", "<|end|>+", "<think>"});
  data.types.insert(data.types.end(), {3, 3, 4});
  std::string error;
  std::optional<std::vector<char>> section = artifact::writeTokenizer(data, error);
  if (!section)
    std::abort();
  Result<Tokenizer> tokenizer = Tokenizer::open(std::as_bytes(std::span(*section)));
  if (!tokenizer)
    std::abort();
  return std::move(*tokenizer);
}

/// Encodes and decodes `text`; checks that streaming says the same, and that nothing was lost if
/// `isWhole`.
static void exercise(const Tokenizer &tokenizer, std::string_view text, bool isWhole) {
  for (bool parseSpecial : {false, true}) {
    Result<std::vector<int32_t>> ids = tokenizer.encode(text, {.parseSpecial = parseSpecial});
    if (!ids)
      std::abort();
    std::string decoded = tokenizer.decode(*ids, /*showSpecial=*/true), streamed;
    StreamDecoder decoder(tokenizer, /*showSpecial=*/true);
    for (int32_t id : *ids) {
      std::string piece = decoder.put(id);
      if (!isValidUtf8(piece))
        std::abort();
      streamed += piece;
    }
    streamed += decoder.finish();
    if (streamed != decoded || (isWhole && decoded != mendUtf8(text)))
      std::abort();
  }
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const Tokenizer tokenizers[] = {makeTokenizer(0), makeTokenizer(1), makeTokenizer(2),
                                         makeTokenizer(3)};
  if (!size)
    return 0;
  std::span<const std::byte> rest = std::as_bytes(std::span(data, size)).subspan(1);
  std::string_view text(reinterpret_cast<const char *>(rest.data()), rest.size());
  if (data[0] < std::size(tokenizers)) {
    exercise(tokenizers[data[0]], text, /*isWhole=*/true);
    return 0;
  }
  if (Result<Tokenizer> tokenizer = Tokenizer::open(rest)) {
    exercise(*tokenizer, "abc <x><end> b\u00E9 12 ab\n", /*isWhole=*/false);
    exercise(*tokenizer, text.substr(text.size() - std::min<size_t>(text.size(), 40)),
             /*isWhole=*/false);
  }
  return 0;
}
