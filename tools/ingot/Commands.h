//===- Commands.h - The commands of the driver ------------------------------------------------===//
//
// One function a command: it declares its options on the application and what runs when it is
// chosen. Commands throw `Failure` with the one sentence that the user reads. The driver knows the
// runtime and the compiler through their C interfaces alone, and the compiler only when it has to
// compile.
//
//===------------------------------------------------------------------------------------------===//

#ifndef INGOT_TOOLS_INGOT_COMMANDS_H
#define INGOT_TOOLS_INGOT_COMMANDS_H

#include <CLI/CLI.hpp>
#include <filesystem>
#include <ingot-c/Runtime.h>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

namespace ingot::driver {

/// What went wrong, in one sentence.
struct Failure : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// Throws what a call of the runtime reports.
void check(IngotError *error);

struct Deleter {
  void operator()(IngotArtifact *x) const { ingotArtifactClose(x); }
  void operator()(IngotModel *x) const { ingotModelClose(x); }
  void operator()(IngotSession *x) const { ingotSessionDestroy(x); }
  void operator()(IngotConversation *x) const { ingotConversationDestroy(x); }
};
template <typename T> using Handle = std::unique_ptr<T, Deleter>;

/// How a source is compiled; every command that takes a MODEL has these options too.
struct CompileSettings {
  std::vector<std::string> targets;
  uint64_t maxContext = 0, maxBatch = 0, maxStepTokens = 0;
  std::string kvFormat = "f16", activations = "auto";
  std::string weights, weightFormat, adapter;
  std::string tuning; ///< a file; empty: this machine's where there is one; "none"
  std::string schedule;
  unsigned threads = 0;
  bool embedTuning = false;
  bool explain = false, timing = false;
};
void addCompileSettings(CLI::App &app, CompileSettings &settings);

/// Compiles `source` to `output` with progress on a terminal; `stopAfter` empty: all stages.
void compile(const CompileSettings &settings, const std::string &source, const std::string &output,
             const std::string &stopAfter);

/// CPU code of an artefact as assembly, by the compiler's library.
std::string disassemble(const void *code, size_t bytes);
/// The compiler's candidates for how products are cut into work.
std::vector<std::string> listSchedules();
/// From measurements to what is known of the machine (`ingotCompilerTune`).
std::string learnMachine(const std::string &measurements);

/// The cache directory, which need not be there; nothing where neither variable names one.
std::optional<std::filesystem::path> findCacheDirectory();
/// 16 digits that name a file for a text; they protect nothing.
std::string hashText(const std::string &text);
/// This machine with so many threads (0: all), for people and to know it again.
std::string describeMachine(unsigned threads);
/// Where its tuning is, or would be, kept; empty where there is no cache directory.
std::string findTuningFile(unsigned threads);
/// The tuning file that a compilation takes; empty: none.
std::string chooseTuning(const CompileSettings &settings);
/// A folder of the cache directory, made if need be.
std::string makeCacheDirectory(const std::string &name);

/// A MODEL argument: an artefact, or a source that is compiled into the cache directory first.
struct ModelArgument {
  std::string path;
  std::string device; ///< empty: as the artefact's code needs
  CompileSettings settings;

  void add(CLI::App &app);
  /// The artefact's file.
  std::string resolve() const;
  /// On a device of its own, or on that of another model.
  Handle<IngotModel> open(const IngotModel *deviceOf = nullptr) const;
  /// The same with the cache in another folder.
  std::string resolveIn(const std::string &folder) const;
};

/// Whether a model gives rows of its last hidden state, not logits.
bool isEncoder(const IngotLimits &limits);
/// Throws where `command` wants a model that generates text and this is an encoder.
void refuseEncoder(const IngotLimits &limits, const char *command);

/// A session and its sequence, both closed at the end of the scope.
Handle<IngotSession> createSession(const IngotModel *model, bool profile = false);

/// The bytes of a file; "-" is standard input.
std::string readFile(const std::string &path);
/// Token ids, separated by white space.
std::vector<int32_t> readTokens(const std::string &path);
std::vector<int32_t> tokenize(const IngotArtifact *artifact, const std::string &text,
                              bool addSpecial, bool parseSpecial);

void addCompileCommand(CLI::App &app);  // CompileCommand.cpp
void addRunCommand(CLI::App &app);      // RunCommand.cpp
void addChatCommand(CLI::App &app);     // RunCommand.cpp
void addBenchCommand(CLI::App &app);    // BenchCommand.cpp
void addEmbedCommand(CLI::App &app);    // EmbedCommand.cpp
void addEvalCommand(CLI::App &app);     // EvalCommand.cpp
void addLogitsCommand(CLI::App &app);   // EvalCommand.cpp
void addTuneCommand(CLI::App &app);     // TuneCommand.cpp
void addTokenizeCommand(CLI::App &app); // InspectCommand.cpp
void addVerifyCommand(CLI::App &app);   // InspectCommand.cpp
void addInspectCommand(CLI::App &app);  // InspectCommand.cpp

} // namespace ingot::driver

#endif // INGOT_TOOLS_INGOT_COMMANDS_H
