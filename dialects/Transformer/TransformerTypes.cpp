//===- TransformerTypes.cpp - Types of the transformer dialect --------------------------------===//
//
// Syntax and verifiers of weights, caches and ragged batches. Numeric formats are lib/Support's.
//
//===------------------------------------------------------------------------------------------===//

#include "dialects/Transformer/Transformer.h"
#include "ingot/Support/NumericFormat.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/StringSwitch.h"
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
                                  int64_t heads, int64_t dim, Type format, int64_t page,
                                  Type values) {
  for (auto [name, value] :
       {std::pair("layers", layers), {"heads", heads}, {"dim", dim}, {"page", page}})
    if (value <= 0)
      return emitError() << "expected '" << name << "' of a cache to be positive, got " << value;
  if (!format.isF32() && !format.isF16() && !format.isSignlessInteger(8) &&
      !format.isSignlessInteger(4))
    return emitError() << "expected 'format' of a cache to be f32, f16, i8 or i4, got " << format;
  if (values && (values == format || !format.isInteger() ||
                 !(values.isSignlessInteger(8) || values.isSignlessInteger(4))))
    return emitError()
           << "expected 'values' of a cache to be the other of i8 and i4 than 'format', got "
           << values << " beside " << format;
  if ((format.isInteger(4) || (values && values.isInteger(4))) && dim % 2 != 0)
    return emitError() << "expected 'dim' of a cache of i4 to be even, got " << dim;
  return success();
}

std::pair<Type, Type> KVCacheType::lookupFormats(MLIRContext *context, StringRef name) {
  Type i8 = IntegerType::get(context, 8), i4 = IntegerType::get(context, 4);
  return llvm::StringSwitch<std::pair<Type, Type>>(name)
      .Case("f16", {Float16Type::get(context), {}})
      .Case("f32", {Float32Type::get(context), {}})
      .Case("q8_0", {i8, {}})
      .Case("k8v4", {i8, i4})
      .Case("q4_0", {i4, {}})
      .Default({});
}

int64_t KVCacheType::getGroupChannels(bool isKey) const {
  constexpr int64_t usual = 32;
  if (!isQuantized())
    return getDim();
  // The halves of a head share bytes where codes have 4 bits, not scales.
  int64_t part = getFormat(isKey).isInteger(4) ? getDim() / 2 : getDim();
  return part % usual == 0 ? usual : part;
}
