//===- EncodedWeightStore.h - Weights rounded to another format as they are read ---------------------===//
//
// A store in front of another one. A weight that was asked to be in another format is decoded and
// encoded row by row, on its way to whoever reads it; all others pass through.
//
//===----------------------------------------------------------------------------------------------===//

#ifndef INGOT_SUPPORT_ENCODEDWEIGHTSTORE_H
#define INGOT_SUPPORT_ENCODEDWEIGHTSTORE_H

#include "ingot/Support/WeightStore.h"
#include <memory>

namespace ingot {

class EncodedWeightStore : public WeightStore {
public:
  explicit EncodedWeightStore(std::shared_ptr<const WeightStore> base) : base(std::move(base)) {}

  /// From now on the weight is in `format`, which `canEncode`.
  llvm::Error encode(llvm::StringRef name, const NumericFormat &format);

  const WeightInfo *find(llvm::StringRef name) const override;
  std::vector<std::string> getNames() const override { return base->getNames(); }
  llvm::ArrayRef<uint8_t> getMapped(llvm::StringRef name) const override;
  uint64_t getRepeatedRows() const override { return base->getRepeatedRows(); }
  llvm::StringRef getDescription() const override { return base->getDescription(); }

protected:
  llvm::Error read(llvm::StringRef name, const WeightInfo &info, int64_t first, int64_t count,
                   llvm::MutableArrayRef<uint8_t> buffer) const override;

private:
  std::shared_ptr<const WeightStore> base;
  llvm::StringMap<WeightInfo> encoded;
};

} // namespace ingot

#endif // INGOT_SUPPORT_ENCODEDWEIGHTSTORE_H
