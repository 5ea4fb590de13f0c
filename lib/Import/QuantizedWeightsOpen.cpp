//===- QuantizedWeightsOpen.cpp - Checks the tensors of quantised weights ---------------------===//
//
// See QuantizedWeights.h. A layer is recognised by its tensor of codes; which scheme of the
// configuration it has, by the shapes of its tensors.
//
//===------------------------------------------------------------------------------------------===//

#include "QuantizedWeights.h"
#include "ingot/Import/Json.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/Endian.h"
#include "llvm/Support/MathExtras.h"
#include <numeric>

using namespace ingot;
using namespace ingot::import;
using llvm::ArrayRef;
using llvm::createStringError;
using llvm::StringRef;
using llvm::Twine;
namespace endian = llvm::support::endian;

static constexpr int64_t blockColumns = 32;
/// Suffixes of what a layer is made of, and of scales of activations, which nothing reads.
static constexpr StringRef gptqParts[] = {"qweight", "qzeros", "scales", "g_idx"};
static constexpr StringRef packedParts[] = {"weight_packed",     "weight_scale", "weight_shape",
                                            "weight_zero_point", "weight_g_idx", "input_scale",
                                            "input_zero_point",  "output_scale"};
static constexpr StringRef plainParts[] = {
    "weight",      "weight_scale",     "weight_scale_inv", "weight_zero_point",
    "input_scale", "input_zero_point", "output_scale"};

static std::string describe(ArrayRef<int64_t> shape) {
  std::string text = "[";
  for (int64_t size : shape)
    text += (text.size() > 1 ? ", " : "") + llvm::itostr(size);
  return text + "]";
}

namespace {
using Method = QuantizationConfig::Method;
using Code = QuantizationScheme::Code;
using Shape = llvm::SmallVector<int64_t, 2>;
} // namespace

/// Makes the weight of one layer; the first thing that is wrong ends it.
class QuantizedWeights::Opener {
public:
  Opener(QuantizedWeights &store, const QuantizationConfig &config, StringRef layer)
      : store(store), config(config), layer(layer) {}

  llvm::Error open() {
    switch (config.method) {
    case Method::Gptq:
    case Method::Awq:
      openTurned();
      break;
    case Method::Packed:
      openPacked();
      break;
    case Method::Plain:
      openPlain();
      break;
    }
    if (error.empty())
      chooseFormat();
    if (!error.empty())
      return createStringError(store.getDescription() + ": " + error);
    store.weights[layer.str() + ".weight"] = std::move(weight);
    return llvm::Error::success();
  }

private:
  /// Keeps the first sentence.
  void fail(const Twine &sentence) {
    if (error.empty())
      error = sentence.str();
  }
  std::string quoted(StringRef suffix) const { return quoteName((layer + "." + suffix).str()); }

  /// A tensor of the layer, of one of some types.
  const SafetensorsTensor *get(StringRef suffix, ArrayRef<StringRef> types) {
    auto *tensor = store.file->findTensor((layer + "." + suffix).str());
    if (!tensor)
      fail("tensor " + quoted(suffix) + " is missing, which a quantised layer has");
    else if (!llvm::is_contained(types, tensor->type))
      fail("expected tensor " + quoted(suffix) + " to be of type " + llvm::join(types, " or ") +
           ", got " + tensor->type);
    return error.empty() ? tensor : nullptr;
  }
  /// The same, of one shape.
  const SafetensorsTensor *get(StringRef suffix, ArrayRef<StringRef> types,
                               ArrayRef<int64_t> shape) {
    auto *tensor = get(suffix, types);
    if (tensor && ArrayRef(tensor->shape) != shape)
      fail("expected tensor " + quoted(suffix) + " to have shape " + describe(shape) + ", got " +
           describe(tensor->shape));
    return error.empty() ? tensor : nullptr;
  }
  bool isMatrix(const SafetensorsTensor *tensor, StringRef suffix) {
    // Then the file bounds them.
    if (tensor && (tensor->shape.size() != 2 || tensor->bytes.empty()))
      fail("expected tensor " + quoted(suffix) + " to have two sizes of at least 1, got " +
           describe(tensor->shape));
    return error.empty() && tensor;
  }

  int64_t countGroups() const {
    return weight.scheme.groupColumns ? llvm::divideCeil(columns, weight.scheme.groupColumns) : 1;
  }
  /// Columns have the scales in order.
  void setGroups() {
    for (int64_t column = 0; column < columns; column += blockColumns)
      weight.groups.push_back(weight.scheme.groupColumns ? column / weight.scheme.groupColumns : 0);
  }

  /// GPTQ and AWQ: matrices whose rows are columns of the weight.
  void openTurned() {
    bool isGptq = config.method == Method::Gptq;
    weight.layout = isGptq ? Layout::ColumnWords : Layout::RowWords;
    weight.scheme = config.schemes.front();
    int64_t bits = weight.scheme.bits;
    weight.codes = get("qweight", {"I32"});
    if (!isMatrix(weight.codes, "qweight"))
      return;
    int64_t words = weight.codes->shape[isGptq ? 0 : 1];
    columns = isGptq ? words * 32 / bits : weight.codes->shape[0];
    rows = isGptq ? weight.codes->shape[1] : words * 32 / bits;
    if (words * 32 % bits || rows * bits % 32)
      return fail("expected tensor " + quoted("qweight") + " to hold rows and columns of whole " +
                  "words of " + Twine(bits) + "-bit codes, got shape " +
                  describe(weight.codes->shape));
    int64_t groups = countGroups();
    weight.scales = get("scales", {"F16", "BF16", "F32"}, {groups, rows});
    weight.scaleRowStride = 1, weight.scaleGroupStride = rows;
    weight.zeros = get("qzeros", {"I32"}, {groups, rows * bits / 32});
    weight.zeroAddend = config.areZerosLessOne ? 1 : 0;
    if (isGptq && store.file->findTensor((layer + ".g_idx").str()))
      readOrder("g_idx", groups);
    else
      setGroups();
    if (error.empty() && weight.scheme.isSymmetric)
      checkSymmetry(groups);
  }

  /// A symmetric checkpoint has zero-points all the same; in the middle they are no news.
  void checkSymmetry(int64_t groups) {
    weight.info.rows = rows;
    unsigned middle = 1u << (weight.scheme.bits - 1);
    for (int64_t group = 0; group < groups; ++group)
      for (int64_t row = 0; row < rows; ++row)
        if (store.readZero(weight, row, group) != middle)
          return void(weight.scheme.isSymmetric = false);
    weight.zeros = nullptr;
  }

  /// compressed-tensors, in words.
  void openPacked() {
    auto *shape = get("weight_shape", {"I64", "I32"}, {2});
    weight.codes = get("weight_packed", {"I32", "U8"});
    weight.scales = get("weight_scale", {"F16", "BF16", "F32", "U8"});
    if (!error.empty())
      return;
    auto size = [&](int64_t i) {
      return shape->type == "I64" ? int64_t(endian::read64le(&shape->bytes[8 * i]))
                                  : int64_t(endian::read32le(&shape->bytes[4 * i]));
    };
    weight.layout = Layout::RowMajor;
    openRows(size(0), size(1), "weight_packed");
  }

  /// Codes of 8 bits as they are.
  void openPlain() {
    weight.layout = Layout::Bytes;
    weight.codes = get("weight", {"F8_E4M3", "I8"});
    bool isInverse = store.file->findTensor((layer + ".weight_scale_inv").str());
    weight.scales = get(isInverse ? "weight_scale_inv" : "weight_scale", {"F32", "BF16", "F16"});
    if (isMatrix(weight.codes, "weight"))
      openRows(weight.codes->shape[0], weight.codes->shape[1], "weight");
  }

  /// The scheme that the shapes fit, and what it says about the tensors.
  void openRows(int64_t ofRows, int64_t ofColumns, StringRef codes) {
    rows = ofRows, columns = ofColumns;
    constexpr int64_t limit = int64_t(1) << 31;
    if (rows < 1 || columns < 1 || rows >= limit || columns >= limit)
      return fail("expected tensor " + quoted("weight_shape") +
                  " to hold two sizes from 1 to 2^31 - 1, got " + describe({rows, columns}));
    bool hasZeros = store.file->findTensor((layer + ".weight_zero_point").str());
    for (const QuantizationScheme &scheme : config.schemes) {
      weight.scheme = scheme;
      if (hasShapes(hasZeros))
        return setGroups(), readOrderIfAny();
    }
    fail("tensors " + quoted(codes) + " of type " + weight.codes->type + " and shape " +
         describe(weight.codes->shape) + " and " + quoteName(weight.scales->name) + " of type " +
         weight.scales->type + " and shape " + describe(weight.scales->shape) +
         (hasZeros ? " with" : " without") + " zero-points fit no scheme of quantization_config");
  }

  /// Whether codes, scales and zero-points are those of the scheme.
  bool hasShapes(bool hasZeros) {
    const QuantizationScheme &scheme = weight.scheme;
    int64_t groups = countGroups(),
            scaleRows = scheme.groupRows ? llvm::divideCeil(rows, scheme.groupRows) : 1;
    bool isPacked = config.method == Method::Packed, isFloat4 = scheme.code == Code::Float4;
    int64_t codesPer = isFloat4 ? 2 : isPacked ? 32 / scheme.bits : 1;
    StringRef type = isFloat4                       ? "U8"
                     : isPacked                     ? "I32"
                     : scheme.code == Code::Integer ? "I8"
                                                    : "F8_E4M3";
    if (weight.codes->type != type || (weight.scales->type == "U8") != isFloat4 ||
        weight.codes->shape != Shape{rows, int64_t(llvm::divideCeil(columns, codesPer))} ||
        hasZeros == scheme.isSymmetric)
      return false;
    // Scales of whole rows or of the whole tensor may leave out dimensions of one.
    ArrayRef<int64_t> shape = weight.scales->shape;
    bool isOne = scaleRows == 1 && groups == 1 && (shape.empty() || shape == ArrayRef(Shape{1}));
    bool isList = groups == 1 && shape == ArrayRef(Shape{scaleRows});
    if (!isOne && !isList && shape != ArrayRef(Shape{scaleRows, groups}))
      return false;
    weight.scaleRowStride = groups, weight.scaleGroupStride = 1;
    if (!hasZeros)
      return true;
    if (isPacked)
      weight.zeros =
          get("weight_zero_point", {"I32"}, {int64_t(llvm::divideCeil(rows, codesPer)), groups});
    else
      weight.zeros = get("weight_zero_point", {"I8"}, shape);
    if (rows % codesPer)
      fail("expected tensor " + quoted("weight_zero_point") + " to hold a multiple of " +
           Twine(codesPer) + " rows, got " + Twine(rows));
    return true;
  }

  void readOrderIfAny() {
    if (store.file->findTensor((layer + ".weight_g_idx").str())) {
      weight.groups.clear();
      readOrder("weight_g_idx", countGroups());
    }
  }

  /// The group of each column, by which columns are sorted.
  void readOrder(StringRef suffix, int64_t groups) {
    auto *tensor = get(suffix, {"I32"}, {columns});
    if (!tensor)
      return;
    std::vector<uint32_t> groupOf(columns), order(columns);
    for (int64_t i = 0; i < columns; ++i) {
      int32_t group = endian::read32le(&tensor->bytes[4 * i]);
      if (group < 0 || group >= groups)
        return fail("element " + Twine(i) + " of tensor " + quoted(suffix) + " is " + Twine(group) +
                    ", expected 0 to " + Twine(groups - 1));
      groupOf[i] = group;
    }
    std::iota(order.begin(), order.end(), 0);
    llvm::sort(order, [&](uint32_t a, uint32_t b) {
      return std::pair(groupOf[a], a) < std::pair(groupOf[b], b);
    });
    for (int64_t i = 0; i < columns; ++i)
      if (groupOf[order[i]] != groupOf[order[i - i % blockColumns]])
        return fail("expected the groups of columns in tensor " + quoted(suffix) +
                    " to have multiples of " + Twine(blockColumns) + " columns, group " +
                    Twine(groupOf[order[i]]) + " begins at column " + Twine(i));
    for (int64_t i = 0; i < columns; i += blockColumns)
      weight.groups.push_back(groupOf[order[i]]);
    if (!llvm::is_sorted(order))
      addOrder(std::move(order));
  }

  void addOrder(std::vector<uint32_t> order) {
    Order added;
    added.info = llvm::cantFail(WeightInfo::get(*NumericFormat::lookup("f32"), columns));
    added.bytes.resize(4 * columns);
    for (auto [i, column] : llvm::enumerate(order))
      endian::write32le(&added.bytes[4 * i], llvm::bit_cast<uint32_t>(float(column)));
    weight.columns = std::move(order);
    for (auto &known : store.orders)
      if (known.second.bytes == added.bytes)
        return void(weight.order = known.first().str());
    weight.order = layer.str() + ".order";
    store.orders[weight.order] = std::move(added);
  }

  void chooseFormat() {
    const QuantizationScheme &scheme = weight.scheme;
    bool isHalf = weight.scales->type == "F16", isFour = scheme.bits <= 4;
    StringRef name;
    if (scheme.code == Code::Float8)
      name = "f8e4m3_f32";
    else if (scheme.code == Code::Float4)
      name = "mxfp4";
    else if (scheme.isSymmetric)
      name = isHalf ? (isFour ? "q4_0" : "q8_0") : (isFour ? "i4_f32" : "i8_f32");
    else
      name = !isFour ? "i8z_f32" : isHalf ? "i4z_f16" : "i4z_f32";
    if (!scheme.isSymmetric && weight.scales->type == "F32")
      return fail("expected tensor " + quoteName(weight.scales->name) +
                  " to be of type F16 or BF16, as zero-points need, got F32");
    auto info = WeightInfo::get(*NumericFormat::lookup(name), {rows, columns});
    if (!info)
      return fail("layer " + quoteName(layer) + ": " + llvm::toString(info.takeError()));
    weight.info = std::move(*info);
  }

  QuantizedWeights &store;
  const QuantizationConfig &config;
  StringRef layer;
  Weight weight = {};
  int64_t rows = 0, columns = 0;
  std::string error;
};

/// Whether the tensor of codes of a layer; others with the suffix are plain weights.
static bool holdsCodes(const SafetensorsTensor &tensor, Method method, StringRef suffix) {
  switch (method) {
  case Method::Gptq:
  case Method::Awq:
    return suffix == "qweight";
  case Method::Packed:
    return suffix == "weight_packed";
  case Method::Plain:
    return suffix == "weight" && (tensor.type == "F8_E4M3" || tensor.type == "I8");
  }
  return false;
}

llvm::Expected<std::shared_ptr<QuantizedWeights>>
QuantizedWeights::open(std::shared_ptr<const SafetensorsFile> file,
                       const QuantizationConfig &config) {
  auto store = std::make_shared<QuantizedWeights>();
  store->file = std::move(file);
  ArrayRef<StringRef> parts = gptqParts;
  if (config.method == Method::Packed)
    parts = packedParts;
  else if (config.method == Method::Plain)
    parts = plainParts;
  llvm::StringSet<> hidden;
  for (const SafetensorsTensor &tensor : store->file->getTensors()) {
    auto [layer, suffix] = StringRef(tensor.name).rsplit('.');
    if (!holdsCodes(tensor, config.method, suffix))
      continue;
    if (llvm::Error error = Opener(*store, config, layer).open())
      return std::move(error);
    for (StringRef part : parts)
      hidden.insert((layer + "." + part).str());
    store->names.push_back((layer + ".weight").str());
  }
  for (const SafetensorsTensor &tensor : store->file->getTensors())
    if (!hidden.contains(tensor.name))
      store->names.push_back(tensor.name);
  return store;
}
