//===- WeightPacker.cpp - From the bytes of a checkpoint to those of the artefact -------------===//

#include "ingot/Artifact/WeightPacker.h"
#include "ingot/Support/Packing.h"
#include "llvm/ADT/Twine.h"
#include <cmath>

using namespace mlir;
using namespace ingot;
using namespace ingot::artifact;
using llvm::createStringError;
using llvm::Error;
using llvm::Twine;

/// Rows are read in portions of about this many bytes.
static constexpr uint64_t portionBytes = 1 << 18;

namespace {

/// The rows of several weights of one format, one after the other.
class StackedRows {
public:
  /// Fails where a source is missing or does not fit the packed weight.
  static llvm::Expected<StackedRows> open(plan::WeightOp weight, const WeightStore &store);

  Error read(int64_t first, int64_t count, llvm::MutableArrayRef<uint8_t> buffer) const;
  uint64_t getRowBytes() const { return rowBytes; }

private:
  struct Source {
    llvm::StringRef name;
    int64_t firstRow, rows;
  };

  const WeightStore *store;
  SmallVector<Source> sources;
  uint64_t rowBytes = 0;
};

} // namespace

llvm::Expected<StackedRows> StackedRows::open(plan::WeightOp weight, const WeightStore &store) {
  StackedRows stacked;
  stacked.store = &store;
  int64_t rows = 0, columns = weight.getColumns();
  for (Attribute attribute : weight.getSources()) {
    auto name = dyn_cast<StringAttr>(attribute);
    if (!name)
      return createStringError("weight '" + weight.getSymName() +
                               "': generated content cannot be stacked");
    llvm::Expected<const WeightInfo *> info = store.get(name.getValue());
    if (!info)
      return info.takeError();
    if ((*info)->format->name != weight.getFormat() || (*info)->columns != columns)
      return createStringError("weight '" + name.getValue() + "': expected rows of " +
                               Twine(columns) + " in " + weight.getFormat() + ", got " +
                               Twine((*info)->columns) + " in " + (*info)->format->name);
    stacked.sources.push_back({name.getValue(), rows, (*info)->rows});
    stacked.rowBytes = (*info)->rowBytes;
    rows += (*info)->rows;
  }
  if (rows != static_cast<int64_t>(weight.getRows()))
    return createStringError("weight '" + weight.getSymName() + "': expected " +
                             Twine(weight.getRows()) + " rows, got " + Twine(rows));
  return stacked;
}

Error StackedRows::read(int64_t first, int64_t count, llvm::MutableArrayRef<uint8_t> buffer) const {
  for (const Source &source : sources) {
    int64_t begin = std::max(first, source.firstRow);
    int64_t end = std::min(first + count, source.firstRow + source.rows);
    if (begin >= end)
      continue;
    auto part = buffer.slice((begin - first) * rowBytes, (end - begin) * rowBytes);
    if (Error error = store->readRows(source.name, begin - source.firstRow, end - begin, part))
      return error;
  }
  return Error::success();
}

void artifact::fillRopeRow(double base, llvm::ArrayRef<float> factors, int64_t position,
                           llvm::MutableArrayRef<float> row) {
  size_t pairs = row.size() / 2;
  for (size_t i = 0; i < pairs; ++i) {
    double factor = factors.empty() ? 1.0 : double(factors[i]);
    float frequency = std::pow(base, -double(i) / double(pairs)) / factor;
    float angle = float(position) * frequency;
    row[i] = std::cos(double(angle));
    row[pairs + i] = std::sin(double(angle));
  }
}

static Error generateRopeTable(plan::WeightOp weight, plan::RopeTableAttr table, WeightSink sink) {
  llvm::ArrayRef<float> factors;
  if (table.getFactors())
    factors = table.getFactors().asArrayRef();
  if (weight.getFormat() != "f32" || weight.getPacking() != "plain" ||
      weight.getColumns() % 2 != 0 ||
      (!factors.empty() && factors.size() != weight.getColumns() / 2))
    return createStringError("weight '" + weight.getSymName() +
                             "': expected a rope table of plain f32 with a factor for each pair");
  std::vector<float> row(weight.getColumns());
  double base = table.getBase().getValueAsDouble();
  for (int64_t position = 0, rows = weight.getRows(); position < rows; ++position) {
    fillRopeRow(base, factors, position, row);
    if (Error error =
            sink({reinterpret_cast<const uint8_t *>(row.data()), row.size() * sizeof(float)}))
      return error;
  }
  return Error::success();
}

static Error copyRows(plan::WeightOp weight, const StackedRows &source, WeightSink sink) {
  int64_t rows = weight.getRows();
  int64_t portion = std::max<int64_t>(1, portionBytes / source.getRowBytes());
  std::vector<uint8_t> buffer;
  for (int64_t first = 0; first < rows; first += portion) {
    int64_t count = std::min(portion, rows - first);
    buffer.resize(count * source.getRowBytes());
    if (Error error = source.read(first, count, buffer))
      return error;
    if (Error error = sink(buffer))
      return error;
  }
  return Error::success();
}

Error artifact::packWeight(plan::WeightOp weight, const WeightStore &store, WeightSink sink) {
  if (auto table = dyn_cast<plan::RopeTableAttr>(weight.getSources()[0]))
    return generateRopeTable(weight, table, sink);
  llvm::Expected<StackedRows> source = StackedRows::open(weight, store);
  if (!source)
    return source.takeError();
  StringRef packing = weight.getPacking();
  if (packing == "plain")
    return copyRows(weight, *source, sink);
  int64_t interleave;
  const NumericFormat *format = NumericFormat::lookup(weight.getFormat());
  PackedOrder order =
      packing.starts_with("planar") ? PackedOrder::Planar : PackedOrder::Interleaved;
  if (!format || !(packing.consume_front("planar") || packing.consume_front("rows")) ||
      packing.getAsInteger(10, interleave))
    return createStringError("weight '" + weight.getSymName() + "': packing '" +
                             weight.getPacking() + "' of format '" + weight.getFormat() +
                             "' is unknown");
  llvm::Expected<PackedLayout> layout =
      PackedLayout::get(*format, weight.getRows(), weight.getColumns(), interleave, order);
  if (!layout)
    return layout.takeError();
  auto read = [&](int64_t first, int64_t count, llvm::MutableArrayRef<uint8_t> buffer) {
    return source->read(first, count, buffer);
  };
  return packRows(*layout, read, sink);
}

WeightProducer artifact::makeWeightProducer(plan::ProgramOp program, const WeightStore &store) {
  std::vector<plan::WeightOp> weights(program.getOps<plan::WeightOp>().begin(),
                                      program.getOps<plan::WeightOp>().end());
  return [weights, &store](size_t index, WeightSink sink) {
    return packWeight(weights[index], store, sink);
  };
}
