//===- ArtifactWriter.cpp - Writes model.ingot ------------------------------------------------===//
//
// The layout of the file is known before the first byte is written: header and section table, the
// small sections, then the weights. Weights are produced and written by several threads, each at
// its own place; whoever fills a whole piece of a checksum hashes it. Pieces that hold parts of
// several weights are read back when all are written.
//
//===------------------------------------------------------------------------------------------===//

#include "ingot/Artifact/ArtifactWriter.h"
#include "ingot/Artifact/OutputFile.h"
#include "ingot/Artifact/RepeatedWeights.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/Twine.h"
#include "llvm/Support/MathExtras.h"
#include "llvm/Support/ThreadPool.h"
#include "llvm/Support/xxhash.h"
#include <atomic>
#include <cstring>
#include <mutex>

using namespace ingot;
using namespace ingot::artifact;
using format::checksumPiece;
using format::SectionKind;
using llvm::ArrayRef;
using llvm::createStringError;
using llvm::Error;
using llvm::StringRef;
using llvm::Twine;

format::Name NameTable::add(StringRef name) {
  auto [entry, isNew] = known.try_emplace(name);
  if (isNew) {
    entry->second = {static_cast<uint32_t>(bytes.size()), static_cast<uint32_t>(name.size())};
    bytes += name;
  }
  return entry->second;
}

std::vector<char> artifact::layOutCudaCode(StringRef ptx, StringRef cubin, unsigned capability,
                                           bool isExact, unsigned ptxVersion) {
  constexpr uint64_t cubinAlignment = 16;
  format::CudaCodeHeader header = {};
  header.ptx = {sizeof(header), ptx.size() + 1};
  if (!cubin.empty())
    header.cubin = {llvm::alignTo(header.ptx.offset + header.ptx.count, cubinAlignment),
                    cubin.size()};
  header.ptxVersion = ptxVersion;
  header.capability = capability;
  header.isExact = isExact;
  std::vector<char> section(
      std::max(header.ptx.offset + header.ptx.count, header.cubin.offset + header.cubin.count));
  std::memcpy(section.data(), &header, sizeof(header));
  llvm::copy(ptx, section.begin() + header.ptx.offset);
  llvm::copy(cubin, section.begin() + header.cubin.offset);
  return section;
}

//===------------------------------------------------------------------------------------------===//
// Weights
//===------------------------------------------------------------------------------------------===//

namespace {

/// Writes the Weights section and computes its checksums.
class WeightsWriter {
public:
  WeightsWriter(OutputFile &file, uint64_t start, ArrayRef<format::WeightRecord> weights,
                const NameTable &names, uint64_t bytes, const WriteOptions &options)
      : file(file), start(start), weights(weights), names(names), bytes(bytes), options(options),
        sums(llvm::divideCeil(bytes, checksumPiece)), isHashed(sums.size()) {
    for (const format::WeightRecord &weight : weights)
      total += weight.bytes;
  }

  Error run(const WeightProducer &produce);
  ArrayRef<uint64_t> getChecksums() const { return sums; }

private:
  /// The stream of one weight: collects bytes up to the next border of a piece.
  struct Stream {
    uint64_t position;            ///< in the section, of the first byte in `pending`
    std::vector<uint8_t> pending; ///< never more than a piece
  };

  Error writeWeight(size_t index, const WeightProducer &produce);
  Error take(Stream &stream, ArrayRef<uint8_t> data);
  Error flush(Stream &stream);
  Error hashRest();
  void noteError(Error error);

  OutputFile &file;
  uint64_t start;
  ArrayRef<format::WeightRecord> weights;
  const NameTable &names;
  uint64_t bytes;
  const WriteOptions &options;
  uint64_t total = 0;
  std::vector<uint64_t> sums;
  std::vector<uint8_t> isHashed; ///< a byte each: threads write neighbours
  std::mutex mutex;              ///< guards `done`, `failure` and the progress callback
  uint64_t done = 0;
  Error failure = Error::success();
  std::atomic<bool> hasFailed = false; ///< tells the other threads to stop early; orders nothing
};

} // namespace

Error WeightsWriter::flush(Stream &stream) {
  ArrayRef<uint8_t> data = stream.pending;
  if (data.empty())
    return Error::success();
  if (Error error = file.write(start + stream.position, data))
    return error;
  bool isWhole = stream.position % checksumPiece == 0 &&
                 (data.size() == checksumPiece || stream.position + data.size() == bytes);
  if (isWhole) {
    sums[stream.position / checksumPiece] = llvm::xxh3_64bits(data);
    isHashed[stream.position / checksumPiece] = 1;
  }
  std::lock_guard lock(mutex);
  done += data.size();
  if (options.progress)
    options.progress(done, total);
  stream.position += data.size();
  stream.pending.clear();
  return Error::success();
}

Error WeightsWriter::take(Stream &stream, ArrayRef<uint8_t> data) {
  while (!data.empty()) {
    uint64_t room = checksumPiece - (stream.position + stream.pending.size()) % checksumPiece;
    size_t count = std::min<uint64_t>(room, data.size());
    stream.pending.insert(stream.pending.end(), data.begin(), data.begin() + count);
    data = data.drop_front(count);
    if (count < room)
      continue;
    if (Error error = flush(stream))
      return error;
  }
  return Error::success();
}

Error WeightsWriter::writeWeight(size_t index, const WeightProducer &produce) {
  const format::WeightRecord &record = weights[index];
  Stream stream{record.offset, {}};
  uint64_t taken = 0;
  auto mismatch = [&]() {
    return createStringError("weight '" + names.get(record.name) + "': the plan has " +
                             Twine(record.bytes) + " bytes for it, its packing " +
                             (taken < record.bytes ? "made " : "makes more than ") + Twine(taken));
  };
  auto sink = [&](ArrayRef<uint8_t> data) -> Error {
    if (hasFailed)
      return createStringError("stopped");
    if (data.size() > record.bytes - taken) {
      taken = record.bytes;
      return mismatch();
    }
    taken += data.size();
    return take(stream, data);
  };
  if (Error error = produce(index, sink))
    return error;
  if (taken != record.bytes)
    return mismatch();
  return flush(stream);
}

/// Keeps the first error; what follows from stopping early is not told.
void WeightsWriter::noteError(Error error) {
  std::lock_guard lock(mutex);
  if (hasFailed.exchange(true))
    llvm::consumeError(std::move(error));
  else
    failure = std::move(error);
}

/// Pieces with several weights, or with padding.
Error WeightsWriter::hashRest() {
  std::vector<uint8_t> buffer;
  for (size_t piece = 0; piece < sums.size(); ++piece) {
    if (isHashed[piece])
      continue;
    uint64_t offset = piece * checksumPiece;
    buffer.resize(std::min<uint64_t>(checksumPiece, bytes - offset));
    if (Error error = file.read(start + offset, buffer))
      return error;
    sums[piece] = llvm::xxh3_64bits(buffer);
  }
  return Error::success();
}

Error WeightsWriter::run(const WeightProducer &produce) {
  std::atomic<size_t> next = 0; // hands out the weights; orders nothing
  auto work = [&]() {
    for (size_t index = next++; index < weights.size() && !hasFailed; index = next++)
      if (Error error = writeWeight(index, produce))
        noteError(std::move(error));
  };
  llvm::cantFail(std::move(failure));
  if (options.progress)
    options.progress(0, total);
  unsigned threads = std::clamp<size_t>(options.threads, 1, std::max<size_t>(weights.size(), 1));
  if (threads == 1) {
    work();
  } else {
    llvm::DefaultThreadPool pool(llvm::hardware_concurrency(threads));
    for (unsigned i = 0; i < threads; ++i)
      pool.async(work);
    pool.wait();
  }
  if (failure)
    return std::move(failure);
  return hashRest();
}

//===------------------------------------------------------------------------------------------===//
// Sections
//===------------------------------------------------------------------------------------------===//

namespace {

struct Part {
  SectionKind kind;
  format::Name target;
  ArrayRef<uint8_t> data; ///< Weights that are written as they are made: not used
  uint64_t bytes;
};

template <typename T> ArrayRef<uint8_t> asBytes(const T &items) {
  return {reinterpret_cast<const uint8_t *>(items.data()), items.size() * sizeof(*items.data())};
}

template <typename Record>
format::Table append(std::vector<uint8_t> &section, const std::vector<Record> &records) {
  static_assert(sizeof(Record) % alignof(uint64_t) == 0);
  format::Table table{section.size(), records.size()};
  llvm::append_range(section, asBytes(records));
  return table;
}

std::vector<uint8_t> layOutPlan(const PlanTables &plan) {
  format::PlanHeader header = plan.header;
  std::vector<uint8_t> section(sizeof(header));
  header.buffers = append(section, plan.buffers);
  header.weights = append(section, plan.weights);
  header.kernels = append(section, plan.kernels);
  header.arguments = append(section, plan.arguments);
  header.commands = append(section, plan.commands);
  header.entries = append(section, plan.entries);
  std::memcpy(section.data(), &header, sizeof(header));
  return section;
}

/// Bytes of the Weights section: where the last weight ends.
uint64_t getWeightsBytes(const PlanTables &plan) {
  uint64_t bytes = 0;
  for (const format::WeightRecord &weight : plan.weights)
    bytes = std::max(bytes, weight.offset + weight.bytes);
  return bytes;
}

/// Writes header and section table, sealed by their checksum.
Error writeHeader(OutputFile &file, ArrayRef<format::SectionEntry> table, uint64_t fileBytes) {
  format::FileHeader header = {};
  std::memcpy(header.magic, format::magic, sizeof(header.magic));
  header.majorVersion = format::majorVersion;
  header.minorVersion = format::minorVersion;
  header.fileBytes = fileBytes;
  header.sectionCount = table.size();
  std::vector<uint8_t> covered(offsetof(format::FileHeader, tableChecksum));
  std::memcpy(covered.data(), &header, covered.size());
  llvm::append_range(covered, asBytes(table));
  header.tableChecksum = llvm::xxh3_64bits(covered);
  std::vector<uint8_t> bytes(sizeof(header));
  std::memcpy(bytes.data(), &header, sizeof(header));
  llvm::append_range(bytes, asBytes(table));
  return file.write(0, bytes);
}

} // namespace

Error artifact::writeArtifact(StringRef path, ArtifactContents contents,
                              const WeightProducer &produce, const WriteOptions &options) {
  FileSizeSignalBlock block;
  PlanTables &plan = contents.plan;
  std::vector<Part> parts;
  RepeatedWeights repeated;
  uint64_t weightsBytes = getWeightsBytes(plan);
  if (options.repeatedRows) {
    llvm::Expected<RepeatedWeights> collected = collectRepeatedWeights(plan, produce, options);
    if (!collected)
      return collected.takeError();
    repeated = std::move(*collected);
    weightsBytes = repeated.weights.size();
  }
  auto add = [&](SectionKind kind, ArrayRef<uint8_t> data) {
    parts.push_back({kind, {}, data, data.size()});
  };
  for (const KernelCode &code : contents.kernels)
    parts.push_back({SectionKind::Kernels, plan.names.add(code.target), asBytes(code.bytes),
                     code.bytes.size()});
  std::vector<uint8_t> planBytes = layOutPlan(plan);
  std::vector<uint64_t> sums(llvm::divideCeil(weightsBytes, checksumPiece));
  add(SectionKind::Plan, planBytes);
  add(SectionKind::KernelReaches, asBytes(plan.reaches));
  add(SectionKind::Names, asBytes(plan.names.getBytes()));
  if (!contents.tokenizer.empty())
    add(SectionKind::Tokenizer, asBytes(contents.tokenizer));
  if (!contents.chatTemplate.empty())
    add(SectionKind::ChatTemplate, asBytes(contents.chatTemplate));
  add(SectionKind::Card, asBytes(contents.card));
  if (options.repeatedRows)
    add(SectionKind::RepeatedWeights, repeated.runs);
  add(SectionKind::WeightChecksums, asBytes(sums));
  parts.push_back({SectionKind::Weights, {}, {}, weightsBytes});

  std::vector<format::SectionEntry> table;
  uint64_t end = sizeof(format::FileHeader) + parts.size() * sizeof(format::SectionEntry);
  for (const Part &part : parts) {
    end = llvm::alignTo(end, format::sectionAlignment);
    table.push_back({static_cast<uint32_t>(part.kind), 0, part.target, end, part.bytes, 0});
    end += part.bytes;
  }
  llvm::Expected<OutputFile> file = OutputFile::create(path, end);
  if (!file)
    return file.takeError();
  if (options.repeatedRows) {
    if (Error error = file->write(table.back().offset, repeated.weights))
      return error;
    for (auto [piece, sum] : llvm::enumerate(sums))
      sum = llvm::xxh3_64bits(
          ArrayRef(repeated.weights).drop_front(piece * checksumPiece).take_front(checksumPiece));
  } else {
    WeightsWriter weights(*file, table.back().offset, plan.weights, plan.names, weightsBytes,
                          options);
    if (Error error = weights.run(produce))
      return error;
    llvm::copy(weights.getChecksums(), sums.begin());
  }
  for (auto [part, entry] : llvm::zip_equal(parts, table)) {
    if (part.kind == SectionKind::Weights)
      continue;
    entry.checksum = llvm::xxh3_64bits(part.data);
    if (Error error = file->write(entry.offset, part.data))
      return error;
  }
  if (Error error = writeHeader(*file, table, end))
    return error;
  return file->commit();
}
