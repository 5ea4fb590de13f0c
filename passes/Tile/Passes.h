//===- Passes.h - Passes of the tile stage ----------------------------------------------------------===//
//
// What each does is in Passes.td.
//
//===----------------------------------------------------------------------------------------------===//

#ifndef INGOT_PASSES_TILE_PASSES_H
#define INGOT_PASSES_TILE_PASSES_H

#include "dialects/Tile/Tile.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlow.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"

namespace ingot::tile {

#define GEN_PASS_DECL
#include "passes/Tile/Passes.h.inc"
#define GEN_PASS_REGISTRATION
#include "passes/Tile/Passes.h.inc"

} // namespace ingot::tile

#endif // INGOT_PASSES_TILE_PASSES_H
