//===- ElfCheck.h - Is this shared object only code? ------------------------------------------===//
//
// Kernels come as an ELF shared object that needs nothing and does nothing when it is loaded.
// Before the dynamic loader sees it, this check proves: x86-64, every table that the loader will
// follow lies in the file; no other libraries, no initialisers, no undefined symbols, no
// thread-local data, no ifuncs, no writable code; only relocations that add the load address or the
// address of an own symbol.
//
//===------------------------------------------------------------------------------------------===//

#ifndef INGOT_RUNTIME_CPU_ELFCHECK_H
#define INGOT_RUNTIME_CPU_ELFCHECK_H

#include "runtime/core/Memory.h"

namespace ingot::runtime::cpu {

Status checkKernelElf(Bytes file);

} // namespace ingot::runtime::cpu

#endif // INGOT_RUNTIME_CPU_ELFCHECK_H
