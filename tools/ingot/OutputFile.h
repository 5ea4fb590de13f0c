//===- OutputFile.h - Files that commands write -----------------------------------------------===//
//
// A file appears under its name only when it is whole.
//
//===------------------------------------------------------------------------------------------===//

#ifndef INGOT_TOOLS_INGOT_OUTPUTFILE_H
#define INGOT_TOOLS_INGOT_OUTPUTFILE_H

#include "Commands.h"
#include <cstdio>

namespace ingot::driver {

/// The header of a NumPy file of float32 [rows, columns].
std::string numpyHeader(uint64_t rows, uint64_t columns);

class OutputFile {
public:
  explicit OutputFile(std::string path);
  ~OutputFile();
  OutputFile(const OutputFile &) = delete;
  OutputFile &operator=(const OutputFile &) = delete;

  void write(const void *data, size_t bytes);
  /// Gives the file its name.
  void finish();

private:
  std::string path, temporary;
  std::FILE *file = nullptr;
};

} // namespace ingot::driver

#endif // INGOT_TOOLS_INGOT_OUTPUTFILE_H
