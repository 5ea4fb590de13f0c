//===- LayerMath.h - Formulas of the transformer ops ------------------------------------------===//
//
// The arithmetic of single rows, numbers and blocks, apart from walking over tensors. Sums are in
// double; where a contract says float32 steps, they are float here.
//
//===------------------------------------------------------------------------------------------===//

#ifndef INGOT_LIB_REFERENCE_LAYERMATH_H
#define INGOT_LIB_REFERENCE_LAYERMATH_H

#include "dialects/Transformer/Transformer.h"
#include "llvm/ADT/ArrayRef.h"
#include <optional>
#include <vector>

namespace ingot::reference {

/// Sum of products, in double.
double dot(llvm::ArrayRef<double> a, llvm::ArrayRef<double> b);

/// base^(-i / pairs) / factor_i in float32, for each of the `pairs` rotating pairs of channels.
std::vector<float> ropeFrequencies(double base, int64_t pairs, llvm::ArrayRef<float> factors);

/// The activation function of a number, rounded once.
float activate(transformer::ActivationKind kind, float x);

/// 8-bit values of a block, by float32 steps as `transformer.quantize` says; returns the scale.
float quantizeBlock(llvm::ArrayRef<float> x, llvm::MutableArrayRef<int8_t> values);

/// What scores are made of besides queries and keys.
struct ScoreRule {
  float scale;
  std::optional<float> softCap; ///< c: score s becomes c tanh(s / c)
};

/// Softmax attention of one query over the `keys` that it sees: result[c] = sum of
/// softmax(scale query . key) value[c]. No key: zero. Scores and sums are double, keys in the order
/// given.
void attend(llvm::ArrayRef<float> query, llvm::ArrayRef<const float *> keys,
            llvm::ArrayRef<const float *> values, const ScoreRule &rule,
            llvm::MutableArrayRef<float> result);

} // namespace ingot::reference

#endif // INGOT_LIB_REFERENCE_LAYERMATH_H
