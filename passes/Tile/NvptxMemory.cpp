//===- NvptxMemory.cpp - Loads, stores and decoding on a GPU --------------------------------------------===//
//
// Every thread computes the addresses of its own registers' elements: the layout applied to
// (register, lane, warp). Registers that lie side by side in memory, and are plainly aligned, are
// moved by one instruction of up to 16 bytes. Masked accesses touch no memory outside of the view.
//
//===----------------------------------------------------------------------------------------------===//

#include "ingot/Support/Packing.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/IR/Matchers.h"
#include "passes/Tile/NvptxEmitter.h"
#include <map>
#include <set>

using namespace mlir;
using namespace ingot::tile;
using ingot::NumericFormat;
using ingot::PackedLayout;
using ingot::PackedPlane;

/// The most that one instruction moves; views start at multiples of it.
static constexpr int64_t largestAccess = 16;

static unsigned bytesOf(Type element) { return element.getIntOrFloatBitWidth() / 8; }

static LLVM::LLVMPointerType getPointerType(MLIRContext *context) {
  return LLVM::LLVMPointerType::get(context, /*global*/ 1);
}

Value NvptxEmitter::getAddress(Value base, Type element, Value index) {
  Value number = arith::IndexCastUIOp::create(b, loc, b.getI64Type(), index);
  return LLVM::GEPOp::create(b, loc, getPointerType(b.getContext()), element, base,
                             ArrayRef<LLVM::GEPArg>{number});
}

Value NvptxEmitter::getAddress(Value base, Type element, int64_t offset) {
  if (offset == 0)
    return base;
  return LLVM::GEPOp::create(b, loc, getPointerType(b.getContext()), element, base,
                             ArrayRef<LLVM::GEPArg>{int32_t(offset)});
}

//===----------------------------------------------------------------------------------------------===//
// Addresses of tiles
//===----------------------------------------------------------------------------------------------===//

/// A power of two that divides the index, where one is plain to see; at most `largestAccess`.
static int64_t getDivisor(Value index) {
  APInt constant;
  if (matchPattern(index, m_ConstantInt(&constant)))
    return llvm::MinAlign(constant.getSExtValue(), largestAccess);
  if (auto argument = dyn_cast<BlockArgument>(index)) {
    auto loop = dyn_cast<scf::ForOp>(argument.getOwner()->getParentOp());
    if (loop && loop.getInductionVar() == index)
      return std::min(getDivisor(loop.getLowerBound()), getDivisor(loop.getStep()));
    return 1;
  }
  Operation *op = index.getDefiningOp();
  if (isa<arith::AddIOp>(op))
    return std::min(getDivisor(op->getOperand(0)), getDivisor(op->getOperand(1)));
  if (isa<arith::MulIOp>(op))
    return std::min(getDivisor(op->getOperand(0)) * getDivisor(op->getOperand(1)), largestAccess);
  return 1;
}

static int64_t getDistance(const ThreadTile &tile, int64_t index, ArrayRef<int64_t> strides) {
  int64_t distance = 0;
  for (auto [coordinate, stride] : llvm::zip_equal(tile.getCoordinates(index), strides))
    distance += coordinate * stride;
  return distance;
}

/// Whether registers can be moved `run` at once: they are consecutive, and every thread's first
/// one is a multiple of `run` elements from the start of the view.
static bool canMoveTogether(const ThreadTile &tile, ViewType view, ValueRange offsets,
                            int64_t run) {
  ArrayRef<int64_t> strides = view.getStrides().take_back(tile.type.getRank());
  for (auto [offset, stride] : llvm::zip_equal(offsets, view.getStrides()))
    if (getDivisor(offset) * stride % run != 0)
      return false;
  for (auto [dim, stride] : llvm::enumerate(strides))
    for (int64_t bits = tile.getThreadBits(dim); bits != 0; bits &= bits - 1)
      if ((bits & -bits) * stride % run != 0)
        return false;
  for (int64_t i = 0; i < tile.registers; ++i) {
    int64_t first = getDistance(tile, i - i % run, strides);
    if (first % run != 0 || getDistance(tile, i, strides) != first + i % run)
      return false;
  }
  return true;
}

NvptxEmitter::Access NvptxEmitter::getAccess(Value view, ValueRange offsets, const ThreadTile &tile,
                                             bool isMasked) {
  auto type = cast<ViewType>(view.getType());
  unsigned leading = type.getRank() - tile.type.getRank();
  Access access = {type, {}, tile.isSeparable(), 1, {}};
  Value sum = makeIndex(0);
  auto add = [&](Value part, int64_t stride) {
    part = arith::MulIOp::create(b, loc, part, makeIndex(stride));
    sum = arith::AddIOp::create(b, loc, sum, part);
  };
  for (auto [offset, stride] : llvm::zip_equal(offsets, type.getStrides()))
    add(getScalar(offset), stride);
  if (access.isSeparable)
    for (auto [dim, coordinate] : llvm::enumerate(getThreadCoordinates(tile)))
      add(coordinate, type.getStrides()[leading + dim]);
  access.base = getAddress(getScalar(view), type.getElementType(), sum);
  if (isMasked) {
    for (unsigned dim = 0; dim < tile.type.getRank(); ++dim) {
      int64_t size = type.getShape()[leading + dim];
      if (size == ViewType::unknown)
        continue; // one element, always inside
      Value extent = size >= 0 ? makeIndex(size) : counts[unsigned(ViewType::countOf(size))];
      Value left = arith::SubIOp::create(b, loc, extent, getScalar(offsets[leading + dim]));
      access.limits.push_back({dim, left});
    }
  }
  if (access.limits.empty() && access.isSeparable)
    while (2 * access.run <= tile.registers &&
           2 * access.run * bytesOf(type.getElementType()) <= largestAccess &&
           canMoveTogether(tile, type, offsets, 2 * access.run))
      access.run *= 2;
  return access;
}

Value NvptxEmitter::getElement(const Access &access, const ThreadTile &tile, int64_t index) {
  ArrayRef<int64_t> strides = access.view.getStrides().take_back(tile.type.getRank());
  Type element = access.view.getElementType();
  if (access.isSeparable)
    return getAddress(access.base, element, getDistance(tile, index, strides));
  Value sum = makeIndex(0);
  for (auto [dim, stride] : llvm::enumerate(strides)) {
    Value part = arith::MulIOp::create(b, loc, getCoordinate(tile, index, dim), makeIndex(stride));
    sum = arith::AddIOp::create(b, loc, sum, part);
  }
  return getAddress(access.base, element, sum);
}

Value NvptxEmitter::isInside(const Access &access, const ThreadTile &tile, int64_t index) {
  Value inside;
  for (auto [dim, left] : access.limits) {
    Value here = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::slt,
                                       getCoordinate(tile, index, dim), left);
    inside = inside ? Value(arith::AndIOp::create(b, loc, inside, here)) : here;
  }
  return inside;
}

//===----------------------------------------------------------------------------------------------===//
// Loads and stores
//===----------------------------------------------------------------------------------------------===//

LogicalResult NvptxEmitter::emitLoad(LoadOp op) {
  Type element = op.getType().getElementType();
  if (op.getView().getType().getSpace() != Space::Global)
    return refuse(op, "its view is shared");
  if (element.isInteger(1))
    return refuse(op, "expected elements of whole bytes");
  const ThreadTile &tile = getThreadTile(op.getType());
  Access access = getAccess(op.getView(), op.getOffsets(), tile, op.getMasked());
  Values registers;
  std::map<SmallVector<int64_t>, Value> known; // replicated registers are loaded once
  for (int64_t i = 0; i < tile.registers; i += access.run) {
    if (access.run > 1) {
      Value piece =
          LLVM::LoadOp::create(b, loc, VectorType::get(access.run, element),
                               getElement(access, tile, i), access.run * bytesOf(element));
      for (int64_t j = 0; j < access.run; ++j)
        registers.push_back(
            LLVM::ExtractElementOp::create(b, loc, piece, makeInteger(b.getI32Type(), j)));
      continue;
    }
    Value &loaded = known[SmallVector<int64_t>(tile.getCoordinates(i))];
    if (!loaded) {
      auto load = [&]() -> Value {
        return LLVM::LoadOp::create(b, loc, element, getElement(access, tile, i), bytesOf(element));
      };
      if (Value inside = isInside(access, tile, i)) {
        auto branch = scf::IfOp::create(b, loc, TypeRange{element}, inside, /*hasElse=*/true);
        OpBuilder::InsertionGuard guard(b);
        b.setInsertionPointToStart(branch.thenBlock());
        scf::YieldOp::create(b, loc, load());
        b.setInsertionPointToStart(branch.elseBlock());
        scf::YieldOp::create(b, loc,
                             ValueRange{arith::ConstantOp::create(b, loc, b.getZeroAttr(element))});
        loaded = branch.getResult(0);
      } else {
        loaded = load();
      }
    }
    registers.push_back(loaded);
  }
  set(op, registers);
  return success();
}

LogicalResult NvptxEmitter::emitStore(StoreOp op) {
  Type element = op.getValue().getType().getElementType();
  if (op.getView().getType().getSpace() != Space::Global)
    return refuse(op, "its view is shared");
  if (element.isInteger(1))
    return refuse(op, "expected elements of whole bytes");
  const ThreadTile &tile = getThreadTile(op.getValue().getType());
  // Of the threads that hold the same elements, one writes: the one whose other bits are 0.
  Value isWriter;
  for (auto [number, input] : {std::pair(lane, 1u), std::pair(warp, 2u)}) {
    int64_t size = input == 1 ? warpSize : warps;
    int64_t free = (size - 1) & ~(tile.layout.getInputSize(input) - 1);
    for (auto [bit, basis] : llvm::enumerate(tile.layout.getBases(input)))
      if (llvm::all_of(basis, [](int64_t c) { return c == 0; }))
        free |= int64_t(1) << bit;
    if (free == 0)
      continue;
    Value bits = arith::AndIOp::create(b, loc, number, makeIndex(free));
    Value isFirst = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq, bits, makeIndex(0));
    isWriter = isWriter ? Value(arith::AndIOp::create(b, loc, isWriter, isFirst)) : isFirst;
  }
  OpBuilder::InsertionGuard guard(b);
  auto enter = [&](Value condition) {
    if (condition)
      b.setInsertionPointToStart(
          scf::IfOp::create(b, loc, condition, /*withElseRegion=*/false).thenBlock());
  };
  enter(isWriter);
  Access access = getAccess(op.getView(), op.getOffsets(), tile, op.getMasked());
  Values registers = get(op.getValue());
  std::set<SmallVector<int64_t>> written;
  for (int64_t i = 0; i < tile.registers; i += access.run) {
    if (!written.insert(SmallVector<int64_t>(tile.getCoordinates(i))).second)
      continue;
    OpBuilder::InsertionGuard inner(b);
    Value stored = registers[i];
    if (access.run > 1) {
      stored = LLVM::PoisonOp::create(b, loc, VectorType::get(access.run, element));
      for (int64_t j = 0; j < access.run; ++j)
        stored = LLVM::InsertElementOp::create(b, loc, stored, registers[i + j],
                                               makeInteger(b.getI32Type(), j));
    }
    enter(isInside(access, tile, i));
    LLVM::StoreOp::create(b, loc, stored, getElement(access, tile, i),
                          access.run * bytesOf(element));
  }
  return success();
}

/// A view's element as a tile of rank 0 would reach it.
static Value getScalarIndex(OpBuilder &b, Location loc, ViewType view,
                            function_ref<Value(unsigned)> getOffset) {
  Value sum;
  for (auto [dim, stride] : llvm::enumerate(view.getStrides())) {
    Value part = arith::MulIOp::create(b, loc, getOffset(dim),
                                       arith::ConstantIndexOp::create(b, loc, stride));
    sum = sum ? Value(arith::AddIOp::create(b, loc, sum, part)) : part;
  }
  return sum;
}

LogicalResult NvptxEmitter::emitRead(ReadOp op) {
  ViewType view = op.getView().getType();
  if (view.getSpace() != Space::Global || op.getType().isInteger(1))
    return refuse(op, "expected a global view of whole bytes");
  Value index =
      getScalarIndex(b, loc, view, [&](unsigned dim) { return getScalar(op.getOffsets()[dim]); });
  Value address = getAddress(getScalar(op.getView()), view.getElementType(), index);
  set(op, LLVM::LoadOp::create(b, loc, op.getType(), address, bytesOf(op.getType())).getResult());
  return success();
}

LogicalResult NvptxEmitter::emitWrite(WriteOp op) {
  ViewType view = op.getView().getType();
  Type element = view.getElementType();
  if (view.getSpace() != Space::Global || element.isInteger(1))
    return refuse(op, "expected a global view of whole bytes");
  // A scalar is the same in all threads: each writes it, and sees what it wrote.
  Value index =
      getScalarIndex(b, loc, view, [&](unsigned dim) { return getScalar(op.getOffsets()[dim]); });
  LLVM::StoreOp::create(b, loc, getScalar(op.getValue()),
                        getAddress(getScalar(op.getView()), element, index), bytesOf(element));
  return success();
}

//===----------------------------------------------------------------------------------------------===//
// Packed weights
//===----------------------------------------------------------------------------------------------===//

/// The element `index` of an array that starts at a byte.
Value NvptxEmitter::loadFrom(Value base, Type element, int64_t byte, Value index) {
  Value address = getAddress(getAddress(base, b.getI8Type(), byte), element, index);
  return LLVM::LoadOp::create(b, loc, element, address, bytesOf(element));
}

// A lane is a row. The four columns of a code register's lane are one 32-bit word: neighbouring
// lanes read neighbouring words, with 32 rows all of 128 bytes.
Values NvptxEmitter::emitCodes(const PackedLayout &packed, Value base, Value row) {
  Type i32 = b.getI32Type();
  std::map<int64_t, Value> words;
  Values result;
  for (int64_t column = 0; column < packed.groupColumns; ++column) {
    Value code;
    unsigned position = 0;
    for (auto [number, plane] : llvm::enumerate(packed.planes)) {
      ingot::PackedAddress address = packed.address(number, 0, column);
      int64_t inWord = (address.byte - plane.offset) % 4;
      Value &word = words[address.byte - inWord];
      if (!word)
        word = loadFrom(base, i32, address.byte - inWord, row);
      Value bits = word;
      if (int64_t shift = 8 * inWord + address.shift)
        bits = arith::ShRUIOp::create(b, loc, bits, makeInteger(i32, shift));
      bits = arith::AndIOp::create(b, loc, bits, makeInteger(i32, (1 << plane.bits) - 1));
      if (position)
        bits = arith::ShLIOp::create(b, loc, bits, makeInteger(i32, position));
      code = code ? Value(arith::OrIOp::create(b, loc, code, bits)) : bits;
      position += plane.bits;
    }
    result.push_back(arith::TruncIOp::create(b, loc, b.getI8Type(), code));
  }
  return result;
}

LogicalResult NvptxEmitter::emitDecode(DecodeOp op) {
  ViewType view = op.getView().getType();
  const NumericFormat &format = *NumericFormat::lookup(view.getPacking().getFormat());
  llvm::Expected<PackedLayout> packed = PackedLayout::get(
      format, view.getShape()[0], view.getShape()[1], view.getPacking().getRows());
  if (!packed)
    return refuse(op, llvm::toString(packed.takeError()));
  auto isWhole = [](const PackedPlane &plane) {
    return !plane.isHalfRegister && plane.offset % 4 == 0;
  };
  if (format.isFloat() || !llvm::all_of(packed->planes, isWhole) || packed->groupBytes % 4 != 0 ||
      packed->rowGroupBytes % 4 != 0)
    return refuse(op, "decoding of '" + format.name + "' is not implemented");
  Type f32 = b.getF32Type(), scaleType = packed->scaleBits == 32 ? f32 : Type(b.getF16Type());
  auto scaled = [&](Value index, int64_t divisor, int64_t factor) -> Value {
    Value quotient = arith::DivUIOp::create(b, loc, index, makeIndex(divisor));
    return arith::MulIOp::create(b, loc, quotient, makeIndex(factor));
  };
  Value offset = arith::AddIOp::create(
      b, loc, scaled(getScalar(op.getRow()), packed->interleave, packed->rowGroupBytes),
      scaled(getScalar(op.getColumn()), packed->groupColumns, packed->groupBytes));
  Value base = getAddress(getScalar(op.getView()), b.getI8Type(), offset);
  Value row = getThreadCoordinates(getThreadTile(op.getResult(0).getType()))[0];
  auto loadScale = [&](int64_t byte) -> Value {
    Value scale = loadFrom(base, scaleType, byte, row);
    return scaleType == f32 ? scale : Value(arith::ExtFOp::create(b, loc, f32, scale));
  };
  set(op.getResult(0), emitCodes(*packed, base, row));
  Value scale = loadScale(packed->scaleOffset);
  set(op.getResult(1), scale);
  if (format.hasMinimum) {
    set(op.getResult(2), loadScale(packed->minimumOffset));
    return success();
  }
  Value zero = arith::ConstantOp::create(b, loc, b.getF32FloatAttr(-float(format.codeOffset)));
  if (format.codeOffset != 0)
    zero = arith::MulFOp::create(b, loc, scale, zero);
  else
    zero = arith::ConstantOp::create(b, loc, b.getF32FloatAttr(0.0f));
  set(op.getResult(2), zero);
  return success();
}
