//===- CostModel.h - How long a launch takes on a machine -------------------------------------------===//
//
// The model counts what a launch does on the thread that is done last, in *units* that a name
// stands for, and adds up the nanoseconds that the machine takes for each:
//
//   time = launch + spread + (compute^4 + memory^4)^(1/4)      the slower of the two, smoothly
//   spread: where there are several blocks and threads
//   compute = sum over the other units of count x nanoseconds
//   memory  = bytes of weights / the stream of all threads
//
// Units of a product, for each *cell* (8 rows x 32 columns of one weight):
//
//   single G      one token, G row groups at a time
//   direct T      a tile of T tokens that decodes its rows for itself
//   fill          decoding into a panel
//   panel T       a tile of T tokens that reads the panel
//   sum           the sums of 32 activations of one token (not of rows: each block has its own)
//   element       what follows the product, for 8 rows of one token
//   block         a call of the kernel
//
// A unit's full name begins with what it depends on, "q4_1 int8 panel 4". Where the machine has no
// number for a format, that of its class, "int8 panel 4", is taken. Other kernels have the units
// "FAMILY block" and "FAMILY byte" (of activations); attention "FAMILY alone" and "FAMILY
// together", an operation of a step of one token and of several.
//
// Example: 576 x 1536 q4_1 with 8 row groups and 64 tokens on 2 threads are 9 blocks, of which one
// thread has 5: 5 x 8 x 48 = 1,920 cells, each filled once and multiplied with 16 tiles of 4.
//
//===----------------------------------------------------------------------------------------------===//

#ifndef INGOT_KERNELS_COSTMODEL_H
#define INGOT_KERNELS_COSTMODEL_H

#include "dialects/Tile/Tile.h"
#include "ingot/Kernels/Kernel.h"
#include <map>

namespace ingot::kernels {

/// What is known of a machine, and what was measured on it: the module's attribute `tile.tuning`.
struct Tuning {
  static constexpr int64_t version = 1;
  static constexpr llvm::StringLiteral attributeName = "tile.tuning";

  std::string machine = "a machine that nobody measured";
  int64_t threads = 2;
  double bytesPerSecond = 0; ///< read from memory by all threads
  std::map<std::string, double, std::less<>> nanoseconds;
  /// A product that was measured here: its best schedule, and microseconds of a launch with it by
  /// number of tokens.
  struct Winner {
    ProductSchedule schedule;
    std::map<int64_t, double> microseconds;
  };
  std::map<std::string, Winner, std::less<>> winners; ///< by `ProductShape::toText`

  /// Two cores of an EPYC (Zen 4, AVX2 alone).
  static const Tuning &getDefault();
  /// Reads what a file or a module says; one sentence on failure.
  static llvm::FailureOr<Tuning> read(mlir::DictionaryAttr attribute, std::string &reason);
  mlir::DictionaryAttr toAttribute(mlir::MLIRContext *context) const;

  /// Nanoseconds of a unit; 0 where nothing is known of it and of its class.
  double getNanoseconds(llvm::StringRef unit) const;
};

/// What a step has of each thing that kernels count.
struct StepSize {
  int64_t tokens = 1;
  int64_t outputs = 1;
  int64_t context = 1; ///< tokens that the step's last token sees, itself included
};

/// What a launch does.
struct Work {
  std::map<std::string, double> units; ///< on the thread that is done last
  double weightBytes = 0;              ///< of all threads

  double predictSeconds(const Tuning &tuning) const;
};

/// A kernel as the model sees it.
struct KernelCost {
  std::string family;
  std::string rows; ///< what rows are: tokens, outputs, or context
  Cost cost;
  llvm::SmallVector<ProductShape, 1> products; ///< where there are some, they are the cost
  ProductSchedule schedule;
  /// Blocks of the grid, by the count of rows.
  std::array<tile::ExtentAttr, 3> grid;

  /// By the attributes that `ingot-select-kernels` leaves on a kernel.
  static KernelCost read(tile::KernelOp kernel);
  Work count(const StepSize &step, int64_t threads) const;
};

/// What a product of so many rows of activations does.
Work countProduct(llvm::ArrayRef<ProductShape> shapes, const ProductSchedule &schedule,
                  int64_t tokens, int64_t threads);

/// Token counts for which schedules are predicted and measured: one, a few, many.
inline constexpr int64_t scheduleTokens[] = {1, 4, 8, 64, 256};

/// A schedule and its times, predicted or measured, for some numbers of tokens.
struct RatedSchedule {
  ProductSchedule schedule;
  llvm::SmallVector<double, 5> seconds;
};
/// Which of them is, for all numbers of tokens together, nearest to the best of each: in the worst
/// case, and then on the average. Not empty.
size_t findNearest(llvm::ArrayRef<RatedSchedule> schedules);

struct Choice {
  std::vector<RatedSchedule> candidates; ///< for `scheduleTokens`; the default first
  size_t chosen = 0;                     ///< of these, the nearest to the best
};
Choice chooseSchedule(llvm::ArrayRef<ProductShape> shapes, const Tuning &tuning);

/// A launch that was measured.
struct Measurement {
  Work work;
  double seconds = 0;
};
/// Nanoseconds of all units that the measurements have, none negative, such that the relative
/// errors are smallest; those that the measurements say little about stay near `start`.
std::map<std::string, double, std::less<>> fitUnits(llvm::ArrayRef<Measurement> measurements,
                                                    const Tuning &start);

} // namespace ingot::kernels

#endif // INGOT_KERNELS_COSTMODEL_H
