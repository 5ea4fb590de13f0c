//===- WeightStore.cpp - Where the bytes of weights come from ----------------------------------------===//

#include "ingot/Support/WeightStore.h"
#include "ingot/Support/Codec.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/SHA256.h"

using namespace ingot;
using llvm::createStringError;
using llvm::Twine;

//===----------------------------------------------------------------------------------------------===//
// WeightInfo
//===----------------------------------------------------------------------------------------------===//

llvm::Expected<WeightInfo> WeightInfo::get(const NumericFormat &format,
                                           llvm::ArrayRef<int64_t> shape) {
  WeightInfo info;
  info.format = &format;
  info.shape.assign(shape.begin(), shape.end());
  if (shape.empty())
    return createStringError("a weight has at least one dimension");
  info.rows = 1;
  for (size_t i = 0; i < shape.size(); ++i) {
    if (shape[i] <= 0)
      return createStringError("dimension " + Twine(shape[i]) + " of a weight is not positive");
    if (i + 1 < shape.size() && __builtin_mul_overflow(info.rows, shape[i], &info.rows))
      return createStringError("the weight has more than 2^63 rows");
  }
  info.columns = shape.back();
  if (info.columns % format.blockElements != 0)
    return createStringError("rows of " + Twine(info.columns) +
                             " weights are not whole blocks of " + Twine(format.blockElements) +
                             " as " + format.name + " needs");
  std::optional<uint64_t> rowBytes = format.bytesForRow(info.columns);
  if (!rowBytes || __builtin_mul_overflow(*rowBytes, uint64_t(info.rows), &info.bytes) ||
      info.bytes > uint64_t(INT64_MAX))
    return createStringError("the weight exceeds 2^63 bytes");
  info.rowBytes = *rowBytes;
  return info;
}

//===----------------------------------------------------------------------------------------------===//
// WeightStore
//===----------------------------------------------------------------------------------------------===//

WeightStore::~WeightStore() = default;

llvm::Expected<const WeightInfo *> WeightStore::get(llvm::StringRef name) const {
  if (const WeightInfo *info = find(name))
    return info;
  return createStringError(getDescription() + ": there is no weight '" + name + "'");
}

llvm::Error WeightStore::readRows(llvm::StringRef name, int64_t first, int64_t count,
                                  llvm::MutableArrayRef<uint8_t> buffer) const {
  llvm::Expected<const WeightInfo *> info = get(name);
  if (!info)
    return info.takeError();
  if (first < 0 || count < 0 || first > (*info)->rows || count > (*info)->rows - first)
    return createStringError(getDescription() + ": weight '" + name + "' has " +
                             Twine((*info)->rows) + " rows, asked for " + Twine(count) +
                             " from row " + Twine(first));
  if (buffer.size() != count * (*info)->rowBytes)
    return createStringError(getDescription() + ": " + Twine(count) + " rows of weight '" + name +
                             "' take " + Twine(count * (*info)->rowBytes) +
                             " bytes, the buffer has " + Twine(buffer.size()));
  return read(name, **info, first, count, buffer);
}

llvm::Error WeightStore::readValues(llvm::StringRef name, int64_t first, int64_t count,
                                    llvm::MutableArrayRef<float> values) const {
  llvm::Expected<const WeightInfo *> info = get(name);
  if (!info)
    return info.takeError();
  if (count < 0 || count > (*info)->rows || values.size() != uint64_t(count) * (*info)->columns)
    return createStringError(getDescription() + ": " + Twine(count) + " rows of weight '" + name +
                             "' do not fit a buffer of " + Twine(values.size()) + " values");
  std::vector<uint8_t> row((*info)->rowBytes);
  for (int64_t i = 0; i < count; ++i) {
    if (llvm::Error error = readRows(name, first + i, 1, row))
      return error;
    decodeRow(*(*info)->format, row, values.slice(i * (*info)->columns, (*info)->columns));
  }
  return llvm::Error::success();
}

llvm::Expected<std::string> WeightStore::hash(llvm::StringRef name) const {
  llvm::Expected<const WeightInfo *> found = get(name);
  if (!found)
    return found.takeError();
  const WeightInfo &info = **found;
  llvm::SHA256 hasher;
  hasher.update(info.format->name);
  for (int64_t size : info.shape)
    hasher.update(" " + llvm::utostr(size));
  hasher.update(llvm::StringRef("\n"));
  if (llvm::ArrayRef<uint8_t> bytes = getMapped(name); !bytes.empty()) {
    hasher.update(bytes);
  } else {
    int64_t step = std::max<uint64_t>(1, (1 << 20) / info.rowBytes);
    std::vector<uint8_t> buffer(step * info.rowBytes);
    for (int64_t first = 0; first < info.rows; first += step) {
      int64_t count = std::min(step, info.rows - first);
      buffer.resize(count * info.rowBytes);
      if (llvm::Error error = readRows(name, first, count, buffer))
        return error;
      hasher.update(buffer);
    }
  }
  return llvm::toHex(hasher.final(), /*LowerCase=*/true);
}

//===----------------------------------------------------------------------------------------------===//
// InlineWeightStore
//===----------------------------------------------------------------------------------------------===//

llvm::Error InlineWeightStore::add(llvm::StringRef name, const NumericFormat &format,
                                   llvm::ArrayRef<int64_t> shape, std::vector<uint8_t> bytes) {
  llvm::Expected<WeightInfo> info = WeightInfo::get(format, shape);
  if (!info)
    return createStringError("weight '" + name + "': " + llvm::toString(info.takeError()));
  if (info->bytes != bytes.size())
    return createStringError("weight '" + name + "' takes " + Twine(info->bytes) + " bytes, got " +
                             Twine(bytes.size()));
  if (!weights.try_emplace(name, Weight{std::move(*info), std::move(bytes)}).second)
    return createStringError("there is a weight '" + name + "' already");
  names.push_back(name.str());
  return llvm::Error::success();
}

llvm::Error InlineWeightStore::addValues(llvm::StringRef name, const NumericFormat &format,
                                         llvm::ArrayRef<int64_t> shape,
                                         llvm::ArrayRef<float> values) {
  llvm::Expected<WeightInfo> info = WeightInfo::get(format, shape);
  if (!info)
    return createStringError("weight '" + name + "': " + llvm::toString(info.takeError()));
  if (!canEncode(format))
    return createStringError("weight '" + name + "': there is no encoder for " + format.name);
  if (values.size() != uint64_t(info->rows) * info->columns)
    return createStringError("weight '" + name + "' has " + Twine(info->rows * info->columns) +
                             " values, got " + Twine(values.size()));
  std::vector<uint8_t> bytes(info->bytes);
  encodeRow(format, values, bytes);
  return add(name, format, shape, std::move(bytes));
}

const WeightInfo *InlineWeightStore::find(llvm::StringRef name) const {
  auto found = weights.find(name);
  return found == weights.end() ? nullptr : &found->second.info;
}

llvm::ArrayRef<uint8_t> InlineWeightStore::getMapped(llvm::StringRef name) const {
  auto found = weights.find(name);
  if (found == weights.end())
    return {};
  return found->second.bytes;
}

llvm::Error InlineWeightStore::read(llvm::StringRef name, const WeightInfo &info, int64_t first,
                                    int64_t count, llvm::MutableArrayRef<uint8_t> buffer) const {
  llvm::ArrayRef<uint8_t> bytes = getMapped(name).slice(first * info.rowBytes, buffer.size());
  llvm::copy(bytes, buffer.begin());
  return llvm::Error::success();
}
