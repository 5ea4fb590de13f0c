//===- ArtifactWriter.h - Writes model.ingot ----------------------------------------*- C++ -*-===//
//
// From the records of Format.h and a source of packed weights to a file. Weights go through in a
// stream: memory is a piece of a checksum for each thread, whatever the size of the model. The file
// appears whole or not at all (OutputFile.h). No MLIR here: PlanEncoder.h makes the records from a
// plan.
//
//===------------------------------------------------------------------------------------------===//

#ifndef INGOT_ARTIFACT_ARTIFACTWRITER_H
#define INGOT_ARTIFACT_ARTIFACTWRITER_H

#include "ingot/Artifact/Format.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include <functional>
#include <string>
#include <vector>

namespace ingot::artifact {

/// The strings of an artefact, each once.
class NameTable {
public:
  format::Name add(llvm::StringRef name);
  llvm::StringRef get(format::Name name) const {
    return llvm::StringRef(bytes).substr(name.offset, name.length);
  }
  llvm::StringRef getBytes() const { return bytes; }

private:
  std::string bytes;
  llvm::StringMap<format::Name> known;
};

/// The Plan section before it is laid out; tables in `header` are filled by the writer.
struct PlanTables {
  format::PlanHeader header = {};
  std::vector<format::BufferRecord> buffers;
  std::vector<format::WeightRecord> weights;
  std::vector<format::KernelRecord> kernels;
  std::vector<format::ReachRecord> reaches; ///< of all arguments of all kernels
  std::vector<format::ArgumentRecord> arguments;
  std::vector<format::CommandRecord> commands;
  std::vector<format::EntryRecord> entries;
  NameTable names;
};

/// One target's code: an ELF shared object for CPUs, what `layOutCudaCode` makes for GPUs.
struct KernelCode {
  std::string target; ///< as SectionEntry::target
  std::vector<char> bytes;
};

/// A CudaCodeHeader, the PTX and the cubin (none where empty) behind it.
std::vector<char> layOutCudaCode(llvm::StringRef ptx, llvm::StringRef cubin, unsigned capability,
                                 bool isExact, unsigned ptxVersion);

struct ArtifactContents {
  PlanTables plan;
  std::vector<KernelCode> kernels;
  std::vector<char> tokenizer; ///< none where empty
  std::string chatTemplate;    ///< none where empty
  std::string card;            ///< JSON
};

/// Takes the bytes of a weight from the first to the last, in pieces of any size.
using WeightSink = llvm::function_ref<llvm::Error(llvm::ArrayRef<uint8_t>)>;
/// Makes the packed bytes of weight `index` of the plan, exactly as many as its record says. Called
/// from several threads, once for each weight.
using WeightProducer = std::function<llvm::Error(size_t index, WeightSink sink)>;

struct WriteOptions {
  unsigned threads = 1;
  /// Weights repeat after so many rows, and are stored once (RepeatedWeights.h); 0: they do not.
  uint64_t repeatedRows = 0;
  /// Bytes of weights written and to write; called before the first byte, then by one thread at a
  /// time, at most once per megabyte.
  std::function<void(uint64_t done, uint64_t total)> progress;
};

/// Writes the artefact. On an error an earlier file at `path` is untouched and nothing else is
/// left.
llvm::Error writeArtifact(llvm::StringRef path, ArtifactContents contents,
                          const WeightProducer &produce, const WriteOptions &options = {});

} // namespace ingot::artifact

#endif // INGOT_ARTIFACT_ARTIFACTWRITER_H
