//===- TileMemory.cpp - Memory of the tile interpreter ----------------------------------------===//
//
// Every element goes through `locate` (is it there?) and `touch` (may it be touched now?). What a
// copy_async writes is known when it starts, since its source may not change, but the bytes arrive
// at the wait.
//
//===------------------------------------------------------------------------------------------===//

#include "TileBlock.h"
#include "ingot/Support/Codec.h"
#include "ingot/Support/Packing.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FormatVariadic.h"
#include <cstring>

using namespace mlir;
using namespace ingot;
using namespace ingot::reference;

static int64_t bytesOf(Type element) {
  return element.isIndex() ? 8 : llvm::divideCeil(element.getIntOrFloatBitWidth(), 8);
}

static Number readNumber(Type element, const uint8_t *bytes) {
  uint64_t bits = 0;
  std::memcpy(&bits, bytes, bytesOf(element));
  if (element.isF32())
    return Number::of(llvm::bit_cast<float>(uint32_t(bits)));
  if (element.isF16())
    return Number::of(halfToFloat(bits));
  if (element.isBF16())
    return Number::of(bfloatToFloat(bits));
  if (element.isInteger(1))
    return Number::of(int64_t(bits & 1));
  return Number::of(llvm::SignExtend64(bits, bytesOf(element) * 8));
}

/// The number's bytes, lowest first.
static uint64_t toBits(Type element, Number number) {
  if (element.isF32())
    return llvm::bit_cast<uint32_t>(number.real);
  if (element.isF16())
    return floatToHalf(number.real);
  if (element.isBF16())
    return floatToBfloat(number.real);
  return number.integer;
}

static std::string printCoordinates(ArrayRef<int64_t> at) {
  std::string text;
  llvm::raw_string_ostream os(text);
  os << '[';
  llvm::interleaveComma(at, os);
  os << ']';
  return text;
}

//===------------------------------------------------------------------------------------------===//
// Where an element is
//===------------------------------------------------------------------------------------------===//

TileBlock::Access TileBlock::getAccess(Operation *op, Value view) {
  Access access;
  access.op = op;
  access.type = cast<tile::ViewType>(view.getType());
  access.memory = get(view).memory;
  access.name = "shared memory";
  if (!access.memory->isShared())
    access.name = "argument " + std::to_string(cast<BlockArgument>(view).getArgNumber());
  for (int64_t size : access.type.getShape())
    access.sizes.push_back(tile::ViewType::isCount(size)
                               ? sharedRun.counts[unsigned(tile::ViewType::countOf(size))]
                           : size == tile::ViewType::unknown ? -1
                                                             : size);
  access.element = access.type.getElementType();
  access.elementBytes = access.type.isPacked() ? 0 : bytesOf(access.element);
  return access;
}

llvm::Expected<int64_t> TileBlock::locate(const Access &access, ArrayRef<int64_t> at) {
  int64_t offset = 0;
  for (auto [dim, coordinate] : llvm::enumerate(at)) {
    int64_t size = access.sizes[dim];
    if (coordinate < 0 || (size >= 0 && coordinate >= size))
      return fail(access.op, llvm::formatv("coordinate {0} of {1} is outside: dimension {2} has "
                                           "size {3}",
                                           printCoordinates(at), access.name, dim, size)
                                 .str());
    offset += coordinate * access.type.getStrides()[dim];
  }
  int64_t byte = offset * access.elementBytes;
  if (byte + access.elementBytes > int64_t(access.memory->bytes.size()))
    return fail(access.op,
                llvm::formatv("coordinate {0} of {1} is byte {2}, but there are {3} bytes",
                              printCoordinates(at), access.name, byte, access.memory->bytes.size())
                    .str());
  return byte;
}

llvm::Error TileBlock::checkRange(const Access &access, int64_t byte, int64_t size) {
  if (byte >= 0 && byte + size <= int64_t(access.memory->bytes.size()))
    return llvm::Error::success();
  return fail(access.op, llvm::formatv("bytes {0} to {1} of {2} are outside: there are {3} bytes",
                                       byte, byte + size, access.name, access.memory->bytes.size())
                             .str());
}

//===------------------------------------------------------------------------------------------===//
// Whether it may be touched
//===------------------------------------------------------------------------------------------===//

/// Reads (`written` null) or writes one byte of global memory, which other blocks may reach too.
llvm::Error TileBlock::touchGlobal(const Access &access, int64_t byte, const uint8_t *written) {
  TileMemory &memory = *access.memory;
  uint32_t self = number + 1;
  auto isOther = [&](uint32_t block) { return block != 0 && block != self; };
  uint32_t &writer = memory.writers[byte], &reader = memory.readers[byte];
  auto conflict = [&](const char *what) {
    return fail(access.op, llvm::formatv("byte {0} of {1} is {2} another block, so the order of "
                                         "blocks would matter",
                                         byte, access.name, what)
                               .str());
  };
  if (!written) {
    if (isOther(writer))
      return conflict("written by");
    reader = isOther(reader) ? TileMemory::severalBlocks : self;
    return llvm::Error::success();
  }
  if (isOther(reader))
    return conflict("read by");
  if (isOther(writer) && memory.bytes[byte] != *written)
    return conflict("written differently by");
  writer = isOther(writer) ? TileMemory::severalBlocks : self;
  return llvm::Error::success();
}

llvm::Error TileBlock::touch(const Access &access, int64_t byte, int64_t size,
                             const uint8_t *written, int32_t thread) {
  TileMemory &memory = *access.memory;
  if (!memory.isShared() && !memory.isWritten)
    return llvm::Error::success(); // the same whenever it is read
  for (int64_t i = byte; i < byte + size; ++i) {
    if (memory.isShared() && memory.states[i] == TileMemory::InFlight)
      return fail(access.op, llvm::formatv("byte {0} of {1} is touched before the tile.wait for "
                                           "the tile.copy_async that writes it",
                                           i, access.name)
                                 .str());
    if (memory.isShared() && !written && memory.states[i] == TileMemory::Undefined)
      return fail(access.op, llvm::formatv("byte {0} of {1} is read, but nothing has written it", i,
                                           access.name)
                                 .str());
    if (written && !memory.pendingReads.empty() && memory.pendingReads[i] > 0)
      return fail(access.op,
                  llvm::formatv("byte {0} of {1} is written before the tile.wait for the "
                                "asynchronous contraction that reads it",
                                i, access.name)
                      .str());
    for (const Copy &copy : copies)
      if (written && !copy.isComplete && copy.source == &memory && copy.sourceBytes.contains(i))
        return fail(access.op, llvm::formatv("byte {0} of {1} is written before the tile.wait for "
                                             "the tile.copy_async that reads it",
                                             i, access.name)
                                   .str());
    if (!memory.isShared())
      if (llvm::Error error = touchGlobal(access, i, written ? written + (i - byte) : nullptr))
        return error;
    if (llvm::Error error = checkRace(access, i, thread, written))
      return error;
    if (memory.isShared() && written)
      memory.states[i] = TileMemory::Defined;
  }
  return llvm::Error::success();
}

llvm::Expected<Number> TileBlock::readElement(const Access &access, ArrayRef<int64_t> at,
                                              int32_t thread) {
  llvm::Expected<int64_t> byte = locate(access, at);
  if (!byte)
    return byte.takeError();
  if (llvm::Error error = touch(access, *byte, access.elementBytes, nullptr, thread))
    return error;
  return readNumber(access.element, access.memory->bytes.data() + *byte);
}

llvm::Error TileBlock::writeElement(const Access &access, ArrayRef<int64_t> at, Number value,
                                    int32_t thread) {
  llvm::Expected<int64_t> byte = locate(access, at);
  if (!byte)
    return byte.takeError();
  uint64_t bits = toBits(access.element, value);
  uint8_t bytes[sizeof(bits)];
  std::memcpy(bytes, &bits, sizeof(bits));
  if (llvm::Error error = touch(access, *byte, access.elementBytes, bytes, thread))
    return error;
  std::memcpy(access.memory->bytes.data() + *byte, bytes, access.elementBytes);
  return llvm::Error::success();
}

//===------------------------------------------------------------------------------------------===//
// Tiles and scalars
//===------------------------------------------------------------------------------------------===//

/// `offsets` moved by a tile's coordinates, which are the last dimensions.
static SmallVector<int64_t, 5> shift(ArrayRef<int64_t> offsets, ArrayRef<int64_t> at) {
  SmallVector<int64_t, 5> moved(offsets);
  for (size_t i = 0; i < at.size(); ++i)
    moved[moved.size() - at.size() + i] += at[i];
  return moved;
}

bool TileBlock::isMaskedOut(const Access &access, ArrayRef<int64_t> at, size_t tileRank) {
  for (size_t dim = at.size() - tileRank; dim < at.size(); ++dim)
    if (access.sizes[dim] >= 0 && at[dim] >= access.sizes[dim])
      return true;
  return false;
}

TileBlock::Result TileBlock::load(tile::LoadOp op) {
  Access access = getAccess(op, op.getView());
  Coordinates offsets = getIntegers(op.getOffsets());
  RankedTensorType type = op.getResult().getType();
  TileValue result;
  result.numbers.reserve(type.getNumElements());
  Number zero = isa<FloatType>(type.getElementType()) ? Number::of(0.0f) : Number::of(int64_t(0));
  ArrayRef<int32_t> holders = getHolders(type);
  countTransfers(access, type, offsets, op.getMasked());
  auto error = forEachElement(type.getShape(), [&](ArrayRef<int64_t> at, size_t i) -> llvm::Error {
    auto place = shift(offsets, at);
    if (op.getMasked() && isMaskedOut(access, place, at.size())) {
      result.numbers.push_back(zero);
      return llvm::Error::success();
    }
    llvm::Expected<Number> number =
        readElement(access, place, holders.empty() ? TileTouch::several : holders[i]);
    if (!number)
      return number.takeError();
    result.numbers.push_back(*number);
    if (!holders.empty() && access.memory->isShared())
      for (int64_t byte = *locate(access, place), end = byte + access.elementBytes; byte < end;
           ++byte)
        result.sources.push_back({access.memory, byte});
    return llvm::Error::success();
  });
  if (error)
    return std::move(error);
  return result;
}

llvm::Error TileBlock::store(tile::StoreOp op) {
  Access access = getAccess(op, op.getView());
  Coordinates offsets = getIntegers(op.getOffsets());
  const TileValue &value = get(op.getValue());
  ArrayRef<int32_t> holders = getHolders(op.getValue().getType());
  countTransfers(access, op.getValue().getType(), offsets, op.getMasked());
  return forEachElement(op.getValue().getType().getShape(),
                        [&](ArrayRef<int64_t> at, size_t i) -> llvm::Error {
                          auto place = shift(offsets, at);
                          if (op.getMasked() && isMaskedOut(access, place, at.size()))
                            return llvm::Error::success();
                          int32_t thread = holders.empty() ? TileTouch::several : holders[i];
                          return writeElement(access, place, value.numbers[i], thread);
                        });
}

/// Where element `at` of a gather or scatter is; nothing where it is masked.
template <typename OpT>
std::optional<SmallVector<int64_t, 5>> TileBlock::findPlace(OpT op, ArrayRef<int64_t> at) {
  auto take = [&](Value indices) {
    auto type = cast<RankedTensorType>(indices.getType());
    SmallVector<int64_t, 5> reduced(at);
    for (auto [coordinate, size] : llvm::zip_equal(reduced, type.getShape()))
      coordinate = std::min(coordinate, size - 1);
    return get(indices).numbers[getLinearIndex(type.getShape(), reduced)].integer;
  };
  if (op.getMask() && !take(op.getMask()))
    return std::nullopt;
  SmallVector<int64_t, 5> place = getIntegers(op.getOffsets());
  for (size_t dim = 0; dim < place.size(); ++dim) {
    auto indexed = llvm::find(op.getDims(), int64_t(dim));
    size_t leading = place.size() - at.size();
    if (indexed != op.getDims().end())
      place[dim] += take(op.getIndices()[indexed - op.getDims().begin()]);
    else if (dim >= leading)
      place[dim] += at[dim - leading];
  }
  return place;
}

TileBlock::Result TileBlock::gather(tile::GatherOp op) {
  Access access = getAccess(op, op.getView());
  RankedTensorType type = op.getResult().getType();
  TileValue result;
  Number zero = isa<FloatType>(type.getElementType()) ? Number::of(0.0f) : Number::of(int64_t(0));
  ArrayRef<int32_t> holders = getHolders(type);
  auto error = forEachElement(type.getShape(), [&](ArrayRef<int64_t> at, size_t i) -> llvm::Error {
    auto place = findPlace(op, at);
    int32_t thread = holders.empty() ? TileTouch::several : holders[i];
    llvm::Expected<Number> number = place ? readElement(access, *place, thread) : zero;
    if (!number)
      return number.takeError();
    result.numbers.push_back(*number);
    return llvm::Error::success();
  });
  if (error)
    return std::move(error);
  return result;
}

llvm::Error TileBlock::scatter(tile::ScatterOp op) {
  Access access = getAccess(op, op.getView());
  const TileValue &value = get(op.getValue());
  RankedTensorType type = op.getValue().getType();
  ArrayRef<int32_t> holders = getHolders(type);
  return forEachElement(type.getShape(), [&](ArrayRef<int64_t> at, size_t i) -> llvm::Error {
    auto place = findPlace(op, at);
    int32_t thread = holders.empty() ? TileTouch::several : holders[i];
    return place ? writeElement(access, *place, value.numbers[i], thread) : llvm::Error::success();
  });
}

TileBlock::Result TileBlock::read(tile::ReadOp op) {
  llvm::Expected<Number> number =
      readElement(getAccess(op, op.getView()), getIntegers(op.getOffsets()));
  if (!number)
    return number.takeError();
  return TileValue{{*number}};
}

llvm::Error TileBlock::write(tile::WriteOp op) {
  return writeElement(getAccess(op, op.getView()), getIntegers(op.getOffsets()),
                      get(op.getValue()).numbers.front());
}

//===------------------------------------------------------------------------------------------===//
// Packed weights
//===------------------------------------------------------------------------------------------===//

llvm::Error TileBlock::decodePlanar(tile::DecodeOp op, const Access &access,
                                    const PackedLayout &layout) {
  int64_t row = getInteger(op.getRow()), column = getInteger(op.getColumn()),
          group = layout.groupColumns;
  auto type = cast<RankedTensorType>(op.getResult(0).getType());
  if (row < 0 || row >= access.sizes[0] || column < 0 || column % group ||
      (!op.getMasked() && column + type.getDimSize(1) > access.sizes[1]))
    return fail(op, llvm::formatv("[{0}, {1}] of {2} does not start groups of {3} columns inside "
                                  "of {4} x {5}",
                                  row, column, access.name, group, access.sizes[0], access.sizes[1])
                        .str());
  if (llvm::Error error = checkRange(access, 0, layout.bytes))
    return error;
  ArrayRef<uint8_t> bytes = access.memory->bytes;
  auto convert = [&](uint8_t code) {
    if (type.getElementType().isInteger(8))
      return Number::of(int64_t(int8_t(code)));
    return Number::of(layout.format->codesAreSigned ? float(int8_t(code)) : float(code));
  };
  TileValue codes, scales, minimums;
  for (int64_t i = 0; i < type.getDimSize(0); ++i) {
    int64_t r = std::min(row + i, access.sizes[0] - 1);
    for (int64_t c = column; c < column + type.getDimSize(1); ++c)
      codes.numbers.push_back(convert(c < layout.columns ? unpackCode(layout, bytes, r, c) : 0));
    for (int64_t g = column / group; g < (column + type.getDimSize(1)) / group; ++g) {
      auto [scale, minimum] =
          g < layout.groupsPerRow ? unpackScale(layout, bytes, r, g) : std::pair(0.0f, 0.0f);
      bool hasZero = !layout.format->hasMinimum && layout.format->codeOffset != 0;
      scales.numbers.push_back(Number::of(scale));
      minimums.numbers.push_back(
          Number::of(hasZero ? scale * -float(layout.format->codeOffset) : minimum));
    }
  }
  set(op.getResult(0), std::move(codes));
  set(op.getResult(1), std::move(scales));
  set(op.getResult(2), std::move(minimums));
  return llvm::Error::success();
}

llvm::Error TileBlock::decode(tile::DecodeOp op) {
  Access access = getAccess(op, op.getView());
  tile::PackedAttr packing = access.type.getPacking();
  const NumericFormat &format = *NumericFormat::lookup(packing.getFormat());
  llvm::Expected<PackedLayout> layout =
      PackedLayout::get(format, access.sizes[0], access.sizes[1], packing.getRows(),
                        packing.getPlanar() ? PackedOrder::Planar : PackedOrder::Interleaved);
  if (!layout)
    return layout.takeError();
  if (packing.getPlanar())
    return decodePlanar(op, access, *layout);
  int64_t row = getInteger(op.getRow()), column = getInteger(op.getColumn()),
          rows = layout->interleave, columns = format.isFloat() ? 8 : layout->groupColumns;
  if (row < 0 || row >= access.sizes[0] || row % rows || column < 0 ||
      column + columns > access.sizes[1] || column % columns)
    return fail(op,
                llvm::formatv("[{0}, {1}] of {2} is not a group of {3} x {4} in {5} x {6}", row,
                              column, access.name, rows, columns, access.sizes[0], access.sizes[1])
                    .str());
  int64_t group = column / layout->groupColumns,
          bytes = layout->groupBytes * (columns / layout->groupColumns),
          first = layout->recordOffset(row / rows, group);
  if (llvm::Error error = checkRange(access, first, bytes))
    return error;
  if (llvm::Error error = touch(access, first, bytes, nullptr))
    return error;
  if (layout->hasBlockScales())
    if (llvm::Error error =
            touch(access, layout->blockScaleAddress(row, group), layout->blockScaleBytes, nullptr))
      return error;

  TileValue codes, scales, minimums;
  if (format.isFloat()) {
    for (int64_t r = row; r < row + rows; ++r)
      for (int64_t c = column; c < column + columns; ++c)
        codes.numbers.push_back(Number::of(unpackValue(*layout, access.memory->bytes, r, c)));
    set(op.getResult(0), std::move(codes));
    return llvm::Error::success();
  }
  UnpackedGroup unpacked = unpackGroup(*layout, access.memory->bytes, row / rows, group);
  for (uint8_t code : unpacked.codes)
    codes.numbers.push_back(Number::of(int64_t(int8_t(format.getKernelCode(code)))));
  for (auto [scale, minimum] : llvm::zip_equal(unpacked.scales, unpacked.minimums)) {
    scales.numbers.push_back(Number::of(scale));
    bool hasZero = !format.hasMinimum && format.codeOffset != 0;
    minimums.numbers.push_back(Number::of(hasZero ? scale * -float(format.codeOffset) : minimum));
  }
  set(op.getResult(0), std::move(codes));
  set(op.getResult(1), std::move(scales));
  set(op.getResult(2), std::move(minimums));
  return llvm::Error::success();
}

//===------------------------------------------------------------------------------------------===//
// Shared memory and asynchronous copies
//===------------------------------------------------------------------------------------------===//

TileValue TileBlock::allocate(tile::AllocOp op) {
  tile::ViewType type = op.getView().getType();
  int64_t elements = 1;
  for (auto [size, stride] : llvm::zip_equal(type.getShape(), type.getStrides()))
    elements += (size - 1) * stride;
  auto memory = std::make_unique<TileMemory>();
  memory->storage.resize(elements * bytesOf(type.getElementType()));
  memory->states.resize(memory->storage.size(), TileMemory::Undefined);
  memory->bytes = memory->storage;
  TileValue result;
  result.memory = memory.get();
  allocations.push_back(std::move(memory));
  return result;
}

TileBlock::Result TileBlock::startCopy(tile::CopyAsyncOp op) {
  Access source = getAccess(op, op.getSource()), destination = getAccess(op, op.getDestination());
  Coordinates from = getIntegers(op.getSourceOffsets()),
              to = getIntegers(op.getDestinationOffsets());
  Copy copy{destination, source.memory, destination.memory, {}, {}};
  auto error = forEachElement(op.getSizes(), [&](ArrayRef<int64_t> at, size_t) -> llvm::Error {
    llvm::Expected<int64_t> read = locate(source, shift(from, at));
    if (!read)
      return read.takeError();
    llvm::Expected<int64_t> write = locate(destination, shift(to, at));
    if (!write)
      return write.takeError();
    const uint8_t *bytes = source.memory->bytes.data() + *read;
    if (llvm::Error error = touch(source, *read, source.elementBytes, nullptr))
      return error;
    if (llvm::Error error = touch(destination, *write, source.elementBytes, bytes))
      return error;
    for (int64_t i = 0; i < source.elementBytes; ++i) {
      copy.sourceBytes.insert(*read + i);
      copy.written.push_back({*write + i, bytes[i]});
    }
    return llvm::Error::success();
  });
  if (error)
    return std::move(error);
  for (auto [byte, value] : copy.written)
    destination.memory->states[byte] = TileMemory::InFlight;
  TileValue token;
  token.copy = copies.size();
  copies.push_back(std::move(copy));
  return token;
}

void TileBlock::complete(Copy &copy) {
  if (copy.isComplete)
    return;
  for (auto [byte, value] : copy.written) {
    copy.destination->bytes[byte] = value;
    copy.destination->states[byte] = TileMemory::Defined;
  }
  copy.isComplete = true;
}

llvm::Error TileBlock::wait(tile::WaitOp op) {
  for (Value token : op.getTokens()) {
    Copy &copy = copies[get(token).copy];
    complete(copy);
    // Now the bytes are there for the threads that started the copy, whichever these are.
    for (auto [byte, value] : copy.written)
      noteArrival(op, *copy.destination, byte);
  }
  for (auto [value, result] : llvm::zip_equal(op.getValues(), op.getResults())) {
    TileValue finished = get(value);
    // Until now the contraction has read its operands.
    Access access{op, "shared memory", {}, nullptr, {}, {}, 0};
    for (auto [memory, byte] : finished.sources) {
      access.memory = memory;
      --memory->pendingReads[byte];
      if (llvm::Error error = checkRace(access, byte, TileTouch::several, /*isWrite=*/false))
        return error;
    }
    finished.sources.clear();
    finished.isPending = false;
    set(result, std::move(finished));
  }
  return llvm::Error::success();
}
