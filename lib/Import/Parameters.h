//===- Parameters.h - Hyper-parameters of a checkpoint, checked -------------------------------===//
//
// One reader for the metadata of a GGUF file and for a folder's config.json. Parameters are asked
// for by role (Names.h). A missing one, a value of another type or one out of range is reported as
// one sentence through the model builder, and an allowed value is returned, so that callers read
// everything first and ask `hasFailed` once.
//
// A configuration that asks for what the family does not do must be refused: `finish` names the
// entries of a config.json that nobody asked for and that are not known to change nothing.
//
//===------------------------------------------------------------------------------------------===//

#ifndef INGOT_LIB_IMPORT_PARAMETERS_H
#define INGOT_LIB_IMPORT_PARAMETERS_H

#include "ModelBuilder.h"
#include "Names.h"
#include "llvm/Support/JSON.h"

namespace ingot::import {

/// What a family means where a checkpoint says nothing of rope.
struct RopeDefaults {
  double base = 10000;
  double share = 1;               ///< of the channels of a head that rotate
  llvm::StringRef layerKind = ""; ///< where kinds of layers differ: "full_attention", ...
};

class Parameters {
public:
  /// Sizes beyond this are refused: products of two of them fit 64 bits.
  static constexpr int64_t sizeLimit = int64_t(1) << 30;

  virtual ~Parameters() = default;

  /// An integer from 1 to `sizeLimit`; without `fallback` the entry must be there.
  int64_t size(llvm::StringRef role, std::optional<int64_t> fallback = std::nullopt);
  /// An integer from 0 to `sizeLimit`.
  int64_t count(llvm::StringRef role, int64_t fallback);
  /// A positive number; without `fallback` the entry must be there.
  double positive(llvm::StringRef role, std::optional<double> fallback = std::nullopt);
  /// The cap of a soft cap: `fallback` where the entry is missing, 0 (none) where it is null.
  float cap(llvm::StringRef role, float fallback);
  bool flag(llvm::StringRef role, bool fallback);
  /// The text of an entry, `fallback` where it is missing.
  std::string text(llvm::StringRef role, llvm::StringRef fallback);
  /// An array of strings; empty where it is missing.
  std::vector<std::string> texts(llvm::StringRef role);
  /// Whether an entry is there and not null.
  bool has(llvm::StringRef role) { return find(role).has_value(); }
  /// Reports that `feature` is not supported if the entry is there and not null, false or 0.
  void refuseUnlessZero(llvm::StringRef role, llvm::StringRef feature);
  /// The elementwise function of the feed-forward network; refuses one that is not known.
  transformer::ActivationKind activation(llvm::StringRef fallback);
  /// Rotary embedding of heads with `headDim` channels: base, dimensions, scaling.
  virtual RopeParameters rope(int64_t headDim, const RopeDefaults &defaults) = 0;
  /// Reports entries that nobody asked for.
  virtual void finish() {}

  /// Whether the checkpoint is a folder rather than a GGUF file.
  bool isFolder() const { return folder; }
  /// The context that the user asked for, 0 where there was no such wish.
  int64_t getContextAskedFor() const { return contextAskedFor; }
  /// How a message calls the entry: "metadata entry 'llama.block_count'".
  virtual std::string describe(llvm::StringRef role) const = 0;

protected:
  Parameters(llvm::StringRef family, bool folder, int64_t contextAskedFor, ModelBuilder &model)
      : family(family), folder(folder), contextAskedFor(contextAskedFor), model(model) {}

  /// Whether the entry is there, null or not.
  virtual bool isThere(llvm::StringRef role) = 0;
  /// The value of an entry; none where it is missing or null.
  virtual std::optional<llvm::json::Value> find(llvm::StringRef role) = 0;
  /// Reports a value that is not what was expected.
  void reject(llvm::StringRef role, const llvm::json::Value &value, const llvm::Twine &expected);
  /// The value of an entry, reported where it is missing and there is no fallback.
  std::optional<llvm::json::Value> require(llvm::StringRef role, bool hasFallback);

  int64_t integer(llvm::StringRef role, std::optional<int64_t> fallback, int64_t least);

  std::string family;
  bool folder;
  int64_t contextAskedFor;
  ModelBuilder &model;
};

} // namespace ingot::import

#endif // INGOT_LIB_IMPORT_PARAMETERS_H
