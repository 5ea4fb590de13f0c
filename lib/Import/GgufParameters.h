//===- GgufParameters.h - Hyper-parameters of a GGUF file -------------------------------------===//
//
// The keys "ARCHITECTURE.role" of the file's metadata.
//
//===------------------------------------------------------------------------------------------===//

#ifndef INGOT_LIB_IMPORT_GGUFPARAMETERS_H
#define INGOT_LIB_IMPORT_GGUFPARAMETERS_H

#include "Parameters.h"
#include "ingot/Import/Gguf.h"

namespace ingot::import {

class GgufParameters : public Parameters {
public:
  GgufParameters(const GgufFile &file, llvm::StringRef architecture, int64_t contextAskedFor,
                 ModelBuilder &model)
      : Parameters(architecture, /*folder=*/false, contextAskedFor, model), file(file) {}

  RopeParameters rope(int64_t headDim, const RopeDefaults &defaults) override;
  std::string describe(llvm::StringRef role) const override;

private:
  bool isThere(llvm::StringRef role) override { return find(role).has_value(); }
  std::optional<llvm::json::Value> find(llvm::StringRef role) override;
  std::vector<float> readRopeFactors(int64_t dims);

  const GgufFile &file;
};

} // namespace ingot::import

#endif // INGOT_LIB_IMPORT_GGUFPARAMETERS_H
