//===- NvptxEmitter.cpp - The function of a kernel on a GPU -----------------------------------------===//
//
// The frame of the emission. A block of the grid is a block of threads, as many warps as the
// largest layout of the kernel has; a layout with fewer lanes or warps is repeated over the others.
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
  WalkResult result = kernel.getBody().walk([&](Operation *op) -> WalkResult {
    for (Type type : op->getResultTypes()) {
      if (!isTile(type))
        continue;
      const ThreadTile &tile = getThreadTile(type);
      if (tile.lanes > warpSize || tile.warps > 32 || tile.layout.getInputSize(3) != 1 ||
          tile.registers > 256)
        return refuse(op, "expected a tile of at most 256 registers, 32 lanes, 32 warps and one "
                          "block");
      warps = std::max(warps, tile.warps);
    }
    return WalkResult::advance();
  });
  return failure(result.wasInterrupted());
}

FailureOr<LLVM::LLVMFuncOp> NvptxEmitter::emit() {
  if (failed(checkTiles()))
    return failure();
  b.setInsertionPoint(kernel);
  Type i32 = b.getI32Type(), i64 = b.getI64Type(), index = b.getIndexType();
  unsigned views = kernel.getViews().size();
  SmallVector<Type> arguments(views, LLVM::LLVMPointerType::get(b.getContext(), /*global*/ 1));
  arguments.append(3, i64);
  function = LLVM::LLVMFuncOp::create(
      b, loc, kernel.getSymName(),
      LLVM::LLVMFunctionType::get(LLVM::LLVMVoidType::get(b.getContext()), arguments));
  function->setAttr(NVVM::NVVMDialect::getKernelFuncAttrName(), b.getUnitAttr());
  function->setAttr(NVVM::NVVMDialect::getReqntidAttrName(),
                    b.getDenseI32ArrayAttr({int32_t(warpSize * warps), 1, 1}));
  b.setInsertionPointToStart(function.addEntryBlock(b));
  auto toIndex = [&](Value number) -> Value {
    return arith::IndexCastUIOp::create(b, loc, index, number);
  };
  for (BlockArgument view : kernel.getViews())
    set(view, function.getArgument(view.getArgNumber()));
  for (auto [i, count] : llvm::enumerate(counts))
    count = toIndex(function.getArgument(views + i));
  blockIds[0] = toIndex(NVVM::BlockIdXOp::create(b, loc, i32));
  blockIds[1] = toIndex(NVVM::BlockIdYOp::create(b, loc, i32));
  blockIds[2] = toIndex(NVVM::BlockIdZOp::create(b, loc, i32));
  Value thread = toIndex(NVVM::ThreadIdXOp::create(b, loc, i32));
  lane = arith::AndIOp::create(b, loc, thread, makeIndex(warpSize - 1));
  warp = arith::ShRUIOp::create(b, loc, thread, makeIndex(5));
  LogicalResult emitted = emitBlock(kernel.getBody().front());
  LLVM::ReturnOp::create(b, loc, ValueRange());
  if (succeeded(emitted))
    return function;
  function.erase();
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
      .Case([&](ReadOp op) { return emitRead(op); })
      .Case([&](WriteOp op) { return emitWrite(op); })
      .Case([&](DecodeOp op) { return emitDecode(op); })
      .Case([&](ReduceOp op) { return emitReduce(op); })
      .Case([&](IotaOp op) { return emitIota(op); })
      .Case([&](ContractOp op) { return emitContract(op); })
      .Case([&](TransposeOp op) { return forward(op.getValue(), op); })
      .Case([&](ReshapeOp op) { return forward(op.getValue(), op); })
      .Case([&](SplatOp op) {
        set(op, Values(getThreadTile(op.getType()).registers, getScalar(op.getValue())));
        return success();
      })
      .Case([&](ConvertLayoutOp op) { return rearrange(op, [](Coordinates at) { return at; }); })
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
          return refuse(op, "shared memory and asynchronous copies are not implemented");
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
