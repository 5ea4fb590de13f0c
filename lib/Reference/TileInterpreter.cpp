//===- TileInterpreter.cpp - Runs tile kernels by their meaning -------------------------------===//
//
// The walk over the grid and over the ops of a block. Regions nest, so recursion is as deep as the
// program's text.
//
//===------------------------------------------------------------------------------------------===//

#include "ingot/Reference/TileInterpreter.h"
#include "TileBlock.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/FormatVariadic.h"
#include <algorithm>
#include <random>

using namespace mlir;
using namespace ingot;
using namespace ingot::reference;

//===------------------------------------------------------------------------------------------===//
// The grid
//===------------------------------------------------------------------------------------------===//

/// One memory for each argument; arguments that start at the same byte share theirs.
static std::vector<std::unique_ptr<TileMemory>>
makeMemories(ArrayRef<MutableArrayRef<uint8_t>> arguments, SmallVectorImpl<TileMemory *> &ofViews) {
  std::vector<std::unique_ptr<TileMemory>> memories;
  for (MutableArrayRef<uint8_t> bytes : arguments) {
    auto known = llvm::find_if(memories, [&](const auto &memory) {
      return !bytes.empty() && memory->bytes.data() == bytes.data();
    });
    if (known == memories.end()) {
      memories.push_back(std::make_unique<TileMemory>());
      known = std::prev(memories.end());
    }
    TileMemory &memory = **known;
    if (bytes.size() > memory.bytes.size() || memory.bytes.empty())
      memory.bytes = bytes;
    memory.writers.resize(memory.bytes.size());
    memory.readers.resize(memory.bytes.size());
    ofViews.push_back(&memory);
  }
  return memories;
}

llvm::Error reference::runKernel(tile::KernelOp kernel,
                                 ArrayRef<MutableArrayRef<uint8_t>> arguments,
                                 std::array<int64_t, 3> counts, uint64_t seed, TileReport *report) {
  if (arguments.size() != kernel.getViews().size())
    return llvm::createStringError(llvm::formatv("kernel '{0}' takes {1} arguments, got {2}",
                                                 kernel.getSymName(), kernel.getViews().size(),
                                                 arguments.size())
                                       .str());
  SmallVector<TileMemory *> memories;
  auto owned = makeMemories(arguments, memories);
  int64_t extents[3];
  for (unsigned axis = 0; axis < 3; ++axis) {
    tile::ExtentAttr extent = kernel.getExtent(axis);
    extents[axis] = extent.evaluate(extent.getCount() ? counts[unsigned(*extent.getCount())] : 1);
  }
  std::vector<std::array<int64_t, 3>> blocks;
  for (int64_t z = 0; z < extents[2]; ++z)
    for (int64_t y = 0; y < extents[1]; ++y)
      for (int64_t x = 0; x < extents[0]; ++x)
        blocks.push_back({x, y, z});
  std::shuffle(blocks.begin(), blocks.end(), std::mt19937_64(seed));

  kernel.walk([&](Operation *op) { // what is only read needs no watching
    if (!isa<tile::StoreOp, tile::WriteOp, tile::ScatterOp>(op))
      return;
    for (Value operand : op->getOperands())
      if (isa<tile::ViewType>(operand.getType()) && isa<BlockArgument>(operand))
        memories[cast<BlockArgument>(operand).getArgNumber()]->isWritten = true;
  });
  TileRun run{counts, TileThreads(kernel), seed, report};
  for (auto [number, position] : llvm::enumerate(blocks))
    if (llvm::Error error = TileBlock(run, number, position).run(kernel, memories))
      return error;
  return llvm::Error::success();
}

//===------------------------------------------------------------------------------------------===//
// One block
//===------------------------------------------------------------------------------------------===//

llvm::Error TileBlock::run(tile::KernelOp kernel, ArrayRef<TileMemory *> arguments) {
  for (auto [view, memory] : llvm::zip_equal(kernel.getViews(), arguments)) {
    TileValue value;
    value.memory = memory;
    set(view, std::move(value));
  }
  roles.front().warps = sharedRun.threads.getWarps();
  if (llvm::Error error = runOps(kernel.getBody().front()))
    return error;
  for (const Copy &copy : copies)
    if (!copy.isComplete)
      return fail(copy.destinationAccess.op, "the copy is still under way when the block ends");
  return llvm::Error::success();
}

llvm::Error TileBlock::fail(Operation *op, const Twine &message) const {
  return llvm::createStringError(
      llvm::formatv("'{0}' in block ({1}, {2}, {3}) of kernel '{4}': {5}",
                    op->getName().getStringRef(), position[0], position[1], position[2],
                    op->getParentOfType<tile::KernelOp>().getSymName(), message.str())
          .str());
}

TileBlock::Coordinates TileBlock::getIntegers(ValueRange range) const {
  Coordinates integers;
  for (Value value : range)
    integers.push_back(getInteger(value));
  return integers;
}

llvm::Error TileBlock::runOps(mlir::Block &block) {
  for (Operation &op : block.without_terminator())
    if (llvm::Error error = runOp(&op))
      return error;
  return llvm::Error::success();
}

/// Only a wait, a further step of the same contraction, and control flow may touch what is pending.
llvm::Error TileBlock::checkOperands(Operation *op) {
  for (OpOperand &operand : op->getOpOperands()) {
    if (!get(operand.get()).isPending || isa<tile::WaitOp, scf::ForOp>(op))
      continue;
    auto contract = dyn_cast<tile::ContractOp>(op);
    if (contract && contract.getAtom() == tile::Atom::WgmmaM64K16 &&
        operand.get() == contract.getAccumulator())
      continue;
    return fail(op, "operand " + Twine(operand.getOperandNumber()) +
                        " is the result of an asynchronous contraction before its tile.wait");
  }
  return llvm::Error::success();
}

llvm::Error TileBlock::runOp(Operation *op) {
  if (llvm::Error error = checkOperands(op))
    return error;
  if (scheduler && isa<tile::LoadOp, tile::StoreOp, tile::ReadOp, tile::WriteOp, tile::CopyAsyncOp,
                       tile::CommitOp, tile::ReleaseOp, tile::WaitOp>(op))
    if (llvm::Error error = takeTurn(op))
      return error;
  if (auto loop = dyn_cast<scf::ForOp>(op))
    return runFor(loop);
  if (auto branch = dyn_cast<scf::IfOp>(op))
    return runIf(branch);
  if (auto store = dyn_cast<tile::StoreOp>(op))
    return this->store(store);
  if (auto scatter = dyn_cast<tile::ScatterOp>(op))
    return this->scatter(scatter);
  if (auto write = dyn_cast<tile::WriteOp>(op))
    return this->write(write);
  if (auto decode = dyn_cast<tile::DecodeOp>(op))
    return this->decode(decode);
  if (isa<tile::AwaitLaunchesOp, tile::PrefetchOp>(op))
    return llvm::Error::success();
  if (auto wait = dyn_cast<tile::WaitOp>(op))
    return this->wait(wait);
  if (isa<tile::PrefetchLineOp>(op))
    return llvm::Error::success();
  if (isa<tile::BarrierOp>(op)) {
    passBarrier();
    return llvm::Error::success();
  }
  if (isa<tile::RolesOp, tile::AcquireOp, tile::CommitOp, tile::AwaitOp, tile::ReleaseOp>(op))
    return runRoleOp(op);
  Result result = evaluate(op);
  if (!result)
    return result.takeError();
  set(op->getResult(0), std::move(*result));
  return llvm::Error::success();
}

llvm::Error TileBlock::runFor(scf::ForOp op) {
  int64_t step = getInteger(op.getStep()), begin = getInteger(op.getLowerBound()),
          end = getInteger(op.getUpperBound());
  if (step <= 0)
    return fail(op, "the step is " + Twine(step));
  std::vector<TileValue> carried;
  for (Value value : op.getInitArgs())
    carried.push_back(get(value));
  for (int64_t i = begin; i < end; i += step) {
    set(op.getInductionVar(), {{Number::of(i)}});
    for (auto [argument, value] : llvm::zip_equal(op.getRegionIterArgs(), carried))
      set(argument, std::move(value));
    if (llvm::Error error = runOps(*op.getBody()))
      return error;
    for (auto [yielded, value] : llvm::zip_equal(op.getYieldedValues(), carried))
      value = get(yielded);
    if (i > std::numeric_limits<int64_t>::max() - step)
      break;
  }
  for (auto [result, value] : llvm::zip_equal(op.getResults(), carried))
    set(result, std::move(value));
  return llvm::Error::success();
}

llvm::Error TileBlock::runIf(scf::IfOp op) {
  mlir::Block *block = getInteger(op.getCondition()) ? op.thenBlock() : op.elseBlock();
  if (!block)
    return llvm::Error::success();
  if (llvm::Error error = runOps(*block))
    return error;
  for (auto [result, yielded] :
       llvm::zip_equal(op.getResults(), block->getTerminator()->getOperands()))
    set(result, TileValue(get(yielded)));
  return llvm::Error::success();
}

//===------------------------------------------------------------------------------------------===//
// Ops with one result
//===------------------------------------------------------------------------------------------===//

static TileValue makeConstant(arith::ConstantOp op) {
  auto convert = [](Attribute attribute) {
    if (auto real = dyn_cast<FloatAttr>(attribute)) {
      llvm::APFloat value = real.getValue();
      bool losesInfo;
      value.convert(llvm::APFloat::IEEEsingle(), llvm::APFloat::rmNearestTiesToEven, &losesInfo);
      return Number::of(value.convertToFloat());
    }
    llvm::APInt value = cast<IntegerAttr>(attribute).getValue();
    return Number::of(
        int64_t(value.getBitWidth() == 1 ? value.getZExtValue() : uint64_t(value.getSExtValue())));
  };
  auto elements = dyn_cast<DenseElementsAttr>(op.getValue());
  if (!elements)
    return {{convert(op.getValue())}};
  if (elements.isSplat())
    return {std::vector<Number>(elements.getNumElements(),
                                convert(elements.getSplatValue<Attribute>()))};
  TileValue result;
  for (Attribute element : elements.getValues<Attribute>())
    result.numbers.push_back(convert(element));
  return result;
}

TileBlock::Result TileBlock::evaluate(Operation *op) {
  return llvm::TypeSwitch<Operation *, Result>(op)
      .Case([&](tile::BlockIdOp op) {
        return TileValue{{Number::of(position[unsigned(op.getAxis())])}};
      })
      .Case([&](tile::CountOp op) {
        return TileValue{{Number::of(sharedRun.counts[unsigned(op.getCount())])}};
      })
      .Case([&](arith::ConstantOp op) { return makeConstant(op); })
      .Case([&](tile::LoadOp op) { return load(op); })
      .Case([&](tile::GatherOp op) { return gather(op); })
      .Case([&](tile::ReadOp op) { return read(op); })
      .Case([&](tile::AllocOp op) { return allocate(op); })
      .Case([&](tile::RingOp op) { return makeRing(op); })
      .Case([&](tile::CopyAsyncOp op) { return startCopy(op); })
      .Case([&](tile::SplatOp op) {
        return TileValue{std::vector<Number>(op.getResult().getType().getNumElements(),
                                             get(op.getValue()).numbers.front())};
      })
      .Case([&](tile::IotaOp op) { return iota(op); })
      .Case([&](tile::BroadcastOp op) { return broadcast(op); })
      .Case([&](tile::ReduceOp op) { return reduce(op); })
      .Case([&](tile::ExchangeOp op) { return exchange(op); })
      .Case([&](tile::TransposeOp op) { return transpose(op); })
      .Case<tile::ReshapeOp, tile::ConvertLayoutOp>(
          [&](auto op) { return TileValue(get(op.getValue())); })
      .Case([&](tile::ContractOp op) { return contract(op); })
      .Default([&](Operation *op) { return evaluateElements(op); });
}

TileBlock::Result TileBlock::evaluateElements(Operation *op) {
  auto [found, isNew] = sharedRun.functions.try_emplace(op);
  if (isNew)
    found->second = getElementFunction(op);
  const ElementFunction &function = found->second;
  if (!function)
    return fail(op, "the interpreter does not know this op on these types");
  SmallVector<const TileValue *, 3> operands;
  for (Value operand : op->getOperands())
    operands.push_back(&get(operand));
  auto tile = dyn_cast<RankedTensorType>(op->getResult(0).getType());
  size_t count = tile ? tile.getNumElements() : 1;
  TileValue result;
  result.numbers.reserve(count);
  SmallVector<Number, 3> elements(operands.size());
  for (size_t i = 0; i < count; ++i) {
    for (auto [element, operand] : llvm::zip_equal(elements, operands))
      element = operand->numbers[operand->numbers.size() == 1 ? 0 : i];
    std::optional<Number> number = function(elements);
    if (!number)
      return fail(op, "no result is stated for element " + Twine(i));
    result.numbers.push_back(*number);
  }
  return result;
}

//===------------------------------------------------------------------------------------------===//
// Coordinates
//===------------------------------------------------------------------------------------------===//

llvm::Error
reference::forEachElement(ArrayRef<int64_t> shape,
                          llvm::function_ref<llvm::Error(ArrayRef<int64_t>, size_t)> visit) {
  SmallVector<int64_t, 5> at(shape.size());
  for (size_t index = 0;; ++index) {
    if (llvm::Error error = visit(at, index))
      return error;
    size_t dim = shape.size();
    while (dim > 0 && ++at[dim - 1] == shape[dim - 1])
      at[--dim] = 0;
    if (dim == 0)
      return llvm::Error::success();
  }
}

size_t reference::getLinearIndex(ArrayRef<int64_t> shape, ArrayRef<int64_t> at) {
  size_t index = 0;
  for (auto [size, coordinate] : llvm::zip_equal(shape, at))
    index = index * size + coordinate;
  return index;
}
