//===- Product.h - The inner loop that all products with weights share ------------------------------===//
//
// y[f, t] = sum over c of W[f, c] x[t, c] for a row group of a packed weight (8 rows, one a lane)
// and a few tokens.
//
//   float32 activations: the codes become numbers, one fused multiply-add for each column,
//   ascending. int8 or int16 activations (scales given): per block of 32 columns the codes' integer
//   dot products are exact; then in float32 (to which a dot product of int16 is rounded), blocks
//   ascending:   acc += s_x * (s_w * dot(codes, x) + m_w * sum(x))
//
// A token's sum is a function of its own numbers: the tokens beside it, and how many there are,
// change no bit.
//
// What is done once for many. A weight's bits become codes in registers, and the sums of
// activations do not depend on the row. With one token both are needed once. A block of tokens
// keeps the sums in its own memory for all rows, and activations that are multiplied in 16 bits;
// with many tokens also a *panel*, the codes and scales of two row groups as bytes and floats,
// which every tile of tokens then reads.
//
//===----------------------------------------------------------------------------------------------===//

#ifndef INGOT_LIB_KERNELS_PRODUCT_H
#define INGOT_LIB_KERNELS_PRODUCT_H

#include "Common.h"
#include "ingot/Kernels/Schedule.h"

namespace ingot::kernels {

/// Activations of a product: values seen as [columns, rows] (float32, int8 or int16), and for
/// integers the scales seen as [columns / 32, rows].
struct ProductInput {
  mlir::Value values, scales;
  int64_t columns;
};

/// What becomes of the sums of a row group: `sums` has a tile [8, tokens] for each weight, rows
/// from `row` on in lanes, tokens from `token` on.
using ProductEpilogue = llvm::function_ref<void(mlir::Value row, mlir::Value token,
                                                llvm::MutableArrayRef<mlir::Value> sums)>;

/// Rows and tokens of one block of work; both ends exist.
struct ProductRange {
  mlir::Value firstGroup, lastGroup; ///< row groups, the same of each weight
  bool hasEvenGroups;                ///< known to be a multiple of two of them
  mlir::Value firstToken, lastToken;
  int64_t mostTokens;  ///< in the range
  int64_t memoryBytes; ///< of the block's memory that sums and panels may take; 0: there is none
  ProductSchedule schedule;
};

/// Memory of a block for sums and panels: panels are to stay in the second-level cache.
inline constexpr int64_t memoryBytes = 384 << 10;

/// The products of a range with weights of one format, row group by row group.
void emitProducts(TileBuilder &b, const ProductInput &input, mlir::ValueRange weights,
                  const ProductRange &range, ProductEpilogue epilogue);

/// How a launch is cut into blocks: along x row groups, along y tokens.
llvm::SmallVector<tile::ExtentAttr, 2> getProductGrid(const ProductSchedule &schedule,
                                                      mlir::MLIRContext *context, int64_t rows,
                                                      tile::Count count);
/// What the block at its place in the grid does.
ProductRange getProductRange(const ProductSchedule &schedule, TileBuilder &b, int64_t rows,
                             tile::Count count, Machine machine);

/// The schedule that the region's attribute asks for, which is legal; else the default.
ProductSchedule getSchedule(transformer::ComputeOp compute, const ProductShape &shape);

/// Whether `linear` is a product that the loop does; if not, why.
llvm::LogicalResult canMultiply(transformer::LinearOp linear, std::string &reason);

/// Views of a product's activations: one, or two with scales.
llvm::SmallVector<mlir::Type> productViews(transformer::LinearOp linear, tile::Count rows);

/// What the schedule of a product, and its time, depend on; `count` weights side by side.
ProductShape productShape(transformer::LinearOp linear, int64_t count = 1);

/// Bytes and operations of a product for one row of activations.
Cost productCost(transformer::LinearOp linear);

} // namespace ingot::kernels

#endif // INGOT_LIB_KERNELS_PRODUCT_H
