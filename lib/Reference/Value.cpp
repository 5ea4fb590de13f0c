//===- Value.cpp - What values of the IR are while the reference runs -------------------------===//
//
// See Value.h.
//
//===------------------------------------------------------------------------------------------===//

#include "ingot/Reference/Value.h"
#include "llvm/ADT/STLExtras.h"
#include <cassert>

using namespace ingot;
using namespace ingot::reference;

int64_t reference::countElements(llvm::ArrayRef<int64_t> shape) {
  int64_t count = 1;
  for (int64_t size : shape)
    count *= size;
  return count;
}

Scalar Tensor::at(int64_t index) const {
  if (holds<float>())
    return Scalar::ofFloat(floats()[index]);
  return visit([&](auto elements) { return Scalar::ofInteger(int64_t(elements[index])); });
}

Tensor Tensor::gathered(llvm::ArrayRef<int64_t> shape,
                        llvm::function_ref<int64_t(int64_t)> source) const {
  return visit([&]<typename T>(llvm::ArrayRef<T> elements) {
    std::vector<T> result(countElements(shape));
    for (size_t index = 0; index < result.size(); ++index)
      result[index] = elements[source(index)];
    return Tensor(shape, std::move(result));
  });
}

bool Tensor::canHold(mlir::Type type) {
  return type.isF32() || type.isIndex() || type.isInteger(1) || type.isInteger(8) ||
         type.isInteger(16) || type.isInteger(32) || type.isInteger(64);
}

template <typename T>
static Tensor generateAs(llvm::ArrayRef<int64_t> shape,
                         llvm::function_ref<Scalar(int64_t)> element) {
  std::vector<T> result(countElements(shape));
  for (size_t index = 0; index < result.size(); ++index) {
    Scalar scalar = element(index);
    result[index] = std::is_same_v<T, float> ? T(scalar.number) : T(scalar.integer);
  }
  return Tensor(shape, std::move(result));
}

Tensor Tensor::generate(llvm::ArrayRef<int64_t> shape, mlir::Type type,
                        llvm::function_ref<Scalar(int64_t)> element) {
  if (type.isF32())
    return generateAs<float>(shape, element);
  if (type.isInteger(1))
    return generateAs<uint8_t>(shape, element);
  if (type.isInteger(8))
    return generateAs<int8_t>(shape, element);
  if (type.isInteger(16))
    return generateAs<int16_t>(shape, element);
  if (type.isInteger(32))
    return generateAs<int32_t>(shape, element);
  return generateAs<int64_t>(shape, element);
}

Tensor Tensor::reshaped(llvm::ArrayRef<int64_t> shape) const {
  assert(countElements(shape) == size());
  Tensor result = *this;
  result.dims = Shape(shape);
  return result;
}

Cache::Cache(transformer::KVCacheType type)
    : type(type), layers(type.getLayers(), std::make_shared<const Layer>()) {}
