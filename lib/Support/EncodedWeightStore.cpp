//===- EncodedWeightStore.cpp - Weights rounded to another format as they are read -------------------===//

#include "ingot/Support/EncodedWeightStore.h"
#include "ingot/Support/Codec.h"

using namespace ingot;
using llvm::createStringError;

llvm::Error EncodedWeightStore::encode(llvm::StringRef name, const NumericFormat &format) {
  llvm::Expected<const WeightInfo *> stored = base->get(name);
  if (!stored)
    return stored.takeError();
  if (!canEncode(format))
    return createStringError("weight '" + name + "': there is no encoder for " + format.name);
  llvm::Expected<WeightInfo> info = WeightInfo::get(format, (*stored)->shape);
  if (!info)
    return createStringError("weight '" + name + "': " + llvm::toString(info.takeError()));
  encoded[name] = std::move(*info);
  return llvm::Error::success();
}

const WeightInfo *EncodedWeightStore::find(llvm::StringRef name) const {
  auto found = encoded.find(name);
  return found == encoded.end() ? base->find(name) : &found->second;
}

llvm::ArrayRef<uint8_t> EncodedWeightStore::getMapped(llvm::StringRef name) const {
  return encoded.contains(name) ? llvm::ArrayRef<uint8_t>() : base->getMapped(name);
}

llvm::Error EncodedWeightStore::read(llvm::StringRef name, const WeightInfo &info, int64_t first,
                                     int64_t count, llvm::MutableArrayRef<uint8_t> buffer) const {
  if (!encoded.contains(name))
    return base->readRows(name, first, count, buffer);
  std::vector<float> values(info.columns);
  for (int64_t i = 0; i < count; ++i) {
    if (llvm::Error error = base->readValues(name, first + i, 1, values))
      return error;
    encodeRow(*info.format, values, buffer.slice(i * info.rowBytes, info.rowBytes));
  }
  return llvm::Error::success();
}
