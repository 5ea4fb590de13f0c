//===- Generator.cpp - From a prompt to an answer, piece by piece ---------------------------------===//
//
// A token that was sampled goes into the cache only when the next one is wanted, so that an answer
// that ends costs no step for its last token. `cached` is exactly what the session's sequence
// holds, also after an error; while a draft is verified that includes the guesses which are not
// decided yet.
//
//===----------------------------------------------------------------------------------------------===//

#include "runtime/core/Generator.h"

#include <algorithm>
#include <chrono>

using namespace ingot::runtime;

namespace {

uint64_t readClock() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

bool isSet(const std::atomic<bool> *flag) {
  // Relaxed: the flag orders nothing, it is only seen sooner or later.
  return flag && flag->load(std::memory_order_relaxed);
}

} // namespace

const char *ingot::runtime::getReasonName(FinishReason reason) {
  static constexpr const char *names[] = {"end", "stop", "length", "context", "cancelled"};
  return names[int(reason)];
}

/// What one call of `generate` carries along.
struct Generator::Answer {
  const GenerationOptions &options;
  const PieceCallback &callback;
  const std::atomic<bool> *cancel;
  GenerationReport &report;
  Sampler sampler;
  StreamDecoder decoder;
  StopFilter filter;

  // The draft that is being verified: its logits, one row for each token and one before.
  SpeculationBudget budget;
  Drafter *drafter = nullptr;
  std::vector<int32_t> draft = {};
  const float *rows = nullptr;
  size_t verified = 0; ///< guesses that stood so far
  uint64_t draftNanoseconds = 0;

  bool emit(std::string_view text, int32_t token) { return !callback || callback(text, token); }
};

Result<std::unique_ptr<Generator>> Generator::create(Session &session, const Tokenizer &tokenizer) {
  Result<SequenceId> sequence = session.addSequence();
  if (!sequence)
    return sequence.takeStatus();
  return std::unique_ptr<Generator>(new Generator(session, tokenizer, *sequence));
}

Generator::~Generator() { (void)session.removeSequence(sequence); }

Result<GenerationReport> Generator::generate(std::span<const int32_t> prompt,
                                             const GenerationOptions &options,
                                             const PieceCallback &callback,
                                             const std::atomic<bool> *cancel) {
  INGOT_RETURN_IF_ERROR(options.sampling.check());
  const format::PlanHeader &plan = *session.getModel().getPlan().header;
  if (plan.outputWidth < plan.inputVocabulary)
    return INGOT_ERROR("the model gives %llu numbers a token, no logits of its %llu tokens: an "
                       "encoder generates no text",
                       (unsigned long long)plan.outputWidth,
                       (unsigned long long)plan.inputVocabulary);
  if (prompt.empty())
    return INGOT_ERROR("the prompt has no tokens");
  if (prompt.size() > plan.maxContext)
    return INGOT_ERROR(
        "the prompt has %zu tokens, more than the context of %llu for which the model was "
        "compiled (--max-context)",
        prompt.size(), (unsigned long long)plan.maxContext);
  GenerationReport report;
  report.promptTokens = prompt.size();
  uint64_t begin = readClock();
  Result<uint64_t> reused = reusePrefix(prompt);
  if (!reused)
    return reused.takeStatus();
  report.reusedTokens = *reused;
  Result<const float *> logits = feedPrompt(prompt.subspan(*reused), cancel);
  if (!logits)
    return logits.takeStatus();
  Answer answer{options,
                callback,
                cancel,
                report,
                Sampler(options.sampling, plan.outputWidth),
                StreamDecoder(tokenizer, options.showSpecial),
                StopFilter(options.stops),
                SpeculationBudget(options.draftTokens)};
  answer.sampler.acceptPrompt(prompt);
  INGOT_RETURN_IF_ERROR(prepareDrafter(prompt, answer));
  uint64_t middle = readClock();
  report.promptNanoseconds = middle - begin;
  INGOT_RETURN_IF_ERROR(runLoop(*logits, answer));
  INGOT_RETURN_IF_ERROR(endDraft(answer));
  report.answerNanoseconds = readClock() - middle;
  return report;
}

/// Forgets what the cache holds beyond the common beginning; the last token of the prompt is always
/// computed, for its logits.
Result<uint64_t> Generator::reusePrefix(std::span<const int32_t> prompt) {
  size_t limit = std::min(cached.size(), prompt.size() - 1);
  size_t common =
      std::mismatch(cached.begin(), cached.begin() + limit, prompt.begin()).first - cached.begin();
  INGOT_RETURN_IF_ERROR(session.truncateSequence(sequence, common));
  cached.resize(common);
  return uint64_t(common);
}

/// The logits of the last token, null when cancelled before.
Result<const float *> Generator::feedPrompt(std::span<const int32_t> rest,
                                            const std::atomic<bool> *cancel) {
  uint64_t chunk = session.getModel().getPlan().header->maxTokens;
  while (rest.size() > chunk) {
    if (isSet(cancel))
      return nullptr;
    Result<const float *> none = feed(rest.first(chunk), 0);
    if (!none)
      return none;
    rest = rest.subspan(chunk);
  }
  return isSet(cancel) ? Result<const float *>(nullptr) : feed(rest, 1);
}

Result<const float *> Generator::feed(std::span<const int32_t> tokens, uint64_t outputs) {
  SequenceTokens part{sequence, tokens, outputs};
  Result<StepOutput> output = session.step({&part, 1});
  if (!output)
    return output.takeStatus();
  cached.insert(cached.end(), tokens.begin(), tokens.end());
  return output->logits;
}

//===----------------------------------------------------------------------------------------------===//
// Drafts
//===----------------------------------------------------------------------------------------------===//

Status Generator::prepareDrafter(std::span<const int32_t> prompt, Answer &answer) {
  static LookupDrafter lookup; // has no state
  const GenerationOptions &options = answer.options;
  if (options.lookup)
    answer.drafter = &lookup;
  if (!options.draft)
    return Status::success();
  if (options.draft == &session)
    return INGOT_ERROR("the draft model's session is the model's own");
  if (!modelDrafter || &modelDrafter->session != options.draft) {
    uint64_t vocabulary = session.getModel().getPlan().header->outputWidth;
    Result<std::unique_ptr<ModelDrafter>> made = ModelDrafter::create(*options.draft, vocabulary);
    if (!made)
      return made.takeStatus();
    modelDrafter = std::move(*made);
  }
  answer.drafter = modelDrafter.get();
  return answer.drafter->prepare(prompt);
}

/// How many tokens may be guessed after the one that the cache gets next (`cached` has it): no more
/// than a step takes, the context holds and the answer needs.
uint64_t Generator::countDraft(const Answer &answer) const {
  const format::PlanHeader &plan = *session.getModel().getPlan().header;
  uint64_t most = answer.drafter ? answer.budget.getDraftLength() : 0;
  most = std::min(
      {most, plan.maxTokens - 1, plan.maxOutputs - 1, uint64_t(plan.maxContext - cached.size())});
  uint64_t wanted = answer.options.maxTokens; // the step gives one token more than it verifies
  return wanted ? std::min(most, wanted - answer.report.answerTokens - 1) : most;
}

/// Forgets the guesses that did not stand.
Status Generator::endDraft(Answer &answer) {
  size_t refused = answer.draft.size() - answer.verified;
  if (answer.rows)
    answer.budget.add(answer.draft.size(), answer.verified, double(answer.draftNanoseconds));
  answer.rows = nullptr;
  answer.draft.clear();
  answer.verified = 0;
  if (!refused)
    return Status::success();
  cached.resize(cached.size() - refused);
  return session.truncateSequence(sequence, cached.size());
}

/// The logits after `token`, which was sampled: those of the draft where it guessed so, else of a
/// new step, which verifies the next draft.
Result<const float *> Generator::advance(int32_t token, Answer &answer) {
  uint64_t width = session.getModel().getPlan().header->outputWidth;
  if (answer.verified < answer.draft.size() && answer.draft[answer.verified] == token) {
    ++answer.report.acceptedTokens;
    return answer.rows + ++answer.verified * width;
  }
  INGOT_RETURN_IF_ERROR(endDraft(answer));
  uint64_t begin = readClock();
  cached.push_back(token);
  uint64_t most = countDraft(answer);
  Status status = most ? answer.drafter->propose(cached, most, answer.draft) : Status::success();
  cached.pop_back();
  INGOT_RETURN_IF_ERROR(std::move(status));
  std::vector<int32_t> &tokens = answer.draft;
  tokens.insert(tokens.begin(), token);
  Result<const float *> rows = feed(tokens, tokens.size());
  tokens.erase(tokens.begin());
  if (!rows) {
    tokens.clear();
    return rows;
  }
  ++answer.report.steps;
  answer.report.draftedTokens += tokens.size();
  answer.rows = *rows;
  answer.draftNanoseconds = readClock() - begin;
  return rows;
}

//===----------------------------------------------------------------------------------------------===//
// The loop
//===----------------------------------------------------------------------------------------------===//

Status Generator::runLoop(const float *logits, Answer &answer) {
  const format::PlanHeader &plan = *session.getModel().getPlan().header;
  GenerationReport &report = answer.report;
  bool goOn = true;
  for (;;) {
    if (!logits || !goOn || isSet(answer.cancel)) {
      report.reason = FinishReason::Cancelled;
      break;
    }
    Result<int32_t> token = answer.sampler.sample({logits, plan.outputWidth});
    if (!token)
      return token.takeStatus();
    if (!answer.options.ignoreEnd && tokenizer.isEnd(*token)) {
      report.reason = FinishReason::End;
      break;
    }
    answer.sampler.accept(*token);
    ++report.answerTokens;
    goOn = answer.emit(answer.filter.put(answer.decoder.put(*token)), *token);
    if (answer.filter.isStopped()) {
      report.reason = FinishReason::Stop;
      return Status::success();
    }
    if (answer.options.maxTokens && report.answerTokens >= answer.options.maxTokens) {
      report.reason = FinishReason::Length;
      break;
    }
    if (cached.size() - (answer.draft.size() - answer.verified) >= plan.maxContext) {
      report.reason = FinishReason::Context;
      break;
    }
    Result<const float *> next = advance(*token, answer);
    if (!next)
      return next.takeStatus();
    logits = *next;
  }
  std::string rest = answer.filter.put(answer.decoder.finish());
  rest += answer.filter.finish();
  if (!rest.empty())
    answer.emit(rest, -1);
  return Status::success();
}
