//===- Safetensors.h - Reader of safetensors files --------------------------------------------===//
//
// One file, or the shards that `model.safetensors.index.json` lists, memory-mapped and zero-copy.
// Files are untrusted: `open` checks the header, every type, shape and offset before anything is
// followed, and refuses in one sentence that names file, tensor, value and limit.
//
//   header length u64 · header (JSON: name -> {dtype, shape, data_offsets}) · data, without holes
//
// Sizes stand slowest first. 8-bit floats become f16 as they are read, which holds each of them.
// Types that no numeric format describes (integers, of position ids and quantised checkpoints) are
// handed out as bytes; as a weight such a tensor is not found.
//
//===------------------------------------------------------------------------------------------===//

#ifndef INGOT_IMPORT_SAFETENSORS_H
#define INGOT_IMPORT_SAFETENSORS_H

#include "ingot/Import/ReadCounter.h"
#include "ingot/Support/WeightStore.h"
#include "llvm/Support/MemoryBuffer.h"
#include <memory>

namespace ingot {

struct SafetensorsTensor {
  std::string name, type; ///< "BF16"
  llvm::SmallVector<int64_t, 4> shape;
  std::optional<WeightInfo> info; ///< where the type is a numeric format and the tensor not empty
  llvm::ArrayRef<uint8_t> bytes;  ///< in the mapped file
};

/// The tensors of one or several open files; also the weight store of those that are numbers.
class SafetensorsFile : public WeightStore {
public:
  /// A file; or a folder with `model.safetensors`, or with an index and its shards.
  static llvm::Expected<std::unique_ptr<SafetensorsFile>> open(llvm::StringRef path);
  /// Reads from memory; the buffer's identifier is the file name in errors.
  static llvm::Expected<std::unique_ptr<SafetensorsFile>>
  parse(std::unique_ptr<llvm::MemoryBuffer> buffer);

  /// Whether a folder holds weights that `open` would read.
  static bool isIn(llvm::StringRef folder);

  /// In the order of files and of their data.
  llvm::ArrayRef<SafetensorsTensor> getTensors() const { return tensors; }
  const SafetensorsTensor *findTensor(llvm::StringRef name) const;
  /// The files that were opened.
  llvm::ArrayRef<std::string> getFiles() const { return files; }

  const WeightInfo *find(llvm::StringRef name) const override;
  std::vector<std::string> getNames() const override;
  llvm::ArrayRef<uint8_t> getMapped(llvm::StringRef name) const override;
  llvm::StringRef getDescription() const override { return description; }

protected:
  llvm::Error read(llvm::StringRef name, const WeightInfo &info, int64_t first, int64_t count,
                   llvm::MutableArrayRef<uint8_t> rows) const override;

private:
  llvm::Error addFile(std::unique_ptr<llvm::MemoryBuffer> buffer);
  llvm::Error openFile(llvm::StringRef path);
  llvm::Error openShards(llvm::StringRef folder, llvm::StringRef indexPath);

  std::string description;
  std::vector<std::string> files;
  std::vector<std::unique_ptr<llvm::MemoryBuffer>> buffers;
  std::vector<SafetensorsTensor> tensors;
  llvm::StringMap<size_t> index;
  ReadCounter reads;
};

} // namespace ingot

#endif // INGOT_IMPORT_SAFETENSORS_H
