//===- Safetensors.cpp - Reader of safetensors files ------------------------------------------===//

#include "ingot/Import/Safetensors.h"
#include "ingot/Import/Json.h"
#include "llvm/ADT/APFloat.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/Endian.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include <array>
#include <set>

using namespace ingot;
using llvm::createStringError;
using llvm::StringRef;
using llvm::Twine;
namespace json = llvm::json;

/// As the format's own reader has it.
static constexpr uint64_t maxHeaderBytes = 100'000'000;
static constexpr size_t maxDimensions = 8;
static constexpr StringRef singleName = "model.safetensors";
static constexpr StringRef indexName = "model.safetensors.index.json";

namespace {

struct ElementType {
  StringRef name;
  unsigned bits;
  StringRef format; ///< empty: bytes only; of 8-bit floats f16, which holds all of them
};

/// A tensor of the header, checked, with its place in the data.
struct Placed {
  SafetensorsTensor tensor;
  uint64_t begin, end;
};

} // namespace

static constexpr ElementType elementTypes[] = {
    {"F32", 32, "f32"},    {"F16", 16, "f16"}, {"BF16", 16, "bf16"}, {"F8_E4M3", 8, "f16"},
    {"F8_E5M2", 8, "f16"}, {"F64", 64, ""},    {"I64", 64, ""},      {"I32", 32, ""},
    {"I16", 16, ""},       {"I8", 8, ""},      {"U64", 64, ""},      {"U32", 32, ""},
    {"U16", 16, ""},       {"U8", 8, ""},      {"BOOL", 8, ""},      {"F8_E8M0", 8, ""},
    {"F4", 4, ""},         {"F6_E2M3", 6, ""}, {"F6_E3M2", 6, ""},
};

//===------------------------------------------------------------------------------------------===//
// Header
//===------------------------------------------------------------------------------------------===//

/// Sizes of a tensor and how many elements they make; a sentence without the tensor's name.
static llvm::Expected<uint64_t> readShape(const json::Array *sizes,
                                          llvm::SmallVectorImpl<int64_t> &shape) {
  if (!sizes)
    return createStringError("has no array 'shape'");
  if (sizes->size() > maxDimensions)
    return createStringError("has " + Twine(sizes->size()) + " dimensions, more than " +
                             Twine(maxDimensions));
  uint64_t elements = 1;
  for (const json::Value &size : *sizes) {
    auto number = size.getAsInteger();
    if (!number || *number < 0)
      return createStringError("has a dimension that is not an integer from 0 to 2^63 - 1");
    shape.push_back(*number);
    if (__builtin_mul_overflow(elements, uint64_t(*number), &elements))
      return createStringError("has more than 2^64 elements");
  }
  return elements;
}

/// One entry of the header; a sentence without the tensor's name.
static llvm::Expected<Placed> readTensor(StringRef name, const json::Object &entry,
                                         uint64_t dataBytes) {
  Placed placed;
  placed.tensor.name = name.str();
  auto type = entry.getString("dtype");
  if (!type)
    return createStringError("has no string 'dtype'");
  auto *known = llvm::find_if(elementTypes, [&](auto &known) { return known.name == *type; });
  if (known == std::end(elementTypes))
    return createStringError("has the unknown type " + quoteName(*type));
  placed.tensor.type = type->str();
  auto elements = readShape(entry.getArray("shape"), placed.tensor.shape);
  if (!elements)
    return elements.takeError();
  auto *offsets = entry.getArray("data_offsets");
  auto at = [&](size_t i) { return (*offsets)[i].getAsUINT64(); };
  if (!offsets || offsets->size() != 2 || !at(0) || !at(1))
    return createStringError("has no 'data_offsets' of two integers");
  placed.begin = *at(0), placed.end = *at(1);
  if (placed.begin > placed.end || placed.end > dataBytes)
    return createStringError("lies at bytes " + Twine(placed.begin) + " to " + Twine(placed.end) +
                             " of the data, which has " + Twine(dataBytes));
  uint64_t bits;
  if (__builtin_mul_overflow(*elements, uint64_t(known->bits), &bits) || bits % 8 ||
      bits / 8 != placed.end - placed.begin)
    return createStringError("takes " + Twine(placed.end - placed.begin) + " bytes, but " +
                             Twine(*elements) + " elements of type " + known->name + " take " +
                             Twine(*elements) + " times " + Twine(known->bits) + " bits");
  const NumericFormat *format =
      known->format.empty() ? nullptr : NumericFormat::lookup(known->format);
  if (format && *elements) {
    // A single number is a vector of one.
    llvm::SmallVector<int64_t, 4> shape = placed.tensor.shape;
    if (shape.empty())
      shape.push_back(1);
    auto info = WeightInfo::get(*format, shape);
    if (!info)
      return info.takeError();
    placed.tensor.info = std::move(*info);
  }
  return placed;
}

/// Checks that the tensors fill the data one after the other.
static llvm::Error checkPlaces(std::vector<Placed> &tensors, uint64_t dataBytes, StringRef file) {
  llvm::sort(tensors, [](const Placed &a, const Placed &b) {
    return std::tie(a.begin, a.end, a.tensor.name) < std::tie(b.begin, b.end, b.tensor.name);
  });
  uint64_t end = 0;
  for (size_t i = 0; i < tensors.size(); end = tensors[i++].end) {
    if (tensors[i].begin < end)
      return createStringError(file + ": tensors " + quoteName(tensors[i - 1].tensor.name) +
                               " and " + quoteName(tensors[i].tensor.name) +
                               " share bytes of the file");
    if (tensors[i].begin > end)
      return createStringError(file + ": bytes " + Twine(end) + " to " + Twine(tensors[i].begin) +
                               " of the data belong to no tensor");
  }
  if (end != dataBytes)
    return createStringError(file + ": the tensors end at byte " + Twine(end) +
                             " of the data, which has " + Twine(dataBytes));
  return llvm::Error::success();
}

llvm::Error SafetensorsFile::addFile(std::unique_ptr<llvm::MemoryBuffer> buffer) {
  std::string file = buffer->getBufferIdentifier().str();
  StringRef all = buffer->getBuffer();
  if (all.size() < 8)
    return createStringError(file + ": not a safetensors file (it has " + Twine(all.size()) +
                             " bytes, fewer than 8)");
  uint64_t headerBytes = llvm::support::endian::read64le(all.data());
  if (headerBytes > maxHeaderBytes)
    return createStringError(file + ": not a safetensors file (its header would have " +
                             Twine(headerBytes) + " bytes, more than " + Twine(maxHeaderBytes) +
                             ")");
  if (headerBytes > all.size() - 8)
    return createStringError(file + ": the header needs " + Twine(headerBytes) +
                             " bytes at offset 8, the file ends at " + Twine(all.size()));
  auto header = parseJson(all.substr(8, headerBytes), file);
  if (!header)
    return header.takeError();
  auto *object = header->getAsObject();
  if (!object)
    return createStringError(file + ": the header is not a JSON object");
  StringRef data = all.substr(8 + headerBytes);
  std::vector<Placed> placed;
  for (auto &[key, value] : *object) {
    if (key == "__metadata__")
      continue;
    auto *entry = value.getAsObject();
    if (!entry)
      return createStringError(file + ": tensor " + quoteName(key) + " is not an object");
    auto tensor = readTensor(key, *entry, data.size());
    if (!tensor)
      return createStringError(file + ": tensor " + quoteName(key) + " " +
                               llvm::toString(tensor.takeError()));
    placed.push_back(std::move(*tensor));
  }
  if (llvm::Error error = checkPlaces(placed, data.size(), file))
    return error;
  for (Placed &tensor : placed) {
    tensor.tensor.bytes = llvm::arrayRefFromStringRef(data.slice(tensor.begin, tensor.end));
    auto [known, isNew] = index.try_emplace(tensor.tensor.name, tensors.size());
    if (!isNew)
      return createStringError(file + ": tensor " + quoteName(tensor.tensor.name) +
                               " is in another shard too");
    tensors.push_back(std::move(tensor.tensor));
  }
  files.push_back(std::move(file));
  buffers.push_back(std::move(buffer));
  return llvm::Error::success();
}

//===------------------------------------------------------------------------------------------===//
// Files
//===------------------------------------------------------------------------------------------===//

bool SafetensorsFile::isIn(StringRef folder) {
  return llvm::sys::fs::exists(joinPath(folder, singleName)) ||
         llvm::sys::fs::exists(joinPath(folder, indexName));
}

llvm::Error SafetensorsFile::openFile(StringRef path) {
  auto buffer = ingot::openFile(path);
  if (!buffer)
    return buffer.takeError();
  return addFile(std::move(*buffer));
}

llvm::Error SafetensorsFile::openShards(StringRef folder, StringRef indexPath) {
  auto listing = readJsonObject(indexPath);
  if (!listing)
    return listing.takeError();
  auto *map = listing->getObject("weight_map");
  if (!map || map->empty())
    return createStringError(indexPath + ": there is no object 'weight_map' with tensors");
  std::set<std::string> shards;
  for (auto &[name, value] : *map) {
    auto shard = value.getAsString();
    // A shard lies beside its index: names that lead elsewhere are not followed.
    if (!shard || shard->empty() || llvm::sys::path::filename(*shard) != *shard ||
        !shard->ends_with(".safetensors"))
      return createStringError(indexPath + ": tensor " + quoteName(name) +
                               " is not in a file '*.safetensors' of the folder");
    shards.insert(shard->str());
  }
  for (const std::string &shard : shards)
    if (llvm::Error error = openFile(joinPath(folder, shard)))
      return error;
  for (auto &[name, value] : *map)
    if (!index.contains(name))
      return createStringError(joinPath(folder, *value.getAsString()) + ": tensor " +
                               quoteName(name) + " is missing, which the index says is here");
  for (const SafetensorsTensor &tensor : tensors)
    if (!map->get(tensor.name))
      return createStringError(indexPath + ": tensor " + quoteName(tensor.name) +
                               " of a shard is not in the index");
  return llvm::Error::success();
}

llvm::Expected<std::unique_ptr<SafetensorsFile>> SafetensorsFile::open(StringRef path) {
  auto file = std::make_unique<SafetensorsFile>();
  file->description = path.str();
  auto openAny = [&]() -> llvm::Error {
    if (!llvm::sys::fs::is_directory(path))
      return file->openFile(path);
    std::string single = joinPath(path, singleName), listing = joinPath(path, indexName);
    if (llvm::sys::fs::exists(single))
      return file->openFile(single);
    if (llvm::sys::fs::exists(listing))
      return file->openShards(path, listing);
    return createStringError(path + ": there is neither " + singleName + " nor " + indexName);
  };
  if (llvm::Error error = openAny())
    return std::move(error);
  return file;
}

llvm::Expected<std::unique_ptr<SafetensorsFile>>
SafetensorsFile::parse(std::unique_ptr<llvm::MemoryBuffer> buffer) {
  auto file = std::make_unique<SafetensorsFile>();
  file->description = buffer->getBufferIdentifier().str();
  if (llvm::Error error = file->addFile(std::move(buffer)))
    return std::move(error);
  return file;
}

//===------------------------------------------------------------------------------------------===//
// The weight store
//===------------------------------------------------------------------------------------------===//

/// Whether the weight has other bits than the file.
static bool isWidened(const SafetensorsTensor &tensor) {
  return tensor.type == "F8_E4M3" || tensor.type == "F8_E5M2";
}

const SafetensorsTensor *SafetensorsFile::findTensor(StringRef name) const {
  auto found = index.find(name);
  return found == index.end() ? nullptr : &tensors[found->second];
}

const WeightInfo *SafetensorsFile::find(StringRef name) const {
  const SafetensorsTensor *tensor = findTensor(name);
  return tensor && tensor->info ? &*tensor->info : nullptr;
}

std::vector<std::string> SafetensorsFile::getNames() const {
  std::vector<std::string> names;
  for (const SafetensorsTensor &tensor : tensors)
    names.push_back(tensor.name);
  return names;
}

llvm::ArrayRef<uint8_t> SafetensorsFile::getMapped(StringRef name) const {
  const SafetensorsTensor *tensor = findTensor(name);
  return tensor && !isWidened(*tensor) ? tensor->bytes : llvm::ArrayRef<uint8_t>();
}

/// The f16 of every 8-bit float; exact.
static std::array<uint16_t, 256> widenAll(const llvm::fltSemantics &semantics) {
  std::array<uint16_t, 256> halves;
  for (unsigned bits = 0; bits < halves.size(); ++bits) {
    llvm::APFloat value(semantics, llvm::APInt(8, bits));
    bool losesInfo;
    value.convert(llvm::APFloat::IEEEhalf(), llvm::APFloat::rmNearestTiesToEven, &losesInfo);
    halves[bits] = uint16_t(value.bitcastToAPInt().getZExtValue());
  }
  return halves;
}

llvm::Error SafetensorsFile::read(StringRef name, const WeightInfo &info, int64_t first,
                                  int64_t count, llvm::MutableArrayRef<uint8_t> rows) const {
  const SafetensorsTensor &tensor = *findTensor(name);
  if (reads.add(rows.size()))
    for (const auto &buffer : buffers)
      releasePages(*buffer);
  if (!isWidened(tensor)) {
    llvm::copy(tensor.bytes.slice(first * info.rowBytes, rows.size()), rows.begin());
    return llvm::Error::success();
  }
  static const auto e4m3 = widenAll(llvm::APFloat::Float8E4M3FN()),
                    e5m2 = widenAll(llvm::APFloat::Float8E5M2());
  const auto &halves = tensor.type == "F8_E4M3" ? e4m3 : e5m2;
  for (auto [i, byte] : llvm::enumerate(tensor.bytes.slice(first * info.columns, rows.size() / 2)))
    llvm::support::endian::write16le(&rows[2 * i], halves[byte]);
  return llvm::Error::success();
}
