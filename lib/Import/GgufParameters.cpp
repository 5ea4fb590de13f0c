//===- GgufParameters.cpp - Hyper-parameters of a GGUF file -----------------------------------===//
//
// See GgufParameters.h.
//
//===------------------------------------------------------------------------------------------===//

#include "GgufParameters.h"
#include "Rope.h"

using namespace ingot;
using namespace ingot::import;
namespace json = llvm::json;

static std::optional<json::Value> convert(const GgufValue &value) {
  if (auto flag = value.getBool())
    return *flag;
  if (auto integer = value.getInteger())
    return *integer;
  if (auto number = value.getFloat())
    return *number;
  if (auto text = value.getString())
    return json::isUTF8(*text) ? text->str() : json::fixUTF8(*text);
  json::Array elements;
  value.forEachElement([&](GgufValue element) {
    if (!element.isArray())
      elements.push_back(*convert(element));
  });
  return elements;
}

std::string GgufParameters::describe(llvm::StringRef role) const {
  return "metadata entry '" + family + "." + role.str() + "'";
}

std::optional<json::Value> GgufParameters::find(llvm::StringRef role) {
  auto *value = file.findEntry(family + "." + role.str());
  return value ? convert(*value) : std::nullopt;
}

/// Llama 3.1 and later store the factors of their scaling as a tensor.
std::vector<float> GgufParameters::readRopeFactors(int64_t dims) {
  constexpr llvm::StringLiteral tensor = "rope_freqs.weight";
  auto *info = file.find(tensor);
  if (!info)
    return {};
  model.markAsUsed(tensor);
  std::vector<float> factors(dims / 2);
  if (info->format->name != "f32" || info->shape.size() != 1 || info->columns != dims / 2) {
    model.error() << "expected tensor '" << tensor << "' to have shape [" << dims / 2
                  << "] in format f32";
    return {};
  }
  if (auto error = file.readValues(tensor, 0, 1, factors))
    model.error(std::move(error));
  for (float factor : factors)
    if (!(factor > 0))
      model.error() << "tensor '" << tensor << "' has the factor " << double(factor)
                    << ", expected a positive number";
  return factors;
}

RopeParameters GgufParameters::rope(int64_t headDim, const RopeDefaults &defaults) {
  RopeParameters result;
  result.base = positive("rope.freq_base", defaults.base);
  result.dims = size("rope.dimension_count", headDim);
  if (result.dims % 2 || result.dims > headDim)
    model.error() << describe("rope.dimension_count") << " is " << result.dims
                  << ", expected an even number up to the head dimension " << headDim;
  std::string scaling = text("rope.scaling.type", "none");
  if (model.hasFailed())
    return result;
  if (scaling == "linear")
    scaleLinear(result, positive("rope.scaling.factor"));
  else if (scaling == "none")
    result.factors = readRopeFactors(result.dims);
  else
    model.error() << "rope scaling '" << scaling << "' is not supported, only none and linear";
  return result;
}
