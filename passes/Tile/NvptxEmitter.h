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
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "passes/Tile/TileEmitter.h"
#include <array>
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
  /// For chips of at least `capability` (80: sm_80).
  NvptxEmitter(KernelOp kernel, mlir::OpBuilder &builder, unsigned capability)
      : TileEmitter(kernel, builder), capability(capability) {}

  /// Writes the function beside the kernel.
  mlir::FailureOr<mlir::LLVM::LLVMFuncOp> emit();

private:
  /// Checks that the machine can hold all tiles, and finds the number of warps.
  mlir::LogicalResult checkTiles();
  void emitPrologue();
  /// Whether this block is one of the grid of this step's counts; i1.
  mlir::Value isInGrid();
  llvm::SmallVector<mlir::Type> getTypes(mlir::TypeRange types) override;
  mlir::LogicalResult emitOp(mlir::Operation &op) override;
  mlir::LogicalResult emitScalar(mlir::Operation &op);

  // Computation (NvptxCompute.cpp).
  mlir::LogicalResult emitElementwise(mlir::Operation &op);
  void emitPairs(mlir::Operation &op, int64_t registers, Values &results);
  mlir::LogicalResult emitReduce(ReduceOp op);
  void reduceWarps(const ThreadTile &tile, unsigned dim,
                   llvm::function_ref<mlir::Value(mlir::Value, mlir::Value)> combine, Values &left);
  mlir::LogicalResult emitContract(ContractOp op);
  mlir::LogicalResult emitMma(ContractOp op);
  mlir::Value pack16(mlir::Value first, mlir::Value second);
  mlir::LogicalResult emitIota(IotaOp op);
  /// The result's element at coordinates c is the operand's at `source(c)`.
  mlir::LogicalResult rearrange(mlir::Operation *op,
                                llvm::function_ref<Coordinates(Coordinates)> source);
  /// The value that lane (own xor mask) has.
  mlir::Value shuffle(mlir::Value value, int64_t mask);
  /// The value that lane `from` has; i32.
  mlir::Value shuffleFrom(mlir::Value value, mlir::Value from);
  mlir::Value emitShuffle(mlir::Value value, mlir::NVVM::ShflKind kind, mlir::Value operand);
  bool movesBetweenWarps(ConvertLayoutOp op);
  mlir::LogicalResult moveThroughShared(ConvertLayoutOp op);

  // Memory (NvptxMemory.cpp).
  /// The elements of a vector, or the number itself, one register each.
  void appendElements(Values &registers, mlir::Value loaded);
  mlir::LogicalResult emitLoad(LoadOp op);
  mlir::Value loadWhere(mlir::Value condition, mlir::Type type, mlir::Value address,
                        mlir::Value start);
  mlir::LogicalResult emitStore(StoreOp op);
  mlir::Value isWriter(const ThreadTile &tile);
  mlir::Value packRun(const Values &registers, int64_t first, int64_t run);
  mlir::LogicalResult emitGather(GatherOp op);
  mlir::LogicalResult emitScatter(ScatterOp op);
  mlir::LogicalResult emitRead(ReadOp op);
  mlir::LogicalResult emitWrite(WriteOp op);
  mlir::LogicalResult emitDecode(DecodeOp op);
  mlir::LogicalResult emitPlanar(DecodeOp op, const PackedLayout &packed);
  /// Where some columns of one row of a planar weight are.
  struct PlanarPart {
    mlir::Value rowGroup; ///< address of the row group
    mlir::Value record;   ///< number of the row's group in it
    mlir::Value inGroup;  ///< first column, counted from the group's
    mlir::Value isInside; ///< i1; null where all columns are inside
  };
  PlanarPart locatePlanar(DecodeOp op, const PackedLayout &packed, const ThreadTile &tile,
                          int64_t first);
  void emitPlanarScale(const PackedLayout &packed, const PlanarPart &part, Values &scales,
                       Values &minimums);
  mlir::Value timesConstant(mlir::Value index, int64_t factor);
  mlir::Value addTo(mlir::Value index, int64_t number);
  mlir::Value timesEighths(mlir::Value count, int64_t bits);
  Values emitWords(mlir::Value base, int64_t bytes);
  mlir::Value emitCodePair(const PackedLayout &packed, llvm::ArrayRef<Values> words,
                           int64_t column);
  std::array<mlir::Value, 2> bytesOf(mlir::Value pair);
  std::array<mlir::Value, 2> halvesOf(mlir::Value pair, const NumericFormat &format);
  mlir::Value makeMinimum(const NumericFormat &format, mlir::Value scale);
  Values emitCodes(const PackedLayout &packed, mlir::Value base, mlir::Value row);
  mlir::LogicalResult emitAlloc(AllocOp op);
  void emitBarrier();
  /// Shared memory of `bytes`, which no other call returns; its address.
  mlir::Value allocateShared(int64_t bytes);
  /// Room that all moves between warps share, free to write after a barrier.
  mlir::Value getScratch(int64_t bytes);
  mlir::Value getAddress(mlir::Value base, mlir::Type element, mlir::Value index);
  mlir::Value getAddress(mlir::Value base, mlir::Type element, int64_t offset);
  mlir::Value loadFrom(mlir::Value base, mlir::Type element, int64_t byte, mlir::Value index);

  /// How the elements of a tile are reached in a view.
  struct Access {
    ViewType view;
    mlir::Value base; ///< of this thread's first element, or of the tile's where not separable
    bool isSeparable;
    int64_t run; ///< registers that lie side by side in memory, aligned and masked together
    llvm::SmallVector<std::pair<unsigned, mlir::Value>> limits; ///< dimension, coordinates left
  };
  Access getAccess(mlir::Value view, mlir::ValueRange offsets, const ThreadTile &tile,
                   bool isMasked);
  /// How a gather or scatter reaches its elements.
  struct IndexedAccess {
    ViewType view;
    mlir::Value base;                   ///< without indices
    llvm::SmallVector<int64_t> strides; ///< of each dimension of the tile; 0 where it is indexed
    llvm::SmallVector<std::pair<mlir::Value, int64_t>> indices; ///< tile of indices, stride
    mlir::Value mask;                                           ///< tile of i1, or null
    int64_t run; ///< registers that are moved together
  };
  IndexedAccess getIndexedAccess(const ThreadTile &tile, mlir::Value view, mlir::ValueRange offsets,
                                 mlir::ValueRange indices, llvm::ArrayRef<int64_t> dims,
                                 mlir::Value mask);
  mlir::Value getIndexedElement(const IndexedAccess &access, const ThreadTile &tile, int64_t index);
  bool isMaskedTogether(const Access &access, mlir::ValueRange offsets, const ThreadTile &tile,
                        int64_t run);
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
  unsigned capability;
  int64_t scratchBytes = 0, sharedBytes = 0;
  unsigned allocations = 0;
  mlir::LLVM::GlobalOp scratch;
  mlir::Value lane, warp;
};

/// Threads of a warp.
inline constexpr int64_t warpSize = 32;

} // namespace ingot::tile

#endif // INGOT_PASSES_TILE_NVPTXEMITTER_H
