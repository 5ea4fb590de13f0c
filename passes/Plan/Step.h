//===- Step.h - The step program as a flat list of launches ------------------------*- C++ -*-===//
//
// Between the tensor program (functions, values) and the plan (commands, offsets): every launch
// that a step makes, in order, with calls expanded, and for each argument the buffer, packed
// weight, cache or input that it is. Values become buffers; a result that is in place is the buffer
// of its operand.
//
//===----------------------------------------------------------------------------------------------===//

#ifndef INGOT_PASSES_PLAN_STEP_H
#define INGOT_PASSES_PLAN_STEP_H

#include "dialects/Plan/Plan.h"
#include "dialects/Tile/Tile.h"
#include "dialects/Transformer/Transformer.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include <array>
#include <numeric>
#include <optional>
#include <string>

namespace ingot::plan {

/// Memory for a value; `bytes` for the largest step.
struct StepBuffer {
  std::string name;
  int64_t bytes;
  mlir::Location loc;
};

/// A weight as some kernel reads it: rows of `sources`, in the order of bits that its type says.
struct StepWeight {
  std::string name;
  mlir::ArrayAttr sources; ///< StringAttr or RopeTableAttr
  transformer::WeightType type;
  int64_t bytes;
  mlir::Location loc;
  int64_t offset = -1; ///< in the Weights section, once it is placed
};

/// What a layer's part of a cache consists of, in this order; of each all pages. Caches of floats
/// have no scales.
enum class CachePart { Keys, Values, KeyScales, ValueScales };

/// A group of caches.
struct StepCache {
  std::string name;
  transformer::KVCacheType type;
  int64_t offset;
  std::array<int64_t, 4> partBytes; ///< of one layer

  /// From the begin of a layer.
  int64_t getOffset(CachePart part) const {
    return std::accumulate(partBytes.begin(), partBytes.begin() + unsigned(part), int64_t(0));
  }
  int64_t getLayerBytes() const {
    return std::accumulate(partBytes.begin(), partBytes.end(), int64_t(0));
  }
};

struct StepArgument {
  enum class Kind { Buffer, Weight, Cache, Input };
  Kind kind;
  Access access;
  unsigned index;    ///< of the buffer, weight or cache; number of the input
  int64_t layer = 0; ///< Cache
  CachePart part = CachePart::Keys;
};

struct StepLaunch {
  tile::LaunchOp op;
  tile::KernelOp kernel;
  llvm::SmallVector<StepArgument> arguments;
  std::string layer; ///< where it comes from, for reports
};

/// A call in the entry function: launches [first, first + count) come from it.
struct StepCall {
  mlir::func::CallOp op;
  mlir::func::FuncOp callee;
  unsigned first, count;
};

struct Step {
  mlir::func::FuncOp entry;
  llvm::SmallVector<StepBuffer> buffers;
  llvm::SmallVector<StepWeight> weights;
  llvm::SmallVector<StepCache> caches;
  llvm::SmallVector<StepLaunch> launches;
  llvm::SmallVector<StepCall> calls;
  unsigned result = 0; ///< buffer that holds the answer
  int64_t resultWidth = 0;
  int64_t vocabulary = 0;
};

/// What the largest step is; pages follow from it and from the type of the caches.
struct StepLimits {
  int64_t tokens, outputs, sequences, context, pages;
};

/// Bounds of a program for `entry`; `limits.pages` of 0 means enough for every sequence.
BoundsAttr getBounds(mlir::func::FuncOp entry, const StepLimits &limits);

/// Flattens `entry`; an error says which op cannot be planned.
mlir::FailureOr<Step> flattenStep(mlir::func::FuncOp entry, BoundsAttr bounds);

/// Bytes of a weight in its packing, or nothing where the format has no such layout.
std::optional<int64_t> getPackedBytes(transformer::WeightType type);

/// How the artefact calls the packing of a weight: "plain", "rows8".
std::string getPackingName(transformer::WeightType type);

} // namespace ingot::plan

#endif // INGOT_PASSES_PLAN_STEP_H
