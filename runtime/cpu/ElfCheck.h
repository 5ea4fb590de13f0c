//===- ElfCheck.h - Is this shared object only code? ------------------------------------------===//
//
// Kernels come as an ELF shared object that needs nothing and does nothing when it is loaded.
// Before it is loaded (ElfLoad.h), this check proves: x86-64, every table that the loader will
// follow lies in the file; no other libraries, no initialisers, no undefined symbols, no
// thread-local data, no ifuncs, no writable code; only relocations that add the load address or the
// address of an own symbol, and write into writable segments.
//
//===------------------------------------------------------------------------------------------===//

#ifndef INGOT_RUNTIME_CPU_ELFCHECK_H
#define INGOT_RUNTIME_CPU_ELFCHECK_H

#include "runtime/core/Memory.h"

#include <elf.h>
#include <vector>

namespace ingot::runtime::cpu {

/// What the check found and proved, views into the file: all that a loader needs.
struct KernelElf {
  std::vector<Elf64_Phdr> segments;      ///< to load, by ascending addresses; they share no page
  uint64_t relroBegin = 0, relroEnd = 0; ///< addresses that are read-only after relocation
  Bytes symbols;                         ///< Elf64_Sym, the first means nothing
  Bytes strings;                         ///< names of symbols, each zero-terminated
  Bytes relocations[2];                  ///< Elf64_Rela
};

Result<KernelElf> checkKernelElf(Bytes file);

} // namespace ingot::runtime::cpu

#endif // INGOT_RUNTIME_CPU_ELFCHECK_H
