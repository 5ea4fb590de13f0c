//===- RoleOps.cpp - Roles of a block's warps, and rings between them ---------------------------------===//

#include "dialects/Tile/Tile.h"
#include "mlir/IR/Builders.h"

using namespace mlir;
using namespace ingot::tile;

// roles ::= (`role` integer region)+ attr-dict
ParseResult RolesOp::parse(OpAsmParser &parser, OperationState &result) {
  SmallVector<int64_t> warps;
  while (warps.empty() ? succeeded(parser.parseKeyword("role"))
                       : succeeded(parser.parseOptionalKeyword("role"))) {
    Region *body = result.addRegion();
    if (parser.parseInteger(warps.emplace_back()) || parser.parseRegion(*body))
      return failure();
    if (body->empty())
      body->emplaceBlock();
    // The terminator is not written.
    OpBuilder builder(parser.getContext());
    builder.setInsertionPointToEnd(&body->back());
    if (body->back().empty() || !body->back().back().hasTrait<OpTrait::IsTerminator>())
      EndRoleOp::create(builder, result.location);
  }
  if (warps.empty())
    return failure();
  result.addAttribute(getWarpsAttrName(result.name),
                      parser.getBuilder().getDenseI64ArrayAttr(warps));
  return parser.parseOptionalAttrDict(result.attributes);
}

void RolesOp::print(OpAsmPrinter &printer) {
  for (auto [warps, body] : llvm::zip(getWarps(), getBodies())) {
    printer << " role " << warps << ' ';
    printer.printRegion(body, /*printEntryBlockArgs=*/false, /*printBlockTerminators=*/false);
  }
  printer.printOptionalAttrDict((*this)->getAttrs(), {getWarpsAttrName()});
}

LogicalResult RolesOp::verifyRegions() {
  if (getWarps().size() != getBodies().size()) // (C1)
    return emitOpError("expected 'warps' to have ")
           << getBodies().size() << " numbers, got " << getWarps().size();
  for (auto [warps, body] : llvm::zip(getWarps(), getBodies())) {
    if (warps < 1)
      return emitOpError("expected 'warps' to be positive, got ") << warps;
    WalkResult walked = body.walk([&, warps = warps](Operation *op) -> WalkResult {
      if (isa<RolesOp>(op)) // (C3)
        return op->emitOpError("expected roles not to nest");
      for (Type type : op->getResultTypes()) { // (C2)
        if (!isTile(type))
          continue;
        LayoutAttr layout = getLayout(type);
        int64_t bits = layout.getRank() ? layout.getWarps().size() / layout.getRank() : 0;
        if ((int64_t(1) << bits) > warps)
          return op->emitOpError("expected a layout of at most ")
                 << warps << " warps, those of its role, got " << (int64_t(1) << bits);
      }
      return WalkResult::advance();
    });
    if (walked.wasInterrupted())
      return failure();
  }
  return success();
}

LogicalResult RingOp::verify() {
  if (getSlots() < 1) // (C1)
    return emitOpError("expected 'slots' to be positive, got ") << getSlots();
  if (getReaders() < 1)
    return emitOpError("expected 'readers' to be positive, got ") << getReaders();
  return success();
}
