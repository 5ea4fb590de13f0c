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

int main(int argc, char **argv) {
  // A reader that goes away is an error of a write, not the end of the process in the middle of
  // one.
  std::signal(SIGPIPE, SIG_IGN);
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
  addEvalCommand(app);
  addLogitsCommand(app);
  addTokenizeCommand(app);
  addVerifyCommand(app);
  addInspectCommand(app);
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
