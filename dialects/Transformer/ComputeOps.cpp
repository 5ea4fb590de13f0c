//===- ComputeOps.cpp - Syntax and verifiers of compute regions -------------------------------===//
//
// The region keeps plain ops, so its meaning is theirs; whether a kernel can serve it is asked
// later.
//
//===------------------------------------------------------------------------------------------===//

#include "dialects/Transformer/Verify.h"

using namespace mlir;
using namespace ingot::transformer;

// compute ::= string `(` (argument `=` operand `:` type),* `)` `->` `(` type,* `)` region attr-dict
ParseResult ComputeOp::parse(OpAsmParser &parser, OperationState &result) {
  StringAttr kernel;
  SmallVector<OpAsmParser::Argument> arguments;
  SmallVector<OpAsmParser::UnresolvedOperand> operands;
  SmallVector<Type> types, results;
  auto parseInput = [&]() -> ParseResult {
    auto &argument = arguments.emplace_back();
    if (parser.parseArgument(argument) || parser.parseEqual() ||
        parser.parseOperand(operands.emplace_back()) || parser.parseColonType(argument.type))
      return failure();
    types.push_back(argument.type);
    return success();
  };
  auto parseResult = [&]() { return parser.parseType(results.emplace_back()); };
  SMLoc loc = parser.getCurrentLocation();
  if (parser.parseAttribute(kernel, "kernel", result.attributes) ||
      parser.parseCommaSeparatedList(AsmParser::Delimiter::Paren, parseInput) ||
      parser.parseArrow() ||
      parser.parseCommaSeparatedList(AsmParser::Delimiter::Paren, parseResult) ||
      parser.parseRegion(*result.addRegion(), arguments) ||
      parser.parseOptionalAttrDict(result.attributes) ||
      parser.resolveOperands(operands, types, loc, result.operands))
    return failure();
  result.addTypes(results);
  return success();
}

void ComputeOp::print(OpAsmPrinter &printer) {
  printer << ' ' << getKernelAttr() << " (";
  llvm::interleaveComma(llvm::zip(getBody().getArguments(), getInputs()), printer, [&](auto pair) {
    auto [argument, input] = pair;
    printer << argument << " = " << input << " : " << input.getType();
  });
  printer << ") -> (";
  llvm::interleaveComma(getResultTypes(), printer);
  printer << ") ";
  printer.printRegion(getBody(), /*printEntryBlockArgs=*/false);
  printer.printOptionalAttrDict((*this)->getAttrs(), {"kernel"});
}

LogicalResult ComputeOp::verify() {
  // (C1)
  if (getBody().getArgumentTypes() != getInputs().getTypes())
    return emitOpError("expected the block's arguments to have the operands' types");
  // (C2)
  auto yield = dyn_cast<YieldOp>(getBody().front().getTerminator());
  if (!yield)
    return emitOpError("expected the region to end with transformer.yield");
  if (yield.getOperandTypes() != getResultTypes())
    return yield.emitOpError("expected operands of the results' types of the compute region");
  return success();
}
