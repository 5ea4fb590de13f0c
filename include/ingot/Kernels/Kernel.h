//===- Kernel.h - What the compiler knows of a kernel family ----------------------------------------===//
//
// A family serves one kind of `transformer.compute` region (its name is the region's `kernel`) on
// every target. It says whether it supports a region and why not, emits the tile program, and
// states what a launch costs: the only formula for bytes and operations, which planner, remarks and
// `ingot bench` share. One file a family in lib/Kernels; the list of all is `kernelFamilies()`.
//
//===----------------------------------------------------------------------------------------------===//

#ifndef INGOT_KERNELS_KERNEL_H
#define INGOT_KERNELS_KERNEL_H

#include "dialects/Tile/Tile.h"
#include "dialects/Transformer/Transformer.h"
#include "ingot/Kernels/Schedule.h"
#include <functional>

namespace ingot::kernels {

/// What one launch moves and computes. `row` is a value of the count that the launch's grid varies
/// with; where `perContext`, bytes are for each token of the context of each sequence of the step,
/// operations for each pair of a token of the step and one that it sees.
struct Cost {
  uint64_t weightBytes = 0;      ///< read once a launch
  uint64_t bytesPerRow = 0;      ///< activations read and written for each row
  uint64_t operationsPerRow = 0; ///< a multiply-add counts as two
  bool perContext = false;
};

/// The kind of machine that kernels are emitted for: schedules and packings depend on it.
enum class Machine { Cpu, Cuda };

/// Whether kernels of the machine lay a cache out in the order of GPUs: keys [pages, heads, slots,
/// channels], values [pages, heads, channels, slots]. Else the last two are the other way round.
bool isGpuCache(Machine machine, transformer::KVCacheType cache);

/// What an emitter is asked: the region, how its rows are counted, the machine, and the name the
/// kernel should get.
struct Request {
  transformer::ComputeOp compute;
  tile::Count rows;      ///< what the leading `?` of the region's tensors counts
  int64_t contextTokens; ///< most tokens of one sequence
  int64_t cachePages;    ///< physical pages of the cache
  std::string name;
  Machine machine = Machine::Cpu;
};

/// The kernel and how to launch it: operands in the order of its views, the operand whose memory
/// each result takes over (-1: a new buffer).
struct Emission {
  tile::KernelOp kernel;
  llvm::SmallVector<mlir::Value> operands = {};
  llvm::SmallVector<int64_t> inPlace = {};
  Cost cost = {};
  /// Further results of the launch, after the region's, that `finish` reads.
  llvm::SmallVector<mlir::Type> scratch = {};
  /// The launch makes the scratch alone; the region's results are those of `finish`.
  bool isPreparation = false;
  /// Where one launch is not enough: emits a second kernel, which makes the region's results from
  /// those of the first launch.
  std::function<Emission(mlir::OpBuilder &kernelBuilder, mlir::ValueRange results)> finish = {};
};

/// One family. `supports` explains in `reason` when it fails; `emit` is only called when it
/// succeeds. The builder stands where the launch will be; kernels are created with `kernelBuilder`.
struct Family {
  llvm::StringLiteral name;
  llvm::LogicalResult (*supports)(const Request &request, std::string &reason);
  Emission (*emit)(const Request &request, mlir::OpBuilder &builder,
                   mlir::OpBuilder &kernelBuilder);
  /// The products with weights that the region's kernel computes, which schedules cut; null where
  /// there are none. Only called for regions that are supported.
  llvm::SmallVector<ProductShape> (*products)(const Request &request) = nullptr;
};

/// All families.
llvm::ArrayRef<Family> kernelFamilies();

/// The family called `name`, or null.
const Family *lookupFamily(llvm::StringRef name);

} // namespace ingot::kernels

#endif // INGOT_KERNELS_KERNEL_H
