//===- Session.cpp - Sequences, their cache, and the step -------------------------------------===//
//
// The plan was verified when the artefact was opened, so nothing of it is tested here again; what
// the caller hands in is, before anything changes. All that depends on the plan alone (addresses,
// the order of launches) is computed once, in `unroll`; a step writes the inputs, evaluates the
// grids and runs the list.
//
//===------------------------------------------------------------------------------------------===//

#include "runtime/core/Session.h"

#include <algorithm>
#include <cstring>

using namespace ingot;
using namespace ingot::runtime;

namespace {
unsigned long long print(uint64_t value) { return value; }

uint64_t ceilDivide(uint64_t value, uint64_t divisor) {
  return value / divisor + (value % divisor != 0);
}
} // namespace

//===------------------------------------------------------------------------------------------===//
// Making a session
//===------------------------------------------------------------------------------------------===//

Session::Session(const Model &model, const SessionOptions &options)
    : model(&model), header(model.getPlan().header), options(options), inputLayout(*header),
      pages(header->pageCount) {}

Result<std::unique_ptr<Session>> Session::create(const Model &model,
                                                 const SessionOptions &options) {
  std::unique_ptr<Session> session(new Session(model, options));
  if (Status status = session->allocate(); !status)
    return std::move(status).withContext(model.getArtifact().getPath());
  const Plan &plan = model.getPlan();
  uint64_t mostLaunches = 0;
  for (const format::EntryRecord &entry : plan.entries) {
    session->programs.push_back(session->unroll(entry));
    mostLaunches = std::max<uint64_t>(mostLaunches, session->programs.back().launches.size());
  }
  session->rows.resize(session->header->maxSequences);
  if (options.profile) {
    session->launchNanoseconds.resize(mostLaunches);
    session->profile.resize(plan.commands.size());
    session->clearProfile();
  }
  return session;
}

Status Session::allocate() {
  Device &device = model->getDevice();
  struct {
    const char *name;
    std::unique_ptr<DeviceMemory> &memory;
    uint64_t bytes;
  } const spaces[] = {{"arena", arena, header->arenaBytes},
                      {"cache", cache, header->cacheBytes},
                      {"inputs", inputs, inputLayout.getBytes()}};
  for (auto &space : spaces) {
    Result<std::unique_ptr<DeviceMemory>> memory = device.allocate(space.bytes);
    if (!memory)
      return memory.takeStatus().withContext(space.name);
    space.memory = std::move(*memory);
  }
  if (!inputs->isHostAccessible()) {
    auto forInputs = device.allocateStaging(inputLayout.getBytes());
    auto forOutput =
        device.allocateStaging(header->maxOutputs * header->outputWidth * sizeof(float));
    if (!forInputs || !forOutput)
      return forInputs ? forOutput.takeStatus() : forInputs.takeStatus();
    hostInputs = std::move(*forInputs);
    hostOutput = std::move(*forOutput);
  }
  Result<std::unique_ptr<Queue>> made = device.createQueue();
  if (!made)
    return made.takeStatus();
  queue = std::move(*made);
  return Status::success();
}

void *Session::resolve(const format::ArgumentRecord &argument, uint64_t iteration) const {
  uint64_t offset = argument.offset + iteration * argument.loopStride;
  switch (format::Space(argument.space)) {
  case format::Space::Arena:
    return arena->address() + offset;
  case format::Space::Weights:
    return model->getWeights().address() + offset;
  case format::Space::Cache:
    return cache->address() + offset;
  case format::Space::Input:
    return inputs->address() + inputLayout.offsets[argument.offset];
  }
  return nullptr; // the plan was verified
}

/// Writes out the loops of an entry: launches with final addresses, in order.
Session::Program Session::unroll(const format::EntryRecord &entry) const {
  const Plan &plan = model->getPlan();
  std::span commands = plan.commands.subspan(entry.firstCommand, entry.commandCount);
  Program program;
  std::vector<uint64_t> firstArguments; // pointers come when the vectors no longer grow
  std::vector<size_t> gridIndexes;
  size_t loopBegin = 0, loopGrids = 0, nextGrid = 0;
  uint64_t iteration = 0;
  for (size_t i = 0; i < commands.size(); ++i) {
    const format::CommandRecord &command = commands[i];
    switch (format::CommandKind(command.kind)) {
    case format::CommandKind::LoopBegin:
      loopBegin = i;
      loopGrids = program.gridCommands.size();
      break;
    case format::CommandKind::LoopEnd:
      if (++iteration < commands[loopBegin].iterations) {
        i = loopBegin;
        nextGrid = loopGrids;
      } else {
        iteration = 0;
      }
      break;
    case format::CommandKind::Launch: {
      uint32_t index = entry.firstCommand + i;
      if (iteration == 0) {
        nextGrid = program.gridCommands.size();
        program.gridCommands.push_back(index);
      }
      gridIndexes.push_back(nextGrid++);
      firstArguments.push_back(program.arguments.size());
      for (const format::ArgumentRecord &argument :
           plan.arguments.subspan(command.firstArgument, command.argumentCount))
        program.arguments.push_back(resolve(argument, iteration));
      program.launches.push_back(
          {model->getKernels()[command.kernel], nullptr, command.argumentCount, nullptr});
      program.launchCommands.push_back(index);
      break;
    }
    }
  }
  program.grids.resize(program.gridCommands.size());
  for (size_t i = 0; i < program.launches.size(); ++i) {
    program.launches[i].arguments = program.arguments.data() + firstArguments[i];
    program.launches[i].grid = &program.grids[gridIndexes[i]];
  }
  return program;
}

void Session::evaluateGrids(Program &program) const {
  for (size_t i = 0; i < program.grids.size(); ++i) {
    int64_t extents[3];
    for (int axis = 0; axis < 3; ++axis) {
      const format::GridExtent &extent =
          model->getPlan().commands[program.gridCommands[i]].grid[axis];
      int64_t value = extent.count == format::noCount ? 1 : gridCounts[extent.count];
      int64_t sum = value * extent.multiplier + extent.addend; // verified not to overflow
      extents[axis] = sum > 0 ? ceilDivide(uint64_t(sum), extent.divisor) : 0;
    }
    program.grids[i] = {extents[0], extents[1], extents[2]};
  }
}

//===------------------------------------------------------------------------------------------===//
// Sequences
//===------------------------------------------------------------------------------------------===//

Session::Sequence *Session::find(SequenceId sequence) {
  return sequence < sequences.size() && sequences[sequence].live ? &sequences[sequence] : nullptr;
}

Result<SequenceId> Session::addSequence() {
  auto unused = std::find_if(sequences.begin(), sequences.end(),
                             [](const Sequence &sequence) { return !sequence.live; });
  if (unused == sequences.end()) {
    batchMarks.push_back(0);
    unused = sequences.emplace(unused);
    unused->pages.reserve(header->pagesPerSequence); // so that a step allocates nothing
  }
  unused->live = true;
  unused->length = 0;
  unused->stamp = ++lastStamp;
  return SequenceId(unused - sequences.begin());
}

Status Session::removeSequence(SequenceId sequence) {
  INGOT_RETURN_IF_ERROR(truncateSequence(sequence, 0));
  sequences[sequence].live = false;
  return Status::success();
}

Status Session::truncateSequence(SequenceId id, uint64_t length) {
  Sequence *sequence = find(id);
  if (!sequence)
    return INGOT_ERROR("there is no sequence %u", id);
  if (length > sequence->length)
    return INGOT_ERROR("sequence %u has %llu tokens, fewer than %llu", id, print(sequence->length),
                       print(length));
  sequence->length = length;
  if (header->pageCount)
    while (sequence->pages.size() > ceilDivide(length, header->pageTokens)) {
      pages.giveBack(sequence->pages.back());
      sequence->pages.pop_back();
    }
  sequence->stamp = ++lastStamp;
  return Status::success();
}

Result<uint64_t> Session::getLength(SequenceId id) const {
  const Sequence *sequence = const_cast<Session *>(this)->find(id);
  if (!sequence)
    return INGOT_ERROR("there is no sequence %u", id);
  return sequence->length;
}

//===------------------------------------------------------------------------------------------===//
// The step
//===------------------------------------------------------------------------------------------===//

Result<StepOutput> Session::step(std::span<const SequenceTokens> batch) {
  INGOT_RETURN_IF_ERROR(checkBatch(batch));
  writeInputs(batch);
  auto serves = [&](const format::EntryRecord &entry) {
    return uint64_t(counts[uint32_t(format::Count::Tokens)]) <= entry.maxTokens;
  };
  std::span entries = model->getPlan().entries;
  auto entry = std::find_if(entries.begin(), entries.end(), serves);
  if (options.poisonArena) // NaN in every float format
    INGOT_RETURN_IF_ERROR(queue->fill(arena->address(), std::byte(0xff), arena->size()));
  INGOT_RETURN_IF_ERROR(runProgram(programs[entry - entries.begin()]));
  const void *output = hostOutput ? hostOutput->address() : arena->address() + header->outputOffset;
  return StepOutput{static_cast<const float *>(output),
                    uint64_t(counts[uint32_t(format::Count::Outputs)]), header->outputWidth};
}

/// Everything that can be wrong with a batch, before anything changes.
Status Session::checkBatch(std::span<const SequenceTokens> batch) {
  uint64_t tokens = 0, outputs = 0, missingPages = 0;
  ++stepNumber;
  if (batch.empty() || batch.size() > header->maxSequences)
    return INGOT_ERROR("a step of %zu sequences is not between 1 and %llu (--max-batch)",
                       batch.size(), print(header->maxSequences));
  for (const SequenceTokens &part : batch) {
    INGOT_RETURN_IF_ERROR(checkTokens(part));
    if (batchMarks[part.sequence] == stepNumber)
      return INGOT_ERROR("sequence %u is twice in the step", part.sequence);
    batchMarks[part.sequence] = stepNumber;
    tokens += part.tokens.size();
    outputs += part.outputs;
    missingPages += countMissingPages(part);
  }
  if (tokens > header->maxTokens)
    return INGOT_ERROR(
        "a step of %llu tokens is more than the plan's %llu; cut the prompt into chunks",
        print(tokens), print(header->maxTokens));
  if (outputs > header->maxOutputs)
    return INGOT_ERROR("%llu rows of output are more than the plan's %llu", print(outputs),
                       print(header->maxOutputs));
  if (missingPages > pages.getFreeCount())
    return INGOT_ERROR(
        "the step needs %llu more pages of the cache, %llu of %llu are free; remove a sequence",
        print(missingPages), print(pages.getFreeCount()), print(header->pageCount));
  return Status::success();
}

Status Session::checkTokens(const SequenceTokens &part) const {
  Result<uint64_t> length = getLength(part.sequence);
  if (!length)
    return length.takeStatus();
  if (part.tokens.empty() || part.outputs > part.tokens.size())
    return INGOT_ERROR("sequence %u: %llu outputs of %zu tokens", part.sequence,
                       print(part.outputs), part.tokens.size());
  if (part.tokens.size() > header->maxContext - *length)
    return INGOT_ERROR(
        "sequence %u: %llu tokens and %zu more exceed the context of %llu for which the model "
        "was compiled (--max-context)",
        part.sequence, print(*length), part.tokens.size(), print(header->maxContext));
  for (size_t i = 0; i < part.tokens.size(); ++i)
    if (part.tokens[i] < 0 || uint64_t(part.tokens[i]) >= header->inputVocabulary)
      return INGOT_ERROR("sequence %u: token %zu is %d, not between 0 and %llu", part.sequence, i,
                         part.tokens[i], print(header->inputVocabulary - 1));
  return Status::success();
}

uint64_t Session::countMissingPages(const SequenceTokens &part) const {
  if (!header->pageCount)
    return 0;
  const Sequence &sequence = sequences[part.sequence];
  return ceilDivide(sequence.length + part.tokens.size(), header->pageTokens) -
         sequence.pages.size();
}

int32_t *Session::getInput(format::Input input) const {
  std::byte *base = hostInputs ? hostInputs->address() : inputs->address();
  return reinterpret_cast<int32_t *>(base + inputLayout.offsets[uint32_t(input)]);
}

/// Writes the step descriptor and lengthens the sequences.
void Session::writeInputs(std::span<const SequenceTokens> batch) {
  int32_t *tokenIds = getInput(format::Input::TokenIds);
  int32_t *positions = getInput(format::Input::Positions);
  int32_t *sequenceOf = getInput(format::Input::SequenceOf);
  int32_t *outputRows = getInput(format::Input::OutputRows);
  int64_t tokens = 0, outputs = 0;
  contextTokens = contextPairs = 0;
  for (size_t row = 0; row < batch.size(); ++row) {
    const SequenceTokens &part = batch[row];
    Sequence &sequence = sequences[part.sequence];
    for (uint64_t missing = countMissingPages(part); missing; --missing)
      sequence.pages.push_back(pages.take());
    writePageRow(row, sequence);
    for (size_t i = 0; i < part.tokens.size(); ++i, ++tokens) {
      tokenIds[tokens] = part.tokens[i];
      positions[tokens] = int32_t(sequence.length + i);
      sequenceOf[tokens] = int32_t(row);
      if (i >= part.tokens.size() - part.outputs)
        outputRows[outputs++] = int32_t(tokens);
    }
    uint64_t added = part.tokens.size();
    contextPairs += added * sequence.length + added * (added + 1) / 2;
    sequence.length += added;
    contextTokens += sequence.length;
  }
  setCounts(tokens, outputs, int64_t(batch.size()));
}

void Session::setCounts(int64_t tokens, int64_t outputs, int64_t sequences) {
  const int64_t values[format::countCount] = {tokens, outputs, sequences};
  const uint64_t most[format::countCount] = {header->maxTokens, header->maxOutputs,
                                             header->maxSequences};
  const Device &device = model->getDevice();
  for (uint32_t i = 0; i < format::countCount; ++i) {
    counts[i] = values[i];
    gridCounts[i] = int64_t(std::min(device.roundCount(uint64_t(values[i])), most[i]));
  }
  std::byte *base = hostInputs ? hostInputs->address() : inputs->address();
  std::memcpy(base + InputLayout::countsOffset, counts, sizeof counts);
}

/// Copies what the row lacks: after the first step of a sequence only its new pages. Entries beyond
/// keep old pages, which exist, so that a kernel may load from them what it then masks.
void Session::writePageRow(uint64_t index, Sequence &sequence) {
  Row &row = rows[index];
  if (row.stamp != sequence.stamp)
    row = {sequence.stamp, 0};
  int32_t *table = getInput(format::Input::PageTable) + index * header->pagesPerSequence;
  for (; row.pages < sequence.pages.size(); ++row.pages)
    table[row.pages] = sequence.pages[row.pages];
}

Status Session::runProgram(Program &program) {
  evaluateGrids(program);
  Step step;
  step.launches = program.launches;
  step.counts = counts;
  step.deviceCounts =
      reinterpret_cast<const int64_t *>(inputs->address() + InputLayout::countsOffset);
  step.gridCounts = gridCounts;
  if (hostInputs) {
    // Sizes by `gridCounts`, so that steps of equal ones are alike.
    uint64_t rows = uint64_t(gridCounts[uint32_t(format::Count::Sequences)]);
    uint64_t bytes = inputLayout.offsets[uint32_t(format::Input::PageTable)] +
                     rows * header->pagesPerSequence * sizeof(int32_t);
    step.input = {inputs->address(), hostInputs->address(), bytes};
    step.output = {hostOutput->address(), arena->address() + header->outputOffset,
                   uint64_t(gridCounts[uint32_t(format::Count::Outputs)]) * header->outputWidth *
                       sizeof(float)};
  }
  lastStep = step;
  return options.profile ? profileStep(program, step) : queue->run(step);
}

Result<uint64_t> Session::timeLastStep(unsigned repeats) {
  if (lastStep.launches.empty())
    return INGOT_ERROR("there was no step to be timed");
  return queue->timeStep(lastStep, repeats);
}

Status Session::profileStep(const Program &program, const Step &step) {
  INGOT_RETURN_IF_ERROR(queue->copy(step.input.to, step.input.from, step.input.bytes));
  INGOT_RETURN_IF_ERROR(queue->launchTimed(program.launches, counts, launchNanoseconds.data()));
  INGOT_RETURN_IF_ERROR(queue->copy(step.output.to, step.output.from, step.output.bytes));
  INGOT_RETURN_IF_ERROR(queue->synchronize());
  for (size_t i = 0; i < program.launches.size(); ++i) {
    const Grid &grid = *program.launches[i].grid;
    if (grid.x == 0 || grid.y == 0 || grid.z == 0)
      continue; // it was for other counts
    CommandTime &time = profile[program.launchCommands[i]];
    const Plan &plan = model->getPlan();
    uint64_t count = plan.kernels[plan.commands[time.command].kernel].costCount;
    bool isContext = count == format::contextCount, isOnce = count == format::noCount;
    uint64_t rows = isOnce || isContext ? 1 : uint64_t(counts[count]);
    time.launches += 1;
    time.rows += isContext ? contextTokens : rows;
    time.operationRows += isContext ? contextPairs : rows;
    time.nanoseconds += launchNanoseconds[i];
  }
  return Status::success();
}

MemoryUse Session::getMemoryUse() const {
  return {model->getWeights().size(), arena->size(), cache->size(), inputs->size()};
}

void Session::clearProfile() {
  for (size_t i = 0; i < profile.size(); ++i)
    profile[i] = {uint32_t(i), 0, 0, 0, 0};
}
