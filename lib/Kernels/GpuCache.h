//===- GpuCache.h - How a GPU lays out a paged cache, and who reads and writes it --------------------===//
//
// A page of keys is a row of channels for each slot, a page of values a row of slots for each
// channel, so that the operands of both products of attention are pieces of 16 bytes:
//
//   keys     [pages, heads, slots, channels]        values   [pages, heads, channels, slots]
//
// Views have the heads first: a tile that spans pages takes one of them for each warp.
//
//===----------------------------------------------------------------------------------------------===//

#ifndef INGOT_LIB_KERNELS_GPUCACHE_H
#define INGOT_LIB_KERNELS_GPUCACHE_H

#include "GpuProduct.h"

namespace ingot::kernels {

/// Views [heads, pages, slots, channels] of keys, [heads, pages, channels, slots] of values.
llvm::SmallVector<mlir::Type, 2> gpuCacheViews(transformer::KVCacheType type, int64_t pages);

/// The views that kernels of the machine have of a cache.
llvm::SmallVector<mlir::Type, 4> cacheViewsFor(const Request &request,
                                               transformer::KVCacheType type);

/// Queries, keys and values: rows of a product that a block of 16 belongs to.
struct GpuProjection {
  transformer::KVCacheType cache;
  int64_t queryRows, keyRows; ///< rows of values are as many as of keys
  tile::Count rows;
  mlir::ValueRange batch; ///< positions, sequence of each token, page table
  mlir::Value angles;     ///< [context, dim]: dim / 2 cosines, dim / 2 sines
  bool isHalf; ///< pairs are half a head apart: a block has 8 rows and those (`gpuHalvesView`)
  mlir::Value keys, values, queries;
};

/// View of the table of angles as [position, dim].
tile::ViewType gpuAnglesView(mlir::MLIRContext *context, int64_t contextTokens, int64_t dim);

/// Rotates queries and keys and puts tiles where they belong. Both arguments must outlive it.
GpuEpilogue makeProjectionEpilogue(TileBuilder &b, const GpuProjection &projection);

/// Attention over such a cache.
Emission emitGpuAttention(const Request &request, mlir::OpBuilder &kernelBuilder);

} // namespace ingot::kernels

#endif // INGOT_LIB_KERNELS_GPUCACHE_H
