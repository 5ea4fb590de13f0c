//===- Product.h - The inner loop that all products with weights share ------------------------------===//
//
// y[f, t] = sum over c of W[f, c] x[t, c] for a row group of a packed weight (8 rows, one a lane)
// and a few tokens. Weights are decoded once for these tokens and never leave registers.
//
//   float32 activations: the codes become numbers, one fused multiply-add for each column,
//   ascending. int8 activations (scales given): per block of 32 columns the codes' integer dot
//   products are exact; then in float32, blocks ascending:   acc += s_x * (s_w * dot(codes, x) +
//   m_w * sum(x))
//
// A token's sum is a function of its own numbers: the tokens beside it, and how many there are,
// change no bit.
//
//===----------------------------------------------------------------------------------------------===//

#ifndef INGOT_LIB_KERNELS_PRODUCT_H
#define INGOT_LIB_KERNELS_PRODUCT_H

#include "Common.h"

namespace ingot::kernels {

/// Activations of a product: values seen as [columns, rows] (float32 or int8), and for int8 the
/// scales seen as [columns / 32, rows].
struct ProductInput {
  mlir::Value values, scales;
  int64_t columns;
};

/// Whether `linear` is a product that the loop does; if not, why.
llvm::LogicalResult canMultiply(transformer::LinearOp linear, std::string &reason);

/// The sums for rows [firstRow, firstRow + 8 rowGroups) of each weight and `tokens` tokens from
/// `firstToken` on: tiles [8, tokens], rows in lanes, the row groups of the first weight, then
/// those of the next. Tokens and row groups must exist. All tiles share each load of activations
/// and the sums of activations, so weights * rowGroups * tokens accumulators should fit the
/// registers.
llvm::SmallVector<mlir::Value> emitProducts(TileBuilder &b, const ProductInput &input,
                                            mlir::ValueRange weights, mlir::Value firstRow,
                                            int64_t rowGroups, mlir::Value firstToken,
                                            int64_t tokens);

/// How many row groups of all weights together a product of `tokens` tokens takes at once.
int64_t tilesAtOnce(int64_t tokens);

/// Calls `emit(firstToken, tokens)` for tiles that cover [begin, end): as many of `most` tokens as
/// fit, then single ones.
void forTokens(TileBuilder &b, mlir::Value begin, mlir::Value end, int64_t most,
               llvm::function_ref<void(mlir::Value firstToken, int64_t tokens)> emit);

/// Views of a product's activations: one, or two with scales.
llvm::SmallVector<mlir::Type> productViews(transformer::LinearOp linear, tile::Count rows);

/// Bytes and operations of a product for one row of activations.
Cost productCost(transformer::LinearOp linear);

} // namespace ingot::kernels

#endif // INGOT_LIB_KERNELS_PRODUCT_H
