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

/// Whether `index` is `tile` with other elements, reduced where its size is 1.
static bool isReducedForm(RankedTensorType index, RankedTensorType tile) {
  if (index.getRank() != tile.getRank())
    return false;
  RankedTensorType expected = withElement(tile, index.getElementType());
  for (unsigned dim = 0; dim < tile.getRank(); ++dim)
    if (index.getDimSize(dim) == 1 && tile.getDimSize(dim) != 1)
      expected = getReducedType(expected, dim);
  return index == expected;
}

/// (C1) to (C5) of gather and scatter.
template <typename OpT> static LogicalResult verifyIndexedAccess(OpT op, RankedTensorType tile) {
  auto view = cast<ViewType>(op.getView().getType());
  if (failed(verifyElementAccess(op, view, tile.getElementType(), op.getOffsets().size())))
    return failure();
  if (tile.getRank() > view.getRank()) // (C3)
    return op.emitOpError("expected a tile of at most ")
           << view.getRank() << " dimensions, got " << tile.getRank();
  ArrayRef<int64_t> dims = op.getDims(); // (C4)
  if (dims.size() != op.getIndices().size())
    return op.emitOpError("expected one index tile for each of ")
           << dims.size() << " dimensions, got " << op.getIndices().size();
  for (auto [i, dim] : llvm::enumerate(dims))
    if (dim < 0 || dim >= view.getRank() || (i > 0 && dims[i - 1] >= dim))
      return op.emitOpError("expected 'dims' to ascend below ")
             << view.getRank() << ", got " << dim;
  SmallVector<Value> all(op.getIndices()); // (C5)
  if (op.getMask())
    all.push_back(op.getMask());
  for (Value index : all)
    if (!isReducedForm(cast<RankedTensorType>(index.getType()), tile))
      return op.emitOpError("expected indices and mask to have the layout of ")
             << tile << ", reduced where their size is 1, got " << index.getType();
  return success();
}

LogicalResult GatherOp::verify() { return verifyIndexedAccess(*this, getResult().getType()); }

LogicalResult ScatterOp::verify() { return verifyIndexedAccess(*this, getValue().getType()); }

LogicalResult PrefetchLineOp::verify() {
  ViewType view = getView().getType();
  return verifyElementAccess(*this, view, view.getElementType(), getOffsets().size());
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

SmallVector<RankedTensorType> DecodeOp::resultTypes(PackedAttr packing, RankedTensorType codes) {
  const NumericFormat *format = NumericFormat::lookup(packing.getFormat());
  if (!format || !isTile(codes) || codes.getRank() != 2 ||
      (!codes.getElementType().isInteger(8) && !codes.getElementType().isF16()))
    return {};
  int64_t group = format->groupElements, rows = codes.getDimSize(0), columns = codes.getDimSize(1);
  LayoutAttr layout = getLayout(codes);
  constexpr int64_t least[] = {0, 1, 0, 2, 0, 4}; // 8 columns in the lowest registers
  if (columns % group != 0 || !layout.getRegisters().take_front(std::size(least)).equals(least))
    return {};
  auto divide = [&](ArrayRef<int64_t> flat, bool dropZeros) {
    SmallVector<int64_t> divided;
    for (size_t i = 0; i < flat.size(); i += 2)
      if (!dropZeros || flat[i] != 0 || flat[i + 1] >= group)
        divided.append({flat[i], flat[i + 1] / group});
    return divided;
  };
  auto ofScales =
      LayoutAttr::get(packing.getContext(), 2, divide(layout.getRegisters(), true),
                      divide(layout.getLanes(), false), divide(layout.getWarps(), false),
                      divide(layout.getBlocks(), false));
  auto scales =
      getTileType({rows, columns / group}, Float32Type::get(packing.getContext()), ofScales);
  return {codes, scales, scales};
}

void DecodeOp::build(OpBuilder &builder, OperationState &state, Value view, Value row, Value column,
                     RankedTensorType codes, bool masked) {
  PackedAttr packing = cast<ViewType>(view.getType()).getPacking();
  SmallVector<RankedTensorType> types = codes ? resultTypes(packing, codes) : resultTypes(packing);
  build(builder, state, TypeRange(SmallVector<Type>(types.begin(), types.end())), view, row, column,
        masked);
}

LogicalResult DecodeOp::verify() {
  if (!getView().getType().isPacked()) // (C1)
    return emitOpError("expected 'view' to be packed");
  PackedAttr packing = getView().getType().getPacking();
  SmallVector<RankedTensorType> expected; // (C2), (C3)
  if (!packing.getPlanar())
    expected = resultTypes(packing);
  else if (getNumResults() != 0)
    expected = resultTypes(packing, cast<RankedTensorType>(getResult(0).getType()));
  if (packing.getPlanar() && expected.empty())
    return emitOpError(
               "expected codes of i8 or f16 whose lowest registers are 8 columns of a group of ")
           << packing.getFormat();
  if (getMasked() && !packing.getPlanar()) // (C4)
    return emitOpError("expected 'masked' with a planar packing only");
  if (expected.size() != getNumResults())
    return emitOpError("expected ") << expected.size() << " results, got " << getNumResults();
  for (auto [result, type] : llvm::zip_equal(getResults(), expected))
    if (result.getType() != type)
      return emitOpError("expected result #")
             << cast<OpResult>(result).getResultNumber() << " to have type " << type << ", got "
             << result.getType();
  return success();
}

LogicalResult PrefetchOp::verify() {
  ViewType view = getView().getType();
  if (!view.isPacked() || view.getPacking().getPlanar()) // (C1)
    return emitOpError("expected 'view' to have an interleaved packing, got ") << view;
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
