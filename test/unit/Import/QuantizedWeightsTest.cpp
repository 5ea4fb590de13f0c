//===- QuantizedWeightsTest.cpp - Weights of several tensors: rows, orders, what is refused ---===//
//
// Numbers are compared with transformers through whole models (test/unit/Reference/ModelTest.cpp).
// Here are small files made in memory: a configuration and tensors that do not fit each other are
// refused in one sentence, and rows come out the same however they are read.
//
//===------------------------------------------------------------------------------------------===//

#include "lib/Import/QuantizedWeights.h"
#include "llvm/Support/Endian.h"
#include "llvm/Support/FormatVariadic.h"
#include <gtest/gtest.h>
#include <numeric>

using namespace ingot;
using namespace ingot::import;
namespace json = llvm::json;

namespace {

/// A file of named tensors.
class File {
public:
  File &add(llvm::StringRef name, llvm::StringRef type, std::vector<int64_t> shape,
            std::string bytes) {
    size_t begin = data.size();
    data += bytes;
    header[name] = json::Object{{"dtype", type},
                                {"shape", json::Array(shape)},
                                {"data_offsets", json::Array{begin, data.size()}}};
    return *this;
  }
  /// Tensors of numbers that count up, `bytes` for each element.
  File &count(llvm::StringRef name, llvm::StringRef type, std::vector<int64_t> shape,
              unsigned bytes) {
    size_t size = std::accumulate(shape.begin(), shape.end(), int64_t(bytes), std::multiplies<>());
    std::string text(size, '\0');
    for (size_t i = 0; i < size; ++i)
      text[i] = char(i * 37 + 11 & 0x7e); // no NaN, whatever the type
    return add(name, type, shape, text);
  }
  File &addIntegers(llvm::StringRef name, std::vector<int32_t> values) {
    std::string text(4 * values.size(), '\0');
    for (size_t i = 0; i < values.size(); ++i)
      llvm::support::endian::write32le(&text[4 * i], values[i]);
    return add(name, "I32", {int64_t(values.size())}, text);
  }
  llvm::Expected<std::shared_ptr<QuantizedWeights>> open(llvm::StringRef text) {
    json::Object config{{"quantization_config", llvm::cantFail(json::parse(text))}};
    auto quantization = readQuantizationConfig(config);
    if (!quantization)
      return quantization.takeError();
    std::string head = llvm::formatv("{0}", json::Value(json::Object(header))).str();
    std::string bytes(8, '\0');
    llvm::support::endian::write64le(bytes.data(), head.size());
    bytes += head + data;
    auto file =
        SafetensorsFile::parse(llvm::MemoryBuffer::getMemBufferCopy(bytes, "t.safetensors"));
    if (!file)
      return file.takeError();
    return QuantizedWeights::open(std::move(*file), **quantization);
  }
  /// The sentence with which it is refused, without the file's name.
  std::string refuse(llvm::StringRef config) {
    auto store = open(config);
    if (store)
      return "";
    std::string text = llvm::toString(store.takeError());
    llvm::StringRef sentence = text;
    sentence.consume_front("t.safetensors: ");
    return sentence.str();
  }

private:
  json::Object header;
  std::string data;
};

constexpr const char *gptq =
    R"({"quant_method": "gptq", "bits": 4, "group_size": 32, "sym": false})";
constexpr const char *awq = R"({"quant_method": "awq", "bits": 4, "group_size": 32})";
constexpr const char *blocks =
    R"({"quant_method": "fp8", "weight_block_size": [128, 128], "activation_scheme": "dynamic"})";

std::string packed(llvm::StringRef weights, llvm::StringRef format = "pack-quantized") {
  return (R"({"quant_method": "compressed-tensors", "format": ")" + format +
          R"(", "config_groups": {"group_0": {"weights": )" + weights + "}}}")
      .str();
}

/// A layer of [16, 96]: three groups of 32.
File makeGptq() {
  return File()
      .count("a.qweight", "I32", {12, 16}, 4)
      .count("a.qzeros", "I32", {3, 2}, 4)
      .count("a.scales", "F16", {3, 16}, 2)
      .count("b.weight", "F32", {4}, 4);
}

std::vector<int32_t> countGroups(int64_t columns, int64_t group) {
  std::vector<int32_t> groups(columns);
  for (int64_t i = 0; i < columns; ++i)
    groups[i] = i / group;
  return groups;
}

} // namespace

TEST(QuantizedWeights, IsOneWeightForEachLayer) {
  auto store = llvm::cantFail(makeGptq().open(gptq));
  EXPECT_EQ(store->getNames(), (std::vector<std::string>{"a.weight", "b.weight"}));
  EXPECT_EQ(store->find("a.qweight"), nullptr);
  const WeightInfo &info = *store->find("a.weight");
  EXPECT_EQ(info.format->name, "i4z_f16");
  EXPECT_EQ(info.shape, (llvm::SmallVector<int64_t, 4>{16, 96}));
  EXPECT_EQ(store->getOrder("a.weight"), "");
  std::vector<uint8_t> all(info.bytes), row(info.rowBytes);
  llvm::cantFail(store->readRows("a.weight", 0, 16, all));
  for (int64_t i = 15; i >= 0; --i) {
    llvm::cantFail(store->readRows("a.weight", i, 1, row));
    EXPECT_EQ(llvm::ArrayRef(row), llvm::ArrayRef(all).slice(i * info.rowBytes, info.rowBytes));
  }
}

// Columns in another order: the weight and its order together are the weight without one.
TEST(QuantizedWeights, OrdersColumnsByTheirGroups) {
  std::vector<int32_t> groups = countGroups(96, 32);
  auto straight = llvm::cantFail(makeGptq().addIntegers("a.g_idx", groups).open(gptq));
  EXPECT_EQ(straight->getOrder("a.weight"), "");
  for (int i = 0; i < 96; ++i)
    groups[i] = i % 3;
  auto store = llvm::cantFail(makeGptq().addIntegers("a.g_idx", groups).open(gptq));
  ASSERT_EQ(store->getOrder("a.weight"), "a.order");
  std::vector<float> order(96), ordered(96), plain(96);
  llvm::cantFail(store->readValues("a.order", 0, 1, order));
  llvm::cantFail(store->readValues("a.weight", 5, 1, ordered));
  llvm::cantFail(straight->readValues("a.weight", 5, 1, plain));
  // Scale s and zero-point z of a group, and the codes, from the values without an order.
  std::vector<bool> isTaken(96);
  for (int i = 0; i < 96; ++i) {
    int column = int(order[i]);
    EXPECT_FALSE(isTaken[column]);
    isTaken[column] = true;
    EXPECT_EQ(groups[column], i / 32);
    if (groups[column] == column / 32) // the same scale in both
      EXPECT_EQ(ordered[i], plain[column]);
  }
}

// Layers of one order share it.
TEST(QuantizedWeights, SharesOrders) {
  std::vector<int32_t> groups(96);
  for (int i = 0; i < 96; ++i)
    groups[i] = i % 3;
  File file = makeGptq();
  file.count("c.qweight", "I32", {12, 8}, 4)
      .count("c.qzeros", "I32", {3, 1}, 4)
      .count("c.scales", "F16", {3, 8}, 2)
      .addIntegers("a.g_idx", groups)
      .addIntegers("c.g_idx", groups);
  auto store = llvm::cantFail(file.open(gptq));
  EXPECT_EQ(store->getOrder("a.weight"), store->getOrder("c.weight"));
}

// A symmetric checkpoint whose zero-points are not in the middle is read as it is.
TEST(QuantizedWeights, BelievesZeroPointsMoreThanTheConfiguration) {
  constexpr const char *symmetric = R"({"quant_method": "gptq", "bits": 4, "group_size": 32})";
  EXPECT_EQ(llvm::cantFail(makeGptq().open(symmetric))->find("a.weight")->format->name, "i4z_f16");
  File file;
  file.count("a.qweight", "I32", {12, 16}, 4)
      .add("a.qzeros", "I32", {3, 2}, std::string(24, '\x77'))
      .count("a.scales", "F16", {3, 16}, 2);
  EXPECT_EQ(llvm::cantFail(file.open(symmetric))->find("a.weight")->format->name, "q4_0");
}

TEST(QuantizedWeights, RefusesTensorsOfOtherShapes) {
  EXPECT_EQ(File().count("a.qweight", "I32", {12, 16}, 4).refuse(gptq),
            "tensor 'a.scales' is missing, which a quantised layer has");
  EXPECT_EQ(File()
                .count("a.qweight", "I32", {12, 16}, 4)
                .count("a.scales", "F16", {3, 16}, 2)
                .refuse(gptq),
            "tensor 'a.qzeros' is missing, which a quantised layer has");
  EXPECT_EQ(File()
                .count("a.qweight", "I32", {12, 16}, 4)
                .count("a.scales", "F16", {2, 16}, 2)
                .count("a.qzeros", "I32", {3, 2}, 4)
                .refuse(gptq),
            "expected tensor 'a.scales' to have shape [3, 16], got [2, 16]");
  EXPECT_EQ(File()
                .count("a.qweight", "I32", {12, 16}, 4)
                .count("a.scales", "F16", {3, 16}, 2)
                .count("a.qzeros", "I32", {3, 16}, 4)
                .refuse(gptq),
            "expected tensor 'a.qzeros' to have shape [3, 2], got [3, 16]");
  EXPECT_EQ(File().count("a.qweight", "F32", {12, 16}, 4).refuse(gptq),
            "expected tensor 'a.qweight' to be of type I32, got F32");
  EXPECT_EQ(File().count("a.qweight", "I32", {12}, 4).refuse(gptq),
            "expected tensor 'a.qweight' to have two sizes of at least 1, got [12]");
  EXPECT_EQ(File().count("a.qweight", "I32", {int64_t(1) << 40, 0}, 4).refuse(gptq),
            "expected tensor 'a.qweight' to have two sizes of at least 1, got [1099511627776, 0]");
  EXPECT_EQ(File().count("a.qweight", "I32", {12, 17}, 4).refuse(gptq),
            "expected tensor 'a.qweight' to hold rows and columns of whole words of 4-bit codes, "
            "got shape [12, 17]");
  EXPECT_EQ(File()
                .count("a.qweight", "I32", {5, 16}, 4)
                .count("a.scales", "F16", {2, 16}, 2)
                .count("a.qzeros", "I32", {2, 2}, 4)
                .refuse(gptq),
            "layer 'a': rows of 40 weights are not whole blocks of 32 as i4z_f16 needs");
  EXPECT_EQ(File()
                .count("a.qweight", "I32", {96, 2}, 4)
                .count("a.scales", "F32", {3, 16}, 4)
                .count("a.qzeros", "I32", {3, 2}, 4)
                .refuse(awq),
            "expected tensor 'a.scales' to be of type F16 or BF16, as zero-points need, got F32");
}

TEST(QuantizedWeights, RefusesOrdersThatDoNotFit) {
  std::vector<int32_t> groups = countGroups(96, 32);
  groups[7] = 3;
  EXPECT_EQ(makeGptq().addIntegers("a.g_idx", groups).refuse(gptq),
            "element 7 of tensor 'a.g_idx' is 3, expected 0 to 2");
  groups[7] = -1;
  EXPECT_EQ(makeGptq().addIntegers("a.g_idx", groups).refuse(gptq),
            "element 7 of tensor 'a.g_idx' is -1, expected 0 to 2");
  groups[7] = 2;
  EXPECT_EQ(makeGptq().addIntegers("a.g_idx", groups).refuse(gptq),
            "expected the groups of columns in tensor 'a.g_idx' to have multiples of 32 columns, "
            "group 1 begins at column 31");
  EXPECT_EQ(makeGptq().addIntegers("a.g_idx", countGroups(64, 32)).refuse(gptq),
            "expected tensor 'a.g_idx' to have shape [96], got [64]");
}

TEST(QuantizedWeights, RefusesShapesOfNoScheme) {
  std::string int4 = packed(R"({"num_bits": 4, "strategy": "group", "group_size": 32})");
  auto file = [](std::vector<int64_t> scales) {
    File file;
    std::string shape(16, '\0');
    shape[0] = 16, shape[8] = 64;
    file.add("a.weight_shape", "I64", {2}, shape)
        .count("a.weight_packed", "I32", {16, 8}, 4)
        .count("a.weight_scale", "BF16", scales, 2);
    return file;
  };
  EXPECT_EQ(file({16, 2}).refuse(int4), "");
  EXPECT_EQ(file({16, 1}).refuse(int4),
            "tensors 'a.weight_packed' of type I32 and shape [16, 8] and 'a.weight_scale' of type "
            "BF16 and shape [16, 1] without zero-points fit no scheme of quantization_config");
  EXPECT_EQ(file({16, 2}).count("a.weight_zero_point", "I32", {2, 2}, 4).refuse(int4),
            "tensors 'a.weight_packed' of type I32 and shape [16, 8] and 'a.weight_scale' of type "
            "BF16 and shape [16, 2] with zero-points fit no scheme of quantization_config");
  std::string zeros =
      packed(R"({"num_bits": 4, "strategy": "group", "group_size": 32, "symmetric": false})");
  EXPECT_EQ(file({16, 2}).count("a.weight_zero_point", "I32", {2, 2}, 4).refuse(zeros), "");
  EXPECT_EQ(file({16, 2}).count("a.weight_zero_point", "I32", {2, 1}, 4).refuse(zeros),
            "expected tensor 'a.weight_zero_point' to have shape [2, 2], got [2, 1]");
  EXPECT_EQ(File()
                .add("a.weight_shape", "I64", {2}, std::string(16, '\xff'))
                .count("a.weight_packed", "I32", {16, 8}, 4)
                .count("a.weight_scale", "BF16", {16, 2}, 2)
                .refuse(int4),
            "expected tensor 'a.weight_shape' to hold two sizes from 1 to 2^31 - 1, got [-1, -1]");
  EXPECT_EQ(File()
                .count("a.weight", "F8_E4M3", {160, 160}, 1)
                .count("a.weight_scale_inv", "F32", {2, 1}, 4)
                .refuse(blocks),
            "tensors 'a.weight' of type F8_E4M3 and shape [160, 160] and 'a.weight_scale_inv' of "
            "type F32 and shape [2, 1] without zero-points fit no scheme of quantization_config");
}

// A code that is no number is refused where it is read; the other rows are read.
TEST(QuantizedWeights, RefusesNaN) {
  std::string codes(64, '\x30');
  codes[32 + 5] = '\xff';
  File file;
  file.add("a.weight", "F8_E4M3", {2, 32}, codes).count("a.weight_scale", "F32", {1}, 4);
  auto store = llvm::cantFail(file.open(R"({"quant_method": "fp8"})"));
  std::vector<uint8_t> row(36);
  llvm::cantFail(store->readRows("a.weight", 0, 1, row));
  EXPECT_EQ(llvm::toString(store->readRows("a.weight", 1, 1, row)),
            "t.safetensors: tensor 'a.weight' has NaN in row 1");
}

TEST(QuantizationConfig, SaysWhatItKnows) {
  EXPECT_EQ(File().refuse("{}"), "entry 'quant_method' of quantization_config in config.json is "
                                 "'', expected one of gptq, awq, fp8, compressed-tensors");
  EXPECT_EQ(File().refuse("7"),
            "entry 'quantization_config' of config.json is of type number, expected an object");
  EXPECT_EQ(File().refuse(R"({"quant_method": "bitsandbytes"})"),
            "entry 'quant_method' of quantization_config in config.json is 'bitsandbytes', "
            "expected one of gptq, awq, fp8, compressed-tensors");
  EXPECT_EQ(File().refuse(R"({"quant_method": "gptq", "bits": 5, "group_size": 128})"),
            "entry 'bits' of quantization_config in config.json is 5, expected one of 2, 3, 4, 8");
  EXPECT_EQ(File().refuse(R"({"quant_method": "gptq", "bits": 4})"),
            "entry 'group_size' of quantization_config in config.json is nothing, expected -1 or a "
            "multiple of 32");
  EXPECT_EQ(File().refuse(R"({"quant_method": "gptq", "bits": 4, "group_size": 16})"),
            "entry 'group_size' of quantization_config in config.json is 16, expected -1 or a "
            "multiple of 32");
  EXPECT_EQ(File().refuse(
                R"({"quant_method": "gptq", "bits": 4, "group_size": 32, "dynamic": {"a": {}}})"),
            "entry 'dynamic' of quantization_config in config.json is {\"a\":{}}, expected nothing "
            "of the kind");
  EXPECT_EQ(
      File().refuse(R"({"quant_method": "awq", "bits": 4, "group_size": 32, "version": "gemv"})"),
      "entry 'version' of quantization_config in config.json is \"gemv\", expected one of "
      "gemm, GEMM");
  EXPECT_EQ(File().refuse(R"({"quant_method": "fp8", "fmt": "e5m2"})"),
            "entry 'fmt' of quantization_config in config.json is \"e5m2\", expected one of e4m3, "
            "float8_e4m3fn");
  EXPECT_EQ(File().refuse(R"({"quant_method": "fp8", "weight_block_size": [128]})"),
            "entry 'weight_block_size' of quantization_config in config.json is [128], expected a "
            "list of two sizes, the second a multiple of 32");
}

TEST(QuantizationConfig, KnowsTheFormatsOfCompressedTensors) {
  EXPECT_EQ(File().refuse(packed("{}", "nvfp4-pack-quantized")),
            "entry 'format' of quantization_config in config.json is \"nvfp4-pack-quantized\", "
            "expected one of pack-quantized, int-quantized, float-quantized, naive-quantized, "
            "mxfp4-pack-quantized");
  EXPECT_EQ(File().refuse(packed(R"({"num_bits": 3})")),
            "entry 'num_bits' of config group 'group_0' of quantization_config in "
            "config.json is 3, expected one of 2, 4, 8");
  EXPECT_EQ(File().refuse(packed(R"({"num_bits": 4, "type": "float"})")),
            "entry 'type' of config group 'group_0' of quantization_config in config.json "
            "is \"float\", expected the type of codes of format pack-quantized");
  EXPECT_EQ(File().refuse(packed(R"({"num_bits": 8, "strategy": "tensor_group"})")),
            "entry 'strategy' of config group 'group_0' of quantization_config in "
            "config.json is \"tensor_group\", expected one of tensor, channel, group, block");
  EXPECT_EQ(File().refuse(R"({"quant_method": "compressed-tensors", "format": "pack-quantized"})"),
            "entry 'config_groups' of quantization_config in config.json is nothing, expected an "
            "object of groups of layers");
  EXPECT_EQ(
      File().refuse(
          R"({"quant_method": "compressed-tensors", "format": "pack-quantized", "config_groups": {"a": {}}})"),
      "entry 'weights' of config group 'a' of quantization_config in config.json is missing");
}
