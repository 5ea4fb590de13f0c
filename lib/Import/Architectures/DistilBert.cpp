//===- DistilBert.cpp - DistilBERT ------------------------------------------------------------===//
//
// BERT's encoder with half of the layers, without kinds of text, and with words of its own.
//
//===------------------------------------------------------------------------------------------===//

#include "Architectures.h"

using namespace ingot;
using namespace ingot::import;

static void importDistilBert(Parameters &parameters, ModelBuilder &model) {
  // A table made of sines is stored like a learned one.
  parameters.flag("sinusoidal", false);
  model.ignoreTensors("vocab_transform.weight");
  model.ignoreTensors("vocab_transform.bias");
  model.ignoreTensors("vocab_layer_norm.weight");
  model.ignoreTensors("vocab_layer_norm.bias");
  model.ignoreTensors("vocab_projector.weight");
  model.ignoreTensors("vocab_projector.bias");
  importEncoder(parameters, model, {.epsilon = 1e-12, .hasPositionKind = false});
}

static constexpr NameOf tensorNames[] = {
    {"token_embd", "distilbert.embeddings.word_embeddings"},
    {"position_embd", "distilbert.embeddings.position_embeddings"},
    {"token_embd_norm", "distilbert.embeddings.LayerNorm"},
    {"blk", "distilbert.transformer.layer"},
    {"attn_q", "attention.q_lin"},
    {"attn_k", "attention.k_lin"},
    {"attn_v", "attention.v_lin"},
    {"attn_output", "attention.out_lin"},
    {"attn_output_norm", "sa_layer_norm"},
    {"ffn_up", "ffn.lin1"},
    {"ffn_down", "ffn.lin2"},
    {"layer_output_norm", "output_layer_norm"},
};
static constexpr NameOf parameterNames[] = {
    {"block_count", "n_layers"},           {"embedding_length", "dim"},
    {"feed_forward_length", "hidden_dim"}, {"attention.head_count", "n_heads"},
    {"activation", "activation"},          {"sinusoidal", "sinusoidal_pos_embds"},
    {"is_decoder", "is_decoder"},
};

const Architecture import::distilBert = {
    "",          "distilbert",   importDistilBert,
    tensorNames, parameterNames, "dropout qa_dropout seq_classif_dropout tie_weights_"};
