//===- QuantizationConfig.h - How a folder says that its weights are quantised ----------------===//
//
// `quantization_config` of config.json: the method, and the schemes by which the weights of layers
// became codes. Which tensors a layer then has, and how codes lie in them, is QuantizedWeights.h's.
// How the method would round activations is not read: Ingot decides that by itself.
//
//===------------------------------------------------------------------------------------------===//

#ifndef INGOT_LIB_IMPORT_QUANTIZATIONCONFIG_H
#define INGOT_LIB_IMPORT_QUANTIZATIONCONFIG_H

#include "llvm/ADT/SmallVector.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/JSON.h"
#include <optional>

namespace ingot::import {

/// Which numbers share a scale, and what a code is.
struct QuantizationScheme {
  enum class Code { Integer, Float8, Float4 };
  Code code = Code::Integer;
  unsigned bits = 4;
  int64_t groupColumns = 0; ///< 0: whole rows
  int64_t groupRows = 1;    ///< 0: all rows
  bool isSymmetric = true;  ///< no zero-points
};

struct QuantizationConfig {
  enum class Method {
    Gptq,   ///< qweight, qzeros, scales, g_idx: words of codes along the columns
    Awq,    ///< qweight, qzeros, scales: words of codes along the rows
    Packed, ///< weight_packed, weight_scale, weight_zero_point, weight_shape
    Plain,  ///< weight in 8 bits, weight_scale or weight_scale_inv, weight_zero_point
  };
  Method method;
  /// GPTQ stores zero-points less one, unless its format is gptq_v2.
  bool areZerosLessOne = false;
  llvm::SmallVector<QuantizationScheme, 1> schemes;
};

/// Nothing where the configuration has no such entry; a sentence where Ingot does not know it.
llvm::Expected<std::optional<QuantizationConfig>>
readQuantizationConfig(const llvm::json::Object &config);

} // namespace ingot::import

#endif // INGOT_LIB_IMPORT_QUANTIZATIONCONFIG_H
