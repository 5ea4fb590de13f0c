//===- PreTokenizer.h - Cutting text into words -----------------------------------------------===//
//
// Merging never crosses a word, and each family of models has its own idea of a word, a regular
// expression. `PreTokenizer` is that expression compiled. Every character of valid UTF-8 is part of
// exactly one word. Thread-safe: each `WordSplitter` has the state of one text.
//
//===------------------------------------------------------------------------------------------===//

#ifndef INGOT_RUNTIME_CORE_PRETOKENIZER_H
#define INGOT_RUNTIME_CORE_PRETOKENIZER_H

#include "ingot/Artifact/Format.h"
#include "runtime/core/Status.h"

#include <string_view>

struct pcre2_real_code_8;
struct pcre2_real_match_context_8;
struct pcre2_real_match_data_8;

namespace ingot::runtime {

class PreTokenizer {
public:
  /// Refuses a kind that this version does not know.
  static Result<PreTokenizer> create(uint32_t kind);

  PreTokenizer(PreTokenizer &&other) noexcept : code(std::exchange(other.code, nullptr)) {}
  PreTokenizer &operator=(PreTokenizer &&other) noexcept {
    std::swap(code, other.code);
    return *this;
  }
  ~PreTokenizer();

private:
  friend class WordSplitter;
  explicit PreTokenizer(pcre2_real_code_8 *code) : code(code) {}

  pcre2_real_code_8 *code;
};

/// Walks over the words of texts.
class WordSplitter {
public:
  explicit WordSplitter(const PreTokenizer &preTokenizer);
  WordSplitter(const WordSplitter &) = delete;
  WordSplitter &operator=(const WordSplitter &) = delete;
  ~WordSplitter();

  /// The length of the word that begins at `start` of `text`, which is valid UTF-8.
  Result<size_t> measureWord(std::string_view text, size_t start);

private:
  const PreTokenizer &preTokenizer;
  pcre2_real_match_data_8 *match;
  pcre2_real_match_context_8 *context;
};

} // namespace ingot::runtime

#endif // INGOT_RUNTIME_CORE_PRETOKENIZER_H
