//===- Json.h - JSON from outside -------------------------------------------------------------===//
//
// LLVM's parser recurses without a limit; here nesting is bounded before it sees the text, and
// errors are one sentence that begins with the file's name.
//
//===------------------------------------------------------------------------------------------===//

#ifndef INGOT_IMPORT_JSON_H
#define INGOT_IMPORT_JSON_H

#include "llvm/Support/JSON.h"
#include "llvm/Support/MemoryBuffer.h"
#include <memory>

namespace ingot {

/// A regular file, mapped where it is large.
llvm::Expected<std::unique_ptr<llvm::MemoryBuffer>> openFile(llvm::StringRef path);
/// The path of a file in a folder.
std::string joinPath(llvm::StringRef folder, llvm::StringRef name);
/// Takes the pages of a mapped file out of memory; they come again as they are wanted. Nothing
/// where the file was read.
void releasePages(const llvm::MemoryBuffer &buffer);

/// Parses `text`; `file` is its name in errors.
llvm::Expected<llvm::json::Value> parseJson(llvm::StringRef text, llvm::StringRef file);
/// Reads and parses a file that must hold an object.
llvm::Expected<llvm::json::Object> readJsonObject(llvm::StringRef path);

/// "string", "number", ...: for messages.
llvm::StringRef getTypeName(const llvm::json::Value &value);

/// A name from a file, fit for a message: printable, on one line, not too long, in quotes.
std::string quoteName(llvm::StringRef name);

} // namespace ingot

#endif // INGOT_IMPORT_JSON_H
