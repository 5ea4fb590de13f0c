//===- NvptxEmitter.cpp - The function of a kernel on a GPU -----------------------------------------===//
//
// The frame of the emission. A block of the grid is a block of threads, as many as the kernel says
// (or as its largest layout has); a layout with fewer lanes or warps is repeated over the others.
// The grid may be larger than this step's counts ask for: blocks beyond do nothing.
//
//===----------------------------------------------------------------------------------------------===//

#include "passes/Tile/NvptxEmitter.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "llvm/ADT/TypeSwitch.h"
#include <map>

using namespace mlir;
using namespace ingot::tile;

/// The first chips that start a kernel before its predecessor is complete.
static constexpr unsigned firstWithDependence = 90;

//===----------------------------------------------------------------------------------------------===//
// ThreadTile
//===----------------------------------------------------------------------------------------------===//

ThreadTile::ThreadTile(RankedTensorType type)
    : type(type), layout(getLayout(type).getLinearLayout(type.getShape())),
      registers(layout.getInputSize(0)), lanes(layout.getInputSize(1)),
      warps(layout.getInputSize(2)) {}

int64_t ThreadTile::getThreadBits(unsigned dim) const {
  int64_t bits = 0;
  for (unsigned input : {1, 2})
    for (const Coordinates &basis : layout.getBases(input))
      bits |= basis[dim];
  return bits;
}

bool ThreadTile::isSeparable() const {
  for (unsigned dim = 0; dim < type.getRank(); ++dim)
    for (const Coordinates &basis : layout.getBases(0))
      if (basis[dim] & getThreadBits(dim))
        return false;
  return true;
}

const ThreadTile &NvptxEmitter::getThreadTile(Type tile) {
  std::unique_ptr<ThreadTile> &known = tiles[tile];
  if (!known)
    known = std::make_unique<ThreadTile>(cast<RankedTensorType>(tile));
  return *known;
}

//===----------------------------------------------------------------------------------------------===//
// Helpers
//===----------------------------------------------------------------------------------------------===//

Value NvptxEmitter::makeInteger(Type type, int64_t value) {
  return arith::ConstantOp::create(b, loc, b.getIntegerAttr(type, value));
}

LogicalResult NvptxEmitter::refuse(Operation *op, const Twine &reason) {
  return op->emitOpError("cannot be lowered to NVPTX: ") << reason;
}

SmallVector<Type> NvptxEmitter::getTypes(TypeRange types) {
  SmallVector<Type> result;
  for (Type type : types) {
    if (isTile(type))
      result.append(getThreadTile(type).registers, cast<RankedTensorType>(type).getElementType());
    else
      result.push_back(type);
  }
  return result;
}

ArrayRef<Value> NvptxEmitter::getThreadCoordinates(const ThreadTile &tile) {
  Values &known = threadCoordinates[tile.type];
  if (!known.empty() || tile.type.getRank() == 0)
    return known;
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointAfter(warp.getDefiningOp());
  for (unsigned dim = 0; dim < tile.type.getRank(); ++dim) {
    Value sum;
    for (auto [number, input] : {std::pair(lane, 1u), std::pair(warp, 2u)}) {
      std::map<int, int64_t> masks; // bits that move by the same distance are moved together
      for (auto [from, basis] : llvm::enumerate(tile.layout.getBases(input)))
        for (int to = 0; basis[dim] >> to != 0; ++to)
          if (basis[dim] >> to & 1)
            masks[to - int(from)] |= int64_t(1) << from;
      for (auto [distance, mask] : masks) {
        Value part = arith::AndIOp::create(b, loc, number, makeIndex(mask));
        if (distance > 0)
          part = arith::ShLIOp::create(b, loc, part, makeIndex(distance));
        if (distance < 0)
          part = arith::ShRUIOp::create(b, loc, part, makeIndex(-distance));
        sum = sum ? Value(arith::XOrIOp::create(b, loc, sum, part)) : part;
      }
    }
    known.push_back(sum ? sum : makeIndex(0));
  }
  return known;
}

Value NvptxEmitter::getCoordinate(const ThreadTile &tile, int64_t index, unsigned dim) {
  Value thread = getThreadCoordinates(tile)[dim];
  int64_t fixed = tile.getCoordinates(index)[dim];
  return fixed ? Value(arith::XOrIOp::create(b, loc, thread, makeIndex(fixed))) : thread;
}

//===----------------------------------------------------------------------------------------------===//
// Function
//===----------------------------------------------------------------------------------------------===//

LogicalResult NvptxEmitter::checkTiles() {
  int64_t most = 1;
  WalkResult result = kernel.getBody().walk([&](Operation *op) -> WalkResult {
    for (Type type : op->getResultTypes()) {
      if (!isTile(type))
        continue;
      const ThreadTile &tile = getThreadTile(type);
      if (tile.lanes > warpSize || tile.warps > 32 || tile.layout.getInputSize(3) != 1 ||
          tile.registers > 256)
        return refuse(op, "expected a tile of at most 256 registers, 32 lanes, 32 warps and one "
                          "block");
      most = std::max(most, tile.warps);
    }
    return WalkResult::advance();
  });
  if (result.wasInterrupted())
    return failure();
  warps = kernel.getThreads() ? *kernel.getThreads() / warpSize : most;
  if (most > warps)
    return refuse(kernel, "it has tiles of " + Twine(most) + " warps and only " + Twine(warps));
  if (!llvm::isPowerOf2_64(warps))
    return refuse(kernel, "expected a power of two as the number of warps, got " + Twine(warps));
  return success();
}

Value NvptxEmitter::isInGrid() {
  Value inside;
  for (unsigned axis = 0; axis < 3; ++axis) {
    ExtentAttr extent = kernel.getExtent(axis);
    if (!extent.getCount())
      continue;
    // block < ceil(sum / divisor)  <=>  block * divisor < sum
    Value sum = arith::MulIOp::create(b, loc, counts[unsigned(*extent.getCount())],
                                      makeIndex(extent.getMultiplier()));
    sum = arith::AddIOp::create(b, loc, sum, makeIndex(extent.getAddend()));
    Value first = arith::MulIOp::create(b, loc, blockIds[axis], makeIndex(extent.getDivisor()));
    Value here = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::slt, first, sum);
    inside = inside ? Value(arith::AndIOp::create(b, loc, inside, here)) : here;
  }
  return inside;
}

/// Where the kernel stands: counts, blocks, lanes.
void NvptxEmitter::emitPrologue() {
  Type i32 = b.getI32Type(), i64 = b.getI64Type(), index = b.getIndexType();
  auto toIndex = [&](Value number) -> Value {
    return arith::IndexCastUIOp::create(b, loc, index, number);
  };
  Value address = function.getArguments().back();
  for (auto [i, count] : llvm::enumerate(counts))
    count = toIndex(LLVM::LoadOp::create(b, loc, i64, getAddress(address, i64, int64_t(i)),
                                         /*alignment=*/8));
  blockIds[0] = toIndex(NVVM::BlockIdXOp::create(b, loc, i32));
  blockIds[1] = toIndex(NVVM::BlockIdYOp::create(b, loc, i32));
  blockIds[2] = toIndex(NVVM::BlockIdZOp::create(b, loc, i32));
  Value thread = toIndex(NVVM::ThreadIdXOp::create(b, loc, i32));
  lane = arith::AndIOp::create(b, loc, thread, makeIndex(warpSize - 1));
  warp = arith::ShRUIOp::create(b, loc, thread, makeIndex(llvm::Log2_64(warpSize)));
}

FailureOr<LLVM::LLVMFuncOp> NvptxEmitter::emit() {
  if (failed(checkTiles()))
    return failure();
  b.setInsertionPoint(kernel);
  SmallVector<Type> arguments(kernel.getViews().size() + 1,
                              LLVM::LLVMPointerType::get(b.getContext(), /*global*/ 1));
  function = LLVM::LLVMFuncOp::create(
      b, loc, kernel.getSymName(),
      LLVM::LLVMFunctionType::get(LLVM::LLVMVoidType::get(b.getContext()), arguments));
  function->setAttr(NVVM::NVVMDialect::getKernelFuncAttrName(), b.getUnitAttr());
  function->setAttr(NVVM::NVVMDialect::getReqntidAttrName(),
                    b.getDenseI32ArrayAttr({int32_t(warpSize * warps), 1, 1}));
  b.setInsertionPointToStart(function.addEntryBlock(b));
  for (BlockArgument view : kernel.getViews())
    set(view, function.getArgument(view.getArgNumber()));
  emitPrologue();
  bool awaits = capability >= firstWithDependence && kernel.awaitsLaunches();
  if (awaits) // the next kernel may take what room is left on the chip
    NVVM::GriddepcontrolOp::create(b, loc, NVVM::GridDepActionKind::launch_dependents);
  Operation *end = LLVM::ReturnOp::create(b, loc, ValueRange());
  b.setInsertionPoint(end);
  if (Value inside = isInGrid()) {
    auto branch = scf::IfOp::create(b, loc, inside, /*withElseRegion=*/awaits);
    if (awaits) { // a block that does nothing must not end before the predecessor either
      b.setInsertionPointToStart(branch.elseBlock());
      NVVM::GriddepcontrolOp::create(b, loc, NVVM::GridDepActionKind::wait);
    }
    b.setInsertionPointToStart(branch.thenBlock());
  }
  if (succeeded(emitBlock(kernel.getBody().front())))
    return function;
  function.erase();
  if (scratch)
    scratch.erase();
  return failure();
}

LogicalResult NvptxEmitter::emitOp(Operation &op) {
  auto forward = [&](Value from, Value to) { // layouts follow shapes: the same registers
    set(to, get(from));
    return success();
  };
  return TypeSwitch<Operation *, LogicalResult>(&op)
      .Case([&](scf::ForOp op) { return emitFor(op); })
      .Case([&](scf::IfOp op) { return emitIf(op); })
      .Case([&](BlockIdOp op) {
        set(op, blockIds[unsigned(op.getAxis())]);
        return success();
      })
      .Case([&](CountOp op) {
        set(op, counts[unsigned(op.getCount())]);
        return success();
      })
      .Case([&](LoadOp op) { return emitLoad(op); })
      .Case([&](StoreOp op) { return emitStore(op); })
      .Case([&](GatherOp op) { return emitGather(op); })
      .Case([&](ScatterOp op) { return emitScatter(op); })
      .Case([&](PrefetchLineOp) { return success(); })
      .Case([&](ReadOp op) { return emitRead(op); })
      .Case([&](WriteOp op) { return emitWrite(op); })
      .Case([&](DecodeOp op) { return emitDecode(op); })
      .Case([&](PrefetchOp) { return success(); }) // other warps hide what memory takes
      .Case([&](AllocOp op) { return emitAlloc(op); })
      .Case([&](BarrierOp) {
        emitBarrier();
        return success();
      })
      .Case([&](AwaitLaunchesOp op) -> LogicalResult {
        for (Operation *parent = op->getParentOp(); parent != kernel;
             parent = parent->getParentOp())
          if (!isa<scf::IfOp>(parent))
            return refuse(op, "expected it outside of loops");
        if (capability >= firstWithDependence)
          NVVM::GriddepcontrolOp::create(b, loc, NVVM::GridDepActionKind::wait);
        return success();
      })
      .Case([&](ReduceOp op) { return emitReduce(op); })
      .Case([&](IotaOp op) { return emitIota(op); })
      .Case([&](ContractOp op) { return emitContract(op); })
      .Case([&](TransposeOp op) { return forward(op.getValue(), op); })
      .Case([&](ReshapeOp op) { return forward(op.getValue(), op); })
      .Case([&](SplatOp op) {
        set(op, Values(getThreadTile(op.getType()).registers, getScalar(op.getValue())));
        return success();
      })
      .Case([&](ConvertLayoutOp op) {
        return movesBetweenWarps(op) ? moveThroughShared(op)
                                     : rearrange(op, [](Coordinates at) { return at; });
      })
      .Case([&](BroadcastOp op) {
        return rearrange(op, [&](Coordinates at) {
          for (auto [coordinate, size] : llvm::zip_equal(at, op.getValue().getType().getShape()))
            coordinate = std::min(coordinate, size - 1);
          return at;
        });
      })
      .Case([&](ExchangeOp op) {
        return rearrange(op, [&](Coordinates at) {
          at[op.getDim()] ^= op.getDistance();
          return at;
        });
      })
      .Default([&](Operation *op) -> LogicalResult {
        if (isa<TileDialect>(op->getDialect()))
          return refuse(op, "asynchronous copies are not implemented");
        if (llvm::any_of(op->getOperandTypes(), isTile) ||
            llvm::any_of(op->getResultTypes(), isTile))
          return emitElementwise(*op);
        return emitScalar(*op);
      });
}

LogicalResult NvptxEmitter::emitScalar(Operation &op) {
  if (op.getNumRegions() != 0 || !isa<arith::ArithDialect, math::MathDialect>(op.getDialect()))
    return refuse(&op, "expected an op of arith or math, scf.for or scf.if");
  if (isa<math::MathDialect>(op.getDialect()))
    return emitElementwise(op);
  emitClone(op);
  return success();
}
