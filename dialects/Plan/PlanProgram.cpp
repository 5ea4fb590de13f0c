//===- PlanProgram.cpp - Checks that need the whole program -----------------------------------===//
//
// Memory first (sizes are exact, what lives together does not overlap), then entries, then every
// command: its arguments lie inside what they name in every iteration, lifetimes hold, values are
// written before they are read. Sizes and counts are bounded by the ops' own constraints, so sums
// below cannot overflow.
//
//===------------------------------------------------------------------------------------------===//

#include "dialects/Plan/Plan.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace ingot::plan;

namespace {

/// Bytes [begin, end) of `op`.
struct Range {
  int64_t begin, end;
  Operation *op;
};

Range getRange(WeightOp op) {
  int64_t begin = op.getOffset();
  return {begin, begin + static_cast<int64_t>(op.getBytes()), op};
}
Range getRange(CacheOp op) {
  int64_t begin = op.getOffset();
  return {begin, begin + op.getBytes(), op};
}
Range getRange(BufferOp op) {
  int64_t begin = op.getOffset();
  return {begin, begin + static_cast<int64_t>(op.getBytes()), op};
}

StringRef getName(Operation *op) { return SymbolTable::getSymbolName(op).getValue(); }

/// The checks of one program; each method returns after its first error.
class Checker {
public:
  explicit Checker(ProgramOp program)
      : program(program), symbols(program), commands(program.getCommands()) {}

  LogicalResult checkMemory();
  LogicalResult checkKernels();
  LogicalResult checkEntries();
  LogicalResult checkResult();
  LogicalResult checkCommands();

private:
  template <typename OpT> LogicalResult checkDisjoint();
  LogicalResult checkBuffers(int64_t &end);
  LogicalResult checkLaunch(LaunchOp launch, int64_t number);
  LogicalResult checkInput(LaunchOp launch, Input input, int64_t reach);
  LogicalResult checkArgument(LaunchOp launch, ArgumentAttr argument, int64_t reach,
                              int64_t number);
  LogicalResult checkBuffer(LaunchOp launch, BufferOp buffer, ArgumentAttr argument, int64_t reach,
                            int64_t number);
  LogicalResult checkWeight(LaunchOp launch, WeightOp weight, ArgumentAttr argument, int64_t reach);
  LogicalResult checkInside(LaunchOp launch, ArgumentAttr argument, int64_t reach, int64_t bytes);
  LogicalResult checkLifetime(LaunchOp launch, BufferOp buffer, int64_t number);

  static int64_t getIterations(LaunchOp launch) {
    auto loop = dyn_cast<LoopOp>(launch->getParentOp());
    return loop ? static_cast<int64_t>(loop.getIterations()) : 1;
  }

  ProgramOp program;
  SymbolTable symbols;
  SmallVector<Command> commands;
  DenseMap<int64_t, WeightOp> weightAt;
  DenseMap<Operation *, std::pair<int64_t, int64_t>> loops; ///< numbers of begin and end
  DenseSet<Operation *> written; ///< buffers written so far in this entry
};

} // namespace

//===------------------------------------------------------------------------------------------===//
// Memory
//===------------------------------------------------------------------------------------------===//

template <typename OpT> LogicalResult Checker::checkDisjoint() {
  SmallVector<Range> ranges;
  for (OpT op : program.getOps<OpT>())
    ranges.push_back(getRange(op));
  llvm::sort(ranges, [](const Range &a, const Range &b) { return a.begin < b.begin; });
  for (size_t i = 1; i < ranges.size(); ++i) {
    if (ranges[i].begin >= ranges[i - 1].end)
      continue;
    InFlightDiagnostic diagnostic = ranges[i].op->emitOpError()
                                    << "expected '" << getName(ranges[i].op) << "' to start at "
                                    << ranges[i - 1].end << " or later, got " << ranges[i].begin;
    diagnostic.attachNote(ranges[i - 1].op->getLoc())
        << "overlaps '" << getName(ranges[i - 1].op) << "'";
    return diagnostic;
  }
  return success();
}

/// Alignment, lifetimes, and that buffers of one moment do not overlap; `end` is where the last one
/// ends.
LogicalResult Checker::checkBuffers(int64_t &end) {
  SmallVector<Range> ranges;
  int64_t commandCount = commands.size();
  for (BufferOp buffer : program.getOps<BufferOp>()) {
    Range range = getRange(buffer);
    // buffer (C1)
    if (range.begin % alignment != 0)
      return buffer.emitOpError() << "expected 'offset' to be a multiple of " << alignment
                                  << ", got " << range.begin;
    if (range.end > static_cast<int64_t>(program.getArenaBytes()))
      return buffer.emitOpError() << "expected '" << buffer.getSymName()
                                  << "' to end inside the arena of " << program.getArenaBytes()
                                  << " bytes, got " << range.end;
    // buffer (C2)
    int64_t first = buffer.getFirst(), last = buffer.getLast();
    if (first < 0 || first > last || last >= commandCount)
      return buffer.emitOpError() << "expected a lifetime inside the " << commandCount
                                  << " commands, got [" << first << ", " << last << "]";
    // program (C4)
    for (const Range &other : ranges) {
      auto otherBuffer = cast<BufferOp>(other.op);
      bool meet = first <= static_cast<int64_t>(otherBuffer.getLast()) &&
                  static_cast<int64_t>(otherBuffer.getFirst()) <= last;
      if (!meet || range.begin >= other.end || other.begin >= range.end)
        continue;
      InFlightDiagnostic diagnostic =
          buffer.emitOpError() << "expected '" << buffer.getSymName() << "' to share no byte with '"
                               << otherBuffer.getSymName() << "', which lives at the same time";
      diagnostic.attachNote(other.op->getLoc()) << "lives here";
      return diagnostic;
    }
    ranges.push_back(range);
    end = std::max(end, range.end);
  }
  return success();
}

LogicalResult Checker::checkMemory() {
  int64_t arenaEnd = 0, cacheEnd = 0;
  if (failed(checkBuffers(arenaEnd)))
    return failure();
  // (C2)
  arenaEnd = llvm::alignTo(arenaEnd, alignment);
  if (static_cast<int64_t>(program.getArenaBytes()) != arenaEnd)
    return program.emitOpError() << "expected 'arena' to be the end of the last buffer, "
                                 << arenaEnd << ", got " << program.getArenaBytes();
  // (C3)
  for (CacheOp cache : program.getOps<CacheOp>())
    cacheEnd = std::max(cacheEnd, getRange(cache).end);
  if (static_cast<int64_t>(program.getCacheBytes()) != cacheEnd)
    return program.emitOpError() << "expected 'cache' to be the end of the last cache, " << cacheEnd
                                 << ", got " << program.getCacheBytes();
  // (C5)
  if (failed(checkDisjoint<WeightOp>()) || failed(checkDisjoint<CacheOp>()))
    return failure();
  for (WeightOp weight : program.getOps<WeightOp>())
    weightAt[weight.getOffset()] = weight;
  return success();
}

//===------------------------------------------------------------------------------------------===//
// Entries and the result
//===------------------------------------------------------------------------------------------===//

LogicalResult Checker::checkEntries() {
  // (C6)
  int64_t next = 1;
  for (EntryOp entry : program.getOps<EntryOp>()) {
    if (static_cast<int64_t>(entry.getMinTokens()) != next)
      return entry.emitOpError() << "expected tokens to start at " << next << ", got "
                                 << entry.getMinTokens();
    next = entry.getMaxTokens() + 1;
  }
  if (next - 1 != program.getBounds().getTokens())
    return program.emitOpError() << "expected entries for up to " << program.getBounds().getTokens()
                                 << " tokens, got " << next - 1;
  return success();
}

LogicalResult Checker::checkResult() {
  // (C7)
  auto buffer = symbols.lookup<BufferOp>(program.getResult());
  if (!buffer)
    return program.emitOpError() << "expected 'result' to name a buffer, got '"
                                 << program.getResult() << "'";
  int64_t bytes = program.getBounds().getOutputs() * program.getResultWidth() * 4;
  if (static_cast<int64_t>(buffer.getBytes()) != bytes)
    return buffer.emitOpError() << "expected the result to have " << bytes << " bytes, got "
                                << buffer.getBytes();
  if (static_cast<int64_t>(buffer.getLast()) != static_cast<int64_t>(commands.size()) - 1)
    return buffer.emitOpError() << "expected the result to live to command " << commands.size() - 1
                                << ", got " << buffer.getLast();
  return success();
}

//===------------------------------------------------------------------------------------------===//
// Commands
//===------------------------------------------------------------------------------------------===//

LogicalResult Checker::checkKernels() {
  // kernel (C2)
  KernelOp first;
  for (KernelOp kernel : program.getOps<KernelOp>()) {
    if (!first)
      first = kernel;
    if (bool(kernel.getBlockAttr()) == bool(first.getBlockAttr()))
      continue;
    InFlightDiagnostic diagnostic = kernel.emitOpError()
                                    << "expected all kernels of a program or none to have a "
                                       "'block', got both";
    diagnostic.attachNote(first.getLoc()) << "the first kernel is here";
    return diagnostic;
  }
  return success();
}

LogicalResult Checker::checkCommands() {
  for (auto [number, command] : llvm::enumerate(commands))
    if (command.kind == Command::Kind::LoopBegin)
      loops[command.op].first = number;
    else if (command.kind == Command::Kind::LoopEnd)
      loops[command.op].second = number;

  Operation *entry = nullptr;
  for (auto [number, command] : llvm::enumerate(commands)) {
    EntryOp owner = dyn_cast<EntryOp>(command.op->getParentOp());
    if (owner && owner != entry) {
      // A value of one entry is not there in another.
      entry = owner;
      written.clear();
    }
    auto launch = dyn_cast<LaunchOp>(command.op);
    if (launch && failed(checkLaunch(launch, number)))
      return failure();
  }
  return success();
}

LogicalResult Checker::checkLaunch(LaunchOp launch, int64_t number) {
  // (C1)
  auto kernel = symbols.lookup<KernelOp>(launch.getKernel());
  if (!kernel)
    return launch.emitOpError() << "expected 'kernel' to name a kernel of the program, got '"
                                << launch.getKernel() << "'";
  size_t count = launch.getArguments().size();
  if (count != kernel.getArguments()) {
    InFlightDiagnostic diagnostic = launch.emitOpError() << "expected " << kernel.getArguments()
                                                         << " arguments, got " << count;
    diagnostic.attachNote(kernel.getLoc())
        << "kernel '" << kernel.getSymName() << "' is declared here";
    return diagnostic;
  }
  // What a launch writes is there for later ones, not for itself.
  for (auto [index, argument] : llvm::enumerate(launch.getArguments())) {
    int64_t reach = kernel.getReach(index, program.getBounds());
    auto address = dyn_cast<ArgumentAttr>(argument);
    if (failed(address ? checkArgument(launch, address, reach, number)
                       : checkInput(launch, cast<InputAttr>(argument).getValue(), reach)))
      return failure();
  }
  for (auto argument : launch.getArguments().getAsRange<Attribute>())
    if (auto address = dyn_cast<ArgumentAttr>(argument); address && address.isWritten())
      written.insert(symbols.lookup(address.getSymbol().getValue()));
  return success();
}

LogicalResult Checker::checkInput(LaunchOp launch, Input input, int64_t reach) {
  // (C2)
  int64_t bytes = program.getBounds().getBytes(input);
  if (reach > bytes && bytes > 0)
    return launch.emitOpError() << "expected input '" << stringifyInput(input)
                                << "' to be reached below byte " << bytes << ", got " << reach - 1;
  return success();
}

LogicalResult Checker::checkArgument(LaunchOp launch, ArgumentAttr argument, int64_t reach,
                                     int64_t number) {
  // (C2)
  StringRef name = argument.getSymbol().getValue();
  Operation *op = symbols.lookup(name);
  if (!isa_and_nonnull<BufferOp, WeightOp, CacheOp>(op))
    return launch.emitOpError()
           << "expected an argument to name a buffer, a weight or a cache, got '" << name << "'";
  // (C3)
  if (argument.isWritten() && isa<WeightOp>(op))
    return launch.emitOpError() << "expected a buffer or a cache to be written, got weight '"
                                << name << "'";
  // (C4)
  if (argument.getStep() != 0 && !isa<LoopOp>(launch->getParentOp()))
    return launch.emitOpError() << "expected '" << name
                                << "' to have no step outside of a loop, got "
                                << argument.getStep();
  if (auto weight = dyn_cast<WeightOp>(op))
    return checkWeight(launch, weight, argument, reach);
  if (auto cache = dyn_cast<CacheOp>(op)) {
    // (C5)
    if (argument.getStep() % static_cast<int64_t>(cache.getLayerBytes()) != 0)
      return launch.emitOpError() << "expected the step of cache '" << name
                                  << "' to be a multiple of " << cache.getLayerBytes() << ", got "
                                  << argument.getStep();
    return checkInside(launch, argument, reach, cache.getBytes());
  }
  auto buffer = cast<BufferOp>(op);
  if (failed(checkBuffer(launch, buffer, argument, reach, number)))
    return failure();
  // entry (C3)
  if (argument.isRead() && !written.contains(op))
    return launch.emitOpError() << "expected '" << name << "' to be written before it is read";
  return success();
}

LogicalResult Checker::checkInside(LaunchOp launch, ArgumentAttr argument, int64_t reach,
                                   int64_t bytes) {
  // (C2)
  int64_t last =
      argument.getOffset() + (getIterations(launch) - 1) * argument.getStep() + reach - 1;
  if (last >= bytes)
    return launch.emitOpError() << "expected '" << argument.getSymbol().getValue()
                                << "' to be reached below byte " << bytes << ", got " << last;
  return success();
}

LogicalResult Checker::checkWeight(LaunchOp launch, WeightOp weight, ArgumentAttr argument,
                                   int64_t reach) {
  if (argument.getStep() == 0)
    return checkInside(launch, argument, reach, weight.getBytes());
  int64_t last = argument.getOffset() + reach - 1;
  if (last >= static_cast<int64_t>(weight.getBytes()))
    return launch.emitOpError() << "expected '" << weight.getSymName()
                                << "' to be reached below byte " << weight.getBytes() << ", got "
                                << last;
  // (C5)
  for (int64_t i = 1, count = getIterations(launch); i < count; ++i) {
    int64_t offset = weight.getOffset() + i * argument.getStep();
    WeightOp other = weightAt.lookup(offset);
    if (!other)
      return launch.emitOpError() << "expected a weight at " << offset << " in iteration " << i
                                  << " of an argument that starts at '" << weight.getSymName()
                                  << "', got none";
    if (other.getBytes() == weight.getBytes() && other.getRows() == weight.getRows() &&
        other.getColumns() == weight.getColumns() && other.getFormat() == weight.getFormat() &&
        other.getPacking() == weight.getPacking())
      continue;
    InFlightDiagnostic diagnostic =
        launch.emitOpError() << "expected the weight of iteration " << i << " to be packed like '"
                             << weight.getSymName() << "', got '" << other.getSymName() << "'";
    diagnostic.attachNote(other.getLoc()) << "declared here";
    return diagnostic;
  }
  return success();
}

LogicalResult Checker::checkBuffer(LaunchOp launch, BufferOp buffer, ArgumentAttr argument,
                                   int64_t reach, int64_t number) {
  // (C6)
  if (argument.getStep() != 0)
    return launch.emitOpError() << "expected buffer '" << buffer.getSymName()
                                << "' to have no step, got " << argument.getStep();
  if (failed(checkInside(launch, argument, reach, buffer.getBytes())))
    return failure();
  return checkLifetime(launch, buffer, number);
}

LogicalResult Checker::checkLifetime(LaunchOp launch, BufferOp buffer, int64_t number) {
  int64_t first = buffer.getFirst(), last = buffer.getLast();
  // (C6)
  if (number < first || number > last)
    return launch.emitOpError() << "expected '" << buffer.getSymName() << "' to live at command "
                                << number << ", got [" << first << ", " << last << "]";
  auto loop = loops.find(launch->getParentOp());
  if (loop == loops.end())
    return success();
  auto [begin, end] = loop->second;
  bool isInside = first > begin && last < end, isThroughout = first <= begin && last >= end;
  if (isInside || isThroughout)
    return success();
  return launch.emitOpError() << "expected '" << buffer.getSymName()
                              << "' to live through the loop, [" << begin << ", " << end
                              << "], got [" << first << ", " << last << "]";
}

//===------------------------------------------------------------------------------------------===//
// Program
//===------------------------------------------------------------------------------------------===//

SmallVector<Command> ProgramOp::getCommands() {
  SmallVector<Command> commands;
  for (EntryOp entry : getOps<EntryOp>())
    for (Operation &op : entry.getBody().getOps()) {
      auto loop = dyn_cast<LoopOp>(op);
      if (!loop) {
        commands.push_back({Command::Kind::Launch, &op});
        continue;
      }
      commands.push_back({Command::Kind::LoopBegin, &op});
      for (Operation &inner : loop.getBody().getOps())
        commands.push_back({Command::Kind::Launch, &inner});
      commands.push_back({Command::Kind::LoopEnd, &op});
    }
  return commands;
}

/// `name` must be from `least` to the largest 32-bit number.
static LogicalResult verifyBound(ProgramOp program, StringRef name, int64_t value, int64_t least) {
  constexpr int64_t most = std::numeric_limits<int32_t>::max();
  if (value >= least && value <= most)
    return success();
  return program.emitOpError() << "expected bound '" << name << "' to be from " << least << " to "
                               << most << ", got " << value;
}

LogicalResult ProgramOp::verify() {
  // (C1)
  BoundsAttr bounds = getBounds();
  if (failed(verifyBound(*this, "tokens", bounds.getTokens(), 1)) ||
      failed(verifyBound(*this, "outputs", bounds.getOutputs(), 1)) ||
      failed(verifyBound(*this, "sequences", bounds.getSequences(), 1)) ||
      failed(verifyBound(*this, "context_tokens", bounds.getContextTokens(), 1)) ||
      failed(verifyBound(*this, "page_tokens", bounds.getPageTokens(), 1)) ||
      failed(verifyBound(*this, "pages", bounds.getPages(), 0)) ||
      failed(verifyBound(*this, "pages_per_sequence", bounds.getPagesPerSequence(), 0)))
    return failure();
  if (!llvm::isPowerOf2_64(bounds.getPageTokens()))
    return emitOpError() << "expected bound 'page_tokens' to be a power of two, got "
                         << bounds.getPageTokens();
  if (bounds.getOutputs() > bounds.getTokens() || bounds.getSequences() > bounds.getTokens())
    return emitOpError() << "expected bounds 'outputs' and 'sequences' to be at most "
                         << bounds.getTokens() << ", the tokens, got " << bounds.getOutputs()
                         << " and " << bounds.getSequences();
  if (getCacheBytes() == 0) {
    if (bounds.getPages() != 0 || bounds.getPagesPerSequence() != 0)
      return emitOpError() << "expected no pages without a cache, got " << bounds.getPages()
                           << " and " << bounds.getPagesPerSequence() << " per sequence";
    return success();
  }
  int64_t held = bounds.getPagesPerSequence() * bounds.getPageTokens();
  if (held < bounds.getContextTokens())
    return emitOpError() << "expected the pages of a sequence to hold " << bounds.getContextTokens()
                         << " tokens, got " << held;
  if (bounds.getPages() < bounds.getPagesPerSequence())
    return emitOpError() << "expected bound 'pages' to be at least " << bounds.getPagesPerSequence()
                         << ", the pages of a sequence, got " << bounds.getPages();
  return success();
}

LogicalResult ProgramOp::verifyRegions() {
  Checker checker(*this);
  return success(succeeded(checker.checkMemory()) && succeeded(checker.checkKernels()) &&
                 succeeded(checker.checkEntries()) && succeeded(checker.checkResult()) &&
                 succeeded(checker.checkCommands()));
}
