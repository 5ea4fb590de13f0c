//===- TokenizerJson.h - Tokenizers of Hugging Face folders -----------------------------------===//
//
// tokenizer.json describes a tokenizer as a chain of components. Each component that published
// tokenizers use becomes steps and flags of the artefact's record; one that is not known, or a
// setting that is not, is refused by name.
//
//===------------------------------------------------------------------------------------------===//

#ifndef INGOT_IMPORT_TOKENIZERJSON_H
#define INGOT_IMPORT_TOKENIZERJSON_H

#include "ingot/Artifact/TokenizerWriter.h"
#include "llvm/Support/JSON.h"

namespace ingot::import {

/// The tokenizer of a parsed tokenizer.json; `file` is its name in errors.
llvm::Expected<artifact::TokenizerData> readTokenizerJson(const llvm::json::Object &json,
                                                          llvm::StringRef file);

} // namespace ingot::import

#endif // INGOT_IMPORT_TOKENIZERJSON_H
