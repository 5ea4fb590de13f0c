//===- PreTokenizer.cpp - Cutting text into words ---------------------------------------------===//
//
// The expressions say the same as the published ones, in a form that needs no backtracking stack,
// so that the length of a word has no limit. The changes:
//   published        here                                    reads
//   X+ (at the end)  X++                                     possessive: nothing follows that could
//   fail
//   \s+(?!\S)        (?:[\s](?=[\s]|\z))++                   spaces that another space or the end
//   follows
//   \s*[\r\n]+       (?:(?:(?![\r\n])[\s])*+[\r\n]++)++      up to the last line break of the
//   spaces
// `\s` stands for Unicode's White_Space, spelt out below: PCRE's own also has U+180E.
//
//===------------------------------------------------------------------------------------------===//

#include "runtime/core/PreTokenizer.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <cstdint>

using namespace ingot;
using namespace ingot::runtime;

static constexpr std::string_view whiteSpace =
    R"(\t-\r \x{85}\x{A0}\x{1680}\x{2000}-\x{200A}\x{2028}\x{2029}\x{202F}\x{205F}\x{3000})";

static constexpr std::string_view gpt2 = R"('(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++)"
                                         R"(| ?[^\s\p{L}\p{N}]++|(?:[\s](?=[\s]|\z))++|[\s]++)";

/// Llama 3 takes up to three digits at once, Qwen 2 one.
static constexpr std::string_view llama3 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}++|\p{N}{1,3}+)"
    R"(| ?[^\s\p{L}\p{N}]++[\r\n]*+|(?:(?:(?![\r\n])[\s])*+[\r\n]++)++|(?:[\s](?=[\s]|\z))++|[\s]++)";
static constexpr std::string_view qwen2 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}++|\p{N})"
    R"(| ?[^\s\p{L}\p{N}]++[\r\n]*+|(?:(?:(?![\r\n])[\s])*+[\r\n]++)++|(?:[\s](?=[\s]|\z))++|[\s]++)";

/// Digits are split off one by one first, then GPT-2's words are taken of what lies between: so a
/// digit never has a space in front and ends a run of spaces as the end of the text does.
static constexpr std::string_view smolLM =
    R"('(?:[sdmt]|ll|ve|re)| ?\p{L}++|\p{N})"
    R"(| ?[^\s\p{L}\p{N}]++|(?:[\s](?=[\s\p{N}]|\z))++|[\s]++)";

Result<runtime::PreTokenizer> runtime::PreTokenizer::create(uint32_t kind) {
  static constexpr std::string_view patterns[] = {gpt2, llama3, qwen2, smolLM};
  if (kind >= std::size(patterns))
    return INGOT_ERROR("pre-tokenizer %u is unknown; this version knows 0 to %zu", kind,
                       std::size(patterns) - 1);
  std::string pattern(patterns[kind]);
  for (size_t at = 0; (at = pattern.find("\\s", at)) != std::string::npos; at += whiteSpace.size())
    pattern.replace(at, 2, whiteSpace);

  int error = 0;
  PCRE2_SIZE errorOffset = 0;
  pcre2_code *code =
      pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(),
                    PCRE2_UTF | PCRE2_UCP | PCRE2_ANCHORED, &error, &errorOffset, nullptr);
  if (!code)
    return INGOT_ERROR("pre-tokenizer %u does not compile (PCRE2 error %d at %zu)", kind, error,
                       static_cast<size_t>(errorOffset));
  // Where the system forbids generated code matching is interpreted instead, with the same result.
  (void)pcre2_jit_compile(code, PCRE2_JIT_COMPLETE);
  return PreTokenizer(code);
}

runtime::PreTokenizer::~PreTokenizer() { pcre2_code_free(code); }

WordSplitter::WordSplitter(const PreTokenizer &preTokenizer)
    : preTokenizer(preTokenizer), match(pcre2_match_data_create(1, nullptr)),
      context(pcre2_match_context_create(nullptr)) {
  // The default limits guard against expressions that backtrack; ours look at a character twice at
  // most.
  if (context)
    pcre2_set_match_limit(context, UINT32_MAX);
}

WordSplitter::~WordSplitter() {
  pcre2_match_data_free(match);
  pcre2_match_context_free(context);
}

Result<size_t> WordSplitter::measureWord(std::string_view text, size_t start) {
  if (!match || !context)
    return INGOT_ERROR("out of memory for a text of %zu bytes", text.size());
  int found = pcre2_match(preTokenizer.code, reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(),
                          start, PCRE2_NO_UTF_CHECK, match, context);
  if (found < 0)
    return INGOT_ERROR("the text's word at byte %zu cannot be found (PCRE2 error %d)", start,
                       found);
  return static_cast<size_t>(pcre2_get_ovector_pointer(match)[1] - start);
}
