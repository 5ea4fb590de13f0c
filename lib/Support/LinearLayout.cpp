//===- LinearLayout.cpp - Algebra of layouts --------------------------------------------------------===//
//
// Everything rests on two facts: a map is its bases, and Gaussian elimination over GF(2) on bases
// that are flattened to one number each (at most 64 bits) answers rank and inverse.
//
//===----------------------------------------------------------------------------------------------===//

#include "ingot/Support/LinearLayout.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/MathExtras.h"
#include <cassert>

using namespace ingot;
using llvm::ArrayRef;

std::optional<LinearLayout> LinearLayout::get(ArrayRef<Bases> inputs,
                                              ArrayRef<int64_t> outputSizes) {
  for (int64_t size : outputSizes)
    if (size <= 0 || !llvm::isPowerOf2_64(size))
      return std::nullopt;
  for (const Bases &bases : inputs)
    for (const Coordinates &basis : bases) {
      if (basis.size() != outputSizes.size())
        return std::nullopt;
      for (auto [coordinate, size] : llvm::zip_equal(basis, outputSizes))
        if (coordinate < 0 || coordinate >= size)
          return std::nullopt;
    }
  LinearLayout result;
  result.inputs.assign(inputs.begin(), inputs.end());
  result.outputSizes.assign(outputSizes.begin(), outputSizes.end());
  return result;
}

LinearLayout LinearLayout::identity(int64_t size) {
  Bases bases;
  for (int64_t step = 1; step < size; step *= 2)
    bases.push_back({step});
  return *get({bases}, {size});
}

LinearLayout LinearLayout::zeros(int64_t size) {
  return *get({Bases(bitsOf(size), Coordinates{0})}, {1});
}

int64_t LinearLayout::getDomainSize() const {
  int64_t size = 1;
  for (unsigned i = 0; i < getInputCount(); ++i)
    size *= getInputSize(i);
  return size;
}

int64_t LinearLayout::getRangeSize() const {
  int64_t size = 1;
  for (int64_t outputSize : outputSizes)
    size *= outputSize;
  return size;
}

LinearLayout::Coordinates LinearLayout::apply(ArrayRef<int64_t> at) const {
  Coordinates result(outputSizes.size(), 0);
  for (auto [number, bases] : llvm::zip_equal(at, inputs)) {
    assert(number >= 0 && number < (int64_t(1) << bases.size()) && "input number out of range");
    for (auto [bit, basis] : llvm::enumerate(bases))
      if (number >> bit & 1)
        for (auto [sum, coordinate] : llvm::zip_equal(result, basis))
          sum ^= coordinate;
  }
  return result;
}

uint64_t LinearLayout::flatten(ArrayRef<int64_t> coordinates) const {
  uint64_t flat = 0;
  unsigned shift = 0;
  for (auto [coordinate, size] : llvm::zip_equal(coordinates, outputSizes)) {
    flat |= uint64_t(coordinate) << shift;
    shift += bitsOf(size);
  }
  return flat;
}

unsigned LinearLayout::getRank() const {
  llvm::SmallVector<uint64_t> independent; // each with a highest bit that no other has
  for (const Bases &bases : inputs)
    for (const Coordinates &basis : bases) {
      uint64_t rest = flatten(basis);
      for (uint64_t row : independent)
        rest = std::min(rest, rest ^ row);
      if (rest)
        independent.push_back(rest);
    }
  return independent.size();
}

LinearLayout LinearLayout::compose(const LinearLayout &outer) const {
  assert(outer.getInputCount() == getOutputCount() && "outputs do not meet inputs");
  LinearLayout result;
  result.outputSizes = outer.outputSizes;
  for (const Bases &bases : inputs) {
    Bases &mapped = result.inputs.emplace_back();
    for (const Coordinates &basis : bases)
      mapped.push_back(outer.apply(basis));
  }
  return result;
}

std::optional<LinearLayout> LinearLayout::invert() const {
  // Rows: (flattened coordinates, the inputs that yield them). A row is kept reduced by all earlier
  // ones, so inputs of later bits enter only where earlier ones do not reach.
  struct Row {
    uint64_t coordinates;
    Coordinates inputs;
  };
  llvm::SmallVector<Row> rows;
  auto add = [](Row &row, const Row &other) {
    row.coordinates ^= other.coordinates;
    for (auto [number, otherNumber] : llvm::zip_equal(row.inputs, other.inputs))
      number ^= otherNumber;
  };
  auto topBit = [](uint64_t value) { return uint64_t(1) << (63 - __builtin_clzll(value)); };
  for (auto [d, bases] : llvm::enumerate(inputs))
    for (auto [bit, basis] : llvm::enumerate(bases)) {
      Row row{flatten(basis), Coordinates(inputs.size(), 0)};
      row.inputs[d] = int64_t(1) << bit;
      for (const Row &earlier : rows)
        if (row.coordinates & topBit(earlier.coordinates))
          add(row, earlier);
      if (!row.coordinates)
        continue;
      for (Row &earlier : rows)
        if (earlier.coordinates & topBit(row.coordinates))
          add(earlier, row);
      rows.push_back(row);
    }
  if (rows.size() != bitsOf(getRangeSize()))
    return std::nullopt;

  // Full rank and fully reduced: every row is one bit of one coordinate.
  LinearLayout inverse;
  for (unsigned i = 0; i < inputs.size(); ++i)
    inverse.outputSizes.push_back(getInputSize(i));
  unsigned shift = 0;
  for (int64_t size : outputSizes) {
    Bases &bases = inverse.inputs.emplace_back();
    for (unsigned bit = 0; bit < bitsOf(size); ++bit, ++shift)
      bases.push_back(llvm::find_if(rows, [&](const Row &row) {
                        return row.coordinates == uint64_t(1) << shift;
                      })->inputs);
  }
  return inverse;
}

LinearLayout LinearLayout::operator*(const LinearLayout &other) const {
  LinearLayout result;
  unsigned outputs = std::max(getOutputCount(), other.getOutputCount());
  auto sizeOf = [](const LinearLayout &layout, unsigned output) {
    return output < layout.getOutputCount() ? layout.getOutputSize(output) : 1;
  };
  for (unsigned i = 0; i < outputs; ++i)
    result.outputSizes.push_back(sizeOf(*this, i) * sizeOf(other, i));
  for (unsigned d = 0; d < std::max(getInputCount(), other.getInputCount()); ++d) {
    Bases &bases = result.inputs.emplace_back();
    if (d < getInputCount())
      for (Coordinates basis : inputs[d]) {
        basis.resize(outputs, 0);
        bases.push_back(basis);
      }
    if (d < other.getInputCount())
      for (Coordinates basis : other.inputs[d]) {
        basis.resize(outputs, 0);
        for (unsigned i = 0; i < outputs; ++i)
          basis[i] *= sizeOf(*this, i);
        bases.push_back(basis);
      }
  }
  return result;
}
