//===- GgufParser.cpp - Checks a GGUF file ----------------------------------------------------------===//

#include "GgufParser.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/ConvertUTF.h"
#include "llvm/Support/Endian.h"
#include "llvm/Support/MathExtras.h"

using namespace ingot;
using llvm::Twine;
namespace endian = llvm::support::endian;

//===----------------------------------------------------------------------------------------------===//
// Types
//===----------------------------------------------------------------------------------------------===//

namespace {
struct ValueType {
  llvm::StringRef name;
  unsigned bytes; ///< 0 where the size varies
};

/// A tensor type of ggml; `format` is null where it is known but not decoded.
struct TensorType {
  uint32_t number;
  llvm::StringRef name;
  llvm::StringRef format;
};
} // namespace

static constexpr ValueType valueTypes[] = {
    {"u8", 1},   {"i8", 1},     {"u16", 2},   {"i16", 2}, {"u32", 4}, {"i32", 4}, {"f32", 4},
    {"bool", 1}, {"string", 0}, {"array", 0}, {"u64", 8}, {"i64", 8}, {"f64", 8},
};

static constexpr TensorType tensorTypes[] = {
    {0, "F32", "f32"},        {1, "F16", "f16"},      {2, "Q4_0", "q4_0"},
    {3, "Q4_1", "q4_1"},      {6, "Q5_0", "q5_0"},    {7, "Q5_1", "q5_1"},
    {8, "Q8_0", "q8_0"},      {9, "Q8_1", ""},        {10, "Q2_K", "q2_k"},
    {11, "Q3_K", "q3_k"},     {12, "Q4_K", "q4_k"},   {13, "Q5_K", "q5_k"},
    {14, "Q6_K", "q6_k"},     {15, "Q8_K", ""},       {16, "IQ2_XXS", ""},
    {17, "IQ2_XS", ""},       {18, "IQ3_XXS", ""},    {19, "IQ1_S", ""},
    {20, "IQ4_NL", "iq4_nl"}, {21, "IQ3_S", ""},      {22, "IQ2_S", ""},
    {23, "IQ4_XS", "iq4_xs"}, {24, "I8", ""},         {25, "I16", ""},
    {26, "I32", ""},          {27, "I64", ""},        {28, "F64", ""},
    {29, "IQ1_M", ""},        {30, "BF16", "bf16"},   {34, "TQ1_0", ""},
    {35, "TQ2_0", ""},        {39, "MXFP4", "mxfp4"}, {40, "NVFP4", ""},
    {41, "Q1_0", ""},
};

llvm::StringRef GgufParser::getTypeName(GgufType type) { return valueTypes[uint32_t(type)].name; }

/// A name from the file, fit for a message: printable, on one line, not too long.
static std::string quote(llvm::StringRef name) {
  std::string text;
  llvm::raw_string_ostream stream(text);
  stream << '\'';
  llvm::printEscapedString(name.take_front(100), stream);
  stream << (name.size() > 100 ? "...'" : "'");
  return text;
}

//===----------------------------------------------------------------------------------------------===//
// The cursor
//===----------------------------------------------------------------------------------------------===//

GgufParser::GgufParser(GgufFile &file)
    : file(file), begin(reinterpret_cast<const uint8_t *>(file.buffer->getBufferStart())),
      cursor(begin), end(reinterpret_cast<const uint8_t *>(file.buffer->getBufferEnd())) {}

llvm::Error GgufParser::fail(const Twine &message) const {
  return llvm::createStringError(file.getDescription() + ": " + message);
}

llvm::Error GgufParser::failAtEnd(const Twine &what, uint64_t bytes) const {
  return fail(what + " needs " + Twine(bytes) + " bytes at offset " + Twine(getOffset()) +
              ", the file ends at " + Twine(uint64_t(end - begin)));
}

llvm::Error GgufParser::readU32(uint32_t &value, const Twine &what) {
  if (getRemaining() < 4)
    return failAtEnd(what, 4);
  value = endian::read32le(cursor);
  cursor += 4;
  return llvm::Error::success();
}

llvm::Error GgufParser::readU64(uint64_t &value, const Twine &what) {
  if (getRemaining() < 8)
    return failAtEnd(what, 8);
  value = endian::read64le(cursor);
  cursor += 8;
  return llvm::Error::success();
}

llvm::Error GgufParser::readName(llvm::StringRef &name, const Twine &what) {
  uint64_t size;
  if (llvm::Error error = readU64(size, what))
    return error;
  if (size == 0 || size > maxNameBytes)
    return fail(what + " has " + Twine(size) + " bytes, expected 1 to " + Twine(maxNameBytes));
  if (size > getRemaining())
    return failAtEnd(what, size);
  name = llvm::StringRef(reinterpret_cast<const char *>(cursor), size);
  const llvm::UTF8 *text = cursor;
  if (!llvm::isLegalUTF8String(&text, cursor + size))
    return fail(what + " " + quote(name) + " is not UTF-8");
  cursor += size;
  return llvm::Error::success();
}

//===----------------------------------------------------------------------------------------------===//
// Values
//===----------------------------------------------------------------------------------------------===//

llvm::Error GgufParser::skipBools(uint64_t count, const Twine &what) {
  for (; count; --count, ++cursor)
    if (*cursor > 1)
      return fail(what + " holds the bool " + Twine(unsigned(*cursor)) + ", expected 0 or 1");
  return llvm::Error::success();
}

llvm::Error GgufParser::skipArray(const Twine &what, unsigned nesting) {
  if (nesting == maxNesting)
    return fail(what + " nests arrays deeper than " + Twine(maxNesting));
  uint32_t elementType;
  uint64_t count;
  if (llvm::Error error = readU32(elementType, what))
    return error;
  if (elementType >= std::size(valueTypes))
    return fail(what + " is an array of the unknown type " + Twine(elementType));
  if (llvm::Error error = readU64(count, what))
    return error;
  unsigned size = valueTypes[elementType].bytes;
  // A string takes 8 bytes at least, an array 12: a count beyond that is refused before it is
  // followed.
  unsigned atLeast = size ? size : GgufType(elementType) == GgufType::String ? 8 : 12;
  if (count > getRemaining() / atLeast)
    return fail(what + " is an array of " + Twine(count) + " elements at offset " +
                Twine(getOffset()) + ", the file ends at " + Twine(uint64_t(end - begin)));
  if (GgufType(elementType) == GgufType::Bool)
    return skipBools(count, what);
  if (size) {
    cursor += count * size;
    return llvm::Error::success();
  }
  for (uint64_t i = 0; i < count; ++i)
    if (llvm::Error error = skipValue(GgufType(elementType), what, nesting + 1))
      return error;
  return llvm::Error::success();
}

llvm::Error GgufParser::skipValue(GgufType type, const Twine &what, unsigned nesting) {
  if (type == GgufType::Array)
    return skipArray(what, nesting);
  if (type == GgufType::String) {
    uint64_t size;
    if (llvm::Error error = readU64(size, what))
      return error;
    if (size > getRemaining())
      return failAtEnd(what, size);
    cursor += size;
    return llvm::Error::success();
  }
  unsigned size = valueTypes[uint32_t(type)].bytes;
  if (getRemaining() < size)
    return failAtEnd(what, size);
  if (type == GgufType::Bool)
    return skipBools(1, what);
  cursor += size;
  return llvm::Error::success();
}

GgufValue GgufParser::viewValue(GgufType type, const uint8_t *&next) {
  GgufValue value;
  value.type = type;
  value.bytes = next;
  if (type == GgufType::String) {
    next += 8 + endian::read64le(next);
  } else if (type == GgufType::Array) {
    value.elementType = GgufType(endian::read32le(next));
    value.elementCount = endian::read64le(next + 4);
    value.bytes = next += 12;
    if (unsigned size = valueTypes[uint32_t(value.elementType)].bytes)
      next += value.elementCount * size;
    else
      for (uint64_t i = 0; i < value.elementCount; ++i)
        viewValue(value.elementType, next);
  } else {
    next += valueTypes[uint32_t(type)].bytes;
  }
  return value;
}

//===----------------------------------------------------------------------------------------------===//
// Header and entries
//===----------------------------------------------------------------------------------------------===//

llvm::Error GgufParser::parse() {
  uint64_t tensorCount, entryCount;
  if (llvm::Error error = parseHeader(tensorCount, entryCount))
    return error;
  for (uint64_t i = 0; i < entryCount; ++i)
    if (llvm::Error error = parseEntry(i))
      return error;
  if (llvm::Error error = parseAlignment())
    return error;
  for (uint64_t i = 0; i < tensorCount; ++i)
    if (llvm::Error error = parseTensor(i))
      return error;
  return placeTensors();
}

llvm::Error GgufParser::parseHeader(uint64_t &tensorCount, uint64_t &entryCount) {
  if (getRemaining() < 4 || memcmp(cursor, "GGUF", 4) != 0)
    return fail("not a GGUF file (it does not begin with 'GGUF')");
  cursor += 4;
  if (llvm::Error error = readU32(file.version, "the version"))
    return error;
  if (file.version != 0 && (file.version & 0xffff) == 0)
    return fail("big-endian GGUF files are not supported");
  if (file.version != 2 && file.version != 3)
    return fail("GGUF version " + Twine(file.version) + " is not supported, expected 2 or 3");
  if (llvm::Error error = readU64(tensorCount, "the tensor count"))
    return error;
  if (llvm::Error error = readU64(entryCount, "the metadata count"))
    return error;
  // The smallest entry: one byte of key and a u8. The smallest tensor: one byte of name, one
  // dimension.
  constexpr uint64_t entryBytes = 8 + 1 + 4 + 1, tensorBytes = 8 + 1 + 4 + 8 + 4 + 8;
  if (entryCount > getRemaining() / entryBytes)
    return fail(Twine(entryCount) + " metadata entries do not fit a file of " +
                Twine(uint64_t(end - begin)) + " bytes");
  if (tensorCount > getRemaining() / tensorBytes)
    return fail(Twine(tensorCount) + " tensors do not fit a file of " +
                Twine(uint64_t(end - begin)) + " bytes");
  return llvm::Error::success();
}

llvm::Error GgufParser::parseEntry(uint64_t index) {
  GgufEntry entry;
  if (llvm::Error error = readName(entry.key, "the key of metadata entry " + Twine(index)))
    return error;
  std::string what = "metadata entry " + quote(entry.key);
  uint32_t type;
  if (llvm::Error error = readU32(type, what))
    return error;
  if (type >= std::size(valueTypes))
    return fail(what + " has the unknown type " + Twine(type));
  const uint8_t *start = cursor;
  if (llvm::Error error = skipValue(GgufType(type), what, 0))
    return error;
  entry.value = viewValue(GgufType(type), start);
  if (!file.entryIndex.try_emplace(entry.key, file.entries.size()).second)
    return fail(what + " occurs twice");
  file.entries.push_back(entry);
  return llvm::Error::success();
}

llvm::Error GgufParser::parseAlignment() {
  const GgufValue *value = file.findEntry("general.alignment");
  if (!value)
    return llvm::Error::success();
  if (value->getType() != GgufType::U32)
    return fail("metadata entry 'general.alignment' is of type " + getTypeName(value->getType()) +
                ", expected u32");
  file.alignment = *value->getUnsigned();
  if (!llvm::isPowerOf2_64(file.alignment) || file.alignment > maxAlignment)
    return fail("metadata entry 'general.alignment' is " + Twine(file.alignment) +
                ", expected a power of two up to " + Twine(maxAlignment));
  return llvm::Error::success();
}

//===----------------------------------------------------------------------------------------------===//
// Tensors
//===----------------------------------------------------------------------------------------------===//

llvm::Error GgufParser::parseTensor(uint64_t index) {
  GgufTensor tensor;
  if (llvm::Error error = readName(tensor.name, "the name of tensor " + Twine(index)))
    return error;
  if (llvm::Error error = parseSizes(tensor))
    return error;
  uint64_t offset;
  if (llvm::Error error = readU64(offset, "tensor " + quote(tensor.name)))
    return error;
  if (offset % file.alignment != 0)
    return fail("tensor " + quote(tensor.name) + " is at offset " + Twine(offset) +
                ", which is not a multiple of the alignment " + Twine(file.alignment));
  if (!file.tensorIndex.try_emplace(tensor.name, file.tensors.size()).second)
    return fail("tensor " + quote(tensor.name) + " occurs twice");
  offsets.push_back(offset);
  file.tensors.push_back(std::move(tensor));
  return llvm::Error::success();
}

/// Dimensions, sizes and type.
llvm::Error GgufParser::parseSizes(GgufTensor &tensor) {
  std::string what = "tensor " + quote(tensor.name);
  uint32_t dimensions, number;
  if (llvm::Error error = readU32(dimensions, what))
    return error;
  if (dimensions == 0 || dimensions > maxDimensions)
    return fail(what + " has " + Twine(dimensions) + " dimensions, expected 1 to " +
                Twine(maxDimensions));
  llvm::SmallVector<int64_t, maxDimensions> shape;
  for (uint32_t i = 0; i < dimensions; ++i) {
    uint64_t size;
    if (llvm::Error error = readU64(size, what))
      return error;
    if (size == 0 || size > uint64_t(INT64_MAX))
      return fail(what + " has a dimension of " + Twine(size) + ", expected 1 to 2^63 - 1");
    shape.insert(shape.begin(), int64_t(size));
  }
  if (llvm::Error error = readU32(number, what))
    return error;
  const TensorType *type =
      llvm::find_if(tensorTypes, [&](const TensorType &type) { return type.number == number; });
  if (type == std::end(tensorTypes))
    return fail(what + " has the unknown type " + Twine(number));
  if (type->format.empty())
    return fail(what + " has the type " + type->name + ", which is not supported");
  llvm::Expected<WeightInfo> info = WeightInfo::get(*NumericFormat::lookup(type->format), shape);
  if (!info)
    return fail(what + ": " + llvm::toString(info.takeError()));
  tensor.info = std::move(*info);
  return llvm::Error::success();
}

/// Finds the data of all tensors and checks that it lies in the file and does not overlap.
llvm::Error GgufParser::placeTensors() {
  if (file.tensors.empty())
    return llvm::Error::success();
  uint64_t dataOffset = llvm::alignTo(getOffset(), file.alignment);
  uint64_t fileBytes = end - begin;
  for (auto [tensor, offset] : llvm::zip_equal(file.tensors, offsets)) {
    // No sum here can overflow: sizes are below 2^63, and the comparisons subtract.
    uint64_t bytes = tensor.info.bytes;
    if (dataOffset > fileBytes || offset > fileBytes - dataOffset ||
        bytes > fileBytes - dataOffset - offset)
      return fail("tensor " + quote(tensor.name) + " takes " + Twine(bytes) + " bytes at offset " +
                  Twine(offset) + " of the data, which starts at " + Twine(dataOffset) +
                  "; the file ends at " + Twine(fileBytes));
    tensor.bytes = {begin + dataOffset + offset, bytes};
  }
  std::vector<const GgufTensor *> order;
  for (const GgufTensor &tensor : file.tensors)
    order.push_back(&tensor);
  llvm::sort(order, [](const GgufTensor *a, const GgufTensor *b) {
    return a->bytes.data() < b->bytes.data();
  });
  for (size_t i = 1; i < order.size(); ++i)
    if (order[i]->bytes.data() < order[i - 1]->bytes.end())
      return fail("tensors " + quote(order[i - 1]->name) + " and " + quote(order[i]->name) +
                  " share bytes of the file");
  return llvm::Error::success();
}
