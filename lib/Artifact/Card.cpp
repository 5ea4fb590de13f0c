//===- Card.cpp - Where an artefact comes from and what is in it ------------------------------===//

#include "ingot/Artifact/Card.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/Twine.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/SHA256.h"
#include "llvm/Support/raw_ostream.h"
#include <map>
#include <tuple>

using namespace mlir;
using namespace ingot;
using namespace ingot::artifact;
namespace json = llvm::json;

llvm::Expected<CardSource> artifact::describeSource(StringRef path, StringRef name) {
  auto fail = [&](std::error_code code) {
    return llvm::createStringError("cannot read '" + path + "': " + code.message());
  };
  llvm::Expected<llvm::sys::fs::file_t> file = llvm::sys::fs::openNativeFileForRead(path);
  if (!file)
    return fail(llvm::errorToErrorCode(file.takeError()));
  CardSource source{path.str(), name.str(), {}, 0};
  llvm::SHA256 hash;
  std::vector<char> buffer(1 << 20);
  while (true) {
    llvm::Expected<size_t> count = llvm::sys::fs::readNativeFile(*file, buffer);
    if (!count) {
      llvm::sys::fs::closeFile(*file);
      return fail(llvm::errorToErrorCode(count.takeError()));
    }
    if (*count == 0)
      break;
    hash.update(StringRef(buffer.data(), *count));
    source.bytes += *count;
  }
  llvm::sys::fs::closeFile(*file);
  source.sha256 = llvm::toHex(hash.final(), /*LowerCase=*/true);
  return source;
}

json::Object artifact::describeMemory(plan::ProgramOp program) {
  json::Array buffers;
  uint64_t weightBytes = 0;
  for (auto buffer : program.getOps<plan::BufferOp>())
    buffers.push_back(json::Object{{"name", buffer.getSymName()},
                                   {"offset", buffer.getOffset()},
                                   {"bytes", buffer.getBytes()},
                                   {"first", buffer.getFirst()},
                                   {"last", buffer.getLast()}});
  for (auto weight : program.getOps<plan::WeightOp>())
    weightBytes = std::max<uint64_t>(weightBytes, weight.getOffset() + weight.getBytes());
  return json::Object{{"arena_bytes", program.getArenaBytes()},
                      {"cache_bytes", program.getCacheBytes()},
                      {"weight_bytes", weightBytes},
                      {"buffers", std::move(buffers)}};
}

/// Numbers and strings of a dictionary; other values are left out.
static json::Object convertDictionary(DictionaryAttr dictionary) {
  json::Object object;
  for (NamedAttribute entry : dictionary) {
    json::ObjectKey key(entry.getName().str());
    if (auto number = dyn_cast<IntegerAttr>(entry.getValue()))
      object[key] = number.getInt();
    else if (auto number = dyn_cast<FloatAttr>(entry.getValue()))
      object[key] = number.getValueAsDouble();
    else if (auto text = dyn_cast<StringAttr>(entry.getValue()))
      object[key] = text.str();
  }
  return object;
}

/// How many weights there are of each format and packing, and their bytes.
static json::Array describeWeights(plan::ProgramOp program) {
  std::map<std::pair<StringRef, StringRef>, std::pair<int64_t, uint64_t>> kinds;
  for (auto weight : program.getOps<plan::WeightOp>()) {
    auto &[count, bytes] = kinds[{weight.getFormat(), weight.getPacking()}];
    ++count;
    bytes += weight.getBytes();
  }
  json::Array list;
  for (const auto &[kind, sum] : kinds)
    list.push_back(json::Object{{"format", kind.first},
                                {"packing", kind.second},
                                {"count", sum.first},
                                {"bytes", sum.second}});
  return list;
}

std::string artifact::writeCard(plan::ProgramOp program, const CardData &data) {
  json::Array sources, remarks;
  for (const CardSource &source : data.sources)
    sources.push_back(json::Object{{"file", source.file},
                                   {"name", source.name},
                                   {"sha256", source.sha256},
                                   {"bytes", source.bytes}});
  for (const CardRemark &remark : data.remarks)
    remarks.push_back(
        json::Object{{"kind", remark.kind}, {"stage", remark.stage}, {"text", remark.text}});
  json::Object card{{"compiler", data.compiler},
                    {"sources", std::move(sources)},
                    {"targets", json::Array(data.targets)},
                    {"recipe", json::Object(data.recipe)},
                    {"weights", describeWeights(program)},
                    {"memory", describeMemory(program)},
                    {"remarks", std::move(remarks)}};
  if (!data.kernels.empty()) {
    json::Array kernels;
    for (const CardKernel &kernel : data.kernels)
      kernels.push_back(json::Object{{"target", kernel.target},
                                     {"name", kernel.name},
                                     {"registers", kernel.registers},
                                     {"shared_bytes", kernel.sharedBytes},
                                     {"spill_bytes", kernel.spillBytes}});
    card["kernels"] = std::move(kernels);
  }
  if (!data.speed.empty())
    card["speed"] = json::Object(data.speed);
  if (!data.tuning.empty())
    card["tuning"] = json::Object(data.tuning);
  if (!data.sampling.empty())
    card["sampling"] = json::Object(data.sampling);
  if (!data.embedding.empty())
    card["embedding"] = json::Object(data.embedding);
  if (auto model = program->getParentOp()->getAttrOfType<DictionaryAttr>("transformer.model"))
    card["model"] = convertDictionary(model);
  std::string text;
  llvm::raw_string_ostream(text) << json::Value(std::move(card));
  return text;
}
