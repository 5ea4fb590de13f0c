//===- Decoder.cpp - What families of decoders share ------------------------------------------===//
//
// See Decoder.h.
//
//===------------------------------------------------------------------------------------------===//

#include "Decoder.h"
#include <cmath>

using namespace ingot;
using namespace ingot::import;
using mlir::Value;

void Decoder::read(Parameters &parameters, ModelBuilder &model, const Defaults &defaults) {
  layers = parameters.size("block_count");
  if (layers > maxLayers)
    model.error() << parameters.describe("block_count") << " is " << layers << ", expected 1 to "
                  << maxLayers;
  width = parameters.size("embedding_length");
  feedForward =
      parameters.size("feed_forward_length",
                      defaults.widening ? std::optional(defaults.widening * width) : std::nullopt);
  heads = parameters.size("attention.head_count");
  keyValueHeads = parameters.size("attention.head_count_kv", heads);
  headDim =
      parameters.size("attention.key_length",
                      defaults.headDim ? defaults.headDim : std::max<int64_t>(width / heads, 1));
  context = parameters.size("context_length");
  vocabulary = parameters.size("vocab_size", model.rowsOf("token_embd.weight"));
  epsilon = parameters.positive(hasLayerNorm ? "attention.layer_norm_epsilon"
                                             : "attention.layer_norm_rms_epsilon",
                                defaults.epsilon);
  if (hasRope)
    rope = parameters.rope(headDim, ropeDefaults);
  if (rope.context)
    context = rope.context;
  attention.scale = rope.attentionFactor * rope.attentionFactor / std::sqrt(double(headDim));
  if (heads % keyValueHeads)
    model.error() << "expected " << parameters.describe("attention.head_count_kv")
                  << " to divide the " << heads << " heads, got " << keyValueHeads;
  // A GGUF file says by its tensors what a folder says in words.
  bool folder = parameters.isFolder();
  isTied = folder ? parameters.flag("is_tied", defaults.isTied) : !model.hasTensor("output.weight");
  if (isTied)
    model.markAsUsed("output.weight");
  hasProjectionBias = !folder && model.hasTensor("blk.0.attn_q.bias");
  hasOutputBias = !folder && model.hasTensor("blk.0.attn_output.bias");
  hasFeedForwardBias = !folder && model.hasTensor("blk.0.ffn_down.bias");
  model.ignoreTensors("rotary_emb.inv_freq");
}

void Decoder::readWindows(Parameters &parameters, ModelBuilder &model,
                          llvm::function_ref<bool(int64_t)> rule) {
  std::vector<std::string> kinds = parameters.texts("layer_types");
  if (!kinds.empty() && int64_t(kinds.size()) != layers)
    model.error() << "expected " << parameters.describe("layer_types") << " to name the kinds of "
                  << layers << " layers, got " << int64_t(kinds.size());
  if (model.hasFailed())
    return;
  for (int64_t index = 0; index < layers; ++index) {
    bool isSliding = kinds.empty() ? rule(index) : kinds[index] == "sliding_attention";
    if (!kinds.empty() && !isSliding && kinds[index] != "full_attention")
      model.error() << parameters.describe("layer_types") << " names the kind '" << kinds[index]
                    << "', expected full_attention or sliding_attention";
    if (isSliding && !attention.window)
      model.error() << parameters.describe("attention.sliding_window") << " is missing, and layer "
                    << index << " has a window";
    windowed.push_back(isSliding);
  }
}

void Decoder::writeParameters(ModelBuilder &model) const {
  model.setParameter("layers", layers);
  model.setParameter("width", width);
  model.setParameter("feed_forward", feedForward);
  model.setParameter("heads", heads);
  model.setParameter("kv_heads", keyValueHeads);
  model.setParameter("head_dim", headDim);
  model.setParameter("vocabulary", vocabulary);
  model.setParameter("context", context);
  model.setParameter("norm_epsilon", epsilon);
  if (hasRope) {
    model.setParameter("rope_base", rope.base);
    model.setParameter("rope_dims", rope.dims);
  }
}

void Decoder::addAttentionWeights(ModelBuilder::LayerWeights &weights) const {
  weights.addLinear("attn_q", heads * headDim, width, hasProjectionBias);
  weights.addLinear("attn_k", keyValueHeads * headDim, width, hasProjectionBias);
  weights.addLinear("attn_v", keyValueHeads * headDim, width, hasProjectionBias);
  weights.addLinear("attn_output", width, heads * headDim, hasOutputBias);
}

void Decoder::addFeedForwardWeights(ModelBuilder::LayerWeights &weights) const {
  weights.addLinear("ffn_gate", feedForward, width, hasFeedForwardBias);
  weights.addLinear("ffn_up", feedForward, width, hasFeedForwardBias);
  weights.addLinear("ffn_down", width, feedForward, hasFeedForwardBias);
}

Value Decoder::norm(DenseBuilder &layer, Value x, llvm::StringRef role) const {
  return hasLayerNorm ? layer.layerNorm(x, role, epsilon) : layer.rmsNorm(x, role, epsilon);
}

Value Decoder::attend(DenseBuilder &layer, Value x, int64_t index, SplitHeads splitHeads) const {
  AttentionParameters parameters = attention;
  if (!isWindowed(index))
    parameters.window = 0;
  const RopeParameters &turns = isWindowed(index) && windowedRope ? *windowedRope : rope;
  auto project = [&](llvm::StringRef role, int64_t count) {
    Value y = layer.linear(x, role);
    return splitHeads && role != "attn_v" ? splitHeads(layer, y, role, count)
                                          : layer.splitHeads(y, count);
  };
  auto rotate = [&](Value y) { return hasRope ? layer.rope(y, turns) : y; };
  Value q = rotate(project("attn_q", heads));
  Value k = rotate(project("attn_k", keyValueHeads));
  Value v = project("attn_v", keyValueHeads);
  return layer.linear(layer.attention(q, k, v, parameters), "attn_output");
}

Value Decoder::feedForwardGated(DenseBuilder &layer, Value x) const {
  Value gate = layer.activate(layer.linear(x, "ffn_gate"), activation);
  return layer.linear(layer.multiply(gate, layer.linear(x, "ffn_up")), "ffn_down");
}

Value Decoder::feedForwardPlain(DenseBuilder &layer, Value x) const {
  return layer.linear(layer.activate(layer.linear(x, "ffn_up"), activation), "ffn_down");
}

void Decoder::build(ModelBuilder &model, NameWeights nameWeights, WriteLayer writeLayer) const {
  if (model.hasFailed())
    return;
  writeParameters(model);
  Value x = model.embedTokens("token_embd.weight", vocabulary, width);
  if (!hasRope) {
    Value learned = model.embedPositions("position_embd.weight", context, width);
    x = model.writeEntry(x, {model, ""}, [&](DenseBuilder &entry, Value embedded) {
      return entry.add(embedded, learned);
    });
  }
  if (embeddingScale != 1)
    x = model.writeEntry(x, {model, ""}, [&](DenseBuilder &entry, Value embedded) {
      return entry.scale(embedded, embeddingScale);
    });
  for (int64_t index = 0; index < layers && !model.hasFailed(); ++index) {
    std::string name = "blk." + std::to_string(index);
    ModelBuilder::LayerWeights weights(model, name + ".");
    nameWeights(weights);
    x = model.callLayer(
        name, x, weights,
        [&](DenseBuilder &layer, Value input) { return writeLayer(layer, input, index); },
        isWindowed(index) ? "window" : "");
  }
  llvm::StringRef output = isTied ? "token_embd" : "output";
  ModelBuilder::LayerWeights weights(model, "");
  addNorm(weights, "output_norm");
  weights.addLinear(output, vocabulary, width);
  model.returnLogits(x, weights, [&](DenseBuilder &entry, Value rows) {
    Value logits = entry.linear(norm(entry, rows, "output_norm"), output);
    return logitSoftCap ? entry.softCap(logits, logitSoftCap) : logits;
  });
}
