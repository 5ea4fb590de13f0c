//===- Kernel.cpp - The list of kernel families -----------------------------------------------------===//

#include "ingot/Kernels/Kernel.h"
#include "Families.h"

using namespace ingot;
using namespace ingot::kernels;

llvm::ArrayRef<Family> kernels::kernelFamilies() {
  static const Family families[] = {
      embeddingFamily,
      selectRowsFamily,
      rmsNormFamily,
      rmsNormQuantizeFamily,
      layerNormFamily,
      layerNormQuantizeFamily,
      quantizeFamily,
      gatherChannelsFamily,
      linearFamily,
      linearActivationFamily,
      linearGatedActivationFamily,
      linearRopeAppendCacheFamily,
      pagedAttentionFamily,
      ropeFamily,
      elementwiseFamily,
      appendCacheFamily,
  };
  return families;
}

const Family *kernels::lookupFamily(llvm::StringRef name) {
  for (const Family &family : kernelFamilies())
    if (family.name == name)
      return &family;
  return nullptr;
}
