//===- TileEmitter.h - What the emission of a kernel has in common on all machines ----------------===//
//
// Walks a kernel in program order. What a machine decides is how a tile is held (`getTypes`: the
// list of its registers' types) and what each op becomes (`emitOp`); loops and conditions that
// carry tiles, scalars, the order of a reduction and of a contraction are the same everywhere, so
// that machines agree bit for bit. An emitter decides nothing: what is slow in the tile program is
// slow here.
//
//===----------------------------------------------------------------------------------------------===//

#ifndef INGOT_PASSES_TILE_TILEEMITTER_H
#define INGOT_PASSES_TILE_TILEEMITTER_H

#include "dialects/Tile/Tile.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

namespace ingot::tile {

using Coordinates = LinearLayout::Coordinates;
using Values = llvm::SmallVector<mlir::Value, 8>;

class TileEmitter {
protected:
  TileEmitter(KernelOp kernel, mlir::OpBuilder &builder)
      : kernel(kernel), b(builder), loc(kernel.getLoc()) {}
  ~TileEmitter() = default;

  /// The types that values of these types are held in, one after the other.
  virtual llvm::SmallVector<mlir::Type> getTypes(mlir::TypeRange types) = 0;
  virtual mlir::LogicalResult emitOp(mlir::Operation &op) = 0;

  mlir::LogicalResult emitBlock(mlir::Block &block);
  mlir::LogicalResult emitFor(mlir::scf::ForOp op);
  mlir::LogicalResult emitIf(mlir::scf::IfOp op);
  /// An op on scalars as it is.
  void emitClone(mlir::Operation &op);
  /// Registers of a contraction of fused multiply-adds, k ascending.
  void emitFma(ContractOp op);
  /// a + b or the larger of both, as `op` says.
  mlir::Value combine(ReduceOp op, mlir::Value first, mlir::Value second);
  /// The part of a reduction that registers decide: from the highest bit to the lowest, halves are
  /// combined. Bits that replicate are left out as well: the result has none.
  Values reduceRegisters(ReduceOp op, const LinearLayout &layout);

  const Values &get(mlir::Value value) const { return values.find(value)->second; }
  mlir::Value getScalar(mlir::Value value) const { return get(value).front(); }
  void set(mlir::Value value, mlir::ValueRange emitted) {
    values[value] = Values(emitted); // copied first: `emitted` may lie in the map
  }
  mlir::Value makeIndex(int64_t value) {
    return mlir::arith::ConstantIndexOp::create(b, loc, value);
  }

  KernelOp kernel;
  mlir::OpBuilder &b;
  mlir::Location loc;
  mlir::Value counts[3]; ///< tokens, outputs, sequences
  mlir::Value blockIds[3];

private:
  /// The terminator's operands, flattened, as the function's yield.
  void emitYield(mlir::Operation *yield);
  /// Hands `flat` out to `targets`, as many as their types ask for.
  void distribute(mlir::ValueRange targets, mlir::ValueRange flat);

  llvm::DenseMap<mlir::Value, Values> values;
};

/// Turns the function's scf into branches, and divisions that round up or down into plain ones.
mlir::LogicalResult lowerControlFlow(mlir::Operation *function);

} // namespace ingot::tile

#endif // INGOT_PASSES_TILE_TILEEMITTER_H
