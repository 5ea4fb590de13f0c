//===- Tile.h - The tile dialect ------------------------------------------------------------------===//
//
// Declarations generated from Tile.td: one kernel, as the program of one block of work. Meanings,
// formulas and constraints of ops are in the .td files; the idea of a layout is in
// include/ingot/Support/LinearLayout.h.
//
//===----------------------------------------------------------------------------------------------===//

#ifndef INGOT_DIALECTS_TILE_TILE_H
#define INGOT_DIALECTS_TILE_TILE_H

#include "ingot/Support/LinearLayout.h"
#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/IR/TensorEncoding.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include <optional>

#include "dialects/Tile/TileDialect.h.inc"
#include "dialects/Tile/TileEnums.h.inc"
#define GET_ATTRDEF_CLASSES
#include "dialects/Tile/TileAttributes.h.inc"
#define GET_TYPEDEF_CLASSES
#include "dialects/Tile/TileTypes.h.inc"

namespace ingot::tile {

/// A tensor whose encoding is a layout.
bool isTile(mlir::Type type);
/// The layout of a tile.
LayoutAttr getLayout(mlir::Type tile);
/// The tile of `shape` with that layout.
mlir::RankedTensorType getTileType(llvm::ArrayRef<int64_t> shape, mlir::Type element,
                                   LayoutAttr layout);
/// The type that `tile.reduce` along `dim` yields, and that `tile.broadcast` along `dim` takes.
mlir::RankedTensorType getReducedType(mlir::RankedTensorType tile, unsigned dim);
/// The same shape and layout with other elements.
mlir::RankedTensorType withElement(mlir::RankedTensorType tile, mlir::Type element);

/// For each register r of a contraction's accumulator and each k, the register of the operand (at r
/// * K + k) that holds, in every lane, what the lane's result needs. Dimension `accumulatorDim` of
/// the operand is that of the accumulator (0: a, 1: b). Empty where a lane lacks some element.
llvm::SmallVector<int64_t> findOperandRegisters(mlir::RankedTensorType operand,
                                                mlir::RankedTensorType accumulator,
                                                unsigned accumulatorDim);

/// `72`, `tokens ceildiv 4`: the text of one extent of a grid.
void printExtent(mlir::AsmPrinter &printer, ExtentAttr extent);
mlir::ParseResult parseExtent(mlir::AsmParser &parser, ExtentAttr &extent);

} // namespace ingot::tile

#define GET_OP_CLASSES
#include "dialects/Tile/Tile.h.inc"

#endif // INGOT_DIALECTS_TILE_TILE_H
