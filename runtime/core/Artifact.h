//===- Artifact.h - Reader of model.ingot -----------------------------------------------------===//
//
// Opens an artefact by mapping it, and believes nothing in it: every offset, count, table and name
// is checked, and every checksum but that of the weights, before anything is handed out. What an
// opened artefact returns is therefore safe to index without further tests. The weights are not
// read (opening 16 GB must not read 16 GB): `verifyWeights` does that when asked. All views point
// into the mapping and live as long as the Artifact.
//
// The checks detect corruption. They do not authenticate: an artefact's code runs with the user's
// rights.
//
//===------------------------------------------------------------------------------------------===//

#ifndef INGOT_RUNTIME_CORE_ARTIFACT_H
#define INGOT_RUNTIME_CORE_ARTIFACT_H

#include "ingot/Artifact/Format.h"
#include "runtime/core/Memory.h"
#include "runtime/core/Status.h"

#include <string>
#include <string_view>
#include <vector>

namespace ingot::runtime {

/// The tables of the Plan section, in place.
struct Plan {
  const format::PlanHeader *header = nullptr;
  std::span<const format::BufferRecord> buffers;
  std::span<const format::WeightRecord> weights;
  std::span<const format::KernelRecord> kernels;
  std::span<const format::ReachRecord> reaches; ///< empty where an older writer did not say
  std::span<const format::ArgumentRecord> arguments;
  std::span<const format::CommandRecord> commands;
  std::span<const format::EntryRecord> entries;
};

struct Section {
  format::SectionKind kind;
  std::string_view target; ///< Kernels only
  uint64_t offset;         ///< in the file
  Bytes bytes;
  uint64_t checksum;
};

/// The word for a kind in messages and in `ingot inspect`; "unknown" for kinds of newer writers.
const char *getSectionName(format::SectionKind kind);

class Artifact {
public:
  static Result<Artifact> open(const std::string &path);
  /// Reads an artefact that lies in memory that the caller keeps, aligned to 8 bytes.
  static Result<Artifact> read(Bytes file, std::string name);

  const std::string &getPath() const { return path; }
  uint64_t getFileBytes() const { return file.size(); }
  uint32_t getMinorVersion() const;
  std::span<const Section> getSections() const { return sections; }
  const Plan &getPlan() const { return plan; }
  /// As they lie in the file. Where `hasRepeats`, kernels see `getWeightsBytes` bytes that
  /// `copyWeights` makes of them.
  Bytes getWeights() const { return weights; }
  bool hasRepeats() const { return repeats; }
  uint64_t getWeightsBytes() const { return repeats ? repeats->bytes : weights.size(); }
  /// Bytes from `offset` on as kernels see them.
  void copyWeights(uint64_t offset, std::span<std::byte> to) const;
  /// Empty when the artefact has no section of that kind.
  Bytes getTokenizer() const { return getOnly(format::SectionKind::Tokenizer); }
  std::string_view getChatTemplate() const;
  std::string_view getCard() const;
  std::string_view getName(format::Name name) const {
    return names.substr(name.offset, name.length);
  }

  /// Says that a device has a copy of some of the weights: their pages of the file leave this
  /// process, so that it never holds all weights twice. Not where others repeat them.
  void releaseWeights(uint64_t offset, uint64_t bytes) const {
    if (mapping.data() && !repeats)
      mapping.forgetFilePages(weights.subspan(offset, bytes));
  }
  /// Reads all weights and compares their checksums.
  Status verifyWeights() const;

private:
  Status readSections();
  Status readSection(const format::SectionEntry &entry, uint64_t index, uint64_t tableEnd);
  Status checkSectionSet();
  Status readRepeats();
  Bytes getOnly(format::SectionKind kind) const;

  std::string path;
  MappedMemory mapping; ///< empty when the bytes are the caller's
  Bytes file;
  std::vector<Section> sections;
  std::string_view names;
  Bytes weights;
  const format::RepeatHeader *repeats = nullptr; ///< null: the weights lie in the file as they are
  std::span<const format::RepeatRun> runs;
  Plan plan;
};

/// What the plan is checked against.
struct PlanSurroundings {
  uint64_t namesBytes;
  uint64_t weightsBytes;
  Bytes reaches = {}; ///< the KernelReaches section
  bool hasReaches = false;
};

/// Items, 4 bytes each, of an array of the step descriptor.
uint64_t getInputItems(const format::PlanHeader &header, format::Input input);
/// Bytes from an argument's address on that its kernel may touch, in the largest step.
uint64_t evaluateReach(const format::PlanHeader &header, const format::ReachRecord &reach);

/// Finds the tables of a Plan section and proves that following them stays inside every space; see
/// PlanVerifier.cpp.
Result<Plan> readPlan(Bytes section, const PlanSurroundings &surroundings);

} // namespace ingot::runtime

#endif // INGOT_RUNTIME_CORE_ARTIFACT_H
