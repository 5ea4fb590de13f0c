//===- Sizes.h - Which unknown sizes of a program are equal -----------------------------------===//
//
// MLIR has no named sizes: two `?` relate to nothing. Here every dimension of every tensor (and
// every index, and the token count of every ragged batch) is a node, and ops unite nodes:
//
//     %y = transformer.linear %x, %w     dimensions 0 and 1 of %x and %y are equal
//     %d = tensor.dim %x, %c1            %d is dimension 1 of %x
//     call @layer(%x)                    the operand's dimensions are those of the argument
//
// In the end a class of nodes is a number, a dimension of an entry's argument, something computed
// from such (a product, the tokens that lengths add up to), or unknown. Two numbers, or two
// dimensions of one argument, in one class are a contradiction: sequences are not slots.
//
//===------------------------------------------------------------------------------------------===//

#ifndef INGOT_PASSES_MODEL_SIZES_H
#define INGOT_PASSES_MODEL_SIZES_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/SymbolTable.h"
#include "llvm/ADT/DenseMap.h"
#include <map>

namespace ingot::model {

class Sizes {
public:
  /// Relates the sizes of all functions; every contradiction is an error, reported or not.
  llvm::LogicalResult analyze(mlir::ModuleOp module, bool reportErrors = true);

  /// Whether dimension `dim` of `value` is a number, an argument's dimension or computed from such.
  bool isKnown(mlir::Value value, int64_t dim) { return states[find(node(value, dim))].isKnown(); }
  /// Whether two dimensions are equal for certain.
  bool isEqual(mlir::Value a, int64_t dimA, mlir::Value b, int64_t dimB) {
    return find(node(a, dimA)) == find(node(b, dimB));
  }
  /// The number of different sizes that are no numbers.
  unsigned countSymbols();

private:
  /// A dimension of an argument of an entry.
  struct Symbol {
    mlir::BlockArgument argument;
    int64_t dim;
  };
  struct State {
    std::optional<int64_t> number;
    llvm::SmallVector<Symbol, 1> symbols;
    bool isDerived = false;
    std::optional<mlir::Location> place; ///< where the number or symbol stands
    bool isKnown() const { return number || !symbols.empty() || isDerived; }
  };
  static constexpr int64_t indexDim = -1, tokensDim = -2;

  unsigned node(mlir::Value value, int64_t dim);
  unsigned number(int64_t value, mlir::Location loc);
  /// The node of what an operation (a word) makes of other sizes; equal for equal ones.
  unsigned derive(llvm::StringRef operation, llvm::ArrayRef<unsigned> operands);
  unsigned add(State state);
  unsigned find(unsigned id);
  void unite(unsigned a, unsigned b, mlir::Operation *at);
  void uniteDims(mlir::Value a, int64_t dimA, mlir::Value b, int64_t dimB, mlir::Operation *at) {
    unite(node(a, dimA), node(b, dimB), at);
  }
  void uniteLeading(mlir::Value a, mlir::Value b, int64_t count, mlir::Operation *at);
  void uniteAll(mlir::Value a, mlir::Value b, mlir::Operation *at);
  void reportContradiction(const State &a, const State &b, mlir::Operation *at);

  void addEntry(mlir::func::FuncOp function);
  void relate(mlir::Operation *op);
  bool relateTransformer(mlir::Operation *op);
  bool relateTensor(mlir::Operation *op);
  void relateReshape(mlir::Operation *op, mlir::Value collapsed, mlir::Value expanded,
                     llvm::ArrayRef<llvm::SmallVector<int64_t, 2>> groups);
  void relateIndex(mlir::Operation *op);

  mlir::SymbolTableCollection symbols; ///< one search for all calls
  llvm::DenseMap<std::pair<mlir::Value, int64_t>, unsigned> nodes;
  std::map<std::pair<std::string, std::vector<unsigned>>, unsigned> derived;
  llvm::SmallVector<unsigned> parents;
  llvm::SmallVector<State> states;
  bool hasContradiction = false;
  bool reportErrors = true;
  mlir::Operation *reported = nullptr; ///< the last op with a contradiction: one error says enough
};

} // namespace ingot::model

#endif // INGOT_PASSES_MODEL_SIZES_H
