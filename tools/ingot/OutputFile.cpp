//===- OutputFile.cpp - Files that commands write ---------------------------------------------===//

#include "OutputFile.h"
#include <cerrno>
#include <cstring>

using namespace ingot::driver;

std::string ingot::driver::numpyHeader(uint64_t rows, uint64_t columns) {
  std::string text = "{'descr': '<f4', 'fortran_order': False, 'shape': (" + std::to_string(rows) +
                     ", " + std::to_string(columns) + "), }";
  constexpr size_t prefix = 10, alignment = 64;
  text.append(alignment - (prefix + text.size() + 1) % alignment, ' ');
  text += '\n';
  std::string header("\x93NUMPY\x01\x00", 8);
  header += char(text.size() & 0xff);
  header += char(text.size() >> 8);
  return header + text;
}

OutputFile::OutputFile(std::string path) : path(std::move(path)), temporary(this->path + ".tmp") {
  file = std::fopen(temporary.c_str(), "wb");
  if (!file)
    throw Failure("cannot write " + this->path + ": " + std::strerror(errno));
}

OutputFile::~OutputFile() {
  if (file) {
    std::fclose(file);
    std::remove(temporary.c_str());
  }
}

void OutputFile::write(const void *data, size_t bytes) {
  if (std::fwrite(data, 1, bytes, file) != bytes)
    throw Failure("cannot write " + path + ": " + std::strerror(errno));
}

void OutputFile::finish() {
  bool failed = std::fflush(file) != 0;
  failed |= std::fclose(file) != 0;
  file = nullptr;
  if (failed || std::rename(temporary.c_str(), path.c_str()) != 0) {
    std::string reason = std::strerror(errno);
    std::remove(temporary.c_str());
    throw Failure("cannot write " + path + ": " + reason);
  }
}
