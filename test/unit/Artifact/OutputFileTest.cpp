//===- OutputFileTest.cpp - A file appears whole or not at all --------------------------------===//

#include "ingot/Artifact/OutputFile.h"
#include "test/unit/Artifact/TestFolder.h"
#include "gmock/gmock.h"
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

using namespace ingot::artifact;
using ingot::test::TestFolder;
using llvm::toString;
using testing::HasSubstr;
using testing::UnorderedElementsAre;

namespace {

llvm::ArrayRef<uint8_t> bytesOf(llvm::StringRef text) { return llvm::arrayRefFromStringRef(text); }

/// Writes `text` as a file; the sentence of the error, or nothing.
std::string writeFile(const std::string &path, llvm::StringRef text) {
  FileSizeSignalBlock block;
  llvm::Expected<OutputFile> file = OutputFile::create(path, text.size());
  if (!file)
    return toString(file.takeError());
  if (llvm::Error error = file->write(0, bytesOf(text)))
    return toString(std::move(error));
  return toString(file->commit());
}

TEST(OutputFile, AppearsWithCommit) {
  TestFolder folder;
  llvm::Expected<OutputFile> file = OutputFile::create(folder / "a", 8);
  ASSERT_TRUE(bool(file)) << toString(file.takeError());
  EXPECT_FALSE(bool(file->write(5, bytesOf("new"))));
  EXPECT_FALSE(folder.list().contains("a"));
  EXPECT_EQ(toString(file->commit()), "");
  EXPECT_THAT(folder.list(), UnorderedElementsAre("a"));
  EXPECT_EQ(folder.read(folder / "a"), std::string("\0\0\0\0\0new", 8));
}

TEST(OutputFile, ReplacesTheEarlierFileOnlyWithCommit) {
  TestFolder folder;
  std::string path = folder.write("a", "old");
  {
    llvm::Expected<OutputFile> file = OutputFile::create(path, 3);
    ASSERT_TRUE(bool(file)) << toString(file.takeError());
    EXPECT_FALSE(bool(file->write(0, bytesOf("new"))));
    EXPECT_EQ(folder.read(path), "old");
  }
  EXPECT_THAT(folder.list(), UnorderedElementsAre("a"));
  EXPECT_EQ(folder.read(path), "old");
  EXPECT_EQ(writeFile(path, "new"), "");
  EXPECT_EQ(folder.read(path), "new");
}

TEST(OutputFile, WritesThroughALink) {
  TestFolder folder;
  folder.write("target", "old");
  ASSERT_EQ(::symlink("target", (folder / "link").c_str()), 0);
  EXPECT_EQ(writeFile(folder / "link", "new"), "");
  EXPECT_EQ(folder.read(folder / "target"), "new");
  EXPECT_TRUE(llvm::sys::fs::is_symlink_file(folder / "link"));
}

TEST(OutputFile, RefusesWhatIsNoFile) {
  TestFolder folder;
  EXPECT_THAT(writeFile("", "x"), HasSubstr("is not the name of a file"));
  EXPECT_THAT(writeFile(folder / "", "x"), HasSubstr("is not the name of a file"));
  EXPECT_THAT(writeFile("/dev/null", "x"), HasSubstr("is not a regular file"));
  EXPECT_THAT(writeFile(folder / ".", "x"), HasSubstr("is not the name of a file"));
}

TEST(OutputFile, RefusesFoldersThatCannotBeWritten) {
  TestFolder folder;
  EXPECT_THAT(writeFile(folder / "missing/a", "x"), HasSubstr("No such file or directory"));
  EXPECT_THAT(writeFile("/proc/a", "x"), HasSubstr("cannot write '/proc/a'"));
}

/// Runs `body` in a child process; its exit status.
int runInChild(llvm::function_ref<int()> body) {
  pid_t child = ::fork();
  if (child == 0)
    ::_exit(body());
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST(OutputFile, RefusesFoldersThatMayNotBeWritten) {
  TestFolder folder;
  ASSERT_EQ(::chmod((folder / ".").c_str(), 0555), 0);
  int status = runInChild([&]() {
    // Root writes everywhere, so it becomes nobody.
    if (::geteuid() == 0 && ::setuid(65534) != 0)
      return 2;
    return llvm::StringRef(writeFile(folder / "a", "x")).contains("Permission denied") ? 0 : 1;
  });
  ::chmod((folder / ".").c_str(), 0755);
  EXPECT_EQ(status, 0);
}

TEST(OutputFile, ALimitOfTheFileSizeIsAnError) {
  TestFolder folder;
  std::string path = folder.write("a", "old");
  rlimit before, small;
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  small = {1000, before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  std::string error = writeFile(path, std::string(2000, 'x'));
  ::setrlimit(RLIMIT_FSIZE, &before);
  EXPECT_THAT(error, HasSubstr("cannot write the 2000 bytes of"));
  EXPECT_THAT(error, HasSubstr("File too large"));
  EXPECT_EQ(folder.read(path), "old");
  EXPECT_THAT(folder.list(), UnorderedElementsAre("a"));
}

TEST(OutputFile, AFullDiskIsAnErrorBeforeTheFirstByte) {
  TestFolder folder;
  constexpr int cannotMount = 77;
  int status = runInChild([&]() {
    if (::unshare(CLONE_NEWNS) != 0 ||
        ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        ::mount("tmpfs", (folder / ".").c_str(), "tmpfs", 0, "size=64k") != 0)
      return cannotMount;
    std::string path = folder.write("a", "old");
    std::string error = writeFile(path, std::string(200000, 'x'));
    bool isTold = llvm::StringRef(error).contains("No space left on device");
    bool isIntact = folder.read(path) == "old" && folder.list().size() == 1;
    return isTold && isIntact ? 0 : 1;
  });
  if (status == cannotMount)
    GTEST_SKIP() << "cannot mount a small disk here";
  EXPECT_EQ(status, 0);
}

/// A shell without job control starts background programs with SIGINT ignored, which LLVM's
/// handlers respect; the tests below want it taken. Before the first file installs them.
[[maybe_unused]] const auto earlierHandler = ::signal(SIGINT, SIG_DFL);

/// Ends a process with `signal` while it has written half of a file.
void killWhileWriting(const TestFolder &folder, int signal, OutputFile::Temporary kind) {
  std::string path = folder.write("a", "old");
  int ready[2];
  ASSERT_EQ(::pipe(ready), 0);
  pid_t child = ::fork();
  if (child == 0) {
    llvm::Expected<OutputFile> file = OutputFile::create(path, 2000, kind);
    bool isWritten = file && !file->write(0, bytesOf(std::string(1000, 'x')));
    ssize_t ignored = ::write(ready[1], isWritten ? "y" : "n", 1);
    (void)ignored;
    ::pause();
    ::_exit(0);
  }
  char answer = 0;
  ASSERT_EQ(::read(ready[0], &answer, 1), 1);
  ASSERT_EQ(answer, 'y');
  ::kill(child, signal);
  int status = 0;
  ::waitpid(child, &status, 0);
  ::close(ready[0]);
  ::close(ready[1]);
  EXPECT_TRUE(WIFSIGNALED(status));
  EXPECT_EQ(folder.read(path), "old");
  EXPECT_THAT(folder.list(), UnorderedElementsAre("a"));
}

TEST(OutputFile, AKilledWriterLeavesTheEarlierFileAndNothingElse) {
  TestFolder folder;
  for (int signal : {SIGTERM, SIGINT, SIGKILL})
    killWhileWriting(folder, signal, OutputFile::Temporary::Unnamed);
  // Nobody can remove a named file after SIGKILL.
  for (int signal : {SIGTERM, SIGINT})
    killWhileWriting(folder, signal, OutputFile::Temporary::Named);
}

TEST(OutputFile, ANamedTemporaryFileGoesAway) {
  TestFolder folder;
  for (bool isCommitted : {false, true}) {
    llvm::Expected<OutputFile> file =
        OutputFile::create(folder / "a", 3, OutputFile::Temporary::Named);
    ASSERT_TRUE(bool(file)) << toString(file.takeError());
    EXPECT_EQ(folder.list().size(), 1u);
    EXPECT_FALSE(folder.list().contains("a"));
    EXPECT_FALSE(bool(file->write(0, bytesOf("new"))));
    if (isCommitted)
      EXPECT_EQ(toString(file->commit()), "");
    file = llvm::createStringError("closed");
    llvm::consumeError(file.takeError());
    EXPECT_EQ(folder.list().size(), isCommitted ? 1u : 0u);
  }
  EXPECT_EQ(folder.read(folder / "a"), "new");
}

} // namespace
