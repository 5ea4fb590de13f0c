//===- TileBuilder.h - Writing tile programs by hand, briefly ---------------------------------------===//
//
// Emitters of lib/Kernels write loops and formulas; this keeps types and layouts out of their way.
// Tiles of `tileType` have 8 lanes (an AVX2 register of 32-bit elements). A layout is chosen by
// the dimension that lies in the lanes; registers hold the rest, the dimension named first in the
// lowest bits.
//
//   laneDim = 0      [8, N]   a lane is a row: results of products with interleaved weights
//   laneDim = 1      [M, 8n]  lanes are neighbours in memory: vectors of activations
//   laneDim = none   [M, N]   the same in every lane: operands that a product broadcasts
//
//===----------------------------------------------------------------------------------------------===//

#ifndef INGOT_KERNELS_TILEBUILDER_H
#define INGOT_KERNELS_TILEBUILDER_H

#include "dialects/Tile/Tile.h"
#include "llvm/ADT/STLFunctionalExtras.h"

namespace ingot::kernels {

/// The type of a tile of 8 lanes. `laneDim` -1: replicated.
mlir::RankedTensorType tileType(llvm::ArrayRef<int64_t> shape, mlir::Type element, int laneDim);

/// Some bits of a coordinate, and the part of a GPU's block whose bits decide them.
struct Spread {
  enum class Part { Register, Lane, Warp };
  Part part;
  int64_t dim;  ///< -1: none, the elements are replicated
  int64_t size; ///< 2 to the number of bits
};

/// The type of a tile whose dimensions are spread as the list says: each entry takes the lowest
/// bits that are left of its part and of its dimension.
mlir::RankedTensorType spreadTile(llvm::ArrayRef<int64_t> shape, mlir::Type element,
                                  llvm::ArrayRef<Spread> spreads);

class TileBuilder {
public:
  TileBuilder(mlir::OpBuilder &builder, mlir::Location loc) : builder(builder), loc(loc) {}

  using Value = mlir::Value;
  using Values = llvm::ArrayRef<mlir::Value>;

  mlir::OpBuilder &builder;
  mlir::Location loc;

  mlir::Type f32() { return builder.getF32Type(); }
  mlir::Type f16() { return builder.getF16Type(); }
  mlir::Type i32() { return builder.getI32Type(); }
  mlir::Type i8() { return builder.getI8Type(); }

  // Scalars of type index.
  Value index(int64_t value);
  Value add(Value a, int64_t b);
  Value add(Value a, Value b);
  Value sub(Value a, Value b);
  Value mul(Value a, int64_t b);
  Value div(Value a, int64_t b);
  Value rem(Value a, int64_t b);
  Value blockId(tile::Axis axis);
  Value count(tile::Count which);
  /// The i32 element of a view, as an index.
  Value readIndex(Value view, Values offsets);
  Value toI32(Value index);

  // Memory.
  Value load(Value view, Values offsets, mlir::RankedTensorType type, bool masked = false);
  void store(Value tile, Value view, Values offsets, bool masked = false);

  /// Elements of a view at indices: pairs of a dimension and the tile of its indices, dimensions
  /// ascending. Where `mask` is 0 nothing is read or written.
  using Indices = llvm::ArrayRef<std::pair<int64_t, mlir::Value>>;
  Value gather(Value view, Values offsets, mlir::RankedTensorType type, Indices indices,
               Value mask = {});
  void scatter(Value tile, Value view, Values offsets, Indices indices, Value mask = {});

  // Tiles.
  Value constant(mlir::RankedTensorType type, double value);
  Value splat(Value scalar, mlir::RankedTensorType type);
  Value iota(llvm::ArrayRef<int64_t> shape, int laneDim, int64_t dim);
  Value iotaOf(mlir::RankedTensorType type, int64_t dim);
  Value broadcast(Value tile, mlir::RankedTensorType type);
  Value reduce(tile::ReduceKind kind, Value tile, int64_t dim);
  Value reshape(Value tile, llvm::ArrayRef<int64_t> shape);
  Value convertLayout(Value tile, mlir::RankedTensorType type);
  Value fma(Value a, Value b, Value c);
  Value addf(Value a, Value b);
  Value subf(Value a, Value b);
  Value mulf(Value a, Value b);
  Value divf(Value a, Value b);
  /// To float32 from a narrower float, or from integers (`isSigned`); nothing for float32.
  Value toF32(Value tile, bool isSigned = true);
  /// From float32 to a narrower float, to nearest even; nothing for float32.
  Value fromF32(Value tile, mlir::Type element);
  /// 2^x and e^x, element by element.
  Value exp2(Value tile);
  Value exp(Value tile);
  /// x / (1 + e^-x), element by element.
  Value silu(Value tile);

  /// A loop over [begin, end) that carries tiles: `body(i, carried)` returns the next ones.
  llvm::SmallVector<mlir::Value>
  forLoop(Value begin, Value end, int64_t step, Values carried,
          llvm::function_ref<llvm::SmallVector<mlir::Value>(Value i, Values carried)> body);
  /// A loop that carries nothing.
  void forLoop(Value begin, Value end, int64_t step, llvm::function_ref<void(Value i)> body);
  /// if condition (i1) then ... else ...
  void ifTrue(Value condition, llvm::function_ref<void()> then,
              llvm::function_ref<void()> otherwise = nullptr);
  /// if a < b (unsigned indices) then ... else ...
  void ifLess(Value a, Value b, llvm::function_ref<void()> then,
              llvm::function_ref<void()> otherwise = nullptr);
};

} // namespace ingot::kernels

#endif // INGOT_KERNELS_TILEBUILDER_H
