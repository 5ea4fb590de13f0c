//===- ModelBuilder.h - Weights, layers and the entry of an imported model --------------------===//
//
// What every architecture shares: declaring weights after checking them against the tensors that
// the checkpoint has, one function for all layers of equal structure, and the entry that embeds
// tokens, calls the layers and computes logits for the wanted rows. An architecture names the
// weights of a layer, writes its body with DenseBuilder and leaves the rest to this class.
//
// The first error is reported where it is found; `hasFailed` then says so, and weights asked for
// after that are placeholders.
//
//===------------------------------------------------------------------------------------------===//

#ifndef INGOT_LIB_IMPORT_MODELBUILDER_H
#define INGOT_LIB_IMPORT_MODELBUILDER_H

#include "DenseBuilder.h"
#include "ingot/Support/WeightStore.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/StringSet.h"

namespace ingot::import {

class ModelBuilder {
public:
  using Value = mlir::Value;

  /// Starts a module for a checkpoint; only names, shapes and formats of its tensors are looked at.
  ModelBuilder(mlir::MLIRContext *context, const WeightStore &checkpoint);

  /// Reports an error in the checkpoint; the message goes on after the file's name.
  mlir::InFlightDiagnostic error();
  /// Reports an error whose sentence is complete.
  void error(llvm::Error error);
  bool hasFailed() const { return failed; }
  bool hasTensor(llvm::StringRef name) const { return checkpoint.find(name); }
  /// First size of a tensor; 1 where there is none, which is reported when it is declared.
  int64_t rowsOf(llvm::StringRef tensor) const;

  /// Writes a hyper-parameter into the module's attribute `transformer.model`.
  void setParameter(llvm::StringRef name, mlir::Attribute value);
  void setParameter(llvm::StringRef name, int64_t value);
  void setParameter(llvm::StringRef name, double value);
  void setParameter(llvm::StringRef name, float value);

  /// The weights of one layer, by role; their tensors are called `prefix` + role.
  class LayerWeights {
  public:
    LayerWeights(ModelBuilder &model, std::string prefix)
        : model(model), prefix(std::move(prefix)) {}
    /// `role`.weight [F, C] and, where the checkpoint has it, `role`.bias [F].
    void addLinear(llvm::StringRef role, int64_t features, int64_t channels);
    /// `role`.weight [C].
    void addVector(llvm::StringRef role, int64_t channels);

  private:
    friend class ModelBuilder;
    void add(std::string role, mlir::ArrayRef<int64_t> shape);
    ModelBuilder &model;
    std::string prefix;
    llvm::SmallVector<std::pair<std::string, transformer::WeightType>> weights;
  };

  /// Writes the body of a layer function: the result for the input x [B, S, C].
  using LayerBody = llvm::function_ref<Value(DenseBuilder &layer, Value x)>;

  /// The entry from its start: embedding of the tokens with `tensor` [V, C].
  Value embedTokens(llvm::StringRef tensor, int64_t vocabulary, int64_t width);
  /// A call of the layer function with these weights, written by `body` if it is the first of its
  /// structure.
  Value callLayer(llvm::StringRef name, Value x, const LayerWeights &weights, LayerBody body);
  /// Rows of `x` that the caller wants, normed.
  Value normSelectedRows(Value x, llvm::StringRef norm, float epsilon);
  /// Ends the entry: logits with `tensor` [V, C] for the rows of `x`.
  void returnLogits(Value x, llvm::StringRef tensor, int64_t vocabulary);

  /// A tensor that the program needs no weight for: its content went into attributes.
  void markAsUsed(llvm::StringRef tensor) { used.insert(tensor); }

  /// The finished module; reports tensors that nothing uses.
  mlir::FailureOr<mlir::OwningOpRef<mlir::ModuleOp>> finish();

private:
  /// Checks that the checkpoint has `tensor` with `shape` and declares its weight once.
  transformer::WeightType declareWeight(llvm::StringRef tensor, mlir::ArrayRef<int64_t> shape);
  Value getWeight(llvm::StringRef tensor, transformer::WeightType type);
  mlir::func::FuncOp createLayer(mlir::Type input, const LayerWeights &weights, LayerBody body);

  const WeightStore &checkpoint;
  mlir::OwningOpRef<mlir::ModuleOp> module;
  mlir::func::FuncOp main;
  mlir::OpBuilder builder; ///< at the end of the entry
  mlir::NamedAttrList parameters;
  llvm::StringMap<transformer::WeightType> declared;
  llvm::StringMap<Value> values; ///< of the weights, in the entry
  llvm::StringSet<> used;
  /// Layer functions with the weights (roles and types) that make their structure.
  llvm::SmallVector<std::pair<decltype(LayerWeights::weights), mlir::func::FuncOp>> layers;
  bool failed = false;
};

} // namespace ingot::import

#endif // INGOT_LIB_IMPORT_MODELBUILDER_H
