//===- TuneCommand.cpp - ingot tune -------------------------------------------------------------===//
//
// Measures this machine for the compiler's cost model, and the candidate schedules of a model's
// products. Everything is measured on compiled kernels in whole steps:
//
//   machine  a small made-up model, in caches, for each format and each candidate schedule; the
//            compiler fits the constants of the machine to its launches
//   model    the source itself, once for each candidate; the winners of each product are stored,
//   and
//            the table says how near the model's predictions are to what was measured
//
// Times are the least of several rounds. The result is a tuning file, in the cache directory under
// the machine's name unless -o says otherwise; `ingot compile` finds it there.
//
//===------------------------------------------------------------------------------------------===//

#include "Commands.h"
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <unistd.h>

using namespace ingot::driver;
namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

namespace {

struct TuneSettings {
  ModelArgument model;
  std::vector<std::string> formats, schedules;
  std::string output;
  uint64_t rounds = 5;
  bool json = false, keep = false, machineOnly = false;
};

/// A launch of a kernel in one of the predicted steps.
struct TimedLaunch {
  std::string product, schedule, rowKind;
  uint64_t rows = 0, launches = 0;
  double microseconds = 0;
  Json work;
};

/// What was measured of one artefact: a launch for each kernel and step, and whole steps.
struct Measured {
  std::vector<Json> steps; ///< as predicted
  std::vector<double> stepMicroseconds;
  std::vector<std::vector<TimedLaunch>> launches; ///< of each step
};

//===------------------------------------------------------------------------------------------===//
// Measuring one artefact
//===------------------------------------------------------------------------------------------===//

class ArtifactTimer {
public:
  ArtifactTimer(const std::string &path, unsigned threads, uint64_t rounds) : rounds(rounds) {
    IngotModelOptions options = INGOT_MODEL_OPTIONS_INIT;
    options.threads = threads;
    IngotModel *opened = nullptr;
    check(ingotModelOpen(path.c_str(), &options, &opened));
    model.reset(opened);
    limits = ingotModelLimits(opened);
    speed = Json::parse(ingotArtifactCard(ingotModelArtifact(opened))).at("speed");
  }

  IngotModel *get() const { return model.get(); }

  Measured run() {
    Measured result;
    auto plain = createSession(model.get()), profiled = createSession(model.get(), true);
    size_t number = 0;
    for (const Json &step : speed["steps"]) {
      uint64_t tokens = step["tokens"], context = step["context"], outputs = step["outputs"];
      if (tokens <= std::min(limits.stepTokens, context) && context <= limits.contextTokens &&
          outputs <= limits.stepOutputs) {
        result.steps.push_back(step);
        result.stepMicroseconds.push_back(timeStep(plain.get(), tokens, context, outputs));
        result.launches.push_back(timeKernels(profiled.get(), tokens, context, outputs, number));
      }
      ++number;
    }
    return result;
  }

private:
  using Clock = std::chrono::steady_clock;

  /// A sequence with what the step finds in the cache; then `body` runs the step, several times.
  template <typename Body>
  void repeatStep(IngotSession *session, uint64_t tokens, uint64_t context, uint64_t outputs,
                  Body body) {
    uint32_t sequence = 0;
    check(ingotSessionAddSequence(session, &sequence));
    std::vector<int32_t> ids(context);
    for (uint64_t i = 0; i < context; ++i)
      ids[i] = int32_t(7 * i % limits.inputVocabulary);
    uint64_t past = context - tokens;
    IngotLogits logits;
    auto feed = [&](uint64_t first, uint64_t count, uint64_t wanted) {
      IngotSequenceTokens part{sequence, ids.data() + first, count, wanted};
      check(ingotSessionStep(session, &part, 1, &logits));
    };
    for (uint64_t first = 0; first < past; first += limits.stepTokens)
      feed(first, std::min(limits.stepTokens, past - first), 1);
    // Short steps are repeated more often.
    uint64_t times = rounds * (tokens <= 8 ? 6 : tokens <= 64 ? 2 : 1);
    for (uint64_t round = 0; round <= times; ++round) {
      check(ingotSessionTruncateSequence(session, sequence, past));
      body([&] { feed(past, tokens, outputs); }, /*isWarmUp=*/round == 0);
    }
    check(ingotSessionRemoveSequence(session, sequence));
  }

  double timeStep(IngotSession *session, uint64_t tokens, uint64_t context, uint64_t outputs) {
    double best = 1e30;
    repeatStep(session, tokens, context, outputs, [&](auto step, bool isWarmUp) {
      auto start = Clock::now();
      step();
      double took = std::chrono::duration<double, std::micro>(Clock::now() - start).count();
      best = isWarmUp ? best : std::min(best, took);
    });
    return best;
  }

  std::vector<TimedLaunch> timeKernels(IngotSession *session, uint64_t tokens, uint64_t context,
                                       uint64_t outputs, size_t number) {
    std::map<std::string, double> best; // microseconds of a launch
    repeatStep(session, tokens, context, outputs, [&](auto step, bool isWarmUp) {
      ingotSessionClearProfile(session);
      step();
      std::map<std::string, std::pair<uint64_t, uint64_t>> sums; // launches, nanoseconds
      for (size_t i = 0, count = ingotSessionProfileCount(session); i < count; ++i) {
        IngotCommandTime time = ingotSessionProfile(session, i);
        sums[time.kernel].first += time.launches;
        sums[time.kernel].second += time.nanoseconds;
      }
      for (auto &[kernel, sum] : sums) {
        if (!sum.first || isWarmUp)
          continue;
        double took = 1e-3 * double(sum.second) / double(sum.first);
        auto [at, isNew] = best.try_emplace(kernel, took);
        at->second = std::min(at->second, took);
      }
    });
    std::vector<TimedLaunch> launches;
    for (const Json &kernel : speed["kernels"]) {
      auto time = best.find(kernel["kernel"]);
      if (time == best.end())
        continue;
      TimedLaunch launch{
          kernel.value("product", ""), kernel.value("schedule", ""), kernel["rows"], 0, 0, 0, {}};
      launch.rows = launch.rowKind == "outputs" ? outputs : tokens;
      launch.launches = kernel["launches"];
      launch.microseconds = time->second;
      launch.work = kernel.at("work").at(number);
      launches.push_back(std::move(launch));
    }
    return launches;
  }

  uint64_t rounds;
  Handle<IngotModel> model;
  IngotLimits limits;
  Json speed;
};

//===------------------------------------------------------------------------------------------===//
// The command
//===------------------------------------------------------------------------------------------===//

/// A small model whose weights of a layer fit the second-level cache.
constexpr const char *smallModel = R"({"architectures": ["LlamaForCausalLM"], "model_type": "llama",
"hidden_act": "silu", "hidden_size": 256, "intermediate_size": 768, "num_hidden_layers": 2,
"num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 1024,
"vocab_size": 1024, "rms_norm_eps": 1e-05, "rope_theta": 10000.0, "tie_word_embeddings": false,
"bos_token_id": 1, "eos_token_id": 2})";

/// A file that takes its place when all of it is written, and is gone when it is not.
class UnfinishedFile {
public:
  explicit UnfinishedFile(std::string path)
      : path(std::move(path)), unfinished(this->path + ".unfinished"),
        file(unfinished, std::ios::trunc) {
    if (!file)
      throw Failure("cannot write " + this->path);
  }
  ~UnfinishedFile() {
    std::error_code error;
    fs::remove(unfinished, error);
  }
  void finish(const std::string &text) {
    file << text;
    file.close();
    std::error_code error;
    if (file)
      fs::rename(unfinished, path, error);
    if (!file || error)
      throw Failure("cannot write " + path);
  }

private:
  std::string path, unfinished;
  std::ofstream file;
};

class Tuner {
public:
  Tuner(const TuneSettings &settings, fs::path folder)
      : settings(settings), folder(std::move(folder)) {}

  void run();

private:
  struct Job {
    std::string label, path;
    bool isMachine;
  };

  std::string compileCandidate(const std::string &source, const std::string &schedule,
                               const std::string &format);
  void addMachine();
  void addModel();
  void measure();
  void addLaunches(const Measured &measured, bool fit);
  Json learn();
  void print(const Json &result) const;
  void printProduct(const std::string &product, const Json &result) const;
  void printSteps(const Json &result) const;

  const TuneSettings &settings;
  fs::path folder;
  std::vector<std::string> schedules;
  std::vector<Job> jobs;
  std::vector<std::pair<std::string, Measured>> ofModel; ///< by schedule
  std::map<std::string, size_t> firstLaunch;             ///< in `launches`, of a schedule
  Json launches = Json::array(), products = Json::object();
  double streamBytesPerSecond = 0;
  unsigned threads = 0;
};

void Tuner::run() {
  schedules = settings.schedules.empty() ? listSchedules() : settings.schedules;
  std::string path =
      settings.output.empty() ? findTuningFile(settings.model.settings.threads) : settings.output;
  // What cannot be written is better told before the work than after it.
  UnfinishedFile file(path);
  addMachine();
  if (!settings.machineOnly)
    addModel();
  measure();
  Json result = learn();
  file.finish(result["tuning"].dump(1) + "\n");
  if (settings.json)
    std::printf("%s\n", result.dump().c_str());
  else
    print(result);
  std::fprintf(stderr, "%s is written\n", path.c_str());
}

std::string Tuner::compileCandidate(const std::string &source, const std::string &schedule,
                                    const std::string &format) {
  CompileSettings compiled = settings.model.settings;
  if (!format.empty()) {
    compiled = {};
    compiled.targets = settings.model.settings.targets;
    compiled.weights = "random:1";
    compiled.weightFormat = format;
  }
  compiled.schedule = schedule;
  compiled.tuning = "none";
  ModelArgument argument;
  argument.path = source;
  argument.settings = compiled;
  return argument.resolveIn(folder);
}

void Tuner::addMachine() {
  fs::path config = folder / "config.json";
  if (std::error_code error; !fs::exists(config, error))
    std::ofstream(config) << smallModel;
  std::vector<std::string> formats = settings.formats;
  if (formats.empty())
    formats = {"q4_1", "q8_0"};
  for (const std::string &format : formats)
    for (const std::string &schedule : schedules)
      jobs.push_back({format, compileCandidate(config.string(), schedule, format), true});
}

void Tuner::addModel() {
  for (const std::string &schedule : schedules)
    jobs.push_back({schedule, compileCandidate(settings.model.path, schedule, ""), false});
}

void Tuner::measure() {
  bool onTerminal = isatty(STDERR_FILENO);
  for (size_t i = 0; i < jobs.size(); ++i) {
    const Job &job = jobs[i];
    if (onTerminal)
      std::fprintf(stderr, "\r\033[Kmeasuring %zu of %zu", i + 1, jobs.size());
    ArtifactTimer timer(job.path, settings.model.settings.threads, settings.rounds);
    if (!streamBytesPerSecond) {
      IngotDeviceSpeed speed;
      check(ingotModelMeasureDevice(timer.get(), &speed));
      streamBytesPerSecond = speed.bytesPerSecond;
      threads = ingotModelThreads(timer.get());
    }
    Measured measured = timer.run();
    if (!job.isMachine)
      firstLaunch[job.label] = launches.size();
    addLaunches(measured, job.isMachine);
    if (!job.isMachine)
      ofModel.emplace_back(job.label, std::move(measured));
    if (!settings.keep)
      fs::remove(job.path);
  }
  if (onTerminal)
    std::fprintf(stderr, "\r\033[K");
}

void Tuner::addLaunches(const Measured &measured, bool fit) {
  std::map<std::string, std::pair<std::string, std::map<uint64_t, double>>> times;
  for (const auto &step : measured.launches)
    for (const TimedLaunch &launch : step) {
      Json row = launch.work;
      row["us"] = launch.microseconds;
      row["fit"] = fit;
      launches.push_back(std::move(row));
      if (fit || launch.product.empty())
        continue;
      auto &[schedule, ofRows] = times[launch.product];
      schedule = launch.schedule;
      auto [at, isNew] = ofRows.try_emplace(launch.rows, launch.microseconds);
      at->second = std::min(at->second, launch.microseconds);
    }
  for (auto &[product, time] : times) {
    Json microseconds = Json::object();
    for (auto [rows, value] : time.second)
      microseconds[std::to_string(rows)] = value;
    products[product].push_back({{"schedule", time.first}, {"us", microseconds}});
  }
}

Json Tuner::learn() {
  Json measurements{{"machine", describeMachine(settings.model.settings.threads)},
                    {"threads", threads},
                    {"stream_gbps", streamBytesPerSecond / 1e9},
                    {"launches", launches},
                    {"products", products}};
  std::string before = findTuningFile(settings.model.settings.threads);
  if (std::error_code error; fs::exists(before, error))
    measurements["tuning"] = Json::parse(readFile(before), nullptr, /*allow_exceptions=*/false);
  if (measurements.contains("tuning") && !measurements["tuning"].is_object())
    throw Failure(before + " is no tuning: remove it");
  return Json::parse(learnMachine(measurements.dump()));
}

//===------------------------------------------------------------------------------------------===//
// The table
//===------------------------------------------------------------------------------------------===//

/// How predictions and measurements differ.
struct Errors {
  double sum = 0, worst = 0;
  size_t count = 0, within = 0;

  double add(double predicted, double measured) {
    double error = predicted / measured - 1;
    sum += std::fabs(error);
    worst = std::max(worst, std::fabs(error));
    ++count;
    within += std::fabs(error) <= 0.15;
    return error;
  }
  void print(const char *what) const {
    if (count)
      std::printf(
          "%s: predictions are off by %.1f %% on average, %.1f %% at most; %zu of %zu within "
          "15 %%\n",
          what, 100 * sum / double(count), 100 * worst, within, count);
  }
};

void Tuner::printProduct(const std::string &product, const Json &result) const {
  const std::string chosen = result["tuning"]["products"][product]["schedule"],
                    picked = result["picks"][product];
  std::printf("\n%s: us predicted / measured\n", product.c_str());
  std::map<uint64_t, double> best, ofPick;
  Errors errors;
  for (const auto &[schedule, measured] : ofModel) {
    std::map<uint64_t, std::pair<double, double>> cells;
    std::string own;
    size_t number = firstLaunch.at(schedule);
    for (const auto &step : measured.launches)
      for (const TimedLaunch &launch : step) {
        double predicted = result["predicted_us"][number++];
        if (launch.product != product)
          continue;
        own = launch.schedule;
        cells[launch.rows] = {predicted, launch.microseconds};
      }
    std::printf("%c%c %-72s", own == chosen ? '*' : ' ', own == picked ? 'm' : ' ', own.c_str());
    for (auto &[rows, cell] : cells) {
      errors.add(cell.first, cell.second);
      std::printf("  %llu: %.1f / %.1f", static_cast<unsigned long long>(rows), cell.first,
                  cell.second);
      auto [at, isNew] = best.try_emplace(rows, cell.second);
      at->second = std::min(at->second, cell.second);
      if (own == picked)
        ofPick[rows] = cell.second;
    }
    std::printf("\n");
  }
  errors.print("  this product");
  std::printf("  what the model picks is slower than the best measured by");
  for (auto [rows, microseconds] : ofPick)
    std::printf("  %llu: %.1f %%", static_cast<unsigned long long>(rows),
                100 * (microseconds / best[rows] - 1));
  std::printf("\n");
}

/// Whole steps: the sum of the launches' predictions beside what the step took.
void Tuner::printSteps(const Json &result) const {
  Errors errors;
  std::printf("\nwhole steps of (tokens at context): tok/s predicted / measured\n");
  for (const auto &[schedule, measured] : ofModel) {
    size_t number = firstLaunch.at(schedule);
    std::printf("   %-72s", schedule.c_str());
    for (size_t i = 0; i < measured.steps.size(); ++i) {
      double predicted = 0;
      for (const TimedLaunch &launch : measured.launches[i])
        predicted += double(launch.launches) * double(result["predicted_us"][number++]);
      double took = measured.stepMicroseconds[i];
      uint64_t tokens = measured.steps[i]["tokens"], context = measured.steps[i]["context"];
      std::printf("  %llu at %llu: %.0f / %.0f", static_cast<unsigned long long>(tokens),
                  static_cast<unsigned long long>(context), 1e6 * double(tokens) / predicted,
                  1e6 * double(tokens) / took);
      errors.add(predicted, took);
    }
    std::printf("\n");
  }
  errors.print("whole steps");
}

void Tuner::print(const Json &result) const {
  std::printf("%s: %u threads, %.1f GB/s\n",
              describeMachine(settings.model.settings.threads).c_str(), threads,
              streamBytesPerSecond / 1e9);
  Errors fitted;
  for (size_t i = 0; i < launches.size(); ++i)
    if (launches[i]["fit"])
      fitted.add(result["predicted_us"][i], launches[i]["us"]);
  fitted.print("the machine's own launches");
  if (ofModel.empty())
    return;
  std::printf("* the best measured for all token counts together, m what the cost model picks\n");
  for (auto &[product, candidates] : products.items())
    printProduct(product, result);
  printSteps(result);
}

} // namespace

void ingot::driver::addTuneCommand(CLI::App &app) {
  auto settings = std::make_shared<TuneSettings>();
  CLI::App *command =
      app.add_subcommand("tune", "Measures this machine and a model's schedules on it");
  command->footer("Example: ingot tune model.gguf\n"
                  "Afterwards `ingot compile` takes what was measured, for any model.");
  command
      ->add_option("source", settings->model.path,
                   "checkpoint whose products are measured; without one only the machine is")
      ->type_name("SOURCE");
  command->add_option("-o,--output", settings->output,
                      "file to write (default: the machine's, in the cache directory)");
  command->add_option("--formats", settings->formats,
                      "formats of weights that the machine is measured with (default q4_1, q8_0)");
  command->add_option("--schedules", settings->schedules,
                      "candidates, as `row_groups=8,tile_tokens=4` (default: the compiler's)");
  command->add_option("--rounds", settings->rounds, "the least time of so many counts")
      ->capture_default_str();
  command->add_flag("--keep", settings->keep,
                    "keep the compiled candidates for the next time, in the cache directory");
  command->add_flag("--json", settings->json, "one JSON object");
  addCompileSettings(*command, settings->model.settings);
  command->callback([settings] {
    if (!settings->rounds)
      throw Failure("--rounds must be at least 1");
    settings->machineOnly = settings->model.path.empty();
    if (!settings->machineOnly && fs::path(settings->model.path).extension() == ".ingot")
      throw Failure(settings->model.path +
                    " is compiled already: name the checkpoint that it came from");
    Tuner(*settings, makeCacheDirectory("tune")).run();
  });
}
