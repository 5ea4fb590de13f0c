//===- Link.cpp - Linking of CPU kernels in process ---------------------------------------------------------===//
//
// lld as a library. It keeps its state in globals, so there is one link at a time; it resets all
// cl::opt of the process to their defaults, so nobody may read options after the first link; a
// fatal error in it is caught by LLVM's crash recovery, after which it cannot run again.
//
//===----------------------------------------------------------------------------------------------===//

#include "Link.h"
#include "lld/Common/Driver.h"
#include "llvm/Support/CrashRecoveryContext.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FileUtilities.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/raw_ostream.h"
#include <mutex>

LLD_HAS_DRIVER(elf)

static std::mutex linkMutex;
static bool canRunAgain = true;

llvm::Expected<std::string> ingot::linkSharedObject(llvm::StringRef object) {
  std::lock_guard<std::mutex> lock(linkMutex); // orders the globals of lld
  if (!canRunAgain)
    return llvm::createStringError("the linker failed before and cannot run again in this process");
  llvm::SmallString<128> input, output;
  int inputFile;
  if (std::error_code error = llvm::sys::fs::createTemporaryFile("ingot", "o", inputFile, input))
    return llvm::createStringError("cannot create a temporary file for the linker: " +
                                   error.message());
  llvm::FileRemover removeInput(input);
  {
    llvm::raw_fd_ostream stream(inputFile, /*shouldClose=*/true);
    stream << object;
    stream.close();
    if (stream.has_error()) {
      std::string reason = stream.error().message();
      stream.clear_error();
      return llvm::createStringError("cannot write '" + input.str() + "': " + reason);
    }
  }
  if (std::error_code error = llvm::sys::fs::createTemporaryFile("ingot", "so", output))
    return llvm::createStringError("cannot create a temporary file for the linker: " +
                                   error.message());
  llvm::FileRemover removeOutput(output);

  llvm::CrashRecoveryContext::Enable(); // else a fatal error in lld ends the process
  std::string log;
  llvm::raw_string_ostream stream(log);
  const char *arguments[] = {"ld.lld",
                             "-shared",
                             "--no-undefined",
                             "--gc-sections",
                             "--build-id=none",
                             "--hash-style=gnu",
                             "-z",
                             "noexecstack",
                             "-z",
                             "separate-code",
                             "--threads=1",
                             "--strip-all",
                             "-soname",
                             "kernels",
                             input.c_str(),
                             "-o",
                             output.c_str()};
  lld::Result result = lld::lldMain(arguments, stream, stream, {{lld::Gnu, &lld::elf::link}});
  canRunAgain = result.canRunAgain;
  if (result.retCode != 0)
    return llvm::createStringError("the kernels do not link: " + llvm::StringRef(log).trim());
  auto buffer = llvm::MemoryBuffer::getFile(output);
  if (!buffer)
    return llvm::createStringError("cannot read '" + output.str() +
                                   "': " + buffer.getError().message());
  return (*buffer)->getBuffer().str();
}
