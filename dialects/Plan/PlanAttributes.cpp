//===- PlanAttributes.cpp - Syntax and checks of the plan's attributes ------------------------===//
//
// Extents (`ceildiv(tokens * 3, 8)`), reaches (`tokens * 2304 - 64`) and addresses
// (`@w + 64 step 4096`), alone and inside of lists.
//
//===------------------------------------------------------------------------------------------===//

#include "dialects/Plan/Plan.h"
#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace ingot::plan;

#include "dialects/Plan/PlanEnums.cpp.inc"
#define GET_ATTRDEF_CLASSES
#include "dialects/Plan/PlanAttributes.cpp.inc"

void PlanDialect::registerAttributes() {
  addAttributes<
#define GET_ATTRDEF_LIST
#include "dialects/Plan/PlanAttributes.cpp.inc"
      >();
}

//===------------------------------------------------------------------------------------------===//
// Block
//===------------------------------------------------------------------------------------------===//

LogicalResult BlockAttr::verify(function_ref<InFlightDiagnostic()> emitError, int64_t threads,
                                int64_t sharedBytes, int64_t dependent) {
  constexpr int64_t mostThreads = 1024, warp = 32, mostShared = 227 << 10;
  if (threads < warp || threads > mostThreads || threads % warp != 0)
    return emitError() << "expected the threads of a block to be a multiple of " << warp
                       << " up to " << mostThreads << ", got " << threads;
  if (sharedBytes < 0 || sharedBytes > mostShared)
    return emitError() << "expected shared memory of at most " << mostShared << " bytes, got "
                       << sharedBytes;
  if (dependent != 0 && dependent != 1)
    return emitError() << "expected 'dependent' to be 0 or 1, got " << dependent;
  return success();
}

//===------------------------------------------------------------------------------------------===//
// Extent
//===------------------------------------------------------------------------------------------===//

LogicalResult ExtentAttr::verify(function_ref<InFlightDiagnostic()> emitError,
                                 std::optional<Count> count, int64_t multiplier, int64_t addend,
                                 int64_t divisor) {
  constexpr int64_t limit = std::numeric_limits<int32_t>::max();
  int64_t least = count ? -limit : 1;
  if (multiplier == 0 || multiplier < least || multiplier > limit)
    return emitError() << "expected the factor of an extent to be from " << least << " to " << limit
                       << " and not 0, got " << multiplier;
  if (addend < -limit || addend > limit)
    return emitError() << "expected the term of an extent to be from -" << limit << " to " << limit
                       << ", got " << addend;
  if (divisor < 1 || divisor > limit)
    return emitError() << "expected the divisor of an extent to be from 1 to " << limit << ", got "
                       << divisor;
  if (!count && (addend != 0 || divisor != 1))
    return emitError() << "expected an extent without a count to be one number";
  return success();
}

int64_t BoundsAttr::getBytes(Input input) const {
  int64_t items = input == Input::OutputRows  ? getOutputs()
                  : input == Input::PageTable ? getSequences() * getPagesPerSequence()
                                              : getTokens();
  return items * int64_t(sizeof(int32_t));
}

int64_t ExtentAttr::evaluate(BoundsAttr bounds) const {
  int64_t value = getCount() ? bounds.get(*getCount()) : 1;
  return llvm::divideCeil(std::max<int64_t>(value * getMultiplier() + getAddend(), 0),
                          getDivisor());
}

/// `count [* number] [+ number]`
static ParseResult parseSum(AsmParser &parser, std::optional<Count> &count, int64_t &multiplier,
                            int64_t &addend) {
  SMLoc location = parser.getCurrentLocation();
  StringRef keyword;
  if (parser.parseKeyword(&keyword))
    return failure();
  count = symbolizeCount(keyword);
  if (!count)
    return parser.emitError(location) << "expected a count of the step, got '" << keyword << "'";
  if (succeeded(parser.parseOptionalStar()) && parser.parseInteger(multiplier))
    return failure();
  if (succeeded(parser.parseOptionalPlus()) && parser.parseInteger(addend))
    return failure();
  return success();
}

ExtentAttr ingot::plan::parseExtent(AsmParser &parser) {
  std::optional<Count> count;
  int64_t multiplier = 1, addend = 0, divisor = 1;
  SMLoc location = parser.getCurrentLocation();
  OptionalParseResult number = parser.parseOptionalInteger(multiplier);
  if (number.has_value()) {
    if (failed(*number))
      return {};
  } else if (succeeded(parser.parseOptionalKeyword("ceildiv"))) {
    if (parser.parseLParen() || parseSum(parser, count, multiplier, addend) ||
        parser.parseComma() || parser.parseInteger(divisor) || parser.parseRParen())
      return {};
  } else if (parseSum(parser, count, multiplier, addend)) {
    return {};
  }
  return ExtentAttr::getChecked([&] { return parser.emitError(location); }, parser.getContext(),
                                count, multiplier, addend, divisor);
}

void ingot::plan::printExtent(AsmPrinter &printer, ExtentAttr extent) {
  if (!extent.getCount()) {
    printer << extent.getMultiplier();
    return;
  }
  if (extent.getDivisor() != 1)
    printer << "ceildiv(";
  printer << stringifyCount(*extent.getCount());
  if (extent.getMultiplier() != 1)
    printer << " * " << extent.getMultiplier();
  if (extent.getAddend() != 0)
    printer << " + " << extent.getAddend();
  if (extent.getDivisor() != 1)
    printer << ", " << extent.getDivisor() << ')';
}

Attribute ExtentAttr::parse(AsmParser &parser, Type) {
  if (parser.parseLess())
    return {};
  ExtentAttr extent = parseExtent(parser);
  return !extent || parser.parseGreater() ? Attribute() : extent;
}

void ExtentAttr::print(AsmPrinter &printer) const {
  printer << '<';
  printExtent(printer, *this);
  printer << '>';
}

//===------------------------------------------------------------------------------------------===//
// Reach
//===------------------------------------------------------------------------------------------===//

LogicalResult ReachAttr::verify(function_ref<InFlightDiagnostic()> emitError,
                                std::optional<Count> count, int64_t multiplier, int64_t addend) {
  constexpr int64_t most = std::numeric_limits<int32_t>::max(), mostBytes = int64_t(1) << 46;
  if (count ? multiplier < 1 || multiplier > most : multiplier != 0)
    return emitError() << "expected the factor of a reach to be from 1 to " << most
                       << ", or none without a count, got " << multiplier;
  if (addend < (count ? -mostBytes : 0) || addend > mostBytes)
    return emitError() << "expected the bytes of a reach to be at most " << mostBytes << ", got "
                       << addend;
  return success();
}

int64_t ReachAttr::evaluate(BoundsAttr bounds) const {
  int64_t value = getCount() ? bounds.get(*getCount()) : 0;
  return std::max<int64_t>(value * getMultiplier() + getAddend(), 0);
}

ReachAttr ingot::plan::parseReach(AsmParser &parser) {
  std::optional<Count> count;
  int64_t multiplier = 0, addend = 0;
  SMLoc location = parser.getCurrentLocation();
  OptionalParseResult number = parser.parseOptionalInteger(addend);
  if (number.has_value()) {
    if (failed(*number))
      return {};
  } else {
    multiplier = 1;
    if (parseSum(parser, count, multiplier, addend))
      return {};
    int64_t less = 0;
    if (succeeded(parser.parseOptionalMinus()) && parser.parseInteger(less))
      return {};
    addend -= less;
  }
  return ReachAttr::getChecked([&] { return parser.emitError(location); }, parser.getContext(),
                               count, multiplier, addend);
}

void ingot::plan::printReach(AsmPrinter &printer, ReachAttr reach) {
  if (!reach.getCount()) {
    printer << reach.getAddend();
    return;
  }
  printer << stringifyCount(*reach.getCount());
  if (reach.getMultiplier() != 1)
    printer << " * " << reach.getMultiplier();
  if (reach.getAddend() > 0)
    printer << " + " << reach.getAddend();
  else if (reach.getAddend() < 0)
    printer << " - " << -reach.getAddend();
}

Attribute ReachAttr::parse(AsmParser &parser, Type) {
  if (parser.parseLess())
    return {};
  ReachAttr reach = parseReach(parser);
  return !reach || parser.parseGreater() ? Attribute() : reach;
}

void ReachAttr::print(AsmPrinter &printer) const {
  printer << '<';
  printReach(printer, *this);
  printer << '>';
}

//===------------------------------------------------------------------------------------------===//
// Argument
//===------------------------------------------------------------------------------------------===//

LogicalResult ArgumentAttr::verify(function_ref<InFlightDiagnostic()> emitError, Access access,
                                   FlatSymbolRefAttr symbol, int64_t offset, int64_t step) {
  constexpr int64_t limit = int64_t(1) << 46;
  if (offset < 0 || step < 0 || offset > limit || step > limit)
    return emitError() << "expected offset and step of '" << symbol.getValue()
                       << "' to be from 0 to " << limit << ", got " << offset << " and " << step;
  return success();
}

/// `symbol [+ number] [step number]`
static ArgumentAttr parseAddress(AsmParser &parser, Access access) {
  SMLoc location = parser.getCurrentLocation();
  FlatSymbolRefAttr symbol;
  int64_t offset = 0, step = 0;
  if (parser.parseAttribute(symbol))
    return {};
  if (succeeded(parser.parseOptionalPlus()) && parser.parseInteger(offset))
    return {};
  if (succeeded(parser.parseOptionalKeyword("step")) && parser.parseInteger(step))
    return {};
  return ArgumentAttr::getChecked([&] { return parser.emitError(location); }, parser.getContext(),
                                  access, symbol, offset, step);
}

Attribute ingot::plan::parseArgument(AsmParser &parser) {
  SMLoc location = parser.getCurrentLocation();
  StringRef keyword;
  if (failed(parser.parseOptionalKeyword(&keyword)))
    return parseAddress(parser, Access::Read);
  if (std::optional<Input> input = symbolizeInput(keyword))
    return InputAttr::get(parser.getContext(), *input);
  if (std::optional<Access> access = symbolizeAccess(keyword))
    return parseAddress(parser, *access);
  parser.emitError(location) << "expected an input of the step, got '" << keyword << "'";
  return {};
}

void ingot::plan::printArgument(AsmPrinter &printer, Attribute attribute) {
  if (auto input = dyn_cast<InputAttr>(attribute)) {
    printer << stringifyInput(input.getValue());
    return;
  }
  auto argument = cast<ArgumentAttr>(attribute);
  if (argument.getAccess() != Access::Read)
    printer << stringifyAccess(argument.getAccess()) << ' ';
  printer.printAttributeWithoutType(argument.getSymbol());
  if (argument.getOffset() != 0)
    printer << " + " << argument.getOffset();
  if (argument.getStep() != 0)
    printer << " step " << argument.getStep();
}

Attribute ArgumentAttr::parse(AsmParser &parser, Type) {
  if (parser.parseLess())
    return {};
  auto argument = dyn_cast_or_null<ArgumentAttr>(parseArgument(parser));
  return !argument || parser.parseGreater() ? Attribute() : argument;
}

void ArgumentAttr::print(AsmPrinter &printer) const {
  printer << '<';
  printArgument(printer, *this);
  printer << '>';
}
