//===- OutputFile.cpp - A file that appears whole or not at all -------------------------------===//

#include "ingot/Artifact/OutputFile.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/ADT/Twine.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Signals.h"
#include <atomic>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace ingot::artifact;
using llvm::createStringError;
using llvm::Error;
using llvm::StringRef;
using llvm::Twine;

//===------------------------------------------------------------------------------------------===//
// FileSizeSignalBlock
//===------------------------------------------------------------------------------------------===//

FileSizeSignalBlock::FileSizeSignalBlock() {
  sigset_t blocked;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGXFSZ);
  pthread_sigmask(SIG_BLOCK, &blocked, &previous);
}

FileSizeSignalBlock::~FileSizeSignalBlock() {
  // A signal that came meanwhile has become an error already.
  sigset_t mine;
  sigemptyset(&mine);
  sigaddset(&mine, SIGXFSZ);
  timespec now = {0, 0};
  while (!sigismember(&previous, SIGXFSZ) && sigtimedwait(&mine, nullptr, &now) > 0) {
  }
  pthread_sigmask(SIG_SETMASK, &previous, nullptr);
}

//===------------------------------------------------------------------------------------------===//
// OutputFile
//===------------------------------------------------------------------------------------------===//

/// The sentence of the last system call's error.
Error OutputFile::fail(StringRef action) const {
  return createStringError("cannot " + Twine(action) + " '" + name + "': " + std::strerror(errno));
}

llvm::Expected<OutputFile> OutputFile::create(StringRef path, uint64_t bytes, Temporary kind) {
  OutputFile file;
  file.name = file.path = path.str();
  if (path.empty() || llvm::sys::path::filename(path) == "." || path.ends_with("/"))
    return createStringError("cannot write '" + path + "': it is not the name of a file");
  struct stat status;
  if (::stat(file.path.c_str(), &status) == 0) {
    if (!S_ISREG(status.st_mode))
      return createStringError("cannot write '" + path + "': it exists and is not a regular file");
    llvm::SmallString<256> real;
    if (!llvm::sys::fs::real_path(path, real))
      file.path = real.str().str();
  }
  file.folder = llvm::sys::path::parent_path(file.path).str();
  if (file.folder.empty())
    file.folder = ".";
  if (Error error = file.open(kind))
    return std::move(error);
  if (Error error = file.reserve(bytes))
    return std::move(error);
  return std::move(file);
}

OutputFile::OutputFile(OutputFile &&other)
    : name(std::move(other.name)), path(std::move(other.path)), folder(std::move(other.folder)),
      temporary(std::move(other.temporary)), descriptor(other.descriptor) {
  other.descriptor = -1;
  other.temporary.clear();
}

OutputFile::~OutputFile() {
  if (descriptor >= 0)
    ::close(descriptor);
  if (temporary.empty())
    return;
  ::unlink(temporary.c_str());
  llvm::sys::DontRemoveFileOnSignal(temporary);
}

/// A name beside the destination that no other process or call of this one uses.
static std::string makeTemporaryName(StringRef path) {
  static std::atomic<unsigned> count{0};
  StringRef folder = llvm::sys::path::parent_path(path);
  std::string name = ("." + llvm::sys::path::filename(path) + "." + Twine(::getpid()) + "." +
                      Twine(count++) + ".tmp")
                         .str();
  return folder.empty() ? name : (folder + "/" + name).str();
}

Error OutputFile::open(Temporary kind) {
  if (kind == Temporary::Unnamed) {
    descriptor = ::open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0666);
    if (descriptor >= 0)
      return Error::success();
    if (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL)
      return fail("write");
  }
  temporary = makeTemporaryName(path);
  llvm::sys::RemoveFileOnSignal(temporary);
  descriptor = ::open(temporary.c_str(), O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0666);
  return descriptor >= 0 ? Error::success() : fail("write");
}

Error OutputFile::reserve(uint64_t bytes) {
  int code = 0;
  do
    code = bytes == 0 ? 0 : ::posix_fallocate(descriptor, 0, bytes);
  while (code == EINTR);
  if (code == EOPNOTSUPP || code == EINVAL)
    code = ::ftruncate(descriptor, bytes) == 0 ? 0 : errno;
  if (code == 0)
    return Error::success();
  return createStringError("cannot write the " + Twine(bytes) + " bytes of '" + name +
                           "': " + std::strerror(code));
}

Error OutputFile::write(uint64_t offset, llvm::ArrayRef<uint8_t> bytes) {
  while (!bytes.empty()) {
    ssize_t written = ::pwrite(descriptor, bytes.data(), bytes.size(), offset);
    if (written < 0 && errno == EINTR)
      continue;
    if (written < 0)
      return fail("write");
    offset += written;
    bytes = bytes.drop_front(written);
  }
  return Error::success();
}

Error OutputFile::read(uint64_t offset, llvm::MutableArrayRef<uint8_t> bytes) const {
  while (!bytes.empty()) {
    ssize_t count = ::pread(descriptor, bytes.data(), bytes.size(), offset);
    if (count < 0 && errno == EINTR)
      continue;
    if (count <= 0) {
      errno = count == 0 ? EIO : errno;
      return fail("read back");
    }
    offset += count;
    bytes = bytes.drop_front(count);
  }
  return Error::success();
}

/// An unnamed file gets a temporary name: only a rename replaces the destination in one step.
Error OutputFile::giveName() {
  if (!temporary.empty())
    return Error::success();
  std::string link = makeTemporaryName(path),
              source = "/proc/self/fd/" + std::to_string(descriptor);
  if (::linkat(AT_FDCWD, source.c_str(), AT_FDCWD, link.c_str(), AT_SYMLINK_FOLLOW) != 0)
    return fail("name");
  temporary = link;
  return Error::success();
}

Error OutputFile::commit() {
  if (::fsync(descriptor) != 0)
    return fail("write");
  if (Error error = giveName())
    return error;
  if (::rename(temporary.c_str(), path.c_str()) != 0)
    return fail("replace");
  llvm::sys::DontRemoveFileOnSignal(temporary);
  temporary.clear();
  // The name is durable once its folder is; the file is in place whether or not this works.
  if (int parent = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); parent >= 0) {
    ::fsync(parent);
    ::close(parent);
  }
  return Error::success();
}
