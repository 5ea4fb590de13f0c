//===- Draft.h - Guesses of the next tokens, for the model to verify ------------------------------===//
//
// A step of several tokens costs little more than a step of one, since the weights are read once.
// So somebody guesses the next tokens, one step computes the logits after each of them, and the
// sampler is asked as if they had been computed one by one: a guess that it would have chosen
// stands, the first other one ends the draft. Logits do not depend on what else is in the step, and
// the sampler is called once for each token of the answer: the answer is the same, bit by bit, at
// every temperature.
//
//   history  … the quick brown fox … the quick      lookup: brown fox …
//
// SpeculationBudget keeps guessing from costing time: it compares what drafts took with what single
// steps would have, and stops asking while the loss is over one in a hundred.
//
//===----------------------------------------------------------------------------------------------===//

#ifndef INGOT_RUNTIME_CORE_DRAFT_H
#define INGOT_RUNTIME_CORE_DRAFT_H

#include "runtime/core/Session.h"

namespace ingot::runtime {

class Drafter {
public:
  virtual ~Drafter() = default;
  /// Called with the prompt, before its answer.
  virtual Status prepare(std::span<const int32_t> prompt) { return Status::success(); }
  /// Fills `draft` with at most `most` tokens that may follow `history`; none is an answer.
  virtual Status propose(std::span<const int32_t> history, size_t most,
                         std::vector<int32_t> &draft) = 0;
};

/// What followed the last time that the text ended as it does now: the longest such end, of at
/// least two tokens; of several the latest.
class LookupDrafter : public Drafter {
public:
  Status propose(std::span<const int32_t> history, size_t most,
                 std::vector<int32_t> &draft) override;
};

/// What a smaller model of the same vocabulary finds most probable.
class ModelDrafter : public Drafter {
public:
  /// `session` must outlive the drafter; `vocabulary` is that of the model that verifies.
  static Result<std::unique_ptr<ModelDrafter>> create(Session &session, uint64_t vocabulary);
  ~ModelDrafter() override;
  Status prepare(std::span<const int32_t> prompt) override;
  Status propose(std::span<const int32_t> history, size_t most,
                 std::vector<int32_t> &draft) override;

  Session &session;

private:
  ModelDrafter(Session &session, SequenceId sequence) : session(session), sequence(sequence) {}
  /// Forgets what is not the beginning of `history`; what is missing of it.
  Result<std::span<const int32_t>> keepPrefix(std::span<const int32_t> history);
  /// The most probable token after these.
  Result<int32_t> feed(std::span<const int32_t> tokens);

  SequenceId sequence;
  std::vector<int32_t> cached; ///< tokens that the sequence holds
};

/// How many tokens to guess next.
class SpeculationBudget {
public:
  explicit SpeculationBudget(uint64_t most) : most(most) {}

  /// Tokens of the next draft; 0: a single step.
  uint64_t getDraftLength() const;
  /// A step with `drafted` guesses, of which `accepted` stood, took so long, guessing included.
  void add(uint64_t drafted, uint64_t accepted, double nanoseconds);

private:
  uint64_t most;
  uint64_t length = 4; ///< doubles where all guesses stand, falls to what stood
  double single = 0;   ///< nanoseconds of a step of one token, a moving average
  double elapsed = 0;  ///< nanoseconds of all steps
  double balance = 0;  ///< nanoseconds that drafts saved, negative where they lost
};

} // namespace ingot::runtime

#endif // INGOT_RUNTIME_CORE_DRAFT_H
