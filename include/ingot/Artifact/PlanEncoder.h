//===- PlanEncoder.h - A plan as the records of the artefact ------------------------*- C++ -*-===//
//
// The plan dialect mirrors Format.h, so this is a walk: every op becomes its record. What the
// records may hold is proven by the dialect's verifier; `program` must have passed it.
//
//===------------------------------------------------------------------------------------------===//

#ifndef INGOT_ARTIFACT_PLANENCODER_H
#define INGOT_ARTIFACT_PLANENCODER_H

#include "dialects/Plan/Plan.h"
#include "ingot/Artifact/ArtifactWriter.h"
#include "ingot/Artifact/Card.h"

namespace ingot::artifact {

PlanTables encodePlan(plan::ProgramOp program);

} // namespace ingot::artifact

#endif // INGOT_ARTIFACT_PLANENCODER_H
