//===- Compile.h - From a checkpoint to model.ingot -------------------------------------------===//
//
// Runs the stages one after the other. Weights never enter the IR: they are read, packed and
// written in a stream while the artefact is written. On an error nothing is left but what was there
// before.
//
//===------------------------------------------------------------------------------------------===//

#ifndef INGOT_COMPILER_COMPILE_H
#define INGOT_COMPILER_COMPILE_H

#include "ingot/Compiler/Pipeline.h"
#include "llvm/Support/Error.h"
#include <functional>
#include <vector>

namespace ingot {

/// A decision that a pass reports, or something about the checkpoint that the user should know.
struct Remark {
  std::string kind; ///< passed, missed, analysis, failed or warning
  std::string stage;
  std::string text; ///< pass, layer or weight, message
};

struct CompileOptions {
  std::string source; ///< a .gguf file, a Hugging Face folder, a config.json
  std::string output; ///< "-": standard output, only with `stopAfter`
  /// CPUs ("cpu:x86-64-v3") or NVIDIA GPUs ("cuda:sm_90a"), not both.
  std::vector<std::string> targets = {"cpu:x86-64-v3"};
  uint64_t maxContext = 0; ///< 0: the model's, at most 8192
  uint64_t maxBatch = 1;
  uint64_t maxStepTokens = 256;
  std::string kvFormat = "f16", activations = "auto";
  std::string weights;      ///< "random:SEED": made up; empty: the source's
  std::string weightFormat; ///< of products' weights; empty: as they are stored
  std::string adapter;      ///< a folder with a low-rank adapter; empty: none
  Stage stopAfter = Stage::Artifact;
  std::string tuning;       ///< file of a measured machine; empty: constants of an unknown one
  bool embedTuning = false; ///< the card gets what the file says
  std::string schedule;     ///< of all products with weights; empty: chosen for each
  unsigned threads = 0;     ///< 0: the cores that this process may use
  std::function<void(llvm::StringRef stage, double fraction)> progress;
  std::function<void(const Remark &remark)> remark;
};

/// One sentence on failure.
llvm::Error compile(const CompileOptions &options);

} // namespace ingot

#endif // INGOT_COMPILER_COMPILE_H
