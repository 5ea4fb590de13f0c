//===- Llama.cpp - The llama family -----------------------------------------------------------===//
//
// Pre-norm decoder: RMS norm, grouped-query attention with rotary positions, gated SiLU
// feed-forward; the output projection may be tied to the embedding. Llama 1 to 3, Mistral (without
// a window), SmolLM and TinyLlama come under this name. GGUF stores the rows of the query and key
// projections so that the channels which rotate together are neighbours.
//
//===------------------------------------------------------------------------------------------===//

#include "Architectures.h"
#include <cmath>

using namespace ingot;
using namespace ingot::import;

namespace {

struct Llama {
  int64_t layers, width, feedForward, heads, keyValueHeads, headDim, vocabulary, context;
  float epsilon;
  RopeParameters rope;

  void read(GgufParameters &parameters, ModelBuilder &model);
  void writeParameters(ModelBuilder &model) const;
  ModelBuilder::LayerWeights nameWeights(ModelBuilder &model, int64_t index) const;
  mlir::Value writeLayer(DenseBuilder &layer, mlir::Value x) const;
};

} // namespace

void Llama::read(GgufParameters &parameters, ModelBuilder &model) {
  layers = parameters.size("block_count");
  width = parameters.size("embedding_length");
  feedForward = parameters.size("feed_forward_length");
  heads = parameters.size("attention.head_count");
  keyValueHeads = parameters.size("attention.head_count_kv", heads);
  headDim = parameters.size("attention.key_length", std::max<int64_t>(width / heads, 1));
  context = parameters.size("context_length");
  vocabulary = parameters.size("vocab_size", model.rowsOf("token_embd.weight"));
  epsilon = parameters.positive("attention.layer_norm_rms_epsilon");
  rope = parameters.rope(transformer::RopeLayout::Interleaved, headDim);
  if (heads % keyValueHeads)
    model.error() << "expected llama.attention.head_count_kv to divide the " << heads
                  << " heads, got " << keyValueHeads;
  if (int64_t valueDim = parameters.size("attention.value_length", headDim); valueDim != headDim)
    model.error() << "expected llama.attention.value_length to equal the key length " << headDim
                  << ", got " << valueDim;
  parameters.refuseUnlessZero("expert_count", "mixture of experts");
  parameters.refuseUnlessZero("attention.sliding_window", "sliding-window attention");
}

void Llama::writeParameters(ModelBuilder &model) const {
  model.setParameter("layers", layers);
  model.setParameter("width", width);
  model.setParameter("feed_forward", feedForward);
  model.setParameter("heads", heads);
  model.setParameter("kv_heads", keyValueHeads);
  model.setParameter("head_dim", headDim);
  model.setParameter("vocabulary", vocabulary);
  model.setParameter("context", context);
  model.setParameter("norm_epsilon", epsilon);
  model.setParameter("rope_base", rope.base);
  model.setParameter("rope_dims", rope.dims);
}

ModelBuilder::LayerWeights Llama::nameWeights(ModelBuilder &model, int64_t index) const {
  ModelBuilder::LayerWeights weights(model, "blk." + std::to_string(index) + ".");
  weights.addVector("attn_norm", width);
  weights.addLinear("attn_q", heads * headDim, width);
  weights.addLinear("attn_k", keyValueHeads * headDim, width);
  weights.addLinear("attn_v", keyValueHeads * headDim, width);
  weights.addLinear("attn_output", width, heads * headDim);
  weights.addVector("ffn_norm", width);
  weights.addLinear("ffn_gate", feedForward, width);
  weights.addLinear("ffn_up", feedForward, width);
  weights.addLinear("ffn_down", width, feedForward);
  return weights;
}

mlir::Value Llama::writeLayer(DenseBuilder &layer, mlir::Value x) const {
  mlir::Value normed = layer.rmsNorm(x, "attn_norm", epsilon);
  mlir::Value q = layer.rope(layer.splitHeads(layer.linear(normed, "attn_q"), heads), rope);
  mlir::Value k = layer.rope(layer.splitHeads(layer.linear(normed, "attn_k"), keyValueHeads), rope);
  mlir::Value v = layer.splitHeads(layer.linear(normed, "attn_v"), keyValueHeads);
  mlir::Value mixed = layer.causalAttention(q, k, v, 1.0f / std::sqrt(float(headDim)));
  x = layer.add(x, layer.linear(mixed, "attn_output"));

  normed = layer.rmsNorm(x, "ffn_norm", epsilon);
  mlir::Value gate = layer.silu(layer.linear(normed, "ffn_gate"));
  mlir::Value gated = layer.multiply(gate, layer.linear(normed, "ffn_up"));
  return layer.add(x, layer.linear(gated, "ffn_down"));
}

void ingot::import::importLlama(GgufParameters &parameters, ModelBuilder &model) {
  Llama llama;
  llama.read(parameters, model);
  if (model.hasFailed())
    return;
  llama.writeParameters(model);
  mlir::Value x = model.embedTokens("token_embd.weight", llama.vocabulary, llama.width);
  for (int64_t index = 0; index < llama.layers && !model.hasFailed(); ++index)
    x = model.callLayer(
        "blk." + std::to_string(index), x, llama.nameWeights(model, index),
        [&](DenseBuilder &layer, mlir::Value input) { return llama.writeLayer(layer, input); });
  mlir::Value wanted = model.normSelectedRows(x, "output_norm.weight", llama.epsilon);
  bool isTied = !model.hasTensor("output.weight");
  model.returnLogits(wanted, isTied ? "token_embd.weight" : "output.weight", llama.vocabulary);
}
