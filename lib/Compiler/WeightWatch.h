//===- WeightWatch.h - Notices weights that are no numbers ------------------------------------===//
//
// A store in front of another one. While rows pass through on their way into the artefact it looks
// for NaN, so that a broken checkpoint is named once, at no further reading of the file.
//
//===------------------------------------------------------------------------------------------===//

#ifndef INGOT_LIB_COMPILER_WEIGHTWATCH_H
#define INGOT_LIB_COMPILER_WEIGHTWATCH_H

#include "ingot/Support/WeightStore.h"
#include <mutex>
#include <set>

namespace ingot {

class WeightWatch : public WeightStore {
public:
  explicit WeightWatch(const WeightStore &store) : store(store) {}

  const WeightInfo *find(llvm::StringRef name) const override { return store.find(name); }
  std::vector<std::string> getNames() const override { return store.getNames(); }
  llvm::StringRef getDescription() const override { return store.getDescription(); }

  /// The weights in which a NaN was seen, or a scale that is one.
  std::set<std::string> getBroken() const;

protected:
  llvm::Error read(llvm::StringRef name, const WeightInfo &info, int64_t first, int64_t count,
                   llvm::MutableArrayRef<uint8_t> rows) const override;

private:
  const WeightStore &store;
  mutable std::mutex mutex; ///< orders what several readers find
  mutable std::set<std::string> broken;
};

} // namespace ingot

#endif // INGOT_LIB_COMPILER_WEIGHTWATCH_H
