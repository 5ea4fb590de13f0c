//===- Main.cpp - Logits of a checkpoint by the reference interpreter -------------------------===//
//
//   reference-logits MODEL.gguf --tokens IDS [--program FILE.mlir] [-o FILE]
//
// Writes float32 logits [tokens, vocabulary] without a header: of the imported dense program, or of
// the program in FILE.mlir, which may come from any transformer stage and reads MODEL's weights.
// For comparing stages and oracles; `ingot logits` is for users.
//
//===------------------------------------------------------------------------------------------===//

#include "ingot/Import/Import.h"
#include "ingot/Reference/Logits.h"
#include "mlir/Parser/Parser.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/InitLLVM.h"
#include "llvm/Support/ToolOutputFile.h"
#include <numeric>

using namespace mlir;
using namespace ingot;

static int fail(const Twine &sentence) {
  llvm::errs() << "reference-logits: " << sentence << "\n";
  return 1;
}

/// White-space separated token ids.
static std::optional<std::vector<int32_t>> readTokens(StringRef path) {
  auto buffer = llvm::MemoryBuffer::getFileOrSTDIN(path, /*IsText=*/true);
  if (!buffer)
    return std::nullopt;
  std::vector<int32_t> tokens;
  SmallVector<StringRef> words;
  llvm::SplitString((*buffer)->getBuffer(), words);
  for (StringRef word : words)
    if (word.getAsInteger(10, tokens.emplace_back()))
      return std::nullopt;
  return tokens;
}

int main(int argc, char **argv) {
  llvm::InitLLVM init(argc, argv);
  llvm::cl::opt<std::string> model(llvm::cl::Positional, llvm::cl::Required,
                                   llvm::cl::desc("MODEL.gguf"));
  llvm::cl::opt<std::string> ids("tokens", llvm::cl::Required,
                                 llvm::cl::desc("file of token ids; - for standard input"));
  llvm::cl::opt<std::string> program("program", llvm::cl::desc("program to run instead"));
  llvm::cl::opt<std::string> output("o", llvm::cl::init("-"), llvm::cl::desc("output file"));
  llvm::cl::ParseCommandLineOptions(argc, argv, "logits by the reference interpreter\n");

  MLIRContext context;
  auto file = GgufFile::open(model);
  if (!file)
    return fail(llvm::toString(file.takeError()));
  auto module = import::importGgufProgram(**file, &context);
  if (failed(module))
    return 1;
  if (!program.empty() && !(*module = parseSourceFile<ModuleOp>(program, &context)))
    return 1;
  auto tokens = readTokens(ids);
  if (!tokens)
    return fail("cannot read token ids from " + ids);
  std::vector<int32_t> rows(tokens->size());
  std::iota(rows.begin(), rows.end(), 0);
  auto logits = reference::computeLogits(**module, *tokens, rows, **file);
  if (failed(logits))
    return 1;
  std::error_code error;
  llvm::ToolOutputFile out(output, error, llvm::sys::fs::OF_None);
  if (error)
    return fail(output + ": " + error.message());
  auto numbers = logits->floats();
  out.os().write(reinterpret_cast<const char *>(numbers.data()), numbers.size() * sizeof(float));
  out.keep();
  return 0;
}
