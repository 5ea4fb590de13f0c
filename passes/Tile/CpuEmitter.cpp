//===- CpuEmitter.cpp - The function of a kernel on a CPU ----------------------------------------------===//
//
// The frame of the emission: the function with the C interface of include/ingot/Artifact/Format.h,
// and which part emits which op.
//
//===----------------------------------------------------------------------------------------------===//

#include "passes/Tile/CpuEmitter.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace ingot::tile;

//===----------------------------------------------------------------------------------------------===//
// PhysicalTile
//===----------------------------------------------------------------------------------------------===//

PhysicalTile::PhysicalTile(RankedTensorType type)
    : type(type), layout(getLayout(type).getLinearLayout(type.getShape())),
      registers(layout.getInputSize(0)), lanes(layout.getInputSize(1)) {
  unsigned bits = type.getElementTypeBitWidth();
  pack = bits == 1 ? 1 : std::min<int64_t>(registers, 32 / bits);
}

VectorType PhysicalTile::getVectorType() const { return getVectorType(type.getElementType()); }

VectorType PhysicalTile::getVectorType(Type element) const {
  return VectorType::get(getVectorSize(), element);
}

const PhysicalTile &CpuEmitter::getPhysical(Type tile) {
  std::unique_ptr<PhysicalTile> &physical = physicals[tile];
  if (!physical)
    physical = std::make_unique<PhysicalTile>(cast<RankedTensorType>(tile));
  return *physical;
}

SmallVector<Type> CpuEmitter::getTypes(TypeRange types) {
  SmallVector<Type> result;
  for (Type type : types) {
    if (isTile(type))
      result.append(getPhysical(type).getVectorCount(), getPhysical(type).getVectorType());
    else
      result.push_back(isa<ViewType>(type) ? LLVM::LLVMPointerType::get(b.getContext()) : type);
  }
  return result;
}

//===----------------------------------------------------------------------------------------------===//
// Helpers
//===----------------------------------------------------------------------------------------------===//

Value CpuEmitter::makeConstant(Type type, double value) {
  TypedAttr attribute = b.getFloatAttr(getElementTypeOrSelf(type), value);
  if (auto vector = dyn_cast<VectorType>(type))
    attribute = DenseElementsAttr::get(vector, cast<Attribute>(attribute));
  return arith::ConstantOp::create(b, loc, attribute);
}

Value CpuEmitter::makeInteger(Type type, int64_t value) {
  TypedAttr attribute = b.getIntegerAttr(getElementTypeOrSelf(type), value);
  if (auto vector = dyn_cast<VectorType>(type))
    attribute = DenseElementsAttr::get(vector, cast<Attribute>(attribute));
  return arith::ConstantOp::create(b, loc, attribute);
}

// LLVM moves single numbers of bf16 through float32 and calls a library to come back, so whatever
// takes vectors apart or together sees 16-bit integers.
Value CpuEmitter::asBF16(Value vector) {
  VectorType type = cast<VectorType>(vector.getType()).clone(b.getBF16Type());
  return vector::BitCastOp::create(b, loc, type, vector);
}

Value CpuEmitter::shuffle(Value a, Value second, ArrayRef<int64_t> mask) {
  int64_t size = cast<VectorType>(a.getType()).getNumElements();
  if (int64_t(mask.size()) == size && llvm::equal(mask, llvm::seq<int64_t>(0, size)))
    return a;
  if (auto type = cast<VectorType>(a.getType()); type.getElementType().isBF16()) {
    auto asIntegers = [&](Value vector) -> Value {
      VectorType integers = cast<VectorType>(vector.getType()).clone(b.getI16Type());
      return vector::BitCastOp::create(b, loc, integers, vector);
    };
    return asBF16(shuffle(asIntegers(a), asIntegers(second), mask));
  }
  return vector::ShuffleOp::create(b, loc, a, second, mask);
}

Value CpuEmitter::callIntrinsic(StringRef name, Type result, ValueRange operands) {
  return LLVM::CallIntrinsicOp::create(b, loc, result, b.getStringAttr(name), operands)
      .getResult(0);
}

Value CpuEmitter::getZeros() {
  if (zeros)
    return zeros;
  OpBuilder::InsertionGuard guard(b);
  auto module = kernel->getParentOfType<ModuleOp>();
  if (!module.lookupSymbol<LLVM::GlobalOp>(zerosName)) {
    b.setInsertionPointToStart(module.getBody());
    auto type = LLVM::LLVMArrayType::get(b.getI8Type(), zeroBytes);
    LLVM::GlobalOp::create(b, loc, type, /*isConstant=*/true, LLVM::Linkage::Internal, zerosName,
                           DenseElementsAttr::get(RankedTensorType::get({zeroBytes}, b.getI8Type()),
                                                  b.getI8IntegerAttr(0)),
                           /*alignment=*/64);
  }
  b.setInsertionPointToStart(&function.front());
  zeros = LLVM::AddressOfOp::create(b, loc, LLVM::LLVMPointerType::get(b.getContext()), zerosName);
  return zeros;
}

//===----------------------------------------------------------------------------------------------===//
// Function
//===----------------------------------------------------------------------------------------------===//

FailureOr<func::FuncOp> CpuEmitter::emit() {
  b.setInsertionPoint(kernel);
  auto pointer = LLVM::LLVMPointerType::get(b.getContext());
  Type i64 = b.getI64Type();
  function = func::FuncOp::create(b, loc, kernel.getSymName(),
                                  b.getFunctionType({pointer, pointer, i64, i64, i64}, {}));
  b.setInsertionPointToStart(function.addEntryBlock());
  auto loadFrom = [&](Value base, Type element, int64_t index) -> Value {
    return LLVM::LoadOp::create(b, loc, element, getAddress(base, element, index));
  };
  for (BlockArgument view : kernel.getViews())
    set(view, loadFrom(function.getArgument(0), pointer, view.getArgNumber()));
  for (auto [i, count] : llvm::enumerate(counts))
    count = arith::IndexCastOp::create(b, loc, b.getIndexType(),
                                       loadFrom(function.getArgument(1), i64, i));
  for (auto [i, id] : llvm::enumerate(blockIds))
    id = arith::IndexCastOp::create(b, loc, b.getIndexType(), function.getArgument(2 + i));
  if (failed(emitBlock(kernel.getBody().front()))) {
    function.erase();
    return failure();
  }
  func::ReturnOp::create(b, loc);
  sinkToFirstUse(function.front());
  return function;
}

/// Whether the op may be moved down past others that read memory, and moving it keeps no second
/// value alive.
static bool canSink(Operation *op) {
  if (op->getNumRegions() != 0 || op->getNumResults() != 1 || op->hasTrait<OpTrait::IsTerminator>())
    return false;
  auto isHeavy = [](Value operand) {
    return isa<VectorType>(operand.getType()) && !operand.getDefiningOp<arith::ConstantOp>();
  };
  if (llvm::count_if(op->getOperands(), isHeavy) > 1)
    return false;
  return isa<LLVM::LoadOp>(op) || isMemoryEffectFree(op);
}

void CpuEmitter::sinkToFirstUse(Block &block) {
  Operation *write = nullptr; // the next op that may write memory
  for (Operation *op = &block.back(), *previous; op; op = previous) {
    previous = op->getPrevNode();
    for (Region &region : op->getRegions())
      for (Block &inner : region)
        sinkToFirstUse(inner);
    if (!canSink(op)) {
      // The intrinsics that kernels call change no memory.
      if (!isMemoryEffectFree(op) && !isa<LLVM::LoadOp, LLVM::Prefetch, LLVM::CallIntrinsicOp>(op))
        write = op;
      continue;
    }
    Operation *first = nullptr;
    for (Operation *user : op->getUsers())
      if (Operation *here = block.findAncestorOpInBlock(*user);
          here && (!first || here->isBeforeInBlock(first)))
        first = here;
    if (write && first && isa<LLVM::LoadOp>(op) && write->isBeforeInBlock(first))
      first = write;
    if (first && first != op->getNextNode())
      op->moveBefore(first);
  }
}

LogicalResult CpuEmitter::emitOp(Operation &op) {
  auto same = [](Coordinates at) { return at; };
  auto forward = [&](Value from, Value to) { // layouts follow shapes: the same vectors
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
      .Case([&](PrefetchLineOp op) { return emitPrefetchLine(op); })
      .Case([&](ReadOp op) { return emitRead(op); })
      .Case([&](WriteOp op) { return emitWrite(op); })
      .Case([&](DecodeOp op) { return emitDecode(op); })
      .Case([&](PrefetchOp op) { return emitPrefetch(op); })
      .Case([&](AllocOp op) { return emitAlloc(op); })
      .Case([&](ReduceOp op) { return emitReduce(op); })
      .Case([&](IotaOp op) { return emitIota(op); })
      .Case([&](SplatOp op) { return emitSplat(op); })
      .Case([&](ContractOp op) { return emitContract(op); })
      .Case([&](TransposeOp op) { return forward(op.getValue(), op); })
      .Case([&](ReshapeOp op) { return forward(op.getValue(), op); })
      .Case([&](ConvertLayoutOp op) {
        set(op, rearrange(getPhysical(op.getValue().getType()), get(op.getValue()),
                          getPhysical(op.getType()), same));
        return success();
      })
      .Case([&](BroadcastOp op) {
        RankedTensorType from = op.getValue().getType();
        auto source = [&](Coordinates at) {
          for (auto [coordinate, size] : llvm::zip_equal(at, from.getShape()))
            coordinate = std::min(coordinate, size - 1);
          return at;
        };
        set(op,
            rearrange(getPhysical(from), get(op.getValue()), getPhysical(op.getType()), source));
        return success();
      })
      .Case([&](ExchangeOp op) {
        auto source = [&](Coordinates at) {
          at[op.getDim()] ^= op.getDistance();
          return at;
        };
        const PhysicalTile &tile = getPhysical(op.getType());
        set(op, rearrange(tile, get(op.getValue()), tile, source));
        return success();
      })
      .Case<BarrierOp, AwaitLaunchesOp>([&](auto) { return success(); }) // a block is one thread
      .Default([&](Operation *op) -> LogicalResult {
        if (isa<TileDialect>(op->getDialect()))
          return op->emitOpError("cannot be lowered to a CPU");
        if (llvm::any_of(op->getOperandTypes(), isTile) ||
            llvm::any_of(op->getResultTypes(), isTile))
          return emitElementwise(*op);
        if (op->getNumRegions() != 0)
          return op->emitOpError("cannot be lowered to a CPU");
        emitClone(*op);
        return success();
      });
}
