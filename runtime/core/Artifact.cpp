//===- Artifact.cpp - Reader of model.ingot ---------------------------------------------------===//
//
// Order of the checks: header, place and checksum of the section table, names, the other sections,
// their number and overlap, then the plan (PlanVerifier.cpp). Weights are only placed, never read,
// until `verifyWeights`. What sections other than Names and Plan hold is their readers' to check.
//
//===------------------------------------------------------------------------------------------===//

#include "runtime/core/Artifact.h"

#include <algorithm>
#include <cstring>

using namespace ingot;
using namespace ingot::runtime;
using format::SectionKind;

namespace {
/// More than any writer makes; keeps a bad count from costing time.
constexpr uint32_t maxSections = 1024;

unsigned long long print(uint64_t value) { return value; }

std::string_view asText(Bytes bytes) {
  return {reinterpret_cast<const char *>(bytes.data()), bytes.size()};
}
} // namespace

const char *runtime::getSectionName(SectionKind kind) {
  switch (kind) {
  case SectionKind::Names:
    return "Names";
  case SectionKind::Plan:
    return "Plan";
  case SectionKind::Kernels:
    return "Kernels";
  case SectionKind::Weights:
    return "Weights";
  case SectionKind::WeightChecksums:
    return "WeightChecksums";
  case SectionKind::Tokenizer:
    return "Tokenizer";
  case SectionKind::ChatTemplate:
    return "ChatTemplate";
  case SectionKind::Card:
    return "Card";
  case SectionKind::KernelReaches:
    return "KernelReaches";
  case SectionKind::RepeatedWeights:
    return "RepeatedWeights";
  }
  return "unknown";
}

Result<Artifact> Artifact::open(const std::string &path) {
  Result<MappedMemory> mapped = MappedMemory::mapFile(path);
  if (!mapped)
    return mapped.takeStatus();
  Result<Artifact> artifact = read(mapped->view(), path);
  if (artifact)
    artifact->mapping = std::move(*mapped);
  return artifact;
}

Result<Artifact> Artifact::read(Bytes file, std::string name) {
  Artifact artifact;
  artifact.path = std::move(name);
  artifact.file = file;
  if (reinterpret_cast<uintptr_t>(file.data()) % alignof(uint64_t))
    return INGOT_ERROR("%s: must lie at a multiple of 8 in memory", artifact.path.c_str());
  if (Status status = artifact.readSections(); !status)
    return std::move(status).withContext(artifact.path);
  if (Status status = artifact.readRepeats(); !status)
    return std::move(status).withContext(artifact.path + ": section RepeatedWeights");
  PlanSurroundings surroundings{artifact.names.size(), artifact.getWeightsBytes(),
                                artifact.getOnly(SectionKind::KernelReaches),
                                artifact.getMinorVersion() >= format::reachesMinorVersion};
  Result<Plan> plan = readPlan(artifact.getOnly(SectionKind::Plan), surroundings);
  if (!plan)
    return plan.takeStatus().withContext(artifact.path + ": section Plan");
  artifact.plan = *plan;
  return artifact;
}

uint32_t Artifact::getMinorVersion() const {
  return reinterpret_cast<const format::FileHeader *>(file.data())->minorVersion;
}

/// The table's place and checksum, then each section. Names come first because targets refer to
/// them.
Status Artifact::readSections() {
  format::FileHeader header;
  if (file.size() < sizeof(header))
    return INGOT_ERROR("%zu bytes are too few for the header of an artefact", file.size());
  std::memcpy(&header, file.data(), sizeof(header));
  if (std::memcmp(header.magic, format::magic, sizeof(header.magic)) != 0)
    return INGOT_ERROR("not an Ingot artefact: the first 8 bytes are not its magic");
  if (header.majorVersion != format::majorVersion)
    return INGOT_ERROR(
        "format version %u is %s than the %u of this program; %s", header.majorVersion,
        header.majorVersion > format::majorVersion ? "newer" : "older", format::majorVersion,
        header.majorVersion > format::majorVersion ? "update ingot" : "compile the model again");
  if (header.fileBytes != file.size())
    return INGOT_ERROR("the header says %llu bytes, the file has %zu: it was cut or extended",
                       print(header.fileBytes), file.size());
  if (header.sectionCount > maxSections)
    return INGOT_ERROR("%u sections are more than the limit of %u", header.sectionCount,
                       maxSections);
  uint64_t tableEnd = sizeof(header) + header.sectionCount * sizeof(format::SectionEntry);
  if (tableEnd > file.size())
    return INGOT_ERROR("the table of %u sections ends at %llu, past the file's %zu bytes",
                       header.sectionCount, print(tableEnd), file.size());
  // The checksum's own field stands between the two parts it covers.
  std::vector<std::byte> covered(file.begin(),
                                 file.begin() + offsetof(format::FileHeader, tableChecksum));
  covered.insert(covered.end(), file.begin() + sizeof(header), file.begin() + tableEnd);
  if (computeChecksum(covered) != header.tableChecksum)
    return INGOT_ERROR("the checksum of header and section table does not match");

  std::span table(reinterpret_cast<const format::SectionEntry *>(file.data() + sizeof(header)),
                  header.sectionCount);
  for (bool namesTurn : {true, false})
    for (uint64_t i = 0; i < table.size(); ++i)
      if ((table[i].kind == uint32_t(SectionKind::Names)) == namesTurn)
        INGOT_RETURN_IF_ERROR(readSection(table[i], i, tableEnd));
  return checkSectionSet();
}

Status Artifact::readSection(const format::SectionEntry &entry, uint64_t index, uint64_t tableEnd) {
  SectionKind kind = SectionKind(entry.kind);
  std::string label = formatText("section %llu (%s)", print(index), getSectionName(kind));
  if (entry.reserved)
    return INGOT_ERROR("%s: reserved field is %u, not 0", label.c_str(), entry.reserved);
  if (entry.offset % format::sectionAlignment)
    return INGOT_ERROR("%s: offset %llu is not a multiple of %llu", label.c_str(),
                       print(entry.offset), print(format::sectionAlignment));
  if (entry.offset < tableEnd || entry.offset > file.size() ||
      entry.bytes > file.size() - entry.offset)
    return INGOT_ERROR(
        "%s: %llu bytes at %llu do not lie between the section table and the end at %zu",
        label.c_str(), print(entry.bytes), print(entry.offset), file.size());
  Section section{kind, {}, entry.offset, file.subspan(entry.offset, entry.bytes), entry.checksum};
  if (kind != SectionKind::Weights && computeChecksum(section.bytes) != entry.checksum)
    return INGOT_ERROR("%s: checksum does not match", label.c_str());
  if (kind == SectionKind::Names) {
    if (names.data())
      return INGOT_ERROR("%s: a second one", label.c_str());
    names = asText(section.bytes);
  }
  if (kind == SectionKind::Weights)
    weights = section.bytes;
  if (entry.target.offset > names.size() ||
      entry.target.length > names.size() - entry.target.offset)
    return INGOT_ERROR("%s: target name ends at %llu, past the %zu bytes of names", label.c_str(),
                       print(uint64_t(entry.target.offset) + entry.target.length), names.size());
  section.target = getName(entry.target);
  sections.push_back(section);
  return Status::success();
}

/// Sections do not overlap, and there are as many of each kind as there must be.
Status Artifact::checkSectionSet() {
  // An empty section may lie where the next one begins.
  std::sort(sections.begin(), sections.end(), [](const Section &a, const Section &b) {
    return std::pair(a.offset, a.bytes.size()) < std::pair(b.offset, b.bytes.size());
  });
  for (size_t i = 1; i < sections.size(); ++i)
    if (sections[i - 1].offset + sections[i - 1].bytes.size() > sections[i].offset)
      return INGOT_ERROR("section %s at %llu overlaps section %s at %llu",
                         getSectionName(sections[i - 1].kind), print(sections[i - 1].offset),
                         getSectionName(sections[i].kind), print(sections[i].offset));
  for (uint32_t kind = uint32_t(SectionKind::Names); kind <= uint32_t(SectionKind::RepeatedWeights);
       ++kind) {
    uint64_t count = std::count_if(sections.begin(), sections.end(), [&](const Section &section) {
      return section.kind == SectionKind(kind);
    });
    bool required = kind <= uint32_t(SectionKind::WeightChecksums) ||
                    (kind == uint32_t(SectionKind::KernelReaches) &&
                     getMinorVersion() >= format::reachesMinorVersion);
    bool several = kind == uint32_t(SectionKind::Kernels);
    if ((required && count == 0) || (!several && count > 1))
      return INGOT_ERROR("expected %s %s section, got %llu", several ? "at least one" : "one",
                         getSectionName(SectionKind(kind)), print(count));
  }
  uint64_t sums = getOnly(SectionKind::WeightChecksums).size();
  uint64_t pieces =
      weights.size() / format::checksumPiece + (weights.size() % format::checksumPiece != 0);
  if (sums != pieces * sizeof(uint64_t))
    return INGOT_ERROR("section WeightChecksums has %llu bytes, %llu weight pieces need %llu",
                       print(sums), print(pieces), print(pieces * sizeof(uint64_t)));
  return Status::success();
}

/// Runs lie in the weights one after the other, and take what they repeat from the section Weights.
Status Artifact::readRepeats() {
  constexpr uint64_t maxBytes = uint64_t(1) << 46;
  Bytes section = getOnly(SectionKind::RepeatedWeights);
  if (section.empty())
    return Status::success();
  auto isInside = [](uint64_t offset, uint64_t bytes, uint64_t limit) {
    return offset <= limit && bytes <= limit - offset;
  };
  if (section.size() < sizeof(format::RepeatHeader))
    return INGOT_ERROR("%zu bytes are too few for its header", section.size());
  auto *header = reinterpret_cast<const format::RepeatHeader *>(section.data());
  if (header->bytes > maxBytes)
    return INGOT_ERROR("%llu bytes of weights are more than the limit of %llu",
                       print(header->bytes), print(maxBytes));
  if (header->runs.offset % alignof(uint64_t) ||
      header->runs.count > section.size() / sizeof(format::RepeatRun) ||
      !isInside(header->runs.offset, header->runs.count * sizeof(format::RepeatRun),
                section.size()))
    return INGOT_ERROR("%llu runs at %llu end past its %zu bytes", print(header->runs.count),
                       print(header->runs.offset), section.size());
  std::span table(reinterpret_cast<const format::RepeatRun *>(section.data() + header->runs.offset),
                  header->runs.count);
  uint64_t end = 0;
  for (uint64_t i = 0; i < table.size(); ++i) {
    const format::RepeatRun &run = table[i];
    if (run.offset < end || !isInside(run.offset, run.bytes, header->bytes))
      return INGOT_ERROR("run %llu: %llu bytes at %llu do not lie between %llu and %llu", print(i),
                         print(run.bytes), print(run.offset), print(end), print(header->bytes));
    if (!run.period || !isInside(run.source, run.period, weights.size()))
      return INGOT_ERROR("run %llu: %llu bytes at %llu do not lie in the %zu bytes of weights",
                         print(i), print(run.period), print(run.source), weights.size());
    end = run.offset + run.bytes;
  }
  repeats = header;
  runs = table;
  return Status::success();
}

void Artifact::copyWeights(uint64_t offset, std::span<std::byte> to) const {
  if (!repeats) {
    std::memcpy(to.data(), weights.data() + offset, to.size());
    return;
  }
  std::memset(to.data(), 0, to.size());
  auto run = std::upper_bound(
      runs.begin(), runs.end(), offset,
      [](uint64_t value, const format::RepeatRun &candidate) { return value < candidate.offset; });
  if (run != runs.begin())
    --run; // may end before `offset`
  uint64_t end = offset + to.size();
  for (; run != runs.end() && run->offset < end; ++run) {
    uint64_t at = std::max(run->offset, offset);
    while (at < std::min(run->offset + run->bytes, end)) {
      uint64_t inPeriod = (at - run->offset) % run->period;
      uint64_t bytes = std::min({run->period - inPeriod, run->offset + run->bytes - at, end - at});
      std::memcpy(to.data() + (at - offset), weights.data() + run->source + inPeriod, bytes);
      at += bytes;
    }
  }
}

Bytes Artifact::getOnly(SectionKind kind) const {
  for (const Section &section : sections)
    if (section.kind == kind)
      return section.bytes;
  return {};
}

std::string_view Artifact::getChatTemplate() const {
  return asText(getOnly(SectionKind::ChatTemplate));
}

std::string_view Artifact::getCard() const { return asText(getOnly(SectionKind::Card)); }

Status Artifact::verifyWeights() const {
  Bytes sums = getOnly(SectionKind::WeightChecksums);
  for (uint64_t offset = 0, piece = 0; offset < weights.size();
       offset += format::checksumPiece, ++piece) {
    uint64_t bytes = std::min<uint64_t>(format::checksumPiece, weights.size() - offset);
    uint64_t expected;
    std::memcpy(&expected, sums.data() + piece * sizeof(expected), sizeof(expected));
    if (computeChecksum(weights.subspan(offset, bytes)) == expected)
      continue;
    auto inside = [&](const format::WeightRecord &weight) {
      return !repeats && weight.offset < offset + bytes && weight.offset + weight.bytes > offset;
    };
    auto first = std::find_if(plan.weights.begin(), plan.weights.end(), inside);
    std::string_view owner = repeats                       ? "repeated rows"
                             : first == plan.weights.end() ? "padding"
                                                           : getName(first->name);
    return INGOT_ERROR(
        "%s: section Weights: checksum of piece %llu (bytes %llu to %llu, from '%.*s' on) "
        "does not match",
        path.c_str(), print(piece), print(offset), print(offset + bytes), int(owner.size()),
        owner.data());
  }
  return Status::success();
}
