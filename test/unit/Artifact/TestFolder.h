//===- TestFolder.h - A folder of its own for a test --------------------------------*- C++ -*-===//
//
// Made when it is constructed, removed with all that is in it when it is destroyed.
//
//===------------------------------------------------------------------------------------------===//

#ifndef INGOT_TEST_ARTIFACT_TESTFOLDER_H
#define INGOT_TEST_ARTIFACT_TESTFOLDER_H

#include "llvm/ADT/SmallString.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "gtest/gtest.h"
#include <fstream>
#include <set>

namespace ingot::test {

class TestFolder {
public:
  TestFolder() { llvm::sys::fs::createUniqueDirectory("ingot-test", folder); }
  ~TestFolder() { llvm::sys::fs::remove_directories(folder); }

  std::string operator/(llvm::StringRef name) const { return (folder + "/" + name).str(); }

  std::string write(llvm::StringRef name, llvm::StringRef text) const {
    std::ofstream(*this / name) << text.str();
    return *this / name;
  }

  static std::string read(const std::string &path) {
    auto buffer = llvm::MemoryBuffer::getFile(path);
    return buffer ? (*buffer)->getBuffer().str() : "(no file)";
  }

  /// The names of all that is in it, hidden files too.
  std::set<std::string> list() const {
    std::set<std::string> names;
    std::error_code error;
    for (llvm::sys::fs::directory_iterator i(folder, error), end; i != end && !error;
         i.increment(error))
      names.insert(llvm::StringRef(i->path()).rsplit('/').second.str());
    return names;
  }

private:
  llvm::SmallString<128> folder;
};

} // namespace ingot::test

#endif // INGOT_TEST_ARTIFACT_TESTFOLDER_H
