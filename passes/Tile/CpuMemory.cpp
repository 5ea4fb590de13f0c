//===- CpuMemory.cpp - Loads, stores and decoding on a CPU -----------------------------------------------===//
//
// The elements of one vector have constant distances from the tile's first: whether they are one
// number for all lanes, a contiguous piece of memory or scattered is seen by looking at all of
// them. Masked accesses touch no memory outside of the view: loads of what is outside are
// redirected to a constant of zeros, stores are skipped.
//
//===----------------------------------------------------------------------------------------------===//

#include "ingot/Support/Packing.h"
#include "passes/Tile/CpuEmitter.h"
#include "llvm/Support/MathExtras.h"
#include <set>

using namespace mlir;
using namespace ingot::tile;

static unsigned bytesOf(Type element) { return element.getIntOrFloatBitWidth() / 8; }

Value CpuEmitter::getAddress(Value base, Type element, int64_t offset) {
  if (offset == 0)
    return base;
  return LLVM::GEPOp::create(b, loc, LLVM::LLVMPointerType::get(b.getContext()), element, base,
                             ArrayRef<LLVM::GEPArg>{int32_t(offset)});
}

Value CpuEmitter::getAddress(Value view, ValueRange offsets) {
  auto type = cast<ViewType>(view.getType());
  Value sum;
  for (auto [offset, stride] : llvm::zip_equal(offsets, type.getStrides())) {
    Value part = getScalar(offset);
    if (stride != 1)
      part = arith::MulIOp::create(b, loc, part, makeIndex(stride));
    sum = sum ? Value(arith::AddIOp::create(b, loc, sum, part)) : part;
  }
  Value index = arith::IndexCastOp::create(b, loc, b.getI64Type(), sum);
  return LLVM::GEPOp::create(b, loc, LLVM::LLVMPointerType::get(b.getContext()),
                             type.getElementType(), getScalar(view), ArrayRef<LLVM::GEPArg>{index});
}

/// Distances of a vector's elements from the tile's first element.
static SmallVector<int64_t> getDistances(const PhysicalTile &tile, int64_t vector, ViewType view) {
  ArrayRef<int64_t> strides = view.getStrides().take_back(tile.type.getRank());
  SmallVector<int64_t> result;
  for (int64_t position = 0; position < tile.getVectorSize(); ++position) {
    int64_t distance = 0;
    for (auto [coordinate, stride] :
         llvm::zip_equal(tile.getCoordinates(vector, position), strides))
      distance += coordinate * stride;
    result.push_back(distance);
  }
  return result;
}

//===----------------------------------------------------------------------------------------------===//
// Loads
//===----------------------------------------------------------------------------------------------===//

Value CpuEmitter::loadVector(Value base, Type element, ArrayRef<int64_t> offsets, int64_t packed) {
  if (element.isBF16())
    return asBF16(loadVector(base, b.getI16Type(), offsets, packed));
  int64_t size = offsets.size(), low = *llvm::min_element(offsets),
          high = *llvm::max_element(offsets);
  auto vectorOf = [](int64_t n, Type type) { return VectorType::get(n, type); };
  auto load = [&](Type type, int64_t offset) -> Value {
    return LLVM::LoadOp::create(b, loc, type, getAddress(base, element, offset), bytesOf(element));
  };
  if (low == high)
    return vector::BroadcastOp::create(b, loc, vectorOf(size, element), load(element, low));
  // The same few numbers in every lane: one scalar of their bits for all lanes.
  bool isPeriodic = packed > 1;
  for (int64_t i = 0; i < size; ++i)
    isPeriodic = isPeriodic && offsets[i] == offsets[0] + i % packed;
  if (isPeriodic && size > packed) {
    Type bits = b.getIntegerType(packed * element.getIntOrFloatBitWidth());
    Value lanes =
        vector::BroadcastOp::create(b, loc, vectorOf(size / packed, bits), load(bits, offsets[0]));
    return vector::BitCastOp::create(b, loc, vectorOf(size, element), lanes);
  }
  // A piece of memory, perhaps in another order or with gaps.
  int64_t span = high - low + 1;
  if (span <= 2 * size && span * bytesOf(element) <= zeroBytes) {
    SmallVector<int64_t> mask;
    for (int64_t offset : offsets)
      mask.push_back(offset - low);
    Value piece = load(vectorOf(span, element), low);
    return shuffle(piece, piece, mask);
  }
  Value gathered = makeZero(vectorOf(size, element));
  for (auto [i, offset] : llvm::enumerate(offsets))
    gathered = vector::InsertOp::create(b, loc, load(element, offset), gathered,
                                        ArrayRef<int64_t>{int64_t(i)});
  return gathered;
}

/// An upper bound of an index, where one is plain to see: constants, loops with constant bounds,
/// constant grids.
static std::optional<int64_t> getUpperBound(Value index) {
  APInt constant;
  if (matchPattern(index, m_ConstantInt(&constant)))
    return constant.getSExtValue();
  if (auto id = index.getDefiningOp<BlockIdOp>()) {
    ExtentAttr extent = id->getParentOfType<KernelOp>().getExtent(unsigned(id.getAxis()));
    return extent.getCount() ? std::nullopt : std::optional(extent.getAddend() - 1);
  }
  if (auto argument = dyn_cast<BlockArgument>(index)) {
    auto loop = dyn_cast<scf::ForOp>(argument.getOwner()->getParentOp());
    APInt low, high, step;
    if (!loop || loop.getInductionVar() != index ||
        !matchPattern(loop.getLowerBound(), m_ConstantInt(&low)) ||
        !matchPattern(loop.getUpperBound(), m_ConstantInt(&high)) ||
        !matchPattern(loop.getStep(), m_ConstantInt(&step)) || step.getSExtValue() <= 0)
      return std::nullopt;
    int64_t range = std::max<int64_t>(high.getSExtValue() - 1 - low.getSExtValue(), 0);
    return low.getSExtValue() + range / step.getSExtValue() * step.getSExtValue();
  }
  Operation *op = index.getDefiningOp();
  if (!isa_and_nonnull<arith::AddIOp, arith::MulIOp>(op))
    return std::nullopt;
  std::optional<int64_t> a = getUpperBound(op->getOperand(0)), b = getUpperBound(op->getOperand(1));
  int64_t result;
  if (!a || !b || *a < 0 || *b < 0)
    return std::nullopt;
  bool overflows = isa<arith::AddIOp>(op) ? llvm::AddOverflow(*a, *b, result)
                                          : llvm::MulOverflow(*a, *b, result);
  return overflows ? std::nullopt : std::optional(result);
}

/// Whether offset + tileSize <= size of the view is plain to see.
static bool isAlwaysInside(Value offset, int64_t tileSize, int64_t size) {
  if (size >= 0) {
    std::optional<int64_t> bound = getUpperBound(offset);
    return bound && *bound + tileSize <= size;
  }
  auto id = offset.getDefiningOp<BlockIdOp>(); // one block for each: below the count
  if (!id || tileSize != 1)
    return false;
  ExtentAttr extent = id->getParentOfType<KernelOp>().getExtent(unsigned(id.getAxis()));
  return extent == ExtentAttr::get(id.getContext(), ViewType::countOf(size));
}

SmallVector<CpuEmitter::Limit> CpuEmitter::getLimits(ViewType view, RankedTensorType tile,
                                                     ValueRange offsets) {
  SmallVector<Limit> limits;
  unsigned leading = view.getRank() - tile.getRank();
  for (unsigned dim = 0; dim < tile.getRank(); ++dim) {
    int64_t size = view.getShape()[leading + dim];
    if (size == ViewType::unknown)
      continue; // one element, always inside
    if (isAlwaysInside(offsets[leading + dim], tile.getDimSize(dim), size))
      continue;
    Value extent = size >= 0 ? makeIndex(size) : counts[unsigned(ViewType::countOf(size))];
    limits.push_back(
        {dim, arith::SubIOp::create(b, loc, extent, getScalar(offsets[leading + dim]))});
  }
  return limits;
}

Value CpuEmitter::isInside(ArrayRef<Limit> limits, const Coordinates &at) {
  Value inside;
  for (const Limit &limit : limits) {
    Value here = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::slt, makeIndex(at[limit.dim]),
                                       limit.left);
    inside = inside ? Value(arith::AndIOp::create(b, loc, inside, here)) : here;
  }
  return inside;
}

/// Largest coordinates in a vector, and whether the limited ones are the same for all its elements.
static Coordinates getLast(const PhysicalTile &tile, int64_t vector,
                           function_ref<bool(unsigned)> isLimited, bool &isUniform) {
  Coordinates last = tile.getCoordinates(vector, 0);
  isUniform = true;
  for (int64_t position = 1; position < tile.getVectorSize(); ++position)
    for (auto [dim, coordinate] : llvm::enumerate(tile.getCoordinates(vector, position))) {
      isUniform = isUniform && (!isLimited(dim) || coordinate == last[dim]);
      last[dim] = std::max(last[dim], coordinate);
    }
  return last;
}

Value CpuEmitter::loadMasked(Value base, const PhysicalTile &tile, int64_t vector,
                             ArrayRef<Limit> limits, ArrayRef<int64_t> offsets) {
  auto isLimited = [&](unsigned dim) {
    return llvm::any_of(limits, [&](const Limit &limit) { return limit.dim == dim; });
  };
  Type element = tile.type.getElementType();
  bool isBF16 = element.isBF16();
  if (isBF16)
    element = b.getI16Type();
  auto finish = [&](Value loaded) { return isBF16 ? asBF16(loaded) : loaded; };
  bool isUniform;
  Coordinates last = getLast(tile, vector, isLimited, isUniform);
  int64_t low = *llvm::min_element(offsets), high = *llvm::max_element(offsets);
  int64_t loaded = (high - low + 1) * bytesOf(element);
  if (isUniform && loaded <= zeroBytes) { // all or nothing: read zeros instead
    Value address = arith::SelectOp::create(b, loc, isInside(limits, last),
                                            getAddress(base, element, low), getZeros());
    SmallVector<int64_t> fromLow(offsets);
    for (int64_t &offset : fromLow)
      offset -= low;
    return finish(loadVector(address, element, fromLow, tile.pack));
  }
  VectorType type = tile.getVectorType(element);
  auto whole = scf::IfOp::create(b, loc, TypeRange{type}, isInside(limits, last),
                                 /*hasElse=*/true);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(whole.thenBlock());
  scf::YieldOp::create(b, loc, loadVector(base, element, offsets, tile.pack));
  b.setInsertionPointToStart(whole.elseBlock());
  Value gathered = makeZero(type);
  for (auto [i, offset] : llvm::enumerate(offsets)) {
    Value address =
        arith::SelectOp::create(b, loc, isInside(limits, tile.getCoordinates(vector, i)),
                                getAddress(base, element, offset), getZeros());
    Value scalar = LLVM::LoadOp::create(b, loc, element, address, bytesOf(element));
    gathered = vector::InsertOp::create(b, loc, scalar, gathered, ArrayRef<int64_t>{int64_t(i)});
  }
  scf::YieldOp::create(b, loc, gathered);
  b.setInsertionPointAfter(whole);
  return finish(whole.getResult(0));
}

LogicalResult CpuEmitter::emitLoad(LoadOp op) {
  ViewType view = op.getView().getType();
  const PhysicalTile &tile = getPhysical(op.getType());
  Value base = getAddress(op.getView(), op.getOffsets());
  SmallVector<Limit> limits;
  if (op.getMasked())
    limits = getLimits(view, tile.type, op.getOffsets());
  Values vectors;
  std::map<SmallVector<int64_t>, Value> known; // replicated registers are loaded once
  for (int64_t vector = 0; vector < tile.getVectorCount(); ++vector) {
    SmallVector<int64_t> offsets = getDistances(tile, vector, view);
    if (limits.empty()) {
      Value &loaded = known[offsets];
      if (!loaded)
        loaded = loadVector(base, tile.type.getElementType(), offsets, tile.pack);
      vectors.push_back(loaded);
      continue;
    }
    vectors.push_back(loadMasked(base, tile, vector, limits, offsets));
  }
  set(op, vectors);
  return success();
}

LogicalResult CpuEmitter::emitPrefetchLine(PrefetchLineOp op) {
  LLVM::Prefetch::create(b, loc, getAddress(op.getView(), op.getOffsets()), /*rw=*/0, /*hint=*/3,
                         /*cache=*/1);
  return success();
}

LogicalResult CpuEmitter::emitRead(ReadOp op) {
  Value address = getAddress(op.getView(), op.getOffsets());
  set(op, LLVM::LoadOp::create(b, loc, op.getType(), address, bytesOf(op.getType())).getResult());
  return success();
}

//===----------------------------------------------------------------------------------------------===//
// Stores
//===----------------------------------------------------------------------------------------------===//

void CpuEmitter::storeRun(Value base, Value vector, ArrayRef<int64_t> positions, int64_t offset) {
  if (auto type = cast<VectorType>(vector.getType()); type.getElementType().isBF16())
    vector = vector::BitCastOp::create(b, loc, type.clone(b.getI16Type()), vector);
  Type element = cast<VectorType>(vector.getType()).getElementType();
  Value address = getAddress(base, element, offset);
  Value run = positions.size() == 1
                  ? Value(vector::ExtractOp::create(b, loc, vector, positions.front()))
                  : shuffle(vector, vector, positions);
  LLVM::StoreOp::create(b, loc, run, address, bytesOf(element));
}

LogicalResult CpuEmitter::emitStore(StoreOp op) {
  ViewType view = op.getView().getType();
  const PhysicalTile &tile = getPhysical(op.getValue().getType());
  Value base = getAddress(op.getView(), op.getOffsets());
  SmallVector<Limit> limits;
  if (op.getMasked())
    limits = getLimits(view, tile.type, op.getOffsets());
  auto isLimited = [&](unsigned dim) {
    return llvm::any_of(limits, [&](const Limit &limit) { return limit.dim == dim; });
  };
  Values vectors = get(op.getValue());
  std::set<Coordinates> written; // what the layout replicates is stored once
  for (int64_t vector = 0; vector < tile.getVectorCount(); ++vector) {
    // Elements in the order of memory. Masked ones may have the place of others that are inside.
    std::multimap<int64_t, int64_t> positionAt;
    for (auto [position, distance] : llvm::enumerate(getDistances(tile, vector, view)))
      if (written.insert(tile.getCoordinates(vector, position)).second)
        positionAt.emplace(distance, position);
    auto storeAll = [&] {
      for (auto it = positionAt.begin(); it != positionAt.end();) {
        int64_t first = it->first;
        SmallVector<int64_t> positions;
        for (; it != positionAt.end() && it->first == first + int64_t(positions.size()); ++it)
          positions.push_back(it->second);
        storeRun(base, vectors[vector], positions, first);
      }
    };
    if (positionAt.empty())
      continue;
    if (limits.empty()) {
      storeAll();
      continue;
    }
    bool isUniform;
    Coordinates last = getLast(tile, vector, isLimited, isUniform);
    auto whole = scf::IfOp::create(b, loc, isInside(limits, last), /*withElseRegion=*/!isUniform);
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(whole.thenBlock());
    storeAll();
    if (isUniform)
      continue;
    for (auto [distance, position] : positionAt) {
      b.setInsertionPoint(whole.elseBlock()->getTerminator());
      auto inside =
          scf::IfOp::create(b, loc, isInside(limits, tile.getCoordinates(vector, position)),
                            /*withElseRegion=*/false);
      b.setInsertionPointToStart(inside.thenBlock());
      storeRun(base, vectors[vector], position, distance);
    }
  }
  return success();
}

LogicalResult CpuEmitter::emitWrite(WriteOp op) {
  Value address = getAddress(op.getView(), op.getOffsets());
  LLVM::StoreOp::create(b, loc, getScalar(op.getValue()), address,
                        bytesOf(op.getValue().getType()));
  return success();
}

LogicalResult CpuEmitter::emitAlloc(AllocOp op) {
  ViewType view = op.getView().getType();
  int64_t elements = 1;
  for (auto [size, stride] : llvm::zip_equal(view.getShape(), view.getStrides()))
    elements += (size - 1) * stride;
  int64_t bytes = llvm::alignTo(elements * bytesOf(view.getElementType()), 64);
  if (bytes > mostStackBytes - stackBytes)
    return op.emitOpError("expected at most ")
           << mostStackBytes << " bytes of a block's memory on a CPU, got " << stackBytes + bytes;
  stackBytes += bytes;
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(&function.front());
  Value count = LLVM::ConstantOp::create(b, loc, b.getI64Type(), b.getI64IntegerAttr(bytes));
  set(op, LLVM::AllocaOp::create(b, loc, LLVM::LLVMPointerType::get(b.getContext()), b.getI8Type(),
                                 count, /*alignment=*/64)
              .getResult());
  return success();
}

//===----------------------------------------------------------------------------------------------===//
// Packed weights
//===----------------------------------------------------------------------------------------------===//

FailureOr<ingot::PackedLayout> CpuEmitter::getPackedLayout(Operation *op, ViewType view) {
  const NumericFormat &format = *NumericFormat::lookup(view.getPacking().getFormat());
  llvm::Expected<PackedLayout> packed = PackedLayout::get(
      format, view.getShape()[0], view.getShape()[1], view.getPacking().getRows());
  if (!packed)
    return op->emitOpError(llvm::toString(packed.takeError()));
  return *packed;
}

Value CpuEmitter::getPlace(Value view, Value row, int64_t rows, int64_t rowsBytes, Value column,
                           int64_t columns, int64_t columnsBytes) {
  auto scaled = [&](Value index, int64_t divisor, int64_t factor) -> Value {
    Value quotient = index;
    if (divisor != 1)
      quotient = arith::DivUIOp::create(b, loc, index, makeIndex(divisor));
    return arith::MulIOp::create(b, loc, quotient, makeIndex(factor));
  };
  Value offset = arith::AddIOp::create(b, loc, scaled(getScalar(row), rows, rowsBytes),
                                       scaled(getScalar(column), columns, columnsBytes));
  return LLVM::GEPOp::create(
      b, loc, LLVM::LLVMPointerType::get(b.getContext()), b.getI8Type(), getScalar(view),
      ArrayRef<LLVM::GEPArg>{Value(arith::IndexCastOp::create(b, loc, b.getI64Type(), offset))});
}

Value CpuEmitter::getRecord(const ingot::PackedLayout &packed, Value view, Value row,
                            Value column) {
  return getPlace(view, row, packed.interleave, packed.rowGroupBytes, column, packed.groupColumns,
                  packed.groupBytes);
}

LogicalResult CpuEmitter::emitPrefetch(PrefetchOp op) {
  FailureOr<ingot::PackedLayout> packed = getPackedLayout(op, op.getView().getType());
  if (failed(packed))
    return failure();
  constexpr int64_t lineBytes = 64;
  int64_t bytes = packed->groupBytes * (packed->format->isFloat() ? 8 : 1);
  Value record = getRecord(*packed, op.getView(), op.getRow(), op.getColumn());
  for (int64_t byte = 0; byte < bytes; byte += lineBytes)
    LLVM::Prefetch::create(b, loc, getAddress(record, b.getI8Type(), byte), /*rw=*/0, /*hint=*/3,
                           /*cache=*/1);
  return success();
}

Value CpuEmitter::loadRows(Value base, Type element, int64_t rows, int64_t byte) {
  VectorType floats = VectorType::get(rows, b.getF32Type()), wide = floats.clone(b.getI32Type());
  // bf16 in integers: LLVM may move it through a library (CpuEmitter::asBF16).
  Type loaded = element.isBF16() ? Type(b.getI16Type()) : element;
  Value stored = LLVM::LoadOp::create(b, loc, floats.clone(loaded),
                                      getAddress(base, b.getI8Type(), byte), bytesOf(element));
  if (element.isBF16()) {
    Value bits = arith::ExtUIOp::create(b, loc, wide, stored);
    bits = arith::ShLIOp::create(b, loc, bits, makeInteger(wide, 16));
    return arith::BitcastOp::create(b, loc, floats, bits);
  }
  if (element.isInteger(8))
    return arith::SIToFPOp::create(b, loc, floats, arith::ExtSIOp::create(b, loc, wide, stored));
  return element.isF32() ? stored : Value(arith::ExtFOp::create(b, loc, floats, stored));
}

std::pair<Value, Value> CpuEmitter::loadScales(const ingot::PackedLayout &packed, DecodeOp op,
                                               Value record) {
  int64_t rows = packed.interleave;
  Type f16 = b.getF16Type();
  const NumericFormat &format = *packed.format;
  bool hasBlocks = packed.hasBlockScales(), hasMinimum = format.hasMinimum;
  Type stored = hasBlocks                ? Type(b.getI8Type())
                : packed.scaleBits == 32 ? Type(b.getF32Type())
                                         : f16;
  Value scale = loadRows(record, stored, rows, packed.scaleOffset), minimum;
  if (format.minimumIsZeroPoint) {
    Value zeros = LLVM::LoadOp::create(b, loc, VectorType::get(rows, b.getI8Type()),
                                       getAddress(record, b.getI8Type(), packed.minimumOffset), 1);
    auto floats = VectorType::get(rows, b.getF32Type());
    zeros = format.codesAreSigned ? Value(arith::SIToFPOp::create(b, loc, floats, zeros))
                                  : Value(arith::UIToFPOp::create(b, loc, floats, zeros));
    return {scale, arith::NegFOp::create(b, loc, arith::MulFOp::create(b, loc, scale, zeros))};
  }
  if (hasMinimum)
    minimum = loadRows(record, stored, rows, packed.minimumOffset);
  if (!hasBlocks)
    return {scale, minimum};
  Value block =
      getAddress(getPlace(op.getView(), op.getRow(), rows, packed.rowGroupBytes, op.getColumn(),
                          packed.format->blockElements, packed.blockScaleBytes),
                 b.getI8Type(), packed.blockScaleOffset);
  scale = arith::MulFOp::create(b, loc, loadRows(block, f16, rows, 0), scale);
  if (hasMinimum)
    minimum = arith::MulFOp::create(
        b, loc, loadRows(block, f16, rows, packed.getBlockMinimumDistance()), minimum);
  return {scale, minimum};
}

LogicalResult CpuEmitter::emitDecode(DecodeOp op) {
  ViewType view = op.getView().getType();
  if (view.getPacking().getPlanar())
    return op.emitOpError("cannot be lowered to a CPU: planar packings are for GPUs");
  FailureOr<ingot::PackedLayout> packed = getPackedLayout(op, view);
  if (failed(packed))
    return failure();
  const NumericFormat &format = *packed->format;
  int64_t rows = packed->interleave;
  Value record = getRecord(*packed, op.getView(), op.getRow(), op.getColumn());
  if (format.isFloat()) {
    Type element = format.name == "f32"    ? Type(b.getF32Type())
                   : format.name == "bf16" ? Type(b.getBF16Type())
                                           : Type(b.getF16Type());
    Values columns;
    for (int64_t column = 0; column < 8; ++column)
      columns.push_back(loadRows(record, element, rows, column * packed->groupBytes));
    set(op.getResult(0), columns);
    return success();
  }
  Values codes = emitCodes(*packed, record);
  if (format.codebook)
    codes = lookUp(codes, format.codebook);
  set(op.getResult(0), codes);
  auto [scales, minimums] = loadScales(*packed, op, record);
  set(op.getResult(1), scales);
  VectorType floats = VectorType::get(rows, b.getF32Type());
  if (!minimums)
    minimums = format.codeOffset == 0
                   ? makeConstant(floats, 0.0)
                   : Value(arith::MulFOp::create(b, loc, scales,
                                                 makeConstant(floats, -double(format.codeOffset))));
  set(op.getResult(2), minimums);
  return success();
}

Values CpuEmitter::emitCodes(const PackedLayout &packed, Value record) {
  auto load = [&](int64_t byte, int64_t size) -> Value {
    Type i8 = b.getI8Type();
    return LLVM::LoadOp::create(b, loc, VectorType::get(size, i8), getAddress(record, i8, byte), 1);
  };
  // Registers of four columns. A plane's register holds 8 / bits of them in its bits: shift down,
  // mask, and put the planes' bits beside each other.
  VectorType codes = VectorType::get(4 * packed.interleave, b.getI8Type());
  Values result(packed.groupColumns / 4);
  unsigned position = 0;
  for (const PackedPlane &plane : packed.planes) {
    int64_t apart = packed.groupColumns * plane.bits / 8; // columns between those that share a byte
    for (auto [v, code] : llvm::enumerate(result)) {
      int64_t column = 4 * v,
              amount = plane.isHalfRegister ? int64_t(v) : column / apart * plane.bits;
      Value bits;
      if (plane.isHalfRegister) {
        Value half = load(plane.offset, 2 * packed.interleave);
        Value upper = arith::ShRUIOp::create(b, loc, half, makeInteger(half.getType(), 4));
        auto both = llvm::to_vector(llvm::seq<int64_t>(0, 4 * packed.interleave));
        bits = vector::ShuffleOp::create(b, loc, half, upper, both);
      } else {
        bits =
            load(plane.offset + column % apart / 4 * 4 * packed.interleave, 4 * packed.interleave);
      }
      if (amount)
        bits = arith::ShRUIOp::create(b, loc, bits, makeInteger(codes, amount));
      if (plane.bits < 8)
        bits = arith::AndIOp::create(b, loc, bits, makeInteger(codes, (1 << plane.bits) - 1));
      if (position)
        bits = arith::ShLIOp::create(b, loc, bits, makeInteger(codes, position));
      code = code ? Value(arith::OrIOp::create(b, loc, code, bits)) : bits;
    }
    position += plane.bits;
  }
  return result;
}

Values CpuEmitter::lookUp(ValueRange indices, const int8_t *codebook) {
  // A byte shuffle looks up in its own 16 bytes: the table stands in each of them.
  constexpr int64_t entries = 16;
  auto type = cast<VectorType>(indices.front().getType());
  SmallVector<Attribute> table;
  for (int64_t i = 0; i < type.getNumElements(); ++i)
    table.push_back(b.getI8IntegerAttr(codebook[i % entries]));
  Value bytes = arith::ConstantOp::create(b, loc, DenseElementsAttr::get(type, table));
  StringRef shuffle =
      type.getNumElements() == 64 ? "llvm.x86.avx512.pshuf.b.512" : "llvm.x86.avx2.pshuf.b";
  Values result;
  for (Value vector : indices)
    result.push_back(callIntrinsic(shuffle, type, {bytes, vector}));
  return result;
}
