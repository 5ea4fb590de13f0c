//===- Phi3.cpp - Phi-3 and Phi-4 --------------------------------------------------------===//
//
// As llama, with query, key and value in one matrix, gate and up in another, and longrope for long
// contexts.
//
//===------------------------------------------------------------------------------------------===//

#include "Architectures.h"

using namespace ingot;
using namespace ingot::import;
using mlir::Value;

static void importPhi3(Parameters &parameters, ModelBuilder &model) {
  Decoder decoder;
  decoder.read(parameters, model, {});
  decoder.activation = parameters.activation("silu");
  decoder.attention.window = parameters.count("attention.sliding_window", 0);
  int64_t queries = decoder.heads * decoder.headDim, keys = decoder.keyValueHeads * decoder.headDim,
          inner = decoder.feedForward, width = decoder.width;
  decoder.build(
      model,
      [&](ModelBuilder::LayerWeights &weights) {
        decoder.addNorm(weights, "attn_norm");
        weights.addSplit("attn_qkv",
                         {{"attn_q", {0, queries}},
                          {"attn_k", {queries, keys}},
                          {"attn_v", {queries + keys, keys}}},
                         queries + 2 * keys, width);
        weights.addLinear("attn_output", width, queries);
        decoder.addNorm(weights, "ffn_norm");
        weights.addSplit("ffn_up", {{"ffn_gate", {0, inner}}, {"ffn_up", {inner, inner}}},
                         2 * inner, width);
        weights.addLinear("ffn_down", width, inner);
      },
      [&](DenseBuilder &layer, Value x, int64_t index) {
        return writePreNormLayer(decoder, layer, x, index);
      });
}

static constexpr NameOf tensorNames[] = {
    {"attn_qkv", "self_attn.qkv_proj"},
    {"ffn_up", "mlp.gate_up_proj"},
};

const Architecture import::phi3 = {"phi3", "phi3", importPhi3, tensorNames};
