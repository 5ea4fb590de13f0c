//===- KernelStep.cpp - Launches of a function executed on plain memory -----------------------------===//

#include "KernelStep.h"
#include "ingot/Artifact/WeightPacker.h"
#include "ingot/Support/CacheCodec.h"
#include "ingot/Support/Codec.h"
#include "ingot/Support/Packing.h"
#include <cstring>
#include <random>

using namespace mlir;
using namespace ingot;
using namespace ingot::test;
using reference::Datum;

KernelStep::KernelStep(func::FuncOp function, const WeightStore &store, StepBounds bounds,
                       Counts counts, ArrayRef<Datum> inputs)
    : function(function), store(store), bounds(bounds), counts(counts) {
  for (auto [argument, input] : llvm::zip_equal(function.getArguments(), inputs))
    addInput(argument, input);
}

Buffer *KernelStep::allocate(size_t bytes) {
  buffers.push_back(std::make_shared<Buffer>(bytes));
  return buffers.back().get();
}

//===----------------------------------------------------------------------------------------------===//
// Inputs
//===----------------------------------------------------------------------------------------------===//

void KernelStep::addInput(Value argument, const Datum &input) {
  if (auto *tensor = std::get_if<reference::Tensor>(&input))
    views[argument] = storeTensor(*tensor);
  else if (auto *batch = std::get_if<reference::Ragged>(&input))
    views[argument] = storeBatch(*batch);
  else if (auto *cache = std::get_if<reference::Cache>(&input))
    views[argument] = storeCache(*cache);
}

KernelStep::Views KernelStep::storeTensor(const reference::Tensor &tensor) {
  return tensor.visit([&]<typename T>(ArrayRef<T> elements) -> Views {
    Buffer *buffer = allocate(elements.size() * sizeof(T));
    llvm::copy(elements, buffer->as<T>().begin());
    return {buffer};
  });
}

/// Pages of all sequences in a random order.
int64_t KernelStep::getPage(transformer::KVCacheType type, int32_t sequence, int64_t index) const {
  int64_t each = llvm::divideCeil(bounds.contextTokens, type.getPage());
  std::vector<int64_t> order(each * bounds.sequences);
  std::iota(order.begin(), order.end(), 0);
  std::shuffle(order.begin(), order.end(), std::mt19937_64(17));
  return order[sequence * each + index];
}

KernelStep::Views KernelStep::storeBatch(const reference::Ragged &batch) {
  Buffer *positions = allocate(4 * batch.positions.size()),
         *sequences = allocate(4 * batch.sequences.size());
  llvm::copy(batch.positions, positions->as<int32_t>().begin());
  llvm::copy(batch.sequences, sequences->as<int32_t>().begin());
  transformer::KVCacheType type;
  for (Type argument : function.getArgumentTypes())
    if (auto cache = dyn_cast<transformer::KVCacheType>(argument))
      type = cache;
  int64_t each = llvm::divideCeil(bounds.contextTokens, type.getPage());
  Buffer *table = allocate(4 * counts[2] * each);
  llvm::fill(table->as<int32_t>(), -1);
  for (auto [sequence, position] : llvm::zip_equal(batch.sequences, batch.positions))
    for (int64_t page = 0; page <= position / type.getPage(); ++page)
      table->as<int32_t>()[sequence * each + page] = getPage(type, sequence, page);
  return {positions, sequences, table};
}

KernelStep::Slot KernelStep::getSlot(transformer::KVCacheType type, int32_t sequence,
                                     int32_t position) const {
  return {getPage(type, sequence, position / type.getPage()), position % type.getPage()};
}

size_t KernelStep::getPlace(transformer::KVCacheType type, Slot slot, int64_t head, int64_t channel,
                            int64_t columns, bool isKey) const {
  int64_t page = type.getPage(), block = slot.page * type.getHeads() + head;
  if (kernels::isGpuCache(bounds.machine, type)) // GPUs have it the other way round
    isKey = !isKey;
  return isKey ? (block * columns + channel) * page + slot.slot
               : (block * page + slot.slot) * columns + channel;
}

void KernelStep::storeRow(transformer::KVCacheType type, Slot slot, ArrayRef<float> row,
                          const Views &views, bool isKey) const {
  int64_t dim = type.getDim(), group = type.getGroupChannels(isKey),
          columns = type.getHeadBytes(isKey);
  Buffer &numbers = *views[!isKey];
  for (int64_t i = 0; i < int64_t(row.size()) && !type.isQuantized(); ++i) {
    size_t place = getPlace(type, slot, i / dim, i % dim, dim, isKey);
    if (type.getFormat().isF32())
      numbers.as<float>()[place] = row[i];
    else
      numbers.as<uint16_t>()[place] = floatToHalf(row[i]);
  }
  std::vector<int8_t> codes(group);
  for (int64_t first = 0; first < int64_t(row.size()) && type.isQuantized(); first += group) {
    int64_t head = first / dim, channel = first % dim;
    views[2 + !isKey]
        ->as<uint16_t>()[getPlace(type, slot, head, channel / group, type.getGroups(isKey),
                                  /*isKey=*/true)] =
        encodeCacheGroup(row.slice(first, group), type.getBits(isKey), codes);
    for (int64_t i = 0; i < group; ++i) {
      uint8_t &byte =
          numbers
              .as<uint8_t>()[getPlace(type, slot, head, (channel + i) % columns, columns, isKey)];
      if (type.getBits(isKey) == 8)
        byte = codes[i];
      else if (channel < columns) // these come first
        byte = codes[i] & 15;
      else
        byte |= codes[i] << 4;
    }
  }
}

std::vector<float> KernelStep::readRow(transformer::KVCacheType type, Slot slot, const Views &views,
                                       bool isKey) const {
  int64_t dim = type.getDim(), columns = type.getHeadBytes(isKey);
  Buffer &numbers = *views[!isKey];
  std::vector<float> row(type.getHeads() * dim);
  for (auto [i, number] : llvm::enumerate(row)) {
    int64_t head = i / dim, channel = i % dim;
    if (!type.isQuantized()) {
      size_t place = getPlace(type, slot, head, channel, dim, isKey);
      number = type.getFormat().isF32() ? numbers.as<float>()[place]
                                        : halfToFloat(numbers.as<uint16_t>()[place]);
      continue;
    }
    int8_t code =
        numbers.as<int8_t>()[getPlace(type, slot, head, channel % columns, columns, isKey)];
    if (type.getBits(isKey) == 4)
      code = channel < columns ? int8_t(code << 4) >> 4 : code >> 4;
    size_t scale =
        getPlace(type, slot, head, channel / type.getGroupChannels(isKey), type.getGroups(isKey),
                 /*isKey=*/true);
    number = decodeCacheCode(code, views[2 + !isKey]->as<uint16_t>()[scale]);
  }
  return row;
}

KernelStep::Views KernelStep::storeCache(const reference::Cache &cache) {
  transformer::KVCacheType type = cache.type;
  size_t heads = llvm::divideCeil(bounds.contextTokens, type.getPage()) * bounds.sequences *
                 type.getHeads() * type.getPage();
  Views views;
  for (bool isKey : {true, false})
    views.push_back(allocate(heads * type.getHeadBytes(isKey)));
  for (bool isKey : {true, false})
    if (type.isQuantized())
      views.push_back(allocate(heads * type.getScaleBytes(isKey)));
  for (const auto &[token, entry] : *cache.layers[1])
    for (bool isKey : {true, false})
      storeRow(type, getSlot(type, token.first, token.second), isKey ? entry.key : entry.value,
               views, isKey);
  return views;
}

reference::Cache::Entry KernelStep::getEntry(unsigned index, int32_t sequence, int32_t position) {
  Value value = function.front().getTerminator()->getOperand(index);
  auto type = cast<transformer::KVCacheType>(value.getType());
  const Views &parts = views.find(value)->second;
  Slot slot = getSlot(type, sequence, position);
  return {readRow(type, slot, parts, /*isKey=*/true), readRow(type, slot, parts, /*isKey=*/false)};
}

std::vector<float> KernelStep::getResult(unsigned index) {
  Value value = function.front().getTerminator()->getOperand(index);
  Buffer &buffer = *views.find(value)->second.front();
  if (cast<RankedTensorType>(value.getType()).getElementType().isF32())
    return buffer.as<float>().vec();
  return std::vector<float>(buffer.as<int8_t>().begin(), buffer.as<int8_t>().end());
}

//===----------------------------------------------------------------------------------------------===//
// Weights
//===----------------------------------------------------------------------------------------------===//

llvm::Error KernelStep::addWeight(Operation *op) {
  if (auto table = dyn_cast<transformer::RopeTableOp>(op)) {
    auto type = table.getResult().getType();
    Buffer *buffer = allocate(4 * type.getRows() * type.getColumns());
    for (int64_t row = 0; row < type.getRows(); ++row)
      artifact::fillRopeRow(table.getBase().convertToDouble(),
                            table.getFactors().value_or(ArrayRef<float>()), row,
                            buffer->as<float>().slice(row * type.getColumns(), type.getColumns()));
    views[table] = {buffer};
    return llvm::Error::success();
  }
  if (auto get = dyn_cast<transformer::GetWeightOp>(op)) {
    std::string name = get.getName().str();
    auto info = store.get(name);
    if (!info)
      return info.takeError();
    weightNames[get] = {name};
    Buffer *buffer = allocate((*info)->bytes);
    views[get] = {buffer};
    return store.readRows(name, 0, (*info)->rows, buffer->get());
  }
  if (auto concat = dyn_cast<transformer::ConcatWeightsOp>(op)) { // what kernels read plainly
    size_t bytes = 0;
    for (Value weight : concat.getWeights()) {
      llvm::append_range(weightNames[concat], weightNames.lookup(weight));
      bytes += views.find(weight)->second.front()->get().size();
    }
    Buffer *buffer = allocate(bytes);
    auto next = buffer->get().begin();
    for (Value weight : concat.getWeights())
      next = llvm::copy(views.find(weight)->second.front()->get(), next);
    views[concat] = {buffer};
    return llvm::Error::success();
  }
  auto pack = cast<transformer::PackWeightOp>(op);
  auto type = pack.getResult().getType();
  std::vector<std::string> names = weightNames.lookup(pack.getWeight());
  auto packed = dyn_cast<tile::PackedAttr>(type.getPacking());
  if (!packed)
    return llvm::createStringError("weight '" + names.front() +
                                   "' is packed in a way no test knows");
  auto layout = PackedLayout::get(
      *NumericFormat::lookup(type.getFormat()), type.getRows(), type.getColumns(), packed.getRows(),
      packed.getPlanar() ? PackedOrder::Planar : PackedOrder::Interleaved);
  if (!layout)
    return layout.takeError();
  Buffer *buffer = allocate(layout->bytes);
  views[pack] = {buffer};
  std::vector<uint8_t> rows;
  for (const std::string &name : names) {
    auto info = store.get(name);
    if (!info)
      return info.takeError();
    size_t begin = rows.size();
    rows.resize(begin + (*info)->bytes);
    if (auto error =
            store.readRows(name, 0, (*info)->rows, MutableArrayRef(rows).drop_front(begin)))
      return error;
  }
  size_t next = 0, rowBytes = rows.size() / type.getRows();
  return packRows(
      *layout,
      [&](int64_t first, int64_t count, MutableArrayRef<uint8_t> bytes) {
        llvm::copy(ArrayRef(rows).slice(first * rowBytes, count * rowBytes), bytes.begin());
        return llvm::Error::success();
      },
      [&](ArrayRef<uint8_t> group) {
        llvm::copy(group, buffer->get().begin() + next);
        next += group.size();
        return llvm::Error::success();
      });
}

//===----------------------------------------------------------------------------------------------===//
// Launches
//===----------------------------------------------------------------------------------------------===//

size_t KernelStep::getBytes(tile::ViewType view) const {
  size_t bytes = view.getElementType().getIntOrFloatBitWidth() / 8;
  for (int64_t size : view.getShape())
    bytes *= tile::ViewType::isCount(size) ? counts[unsigned(tile::ViewType::countOf(size))] : size;
  return bytes;
}

llvm::Error KernelStep::launch(tile::LaunchOp op, Executor executor) {
  tile::KernelOp kernel = op.getKernelOp();
  Views arguments;
  for (Value operand : op.getInputs())
    if (!isa<IndexType>(operand.getType()))
      llvm::append_range(arguments, views.find(operand)->second);
  for (OpResult result : op.getResults()) {
    int64_t operand = op.getInPlaceOperand(result.getResultNumber());
    if (operand >= 0) {
      views[result] = Views(views.find(op.getInputs()[operand])->second);
      continue;
    }
    auto view = cast<tile::ViewType>(kernel.getViews()[arguments.size()].getType());
    Views created{allocate(getBytes(view))};
    views[result] = created;
    llvm::append_range(arguments, created);
  }
  SmallVector<MutableArrayRef<uint8_t>> bytes;
  for (Buffer *buffer : arguments)
    bytes.push_back(buffer->get());
  return executor(kernel, bytes, counts);
}

llvm::Error KernelStep::run(Executor executor) {
  for (Operation &op : function.front().without_terminator()) {
    llvm::Error error = llvm::Error::success();
    if (auto launchOp = dyn_cast<tile::LaunchOp>(op))
      error = launch(launchOp, executor);
    else if (isa<transformer::RopeTableOp, transformer::GetWeightOp, transformer::ConcatWeightsOp,
                 transformer::PackWeightOp>(op))
      error = addWeight(&op);
    if (error)
      return error;
  }
  for (auto [index, buffer] : llvm::enumerate(buffers))
    if (!buffer->isGuardIntact())
      return llvm::createStringError("a kernel wrote behind buffer " + Twine(index));
  return llvm::Error::success();
}
