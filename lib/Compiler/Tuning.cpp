//===- Tuning.cpp - Measured machines as files, and predicted steps -----------------------------===//

#include "Tuning.h"
#include "dialects/Plan/Plan.h"
#include "ingot/Import/Json.h"
#include "ingot/Kernels/CostModel.h"
#include "llvm/Support/FormatVariadic.h"
#include <map>

using namespace mlir;
using namespace ingot;
using kernels::Tuning;
namespace json = llvm::json;

static llvm::Error makeError(const llvm::Twine &text) {
  return llvm::createStringError(llvm::inconvertibleErrorCode(), text);
}

//===------------------------------------------------------------------------------------------===//
// JSON and attributes
//===------------------------------------------------------------------------------------------===//

/// Null for what tunings do not have: lists, truth values, null. Nesting is bounded by the parser.
static Attribute toAttribute(const json::Value &value, MLIRContext *context) {
  Builder builder(context);
  if (auto text = value.getAsString())
    return builder.getStringAttr(*text);
  if (auto number = value.getAsInteger())
    return builder.getI64IntegerAttr(*number);
  if (auto number = value.getAsNumber())
    return builder.getF64FloatAttr(*number);
  const json::Object *object = value.getAsObject();
  if (!object)
    return {};
  SmallVector<NamedAttribute> entries;
  for (const auto &[key, item] : *object) {
    Attribute attribute = toAttribute(item, context);
    if (!attribute || key.str().empty())
      return {};
    entries.push_back(builder.getNamedAttr(key.str(), attribute));
  }
  return builder.getDictionaryAttr(entries);
}

static json::Value toJson(Attribute attribute) {
  if (auto text = dyn_cast<StringAttr>(attribute))
    return text.str();
  if (auto number = dyn_cast<IntegerAttr>(attribute))
    return number.getInt();
  if (auto number = dyn_cast<FloatAttr>(attribute))
    return number.getValueAsDouble();
  json::Object object;
  for (NamedAttribute entry : cast<DictionaryAttr>(attribute))
    object[entry.getName().str()] = toJson(entry.getValue());
  return object;
}

static llvm::Expected<Tuning> readTuning(const json::Object &object, MLIRContext *context,
                                         const llvm::Twine &file) {
  auto attribute = dyn_cast_or_null<DictionaryAttr>(toAttribute(json::Object(object), context));
  if (!attribute)
    return makeError(file + ": expected a tuning to be objects, texts and numbers alone");
  std::string reason;
  FailureOr<Tuning> tuning = Tuning::read(attribute, reason);
  if (failed(tuning))
    return makeError(file + ": " + reason);
  return std::move(*tuning);
}

llvm::Expected<DictionaryAttr> ingot::readTuning(StringRef path, MLIRContext *context,
                                                 json::Object &text) {
  llvm::Expected<json::Object> object = readJsonObject(path);
  if (!object)
    return object.takeError();
  llvm::Expected<Tuning> tuning = ::readTuning(*object, context, path);
  if (!tuning)
    return tuning.takeError();
  text = std::move(*object);
  return tuning->toAttribute(context);
}

//===------------------------------------------------------------------------------------------===//
// From measurements
//===------------------------------------------------------------------------------------------===//

static llvm::Expected<double> readPositive(const json::Object &object, StringRef name) {
  std::optional<double> number = object.getNumber(name);
  if (!number || !(*number > 0 && *number < 1e15))
    return makeError("measurements: expected '" + name + "' to be a positive number");
  return *number;
}

/// Launches whose time is known, and which of them the constants are made from.
struct Launches {
  std::vector<kernels::Measurement> all, fitted;
};

static llvm::Expected<Launches> readLaunches(const json::Array &launches) {
  Launches result;
  for (const json::Value &value : launches) {
    const json::Object *launch = value.getAsObject();
    const json::Object *units = launch ? launch->getObject("units") : nullptr;
    if (!units)
      return makeError("measurements: expected each of 'launches' to have 'units'");
    kernels::Measurement measured;
    for (const auto &[unit, count] : *units) {
      std::optional<double> number = count.getAsNumber();
      if (!number || !(*number >= 0 && *number < 1e15))
        return makeError("measurements: expected counts of units to be numbers");
      measured.work.units[unit.str()] = *number;
    }
    llvm::Expected<double> microseconds = readPositive(*launch, "us");
    if (!microseconds)
      return microseconds.takeError();
    measured.seconds = 1e-6 * *microseconds;
    measured.work.weightBytes = launch->getNumber("weight_bytes").value_or(0);
    if (launch->getBoolean("fit").value_or(false))
      result.fitted.push_back(measured);
    result.all.push_back(std::move(measured));
  }
  return result;
}

/// The measured candidates of a product, all for the same numbers of tokens.
static llvm::Expected<std::vector<Tuning::Winner>> readCandidates(StringRef name,
                                                                  const json::Array &candidates) {
  std::vector<Tuning::Winner> measured;
  for (const json::Value &value : candidates) {
    const json::Object *candidate = value.getAsObject();
    std::optional<StringRef> text = candidate ? candidate->getString("schedule") : std::nullopt;
    const json::Object *times = candidate ? candidate->getObject("us") : nullptr;
    if (!text || !times)
      return makeError("measurements: expected candidates of '" + name +
                       "' to have 'schedule' and 'us'");
    std::string reason;
    auto schedule = kernels::ProductSchedule::parse(*text, reason);
    if (failed(schedule))
      return makeError("measurements: " + reason);
    Tuning::Winner winner{*schedule, {}};
    for (const auto &[tokens, time] : *times) {
      int64_t number;
      if (StringRef(tokens).getAsInteger(10, number) || number < 1 || !time.getAsNumber() ||
          !(*time.getAsNumber() > 0))
        return makeError("measurements: expected times of '" + name + "' by number of tokens");
      winner.microseconds[number] = *time.getAsNumber();
    }
    auto hasTokens = [&](auto pair) { return winner.microseconds.count(pair.first); };
    if (!measured.empty() && (measured.front().microseconds.size() != winner.microseconds.size() ||
                              !llvm::all_of(measured.front().microseconds, hasTokens)))
      return makeError("measurements: candidates of '" + name + "' have different token counts");
    measured.push_back(std::move(winner));
  }
  if (measured.empty() || measured.front().microseconds.empty())
    return makeError("measurements: '" + name + "' has no candidates");
  return measured;
}

/// Which of the candidates is, for all numbers of tokens together, the nearest to the best of each:
/// by the times that `getTime` gives.
template <typename GetTime>
static size_t findNearest(ArrayRef<Tuning::Winner> candidates, GetTime getTime) {
  std::vector<kernels::RatedSchedule> rated;
  for (const Tuning::Winner &candidate : candidates) {
    rated.push_back({candidate.schedule, {}});
    for (auto [tokens, microseconds] : candidate.microseconds)
      rated.back().seconds.push_back(getTime(candidate.schedule, tokens, microseconds));
  }
  return kernels::findNearest(rated);
}

/// What is known of the machine before the launches: what was, its name, threads and stream.
static llvm::Expected<Tuning> readMachine(const json::Object &object, MLIRContext *context) {
  Tuning tuning = Tuning::getDefault();
  if (const json::Object *before = object.getObject("tuning")) {
    llvm::Expected<Tuning> read = ::readTuning(*before, context, "measurements");
    if (!read)
      return read.takeError();
    tuning = std::move(*read);
  }
  std::optional<StringRef> machine = object.getString("machine");
  if (!machine || machine->empty())
    return makeError("measurements: expected 'machine' to be a name");
  tuning.machine = machine->str();
  llvm::Expected<double> threads = readPositive(object, "threads");
  if (!threads)
    return threads.takeError();
  llvm::Expected<double> stream = readPositive(object, "stream_gbps");
  if (!stream)
    return stream.takeError();
  tuning.threads = int64_t(*threads);
  tuning.bytesPerSecond = 1e9 * *stream;
  return tuning;
}

/// Takes the winners of all products, and says what the model picks.
static llvm::Expected<json::Object> addWinners(const json::Object &products, Tuning &tuning) {
  json::Object picks;
  for (const auto &[name, value] : products) {
    const json::Array *candidates = value.getAsArray();
    std::optional<kernels::ProductShape> shape = kernels::ProductShape::parse(name);
    if (!shape || !candidates)
      return makeError("measurements: expected 'products' to name shapes with candidates");
    llvm::Expected<std::vector<Tuning::Winner>> measured = readCandidates(name, *candidates);
    if (!measured)
      return measured.takeError();
    auto predict = [&](const kernels::ProductSchedule &schedule, int64_t tokens, double) {
      return kernels::countProduct(*shape, schedule, tokens, tuning.threads).predictSeconds(tuning);
    };
    auto take = [](const kernels::ProductSchedule &, int64_t, double measured) { return measured; };
    picks[name] = (*measured)[findNearest(*measured, predict)].schedule.toText();
    tuning.winners[name.str()] = (*measured)[findNearest(*measured, take)];
  }
  return picks;
}

llvm::Expected<std::string> ingot::tune(StringRef text) {
  llvm::Expected<json::Value> parsed = parseJson(text, "measurements");
  if (!parsed)
    return parsed.takeError();
  const json::Object *object = parsed->getAsObject();
  const json::Array *launches = object ? object->getArray("launches") : nullptr;
  const json::Object *products = object ? object->getObject("products") : nullptr;
  if (!launches || !products)
    return makeError("measurements: expected 'launches' and 'products'");
  MLIRContext context(MLIRContext::Threading::DISABLED);
  llvm::Expected<Tuning> tuning = readMachine(*object, &context);
  if (!tuning)
    return tuning.takeError();
  llvm::Expected<Launches> measured = readLaunches(*launches);
  if (!measured)
    return measured.takeError();
  for (const auto &[unit, value] : kernels::fitUnits(measured->fitted, *tuning))
    tuning->nanoseconds[unit] = value;
  llvm::Expected<json::Object> picks = addWinners(*products, *tuning);
  if (!picks)
    return picks.takeError();
  json::Array predicted;
  for (const kernels::Measurement &launch : measured->all)
    predicted.push_back(1e6 * launch.work.predictSeconds(*tuning));
  json::Object result{{"tuning", toJson(tuning->toAttribute(&context))},
                      {"predicted_us", std::move(predicted)},
                      {"picks", std::move(*picks)}};
  return llvm::formatv("{0}", json::Value(std::move(result))).str();
}

//===------------------------------------------------------------------------------------------===//
// Predictions
//===------------------------------------------------------------------------------------------===//

namespace {

/// Steps that are predicted: generation with a context of some tokens, alone and for a few
/// sequences; parts of a prompt.
constexpr kernels::StepSize steps[] = {{1, 1, 32},  {4, 4, 32},    {8, 8, 32},   {32, 32, 32},
                                       {64, 1, 64}, {256, 1, 256}, {256, 1, 512}};

/// How often each kernel is launched in a step.
std::map<std::string, int64_t> countLaunches(ModuleOp module) {
  std::map<std::string, int64_t> launches;
  module->walk([&](plan::LaunchOp launch) {
    auto loop = launch->getParentOfType<plan::LoopOp>();
    launches[launch.getKernel().str()] += loop ? loop.getIterations() : 1;
  });
  return launches;
}

json::Object describeWork(const kernels::Work &work) {
  json::Object units;
  for (const auto &[unit, count] : work.units)
    units[unit] = count;
  return json::Object{{"units", std::move(units)}, {"weight_bytes", work.weightBytes}};
}

} // namespace

json::Object ingot::describeSpeed(ModuleOp module, bool withUnits) {
  Tuning tuning = Tuning::getDefault();
  std::string reason;
  if (auto attribute = module->getAttrOfType<DictionaryAttr>(Tuning::attributeName))
    tuning = Tuning::read(attribute, reason).value_or(tuning);
  std::map<std::string, int64_t> launches = countLaunches(module);
  double seconds[std::size(steps)] = {};
  json::Array kernelList, stepList;
  for (auto kernel : module.getOps<tile::KernelOp>()) {
    kernels::KernelCost cost = kernels::KernelCost::read(kernel);
    int64_t count = launches[kernel.getSymName().str()];
    json::Array times, works;
    for (auto [number, step] : llvm::enumerate(steps)) {
      kernels::Work work = cost.count(step, tuning.threads);
      double predicted = work.predictSeconds(tuning);
      seconds[number] += double(count) * predicted;
      times.push_back(1e6 * predicted);
      if (withUnits)
        works.push_back(describeWork(work));
    }
    json::Object row{{"kernel", kernel.getSymName()},
                     {"rows", cost.rows},
                     {"launches", count},
                     {"us", std::move(times)}};
    if (!cost.products.empty()) {
      row["product"] = cost.products.front().toText();
      row["schedule"] = cost.schedule.toText();
    }
    if (withUnits)
      row["work"] = std::move(works);
    kernelList.push_back(std::move(row));
  }
  for (auto [step, time] : llvm::zip_equal(steps, seconds))
    stepList.push_back(json::Object{{"tokens", step.tokens},
                                    {"context", step.context},
                                    {"outputs", step.outputs},
                                    {"us", 1e6 * time},
                                    {"tok_per_s", double(step.tokens) / time}});
  return json::Object{{"machine", tuning.machine},
                      {"threads", tuning.threads},
                      {"steps", std::move(stepList)},
                      {"kernels", std::move(kernelList)}};
}
