//===- Qwen.cpp - Qwen 2, Qwen 2.5 and Qwen 3 --------------------------------------------===//
//
// As llama, with biases on query, key and value (2) or norms of their heads (3). Later layers may
// have a window.
//
//===------------------------------------------------------------------------------------------===//

#include "Architectures.h"

using namespace ingot;
using namespace ingot::import;
using mlir::Value;

static Decoder readQwen(Parameters &parameters, ModelBuilder &model, int64_t headDim) {
  Decoder decoder;
  decoder.read(parameters, model, {.headDim = parameters.isFolder() ? headDim : 0});
  decoder.activation = parameters.activation("silu");
  int64_t firstWindowed = parameters.count("max_window_layers", decoder.layers);
  int64_t window = parameters.count("attention.sliding_window", 0);
  if (parameters.flag("use_window", false)) {
    decoder.attention.window = window;
    decoder.readWindows(parameters, model, [&](int64_t index) { return index >= firstWindowed; });
  } else if (llvm::is_contained(parameters.texts("layer_types"), "sliding_attention")) {
    model.error() << parameters.describe("layer_types")
                  << " has layers with a window, but use_sliding_window is not true";
  }
  return decoder;
}

static void importQwen2(Parameters &parameters, ModelBuilder &model) {
  Decoder decoder = readQwen(parameters, model, 0);
  decoder.hasProjectionBias = true;
  decoder.build(
      model, [&](ModelBuilder::LayerWeights &weights) { addPreNormWeights(decoder, weights); },
      [&](DenseBuilder &layer, Value x, int64_t index) {
        return writePreNormLayer(decoder, layer, x, index);
      });
}

static void importQwen3(Parameters &parameters, ModelBuilder &model) {
  Decoder decoder = readQwen(parameters, model, 128);
  if (parameters.isFolder())
    decoder.hasProjectionBias = decoder.hasOutputBias = parameters.flag("attention.bias", false);
  auto split = [&](DenseBuilder &layer, Value y, llvm::StringRef role, int64_t heads) {
    return normHeads(decoder, layer, y, role, heads);
  };
  decoder.build(
      model,
      [&](ModelBuilder::LayerWeights &weights) {
        addPreNormWeights(decoder, weights);
        weights.addVector("attn_q_norm", decoder.headDim);
        weights.addVector("attn_k_norm", decoder.headDim);
      },
      [&](DenseBuilder &layer, Value x, int64_t index) {
        return writePreNormLayer(decoder, layer, x, index, split);
      });
}

static constexpr NameOf parameterNames[] = {
    {"use_window", "use_sliding_window"},
    {"max_window_layers", "max_window_layers"},
};

const Architecture import::qwen2 = {"qwen2", "qwen2", importQwen2, {}, parameterNames};
const Architecture import::qwen3 = {"qwen3", "qwen3", importQwen3, {}, parameterNames};
