//===- FuzzKernelElf.cpp - Any bytes are kernel code or are refused in a sentence -------------------===//
//
// Only the check; what it accepts is not loaded, since code that was changed at random may run.
//
//===----------------------------------------------------------------------------------------------===//

#include "runtime/cpu/ElfCheck.h"

#include <algorithm>
#include <cstdlib>
#include <memory>

using namespace ingot::runtime;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  // A copy of the exact size, so that a read behind the end is seen.
  auto exact = std::unique_ptr<std::byte[]>(new std::byte[size]);
  Bytes input = std::as_bytes(std::span(data, size));
  std::copy(input.begin(), input.end(), exact.get());
  Status status = cpu::checkKernelElf({exact.get(), size});
  if (!status && status.message().empty())
    std::abort();
  return 0;
}
