//===- BuildPlan.cpp - Give every value of the step a place and list its launches ------------------===//
//
// Flattens the step (Step.h), finds its loops and lays out its weights (Roll.h), numbers the
// commands, lays out the arena (Arena.h) and writes the plan. What was decided is reported in
// remarks of category "plan".
//
//===----------------------------------------------------------------------------------------------===//

#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/Remarks.h"
#include "passes/Plan/Arena.h"
#include "passes/Plan/Passes.h"
#include "passes/Plan/Reach.h"
#include "passes/Plan/Roll.h"

namespace ingot::plan {
#define GEN_PASS_DEF_BUILDPLAN
#include "passes/Plan/Passes.h.inc"
} // namespace ingot::plan

using namespace mlir;
using namespace ingot;
using namespace ingot::plan;

namespace {

using Kind = StepArgument::Kind;

/// A launch of the plan, or the border of a loop.
struct PlannedCommand {
  Command::Kind kind;
  unsigned launch;      ///< Launch
  const StepLoop *loop; ///< the loop that it begins, ends or is in; null outside
};

/// A buffer's commands; grown to whole loops where the value crosses their border.
struct Lifetime {
  int64_t first = -1, last = -1;
};

class Planner {
public:
  Planner(Step &step, BoundsAttr bounds) : step(step), bounds(bounds), rolled(rollStep(step)) {}

  void run(OpBuilder &builder);

  size_t countLoops() const { return rolled.loops.size(); }
  size_t countCommands() const { return commands.size(); }

private:
  void listCommands();
  void findLifetimes();
  void layOut();
  void reportWeights();
  void reportMemory(ProgramOp program);
  void emitDeclarations(OpBuilder &builder);
  void emitWeights(OpBuilder &builder);
  void emitKernels(OpBuilder &builder);
  void emitCommands(OpBuilder &builder);
  void emitLaunch(OpBuilder &builder, const PlannedCommand &command);
  std::string getLayer(const PlannedCommand &command);
  Attribute getArgument(const PlannedCommand &command, unsigned number);
  ArrayAttr getReaches(tile::KernelOp kernel);
  int64_t getBytes(const StepArgument &argument);
  int64_t getAddress(const StepArgument &argument);
  int64_t getCacheBytes();

  Step &step;
  BoundsAttr bounds;
  RolledStep rolled;
  SmallVector<PlannedCommand> commands;
  SmallVector<Lifetime> lifetimes; ///< of each buffer; empty where it uses another's memory
  SmallVector<int64_t> offsets;
  Arena arena;
};

} // namespace

static remark::RemarkOpts describe(StringRef name) {
  return remark::RemarkOpts::name(name).category("plan");
}

//===----------------------------------------------------------------------------------------------===//
// Commands, lifetimes, offsets
//===----------------------------------------------------------------------------------------------===//

void Planner::listCommands() {
  auto loop = rolled.loops.begin();
  for (unsigned launch = 0; launch < step.launches.size();) {
    if (loop == rolled.loops.end() || loop->first != launch) {
      commands.push_back({Command::Kind::Launch, launch++, nullptr});
      continue;
    }
    commands.push_back({Command::Kind::LoopBegin, launch, &*loop});
    for (unsigned i = 0; i < loop->count; ++i)
      commands.push_back({Command::Kind::Launch, launch + i, &*loop});
    commands.push_back({Command::Kind::LoopEnd, launch, &*loop});
    launch += loop->count * loop->iterations;
    ++loop;
  }
}

/// A buffer lives from its first to its last command. Inside of a loop that is enough only where
/// each iteration writes it anew and nobody outside needs it; else it lives through the whole loop.
void Planner::findLifetimes() {
  struct Use {
    int64_t command;
    const StepLoop *loop;
    Access access;
  };
  SmallVector<SmallVector<Use>> uses(step.buffers.size());
  DenseMap<const StepLoop *, Lifetime> borders;
  for (auto [number, command] : llvm::enumerate(commands)) {
    int64_t moment = number;
    if (command.kind != Command::Kind::Launch) {
      Lifetime &border = borders[command.loop];
      (command.kind == Command::Kind::LoopBegin ? border.first : border.last) = moment;
      continue;
    }
    for (const StepArgument &argument : step.launches[command.launch].arguments)
      if (argument.kind == Kind::Buffer)
        uses[rolled.memoryOf[argument.index]].push_back({moment, command.loop, argument.access});
  }
  lifetimes.resize(step.buffers.size());
  for (auto [list, lifetime] : llvm::zip_equal(uses, lifetimes)) {
    if (list.empty())
      continue;
    lifetime = {list.front().command, list.back().command};
    const StepLoop *only = list.front().loop;
    bool isLocal = list.front().access == Access::Write &&
                   llvm::all_of(list, [&](const Use &use) { return use.loop == only; });
    for (const Use &use : list) {
      if (isLocal || !use.loop)
        continue;
      lifetime.first = std::min(lifetime.first, borders[use.loop].first);
      lifetime.last = std::max(lifetime.last, borders[use.loop].last);
    }
  }
  lifetimes[rolled.memoryOf[step.result]].last = commands.size() - 1;
}

void Planner::layOut() {
  SmallVector<ArenaValue> values;
  SmallVector<unsigned> owners;
  for (auto [buffer, lifetime] : llvm::enumerate(lifetimes)) {
    if (lifetime.first < 0)
      continue;
    values.push_back({step.buffers[buffer].bytes, lifetime.first, lifetime.last});
    owners.push_back(buffer);
  }
  arena = layOutArena(values, alignment);
  offsets.assign(step.buffers.size(), -1);
  for (auto [owner, offset] : llvm::zip_equal(owners, arena.offsets))
    offsets[owner] = offset;
}

//===----------------------------------------------------------------------------------------------===//
// Remarks
//===----------------------------------------------------------------------------------------------===//

/// A weight of the checkpoint that two packed weights hold is in the artefact twice.
void Planner::reportWeights() {
  DenseMap<Attribute, const StepWeight *> holders;
  for (const StepWeight &weight : step.weights)
    for (Attribute source : weight.sources) {
      auto [holder, isFirst] = holders.try_emplace(source, &weight);
      if (!isFirst)
        remark::analysis(weight.loc, describe("PackedTwice"))
            << remark::add("'{0}' is in '{1}' too", weight.name, holder->second->name)
            << remark::metric("bytes", weight.bytes);
    }
}

int64_t Planner::getCacheBytes() {
  int64_t bytes = 0;
  for (const StepCache &cache : step.caches)
    bytes += cache.getLayerBytes() * cache.type.getLayers();
  return bytes;
}

void Planner::reportMemory(ProgramOp program) {
  for (BufferOp buffer : program.getOps<BufferOp>())
    remark::analysis(buffer.getLoc(), describe("Buffer"))
        << remark::add("'{0}'", buffer.getSymName()) << remark::metric("offset", buffer.getOffset())
        << remark::metric("bytes", buffer.getBytes()) << remark::metric("first", buffer.getFirst())
        << remark::metric("last", buffer.getLast());
  int64_t weightBytes = 0;
  for (const StepWeight &weight : step.weights)
    weightBytes = std::max(weightBytes, weight.offset + weight.bytes);
  remark::analysis(program.getLoc(), describe("PeakMemory"))
      << remark::metric("arena", arena.bytes) << remark::metric("least", arena.leastBytes)
      << remark::metric("cache", getCacheBytes()) << remark::metric("weights", weightBytes)
      << remark::metric("commands", commands.size());
}

//===----------------------------------------------------------------------------------------------===//
// Plan
//===----------------------------------------------------------------------------------------------===//

void Planner::run(OpBuilder &builder) {
  listCommands();
  findLifetimes();
  layOut();
  auto program = ProgramOp::create(
      builder, step.entry.getLoc(), step.entry.getSymName(), bounds, arena.bytes, getCacheBytes(),
      step.vocabulary, step.buffers[rolled.memoryOf[step.result]].name, step.resultWidth);
  OpBuilder::InsertionGuard guard(builder);
  builder.createBlock(&program.getBody());
  emitDeclarations(builder);
  emitWeights(builder);
  emitKernels(builder);
  emitCommands(builder);
  reportWeights();
  reportMemory(program);
}

void Planner::emitDeclarations(OpBuilder &builder) {
  for (auto [number, buffer] : llvm::enumerate(step.buffers))
    if (offsets[number] >= 0)
      BufferOp::create(builder, buffer.loc, buffer.name, Space::Arena, offsets[number],
                       buffer.bytes, lifetimes[number].first, lifetimes[number].last);
  for (const StepCache &cache : step.caches)
    CacheOp::create(builder, step.entry.getLoc(), cache.name, cache.offset, cache.type.getLayers(),
                    cache.getLayerBytes());
}

void Planner::emitWeights(OpBuilder &builder) {
  SmallVector<const StepWeight *> order;
  for (const StepWeight &weight : step.weights)
    order.push_back(&weight);
  llvm::sort(order, [](const StepWeight *a, const StepWeight *b) { return a->offset < b->offset; });
  for (const StepWeight *weight : order)
    WeightOp::create(builder, weight->loc, weight->name, weight->offset, weight->bytes,
                     weight->type.getRows(), weight->type.getColumns(), weight->type.getFormat(),
                     getPackingName(weight->type), weight->sources);
}

/// The costs that the kernel family left on the kernel, if any.
static CostAttr getCost(tile::KernelOp kernel) {
  auto costs = kernel->getAttrOfType<DictionaryAttr>("tile.cost");
  if (!costs)
    return {};
  auto number = [&](StringRef name) {
    auto value = costs.getAs<IntegerAttr>(name);
    return value ? value.getInt() : 0;
  };
  auto name = costs.getAs<StringAttr>("count");
  std::optional<CostUnit> unit = name ? symbolizeCostUnit(name.getValue()) : std::nullopt;
  return CostAttr::get(kernel.getContext(), number("weight_bytes"), number("bytes_per_row"),
                       number("operations_per_row"), unit.value_or(CostUnit::Tokens));
}

/// What a block needs on a GPU; null for a CPU's kernel.
static BlockAttr getBlock(tile::KernelOp kernel) {
  std::optional<int64_t> threads = kernel.getThreads();
  if (!threads)
    return {};
  return BlockAttr::get(kernel.getContext(), *threads, /*sharedBytes=*/0, kernel.awaitsLaunches());
}

void Planner::emitKernels(OpBuilder &builder) {
  llvm::SetVector<Operation *> kernels;
  for (const PlannedCommand &command : commands)
    if (command.kind == Command::Kind::Launch)
      kernels.insert(step.launches[command.launch].kernel);
  for (Operation *op : kernels) {
    auto kernel = cast<tile::KernelOp>(op);
    StringRef family = kernel.getFamily().value_or(kernel.getSymName());
    KernelOp::create(builder, kernel.getLoc(), kernel.getSymName(), family,
                     kernel.getViews().size(), getBlock(kernel), getCost(kernel),
                     getReaches(kernel));
  }
}

/// Bytes of what the argument names.
int64_t Planner::getBytes(const StepArgument &argument) {
  switch (argument.kind) {
  case Kind::Buffer:
    return step.buffers[argument.index].bytes;
  case Kind::Weight:
    return step.weights[argument.index].bytes;
  case Kind::Cache:
    return step.caches[argument.index].partBytes[unsigned(argument.part)];
  case Kind::Input:
    return bounds.getBytes(static_cast<Input>(argument.index));
  }
  llvm_unreachable("all kinds are listed");
}

/// As the kernel's views say; where a view is of unknown size, to the end of the smallest thing
/// that a launch hands over. The view of a cache has the pages of all sequences at their longest;
/// kernels reach those that there are.
ArrayAttr Planner::getReaches(tile::KernelOp kernel) {
  SmallVector<Attribute> reaches;
  for (auto [index, view] : llvm::enumerate(kernel.getViews())) {
    ReachAttr reach = findReach(cast<tile::ViewType>(view.getType()));
    int64_t least = std::numeric_limits<int64_t>::max();
    bool isCache = false;
    for (const StepLaunch &launch : step.launches)
      if (launch.kernel == kernel) {
        least = std::min(least, getBytes(launch.arguments[index]));
        isCache |= launch.arguments[index].kind == Kind::Cache;
      }
    if (!reach || (isCache && reach.evaluate(bounds) > least))
      reach = ReachAttr::get(kernel.getContext(), std::nullopt, 0, least);
    reaches.push_back(reach);
  }
  return ArrayAttr::get(kernel.getContext(), reaches);
}

void Planner::emitCommands(OpBuilder &builder) {
  auto entry = EntryOp::create(builder, step.entry.getLoc(), "step", 1, bounds.getTokens());
  builder.createBlock(&entry.getBody());
  for (const PlannedCommand &command : commands) {
    Location loc = step.launches[command.launch].op.getLoc();
    if (command.kind == Command::Kind::Launch) {
      emitLaunch(builder, command);
    } else if (command.kind == Command::Kind::LoopBegin) {
      auto loop = LoopOp::create(builder, loc, command.loop->iterations);
      builder.createBlock(&loop.getBody());
    } else {
      builder.setInsertionPointAfter(builder.getInsertionBlock()->getParentOp());
    }
  }
}

static ExtentAttr convertExtent(tile::ExtentAttr extent) {
  MLIRContext *context = extent.getContext();
  if (!extent.getCount() || extent.getMultiplier() == 0)
    return ExtentAttr::get(context, std::nullopt, extent.evaluate(0), 0, 1);
  return ExtentAttr::get(context, static_cast<Count>(*extent.getCount()), extent.getMultiplier(),
                         extent.getAddend(), extent.getDivisor());
}

/// Where a launch comes from: "blk.3", or "blk.0..blk.29" for all iterations of a loop.
std::string Planner::getLayer(const PlannedCommand &command) {
  std::string first = step.launches[command.launch].layer;
  if (!command.loop)
    return first;
  unsigned distance = (command.loop->iterations - 1) * command.loop->count;
  const std::string &last = step.launches[command.launch + distance].layer;
  return first == last ? first : first + ".." + last;
}

void Planner::emitLaunch(OpBuilder &builder, const PlannedCommand &command) {
  StepLaunch &launch = step.launches[command.launch];
  SmallVector<Attribute> grid, arguments;
  for (unsigned axis = 0; axis < 3; ++axis)
    grid.push_back(convertExtent(launch.kernel.getExtent(axis)));
  for (unsigned i = 0; i < launch.arguments.size(); ++i)
    arguments.push_back(getArgument(command, i));
  LaunchOp::create(builder, launch.op.getLoc(), launch.kernel.getSymName(),
                   builder.getArrayAttr(grid), builder.getArrayAttr(arguments),
                   builder.getStringAttr(getLayer(command)));
}

/// Bytes from the start of what the argument names, for weights from the start of their section.
int64_t Planner::getAddress(const StepArgument &argument) {
  if (argument.kind == Kind::Weight)
    return step.weights[argument.index].offset;
  if (argument.kind != Kind::Cache)
    return 0;
  const StepCache &cache = step.caches[argument.index];
  return argument.layer * cache.getLayerBytes() + cache.getOffset(argument.part);
}

Attribute Planner::getArgument(const PlannedCommand &command, unsigned number) {
  MLIRContext *context = bounds.getContext();
  const StepArgument &argument = step.launches[command.launch].arguments[number];
  if (argument.kind == Kind::Input)
    return InputAttr::get(context, static_cast<Input>(argument.index));
  auto get = [&](StringRef name, int64_t offset, int64_t stride) {
    return ArgumentAttr::get(context, argument.access, FlatSymbolRefAttr::get(context, name),
                             offset, stride);
  };
  if (argument.kind == Kind::Buffer)
    return get(step.buffers[rolled.memoryOf[argument.index]].name, 0, 0);
  int64_t stride = 0;
  if (command.loop) {
    const StepLaunch &next = step.launches[command.launch + command.loop->count];
    stride = getAddress(next.arguments[number]) - getAddress(argument);
  }
  if (argument.kind == Kind::Weight)
    return get(step.weights[argument.index].name, 0, stride);
  return get(step.caches[argument.index].name, getAddress(argument), stride);
}

//===----------------------------------------------------------------------------------------------===//
// Pass
//===----------------------------------------------------------------------------------------------===//

namespace {

struct BuildPlan : ingot::plan::impl::BuildPlanBase<BuildPlan> {
  using BuildPlanBase::BuildPlanBase;

  void runOnOperation() override {
    ModuleOp module = getOperation();
    if (module.getOps<func::FuncOp>().empty())
      return;
    if (failed(build(module)))
      signalPassFailure();
  }

  LogicalResult checkOptions(ModuleOp module);
  FailureOr<func::FuncOp> findEntry(ModuleOp module);
  LogicalResult build(ModuleOp module);
};

} // namespace

LogicalResult BuildPlan::checkOptions(ModuleOp module) {
  for (auto [name, value] : {std::pair<StringRef, int64_t>{"max-tokens", maxTokens},
                             {"max-outputs", maxOutputs},
                             {"max-sequences", maxSequences},
                             {"max-context", maxContext}})
    if (value < 1 || value > (int64_t(1) << 24))
      return module.emitError() << "expected option '" << name << "' to be from 1 to "
                                << (int64_t(1) << 24) << ", got " << value;
  return success();
}

FailureOr<func::FuncOp> BuildPlan::findEntry(ModuleOp module) {
  func::FuncOp entry;
  for (func::FuncOp function : module.getOps<func::FuncOp>()) {
    if (function.isPrivate())
      continue;
    if (entry) {
      InFlightDiagnostic diagnostic = function.emitError()
                                      << "expected one public function, the step, got '"
                                      << function.getSymName() << "' too";
      diagnostic.attachNote(entry.getLoc()) << "the first is '" << entry.getSymName() << "'";
      return diagnostic;
    }
    entry = function;
  }
  if (!entry)
    return module.emitError() << "expected one public function, the step, got none";
  return entry;
}

LogicalResult BuildPlan::build(ModuleOp module) {
  if (failed(checkOptions(module)))
    return failure();
  FailureOr<func::FuncOp> entry = findEntry(module);
  if (failed(entry))
    return failure();
  BoundsAttr bounds = getBounds(
      *entry, {maxTokens, std::min(maxOutputs.getValue(), maxTokens.getValue()),
               std::min(maxSequences.getValue(), maxTokens.getValue()), maxContext, pages});
  FailureOr<Step> step = flattenStep(*entry, bounds);
  if (failed(step))
    return failure();

  OpBuilder builder(*entry);
  Planner planner(*step, bounds);
  planner.run(builder);
  loops += planner.countLoops();
  commands += planner.countCommands();
  for (func::FuncOp function : llvm::make_early_inc_range(module.getOps<func::FuncOp>()))
    function.erase();
  module->setAttr(PlanDialect::versionAttrName, builder.getI64IntegerAttr(PlanDialect::version));
  return success();
}
