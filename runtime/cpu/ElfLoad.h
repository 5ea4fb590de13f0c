//===- ElfLoad.h - Kernel code in memory ------------------------------------------------------===//
//
// Copies the segments of a checked object into memory of its own, relocates them and makes them
// executable. The dynamic loader is not asked: it would need the object as a file, by a path under
// /proc, which a bare container does not have and some hosts forbid (vm.memfd_noexec). Kernels need
// nothing of what it does beside: they have no libraries, initialisers or unwinding.
//
//===------------------------------------------------------------------------------------------===//

#ifndef INGOT_RUNTIME_CPU_ELFLOAD_H
#define INGOT_RUNTIME_CPU_ELFLOAD_H

#include "runtime/core/Device.h"
#include "runtime/cpu/ElfCheck.h"

namespace ingot::runtime::cpu {

/// `elf` is what the check found in `file`. The module keeps nothing of either: they may go.
Result<std::unique_ptr<Module>> loadKernelElf(Bytes file, const KernelElf &elf);

} // namespace ingot::runtime::cpu

#endif // INGOT_RUNTIME_CPU_ELFLOAD_H
