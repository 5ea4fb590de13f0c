//===- Transformer.h - The transformer dialect ------------------------------------------------===//
//
// Declarations generated from Transformer.td: the model on tensors, device-free. Meanings, formulas
// and constraints of ops are in the .td files, readable semantics in lib/Reference.
//
//===----------------------------------------------------------------------------------------------===//

#ifndef INGOT_DIALECTS_TRANSFORMER_TRANSFORMER_H
#define INGOT_DIALECTS_TRANSFORMER_TRANSFORMER_H

#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Interfaces/ControlFlowInterfaces.h"
#include "mlir/Interfaces/InferTypeOpInterface.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

#include "dialects/Transformer/TransformerDialect.h.inc"
#include "dialects/Transformer/TransformerEnums.h.inc"
#include "dialects/Transformer/TransformerInterfaces.h.inc"
#define GET_ATTRDEF_CLASSES
#include "dialects/Transformer/TransformerAttributes.h.inc"
#define GET_TYPEDEF_CLASSES
#include "dialects/Transformer/TransformerTypes.h.inc"
#define GET_OP_CLASSES
#include "dialects/Transformer/Transformer.h.inc"

#endif // INGOT_DIALECTS_TRANSFORMER_TRANSFORMER_H
