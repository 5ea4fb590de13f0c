//===- Bert.cpp - BERT and MiniLM -------------------------------------------------------------===//
//
// An encoder: every token sees all others; layer norms after attention and feed-forward; embeddings
// of token, position and kind of text are added and normed. One text at a time, so all tokens are
// of the first kind, whose embedding is added to those of the positions once. The result is the
// last hidden state.
//
//===------------------------------------------------------------------------------------------===//

#include "Architectures.h"

using namespace ingot;
using namespace ingot::import;
using mlir::Value;

void import::importEncoder(Parameters &parameters, ModelBuilder &model, const EncoderKind &kind) {
  Decoder encoder;
  encoder.hasLayerNorm = true;
  encoder.hasRope = false;
  encoder.read(parameters, model, {.isTied = true, .epsilon = kind.epsilon});
  encoder.activation = parameters.activation("gelu");
  encoder.attention.isCausal = false;
  encoder.hasProjectionBias = encoder.hasOutputBias = true;
  encoder.context -= kind.firstPosition;
  int64_t width = encoder.width;
  std::string positions = kind.hasPositionKind ? parameters.text("position_embedding", "absolute")
                                               : std::string("absolute");
  if (positions != "absolute")
    model.error() << parameters.describe("position_embedding") << " is '" << positions
                  << "', expected absolute";
  if (encoder.context < 1)
    model.error() << parameters.describe("context_length") << " leaves no position after the first "
                  << kind.firstPosition;
  parameters.refuseUnlessZero("is_decoder", "a decoder of this family");
  // Heads for tasks, of which the last hidden state needs none.
  for (llvm::StringRef head :
       {"pooler.dense.weight", "pooler.dense.bias", "position_ids", "lm_head.bias",
        "lm_head.decoder.weight", "lm_head.decoder.bias", "lm_head.dense.weight",
        "lm_head.dense.bias", "lm_head.layer_norm.weight", "lm_head.layer_norm.bias"})
    model.ignoreTensors(head);
  if (model.hasFailed())
    return;
  encoder.writeParameters(model);
  Value x = model.embedTokens("token_embd.weight", encoder.vocabulary, width);
  llvm::StringRef kinds = kind.kinds ? "token_types.weight" : "";
  Value places = model.embedPositions("position_embd.weight", encoder.context, width,
                                      {kind.firstPosition, kinds, kind.kinds});
  ModelBuilder::LayerWeights embeddingWeights(model, "");
  encoder.addNorm(embeddingWeights, "token_embd_norm");
  x = model.writeEntry(x, embeddingWeights, [&](DenseBuilder &entry, Value embedded) {
    return encoder.norm(entry, entry.add(embedded, places), "token_embd_norm");
  });
  for (int64_t index = 0; index < encoder.layers && !model.hasFailed(); ++index) {
    std::string name = "blk." + std::to_string(index);
    ModelBuilder::LayerWeights weights(model, name + ".");
    encoder.addAttentionWeights(weights);
    encoder.addNorm(weights, "attn_output_norm");
    weights.addLinear("ffn_up", encoder.feedForward, width, /*hasBias=*/true);
    weights.addLinear("ffn_down", width, encoder.feedForward, /*hasBias=*/true);
    encoder.addNorm(weights, "layer_output_norm");
    x = model.callLayer(name, x, weights, [&](DenseBuilder &layer, Value input) {
      Value mixed = layer.add(input, encoder.attend(layer, input, index));
      mixed = encoder.norm(layer, mixed, "attn_output_norm");
      Value y = layer.add(mixed, encoder.feedForwardPlain(layer, mixed));
      return encoder.norm(layer, y, "layer_output_norm");
    });
  }
  model.returnRows(x);
}

static void importBert(Parameters &parameters, ModelBuilder &model) {
  importEncoder(parameters, model, {.kinds = parameters.size("token_type_count", 2)});
}

static constexpr NameOf tensorNames[] = {
    {"token_embd", "bert.embeddings.word_embeddings"},
    {"position_embd", "bert.embeddings.position_embeddings"},
    {"token_types", "bert.embeddings.token_type_embeddings"},
    {"token_embd_norm", "bert.embeddings.LayerNorm"},
    {"blk", "bert.encoder.layer"},
    {"attn_q", "attention.self.query"},
    {"attn_k", "attention.self.key"},
    {"attn_v", "attention.self.value"},
    {"attn_output", "attention.output.dense"},
    {"attn_output_norm", "attention.output.LayerNorm"},
    {"ffn_up", "intermediate.dense"},
    {"ffn_down", "output.dense"},
    {"layer_output_norm", "output.LayerNorm"},
};
static constexpr NameOf parameterNames[] = {
    {"attention.layer_norm_epsilon", "layer_norm_eps"},
    {"token_type_count", "type_vocab_size"},
    {"position_embedding", "position_embedding_type"},
    {"is_decoder", "is_decoder"},
};

const Architecture import::bert = {"",          "bert",         importBert,
                                   tensorNames, parameterNames, "gradient_checkpointing"};
