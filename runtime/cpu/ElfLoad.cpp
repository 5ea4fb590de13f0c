//===- ElfLoad.cpp - Kernel code in memory ----------------------------------------------------===//
//
// Reserve a range of addresses, make the segments' pages writable, copy, relocate, then give each
// page the rights that its segment asks for: never writable and executable at once. What the check
// proved is not tested again.
//
//===------------------------------------------------------------------------------------------===//

#include "runtime/cpu/ElfLoad.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <map>
#include <string>
#include <sys/mman.h>

using namespace ingot::runtime;
using cpu::KernelElf;

namespace {

constexpr uint64_t pageBytes = 4096;

uint64_t pageBegin(uint64_t address) { return address / pageBytes * pageBytes; }
uint64_t pageEnd(uint64_t address) { return pageBegin(address + pageBytes - 1); }

template <typename Record> Record at(Bytes table, uint64_t index) {
  Record record;
  std::memcpy(&record, table.data() + index * sizeof(Record), sizeof(Record));
  return record;
}

class LoadedElf : public Module {
public:
  ~LoadedElf() override {
    if (reserved)
      munmap(reserved, reservedBytes);
  }

  Status load(Bytes file, const KernelElf &elf);
  Result<Kernel> findKernel(std::string_view symbol, const KernelShape &) const override {
    auto found = functions.find(symbol);
    if (found == functions.end())
      return INGOT_ERROR("the code has no kernel '%s'", std::string(symbol).c_str());
    return Kernel(base + found->second);
  }

private:
  Status reserve(const KernelElf &elf);
  Status protect(uint64_t begin, uint64_t end, int rights);
  void relocate(const KernelElf &elf);
  Status seal(const KernelElf &elf);

  std::byte *reserved = nullptr, *base = nullptr; ///< base: where address 0 of the object is
  uint64_t reservedBytes = 0;
  std::map<std::string, uint64_t, std::less<>> functions;
};

/// Addresses for all segments, aligned as the strictest of them asks.
Status LoadedElf::reserve(const KernelElf &elf) {
  uint64_t end = 0, alignment = pageBytes;
  for (const Elf64_Phdr &segment : elf.segments) {
    end = std::max(end, pageEnd(segment.p_vaddr + segment.p_memsz));
    alignment = std::max<uint64_t>(alignment, segment.p_align);
  }
  reservedBytes = end + alignment;
  void *address =
      mmap(nullptr, reservedBytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (address == MAP_FAILED)
    return INGOT_ERROR("cannot reserve %llu bytes for kernel code: %s",
                       (unsigned long long)reservedBytes, std::strerror(errno));
  reserved = static_cast<std::byte *>(address);
  base = reserved + -reinterpret_cast<uintptr_t>(reserved) % alignment;
  return Status::success();
}

Status LoadedElf::protect(uint64_t begin, uint64_t end, int rights) {
  if (begin >= end || mprotect(base + begin, end - begin, rights) == 0)
    return Status::success();
  return INGOT_ERROR(
      "cannot make %llu bytes of kernel code %s: %s", (unsigned long long)(end - begin),
      rights & PROT_EXEC ? "executable (does the host forbid code in memory?)" : "accessible",
      std::strerror(errno));
}

void LoadedElf::relocate(const KernelElf &elf) {
  auto address = reinterpret_cast<uintptr_t>(base);
  for (Bytes table : elf.relocations)
    for (uint64_t i = 0; i < table.size() / sizeof(Elf64_Rela); ++i) {
      auto record = at<Elf64_Rela>(table, i);
      // Load address + addend, plus the symbol's address where there is one; a GOT's entry has no
      // addend.
      uint64_t type = ELF64_R_TYPE(record.r_info), value = address;
      if (type == R_X86_64_RELATIVE || type == R_X86_64_64)
        value += record.r_addend;
      if (type != R_X86_64_RELATIVE)
        value += at<Elf64_Sym>(elf.symbols, ELF64_R_SYM(record.r_info)).st_value;
      std::memcpy(base + record.r_offset, &value, sizeof(value));
    }
}

/// The rights that the segments ask for.
Status LoadedElf::seal(const KernelElf &elf) {
  for (const Elf64_Phdr &segment : elf.segments) {
    int rights = (segment.p_flags & PF_R ? PROT_READ : 0) |
                 (segment.p_flags & PF_W ? PROT_WRITE : 0) |
                 (segment.p_flags & PF_X ? PROT_EXEC : 0);
    INGOT_RETURN_IF_ERROR(
        protect(pageBegin(segment.p_vaddr), pageEnd(segment.p_vaddr + segment.p_memsz), rights));
  }
  return protect(pageBegin(elf.relroBegin), pageBegin(elf.relroEnd), PROT_READ);
}

Status LoadedElf::load(Bytes file, const KernelElf &elf) {
  INGOT_RETURN_IF_ERROR(reserve(elf));
  for (const Elf64_Phdr &segment : elf.segments) {
    INGOT_RETURN_IF_ERROR(protect(pageBegin(segment.p_vaddr),
                                  pageEnd(segment.p_vaddr + segment.p_memsz),
                                  PROT_READ | PROT_WRITE));
    std::copy_n(file.begin() + segment.p_offset, segment.p_filesz, base + segment.p_vaddr);
  }
  relocate(elf);
  for (uint64_t i = 1; i < elf.symbols.size() / sizeof(Elf64_Sym); ++i)
    if (auto symbol = at<Elf64_Sym>(elf.symbols, i); ELF64_ST_TYPE(symbol.st_info) == STT_FUNC)
      functions.emplace(reinterpret_cast<const char *>(elf.strings.data()) + symbol.st_name,
                        symbol.st_value);
  return seal(elf);
}

} // namespace

Result<std::unique_ptr<Module>> cpu::loadKernelElf(Bytes file, const KernelElf &elf) {
  auto module = std::make_unique<LoadedElf>();
  if (Status status = module->load(file, elf); !status)
    return status;
  return std::unique_ptr<Module>(std::move(module));
}
