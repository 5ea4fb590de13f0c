//===- QuantizedWeights.cpp - Weights that several tensors of a folder make up ----------------===//
//
// Reading; QuantizedWeightsOpen.cpp has checked every tensor that is read here.
//
//===------------------------------------------------------------------------------------------===//

#include "QuantizedWeights.h"
#include "ingot/Import/Json.h"
#include "ingot/Support/Codec.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/Endian.h"

using namespace ingot;
using namespace ingot::import;
using llvm::createStringError;
using llvm::StringRef;
using llvm::Twine;
namespace endian = llvm::support::endian;

/// Columns of a block of the formats that weights become.
static constexpr int64_t blockColumns = 32;

/// The place of a row among the codes of words: AWQ mixes the eight of a word.
static int64_t getPlace(bool isMixed, int64_t row) {
  constexpr int64_t places[] = {0, 4, 1, 5, 2, 6, 3, 7};
  return isMixed ? row - row % 8 + places[row % 8] : row;
}

StringRef QuantizedWeights::getOrder(StringRef weight) const {
  auto found = weights.find(weight);
  return found == weights.end() ? StringRef() : StringRef(found->second.order);
}

const WeightInfo *QuantizedWeights::find(StringRef name) const {
  if (auto found = weights.find(name); found != weights.end())
    return &found->second.info;
  if (auto found = orders.find(name); found != orders.end())
    return &found->second.info;
  return file->find(name);
}

std::vector<std::string> QuantizedWeights::getNames() const { return names; }

llvm::ArrayRef<uint8_t> QuantizedWeights::getMapped(StringRef name) const {
  if (auto found = orders.find(name); found != orders.end())
    return found->second.bytes;
  return weights.contains(name) ? llvm::ArrayRef<uint8_t>() : file->getMapped(name);
}

/// The code at a place of codes without gaps in words `first`, `first` + `stride`, ...
static unsigned readFromWords(const SafetensorsTensor &tensor, int64_t first, int64_t stride,
                              unsigned bits, int64_t place) {
  int64_t bit = place * bits, word = first + bit / 32 * stride;
  unsigned shift = bit % 32, code = endian::read32le(&tensor.bytes[4 * word]) >> shift;
  if (shift + bits > 32) // 3 bits may begin in one word and end in the next
    code |= endian::read32le(&tensor.bytes[4 * (word + stride)]) << (32 - shift);
  return code & ((1u << bits) - 1);
}

static float readFloat(const SafetensorsTensor &tensor, int64_t i) {
  if (tensor.type == "F32")
    return llvm::bit_cast<float>(endian::read32le(&tensor.bytes[4 * i]));
  uint16_t bits = endian::read16le(&tensor.bytes[2 * i]);
  return tensor.type == "BF16" ? bfloatToFloat(bits) : halfToFloat(bits);
}

/// The codes of a row as the file has them, in the order of the weight.
void QuantizedWeights::readCodes(const Weight &weight, int64_t row,
                                 llvm::MutableArrayRef<uint8_t> codes) const {
  const SafetensorsTensor &tensor = *weight.codes;
  unsigned bits = weight.scheme.bits;
  int64_t rows = weight.info.rows, columns = weight.info.columns;
  auto read = [&](int64_t column) -> unsigned {
    switch (weight.layout) {
    case Layout::ColumnWords:
      return readFromWords(tensor, row, rows, bits, column);
    case Layout::RowWords:
      return readFromWords(tensor, column * rows * bits / 32, 1, bits, getPlace(true, row));
    case Layout::RowMajor:
      return tensor.bytes[row * (tensor.bytes.size() / rows) + column * bits / 8] >>
                 (column * bits % 8) &
             ((1u << bits) - 1);
    case Layout::Bytes:
      return tensor.bytes[row * columns + column];
    }
    return 0;
  };
  for (int64_t i = 0; i < columns; ++i)
    codes[i] = read(weight.columns.empty() ? i : weight.columns[i]);
}

unsigned QuantizedWeights::readZero(const Weight &weight, int64_t row, int64_t group) const {
  const SafetensorsTensor &tensor = *weight.zeros;
  unsigned bits = weight.scheme.bits, zero = 0;
  bool isMixed = weight.layout == Layout::RowWords;
  switch (weight.layout) {
  case Layout::ColumnWords:
  case Layout::RowWords:
    zero = readFromWords(tensor, group * tensor.shape.back(), 1, bits, getPlace(isMixed, row));
    break;
  case Layout::RowMajor: // words of neighbouring rows
    zero = readFromWords(tensor, group, tensor.shape.back(), bits, row);
    break;
  case Layout::Bytes:
    zero = tensor.bytes[weight.getScale(row, group)];
    break;
  }
  return (zero + weight.zeroAddend) & ((1u << bits) - 1);
}

/// Writes codes of 4 or 8 bits where a block has them.
static void writeCodes(const NumericFormat &format, llvm::ArrayRef<uint8_t> codes, uint8_t *block) {
  uint8_t *out = block + format.planes[0].offset;
  constexpr int64_t half = blockColumns / 2;
  if (format.codeBits == 8)
    llvm::copy(codes, out);
  else
    for (int64_t i = 0; i < half; ++i)
      out[i] = codes[i] | codes[i + half] << 4;
}

llvm::Error QuantizedWeights::readRow(StringRef name, const Weight &weight, int64_t row,
                                      llvm::MutableArrayRef<uint8_t> bytes) const {
  const NumericFormat &format = *weight.info.format;
  std::vector<uint8_t> codes(weight.info.columns);
  readCodes(weight, row, codes);
  // Integers get the offset of the format: the middle of their bits means zero. Signed bytes of
  // files have it already, and floats have none.
  bool isInteger = weight.scheme.code == QuantizationScheme::Code::Integer;
  int middle = isInteger && weight.layout != Layout::Bytes ? 1 << (weight.scheme.bits - 1) : 0;
  int shift =
      format.minimumIsZeroPoint && !format.codesAreSigned ? 0 : int(format.codeOffset) - middle;
  for (uint8_t &code : codes) {
    if (format.codesAreFloats && (code & 0x7f) == 0x7f)
      return createStringError(getDescription() + ": tensor " + quoteName(weight.codes->name) +
                               " has NaN in row " + Twine(row));
    code += shift;
  }
  for (auto [i, group] : llvm::enumerate(weight.groups)) {
    uint8_t *block = bytes.data() + i * format.blockBytes;
    int64_t at = weight.getScale(row, group);
    if (format.scaleKind == ScaleKind::F16) // as it is, also a NaN
      llvm::copy(weight.scales->bytes.slice(2 * at, 2), block + format.scaleOffset);
    else if (format.scaleKind == ScaleKind::E8M0)
      block[format.scaleOffset] = weight.scales->bytes[at];
    else
      writeScale(format, readFloat(*weight.scales, at), block);
    if (format.minimumIsZeroPoint)
      block[format.minimumOffset] = readZero(weight, row, group) + shift;
    writeCodes(format, llvm::ArrayRef(codes).slice(i * blockColumns, blockColumns), block);
  }
  return llvm::Error::success();
}

llvm::Error QuantizedWeights::read(StringRef name, const WeightInfo &info, int64_t first,
                                   int64_t count, llvm::MutableArrayRef<uint8_t> rows) const {
  if (auto found = orders.find(name); found != orders.end()) {
    llvm::copy(found->second.bytes, rows.begin());
    return llvm::Error::success();
  }
  auto found = weights.find(name);
  if (found == weights.end())
    return file->readRows(name, first, count, rows);
  for (int64_t i = 0; i < count; ++i)
    if (llvm::Error error =
            readRow(name, found->second, first + i, rows.slice(i * info.rowBytes, info.rowBytes)))
      return error;
  return llvm::Error::success();
}
