//===- Main.cpp - The command ingot -----------------------------------------------------------===//
//
// Declares the commands, reads the command line, and turns what a command throws into one sentence
// on standard error and an exit status that is not 0. Links no LLVM.
//
//===------------------------------------------------------------------------------------------===//

#include "Commands.h"
#include <csignal>
#include <cstdio>

using namespace ingot::driver;

/// Conversion to an unsigned number would turn -1 into the largest one.
static void refuseNegativeCounts(CLI::App &app) {
  for (CLI::App *command : app.get_subcommands([](CLI::App *) { return true; }))
    for (CLI::Option *option : command->get_options())
      if (option->get_type_name() == "UINT")
        option->check([](const std::string &text) {
          return text.starts_with('-') ? "expected a number that is at least 0, got " + text
                                       : std::string();
        });
}

int main(int argc, char **argv) {
  // A reader that goes away is an error of a write, not the end of the process in the middle of
  // one.
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN); // so is a file that may not grow
  CLI::App app("Compiles Transformer checkpoints into one file and runs them.", "ingot");
  app.require_subcommand(1);
  app.footer(
      "MODEL is an .ingot file, or a checkpoint (.gguf) that is compiled into the cache first.\n"
      "Example: ingot run model.gguf -p \"The capital of France is\" -n 16");
  app.set_version_flag("--version", "ingot " INGOT_VERSION);
  addCompileCommand(app);
  addRunCommand(app);
  addChatCommand(app);
  addBenchCommand(app);
  addEmbedCommand(app);
  addEvalCommand(app);
  addLogitsCommand(app);
  addTuneCommand(app);
  addTokenizeCommand(app);
  addVerifyCommand(app);
  addInspectCommand(app);
  refuseNegativeCounts(app);
  auto isNamed = [&](CLI::App *command) { return command->get_name() == argv[1]; };
  if (argc > 1 && argv[1][0] != '-' && app.get_subcommands(isNamed).empty()) {
    std::fprintf(stderr, "error: '%s' is not a command; see `ingot --help`\n", argv[1]);
    return 2;
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError &error) {
    if (error.get_exit_code() == 0)
      return app.exit(error);
    std::fprintf(stderr, "error: %s; see `ingot --help`\n", error.what());
    return 2;
  } catch (const std::exception &error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return 1;
  }
  if (std::fflush(stdout) != 0) {
    std::fprintf(stderr, "error: cannot write to standard output\n");
    return 1;
  }
  return 0;
}
