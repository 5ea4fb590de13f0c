//===- BatchOps.cpp - Meaning of ops between dense and packed batches -------------------------===//
//
// Ops of BatchOps.td. `page_table` has no meaning here: pages are a matter of memory.
//
//===------------------------------------------------------------------------------------------===//

#include "Frame.h"

using namespace mlir;
using namespace ingot;
using namespace ingot::reference;
using namespace ingot::transformer;

/// The slots b * S + s of the tokens of sequences with these lengths, in packed order.
static FailureOr<std::vector<int64_t>> findSlots(Operation *op, ArrayRef<int32_t> lengths,
                                                 int64_t slots) {
  std::vector<int64_t> result;
  for (auto [b, length] : llvm::enumerate(lengths)) {
    if (length < 0 || length > slots)
      return op->emitError("expected lengths from 0 to ") << slots << ", got " << length;
    for (int64_t s = 0; s < length; ++s)
      result.push_back(b * slots + s);
  }
  return result;
}

/// Rows of `input`, seen as [N, row], in the order `rows`.
static Tensor gatherRows(const Tensor &input, ArrayRef<int64_t> rows, const Shape &shape) {
  int64_t row = countElements(ArrayRef(shape).drop_front());
  return input.gathered(shape,
                        [&](int64_t index) { return rows[index / row] * row + index % row; });
}

static LogicalResult pack(PackOp op, Frame &frame) {
  auto &input = frame.tensor(op.getInput());
  auto slots = findSlots(op, frame.tensor(op.getLengths()).ids(), input.dim(1));
  if (failed(slots))
    return failure();
  Shape shape(input.shape().drop_front());
  shape.front() = slots->size();
  frame.set(op.getResult(), gatherRows(input, *slots, shape));
  return success();
}

static LogicalResult unpack(UnpackOp op, Frame &frame) {
  auto &input = frame.tensor(op.getInput());
  auto lengths = frame.tensor(op.getLengths()).ids();
  // The slots of the result are as many as the longest sequence has tokens, unless the type says.
  int64_t slotCount = op.getResult().getType().getDimSize(1);
  if (ShapedType::isDynamic(slotCount))
    slotCount = lengths.empty() ? 0 : *llvm::max_element(lengths);
  auto slots = findSlots(op, lengths, slotCount);
  if (failed(slots))
    return failure();
  if (int64_t(slots->size()) != input.dim(0))
    return op.emitError("expected ")
           << slots->size() << " tokens by the lengths, got " << input.dim(0);
  Shape shape = {int64_t(lengths.size()), slotCount};
  llvm::append_range(shape, input.shape().drop_front());
  // Slots of padding repeat the first token.
  std::vector<int64_t> source(shape[0] * shape[1], 0);
  if (slots->empty() && !source.empty())
    return op.emitError("expected at least one token");
  for (auto [token, slot] : llvm::enumerate(*slots))
    source[slot] = token;
  SmallVector<int64_t> flat = {int64_t(source.size())};
  llvm::append_range(flat, input.shape().drop_front());
  frame.set(op.getResult(), gatherRows(input, source, flat).reshaped(shape));
  return success();
}

static LogicalResult selectRows(SelectRowsOp op, Frame &frame) {
  auto &input = frame.tensor(op.getInput());
  auto rows = frame.tensor(op.getRows()).ids();
  for (int32_t row : rows)
    if (row < 0 || row >= input.rows())
      return op.emitError("expected rows from 0 to ") << input.rows() - 1 << ", got " << row;
  Shape shape = {int64_t(rows.size()), input.shape().back()};
  frame.set(op.getResult(),
            gatherRows(input, std::vector<int64_t>(rows.begin(), rows.end()), shape));
  return success();
}

static LogicalResult positions(PositionsOp op, Frame &frame) {
  auto &batch = frame.ragged(op.getBatch());
  frame.set(op.getResult(), Tensor({batch.tokens()}, batch.positions));
  return success();
}

static LogicalResult sequences(SequencesOp op, Frame &frame) {
  auto &batch = frame.ragged(op.getBatch());
  frame.set(op.getResult(), Tensor({batch.tokens()}, batch.sequences));
  return success();
}

static LogicalResult makeRagged(MakeRaggedOp op, Frame &frame) {
  auto &positions = frame.tensor(op.getPositions());
  int64_t slotCount = positions.dim(1);
  auto slots = findSlots(op, frame.tensor(op.getLengths()).ids(), slotCount);
  if (failed(slots))
    return failure();
  Ragged batch;
  for (int64_t slot : *slots) {
    batch.sequences.push_back(slot / slotCount);
    batch.positions.push_back(positions.ids()[slot]);
  }
  frame.set(op.getResult(), std::move(batch));
  return success();
}

void reference::addBatchOps(Context &context) {
  context.add(pack);
  context.add(unpack);
  context.add(selectRows);
  context.add(positions);
  context.add(sequences);
  context.add(makeRagged);
}
