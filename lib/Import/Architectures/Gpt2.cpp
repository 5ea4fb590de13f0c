//===- Gpt2.cpp - GPT-2 ------------------------------------------------------------------===//
//
// Layer norms, learned positions, a plain feed-forward network with GELU; query, key and value are
// one matrix. Folders store matrices turned.
//
//===------------------------------------------------------------------------------------------===//

#include "Architectures.h"

using namespace ingot;
using namespace ingot::import;
using mlir::Value;

static void importGpt2(Parameters &parameters, ModelBuilder &model) {
  Decoder decoder;
  decoder.hasLayerNorm = true;
  decoder.hasRope = false;
  decoder.read(parameters, model, {.isTied = true, .widening = 4});
  decoder.activation = parameters.activation("gelu_new");
  if (!parameters.flag("attention.is_scaled", true))
    decoder.attention.scale = 1;
  model.ignoreTensors(".attn.bias");
  model.ignoreTensors(".attn.masked_bias");
  int64_t width = decoder.width, inner = decoder.feedForward;
  bool isTurned = parameters.isFolder();
  auto addLinear = [&](ModelBuilder::LayerWeights &weights, llvm::StringRef role, int64_t features,
                       int64_t channels) {
    if (isTurned)
      weights.addTransposed(role, features, channels, /*hasBias=*/true);
    else
      weights.addLinear(role, features, channels, /*hasBias=*/true);
  };
  if (decoder.heads * decoder.headDim != width)
    model.error() << "expected " << parameters.describe("embedding_length")
                  << " to be a multiple of the " << decoder.heads << " heads, got " << width;
  decoder.build(
      model,
      [&](ModelBuilder::LayerWeights &weights) {
        decoder.addNorm(weights, "attn_norm");
        weights.addSplit(
            "attn_qkv",
            {{"attn_q", {0, width}}, {"attn_k", {width, width}}, {"attn_v", {2 * width, width}}},
            3 * width, width, /*hasBias=*/true, isTurned);
        addLinear(weights, "attn_output", width, width);
        decoder.addNorm(weights, "ffn_norm");
        addLinear(weights, "ffn_up", inner, width);
        addLinear(weights, "ffn_down", width, inner);
      },
      [&](DenseBuilder &layer, Value x, int64_t index) {
        x = layer.add(x, decoder.attend(layer, decoder.norm(layer, x, "attn_norm"), index));
        return layer.add(x, decoder.feedForwardPlain(layer, decoder.norm(layer, x, "ffn_norm")));
      });
}

static constexpr NameOf tensorNames[] = {
    {"token_embd", "transformer.wte"},
    {"position_embd", "transformer.wpe"},
    {"output_norm", "transformer.ln_f"},
    {"blk", "transformer.h"},
    {"attn_norm", "ln_1"},
    {"attn_qkv", "attn.c_attn"},
    {"attn_output", "attn.c_proj"},
    {"ffn_norm", "ln_2"},
    {"ffn_up", "mlp.c_fc"},
    {"ffn_down", "mlp.c_proj"},
};
static constexpr NameOf parameterNames[] = {
    {"block_count", "n_layer"},
    {"embedding_length", "n_embd"},
    {"feed_forward_length", "n_inner"},
    {"attention.head_count", "n_head"},
    {"attention.layer_norm_epsilon", "layer_norm_epsilon"},
    {"attention.is_scaled", "scale_attn_weights"},
    {"context_length", "n_positions"},
    {"activation", "activation_function"},
};

const Architecture import::gpt2 = {
    "gpt2",
    "gpt2",
    importGpt2,
    tensorNames,
    parameterNames,
    "n_ctx reorder_and_upcast_attn summary_activation summary_first_dropout "
    "summary_proj_to_labels summary_type summary_use_proj"};
