//===- WeightStore.h - Where the bytes of weights come from ------------------------------------------===//
//
// Weights never enter the IR: they are names there. Whoever reads their bytes (packer, reference
// interpreter, a pass that quantises) asks the weight store that the pipeline was handed. A store
// is lazy (nothing is read before it is asked for), streamed (rows at a time, into the caller's
// memory) and content-addressed (`hash`), and looks the same over a checkpoint, inline values and
// random numbers. Reading is const and may happen on several threads at once.
//
//===----------------------------------------------------------------------------------------------===//

#ifndef INGOT_SUPPORT_WEIGHTSTORE_H
#define INGOT_SUPPORT_WEIGHTSTORE_H

#include "ingot/Support/NumericFormat.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/Error.h"
#include <string>
#include <vector>

namespace ingot {

/// Format and shape of a weight, slowest dimension first; rows lie along the last one.
struct WeightInfo {
  const NumericFormat *format = nullptr;
  llvm::SmallVector<int64_t, 4> shape;
  // Set by `get`.
  int64_t rows = 0;    ///< product of all dimensions but the last; 1 for a vector
  int64_t columns = 0; ///< the last dimension
  uint64_t rowBytes = 0;
  uint64_t bytes = 0;

  /// Dimensions must be positive, the last a multiple of the format's block, the bytes below 2^63.
  static llvm::Expected<WeightInfo> get(const NumericFormat &format, llvm::ArrayRef<int64_t> shape);
};

class WeightStore {
public:
  virtual ~WeightStore();

  /// The weight's format and shape, or null where the store has none of that name.
  virtual const WeightInfo *find(llvm::StringRef name) const = 0;
  /// As `find`, with a sentence where there is none.
  llvm::Expected<const WeightInfo *> get(llvm::StringRef name) const;
  /// All names, in the store's order.
  virtual std::vector<std::string> getNames() const = 0;

  /// Fills `buffer` with the stored bytes of `count` rows from row `first` on; `buffer` is exactly
  /// as large.
  llvm::Error readRows(llvm::StringRef name, int64_t first, int64_t count,
                       llvm::MutableArrayRef<uint8_t> buffer) const;
  /// The same, decoded.
  llvm::Error readValues(llvm::StringRef name, int64_t first, int64_t count,
                         llvm::MutableArrayRef<float> values) const;

  /// The whole weight where it lies in memory already, else an empty array.
  virtual llvm::ArrayRef<uint8_t> getMapped(llvm::StringRef name) const { return {}; }

  /// SHA-256 of format, shape and bytes, in hexadecimal: equal for equal weights whatever their
  /// store or name.
  llvm::Expected<std::string> hash(llvm::StringRef name) const;

  /// Rows after which the rows of every weight come again; 0 where they do not.
  virtual uint64_t getRepeatedRows() const { return 0; }

  /// What errors call the store: a file name.
  virtual llvm::StringRef getDescription() const = 0;

protected:
  /// `readRows` after its checks.
  virtual llvm::Error read(llvm::StringRef name, const WeightInfo &info, int64_t first,
                           int64_t count, llvm::MutableArrayRef<uint8_t> buffer) const = 0;
};

/// Weights held in memory: small ones written inline in a module, those of tests, those that a pass
/// made.
class InlineWeightStore : public WeightStore {
public:
  /// The bytes are as stored by the format. Fails where they are not as many as the shape says, or
  /// the name is taken.
  llvm::Error add(llvm::StringRef name, const NumericFormat &format, llvm::ArrayRef<int64_t> shape,
                  std::vector<uint8_t> bytes);
  /// Encodes the values; formats that `canEncode` only.
  llvm::Error addValues(llvm::StringRef name, const NumericFormat &format,
                        llvm::ArrayRef<int64_t> shape, llvm::ArrayRef<float> values);

  const WeightInfo *find(llvm::StringRef name) const override;
  std::vector<std::string> getNames() const override { return names; }
  llvm::ArrayRef<uint8_t> getMapped(llvm::StringRef name) const override;
  llvm::StringRef getDescription() const override { return "inline weights"; }

protected:
  llvm::Error read(llvm::StringRef name, const WeightInfo &info, int64_t first, int64_t count,
                   llvm::MutableArrayRef<uint8_t> buffer) const override;

private:
  struct Weight {
    WeightInfo info;
    std::vector<uint8_t> bytes;
  };
  llvm::StringMap<Weight> weights;
  std::vector<std::string> names;
};

/// Random weights, to measure an architecture without its checkpoint. Any block depends on seed,
/// name and position alone, so rows come out the same in whatever order they are read; nothing is
/// stored. Rows come again after 128, and names that differ in digits alone, as those of layers do,
/// have the same rows: an artefact stores them once. Integer formats get uniform codes and group
/// scales, centred on zero; floats are roughly normal.
class RandomWeightStore : public WeightStore {
public:
  explicit RandomWeightStore(uint64_t seed);

  /// `deviation` of the values; `mean` is heeded by float formats only (norm weights want 1).
  llvm::Error add(llvm::StringRef name, const NumericFormat &format, llvm::ArrayRef<int64_t> shape,
                  float deviation = 0.02f, float mean = 0.0f);

  const WeightInfo *find(llvm::StringRef name) const override;
  std::vector<std::string> getNames() const override { return names; }
  uint64_t getRepeatedRows() const override { return repeatedRows; }
  llvm::StringRef getDescription() const override { return description; }

protected:
  llvm::Error read(llvm::StringRef name, const WeightInfo &info, int64_t first, int64_t count,
                   llvm::MutableArrayRef<uint8_t> buffer) const override;

private:
  static constexpr int64_t repeatedRows = 128;
  struct Weight {
    WeightInfo info;
    float deviation, mean;
  };
  void makeRow(llvm::StringRef name, const Weight &weight, int64_t row,
               llvm::MutableArrayRef<uint8_t> bytes) const;

  uint64_t identity, seed;
  std::string description;
  llvm::StringMap<Weight> weights;
  std::vector<std::string> names;
};

} // namespace ingot

#endif // INGOT_SUPPORT_WEIGHTSTORE_H
