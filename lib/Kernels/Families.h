//===- Families.h - The list of kernel families -----------------------------------------------------===//
//
// One line a family; the body is in the file that the banner comment beside it names. Private to
// lib/Kernels.
//
//===----------------------------------------------------------------------------------------------===//

#ifndef INGOT_LIB_KERNELS_FAMILIES_H
#define INGOT_LIB_KERNELS_FAMILIES_H

#include "ingot/Kernels/Kernel.h"

namespace ingot::kernels {

// Embedding.cpp
extern const Family embeddingFamily, selectRowsFamily;
// GatherChannels.cpp
extern const Family gatherChannelsFamily;
// Norm.cpp
extern const Family rmsNormFamily, rmsNormQuantizeFamily, layerNormFamily, layerNormQuantizeFamily,
    quantizeFamily;
// Linear.cpp
extern const Family linearFamily, linearActivationFamily, linearGatedActivationFamily;
// LinearRopeAppendCache.cpp
extern const Family linearRopeAppendCacheFamily;
// Attention.cpp
extern const Family pagedAttentionFamily;
// Elementwise.cpp
extern const Family elementwiseFamily, ropeFamily, appendCacheFamily;

} // namespace ingot::kernels

#endif // INGOT_LIB_KERNELS_FAMILIES_H
