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
};
static constexpr NameOf parameterNames[] = {{"pad_token", "pad_token_id"}};

const Architecture import::roberta = {
    "", "roberta", importRoberta, tensorNames, parameterNames, "gradient_checkpointing", &bert};
const Architecture import::xlmRoberta = {
    "", "xlm-roberta", importRoberta, tensorNames, parameterNames, "gradient_checkpointing", &bert};
