//===- Plan.h - The program that the runtime executes -------------------------------*- C++ -*-===//
//
// The plan dialect. Plan.td says what each op means; PlanProgram.cpp holds the checks that need the
// whole program. Nothing here knows tensors, tiles or kernels' bodies.
//
//===------------------------------------------------------------------------------------------===//

#ifndef INGOT_DIALECTS_PLAN_PLAN_H
#define INGOT_DIALECTS_PLAN_PLAN_H

#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

#include "dialects/Plan/PlanDialect.h.inc"
#include "dialects/Plan/PlanEnums.h.inc"
#define GET_ATTRDEF_CLASSES
#include "dialects/Plan/PlanAttributes.h.inc"

namespace ingot::plan {

/// One step of the runtime: `op` is a LaunchOp, or a LoopOp at its begin and again at its end.
struct Command {
  enum class Kind { Launch, LoopBegin, LoopEnd };
  Kind kind;
  mlir::Operation *op;
};

/// The syntax of an extent, a reach and an argument (address or input) without brackets, for lists.
ExtentAttr parseExtent(mlir::AsmParser &parser);
void printExtent(mlir::AsmPrinter &printer, ExtentAttr extent);
ReachAttr parseReach(mlir::AsmParser &parser);
void printReach(mlir::AsmPrinter &printer, ReachAttr reach);
mlir::Attribute parseArgument(mlir::AsmParser &parser);
void printArgument(mlir::AsmPrinter &printer, mlir::Attribute argument);

/// Offsets of buffers, weights and caches are multiples of this many bytes.
inline constexpr int64_t alignment = 64;

} // namespace ingot::plan

#define GET_OP_CLASSES
#include "dialects/Plan/Plan.h.inc"

#endif // INGOT_DIALECTS_PLAN_PLAN_H
