//===- GgufParameters.cpp - Hyper-parameters of a GGUF file, checked --------------------------===//
//
// See GgufParameters.h.
//
//===------------------------------------------------------------------------------------------===//

#include "GgufParameters.h"
#include <cmath>

using namespace ingot;
using namespace ingot::import;

int64_t GgufParameters::size(llvm::StringRef name, std::optional<int64_t> fallback) {
  if (fallback && !file.findEntry(key(name)))
    return *fallback;
  auto value = file.getInteger(key(name), 1, sizeLimit);
  if (value)
    return *value;
  model.error(value.takeError());
  return 1;
}

double GgufParameters::positive(llvm::StringRef name, std::optional<double> fallback) {
  if (fallback && !file.findEntry(key(name)))
    return *fallback;
  auto value = file.getFloat(key(name));
  if (!value) {
    model.error(value.takeError());
    return 1;
  }
  if (*value > 0 && std::isfinite(float(*value)))
    return *value;
  model.error() << "metadata entry '" << key(name) << "' is " << *value
                << ", expected a positive number";
  return 1;
}

llvm::StringRef GgufParameters::text(llvm::StringRef name, llvm::StringRef fallback) {
  if (!file.findEntry(key(name)))
    return fallback;
  auto value = file.getString(key(name));
  if (value)
    return *value;
  model.error(value.takeError());
  return fallback;
}

void GgufParameters::refuseUnlessZero(llvm::StringRef name, llvm::StringRef feature) {
  auto *value = file.findEntry(key(name));
  if (value && value->getInteger() != 0)
    model.error() << feature << " (metadata entry '" << key(name)
                  << "') is not supported for architecture " << architecture;
}

std::vector<float> GgufParameters::ropeFactors(int64_t dims) {
  // Llama 3.1 and later store the factors of their scaling as a tensor.
  constexpr llvm::StringLiteral tensor = "rope_freqs.weight";
  llvm::StringRef scaling = text("rope.scaling.type", "none");
  if (scaling == "linear")
    return std::vector<float>(dims / 2, positive("rope.scaling.factor"));
  if (scaling != "none") {
    model.error() << "rope scaling '" << scaling << "' is not supported, only none and linear";
    return {};
  }
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

RopeParameters GgufParameters::rope(transformer::RopeLayout layout, int64_t headDim) {
  RopeParameters result;
  result.layout = layout;
  result.base = positive("rope.freq_base", 10000.0);
  result.dims = size("rope.dimension_count", headDim);
  if (result.dims % 2 || result.dims > headDim)
    model.error() << "metadata entry '" << key("rope.dimension_count") << "' is " << result.dims
                  << ", expected an even number up to the head dimension " << headDim;
  if (!model.hasFailed())
    result.factors = ropeFactors(result.dims);
  return result;
}
