//===- Adapter.h - Low-rank adapters of Hugging Face folders ----------------------------------===//
//
// A LoRA adapter (Hu et al., 2021) as PEFT writes it: adapter_config.json says how it is applied,
// adapter_model.safetensors holds for each adapted weight W [F, C] two matrices A [r, C] and B [F,
// r]. The model then computes with
//
//     W + scale * B A          scale = alpha / r, or alpha / sqrt(r) where it is rank-stabilised
//
// Here the sum is the weight that the program reads: made row by row as it is asked for, in
// float32, and rounded once to the format of W. Whole weights that were trained beside (biases,
// norms, heads) replace those of the base.
//
//===------------------------------------------------------------------------------------------===//

#ifndef INGOT_LIB_IMPORT_ADAPTER_H
#define INGOT_LIB_IMPORT_ADAPTER_H

#include "ingot/Support/WeightStore.h"
#include <memory>

namespace ingot::import {

struct AdaptedWeights {
  std::shared_ptr<const WeightStore> store;
  std::vector<std::string> files; ///< of the adapter
};

/// The weights of `base` with the adapter in `folder` applied. What the adapter asks for and this
/// does not do, a tensor that the base does not have, or has with other sizes, and a base of
/// integers are refused in one sentence.
llvm::Expected<AdaptedWeights> applyAdapter(std::shared_ptr<const WeightStore> base,
                                            llvm::StringRef folder);

} // namespace ingot::import

#endif // INGOT_LIB_IMPORT_ADAPTER_H
