//===- WeightWatch.cpp - Notices weights that are no numbers ----------------------------------===//

#include "WeightWatch.h"
#include "ingot/Support/Codec.h"
#include "llvm/Support/Endian.h"
#include <cmath>

using namespace ingot;
namespace endian = llvm::support::endian;

static bool isNan16(uint16_t bits, uint16_t exponent) { return (bits & 0x7fff) > exponent; }

/// Whether a float of the rows is NaN; of integer formats the scale or the minimum of a block.
static bool hasNan(const NumericFormat &format, llvm::ArrayRef<uint8_t> rows) {
  constexpr uint16_t half = 0x7c00, brain = 0x7f80;
  bool found = false;
  if (format.isFloat() && format.codeBits == 32) {
    for (size_t at = 0; at < rows.size(); at += 4)
      found |= (endian::read32le(&rows[at]) & 0x7fffffff) > 0x7f800000;
  } else if (format.isFloat()) {
    for (size_t at = 0; at < rows.size(); at += 2)
      found |= isNan16(endian::read16le(&rows[at]), format.name == "bf16" ? brain : half);
  } else {
    for (size_t at = 0; at < rows.size(); at += format.blockBytes) {
      found |= std::isnan(readScale(format, &rows[at]));
      found |= format.hasMinimum && !format.minimumIsZeroPoint &&
               isNan16(endian::read16le(&rows[at + format.minimumOffset]), half);
    }
  }
  return found;
}

std::set<std::string> WeightWatch::getBroken() const {
  std::scoped_lock lock(mutex);
  return broken;
}

llvm::Error WeightWatch::read(llvm::StringRef name, const WeightInfo &info, int64_t first,
                              int64_t count, llvm::MutableArrayRef<uint8_t> rows) const {
  if (llvm::Error error = store.readRows(name, first, count, rows))
    return error;
  if (hasNan(*info.format, rows)) {
    std::scoped_lock lock(mutex);
    broken.insert(name.str());
  }
  return llvm::Error::success();
}
