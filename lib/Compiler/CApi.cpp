//===- CApi.cpp - The C interface of the compiler ---------------------------------------------===//
//
// Checks what comes from C, fills in the options of `compile`, and hands errors out as text. No C++
// type, and no exception, crosses this border.
//
//===------------------------------------------------------------------------------------------===//

#include "Tuning.h"
#include "ingot-c/Compiler.h"
#include "ingot/Compiler/Compile.h"
#include "ingot/Kernels/Schedule.h"
#include "ingot/Target/Cpu.h"
#include <cstdlib>
#include <cstring>

using namespace ingot;

#define INGOT_EXPORT extern "C" __attribute__((visibility("default")))

static char *copyText(llvm::StringRef text) {
  char *copy = static_cast<char *>(std::malloc(text.size() + 1));
  if (copy) {
    std::memcpy(copy, text.data(), text.size());
    copy[text.size()] = 0;
  }
  return copy;
}

static std::string listStages() {
  return llvm::join(llvm::map_range(getStages(), getStageName), ", ");
}

static llvm::Error compileFromC(const IngotCompilerOptions *given) {
  auto fail = [](const llvm::Twine &text) {
    return llvm::createStringError(llvm::inconvertibleErrorCode(), text);
  };
  if (!given || given->size != sizeof(IngotCompilerOptions))
    return fail("the options are of another version of the compiler");
  if (!given->source)
    return fail("no source is named");
  CompileOptions options;
  options.source = given->source;
  options.output = given->output ? given->output : "-";
  if (given->targetCount)
    options.targets.assign(given->targets, given->targets + given->targetCount);
  options.maxContext = given->maxContext;
  options.maxBatch = given->maxBatch;
  options.maxStepTokens = given->maxStepTokens;
  for (auto [from, to] : {std::pair(given->kvFormat, &options.kvFormat),
                          {given->activations, &options.activations},
                          {given->weights, &options.weights},
                          {given->weightFormat, &options.weightFormat},
                          {given->adapter, &options.adapter},
                          {given->tuning, &options.tuning},
                          {given->schedule, &options.schedule}})
    if (from)
      *to = from;
  options.embedTuning = given->embedTuning;
  options.threads = given->threads;
  if (given->stopAfter) {
    std::optional<Stage> stage = findStage(given->stopAfter);
    if (!stage)
      return fail("expected --stop-after to be one of " + listStages() + ", got '" +
                  given->stopAfter + "'");
    options.stopAfter = *stage;
  }
  if (given->progress)
    options.progress = [given](llvm::StringRef stage, double fraction) {
      given->progress(given->user, stage.str().c_str(), fraction);
    };
  if (given->remark)
    options.remark = [given](const Remark &remark) {
      given->remark(given->user, remark.kind.c_str(), remark.stage.c_str(), remark.text.c_str());
    };
  return compile(options);
}

INGOT_EXPORT uint32_t ingotCompilerApiVersion(void) { return INGOT_COMPILER_API_VERSION; }

INGOT_EXPORT char *ingotCompilerCompile(const IngotCompilerOptions *options) {
  llvm::Error error = compileFromC(options);
  return error ? copyText(llvm::toString(std::move(error))) : nullptr;
}

INGOT_EXPORT char *ingotCompilerDisassemble(const void *code, size_t bytes, char **text) {
  llvm::Expected<std::string> assembly =
      disassembleForCpu({static_cast<const char *>(code), bytes});
  if (!assembly)
    return copyText(llvm::toString(assembly.takeError()));
  *text = copyText(*assembly);
  return nullptr;
}

INGOT_EXPORT const char *const *ingotCompilerSchedules(void) {
  static const auto texts = [] {
    std::vector<std::string> texts;
    for (const kernels::ProductSchedule &schedule : kernels::scheduleCandidates())
      texts.push_back(schedule.toText());
    return texts;
  }();
  static const auto pointers = [] {
    std::vector<const char *> pointers;
    for (const std::string &text : texts)
      pointers.push_back(text.c_str());
    pointers.push_back(nullptr);
    return pointers;
  }();
  return pointers.data();
}

INGOT_EXPORT char *ingotCompilerTune(const char *measurements, char **result) {
  llvm::Expected<std::string> text = tune(measurements ? measurements : "");
  if (!text)
    return copyText(llvm::toString(text.takeError()));
  *result = copyText(*text);
  return nullptr;
}

INGOT_EXPORT void ingotCompilerFree(char *text) { std::free(text); }

INGOT_EXPORT const char *const *ingotCompilerStages(void) {
  static const std::vector<const char *> names = [] {
    std::vector<const char *> names;
    for (Stage stage : getStages())
      names.push_back(getStageName(stage).data()); // string literals
    names.push_back(nullptr);
    return names;
  }();
  return names.data();
}
