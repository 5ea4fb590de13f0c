//===- KernelStep.h - Launches of a function executed on plain memory -------------------------------===//
//
// What a runtime does with the launches of one function, for tests: the bytes behind every value,
// weights packed, caches in pages, and a call of an executor for each launch. Executors are the
// tile interpreter and compiled code; after both the bytes are compared.
//
// Memory is hostile: what nothing has written is filled with 0xCD (a NaN in any float format),
// pages are given out in a random order, unused entries of the page table are -1, and behind each
// buffer stand bytes that must not change.
//
//===----------------------------------------------------------------------------------------------===//

#ifndef INGOT_TEST_UNIT_KERNELS_KERNELSTEP_H
#define INGOT_TEST_UNIT_KERNELS_KERNELSTEP_H

#include "dialects/Tile/Tile.h"
#include "ingot/Kernels/Kernel.h"
#include "ingot/Reference/Value.h"
#include "ingot/Support/WeightStore.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "test/lib/CompiledKernels.h"

namespace ingot::test {

/// The bytes behind one view, and the guard after them.
class Buffer {
public:
  static constexpr uint8_t filling = 0xCD;

  explicit Buffer(size_t size) : bytes(size + guardBytes, filling) {}
  llvm::MutableArrayRef<uint8_t> get() {
    return llvm::MutableArrayRef(bytes).drop_back(guardBytes);
  }
  template <typename T> llvm::MutableArrayRef<T> as() {
    return {reinterpret_cast<T *>(bytes.data()), get().size() / sizeof(T)};
  }
  bool isGuardIntact() const {
    return llvm::all_of(llvm::ArrayRef(bytes).take_back(guardBytes),
                        [](uint8_t byte) { return byte == filling; });
  }
  bool operator==(const Buffer &other) const = default;

private:
  static constexpr size_t guardBytes = 256;
  std::vector<uint8_t> bytes;
};

/// Bounds of a step, as the compiler was told, and the machine that its kernels are for.
struct StepBounds {
  int64_t contextTokens, sequences;
  kernels::Machine machine = kernels::Machine::Cpu;
};

class KernelStep {
public:
  using Executor = llvm::function_ref<llvm::Error(
      tile::KernelOp, llvm::ArrayRef<llvm::MutableArrayRef<uint8_t>>, Counts)>;

  /// Inputs are those of `function`, as the reference takes them. `layer` of the caches is given to
  /// the kernels.
  KernelStep(mlir::func::FuncOp function, const WeightStore &store, StepBounds bounds,
             Counts counts, llvm::ArrayRef<reference::Datum> inputs);

  /// Executes all launches, in order.
  llvm::Error run(Executor executor);

  /// Result `index` as numbers of float32; a tensor.
  std::vector<float> getResult(unsigned index);
  /// Keys and values of a token, by the cache that result `index` is.
  reference::Cache::Entry getEntry(unsigned index, int32_t sequence, int32_t position);
  /// All buffers, in the order of the program: equal programs and inputs give lists that can be
  /// compared one by one.
  const std::vector<std::shared_ptr<Buffer>> &getBuffers() const { return buffers; }

private:
  using Views = llvm::SmallVector<Buffer *, 4>;

  Buffer *allocate(size_t bytes);
  void addInput(mlir::Value argument, const reference::Datum &input);
  Views storeTensor(const reference::Tensor &tensor);
  Views storeBatch(const reference::Ragged &batch);
  Views storeCache(const reference::Cache &cache);
  llvm::Error addWeight(mlir::Operation *op);
  llvm::Error launch(tile::LaunchOp op, Executor executor);
  size_t getBytes(tile::ViewType view) const;
  /// A token's place in a cache.
  struct Slot {
    int64_t page, slot;
  };
  Slot getSlot(transformer::KVCacheType type, int32_t sequence, int32_t position) const;
  /// Where channel `channel` of a head of a token is among the keys (values) of a cache, where a
  /// head of a token has `columns` numbers.
  size_t getPlace(transformer::KVCacheType type, Slot slot, int64_t head, int64_t channel,
                  int64_t columns, bool isKey) const;
  /// Keys or values of a token as numbers.
  void storeRow(transformer::KVCacheType type, Slot slot, llvm::ArrayRef<float> row,
                const Views &views, bool isKey) const;
  std::vector<float> readRow(transformer::KVCacheType type, Slot slot, const Views &views,
                             bool isKey) const;
  int64_t getPage(transformer::KVCacheType type, int32_t sequence, int64_t index) const;

  mlir::func::FuncOp function;
  const WeightStore &store;
  StepBounds bounds;
  Counts counts;
  llvm::DenseMap<mlir::Value, Views> views;
  /// The weights of the store that a weight is, one after the other.
  llvm::DenseMap<mlir::Value, std::vector<std::string>> weightNames;
  std::vector<std::shared_ptr<Buffer>> buffers;
};

} // namespace ingot::test

#endif // INGOT_TEST_UNIT_KERNELS_KERNELSTEP_H
