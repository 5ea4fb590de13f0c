//===- Gemma.cpp - Gemma 2 and 3 ---------------------------------------------------------===//
//
// Norms before and after attention and feed-forward, each multiplying by one more than its weight;
// embedded tokens are scaled by the root of the width; layers with and without a window take turns.
// Gemma 2 caps scores and logits, Gemma 3 norms heads and turns layers with a window by frequencies
// of their own.
//
//===------------------------------------------------------------------------------------------===//

#include "Architectures.h"
#include <cmath>

using namespace ingot;
using namespace ingot::import;
using mlir::Value;

static Decoder readGemma(Parameters &parameters, ModelBuilder &model, const RopeDefaults &rope,
                         int64_t period) {
  Decoder decoder;
  decoder.ropeDefaults = rope;
  decoder.read(parameters, model, {.isTied = true, .headDim = 256});
  decoder.activation = parameters.activation("gelu_pytorch_tanh");
  bool folder = parameters.isFolder();
  decoder.normAddend = folder ? 1 : 0; // GGUF files hold the sum
  decoder.embeddingScale = std::sqrt(float(decoder.width));
  double magnitude = decoder.rope.attentionFactor;
  // GGUF files do not say it: all sizes but the one of 46 layers divide by the root of a head.
  double scalar = decoder.layers == 46 ? double(decoder.width) / double(decoder.heads)
                                       : double(decoder.headDim);
  if (folder)
    scalar = parameters.positive("attention.query_scalar", 256.0);
  decoder.attention.scale = magnitude * magnitude / std::sqrt(scalar);
  decoder.attention.window = parameters.count("attention.sliding_window", 4096);
  if (folder)
    decoder.hasProjectionBias = decoder.hasOutputBias = parameters.flag("attention.bias", false);
  decoder.readWindows(parameters, model, [&](int64_t index) { return (index + 1) % period != 0; });
  return decoder;
}

static void addWeights(const Decoder &decoder, ModelBuilder::LayerWeights &weights) {
  addPreNormWeights(decoder, weights);
  decoder.addNorm(weights, "post_attention_norm");
  decoder.addNorm(weights, "post_ffw_norm");
}

static Value writeLayer(const Decoder &decoder, DenseBuilder &layer, Value x, int64_t index,
                        Decoder::SplitHeads splitHeads = nullptr) {
  Value mixed = decoder.attend(layer, decoder.norm(layer, x, "attn_norm"), index, splitHeads);
  x = layer.add(x, decoder.norm(layer, mixed, "post_attention_norm"));
  Value y = decoder.feedForwardGated(layer, decoder.norm(layer, x, "ffn_norm"));
  return layer.add(x, decoder.norm(layer, y, "post_ffw_norm"));
}

static void importGemma2(Parameters &parameters, ModelBuilder &model) {
  Decoder decoder = readGemma(parameters, model, {}, /*period=*/2);
  decoder.attention.softCap = parameters.cap("attn_logit_softcapping", 50);
  decoder.logitSoftCap = parameters.cap("final_logit_softcapping", 30);
  decoder.build(
      model, [&](ModelBuilder::LayerWeights &weights) { addWeights(decoder, weights); },
      [&](DenseBuilder &layer, Value x, int64_t index) {
        return writeLayer(decoder, layer, x, index);
      });
}

static void importGemma3(Parameters &parameters, ModelBuilder &model) {
  int64_t period = parameters.size("sliding_window_pattern", 6);
  Decoder decoder =
      readGemma(parameters, model, {.base = 1e6, .layerKind = "full_attention"}, period);
  decoder.windowedRope =
      parameters.rope(decoder.headDim, {.base = 1e4, .layerKind = "sliding_attention"});
  decoder.attention.softCap = parameters.cap("attn_logit_softcapping", 0);
  decoder.logitSoftCap = parameters.cap("final_logit_softcapping", 0);
  auto split = [&](DenseBuilder &layer, Value y, llvm::StringRef role, int64_t heads) {
    return normHeads(decoder, layer, y, role, heads);
  };
  decoder.build(
      model,
      [&](ModelBuilder::LayerWeights &weights) {
        addWeights(decoder, weights);
        weights.addVector("attn_q_norm", decoder.headDim, false, decoder.normAddend);
        weights.addVector("attn_k_norm", decoder.headDim, false, decoder.normAddend);
      },
      [&](DenseBuilder &layer, Value x, int64_t index) {
        return writeLayer(decoder, layer, x, index, split);
      });
}

static constexpr NameOf tensorNames[] = {
    {"post_attention_norm", "post_attention_layernorm"},
    {"ffn_norm", "pre_feedforward_layernorm"},
    {"post_ffw_norm", "post_feedforward_layernorm"},
};
static constexpr NameOf parameterNames[] = {
    {"activation", "hidden_activation"},
    {"attention.query_scalar", "query_pre_attn_scalar"},
    {"attn_logit_softcapping", "attn_logit_softcapping"},
    {"final_logit_softcapping", "final_logit_softcapping"},
    {"sliding_window_pattern", "sliding_window_pattern"},
    {"rope.local_base", "rope_local_base_freq"},
};

const Architecture import::gemma2 = {"gemma2",       "gemma2",
                                     importGemma2,   tensorNames,
                                     parameterNames, "cache_implementation hidden_act"};
const Architecture import::gemma3 = {
    "",          "gemma3_text",  importGemma3,
    tensorNames, parameterNames, "_sliding_window_pattern cache_implementation hidden_act"};
