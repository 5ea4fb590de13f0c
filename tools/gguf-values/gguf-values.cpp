//===- gguf-values.cpp - Writes the values of a GGUF file's tensors ----------------------------------===//
//
//   gguf-values FILE > VALUES     the float32 values of all tensors, in the file's order,
//   little-endian gguf-values --list FILE       a line a tensor: name, format, shape
//
// For comparing with other readers (tools/fixtures/compare_gguf.py).
//
//===----------------------------------------------------------------------------------------------===//

#include "ingot/Import/Gguf.h"
#include "llvm/Support/raw_ostream.h"

using namespace ingot;

static llvm::Error writeTensor(const GgufFile &file, const GgufTensor &tensor) {
  std::vector<float> row(tensor.info.columns);
  for (int64_t i = 0; i < tensor.info.rows; ++i) {
    if (llvm::Error error = file.readValues(tensor.name, i, 1, row))
      return error;
    llvm::outs().write(reinterpret_cast<const char *>(row.data()), row.size() * sizeof(float));
  }
  return llvm::Error::success();
}

static void listTensor(const GgufTensor &tensor) {
  llvm::outs() << tensor.name << ' ' << tensor.info.format->name;
  for (int64_t size : tensor.info.shape)
    llvm::outs() << ' ' << size;
  llvm::outs() << '\n';
}

int main(int argc, char **argv) {
  bool isList = argc == 3 && llvm::StringRef(argv[1]) == "--list";
  if (argc != 2 && !isList) {
    llvm::errs() << "usage: gguf-values [--list] FILE\n";
    return 2;
  }
  llvm::Expected<std::unique_ptr<GgufFile>> file = GgufFile::open(argv[argc - 1]);
  if (!file) {
    llvm::errs() << "gguf-values: " << llvm::toString(file.takeError()) << '\n';
    return 1;
  }
  for (const GgufTensor &tensor : (*file)->getTensors()) {
    if (isList) {
      listTensor(tensor);
    } else if (llvm::Error error = writeTensor(**file, tensor)) {
      llvm::errs() << "gguf-values: " << llvm::toString(std::move(error)) << '\n';
      return 1;
    }
  }
  return 0;
}
