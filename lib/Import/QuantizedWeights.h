//===- QuantizedWeights.h - Weights that several tensors of a folder make up ------------------===//
//
// GPTQ, AWQ, compressed-tensors and FP8 checkpoints keep the codes of a weight, its scales, its
// zero-points and the order of its columns in tensors of their own. Here such a layer is one
// weight, called as if it were not quantised ("...q_proj.weight"), in a format of the table of
// NumericFormat.h: rows are put together as they are read, every number as it was, nothing is
// copied ahead. The tensors that it is made of are not seen; all others pass through.
//
// Act-order: GPTQ may quantise columns in another order than they stand in, so that each column
// says which scale it has. The weight then holds its columns in the order of their scales, and a
// second weight, its *order*, says which channel of the activations each column takes: `getOrder`.
// Weights of the same order share one.
//
// What is wrong with the tensors is one sentence that names tensor, value and limit.
//
//===------------------------------------------------------------------------------------------===//

#ifndef INGOT_LIB_IMPORT_QUANTIZEDWEIGHTS_H
#define INGOT_LIB_IMPORT_QUANTIZEDWEIGHTS_H

#include "QuantizationConfig.h"
#include "ingot/Import/Safetensors.h"
#include "llvm/ADT/StringSet.h"

namespace ingot::import {

class QuantizedWeights : public WeightStore {
public:
  static llvm::Expected<std::shared_ptr<QuantizedWeights>>
  open(std::shared_ptr<const SafetensorsFile> file, const QuantizationConfig &config);

  /// The name of the order of a weight's columns, [columns] f32; empty where they stand in their
  /// own.
  llvm::StringRef getOrder(llvm::StringRef weight) const;

  const WeightInfo *find(llvm::StringRef name) const override;
  std::vector<std::string> getNames() const override;
  llvm::ArrayRef<uint8_t> getMapped(llvm::StringRef name) const override;
  llvm::StringRef getDescription() const override { return file->getDescription(); }

protected:
  llvm::Error read(llvm::StringRef name, const WeightInfo &info, int64_t first, int64_t count,
                   llvm::MutableArrayRef<uint8_t> rows) const override;

private:
  /// Where the codes of a weight lie, and its zero-points.
  enum class Layout {
    ColumnWords, ///< a word holds codes of neighbouring columns of one row: [columns, rows]
    RowWords,    ///< of neighbouring rows, in AWQ's order: [columns, rows]
    RowMajor,    ///< words of neighbouring columns: [rows, columns]
    Bytes,       ///< [rows, columns]
  };
  struct Weight {
    WeightInfo info;
    Layout layout;
    QuantizationScheme scheme;
    const SafetensorsTensor *codes = nullptr, *scales = nullptr;
    const SafetensorsTensor *zeros = nullptr; ///< null for symmetric ones
    int64_t scaleRowStride = 0, scaleGroupStride = 0;
    unsigned zeroAddend = 0;
    std::string order = {};             ///< the name of its order
    std::vector<uint32_t> columns = {}; ///< the column at each place; empty: its own
    std::vector<uint32_t> groups = {};  ///< of each 32 columns

    /// The place of a scale in its tensor.
    int64_t getScale(int64_t row, int64_t group) const {
      int64_t scaleRow = row / (scheme.groupRows ? scheme.groupRows : info.rows);
      return scaleRow * scaleRowStride + group * scaleGroupStride;
    }
  };
  class Opener;

  void readCodes(const Weight &weight, int64_t row, llvm::MutableArrayRef<uint8_t> codes) const;
  unsigned readZero(const Weight &weight, int64_t row, int64_t group) const;
  llvm::Error readRow(llvm::StringRef name, const Weight &weight, int64_t row,
                      llvm::MutableArrayRef<uint8_t> bytes) const;

  std::shared_ptr<const SafetensorsFile> file;
  llvm::StringMap<Weight> weights;
  struct Order {
    WeightInfo info;
    std::vector<uint8_t> bytes;
  };
  llvm::StringMap<Order> orders;
  std::vector<std::string> names;
};

} // namespace ingot::import

#endif // INGOT_LIB_IMPORT_QUANTIZEDWEIGHTS_H
