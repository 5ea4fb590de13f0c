//===- Architectures.h - The model families that can be imported ------------------------------===//
//
// One file a family beside this one; each has one line here and one in the list of
// Architectures.cpp. A family reads its hyper-parameters, names the weights of a layer and writes
// the layer's body, once for GGUF files and for Hugging Face folders: what the two call differently
// is in its tables. Adding one touches nothing else.
//
//===------------------------------------------------------------------------------------------===//

#ifndef INGOT_LIB_IMPORT_ARCHITECTURES_H
#define INGOT_LIB_IMPORT_ARCHITECTURES_H

#include "../Decoder.h"

namespace ingot::import {

/// Builds the dense program of a checkpoint; errors are reported by `model`.
using ImportFunction = void (*)(Parameters &parameters, ModelBuilder &model);

struct Architecture {
  llvm::StringLiteral gguf;        ///< value of GGUF's `general.architecture`; empty: none
  llvm::StringLiteral huggingFace; ///< value of config.json's `model_type`; empty: none
  ImportFunction import;
  /// Where a folder's words are not the common ones; before those of Names.h.
  NameTable tensors = {}, parameters = {};
  /// Entries of its config.json that change nothing here, separated by spaces.
  llvm::StringLiteral ignored = "";
  /// The family whose words come after these, before the common ones; null: none.
  const Architecture *relative = nullptr;
};

/// All families.
llvm::ArrayRef<const Architecture *> architectures();

extern const Architecture bert, distilBert, gemma2, gemma3, gpt2, gptNeoX, llama, mistral, olmo2,
    phi3, qwen2, qwen3, roberta, xlmRoberta;

/// Where the encoders of BERT's kind differ.
struct EncoderKind {
  int64_t firstPosition = 0; ///< row of position 0 in the table of positions
  int64_t kinds = 0;         ///< of text, each with an embedding; 0: there is no such table
  std::optional<double> epsilon = {}; ///< of norms, where the configuration does not say it
  bool hasPositionKind = true;        ///< the configuration says how positions are embedded
};
/// Post-norm encoder: norms after the embeddings, after attention and after the feed-forward. Every
/// token sees all others; the result is the last hidden state, without heads for tasks.
void importEncoder(Parameters &parameters, ModelBuilder &model, const EncoderKind &kind);

/// The layer of llama and its relatives: norm, attention, addition, norm, feed-forward, addition.
void addPreNormWeights(const Decoder &decoder, ModelBuilder::LayerWeights &weights);
mlir::Value writePreNormLayer(const Decoder &decoder, DenseBuilder &layer, mlir::Value x,
                              int64_t index, Decoder::SplitHeads splitHeads = nullptr);
/// The heads of projected queries or keys, each normed with `role`_norm.
mlir::Value normHeads(const Decoder &decoder, DenseBuilder &layer, mlir::Value y,
                      llvm::StringRef role, int64_t heads);

} // namespace ingot::import

#endif // INGOT_LIB_IMPORT_ARCHITECTURES_H
