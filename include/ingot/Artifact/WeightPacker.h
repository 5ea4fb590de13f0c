//===- WeightPacker.h - From the bytes of a checkpoint to those of the artefact -----*- C++ -*-===//
//
// Makes the bytes that a `plan.weight` stands for: rows of its sources from the weight store, or
// generated content, in the order that its packing says. Holds some rows at a time.
//
//===------------------------------------------------------------------------------------------===//

#ifndef INGOT_ARTIFACT_WEIGHTPACKER_H
#define INGOT_ARTIFACT_WEIGHTPACKER_H

#include "dialects/Plan/Plan.h"
#include "ingot/Artifact/ArtifactWriter.h"
#include "ingot/Support/WeightStore.h"

namespace ingot::artifact {

/// Streams the packed bytes of `weight` into `sink`.
llvm::Error packWeight(plan::WeightOp weight, const WeightStore &store, WeightSink sink);

/// The producer for all weights of `program`, in the order of `encodePlan`. Reads IR from several
/// threads, changes nothing. `store` and the program must outlive it.
WeightProducer makeWeightProducer(plan::ProgramOp program, const WeightStore &store);

/// Row `position` of a rope table: cosines of the `row.size() / 2` angles, then their sines.
/// Frequencies and angles are rounded to float32; `factors` is empty or one for each frequency.
void fillRopeRow(double base, llvm::ArrayRef<float> factors, int64_t position,
                 llvm::MutableArrayRef<float> row);

} // namespace ingot::artifact

#endif // INGOT_ARTIFACT_WEIGHTPACKER_H
