//===- Heads.h - What happens to the channels of heads ----------------------------------------------===//
//
// Queries, keys and values come out of a product as rows of a [rows, tokens] matrix, D rows a head.
// On the way to their place they get a bias, are normed over the head, and pairs of channels
// rotate:
//
//     (a, b) -> (a cos - b sin, b cos + a sin)
//
// Pairs are neighbouring channels (interleaved) or channels D/2 apart (half). Everything here is
// about one token; up to 8 neighbouring channels lie in the lanes of a tile [lanes, 1]. Runs of
// channels that lanes do not divide end with a tile that begins earlier: its first channels are
// computed twice, to the same bits. So any head size and any even number of rotating channels will
// do.
//
//===----------------------------------------------------------------------------------------------===//

#ifndef INGOT_LIB_KERNELS_HEADS_H
#define INGOT_LIB_KERNELS_HEADS_H

#include "Common.h"

namespace ingot::kernels {

/// Where the channels of one head of one token come from.
struct HeadInput {
  mlir::Value view, token;     ///< [rows, tokens] float32 and the column in it
  mlir::Value bias = {};       ///< column view, or null
  mlir::Value biasRow = {};    ///< row of the bias for channel 0
  mlir::Value normWeight = {}; ///< column view, or null
  mlir::Value normScale = {};  ///< what `emitHeadNorm` made
};

enum class HeadKind { Query, Key, Value };

/// Where they go.
struct HeadOutput {
  HeadKind kind;
  mlir::Value view, head;
  int64_t dim;
  mlir::Value token = {};  ///< Query: `view` is [heads * dim, tokens]
  TokenPlace place = {};   ///< Key, Value: `view` is a layer of the cache
  bool isGpuCache = false; ///< its layout is that of GPUs (GpuCache.h)
};

/// Angles of the token's position.
struct HeadRotation {
  mlir::Value table, position; ///< view by `ropeTableView`
  int64_t dims;                ///< channels that rotate
  bool isHalf;
};

/// 1 / sqrt(mean of squares + epsilon) over the head's `dim` channels, which lie in the input from
/// `row` on: what `HeadInput::normScale` wants.
mlir::Value emitHeadNorm(TileBuilder &b, const HeadInput &input, mlir::Value row, int64_t dim,
                         double epsilon);

/// Moves `length` channels from `channel` on, which lie in the input from `row` on.
void emitHeadCopy(TileBuilder &b, const HeadInput &input, const HeadOutput &output, mlir::Value row,
                  mlir::Value channel, int64_t length);

/// The same with rotation. Half: `length` counts first channels of pairs; the second ones lie
/// `partnerRows` behind in the input.
void emitHeadRotation(TileBuilder &b, const HeadInput &input, const HeadOutput &output,
                      const HeadRotation &rotation, mlir::Value row, mlir::Value channel,
                      int64_t length, int64_t partnerRows);

/// A whole head, which lies in the input from `row` on: its first channels rotate, others move.
void emitHead(TileBuilder &b, const HeadInput &input, const HeadOutput &output,
              const std::optional<HeadRotation> &rotation, mlir::Value row);

/// Where a head of a token goes in a cache of codes (CacheCodec.h).
struct HeadCodes {
  transformer::KVCacheType cache;
  bool isKey;
  mlir::Value numbers, scales; ///< views of a layer of the cache, of keys or values
  mlir::Value head;
  TokenPlace place;
};

/// Memory of the block for the channels of a head, [dim, 1] float32: scales want all of a group
/// before the first code.
mlir::Value allocateHead(TileBuilder &b, int64_t dim);

/// A whole head as `emitHead`, through `memory` of the block into a cache of codes.
void emitHeadCodes(TileBuilder &b, const HeadInput &input, mlir::Value memory,
                   const HeadCodes &output, const std::optional<HeadRotation> &rotation,
                   mlir::Value row);

} // namespace ingot::kernels

#endif // INGOT_LIB_KERNELS_HEADS_H
