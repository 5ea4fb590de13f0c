//===- ConfigParameters.h - Hyper-parameters of a folder's config.json ------------------------===//
//
// The entries of config.json under the words of the family's tables. Whatever is not asked for and
// might change the model is refused: nothing is ignored that is not known to be harmless.
//
//===------------------------------------------------------------------------------------------===//

#ifndef INGOT_LIB_IMPORT_CONFIGPARAMETERS_H
#define INGOT_LIB_IMPORT_CONFIGPARAMETERS_H

#include "Parameters.h"
#include "llvm/ADT/StringSet.h"

namespace ingot::import {

class ConfigParameters : public Parameters {
public:
  /// `ignored` are further entries that change nothing, separated by spaces.
  ConfigParameters(const llvm::json::Object &config, llvm::StringRef family,
                   llvm::ArrayRef<NameTable> tables, llvm::StringRef ignored,
                   int64_t contextAskedFor, ModelBuilder &model);

  RopeParameters rope(int64_t headDim, const RopeDefaults &defaults) override;
  void finish() override;
  std::string describe(llvm::StringRef role) const override;

private:
  bool isThere(llvm::StringRef role) override;
  std::optional<llvm::json::Value> find(llvm::StringRef role) override;
  /// What the configuration says of rope, in today's words: rope_type, rope_theta, ...
  llvm::json::Object findRope(llvm::StringRef layerKind);
  /// A positive number of the rope object.
  double ropeNumber(const llvm::json::Object &rope, llvm::StringRef key,
                    std::optional<double> fallback = std::nullopt);
  void scaleRope(RopeParameters &result, const llvm::json::Object &rope, llvm::StringRef type);
  void scaleLongRope(RopeParameters &result, const llvm::json::Object &rope);

  const llvm::json::Object &config;
  llvm::SmallVector<NameTable, 2> tables;
  llvm::StringSet<> known; ///< asked for, or harmless
};

} // namespace ingot::import

#endif // INGOT_LIB_IMPORT_CONFIGPARAMETERS_H
