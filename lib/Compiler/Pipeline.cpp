//===- Pipeline.cpp - The stages of compilation -------------------------------------------------===//

#include "ingot/Compiler/Pipeline.h"
#include "mlir/Dialect/Func/Transforms/Passes.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassOptions.h"
#include "mlir/Pass/PassRegistry.h"
#include "mlir/Transforms/Passes.h"
#include "passes/Fuse/Passes.h"
#include "passes/Model/Passes.h"
#include "passes/Partition/Passes.h"
#include "passes/Plan/Passes.h"
#include "passes/Tile/Passes.h"

using namespace mlir;
using namespace ingot;

static constexpr Stage stages[] = {Stage::Import,    Stage::Model,  Stage::Compress,
                                   Stage::Partition, Stage::Fuse,   Stage::Tile,
                                   Stage::Plan,      Stage::Target, Stage::Artifact};
static constexpr StringLiteral names[] = {"import", "model", "compress", "partition", "fuse",
                                          "tile",   "plan",  "target",   "artifact"};

ArrayRef<Stage> ingot::getStages() { return stages; }

StringRef ingot::getStageName(Stage stage) { return names[unsigned(stage)]; }

std::optional<Stage> ingot::findStage(StringRef name) {
  for (Stage stage : stages)
    if (getStageName(stage) == name)
      return stage;
  return std::nullopt;
}

/// Folds, merges what is equal, and drops what nothing uses.
static void addCleanup(OpPassManager &passes) {
  passes.addPass(createCanonicalizerPass());
  passes.addPass(createCSEPass());
  passes.addPass(func::createDuplicateFunctionEliminationPass());
  passes.addPass(createSymbolDCEPass());
}

static void buildModelStage(const PipelineOptions &options, OpPassManager &passes) {
  passes.addPass(model::createVerifyShapes());
  passes.addPass(model::createFuseAttention());
  passes.addPass(model::createRemovePadding());
  passes.addPass(model::createInsertKvCache({options.cacheFormat, options.pageTokens}));
  addCleanup(passes);
  passes.addPass(model::createVerifyModelStage());
}

static void buildCompressStage(const PipelineOptions &options, OpPassManager &passes) {
  passes.addPass(compress::createQuantizeWeights({options.weightFormat}));
  compress::QuantizeActivationsOptions quantize;
  quantize.activations = options.activations;
  if (options.target == TargetKind::Cuda && options.activations == compress::Activations::Auto)
    quantize.activations = compress::Activations::Float; // 16-bit products are fast there
  quantize.exclude.assign(options.floatActivations.begin(), options.floatActivations.end());
  passes.addPass(compress::createQuantizeActivations(quantize));
}

static void buildPartitionStage(const PipelineOptions &options, OpPassManager &passes) {
  passes.addPass(partition::createAssignDevices({options.devices}));
}

static void buildFuseStage(const PipelineOptions &options, OpPassManager &passes) {
  passes.addPass(fuse::createFuseProjections());
  passes.addPass(fuse::createFuseGatedFeedForward());
  passes.addPass(fuse::createFuseActivation());
  passes.addPass(fuse::createFuseNorm({options.target == TargetKind::Cuda ? "cuda" : "cpu"}));
  passes.addPass(fuse::createFuseResidual());
  passes.addPass(fuse::createFormRegions());
  addCleanup(passes);
  passes.addPass(fuse::createVerifyFuseStage());
}

static void buildTileStage(const PipelineOptions &options, OpPassManager &passes) {
  if (options.target == TargetKind::Cpu)
    passes.addPass(tile::createChooseSchedules({options.schedule}));
  tile::SelectKernelsOptions select;
  select.maxContext = options.maxContext;
  select.maxSequences = options.maxSequences;
  select.target = options.target == TargetKind::Cuda ? "cuda" : "cpu";
  passes.addPass(tile::createSelectKernels(select));
  addCleanup(passes);
}

static void buildPlanStage(const PipelineOptions &options, OpPassManager &passes) {
  plan::BuildPlanOptions build;
  build.maxTokens = options.maxTokens;
  build.maxOutputs = options.maxOutputs;
  build.maxSequences = options.maxSequences;
  build.maxContext = options.maxContext;
  build.pages = options.pages;
  passes.addPass(plan::createBuildPlan(build));
  passes.addPass(plan::createVerifyPlan());
}

void ingot::buildStagePipeline(Stage stage, const PipelineOptions &options, OpPassManager &passes) {
  switch (stage) {
  case Stage::Import:
  case Stage::Target:
  case Stage::Artifact:
    return;
  case Stage::Model:
    return buildModelStage(options, passes);
  case Stage::Compress:
    return buildCompressStage(options, passes);
  case Stage::Partition:
    return buildPartitionStage(options, passes);
  case Stage::Fuse:
    return buildFuseStage(options, passes);
  case Stage::Tile:
    return buildTileStage(options, passes);
  case Stage::Plan:
    return buildPlanStage(options, passes);
  }
}

void ingot::buildPipeline(Stage first, Stage last, const PipelineOptions &options,
                          OpPassManager &passes) {
  for (Stage stage : stages)
    if (stage >= first && stage <= last)
      buildStagePipeline(stage, options, passes);
}

namespace {

/// `PipelineOptions` on a command line.
struct StageFlags : PassPipelineOptions<StageFlags> {
  PipelineOptions defaults;
  Option<std::string> cacheFormat{*this, "cache-format",
                                  llvm::cl::desc("Numbers of the cache: f16 or f32"),
                                  llvm::cl::init(defaults.cacheFormat)};
  Option<int64_t> pageTokens{*this, "page-tokens", llvm::cl::desc("Tokens of a page of the cache"),
                             llvm::cl::init(defaults.pageTokens)};
  Option<std::string> weightFormat{*this, "weight-format",
                                   llvm::cl::desc("Format of products' weights; empty: as stored")};
  Option<compress::Activations> activations{
      *this, "activations",
      llvm::cl::desc("Numbers in which products with integer weights are computed"),
      llvm::cl::init(defaults.activations),
      llvm::cl::values(
          clEnumValN(compress::Activations::Auto, "auto", "what the target's kernels do best"),
          clEnumValN(compress::Activations::Int8, "int8", "8-bit integers in blocks of 32"),
          clEnumValN(compress::Activations::Float, "float", "float32"))};
  ListOption<std::string> floatActivations{
      *this, "float-activations", llvm::cl::desc("Weights whose activations stay float32")};
  Option<int64_t> devices{*this, "devices", llvm::cl::desc("Devices that run the model"),
                          llvm::cl::init(defaults.devices)};
  Option<int64_t> maxContext{*this, "max-context", llvm::cl::desc("Most tokens of one sequence"),
                             llvm::cl::init(defaults.maxContext)};
  Option<int64_t> maxSequences{*this, "max-sequences", llvm::cl::desc("Most sequences of one step"),
                               llvm::cl::init(defaults.maxSequences)};
  Option<int64_t> maxTokens{*this, "max-tokens", llvm::cl::desc("Most tokens of one step"),
                            llvm::cl::init(defaults.maxTokens)};
  Option<int64_t> maxOutputs{*this, "max-outputs", llvm::cl::desc("Most rows of output of a step"),
                             llvm::cl::init(defaults.maxOutputs)};
  Option<int64_t> pages{*this, "pages", llvm::cl::desc("Pages of the cache; 0: enough for all"),
                        llvm::cl::init(defaults.pages)};
  Option<TargetKind> target{
      *this, "target", llvm::cl::desc("Kind of machine"), llvm::cl::init(defaults.target),
      llvm::cl::values(clEnumValN(TargetKind::Cpu, "cpu", "processors of the x86-64 family"),
                       clEnumValN(TargetKind::Cuda, "cuda", "NVIDIA GPUs"))};

  Option<std::string> schedule{*this, "schedule",
                               llvm::cl::desc("Schedule of all products; empty: chosen for each"),
                               llvm::cl::init(defaults.schedule)};

  PipelineOptions get() const {
    return {cacheFormat,
            pageTokens,
            weightFormat,
            activations,
            {floatActivations.begin(), floatActivations.end()},
            devices,
            maxContext,
            maxSequences,
            maxTokens,
            maxOutputs,
            pages,
            target,
            schedule};
  }
};

} // namespace

void ingot::registerStagePipelines() {
  for (Stage stage : stages) {
    if (stage == Stage::Import || stage == Stage::Target || stage == Stage::Artifact)
      continue;
    // The registry keeps references to flag and description.
    static llvm::BumpPtrAllocator texts;
    llvm::StringSaver saver(texts);
    PassPipelineRegistration<StageFlags>(
        saver.save("ingot-" + getStageName(stage) + "-stage"),
        saver.save("Run the passes of the " + getStageName(stage) + " stage"),
        [stage](OpPassManager &passes, const StageFlags &flags) {
          buildStagePipeline(stage, flags.get(), passes);
        });
  }
}
