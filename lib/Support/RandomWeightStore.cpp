//===- RandomWeightStore.cpp - Weights without a checkpoint ------------------------------------------===//
//
// Random blocks are made in their stored form: random bits everywhere, then a block scale (and
// minimum) that centres the values and gives them the deviation asked for. No function of the C
// library is involved, so a seed means the same weights on every machine.
//
//===----------------------------------------------------------------------------------------------===//

#include "ingot/Support/Codec.h"
#include "ingot/Support/WeightStore.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/Endian.h"
#include "llvm/Support/xxhash.h"
#include <atomic>
#include <bitset>
#include <cmath>

using namespace ingot;
namespace endian = llvm::support::endian;

/// A mix of a counter into 64 random bits (SplitMix64's finaliser).
static uint64_t mix(uint64_t value) {
  value += 0x9e3779b97f4a7c15;
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9;
  value = (value ^ (value >> 27)) * 0x94d049bb133111eb;
  return value ^ (value >> 31);
}

/// Roughly normal, deviation 1: the sum of four uniform 16-bit numbers, which has the variance 4
/// (2^32 - 1) / 12.
static float makeNormal(uint64_t bits) {
  int64_t sum = -2 * 65535;
  for (unsigned i = 0; i < 4; ++i)
    sum += (bits >> (16 * i)) & 0xffff;
  return float(double(sum) / 37837.2273584);
}

namespace {
/// Mean and mean square of an integer that is uniform in [low, high], or of what a random code
/// means.
struct Uniform {
  double mean, square;
  Uniform(int low, int high) : mean((low + high) / 2.0), square(0) {
    for (int value = low; value <= high; ++value)
      square += double(value) * value / (high - low + 1);
  }
  explicit Uniform(const NumericFormat &format) : mean(0), square(0) {
    int count = 1 << format.codeBits;
    for (int code = 0; code < count; ++code) {
      double value = decodeNumber(format, code);
      mean += value / count;
      square += value * value / count;
    }
  }
};

/// Block scale and minimum of a format.
struct BlockScales {
  float scale, minimum;
};
} // namespace

static Uniform getSubScales(ScaleKind kind) {
  switch (kind) {
  case ScaleKind::F16xU4:
    return {0, 15};
  case ScaleKind::F16xU6:
    return {0, 63};
  case ScaleKind::F16xS6:
  case ScaleKind::F16xI6:
    return {-32, 31};
  case ScaleKind::F16xS8:
    return {-128, 127};
  default:
    return {1, 1};
  }
}

/// The scales that give values of the deviation and, where the format has minimums, of mean zero.
static BlockScales getScales(const NumericFormat &format, float deviation) {
  Uniform codes(format), subScales = getSubScales(format.scaleKind);
  // value = d (s c - C t), C = mean of c, s and t independent group scale and minimum (1 where
  // there are none).
  double variance = codes.square * subScales.square;
  if (format.hasMinimum)
    variance += codes.mean * codes.mean * (subScales.square - 2 * subScales.mean * subScales.mean);
  else
    variance -= codes.mean * codes.mean * subScales.mean * subScales.mean;
  float scale = deviation / std::sqrt(variance);
  float minimum = scale * float(codes.mean);
  return {scale, format.isTwoLevel() ? minimum : -minimum};
}

/// Tells stores apart in the rows that threads keep, also one that lies where another one lay.
static uint64_t makeIdentity() {
  static std::atomic<uint64_t> last = 0; // only differs; orders nothing
  return ++last;
}

RandomWeightStore::RandomWeightStore(uint64_t seed)
    : identity(makeIdentity()), seed(seed), description("random:" + std::to_string(seed)) {}

llvm::Error RandomWeightStore::add(llvm::StringRef name, const NumericFormat &format,
                                   llvm::ArrayRef<int64_t> shape, float deviation, float mean) {
  llvm::Expected<WeightInfo> info = WeightInfo::get(format, shape);
  if (!info)
    return llvm::createStringError("weight '" + name + "': " + llvm::toString(info.takeError()));
  if (!weights.try_emplace(name, Weight{std::move(*info), deviation, mean}).second)
    return llvm::createStringError("there is a weight '" + name + "' already");
  names.push_back(name.str());
  return llvm::Error::success();
}

const WeightInfo *RandomWeightStore::find(llvm::StringRef name) const {
  auto found = weights.find(name);
  return found == weights.end() ? nullptr : &found->second.info;
}

/// The hash of a name without its digits.
static uint64_t hashRole(llvm::StringRef name) {
  std::string role;
  llvm::copy_if(name, std::back_inserter(role), [](char c) { return !llvm::isDigit(c); });
  return llvm::xxh3_64bits(role);
}

void RandomWeightStore::makeRow(llvm::StringRef name, const Weight &weight, int64_t row,
                                llvm::MutableArrayRef<uint8_t> buffer) const {
  const NumericFormat &format = *weight.info.format;
  uint64_t key = mix(seed ^ hashRole(name));
  BlockScales scales = format.isFloat() ? BlockScales{} : getScales(format, weight.deviation);
  uint64_t block = uint64_t(row) * (weight.info.columns / format.blockElements);
  for (; !buffer.empty(); buffer = buffer.drop_front(format.blockBytes), ++block) {
    uint64_t state = mix(key + block);
    uint8_t *bytes = buffer.data();
    if (format.isFloat()) {
      float value = weight.mean + weight.deviation * makeNormal(state);
      encodeRow(format, value, buffer.take_front(format.blockBytes));
      continue;
    }
    for (unsigned i = 0; i < format.blockBytes; ++i) {
      if (i % 8 == 0)
        state = mix(state);
      bytes[i] = state >> (8 * (i % 8));
    }
    writeScale(format, scales.scale, bytes);
    if (format.minimumIsZeroPoint)
      bytes[format.minimumOffset] = uint8_t(int(-scales.minimum / scales.scale));
    else if (format.hasMinimum)
      endian::write16le(bytes + format.minimumOffset, floatToHalf(scales.minimum));
  }
}

/// Weights are read row after row, so that a thread keeps the rows of the one that it reads.
llvm::Error RandomWeightStore::read(llvm::StringRef name, const WeightInfo &info, int64_t first,
                                    int64_t count, llvm::MutableArrayRef<uint8_t> buffer) const {
  struct Rows {
    uint64_t store = 0;
    const Weight *weight = nullptr;
    std::vector<uint8_t> bytes;
    std::bitset<repeatedRows> made;
  };
  thread_local Rows rows;
  const Weight &weight = weights.find(name)->second;
  if (rows.store != identity || rows.weight != &weight) {
    rows.store = identity;
    rows.weight = &weight;
    rows.bytes.resize(std::min(info.rows, repeatedRows) * info.rowBytes);
    rows.made.reset();
  }
  for (int64_t row = first; row < first + count; ++row) {
    int64_t place = row % repeatedRows;
    llvm::MutableArrayRef<uint8_t> bytes =
        llvm::MutableArrayRef(rows.bytes).slice(place * info.rowBytes, info.rowBytes);
    if (!rows.made[place])
      makeRow(name, weight, place, bytes);
    rows.made[place] = true;
    llvm::copy(bytes, buffer.begin());
    buffer = buffer.drop_front(info.rowBytes);
  }
  return llvm::Error::success();
}
