//===- Schedule.h - How a product with weights is cut into work -------------------------------------===//
//
// A schedule changes speed, never a bit: the order over columns is the kernel's contract, whichever
// rows and tokens go through them together. So it is chosen freely, by predicted or by measured
// time (`ingot-choose-schedules`), and stands in the IR as the attribute `tile.schedule` of a
// compute region; a region without one gets the default of its shape.
//
//   a launch = blocks of `rowGroups` x 8 rows (of each weight) and `blockTokens` tokens
//   a block  = one token:      `singleGroups` row groups at a time, as bytes stream in
//              a few tokens:   tiles of `tileTokens`, each decodes the rows for itself
//              many tokens:    from `panelTokens` on rows are decoded once, into a panel
//
//===----------------------------------------------------------------------------------------------===//

#ifndef INGOT_KERNELS_SCHEDULE_H
#define INGOT_KERNELS_SCHEDULE_H

#include "mlir/IR/BuiltinAttributes.h"
#include <string>

namespace ingot::kernels {

/// A product as far as its schedule and its time depend on it.
struct ProductShape {
  std::string format; ///< of the weights
  int64_t rows, columns;
  int64_t weights = 1; ///< that are streamed side by side, each of this shape
  bool isInteger = false;
  /// Where the kernel fixes which rows a block has (a part of a head): row groups that lie side by
  /// side, and how many such spans a block computes one after the other. 0: the schedule says.
  int64_t spanGroups = 0, spans = 1;
  int64_t mostTokens = 0; ///< of a block, where the kernel has room for no more; 0: no limit

  /// `q4_1 int8 2x1536x576` (weights, rows, columns), and ` spans 2x2 tokens 256` where the kernel
  /// fixes the rows of a block.
  std::string toText() const;
  static std::optional<ProductShape> parse(llvm::StringRef text);
  bool operator==(const ProductShape &) const = default;
};

struct ProductSchedule {
  int64_t rowGroups = 4;    ///< of a block, for each weight
  int64_t blockTokens = 64; ///< of a block
  int64_t tileTokens = 4;   ///< that go through the columns together where a block has several
  int64_t panelTokens = 8;  ///< from so many in a block on a panel is written
  int64_t singleGroups = 1; ///< of each weight, that one token goes through at once

  /// What is taken where nothing is known of the machine.
  static ProductSchedule getDefault(const ProductShape &shape);

  /// Whether kernels can be emitted for it; if not, why.
  llvm::LogicalResult verify(std::string &reason) const;
  mlir::DictionaryAttr toAttribute(mlir::MLIRContext *context) const;
  /// What the attribute says; numbers that it does not name are those of `otherwise`.
  static llvm::FailureOr<ProductSchedule>
  read(mlir::DictionaryAttr attribute, const ProductSchedule &otherwise, std::string &reason);
  /// `row_groups=8,block_tokens=64,...`, as options take it.
  std::string toText() const;
  static llvm::FailureOr<ProductSchedule> parse(llvm::StringRef text, std::string &reason);

  /// Of a tile, as many of `tileTokens` as the sums of so many weights leave registers for.
  int64_t countTileTokens(int64_t weights) const;

  bool operator==(const ProductSchedule &) const = default;
};

/// The attribute of a compute region, and of the kernel that was emitted for it; and on the kernel
/// its products, as an array of texts.
inline constexpr llvm::StringLiteral scheduleName = "tile.schedule", productsName = "tile.products";

/// The schedules that are worth a measurement: each number at a few values, not all combinations,
/// since numbers act on different token counts. Every product takes each of them; a block that
/// would have more rows than the product has all.
llvm::ArrayRef<ProductSchedule> scheduleCandidates();

} // namespace ingot::kernels

#endif // INGOT_KERNELS_SCHEDULE_H
