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
using ingot::PackedOrder;
using ingot::PackedPlane;

/// The most that one instruction moves; views start at multiples of it.
static constexpr int64_t largestAccess = 16;

static unsigned byteSizeOf(Type element) { return element.getIntOrFloatBitWidth() / 8; }

Value NvptxEmitter::getAddress(Value base, Type element, Value index) {
  Value number = arith::IndexCastUIOp::create(b, loc, b.getI64Type(), index);
  return LLVM::GEPOp::create(b, loc, base.getType(), element, base, ArrayRef<LLVM::GEPArg>{number});
}

Value NvptxEmitter::getAddress(Value base, Type element, int64_t offset) {
  if (offset == 0)
    return base;
  return LLVM::GEPOp::create(b, loc, base.getType(), element, base,
                             ArrayRef<LLVM::GEPArg>{int32_t(offset)});
}

//===----------------------------------------------------------------------------------------------===//
// Shared memory
//===----------------------------------------------------------------------------------------------===//

static constexpr unsigned sharedSpace = 3;

void NvptxEmitter::emitBarrier() { NVVM::Barrier0Op::create(b, loc); }

static LLVM::GlobalOp createShared(OpBuilder &b, LLVM::LLVMFuncOp function, int64_t bytes,
                                   const Twine &name) {
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPoint(function);
  auto type = LLVM::LLVMArrayType::get(b.getI8Type(), bytes);
  auto global = LLVM::GlobalOp::create(b, function.getLoc(), type, /*isConstant=*/false,
                                       LLVM::Linkage::Internal, name.str(), Attribute(),
                                       largestAccess, sharedSpace);
  b.createBlock(&global.getInitializerRegion()); // undefined until written
  LLVM::ReturnOp::create(b, function.getLoc(),
                         LLVM::PoisonOp::create(b, function.getLoc(), type).getResult());
  return global;
}

Value NvptxEmitter::allocateShared(int64_t bytes) {
  LLVM::GlobalOp global =
      createShared(b, function, bytes, function.getSymName() + ".shared" + Twine(allocations++));
  return LLVM::AddressOfOp::create(b, loc, global);
}

Value NvptxEmitter::getScratch(int64_t bytes) {
  if (!scratch)
    scratch = createShared(b, function, bytes, function.getSymName() + ".scratch");
  if (bytes > scratchBytes) {
    scratchBytes = bytes;
    scratch.erase();
    scratch = createShared(b, function, bytes, function.getSymName() + ".scratch");
  }
  emitBarrier(); // what an earlier move left there has been read
  return LLVM::AddressOfOp::create(b, loc, scratch);
}

LogicalResult NvptxEmitter::emitAlloc(AllocOp op) {
  ViewType type = op.getView().getType();
  int64_t elements = 1;
  for (auto [size, stride] : llvm::zip_equal(type.getShape(), type.getStrides()))
    elements += (size - 1) * stride;
  if (type.getElementType().isInteger(1))
    return refuse(op, "expected elements of whole bytes");
  sharedBytes += llvm::alignTo(elements * byteSizeOf(type.getElementType()), largestAccess);
  constexpr int64_t mostShared = 48 << 10; // more must be dynamic
  if (sharedBytes > mostShared)
    return refuse(op, "its shared memory of " + Twine(sharedBytes) + " bytes exceeds " +
                          Twine(mostShared));
  set(op, allocateShared(elements * byteSizeOf(type.getElementType())));
  return success();
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
  if (isa<arith::SubIOp, arith::RemUIOp>(op))
    return std::min(getDivisor(op->getOperand(0)), getDivisor(op->getOperand(1)));
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
  if (access.isSeparable)
    while (2 * access.run <= tile.registers &&
           2 * access.run * byteSizeOf(type.getElementType()) <= largestAccess &&
           canMoveTogether(tile, type, offsets, 2 * access.run) &&
           isMaskedTogether(access, offsets, tile, 2 * access.run))
      access.run *= 2;
  return access;
}

/// Whether of `run` registers all are inside of the view or none is.
bool NvptxEmitter::isMaskedTogether(const Access &access, ValueRange offsets,
                                    const ThreadTile &tile, int64_t run) {
  unsigned leading = access.view.getRank() - tile.type.getRank();
  for (auto [dim, left] : access.limits) {
    int64_t first = tile.getCoordinates(0)[dim], span = 1;
    for (int64_t i = 1; i < run; ++i)
      span = std::max(span, (tile.getCoordinates(i)[dim] ^ first) + 1);
    int64_t size = access.view.getShape()[leading + dim];
    if (span > 1 &&
        (size < 0 || size % span != 0 || getDivisor(offsets[leading + dim]) % span != 0))
      return false;
  }
  return true;
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

/// What lies at `address`, 0 where the condition (if there is one) does not hold: then the start of
/// the view is read instead. No branch, so that the assembler may start many loads before it waits
/// for one.
Value NvptxEmitter::loadWhere(Value condition, Type type, Value address, Value start) {
  int64_t bytes = byteSizeOf(getElementTypeOrSelf(type));
  if (auto vector = dyn_cast<VectorType>(type))
    bytes *= vector.getNumElements();
  if (!condition)
    return LLVM::LoadOp::create(b, loc, type, address, bytes);
  address = LLVM::SelectOp::create(b, loc, condition, address, start);
  Value loaded = LLVM::LoadOp::create(b, loc, type, address, bytes);
  Value zero = arith::ConstantOp::create(b, loc, b.getZeroAttr(type));
  return LLVM::SelectOp::create(b, loc, condition, loaded, zero);
}

void NvptxEmitter::appendElements(Values &registers, Value loaded) {
  auto vector = dyn_cast<VectorType>(loaded.getType());
  if (!vector)
    return registers.push_back(loaded);
  for (int64_t i = 0; i < vector.getNumElements(); ++i)
    registers.push_back(
        LLVM::ExtractElementOp::create(b, loc, loaded, makeInteger(b.getI32Type(), i)));
}

LogicalResult NvptxEmitter::emitLoad(LoadOp op) {
  Type element = op.getType().getElementType();
  if (element.isInteger(1))
    return refuse(op, "expected elements of whole bytes");
  const ThreadTile &tile = getThreadTile(op.getType());
  Access access = getAccess(op.getView(), op.getOffsets(), tile, op.getMasked());
  Values registers;
  std::map<SmallVector<int64_t>, Value> known; // replicated registers are loaded once
  Type piece = access.run > 1 ? Type(VectorType::get(access.run, element)) : element;
  for (int64_t i = 0; i < tile.registers; i += access.run) {
    Value &loaded = known[SmallVector<int64_t>(tile.getCoordinates(i))];
    if (!loaded)
      loaded = loadWhere(isInside(access, tile, i), piece, getElement(access, tile, i),
                         getScalar(op.getView()));
    appendElements(registers, loaded);
  }
  set(op, registers);
  return success();
}

/// Of the threads that hold the same elements, one writes: the one whose other bits are 0. Whether
/// this is it; i1, null where all are.
Value NvptxEmitter::isWriter(const ThreadTile &tile) {
  Value isOne;
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
    isOne = isOne ? Value(arith::AndIOp::create(b, loc, isOne, isFirst)) : isFirst;
  }
  return isOne;
}

/// `run` registers from `first` on as one value.
Value NvptxEmitter::packRun(const Values &registers, int64_t first, int64_t run) {
  if (run == 1)
    return registers[first];
  Value packed = LLVM::PoisonOp::create(b, loc, VectorType::get(run, registers[first].getType()));
  for (int64_t i = 0; i < run; ++i)
    packed = LLVM::InsertElementOp::create(b, loc, packed, registers[first + i],
                                           makeInteger(b.getI32Type(), i));
  return packed;
}

LogicalResult NvptxEmitter::emitStore(StoreOp op) {
  Type element = op.getValue().getType().getElementType();
  if (element.isInteger(1))
    return refuse(op, "expected elements of whole bytes");
  const ThreadTile &tile = getThreadTile(op.getValue().getType());
  OpBuilder::InsertionGuard guard(b);
  auto enter = [&](Value condition) {
    if (condition)
      b.setInsertionPointToStart(
          scf::IfOp::create(b, loc, condition, /*withElseRegion=*/false).thenBlock());
  };
  enter(isWriter(tile));
  Access access = getAccess(op.getView(), op.getOffsets(), tile, op.getMasked());
  Values registers = get(op.getValue());
  std::set<SmallVector<int64_t>> written;
  for (int64_t i = 0; i < tile.registers; i += access.run) {
    if (!written.insert(SmallVector<int64_t>(tile.getCoordinates(i))).second)
      continue;
    OpBuilder::InsertionGuard inner(b);
    Value stored = packRun(registers, i, access.run);
    enter(isInside(access, tile, i));
    LLVM::StoreOp::create(b, loc, stored, getElement(access, tile, i),
                          access.run * byteSizeOf(element));
  }
  return success();
}

//===----------------------------------------------------------------------------------------------===//
// Gathers and scatters
//===----------------------------------------------------------------------------------------------===//

/// The register of `reduced`, a tile reduced from `tile`, that belongs to a register of `tile`.
static int64_t findReduced(const ThreadTile &reduced, const ThreadTile &tile, int64_t index) {
  Coordinates wanted = tile.getCoordinates(index);
  for (auto [coordinate, size] : llvm::zip_equal(wanted, reduced.type.getShape()))
    coordinate = std::min(coordinate, size - 1);
  for (int64_t i = 0; i < reduced.registers; ++i)
    if (reduced.getCoordinates(i) == wanted)
      return i;
  return 0; // layouts of tiles reach every element
}

NvptxEmitter::IndexedAccess NvptxEmitter::getIndexedAccess(const ThreadTile &tile, Value view,
                                                           ValueRange offsets, ValueRange indices,
                                                           ArrayRef<int64_t> dims, Value mask) {
  auto type = cast<ViewType>(view.getType());
  unsigned leading = type.getRank() - tile.type.getRank();
  IndexedAccess access = {type, getScalar(view), {}, {}, mask, 1};
  Value sum = makeIndex(0);
  auto add = [&](Value part, int64_t stride) {
    sum = arith::AddIOp::create(b, loc, sum, timesConstant(part, stride));
  };
  bool isAligned[5] = {true, true, true, true, true}; // to runs of 2, 4, 8, 16
  auto align = [&](int64_t divisor) {
    for (int bit = 1; bit < 5; ++bit)
      isAligned[bit] &= divisor % (1 << bit) == 0;
  };
  for (unsigned dim = 0; dim < type.getRank(); ++dim) {
    int64_t stride = type.getStrides()[dim];
    add(getScalar(offsets[dim]), stride);
    align(getDivisor(offsets[dim]) * stride);
    auto indexed = llvm::find(dims, int64_t(dim));
    if (indexed != dims.end()) {
      access.indices.push_back({indices[indexed - dims.begin()], stride});
      align(stride);
    } else if (dim >= leading) {
      add(getThreadCoordinates(tile)[dim - leading], stride);
      for (int64_t bits = tile.getThreadBits(dim - leading); bits != 0; bits &= bits - 1)
        align((bits & -bits) * stride);
      access.strides.push_back(stride);
      continue;
    }
    if (dim >= leading)
      access.strides.push_back(0);
  }
  access.base = getAddress(access.base, type.getElementType(), sum);
  // Registers of a run share their indices and mask and lie side by side.
  SmallVector<Value> shared(indices);
  if (mask)
    shared.push_back(mask);
  auto isRun = [&](int64_t run) {
    for (int64_t i = 0; i < tile.registers; ++i) {
      int64_t first = i - i % run, start = getDistance(tile, first, access.strides);
      if (start % run != 0 || getDistance(tile, i, access.strides) != start + i % run)
        return false;
      for (Value reduced : shared) {
        const ThreadTile &other = getThreadTile(reduced.getType());
        if (findReduced(other, tile, i) != findReduced(other, tile, first))
          return false;
      }
    }
    return true;
  };
  for (int bit = 1; bit < 5; ++bit) {
    int64_t run = int64_t(1) << bit;
    if (!tile.isSeparable() || !isAligned[bit] || run > tile.registers ||
        run * byteSizeOf(type.getElementType()) > largestAccess || !isRun(run))
      break;
    access.run = run;
  }
  return access;
}

Value NvptxEmitter::getIndexedElement(const IndexedAccess &access, const ThreadTile &tile,
                                      int64_t index) {
  Value address = access.base;
  Type element = access.view.getElementType();
  for (auto [indices, stride] : access.indices) {
    const ThreadTile &reduced = getThreadTile(indices.getType());
    Value number = arith::IndexCastOp::create(b, loc, b.getIndexType(),
                                              get(indices)[findReduced(reduced, tile, index)]);
    address = getAddress(address, element, timesConstant(number, stride));
  }
  return getAddress(address, element, getDistance(tile, index, access.strides));
}

LogicalResult NvptxEmitter::emitGather(GatherOp op) {
  const ThreadTile &tile = getThreadTile(op.getType());
  Type element = tile.type.getElementType();
  if (element.isInteger(1) || !tile.isSeparable())
    return refuse(op, "expected elements of whole bytes in a layout without shared bits");
  IndexedAccess access = getIndexedAccess(tile, op.getView(), op.getOffsets(), op.getIndices(),
                                          op.getDims(), op.getMask());
  Type piece = access.run > 1 ? Type(VectorType::get(access.run, element)) : element;
  Values registers;
  for (int64_t i = 0; i < tile.registers; i += access.run) {
    Value isWanted;
    if (access.mask)
      isWanted = get(access.mask)[findReduced(getThreadTile(access.mask.getType()), tile, i)];
    Value loaded =
        loadWhere(isWanted, piece, getIndexedElement(access, tile, i), getScalar(op.getView()));
    appendElements(registers, loaded);
  }
  set(op, registers);
  return success();
}

LogicalResult NvptxEmitter::emitScatter(ScatterOp op) {
  const ThreadTile &tile = getThreadTile(op.getValue().getType());
  Type element = tile.type.getElementType();
  if (element.isInteger(1) || !tile.isSeparable())
    return refuse(op, "expected elements of whole bytes in a layout without shared bits");
  OpBuilder::InsertionGuard guard(b);
  auto enter = [&](Value condition) {
    if (condition)
      b.setInsertionPointToStart(
          scf::IfOp::create(b, loc, condition, /*withElseRegion=*/false).thenBlock());
  };
  enter(isWriter(tile));
  IndexedAccess access = getIndexedAccess(tile, op.getView(), op.getOffsets(), op.getIndices(),
                                          op.getDims(), op.getMask());
  Values registers = get(op.getValue());
  std::set<SmallVector<int64_t>> written;
  for (int64_t i = 0; i < tile.registers; i += access.run) {
    if (!written.insert(SmallVector<int64_t>(tile.getCoordinates(i))).second)
      continue;
    OpBuilder::InsertionGuard inner(b);
    Value stored = packRun(registers, i, access.run);
    if (access.mask)
      enter(get(access.mask)[findReduced(getThreadTile(access.mask.getType()), tile, i)]);
    LLVM::StoreOp::create(b, loc, stored, getIndexedElement(access, tile, i),
                          access.run * byteSizeOf(element));
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
  if (op.getType().isInteger(1))
    return refuse(op, "expected elements of whole bytes");
  Value index =
      getScalarIndex(b, loc, view, [&](unsigned dim) { return getScalar(op.getOffsets()[dim]); });
  Value address = getAddress(getScalar(op.getView()), view.getElementType(), index);
  set(op,
      LLVM::LoadOp::create(b, loc, op.getType(), address, byteSizeOf(op.getType())).getResult());
  return success();
}

LogicalResult NvptxEmitter::emitWrite(WriteOp op) {
  ViewType view = op.getView().getType();
  Type element = view.getElementType();
  if (element.isInteger(1))
    return refuse(op, "expected elements of whole bytes");
  // A scalar is the same in all threads: each writes it, and sees what it wrote.
  Value index =
      getScalarIndex(b, loc, view, [&](unsigned dim) { return getScalar(op.getOffsets()[dim]); });
  LLVM::StoreOp::create(b, loc, getScalar(op.getValue()),
                        getAddress(getScalar(op.getView()), element, index), byteSizeOf(element));
  return success();
}

//===----------------------------------------------------------------------------------------------===//
// Packed weights
//===----------------------------------------------------------------------------------------------===//

/// The element `index` of an array that starts at a byte.
Value NvptxEmitter::loadFrom(Value base, Type element, int64_t byte, Value index) {
  Value address = getAddress(getAddress(base, b.getI8Type(), byte), element, index);
  return LLVM::LoadOp::create(b, loc, element, address, byteSizeOf(element));
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

/// `bytes` bytes as 32-bit words, by the widest loads that their number allows; at least one word.
Values NvptxEmitter::emitWords(Value base, int64_t bytes) {
  Type i32 = b.getI32Type();
  Values words;
  int64_t piece = std::min<int64_t>(bytes & -bytes, largestAccess);
  for (int64_t byte = 0; byte < bytes; byte += piece) {
    Value address = getAddress(base, b.getI8Type(), byte);
    if (piece <= 4) {
      Type narrow = b.getIntegerType(8 * piece);
      Value word = LLVM::LoadOp::create(b, loc, narrow, address, piece);
      words.push_back(piece == 4 ? word : Value(arith::ExtUIOp::create(b, loc, i32, word)));
      continue;
    }
    Value loaded = LLVM::LoadOp::create(b, loc, VectorType::get(piece / 4, i32), address, piece);
    for (int64_t i = 0; i < piece / 4; ++i)
      words.push_back(LLVM::ExtractElementOp::create(b, loc, loaded, makeInteger(i32, i)));
  }
  return words;
}

/// Codes `column` and `column + 1` of a group in the halves of a 32-bit word.
Value NvptxEmitter::emitCodePair(const PackedLayout &packed, ArrayRef<Values> words,
                                 int64_t column) {
  Type i32 = b.getI32Type();
  Value pair;
  unsigned position = 0;
  for (auto [plane, loaded] : llvm::zip_equal(packed.planes, words)) {
    ingot::PackedAddress place = getPlanarAddress(plane, column);
    Value bits = loaded[place.byte / 4];
    int64_t shift = 8 * (place.byte % 4) + place.shift;
    if (plane.bytes < 4) { // half a word: its upper byte goes to the upper half
      Value upper = arith::ShLIOp::create(b, loc, bits, makeInteger(i32, 8));
      bits = arith::OrIOp::create(b, loc, bits, upper);
    }
    if (shift)
      bits = arith::ShRUIOp::create(b, loc, bits, makeInteger(i32, shift));
    int64_t mask = (1 << plane.bits) - 1;
    bits = arith::AndIOp::create(b, loc, bits, makeInteger(i32, mask << 16 | mask));
    if (position)
      bits = arith::ShLIOp::create(b, loc, bits, makeInteger(i32, position));
    pair = pair ? Value(arith::OrIOp::create(b, loc, pair, bits)) : bits;
    position += plane.bits;
  }
  return pair;
}

std::array<Value, 2> NvptxEmitter::bytesOf(Value pair) {
  Value upper = arith::ShRUIOp::create(b, loc, pair, makeInteger(b.getI32Type(), 16));
  return {arith::TruncIOp::create(b, loc, b.getI8Type(), pair),
          arith::TruncIOp::create(b, loc, b.getI8Type(), upper)};
}

/// The codes as f16: the bits of 1024 + code are those of 1024 and the code; signed codes are
/// shifted by 128 first.
std::array<Value, 2> NvptxEmitter::halvesOf(Value pair, const NumericFormat &format) {
  Type i32 = b.getI32Type(), halves = VectorType::get(2, b.getF16Type());
  constexpr int64_t bitsOf1024 = 0x64006400, signs = 0x00800080;
  double offset = 1024;
  if (format.codesAreSigned) {
    pair = arith::XOrIOp::create(b, loc, pair, makeInteger(i32, signs));
    offset += 128;
  }
  pair = arith::OrIOp::create(b, loc, pair, makeInteger(i32, bitsOf1024));
  Value shifted = LLVM::BitcastOp::create(b, loc, halves, pair);
  auto zero =
      DenseElementsAttr::get(cast<ShapedType>(halves), b.getF16FloatAttr(offset).getValue());
  Value codes = arith::SubFOp::create(b, loc, shifted, arith::ConstantOp::create(b, loc, zero));
  auto take = [&](int64_t i) -> Value {
    return LLVM::ExtractElementOp::create(b, loc, codes, makeInteger(i32, i));
  };
  return {take(0), take(1)};
}

/// How many columns of a group the lowest registers hold.
static int64_t getColumnRun(const ThreadTile &tile, int64_t group) {
  int64_t run = 1;
  for (const Coordinates &basis : tile.layout.getBases(0)) {
    if (run == group || basis[0] != 0 || basis[1] != run)
      break;
    run *= 2;
  }
  return run;
}

// The bytes of a group of one row lie side by side in each plane, so do those of a part of it that
// is whole words.
LogicalResult NvptxEmitter::emitPlanar(DecodeOp op, const PackedLayout &packed) {
  const ThreadTile &tile = getThreadTile(op.getResult(0).getType());
  int64_t group = packed.groupColumns, run = getColumnRun(tile, group);
  constexpr int64_t wordBits = 32;
  for (const PackedPlane &plane : packed.planes)
    if (run < group && run * plane.bits % wordBits != 0)
      return refuse(op, "a lane has " + Twine(run) + " columns of " + Twine(plane.bits) +
                            " bits, which is no whole word");
  SmallVector<PlanarPart> parts; // by the number of the scale's register
  Values codes;
  bool isHalf = tile.type.getElementType().isF16();
  for (int64_t first = 0; first < tile.registers; first += run) {
    PlanarPart part = locatePlanar(op, packed, tile, first);
    SmallVector<Values> words; // of each plane
    for (const PackedPlane &plane : packed.planes) {
      Value byte = addTo(timesConstant(part.record, plane.bytes), plane.offset);
      if (run < group)
        byte = arith::AddIOp::create(b, loc, byte, timesEighths(part.inGroup, plane.bits));
      words.push_back(
          emitWords(getAddress(part.rowGroup, b.getI8Type(), byte), run * plane.bits / 8));
    }
    for (int64_t column = 0; column < run; column += 2) {
      Value pair = emitCodePair(packed, words, column);
      if (part.isInside)
        pair = arith::SelectOp::create(b, loc, part.isInside, pair, makeInteger(pair.getType(), 0));
      for (Value code : isHalf ? halvesOf(pair, *packed.format) : bytesOf(pair))
        codes.push_back(code);
    }
    if (tile.getCoordinates(first)[1] % group == 0)
      parts.push_back(part);
  }
  set(op.getResult(0), codes);
  Values scales, minimums;
  for (const PlanarPart &part : parts)
    emitPlanarScale(packed, part, scales, minimums);
  set(op.getResult(1), scales);
  set(op.getResult(2), minimums);
  return success();
}

NvptxEmitter::PlanarPart NvptxEmitter::locatePlanar(DecodeOp op, const PackedLayout &packed,
                                                    const ThreadTile &tile, int64_t first) {
  PlanarPart part;
  Value row = arith::AddIOp::create(b, loc, getScalar(op.getRow()), getCoordinate(tile, first, 0));
  if (packed.rows % tile.type.getDimSize(0) != 0)
    row = arith::MinUIOp::create(b, loc, row, makeIndex(packed.rows - 1));
  Value column =
      arith::AddIOp::create(b, loc, getScalar(op.getColumn()), getCoordinate(tile, first, 1));
  if (op.getMasked()) {
    part.isInside =
        arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ult, column, makeIndex(packed.columns));
    column = arith::SelectOp::create(b, loc, part.isInside, column, makeIndex(0));
  }
  Value group = arith::DivUIOp::create(b, loc, column, makeIndex(packed.groupColumns));
  part.inGroup = arith::RemUIOp::create(b, loc, column, makeIndex(packed.groupColumns));
  Value rowGroup = arith::DivUIOp::create(b, loc, row, makeIndex(packed.interleave)),
        inRowGroup = arith::RemUIOp::create(b, loc, row, makeIndex(packed.interleave));
  part.rowGroup = getAddress(getScalar(op.getView()), b.getI8Type(),
                             timesConstant(rowGroup, packed.rowGroupBytes));
  part.record =
      arith::AddIOp::create(b, loc, timesConstant(inRowGroup, packed.groupsPerRow), group);
  return part;
}

void NvptxEmitter::emitPlanarScale(const PackedLayout &packed, const PlanarPart &part,
                                   Values &scales, Values &minimums) {
  Type f32 = b.getF32Type(), stored = packed.scaleBits == 32 ? f32 : Type(b.getF16Type());
  Value base =
      getAddress(part.rowGroup, b.getI8Type(),
                 addTo(timesConstant(part.record, packed.getScaleStride()), packed.scaleOffset));
  Value zero = arith::ConstantOp::create(b, loc, b.getF32FloatAttr(0.0f));
  auto convert = [&](Value number) {
    if (stored != f32)
      number = arith::ExtFOp::create(b, loc, f32, number);
    return part.isInside ? Value(arith::SelectOp::create(b, loc, part.isInside, number, zero))
                         : number;
  };
  if (!packed.format->hasMinimum) {
    scales.push_back(convert(LLVM::LoadOp::create(b, loc, stored, base, byteSizeOf(stored))));
    minimums.push_back(makeMinimum(*packed.format, scales.back()));
    return;
  }
  Value both =
      LLVM::LoadOp::create(b, loc, VectorType::get(2, stored), base, 2 * byteSizeOf(stored));
  auto take = [&](int64_t i) -> Value {
    return LLVM::ExtractElementOp::create(b, loc, both, makeInteger(b.getI32Type(), i));
  };
  scales.push_back(convert(take(0)));
  minimums.push_back(convert(take(1)));
}

Value NvptxEmitter::timesConstant(Value index, int64_t factor) {
  return arith::MulIOp::create(b, loc, index, makeIndex(factor));
}
Value NvptxEmitter::addTo(Value index, int64_t number) {
  return arith::AddIOp::create(b, loc, index, makeIndex(number));
}
/// Bytes of `count` codes of `bits` bits.
Value NvptxEmitter::timesEighths(Value count, int64_t bits) {
  return arith::DivUIOp::create(b, loc, timesConstant(count, bits), makeIndex(8));
}

/// What a format without minimums adds: its zero code, scaled.
Value NvptxEmitter::makeMinimum(const NumericFormat &format, Value scale) {
  if (format.codeOffset == 0)
    return arith::ConstantOp::create(b, loc, b.getF32FloatAttr(0.0f));
  Value zero = arith::ConstantOp::create(b, loc, b.getF32FloatAttr(-float(format.codeOffset)));
  return arith::MulFOp::create(b, loc, scale, zero);
}

LogicalResult NvptxEmitter::emitDecode(DecodeOp op) {
  ViewType view = op.getView().getType();
  const NumericFormat &format = *NumericFormat::lookup(view.getPacking().getFormat());
  bool isPlanar = view.getPacking().getPlanar();
  llvm::Expected<PackedLayout> packed =
      PackedLayout::get(format, view.getShape()[0], view.getShape()[1], view.getPacking().getRows(),
                        isPlanar ? PackedOrder::Planar : PackedOrder::Interleaved);
  if (!packed)
    return refuse(op, llvm::toString(packed.takeError()));
  if (isPlanar)
    return emitPlanar(op, *packed);
  auto isWhole = [](const PackedPlane &plane) {
    return !plane.isHalfRegister && plane.offset % 4 == 0;
  };
  if (!format.isFloat() && (!format.isAffine() || !llvm::all_of(packed->planes, isWhole) ||
                            packed->groupBytes % 4 != 0 || packed->rowGroupBytes % 4 != 0))
    return refuse(op, "decoding of '" + format.name + "' is not implemented");
  Type f32 = b.getF32Type(), f16 = b.getF16Type();
  auto scaled = [&](Value index, int64_t divisor, int64_t factor) -> Value {
    Value quotient = arith::DivUIOp::create(b, loc, index, makeIndex(divisor));
    return arith::MulIOp::create(b, loc, quotient, makeIndex(factor));
  };
  Value rowGroup = scaled(getScalar(op.getRow()), packed->interleave, packed->rowGroupBytes);
  auto addressOf = [&](int64_t columns, int64_t bytes) {
    Value inRowGroup = scaled(getScalar(op.getColumn()), columns, bytes);
    return getAddress(getScalar(op.getView()), b.getI8Type(),
                      arith::AddIOp::create(b, loc, rowGroup, inRowGroup).getResult());
  };
  Value base = addressOf(packed->groupColumns, packed->groupBytes);
  const ThreadTile &tile = getThreadTile(op.getResult(0).getType());
  Value row = getThreadCoordinates(tile)[0];
  if (format.isFloat()) { // a record is a column: R floats, one for each lane
    Type stored = format.name == "f32"    ? f32
                  : format.name == "bf16" ? Type(b.getBF16Type())
                                          : b.getF16Type();
    Values values;
    for (int64_t column = 0; column < tile.type.getDimSize(1); ++column) {
      Value value = loadFrom(base, stored, column * packed->groupBytes, row);
      values.push_back(stored == f32 ? value : Value(arith::ExtFOp::create(b, loc, f32, value)));
    }
    set(op.getResult(0), values);
    return success();
  }
  auto loadHalf = [&](Value from, int64_t byte) -> Value {
    return arith::ExtFOp::create(b, loc, f32, loadFrom(from, f16, byte, row));
  };
  // `byte` in the record; `ofBlock`: behind the block's scale, where there is one.
  auto loadScale = [&](int64_t byte, int64_t ofBlock) -> Value {
    if (!packed->hasBlockScales())
      return loadHalf(base, byte);
    Value sub = arith::SIToFPOp::create(b, loc, f32, loadFrom(base, b.getI8Type(), byte, row));
    Value block = addressOf(format.blockElements, packed->blockScaleBytes);
    return arith::MulFOp::create(b, loc, loadHalf(block, packed->blockScaleOffset + ofBlock), sub);
  };
  set(op.getResult(0), emitCodes(*packed, base, row));
  Value scale = loadScale(packed->scaleOffset, 0);
  set(op.getResult(1), scale);
  set(op.getResult(2), format.hasMinimum
                           ? loadScale(packed->minimumOffset, packed->getBlockMinimumDistance())
                           : makeMinimum(format, scale));
  return success();
}
