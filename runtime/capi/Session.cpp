//===- Session.cpp - C interface: models, sessions, conversations -----------------------------------===//
//
// Translation only, as Artifact.cpp. The callback of a generation crosses the border as a plain
// function with its user's pointer; cancelling is one atomic store, so that a signal handler may do
// it.
//
//===----------------------------------------------------------------------------------------------===//

#include "runtime/capi/Handles.h"
#include "runtime/cpu/CpuDevice.h"
#include "runtime/cuda/CudaDevice.h"

#include <charconv>

using namespace ingot;
using namespace ingot::runtime;
using namespace ingot::runtime::capi;

//===--------------------------------------------------------------------------------------------===//
// Models
//===--------------------------------------------------------------------------------------------===//

/// "cpu" or "cuda:N", as the file's first code needs.
static std::string chooseDevice(const Artifact &artifact) {
  for (const Section &section : artifact.getSections())
    if (section.kind == format::SectionKind::Kernels)
      return section.target.starts_with("cuda:") ? "cuda:0" : "cpu";
  return "cpu";
}

static Result<std::shared_ptr<Device>> openDevice(const IngotModelOptions &options,
                                                  const Artifact &artifact) {
  std::string name = options.device && *options.device ? options.device : chooseDevice(artifact);
  if (name == "cpu")
    return std::shared_ptr<Device>(std::make_shared<cpu::CpuDevice>(cpu::CpuOptions{
        options.threads, options.pinThreads, cpu::WeightPlacement(options.weights)}));
  cuda::CudaOptions gpu;
  constexpr std::string_view prefix = "cuda:";
  const char *number = name.c_str() + std::min(prefix.size(), name.size()), *end = &*name.end();
  bool isGpu = name == "cuda";
  if (name.starts_with(prefix)) {
    auto [stop, error] = std::from_chars(number, end, gpu.index);
    isGpu = error == std::errc() && stop == end;
  }
  if (!isGpu)
    return INGOT_ERROR("there is no device '%s': expected cpu, cuda or cuda:N", name.c_str());
  gpu.cacheDirectory = options.cacheDirectory ? options.cacheDirectory : "";
  Result<std::unique_ptr<cuda::CudaDevice>> opened = cuda::CudaDevice::open(gpu);
  if (!opened)
    return opened.takeStatus();
  return std::shared_ptr<Device>(std::move(*opened));
}

IngotError *ingotModelOpen(const char *path, const IngotModelOptions *given, IngotModel **model) {
  IngotModelOptions options = readOptions<IngotModelOptions>(given, INGOT_MODEL_OPTIONS_INIT);
  IngotArtifact *opened;
  if (IngotError *error = ingotArtifactOpen(path, &opened))
    return error;
  auto handle = std::make_unique<IngotModel>();
  handle->artifact = std::move(*opened);
  ingotArtifactClose(opened);
  constexpr uint32_t maxThreads = 4096;
  if (options.threads > maxThreads)
    return makeError(
        formatText("%u threads are more than the limit of %u", options.threads, maxThreads));
  if (options.weights > INGOT_WEIGHTS_COPIED)
    return makeError(formatText("%u is no placement of weights", options.weights));
  Result<std::shared_ptr<Device>> device =
      options.deviceOf ? Result<std::shared_ptr<Device>>(options.deviceOf->device)
                       : openDevice(options, *handle->artifact.artifact);
  if (!device)
    return makeError(std::move(device).takeStatus().withContext(path));
  handle->device = std::move(*device);
  Result<std::unique_ptr<Model>> made = Model::create(handle->artifact.artifact, *handle->device);
  if (!made)
    return makeError(made.message());
  handle->model = std::move(*made);
  handle->target = handle->model->getTarget();
  handle->description = handle->device->describe();
  *model = handle.release();
  return nullptr;
}

void ingotModelClose(IngotModel *model) { delete model; }
const IngotArtifact *ingotModelArtifact(const IngotModel *model) { return &model->artifact; }
const char *ingotModelTarget(const IngotModel *model) { return model->target.c_str(); }
const char *ingotModelDevice(const IngotModel *model) { return model->description.c_str(); }
uint32_t ingotModelThreads(const IngotModel *model) { return model->device->getThreadCount(); }

IngotError *ingotModelMeasureDevice(const IngotModel *model, IngotDeviceSpeed *speed) {
  Result<DeviceSpeed> measured = model->device->measureSpeed();
  if (!measured)
    return makeError(measured.message());
  *speed = {measured->readBytesPerSecond, measured->operationsPerSecond,
            measured->integerOperationsPerSecond, measured->launchSeconds,
            measured->exchangeSeconds};
  return nullptr;
}

IngotLimits ingotModelLimits(const IngotModel *model) {
  const format::PlanHeader &header = *model->model->getPlan().header;
  return {header.maxTokens,       header.maxOutputs,  header.maxSequences, header.maxContext,
          header.inputVocabulary, header.outputWidth, header.pageTokens,   header.pageCount};
}

//===--------------------------------------------------------------------------------------------===//
// Sessions
//===--------------------------------------------------------------------------------------------===//

IngotError *ingotSessionCreate(const IngotModel *model, const IngotSessionOptions *given,
                               IngotSession **session) {
  IngotSessionOptions options = readOptions<IngotSessionOptions>(given, INGOT_SESSION_OPTIONS_INIT);
  SessionOptions inner;
  inner.profile = options.profile;
  Result<std::unique_ptr<Session>> made = Session::create(*model->model, inner);
  if (!made)
    return makeError(made.message());
  auto state = std::make_shared<SessionState>();
  state->device = model->device;
  state->model = model->model;
  state->tokenizer = model->artifact.tokenizer;
  state->session = std::move(*made);
  const Plan &plan = model->model->getPlan();
  for (size_t i = 0; options.profile && i < plan.commands.size(); ++i) {
    const format::CommandRecord &command = plan.commands[i];
    bool isLaunch = format::CommandKind(command.kind) == format::CommandKind::Launch;
    format::KernelRecord kernel = isLaunch ? plan.kernels[command.kernel] : format::KernelRecord{};
    for (format::Name name : {kernel.symbol, kernel.family, command.layer})
      state->names.emplace_back(model->model->getArtifact().getName(name));
  }
  *session = new IngotSession{std::move(state)};
  return nullptr;
}

void ingotSessionDestroy(IngotSession *session) { delete session; }

IngotError *ingotSessionAddSequence(IngotSession *session, uint32_t *sequence) {
  Result<SequenceId> added = session->state->session->addSequence();
  if (!added)
    return makeError(added.message());
  *sequence = *added;
  return nullptr;
}

IngotError *ingotSessionRemoveSequence(IngotSession *session, uint32_t sequence) {
  return makeError(session->state->session->removeSequence(sequence));
}

IngotError *ingotSessionTruncateSequence(IngotSession *session, uint32_t sequence,
                                         uint64_t length) {
  return makeError(session->state->session->truncateSequence(sequence, length));
}

IngotError *ingotSessionSequenceLength(const IngotSession *session, uint32_t sequence,
                                       uint64_t *length) {
  Result<uint64_t> known = session->state->session->getLength(sequence);
  if (!known)
    return makeError(known.message());
  *length = *known;
  return nullptr;
}

uint64_t ingotSessionFreePages(const IngotSession *session) {
  return session->state->session->getFreePages();
}

IngotError *ingotSessionStep(IngotSession *session, const IngotSequenceTokens *parts, size_t count,
                             IngotLogits *logits) {
  // The usual step of a few sequences needs no memory from the heap.
  constexpr size_t few = 16;
  SequenceTokens onStack[few];
  std::vector<SequenceTokens> onHeap(count > few ? count : 0);
  std::span<SequenceTokens> batch(count > few ? onHeap.data() : onStack, count);
  for (size_t i = 0; i < count; ++i)
    batch[i] = {parts[i].sequence, {parts[i].tokens, parts[i].count}, parts[i].outputs};
  Result<StepOutput> output = session->state->session->step(batch);
  if (!output)
    return makeError(output.message());
  if (logits)
    *logits = {output->logits, output->rows, output->width};
  return nullptr;
}

IngotError *ingotSessionTimeStep(IngotSession *session, uint32_t repeats, uint64_t *nanoseconds) {
  Result<uint64_t> time = session->state->session->timeLastStep(repeats);
  if (!time)
    return makeError(time.message());
  *nanoseconds = *time;
  return nullptr;
}

IngotMemory ingotSessionMemory(const IngotSession *session) {
  MemoryUse use = session->state->session->getMemoryUse();
  return {use.weights, use.arena, use.cache, use.inputs};
}

size_t ingotSessionProfileCount(const IngotSession *session) {
  return session->state->session->getProfile().size();
}

IngotCommandTime ingotSessionProfile(const IngotSession *session, size_t index) {
  const SessionState &state = *session->state;
  const CommandTime &time = state.session->getProfile()[index];
  const format::CommandRecord &command = state.model->getPlan().commands[time.command];
  IngotCommandTime result = {};
  result.command = time.command;
  result.kernel = state.names[3 * index].c_str();
  result.family = state.names[3 * index + 1].c_str();
  result.layer = state.names[3 * index + 2].c_str();
  result.launches = time.launches;
  result.nanoseconds = time.nanoseconds;
  if (format::CommandKind(command.kind) == format::CommandKind::Launch) {
    const format::KernelRecord &kernel = state.model->getPlan().kernels[command.kernel];
    result.bytes = time.launches * kernel.weightBytes + time.rows * kernel.bytesPerRow;
    result.operations = time.operationRows * kernel.operationsPerRow;
  }
  return result;
}

void ingotSessionClearProfile(IngotSession *session) { session->state->session->clearProfile(); }

//===--------------------------------------------------------------------------------------------===//
// Conversations
//===--------------------------------------------------------------------------------------------===//

IngotError *ingotConversationCreate(IngotSession *session, IngotConversation **conversation) {
  const SessionState &state = *session->state;
  if (!state.tokenizer)
    return makeError(state.model->getArtifact().getPath() + ": the model has no tokenizer");
  Result<std::unique_ptr<Generator>> made = Generator::create(*state.session, *state.tokenizer);
  if (!made)
    return makeError(made.message());
  auto handle = std::make_unique<IngotConversation>();
  handle->state = session->state;
  handle->generator = std::move(*made);
  *conversation = handle.release();
  return nullptr;
}

void ingotConversationDestroy(IngotConversation *conversation) { delete conversation; }

static GenerationOptions translate(const IngotGenerationOptions &given) {
  GenerationOptions options;
  options.sampling = {.temperature = given.temperature,
                      .topK = given.topK,
                      .topP = given.topP,
                      .minP = given.minP,
                      .repetitionPenalty = given.repetitionPenalty,
                      .frequencyPenalty = given.frequencyPenalty,
                      .presencePenalty = given.presencePenalty,
                      .seed = given.seed};
  options.maxTokens = given.maxTokens;
  options.stops.assign(given.stops, given.stops + given.stopCount);
  options.ignoreEnd = given.ignoreEnd;
  options.showSpecial = given.showSpecial;
  options.lookup = given.lookup;
  options.draft = given.draft ? given.draft->state->session.get() : nullptr;
  options.draftTokens = given.draftTokens;
  return options;
}

IngotError *ingotConversationGenerate(IngotConversation *conversation, const int32_t *prompt,
                                      size_t count, const IngotGenerationOptions *given,
                                      IngotPieceCallback callback, void *user,
                                      IngotGenerationReport *report) {
  GenerationOptions options =
      translate(readOptions<IngotGenerationOptions>(given, INGOT_GENERATION_OPTIONS_INIT));
  PieceCallback piece;
  if (callback)
    piece = [=](std::string_view text, int32_t token) {
      return callback(user, text.data(), text.size(), token);
    };
  Result<GenerationReport> result =
      conversation->generator->generate({prompt, count}, options, piece, &conversation->cancel);
  // Relaxed, as the store in Cancel: the flag orders nothing.
  conversation->cancel.store(false, std::memory_order_relaxed);
  if (!result)
    return makeError(result.message());
  if (report)
    *report = {IngotFinishReason(result->reason),
               result->promptTokens,
               result->reusedTokens,
               result->answerTokens,
               result->promptNanoseconds,
               result->answerNanoseconds,
               result->steps,
               result->draftedTokens,
               result->acceptedTokens};
  return nullptr;
}

void ingotConversationCancel(IngotConversation *conversation) {
  conversation->cancel.store(true, std::memory_order_relaxed);
}
