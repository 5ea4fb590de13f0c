//===- RaggedBits.cpp - A token's logits do not depend on how it is computed -------------------------===//
//
//   RaggedBits MODEL.ingot IDS SEEDS
//
// Four sequences, random stretches of the ids, are computed alone with one thread. Then again:
// whole, in chunks of 1, 7 and 64, and in ragged steps, in which each sequence advances by nothing,
// a token or a chunk, in random order, comes later, steps back or starts over on other pages; with
// 1, 2 and 3 threads. Every row of logits must have the same bits each time.
//
//===----------------------------------------------------------------------------------------------===//

#include "ingot-c/Runtime.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

namespace {

using Tokens = std::vector<int32_t>;

[[noreturn]] void fail(const std::string &text) {
  std::fprintf(stderr, "error: %s\n", text.c_str());
  std::exit(1);
}

void check(IngotError *error) {
  if (error)
    fail(ingotErrorMessage(error));
}

/// The rows of logits of some tokens, as the reference run computed them.
struct Sequence {
  Tokens tokens;
  std::vector<std::vector<float>> rows;
};

class Run {
public:
  Run(const char *path, unsigned threads, std::string name)
      : name(std::move(name) + ", " + std::to_string(threads) + " threads") {
    IngotModelOptions options = INGOT_MODEL_OPTIONS_INIT;
    options.threads = threads;
    check(ingotModelOpen(path, &options, &model));
    check(ingotSessionCreate(model, nullptr, &session));
    limits = ingotModelLimits(model);
  }
  ~Run() {
    std::printf("%s: %zu rows\n", name.c_str(), compared);
    ingotSessionDestroy(session);
    ingotModelClose(model);
  }

  void fillReference(Sequence &sequence) {
    forEachChunk(sequence, limits.stepOutputs, [&](size_t first, const IngotLogits &logits) {
      for (uint64_t row = 0; row < logits.rows; ++row)
        sequence.rows.emplace_back(logits.data + row * logits.width,
                                   logits.data + (row + 1) * logits.width);
    });
  }
  /// One step over all tokens; only the last rows can be asked for.
  void compareWhole(const Sequence &sequence) {
    uint32_t id = add();
    size_t count = sequence.tokens.size(), outputs = std::min<size_t>(count, limits.stepOutputs);
    compare(sequence, count - outputs, step({{id, sequence.tokens.data(), count, outputs}}));
    check(ingotSessionRemoveSequence(session, id));
  }
  void compareChunks(const Sequence &sequence, size_t chunk) {
    forEachChunk(sequence, chunk, [&](size_t first, const IngotLogits &logits) {
      compare(sequence, first, logits);
    });
  }
  void compareRagged(const std::vector<Sequence> &sequences, unsigned seed);
  /// Whether any row differs: the comparison must be able to find something.
  bool differs(const Sequence &sequence) {
    bool found = false;
    forEachChunk(sequence, limits.stepOutputs, [&](size_t first, const IngotLogits &logits) {
      for (uint64_t row = 0; row < logits.rows; ++row)
        found |= !isEqual(sequence, first + row, logits, row);
    });
    return found;
  }

private:
  uint32_t add() {
    uint32_t id = 0;
    check(ingotSessionAddSequence(session, &id));
    return id;
  }
  IngotLogits step(const std::vector<IngotSequenceTokens> &parts) {
    IngotLogits logits;
    check(ingotSessionStep(session, parts.data(), parts.size(), &logits));
    return logits;
  }
  template <typename Use> void forEachChunk(const Sequence &sequence, size_t chunk, Use use) {
    uint32_t id = add();
    for (size_t first = 0; first < sequence.tokens.size(); first += chunk) {
      size_t count = std::min(chunk, sequence.tokens.size() - first);
      use(first, step({{id, sequence.tokens.data() + first, count, count}}));
    }
    check(ingotSessionRemoveSequence(session, id));
  }
  static bool isEqual(const Sequence &sequence, size_t position, const IngotLogits &logits,
                      uint64_t row) {
    const std::vector<float> &expected = sequence.rows[position];
    return expected.size() == logits.width &&
           std::memcmp(expected.data(), logits.data + row * logits.width,
                       logits.width * sizeof(float)) == 0;
  }
  /// Rows of `logits` from `firstRow` on, `count` of them, belong to positions from `first` on.
  void compare(const Sequence &sequence, size_t first, const IngotLogits &logits,
               uint64_t firstRow = 0, uint64_t count = UINT64_MAX) {
    count = std::min(count, logits.rows - firstRow);
    for (uint64_t row = 0; row < count; ++row, ++compared)
      if (!isEqual(sequence, first + row, logits, firstRow + row))
        fail(name + ": the logits of token " + std::to_string(first + row) + " of a sequence of " +
             std::to_string(sequence.tokens.size()) + " tokens have other bits");
  }

  std::string name;
  size_t compared = 0;
  IngotModel *model = nullptr;
  IngotSession *session = nullptr;
  IngotLimits limits;
};

void Run::compareRagged(const std::vector<Sequence> &sequences, unsigned seed) {
  std::mt19937 random(seed);
  auto below = [&](size_t limit) { return size_t(random() % limit); };
  struct State {
    uint32_t id;
    bool live = false;
    size_t done = 0;
  };
  struct Part {
    size_t sequence, first, outputs;
  };
  std::vector<State> states(sequences.size());
  auto isDone = [&](size_t i) { return states[i].done == sequences[i].tokens.size(); };
  size_t leastDone = 0;
  while (leastDone < sequences.size()) {
    std::vector<size_t> order(sequences.size());
    std::generate(order.begin(), order.end(), [next = size_t(0)]() mutable { return next++; });
    std::shuffle(order.begin(), order.end(), random);
    std::vector<IngotSequenceTokens> parts;
    std::vector<Part> meaning;
    size_t tokensLeft = limits.stepTokens, outputsLeft = limits.stepOutputs;
    for (size_t i : order) {
      State &state = states[i];
      const Tokens &tokens = sequences[i].tokens;
      size_t event = below(12);
      if (!state.live && event < 8) {
        state = {add(), true, 0};
      } else if (state.live && event == 0 && state.done) { // a rejected draft
        state.done -= below(std::min<size_t>(state.done, 20));
        check(ingotSessionTruncateSequence(session, state.id, state.done));
      } else if (state.live && event == 1 && !isDone(i)) { // starts over, on other pages
        check(ingotSessionRemoveSequence(session, state.id));
        state.live = false;
      }
      if (!state.live || isDone(i) || event == 2)
        continue;
      size_t count = event % 2 ? 1 : 1 + below(70);
      count = std::min({count, tokens.size() - state.done, tokensLeft});
      size_t outputs = std::min({event == 4 ? below(count + 1) : count, outputsLeft});
      if (!count)
        continue;
      parts.push_back({state.id, tokens.data() + state.done, count, outputs});
      meaning.push_back({i, state.done + count - outputs, outputs});
      state.done += count;
      tokensLeft -= count;
      outputsLeft -= outputs;
    }
    if (!parts.empty()) {
      IngotLogits logits = step(parts);
      uint64_t row = 0;
      for (const Part &part : meaning) {
        compare(sequences[part.sequence], part.first, logits, row, part.outputs);
        row += part.outputs;
      }
    }
    leastDone = 0;
    for (size_t i = 0; i < sequences.size(); ++i)
      leastDone += isDone(i);
  }
  for (const State &state : states)
    check(ingotSessionRemoveSequence(session, state.id));
}

Tokens readIds(const char *path) {
  std::ifstream file(path);
  Tokens ids((std::istream_iterator<int32_t>(file)), {});
  if (ids.size() < 2)
    fail(std::string(path) + " has no token ids");
  return ids;
}

} // namespace

int main(int argc, char **argv) {
  if (argc != 4)
    fail("usage: RaggedBits MODEL.ingot IDS SEEDS");
  const char *path = argv[1];
  Tokens ids = readIds(argv[2]);
  std::mt19937 random(7);
  std::vector<Sequence> sequences;
  for (size_t most : {95, 70, 40, 20}) {
    size_t count = std::min(ids.size(), most - random() % 10),
           first = random() % (ids.size() - count + 1);
    sequences.push_back({Tokens(ids.begin() + first, ids.begin() + first + count), {}});
  }
  {
    Run run(path, 1, "reference");
    for (Sequence &sequence : sequences)
      run.fillReference(sequence);
    Sequence other = sequences[1];
    other.tokens[1] += 1;
    if (!run.differs(other))
      fail("another token gave the same logits: nothing can be told from equal bits");
  }
  for (unsigned threads : {2, 3}) {
    Run run(path, threads, "whole and in chunks");
    for (const Sequence &sequence : sequences) {
      run.compareWhole(sequence);
      run.compareChunks(sequence, threads == 2 ? 7 : 64);
    }
    run.compareChunks(sequences[threads], 1);
  }
  for (int seed = 1; seed <= std::atoi(argv[3]); ++seed) {
    Run run(path, 1 + seed % 3, "ragged, seed " + std::to_string(seed));
    run.compareRagged(sequences, seed);
  }
  return 0;
}
