//===- TokenMixing.h - How ops of any dialect let tokens see each other -----------------------===//
//
// The dialect's own ops say it by an interface; for upstream ops it is decided here by structure.
//
//===------------------------------------------------------------------------------------------===//

#ifndef INGOT_PASSES_MODEL_TOKENMIXING_H
#define INGOT_PASSES_MODEL_TOKENMIXING_H

#include "dialects/Transformer/Transformer.h"
#include "mlir/IR/Remarks.h"

namespace ingot::model {

/// How `op` mixes tokens, where the leading `tokenDims` dimensions of its tensors count tokens.
transformer::TokenMixing getTokenMixing(mlir::Operation *op, unsigned tokenDims);

/// A remark of the model stage about `op`.
mlir::remark::RemarkOpts remarkAbout(mlir::Operation *op, llvm::StringRef pass);

} // namespace ingot::model

#endif // INGOT_PASSES_MODEL_TOKENMIXING_H
