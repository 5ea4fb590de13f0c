//===- Names.h - How checkpoints call the parts of a model ------------------------------------===//
//
// Families speak of weights and hyper-parameters by their role, which is GGUF's word for them
// ("attn_q", "block_count"). Hugging Face folders have other words, and those differ between
// families: each family has a table of them, and what most families share is written once here.
//
//===------------------------------------------------------------------------------------------===//

#ifndef INGOT_LIB_IMPORT_NAMES_H
#define INGOT_LIB_IMPORT_NAMES_H

#include "ingot/Support/WeightStore.h"

namespace ingot::import {

struct NameOf {
  llvm::StringLiteral role, huggingFace;
};
using NameTable = llvm::ArrayRef<NameOf>;

/// The word of the first table that has one for `role`, or nothing.
std::optional<llvm::StringRef> findName(llvm::ArrayRef<NameTable> tables, llvm::StringRef role);

/// Weights and hyper-parameters of decoders that are named as llama's are.
extern const NameTable commonTensors, commonParameters;

/// The names of a checkpoint's tensors.
class TensorNames {
public:
  /// GGUF: a tensor is called as its role.
  TensorNames() = default;
  /// A folder whose tensors are called as `tables` say, earlier ones first.
  TensorNames(llvm::ArrayRef<NameTable> tables, const WeightStore &checkpoint)
      : tables(tables.begin(), tables.end()), checkpoint(&checkpoint) {}

  /// The tensor of a role with its suffix: "token_embd.weight", "blk.3.attn_q.bias".
  std::string get(llvm::StringRef role) const;

private:
  llvm::SmallVector<NameTable, 2> tables;
  const WeightStore *checkpoint = nullptr;
};

} // namespace ingot::import

#endif // INGOT_LIB_IMPORT_NAMES_H
