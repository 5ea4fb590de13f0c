//===- PlanEncoder.cpp - A plan as the records of the artefact --------------------------------===//

#include "ingot/Artifact/PlanEncoder.h"
#include "llvm/ADT/DenseMap.h"

using namespace mlir;
using namespace ingot;
using namespace ingot::artifact;

namespace {

class Encoder {
public:
  explicit Encoder(plan::ProgramOp program) : program(program), symbols(program) {}
  PlanTables run();

private:
  void encodeHeader();
  void encodeDeclarations();
  void encodeKernel(plan::KernelOp kernel);
  void encodeCommand(const plan::Command &command);
  void encodeLaunch(plan::LaunchOp launch, format::CommandRecord &record);
  format::ArgumentRecord encodeArgument(Attribute attribute);

  plan::ProgramOp program;
  SymbolTable symbols;
  PlanTables tables;
  DenseMap<Operation *, uint32_t> kernels;
};

} // namespace

void Encoder::encodeHeader() {
  plan::BoundsAttr bounds = program.getBounds();
  format::PlanHeader &header = tables.header;
  header.maxTokens = bounds.getTokens();
  header.maxOutputs = bounds.getOutputs();
  header.maxSequences = bounds.getSequences();
  header.maxContext = bounds.getContextTokens();
  header.pageTokens = bounds.getPageTokens();
  header.pageCount = bounds.getPages();
  header.pagesPerSequence = bounds.getPagesPerSequence();
  header.arenaBytes = program.getArenaBytes();
  header.cacheBytes = program.getCacheBytes();
  header.outputOffset = symbols.lookup<plan::BufferOp>(program.getResult()).getOffset();
  header.outputWidth = program.getResultWidth();
  header.inputVocabulary = program.getVocabulary();
}

/// Of a kernel that does not say how far it goes, the first byte counts.
static format::ReachRecord encodeReach(plan::KernelOp kernel, unsigned argument) {
  if (!kernel.getReaches())
    return {format::noCount, 0, 0, 1};
  auto reach = cast<plan::ReachAttr>((*kernel.getReaches())[argument]);
  uint32_t count = reach.getCount() ? static_cast<uint32_t>(*reach.getCount()) : format::noCount;
  return {count, 0, static_cast<uint64_t>(reach.getMultiplier()), reach.getAddend()};
}

void Encoder::encodeKernel(plan::KernelOp kernel) {
  kernels[kernel] = tables.kernels.size();
  format::KernelRecord record = {};
  record.symbol = tables.names.add(kernel.getSymName());
  record.family = tables.names.add(kernel.getFamily());
  record.argumentCount = kernel.getArguments();
  record.costCount = format::noCount;
  if (plan::BlockAttr block = kernel.getBlockAttr()) {
    record.threads = block.getThreads();
    record.sharedBytes = block.getSharedBytes();
    record.flags = block.getDependent() ? format::DependentLaunch : 0;
  }
  if (plan::CostAttr cost = kernel.getCostAttr()) {
    record.weightBytes = cost.getWeightBytes();
    record.bytesPerRow = cost.getBytesPerRow();
    record.operationsPerRow = cost.getOperationsPerRow();
    record.costCount = static_cast<uint32_t>(cost.getCount());
  }
  tables.kernels.push_back(record);
  for (unsigned i = 0; i < kernel.getArguments(); ++i)
    tables.reaches.push_back(encodeReach(kernel, i));
}

void Encoder::encodeDeclarations() {
  for (auto buffer : program.getOps<plan::BufferOp>())
    tables.buffers.push_back({tables.names.add(buffer.getSymName()), buffer.getOffset(),
                              buffer.getBytes(), static_cast<uint32_t>(buffer.getFirst()),
                              static_cast<uint32_t>(buffer.getLast())});
  for (auto weight : program.getOps<plan::WeightOp>())
    tables.weights.push_back({tables.names.add(weight.getSymName()),
                              tables.names.add(weight.getFormat()),
                              tables.names.add(weight.getPacking()), weight.getOffset(),
                              weight.getBytes(), weight.getRows(), weight.getColumns()});
  for (auto kernel : program.getOps<plan::KernelOp>())
    encodeKernel(kernel);
}

format::ArgumentRecord Encoder::encodeArgument(Attribute attribute) {
  auto make = [](format::Space space, uint64_t offset, uint64_t stride) {
    return format::ArgumentRecord{static_cast<uint32_t>(space), 0, offset, stride};
  };
  if (auto input = dyn_cast<plan::InputAttr>(attribute))
    return make(format::Space::Input, static_cast<uint64_t>(input.getValue()), 0);
  auto argument = cast<plan::ArgumentAttr>(attribute);
  Operation *op = symbols.lookup(argument.getSymbol().getValue());
  uint64_t offset = argument.getOffset(), stride = argument.getStep();
  if (auto weight = dyn_cast<plan::WeightOp>(op))
    return make(format::Space::Weights, weight.getOffset() + offset, stride);
  if (auto cache = dyn_cast<plan::CacheOp>(op))
    return make(format::Space::Cache, cache.getOffset() + offset, stride);
  return make(format::Space::Arena, cast<plan::BufferOp>(op).getOffset() + offset, stride);
}

void Encoder::encodeLaunch(plan::LaunchOp launch, format::CommandRecord &record) {
  record.kernel = kernels.lookup(symbols.lookup(launch.getKernel()));
  record.firstArgument = tables.arguments.size();
  record.argumentCount = launch.getArguments().size();
  for (Attribute argument : launch.getArguments())
    tables.arguments.push_back(encodeArgument(argument));
  for (auto [side, extent] :
       llvm::zip_equal(record.grid, launch.getGrid().getAsRange<plan::ExtentAttr>())) {
    side.count = extent.getCount() ? static_cast<uint32_t>(*extent.getCount()) : format::noCount;
    side.multiplier = extent.getMultiplier();
    side.addend = extent.getAddend();
    side.divisor = extent.getDivisor();
  }
  record.layer = tables.names.add(launch.getLayer().value_or(""));
}

void Encoder::encodeCommand(const plan::Command &command) {
  using Kind = plan::Command::Kind;
  format::CommandRecord record = {};
  if (command.kind == Kind::Launch) {
    record.kind = static_cast<uint32_t>(format::CommandKind::Launch);
    encodeLaunch(cast<plan::LaunchOp>(command.op), record);
  } else if (command.kind == Kind::LoopBegin) {
    record.kind = static_cast<uint32_t>(format::CommandKind::LoopBegin);
    record.iterations = cast<plan::LoopOp>(command.op).getIterations();
  } else {
    record.kind = static_cast<uint32_t>(format::CommandKind::LoopEnd);
  }
  tables.commands.push_back(record);
}

PlanTables Encoder::run() {
  encodeHeader();
  encodeDeclarations();
  SmallVector<plan::Command> commands = program.getCommands();
  for (const plan::Command &command : commands)
    encodeCommand(command);
  uint32_t next = 0;
  for (auto entry : program.getOps<plan::EntryOp>()) {
    uint32_t first = next;
    while (next < commands.size() && entry->isAncestor(commands[next].op))
      ++next;
    tables.entries.push_back({tables.names.add(entry.getSymName()), first, next - first,
                              entry.getMinTokens(), entry.getMaxTokens()});
  }
  return std::move(tables);
}

PlanTables artifact::encodePlan(plan::ProgramOp program) { return Encoder(program).run(); }
