//===- Olmo2.cpp - OLMo 2 ----------------------------------------------------------------===//
//
// Norms after attention and feed-forward instead of before, and of all queries and all keys of a
// token at once.
//
//===------------------------------------------------------------------------------------------===//

#include "Architectures.h"

using namespace ingot;
using namespace ingot::import;
using mlir::Value;

static void importOlmo2(Parameters &parameters, ModelBuilder &model) {
  Decoder decoder;
  decoder.read(parameters, model, {});
  decoder.activation = parameters.activation("silu");
  if (parameters.isFolder())
    decoder.hasProjectionBias = decoder.hasOutputBias = parameters.flag("attention.bias", false);
  auto normAll = [&](DenseBuilder &layer, Value y, llvm::StringRef role, int64_t heads) {
    return layer.splitHeads(layer.rmsNorm(y, (role + "_norm").str(), decoder.epsilon), heads);
  };
  decoder.build(
      model,
      [&](ModelBuilder::LayerWeights &weights) {
        decoder.addAttentionWeights(weights);
        weights.addVector("attn_q_norm", decoder.heads * decoder.headDim);
        weights.addVector("attn_k_norm", decoder.keyValueHeads * decoder.headDim);
        decoder.addNorm(weights, "post_attention_norm");
        decoder.addFeedForwardWeights(weights);
        decoder.addNorm(weights, "post_ffw_norm");
      },
      [&](DenseBuilder &layer, Value x, int64_t index) {
        Value mixed = decoder.attend(layer, x, index, normAll);
        x = layer.add(x, decoder.norm(layer, mixed, "post_attention_norm"));
        Value y = decoder.feedForwardGated(layer, x);
        return layer.add(x, decoder.norm(layer, y, "post_ffw_norm"));
      });
}

static constexpr NameOf tensorNames[] = {
    {"post_attention_norm", "post_attention_layernorm"},
    {"post_ffw_norm", "post_feedforward_layernorm"},
};

const Architecture import::olmo2 = {"olmo2", "olmo2", importOlmo2, tensorNames};
