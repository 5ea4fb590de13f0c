//===- CpuEmitter.h - Emission of one tile kernel as vector code -------------------------------------===//
//
// Walks a kernel in program order and writes a function of arith, math, scf, vector and llvm ops.
// Each tile is a list of vectors (its registers, packed as the dialect's description says);
// everything else is one value. The emitter decides nothing: what is slow in the tile program is
// slow here.
//
//===----------------------------------------------------------------------------------------------===//

#ifndef INGOT_PASSES_TILE_CPUEMITTER_H
#define INGOT_PASSES_TILE_CPUEMITTER_H

#include "ingot/Support/Packing.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "passes/Tile/TileEmitter.h"
#include <memory>

namespace ingot::tile {

/// Where the elements of a tile are: `vectors` vectors of lanes * pack elements.
struct PhysicalTile {
  explicit PhysicalTile(mlir::RankedTensorType type);

  mlir::RankedTensorType type;
  LinearLayout layout;
  int64_t registers, lanes;
  int64_t pack; ///< elements in one lane of a vector

  int64_t getVectorCount() const { return registers / pack; }
  int64_t getVectorSize() const { return lanes * pack; }
  mlir::VectorType getVectorType() const;
  mlir::VectorType getVectorType(mlir::Type element) const;
  /// Coordinates of the element at `position` of vector `vector`.
  Coordinates getCoordinates(int64_t vector, int64_t position) const {
    return layout.apply({vector * pack + position % pack, position / pack, 0, 0});
  }
};

class CpuEmitter final : TileEmitter {
public:
  CpuEmitter(KernelOp kernel, mlir::OpBuilder &builder) : TileEmitter(kernel, builder) {}

  /// Writes the function beside the kernel.
  mlir::FailureOr<mlir::func::FuncOp> emit();

private:
  llvm::SmallVector<mlir::Type> getTypes(mlir::TypeRange types) override;
  mlir::LogicalResult emitOp(mlir::Operation &op) override;
  /// Moves loads, and what is made of one value, to where they are first used, so that fewer
  /// registers are occupied.
  static void sinkToFirstUse(mlir::Block &block);

  // Elementwise ops (CpuElementwise.cpp).
  mlir::LogicalResult emitElementwise(mlir::Operation &op);
  mlir::LogicalResult emitConstant(mlir::arith::ConstantOp op);
  mlir::LogicalResult emitCast(mlir::Operation &op);
  mlir::Value emitExp2(mlir::Value x);
  /// One vector for each register (lanes elements each) and back.
  Values unpack(const PhysicalTile &tile, mlir::ValueRange vectors, bool isSigned,
                mlir::Type element);
  Values pack(const PhysicalTile &tile, mlir::ValueRange registers);
  /// Bytes, four in a lane, as 16 bits, two in a lane.
  Values widenBytes(const PhysicalTile &from, mlir::ValueRange vectors, bool isSigned);

  // Memory (CpuMemory.cpp).
  mlir::LogicalResult emitLoad(LoadOp op);
  mlir::LogicalResult emitStore(StoreOp op);
  mlir::LogicalResult emitPrefetchLine(PrefetchLineOp op);
  mlir::LogicalResult emitRead(ReadOp op);
  mlir::LogicalResult emitWrite(WriteOp op);
  mlir::LogicalResult emitDecode(DecodeOp op);
  mlir::LogicalResult emitPrefetch(PrefetchOp op);
  /// Address row / rows * rowsBytes + column / columns * columnsBytes from a view's first byte.
  mlir::Value getPlace(mlir::Value view, mlir::Value row, int64_t rows, int64_t rowsBytes,
                       mlir::Value column, int64_t columns, int64_t columnsBytes);
  /// Address of the record in which the group at a row and a column of a packed weight starts.
  mlir::Value getRecord(const PackedLayout &packed, mlir::Value view, mlir::Value row,
                        mlir::Value column);
  /// Scale and minimum of each row for a decoded group; no minimum where the format has none.
  std::pair<mlir::Value, mlir::Value> loadScales(const PackedLayout &packed, DecodeOp op,
                                                 mlir::Value record);
  /// Numbers of neighbouring rows, `element` as stored, as float32.
  mlir::Value loadRows(mlir::Value base, mlir::Type element, int64_t rows, int64_t byte);
  mlir::FailureOr<PackedLayout> getPackedLayout(mlir::Operation *op, ViewType view);
  mlir::LogicalResult emitAlloc(AllocOp op);
  /// The bytes of a table of 16 that the indices stand for.
  Values lookUp(mlir::ValueRange indices, const int8_t *codebook);
  /// Vectors of 4 columns of codes.
  Values emitCodes(const PackedLayout &packed, mlir::Value record);

  /// Address of the element at `offsets`.
  mlir::Value getAddress(mlir::Value view, mlir::ValueRange offsets);
  mlir::Value getAddress(mlir::Value base, mlir::Type element, int64_t offset);
  mlir::Value loadVector(mlir::Value base, mlir::Type element, llvm::ArrayRef<int64_t> offsets,
                         int64_t packed);
  /// Which elements of a masked access are inside: each tile dimension with the number of
  /// coordinates left in the view, from the tile's offset on.
  struct Limit {
    unsigned dim;
    mlir::Value left;
  };
  llvm::SmallVector<Limit> getLimits(ViewType view, mlir::RankedTensorType tile,
                                     mlir::ValueRange offsets);
  /// Whether the coordinates are inside; i1.
  mlir::Value isInside(llvm::ArrayRef<Limit> limits, const Coordinates &at);
  mlir::Value loadMasked(mlir::Value base, const PhysicalTile &tile, int64_t vector,
                         llvm::ArrayRef<Limit> limits, llvm::ArrayRef<int64_t> offsets);
  void storeRun(mlir::Value base, mlir::Value vector, llvm::ArrayRef<int64_t> positions,
                int64_t offset);

  // Rearrangement (CpuShuffle.cpp).
  /// Vectors of `to` whose element at coordinates c is the element `source(c)` of `from`.
  Values rearrange(const PhysicalTile &from, mlir::ValueRange vectors, const PhysicalTile &to,
                   llvm::function_ref<Coordinates(Coordinates)> source);
  mlir::LogicalResult emitReduce(ReduceOp op);
  mlir::LogicalResult emitIota(IotaOp op);
  mlir::LogicalResult emitSplat(SplatOp op);

  // Contractions (CpuContract.cpp).
  mlir::LogicalResult emitContract(ContractOp op);
  /// Contractions of codes with the same activations, each step of all before the next.
  mlir::LogicalResult emitIntegerContracts(llvm::ArrayRef<ContractOp> ops);
  /// The same with activations of 16 bits.
  mlir::LogicalResult emitWideContracts(llvm::ArrayRef<ContractOp> ops);

  // Helpers.
  const PhysicalTile &getPhysical(mlir::Type tile);
  /// A constant of a scalar or vector type.
  mlir::Value makeConstant(mlir::Type type, double value);
  mlir::Value makeInteger(mlir::Type type, int64_t value);
  mlir::Value makeZero(mlir::Type type) {
    return mlir::arith::ConstantOp::create(b, loc, b.getZeroAttr(type));
  }
  /// A vector of i16 as one of bf16.
  mlir::Value asBF16(mlir::Value vector);
  mlir::Value shuffle(mlir::Value a, mlir::Value second, llvm::ArrayRef<int64_t> mask);
  mlir::Value callIntrinsic(llvm::StringRef name, mlir::Type result, mlir::ValueRange operands);
  /// Address of bytes that are zero.
  mlir::Value getZeros();

  mlir::func::FuncOp function;
  llvm::DenseMap<mlir::Type, std::unique_ptr<PhysicalTile>> physicals;
  mlir::Value zeros;
  int64_t stackBytes = 0;
  llvm::DenseSet<mlir::Operation *> emitted; ///< contractions that an earlier one took along
};

/// Bytes of its stack that a kernel may use, far from the megabytes that threads have.
inline constexpr int64_t mostStackBytes = 512 << 10;

/// Bytes of the constant that masked loads read instead of memory outside of a view.
inline constexpr int64_t zeroBytes = 256;
inline constexpr llvm::StringLiteral zerosName = "ingot.zeros";

} // namespace ingot::tile

#endif // INGOT_PASSES_TILE_CPUEMITTER_H
