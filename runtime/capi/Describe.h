//===- Describe.h - An artefact as JSON ---------------------------------------------------------===//
//
// What `ingot inspect` shows: version, sections, limits, memory, and on request every record of the
// plan. The names of the keys are those of Format.h.
//
//===----------------------------------------------------------------------------------------------===//

#ifndef INGOT_RUNTIME_CORE_DESCRIBE_H
#define INGOT_RUNTIME_CORE_DESCRIBE_H

#include "runtime/core/Artifact.h"

namespace ingot::runtime {

std::string describeArtifact(const Artifact &artifact, bool withPlan);

} // namespace ingot::runtime

#endif // INGOT_RUNTIME_CORE_DESCRIBE_H
