//===- Value.h - What values of the IR are while the reference runs ---------------------------===//
//
// One plain class a type: a tensor is its numbers in row-major order, a scalar a number, a weight
// its name (bytes stay in the weight store), a ragged batch a list of (sequence, position), a cache
// the keys and values of each layer and position. All have value semantics: copying is cheap, what
// is shared is never changed.
//
// Numbers: f32, and integers of up to 64 bits, i1 included. Nothing here knows pages: they are a
// matter of memory, not of meaning.
//
//===------------------------------------------------------------------------------------------===//

#ifndef INGOT_REFERENCE_VALUE_H
#define INGOT_REFERENCE_VALUE_H

#include "dialects/Transformer/Transformer.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/SmallVector.h"
#include <map>
#include <memory>
#include <variant>
#include <vector>

namespace ingot::reference {

using Shape = llvm::SmallVector<int64_t>;

/// Number of elements of a shape.
int64_t countElements(llvm::ArrayRef<int64_t> shape);

/// A number: an f32 or an integer.
struct Scalar {
  Scalar() = default;
  static Scalar ofFloat(double value) { return {value, 0}; }
  static Scalar ofInteger(int64_t value) { return {0, value}; }
  double number = 0;   ///< of an f32; kept rounded to it
  int64_t integer = 0; ///< of an integer or index; i1 is 0 or 1

private:
  Scalar(double number, int64_t integer) : number(number), integer(integer) {}
};

/// A tensor of float (f32), uint8_t (i1), int8_t, int16_t, int32_t or int64_t (i64 and index).
class Tensor {
public:
  using Storage = std::variant<std::vector<float>, std::vector<uint8_t>, std::vector<int8_t>,
                               std::vector<int16_t>, std::vector<int32_t>, std::vector<int64_t>>;

  template <typename T>
  Tensor(llvm::ArrayRef<int64_t> shape, std::vector<T> elements)
      : dims(shape), storage(std::make_shared<const Storage>(std::move(elements))) {}

  llvm::ArrayRef<int64_t> shape() const { return dims; }
  int64_t rank() const { return dims.size(); }
  int64_t dim(int64_t index) const { return dims[index]; }
  int64_t size() const { return countElements(dims); }
  /// Elements of all dimensions but the last.
  int64_t rows() const { return countElements(shape().drop_back()); }

  template <typename T> bool holds() const {
    return std::holds_alternative<std::vector<T>>(*storage);
  }
  template <typename T> llvm::ArrayRef<T> elements() const {
    return std::get<std::vector<T>>(*storage);
  }
  llvm::ArrayRef<float> floats() const { return elements<float>(); }
  llvm::ArrayRef<int32_t> ids() const { return elements<int32_t>(); }
  /// Calls `function` with the elements as an ArrayRef of their type.
  template <typename Function> auto visit(Function function) const {
    return std::visit(
        [&]<typename T>(const std::vector<T> &elements) {
          return function(llvm::ArrayRef(elements));
        },
        *storage);
  }
  /// The element at a linear index, whatever its type.
  Scalar at(int64_t index) const;

  /// A tensor of these dimensions whose element i is the element `source(i)` of this one.
  Tensor gathered(llvm::ArrayRef<int64_t> shape, llvm::function_ref<int64_t(int64_t)> source) const;
  /// A tensor of a builtin element type whose element i is `element(i)`, rounded to the type. The
  /// type must be one that a tensor can hold.
  static Tensor generate(llvm::ArrayRef<int64_t> shape, mlir::Type type,
                         llvm::function_ref<Scalar(int64_t)> element);
  /// Whether tensors of this element type can be held.
  static bool canHold(mlir::Type type);
  /// The same elements with other dimensions.
  Tensor reshaped(llvm::ArrayRef<int64_t> shape) const;

private:
  Shape dims;
  std::shared_ptr<const Storage> storage;
};

/// Weights stacked by rows, by name; one name but after `concat_weights`. `ropeTable` has none.
struct Weight {
  struct Part {
    std::string name;
    transformer::WeightType type;
  };
  std::vector<Part> parts;
  transformer::WeightType type;
};

/// T packed tokens: for each the sequence and the position in it.
struct Ragged {
  std::vector<int32_t> sequences, positions;
  int64_t tokens() const { return positions.size(); }
};

/// Keys and values of a group of layers, as numbers already rounded to the cache's format.
class Cache {
public:
  struct Entry {
    std::vector<float> key, value; ///< [N, D]
  };
  /// Entries of one layer by (sequence, position).
  using Layer = std::map<std::pair<int32_t, int32_t>, Entry>;

  explicit Cache(transformer::KVCacheType type);
  transformer::KVCacheType type;
  std::vector<std::shared_ptr<const Layer>> layers;
};

/// What one value of the IR is.
using Datum = std::variant<Tensor, Scalar, Weight, Ragged, Cache>;

} // namespace ingot::reference

#endif // INGOT_REFERENCE_VALUE_H
