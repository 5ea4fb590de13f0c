//===- Passes.h - Passes of the model stage ---------------------------------------------------===//
//
// From the dense whole-sequence program of an importer to a step over a ragged batch with a cache.
// What each does is in Passes.td.
//
//===------------------------------------------------------------------------------------------===//

#ifndef INGOT_PASSES_MODEL_PASSES_H
#define INGOT_PASSES_MODEL_PASSES_H

#include "dialects/Transformer/Transformer.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"

namespace ingot::model {

#define GEN_PASS_DECL
#include "passes/Model/Passes.h.inc"
#define GEN_PASS_REGISTRATION
#include "passes/Model/Passes.h.inc"

} // namespace ingot::model

#endif // INGOT_PASSES_MODEL_PASSES_H
