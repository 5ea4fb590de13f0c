//===- Architectures.cpp - The list of model families -----------------------------------------===//
//
// What can be imported, under the names that GGUF files give.
//
//===------------------------------------------------------------------------------------------===//

#include "Architectures.h"

using namespace ingot;
using namespace ingot::import;

static constexpr Architecture table[] = {
    {"llama", importLlama},
};

llvm::ArrayRef<Architecture> ingot::import::architectures() { return table; }
