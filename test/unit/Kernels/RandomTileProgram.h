//===- RandomTileProgram.h - Small tile programs drawn from a seed ----------------------------------===//
//
// A kernel of a dozen ops on tiles of random shapes and layouts: what emitters write and what they
// might. Same seed, same program. Every op has a stated result: divisions are of floats, casts to
// integers are of numbers that fit.
//
//===----------------------------------------------------------------------------------------------===//

#ifndef INGOT_TEST_UNIT_KERNELS_RANDOMTILEPROGRAM_H
#define INGOT_TEST_UNIT_KERNELS_RANDOMTILEPROGRAM_H

#include "dialects/Tile/Tile.h"
#include "mlir/IR/Builders.h"
#include <random>

namespace ingot::test {

class RandomTileProgram {
public:
  RandomTileProgram(mlir::ModuleOp module, uint64_t seed);

  /// The kernel, named `name`, at the end of the module. Its views: all inputs, then all outputs.
  tile::KernelOp emit(llvm::StringRef name);

  /// What `tokens` is: blocks of the grid.
  static constexpr int64_t tokens = 3;

  /// The bytes behind each view; outputs are zero.
  std::vector<std::vector<uint8_t>> drawMemory();

private:
  using Value = mlir::Value;
  using Type = mlir::Type;

  int64_t draw(int64_t below) { return random() % below; }
  bool chance(int64_t percent) { return draw(100) < percent; }
  template <typename T> const T &choose(llvm::ArrayRef<T> from) { return from[draw(from.size())]; }

  // Shapes and layouts.
  llvm::SmallVector<int64_t> drawShape();
  tile::LayoutAttr drawLayout(llvm::ArrayRef<int64_t> shape);
  mlir::RankedTensorType drawType(Type element);
  static mlir::RankedTensorType typeOf(Value tile) {
    return mlir::cast<mlir::RankedTensorType>(tile.getType());
  }

  // Values that are there.
  Value pick(Type element);
  /// A value of exactly this type: one that is there, or another one moved into the layout.
  Value pickAs(mlir::RankedTensorType type);
  void add(Value tile) { tiles.push_back(tile); }

  // Ops.
  void addOp();
  void addFloatOp();
  void addIntegerOp();
  void addCast();
  void addMove();
  void addReduction();
  void addContraction();
  void addIntegerContraction();
  void addControl();
  void addScratch();
  Value load(mlir::RankedTensorType type);
  void store(Value tile);
  Value index(int64_t value);
  Value constant(mlir::RankedTensorType type, double value);
  template <typename Op> Value make(Value a, Value b_) {
    return Op::create(b, loc, a, b_).getResult();
  }

  mlir::OpBuilder b;
  mlir::Location loc;
  std::mt19937_64 random;
  llvm::SmallVector<Value> tiles;
  llvm::SmallVector<Type> inputs, outputs; ///< types of views
  tile::KernelOp kernel;
  mlir::ModuleOp module;
  Type f32, f16, bf16, i32, i8;
};

} // namespace ingot::test

#endif // INGOT_TEST_UNIT_KERNELS_RANDOMTILEPROGRAM_H
