//===- HuggingFace.h - Folders of config.json, safetensors and tokenizer files ----------------===//
//
// What the entry points of import share.
//
//===------------------------------------------------------------------------------------------===//

#ifndef INGOT_LIB_IMPORT_HUGGINGFACE_H
#define INGOT_LIB_IMPORT_HUGGINGFACE_H

#include "Architectures/Architectures.h"
#include "ingot/Import/Import.h"

namespace ingot::import {

/// Imports a folder, or its config.json.
llvm::FailureOr<ImportedModel> importHuggingFace(llvm::StringRef path, mlir::MLIRContext *context,
                                                 const ImportOptions &options);

/// Adds the tokenizer, the chat template and the stop tokens of a folder, where it has them.
llvm::Error readFolderText(llvm::StringRef folder, const llvm::json::Object &config,
                           ImportedModel &model);

/// Adds how a folder of sentence-transformers makes a vector of a text, where it is one.
llvm::Error readFolderPooling(llvm::StringRef folder, ImportedModel &model);

void loadImportDialects(mlir::MLIRContext *context);

/// The family that spells its name so; reports the known ones and the nearest where there is none.
const Architecture *findArchitecture(llvm::StringRef name,
                                     llvm::StringLiteral Architecture::*spelling,
                                     llvm::StringRef what, ModelBuilder &model);

/// Builds the program of an architecture and takes it with its weights.
llvm::FailureOr<ImportedModel> finishModel(Parameters &parameters, const Architecture &architecture,
                                           ModelBuilder &model);

} // namespace ingot::import

#endif // INGOT_LIB_IMPORT_HUGGINGFACE_H
