//===- Describe.cpp - An artefact as JSON -------------------------------------------------------===//
//
// One function a table. Everything was verified when the artefact was opened, so that names and
// indexes are followed without tests.
//
//===----------------------------------------------------------------------------------------------===//

#include "runtime/capi/Describe.h"
#include "runtime/capi/Json.h"

using namespace ingot;
using namespace ingot::runtime;

namespace {

class Description {
public:
  explicit Description(const Artifact &artifact) : artifact(artifact), plan(artifact.getPlan()) {}
  std::string write(bool withPlan);

private:
  void writeSections();
  void writeLimits();
  void writeBuffers();
  void writeWeights();
  void writeKernels();
  void writeCommands();
  void writeArguments(const format::CommandRecord &command);
  void writeGrid(const format::CommandRecord &command);
  void writeEntries();
  void name(const char *key, format::Name value) { json.key(key).string(artifact.getName(value)); }
  void count(const char *key, uint64_t value);

  const Artifact &artifact;
  const Plan &plan;
  JsonWriter json;
};

std::string Description::write(bool withPlan) {
  json.beginObject().key("file").string(artifact.getPath());
  json.key("fileBytes").number(artifact.getFileBytes());
  json.key("majorVersion").number(format::majorVersion);
  json.key("minorVersion").number(artifact.getMinorVersion());
  writeSections();
  writeLimits();
  if (withPlan) {
    json.key("plan").beginObject();
    writeEntries();
    writeCommands();
    writeKernels();
    writeBuffers();
    writeWeights();
    json.end('}');
  }
  json.end('}');
  return json.take();
}

void Description::writeSections() {
  json.key("sections").beginArray();
  for (const Section &section : artifact.getSections()) {
    json.beginObject().key("kind").string(getSectionName(section.kind));
    if (!section.target.empty())
      json.key("target").string(section.target);
    json.key("offset").number(section.offset).key("bytes").number(section.bytes.size());
    json.key("checksum")
        .string(formatText("%016llx", (unsigned long long)section.checksum))
        .end('}');
  }
  json.end(']');
}

void Description::writeLimits() {
  const format::PlanHeader &header = *plan.header;
  json.key("limits").beginObject();
  json.key("maxTokens").number(header.maxTokens).key("maxOutputs").number(header.maxOutputs);
  json.key("maxSequences").number(header.maxSequences).key("maxContext").number(header.maxContext);
  json.key("inputVocabulary").number(header.inputVocabulary);
  json.key("outputWidth").number(header.outputWidth);
  json.key("pageTokens")
      .number(header.pageTokens)
      .key("pageCount")
      .number(header.pageCount)
      .end('}');
  json.key("memory").beginObject();
  json.key("weights").number(artifact.getWeightsBytes());
  json.key("arena").number(header.arenaBytes).key("cache").number(header.cacheBytes).end('}');
}

void Description::writeBuffers() {
  json.key("buffers").beginArray();
  for (const format::BufferRecord &buffer : plan.buffers) {
    json.beginObject();
    name("name", buffer.name);
    json.key("offset").number(buffer.offset).key("bytes").number(buffer.bytes);
    json.key("firstCommand").number(buffer.firstCommand);
    json.key("lastCommand").number(buffer.lastCommand).end('}');
  }
  json.end(']');
}

void Description::writeWeights() {
  json.key("weights").beginArray();
  for (const format::WeightRecord &weight : plan.weights) {
    json.beginObject();
    name("name", weight.name);
    name("format", weight.format);
    name("packing", weight.packing);
    json.key("offset").number(weight.offset).key("bytes").number(weight.bytes);
    json.key("rows").number(weight.rows).key("columns").number(weight.columns).end('}');
  }
  json.end(']');
}

void Description::count(const char *key, uint64_t value) {
  static constexpr const char *names[] = {"tokens", "outputs", "sequences", "context"};
  static_assert(std::size(names) == format::contextCount + 1);
  if (value != format::noCount)
    json.key(key).string(names[value]);
}

void Description::writeKernels() {
  json.key("kernels").beginArray();
  uint64_t nextReach = 0;
  for (const format::KernelRecord &kernel : plan.kernels) {
    json.beginObject();
    name("symbol", kernel.symbol);
    name("family", kernel.family);
    json.key("argumentCount").number(kernel.argumentCount);
    json.key("weightBytes")
        .number(kernel.weightBytes)
        .key("bytesPerRow")
        .number(kernel.bytesPerRow);
    json.key("operationsPerRow").number(kernel.operationsPerRow);
    count("costCount", kernel.costCount);
    if (kernel.threads) {
      json.key("threads").number(kernel.threads).key("sharedBytes").number(kernel.sharedBytes);
      json.key("dependentLaunch").number(kernel.flags & format::DependentLaunch);
    }
    if (!plan.reaches.empty()) {
      json.key("reaches").beginArray();
      for (uint32_t i = 0; i < kernel.argumentCount; ++i)
        json.number(evaluateReach(*plan.header, plan.reaches[nextReach++]));
      json.end(']');
    }
    json.end('}');
  }
  json.end(']');
}

void Description::writeCommands() {
  json.key("commands").beginArray();
  for (const format::CommandRecord &command : plan.commands) {
    json.beginObject();
    switch (format::CommandKind(command.kind)) {
    case format::CommandKind::Launch:
      json.key("kind").string("launch");
      name("kernel", plan.kernels[command.kernel].symbol);
      writeGrid(command);
      writeArguments(command);
      break;
    case format::CommandKind::LoopBegin:
      json.key("kind").string("loop").key("iterations").number(command.iterations);
      break;
    case format::CommandKind::LoopEnd:
      json.key("kind").string("end");
      break;
    }
    name("layer", command.layer);
    json.end('}');
  }
  json.end(']');
}

void Description::writeGrid(const format::CommandRecord &command) {
  json.key("grid").beginArray();
  for (const format::GridExtent &extent : command.grid) {
    json.beginObject();
    count("count", extent.count);
    json.key("multiplier").signedNumber(extent.multiplier);
    json.key("addend").signedNumber(extent.addend);
    json.key("divisor").number(extent.divisor).end('}');
  }
  json.end(']');
}

void Description::writeArguments(const format::CommandRecord &command) {
  static constexpr const char *spaces[] = {"arena", "weights", "cache", "input"};
  static constexpr const char *inputs[] = {"tokenIds", "positions", "sequenceOf", "outputRows",
                                           "pageTable"};
  json.key("arguments").beginArray();
  for (const format::ArgumentRecord &argument :
       plan.arguments.subspan(command.firstArgument, command.argumentCount)) {
    json.beginObject().key("space").string(spaces[argument.space]);
    if (format::Space(argument.space) == format::Space::Input)
      json.key("input").string(inputs[argument.offset]);
    else
      json.key("offset").number(argument.offset).key("loopStride").number(argument.loopStride);
    json.end('}');
  }
  json.end(']');
}

void Description::writeEntries() {
  json.key("entries").beginArray();
  for (const format::EntryRecord &entry : plan.entries) {
    json.beginObject();
    name("name", entry.name);
    json.key("firstCommand").number(entry.firstCommand);
    json.key("commandCount").number(entry.commandCount);
    json.key("minTokens").number(entry.minTokens).key("maxTokens").number(entry.maxTokens).end('}');
  }
  json.end(']');
}

} // namespace

std::string runtime::describeArtifact(const Artifact &artifact, bool withPlan) {
  return Description(artifact).write(withPlan);
}
