//===- CudaCode.cpp - The code of an artefact for GPUs ----------------------------------------===//

#include "runtime/cuda/CudaCode.h"

#include <cstring>

using namespace ingot;
using namespace ingot::runtime;
using namespace ingot::runtime::cuda;

namespace {

unsigned long long print(uint64_t value) { return value; }

/// The part of the section that a table of bytes covers.
Result<Bytes> findPart(Bytes section, const format::Table &table, const char *name) {
  if (table.offset > section.size() || table.count > section.size() - table.offset)
    return INGOT_ERROR("%s: %llu bytes at %llu end past the section's %zu", name,
                       print(table.count), print(table.offset), section.size());
  return section.subspan(table.offset, table.count);
}

} // namespace

std::string cuda::printCapability(unsigned capability) {
  return formatText("%u.%u", capability / 10, capability % 10);
}

bool cuda::cubinFits(const CudaCode &code, const GpuProperties &gpu) {
  if (code.cubin.empty())
    return false;
  return gpu.capability == code.capability || (!code.isExact && gpu.capability > code.capability &&
                                               gpu.capability / 10 == code.capability / 10);
}

Result<CudaCode> cuda::readCudaCode(Bytes section) {
  format::CudaCodeHeader header;
  if (section.size() < sizeof header)
    return INGOT_ERROR("%zu bytes are too few for the header of GPU code", section.size());
  std::memcpy(&header, section.data(), sizeof header);
  Result<Bytes> ptx = findPart(section, header.ptx, "PTX");
  Result<Bytes> cubin = findPart(section, header.cubin, "cubin");
  if (!ptx || !cubin)
    return ptx ? cubin.takeStatus() : ptx.takeStatus();
  if (ptx->empty() && cubin->empty())
    return INGOT_ERROR("there is neither PTX nor a cubin");
  // The driver reads PTX up to the first NUL.
  if (!ptx->empty() && std::memchr(ptx->data(), 0, ptx->size()) != &ptx->back())
    return INGOT_ERROR("PTX: its %zu bytes do not end with their only NUL", ptx->size());
  // The driver reads as much of a cubin as its header says: what is cut off must not pass for one.
  constexpr char elfMagic[] = {0x7f, 'E', 'L', 'F'};
  if (!cubin->empty() &&
      (cubin->size() < 64 || std::memcmp(cubin->data(), elfMagic, sizeof elfMagic) != 0))
    return INGOT_ERROR("cubin: its %zu bytes are no ELF file", cubin->size());
  if (header.capability < 50 || header.capability > 999 || header.isExact > 1)
    return INGOT_ERROR("compute capability %u (exact: %u) is none", header.capability,
                       header.isExact);
  return CudaCode{*ptx, *cubin, header.ptxVersion, header.capability, header.isExact != 0};
}

Result<int> cuda::rankCode(const CudaCode &code, std::string_view target,
                           const GpuProperties &gpu) {
  std::string needed = printCapability(code.capability);
  if (code.isExact ? gpu.capability != code.capability : gpu.capability < code.capability)
    return INGOT_ERROR("'%.*s' needs compute capability %s%s", int(target.size()), target.data(),
                       needed.c_str(), code.isExact ? "" : " or later");
  if (code.ptx.empty() && !cubinFits(code, gpu))
    return INGOT_ERROR("'%.*s' has machine code for compute capability %s alone and no PTX",
                       int(target.size()), target.data(), needed.c_str());
  return int(2 * code.capability + code.isExact);
}
