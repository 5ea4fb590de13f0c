//===- KernelPrograms.h - Regions that the kernels of lib/Kernels are tested with -------------------===//
//
// A case is a region for one kernel family, with its sizes; a family is a text of IR with holes for
// them. To test a kernel on another shape, add a line to `kernelCases`; to test a new family, also
// add its text to `getProgram`. KernelsTest.cpp says what is done with a case.
//
//===----------------------------------------------------------------------------------------------===//

#ifndef INGOT_TEST_UNIT_KERNELS_KERNELPROGRAMS_H
#define INGOT_TEST_UNIT_KERNELS_KERNELPROGRAMS_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include <cstdint>
#include <string>
#include <vector>

namespace ingot::test {

/// One region. Sizes that a family does not have are not looked at.
struct KernelCase {
  llvm::StringRef family;
  /// `f32`, `int8`, `int16`, `both` of the first two, or `all`: one case for each.
  llvm::StringRef activations = "f32";
  /// Of the weight: a numeric format, or `each`: one case for each that there is.
  llvm::StringRef format = "f32";
  /// What else varies in the family's text.
  llvm::StringRef variant = "";
  int64_t rows = 0, columns = 0;
  int64_t heads = 0, cacheHeads = 0, dim = 0, page = 16;
  llvm::StringRef cache = "f32"; ///< format of keys, and after a space that of values if another
  int64_t window = 0;            ///< 0: none
  /// Of each sequence: tokens in this step, and tokens that are in the cache already.
  std::vector<int64_t> tokens = {1}, past = {0};

  int64_t countTokens() const;
  /// Whether only kernels for GPUs compute the region.
  bool isForGpusOnly() const { return variant.contains("normed"); }
  /// Whether the cache has codes.
  bool hasCodes() const { return cache.starts_with("i"); }
  /// The case in a line, for messages.
  std::string describe() const;
};

/// Most tokens of a sequence in all cases.
inline constexpr int64_t contextTokens = 80;

/// All cases, with `each` and `both` written out.
std::vector<KernelCase> getKernelCases();

/// A module with the function @f; its weights are @w, @u and @g, those of the store `w`, `u`, `g`.
/// Empty where the family has no text.
std::string getProgram(const KernelCase &kernel);

/// How far a result may be from the reference: `length` roundings to float32 (2^-24 each) of
/// numbers of the size `magnitude`. The reference rounds once.
struct Tolerance {
  double length, magnitude;
  double get() const { return length * 0x1p-24 * magnitude; }
};
/// `largest`: the largest number among the inputs; `inputNorm` and `weightNorm`: of their longest
/// rows. By the inequality of Cauchy and Schwarz the terms of a product sum up to at most the
/// product of the norms.
Tolerance getTolerance(const KernelCase &kernel, double largest, double inputNorm,
                       double weightNorm);
/// The same for the matrix units of a GPU, which take operands of f16 or bf16.
double getGpuTolerance(const KernelCase &kernel, double largest, double inputNorm,
                       double weightNorm);

} // namespace ingot::test

#endif // INGOT_TEST_UNIT_KERNELS_KERNELPROGRAMS_H
