//===- Main.cpp - Logits of a checkpoint by the reference interpreter -------------------------===//
//
//   reference-logits MODEL --tokens IDS [--program FILE.mlir] [--chunk N]
//                    [-o FILE] [--compare FILE [--limit X]]
//
// Computes float32 logits [tokens, vocabulary] of the imported dense program, or of the program in
// FILE.mlir, which may come from any transformer stage and reads MODEL's weights; writes them
// without a header, or compares them with such a file. For stages and oracles; `ingot logits` is
// for users.
//
//===------------------------------------------------------------------------------------------===//

#include "ingot/Import/Import.h"
#include "ingot/Reference/Logits.h"
#include "mlir/Parser/Parser.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FormatVariadic.h"
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

/// Prints how far `logits` are from those in a file; an exit status.
static int compare(const reference::Tensor &logits, StringRef path, double limit) {
  auto buffer = llvm::MemoryBuffer::getFile(path, /*IsText=*/false);
  if (!buffer)
    return fail(path + ": " + buffer.getError().message());
  std::vector<float> truth(logits.size());
  if ((*buffer)->getBufferSize() != truth.size() * sizeof(float))
    return fail(path + ": expected " + Twine(truth.size() * sizeof(float)) + " bytes, got " +
                Twine((*buffer)->getBufferSize()));
  memcpy(truth.data(), (*buffer)->getBufferStart(), truth.size() * sizeof(float));
  auto distance = reference::compareLogits(logits.floats(), truth, logits.dim(1));
  llvm::outs() << llvm::formatv(
      "max |difference| / deviation {0:e3}, mean KL {1:e3}, top-1 {2:P2}\n", distance.largest,
      distance.divergence, distance.agreement);
  if (distance.largest <= limit)
    return 0;
  return fail(llvm::formatv("the difference is over the limit {0:e1}", limit).str());
}

static int write(const reference::Tensor &logits, StringRef path) {
  std::error_code error;
  llvm::ToolOutputFile out(path, error, llvm::sys::fs::OF_None);
  if (error)
    return fail(path + ": " + error.message());
  auto numbers = logits.floats();
  out.os().write(reinterpret_cast<const char *>(numbers.data()), numbers.size() * sizeof(float));
  out.keep();
  return 0;
}

int main(int argc, char **argv) {
  llvm::InitLLVM init(argc, argv);
  llvm::cl::opt<std::string> model(llvm::cl::Positional, llvm::cl::Required,
                                   llvm::cl::desc("MODEL: a .gguf file or a Hugging Face folder"));
  llvm::cl::opt<std::string> ids("tokens", llvm::cl::Required,
                                 llvm::cl::desc("file of token ids; - for standard input"));
  llvm::cl::opt<std::string> program("program", llvm::cl::desc("program to run instead"));
  llvm::cl::opt<int64_t> chunk("chunk", llvm::cl::init(0),
                               llvm::cl::desc("tokens of a step; 0: all in one"));
  llvm::cl::opt<std::string> output("o", llvm::cl::desc("file to write"));
  llvm::cl::opt<std::string> truth("compare", llvm::cl::desc("file of logits to compare with"));
  llvm::cl::opt<double> limit(
      "limit", llvm::cl::init(std::numeric_limits<double>::infinity()),
      llvm::cl::desc("largest difference over the deviation that --compare accepts"));
  llvm::cl::ParseCommandLineOptions(argc, argv, "logits by the reference interpreter\n");

  MLIRContext context;
  auto imported = import::importModel(model, &context);
  if (failed(imported))
    return 1;
  OwningOpRef<ModuleOp> module = std::move(imported->module);
  if (!program.empty() && !(module = parseSourceFile<ModuleOp>(program, &context)))
    return 1;
  auto tokens = readTokens(ids);
  if (!tokens)
    return fail("cannot read token ids from " + ids);
  std::vector<int32_t> rows(tokens->size());
  std::iota(rows.begin(), rows.end(), 0);
  auto logits = chunk > 0
                    ? reference::computeLogitsInChunks(*module, *tokens, chunk, *imported->weights)
                    : reference::computeLogits(*module, *tokens, rows, *imported->weights);
  if (failed(logits))
    return 1;
  if (int status = output.empty() ? 0 : write(*logits, output))
    return status;
  return truth.empty() ? 0 : compare(*logits, truth, limit);
}
