//===- TokenizerRegex.h - Regular expressions of tokenizer files in PCRE2's words -------------===//
//
// tokenizer.json holds patterns for Oniguruma. Most mean the same to PCRE2; what does not is
// rewritten (white space, word characters, classes in classes) or refused.
//
//===------------------------------------------------------------------------------------------===//

#ifndef INGOT_LIB_IMPORT_TOKENIZERREGEX_H
#define INGOT_LIB_IMPORT_TOKENIZERREGEX_H

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include <string>

namespace ingot::import {

/// A pattern that matches `text`.
std::string quotePattern(llvm::StringRef text);

llvm::Expected<std::string> convertPattern(llvm::StringRef regex);

} // namespace ingot::import

#endif // INGOT_LIB_IMPORT_TOKENIZERREGEX_H
