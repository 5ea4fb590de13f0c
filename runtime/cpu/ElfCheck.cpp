//===- ElfCheck.cpp - Is this shared object only code? ----------------------------------------===//
//
// Follows what a dynamic loader follows (program header, dynamic entries, hash tables, symbols,
// relocations; section headers do not matter) and reads each record through a bound check. Entries
// that are not known to be harmless are refused. It does not look at instructions.
//
//===------------------------------------------------------------------------------------------===//

#include "runtime/cpu/ElfCheck.h"

#include <cstring>
#include <string_view>

using namespace ingot::runtime;
using cpu::KernelElf;

namespace {

constexpr uint64_t maxAddress = uint64_t(1) << 32;
constexpr uint64_t maxSegments = 64;

unsigned long long print(uint64_t value) { return value; }

class ElfCheck {
public:
  explicit ElfCheck(Bytes file) : file(file) {}
  Status run();
  KernelElf take() { return std::move(result); }

private:
  Status checkHeader();
  Status checkSegments();
  Status checkLoad(const Elf64_Phdr &segment);
  Status checkDynamic();
  Status readDynamicEntry(const Elf64_Dyn &entry);
  Status countByHash();
  Status countByGnuHash();
  Status checkSymbols();
  Status checkRelocations(const char *what, uint64_t address, uint64_t bytes,
                          uint64_t relativeCount, Bytes &table);

  /// Copies records out of the file: nothing in it is aligned by promise.
  template <typename Record> bool readFile(uint64_t offset, Record &record) const {
    if (offset > file.size() || sizeof(Record) > file.size() - offset)
      return false;
    std::memcpy(&record, file.data() + offset, sizeof(Record));
    return true;
  }
  /// The bytes that a loader puts at an address, when one segment has them all in the file.
  Bytes find(uint64_t address, uint64_t bytes) const;
  bool isInside(uint64_t address, uint64_t bytes, uint32_t flag) const;
  template <typename Record> static Record at(Bytes table, uint64_t index) {
    Record record;
    std::memcpy(&record, table.data() + index * sizeof(Record), sizeof(Record));
    return record;
  }

  Bytes file;
  KernelElf result;
  Elf64_Ehdr header;
  std::vector<Elf64_Phdr> &loads = result.segments;
  Bytes &strings = result.strings, &symbols = result.symbols;
  Bytes dynamic;
  uint64_t stringTable = 0, stringBytes = 0, symbolTable = 0, symbolCount = 0;
  uint64_t hash = 0, gnuHash = 0;
  uint64_t rela = 0, relaBytes = 0, relaCount = 0, pltRela = 0, pltRelaBytes = 0;
};

Status ElfCheck::run() {
  INGOT_RETURN_IF_ERROR(checkHeader());
  INGOT_RETURN_IF_ERROR(checkSegments());
  INGOT_RETURN_IF_ERROR(checkDynamic());
  if (gnuHash)
    INGOT_RETURN_IF_ERROR(countByGnuHash());
  if (hash)
    INGOT_RETURN_IF_ERROR(countByHash());
  INGOT_RETURN_IF_ERROR(checkSymbols());
  Bytes *tables = result.relocations;
  INGOT_RETURN_IF_ERROR(checkRelocations("relocation", rela, relaBytes, relaCount, tables[0]));
  return checkRelocations("PLT relocation", pltRela, pltRelaBytes, 0, tables[1]);
}

Status ElfCheck::checkHeader() {
  if (!readFile(0, header) || std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0)
    return INGOT_ERROR("not an ELF file");
  if (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_ident[EI_DATA] != ELFDATA2LSB ||
      header.e_ident[EI_VERSION] != EV_CURRENT || header.e_version != EV_CURRENT)
    return INGOT_ERROR("not a 64-bit little-endian ELF file");
  if (header.e_ident[EI_OSABI] != ELFOSABI_SYSV && header.e_ident[EI_OSABI] != ELFOSABI_GNU)
    return INGOT_ERROR("the ABI %u is not that of Linux", header.e_ident[EI_OSABI]);
  if (header.e_type != ET_DYN || header.e_machine != EM_X86_64)
    return INGOT_ERROR("type %u for machine %u is not a shared object for x86-64", header.e_type,
                       header.e_machine);
  if (header.e_phentsize != sizeof(Elf64_Phdr) || header.e_phnum > maxSegments)
    return INGOT_ERROR("%u segments of %u bytes are not a program header", header.e_phnum,
                       header.e_phentsize);
  return Status::success();
}

Status ElfCheck::checkSegments() {
  std::vector<Elf64_Phdr> segments(header.e_phnum);
  for (uint64_t i = 0; i < segments.size(); ++i) {
    if (header.e_phoff > file.size() ||
        !readFile(header.e_phoff + i * sizeof(Elf64_Phdr), segments[i]))
      return INGOT_ERROR("segment %llu lies past the end of the file", print(i));
    if (segments[i].p_type == PT_LOAD)
      INGOT_RETURN_IF_ERROR(checkLoad(segments[i]));
  }
  for (const Elf64_Phdr &segment : segments) {
    switch (segment.p_type) {
    case PT_LOAD:
    case PT_NULL:
      break;
    case PT_DYNAMIC:
      if (dynamic.data())
        return INGOT_ERROR("a second dynamic segment");
      dynamic = find(segment.p_vaddr, segment.p_memsz);
      if (!dynamic.data() || segment.p_vaddr % alignof(Elf64_Dyn))
        return INGOT_ERROR("the dynamic segment does not lie in a loaded one");
      break;
    case PT_GNU_STACK:
      if (segment.p_flags & PF_X)
        return INGOT_ERROR("it asks for an executable stack");
      break;
    case PT_GNU_RELRO:
      if (!isInside(segment.p_vaddr, segment.p_memsz, PF_W))
        return INGOT_ERROR("the relro segment does not lie in a writable one");
      result.relroBegin = segment.p_vaddr;
      result.relroEnd = segment.p_vaddr + segment.p_memsz;
      break;
    case PT_PHDR:
    case PT_NOTE:
    case PT_GNU_PROPERTY:
    case PT_GNU_EH_FRAME:
      if (!find(segment.p_vaddr, segment.p_memsz).data())
        return INGOT_ERROR("the segment of type %#x does not lie in a loaded one", segment.p_type);
      break;
    default:
      return INGOT_ERROR("a segment of type %#x is not allowed in kernel code", segment.p_type);
    }
  }
  if (!dynamic.data())
    return INGOT_ERROR("no dynamic segment");
  return Status::success();
}

Status ElfCheck::checkLoad(const Elf64_Phdr &segment) {
  constexpr uint64_t pageBytes = 4096, maxAlignment = 1 << 21;
  if (segment.p_offset > file.size() || segment.p_filesz > file.size() - segment.p_offset)
    return INGOT_ERROR("a segment of %llu bytes at %llu ends past the file's %zu",
                       print(segment.p_filesz), print(segment.p_offset), file.size());
  if (segment.p_vaddr > maxAddress || segment.p_memsz > maxAddress - segment.p_vaddr ||
      segment.p_filesz > segment.p_memsz)
    return INGOT_ERROR(
        "a segment of %llu bytes in memory, %llu in the file, at address %llu is out of range",
        print(segment.p_memsz), print(segment.p_filesz), print(segment.p_vaddr));
  uint64_t alignment = segment.p_align;
  if (alignment < pageBytes || alignment > maxAlignment || (alignment & (alignment - 1)) ||
      (segment.p_vaddr - segment.p_offset) % alignment)
    return INGOT_ERROR("a segment at address %llu and offset %llu breaks its alignment of %llu",
                       print(segment.p_vaddr), print(segment.p_offset), print(alignment));
  if (!loads.empty() && (loads.back().p_vaddr + loads.back().p_memsz + pageBytes - 1) / pageBytes >
                            segment.p_vaddr / pageBytes)
    return INGOT_ERROR("segments share the page of address %llu", print(segment.p_vaddr));
  if ((segment.p_flags & PF_W) && (segment.p_flags & PF_X))
    return INGOT_ERROR("a segment is both writable and executable");
  loads.push_back(segment);
  return Status::success();
}

Bytes ElfCheck::find(uint64_t address, uint64_t bytes) const {
  for (const Elf64_Phdr &load : loads)
    if (address >= load.p_vaddr && address - load.p_vaddr <= load.p_filesz &&
        bytes <= load.p_filesz - (address - load.p_vaddr))
      return file.subspan(load.p_offset + (address - load.p_vaddr), bytes);
  return {};
}

bool ElfCheck::isInside(uint64_t address, uint64_t bytes, uint32_t flag) const {
  for (const Elf64_Phdr &load : loads)
    if ((load.p_flags & flag) && address >= load.p_vaddr &&
        address - load.p_vaddr <= load.p_memsz && bytes <= load.p_memsz - (address - load.p_vaddr))
      return true;
  return false;
}

Status ElfCheck::checkDynamic() {
  bool ended = false;
  for (uint64_t i = 0; !ended && i < dynamic.size() / sizeof(Elf64_Dyn); ++i) {
    Elf64_Dyn entry = at<Elf64_Dyn>(dynamic, i);
    ended = entry.d_tag == DT_NULL;
    INGOT_RETURN_IF_ERROR(readDynamicEntry(entry));
  }
  if (!ended)
    return INGOT_ERROR("the dynamic segment has no end");
  if (!hash && !gnuHash)
    return INGOT_ERROR("no hash table of symbols");
  strings = find(stringTable, stringBytes);
  if (!stringTable || strings.empty() || strings.back() != std::byte(0))
    return INGOT_ERROR(
        "the string table of %llu bytes at %llu does not lie in the file or has no end",
        print(stringBytes), print(stringTable));
  return Status::success();
}

Status ElfCheck::readDynamicEntry(const Elf64_Dyn &entry) {
  uint64_t value = entry.d_un.d_val;
  auto expect = [&](bool holds, const char *what) {
    return holds ? Status::success() : INGOT_ERROR("%s is %llu", what, print(value));
  };
  switch (entry.d_tag) {
  case DT_NULL:
  case DT_SONAME:
    return Status::success();
  case DT_STRTAB:
    stringTable = value;
    return Status::success();
  case DT_STRSZ:
    stringBytes = value;
    return Status::success();
  case DT_SYMTAB:
    symbolTable = value;
    return Status::success();
  case DT_HASH:
    hash = value;
    return Status::success();
  case DT_GNU_HASH:
    gnuHash = value;
    return Status::success();
  case DT_RELA:
    rela = value;
    return Status::success();
  case DT_RELASZ:
    relaBytes = value;
    return Status::success();
  case DT_RELACOUNT:
    relaCount = value;
    return Status::success();
  case DT_JMPREL:
    pltRela = value;
    return Status::success();
  case DT_PLTRELSZ:
    pltRelaBytes = value;
    return Status::success();
  case DT_SYMENT:
    return expect(value == sizeof(Elf64_Sym), "the size of a symbol");
  case DT_RELAENT:
    return expect(value == sizeof(Elf64_Rela), "the size of a relocation");
  case DT_PLTREL:
    return expect(value == DT_RELA, "the kind of PLT relocations");
  case DT_PLTGOT:
    return expect(isInside(value, 24, PF_W), "the address of the PLT's table");
  case DT_FLAGS:
    return expect(!(value & ~uint64_t(DF_BIND_NOW | DF_SYMBOLIC)), "the word of flags");
  case DT_FLAGS_1:
    return expect(!(value & ~uint64_t(DF_1_NOW)), "the second word of flags");
  case DT_NEEDED:
    return INGOT_ERROR("it needs another library (DT_NEEDED)");
  case DT_INIT:
  case DT_INIT_ARRAY:
  case DT_INIT_ARRAYSZ:
  case DT_PREINIT_ARRAY:
  case DT_PREINIT_ARRAYSZ:
  case DT_FINI:
  case DT_FINI_ARRAY:
  case DT_FINI_ARRAYSZ:
    return INGOT_ERROR("it has an initialiser or finaliser");
  }
  return INGOT_ERROR("the dynamic entry %#llx is not allowed in kernel code", print(entry.d_tag));
}

/// nbucket, nchain, buckets, chains; there is a chain entry for every symbol.
Status ElfCheck::countByHash() {
  Bytes head = find(hash, 8);
  if (!head.data() || hash % 4)
    return INGOT_ERROR("the hash table does not lie in the file");
  uint64_t buckets = at<uint32_t>(head, 0), chains = at<uint32_t>(head, 1);
  Bytes table = find(hash, (2 + buckets + chains) * sizeof(uint32_t));
  if (!buckets || !table.data())
    return INGOT_ERROR("the hash table of %llu buckets and %llu symbols does not lie in the file",
                       print(buckets), print(chains));
  uint64_t steps = 0;
  for (uint64_t bucket = 0; bucket < buckets; ++bucket)
    for (uint32_t index = at<uint32_t>(table, 2 + bucket); index; ++steps) {
      if (index >= chains || steps > chains)
        return INGOT_ERROR("chain %llu of the hash table runs away", print(bucket));
      index = at<uint32_t>(table, 2 + buckets + index);
    }
  if (gnuHash && chains != symbolCount)
    return INGOT_ERROR("the two hash tables count %llu and %llu symbols", print(chains),
                       print(symbolCount));
  symbolCount = chains;
  return Status::success();
}

/// nbuckets, first symbol, bloom words, shift; bloom (64 bits each), buckets, chains that end at an
/// odd hash.
Status ElfCheck::countByGnuHash() {
  Bytes head = find(gnuHash, 16);
  if (!head.data() || gnuHash % 8)
    return INGOT_ERROR("the GNU hash table does not lie in the file");
  uint64_t buckets = at<uint32_t>(head, 0), first = at<uint32_t>(head, 1);
  uint64_t bloomWords = at<uint32_t>(head, 2), shift = at<uint32_t>(head, 3);
  uint64_t bucketsAt = gnuHash + 16 + bloomWords * 8, chainsAt = bucketsAt + buckets * 4;
  Bytes table = find(bucketsAt, buckets * 4);
  if (!buckets || !bloomWords || (bloomWords & (bloomWords - 1)) || shift > 31 || !table.data())
    return INGOT_ERROR(
        "the GNU hash table of %llu buckets and %llu bloom words does not lie in the file",
        print(buckets), print(bloomWords));
  symbolCount = first;
  for (uint64_t bucket = 0; bucket < buckets; ++bucket) {
    uint64_t index = at<uint32_t>(table, bucket);
    if (!index)
      continue;
    // Chains are stored in the order of their buckets, so that each symbol is walked once.
    if (index < first || index < symbolCount)
      return INGOT_ERROR(
          "bucket %llu of the GNU hash table begins at symbol %llu, expected from %llu on",
          print(bucket), print(index), print(symbolCount));
    for (bool ended = false; !ended; ++index) {
      Bytes link = find(chainsAt + (index - first) * 4, 4);
      if (!link.data())
        return INGOT_ERROR("chain %llu of the GNU hash table leaves the file", print(bucket));
      ended = at<uint32_t>(link, 0) & 1;
    }
    symbolCount = index;
  }
  return Status::success();
}

Status ElfCheck::checkSymbols() {
  symbols = find(symbolTable, symbolCount * sizeof(Elf64_Sym));
  if (!symbols.data() || symbolTable % alignof(Elf64_Sym))
    return INGOT_ERROR("the table of %llu symbols does not lie in the file", print(symbolCount));
  for (uint64_t i = 1; i < symbolCount; ++i) {
    Elf64_Sym symbol = at<Elf64_Sym>(symbols, i);
    if (symbol.st_name >= strings.size())
      return INGOT_ERROR("the name of symbol %llu lies past the string table", print(i));
    const char *name = reinterpret_cast<const char *>(strings.data()) + symbol.st_name;
    unsigned type = ELF64_ST_TYPE(symbol.st_info);
    if (symbol.st_shndx == SHN_UNDEF)
      return INGOT_ERROR("the symbol '%s' is not defined", name);
    if (type != STT_FUNC && type != STT_OBJECT && type != STT_NOTYPE && type != STT_SECTION)
      return INGOT_ERROR("the symbol '%s' is of type %u, not function or data", name, type);
    if (type == STT_FUNC && !isInside(symbol.st_value, 1, PF_X))
      return INGOT_ERROR("the function '%s' does not lie in code", name);
    if (type != STT_FUNC && !isInside(symbol.st_value, 0, PF_R))
      return INGOT_ERROR("the symbol '%s' does not lie in the file", name);
  }
  return Status::success();
}

Status ElfCheck::checkRelocations(const char *what, uint64_t address, uint64_t bytes,
                                  uint64_t relativeCount, Bytes &table) {
  if (!address && !bytes)
    return Status::success();
  table = find(address, bytes);
  uint64_t count = bytes / sizeof(Elf64_Rela);
  if (!table.data() || bytes % sizeof(Elf64_Rela) || address % alignof(Elf64_Rela) ||
      relativeCount > count)
    return INGOT_ERROR("the %s table of %llu bytes, %llu of its records relative, is malformed",
                       what, print(bytes), print(relativeCount));
  for (uint64_t i = 0; i < count; ++i) {
    Elf64_Rela record = at<Elf64_Rela>(table, i);
    uint64_t type = ELF64_R_TYPE(record.r_info), symbol = ELF64_R_SYM(record.r_info);
    bool relative = type == R_X86_64_RELATIVE;
    if (!relative && type != R_X86_64_64 && type != R_X86_64_GLOB_DAT && type != R_X86_64_JUMP_SLOT)
      return INGOT_ERROR("%s %llu is of type %llu, which is not allowed in kernel code", what,
                         print(i), print(type));
    if (i < relativeCount && !relative)
      return INGOT_ERROR("%s %llu is counted as relative and is not", what, print(i));
    if (relative ? symbol != 0 : symbol == 0 || symbol >= symbolCount)
      return INGOT_ERROR("%s %llu refers to symbol %llu of %llu", what, print(i), print(symbol),
                         print(symbolCount));
    if (!isInside(record.r_offset, 8, PF_W))
      return INGOT_ERROR("%s %llu writes to %llu, outside writable data", what, print(i),
                         print(record.r_offset));
  }
  return Status::success();
}

} // namespace

Result<KernelElf> cpu::checkKernelElf(Bytes file) {
  ElfCheck check(file);
  if (Status status = check.run(); !status)
    return status;
  return check.take();
}
