//===- TileTypes.cpp - Views of memory ---------------------------------------------------------------===//

#include "dialects/Tile/Tile.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace ingot::tile;

#define GET_TYPEDEF_CLASSES
#include "dialects/Tile/TileTypes.cpp.inc"

void TileDialect::registerTypes() {
  addTypes<
#define GET_TYPEDEF_LIST
#include "dialects/Tile/TileTypes.cpp.inc"
      >();
}

SmallVector<int64_t> ViewType::rowMajorStrides(ArrayRef<int64_t> shape) {
  SmallVector<int64_t> strides(shape.size(), 1);
  for (size_t i = shape.size(); i-- > 1;)
    strides[i - 1] =
        strides[i] * std::max<int64_t>(shape[i], 1); // a count there is refused by (C2)
  return strides;
}

ViewType ViewType::get(MLIRContext *context, ArrayRef<int64_t> shape, Type elementType) {
  return get(context, shape, elementType, rowMajorStrides(shape), PackedAttr(), Space::Global);
}

// size ::= integer | `?` | `tokens` | `outputs` | `sequences`
static ParseResult parseSize(AsmParser &parser, SmallVectorImpl<int64_t> &shape) {
  if (succeeded(parser.parseOptionalQuestion())) {
    shape.push_back(ViewType::unknown);
    return success();
  }
  int64_t number;
  SMLoc loc = parser.getCurrentLocation();
  OptionalParseResult parsed = parser.parseOptionalInteger(number);
  if (parsed.has_value()) {
    if (failed(*parsed))
      return failure();
    if (number <= 0)
      return parser.emitError(loc) << "expected sizes of a view to be positive, got " << number;
    shape.push_back(number);
    return success();
  }
  StringRef name;
  if (parser.parseKeyword(&name))
    return failure();
  std::optional<Count> count = symbolizeCount(name);
  if (!count)
    return parser.emitError(loc)
           << "expected a number, '?', 'tokens', 'outputs' or 'sequences', got '" << name << "'";
  shape.push_back(ViewType::sizeFor(*count));
  return success();
}

// view ::= `<` `[` size,* `]` `,` (type | packed) (`,` `strides` `=` `[` integer,* `]`)? (`,`
// space)? `>`
Type ViewType::parse(AsmParser &parser) {
  SmallVector<int64_t> shape, strides;
  SMLoc loc = parser.getCurrentLocation();
  if (parser.parseLess() ||
      parser.parseCommaSeparatedList(AsmParser::Delimiter::Square,
                                     [&] { return parseSize(parser, shape); }) ||
      parser.parseComma())
    return {};
  Type elementType;
  PackedAttr packing;
  OptionalParseResult isType = parser.parseOptionalType(elementType);
  if (isType.has_value()) {
    if (failed(*isType))
      return {};
    strides = rowMajorStrides(shape);
  } else {
    if (parser.parseAttribute(packing))
      return {};
    elementType = NoneType::get(parser.getContext());
  }
  Space space = Space::Global;
  bool hasStrides = false;
  while (succeeded(parser.parseOptionalComma())) {
    StringRef name;
    SMLoc nameLoc = parser.getCurrentLocation();
    if (parser.parseKeyword(&name))
      return {};
    if (name == "strides" && !hasStrides) {
      hasStrides = true;
      strides.clear();
      if (parser.parseEqual() || parser.parseCommaSeparatedList(AsmParser::Delimiter::Square, [&] {
            return parser.parseInteger(strides.emplace_back());
          }))
        return {};
    } else if (std::optional<Space> named = symbolizeSpace(name)) {
      space = *named;
    } else {
      parser.emitError(nameLoc) << "expected 'strides', 'global' or 'shared', got '" << name << "'";
      return {};
    }
  }
  if (!hasStrides && !packing &&
      llvm::any_of(ArrayRef<int64_t>(shape).drop_front(!shape.empty()),
                   [](int64_t size) { return size < 0; })) { // (C2)
    parser.emitError(loc)
        << "expected strides of a view with a size after the first that is not a number";
    return {};
  }
  if (parser.parseGreater())
    return {};
  return parser.getChecked<ViewType>(loc, parser.getContext(), shape, elementType, strides, packing,
                                     space);
}

void ViewType::print(AsmPrinter &printer) const {
  printer << "<[";
  llvm::interleaveComma(getShape(), printer, [&](int64_t size) {
    if (size == unknown)
      printer << "?";
    else if (isCount(size))
      printer << stringifyCount(countOf(size));
    else
      printer << size;
  });
  printer << "], ";
  if (isPacked())
    printer << getPacking();
  else
    printer << getElementType();
  bool rowMajor = llvm::equal(getStrides(), rowMajorStrides(getShape())) &&
                  llvm::all_of(getShape().drop_front(), [](int64_t size) { return size > 0; });
  if (!isPacked() && !rowMajor) {
    printer << ", strides = [";
    llvm::interleaveComma(getStrides(), printer);
    printer << "]";
  }
  if (getSpace() != Space::Global)
    printer << ", " << stringifySpace(getSpace());
  printer << ">";
}

LogicalResult ViewType::verify(function_ref<InFlightDiagnostic()> emitError,
                               ArrayRef<int64_t> shape, Type elementType, ArrayRef<int64_t> strides,
                               PackedAttr packing, Space space) {
  if (shape.empty() || shape.size() > 5) // (C1)
    return emitError() << "expected a view of 1 to 5 dimensions, got " << shape.size();
  for (int64_t size : shape)
    if (size <= 0 && !isCount(size) && size != unknown)
      return emitError() << "expected sizes of a view to be positive, got " << size;
  if (packing) { // (C3)
    if (shape.size() != 2 || shape[0] <= 0 || shape[1] <= 0)
      return emitError() << "expected a packed view to have two sizes that are numbers";
    if (!strides.empty() || space != Space::Global)
      return emitError() << "expected a packed view to be global and without strides";
    return success();
  }
  if (!elementType.isIntOrFloat()) // (C2)
    return emitError() << "expected elements of a view to be integers or floats, got "
                       << elementType;
  if (strides.size() != shape.size())
    return emitError() << "expected " << shape.size() << " strides, got " << strides.size();
  for (int64_t stride : strides)
    if (stride < 0)
      return emitError() << "expected strides of at least 0, got " << stride;
  return success();
}
