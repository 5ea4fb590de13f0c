//===- TileAttributes.cpp - Layouts, packings and extents -------------------------------------------===//
//
// Syntax and checks of the dialect's attributes, and the layouts that follow from a layout when the
// shape of its tile changes.
//
//===----------------------------------------------------------------------------------------------===//

#include "dialects/Tile/Tile.h"
#include "ingot/Support/NumericFormat.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace ingot::tile;
using ingot::LinearLayout;

#define GET_ATTRDEF_CLASSES
#include "dialects/Tile/TileAttributes.cpp.inc"

void TileDialect::registerAttributes() {
  addAttributes<
#define GET_ATTRDEF_LIST
#include "dialects/Tile/TileAttributes.cpp.inc"
      >();
}

//===----------------------------------------------------------------------------------------------===//
// LayoutAttr
//===----------------------------------------------------------------------------------------------===//

static constexpr StringLiteral inputNames[] = {"register", "lane", "warp", "block"};

LayoutAttr LayoutAttr::get(MLIRContext *context, ArrayRef<SmallVector<int64_t>> registers,
                           ArrayRef<SmallVector<int64_t>> lanes) {
  unsigned rank = !registers.empty() ? registers.front().size()
                  : lanes.empty()    ? 0
                                     : lanes.front().size();
  SmallVector<int64_t> flatRegisters, flatLanes;
  for (const SmallVector<int64_t> &basis : registers)
    flatRegisters.append(basis);
  for (const SmallVector<int64_t> &basis : lanes)
    flatLanes.append(basis);
  return get(context, rank, flatRegisters, flatLanes);
}

// bases ::= `[` (`[` integer (`,` integer)* `]` (`,` ...)*)? `]`; every basis has `rank`
// coordinates, set by the first.
static ParseResult parseBases(AsmParser &parser, std::optional<unsigned> &rank,
                              SmallVectorImpl<int64_t> &bases) {
  return parser.parseCommaSeparatedList(AsmParser::Delimiter::Square, [&]() -> ParseResult {
    size_t before = bases.size();
    SMLoc loc = parser.getCurrentLocation();
    if (parser.parseCommaSeparatedList(AsmParser::Delimiter::Square,
                                       [&] { return parser.parseInteger(bases.emplace_back()); }))
      return failure();
    unsigned count = bases.size() - before;
    if (rank.value_or(count) != count)
      return parser.emitError(loc)
             << "expected a basis of " << *rank << " coordinates, got " << count;
    rank = count;
    return success();
  });
}

// layout ::= `<` (`rank` `=` integer | name `=` bases (`,` name `=` bases)*) `>`, names in the
// order of inputs.
Attribute LayoutAttr::parse(AsmParser &parser, Type) {
  std::optional<unsigned> rank;
  SmallVector<int64_t> bases[4];
  unsigned next = 0;
  if (parser.parseLess())
    return {};
  if (failed(parser.parseOptionalGreater())) {
    auto parseInput = [&]() -> ParseResult {
      StringRef name;
      SMLoc loc = parser.getCurrentLocation();
      if (parser.parseKeyword(&name) || parser.parseEqual())
        return failure();
      if (name == "rank")
        return parser.parseInteger(rank.emplace());
      unsigned input = llvm::find(inputNames, name) - std::begin(inputNames);
      if (input < next || input >= std::size(inputNames))
        return parser.emitError(loc)
               << "expected 'register', 'lane', 'warp' and 'block' in this order, got '" << name
               << "'";
      next = input + 1;
      return parseBases(parser, rank, bases[input]);
    };
    if (parser.parseCommaSeparatedList(parseInput) || parser.parseGreater())
      return {};
  }
  return LayoutAttr::get(parser.getContext(), rank.value_or(0), bases[0], bases[1], bases[2],
                         bases[3]);
}

void LayoutAttr::print(AsmPrinter &printer) const {
  ArrayRef<int64_t> inputs[] = {getRegisters(), getLanes(), getWarps(), getBlocks()};
  printer << "<";
  bool first = true;
  for (auto [name, flat] : llvm::zip_equal(inputNames, inputs)) {
    if (flat.empty())
      continue;
    printer << (first ? "" : ", ") << name << " = [";
    first = false;
    for (size_t i = 0; i < flat.size(); i += getRank()) {
      printer << (i ? ", [" : "[");
      llvm::interleaveComma(flat.slice(i, getRank()), printer);
      printer << "]";
    }
    printer << "]";
  }
  if (first)
    printer << "rank = " << getRank();
  printer << ">";
}

LogicalResult LayoutAttr::verifyEncoding(ArrayRef<int64_t> shape, Type elementType,
                                         function_ref<InFlightDiagnostic()> emitError) const {
  if (getRank() != shape.size()) // (C1)
    return emitError() << "expected a layout of rank " << shape.size() << ", got " << getRank();
  for (int64_t size : shape) // (C2)
    if (size <= 0 || !llvm::isPowerOf2_64(size))
      return emitError() << "expected sizes of a tile to be powers of two, got " << size;
  if (getRank() == 0)
    return emitError() << "expected a tile of at least one dimension";
  size_t bits = 0;
  for (ArrayRef<int64_t> flat : {getRegisters(), getLanes(), getWarps(), getBlocks()}) {
    bits += flat.size() / getRank();
    for (auto [i, coordinate] : llvm::enumerate(flat))
      if (coordinate < 0 || coordinate >= shape[i % getRank()])
        return emitError() << "expected coordinates of bases below " << shape[i % getRank()]
                           << " in dimension " << i % getRank() << ", got " << coordinate;
  }
  if (bits > 32)
    return emitError() << "expected a layout of at most 32 bits, got " << bits;
  if (!getLinearLayout(shape).isSurjective()) // (C3)
    return emitError() << "expected a layout that reaches every element";
  if (!elementType.isInteger(1) && !elementType.isInteger(8) &&
      !elementType.isInteger(16) && // (C4)
      !elementType.isInteger(32) && !elementType.isF16() && !elementType.isBF16() &&
      !elementType.isF32())
    return emitError()
           << "expected elements of a tile to be i1, i8, i16, i32, f16, bf16 or f32, got "
           << elementType;
  return success();
}

LinearLayout LayoutAttr::getLinearLayout(ArrayRef<int64_t> shape) const {
  SmallVector<LinearLayout::Bases, 4> inputs;
  for (ArrayRef<int64_t> flat : {getRegisters(), getLanes(), getWarps(), getBlocks()}) {
    LinearLayout::Bases &bases = inputs.emplace_back();
    for (size_t i = 0; i < flat.size(); i += getRank())
      bases.emplace_back(flat.slice(i, getRank()));
  }
  return *LinearLayout::get(inputs, shape);
}

/// Applies `map` to every basis of a flat list.
static SmallVector<int64_t> mapBases(ArrayRef<int64_t> flat, unsigned rank,
                                     function_ref<SmallVector<int64_t>(ArrayRef<int64_t>)> map) {
  SmallVector<int64_t> result;
  for (size_t i = 0; i < flat.size(); i += rank)
    result.append(map(flat.slice(i, rank)));
  return result;
}

static LayoutAttr mapLayout(LayoutAttr layout, unsigned resultRank, bool dropZeroRegisters,
                            function_ref<SmallVector<int64_t>(ArrayRef<int64_t>)> map) {
  auto mapRegister = [&](ArrayRef<int64_t> basis) {
    SmallVector<int64_t> mapped = map(basis);
    if (dropZeroRegisters && llvm::all_of(mapped, [](int64_t c) { return c == 0; }))
      mapped.clear();
    return mapped;
  };
  unsigned rank = layout.getRank();
  return LayoutAttr::get(
      layout.getContext(), resultRank, mapBases(layout.getRegisters(), rank, mapRegister),
      mapBases(layout.getLanes(), rank, map), mapBases(layout.getWarps(), rank, map),
      mapBases(layout.getBlocks(), rank, map));
}

LayoutAttr LayoutAttr::getReduced(unsigned dim) const {
  return mapLayout(*this, getRank(), /*dropZeroRegisters=*/true, [&](ArrayRef<int64_t> basis) {
    SmallVector<int64_t> mapped(basis);
    mapped[dim] = 0;
    return mapped;
  });
}

LayoutAttr LayoutAttr::getTransposed(ArrayRef<int64_t> permutation) const {
  return mapLayout(*this, getRank(), /*dropZeroRegisters=*/false, [&](ArrayRef<int64_t> basis) {
    SmallVector<int64_t> mapped;
    for (int64_t dim : permutation)
      mapped.push_back(basis[dim]);
    return mapped;
  });
}

LayoutAttr LayoutAttr::getReshaped(ArrayRef<int64_t> from, ArrayRef<int64_t> to) const {
  // Sizes are powers of two: the coordinates are bit fields of the row-major index, so this is
  // linear.
  return mapLayout(*this, to.size(), /*dropZeroRegisters=*/false, [&](ArrayRef<int64_t> basis) {
    int64_t index = 0;
    for (auto [coordinate, size] : llvm::zip_equal(basis, from))
      index = index * size + coordinate;
    SmallVector<int64_t> mapped(to.size());
    for (size_t i = to.size(); i-- > 0; index /= to[i])
      mapped[i] = index % to[i];
    return mapped;
  });
}

//===----------------------------------------------------------------------------------------------===//
// PackedAttr and ExtentAttr
//===----------------------------------------------------------------------------------------------===//

// packed ::= `<` keyword `,` `rows` `=` integer (`,` `planar`)? `>`
Attribute PackedAttr::parse(AsmParser &parser, Type) {
  StringRef format;
  int64_t rows;
  SMLoc loc = parser.getCurrentLocation();
  if (parser.parseLess() || parser.parseKeyword(&format) || parser.parseComma() ||
      parser.parseKeyword("rows") || parser.parseEqual() || parser.parseInteger(rows))
    return {};
  bool isPlanar = succeeded(parser.parseOptionalComma());
  if ((isPlanar && parser.parseKeyword("planar")) || parser.parseGreater())
    return {};
  return parser.getChecked<PackedAttr>(loc, parser.getContext(), format, rows, isPlanar);
}

void PackedAttr::print(AsmPrinter &printer) const {
  printer << "<" << getFormat() << ", rows = " << getRows() << (getPlanar() ? ", planar>" : ">");
}

LogicalResult PackedAttr::verify(function_ref<InFlightDiagnostic()> emitError, StringRef format,
                                 int64_t rows, bool planar) {
  const NumericFormat *known = NumericFormat::lookup(format);
  if (!known) // (C1)
    return emitError() << "expected the name of a numeric format, got '" << format << "'";
  if (rows < 2 || rows > 64 || !llvm::isPowerOf2_64(rows)) // (C2)
    return emitError() << "expected 'rows' to be a power of two from 2 to 64, got " << rows;
  if (planar && !known->isAffine()) // (C3)
    return emitError()
           << "expected a planar packing to be of integers with scales and minimums, got '"
           << format << "'";
  return success();
}

// extent ::= integer | count (`*` integer)? (`+` integer)? (`ceildiv` integer)?
static FailureOr<ExtentAttr> parseExtent(AsmParser &parser) {
  int64_t number = 0;
  SMLoc loc = parser.getCurrentLocation();
  OptionalParseResult constant = parser.parseOptionalInteger(number);
  if (constant.has_value()) {
    if (failed(*constant))
      return failure();
    return parser.getChecked<ExtentAttr>(loc, parser.getContext(), std::nullopt, 0, number, 1);
  }
  StringRef name;
  if (parser.parseKeyword(&name))
    return failure();
  std::optional<Count> count = symbolizeCount(name);
  if (!count)
    return parser.emitError(loc) << "expected a number, 'tokens', 'outputs' or 'sequences', got '"
                                 << name << "'";
  int64_t multiplier = 1, addend = 0, divisor = 1;
  if (succeeded(parser.parseOptionalStar()) && parser.parseInteger(multiplier))
    return failure();
  if (succeeded(parser.parseOptionalPlus()) && parser.parseInteger(addend))
    return failure();
  if (succeeded(parser.parseOptionalKeyword("ceildiv")) && parser.parseInteger(divisor))
    return failure();
  return parser.getChecked<ExtentAttr>(loc, parser.getContext(), count, multiplier, addend,
                                       divisor);
}

void ingot::tile::printExtent(AsmPrinter &printer, ExtentAttr extent) {
  if (!extent.getCount()) {
    printer << extent.getAddend();
    return;
  }
  printer << stringifyCount(*extent.getCount());
  if (extent.getMultiplier() != 1)
    printer << " * " << extent.getMultiplier();
  if (extent.getAddend())
    printer << " + " << extent.getAddend();
  if (extent.getDivisor() != 1)
    printer << " ceildiv " << extent.getDivisor();
}

ParseResult ingot::tile::parseExtent(AsmParser &parser, ExtentAttr &extent) {
  FailureOr<ExtentAttr> parsed = ::parseExtent(parser);
  if (failed(parsed) || !*parsed)
    return failure();
  extent = *parsed;
  return success();
}

Attribute ExtentAttr::parse(AsmParser &parser, Type) {
  ExtentAttr extent;
  if (parser.parseLess() || ingot::tile::parseExtent(parser, extent) || parser.parseGreater())
    return {};
  return extent;
}

void ExtentAttr::print(AsmPrinter &printer) const {
  printer << "<";
  printExtent(printer, *this);
  printer << ">";
}

LogicalResult ExtentAttr::verify(function_ref<InFlightDiagnostic()> emitError,
                                 std::optional<Count> count, int64_t multiplier, int64_t addend,
                                 int64_t divisor) {
  if (divisor < 1) // (C1)
    return emitError() << "expected an extent with a divisor of at least 1";
  if (!count && (multiplier != 0 || addend < 0 || divisor != 1)) // (C2)
    return emitError() << "expected an extent without a count to be a number";
  return success();
}
