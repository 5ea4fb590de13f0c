//===- ModelBuilder.h - Weights, layers and the entry of an imported model --------------------===//
//
// What every architecture shares: declaring weights after checking them against the tensors that
// the checkpoint has, one function for all layers of equal structure, and the entry that embeds
// tokens, calls the layers and computes logits for the wanted rows. An architecture speaks of
// weights by role, writes a layer's body with DenseBuilder and leaves the rest to this class.
//
// The first error is reported where it is found; `hasFailed` then says so, and weights asked for
// after that are placeholders.
//
//===------------------------------------------------------------------------------------------===//

#ifndef INGOT_LIB_IMPORT_MODELBUILDER_H
#define INGOT_LIB_IMPORT_MODELBUILDER_H

#include "CheckpointView.h"
#include "DenseBuilder.h"
#include "Names.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/StringSet.h"
#include <functional>

namespace ingot::import {

/// Weights that are made up as they are asked for, in place of a checkpoint's.
struct RandomWeights {
  std::shared_ptr<RandomWeightStore> store;
  const NumericFormat *format; ///< of matrices; vectors are f32
};

/// What the embedding of a position is made of, beside its row.
struct PositionTable {
  int64_t first = 0;          ///< the row of position 0
  llvm::StringRef added = {}; ///< role of a matrix [addedRows, C] whose first row is added to all
  int64_t addedRows = 0;
};

class ModelBuilder {
public:
  using Value = mlir::Value;

  /// Starts a module for a checkpoint; only names, shapes and formats of its tensors are looked at.
  ModelBuilder(mlir::MLIRContext *context, std::shared_ptr<const WeightStore> checkpoint,
               TensorNames names = {}, RandomWeights random = {});

  /// Reports an error in the checkpoint; the message goes on after the file's name.
  mlir::InFlightDiagnostic error();
  /// Reports an error whose sentence is complete.
  void error(llvm::Error error);
  bool hasFailed() const { return failed; }
  bool hasTensor(llvm::StringRef role) const { return view->find(names.get(role)); }
  /// First size of a tensor; 1 where there is none, which is reported when it is declared.
  int64_t rowsOf(llvm::StringRef role) const;
  /// The checkpoint with the views that were made of it.
  std::shared_ptr<const WeightStore> getWeights() const { return view; }

  /// Writes a hyper-parameter into the module's attribute `transformer.model`.
  void setParameter(llvm::StringRef name, mlir::Attribute value);
  void setParameter(llvm::StringRef name, int64_t value);
  void setParameter(llvm::StringRef name, double value);
  void setParameter(llvm::StringRef name, float value);

  /// One of several weights that a tensor holds.
  struct Part {
    llvm::StringRef role;
    RowPattern rows;
  };

  /// The name of a weight that says which channels the columns of another one take; empty: they
  /// stand as they are.
  using FindOrder = std::function<llvm::StringRef(llvm::StringRef weight)>;
  void setOrders(FindOrder find) { findOrder = std::move(find); }

  /// The weights of one layer (or, without a prefix, of the entry), by role.
  class LayerWeights {
  public:
    LayerWeights(ModelBuilder &model, std::string prefix)
        : model(model), prefix(std::move(prefix)) {}
    /// `role`.weight [F, C] and with `hasBias` `role`.bias [F].
    void addLinear(llvm::StringRef role, int64_t features, int64_t channels, bool hasBias = false);
    /// The same, stored as [C, F].
    void addTransposed(llvm::StringRef role, int64_t features, int64_t channels,
                       bool hasBias = false);
    /// Several products whose rows the tensor `role` [F, C] (or [C, F]) holds.
    void addSplit(llvm::StringRef role, llvm::ArrayRef<Part> parts, int64_t features,
                  int64_t channels, bool hasBias = false, bool isTransposed = false);
    /// `role`.weight [C], with `addend` added, and with `hasBias` `role`.bias [C].
    void addVector(llvm::StringRef role, int64_t channels, bool hasBias = false, float addend = 0);

  private:
    friend class ModelBuilder;
    void add(llvm::StringRef role, mlir::ArrayRef<int64_t> shape);
    /// The order of the columns of `tensor`, which the product `role` reads its input in.
    void addOrder(llvm::StringRef role, llvm::StringRef tensor, int64_t channels);
    /// Makes the orders known to a layer whose weights are.
    void setOrders(DenseBuilder &layer) const;
    /// A vector in f32.
    void addNumbers(llvm::StringRef role, int64_t count, float addend = 0);
    void addView(llvm::StringRef role, llvm::StringRef base, llvm::ArrayRef<int64_t> baseShape,
                 const WeightView &view, llvm::ArrayRef<int64_t> shape);
    struct Weight {
      std::string role, tensor;
      transformer::WeightType type;
    };
    ModelBuilder &model;
    std::string prefix;
    llvm::SmallVector<Weight> weights;
    /// Products share a weight of order; of each, the role of that weight.
    llvm::SmallVector<std::pair<std::string, std::string>> orders;
  };

  /// Writes the body of a layer function: the result for the input x [B, S, C].
  using LayerBody = llvm::function_ref<Value(DenseBuilder &layer, Value x)>;

  /// The entry from its start: embedding of the tokens with `role` [V, C].
  Value embedTokens(llvm::StringRef role, int64_t vocabulary, int64_t width);
  /// Embedding of the positions with `role` [first + P, C].
  Value embedPositions(llvm::StringRef role, int64_t positions, int64_t width,
                       const PositionTable &table = {});
  /// Ops of the entry itself, between embedding and layers.
  Value writeEntry(Value x, const LayerWeights &weights, LayerBody body);
  /// A call of the layer function with these weights, written by `body` if it is the first of its
  /// structure. `kind` tells layers apart whose weights do not.
  Value callLayer(llvm::StringRef name, Value x, const LayerWeights &weights, LayerBody body,
                  llvm::StringRef kind = "");
  /// Ends the entry: `body` computes the logits for the rows [R, C] of `x` that the caller wants.
  void returnLogits(Value x, const LayerWeights &weights, LayerBody body);
  /// Ends the entry of an encoder: the rows [R, C] of `x` that the caller wants.
  void returnRows(Value x);

  /// A tensor that the program needs no weight for.
  void markAsUsed(llvm::StringRef role) { used.insert(names.get(role)); }
  /// The same for every tensor whose name ends so: buffers that frameworks write too.
  void ignoreTensors(llvm::StringRef ending) { ignored.push_back(ending.str()); }

  /// The finished module; reports tensors that nothing uses.
  mlir::FailureOr<mlir::OwningOpRef<mlir::ModuleOp>> finish();

private:
  /// Checks that there is a tensor of that shape; random weights make it.
  bool checkTensor(llvm::StringRef tensor, mlir::ArrayRef<int64_t> shape);
  /// Checks the tensor and declares its weight once.
  transformer::WeightType declareWeight(llvm::StringRef tensor, mlir::ArrayRef<int64_t> shape);
  Value getWeight(llvm::StringRef tensor, transformer::WeightType type);
  mlir::func::FuncOp createLayer(mlir::Type input, const LayerWeights &weights, LayerBody body);
  Value embed(Value ids, llvm::StringRef tensor, int64_t rows, int64_t width);
  Value selectRows(Value x);

  /// What makes the structure of a layer: its kind, the roles and types of its weights, and which
  /// products read their input in which order.
  struct Structure {
    std::string kind;
    llvm::SmallVector<std::pair<std::string, transformer::WeightType>> weights;
    llvm::SmallVector<std::pair<std::string, std::string>> orders;
    bool operator==(const Structure &other) const = default;
  };

  TensorNames names;
  RandomWeights random;
  FindOrder findOrder = nullptr;
  std::shared_ptr<CheckpointView> view;
  mlir::OwningOpRef<mlir::ModuleOp> module;
  mlir::func::FuncOp main;
  mlir::OpBuilder builder; ///< at the end of the entry
  mlir::NamedAttrList parameters;
  llvm::StringMap<transformer::WeightType> declared;
  llvm::StringMap<Value> values; ///< of the weights, in the entry
  llvm::StringSet<> used;
  std::vector<std::string> ignored;
  llvm::SmallVector<std::pair<Structure, mlir::func::FuncOp>> layers;
  bool failed = false;
};

} // namespace ingot::import

#endif // INGOT_LIB_IMPORT_MODELBUILDER_H
