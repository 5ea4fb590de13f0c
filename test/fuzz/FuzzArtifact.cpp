//===- FuzzArtifact.cpp - Any bytes are an artefact or are refused in a sentence --------------------===//
//
// Input: the file without the gaps between its sections, so that mutations hit bytes that matter.
// The first byte says whether checksums are repaired: with right checksums the checks behind them
// are reached. What is accepted is described as JSON, its weights are verified, its code is
// checked.
//
//===----------------------------------------------------------------------------------------------===//

#include "runtime/capi/Describe.h"
#include "runtime/core/Artifact.h"
#include "runtime/cpu/ElfCheck.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <vector>

using namespace ingot;
using namespace ingot::runtime;

namespace {

constexpr size_t maxFileBytes = 1 << 20;

/// Puts the sections of a dense input where their offsets, in units of the alignment, say.
std::vector<std::byte> spread(Bytes input) {
  format::FileHeader header;
  if (input.size() < sizeof(header))
    return {input.begin(), input.end()};
  std::memcpy(&header, input.data(), sizeof(header));
  size_t tableEnd = sizeof(header) + (header.sectionCount & 15) * sizeof(format::SectionEntry);
  if (tableEnd > input.size())
    return {input.begin(), input.end()};
  std::vector<std::byte> file(input.begin(), input.begin() + tableEnd);
  Bytes rest = input.subspan(tableEnd);
  for (size_t at = sizeof(header); at < tableEnd; at += sizeof(format::SectionEntry)) {
    format::SectionEntry entry;
    std::memcpy(&entry, file.data() + at, sizeof(entry));
    if (entry.offset > maxFileBytes || entry.bytes > rest.size())
      continue;
    if (file.size() < entry.offset + entry.bytes)
      file.resize(entry.offset + entry.bytes);
    std::copy_n(rest.begin(), entry.bytes, file.begin() + entry.offset);
    rest = rest.subspan(entry.bytes);
  }
  return file;
}

void repairChecksums(std::vector<std::byte> &file) {
  format::FileHeader header;
  if (file.size() < sizeof(header))
    return;
  std::memcpy(&header, file.data(), sizeof(header));
  header.fileBytes = file.size();
  size_t tableEnd = sizeof(header) + uint64_t(header.sectionCount) * sizeof(format::SectionEntry);
  if (tableEnd > file.size())
    return;
  for (size_t at = sizeof(header); at < tableEnd; at += sizeof(format::SectionEntry)) {
    format::SectionEntry entry;
    std::memcpy(&entry, file.data() + at, sizeof(entry));
    if (entry.offset > file.size() || entry.bytes > file.size() - entry.offset)
      continue;
    entry.checksum = computeChecksum(Bytes(file).subspan(entry.offset, entry.bytes));
    std::memcpy(file.data() + at, &entry, sizeof(entry));
  }
  std::memcpy(file.data(), &header, sizeof(header));
  std::vector<std::byte> covered(file.begin(),
                                 file.begin() + offsetof(format::FileHeader, tableChecksum));
  covered.insert(covered.end(), file.begin() + sizeof(header), file.begin() + tableEnd);
  header.tableChecksum = computeChecksum(covered);
  std::memcpy(file.data(), &header, sizeof(header));
}

void require(bool holds) {
  if (!holds)
    std::abort();
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (!size)
    return 0;
  Bytes input = std::as_bytes(std::span(data, size));
  std::vector<std::byte> file = spread(input.subspan(1));
  if (data[0] & 1)
    repairChecksums(file);
  // A copy of the exact size, so that a read behind the end is seen.
  auto exact = std::unique_ptr<std::byte[]>(new std::byte[file.size()]);
  std::copy(file.begin(), file.end(), exact.get());
  Result<Artifact> artifact = Artifact::read({exact.get(), file.size()}, "fuzz.ingot");
  if (!artifact) {
    require(artifact.message().starts_with("fuzz.ingot: "));
    return 0;
  }
  require(!describeArtifact(*artifact, true).empty());
  (void)artifact->verifyWeights().ok();
  std::byte window[256];
  uint64_t bytes = artifact->getWeightsBytes(), part = std::min<uint64_t>(bytes, sizeof window);
  for (uint64_t offset : {uint64_t(0), (bytes - part) / 2, bytes - part})
    artifact->copyWeights(offset, std::span(window, part));
  for (const Section &section : artifact->getSections())
    if (section.kind == format::SectionKind::Kernels)
      (void)cpu::checkKernelElf(section.bytes).ok();
  return 0;
}
