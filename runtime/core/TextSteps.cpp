//===- TextSteps.cpp - From text to the words that a model sees -------------------------------===//
//
// Matching has a limit on its work, so that no pattern takes forever: a text that exceeds it is an
// error.
//
//===------------------------------------------------------------------------------------------===//

#include "runtime/core/TextSteps.h"
#include "runtime/core/Utf8.h"

#include <algorithm>
#include <optional>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <utf8proc.h>

using namespace ingot;
using namespace ingot::runtime;
using format::TextStepKind;

/// Backtracking steps of one match, far beyond what published patterns need.
static constexpr uint32_t maxMatchSteps = 50'000'000;

namespace {

/// A stretch of text that a pattern matched, or one between matches.
struct Stretch {
  size_t begin, end;
  bool isMatch;
};

/// Finds the matches of a pattern one after the other.
class Matcher {
public:
  explicit Matcher(const pcre2_code *code)
      : code(code), data(pcre2_match_data_create_from_pattern(code, nullptr)),
        context(pcre2_match_context_create(nullptr)) {
    if (context)
      pcre2_set_match_limit(context, maxMatchSteps);
  }
  ~Matcher() {
    pcre2_match_data_free(data);
    pcre2_match_context_free(context);
  }
  Matcher(const Matcher &) = delete;

  /// The whole of `text` as matches and what lies between them.
  Status find(std::string_view text, std::vector<Stretch> &stretches) {
    if (!data || !context)
      return INGOT_ERROR("out of memory for a text of %zu bytes", text.size());
    size_t end = 0, from = 0;
    while (from <= text.size()) {
      int found = pcre2_match(code, reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), from,
                              PCRE2_NO_UTF_CHECK, data, context);
      if (found == PCRE2_ERROR_NOMATCH)
        break;
      const PCRE2_SIZE *match = pcre2_get_ovector_pointer(data);
      if (found < 0 || match[0] < end || match[1] < match[0])
        return INGOT_ERROR("the text's words from byte %zu on cannot be found (PCRE2 error %d)",
                           from, found);
      if (match[0] > end)
        stretches.push_back({end, match[0], false});
      if (match[1] > match[0])
        stretches.push_back({match[0], match[1], true});
      end = match[1];
      from = end;
      // A match of nothing: on from the next character.
      if (match[0] == match[1]) {
        if (from == text.size())
          break;
        from += scanUtf8(text.substr(from)).length;
      }
    }
    if (end < text.size())
      stretches.push_back({end, text.size(), false});
    return Status::success();
  }

private:
  const pcre2_code *code;
  pcre2_match_data *data;
  pcre2_match_context *context;
};

} // namespace

void TextSteps::FreeCode::operator()(pcre2_real_code_8 *code) const { pcre2_code_free(code); }

bool runtime::isWhiteSpace(uint32_t c) {
  return (c >= 0x09 && c <= 0x0D) || c == 0x20 || c == 0x85 || c == 0xA0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F ||
         c == 0x3000;
}

bool runtime::isWordCharacter(uint32_t c) {
  switch (utf8proc_category(static_cast<utf8proc_int32_t>(c))) {
  case UTF8PROC_CATEGORY_LU:
  case UTF8PROC_CATEGORY_LL:
  case UTF8PROC_CATEGORY_LT:
  case UTF8PROC_CATEGORY_LM:
  case UTF8PROC_CATEGORY_LO:
  case UTF8PROC_CATEGORY_MN:
  case UTF8PROC_CATEGORY_MC:
  case UTF8PROC_CATEGORY_ME:
  case UTF8PROC_CATEGORY_ND:
  case UTF8PROC_CATEGORY_NL:
  case UTF8PROC_CATEGORY_PC:
    return true;
  default:
    return false;
  }
}

//===------------------------------------------------------------------------------------------===//
// Characters
//===------------------------------------------------------------------------------------------===//

/// Calls `append` for every character.
template <typename Append> static std::string mapCharacters(std::string_view text, Append append) {
  std::string result;
  result.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    uint8_t length = scanUtf8(text.substr(at)).length;
    append(decodeUtf8(text.substr(at, length), length), text.substr(at, length), result);
    at += length;
  }
  return result;
}

static std::string lowercase(std::string_view text) {
  return mapCharacters(text, [](uint32_t c, std::string_view, std::string &result) {
    if (c == 0x130) // the one letter that becomes two
      result += "i\xCC\x87";
    else
      appendUtf8(static_cast<uint32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(c))), result);
  });
}

static std::string stripAccents(std::string_view text, bool allMarks) {
  return mapCharacters(text, [&](uint32_t c, std::string_view bytes, std::string &result) {
    auto category = utf8proc_category(static_cast<utf8proc_int32_t>(c));
    bool isMark =
        category == UTF8PROC_CATEGORY_MN ||
        (allMarks && (category == UTF8PROC_CATEGORY_MC || category == UTF8PROC_CATEGORY_ME));
    if (!isMark)
      result += bytes;
  });
}

static std::string cleanControl(std::string_view text) {
  return mapCharacters(text, [](uint32_t c, std::string_view bytes, std::string &result) {
    auto category = utf8proc_category(static_cast<utf8proc_int32_t>(c));
    bool isControl = category == UTF8PROC_CATEGORY_CC || category == UTF8PROC_CATEGORY_CF ||
                     category == UTF8PROC_CATEGORY_CO;
    if (c == '\t' || c == '\n' || c == '\r')
      result += ' ';
    else if (c == 0xFFFD || isControl) // white space among them too
      return;
    else if (isWhiteSpace(c))
      result += ' ';
    else
      result += bytes;
  });
}

/// The ranges are BERT's.
static bool isChinese(uint32_t c) {
  return (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0x3400 && c <= 0x4DBF) ||
         (c >= 0x20000 && c <= 0x2A6DF) || (c >= 0x2A700 && c <= 0x2B73F) ||
         (c >= 0x2B740 && c <= 0x2B81F) || (c >= 0x2B920 && c <= 0x2CEAF) ||
         (c >= 0xF900 && c <= 0xFAFF) || (c >= 0x2F800 && c <= 0x2FA1F);
}

static std::string padChinese(std::string_view text) {
  return mapCharacters(text, [](uint32_t c, std::string_view bytes, std::string &result) {
    if (isChinese(c))
      result.append(" ").append(bytes).append(" ");
    else
      result += bytes;
  });
}

static void strip(std::string &text, bool left, bool right) {
  size_t begin = 0, end = text.size();
  auto isSpaceAt = [&](size_t at, uint8_t length) {
    return isWhiteSpace(decodeUtf8(std::string_view(text).substr(at, length), length));
  };
  while (left && begin < end) {
    uint8_t length = scanUtf8(std::string_view(text).substr(begin)).length;
    if (!isSpaceAt(begin, length))
      break;
    begin += length;
  }
  while (right && end > begin) {
    size_t start = end - 1;
    while (start > begin && (static_cast<uint8_t>(text[start]) & 0xC0) == 0x80)
      --start;
    if (!isSpaceAt(start, static_cast<uint8_t>(end - start)))
      break;
    end = start;
  }
  text = text.substr(begin, end - begin);
}

static Status normalizeForm(format::TextNormalForm form, std::string &text) {
  // Below U+00A0 every form is the text itself; compatibility changes begin there.
  bool isPlain = true;
  for (char c : text)
    isPlain &= static_cast<uint8_t>(c) < 0x80;
  if (isPlain)
    return Status::success();
  int options = UTF8PROC_STABLE;
  bool composes = form == format::TextNormalForm::C || form == format::TextNormalForm::KC;
  options |= composes ? UTF8PROC_COMPOSE : UTF8PROC_DECOMPOSE;
  if (form == format::TextNormalForm::KC || form == format::TextNormalForm::KD)
    options |= UTF8PROC_COMPAT;
  utf8proc_uint8_t *result = nullptr;
  utf8proc_ssize_t length = utf8proc_map(reinterpret_cast<const utf8proc_uint8_t *>(text.data()),
                                         static_cast<utf8proc_ssize_t>(text.size()), &result,
                                         static_cast<utf8proc_option_t>(options));
  if (length < 0)
    return INGOT_ERROR("text of %zu bytes cannot be normalised: %s", text.size(),
                       utf8proc_errmsg(length));
  text.assign(reinterpret_cast<const char *>(result), static_cast<size_t>(length));
  free(result);
  return Status::success();
}

//===------------------------------------------------------------------------------------------===//
// Steps
//===------------------------------------------------------------------------------------------===//

/// How many values `number` of each kind of step has, and whether the step has a pattern.
struct StepShape {
  uint32_t numbers;
  bool hasPattern;
};
static constexpr StepShape shapes[] = {{4, false}, {1, false}, {2, false}, {4, false}, {1, true},
                                       {3, false}, {1, false}, {1, false}, {32, true}};

Result<TextSteps> TextSteps::create(std::span<const format::TextStepRecord> records,
                                    uint32_t normalizers, std::string_view strings) {
  TextSteps result;
  if (normalizers > records.size())
    return INGOT_ERROR("tokenizer says that %u of its %zu steps are normalisers", normalizers,
                       records.size());
  result.normalizers = normalizers;
  auto textOf = [&](uint32_t offset, uint32_t bytes) -> std::optional<std::string> {
    if (offset > strings.size() || bytes > strings.size() - offset)
      return std::nullopt;
    std::string text(strings.substr(offset, bytes));
    return isValidUtf8(text) ? std::optional(std::move(text)) : std::nullopt;
  };
  for (size_t i = 0; i < records.size(); ++i) {
    const format::TextStepRecord &record = records[i];
    if (record.kind >= std::size(shapes) || record.number >= shapes[record.kind].numbers ||
        (record.kind == uint32_t(TextStepKind::Split) && (record.number & 15) > 4))
      return INGOT_ERROR("tokenizer's step %zu is of kind %u with number %u, which this version "
                         "does not know",
                         i, record.kind, record.number);
    if (i < normalizers && record.kind == uint32_t(TextStepKind::Split))
      return INGOT_ERROR("tokenizer's normaliser %zu cuts the text", i);
    auto first = textOf(record.firstOffset, record.firstBytes),
         second = textOf(record.secondOffset, record.secondBytes);
    if (!first || !second)
      return INGOT_ERROR("tokenizer's step %zu has a text outside of its %zu bytes of strings, or "
                         "not in UTF-8",
                         i, strings.size());
    Step step{TextStepKind(record.kind), record.number, *first, *second, nullptr};
    if (shapes[record.kind].hasPattern) {
      int error = 0;
      PCRE2_SIZE offset = 0;
      constexpr uint32_t options =
          PCRE2_UTF | PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C | PCRE2_DOLLAR_ENDONLY;
      step.code.reset(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(first->data()), first->size(),
                                    options, &error, &offset, nullptr),
                      FreeCode());
      if (!step.code || first->starts_with("(*"))
        return INGOT_ERROR("tokenizer's step %zu has a pattern that does not compile (PCRE2 error "
                           "%d at %zu)",
                           i, error, static_cast<size_t>(offset));
      (void)pcre2_jit_compile(step.code.get(), PCRE2_JIT_COMPLETE);
    }
    result.steps.push_back(std::move(step));
  }
  return result;
}

Status TextSteps::replace(const Step &step, std::string &text) const {
  std::vector<Stretch> stretches;
  INGOT_RETURN_IF_ERROR(Matcher(step.code.get()).find(text, stretches));
  std::string result;
  for (const Stretch &stretch : stretches)
    result +=
        stretch.isMatch ? step.second : text.substr(stretch.begin, stretch.end - stretch.begin);
  text = std::move(result);
  return Status::success();
}

Status TextSteps::apply(const Step &step, std::string &text, bool isStart) const {
  switch (step.kind) {
  case TextStepKind::Normalize:
    return normalizeForm(format::TextNormalForm(step.number), text);
  case TextStepKind::Lowercase:
    text = lowercase(text);
    break;
  case TextStepKind::StripAccents:
    text = stripAccents(text, step.number);
    break;
  case TextStepKind::Strip:
    strip(text, step.number & 1, step.number & 2);
    break;
  case TextStepKind::Replace:
    return replace(step, text);
  case TextStepKind::Prepend: {
    auto rule = format::PrependRule(step.number);
    bool isThere = rule != format::PrependRule::Always && text.starts_with(step.first);
    bool isElsewhere = rule == format::PrependRule::FirstIfMissing && !isStart;
    if (!text.empty() && !isThere && !isElsewhere)
      text.insert(0, step.first);
    break;
  }
  case TextStepKind::CleanControl:
    text = cleanControl(text);
    break;
  case TextStepKind::PadChinese:
    text = padChinese(text);
    break;
  case TextStepKind::Split:
    break;
  }
  return Status::success();
}

/// Joins what a rule joins; stretches that are left with `isMatch` go away.
static std::vector<Stretch> join(std::vector<Stretch> stretches, format::SplitRule rule) {
  if (rule == format::SplitRule::Removed)
    return stretches;
  std::vector<Stretch> result;
  bool fromTheEnd = rule == format::SplitRule::MergedWithNext, previous = false;
  if (fromTheEnd)
    std::reverse(stretches.begin(), stretches.end());
  for (const Stretch &stretch : stretches) {
    bool joins = rule == format::SplitRule::Contiguous
                     ? !result.empty() && stretch.isMatch == previous
                     : rule != format::SplitRule::Isolated && stretch.isMatch && !previous &&
                           !result.empty();
    if (!joins)
      result.push_back({stretch.begin, stretch.end, false});
    else if (fromTheEnd)
      result.back().begin = stretch.begin;
    else
      result.back().end = stretch.end;
    previous = stretch.isMatch;
  }
  if (fromTheEnd)
    std::reverse(result.begin(), result.end());
  return result;
}

Status TextSteps::cut(const Step &step, const std::string &text,
                      std::vector<std::string> &pieces) const {
  std::vector<Stretch> stretches;
  INGOT_RETURN_IF_ERROR(Matcher(step.code.get()).find(text, stretches));
  if (step.number & 16)
    for (Stretch &stretch : stretches)
      stretch.isMatch = !stretch.isMatch;
  for (const Stretch &stretch : join(std::move(stretches), format::SplitRule(step.number & 15)))
    if (!stretch.isMatch)
      pieces.push_back(text.substr(stretch.begin, stretch.end - stretch.begin));
  return Status::success();
}

Status TextSteps::normalize(std::string &text) const {
  for (size_t i = 0; i < normalizers; ++i)
    INGOT_RETURN_IF_ERROR(apply(steps[i], text, /*isStart=*/true));
  return Status::success();
}

Status TextSteps::split(std::string text, bool isStart, std::vector<std::string> &words) const {
  words.clear();
  words.push_back(std::move(text));
  std::vector<std::string> pieces;
  for (size_t i = normalizers; i < steps.size(); ++i) {
    pieces.clear();
    for (std::string &word : words) {
      if (steps[i].kind == TextStepKind::Split) {
        INGOT_RETURN_IF_ERROR(cut(steps[i], word, pieces));
        continue;
      }
      INGOT_RETURN_IF_ERROR(apply(steps[i], word, isStart && &word == &words.front()));
      pieces.push_back(std::move(word));
    }
    std::swap(words, pieces);
  }
  return Status::success();
}
