//===- Passes.h - Passes of the compress stage --------------------------------------------------===//
//
// What each does is in Passes.td.
//
//===--------------------------------------------------------------------------------------------===//

#ifndef INGOT_PASSES_COMPRESS_PASSES_H
#define INGOT_PASSES_COMPRESS_PASSES_H

#include "dialects/Transformer/Transformer.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"

namespace ingot::compress {

/// In which numbers the products with integer weights are computed.
enum class Activations {
  Auto,  ///< what the target's kernels do best; today always `Int8`
  Int8,  ///< 8-bit integers with a scale for each block of 32
  Float, ///< float32
};

#define GEN_PASS_DECL
#include "passes/Compress/Passes.h.inc"
#define GEN_PASS_REGISTRATION
#include "passes/Compress/Passes.h.inc"

} // namespace ingot::compress

#endif // INGOT_PASSES_COMPRESS_PASSES_H
