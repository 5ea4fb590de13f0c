//===- RepeatedWeights.h - Equal parts of weights, stored once ----------------------*- C++ -*-===//
//
// Random weights, made up to measure an architecture, repeat after some rows and from layer to
// layer (RandomWeightStore), in whatever order a packing puts them. So their packed bytes are cut
// into chunks of that many rows, and each different chunk is stored once: an artefact of 16 GB of
// weights has some 10 MB of them. The runtime writes them out (format::RepeatHeader).
//
//===------------------------------------------------------------------------------------------===//

#ifndef INGOT_ARTIFACT_REPEATEDWEIGHTS_H
#define INGOT_ARTIFACT_REPEATEDWEIGHTS_H

#include "ingot/Artifact/ArtifactWriter.h"

namespace ingot::artifact {

struct RepeatedWeights {
  std::vector<uint8_t> weights; ///< the section Weights: each different chunk once
  std::vector<uint8_t> runs;    ///< the section RepeatedWeights
};

/// Packs all weights, keeps what is new. Chunks are the bytes of `options.repeatedRows` rows; a
/// weight whose bytes do not divide so is one chunk. The result does not depend on the number of
/// threads.
llvm::Expected<RepeatedWeights> collectRepeatedWeights(const PlanTables &plan,
                                                       const WeightProducer &produce,
                                                       const WriteOptions &options);

} // namespace ingot::artifact

#endif // INGOT_ARTIFACT_REPEATEDWEIGHTS_H
