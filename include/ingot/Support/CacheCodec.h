//===- CacheCodec.h - Numbers of a cache as integers with a scale ---------------------------------===//
//
// What a cache of codes stores of a group of neighbouring channels. With e the number of largest
// magnitude, the positive one of two, and n bits,
//
//     scale = f16(e / -2^(n-1))    code = clamp(round(x / scale), -2^(n-1), 2^(n-1) - 1)
//
// halves to even, by float32 operations in the order of the code below: kernels have the same bits.
// So e is code -2^(n-1) itself, and numbers that were stored once are stored as they are.
//
//===----------------------------------------------------------------------------------------------===//

#ifndef INGOT_SUPPORT_CACHECODEC_H
#define INGOT_SUPPORT_CACHECODEC_H

#include "llvm/ADT/ArrayRef.h"
#include <cstdint>

namespace ingot {

/// The codes of a group's numbers; returns the scale, in the bits of an f16.
uint16_t encodeCacheGroup(llvm::ArrayRef<float> numbers, unsigned bits,
                          llvm::MutableArrayRef<int8_t> codes);

/// The number that a code is.
float decodeCacheCode(int8_t code, uint16_t scale);

} // namespace ingot

#endif // INGOT_SUPPORT_CACHECODEC_H
