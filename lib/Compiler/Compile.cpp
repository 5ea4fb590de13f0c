//===- Compile.cpp - From a checkpoint to model.ingot -----------------------------------------===//
//
// The driver of the stages: checks the request, runs them, shows progress, collects remarks, and
// turns diagnostics of MLIR into the one sentence that the user reads.
//
//===------------------------------------------------------------------------------------------===//

#include "ingot/Compiler/Compile.h"
#include "Tuning.h"
#include "WeightWatch.h"
#include "dialects/Plan/Plan.h"
#include "ingot/Artifact/ArtifactWriter.h"
#include "ingot/Artifact/Card.h"
#include "ingot/Artifact/OutputFile.h"
#include "ingot/Artifact/PlanEncoder.h"
#include "ingot/Artifact/WeightPacker.h"
#include "ingot/Compiler/Register.h"
#include "ingot/Import/Import.h"
#include "ingot/Kernels/CostModel.h"
#include "ingot/Support/EncodedWeightStore.h"
#include "ingot/Target/Cpu.h"
#include "ingot/Target/Nvptx.h"
#include "mlir/IR/AsmState.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Support/Timing.h"
#include "passes/Target/Passes.h"
#include "passes/Tile/Passes.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Threading.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;
using namespace ingot;

namespace {

llvm::Error makeError(const llvm::Twine &text) {
  return llvm::createStringError(llvm::inconvertibleErrorCode(), text);
}

/// Keeps the first error of MLIR as a sentence.
class Diagnostics {
public:
  explicit Diagnostics(MLIRContext *context)
      : handler(context, [this](Diagnostic &diagnostic) {
          if (diagnostic.getSeverity() != DiagnosticSeverity::Error || !first.empty())
            return success();
          llvm::raw_string_ostream os(first);
          // A location is worth its text where it names a tensor or a layer.
          std::string name;
          diagnostic.getLocation()->walk([&](Location location) {
            auto named = dyn_cast<NameLoc>(location);
            if (named)
              name = named.getName().str();
            return named ? WalkResult::interrupt() : WalkResult::advance();
          });
          os << name << (name.empty() ? "" : ": ") << diagnostic;
          return success();
        }) {}

  llvm::Error take(const llvm::Twine &otherwise) {
    return makeError(first.empty() ? otherwise : llvm::Twine(first));
  }

private:
  std::string first;
  ScopedDiagnosticHandler handler;
};

/// Collects remarks in the order in which passes make them.
class RemarkCollector : public remark::detail::MLIRRemarkStreamerBase {
public:
  explicit RemarkCollector(std::vector<Remark> &remarks) : remarks(remarks) {}

  void streamOptimizationRemark(const remark::detail::Remark &source) override {
    std::string text;
    llvm::raw_string_ostream os(text);
    os << source.getRemarkName();
    std::string name;
    source.getLocation()->walk([&](Location location) {
      auto named = dyn_cast<NameLoc>(location);
      if (named)
        name = named.getName().str();
      return named ? WalkResult::interrupt() : WalkResult::advance();
    });
    if (!name.empty())
      os << ' ' << name;
    else if (!source.getFunction().empty())
      os << " @" << source.getFunction();
    os << ": " << source.getMsg();
    std::scoped_lock lock(mutex);
    remarks.push_back({kindOf(source), source.getCombinedCategoryName().str(), text});
  }

private:
  static std::string kindOf(const remark::detail::Remark &source) {
    switch (source.getRemarkType()) {
    case llvm::remarks::Type::Passed:
      return "passed";
    case llvm::remarks::Type::Missed:
      return "missed";
    case llvm::remarks::Type::Failure:
      return "failed";
    default:
      return "analysis";
    }
  }
  std::vector<Remark> &remarks;
  std::mutex mutex;
};

/// One compilation.
class Compilation {
public:
  explicit Compilation(const CompileOptions &options)
      : options(options), context(makeRegistry(), MLIRContext::Threading::DISABLED),
        diagnostics(&context) {}

  llvm::Error run() {
    if (llvm::Error error = check())
      return error;
    if (llvm::Error error = enableRemarks())
      return error;
    report(Stage::Import);
    if (llvm::Error error = import())
      return error;
    for (Stage stage :
         {Stage::Model, Stage::Compress, Stage::Partition, Stage::Fuse, Stage::Tile, Stage::Plan}) {
      if (options.stopAfter < stage)
        break;
      report(stage);
      if (llvm::Error error = runPasses(stage))
        return error;
    }
    if (options.stopAfter <= Stage::Plan)
      return writeModule();
    report(Stage::Target);
    if (llvm::Error error = generateCode())
      return error;
    if (options.stopAfter == Stage::Target)
      return writeText(assembly);
    report(Stage::Artifact);
    return writeArtifact();
  }

private:
  static const DialectRegistry &makeRegistry() {
    static const DialectRegistry registry = [] {
      DialectRegistry registry;
      registerAllDialects(registry);
      import::registerImportDialects(registry);
      return registry;
    }();
    return registry;
  }

  llvm::Error check() {
    llvm::StringRef source = options.source;
    if (!source.ends_with(".gguf") && !source.ends_with(".json") &&
        !llvm::sys::fs::is_directory(source))
      return makeError(
          "expected SOURCE to be a .gguf file, a Hugging Face folder or a config.json, "
          "got '" +
          source + "'");
    if (options.output == "-" && options.stopAfter == Stage::Artifact)
      return makeError("an artefact is not written to standard output: name a file");
    if (options.stopAfter == Stage::Artifact) {
      // What cannot be written is better told before the work than after it.
      llvm::Expected<artifact::OutputFile> file = artifact::OutputFile::create(options.output, 0);
      if (!file)
        return file.takeError();
    }
    for (auto [name, value, known] :
         {std::tuple("--kv-format", &options.kvFormat,
                     llvm::StringRef(transformer::KVCacheType::formatNames)),
          std::tuple("--activations", &options.activations, llvm::StringRef("auto float int8"))}) {
      llvm::SmallVector<llvm::StringRef> words;
      known.split(words, ' ');
      if (!llvm::is_contained(words, *value))
        return makeError(llvm::Twine("expected ") + name + " to be one of " + known + ", got '" +
                         *value + "'");
    }
    if (options.embedTuning && options.tuning.empty())
      return makeError("--embed-tuning: there is no tuning of this machine: make one with `ingot "
                       "tune`, or name one with --tuning");
    if (std::string reason; !options.schedule.empty() &&
                            failed(kernels::ProductSchedule::parse(options.schedule, reason)))
      return makeError("--schedule: " + reason);
    constexpr uint64_t most = 1 << 20;
    for (auto [name, value] : {std::pair("--max-context", options.maxContext),
                               {"--max-batch", options.maxBatch},
                               {"--max-step-tokens", options.maxStepTokens}})
      if (value > most)
        return makeError(llvm::Twine("expected ") + name + " to be at most " + llvm::Twine(most) +
                         ", got " + llvm::Twine(value));
    return checkTargets();
  }

  llvm::Error checkTargets() {
    for (const std::string &text : options.targets) {
      if (llvm::StringRef(text).starts_with("cuda:")) {
        llvm::Expected<const NvptxChip *> chip = NvptxChip::parseTarget(text);
        if (!chip)
          return chip.takeError();
        chips.push_back(*chip);
        continue;
      }
      llvm::Expected<CpuTarget> target = CpuTarget::parse(text);
      if (!target)
        return target.takeError();
      targets.push_back(*target);
    }
    if (!targets.empty() && !chips.empty())
      return makeError("expected targets of one kind, got '" + targets.front().getName() +
                       "' and '" + chips.front()->getTargetName() +
                       "': compile the model once for each");
    if (!chips.empty() && options.activations == "int8")
      return makeError("expected --activations to be auto or float for '" +
                       chips.front()->getTargetName() + "', got 'int8'");
    if (!chips.empty() && options.kvFormat != "f16" && options.kvFormat != "f32")
      return makeError("expected --kv-format to be f16 or f32 for '" +
                       chips.front()->getTargetName() + "', got '" + options.kvFormat + "'");
    return llvm::Error::success();
  }

  llvm::Error enableRemarks() {
    remark::RemarkCategories all;
    all.passed = all.missed = all.analysis = all.failed = ".*";
    if (failed(remark::enableOptimizationRemarks(
            context, std::make_unique<RemarkCollector>(remarks),
            std::make_unique<remark::RemarkEmittingPolicyAll>(), all)))
      return diagnostics.take("cannot collect remarks");
    return llvm::Error::success();
  }

  void report(Stage stage, double fraction = -1) {
    // Where time goes: code and weights.
    static constexpr double begin[] = {0, 0.05, 0.08, 0.09, 0.1, 0.12, 0.15, 0.18, 0.5};
    if (options.progress)
      options.progress(getStageName(stage), fraction < 0 ? begin[unsigned(stage)] : fraction);
    for (; reported < remarks.size(); ++reported)
      if (options.remark)
        options.remark(remarks[reported]);
  }

  llvm::Error import() {
    import::ImportOptions wish;
    wish.context = options.maxContext;
    wish.weightFormat = options.weightFormat;
    wish.adapter = options.adapter;
    llvm::StringRef weights = options.weights;
    if (uint64_t seed; !weights.empty()) {
      if (!weights.consume_front("random:") || weights.getAsInteger(10, seed))
        return makeError("expected --weights to be random:SEED with a number, got '" +
                         options.weights + "'");
      wish.randomSeed = seed;
    } else {
      pipeline.weightFormat = options.weightFormat;
    }
    auto imported = import::importModel(options.source, &context, wish);
    if (failed(imported))
      return diagnostics.take("cannot import " + options.source);
    model = std::move(*imported);
    if (!options.tuning.empty()) {
      llvm::Expected<DictionaryAttr> read = readTuning(options.tuning, &this->context, tuning);
      if (!read)
        return read.takeError();
      model.module->getOperation()->setAttr(kernels::Tuning::attributeName, *read);
    }
    int64_t context = 2048;
    bool isEncoder = false;
    if (auto hyper =
            model.module->getOperation()->getAttrOfType<DictionaryAttr>("transformer.model")) {
      if (auto length = hyper.getAs<IntegerAttr>("context"))
        context = length.getInt();
      if (auto kind = hyper.getAs<StringAttr>("kind"))
        isEncoder = kind.getValue() == "encoder";
    }
    constexpr int64_t mostByDefault = 8192;
    if (int64_t(options.maxContext) > context)
      return makeError("expected --max-context to be at most the model's context of " +
                       llvm::Twine(context) + ", got " + llvm::Twine(options.maxContext));
    pipeline.maxContext =
        options.maxContext ? int64_t(options.maxContext) : std::min(context, mostByDefault);
    // An encoder takes whole sequences, many in a step, and gives all of their rows.
    uint64_t sequences = isEncoder ? 64 : 1, tokens = isEncoder ? 2048 : 256;
    pipeline.maxSequences = options.maxBatch ? options.maxBatch : sequences;
    pipeline.maxTokens = std::max<uint64_t>(options.maxStepTokens ? options.maxStepTokens : tokens,
                                            pipeline.maxSequences);
    if (isEncoder)
      pipeline.maxContext = std::min(pipeline.maxContext, pipeline.maxTokens);
    pipeline.maxOutputs =
        isEncoder
            ? pipeline.maxTokens
            : std::min<int64_t>(pipeline.maxTokens, std::max<int64_t>(64, pipeline.maxSequences));
    pipeline.cacheFormat = options.kvFormat;
    pipeline.schedule = options.schedule;
    pipeline.target = chips.empty() ? TargetKind::Cpu : TargetKind::Cuda;
    constexpr int64_t gpuPageTokens = 32; // a warp of the attention kernel takes a page at a time
    if (pipeline.target == TargetKind::Cuda)
      pipeline.pageTokens = gpuPageTokens;
    pipeline.activations = llvm::StringSwitch<compress::Activations>(options.activations)
                               .Case("float", compress::Activations::Float)
                               .Case("int8", compress::Activations::Int8)
                               .Default(compress::Activations::Auto);
    return llvm::Error::success();
  }

  llvm::Error runPasses(Stage stage) {
    PassManager manager(&context);
    buildStagePipeline(stage, pipeline, manager);
    if (failed(manager.run(*model.module)))
      return diagnostics.take("the stage " + getStageName(stage) + " failed");
    return stage == Stage::Compress ? encodeWeights() : llvm::Error::success();
  }

  /// Lets the store give every weight in the format that the program has for it now.
  llvm::Error encodeWeights() {
    auto encoded = std::make_shared<EncodedWeightStore>(model.weights);
    for (auto weight : model.module->getOps<transformer::WeightOp>()) {
      auto *info = weight.getSource() ? model.weights->find(*weight.getSource()) : nullptr;
      auto type = cast<transformer::WeightType>(weight.getType());
      if (info && info->format->name != type.getFormat())
        if (llvm::Error error =
                encoded->encode(*weight.getSource(), *NumericFormat::lookup(type.getFormat())))
          return error;
    }
    model.weights = std::move(encoded);
    return llvm::Error::success();
  }

  llvm::Error writeModule() {
    std::string text;
    llvm::raw_string_ostream os(text);
    model.module->print(os);
    os << '\n';
    return writeText(text);
  }

  llvm::Error writeText(llvm::StringRef text) {
    report(options.stopAfter, 1);
    if (options.output == "-") {
      llvm::outs() << text;
      llvm::outs().flush();
      std::error_code error = llvm::outs().error();
      llvm::outs().clear_error();
      return error ? makeError("cannot write to standard output: " + error.message())
                   : llvm::Error::success();
    }
    auto file = artifact::OutputFile::create(options.output, text.size());
    if (!file)
      return file.takeError();
    if (llvm::Error error = file->write(0, llvm::arrayRefFromStringRef(text)))
      return error;
    return file->commit();
  }

  /// One copy of the kernels for each target.
  llvm::Error generateCode() {
    for (const CpuTarget &target : targets) {
      OwningOpRef<ModuleOp> copy(model.module->clone());
      PassManager manager(&context);
      manager.addPass(tile::createChooseCpuAtoms({target.getName()}));
      manager.addPass(tile::createLowerTileToCpu());
      if (failed(manager.run(*copy)))
        return diagnostics.take("the stage target failed");
      CpuOptions code;
      code.withAssembly = options.stopAfter == Stage::Target;
      llvm::Expected<CpuCode> result = compileForCpu(*copy, target, code);
      if (!result)
        return result.takeError();
      assembly += result->assembly;
      kernels.push_back(
          {target.getName(), {result->sharedObject.begin(), result->sharedObject.end()}});
    }
    for (const NvptxChip *chip : chips)
      if (llvm::Error error = generateGpuCode(*chip))
        return error;
    return llvm::Error::success();
  }

  llvm::Error generateGpuCode(const NvptxChip &chip) {
    OwningOpRef<ModuleOp> copy(model.module->clone());
    PassManager manager(&context);
    manager.addPass(tile::createLowerTileToNvptx({chip.capability}));
    manager.addPass(target::createVerifyNvptxTarget({chip.getTargetName()}));
    if (failed(manager.run(*copy)))
      return diagnostics.take("the stage target failed");
    llvm::Expected<std::string> ptx = compileForNvptx(*copy, chip);
    if (!ptx)
      return ptx.takeError();
    assembly += *ptx;
    GpuBinary binary;
    if (std::string ptxas = findPtxas(); !ptxas.empty()) {
      llvm::Expected<GpuBinary> assembled = assembleForNvptx(ptxas, *ptx, chip);
      if (!assembled)
        return assembled.takeError();
      binary = std::move(*assembled);
    } else {
      remarks.push_back({"missed", "target",
                         chip.getTargetName() +
                             ": no ptxas on PATH or in /usr/local/cuda/bin: the driver compiles "
                             "the kernels when they are first loaded"});
    }
    reportGpuKernels(chip, binary);
    kernels.push_back(
        {chip.getTargetName(),
         artifact::layOutCudaCode(*ptx, binary.cubin, chip.capability, chip.isExact, ptxVersion)});
    return llvm::Error::success();
  }

  void reportGpuKernels(const NvptxChip &chip, const GpuBinary &binary) {
    for (const std::string &warning : binary.warnings)
      remarks.push_back({"missed", "target", chip.getTargetName() + ": " + warning});
    for (const GpuKernelUse &use : binary.kernels) {
      gpuKernels.push_back(
          {chip.getTargetName(), use.name, use.registers, use.sharedBytes, use.spillBytes});
      std::string text;
      llvm::raw_string_ostream(text)
          << chip.getTargetName() << " " << use.name << ": " << use.registers << " registers, "
          << use.sharedBytes << " bytes of shared memory, " << use.spillBytes << " bytes spilled";
      remarks.push_back({use.spillBytes ? "missed" : "analysis", "target", text});
    }
  }

  llvm::Expected<std::string> makeCard(plan::ProgramOp program) {
    artifact::CardData card;
    card.compiler = "ingot " INGOT_VERSION;
    for (const std::string &file : model.files) {
      llvm::Expected<artifact::CardSource> source = artifact::describeSource(file, model.name);
      if (!source)
        return source.takeError();
      card.sources.push_back(std::move(*source));
    }
    for (const CpuTarget &target : targets)
      card.targets.push_back(target.getName());
    for (const NvptxChip *chip : chips)
      card.targets.push_back(chip->getTargetName());
    card.kernels = gpuKernels;
    if (options.embedTuning)
      card.tuning = tuning;
    if (chips.empty())
      card.speed = describeSpeed(*model.module, /*units=*/!options.schedule.empty());
    card.recipe =
        llvm::json::Object{{"activations", options.activations}, {"kv_format", options.kvFormat}};
    if (!options.weights.empty())
      card.recipe["weights"] = options.weights;
    for (const Remark &remark : remarks)
      card.remarks.push_back({remark.kind, remark.stage, remark.text});
    card.sampling = model.sampling;
    card.embedding = model.embedding;
    return artifact::writeCard(program, card);
  }

  llvm::Error writeArtifact() {
    auto programs = model.module->getOps<plan::ProgramOp>();
    if (programs.empty())
      return makeError("the plan stage made no program");
    plan::ProgramOp program = *programs.begin();
    artifact::ArtifactContents contents;
    contents.plan = artifact::encodePlan(program);
    contents.kernels = std::move(kernels);
    contents.chatTemplate = model.chatTemplate;
    if (model.tokenizer) {
      std::string reason;
      auto bytes = artifact::writeTokenizer(*model.tokenizer, reason);
      if (!bytes)
        return makeError(options.source + ": " + reason);
      contents.tokenizer = std::move(*bytes);
    }
    // From here on time goes into the bytes of the model: those of the source are hashed.
    report(Stage::Artifact, 0.5);
    llvm::Expected<std::string> card = makeCard(program);
    if (!card)
      return card.takeError();
    contents.card = std::move(*card);
    artifact::WriteOptions write;
    write.threads =
        options.threads ? options.threads : llvm::hardware_concurrency().compute_thread_count();
    write.repeatedRows = model.weights->getRepeatedRows();
    write.progress = [&](uint64_t done, uint64_t total) {
      report(Stage::Artifact, 0.5 + 0.5 * double(done) / double(std::max<uint64_t>(total, 1)));
    };
    WeightWatch watch(*model.weights);
    if (llvm::Error error =
            artifact::writeArtifact(options.output, std::move(contents),
                                    artifact::makeWeightProducer(program, watch), write))
      return error;
    for (const std::string &name : watch.getBroken())
      remarks.push_back({"warning", "artifact", "weight " + name + " has elements that are NaN"});
    report(Stage::Artifact, 1);
    return llvm::Error::success();
  }

  const CompileOptions &options;
  MLIRContext context;
  Diagnostics diagnostics;
  std::vector<Remark> remarks;
  size_t reported = 0;
  std::vector<CpuTarget> targets;
  std::vector<const NvptxChip *> chips;
  std::vector<artifact::CardKernel> gpuKernels;
  llvm::json::Object tuning; ///< as it was read
  import::ImportedModel model;
  PipelineOptions pipeline;
  std::vector<artifact::KernelCode> kernels;
  std::string assembly;
};

} // namespace

llvm::Error ingot::compile(const CompileOptions &options) { return Compilation(options).run(); }
