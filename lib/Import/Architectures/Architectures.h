//===- Architectures.h - The model families that can be imported ------------------------------===//
//
// One file a family beside this one; each has one line here and one in the list of
// Architectures.cpp. A family reads its hyper-parameters, names the weights of a layer and writes
// the layer's body; adding one touches nothing else.
//
//===------------------------------------------------------------------------------------------===//

#ifndef INGOT_LIB_IMPORT_ARCHITECTURES_H
#define INGOT_LIB_IMPORT_ARCHITECTURES_H

#include "../GgufParameters.h"
#include "../ModelBuilder.h"

namespace ingot::import {

/// Builds the dense program of a GGUF file; errors are reported by `model`.
using ImportFunction = void (*)(GgufParameters &parameters, ModelBuilder &model);

struct Architecture {
  llvm::StringLiteral name; ///< value of GGUF's `general.architecture`
  ImportFunction importGguf;
};

/// All families, by name.
llvm::ArrayRef<Architecture> architectures();

void importLlama(GgufParameters &parameters, ModelBuilder &model);

} // namespace ingot::import

#endif // INGOT_LIB_IMPORT_ARCHITECTURES_H
