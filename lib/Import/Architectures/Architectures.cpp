//===- Architectures.cpp - The list of model families -----------------------------------------===//
//
// What can be imported.
//
//===------------------------------------------------------------------------------------------===//

#include "Architectures.h"

using namespace ingot;
using namespace ingot::import;

static constexpr const Architecture *table[] = {&bert,    &distilBert, &gemma2,  &gemma3,    &gpt2,
                                                &gptNeoX, &llama,      &mistral, &olmo2,     &phi3,
                                                &qwen2,   &qwen3,      &roberta, &xlmRoberta};

llvm::ArrayRef<const Architecture *> ingot::import::architectures() { return table; }
