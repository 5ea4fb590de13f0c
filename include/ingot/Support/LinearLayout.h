//===- LinearLayout.h - Layouts as linear maps over bits --------------------------------------------===//
//
// Which element of a tile is in which register of which lane? A small example: a tile of 2 x 4
// elements (row, column) lies in 2 registers of 4 lanes, columns over the lanes and rows over the
// registers:
//
//                lane 0   lane 1   lane 2   lane 3
//   register 0   (0,0)    (0,1)    (0,2)    (0,3)
//   register 1   (1,0)    (1,1)    (1,2)    (1,3)
//
// Write lane and register in binary. Lane bit 0 alone (lane 1) stands for the step (0,1), lane bit
// 1 (lane 2) for (0,2), register bit 0 for (1,0). The place of any other pair is the sum of the
// steps of its bits: register 1, lane 3 = (1,0) + (0,1) + (0,2) = (1,3). So three vectors, the
// *bases*, say everything:
//
//   register = [[1,0]]   lane = [[0,1], [0,2]]
//
// Now let a second layout put columns 0-1 in lanes 0-1 of row 0 and swap them in row 1 (a swizzle):
//
//   register = [[1,1]]   lane = [[0,1], ...]      register 1, lane 0 -> (1,1);  register 1, lane 1
//   -> (1,0)
//
// The steps (1,1) and (0,1) meet in the column; "sum" must mean exclusive or, so that 1 and 1 give
// 0. That is the rule: **a layout is a linear map over GF(2)**, from the bits of the input numbers
// (register, lane, ...) to the bits of the coordinates; its matrix has the bases as columns. All
// sizes are powers of two.
//
//   - A zero basis: that bit does not matter, the elements are replicated.
//   - Surjective: each element is somewhere. Injective: nowhere twice.
//   - Two layouts of one tile: data in layout S is wanted in layout D. The element of (register,
//   lane) in D is
//     D(register, lane); it is found at S⁻¹(D(register, lane)). The conversion is again a linear
//     map: zero moves, a permutation of registers, a shuffle of lanes, whatever its matrix says.
//   - What hardware fixes (the fragments of matrix instructions, swizzled shared memory) are
//   constants.
//
//===----------------------------------------------------------------------------------------------===//

#ifndef INGOT_SUPPORT_LINEARLAYOUT_H
#define INGOT_SUPPORT_LINEARLAYOUT_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/SmallVector.h"
#include <cstdint>
#include <optional>

namespace ingot {

/// A linear map over bits, from a tuple of input numbers to a tuple of output numbers.
class LinearLayout {
public:
  using Coordinates = llvm::SmallVector<int64_t, 4>;
  /// The bases of one input, lowest bit first.
  using Bases = llvm::SmallVector<Coordinates, 6>;

  /// The map with `inputs[d][bit]` as bases and outputs below `outputSizes` (powers of two).
  /// Nothing where a basis has another number of coordinates than there are outputs, or one that is
  /// not below its size.
  static std::optional<LinearLayout> get(llvm::ArrayRef<Bases> inputs,
                                         llvm::ArrayRef<int64_t> outputSizes);
  /// One input below `size`, one output, both the same.
  static LinearLayout identity(int64_t size);
  /// One input below `size` that does not matter, one output below 1.
  static LinearLayout zeros(int64_t size);

  unsigned getInputCount() const { return inputs.size(); }
  unsigned getOutputCount() const { return outputSizes.size(); }
  int64_t getInputSize(unsigned input) const { return int64_t(1) << inputs[input].size(); }
  int64_t getOutputSize(unsigned output) const { return outputSizes[output]; }
  llvm::ArrayRef<int64_t> getOutputSizes() const { return outputSizes; }
  const Bases &getBases(unsigned input) const { return inputs[input]; }
  /// Product of all input (output) sizes.
  int64_t getDomainSize() const;
  int64_t getRangeSize() const;

  /// Coordinates of the input numbers `at`, each below its size.
  Coordinates apply(llvm::ArrayRef<int64_t> at) const;

  bool isSurjective() const { return getRank() == bitsOf(getRangeSize()); }
  bool isInjective() const { return getRank() == bitsOf(getDomainSize()); }

  /// outer ∘ this: outputs of this are inputs of `outer`, which must be as many and of the same
  /// sizes.
  LinearLayout compose(const LinearLayout &outer) const;
  /// A map that leads from coordinates to inputs: this ∘ inverse is the identity. Of the inputs
  /// that yield the same coordinates it picks those in which later input bits (and inputs) that are
  /// not needed are 0. Nothing where this is not surjective.
  std::optional<LinearLayout> invert() const;
  /// Direct product: input d consists of this map's bits of input d, then the other's; likewise
  /// each output. A map with fewer inputs or outputs is extended by ones of size 1.
  LinearLayout operator*(const LinearLayout &other) const;

  bool operator==(const LinearLayout &other) const = default;

private:
  static unsigned bitsOf(int64_t size) { return size <= 1 ? 0 : 64 - __builtin_clzll(size - 1); }
  /// The bits of all outputs as one number, first output lowest.
  uint64_t flatten(llvm::ArrayRef<int64_t> coordinates) const;
  /// Number of linearly independent bases.
  unsigned getRank() const;

  llvm::SmallVector<Bases, 4> inputs;
  Coordinates outputSizes;
};

} // namespace ingot

#endif // INGOT_SUPPORT_LINEARLAYOUT_H
