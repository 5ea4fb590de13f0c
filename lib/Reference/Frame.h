//===- Frame.h - What implementations of ops see of the interpreter ---------------------------===//
//
// A frame holds the values of one call of a function (or of one compute region). An implementation
// reads its operands, computes, sets its results; `Context` has what is shared by the whole run:
// the module, weights, threads.
//
// Each file of implementations has the name of the .td file whose ops it covers, or of the upstream
// dialect, and one `add...Ops` function.
//
//===------------------------------------------------------------------------------------------===//

#ifndef INGOT_LIB_REFERENCE_FRAME_H
#define INGOT_LIB_REFERENCE_FRAME_H

#include "ingot/Reference/Value.h"
#include "ingot/Support/WeightStore.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/Operation.h"
#include "mlir/IR/SymbolTable.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/ThreadPool.h"
#include <functional>

namespace ingot::reference {

class Frame;
using Handler = std::function<llvm::LogicalResult(mlir::Operation *, Frame &)>;

class Context {
public:
  Context(mlir::ModuleOp module, const WeightStore &weights, unsigned threads);

  /// Calls `function(begin, end)` for ranges that cover [0, count), on all threads. Ranges hold
  /// at most `grain` items.
  void parallelFor(int64_t count, int64_t grain,
                   llvm::function_ref<void(int64_t begin, int64_t end)> function);

  /// Decodes rows of a weight; reports an error at `op`. May be called from several threads.
  llvm::LogicalResult readRows(mlir::Operation *op, const Weight &weight, int64_t first,
                               int64_t count, llvm::MutableArrayRef<float> values);
  /// All of a weight of rank 1.
  llvm::FailureOr<std::vector<float>> readVector(mlir::Operation *op, const Weight &weight);

  /// Registers the implementation of an op.
  template <typename Op> void add(llvm::LogicalResult (*implementation)(Op, Frame &)) {
    handlers[Op::getOperationName()] = [=](mlir::Operation *op, Frame &frame) {
      return implementation(llvm::cast<Op>(op), frame);
    };
  }
  /// Registers the implementation of all ops of a dialect that have none of their own.
  void addDialect(llvm::StringRef dialect, Handler handler) {
    dialects[dialect] = std::move(handler);
  }
  const Handler *find(mlir::Operation *op) const;

  mlir::ModuleOp module;
  mlir::SymbolTableCollection symbols;

private:
  struct Source {
    std::string name;          ///< in the store
    std::vector<float> values; ///< of an inline weight
  };
  llvm::Error readPart(const Source &source, const transformer::WeightType &type, int64_t first,
                       int64_t count, llvm::MutableArrayRef<float> values) const;

  const WeightStore &weights;
  llvm::StringMap<Source> sources; ///< of the module's weights, by symbol
  llvm::StringMap<Handler> handlers, dialects;
  llvm::DefaultThreadPool pool;
  std::mutex diagnostics;
};

class Frame {
public:
  explicit Frame(Context &context) : context(context) {}

  const Datum &get(mlir::Value value) const { return values.find(value)->second; }
  const Tensor &tensor(mlir::Value value) const { return std::get<Tensor>(get(value)); }
  const Weight &weight(mlir::Value value) const { return std::get<Weight>(get(value)); }
  const Ragged &ragged(mlir::Value value) const { return std::get<Ragged>(get(value)); }
  const Cache &cache(mlir::Value value) const { return std::get<Cache>(get(value)); }
  int64_t integer(mlir::Value value) const { return std::get<Scalar>(get(value)).integer; }
  void set(mlir::Value value, Datum content) { values.insert_or_assign(value, std::move(content)); }

  /// Runs a block with these arguments; the values that its terminator returns. Values that are
  /// not used any more are dropped on the way.
  llvm::FailureOr<std::vector<Datum>> run(mlir::Block &block, llvm::ArrayRef<Datum> arguments);

  Context &context;

private:
  llvm::LogicalResult execute(mlir::Operation *op);
  void dropAfterLastUse(mlir::Operation *op);

  std::map<mlir::Value, Datum, bool (*)(mlir::Value, mlir::Value)> values{
      [](mlir::Value a, mlir::Value b) { return a.getAsOpaquePointer() < b.getAsOpaquePointer(); }};
  llvm::DenseMap<mlir::Value, int64_t> usesLeft;
};

/// A function of the elements of an op's operands.
using ScalarFunction = std::function<Scalar(llvm::ArrayRef<Scalar>)>;

/// What an elementwise op of `arith` or `math` does with one element; none for ops without one.
ScalarFunction findScalarFunction(mlir::Operation *op);

// The implementations, by theme.
void addWeightOps(Context &context);
void addLayerOps(Context &context);
void addAttentionOps(Context &context);
void addBatchOps(Context &context);
void addComputeOps(Context &context);
void addArithOps(Context &context);
void addTensorOps(Context &context);
void addLinalgOps(Context &context);

} // namespace ingot::reference

#endif // INGOT_LIB_REFERENCE_FRAME_H
