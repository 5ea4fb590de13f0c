//===- Roberta.cpp - RoBERTa and XLM-RoBERTa --------------------------------------------------===//
//
// BERT's encoder with positions that are counted from the one after the padding token's id.
//
//===------------------------------------------------------------------------------------------===//

#include "Architectures.h"

using namespace ingot;
using namespace ingot::import;

static void importRoberta(Parameters &parameters, ModelBuilder &model) {
  importEncoder(parameters, model,
                {.firstPosition = parameters.count("pad_token", 1) + 1,
                 .kinds = parameters.size("token_type_count", 2)});
}

static constexpr NameOf tensorNames[] = {
    {"token_embd", "roberta.embeddings.word_embeddings"},
    {"position_embd", "roberta.embeddings.position_embeddings"},
    {"token_types", "roberta.embeddings.token_type_embeddings"},
    {"token_embd_norm", "roberta.embeddings.LayerNorm"},
    {"blk", "roberta.encoder.layer"},
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
    {"pad_token", "pad_token_id"},
};

const Architecture import::roberta = {"",          "roberta",      importRoberta,
                                      tensorNames, parameterNames, "gradient_checkpointing"};
const Architecture import::xlmRoberta = {"",          "xlm-roberta",  importRoberta,
                                         tensorNames, parameterNames, "gradient_checkpointing"};
