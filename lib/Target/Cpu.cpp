//===- Cpu.cpp - What x86 processors can do ------------------------------------------------------------===//
//
// The tables of levels and atoms, and the names of targets. Which features a level has is LLVM's
// knowledge.
//
//===----------------------------------------------------------------------------------------------===//

#include "ingot/Target/Cpu.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/TargetParser/X86TargetParser.h"

using namespace ingot;
using llvm::StringRef;

static constexpr CpuLevel levels[] = {
    {"x86-64-v3", 8, 16},  // AVX2, FMA, F16C: Haswell, Zen and later
    {"x86-64-v4", 16, 32}, // AVX-512 F, BW, CD, DQ, VL: Skylake-X, Zen 4 and later
};

static constexpr CpuAtom atoms[] = {
    {"vpdpbusd", "avx512vnni", 16, 4, true},
    {"vpdpbusd", "avxvnni|avx512vnni,avx512vl", 8, 4, true},
    {"vpmaddubsw", "avx512bw", 16, 4, false},
    {"vpmaddubsw", "avx2", 8, 4, false},
    {"fma", "avx512f", 16, 1, true},
    {"fma", "fma", 8, 1, true},
};

llvm::ArrayRef<CpuLevel> CpuLevel::all() { return levels; }
llvm::ArrayRef<CpuAtom> ingot::getCpuAtoms() { return atoms; }

const CpuLevel *CpuLevel::lookup(StringRef name) {
  for (const CpuLevel &level : levels)
    if (level.name == name)
      return &level;
  return nullptr;
}

llvm::Expected<CpuTarget> CpuTarget::parse(StringRef text) {
  StringRef rest = text;
  rest.consume_front("cpu:");
  llvm::SmallVector<StringRef, 4> parts;
  rest.split(parts, '+');
  CpuTarget target;
  target.level = CpuLevel::lookup(parts.front());
  if (!target.level)
    return llvm::createStringError(
        "target '" + text + "' names no known level of CPUs; known are " +
        llvm::join(llvm::map_range(levels, [](const CpuLevel &l) { return l.name.str(); }), ", "));
  for (StringRef feature : llvm::ArrayRef(parts).drop_front()) {
    bool isUsed = llvm::any_of(atoms, [&](const CpuAtom &atom) {
      llvm::SmallVector<StringRef> names;
      llvm::SplitString(atom.features, names, ",|");
      return llvm::is_contained(names, feature);
    });
    if (!isUsed)
      return llvm::createStringError("target '" + text + "' names the feature '" + feature +
                                     "', which no kernel uses");
    if (!target.has(feature))
      target.extraFeatures.push_back(feature.str());
  }
  return target;
}

std::string CpuTarget::getName() const {
  std::string name = "cpu:" + level->name.str();
  for (const std::string &feature : extraFeatures)
    name += "+" + feature;
  return name;
}

bool CpuTarget::has(StringRef features) const {
  llvm::SmallVector<StringRef> known, alternatives;
  llvm::X86::getFeaturesForCPU(level->name, known);
  for (const std::string &feature : extraFeatures)
    known.push_back(feature);
  features.split(alternatives, '|');
  return llvm::any_of(alternatives, [&](StringRef alternative) {
    llvm::SmallVector<StringRef> wanted;
    alternative.split(wanted, ',');
    return llvm::all_of(wanted,
                        [&](StringRef feature) { return llvm::is_contained(known, feature); });
  });
}

llvm::SmallVector<CpuAtom> CpuTarget::getAtoms() const {
  llvm::SmallVector<CpuAtom> result;
  for (const CpuAtom &atom : atoms)
    if (has(atom.features))
      result.push_back(atom);
  return result;
}
