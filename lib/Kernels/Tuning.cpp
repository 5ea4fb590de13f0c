//===- Tuning.cpp - What was measured on a machine ----------------------------------------------------===//
//
// The attribute, and the file that it comes from, has one shape:
//
//   {version = 1, machine = "...", threads = 2, stream_gbps = 36.0,
//    nanoseconds = {launch = 2000.0, "int8 fill" = 11.0, ...},
//    products = {"q4_1 int8 2x1536x576" = {schedule = "row_groups=8,...",
//                                          microseconds = {"1" = 38.2, ...}}}}
//
//===----------------------------------------------------------------------------------------------===//

#include "ingot/Kernels/CostModel.h"
#include "llvm/Support/FormatVariadic.h"
#include <cmath>

using namespace mlir;
using namespace ingot;
using namespace ingot::kernels;

const Tuning &Tuning::getDefault() {
  static const Tuning tuning = [] {
    Tuning tuning;
    tuning.bytesPerSecond = 36e9;
    tuning.nanoseconds = {
        {"launch", 300},        {"spread", 2000},       {"int8 block", 200},
        {"int8 element", 2},    {"int8 single 1", 9},   {"int8 single 2", 9},
        {"int8 single 4", 9},   {"int8 sum", 6},        {"int8 fill", 10},
        {"int8 direct 1", 9},   {"int8 direct 2", 12},  {"int8 direct 4", 16},
        {"int8 direct 8", 26},  {"int8 panel 1", 6},    {"int8 panel 2", 8},
        {"int8 panel 4", 11},   {"int8 panel 8", 21},   {"float block", 200},
        {"float element", 2},   {"float single 1", 40}, {"float single 2", 24},
        {"float single 4", 15}, {"float fill", 12},     {"float direct 1", 20},
        {"float direct 2", 24}, {"float direct 4", 34}, {"float direct 8", 60},
        {"float panel 1", 12},  {"float panel 2", 16},  {"float panel 4", 28},
        {"float panel 8", 52},
    };
    return tuning;
  }();
  return tuning;
}

double Tuning::getNanoseconds(StringRef unit) const {
  auto at = nanoseconds.find(unit);
  if (at == nanoseconds.end())
    at = nanoseconds.find(unit.split(' ').second);
  return at == nanoseconds.end() ? 0 : at->second;
}

namespace {

/// Takes values out of dictionaries; the first that is wrong is the reason.
class Reader {
public:
  explicit Reader(std::string &reason) : reason(reason) {}

  bool fail(const Twine &text) {
    reason = ("tuning: " + text).str();
    return false;
  }
  bool readNumber(Attribute value, StringRef name, double least, double most, double &number) {
    double got = std::nan("");
    if (auto integer = dyn_cast_or_null<IntegerAttr>(value);
        integer && integer.getValue().getSignificantBits() <= 64)
      got = double(integer.getValue().getSExtValue());
    else if (auto real = dyn_cast_or_null<FloatAttr>(value))
      got = real.getValueAsDouble();
    if (!(got >= least && got <= most))
      return fail(llvm::formatv("expected '{0}' to be a number from {1} to {2}",
                                name.take_front(80), least, most));
    number = got;
    return true;
  }
  bool readText(Attribute value, StringRef name, std::string &text) {
    auto string = dyn_cast_or_null<StringAttr>(value);
    if (!string || string.empty() || string.size() > mostText)
      return fail("expected '" + name + "' to be a text of 1 to " + Twine(mostText) + " bytes");
    text = string.str();
    return true;
  }
  DictionaryAttr readDictionary(Attribute value, StringRef name) {
    auto dictionary = dyn_cast_or_null<DictionaryAttr>(value);
    if (!dictionary || dictionary.size() > mostEntries)
      fail("expected '" + name.take_front(80) + "' to be an object of at most " +
           Twine(mostEntries) + " entries");
    return dictionary && dictionary.size() <= mostEntries ? dictionary : DictionaryAttr();
  }
  bool readProduct(StringRef name, Attribute value, Tuning &tuning) {
    if (!ProductShape::parse(name))
      return fail("expected 'products' to be named as 'q4_1 int8 1x576x1536', got '" +
                  name.take_front(80) + "'");
    DictionaryAttr product = readDictionary(value, name);
    Tuning::Winner winner;
    std::string text, why;
    if (!product || !readText(product.get("schedule"), "schedule", text))
      return false;
    FailureOr<ProductSchedule> schedule = ProductSchedule::parse(text, why);
    if (failed(schedule))
      return fail(why);
    winner.schedule = *schedule;
    DictionaryAttr times = readDictionary(product.get("microseconds"), "microseconds");
    if (!times)
      return false;
    for (NamedAttribute entry : times) {
      int64_t tokens;
      double microseconds;
      if (entry.getName().getValue().getAsInteger(10, tokens) || tokens < 1 || tokens > 1 << 20)
        return fail("expected 'microseconds' to be named by numbers of tokens, got '" +
                    entry.getName().getValue().take_front(80) + "'");
      if (!readNumber(entry.getValue(), "microseconds", 0, 1e12, microseconds))
        return false;
      winner.microseconds[tokens] = microseconds;
    }
    tuning.winners[name.str()] = std::move(winner);
    return true;
  }

  static constexpr size_t mostText = 256, mostEntries = 4096;

private:
  std::string &reason;
};

} // namespace

FailureOr<Tuning> Tuning::read(DictionaryAttr attribute, std::string &reason) {
  Reader reader(reason);
  Tuning tuning;
  double number;
  if (!reader.readNumber(attribute.get("version"), "version", 1, 1e6, number))
    return failure();
  if (number != version) {
    reader.fail(llvm::formatv("version {0} is not known to this compiler, which reads {1}: measure "
                              "again with `ingot tune`",
                              int64_t(number), version));
    return failure();
  }
  if (!reader.readText(attribute.get("machine"), "machine", tuning.machine) ||
      !reader.readNumber(attribute.get("threads"), "threads", 1, 4096, number))
    return failure();
  tuning.threads = int64_t(number);
  if (!reader.readNumber(attribute.get("stream_gbps"), "stream_gbps", 1e-3, 1e6, number))
    return failure();
  tuning.bytesPerSecond = 1e9 * number;
  DictionaryAttr units = reader.readDictionary(attribute.get("nanoseconds"), "nanoseconds");
  if (!units)
    return failure();
  tuning.nanoseconds = getDefault().nanoseconds;
  for (NamedAttribute unit : units)
    if (!reader.readNumber(unit.getValue(), unit.getName().getValue(), 0, 1e12,
                           tuning.nanoseconds[unit.getName().str()]))
      return failure();
  DictionaryAttr products = reader.readDictionary(attribute.get("products"), "products");
  if (!products)
    return failure();
  for (NamedAttribute product : products)
    if (!reader.readProduct(product.getName(), product.getValue(), tuning))
      return failure();
  return tuning;
}

DictionaryAttr Tuning::toAttribute(MLIRContext *context) const {
  Builder builder(context);
  SmallVector<NamedAttribute> units, products;
  auto real = [&](double value) { return builder.getF64FloatAttr(value); };
  for (const auto &[unit, value] : nanoseconds)
    units.push_back(builder.getNamedAttr(unit, real(value)));
  for (const auto &[shape, winner] : winners) {
    SmallVector<NamedAttribute> times;
    for (auto [tokens, microseconds] : winner.microseconds)
      times.push_back(builder.getNamedAttr(std::to_string(tokens), real(microseconds)));
    NamedAttribute product[] = {
        builder.getNamedAttr("microseconds", builder.getDictionaryAttr(times)),
        builder.getNamedAttr("schedule", builder.getStringAttr(winner.schedule.toText()))};
    products.push_back(builder.getNamedAttr(shape, builder.getDictionaryAttr(product)));
  }
  NamedAttribute all[] = {builder.getNamedAttr("version", builder.getI64IntegerAttr(version)),
                          builder.getNamedAttr("machine", builder.getStringAttr(machine)),
                          builder.getNamedAttr("threads", builder.getI64IntegerAttr(threads)),
                          builder.getNamedAttr("stream_gbps", real(bytesPerSecond / 1e9)),
                          builder.getNamedAttr("nanoseconds", builder.getDictionaryAttr(units)),
                          builder.getNamedAttr("products", builder.getDictionaryAttr(products))};
  return builder.getDictionaryAttr(all);
}
