//===- Gguf.cpp - Access to the values of a GGUF file -----------------------------------------------===//
//
// GgufParser.cpp has checked every byte that is read here.
//
//===----------------------------------------------------------------------------------------------===//

#include "ingot/Import/Gguf.h"
#include "GgufParser.h"
#include "ingot/Import/Json.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/bit.h"
#include "llvm/Support/Endian.h"

using namespace ingot;
using llvm::createStringError;
using llvm::Twine;
namespace endian = llvm::support::endian;

//===----------------------------------------------------------------------------------------------===//
// Values
//===----------------------------------------------------------------------------------------------===//

std::optional<int64_t> GgufValue::getInteger() const {
  switch (type) {
  case GgufType::U8:
    return bytes[0];
  case GgufType::I8:
    return int8_t(bytes[0]);
  case GgufType::U16:
    return endian::read16le(bytes);
  case GgufType::I16:
    return int16_t(endian::read16le(bytes));
  case GgufType::U32:
    return endian::read32le(bytes);
  case GgufType::I32:
    return int32_t(endian::read32le(bytes));
  case GgufType::I64:
    return int64_t(endian::read64le(bytes));
  case GgufType::U64:
    if (uint64_t value = endian::read64le(bytes); value <= uint64_t(INT64_MAX))
      return int64_t(value);
    return std::nullopt;
  default:
    return std::nullopt;
  }
}

std::optional<uint64_t> GgufValue::getUnsigned() const {
  if (type == GgufType::U64)
    return endian::read64le(bytes);
  std::optional<int64_t> value = getInteger();
  if (!value || *value < 0)
    return std::nullopt;
  return uint64_t(*value);
}

std::optional<double> GgufValue::getFloat() const {
  if (type == GgufType::F32)
    return llvm::bit_cast<float>(endian::read32le(bytes));
  if (type == GgufType::F64)
    return llvm::bit_cast<double>(endian::read64le(bytes));
  return std::nullopt;
}

std::optional<bool> GgufValue::getBool() const {
  if (type != GgufType::Bool)
    return std::nullopt;
  return bytes[0] != 0;
}

std::optional<llvm::StringRef> GgufValue::getString() const {
  if (type != GgufType::String)
    return std::nullopt;
  return llvm::StringRef(reinterpret_cast<const char *>(bytes + 8), endian::read64le(bytes));
}

void GgufValue::forEachElement(llvm::function_ref<void(GgufValue)> visit) const {
  const uint8_t *next = bytes;
  for (uint64_t i = 0; i < elementCount; ++i)
    visit(GgufParser::viewValue(elementType, next));
}

template <typename T>
static std::optional<std::vector<T>> collect(const GgufValue &array,
                                             std::optional<T> (GgufValue::*get)() const) {
  if (!array.isArray())
    return std::nullopt;
  std::vector<T> result;
  result.reserve(array.getElementCount());
  array.forEachElement([&](GgufValue element) {
    if (std::optional<T> value = (element.*get)())
      result.push_back(*value);
  });
  if (result.size() != array.getElementCount())
    return std::nullopt;
  return result;
}

std::optional<std::vector<llvm::StringRef>> GgufValue::getStrings() const {
  return collect(*this, &GgufValue::getString);
}
std::optional<std::vector<int64_t>> GgufValue::getIntegers() const {
  return collect(*this, &GgufValue::getInteger);
}
std::optional<std::vector<double>> GgufValue::getFloats() const {
  return collect(*this, &GgufValue::getFloat);
}

//===----------------------------------------------------------------------------------------------===//
// Files
//===----------------------------------------------------------------------------------------------===//

llvm::Expected<std::unique_ptr<GgufFile>> GgufFile::open(llvm::StringRef path) {
  auto buffer = openFile(path);
  if (!buffer)
    return buffer.takeError();
  return parse(std::move(*buffer));
}

llvm::Expected<std::unique_ptr<GgufFile>>
GgufFile::parse(std::unique_ptr<llvm::MemoryBuffer> buffer) {
  auto file = std::make_unique<GgufFile>();
  file->buffer = std::move(buffer);
  if (llvm::Error error = GgufParser(*file).parse())
    return std::move(error);
  return file;
}

const GgufValue *GgufFile::findEntry(llvm::StringRef key) const {
  auto found = entryIndex.find(key);
  return found == entryIndex.end() ? nullptr : &entries[found->second].value;
}

const GgufTensor *GgufFile::findTensor(llvm::StringRef name) const {
  auto found = tensorIndex.find(name);
  return found == tensorIndex.end() ? nullptr : &tensors[found->second];
}

/// The value of an accessor, or the sentence why there is none.
template <typename T>
static llvm::Expected<T> getRequired(const GgufFile &file, llvm::StringRef key,
                                     llvm::StringRef kind,
                                     std::optional<T> (GgufValue::*get)() const) {
  const GgufValue *value = file.findEntry(key);
  if (!value)
    return createStringError(file.getDescription() + ": metadata entry '" + key + "' is missing");
  if (std::optional<T> result = (value->*get)())
    return *result;
  return createStringError(file.getDescription() + ": metadata entry '" + key + "' is of type " +
                           GgufParser::getTypeName(value->getType()) + ", expected " + kind);
}

llvm::Expected<int64_t> GgufFile::getInteger(llvm::StringRef key, int64_t low, int64_t high) const {
  llvm::Expected<int64_t> value = getRequired(*this, key, "an integer", &GgufValue::getInteger);
  if (value && (*value < low || *value > high))
    return createStringError(getDescription() + ": metadata entry '" + key + "' is " +
                             Twine(*value) + ", expected " + Twine(low) + " to " + Twine(high));
  return value;
}

llvm::Expected<double> GgufFile::getFloat(llvm::StringRef key) const {
  return getRequired(*this, key, "a float", &GgufValue::getFloat);
}

llvm::Expected<llvm::StringRef> GgufFile::getString(llvm::StringRef key) const {
  return getRequired(*this, key, "a string", &GgufValue::getString);
}

//===----------------------------------------------------------------------------------------------===//
// The weight store
//===----------------------------------------------------------------------------------------------===//

const WeightInfo *GgufFile::find(llvm::StringRef name) const {
  const GgufTensor *tensor = findTensor(name);
  return tensor ? &tensor->info : nullptr;
}

std::vector<std::string> GgufFile::getNames() const {
  std::vector<std::string> names;
  for (const GgufTensor &tensor : tensors)
    names.push_back(tensor.name.str());
  return names;
}

llvm::ArrayRef<uint8_t> GgufFile::getMapped(llvm::StringRef name) const {
  const GgufTensor *tensor = findTensor(name);
  return tensor ? tensor->bytes : llvm::ArrayRef<uint8_t>();
}

llvm::Error GgufFile::read(llvm::StringRef name, const WeightInfo &info, int64_t first,
                           int64_t count, llvm::MutableArrayRef<uint8_t> rows) const {
  if (reads.add(rows.size()))
    releasePages(*buffer);
  llvm::copy(getMapped(name).slice(first * info.rowBytes, rows.size()), rows.begin());
  return llvm::Error::success();
}
