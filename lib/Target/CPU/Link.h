//===- Link.h - Linking of CPU kernels in process ----------------------------------------------------------===//
//
// Internal to lib/Target/CPU.
//
//===----------------------------------------------------------------------------------------------===//

#ifndef INGOT_LIB_TARGET_CPU_LINK_H
#define INGOT_LIB_TARGET_CPU_LINK_H

#include "llvm/Support/Error.h"
#include <string>

namespace ingot {

/// Links one ELF object to a shared object that needs nothing. Calls from several threads wait for
/// each other.
llvm::Expected<std::string> linkSharedObject(llvm::StringRef object);

} // namespace ingot

#endif // INGOT_LIB_TARGET_CPU_LINK_H
