//===- GgufParameters.h - Hyper-parameters of a GGUF file, checked ----------------------------===//
//
// Reads the keys "ARCHITECTURE.name" of a GGUF file. A missing key, a value of another type or one
// out of range is reported as one sentence through the model builder, and the least allowed value
// is returned, so that callers read everything first and ask `hasFailed` once.
//
//===------------------------------------------------------------------------------------------===//

#ifndef INGOT_LIB_IMPORT_GGUFPARAMETERS_H
#define INGOT_LIB_IMPORT_GGUFPARAMETERS_H

#include "ModelBuilder.h"
#include "ingot/Import/Gguf.h"
#include <optional>

namespace ingot::import {

class GgufParameters {
public:
  /// Sizes beyond this are refused: products of two of them fit 64 bits.
  static constexpr int64_t sizeLimit = int64_t(1) << 30;

  GgufParameters(const GgufFile &file, llvm::StringRef architecture, ModelBuilder &model)
      : file(file), architecture(architecture), model(model) {}

  /// An integer from 1 to `sizeLimit`; without `fallback` the key must be there.
  int64_t size(llvm::StringRef name, std::optional<int64_t> fallback = std::nullopt);
  /// A positive number; without `fallback` the key must be there.
  double positive(llvm::StringRef name, std::optional<double> fallback = std::nullopt);
  /// The text of a key, `fallback` where it is missing.
  llvm::StringRef text(llvm::StringRef name, llvm::StringRef fallback);
  /// Reports that `feature` is not supported if the integer `name` is present and not 0.
  void refuseUnlessZero(llvm::StringRef name, llvm::StringRef feature);
  /// Rotary embedding of heads with `headDim` channels: base, dimensions, scaling.
  RopeParameters rope(transformer::RopeLayout layout, int64_t headDim);

private:
  std::string key(llvm::StringRef name) const { return architecture + "." + name.str(); }
  std::vector<float> ropeFactors(int64_t dims);

  const GgufFile &file;
  std::string architecture;
  ModelBuilder &model;
};

} // namespace ingot::import

#endif // INGOT_LIB_IMPORT_GGUFPARAMETERS_H
