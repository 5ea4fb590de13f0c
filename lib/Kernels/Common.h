//===- Common.h - What emitters of several families share -------------------------------------------===//
//
// Finding the ops of a region, views for its values, and the packing of its weights. Private to
// lib/Kernels.
//
//===----------------------------------------------------------------------------------------------===//

#ifndef INGOT_LIB_KERNELS_COMMON_H
#define INGOT_LIB_KERNELS_COMMON_H

#include "ingot/Kernels/Kernel.h"
#include "ingot/Kernels/TileBuilder.h"
#include "ingot/Support/NumericFormat.h"

namespace ingot::kernels {

/// Rows that weights interleave: the lanes of a vector of 32-bit elements.
inline constexpr int64_t interleavedRows = 8;

/// The only op of type `OpT` in the region, or null.
template <typename OpT> OpT findOp(transformer::ComputeOp compute) {
  OpT found;
  for (OpT op : compute.getBody().front().getOps<OpT>())
    found = found ? OpT() : op;
  return found;
}

/// The operand of `compute` that the region's `value` is, through casts of shape; null where it is
/// computed inside.
mlir::Value outerValue(transformer::ComputeOp compute, mlir::Value value);

/// The element type of a weight that is stored plainly: f32, f16 or bf16; null for others.
mlir::Type plainElementType(transformer::WeightType type);

/// Whether a kernel can read a weight of this shape with `tile.decode`; if not, why.
llvm::LogicalResult canDecode(transformer::WeightType type, std::string &reason);

/// The operand for a weight that the kernel decodes: its packed form.
mlir::Value packWeight(mlir::OpBuilder &builder, mlir::Location loc, mlir::Value weight);

/// View of a packed weight.
tile::ViewType packedView(transformer::WeightType type);

/// View of a row-major tensor [rows, ...] whose leading `?` counts `rows`.
tile::ViewType rowsView(mlir::RankedTensorType type, tile::Count rows);

/// The same memory of a [rows, columns] tensor seen as [columns, rows]: operands of products are
/// loaded transposed.
tile::ViewType transposedView(mlir::Type element, int64_t columns, tile::Count rows);

/// View of a vector weight [C] in its own element type.
tile::ViewType vectorView(transformer::WeightType type);

/// The same as a column [C, 1]: numbers of rows, which lie in the lanes of a product's result.
tile::ViewType columnView(transformer::WeightType type);

/// Rows [row, row + R) of a column, as float32 in every column of a tile [R, tokens] like `type`.
mlir::Value loadColumn(TileBuilder &b, mlir::Value view, mlir::Value row,
                       mlir::RankedTensorType type, bool masked);

/// Views of a ragged batch: positions, sequence of each token, page table.
llvm::SmallVector<mlir::Type, 3> batchViews(mlir::MLIRContext *context, int64_t pagesPerSequence);

/// Views of one layer of a cache: keys [pages, heads, dim, page] and values [pages, heads, page,
/// dim]. Codes of 4 bits share bytes: channel c < dim/2 has the lower bits of one, channel c +
/// dim/2 the upper; so there are half as many. Codes have scales, [pages, heads, groups, page]
/// each.
llvm::SmallVector<mlir::Type, 4> cacheViews(transformer::KVCacheType type, int64_t pages);

/// Whether kernels of the machine have caches of this format; if not, why.
llvm::LogicalResult canCache(Machine machine, transformer::KVCacheType type, std::string &reason);

/// The numbers of one group of columns, decoded to float32: R rows by G columns.
struct DecodedGroup {
  mlir::Value codes, scales, minimums; ///< null for float formats but `codes`, which are the values
};
DecodedGroup decodeGroup(TileBuilder &b, mlir::Value view, mlir::Value row, mlir::Value column);
mlir::Value decodeValues(TileBuilder &b, mlir::Value view, mlir::Value row, mlir::Value column);

/// Columns that one `tile.decode` of the format yields.
int64_t decodedColumns(const NumericFormat &format);

/// The activation function, element by element, float32.
mlir::Value activate(TileBuilder &b, transformer::ActivationKind kind, mlir::Value x);

/// tanh, element by element, float32.
mlir::Value tanh(TileBuilder &b, mlir::Value x);

/// The table of angles of a rope, [contextTokens, dim] float32, as an operand.
mlir::Value ropeTable(const Request &request, mlir::OpBuilder &builder, transformer::RopeOp rope,
                      int64_t dim);

/// View of that table as [dim, 1, position]: dim/2 cosines, then dim/2 sines, of a position.
tile::ViewType ropeTableView(mlir::MLIRContext *context, int64_t contextTokens, int64_t dim);

/// The tile with which a kernel of one block a row walks its columns: 32 columns on a CPU, on a GPU
/// as many as a block of threads holds well, perhaps all; the last step may need a mask.
mlir::RankedTensorType rowTile(const Request &request, mlir::Type element, int64_t columns);

/// 1 / sqrt(mean + epsilon) in every place, of a tile [1, N] whose numbers add up to `columns`
/// times the mean.
mlir::Value emitNormScale(TileBuilder &b, mlir::Value squares, int64_t columns, double epsilon);

/// Where a token goes in the cache: its position, its slot in the page, and the page.
struct TokenPlace {
  mlir::Value position, slot, page;
};
TokenPlace readPlace(TileBuilder &b, mlir::ValueRange batch, mlir::Value token, int64_t pageTokens);

/// For each result of the region: `cacheOperand` for a cache, -1 (a new buffer) for others.
llvm::SmallVector<int64_t> resultsInPlace(transformer::ComputeOp compute, int64_t cacheOperand);

/// Pages of the longest sequence.
int64_t pagesPerSequence(const Request &request, transformer::KVCacheType cache);

/// Starts a kernel with these views and this grid; `b.builder` stands inside of it.
tile::KernelOp beginKernel(mlir::OpBuilder &kernelBuilder, const Request &request,
                           mlir::TypeRange views, llvm::ArrayRef<tile::ExtentAttr> grid);

} // namespace ingot::kernels

#endif // INGOT_LIB_KERNELS_COMMON_H
