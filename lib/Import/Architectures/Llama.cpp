//===- Llama.cpp - The llama family -----------------------------------------------------------===//
//
// Pre-norm decoder: RMS norm, grouped-query attention with rotary positions, gated SiLU
// feed-forward; the output projection may be tied to the embedding. Llama 1 to 3, Mistral, SmolLM
// and TinyLlama come under this name in GGUF files, which store the rows of the query and key
// projections so that the channels which rotate together are neighbours; folders keep the halves
// that the model was trained with.
//
//===------------------------------------------------------------------------------------------===//

#include "Architectures.h"

using namespace ingot;
using namespace ingot::import;
using mlir::Value;

void import::addPreNormWeights(const Decoder &decoder, ModelBuilder::LayerWeights &weights) {
  decoder.addNorm(weights, "attn_norm");
  decoder.addAttentionWeights(weights);
  decoder.addNorm(weights, "ffn_norm");
  decoder.addFeedForwardWeights(weights);
}

Value import::writePreNormLayer(const Decoder &decoder, DenseBuilder &layer, Value x, int64_t index,
                                Decoder::SplitHeads splitHeads) {
  Value normed = decoder.norm(layer, x, "attn_norm");
  x = layer.add(x, decoder.attend(layer, normed, index, splitHeads));
  normed = decoder.norm(layer, x, "ffn_norm");
  return layer.add(x, decoder.feedForwardGated(layer, normed));
}

Value import::normHeads(const Decoder &decoder, DenseBuilder &layer, Value y, llvm::StringRef role,
                        int64_t heads) {
  return layer.rmsNorm(layer.splitHeads(y, heads), (role + "_norm").str(), decoder.epsilon);
}

static void importDecoder(Parameters &parameters, ModelBuilder &model, bool hasWindow) {
  Decoder decoder;
  decoder.read(parameters, model, {});
  decoder.activation = parameters.activation("silu");
  if (!parameters.isFolder())
    decoder.rope.layout = transformer::RopeLayout::Interleaved;
  int64_t valueDim = parameters.size("attention.value_length", decoder.headDim);
  if (valueDim != decoder.headDim)
    model.error() << "expected llama.attention.value_length to equal the key length "
                  << decoder.headDim << ", got " << valueDim;
  parameters.refuseUnlessZero("expert_count", "mixture of experts");
  if (hasWindow)
    decoder.attention.window = parameters.count("attention.sliding_window", 0);
  else
    parameters.refuseUnlessZero("attention.sliding_window", "sliding-window attention");
  if (parameters.isFolder()) {
    decoder.hasProjectionBias = decoder.hasOutputBias = parameters.flag("attention.bias", false);
    decoder.hasFeedForwardBias = parameters.flag("feed_forward.bias", false);
  }
  decoder.build(
      model, [&](ModelBuilder::LayerWeights &weights) { addPreNormWeights(decoder, weights); },
      [&](DenseBuilder &layer, Value x, int64_t index) {
        return writePreNormLayer(decoder, layer, x, index);
      });
}

static void importLlama(Parameters &parameters, ModelBuilder &model) {
  importDecoder(parameters, model, /*hasWindow=*/false);
}

static void importMistral(Parameters &parameters, ModelBuilder &model) {
  importDecoder(parameters, model, /*hasWindow=*/true);
}

const Architecture import::llama = {"llama", "llama", importLlama};
const Architecture import::mistral = {"", "mistral", importMistral};
