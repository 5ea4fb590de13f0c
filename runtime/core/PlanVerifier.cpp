//===- PlanVerifier.cpp - Proves that a plan stays inside its spaces --------------------------===//
//
// After this check a session follows the plan without testing anything: tables lie in the section;
// names in Names; every launch has an existing kernel with its number of arguments; all bytes that
// the kernel says it may touch (its reaches), from every address that an argument takes over the
// iterations of its loop, lie in the argument's space; grids are defined and bounded for every
// legal count; loops are matched and not nested; entries cover 1..maxTokens. All arithmetic is
// checked for overflow. It does not prove that a kernel keeps to its reaches: kernels are code, and
// trusted as such.
//
//===------------------------------------------------------------------------------------------===//

#include "runtime/core/Artifact.h"

using namespace ingot;
using namespace ingot::runtime;

uint64_t runtime::getInputItems(const format::PlanHeader &header, format::Input input) {
  switch (input) {
  case format::Input::OutputRows:
    return header.maxOutputs;
  case format::Input::PageTable:
    return header.maxSequences * header.pagesPerSequence;
  case format::Input::TokenIds:
  case format::Input::Positions:
  case format::Input::SequenceOf:
    break;
  }
  return header.maxTokens;
}

uint64_t runtime::evaluateReach(const format::PlanHeader &header,
                                const format::ReachRecord &reach) {
  const uint64_t most[format::countCount] = {header.maxTokens, header.maxOutputs,
                                             header.maxSequences};
  // It grows with the count, so that its value at the largest count bounds it.
  uint64_t value = reach.count == format::noCount ? 0 : most[reach.count], product;
  __int128 bytes = __builtin_mul_overflow(value, reach.multiplier, &product)
                       ? __int128(UINT64_MAX)
                       : __int128(product) + reach.addend;
  return bytes < 0 ? 0 : bytes > __int128(UINT64_MAX) ? UINT64_MAX : uint64_t(bytes);
}

namespace {

constexpr uint64_t maxStepItems =
    1 << 24; ///< tokens, outputs, sequences of a step; pages of a sequence
constexpr uint64_t maxIndex = 0x7fffffff; ///< what an int32_t of an input can say
constexpr uint64_t maxSpaceBytes = uint64_t(1) << 46;
constexpr uint64_t maxArguments = 256;            ///< of one launch
constexpr uint64_t maxUnrolled = 1 << 24;         ///< arguments of all launches, loops unrolled
constexpr uint64_t maxBlocks = uint64_t(1) << 40; ///< of one grid
constexpr unsigned maxThreads = 1024, warpThreads = 32; ///< of a block on a GPU
constexpr unsigned maxSharedBytes = 227 << 10;          ///< of a block on a GPU

unsigned long long print(uint64_t value) { return value; }

/// `a * b + c`, or false when it does not fit.
bool multiplyAdd(uint64_t a, uint64_t b, uint64_t c, uint64_t &result) {
  return !__builtin_mul_overflow(a, b, &result) && !__builtin_add_overflow(result, c, &result);
}

bool fitsInto(uint64_t offset, uint64_t bytes, uint64_t limit) {
  return offset <= limit && bytes <= limit - offset;
}

class PlanVerifier {
public:
  PlanVerifier(Bytes section, const PlanSurroundings &surroundings)
      : section(section), surroundings(surroundings) {}

  Status run();
  Plan plan;

private:
  Status findTables();
  template <typename Record>
  Status findTable(const char *name, const format::Table &table, std::span<const Record> &records);
  Status checkHeader();
  Status checkRange(const char *name, uint64_t value, uint64_t least, uint64_t most);
  Status checkName(const char *what, uint64_t index, format::Name name);
  Status checkBuffersAndWeights();
  Status checkKernels();
  Status checkCommands();
  Status checkLaunch(uint64_t index, uint64_t iterations);
  Status checkGrid(uint64_t index);
  Status checkReaches(uint64_t count);
  Status checkArgument(uint64_t command, uint64_t index, uint64_t iterations, uint64_t reach);
  Status checkReach(uint64_t command, uint64_t index, uint64_t last, uint64_t reach);
  Status checkEntries();

  Bytes section;
  PlanSurroundings surroundings;
  std::vector<bool> insideLoop;     ///< before command i; one more for the end
  std::vector<uint64_t> firstReach; ///< of each kernel's arguments
  uint64_t unrolledArguments = 0;
};

Status PlanVerifier::run() {
  INGOT_RETURN_IF_ERROR(findTables());
  INGOT_RETURN_IF_ERROR(checkHeader());
  INGOT_RETURN_IF_ERROR(checkBuffersAndWeights());
  INGOT_RETURN_IF_ERROR(checkKernels());
  INGOT_RETURN_IF_ERROR(checkCommands());
  return checkEntries();
}

Status PlanVerifier::findTables() {
  if (section.size() < sizeof(format::PlanHeader))
    return INGOT_ERROR("%zu bytes are too few for the plan's header", section.size());
  plan.header = reinterpret_cast<const format::PlanHeader *>(section.data());
  INGOT_RETURN_IF_ERROR(findTable("buffers", plan.header->buffers, plan.buffers));
  INGOT_RETURN_IF_ERROR(findTable("weights", plan.header->weights, plan.weights));
  INGOT_RETURN_IF_ERROR(findTable("kernels", plan.header->kernels, plan.kernels));
  INGOT_RETURN_IF_ERROR(findTable("arguments", plan.header->arguments, plan.arguments));
  INGOT_RETURN_IF_ERROR(findTable("commands", plan.header->commands, plan.commands));
  return findTable("entries", plan.header->entries, plan.entries);
}

template <typename Record>
Status PlanVerifier::findTable(const char *name, const format::Table &table,
                               std::span<const Record> &records) {
  if (table.offset % alignof(uint64_t))
    return INGOT_ERROR("table %s: offset %llu is not a multiple of 8", name, print(table.offset));
  if (table.count > maxIndex ||
      !fitsInto(table.offset, table.count * sizeof(Record), section.size()))
    return INGOT_ERROR("table %s: %llu records at %llu end past the section's %zu bytes", name,
                       print(table.count), print(table.offset), section.size());
  records = {reinterpret_cast<const Record *>(section.data() + table.offset), table.count};
  return Status::success();
}

Status PlanVerifier::checkRange(const char *name, uint64_t value, uint64_t least, uint64_t most) {
  if (value < least || value > most)
    return INGOT_ERROR("%s is %llu, not between %llu and %llu", name, print(value), print(least),
                       print(most));
  return Status::success();
}

Status PlanVerifier::checkHeader() {
  const format::PlanHeader &header = *plan.header;
  INGOT_RETURN_IF_ERROR(checkRange("maxTokens", header.maxTokens, 1, maxStepItems));
  INGOT_RETURN_IF_ERROR(checkRange("maxOutputs", header.maxOutputs, 1, header.maxTokens));
  INGOT_RETURN_IF_ERROR(checkRange("maxSequences", header.maxSequences, 1, maxStepItems));
  INGOT_RETURN_IF_ERROR(checkRange("maxContext", header.maxContext, 1, maxIndex));
  INGOT_RETURN_IF_ERROR(checkRange("inputVocabulary", header.inputVocabulary, 1, maxIndex));
  INGOT_RETURN_IF_ERROR(checkRange("outputWidth", header.outputWidth, 1, maxIndex));
  INGOT_RETURN_IF_ERROR(checkRange("arenaBytes", header.arenaBytes, 0, maxSpaceBytes));
  INGOT_RETURN_IF_ERROR(checkRange("cacheBytes", header.cacheBytes, 0, maxSpaceBytes));
  INGOT_RETURN_IF_ERROR(checkRange("pageCount", header.pageCount, 0, maxIndex));
  if (header.pageCount) {
    INGOT_RETURN_IF_ERROR(checkRange("pageTokens", header.pageTokens, 1, maxIndex));
    INGOT_RETURN_IF_ERROR(checkRange("pagesPerSequence", header.pagesPerSequence, 1, maxStepItems));
    if (header.pageTokens * header.pagesPerSequence < header.maxContext)
      return INGOT_ERROR("%llu pages of %llu tokens are too few for maxContext %llu",
                         print(header.pagesPerSequence), print(header.pageTokens),
                         print(header.maxContext));
    if (header.maxSequences * header.pagesPerSequence > maxSpaceBytes / sizeof(int32_t))
      return INGOT_ERROR("a page table of %llu sequences by %llu pages is too large",
                         print(header.maxSequences), print(header.pagesPerSequence));
  } else if (header.cacheBytes || header.pagesPerSequence) {
    return INGOT_ERROR("a cache of %llu bytes and %llu pages a sequence has no pages",
                       print(header.cacheBytes), print(header.pagesPerSequence));
  }
  uint64_t outputBytes;
  if (header.outputOffset % sizeof(float) ||
      !multiplyAdd(header.maxOutputs * header.outputWidth, sizeof(float), 0, outputBytes) ||
      !fitsInto(header.outputOffset, outputBytes, header.arenaBytes))
    return INGOT_ERROR(
        "the output, %llu rows of %llu floats at %llu, does not fit the arena's %llu bytes",
        print(header.maxOutputs), print(header.outputWidth), print(header.outputOffset),
        print(header.arenaBytes));
  return Status::success();
}

Status PlanVerifier::checkName(const char *what, uint64_t index, format::Name name) {
  if (fitsInto(name.offset, name.length, surroundings.namesBytes))
    return Status::success();
  return INGOT_ERROR("%s %llu: name of %u bytes at %u ends past the %llu bytes of names", what,
                     print(index), name.length, name.offset, print(surroundings.namesBytes));
}

Status PlanVerifier::checkBuffersAndWeights() {
  for (uint64_t i = 0; i < plan.buffers.size(); ++i) {
    const format::BufferRecord &buffer = plan.buffers[i];
    INGOT_RETURN_IF_ERROR(checkName("buffer", i, buffer.name));
    if (!fitsInto(buffer.offset, buffer.bytes, plan.header->arenaBytes))
      return INGOT_ERROR("buffer %llu: %llu bytes at %llu end past the arena's %llu", print(i),
                         print(buffer.bytes), print(buffer.offset), print(plan.header->arenaBytes));
    if (buffer.firstCommand > buffer.lastCommand || buffer.lastCommand >= plan.commands.size())
      return INGOT_ERROR("buffer %llu: lifetime %u to %u does not lie in the %zu commands",
                         print(i), buffer.firstCommand, buffer.lastCommand, plan.commands.size());
  }
  for (uint64_t i = 0; i < plan.weights.size(); ++i) {
    const format::WeightRecord &weight = plan.weights[i];
    INGOT_RETURN_IF_ERROR(checkName("weight", i, weight.name));
    INGOT_RETURN_IF_ERROR(checkName("format of weight", i, weight.format));
    INGOT_RETURN_IF_ERROR(checkName("packing of weight", i, weight.packing));
    if (weight.offset % format::weightAlignment)
      return INGOT_ERROR("weight %llu: offset %llu is not a multiple of %llu", print(i),
                         print(weight.offset), print(format::weightAlignment));
    if (!fitsInto(weight.offset, weight.bytes, surroundings.weightsBytes))
      return INGOT_ERROR("weight %llu: %llu bytes at %llu end past the %llu bytes of weights",
                         print(i), print(weight.bytes), print(weight.offset),
                         print(surroundings.weightsBytes));
  }
  return Status::success();
}

Status PlanVerifier::checkReaches(uint64_t count) {
  if (!surroundings.hasReaches)
    return Status::success();
  Bytes bytes = surroundings.reaches;
  if (bytes.size() != count * sizeof(format::ReachRecord))
    return INGOT_ERROR("%llu arguments of kernels need %llu bytes of reaches, there are %zu",
                       print(count), print(count * sizeof(format::ReachRecord)), bytes.size());
  plan.reaches = {reinterpret_cast<const format::ReachRecord *>(bytes.data()), count};
  for (uint64_t i = 0; i < count; ++i)
    if (plan.reaches[i].count >= format::countCount && plan.reaches[i].count != format::noCount)
      return INGOT_ERROR("reach %llu: count %u is unknown", print(i), plan.reaches[i].count);
  return Status::success();
}

Status PlanVerifier::checkKernels() {
  uint64_t reaches = 0;
  for (uint64_t i = 0; i < plan.kernels.size(); ++i) {
    const format::KernelRecord &kernel = plan.kernels[i];
    INGOT_RETURN_IF_ERROR(checkName("symbol of kernel", i, kernel.symbol));
    INGOT_RETURN_IF_ERROR(checkName("family of kernel", i, kernel.family));
    if (kernel.argumentCount > maxArguments)
      return INGOT_ERROR("kernel %llu: %u arguments are more than the limit of %llu", print(i),
                         kernel.argumentCount, print(maxArguments));
    if (kernel.costCount >= format::countCount && kernel.costCount != format::contextCount &&
        kernel.costCount != format::noCount)
      return INGOT_ERROR("kernel %llu: count %llu of its cost is unknown", print(i),
                         print(kernel.costCount));
    if (kernel.threads > maxThreads || kernel.threads % warpThreads)
      return INGOT_ERROR("kernel %llu: %u threads of a block are not a multiple of %u up to %u",
                         print(i), kernel.threads, warpThreads, maxThreads);
    if (kernel.flags & ~format::DependentLaunch)
      return INGOT_ERROR("kernel %llu: flags 0x%x are unknown", print(i), kernel.flags);
    if (kernel.sharedBytes > maxSharedBytes)
      return INGOT_ERROR("kernel %llu: %u bytes of shared memory are more than the limit of %u",
                         print(i), kernel.sharedBytes, maxSharedBytes);
    if (bool(kernel.threads) != bool(plan.kernels.front().threads))
      return INGOT_ERROR("kernel %llu: kernels for CPUs and for GPUs in one plan", print(i));
    firstReach.push_back(reaches);
    reaches += kernel.argumentCount;
  }
  return checkReaches(reaches);
}

Status PlanVerifier::checkCommands() {
  uint64_t iterations = 1, loopBegin = 0;
  bool inLoop = false;
  for (uint64_t i = 0; i < plan.commands.size(); ++i) {
    const format::CommandRecord &command = plan.commands[i];
    insideLoop.push_back(inLoop);
    INGOT_RETURN_IF_ERROR(checkName("layer of command", i, command.layer));
    switch (format::CommandKind(command.kind)) {
    case format::CommandKind::Launch:
      INGOT_RETURN_IF_ERROR(checkLaunch(i, iterations));
      break;
    case format::CommandKind::LoopBegin:
      if (inLoop)
        return INGOT_ERROR("command %llu: a loop inside the loop of command %llu", print(i),
                           print(loopBegin));
      if (command.iterations < 1 || command.iterations > maxUnrolled)
        return INGOT_ERROR("command %llu: %llu iterations are not between 1 and %llu", print(i),
                           print(command.iterations), print(maxUnrolled));
      inLoop = true;
      loopBegin = i;
      unrolledArguments += command.iterations;
      iterations = command.iterations;
      break;
    case format::CommandKind::LoopEnd:
      if (!inLoop)
        return INGOT_ERROR("command %llu: the end of a loop that has not begun", print(i));
      inLoop = false;
      iterations = 1;
      break;
    default:
      return INGOT_ERROR("command %llu: kind %u is unknown", print(i), command.kind);
    }
  }
  insideLoop.push_back(inLoop);
  if (inLoop)
    return INGOT_ERROR("command %llu: the loop has no end", print(loopBegin));
  return Status::success();
}

Status PlanVerifier::checkLaunch(uint64_t index, uint64_t iterations) {
  const format::CommandRecord &command = plan.commands[index];
  if (command.kernel >= plan.kernels.size())
    return INGOT_ERROR("command %llu: kernel %u is past the last of %zu", print(index),
                       command.kernel, plan.kernels.size());
  uint32_t expected = plan.kernels[command.kernel].argumentCount;
  if (command.argumentCount != expected)
    return INGOT_ERROR("command %llu: %u arguments for kernel %u, which takes %u", print(index),
                       command.argumentCount, command.kernel, expected);
  if (!fitsInto(command.firstArgument, command.argumentCount, plan.arguments.size()))
    return INGOT_ERROR("command %llu: arguments %u to %llu are past the last of %zu", print(index),
                       command.firstArgument,
                       print(uint64_t(command.firstArgument) + command.argumentCount),
                       plan.arguments.size());
  unrolledArguments += iterations * (uint64_t(command.argumentCount) + 1);
  if (unrolledArguments > maxUnrolled)
    return INGOT_ERROR("command %llu: the unrolled program has more than %llu arguments",
                       print(index), print(maxUnrolled));
  for (uint32_t i = 0; i < command.argumentCount; ++i)
    INGOT_RETURN_IF_ERROR(checkArgument(index, command.firstArgument + i, iterations,
                                        firstReach[command.kernel] + i));
  return checkGrid(index);
}

Status PlanVerifier::checkGrid(uint64_t index) {
  const uint64_t most[format::countCount] = {plan.header->maxTokens, plan.header->maxOutputs,
                                             plan.header->maxSequences};
  uint64_t blocks = 1;
  for (int axis = 0; axis < 3; ++axis) {
    const format::GridExtent &extent = plan.commands[index].grid[axis];
    if (extent.count >= format::countCount && extent.count != format::noCount)
      return INGOT_ERROR("command %llu: grid %c: count %u is unknown", print(index), 'x' + axis,
                         extent.count);
    if (!extent.divisor)
      return INGOT_ERROR("command %llu: grid %c: divisor is 0", print(index), 'x' + axis);
    // The extent grows or falls with the count, so that its values at the ends bound it.
    uint64_t largest = 0;
    bool fits = true;
    for (uint64_t value : {uint64_t(extent.count == format::noCount),
                           extent.count == format::noCount ? 1 : most[extent.count]}) {
      int64_t sum;
      fits = fits && !__builtin_mul_overflow(value, extent.multiplier, &sum) &&
             !__builtin_add_overflow(sum, extent.addend, &sum);
      if (fits && sum > 0)
        largest = std::max(largest, uint64_t(sum));
    }
    uint64_t rounded = largest;
    if (!fits || __builtin_add_overflow(rounded, extent.divisor - 1, &rounded) ||
        __builtin_mul_overflow(blocks, rounded / extent.divisor, &blocks) || blocks > maxBlocks)
      return INGOT_ERROR(
          "command %llu: grid %c: (%llu * %lld + %lld) / %llu makes more than %llu blocks",
          print(index), 'x' + axis, print(extent.count == format::noCount ? 1 : most[extent.count]),
          (long long)extent.multiplier, (long long)extent.addend, print(extent.divisor),
          print(maxBlocks));
  }
  return Status::success();
}

Status PlanVerifier::checkArgument(uint64_t command, uint64_t index, uint64_t iterations,
                                   uint64_t reach) {
  const format::ArgumentRecord &argument = plan.arguments[index];
  const uint64_t spaceBytes[] = {plan.header->arenaBytes, surroundings.weightsBytes,
                                 plan.header->cacheBytes, format::inputCount};
  static constexpr const char *spaceNames[] = {"arena", "weights", "cache", "inputs"};
  if (argument.space >= std::size(spaceBytes))
    return INGOT_ERROR("command %llu: argument %llu: space %u is unknown", print(command),
                       print(index), argument.space);
  bool isInput = format::Space(argument.space) == format::Space::Input;
  if (isInput && argument.loopStride)
    return INGOT_ERROR("command %llu: argument %llu: an input has stride %llu", print(command),
                       print(index), print(argument.loopStride));
  uint64_t last;
  if (!multiplyAdd(iterations - 1, argument.loopStride, argument.offset, last) ||
      last >= spaceBytes[argument.space])
    return INGOT_ERROR(
        "command %llu: argument %llu: offset %llu with stride %llu over %llu iterations "
        "leaves the %s of %llu",
        print(command), print(index), print(argument.offset), print(argument.loopStride),
        print(iterations), spaceNames[argument.space], print(spaceBytes[argument.space]));
  if (isInput && format::Input(argument.offset) == format::Input::PageTable &&
      !plan.header->pageCount)
    return INGOT_ERROR("command %llu: argument %llu: the page table of a plan without pages",
                       print(command), print(index));
  return plan.reaches.empty() ? Status::success() : checkReach(command, index, last, reach);
}

/// What the kernel may touch from the argument's last address on.
Status PlanVerifier::checkReach(uint64_t command, uint64_t index, uint64_t last, uint64_t reach) {
  uint64_t bytes = evaluateReach(*plan.header, plan.reaches[reach]), limit = 0, offset = last;
  const char *what = nullptr;
  switch (format::Space(plan.arguments[index].space)) {
  case format::Space::Arena:
    limit = plan.header->arenaBytes, what = "arena";
    break;
  case format::Space::Weights:
    limit = surroundings.weightsBytes, what = "weights";
    break;
  case format::Space::Cache:
    limit = plan.header->cacheBytes, what = "cache";
    break;
  case format::Space::Input:
    limit = getInputItems(*plan.header, format::Input(last)) * sizeof(int32_t), what = "input";
    offset = 0;
    break;
  }
  if (fitsInto(offset, bytes, limit))
    return Status::success();
  return INGOT_ERROR("command %llu: argument %llu: its kernel reaches %llu bytes from %llu, past "
                     "the %llu bytes of the %s",
                     print(command), print(index), print(bytes), print(offset), print(limit), what);
}

Status PlanVerifier::checkEntries() {
  uint64_t next = 1;
  for (uint64_t i = 0; i < plan.entries.size(); ++i) {
    const format::EntryRecord &entry = plan.entries[i];
    INGOT_RETURN_IF_ERROR(checkName("entry", i, entry.name));
    if (!fitsInto(entry.firstCommand, entry.commandCount, plan.commands.size()))
      return INGOT_ERROR("entry %llu: %u commands from %u end past the last of %zu", print(i),
                         entry.commandCount, entry.firstCommand, plan.commands.size());
    if (insideLoop[entry.firstCommand] || insideLoop[entry.firstCommand + entry.commandCount])
      return INGOT_ERROR("entry %llu: begins or ends inside a loop", print(i));
    if (entry.minTokens != next || entry.maxTokens < entry.minTokens ||
        entry.maxTokens > plan.header->maxTokens)
      return INGOT_ERROR(
          "entry %llu: serves %llu to %llu tokens, expected from %llu up to at most %llu", print(i),
          print(entry.minTokens), print(entry.maxTokens), print(next),
          print(plan.header->maxTokens));
    next = entry.maxTokens + 1;
  }
  if (next != plan.header->maxTokens + 1)
    return INGOT_ERROR("the entries serve up to %llu tokens, not all %llu", print(next - 1),
                       print(plan.header->maxTokens));
  return Status::success();
}

} // namespace

Result<Plan> runtime::readPlan(Bytes section, const PlanSurroundings &surroundings) {
  PlanVerifier verifier(section, surroundings);
  if (Status status = verifier.run(); !status)
    return status;
  return verifier.plan;
}
