//===- DenseBuilder.h - The vocabulary in which importers write a layer -----------------------===//
//
// A layer of the dense whole-sequence program, written in the words of a paper: norms, projections,
// rope, attention. Everything is on [B, S, ...]: B sequences of S slots, slots past a sequence's
// length unspecified. Attention comes out spelled as matmul, scale, mask, softmax, matmul:
// importers fuse nothing, passes recognise.
//
// Weights are called by their role in the layer ("attn_q"); "attn_q.weight" and, where the
// checkpoint has one, "attn_q.bias" are the arguments of the layer function.
//
//===------------------------------------------------------------------------------------------===//

#ifndef INGOT_LIB_IMPORT_DENSEBUILDER_H
#define INGOT_LIB_IMPORT_DENSEBUILDER_H

#include "dialects/Transformer/Transformer.h"
#include "mlir/IR/Builders.h"
#include "llvm/ADT/StringMap.h"

namespace ingot::import {

/// What rotary position embedding needs to be told; see `transformer.rope`.
struct RopeParameters {
  transformer::RopeLayout layout = transformer::RopeLayout::Half;
  double base = 10000;
  int64_t dims = 0;           ///< channels of a head that rotate
  std::vector<float> factors; ///< divide the frequencies; empty: none
  double attentionFactor = 1; ///< scales sines and cosines, so scores by its square
  int64_t context = 0;        ///< that the scaling is meant for; 0: that of the model
};

/// What attention needs to be told besides queries, keys and values.
struct AttentionParameters {
  bool isCausal = true;
  float scale = 1;
  int64_t window = 0; ///< keys that are this far back are not seen; 0: all are
  float softCap = 0;  ///< scores become cap * tanh(score / cap); 0: they do not
};

/// Writes the ops of a function on a dense batch.
class DenseBuilder {
public:
  using Value = mlir::Value;

  /// Inserts at the end of `block`. `x` is [B, S, C], `positions` [B, S], `lengths` [B].
  DenseBuilder(mlir::Block *block, Value x, Value positions, Value lengths);

  /// Makes `role` known as the name of a weight.
  void setWeight(llvm::StringRef role, Value weight) { weights[role] = weight; }
  /// The weight of that name, or null.
  Value weight(const llvm::Twine &role) const;

  /// RMS norm over channels with the weight `name`.weight.
  Value rmsNorm(Value x, llvm::StringRef name, float epsilon);
  /// Layer norm over channels with `name`.weight and, where there is one, `name`.bias.
  Value layerNorm(Value x, llvm::StringRef name, float epsilon);
  /// Product with `name`.weight [F, C], plus `name`.bias where there is one: [..., C] to [..., F].
  Value linear(Value x, llvm::StringRef name);
  /// [B, S, heads * D] to [B, S, heads, D].
  Value splitHeads(Value x, int64_t heads);
  /// Rotates the heads of [B, S, H, D] by their positions.
  Value rope(Value x, const RopeParameters &parameters);
  /// [B, S, heads, D] to [B, S, heads * D].
  Value mergeHeads(Value x);
  /// Softmax attention of q [B, S, H, D] over k and v [B, S, N, D], N divides H: [B, S, H *
  /// D].
  Value attention(Value q, Value k, Value v, const AttentionParameters &parameters);
  Value activate(Value x, transformer::ActivationKind kind);
  Value multiply(Value a, Value b);
  Value add(Value a, Value b);
  /// x * number.
  Value scale(Value x, float number);
  /// cap * tanh(x / cap).
  Value softCap(Value x, float cap);

private:
  /// B and S.
  mlir::SmallVector<Value, 2> getBatchSizes();
  /// Sizes of `like` that are not known.
  mlir::SmallVector<Value> getUnknownSizes(Value like);
  /// `x` with its dimension `dim` split into `sizes`.
  Value splitDimension(Value x, int64_t dim, mlir::ArrayRef<int64_t> sizes);
  Value filled(mlir::RankedTensorType type, mlir::ValueRange sizes, float number);
  Value contract(mlir::RankedTensorType type, mlir::ValueRange sizes, Value a,
                 llvm::StringRef aLetters, Value b, llvm::StringRef bLetters,
                 llvm::StringRef resultLetters);
  Value maskScores(Value scores, mlir::ValueRange sizes, const AttentionParameters &parameters);

  mlir::OpBuilder builder;
  mlir::Location loc; ///< of the op being written: the role that it serves
  Value positions, lengths;
  Value x, sequences, slots; ///< the input; its B and S once they were needed
  llvm::StringMap<Value> weights;

  void setRole(llvm::StringRef role);
};

} // namespace ingot::import

#endif // INGOT_LIB_IMPORT_DENSEBUILDER_H
