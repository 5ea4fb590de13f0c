//===- GpuProduct.h - Products with weights by the matrix units of a GPU ----------------------------===//
//
// y[f, t] = sum over c of W[f, c] x[t, c] for 16 rows of a weight and up to 32 tokens. What takes
// time at few tokens is the stream of weights, so it decides the shape: a block is 16 rows, and its
// warps share the columns, each lane loading what lies side by side in memory (8 floats of 16 bits,
// 16 or 32 codes) of rows g and g + 8, g = lane / 4. That is operand A of mma.m16n8k16 with the
// columns in an order of its own; x is loaded in the same order as operand B. Codes become 16-bit
// floats in registers and meet their scale there. The sums of the warps are added at the end:
//
//   columns    | warp 0 | warp 1 | ... | warp 7 | warp 0 | ...          a step: `warps` pieces
//   16 rows    |  piece of 4 lanes x `run` columns                      `unroll` steps of loads in
//   flight
//
// Products are of f16 (bf16 where the weight is), sums are float32. The order of a sum depends on
// the shape of the weight alone: the tokens beside a token, and how many there are, change no bit.
//
//===----------------------------------------------------------------------------------------------===//

#ifndef INGOT_LIB_KERNELS_GPUPRODUCT_H
#define INGOT_LIB_KERNELS_GPUPRODUCT_H

#include "Product.h"

namespace ingot::kernels {

/// How a block of threads computes a product.
struct GpuProductSchedule {
  int64_t run;         ///< columns that a lane holds side by side
  int64_t warps;       ///< of a block: parts of the columns
  int64_t unroll;      ///< steps whose loads are in flight together
  int64_t blockTokens; ///< most tokens of a block
  int64_t rowTiles;    ///< tiles of 16 rows that a block with more than 8 tokens computes
  int64_t manyUnroll;  ///< `unroll` with more than 8 tokens

  static constexpr int64_t blockRows = 16, tokenTile = 8, lanesAlongColumns = 4;
  int64_t getStepColumns() const { return run * lanesAlongColumns * warps; }
  int64_t getThreads() const { return 32 * warps; }
};

/// The schedule for a product with `weights` weights of this type side by side; nothing where
/// matrix units cannot compute it.
std::optional<GpuProductSchedule> getGpuSchedule(transformer::WeightType weight, unsigned weights,
                                                 bool isQuantized);

/// What a GPU reads of a weight: floats as they are in the file, codes planar.
tile::ViewType gpuWeightView(transformer::WeightType type);
/// The same of heads of `dim` rows, seen as [halves of heads, rows, columns]: a block then computes
/// 8 rows of a first half and the 8 that are half a head further. Floats only.
tile::ViewType gpuHalvesView(transformer::WeightType type, int64_t dim);
/// The operand for it.
mlir::Value packForGpu(mlir::OpBuilder &builder, mlir::Location loc, mlir::Value weight);

/// How many columns of a row a lane holds side by side; 0 where a GPU has no order for the weight.
int64_t getGpuRun(transformer::WeightType type);
/// Columns of `type` from a place of a planar weight, as float32 and exact; past the last column 0.
mlir::Value decodePlanar(TileBuilder &b, mlir::Value view, mlir::Value row, mlir::Value column,
                         mlir::RankedTensorType type, bool masked);

/// Kernels of a product: one for up to 8 tokens, one for more. A step launches one of them; the
/// grid of the other is empty.
enum class GpuTokens { Few, Many };

/// The grid of such a kernel: x over rows, y over tokens.
llvm::SmallVector<tile::ExtentAttr, 3> getGpuGrid(mlir::MLIRContext *context,
                                                  transformer::WeightType weight,
                                                  const GpuProductSchedule &schedule,
                                                  tile::Count rows, GpuTokens tokens);

/// What becomes of a product. Each member is called for tiles [16, tokens] from `row` and `token`
/// on, the first two ahead of the product where tokens are few; they may be empty. Rows and tokens
/// past the last hold anything and must not be stored (`masked`).
struct GpuEpilogue {
  using Read = std::function<void(mlir::Value row, mlir::Value token, mlir::RankedTensorType sums)>;
  /// Reads weights and inputs of the step: ahead of what the launch waits for.
  Read readInputs = {};
  /// Reads what earlier launches left, and `finish` may overwrite.
  Read readBuffers = {};
  /// Uses the sums of each weight.
  std::function<void(mlir::Value row, mlir::Value token, llvm::MutableArrayRef<mlir::Value> sums)>
      finish;
};

/// An rms norm between activations and product, which blocks compute for a few tokens themselves:
/// the rows are small and near, and a launch less waits for one.
struct GpuInputNorm {
  mlir::Value input, gain; ///< views [rows, columns] and [1, columns]
  double epsilon;
  mlir::RankedTensorType line; ///< tile of a whole row
  int64_t fewTokens;           ///< most tokens that blocks norm; the product's input has the others
};

/// Whether blocks can norm the input of a region's product with `weights` weights side by side; if
/// not, why.
llvm::LogicalResult canNormInput(const Request &request, transformer::LinearOp linear,
                                 unsigned weights, std::string &reason);

/// Most tokens of that width which blocks norm; 0 where they do not fit the memory of one.
int64_t getNormTokens(int64_t columns);

/// The program of one block.
void emitGpuProducts(TileBuilder &b, const GpuProductSchedule &schedule, GpuTokens tokens,
                     const ProductInput &input, mlir::ValueRange weights, tile::Count rows,
                     const GpuEpilogue &epilogue, const GpuInputNorm *norm = nullptr);

/// Both kernels as one emission, the launch for more tokens after that for few, whose results it
/// takes over.
Emission joinLaunches(Emission few, Emission many);

/// Those with a launch before them, which norms rows for the product where they are more than its
/// blocks norm themselves. The first operand of both is what that launch makes.
Emission prepareRmsNorm(const Request &request, transformer::NormOp norm, Emission few,
                        Emission many);

} // namespace ingot::kernels

#endif // INGOT_LIB_KERNELS_GPUPRODUCT_H
