//===- KernelStep.cpp - Launches of a function executed on plain memory -----------------------------===//

#include "KernelStep.h"
#include "ingot/Artifact/WeightPacker.h"
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

size_t KernelStep::getPlace(transformer::KVCacheType type, int32_t sequence, int32_t position,
                            int64_t head, int64_t channel, bool isKey) const {
  int64_t page = type.getPage(), dim = type.getDim();
  int64_t block = getPage(type, sequence, position / page) * type.getHeads() + head;
  int64_t slot = position % page;
  if (kernels::isGpuCache(bounds.machine, type)) // GPUs have it the other way round
    isKey = !isKey;
  return isKey ? (block * dim + channel) * page + slot : (block * page + slot) * dim + channel;
}

KernelStep::Views KernelStep::storeCache(const reference::Cache &cache) {
  transformer::KVCacheType type = cache.type;
  size_t elements = llvm::divideCeil(bounds.contextTokens, type.getPage()) * bounds.sequences *
                    type.getHeads() * type.getDim() * type.getPage();
  size_t bytes = type.getFormat().getIntOrFloatBitWidth() / 8;
  Views both{allocate(elements * bytes), allocate(elements * bytes)};
  for (const auto &[token, entry] : *cache.layers[1])
    for (int64_t i = 0; i < type.getHeads() * type.getDim(); ++i)
      for (bool isKey : {true, false}) {
        float value = isKey ? entry.key[i] : entry.value[i];
        size_t place =
            getPlace(type, token.first, token.second, i / type.getDim(), i % type.getDim(), isKey);
        if (bytes == 4)
          both[!isKey]->as<float>()[place] = value;
        else
          both[!isKey]->as<uint16_t>()[place] = floatToHalf(value);
      }
  return both;
}

reference::Cache::Entry KernelStep::getEntry(unsigned index, int32_t sequence, int32_t position) {
  Value value = function.front().getTerminator()->getOperand(index);
  auto type = cast<transformer::KVCacheType>(value.getType());
  reference::Cache::Entry entry;
  for (int64_t i = 0; i < type.getHeads() * type.getDim(); ++i)
    for (bool isKey : {true, false}) {
      Buffer &buffer = *views.find(value)->second[!isKey];
      size_t place =
          getPlace(type, sequence, position, i / type.getDim(), i % type.getDim(), isKey);
      float number = type.getFormat().isF32() ? buffer.as<float>()[place]
                                              : halfToFloat(buffer.as<uint16_t>()[place]);
      (isKey ? entry.key : entry.value).push_back(number);
    }
  return entry;
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
