//===- Ptxas.cpp - Machine code of NVIDIA GPUs, by the assembler of a toolkit -------------------------===//
//
// Where a toolkit is at hand its assembler turns PTX into a cubin and says what each kernel needs:
// the only source of registers and spills. Nothing depends on it: drivers compile PTX as well.
//
//===----------------------------------------------------------------------------------------------===//

#include "ingot/Target/Nvptx.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FileUtilities.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Program.h"

using namespace ingot;
using llvm::StringRef;

std::string ingot::findPtxas() {
  llvm::ErrorOr<std::string> found = llvm::sys::findProgramByName("ptxas");
  if (!found)
    found = llvm::sys::findProgramByName("ptxas", {"/usr/local/cuda/bin"});
  return found ? *found : std::string();
}

/// The number before `unit` in a line of the report, 0 where there is none.
static unsigned readNumber(StringRef line, StringRef unit) {
  size_t end = line.find(unit);
  if (end == StringRef::npos)
    return 0;
  StringRef before = line.take_front(end).rtrim();
  unsigned number = 0;
  before.substr(before.find_last_not_of("0123456789") + 1).getAsInteger(10, number);
  return number;
}

// ptxas info    : Compiling entry function 'NAME' for 'sm_80'
// ptxas info    : Function properties for NAME
//     0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
// ptxas info    : Used 40 registers, used 1 barriers, 384 bytes smem, 400 bytes cmem[0]
static void readReport(StringRef report, GpuBinary &binary) {
  llvm::SmallVector<StringRef> lines;
  report.split(lines, '\n');
  for (StringRef line : lines) {
    if (size_t at = line.find("Compiling entry function '"); at != StringRef::npos)
      binary.kernels.push_back({line.substr(at).split('\'').second.split('\'').first.str()});
    else if (line.contains("warning"))
      binary.warnings.push_back(line.trim().str());
    if (binary.kernels.empty())
      continue;
    GpuKernelUse &use = binary.kernels.back();
    if (line.contains("bytes spill stores"))
      use.spillBytes =
          readNumber(line, "bytes spill stores") + readNumber(line, "bytes spill loads");
    if (line.contains("Used ")) {
      use.registers = readNumber(line, "registers");
      use.sharedBytes = readNumber(line, "bytes smem");
    }
  }
}

llvm::Expected<GpuBinary> ingot::assembleForNvptx(StringRef ptxas, StringRef ptx,
                                                  const NvptxChip &chip) {
  llvm::SmallString<128> names[3]; // PTX, cubin, report
  std::vector<llvm::FileRemover> removers;
  const char *endings[] = {"ptx", "cubin", "txt"};
  for (auto [name, ending] : llvm::zip_equal(names, endings)) {
    if (std::error_code error = llvm::sys::fs::createTemporaryFile("ingot", ending, name))
      return llvm::createStringError("cannot create a file for ptxas: " + error.message());
    removers.emplace_back(name);
  }
  std::error_code error;
  llvm::raw_fd_ostream stream(names[0], error);
  stream << ptx;
  stream.close();
  if (error || stream.has_error()) {
    stream.clear_error();
    return llvm::createStringError("cannot write '" + names[0] + "' for ptxas");
  }
  std::string architecture = ("-arch=" + chip.name).str();
  StringRef arguments[] = {ptxas, architecture, "-v", names[0], "-o", names[1]};
  std::optional<StringRef> redirects[] = {"", "", names[2].str()};
  int status = llvm::sys::ExecuteAndWait(ptxas, arguments, std::nullopt, redirects);
  auto read = [&](StringRef name) -> std::string {
    auto buffer = llvm::MemoryBuffer::getFile(name, /*IsText=*/false);
    return buffer ? (*buffer)->getBuffer().str() : std::string();
  };
  std::string report = read(names[2]);
  if (status != 0)
    return llvm::createStringError(
        "'" + ptxas + "' refuses the kernels: " + StringRef(report).trim().split('\n').first);
  GpuBinary binary;
  binary.cubin = read(names[1]);
  readReport(report, binary);
  return binary;
}
