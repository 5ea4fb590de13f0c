//===- Regions.h - Making compute regions -------------------------------------------------------===//
//
// What the passes of the fuse stage share: a group of ops becomes one `transformer.compute`. Groups
// lie in one block; what is used of them outside becomes a result, what they use an operand.
//
//===--------------------------------------------------------------------------------------------===//

#ifndef INGOT_PASSES_FUSE_REGIONS_H
#define INGOT_PASSES_FUSE_REGIONS_H

#include "dialects/Transformer/Transformer.h"
#include "ingot/Kernels/Kernel.h"
#include "mlir/IR/Remarks.h"

namespace ingot::fuse {

/// Whether the op computes on activations or the cache, and so needs a kernel. Ops that name
/// weights or parts of the batch, changes of shape, calls and arithmetic on numbers do not.
bool needsKernel(mlir::Operation *op);

/// Replaces `ops` by a compute region of `family`, which stands where the last of them stood. Fails
/// and changes nothing, with the reason, if a result is needed earlier.
llvm::LogicalResult formRegion(llvm::StringRef family, llvm::ArrayRef<mlir::Operation *> ops,
                               std::string &reason);

/// The same for ops that could stay apart: fails also if no kernel computes them together.
llvm::LogicalResult fuseOps(llvm::StringRef family, llvm::ArrayRef<mlir::Operation *> ops,
                            std::string &reason);

/// Whether the family that the region names computes it on the machine; if not, why.
llvm::LogicalResult hasKernel(transformer::ComputeOp compute, kernels::Machine machine,
                              std::string &reason);

/// Puts `op`, whose only result is an operand of the region, into it as its first op. Fails and
/// changes nothing, with the reason, if no kernel of the machine computes them together.
llvm::LogicalResult prependOp(mlir::Operation *op, transformer::ComputeOp compute,
                              kernels::Machine machine, std::string &reason);

/// Asks sizes where they come from: `tensor.dim` of what only rearranges or computes rows becomes
/// that of its input, so that a size is no use of a value between fused ops.
void forwardRowCounts(mlir::Operation *root);

/// The ops of type `OpT` below `root` that are in no compute region.
template <typename OpT> llvm::SmallVector<OpT> opsOutsideOfRegions(mlir::Operation *root) {
  llvm::SmallVector<OpT> ops;
  root->walk([&](OpT op) {
    if (!op->template getParentOfType<transformer::ComputeOp>())
      ops.push_back(op);
  });
  return ops;
}

/// The only user of the only result of `op` in its block, if it is an `OpT`; else null.
template <typename OpT> OpT onlyUser(mlir::Operation *op) {
  if (!op || op->getNumResults() != 1 || !op->hasOneUse())
    return {};
  auto user = llvm::dyn_cast<OpT>(*op->user_begin());
  return user && user->getBlock() == op->getBlock() ? user : OpT();
}

/// Remarks of the fuse stage about `op` by the pass `name`, a literal.
mlir::remark::RemarkOpts remarkOptions(mlir::Operation *op, llvm::StringLiteral name);

} // namespace ingot::fuse

#endif // INGOT_PASSES_FUSE_REGIONS_H
