//===- FuzzKernelElf.cpp - Any bytes are kernel code or are refused in a sentence -------------------===//
//
// What the check accepts is loaded: copied, relocated, made executable, but not run.
//
//===----------------------------------------------------------------------------------------------===//

#include "runtime/cpu/ElfLoad.h"

#include <algorithm>
#include <cstdlib>
#include <memory>

using namespace ingot::runtime;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  // A copy of the exact size, so that a read behind the end is seen.
  auto exact = std::unique_ptr<std::byte[]>(new std::byte[size]);
  Bytes input = std::as_bytes(std::span(data, size));
  std::copy(input.begin(), input.end(), exact.get());
  Bytes file(exact.get(), size);
  Result<cpu::KernelElf> elf = cpu::checkKernelElf(file);
  if (!elf && elf.message().empty())
    std::abort();
  // Large objects would only fill the machine's memory, and are loaded as small ones are.
  constexpr uint64_t most = 1 << 24;
  if (elf && elf->segments.back().p_vaddr + elf->segments.back().p_memsz < most &&
      !cpu::loadKernelElf(file, *elf))
    std::abort();
  return 0;
}
