//===- CompileCommand.cpp - ingot compile -----------------------------------------------------===//
//
// Loads libIngotCompiler.so when there is something to compile, and shows progress and remarks.
//
//===------------------------------------------------------------------------------------------===//

#include "Commands.h"
#include <csignal>
#include <cstring>
#include <ctime>
#include <dlfcn.h>
#include <filesystem>
#include <ingot-c/Compiler.h>
#include <map>
#include <unistd.h>

using namespace ingot::driver;

namespace {

/// The compiler's functions, from beside the executable or from where the loader looks.
struct Compiler {
  decltype(&ingotCompilerCompile) compile;
  decltype(&ingotCompilerDisassemble) disassemble;
  decltype(&ingotCompilerFree) free;
  decltype(&ingotCompilerStages) stages;
  decltype(&ingotCompilerSchedules) schedules;
  decltype(&ingotCompilerTune) tune;
};

const Compiler &loadCompiler() {
  static const Compiler compiler = [] {
    std::error_code error;
    auto executable = std::filesystem::read_symlink("/proc/self/exe", error);
    std::string beside =
        (executable.parent_path().parent_path() / "lib" / "libIngotCompiler.so").string();
    void *library = nullptr;
    std::string reason;
    for (const std::string &name : {beside, std::string("libIngotCompiler.so")}) {
      library = dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL);
      if (library)
        break;
      if (reason.empty())
        reason = dlerror();
    }
    if (!library)
      throw Failure("the compiler is not installed: " + reason);
    auto find = [&](const char *name) {
      void *symbol = dlsym(library, name);
      if (!symbol)
        throw Failure(std::string("libIngotCompiler.so is of another version: it lacks ") + name);
      return symbol;
    };
    Compiler compiler;
    auto bind = [&](auto &function, const char *name) {
      function = reinterpret_cast<std::decay_t<decltype(function)>>(find(name));
    };
    bind(compiler.compile, "ingotCompilerCompile");
    bind(compiler.disassemble, "ingotCompilerDisassemble");
    bind(compiler.free, "ingotCompilerFree");
    bind(compiler.stages, "ingotCompilerStages");
    bind(compiler.schedules, "ingotCompilerSchedules");
    bind(compiler.tune, "ingotCompilerTune");
    return compiler;
  }();
  return compiler;
}

/// Time that the stages take, by the calls that say where the compiler is. The bytes of the model,
/// hashed, packed and written in the last stage, are a line of their own: all else does not grow.
class Stopwatch {
public:
  void enter(const std::string &stage) {
    bool isPacking = stage == "artifact" && !lines.empty() && lines.back().name != "target";
    std::string name = isPacking ? "weights" : stage;
    if (!lines.empty())
      charge(lines.back());
    mark = Time::now();
    if (lines.empty() || lines.back().name != name)
      lines.push_back({name, {}});
  }
  void print() {
    // What comes after the weights, making the file durable, belongs to the artefact.
    charge(lines.back().name == "weights" ? lines[lines.size() - 2] : lines.back());
    std::fprintf(stderr, "%-10s %9s %9s\n", "stage", "seconds", "CPU");
    Time sum;
    for (const Line &line : lines) {
      std::fprintf(stderr, "%-10s %9.3f %9.3f\n", line.name.c_str(), line.time.wall, line.time.cpu);
      sum = {sum.wall + line.time.wall, sum.cpu + line.time.cpu};
    }
    std::fprintf(stderr, "%-10s %9.3f %9.3f\n", "all", sum.wall, sum.cpu);
  }

private:
  struct Time {
    double wall = 0, cpu = 0;
    static Time now() {
      auto read = [](clockid_t clock) {
        timespec time;
        clock_gettime(clock, &time);
        return double(time.tv_sec) + 1e-9 * double(time.tv_nsec);
      };
      return {read(CLOCK_MONOTONIC), read(CLOCK_PROCESS_CPUTIME_ID)};
    }
  };
  struct Line {
    std::string name;
    Time time;
  };
  void charge(Line &line) {
    Time now = Time::now();
    line.time.wall += now.wall - mark.wall;
    line.time.cpu += now.cpu - mark.cpu;
  }

  std::vector<Line> lines;
  Time mark;
};

/// What the callbacks collect.
struct Report {
  bool onTerminal = isatty(STDERR_FILENO);
  Stopwatch stopwatch;
  bool explains = false;
  std::vector<std::pair<std::string, std::string>> remarks; ///< stage, line
  std::vector<std::string> warnings;

  static void progress(void *user, const char *stage, double fraction) {
    auto *report = static_cast<Report *>(user);
    report->stopwatch.enter(stage);
    if (report->onTerminal)
      std::fprintf(stderr, "\r\033[K%3.0f%% %s", 100 * fraction, stage);
  }
  static void remark(void *user, const char *kind, const char *stage, const char *text) {
    auto *report = static_cast<Report *>(user);
    if (std::strcmp(kind, "warning") == 0)
      report->warnings.emplace_back(text);
    else if (report->explains)
      report->remarks.emplace_back(stage, std::string(kind) + ": " + text);
  }
  /// Stage by stage, each line once with how often it was said.
  void print(const char *const *stages) const {
    for (; *stages; ++stages) {
      std::vector<std::pair<std::string, unsigned>> lines;
      std::map<std::string, size_t> indexOf;
      for (const auto &[stage, line] : remarks) {
        if (stage != *stages)
          continue;
        auto [at, isNew] = indexOf.try_emplace(line, lines.size());
        if (isNew)
          lines.emplace_back(line, 0);
        ++lines[at->second].second;
      }
      if (lines.empty())
        continue;
      std::printf("%s\n", *stages);
      for (const auto &[line, times] : lines)
        times == 1 ? std::printf("  %s\n", line.c_str())
                   : std::printf("  %s (%u times)\n", line.c_str(), times);
    }
  }
};

/// The file that is being written has no name yet, so nothing is left of it.
void onStop(int signal) {
  static constexpr char text[] = "error: interrupted while compiling; nothing was written\n";
  [[maybe_unused]] ssize_t written = write(STDERR_FILENO, text, sizeof text - 1);
  _exit(128 + signal);
}

/// While it lives, Ctrl-C and a request to end are answered with a sentence.
class StopHandlers {
public:
  StopHandlers() : interrupt(std::signal(SIGINT, onStop)), end(std::signal(SIGTERM, onStop)) {}
  ~StopHandlers() {
    std::signal(SIGINT, interrupt);
    std::signal(SIGTERM, end);
  }

private:
  void (*interrupt)(int);
  void (*end)(int);
};

} // namespace

void ingot::driver::addCompileSettings(CLI::App &app, CompileSettings &settings) {
  const char *group = "Compilation";
  app.add_option("--target", settings.targets,
                 "cpu:LEVEL or cuda:CHIP, may be given again (default cpu:x86-64-v3)")
      ->group(group);
  app.add_option("--max-context", settings.maxContext,
                 "tokens of one sequence (default: the model's, at most 8192)")
      ->group(group);
  app.add_option("--max-batch", settings.maxBatch, "sequences of one step (default 1)")
      ->group(group);
  app.add_option("--max-step-tokens", settings.maxStepTokens, "tokens of one step (default 256)")
      ->group(group);
  app.add_option("--kv-format", settings.kvFormat,
                 "numbers of the cache: f16, f32; on CPUs q8_0, k8v4, q4_0")
      ->capture_default_str()
      ->group(group);
  app.add_option("--activations", settings.activations, "auto, float or int8")
      ->capture_default_str()
      ->group(group);
  app.add_option("--weights", settings.weights,
                 "random:SEED makes weights up, to measure an architecture without its own")
      ->group(group);
  app.add_option("--weight-format", settings.weightFormat,
                 "format to which float weights of products are rounded (default: as stored)")
      ->group(group);
  app.add_option("--lora", settings.adapter,
                 "folder of a low-rank adapter (PEFT), added to a folder's weights")
      ->group(group);
  app.add_option("--tuning", settings.tuning,
                 "what `ingot tune` measured of the machine that runs the model; none: nothing "
                 "(default: this machine's file in the cache, where there is one)")
      ->type_name("FILE")
      ->group(group);
  app.add_option("--threads", settings.threads,
                 "threads (default: the cores that this process may use)");
}

void ingot::driver::compile(const CompileSettings &settings, const std::string &source,
                            const std::string &output, const std::string &stopAfter) {
  const Compiler &compiler = loadCompiler();
  std::vector<const char *> targets;
  for (const std::string &target : settings.targets)
    targets.push_back(target.c_str());
  Report report;
  report.explains = settings.explain;
  IngotCompilerOptions options = INGOT_COMPILER_OPTIONS_INIT;
  options.source = source.c_str();
  options.output = output.c_str();
  options.targets = targets.data();
  options.targetCount = targets.size();
  options.maxContext = settings.maxContext;
  options.maxBatch = settings.maxBatch;
  options.maxStepTokens = settings.maxStepTokens;
  options.kvFormat = settings.kvFormat.c_str();
  options.activations = settings.activations.c_str();
  options.stopAfter = stopAfter.empty() ? nullptr : stopAfter.c_str();
  options.threads = settings.threads;
  options.progress = Report::progress;
  options.remark = Report::remark;
  options.user = &report;
  options.weights = settings.weights.empty() ? nullptr : settings.weights.c_str();
  options.weightFormat = settings.weightFormat.empty() ? nullptr : settings.weightFormat.c_str();
  options.adapter = settings.adapter.empty() ? nullptr : settings.adapter.c_str();
  std::string tuning = chooseTuning(settings);
  options.tuning = tuning.empty() ? nullptr : tuning.c_str();
  options.schedule = settings.schedule.empty() ? nullptr : settings.schedule.c_str();
  options.embedTuning = settings.embedTuning;
  StopHandlers handlers;
  char *error = compiler.compile(&options);
  if (report.onTerminal)
    std::fprintf(stderr, "\r\033[K");
  if (error) {
    std::string message = error;
    compiler.free(error);
    throw Failure(message);
  }
  for (const std::string &warning : report.warnings)
    std::fprintf(stderr, "warning: %s\n", warning.c_str());
  report.print(compiler.stages());
  if (settings.timing)
    report.stopwatch.print();
}

std::string ingot::driver::disassemble(const void *code, size_t bytes) {
  const Compiler &compiler = loadCompiler();
  char *text = nullptr;
  char *error = compiler.disassemble(code, bytes, &text);
  std::string result = error ? error : text ? text : "";
  compiler.free(error ? error : text);
  if (error)
    throw Failure(result);
  return result;
}

std::vector<std::string> ingot::driver::listSchedules() {
  std::vector<std::string> schedules;
  for (const char *const *text = loadCompiler().schedules(); *text; ++text)
    schedules.emplace_back(*text);
  return schedules;
}

std::string ingot::driver::learnMachine(const std::string &measurements) {
  const Compiler &compiler = loadCompiler();
  char *text = nullptr;
  char *error = compiler.tune(measurements.c_str(), &text);
  std::string result = error ? error : text ? text : "";
  compiler.free(error ? error : text);
  if (error)
    throw Failure(result);
  return result;
}

void ingot::driver::addCompileCommand(CLI::App &app) {
  struct Arguments {
    CompileSettings settings;
    std::string source, output, stopAfter;
  };
  auto arguments = std::make_shared<Arguments>();
  CLI::App *command = app.add_subcommand("compile", "Casts a checkpoint into one file");
  command->footer("Example: ingot compile model.gguf -o model.ingot --explain");
  command
      ->add_option(
          "source", arguments->source,
          "checkpoint: a .gguf file, a Hugging Face folder, or a config.json with --weights")
      ->required()
      ->type_name("SOURCE");
  command->add_option("-o,--output", arguments->output,
                      "file to write (standard output with --stop-after)");
  command->add_option("--stop-after", arguments->stopAfter,
                      "write the program after this stage: import, model, compress, partition, "
                      "fuse, tile, plan, target");
  command->add_flag("--explain", arguments->settings.explain,
                    "print what was decided, stage by stage");
  command->add_flag("--timing", arguments->settings.timing,
                    "print on standard error how long each stage took");
  command
      ->add_option("--schedule", arguments->settings.schedule,
                   "how all products are cut into work, as `row_groups=8,tile_tokens=4` (default: "
                   "chosen for each by measurement or by the cost model)")
      ->group("Compilation");
  command
      ->add_flag("--embed-tuning", arguments->settings.embedTuning,
                 "keep what was measured of the machine in the file; `ingot inspect` shows it")
      ->group("Compilation");
  addCompileSettings(*command, arguments->settings);
  command->callback([arguments] {
    if (arguments->output.empty() && arguments->stopAfter.empty())
      throw Failure("no output is named: add -o FILE.ingot");
    compile(arguments->settings, arguments->source,
            arguments->output.empty() ? "-" : arguments->output, arguments->stopAfter);
  });
}
