//===- OutputFile.h - A file that appears whole or not at all -----------------------*- C++ -*-===//
//
// Bytes go to an unnamed file in the destination's folder (a named temporary one where the file
// system has no such thing); `commit` makes it durable and puts it in the destination's place in
// one step. Until then, and whatever happens (an error, a full disk, a signal), an earlier file of
// that name is untouched. A process that is killed leaves nothing behind, except in the moment of
// `commit`.
//
//===------------------------------------------------------------------------------------------===//

#ifndef INGOT_ARTIFACT_OUTPUTFILE_H
#define INGOT_ARTIFACT_OUTPUTFILE_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include <csignal>
#include <string>

namespace ingot::artifact {

/// While it lives, a write over the limit of the file size is an error (EFBIG) to the threads that
/// start in it and to this one, not a signal that ends the process.
class FileSizeSignalBlock {
public:
  FileSizeSignalBlock();
  ~FileSizeSignalBlock();
  FileSizeSignalBlock(const FileSizeSignalBlock &) = delete;

private:
  sigset_t previous;
};

class OutputFile {
public:
  enum class Temporary {
    Unnamed, ///< no name until `commit`; Named where the file system cannot do that
    Named,   ///< a hidden file beside the destination, removed on signals that can be caught
  };

  /// Reserves `bytes` for a file at `path`; fails where they do not fit. With 0 bytes, and dropped,
  /// it is a test whether the file can be written at all.
  static llvm::Expected<OutputFile> create(llvm::StringRef path, uint64_t bytes,
                                           Temporary kind = Temporary::Unnamed);
  OutputFile(OutputFile &&other);
  ~OutputFile();

  /// May be called from several threads.
  llvm::Error write(uint64_t offset, llvm::ArrayRef<uint8_t> bytes);
  llvm::Error read(uint64_t offset, llvm::MutableArrayRef<uint8_t> bytes) const;

  /// Makes the bytes durable and puts them in place of `path`.
  llvm::Error commit();

private:
  OutputFile() = default;
  llvm::Error open(Temporary kind);
  llvm::Error reserve(uint64_t bytes);
  llvm::Error giveName();
  llvm::Error fail(llvm::StringRef action) const;

  std::string name;      ///< of the destination as the caller wrote it, for messages
  std::string path;      ///< of the destination, links resolved
  std::string folder;    ///< of the destination
  std::string temporary; ///< name while the file is not in place; empty while it has none
  int descriptor = -1;
};

} // namespace ingot::artifact

#endif // INGOT_ARTIFACT_OUTPUTFILE_H
