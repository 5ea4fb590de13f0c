//===- TransformerTypes.cpp - Types of the transformer dialect --------------------------------===//
//
// Syntax and verifiers of weights, caches and ragged batches. Numeric formats are lib/Support's.
//
//===------------------------------------------------------------------------------------------===//

#include "dialects/Transformer/Transformer.h"
#include "ingot/Support/NumericFormat.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace ingot::transformer;

#define GET_TYPEDEF_CLASSES
#include "dialects/Transformer/TransformerTypes.cpp.inc"

void TransformerDialect::registerTypes() {
  addTypes<
#define GET_TYPEDEF_LIST
#include "dialects/Transformer/TransformerTypes.cpp.inc"
      >();
}

// weight-type ::= `<` `[` integer (`,` integer)* `]` `,` keyword (`,` attribute)? `>`
Type WeightType::parse(AsmParser &parser) {
  SmallVector<int64_t> shape;
  std::string format;
  Attribute packing;
  auto parseSize = [&]() { return parser.parseInteger(shape.emplace_back()); };
  SMLoc loc = parser.getCurrentLocation();
  if (parser.parseLess() ||
      parser.parseCommaSeparatedList(AsmParser::Delimiter::Square, parseSize) ||
      parser.parseComma() || parser.parseKeywordOrString(&format))
    return {};
  if (succeeded(parser.parseOptionalComma()) && parser.parseAttribute(packing))
    return {};
  if (parser.parseGreater())
    return {};
  return parser.getChecked<WeightType>(loc, parser.getContext(), shape, StringRef(format), packing);
}

void WeightType::print(AsmPrinter &printer) const {
  printer << "<[";
  llvm::interleaveComma(getShape(), printer);
  printer << "], ";
  printer.printKeywordOrString(getFormat());
  if (getPacking())
    printer << ", " << getPacking();
  printer << ">";
}

LogicalResult WeightType::verify(function_ref<InFlightDiagnostic()> emitError,
                                 ArrayRef<int64_t> shape, StringRef format, Attribute packing) {
  if (shape.empty() || shape.size() > 3)
    return emitError() << "expected a weight of 1 to 3 dimensions, got " << shape.size();
  for (int64_t size : shape)
    if (size <= 0)
      return emitError() << "expected sizes of a weight to be positive, got " << size;
  if (ingot::NumericFormat::lookup(format))
    return success();
  std::string known;
  llvm::raw_string_ostream os(known);
  llvm::interleaveComma(ingot::NumericFormat::all(), os,
                        [&](const ingot::NumericFormat &record) { os << record.name; });
  return emitError() << "expected the numeric format of a weight to be one of " << known
                     << ", got '" << format << "'";
}

LogicalResult KVCacheType::verify(function_ref<InFlightDiagnostic()> emitError, int64_t layers,
                                  int64_t heads, int64_t dim, Type format, int64_t page) {
  for (auto [name, value] :
       {std::pair("layers", layers), {"heads", heads}, {"dim", dim}, {"page", page}})
    if (value <= 0)
      return emitError() << "expected '" << name << "' of a cache to be positive, got " << value;
  if (!format.isF32() && !format.isF16())
    return emitError() << "expected 'format' of a cache to be f32 or f16, got " << format;
  return success();
}
