//===- BenchCommand.cpp - ingot bench ---------------------------------------------------------===//
//
// How fast a model is here, beside what this machine can do in the same run. A prompt is measured
// from an empty cache in as few steps as the model allows; generation one token at a time after a
// prompt of one token, without sampling, logits really produced. Token ids are arbitrary: speed
// does not depend on them.
//
//===------------------------------------------------------------------------------------------===//

#include "Commands.h"
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <map>
#include <nlohmann/json.hpp>
#include <random>

using namespace ingot::driver;

namespace {

using Clock = std::chrono::steady_clock;

double secondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

std::vector<int32_t> randomTokens(uint64_t count, uint64_t vocabulary) {
  std::mt19937 random(0);
  std::uniform_int_distribution<int32_t> distribution(0, int32_t(vocabulary) - 1);
  std::vector<int32_t> tokens(count);
  for (int32_t &token : tokens)
    token = distribution(random);
  return tokens;
}

/// Runs tokens of one sequence; logits of the last.
void step(IngotSession *session, uint32_t sequence, const int32_t *tokens, uint64_t count) {
  IngotSequenceTokens part{sequence, tokens, count, 1};
  IngotLogits logits;
  check(ingotSessionStep(session, &part, 1, &logits));
}

struct Bench {
  const IngotModel *model;
  IngotSession *session;
  IngotLimits limits;

  uint32_t begin() const {
    uint32_t sequence = 0;
    check(ingotSessionAddSequence(session, &sequence));
    return sequence;
  }

  double promptSeconds(const std::vector<int32_t> &tokens) const {
    uint32_t sequence = begin();
    auto start = Clock::now();
    for (uint64_t first = 0; first < tokens.size(); first += limits.stepTokens)
      step(session, sequence, tokens.data() + first,
           std::min<uint64_t>(limits.stepTokens, tokens.size() - first));
    double seconds = secondsSince(start);
    check(ingotSessionRemoveSequence(session, sequence));
    return seconds;
  }

  double generationSeconds(const std::vector<int32_t> &tokens) const {
    uint32_t sequence = begin();
    step(session, sequence, tokens.data(), 1);
    auto start = Clock::now();
    for (size_t i = 1; i < tokens.size(); ++i)
      step(session, sequence, tokens.data() + i, 1);
    double seconds = secondsSince(start);
    check(ingotSessionRemoveSequence(session, sequence));
    return seconds;
  }
};

void printKernels(IngotSession *session, const char *title, double streamBytes,
                  double peakOperations) {
  struct Row {
    uint64_t launches = 0, nanoseconds = 0, bytes = 0, operations = 0;
  };
  std::map<std::string, Row> rows;
  uint64_t total = 0;
  for (size_t i = 0, count = ingotSessionProfileCount(session); i < count; ++i) {
    IngotCommandTime time = ingotSessionProfile(session, i);
    Row &row = rows[time.kernel];
    row.launches += time.launches;
    row.nanoseconds += time.nanoseconds;
    row.bytes += time.bytes;
    row.operations += time.operations;
    total += time.nanoseconds;
  }
  std::vector<std::pair<std::string, Row>> sorted(rows.begin(), rows.end());
  std::sort(sorted.begin(), sorted.end(),
            [](auto &a, auto &b) { return a.second.nanoseconds > b.second.nanoseconds; });
  std::printf("\n%s (stream %.1f GB/s, peak %.0f GFLOP/s)\n", title, streamBytes / 1e9,
              peakOperations / 1e9);
  std::printf("%-48s %8s %10s %8s %10s %6s\n", "kernel", "launches", "us/launch", "GB/s", "GFLOP/s",
              "share");
  for (auto &[name, row] : sorted)
    std::printf("%-48s %8llu %10.1f %8.1f %10.1f %5.1f%%\n", name.c_str(),
                static_cast<unsigned long long>(row.launches),
                1e-3 * row.nanoseconds / std::max<uint64_t>(row.launches, 1),
                double(row.bytes) / std::max<uint64_t>(row.nanoseconds, 1),
                double(row.operations) / std::max<uint64_t>(row.nanoseconds, 1),
                100.0 * row.nanoseconds / std::max<uint64_t>(total, 1));
}

} // namespace

void ingot::driver::addBenchCommand(CLI::App &app) {
  struct Arguments {
    ModelArgument model;
    uint64_t promptTokens = 512, generatedTokens = 64, rounds = 3;
    bool json = false, kernels = false;
  };
  auto arguments = std::make_shared<Arguments>();
  CLI::App *command = app.add_subcommand("bench", "Measures speed beside what this machine can do");
  command->footer("Example: ingot bench model.ingot --prompt-tokens 512 --gen-tokens 64");
  arguments->model.add(*command);
  command->add_option("--prompt-tokens", arguments->promptTokens, "tokens of the prompt")
      ->capture_default_str();
  command->add_option("--gen-tokens", arguments->generatedTokens, "tokens generated after it")
      ->capture_default_str();
  command->add_option("--rounds", arguments->rounds, "the best of so many is reported")
      ->capture_default_str();
  command->add_flag("--json", arguments->json, "one JSON object");
  command->add_flag("--kernels", arguments->kernels, "time of each kernel too");
  command->callback([arguments] {
    auto start = Clock::now();
    auto model = arguments->model.open();
    auto session = createSession(model.get(), arguments->kernels);
    double load = secondsSince(start);
    Bench bench{model.get(), session.get(), ingotModelLimits(model.get())};
    uint64_t need = std::max(arguments->promptTokens, arguments->generatedTokens + 1);
    if (need > bench.limits.contextTokens)
      throw Failure("the model holds a context of " + std::to_string(bench.limits.contextTokens) +
                    " tokens, " + std::to_string(need) +
                    " are asked for: compile it with a larger --max-context");
    if (!arguments->promptTokens || !arguments->generatedTokens || !arguments->rounds)
      throw Failure("--prompt-tokens, --gen-tokens and --rounds must be at least 1");
    auto prompt = randomTokens(arguments->promptTokens, bench.limits.inputVocabulary);
    auto generated = randomTokens(arguments->generatedTokens + 1, bench.limits.inputVocabulary);
    double stream = 0, peak = 0;
    check(ingotModelMeasureDevice(model.get(), &stream, &peak));
    bench.generationSeconds(
        {generated.begin(), generated.begin() + std::min<size_t>(3, generated.size())}); // warm-up

    double promptBest = 1e30, generationBest = 1e30;
    ingotSessionClearProfile(session.get());
    for (uint64_t round = 0; round < arguments->rounds; ++round)
      promptBest = std::min(promptBest, bench.promptSeconds(prompt));
    if (arguments->kernels && !arguments->json)
      printKernels(session.get(), "prompt", stream, peak);
    ingotSessionClearProfile(session.get());
    for (uint64_t round = 0; round < arguments->rounds; ++round)
      generationBest = std::min(generationBest, bench.generationSeconds(generated));
    if (arguments->kernels && !arguments->json)
      printKernels(session.get(), "generation", stream, peak);

    uint64_t weights = ingotSessionMemory(session.get()).weights;
    double promptRate = arguments->promptTokens / promptBest,
           rate = arguments->generatedTokens / generationBest;
    nlohmann::ordered_json result;
    result["prompt_tok_per_s"] = promptRate;
    result["generate_tok_per_s"] = rate;
    result["stream_GBps"] = stream / 1e9;
    result["peak_GFLOPs"] = peak / 1e9;
    result["weight_bytes_per_token"] = weights;
    result["load_s"] = load;
    result["threads"] = ingotModelThreads(model.get());
    result["target"] = ingotModelTarget(model.get());
    result["prompt_tokens"] = arguments->promptTokens;
    result["gen_tokens"] = arguments->generatedTokens;
    if (arguments->json) {
      std::printf("%s\n", result.dump().c_str());
      return;
    }
    std::printf("%s, %u threads, %s\n", ingotModelDevice(model.get()),
                ingotModelThreads(model.get()), ingotModelTarget(model.get()));
    std::printf("prompt of %llu      %8.1f tok/s\n",
                static_cast<unsigned long long>(arguments->promptTokens), promptRate);
    std::printf("generation of %llu  %8.1f tok/s   %5.1f GB/s of weights (stream %.1f GB/s)\n",
                static_cast<unsigned long long>(arguments->generatedTokens), rate,
                rate * weights / 1e9, stream / 1e9);
  });
}
