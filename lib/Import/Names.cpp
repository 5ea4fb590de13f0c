//===- Names.cpp - How checkpoints call the parts of a model ----------------------------------===//
//
// See Names.h.
//
//===------------------------------------------------------------------------------------------===//

#include "Names.h"

using namespace ingot;
using namespace ingot::import;
using llvm::StringRef;

static constexpr NameOf tensors[] = {
    {"token_embd", "model.embed_tokens"},
    {"output_norm", "model.norm"},
    {"output", "lm_head"},
    {"blk", "model.layers"},
    {"attn_norm", "input_layernorm"},
    {"attn_q", "self_attn.q_proj"},
    {"attn_k", "self_attn.k_proj"},
    {"attn_v", "self_attn.v_proj"},
    {"attn_output", "self_attn.o_proj"},
    {"attn_q_norm", "self_attn.q_norm"},
    {"attn_k_norm", "self_attn.k_norm"},
    {"ffn_norm", "post_attention_layernorm"},
    {"ffn_gate", "mlp.gate_proj"},
    {"ffn_up", "mlp.up_proj"},
    {"ffn_down", "mlp.down_proj"},
};
const NameTable import::commonTensors = tensors;

static constexpr NameOf parameters[] = {
    {"block_count", "num_hidden_layers"},
    {"embedding_length", "hidden_size"},
    {"feed_forward_length", "intermediate_size"},
    {"attention.head_count", "num_attention_heads"},
    {"attention.head_count_kv", "num_key_value_heads"},
    {"attention.key_length", "head_dim"},
    {"attention.layer_norm_rms_epsilon", "rms_norm_eps"},
    {"attention.sliding_window", "sliding_window"},
    {"context_length", "max_position_embeddings"},
    {"vocab_size", "vocab_size"},
    {"activation", "hidden_act"},
    {"is_tied", "tie_word_embeddings"},
    {"attention.bias", "attention_bias"},
    {"feed_forward.bias", "mlp_bias"},
    {"layer_types", "layer_types"},
    {"rope.base", "rope_theta"},
    {"rope.share", "partial_rotary_factor"},
    {"rope.trained", "original_max_position_embeddings"},
};
const NameTable import::commonParameters = parameters;

std::optional<StringRef> import::findName(llvm::ArrayRef<NameTable> tables, StringRef role) {
  for (NameTable table : tables)
    for (const NameOf &name : table)
      if (name.role == role)
        return name.huggingFace;
  return std::nullopt;
}

std::string TensorNames::get(StringRef role) const {
  if (!checkpoint)
    return role.str();
  auto wordFor = [&](StringRef role) { return findName(tables, role).value_or(role).str(); };
  auto [path, suffix] = role.rsplit('.');
  std::string name;
  if (path.consume_front("blk.")) {
    auto [layer, part] = path.split('.');
    name = wordFor("blk") + "." + layer.str() + "." + wordFor(part);
  } else {
    name = wordFor(path);
  }
  name += "." + suffix.str();
  // A folder of a model without its head leaves out the first word of all names.
  if (!checkpoint->find(name))
    if (StringRef shorter = StringRef(name).split('.').second; checkpoint->find(shorter))
      return shorter.str();
  return name;
}
