//===- Decoder.h - What families of decoders share --------------------------------------------===//
//
// Sizes, the attention and the feed-forward network of a decoder layer, its weights by role, and
// the way from tokens to logits. A family reads what is special about it, changes the fields, and
// writes its layer from these parts; the order of norms and additions is the family's.
//
//===------------------------------------------------------------------------------------------===//

#ifndef INGOT_LIB_IMPORT_DECODER_H
#define INGOT_LIB_IMPORT_DECODER_H

#include "Parameters.h"

namespace ingot::import {

struct Decoder {
  using Value = mlir::Value;

  /// Far beyond any model; bounds the work for made-up weights, of which there are always enough.
  static constexpr int64_t maxLayers = 4096;

  // What the family is, before `read`.
  bool hasLayerNorm = false; ///< with biases; else RMS norm
  bool hasRope = true;       ///< else learned positions
  RopeDefaults ropeDefaults;

  // What `read` finds.
  int64_t layers, width, feedForward, heads, keyValueHeads, headDim, vocabulary, context;
  float epsilon;
  RopeParameters rope;
  AttentionParameters attention; ///< scale 1 / sqrt(headDim)
  bool hasProjectionBias = false, hasOutputBias = false, hasFeedForwardBias = false;
  bool isTied = false; ///< the output projection is the embedding

  // What the family changes.
  transformer::ActivationKind activation = transformer::ActivationKind::Silu;
  std::vector<bool> windowed;                 ///< layers with `attention.window`; empty: all
  std::optional<RopeParameters> windowedRope; ///< of layers with a window, where it differs
  float normAddend = 0;                       ///< added to the weights of norms
  float embeddingScale = 1;                   ///< of the embedded tokens
  float logitSoftCap = 0;                     ///< 0: none

  /// What a folder means that does not say it.
  struct Defaults {
    bool isTied = false;
    int64_t headDim = 0;                ///< 0: width / heads
    int64_t widening = 0;               ///< feed-forward width over width; 0: it must say so
    std::optional<double> epsilon = {}; ///< of norms; without it the checkpoint must say so
  };
  /// Reads the sizes and what most decoders have.
  void read(Parameters &parameters, ModelBuilder &model, const Defaults &defaults);
  /// Reads which layers have a window: from a list, or by the rule of the family.
  void readWindows(Parameters &parameters, ModelBuilder &model,
                   llvm::function_ref<bool(int64_t index)> rule);
  bool isWindowed(int64_t index) const {
    return attention.window && (windowed.empty() || windowed[index]);
  }
  void writeParameters(ModelBuilder &model) const;

  /// Query, key, value and output projections.
  void addAttentionWeights(ModelBuilder::LayerWeights &weights) const;
  /// Gate, up and down.
  void addFeedForwardWeights(ModelBuilder::LayerWeights &weights) const;
  void addNorm(ModelBuilder::LayerWeights &weights, llvm::StringRef role) const {
    weights.addVector(role, width, hasLayerNorm, normAddend);
  }
  /// The norm of the family with the weight of a role.
  Value norm(DenseBuilder &layer, Value x, llvm::StringRef role) const;

  /// From projected queries or keys [B, S, H * D] to heads [B, S, H, D], with norms on the way.
  using SplitHeads =
      llvm::function_ref<Value(DenseBuilder &, Value y, llvm::StringRef role, int64_t heads)>;
  /// softmax(rope(Q) rope(K)^T) V, projected, in layer `index`: of x [B, S, C].
  Value attend(DenseBuilder &layer, Value x, int64_t index, SplitHeads splitHeads = nullptr) const;
  /// down(act(gate(x)) * up(x)).
  Value feedForwardGated(DenseBuilder &layer, Value x) const;
  /// down(act(up(x))).
  Value feedForwardPlain(DenseBuilder &layer, Value x) const;

  using NameWeights = llvm::function_ref<void(ModelBuilder::LayerWeights &weights)>;
  using WriteLayer = llvm::function_ref<Value(DenseBuilder &layer, Value x, int64_t index)>;
  /// The whole model; nothing where an error was reported.
  void build(ModelBuilder &model, NameWeights nameWeights, WriteLayer writeLayer) const;
};

} // namespace ingot::import

#endif // INGOT_LIB_IMPORT_DECODER_H
