//===- CheckpointView.h - A checkpoint's weights as the program wants them --------------------===//
//
// Checkpoints store some weights fused or turned: query, key and value in one matrix, heads of the
// three in turn, columns where rows are wanted, a norm's weight less one. A view is a new weight
// with a name of its own that reads another one's bytes, so no such thing reaches the program, and
// nothing is copied. Weights without a view pass through.
//
//===------------------------------------------------------------------------------------------===//

#ifndef INGOT_LIB_IMPORT_CHECKPOINTVIEW_H
#define INGOT_LIB_IMPORT_CHECKPOINTVIEW_H

#include "ingot/Support/WeightStore.h"
#include <memory>

namespace ingot::import {

/// Some rows of a matrix: row i of the view is row first + (i / run) * stride + i % run.
struct RowPattern {
  int64_t first = 0, count = 0;
  int64_t run = 0, stride = 0; ///< 0: the rows lie one after the other
  int64_t operator[](int64_t i) const {
    return run ? first + i / run * stride + i % run : first + i;
  }
};

struct WeightView {
  std::string base = {};
  RowPattern rows = {};
  bool isTransposed = false; ///< the rows are the columns of `base`, a matrix of floats
  std::string added = {};    ///< a matrix whose first row is added to each; the view is then in f32
  bool isFloat32 = false;    ///< the numbers in f32, whatever they are stored in
  float addend = 0;          ///< added to each number; the view is then in f32
};

class CheckpointView : public WeightStore {
public:
  explicit CheckpointView(std::shared_ptr<const WeightStore> checkpoint)
      : checkpoint(std::move(checkpoint)) {}

  /// Makes the view known as `name`; a sentence where it does not fit its base.
  llvm::Error add(llvm::StringRef name, WeightView view);

  const WeightInfo *find(llvm::StringRef name) const override;
  /// Those of the checkpoint.
  std::vector<std::string> getNames() const override { return checkpoint->getNames(); }
  llvm::ArrayRef<uint8_t> getMapped(llvm::StringRef name) const override;
  /// As the checkpoint's; whoever relies on it looks at the bytes (RepeatedWeights.h).
  uint64_t getRepeatedRows() const override { return checkpoint->getRepeatedRows(); }
  llvm::StringRef getDescription() const override { return checkpoint->getDescription(); }

protected:
  llvm::Error read(llvm::StringRef name, const WeightInfo &info, int64_t first, int64_t count,
                   llvm::MutableArrayRef<uint8_t> rows) const override;

private:
  struct Entry {
    WeightView view;
    WeightInfo info, base;
  };
  llvm::Error readRow(const Entry &entry, int64_t row, llvm::MutableArrayRef<uint8_t> bytes) const;

  std::shared_ptr<const WeightStore> checkpoint;
  llvm::StringMap<Entry> views;
};

} // namespace ingot::import

#endif // INGOT_LIB_IMPORT_CHECKPOINTVIEW_H
