//===- Parameters.cpp - Hyper-parameters of a checkpoint, checked -----------------------------===//
//
// See Parameters.h.
//
//===------------------------------------------------------------------------------------------===//

#include "Parameters.h"
#include "ingot/Import/Json.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/Support/FormatVariadic.h"
#include <cmath>

using namespace ingot;
using namespace ingot::import;
using llvm::StringRef;
namespace json = llvm::json;

/// A scalar as the file spells it; null for anything else.
static std::string spell(const json::Value &value) {
  if (auto text = value.getAsString())
    return quoteName(*text);
  if (value.kind() == json::Value::Array || value.kind() == json::Value::Object)
    return "";
  return llvm::formatv("{0}", value).str();
}

void Parameters::reject(StringRef role, const json::Value &value, const llvm::Twine &expected) {
  std::string text = spell(value);
  model.error() << describe(role) << " is " << (text.empty() ? "an " : text)
                << (text.empty() ? getTypeName(value) : "") << ", expected " << expected;
}

std::optional<json::Value> Parameters::require(StringRef role, bool hasFallback) {
  auto value = find(role);
  if (!value && !hasFallback)
    model.error() << describe(role) << " is missing";
  return value;
}

int64_t Parameters::integer(StringRef role, std::optional<int64_t> fallback, int64_t least) {
  auto value = require(role, fallback.has_value());
  if (!value)
    return fallback.value_or(least);
  auto number = value->getAsInteger();
  if (number && *number >= least && *number <= sizeLimit)
    return *number;
  if (!number && value->kind() != json::Value::Number)
    model.error() << describe(role) << " is of type " << getTypeName(*value)
                  << ", expected an integer";
  else
    reject(role, *value, llvm::Twine(least) + " to " + llvm::Twine(sizeLimit));
  return least;
}

int64_t Parameters::size(StringRef role, std::optional<int64_t> fallback) {
  return integer(role, fallback, 1);
}

int64_t Parameters::count(StringRef role, int64_t fallback) { return integer(role, fallback, 0); }

double Parameters::positive(StringRef role, std::optional<double> fallback) {
  auto value = require(role, fallback.has_value());
  if (!value)
    return fallback.value_or(1);
  auto number = value->getAsNumber();
  if (number && *number > 0 && std::isfinite(float(*number)))
    return *number;
  reject(role, *value, "a positive number");
  return 1;
}

float Parameters::cap(StringRef role, float fallback) {
  return find(role) ? positive(role) : isThere(role) ? 0 : fallback;
}

bool Parameters::flag(StringRef role, bool fallback) {
  auto value = find(role);
  if (!value)
    return fallback;
  if (auto flag = value->getAsBoolean())
    return *flag;
  reject(role, *value, "true or false");
  return fallback;
}

std::string Parameters::text(StringRef role, StringRef fallback) {
  auto value = find(role);
  if (!value)
    return fallback.str();
  if (auto text = value->getAsString())
    return text->str();
  reject(role, *value, "a string");
  return fallback.str();
}

std::vector<std::string> Parameters::texts(StringRef role) {
  std::vector<std::string> result;
  auto value = find(role);
  if (!value)
    return result;
  auto *array = value->getAsArray();
  for (auto &element : array ? *array : json::Array{json::Value(nullptr)})
    if (auto text = element.getAsString())
      result.push_back(text->str());
    else
      reject(role, *value, "an array of strings");
  return result;
}

void Parameters::refuseUnlessZero(StringRef role, StringRef feature) {
  auto value = find(role);
  if (value && value->getAsNumber() != 0.0 && value->getAsBoolean() != false)
    model.error() << feature << " (" << describe(role) << ") is not supported for architecture "
                  << family;
}

transformer::ActivationKind Parameters::activation(StringRef fallback) {
  std::string name = text("activation", fallback);
  auto kind = llvm::StringSwitch<std::optional<transformer::ActivationKind>>(name)
                  .Cases({"silu", "swish"}, transformer::ActivationKind::Silu)
                  .Case("gelu", transformer::ActivationKind::Gelu)
                  .Cases({"gelu_new", "gelu_pytorch_tanh", "gelu_tanh"},
                         transformer::ActivationKind::GeluTanh)
                  .Case("relu", transformer::ActivationKind::Relu)
                  .Default(std::nullopt);
  if (!kind)
    model.error() << describe("activation") << " is " << quoteName(name)
                  << ", expected silu, gelu, gelu_new, gelu_pytorch_tanh or relu";
  return kind.value_or(transformer::ActivationKind::Silu);
}
