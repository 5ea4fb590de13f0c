//===- Card.h - Where an artefact comes from and what is in it ----------------------*- C++ -*-===//
//
// The JSON that an artefact carries for people and tools: the model's hyper-parameters, the files
// it was made from with their hashes, the options, the compiler, what the passes reported, the
// weights by format, the memory of the largest step. The runtime does not need it.
//
//===------------------------------------------------------------------------------------------===//

#ifndef INGOT_ARTIFACT_CARD_H
#define INGOT_ARTIFACT_CARD_H

#include "dialects/Plan/Plan.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/JSON.h"
#include <string>
#include <vector>

namespace ingot::artifact {

/// A file that the model was made from.
struct CardSource {
  std::string file; ///< as it was named
  std::string name; ///< what the file calls the model
  std::string sha256;
  uint64_t bytes = 0;
};

struct CardRemark {
  std::string kind; ///< passed, missed, analysis or failed
  std::string stage;
  std::string text;
};

/// What the assembler of a GPU's toolkit says of a kernel.
struct CardKernel {
  std::string target, name;
  uint64_t registers = 0, sharedBytes = 0, spillBytes = 0;
};

struct CardData {
  std::string compiler; ///< "ingot 0.1.0"
  std::vector<CardSource> sources;
  std::vector<std::string> targets;
  llvm::json::Object recipe; ///< the options that decided what was made
  std::vector<CardRemark> remarks;
  std::vector<CardKernel> kernels; ///< none where nothing is known of them
  llvm::json::Object speed;        ///< as the cost model predicts it; empty: nothing
  llvm::json::Object tuning;       ///< what was measured on the machine; empty: not asked for
  llvm::json::Object sampling;     ///< what the checkpoint wants by default; empty: nothing
  llvm::json::Object embedding;    ///< how an encoder's vector is made of its rows; empty: unsaid
};

/// Reads a file once for its size and SHA-256; memory does not depend on its size.
llvm::Expected<CardSource> describeSource(llvm::StringRef path, llvm::StringRef name);

/// The memory of the largest step: arena, cache and weights in bytes, buffers with lifetimes.
llvm::json::Object describeMemory(plan::ProgramOp program);

/// The card of `program`; hyper-parameters are the `transformer.model` attribute of its module.
std::string writeCard(plan::ProgramOp program, const CardData &data);

} // namespace ingot::artifact

#endif // INGOT_ARTIFACT_CARD_H
