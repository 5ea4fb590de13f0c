//===- Schedule.cpp - How a product with weights is cut into work -----------------------------------===//

#include "ingot/Kernels/Schedule.h"
#include "Common.h"
#include "llvm/Support/FormatVariadic.h"

using namespace mlir;
using namespace ingot;
using namespace ingot::kernels;

namespace {

/// Registers of integer sums of a tile. An activation read once for all of them leaves as many for
/// codes, products and what is read.
constexpr int64_t sumRegisters = 8;

/// One number of a schedule: its name in attributes and options, and what it may be.
struct Field {
  StringLiteral name;
  int64_t ProductSchedule::*member;
  int64_t least, most;
  bool isPowerOfTwo;
};

constexpr Field fields[] = {
    {"row_groups", &ProductSchedule::rowGroups, 1, 1024, false},
    {"block_tokens", &ProductSchedule::blockTokens, 1, 1024, true},
    {"tile_tokens", &ProductSchedule::tileTokens, 1, 8, true},
    {"panel_tokens", &ProductSchedule::panelTokens, 2, 1025, false},
    {"single_groups", &ProductSchedule::singleGroups, 1, 8, true},
};

const Field *findField(StringRef name) {
  auto *field = llvm::find_if(fields, [&](const Field &field) { return field.name == name; });
  return field == std::end(fields) ? nullptr : field;
}

std::string listFields() {
  return llvm::join(llvm::map_range(fields, [](const Field &field) { return field.name; }), ", ");
}

} // namespace

std::string ProductShape::toText() const {
  std::string text = llvm::formatv("{0} {1} {2}x{3}x{4}", format, isInteger ? "int8" : "float",
                                   weights, rows, columns);
  if (spanGroups)
    text += llvm::formatv(" spans {0}x{1} tokens {2}", spans, spanGroups, mostTokens);
  return text;
}

std::optional<ProductShape> ProductShape::parse(StringRef text) {
  SmallVector<StringRef> words, sizes, blocks;
  text.split(words, ' ');
  if ((words.size() != 3 && words.size() != 7) || !NumericFormat::lookup(words[0]) ||
      (words[1] != "int8" && words[1] != "float"))
    return std::nullopt;
  ProductShape shape{words[0].str(), 0, 0, 0, words[1] == "int8"};
  auto read = [](StringRef word, int64_t &value) {
    constexpr int64_t most = int64_t(1) << 31;
    return !word.getAsInteger(10, value) && value > 0 && value <= most;
  };
  words[2].split(sizes, 'x');
  if (sizes.size() != 3 || !read(sizes[0], shape.weights) || !read(sizes[1], shape.rows) ||
      !read(sizes[2], shape.columns))
    return std::nullopt;
  if (words.size() == 3)
    return shape;
  words[4].split(blocks, 'x');
  if (words[3] != "spans" || words[5] != "tokens" || blocks.size() != 2 ||
      !read(blocks[0], shape.spans) || !read(blocks[1], shape.spanGroups) ||
      !read(words[6], shape.mostTokens))
    return std::nullopt;
  return shape;
}

ProductSchedule ProductSchedule::getDefault(const ProductShape &shape) {
  ProductSchedule schedule;
  // Large blocks share sums and start less often; an even number of at least 8 blocks can be dealt
  // out to threads evenly.
  int64_t groups = llvm::divideCeil(shape.rows, interleavedRows);
  for (int64_t rowGroups : {12, 10, 8, 6})
    if (int64_t blocks = groups / rowGroups;
        groups % rowGroups == 0 && blocks % 2 == 0 && blocks >= 8) {
      schedule.rowGroups = rowGroups;
      break;
    }
  // One token is bound by memory: one stream of integers of each weight at a time, and the sums of
  // activations beside it. Floats are one chain of multiply-adds for each row group, which wait
  // for themselves (4 cycles, 16 bytes a column and row group): several at a time.
  constexpr int64_t floatChains = 4;
  if (!shape.isInteger)
    schedule.singleGroups = std::max<int64_t>(floatChains / shape.weights, 1);
  return schedule;
}

LogicalResult ProductSchedule::verify(std::string &reason) const {
  for (const Field &field : fields) {
    int64_t value = this->*field.member;
    if (value >= field.least && value <= field.most &&
        (!field.isPowerOfTwo || llvm::isPowerOf2_64(value)))
      continue;
    reason = llvm::formatv("expected '{0}' of a schedule to be a {1} from {2} to {3}, got {4}",
                           field.name, field.isPowerOfTwo ? "power of two" : "number", field.least,
                           field.most, value);
    return failure();
  }
  return success();
}

int64_t ProductSchedule::countTileTokens(int64_t weights) const {
  return std::clamp<int64_t>(sumRegisters / weights, 1, tileTokens);
}

DictionaryAttr ProductSchedule::toAttribute(MLIRContext *context) const {
  Builder builder(context);
  SmallVector<NamedAttribute> entries;
  for (const Field &field : fields)
    entries.push_back(
        builder.getNamedAttr(field.name, builder.getI64IntegerAttr(this->*field.member)));
  return builder.getDictionaryAttr(entries);
}

FailureOr<ProductSchedule> ProductSchedule::read(DictionaryAttr attribute,
                                                 const ProductSchedule &otherwise,
                                                 std::string &reason) {
  ProductSchedule schedule = otherwise;
  for (NamedAttribute entry : attribute) {
    const Field *field = findField(entry.getName());
    auto number = dyn_cast<IntegerAttr>(entry.getValue());
    if (!field || !number || number.getValue().getSignificantBits() > 64) {
      reason = llvm::formatv("expected a schedule to be numbers named {0}, got '{1}'", listFields(),
                             entry.getName().getValue());
      return failure();
    }
    schedule.*field->member = number.getValue().getSExtValue();
  }
  if (failed(schedule.verify(reason)))
    return failure();
  return schedule;
}

std::string ProductSchedule::toText() const {
  std::string text;
  for (const Field &field : fields)
    text += llvm::formatv("{0}{1}={2}", text.empty() ? "" : ",", field.name, this->*field.member);
  return text;
}

FailureOr<ProductSchedule> ProductSchedule::parse(StringRef text, std::string &reason) {
  ProductSchedule schedule;
  SmallVector<StringRef> parts;
  text.split(parts, ',');
  for (StringRef part : parts) {
    auto [name, value] = part.split('=');
    const Field *field = findField(name);
    if (!field || value.getAsInteger(10, schedule.*field->member)) {
      reason = llvm::formatv("expected a schedule to be NAME=NUMBER of {0}, got '{1}'",
                             listFields(), part);
      return failure();
    }
  }
  if (failed(schedule.verify(reason)))
    return failure();
  return schedule;
}

ArrayRef<ProductSchedule> kernels::scheduleCandidates() {
  static const std::vector<ProductSchedule> candidates = [] {
    // Row groups act on every token count; the others are varied together beside them.
    constexpr ProductSchedule variants[] = {
        {0, 64, 4, 8, 1}, {0, 128, 8, 8, 2}, {0, 256, 4, 16, 4}, {0, 32, 2, 4, 1}};
    std::vector<ProductSchedule> candidates;
    for (int64_t rowGroups : {2, 4, 6, 8, 12, 16, 24})
      for (ProductSchedule variant : variants) {
        variant.rowGroups = rowGroups;
        candidates.push_back(variant);
      }
    return candidates;
  }();
  return candidates;
}
