//===- ArtifactBuilder.h - Artefacts in memory, for tests -------------------------------------===//
//
// A second, smaller writer of the format: the tests of the reader must not depend on the compiler.
// `edit` functions change the plan before it is laid out, so that each test breaks one thing and
// all checksums are still right.
//
//===------------------------------------------------------------------------------------------===//

#ifndef INGOT_TEST_RUNTIME_ARTIFACTBUILDER_H
#define INGOT_TEST_RUNTIME_ARTIFACTBUILDER_H

#include "runtime/core/Artifact.h"

#include <cstring>
#include <string>
#include <vector>

namespace ingot::test {

using runtime::Bytes;

struct ArtifactBuilder {
  format::PlanHeader plan = {};
  std::vector<format::BufferRecord> buffers;
  std::vector<format::WeightRecord> weightRecords;
  std::vector<format::KernelRecord> kernels;
  std::vector<format::ReachRecord> reaches;
  std::vector<format::ArgumentRecord> arguments;
  std::vector<format::CommandRecord> commands;
  std::vector<format::EntryRecord> entries;
  std::vector<std::byte> weights;
  std::vector<format::RepeatRun> runs; ///< none: the weights are as they are
  uint64_t repeatedBytes = 0;
  std::vector<std::pair<std::string, std::vector<std::byte>>> code; ///< target and ELF
  std::string names, card = "{}", chatTemplate;
  std::vector<std::byte> tokenizer;
  uint32_t minorVersion = format::minorVersion;

  format::Name name(const std::string &text) {
    format::Name result{uint32_t(names.size()), uint32_t(text.size())};
    names += text;
    return result;
  }

  std::vector<std::byte> layOutPlan() const {
    format::PlanHeader header = plan;
    std::vector<std::byte> bytes(sizeof(header));
    header.buffers = append(bytes, buffers);
    header.weights = append(bytes, weightRecords);
    header.kernels = append(bytes, kernels);
    header.arguments = append(bytes, arguments);
    header.commands = append(bytes, commands);
    header.entries = append(bytes, entries);
    std::memcpy(bytes.data(), &header, sizeof(header));
    return bytes;
  }

  std::vector<std::byte> build() { return build(layOutPlan()); }

  std::vector<std::byte> build(const std::vector<std::byte> &planBytes) {
    using format::SectionKind;
    std::vector<std::byte> sums;
    for (size_t i = 0; i < weights.size(); i += format::checksumPiece) {
      uint64_t sum = runtime::computeChecksum(
          Bytes(weights).subspan(i, std::min<size_t>(format::checksumPiece, weights.size() - i)));
      sums.insert(sums.end(), reinterpret_cast<std::byte *>(&sum),
                  reinterpret_cast<std::byte *>(&sum + 1));
    }
    struct Part {
      SectionKind kind;
      format::Name target;
      Bytes bytes;
    };
    std::vector<Part> parts;
    for (auto &[target, elf] : code)
      parts.push_back({SectionKind::Kernels, name(target), elf});
    parts.push_back({SectionKind::Names, {}, std::as_bytes(std::span(names))});
    parts.push_back({SectionKind::Plan, {}, planBytes});
    if (minorVersion >= format::reachesMinorVersion)
      parts.push_back({SectionKind::KernelReaches, {}, std::as_bytes(std::span(reaches))});
    parts.push_back({SectionKind::Weights, {}, weights});
    parts.push_back({SectionKind::WeightChecksums, {}, sums});
    parts.push_back({SectionKind::Card, {}, std::as_bytes(std::span(card))});
    std::vector<std::byte> repeats(sizeof(format::RepeatHeader));
    if (!runs.empty()) {
      format::RepeatHeader header{repeatedBytes, append(repeats, runs)};
      std::memcpy(repeats.data(), &header, sizeof(header));
      parts.push_back({SectionKind::RepeatedWeights, {}, repeats});
    }
    if (!tokenizer.empty())
      parts.push_back({SectionKind::Tokenizer, {}, tokenizer});
    if (!chatTemplate.empty())
      parts.push_back({SectionKind::ChatTemplate, {}, std::as_bytes(std::span(chatTemplate))});

    std::vector<std::byte> file(sizeof(format::FileHeader) +
                                parts.size() * sizeof(format::SectionEntry));
    std::vector<format::SectionEntry> table;
    for (const Part &part : parts) {
      file.resize((file.size() + format::sectionAlignment - 1) / format::sectionAlignment *
                  format::sectionAlignment);
      bool isWeights = part.kind == SectionKind::Weights;
      table.push_back({uint32_t(part.kind), 0, part.target, file.size(), part.bytes.size(),
                       isWeights ? 0 : runtime::computeChecksum(part.bytes)});
      file.insert(file.end(), part.bytes.begin(), part.bytes.end());
    }
    format::FileHeader header = {};
    std::memcpy(header.magic, format::magic, sizeof(header.magic));
    header.majorVersion = format::majorVersion;
    header.minorVersion = minorVersion;
    header.fileBytes = file.size();
    header.sectionCount = uint32_t(table.size());
    std::memcpy(file.data() + sizeof(header), table.data(), table.size() * sizeof(table[0]));
    std::memcpy(file.data(), &header, sizeof(header));
    sealHeader(file);
    return file;
  }

  /// Makes the checksum of header and table right again after a change of either.
  static void sealHeader(std::vector<std::byte> &file) {
    format::FileHeader header;
    std::memcpy(&header, file.data(), sizeof(header));
    std::vector<std::byte> covered(file.begin(),
                                   file.begin() + offsetof(format::FileHeader, tableChecksum));
    auto table = file.begin() + sizeof(header);
    covered.insert(covered.end(), table,
                   table + header.sectionCount * sizeof(format::SectionEntry));
    header.tableChecksum = runtime::computeChecksum(covered);
    std::memcpy(file.data(), &header, sizeof(header));
  }

private:
  template <typename Record>
  static format::Table append(std::vector<std::byte> &bytes, const std::vector<Record> &records) {
    format::Table table{bytes.size(), records.size()};
    Bytes raw = std::as_bytes(std::span(records));
    bytes.insert(bytes.end(), raw.begin(), raw.end());
    return table;
  }
};

} // namespace ingot::test

#endif // INGOT_TEST_RUNTIME_ARTIFACTBUILDER_H
