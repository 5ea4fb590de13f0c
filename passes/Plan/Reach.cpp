//===- Reach.cpp - How far a kernel goes from an argument -----------------------------------------===//

#include "passes/Plan/Reach.h"
#include "ingot/Support/Packing.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace ingot;
using namespace ingot::plan;

static ReachAttr findPackedReach(tile::ViewType view) {
  const NumericFormat *format = NumericFormat::lookup(view.getPacking().getFormat());
  if (!format)
    return {};
  llvm::Expected<PackedLayout> layout = PackedLayout::get(
      *format, view.getShape()[0], view.getShape()[1], view.getPacking().getRows());
  if (!layout) {
    llvm::consumeError(layout.takeError());
    return {};
  }
  return ReachAttr::get(view.getContext(), std::nullopt, 0, layout->bytes);
}

ReachAttr ingot::plan::findReach(tile::ViewType view) {
  if (view.isPacked())
    return findPackedReach(view);
  int64_t bytes = llvm::divideCeil(view.getElementType().getIntOrFloatBitWidth(), 8);
  // The last element lies at the sum of (size - 1) * stride; a count's part of that varies.
  std::optional<Count> count;
  constexpr int64_t mostBytes = int64_t(1) << 40;
  int64_t multiplier = 0, last = 0;
  for (auto [size, stride] : llvm::zip_equal(view.getShape(), view.getStrides())) {
    bool isCount = tile::ViewType::isCount(size);
    // Nothing is larger than memory; a view that says so is as good as one of unknown size.
    int64_t part;
    if (size == tile::ViewType::unknown || (isCount && count) ||
        llvm::MulOverflow(isCount ? int64_t(-1) : size - 1, stride, part) ||
        llvm::AddOverflow(last, part, last) || last > mostBytes)
      return {};
    if (isCount) {
      count = static_cast<Count>(tile::ViewType::countOf(size));
      multiplier = stride;
    }
  }
  if (multiplier > std::numeric_limits<int32_t>::max() / bytes)
    return {};
  if (multiplier == 0)
    count = std::nullopt;
  return ReachAttr::get(view.getContext(), count, multiplier * bytes, (last + 1) * bytes);
}
