//===- MemoryOps.cpp - Checks of ops that move data between memory and tiles ---------------------------===//

#include "dialects/Tile/Tile.h"
#include "ingot/Support/NumericFormat.h"
#include "mlir/IR/Builders.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace ingot::tile;

/// (C1) and (C2) of ops that address elements of a view.
static LogicalResult verifyElementAccess(Operation *op, ViewType view, Type element,
                                         size_t offsets) {
  if (view.isPacked()) // (C1)
    return op->emitOpError("expected 'view' to be of elements, got a packed one");
  if (view.getElementType() != element)
    return op->emitOpError("expected elements of type ")
           << view.getElementType() << " as the view has, got " << element;
  if (int64_t(offsets) != view.getRank()) // (C2)
    return op->emitOpError("expected ") << view.getRank() << " offsets, got " << offsets;
  return success();
}

/// (C1) to (C4) of load and store.
static LogicalResult verifyTileAccess(Operation *op, ViewType view, RankedTensorType tile,
                                      size_t offsets, bool masked) {
  if (failed(verifyElementAccess(op, view, tile.getElementType(), offsets)))
    return failure();
  if (tile.getRank() > view.getRank()) // (C3)
    return op->emitOpError("expected a tile of at most ")
           << view.getRank() << " dimensions, got " << tile.getRank();
  if (!masked)
    return success();
  ArrayRef<int64_t> spanned = view.getShape().take_back(tile.getRank());
  for (auto [dim, size] : llvm::enumerate(spanned)) // (C4)
    if (size == ViewType::unknown && tile.getDimSize(dim) > 1)
      return op->emitOpError("expected a known size of the view where a masked tile spans it, got "
                             "? for dimension #")
             << dim << " of the tile";
  return success();
}

LogicalResult LoadOp::verify() {
  return verifyTileAccess(*this, getView().getType(), getResult().getType(), getOffsets().size(),
                          getMasked());
}

LogicalResult StoreOp::verify() {
  return verifyTileAccess(*this, getView().getType(), getValue().getType(), getOffsets().size(),
                          getMasked());
}

LogicalResult ReadOp::verify() {
  return verifyElementAccess(*this, getView().getType(), getResult().getType(),
                             getOffsets().size());
}

LogicalResult WriteOp::verify() {
  return verifyElementAccess(*this, getView().getType(), getValue().getType(), getOffsets().size());
}

//===----------------------------------------------------------------------------------------------===//
// DecodeOp
//===----------------------------------------------------------------------------------------------===//

SmallVector<RankedTensorType> DecodeOp::resultTypes(PackedAttr packing) {
  const NumericFormat *format = NumericFormat::lookup(packing.getFormat());
  if (!format)
    return {};
  MLIRContext *context = packing.getContext();
  int64_t rows = packing.getRows(), columns = format->isFloat() ? 8 : format->groupElements;
  SmallVector<int64_t> registers, lanes;
  for (int64_t step = 1; step < columns; step *= 2)
    registers.append({0, step});
  for (int64_t step = 1; step < rows; step *= 2)
    lanes.append({step, 0});
  auto layout = LayoutAttr::get(context, 2, registers, lanes);
  if (format->isFloat())
    return {getTileType({rows, columns}, Float32Type::get(context), layout)};
  auto scales = getTileType({rows, 1}, Float32Type::get(context), layout.getReduced(1));
  return {getTileType({rows, columns}, IntegerType::get(context, 8), layout), scales, scales};
}

void DecodeOp::build(OpBuilder &builder, OperationState &state, Value view, Value row,
                     Value column) {
  SmallVector<RankedTensorType> types = resultTypes(cast<ViewType>(view.getType()).getPacking());
  build(builder, state, TypeRange(SmallVector<Type>(types.begin(), types.end())), view, row,
        column);
}

LogicalResult DecodeOp::verify() {
  if (!getView().getType().isPacked()) // (C1)
    return emitOpError("expected 'view' to be packed");
  SmallVector<RankedTensorType> expected =
      resultTypes(getView().getType().getPacking()); // (C2), (C3)
  if (expected.size() != getNumResults())
    return emitOpError("expected ") << expected.size() << " results, got " << getNumResults();
  for (auto [result, type] : llvm::zip_equal(getResults(), expected))
    if (result.getType() != type)
      return emitOpError("expected result #")
             << cast<OpResult>(result).getResultNumber() << " to have type " << type << ", got "
             << result.getType();
  return success();
}

//===----------------------------------------------------------------------------------------------===//
// Shared memory and asynchronous copies
//===----------------------------------------------------------------------------------------------===//

LogicalResult AllocOp::verify() {
  if (getView().getType().getSpace() != Space::Shared) // (C1)
    return emitOpError("expected the view to be shared");
  for (int64_t size : getView().getType().getShape())
    if (size < 0)
      return emitOpError("expected sizes that are numbers");
  return success();
}

LogicalResult CopyAsyncOp::verify() {
  ViewType source = getSource().getType(), destination = getDestination().getType();
  if (source.getSpace() != Space::Global || destination.getSpace() != Space::Shared) // (C1)
    return emitOpError("expected a copy from a global to a shared view");
  if (source.isPacked() || source.getElementType() != destination.getElementType())
    return emitOpError("expected views of the same elements, got ")
           << source << " and " << destination;
  if (int64_t(getSourceOffsets().size()) != source.getRank() || // (C2)
      int64_t(getDestinationOffsets().size()) != destination.getRank())
    return emitOpError("expected ")
           << source.getRank() << " and " << destination.getRank() << " offsets, got "
           << getSourceOffsets().size() << " and " << getDestinationOffsets().size();
  int64_t rank = std::min(source.getRank(), destination.getRank());
  if (int64_t(getSizes().size()) > rank) // (C3)
    return emitOpError("expected at most ") << rank << " sizes, got " << getSizes().size();
  for (int64_t size : getSizes())
    if (size <= 0)
      return emitOpError("expected sizes to be positive, got ") << size;
  return success();
}
