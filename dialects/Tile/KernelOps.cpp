//===- KernelOps.cpp - Kernels, their grid and their launch -------------------------------------------===//

#include "dialects/Tile/Tile.h"
#include "mlir/IR/Builders.h"
#include "mlir/Interfaces/FunctionInterfaces.h"

using namespace mlir;
using namespace ingot::tile;

//===----------------------------------------------------------------------------------------------===//
// KernelOp
//===----------------------------------------------------------------------------------------------===//

void KernelOp::build(OpBuilder &builder, OperationState &state, StringRef name, TypeRange views,
                     ArrayRef<ExtentAttr> grid, StringRef family, int64_t threads) {
  state.addAttribute(getSymNameAttrName(state.name), builder.getStringAttr(name));
  state.addAttribute(getGridAttrName(state.name),
                     builder.getArrayAttr(SmallVector<Attribute>(grid.begin(), grid.end())));
  if (!family.empty())
    state.addAttribute(getFamilyAttrName(state.name), builder.getStringAttr(family));
  if (threads)
    state.addAttribute(getThreadsAttrName(state.name), builder.getI64IntegerAttr(threads));
  Block *block = new Block();
  block->addArguments(views, SmallVector<Location>(views.size(), state.location));
  state.addRegion()->push_back(block);
}

// kernel ::= symbol `(` (%view `:` type),* `)` `grid` `[` extent,* `]` (`threads` integer)?
// (`family` string)? (`attributes` dict)? region
ParseResult KernelOp::parse(OpAsmParser &parser, OperationState &result) {
  StringAttr name, family;
  SmallVector<OpAsmParser::Argument> arguments;
  SmallVector<Attribute> grid;
  auto parseGridExtent = [&]() -> ParseResult {
    ExtentAttr extent;
    if (parseExtent(parser, extent))
      return failure();
    grid.push_back(extent);
    return success();
  };
  if (parser.parseSymbolName(name, getSymNameAttrName(result.name), result.attributes) ||
      parser.parseArgumentList(arguments, OpAsmParser::Delimiter::Paren, /*allowType=*/true) ||
      parser.parseKeyword("grid") ||
      parser.parseCommaSeparatedList(AsmParser::Delimiter::Square, parseGridExtent))
    return failure();
  result.addAttribute(getGridAttrName(result.name), parser.getBuilder().getArrayAttr(grid));
  if (succeeded(parser.parseOptionalKeyword("threads"))) {
    int64_t threads;
    if (parser.parseInteger(threads))
      return failure();
    result.addAttribute(getThreadsAttrName(result.name),
                        parser.getBuilder().getI64IntegerAttr(threads));
  }
  if (succeeded(parser.parseOptionalKeyword("family")) &&
      parser.parseAttribute(family, getFamilyAttrName(result.name), result.attributes))
    return failure();
  return failure(parser.parseOptionalAttrDictWithKeyword(result.attributes) ||
                 parser.parseRegion(*result.addRegion(), arguments));
}

void KernelOp::print(OpAsmPrinter &printer) {
  printer << " ";
  printer.printSymbolName(getSymName());
  printer << "(";
  llvm::interleaveComma(getViews(), printer,
                        [&](BlockArgument view) { printer.printRegionArgument(view); });
  printer << ") grid [";
  llvm::interleaveComma(getGrid().getAsRange<ExtentAttr>(), printer,
                        [&](ExtentAttr extent) { printExtent(printer, extent); });
  printer << "]";
  if (getThreads())
    printer << " threads " << *getThreads();
  if (getFamily()) {
    printer << " family ";
    printer.printAttributeWithoutType(getFamilyAttr());
  }
  printer.printOptionalAttrDictWithKeyword(
      (*this)->getAttrs(),
      {getSymNameAttrName(), getGridAttrName(), getFamilyAttrName(), getThreadsAttrName()});
  printer << " ";
  printer.printRegion(getBody(), /*printEntryBlockArgs=*/false);
}

LogicalResult KernelOp::verifyRegions() {
  for (BlockArgument view : getViews()) // (C1)
    if (!isa<ViewType>(view.getType()))
      return emitOpError("expected argument #")
             << view.getArgNumber() << " to be a view, got " << view.getType();
  if (getGrid().size() > 3) // (C2)
    return emitOpError("expected 'grid' to have at most 3 extents, got ") << getGrid().size();
  WalkResult inside = getBody().walk([&](Operation *op) { // (C3)
    StringRef dialect = op->getName().getDialectNamespace();
    if (llvm::is_contained({"tile", "arith", "math", "scf"}, dialect) &&
        !isa<KernelOp, LaunchOp>(op))
      return WalkResult::advance();
    op->emitOpError("expected only ops of tile, arith, math and scf in a kernel")
            .attachNote(getLoc())
        << "the kernel is here";
    return WalkResult::interrupt();
  });
  if (inside.wasInterrupted())
    return failure();
  constexpr int64_t warp = 32, most = 1024; // (C5)
  if (std::optional<int64_t> threads = getThreads();
      threads && (*threads < warp || *threads > most || *threads % warp != 0))
    return emitOpError("expected 'threads' to be a multiple of ")
           << warp << " up to " << most << ", got " << *threads;
  return success();
}

ExtentAttr KernelOp::getExtent(unsigned axis) {
  if (axis < getGrid().size())
    return cast<ExtentAttr>(getGrid()[axis]);
  return ExtentAttr::get(getContext(), 1);
}

bool KernelOp::awaitsLaunches() {
  return getBody().walk([](AwaitLaunchesOp) { return WalkResult::interrupt(); }).wasInterrupted();
}

//===----------------------------------------------------------------------------------------------===//
// LaunchOp
//===----------------------------------------------------------------------------------------------===//

void LaunchOp::build(OpBuilder &builder, OperationState &state, TypeRange outputs, KernelOp kernel,
                     ValueRange inputs, ArrayRef<int64_t> inPlace) {
  SmallVector<int64_t> places(inPlace);
  if (places.empty())
    places.assign(outputs.size(), -1);
  build(builder, state, outputs, FlatSymbolRefAttr::get(kernel), inputs,
        builder.getDenseI64ArrayAttr(places));
}

KernelOp LaunchOp::getKernelOp() {
  return SymbolTable::lookupNearestSymbolFrom<KernelOp>(*this, getKernelAttr());
}

int64_t LaunchOp::getInPlaceOperand(unsigned index) {
  return getInPlace().empty() ? -1 : getInPlace()[index];
}

std::optional<unsigned> LaunchOp::viewsOf(Type type) {
  if (isa<IndexType>(type))
    return 0;
  if (isa<TensorType>(type))
    return 1;
  // Types of the transformer dialect, known by name: this dialect does not depend on it.
  StringRef name = type.getAbstractType().getName();
  if (name == "transformer.weight")
    return 1;
  if (name == "transformer.kv_cache") { // keys and values; where these are codes their scales too
    bool hasScales = false;
    type.walkImmediateSubElements([](Attribute) {},
                                  [&](Type format) { hasScales |= isa<IntegerType>(format); });
    return hasScales ? 4 : 2;
  }
  if (name == "transformer.ragged")
    return 3;
  return std::nullopt;
}

LogicalResult LaunchOp::verify() {
  if (getInPlace().empty())
    return success();
  if (getInPlace().size() != getNumResults()) // (C3)
    return emitOpError("expected 'in_place' to have ")
           << getNumResults() << " entries, got " << getInPlace().size();
  llvm::SmallDenseSet<int64_t> used;
  for (auto [place, result] : llvm::zip_equal(getInPlace(), getResults())) {
    if (place == -1)
      continue;
    if (place < 0 || place >= int64_t(getNumOperands()))
      return emitOpError("expected entries of 'in_place' from -1 to ")
             << getNumOperands() - 1 << ", got " << place;
    if (getOperand(place).getType() != result.getType())
      return emitOpError("expected result #")
             << cast<OpResult>(result).getResultNumber() << " to have the type of operand #"
             << place << ", got " << result.getType();
    if (!used.insert(place).second)
      return emitOpError("expected operand #") << place << " to be the place of one result only";
  }
  return success();
}

LogicalResult LaunchOp::verifySymbolUses(SymbolTableCollection &symbols) {
  Operation *symbol = symbols.lookupNearestSymbolFrom(*this, getKernelAttr());
  if (isa_and_nonnull<FunctionOpInterface>(symbol)) // the kernel after its lowering
    return success();
  auto kernel = dyn_cast_or_null<KernelOp>(symbol);
  if (!kernel) // (C1)
    return emitOpError("expected ") << getKernelAttr() << " to be a tile.kernel";
  unsigned views = 0; // (C2)
  auto add = [&](Type type) {
    std::optional<unsigned> count = viewsOf(type);
    views += count.value_or(0);
    return count.has_value();
  };
  for (Value operand : getOperands())
    if (!add(operand.getType()))
      return success();
  for (auto [index, result] : llvm::enumerate(getResults()))
    if (getInPlaceOperand(index) == -1 && !add(result.getType()))
      return success();
  if (views != kernel.getViews().size())
    return emitOpError("expected operands and results of ")
           << kernel.getViews().size() << " views as the kernel has, got " << views;
  return success();
}
