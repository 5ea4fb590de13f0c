//===- Plan.cpp - The plan dialect and the checks of its single ops ---------------------------===//
//
// The dialect with its version, the syntax of argument lists, and verifiers that look at one op
// only. What relates ops to each other is in PlanProgram.cpp.
//
//===------------------------------------------------------------------------------------------===//

#include "dialects/Plan/Plan.h"
#include "dialects/Version.h"
#include "ingot/Artifact/Format.h"
#include "mlir/Bytecode/BytecodeImplementation.h"

using namespace mlir;
using namespace ingot::plan;

static_assert(static_cast<uint32_t>(Count::Tokens) == uint32_t(ingot::format::Count::Tokens) &&
              static_cast<uint32_t>(Count::Outputs) == uint32_t(ingot::format::Count::Outputs) &&
              static_cast<uint32_t>(Count::Sequences) == uint32_t(ingot::format::Count::Sequences));
static_assert(
    static_cast<uint32_t>(Input::TokenIds) == uint32_t(ingot::format::Input::TokenIds) &&
    static_cast<uint32_t>(Input::Positions) == uint32_t(ingot::format::Input::Positions) &&
    static_cast<uint32_t>(Input::SequenceOf) == uint32_t(ingot::format::Input::SequenceOf) &&
    static_cast<uint32_t>(Input::OutputRows) == uint32_t(ingot::format::Input::OutputRows) &&
    static_cast<uint32_t>(Input::PageTable) == uint32_t(ingot::format::Input::PageTable));
static_assert(alignment == ingot::format::weightAlignment);

//===------------------------------------------------------------------------------------------===//
// Version
//===------------------------------------------------------------------------------------------===//

namespace {

struct PlanVersion : DialectVersion {
  explicit PlanVersion(int64_t number) : number(number) {}
  int64_t number;
};

/// Writes the version before the dialect's ops and refuses what a newer compiler wrote.
struct PlanBytecode : BytecodeDialectInterface {
  explicit PlanBytecode(Dialect *dialect) : BytecodeDialectInterface(dialect) {}

  void writeVersion(DialectBytecodeWriter &writer) const override {
    writer.writeVarInt(PlanDialect::version);
  }

  std::unique_ptr<DialectVersion> readVersion(DialectBytecodeReader &reader) const override {
    uint64_t number = 0;
    if (failed(reader.readVarInt(number)))
      return nullptr;
    if (number > static_cast<uint64_t>(PlanDialect::version)) {
      reader.emitError() << "expected version of dialect 'plan' to be at most "
                         << PlanDialect::version << ", got " << number;
      return nullptr;
    }
    return std::make_unique<PlanVersion>(number);
  }
};

} // namespace

LogicalResult PlanDialect::verifyOperationAttribute(Operation *op, NamedAttribute attribute) {
  if (attribute.getName() != versionAttrName)
    return op->emitError() << "unknown attribute '" << attribute.getName().getValue() << "'";
  return verifyVersion(op, attribute, version);
}

//===------------------------------------------------------------------------------------------===//
// Lists: extents `[tokens, 3, 1]`, reaches `[tokens * 4, 64]`, arguments `(@a, positions, @w step
// 64)`
//===------------------------------------------------------------------------------------------===//

static ParseResult parseExtents(OpAsmParser &parser, ArrayAttr &extents) {
  SmallVector<Attribute> list;
  auto parseOne = [&]() -> ParseResult {
    Attribute extent = parseExtent(parser);
    list.push_back(extent);
    return failure(!extent);
  };
  if (parser.parseCommaSeparatedList(OpAsmParser::Delimiter::Square, parseOne))
    return failure();
  extents = parser.getBuilder().getArrayAttr(list);
  return success();
}

static void printExtents(OpAsmPrinter &printer, Operation *, ArrayAttr extents) {
  printer << '[';
  llvm::interleaveComma(extents.getAsRange<ExtentAttr>(), printer,
                        [&](ExtentAttr extent) { printExtent(printer, extent); });
  printer << ']';
}

static ParseResult parseReaches(OpAsmParser &parser, ArrayAttr &reaches) {
  SmallVector<Attribute> list;
  auto parseOne = [&]() -> ParseResult {
    list.push_back(parseReach(parser));
    return failure(!list.back());
  };
  if (parser.parseCommaSeparatedList(OpAsmParser::Delimiter::Square, parseOne))
    return failure();
  reaches = parser.getBuilder().getArrayAttr(list);
  return success();
}

static void printReaches(OpAsmPrinter &printer, Operation *, ArrayAttr reaches) {
  printer << '[';
  llvm::interleaveComma(reaches.getAsRange<ReachAttr>(), printer,
                        [&](ReachAttr reach) { printReach(printer, reach); });
  printer << ']';
}

static ParseResult parseArguments(OpAsmParser &parser, ArrayAttr &arguments) {
  SmallVector<Attribute> list;
  auto parseOne = [&]() -> ParseResult {
    list.push_back(parseArgument(parser));
    return failure(!list.back());
  };
  if (parser.parseCommaSeparatedList(OpAsmParser::Delimiter::Paren, parseOne))
    return failure();
  arguments = parser.getBuilder().getArrayAttr(list);
  return success();
}

static void printArguments(OpAsmPrinter &printer, Operation *, ArrayAttr arguments) {
  printer << '(';
  llvm::interleaveComma(arguments, printer,
                        [&](Attribute argument) { printArgument(printer, argument); });
  printer << ')';
}

//===------------------------------------------------------------------------------------------===//
// Single ops
//===------------------------------------------------------------------------------------------===//

/// `name` of `op` must be a multiple of `alignment`.
static LogicalResult verifyAligned(Operation *op, StringRef name, int64_t value) {
  if (value % alignment != 0)
    return op->emitOpError() << "expected '" << name << "' to be a multiple of " << alignment
                             << ", got " << value;
  return success();
}

LogicalResult WeightOp::verify() {
  // (C1)
  if (failed(verifyAligned(*this, "offset", getOffset())))
    return failure();
  // (C2)
  if (getSources().empty())
    return emitOpError() << "expected at least one source, got none";
  return success();
}

LogicalResult CacheOp::verify() {
  // (C1)
  if (failed(verifyAligned(*this, "offset", getOffset())))
    return failure();
  return verifyAligned(*this, "layer_bytes", getLayerBytes());
}

LogicalResult KernelOp::verify() {
  // (C1)
  if (getFamily().empty())
    return emitOpError() << "expected 'family' to name a kernel family, got nothing";
  // (C3)
  if (getReaches() && getReaches()->size() != getArguments())
    return emitOpError() << "expected a reach for each of " << getArguments() << " arguments, got "
                         << getReaches()->size();
  return success();
}

LogicalResult EntryOp::verify() {
  // (C1)
  if (getMinTokens() < 1 || getMinTokens() > getMaxTokens())
    return emitOpError() << "expected tokens to be a range that starts at 1 or later, got "
                         << getMinTokens() << " to " << getMaxTokens();
  return success();
}

LogicalResult EntryOp::verifyRegions() {
  // (C2)
  for (Operation &op : getBody().getOps())
    if (!isa<LaunchOp, LoopOp>(op))
      return op.emitError() << "expected launches and loops in an entry, got '" << op.getName()
                            << "'";
  return success();
}

LogicalResult LoopOp::verifyRegions() {
  // (C1)
  for (Operation &op : getBody().getOps())
    if (!isa<LaunchOp>(op))
      return op.emitError() << "expected launches in a loop, got '" << op.getName() << "'";
  if (getBody().front().empty())
    return emitOpError() << "expected at least one launch, got none";
  return success();
}

//===------------------------------------------------------------------------------------------===//
// Tables
//===------------------------------------------------------------------------------------------===//

#include "dialects/Plan/PlanDialect.cpp.inc"
#define GET_OP_CLASSES
#include "dialects/Plan/Plan.cpp.inc"

void PlanDialect::initialize() {
  registerAttributes();
  addOperations<
#define GET_OP_LIST
#include "dialects/Plan/Plan.cpp.inc"
      >();
  addInterfaces<PlanBytecode>();
}
