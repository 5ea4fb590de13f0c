//===- Pipeline.h - The stages of compilation -----------------------------------------------===//
//
// The one list of stages and of the passes of each. A stage's name is the value of `--stop-after`,
// the category of its remarks, and in ingot-opt the flag `--ingot-NAME-stage` runs its passes.
// Import (files to IR), target (IR to code) and artifact (code to file) are not passes over a
// module; they have their place in the list and nothing to build here.
//
//===--------------------------------------------------------------------------------------------===//

#ifndef INGOT_COMPILER_PIPELINE_H
#define INGOT_COMPILER_PIPELINE_H

#include "passes/Compress/Passes.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include <string>
#include <vector>

namespace mlir {
class OpPassManager;
}

namespace ingot {

enum class Stage { Import, Model, Compress, Partition, Fuse, Tile, Plan, Target, Artifact };

/// All stages, in order.
llvm::ArrayRef<Stage> getStages();
/// `model`, as written after `--stop-after`.
llvm::StringRef getStageName(Stage stage);
/// The stage of a name, or nothing.
std::optional<Stage> findStage(llvm::StringRef name);

/// Kinds of machines. From compress on a module is for one of them: formats of activations, kernels
/// and packings depend on it.
enum class TargetKind { Cpu, Cuda };

/// What decides what the passes do. Every default is that of the command line.
struct PipelineOptions {
  std::string cacheFormat = "f16"; ///< a name of KVCacheType's
  int64_t pageTokens = 16;         ///< tokens of a page of the cache
  std::string weightFormat = {};   ///< of products' weights that are floats; empty: as stored
  compress::Activations activations = compress::Activations::Auto;
  std::vector<std::string> floatActivations; ///< weights (patterns) whose activations stay float32
  int64_t devices = 1;
  int64_t maxContext = 2048; ///< most tokens of one sequence
  int64_t maxSequences = 4;  ///< most sequences of one step
  int64_t maxTokens = 256;   ///< most tokens of one step
  int64_t maxOutputs = 64;   ///< most rows of output of one step
  int64_t pages = 0;         ///< pages of the cache; 0: enough for every sequence at its longest
  TargetKind target = TargetKind::Cpu;
  std::string schedule =
      {}; ///< of all products, as `ProductSchedule::parse` takes it; empty: chosen
};

/// Adds the passes of a stage; the last one checks what is true after it.
void buildStagePipeline(Stage stage, const PipelineOptions &options, mlir::OpPassManager &passes);

/// Adds the passes of every stage from `first` to `last`, both included.
void buildPipeline(Stage first, Stage last, const PipelineOptions &options,
                   mlir::OpPassManager &passes);

/// The flags `--ingot-NAME-stage` of ingot-opt and its siblings, with the options above.
void registerStagePipelines();

} // namespace ingot

#endif // INGOT_COMPILER_PIPELINE_H
