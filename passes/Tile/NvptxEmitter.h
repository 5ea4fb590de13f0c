//===- NvptxEmitter.h - Emission of one tile kernel as a program of one GPU thread -------------------===//
//
// Walks a kernel in program order and writes an LLVM function of arith, math, scf, llvm and nvvm
// ops. A tile is the list of its registers, one scalar each: the layout says which element a
// register of this thread's lane and warp holds. What a thread needs from others comes by shuffles
// of the warp. The emitter decides nothing.
//
//===----------------------------------------------------------------------------------------------===//

#ifndef INGOT_PASSES_TILE_NVPTXEMITTER_H
#define INGOT_PASSES_TILE_NVPTXEMITTER_H

#include "ingot/Support/Packing.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "passes/Tile/TileEmitter.h"
#include <memory>

namespace ingot::tile {

/// A tile as its threads hold it.
struct ThreadTile {
  explicit ThreadTile(mlir::RankedTensorType type);

  mlir::RankedTensorType type;
  LinearLayout layout;
  int64_t registers, lanes, warps;

  /// Coordinates of a register in lane 0 of warp 0.
  Coordinates getCoordinates(int64_t index) const { return layout.apply({index, 0, 0, 0}); }
  /// The bits of coordinate `dim` that lane and warp decide.
  int64_t getThreadBits(unsigned dim) const;
  /// Whether no bit of a coordinate is decided by registers and threads both, so that a register is
  /// a constant distance away from register 0.
  bool isSeparable() const;
};

class NvptxEmitter final : TileEmitter {
public:
  NvptxEmitter(KernelOp kernel, mlir::OpBuilder &builder) : TileEmitter(kernel, builder) {}

  /// Writes the function beside the kernel.
  mlir::FailureOr<mlir::LLVM::LLVMFuncOp> emit();

private:
  /// Checks that the machine can hold all tiles, and finds the number of warps.
  mlir::LogicalResult checkTiles();
  llvm::SmallVector<mlir::Type> getTypes(mlir::TypeRange types) override;
  mlir::LogicalResult emitOp(mlir::Operation &op) override;
  mlir::LogicalResult emitScalar(mlir::Operation &op);

  // Computation (NvptxCompute.cpp).
  mlir::LogicalResult emitElementwise(mlir::Operation &op);
  mlir::LogicalResult emitReduce(ReduceOp op);
  mlir::LogicalResult emitContract(ContractOp op);
  mlir::LogicalResult emitMma(ContractOp op);
  mlir::LogicalResult emitIota(IotaOp op);
  /// The result's element at coordinates c is the operand's at `source(c)`.
  mlir::LogicalResult rearrange(mlir::Operation *op,
                                llvm::function_ref<Coordinates(Coordinates)> source);
  /// The value that lane (own xor mask) has.
  mlir::Value shuffle(mlir::Value value, int64_t mask);

  // Memory (NvptxMemory.cpp).
  mlir::LogicalResult emitLoad(LoadOp op);
  mlir::LogicalResult emitStore(StoreOp op);
  mlir::LogicalResult emitRead(ReadOp op);
  mlir::LogicalResult emitWrite(WriteOp op);
  mlir::LogicalResult emitDecode(DecodeOp op);
  Values emitCodes(const PackedLayout &packed, mlir::Value base, mlir::Value row);
  mlir::Value getAddress(mlir::Value base, mlir::Type element, mlir::Value index);
  mlir::Value getAddress(mlir::Value base, mlir::Type element, int64_t offset);
  mlir::Value loadFrom(mlir::Value base, mlir::Type element, int64_t byte, mlir::Value index);

  /// How the elements of a tile are reached in a view.
  struct Access {
    ViewType view;
    mlir::Value base; ///< of this thread's first element, or of the tile's where not separable
    bool isSeparable;
    int64_t run; ///< registers that lie side by side in memory and are aligned together
    llvm::SmallVector<std::pair<unsigned, mlir::Value>> limits; ///< dimension, coordinates left
  };
  Access getAccess(mlir::Value view, mlir::ValueRange offsets, const ThreadTile &tile,
                   bool isMasked);
  mlir::Value getElement(const Access &access, const ThreadTile &tile, int64_t index);
  /// Whether a register's element is inside of the view; i1, or none where all are.
  mlir::Value isInside(const Access &access, const ThreadTile &tile, int64_t index);

  // Helpers.
  const ThreadTile &getThreadTile(mlir::Type tile);
  /// The part of each coordinate that lane and warp decide.
  llvm::ArrayRef<mlir::Value> getThreadCoordinates(const ThreadTile &tile);
  /// Coordinate `dim` of a register in this thread; index.
  mlir::Value getCoordinate(const ThreadTile &tile, int64_t index, unsigned dim);
  mlir::Value makeInteger(mlir::Type type, int64_t value);
  mlir::LogicalResult refuse(mlir::Operation *op, const llvm::Twine &reason);

  mlir::LLVM::LLVMFuncOp function;
  llvm::DenseMap<mlir::Type, std::unique_ptr<ThreadTile>> tiles;
  llvm::DenseMap<mlir::Type, Values> threadCoordinates;
  int64_t warps = 1;
  mlir::Value lane, warp;
};

/// Threads of a warp.
inline constexpr int64_t warpSize = 32;

} // namespace ingot::tile

#endif // INGOT_PASSES_TILE_NVPTXEMITTER_H
