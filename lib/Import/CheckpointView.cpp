//===- CheckpointView.cpp - A checkpoint's weights as the program wants them ------------------===//
//
// See CheckpointView.h.
//
//===------------------------------------------------------------------------------------------===//

#include "CheckpointView.h"
#include "ingot/Support/Codec.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/Twine.h"

using namespace ingot;
using namespace ingot::import;
using llvm::createStringError;
using llvm::StringRef;
using llvm::Twine;

/// Whether the view holds other bits than its base.
static bool isConverted(const WeightView &view) {
  return view.isFloat32 || view.addend != 0 || !view.added.empty();
}

llvm::Error CheckpointView::add(StringRef name, WeightView view) {
  auto base = checkpoint->get(view.base);
  if (!base)
    return base.takeError();
  Entry entry{std::move(view), {}, **base};
  const RowPattern &rows = entry.view.rows;
  bool isMatrix = entry.base.shape.size() == 2;
  int64_t available = entry.view.isTransposed ? entry.base.columns : entry.base.rows;
  int64_t channels = entry.view.isTransposed ? entry.base.rows : entry.base.columns;
  // A vector's rows are its numbers, where some of them are asked for.
  bool isPart = !isMatrix && !entry.view.isTransposed && rows.count;
  if (isPart)
    available = entry.base.columns, channels = 1;
  int64_t count = rows.count ? rows.count : available;
  if ((isPart || entry.view.isTransposed) && !entry.base.format->isFloat())
    return createStringError(getDescription() + ": tensor '" + entry.view.base + "' in " +
                             entry.base.format->name + " cannot be taken apart by columns");
  if (rows.first < 0 || count < 1 || rows[count - 1] >= available ||
      (!isMatrix && !isPart && rows.count))
    return createStringError(getDescription() + ": expected tensor '" + entry.view.base +
                             "' to have more than " + Twine(rows[count - 1]) + " rows, got " +
                             Twine(available));
  entry.view.rows.count = count;
  const NumericFormat &format =
      isConverted(entry.view) ? *NumericFormat::lookup("f32") : *entry.base.format;
  llvm::SmallVector<int64_t, 2> shape = {count, channels};
  if (!isMatrix)
    shape = {isPart ? count : entry.base.columns};
  auto info = WeightInfo::get(format, shape);
  if (!info)
    return info.takeError();
  entry.info = std::move(*info);
  if (!entry.view.added.empty()) {
    auto added = checkpoint->get(entry.view.added);
    if (!added)
      return added.takeError();
    if ((*added)->columns != channels)
      return createStringError(getDescription() + ": expected tensor '" + entry.view.added +
                               "' to have " + Twine(channels) + " columns, got " +
                               Twine((*added)->columns));
  }
  views.insert_or_assign(name, std::move(entry));
  return llvm::Error::success();
}

const WeightInfo *CheckpointView::find(StringRef name) const {
  auto found = views.find(name);
  return found == views.end() ? checkpoint->find(name) : &found->second.info;
}

llvm::ArrayRef<uint8_t> CheckpointView::getMapped(StringRef name) const {
  return views.contains(name) ? llvm::ArrayRef<uint8_t>() : checkpoint->getMapped(name);
}

/// Row `row` of the view in the base's format.
llvm::Error CheckpointView::readRow(const Entry &entry, int64_t row,
                                    llvm::MutableArrayRef<uint8_t> bytes) const {
  const RowPattern &pattern = entry.view.rows;
  if (entry.base.shape.size() == 2 && !entry.view.isTransposed)
    return checkpoint->readRows(entry.view.base, pattern[row], 1, bytes);
  size_t size = entry.base.format->blockBytes;
  llvm::ArrayRef<uint8_t> all = checkpoint->getMapped(entry.view.base);
  std::vector<uint8_t> copy;
  if (all.empty()) {
    copy.resize(entry.base.bytes);
    if (llvm::Error error = checkpoint->readRows(entry.view.base, 0, entry.base.rows, copy))
      return error;
    all = copy;
  }
  // A vector is one row of numbers, a turned matrix a column of them.
  size_t count = bytes.size() / size;
  for (size_t i = 0; i < count; ++i) {
    size_t from = entry.view.isTransposed ? i * entry.base.columns + pattern[row] : pattern[i];
    llvm::copy(all.slice(from * size, size), bytes.begin() + i * size);
  }
  return llvm::Error::success();
}

llvm::Error CheckpointView::read(StringRef name, const WeightInfo &info, int64_t first,
                                 int64_t count, llvm::MutableArrayRef<uint8_t> rows) const {
  auto found = views.find(name);
  if (found == views.end())
    return checkpoint->readRows(name, first, count, rows);
  const Entry &entry = found->second;
  std::vector<uint8_t> stored(*entry.base.format->bytesForRow(info.columns));
  std::vector<float> values(info.columns), addends(info.columns, entry.view.addend);
  if (!entry.view.added.empty())
    if (llvm::Error error = checkpoint->readValues(entry.view.added, 0, 1, addends))
      return error;
  for (int64_t i = 0; i < count; ++i) {
    auto row = rows.slice(i * info.rowBytes, info.rowBytes);
    if (!isConverted(entry.view)) {
      if (llvm::Error error = readRow(entry, first + i, row))
        return error;
      continue;
    }
    if (llvm::Error error = readRow(entry, first + i, stored))
      return error;
    decodeRow(*entry.base.format, stored, values);
    for (auto [value, addend] : llvm::zip_equal(values, addends))
      value += addend;
    encodeRow(*info.format, values, row);
  }
  return llvm::Error::success();
}
