//===- Draft.cpp - Guesses of the next tokens, for the model to verify ----------------------------===//
//
// See Draft.h. A drafter that has nothing to say costs a look at the history: a few microseconds
// for thousands of tokens.
//
//===----------------------------------------------------------------------------------------------===//

#include "runtime/core/Draft.h"

#include <algorithm>

using namespace ingot::runtime;

//===----------------------------------------------------------------------------------------------===//
// Lookup
//===----------------------------------------------------------------------------------------------===//

Status LookupDrafter::propose(std::span<const int32_t> history, size_t most,
                              std::vector<int32_t> &draft) {
  constexpr size_t shortest = 2, longest = 16;
  draft.clear();
  size_t best = shortest - 1, after = 0;
  for (size_t end = history.size() - 1; end > 0 && best < longest; --end) {
    // Compares the text before `end` with the whole text, from their ends.
    size_t length = 0;
    while (length < std::min(end, longest) &&
           history[end - 1 - length] == history[history.size() - 1 - length])
      ++length;
    if (length > best) {
      best = length;
      after = end;
    }
  }
  // Past the end of the text the guess goes on with itself: what repeats, repeats.
  for (size_t i = after; after && draft.size() < most; ++i)
    draft.push_back(i < history.size() ? history[i] : draft[i - history.size()]);
  return Status::success();
}

//===----------------------------------------------------------------------------------------------===//
// A model
//===----------------------------------------------------------------------------------------------===//

Result<std::unique_ptr<ModelDrafter>> ModelDrafter::create(Session &session, uint64_t vocabulary) {
  const format::PlanHeader &plan = *session.getModel().getPlan().header;
  if (plan.outputWidth != vocabulary || plan.inputVocabulary != vocabulary)
    return INGOT_ERROR("the draft model has a vocabulary of %llu tokens, the model one of %llu: a "
                       "draft needs a model with the same tokenizer",
                       (unsigned long long)plan.outputWidth, (unsigned long long)vocabulary);
  Result<SequenceId> sequence = session.addSequence();
  if (!sequence)
    return sequence.takeStatus();
  return std::unique_ptr<ModelDrafter>(new ModelDrafter(session, *sequence));
}

ModelDrafter::~ModelDrafter() { (void)session.removeSequence(sequence); }

Result<std::span<const int32_t>> ModelDrafter::keepPrefix(std::span<const int32_t> history) {
  size_t limit = std::min(cached.size(), history.size() - 1);
  size_t common =
      std::mismatch(cached.begin(), cached.begin() + limit, history.begin()).first - cached.begin();
  INGOT_RETURN_IF_ERROR(session.truncateSequence(sequence, common));
  cached.resize(common);
  return history.subspan(common);
}

Status ModelDrafter::prepare(std::span<const int32_t> prompt) {
  if (prompt.size() > session.getModel().getPlan().header->maxContext)
    return Status::success(); // no drafts then
  Result<std::span<const int32_t>> rest = keepPrefix(prompt);
  Result<int32_t> token = rest ? feed(*rest) : rest.takeStatus();
  return token ? Status::success() : token.takeStatus().withContext("draft model");
}

Result<int32_t> ModelDrafter::feed(std::span<const int32_t> tokens) {
  const format::PlanHeader &plan = *session.getModel().getPlan().header;
  int32_t best = 0;
  while (!tokens.empty()) {
    auto chunk = tokens.first(std::min<size_t>(tokens.size(), plan.maxTokens));
    tokens = tokens.subspan(chunk.size());
    SequenceTokens part{sequence, chunk, tokens.empty() ? uint64_t(1) : 0};
    Result<StepOutput> output = session.step({&part, 1});
    if (!output)
      return output.takeStatus();
    cached.insert(cached.end(), chunk.begin(), chunk.end());
    if (tokens.empty())
      best = int32_t(std::max_element(output->logits, output->logits + output->width) -
                     output->logits);
  }
  return best;
}

Status ModelDrafter::propose(std::span<const int32_t> history, size_t most,
                             std::vector<int32_t> &draft) {
  draft.clear();
  const format::PlanHeader &plan = *session.getModel().getPlan().header;
  if (history.size() >= plan.maxContext)
    return Status::success();
  most = std::min<size_t>(most, plan.maxContext - history.size());
  Result<std::span<const int32_t>> missing = keepPrefix(history);
  if (!missing)
    return missing.takeStatus();
  for (auto rest = *missing; draft.size() < most; rest = {&draft.back(), 1}) {
    Result<int32_t> token = feed(rest);
    if (!token)
      return token.takeStatus().withContext("draft model");
    draft.push_back(*token);
  }
  return Status::success();
}

//===----------------------------------------------------------------------------------------------===//
// Budget
//===----------------------------------------------------------------------------------------------===//

uint64_t SpeculationBudget::getDraftLength() const {
  // Drafts may lose one hundredth of the time, and at first most of one step.
  constexpr double share = 0.01, advance = 0.75;
  bool isAllowed = single > 0 && balance + share * elapsed > -advance * single;
  return isAllowed ? std::min(length, most) : 0;
}

void SpeculationBudget::add(uint64_t drafted, uint64_t accepted, double nanoseconds) {
  constexpr double weight = 0.2;
  elapsed += nanoseconds;
  if (drafted == 0) {
    single = single > 0 ? single + weight * (nanoseconds - single) : nanoseconds;
    return;
  }
  balance += double(accepted + 1) * single - nanoseconds;
  constexpr uint64_t shortest = 2;
  length = accepted == drafted ? std::max(length, std::min(2 * drafted, most))
                               : std::max(accepted, shortest);
}
