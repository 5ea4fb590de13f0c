//===- QuantizationConfig.cpp - How a folder says that its weights are quantised --------------===//
//
// See QuantizationConfig.h.
//
//===------------------------------------------------------------------------------------------===//

#include "QuantizationConfig.h"
#include "ingot/Import/Json.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/Support/FormatVariadic.h"

using namespace ingot;
using namespace ingot::import;
using llvm::StringRef;
namespace json = llvm::json;

/// Column groups are whole blocks of the formats that weights become.
static constexpr int64_t blockColumns = 32;

namespace {

/// The entries of an object, with one sentence for the first that is not as expected.
class Entries {
public:
  Entries(const json::Object &object, StringRef where) : object(object), where(where.str()) {}

  StringRef text(StringRef key, StringRef fallback, llvm::ArrayRef<StringRef> known) {
    auto value = object.getString(key);
    StringRef text = value.value_or(fallback);
    if ((isSet(key) && !value) || !llvm::is_contained(known, text))
      fail(key, "one of " + llvm::join(known, ", "));
    return text;
  }
  int64_t number(StringRef key, int64_t fallback, llvm::ArrayRef<int64_t> known) {
    auto value = object.getInteger(key);
    int64_t number = value.value_or(fallback);
    if ((isSet(key) && !value) || !llvm::is_contained(known, number))
      fail(key, "one of " + join(known));
    return number;
  }
  bool flag(StringRef key, bool fallback) {
    auto value = object.getBoolean(key);
    if (isSet(key) && !value)
      fail(key, "true or false");
    return value.value_or(fallback);
  }
  /// Columns that share a scale; 0 for whole rows, which are written as -1.
  int64_t groupColumns(StringRef key, std::optional<int64_t> fallback) {
    auto value = object.getInteger(key);
    int64_t columns = value.value_or(fallback.value_or(0));
    if (columns == -1)
      return 0;
    if ((isSet(key) && !value) || columns < 1 || columns % blockColumns)
      fail(key, llvm::formatv("-1 or a multiple of {0}", blockColumns));
    return columns;
  }
  bool isSet(StringRef key) const {
    auto *value = object.get(key);
    return value && value->kind() != json::Value::Null;
  }
  void fail(StringRef key, const llvm::Twine &expected) {
    if (!sentence.empty())
      return;
    auto *value = object.get(key);
    std::string got = value ? llvm::formatv("{0}", *value).str() : "nothing";
    sentence = llvm::formatv("entry {0} of {1} in config.json is {2}, expected {3}", quoteName(key),
                             where, got.substr(0, 60), expected.str());
  }
  /// Entries that change what weights mean and are not read here.
  void refuse(llvm::ArrayRef<StringRef> keys) {
    for (StringRef key : keys)
      if (auto *value = object.get(key); value && isSet(key)) {
        auto *inner = value->getAsObject();
        auto *list = value->getAsArray();
        if (!(inner && inner->empty()) && !(list && list->empty()) &&
            value->getAsBoolean() != false)
          fail(key, "nothing of the kind");
      }
  }
  llvm::Error take() {
    return sentence.empty() ? llvm::Error::success() : llvm::createStringError(sentence);
  }

private:
  static std::string join(llvm::ArrayRef<int64_t> numbers) {
    return llvm::join(llvm::map_range(numbers, [](int64_t i) { return std::to_string(i); }), ", ");
  }
  const json::Object &object;
  std::string where, sentence;
};

using Config = llvm::Expected<std::optional<QuantizationConfig>>;
using Method = QuantizationConfig::Method;
using Code = QuantizationScheme::Code;

} // namespace

static constexpr StringRef entryName = "quantization_config";

static Config readGptq(const json::Object &object) {
  Entries entries(object, entryName);
  QuantizationConfig config{Method::Gptq, false, {}};
  QuantizationScheme scheme;
  scheme.bits = entries.number("bits", 0, {2, 3, 4, 8});
  scheme.groupColumns = entries.groupColumns("group_size", std::nullopt);
  scheme.isSymmetric = entries.flag("sym", true);
  config.areZerosLessOne = entries.text("checkpoint_format", "gptq", {"gptq", "gptq_v2"}) == "gptq";
  entries.text("pack_dtype", "int32", {"int32"});
  entries.refuse({"dynamic", "is_marlin_format"});
  config.schemes.push_back(scheme);
  if (auto error = entries.take())
    return std::move(error);
  return config;
}

static Config readAwq(const json::Object &object) {
  Entries entries(object, entryName);
  QuantizationScheme scheme;
  scheme.bits = entries.number(entries.isSet("w_bit") ? "w_bit" : "bits", 0, {4});
  scheme.groupColumns = entries.groupColumns(
      entries.isSet("q_group_size") ? "q_group_size" : "group_size", std::nullopt);
  scheme.isSymmetric = false;
  entries.text("version", "gemm", {"gemm", "GEMM"});
  if (!entries.flag("zero_point", true))
    entries.fail("zero_point", "true");
  if (auto error = entries.take())
    return std::move(error);
  return QuantizationConfig{Method::Awq, false, {scheme}};
}

/// A block of rows and columns: a list of two sizes.
static void readBlock(Entries &entries, const json::Object &object, StringRef key,
                      QuantizationScheme &scheme) {
  auto *sizes = object.getArray(key);
  auto size = [&](size_t i) { return (*sizes)[i].getAsInteger().value_or(0); };
  if (!sizes || sizes->size() != 2 || size(0) < 1 || size(1) < 1 || size(1) % blockColumns)
    return entries.fail(
        key, llvm::formatv("a list of two sizes, the second a multiple of {0}", blockColumns));
  scheme.groupRows = size(0), scheme.groupColumns = size(1);
}

static Config readFloat8(const json::Object &object) {
  Entries entries(object, entryName);
  QuantizationScheme scheme;
  scheme.code = Code::Float8, scheme.bits = 8;
  entries.text("fmt", "e4m3", {"e4m3", "float8_e4m3fn"});
  if (entries.isSet("weight_block_size"))
    readBlock(entries, object, "weight_block_size", scheme);
  else
    scheme.groupRows = 0; // one scale for the tensor
  if (auto error = entries.take())
    return std::move(error);
  return QuantizationConfig{Method::Plain, false, {scheme}};
}

/// The weights of one of the groups of layers of compressed-tensors.
static llvm::Expected<QuantizationScheme> readGroup(const json::Object &group, StringRef name,
                                                    StringRef format) {
  auto *weights = group.getObject("weights");
  std::string where = "config group " + quoteName(name) + " of " + entryName.str();
  if (!weights)
    return llvm::createStringError("entry 'weights' of " + where + " in config.json is missing");
  Entries entries(*weights, where);
  QuantizationScheme scheme;
  bool isInteger = entries.text("type", "int", {"int", "float"}) == "int",
       isPacked = format == "pack-quantized", isFloat4 = format == "mxfp4-pack-quantized";
  if (isInteger != (isPacked || format == "int-quantized") && format != "naive-quantized")
    entries.fail("type", "the type of codes of format " + format);
  scheme.code = isInteger ? Code::Integer : isFloat4 ? Code::Float4 : Code::Float8;
  scheme.bits = isFloat4   ? entries.number("num_bits", 0, {4})
                : isPacked ? entries.number("num_bits", 0, {2, 4, 8})
                           : entries.number("num_bits", 0, {8});
  scheme.isSymmetric = entries.flag("symmetric", true);
  if (!isInteger && !scheme.isSymmetric)
    entries.fail("symmetric", "true for floats");
  StringRef strategy = entries.text("strategy", entries.isSet("group_size") ? "group" : "tensor",
                                    {"tensor", "channel", "group", "block"});
  if (strategy == "group")
    scheme.groupColumns = entries.groupColumns("group_size", std::nullopt);
  else if (strategy == "block")
    readBlock(entries, *weights, "block_structure", scheme);
  else if (strategy == "tensor")
    scheme.groupRows = 0;
  if (isFloat4 && scheme.groupColumns != blockColumns)
    entries.fail("group_size", "32 for format mxfp4-pack-quantized");
  if (auto error = entries.take())
    return std::move(error);
  return scheme;
}

static Config readCompressedTensors(const json::Object &object) {
  Entries entries(object, entryName);
  StringRef format = entries.text("format", "",
                                  {"pack-quantized", "int-quantized", "float-quantized",
                                   "naive-quantized", "mxfp4-pack-quantized"});
  entries.text("quantization_status", "compressed", {"compressed", "frozen"});
  entries.refuse({"kv_cache_scheme", "transform_config"});
  if (auto *sparsity = object.getObject("sparsity_config");
      sparsity && !sparsity->empty() && sparsity->getString("format") != "dense")
    entries.fail("sparsity_config", "none, or the format dense");
  auto *groups = object.getObject("config_groups");
  if (!groups || groups->empty())
    entries.fail("config_groups", "an object of groups of layers");
  if (auto error = entries.take())
    return std::move(error);
  bool isPacked = format.ends_with("pack-quantized");
  QuantizationConfig config{isPacked ? Method::Packed : Method::Plain, false, {}};
  // Sorted, so that the same file gives the same sentence.
  std::vector<StringRef> names;
  for (auto &[name, value] : *groups)
    names.push_back(name);
  llvm::sort(names);
  for (StringRef name : names) {
    auto *group = groups->getObject(name);
    auto scheme = readGroup(group ? *group : json::Object(), name, format);
    if (!scheme)
      return scheme.takeError();
    config.schemes.push_back(*scheme);
  }
  return config;
}

Config import::readQuantizationConfig(const json::Object &config) {
  const json::Object *object = nullptr;
  for (StringRef key : {entryName, StringRef("compression_config")})
    if (auto *value = config.get(key); value && value->kind() != json::Value::Null) {
      object = value->getAsObject();
      if (!object)
        return llvm::createStringError("entry " + quoteName(key) + " of config.json is of type " +
                                       getTypeName(*value) + ", expected an object");
    }
  if (!object)
    return std::nullopt;
  StringRef method = object->getString("quant_method").value_or("");
  using Reader = Config (*)(const json::Object &);
  Reader read = llvm::StringSwitch<Reader>(method)
                    .Case("gptq", readGptq)
                    .Case("awq", readAwq)
                    .Case("fp8", readFloat8)
                    .Case("compressed-tensors", readCompressedTensors)
                    .Default(nullptr);
  if (!read)
    return llvm::createStringError(
        "entry 'quant_method' of quantization_config in config.json is " + quoteName(method) +
        ", expected one of gptq, awq, fp8, compressed-tensors");
  return read(*object);
}
