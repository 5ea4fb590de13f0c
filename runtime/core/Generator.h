//===- Generator.h - From a prompt to an answer, piece by piece -----------------------------------===//
//
// One conversation: a sequence of a session, what is in its cache, and the loop prompt -> logits ->
// token -> text. A prompt is always the whole text so far; the part that the cache already holds,
// from the turns before, is not computed again (logits do not depend on how a prompt is cut, so
// that reuse changes nothing).
//
// Text comes out as valid UTF-8 (characters are held back until they are complete), and what may be
// the beginning of a stop string is held back until it is decided.
//
//===----------------------------------------------------------------------------------------------===//

#ifndef INGOT_RUNTIME_CORE_GENERATOR_H
#define INGOT_RUNTIME_CORE_GENERATOR_H

#include "runtime/core/Draft.h"
#include "runtime/core/Sampler.h"
#include "runtime/core/Session.h"
#include "runtime/core/StopFilter.h"
#include "runtime/core/Tokenizer.h"

#include <atomic>
#include <functional>

namespace ingot::runtime {

struct GenerationOptions {
  SamplingOptions sampling;
  uint64_t maxTokens = 0; ///< 0: up to the end of the context
  std::vector<std::string> stops;
  bool ignoreEnd = false;   ///< goes on after end tokens
  bool showSpecial = false; ///< control tokens appear in the text
  /// Guess the next tokens from what followed before in the text, or by a smaller model of the same
  /// vocabulary (which must outlive the generator); see Draft.h. The answer does not change.
  bool lookup = false;
  Session *draft = nullptr;
  uint64_t draftTokens = 16; ///< most tokens that are guessed at once
};

enum class FinishReason {
  End,       ///< the model gave an end token
  Stop,      ///< a stop string
  Length,    ///< maxTokens
  Context,   ///< the context is full
  Cancelled, ///< the flag was set or the callback said so
};

/// As in reports and the HTTP interface: "end", "stop", "length", "context", "cancelled".
const char *getReasonName(FinishReason reason);

struct GenerationReport {
  FinishReason reason = FinishReason::Length;
  uint64_t promptTokens = 0; ///< of the whole prompt
  uint64_t reusedTokens = 0; ///< of these, already in the cache
  uint64_t answerTokens = 0;
  uint64_t promptNanoseconds = 0, answerNanoseconds = 0;
  uint64_t steps = 0;          ///< of the answer
  uint64_t draftedTokens = 0;  ///< guessed and computed
  uint64_t acceptedTokens = 0; ///< of these, part of the answer
};

/// Called for each token with the text that it completes, which may be none, and at the end with
/// token -1 if text was held back until then. Returns whether to go on.
using PieceCallback = std::function<bool(std::string_view text, int32_t token)>;

class Generator {
public:
  /// Both must outlive the generator.
  static Result<std::unique_ptr<Generator>> create(Session &session, const Tokenizer &tokenizer);
  ~Generator();
  Generator(const Generator &) = delete;

  /// `cancel`, when given, is looked at between steps; another thread or a signal handler may set
  /// it.
  Result<GenerationReport> generate(std::span<const int32_t> prompt,
                                    const GenerationOptions &options, const PieceCallback &callback,
                                    const std::atomic<bool> *cancel = nullptr);

private:
  struct Answer;

  Generator(Session &session, const Tokenizer &tokenizer, SequenceId sequence)
      : session(session), tokenizer(tokenizer), sequence(sequence) {}
  Result<uint64_t> reusePrefix(std::span<const int32_t> prompt);
  Result<const float *> feedPrompt(std::span<const int32_t> rest, const std::atomic<bool> *cancel);
  Result<const float *> feed(std::span<const int32_t> tokens, uint64_t outputs);
  Status prepareDrafter(std::span<const int32_t> prompt, Answer &answer);
  Status runLoop(const float *logits, Answer &answer);
  Result<const float *> advance(int32_t token, Answer &answer);
  Status endDraft(Answer &answer);
  uint64_t countDraft(const Answer &answer) const;

  Session &session;
  const Tokenizer &tokenizer;
  SequenceId sequence;
  std::vector<int32_t> cached; ///< tokens whose keys and values the cache holds
  std::unique_ptr<ModelDrafter> modelDrafter;
};

} // namespace ingot::runtime

#endif // INGOT_RUNTIME_CORE_GENERATOR_H
