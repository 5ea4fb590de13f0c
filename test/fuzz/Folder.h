//===- Folder.h - Files of fuzzers that read folders ------------------------------------------===//
//
// A folder of this process, which goes when it ends.
//
//===------------------------------------------------------------------------------------------===//

#ifndef INGOT_TEST_FUZZ_FOLDER_H
#define INGOT_TEST_FUZZ_FOLDER_H

#include "llvm/ADT/SmallString.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Endian.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/raw_ostream.h"
#include <cstdlib>
#include <string>

namespace ingot::fuzz {

class Folder {
public:
  explicit Folder(llvm::StringRef prefix) {
    llvm::SmallString<64> made;
    if (llvm::sys::fs::createUniqueDirectory(prefix, made))
      abort();
    path = made.str().str();
  }
  Folder(const Folder &) = delete;
  Folder &operator=(const Folder &) = delete;
  ~Folder() { llvm::sys::fs::remove_directories(path); }
  llvm::StringRef getPath() const { return path; }

  void write(llvm::StringRef name, llvm::StringRef bytes) const {
    std::error_code error;
    llvm::raw_fd_ostream(path + "/" + name.str(), error) << bytes;
    if (error)
      abort();
  }
  /// A safetensors file of a header and data.
  void writeTensors(llvm::StringRef name, llvm::StringRef header, llvm::StringRef data) const {
    std::string bytes(8, '\0');
    llvm::support::endian::write64le(bytes.data(), header.size());
    write(name, bytes + header.str() + data.str());
  }
  /// An error is one sentence that begins with the folder.
  void checkSentence(llvm::Error error) const {
    std::string message = llvm::toString(std::move(error));
    if (!llvm::StringRef(message).starts_with(path) || message.find('\n') != std::string::npos)
      abort();
  }

private:
  std::string path;
};

} // namespace ingot::fuzz

#endif // INGOT_TEST_FUZZ_FOLDER_H
