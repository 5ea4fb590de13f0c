//===- TextSteps.h - From text to the words that a model sees ---------------------------------===//
//
// The normalisers and pre-tokenizers of tokenizer.json as a list of steps (Format.h). A step
// changes text or cuts it into pieces; regular expressions are PCRE2's, in Unicode. Steps come from
// an artefact and are checked when they are made; texts are valid UTF-8.
//
//===------------------------------------------------------------------------------------------===//

#ifndef INGOT_RUNTIME_CORE_TEXTSTEPS_H
#define INGOT_RUNTIME_CORE_TEXTSTEPS_H

#include "ingot/Artifact/Format.h"
#include "runtime/core/Status.h"

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

struct pcre2_real_code_8;

namespace ingot::runtime {

class TextSteps {
public:
  TextSteps() = default;
  static Result<TextSteps> create(std::span<const format::TextStepRecord> records,
                                  uint32_t normalizers, std::string_view strings);

  bool isEmpty() const { return steps.empty(); }
  /// The normalisers.
  Status normalize(std::string &text) const;
  /// Cuts normalised text into words. `isStart` is said of text at the start of what is encoded.
  Status split(std::string text, bool isStart, std::vector<std::string> &words) const;

private:
  struct FreeCode {
    void operator()(pcre2_real_code_8 *code) const;
  };
  struct Step {
    format::TextStepKind kind;
    uint32_t number;
    std::string first, second;
    std::shared_ptr<pcre2_real_code_8> code;
  };
  Status apply(const Step &step, std::string &text, bool isStart) const;
  Status replace(const Step &step, std::string &text) const;
  Status cut(const Step &step, const std::string &text, std::vector<std::string> &pieces) const;

  std::vector<Step> steps;
  size_t normalizers = 0;
};

/// Unicode's White_Space.
bool isWhiteSpace(uint32_t codePoint);
/// Whether words are made of it: letters, marks, digits, underscores and other connectors.
bool isWordCharacter(uint32_t codePoint);

} // namespace ingot::runtime

#endif // INGOT_RUNTIME_CORE_TEXTSTEPS_H
