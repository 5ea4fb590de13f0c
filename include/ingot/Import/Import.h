//===- Import.h - From a checkpoint to the dense program --------------------------------------===//
//
// An importer makes the plain whole-sequence program of the paper: nothing fused, no cache, one
// function for each distinct layer, weights as names. With it come what else the file holds: the
// bytes of the weights (lazily, through the store), the tokenizer and the chat template.
//
// The entry is
//
//   @main(tokens [B, S], positions [B, S], lengths [B], rows [R]) -> logits [R, V]
//
// where `rows` are indices b * S + s of the slots whose logits are wanted. The module's attribute
// `transformer.model` holds the hyper-parameters: `architecture`, and for decoders `layers`,
// `width`, `feed_forward`, `heads`, `kv_heads`, `head_dim`, `vocabulary`, `context`,
// `norm_epsilon`, `rope_base`, `rope_dims`; for encoders, whose entry gives rows of their last
// hidden state in place of logits, `kind` is "encoder".
//
//===------------------------------------------------------------------------------------------===//

#ifndef INGOT_IMPORT_IMPORT_H
#define INGOT_IMPORT_IMPORT_H

#include "ingot/Artifact/TokenizerWriter.h"
#include "ingot/Import/Gguf.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/DialectRegistry.h"
#include "mlir/IR/OwningOpRef.h"
#include "llvm/Support/JSON.h"

namespace ingot::import {

struct ImportOptions {
  int64_t context = 0; ///< tokens of a sequence that the user asked for; 0: no wish
  std::optional<uint64_t> randomSeed = {}; ///< weights are made up, and need not be there
  std::string weightFormat = {}; ///< of made-up matrices; empty: what the configuration says
  std::string adapter = {};      ///< a folder with a low-rank adapter; empty: none
};

struct ImportedModel {
  mlir::OwningOpRef<mlir::ModuleOp> module;
  std::shared_ptr<const WeightStore> weights; ///< by the `source` of the module's weights
  std::optional<artifact::TokenizerData> tokenizer;
  std::string chatTemplate;       ///< empty where the checkpoint has none
  llvm::json::Object sampling;    ///< temperature, top_k, ... that it wants by default
  llvm::json::Object embedding;   ///< pooling, normalize, max_tokens: how a vector is made of rows
  std::string name;               ///< what the checkpoint calls itself
  std::vector<std::string> files; ///< what was read
};

/// Makes the dialects of imported programs known.
void registerImportDialects(mlir::DialectRegistry &registry);

/// Imports a source: a .gguf file, a Hugging Face folder, or with random weights a config.json
/// alone. Errors are diagnostics of `context`, one sentence that names the file.
llvm::FailureOr<ImportedModel> importModel(llvm::StringRef path, mlir::MLIRContext *context,
                                           const ImportOptions &options = {});

/// The program and the weights alone, from an open file.
llvm::FailureOr<ImportedModel> importGgufProgram(std::shared_ptr<const GgufFile> file,
                                                 mlir::MLIRContext *context,
                                                 const ImportOptions &options = {});

/// The tokenizer that a GGUF file describes; none where it has none. Values of wrong types and
/// kinds that are not supported are errors.
llvm::Expected<std::optional<artifact::TokenizerData>> readGgufTokenizer(const GgufFile &file);

} // namespace ingot::import

#endif // INGOT_IMPORT_IMPORT_H
