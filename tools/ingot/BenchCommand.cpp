//===- BenchCommand.cpp - ingot bench ---------------------------------------------------------===//
//
// How fast a model is here, beside what this machine can do in the same run. A prompt is measured
// from an empty cache in as few steps as the model allows; generation after a prompt of --context
// tokens, without sampling, logits really produced. Token ids are arbitrary: speed does not depend
// on them. Bytes and operations are those of the kernels' cost formulas, times those of the
// launches.
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

struct BenchSettings {
  uint64_t promptTokens = 512, generatedTokens = 64, contextTokens = 1, batch = 1, stepTokens = 1;
  uint64_t rounds = 3;
  bool json = false, kernels = false;
};

/// What all launches of one kernel took, and what they moved and computed.
struct KernelRow {
  std::string kernel;
  uint64_t launches = 0, nanoseconds = 0, bytes = 0, operations = 0;

  void add(const IngotCommandTime &time) {
    launches += time.launches;
    nanoseconds += time.nanoseconds;
    bytes += time.bytes;
    operations += time.operations;
  }
  double bytesPerSecond() const { return 1e9 * double(bytes) / double(std::max(nanoseconds, one)); }
  double operationsPerSecond() const {
    return 1e9 * double(operations) / double(std::max(nanoseconds, one));
  }
  static constexpr uint64_t one = 1;
};

/// The profile since it was cleared, the longest first.
std::vector<KernelRow> readKernels(IngotSession *session) {
  std::map<std::string, KernelRow> rows;
  for (size_t i = 0, count = ingotSessionProfileCount(session); i < count; ++i) {
    IngotCommandTime time = ingotSessionProfile(session, i);
    if (!time.launches)
      continue;
    rows[time.kernel].kernel = time.kernel;
    rows[time.kernel].add(time);
  }
  std::vector<KernelRow> sorted;
  for (auto &[name, row] : rows)
    sorted.push_back(row);
  std::sort(sorted.begin(), sorted.end(),
            [](const KernelRow &a, const KernelRow &b) { return a.nanoseconds > b.nanoseconds; });
  return sorted;
}

KernelRow sum(const std::vector<KernelRow> &rows) {
  KernelRow total;
  for (const KernelRow &row : rows) {
    total.launches += row.launches;
    total.nanoseconds += row.nanoseconds;
    total.bytes += row.bytes;
    total.operations += row.operations;
  }
  return total;
}

/// One kind of work: the tokens of a round, the best round, the kernels of all rounds.
struct Measured {
  uint64_t tokens = 0;
  double seconds = 1e30;
  std::vector<KernelRow> kernels = {};

  double tokensPerSecond() const { return double(tokens) / seconds; }
};

class Bench {
public:
  Bench(IngotSession *session, const IngotLimits &limits, const BenchSettings &settings)
      : session(session), limits(limits), settings(settings) {}

  Measured measurePrompt();
  Measured measureGeneration(uint64_t steps, uint64_t rounds);

private:
  std::vector<int32_t> makeTokens(uint64_t count) {
    std::uniform_int_distribution<int32_t> distribution(0, int32_t(limits.inputVocabulary) - 1);
    std::vector<int32_t> tokens(count);
    for (int32_t &token : tokens)
      token = distribution(random);
    return tokens;
  }
  uint32_t addSequence() const {
    uint32_t sequence = 0;
    check(ingotSessionAddSequence(session, &sequence));
    return sequence;
  }
  /// Tokens of one sequence in as few steps as there can be; logits of the last.
  void feed(uint32_t sequence, const std::vector<int32_t> &tokens) const {
    for (uint64_t first = 0; first < tokens.size(); first += limits.stepTokens) {
      uint64_t count = std::min<uint64_t>(limits.stepTokens, tokens.size() - first);
      IngotSequenceTokens part{sequence, tokens.data() + first, count,
                               uint64_t(first + count == tokens.size())};
      step({part});
    }
  }
  void step(const std::vector<IngotSequenceTokens> &parts) const {
    IngotLogits logits;
    check(ingotSessionStep(session, parts.data(), parts.size(), &logits));
  }

  IngotSession *session;
  IngotLimits limits;
  const BenchSettings &settings;
  std::mt19937 random{0};
};

Measured Bench::measurePrompt() {
  Measured result{settings.promptTokens};
  std::vector<int32_t> tokens = makeTokens(settings.promptTokens);
  ingotSessionClearProfile(session);
  for (uint64_t round = 0; round < settings.rounds; ++round) {
    uint32_t sequence = addSequence();
    auto start = Clock::now();
    feed(sequence, tokens);
    result.seconds = std::min(result.seconds, secondsSince(start));
    check(ingotSessionRemoveSequence(session, sequence));
  }
  result.kernels = readKernels(session);
  return result;
}

/// Steps of `stepTokens` tokens, all with logits, of `batch` sequences.
Measured Bench::measureGeneration(uint64_t steps, uint64_t rounds) {
  Measured result{steps * settings.batch * settings.stepTokens};
  std::vector<IngotSequenceTokens> parts;
  std::vector<int32_t> context = makeTokens(settings.contextTokens),
                       tokens = makeTokens(steps * settings.stepTokens);
  for (uint64_t i = 0; i < settings.batch; ++i) {
    parts.push_back({addSequence(), nullptr, settings.stepTokens, settings.stepTokens});
    feed(parts.back().sequence, context);
  }
  ingotSessionClearProfile(session);
  for (uint64_t round = 0; round < rounds; ++round) {
    for (IngotSequenceTokens &part : parts)
      check(ingotSessionTruncateSequence(session, part.sequence, settings.contextTokens));
    auto start = Clock::now();
    for (uint64_t i = 0; i < steps; ++i) {
      for (IngotSequenceTokens &part : parts)
        part.tokens = tokens.data() + i * settings.stepTokens;
      step(parts);
    }
    result.seconds = std::min(result.seconds, secondsSince(start));
  }
  result.kernels = readKernels(session);
  for (IngotSequenceTokens &part : parts)
    check(ingotSessionRemoveSequence(session, part.sequence));
  return result;
}

//===------------------------------------------------------------------------------------------===//
// Reports
//===------------------------------------------------------------------------------------------===//

void printKernels(const char *title, const Measured &measured) {
  uint64_t total = std::max<uint64_t>(sum(measured.kernels).nanoseconds, 1);
  std::printf("\n%-48s %8s %10s %8s %8s %6s\n", title, "launches", "us/launch", "GB/s", "GOP/s",
              "share");
  for (const KernelRow &row : measured.kernels)
    std::printf("%-48s %8llu %10.1f %8.1f %8.1f %5.1f%%\n", row.kernel.c_str(),
                static_cast<unsigned long long>(row.launches),
                1e-3 * double(row.nanoseconds) / double(row.launches), row.bytesPerSecond() / 1e9,
                row.operationsPerSecond() / 1e9, 100.0 * double(row.nanoseconds) / double(total));
}

void printSummary(const std::string &title, const Measured &measured) {
  KernelRow total = sum(measured.kernels);
  std::printf("%-24s %8.1f tok/s %8.1f GB/s %8.1f GOP/s\n", title.c_str(),
              measured.tokensPerSecond(), total.bytesPerSecond() / 1e9,
              total.operationsPerSecond() / 1e9);
}

/// What the cost model said when the model was compiled: null where it said nothing.
nlohmann::ordered_json readPrediction(const IngotModel *model) {
  auto card = nlohmann::ordered_json::parse(ingotArtifactCard(ingotModelArtifact(model)), nullptr,
                                            /*allow_exceptions=*/false);
  return card.is_object() ? card.value("speed", nlohmann::ordered_json())
                          : nlohmann::ordered_json();
}

void printPrediction(const nlohmann::ordered_json &speed) {
  if (!speed.is_object())
    return;
  std::printf("predicted for %s\n", speed.value("machine", "").c_str());
  for (const auto &step : speed.value("steps", nlohmann::ordered_json::array()))
    std::printf("  %4d tokens at %4d %18.1f tok/s\n", step.value("tokens", 0),
                step.value("context", 0), step.value("tok_per_s", 0.0));
}

nlohmann::ordered_json describeKernels(const Measured &measured) {
  auto list = nlohmann::ordered_json::array();
  for (const KernelRow &row : measured.kernels)
    list.push_back(
        {{"kernel", row.kernel},
         {"launches", row.launches},
         {"us_per_launch", 1e-3 * double(row.nanoseconds) / double(row.launches)},
         {"GBps", row.bytesPerSecond() / 1e9},
         {"GOPs", row.operationsPerSecond() / 1e9},
         {"share", double(row.nanoseconds) /
                       double(std::max<uint64_t>(sum(measured.kernels).nanoseconds, 1))}});
  return list;
}

void checkSettings(const BenchSettings &settings, const IngotLimits &limits) {
  if (!settings.promptTokens || !settings.generatedTokens || !settings.rounds ||
      !settings.contextTokens || !settings.batch || !settings.stepTokens)
    throw Failure("--prompt-tokens, --gen-tokens, --rounds, --context, --batch and --step-tokens "
                  "must be at least 1");
  uint64_t need =
      std::max(settings.promptTokens, settings.contextTokens + settings.generatedTokens);
  if (need > limits.contextTokens)
    throw Failure("the model holds a context of " + std::to_string(limits.contextTokens) +
                  " tokens, " + std::to_string(need) +
                  " are asked for: compile it with a larger --max-context");
  if (settings.batch > limits.stepSequences)
    throw Failure("the model takes " + std::to_string(limits.stepSequences) +
                  " sequences in a step, " + std::to_string(settings.batch) +
                  " are asked for: compile it with a larger --max-batch");
  uint64_t tokens = settings.batch * settings.stepTokens;
  if (tokens > std::min(limits.stepTokens, limits.stepOutputs))
    throw Failure("the model takes " +
                  std::to_string(std::min(limits.stepTokens, limits.stepOutputs)) +
                  " tokens with logits in a step, " + std::to_string(tokens) + " are asked for");
}

void runBench(const ModelArgument &argument, const BenchSettings &settings) {
  auto start = Clock::now();
  auto model = argument.open();
  auto session = createSession(model.get());
  double load = secondsSince(start);
  IngotLimits limits = ingotModelLimits(model.get());
  refuseEncoder(limits, "bench");
  checkSettings(settings, limits);
  IngotDeviceSpeed speed;
  check(ingotModelMeasureDevice(model.get(), &speed));
  Bench bench(session.get(), limits, settings);
  uint64_t steps = std::max<uint64_t>(settings.generatedTokens / settings.stepTokens, 1);
  bench.measureGeneration(std::min<uint64_t>(steps, 3), 1); // warm-up
  Measured prompt = bench.measurePrompt(),
           generation = bench.measureGeneration(steps, settings.rounds);
  uint64_t stepNanoseconds = 0, weightBytes = ingotSessionMemory(session.get()).weights;
  check(ingotSessionTimeStep(session.get(), /*repeats=*/50, &stepNanoseconds));
  session.reset();

  // Times of kernels come from a session of their own: measuring them keeps a GPU from replaying a
  // step as one graph.
  session = createSession(model.get(), /*profile=*/true);
  BenchSettings once = settings;
  once.rounds = 1;
  Bench profiled(session.get(), limits, once);
  prompt.kernels = profiled.measurePrompt().kernels;
  generation.kernels = profiled.measureGeneration(steps, 1).kernels;

  if (settings.json) {
    nlohmann::ordered_json result;
    result["prompt_tok_per_s"] = prompt.tokensPerSecond();
    result["generate_tok_per_s"] = generation.tokensPerSecond();
    result["stream_GBps"] = speed.bytesPerSecond / 1e9;
    result["peak_GFLOPs"] = speed.operationsPerSecond / 1e9;
    result["peak_int8_GOPs"] = speed.integerOperationsPerSecond / 1e9;
    result["launch_us"] = speed.launchSeconds * 1e6;
    result["exchange_us"] = speed.exchangeSeconds * 1e6;
    result["weight_bytes_per_token"] = weightBytes;
    result["device_us_per_step"] = 1e-3 * double(stepNanoseconds);
    result["load_s"] = load;
    result["threads"] = ingotModelThreads(model.get());
    result["target"] = ingotModelTarget(model.get());
    result["prompt_tokens"] = settings.promptTokens;
    result["gen_tokens"] = settings.generatedTokens;
    result["context_tokens"] = settings.contextTokens;
    result["batch"] = settings.batch;
    result["step_tokens"] = settings.stepTokens;
    if (auto predicted = readPrediction(model.get()); predicted.is_object())
      result["predicted_steps"] = predicted.value("steps", nlohmann::ordered_json::array());
    if (settings.kernels)
      result["kernels"] = {{"prompt", describeKernels(prompt)},
                           {"generate", describeKernels(generation)}};
    std::printf("%s\n", result.dump().c_str());
    return;
  }
  std::printf("%s, %s\n", ingotModelDevice(model.get()), ingotModelTarget(model.get()));
  std::printf("%-24s %14s %8.1f GB/s %8.1f GOP/s float32, %.1f int8; a launch %.2f us",
              "this machine", "", speed.bytesPerSecond / 1e9, speed.operationsPerSecond / 1e9,
              speed.integerOperationsPerSecond / 1e9, speed.launchSeconds * 1e6);
  if (speed.exchangeSeconds > 0)
    std::printf(", a cache line there and back %.2f us", speed.exchangeSeconds * 1e6);
  std::printf("\n");
  printSummary("prompt of " + std::to_string(settings.promptTokens), prompt);
  printSummary("generation of " + std::to_string(settings.generatedTokens), generation);
  printPrediction(readPrediction(model.get()));
  if (settings.kernels) {
    printKernels("prompt", prompt);
    printKernels("generation", generation);
  }
}

} // namespace

void ingot::driver::addBenchCommand(CLI::App &app) {
  struct Arguments {
    ModelArgument model;
    BenchSettings settings;
  };
  auto arguments = std::make_shared<Arguments>();
  BenchSettings &settings = arguments->settings;
  CLI::App *command = app.add_subcommand("bench", "Measures speed beside what this machine can do");
  command->footer("Example: ingot bench model.ingot --prompt-tokens 512 --gen-tokens 64");
  arguments->model.add(*command);
  auto add = [&](const char *name, uint64_t &value, const char *text) {
    command->add_option(name, value, text)->capture_default_str();
  };
  add("--prompt-tokens", settings.promptTokens, "tokens of the prompt");
  add("--gen-tokens", settings.generatedTokens, "tokens generated of each sequence");
  add("--context", settings.contextTokens, "tokens in the cache before generation");
  add("--batch", settings.batch, "sequences that are generated together");
  add("--step-tokens", settings.stepTokens,
      "tokens of a sequence in a step of generation, as when a draft is verified");
  add("--rounds", settings.rounds, "the best of so many is reported");
  command->add_flag("--json", settings.json, "one JSON object");
  command->add_flag("--kernels", settings.kernels, "time of each kernel too");
  command->callback([arguments] { runBench(arguments->model, arguments->settings); });
}
