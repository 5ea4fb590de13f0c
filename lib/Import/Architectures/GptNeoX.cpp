//===- GptNeoX.cpp - GPT-NeoX and Pythia -------------------------------------------------===//
//
// Layer norms, rope on a part of each head, attention and feed-forward side by side on one input;
// query, key and value are one matrix, in folders head by head.
//
//===------------------------------------------------------------------------------------------===//

#include "Architectures.h"

using namespace ingot;
using namespace ingot::import;
using mlir::Value;

static void importGptNeoX(Parameters &parameters, ModelBuilder &model) {
  Decoder decoder;
  decoder.hasLayerNorm = true;
  decoder.ropeDefaults.share = 0.25;
  decoder.read(parameters, model, {});
  decoder.activation = parameters.activation("gelu");
  bool isParallel = parameters.flag("use_parallel_residual", true);
  bool hasBias = parameters.flag("attention.bias", true);
  model.ignoreTensors(".attention.bias");
  model.ignoreTensors(".attention.masked_bias");
  int64_t width = decoder.width, inner = decoder.feedForward, heads = decoder.heads,
          dim = decoder.headDim;
  // Rows [head, which of the three, channel] in folders, [which, head, channel] in GGUF files.
  auto third = [&](int64_t which) {
    return parameters.isFolder() ? RowPattern{which * dim, heads * dim, dim, 3 * dim}
                                 : RowPattern{which * heads * dim, heads * dim};
  };
  decoder.build(
      model,
      [&](ModelBuilder::LayerWeights &weights) {
        decoder.addNorm(weights, "attn_norm");
        weights.addSplit("attn_qkv",
                         {{"attn_q", third(0)}, {"attn_k", third(1)}, {"attn_v", third(2)}},
                         3 * heads * dim, width, hasBias);
        weights.addLinear("attn_output", width, heads * dim, hasBias);
        decoder.addNorm(weights, "ffn_norm");
        weights.addLinear("ffn_up", inner, width, /*hasBias=*/true);
        weights.addLinear("ffn_down", width, inner, /*hasBias=*/true);
      },
      [&](DenseBuilder &layer, Value x, int64_t index) {
        Value mixed = decoder.attend(layer, decoder.norm(layer, x, "attn_norm"), index);
        Value input = isParallel ? x : layer.add(x, mixed);
        Value y = decoder.feedForwardPlain(layer, decoder.norm(layer, input, "ffn_norm"));
        return isParallel ? layer.add(layer.add(x, mixed), y) : layer.add(input, y);
      });
}

static constexpr NameOf tensorNames[] = {
    {"token_embd", "gpt_neox.embed_in"},
    {"output_norm", "gpt_neox.final_layer_norm"},
    {"output", "embed_out"},
    {"blk", "gpt_neox.layers"},
    {"attn_qkv", "attention.query_key_value"},
    {"attn_output", "attention.dense"},
    {"ffn_up", "mlp.dense_h_to_4h"},
    {"ffn_down", "mlp.dense_4h_to_h"},
};
static constexpr NameOf parameterNames[] = {
    {"attention.layer_norm_epsilon", "layer_norm_eps"},
    {"use_parallel_residual", "use_parallel_residual"},
    {"rope.base", "rotary_emb_base"},
    {"rope.share", "rotary_pct"},
};

const Architecture import::gptNeoX = {"gptneox", "gpt_neox", importGptNeoX, tensorNames,
                                      parameterNames};
