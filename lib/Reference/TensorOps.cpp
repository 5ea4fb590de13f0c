//===- TensorOps.cpp - Meaning of ops that make and reshape tensors ---------------------------===//
//
// The ops of the tensor dialect that the transformer level uses. Elements of `tensor.empty`, which
// have no defined value, are zero.
//
//===------------------------------------------------------------------------------------------===//

#include "Frame.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace ingot;
using namespace ingot::reference;

/// Sizes, offsets or strides of which some are operands.
static Shape resolve(ArrayRef<OpFoldResult> values, Frame &frame) {
  Shape result;
  for (OpFoldResult value : values) {
    auto attribute = dyn_cast<Attribute>(value);
    result.push_back(attribute ? cast<IntegerAttr>(attribute).getInt()
                               : frame.integer(cast<mlir::Value>(value)));
  }
  return result;
}

static LogicalResult dim(tensor::DimOp op, Frame &frame) {
  auto &source = frame.tensor(op.getSource());
  int64_t index = frame.integer(op.getIndex());
  if (index < 0 || index >= source.rank())
    return op.emitError("expected a dimension from 0 to ")
           << source.rank() - 1 << ", got " << index;
  frame.set(op, Scalar::ofInteger(source.dim(index)));
  return success();
}

static LogicalResult fill(Operation *op, RankedTensorType type, ArrayRef<OpFoldResult> sizes,
                          Scalar element, Frame &frame) {
  Shape shape = resolve(sizes, frame);
  if (!Tensor::canHold(type.getElementType()) ||
      llvm::any_of(shape, [](int64_t n) { return n < 0; }))
    return op->emitOpError("has no reference semantics for type ")
           << type << " of shape [" << shape << "]";
  frame.set(op->getResult(0),
            Tensor::generate(shape, type.getElementType(), [&](int64_t) { return element; }));
  return success();
}

static LogicalResult empty(tensor::EmptyOp op, Frame &frame) {
  return fill(op, op.getType(), op.getMixedSizes(), Scalar(), frame);
}

static LogicalResult splat(tensor::SplatOp op, Frame &frame) {
  SmallVector<OpFoldResult> sizes;
  OpBuilder builder(op);
  unsigned dynamic = 0;
  for (int64_t size : op.getType().getShape())
    sizes.push_back(ShapedType::isDynamic(size) ? OpFoldResult(op.getDynamicSizes()[dynamic++])
                                                : builder.getIndexAttr(size));
  return fill(op, op.getType(), sizes, std::get<Scalar>(frame.get(op.getInput())), frame);
}

static LogicalResult expandShape(tensor::ExpandShapeOp op, Frame &frame) {
  auto &source = frame.tensor(op.getSrc());
  Shape shape = resolve(op.getMixedOutputShape(), frame);
  if (countElements(shape) != source.size())
    return op.emitError("cannot give shape [") << shape << "] to [" << source.shape() << "]";
  frame.set(op.getResult(), source.reshaped(shape));
  return success();
}

static LogicalResult collapseShape(tensor::CollapseShapeOp op, Frame &frame) {
  auto &source = frame.tensor(op.getSrc());
  Shape shape;
  for (auto &group : op.getReassociationIndices()) {
    shape.push_back(1);
    for (int64_t index : group)
      shape.back() *= source.dim(index);
  }
  frame.set(op.getResult(), source.reshaped(shape));
  return success();
}

static LogicalResult extractSlice(tensor::ExtractSliceOp op, Frame &frame) {
  auto &source = frame.tensor(op.getSource());
  Shape offsets = resolve(op.getMixedOffsets(), frame), sizes = resolve(op.getMixedSizes(), frame),
        strides = resolve(op.getMixedStrides(), frame);
  for (int64_t i = 0; i < source.rank(); ++i)
    if (int64_t last = offsets[i] + (sizes[i] - 1) * strides[i];
        offsets[i] < 0 || sizes[i] < 0 || (sizes[i] && (last < 0 || last >= source.dim(i))))
      return op.emitError("slice of dimension ")
             << i << " is outside of its size " << source.dim(i);
  auto slice = source.gathered(sizes, [&](int64_t index) {
    int64_t result = 0, factor = 1;
    for (int64_t i = source.rank() - 1; i >= 0; --i) {
      result += (offsets[i] + index % sizes[i] * strides[i]) * factor;
      index /= sizes[i];
      factor *= source.dim(i);
    }
    return result;
  });
  // Unit dimensions that the result type has not are dropped.
  auto dropped = op.getDroppedDims();
  Shape shape;
  for (int64_t i = 0; i < source.rank(); ++i)
    if (!dropped.test(i))
      shape.push_back(sizes[i]);
  frame.set(op.getResult(), slice.reshaped(shape));
  return success();
}

static LogicalResult castShape(tensor::CastOp op, Frame &frame) {
  frame.set(op.getResult(), frame.get(op.getSource()));
  return success();
}

void reference::addTensorOps(Context &context) {
  context.add(dim);
  context.add(empty);
  context.add(splat);
  context.add(expandShape);
  context.add(collapseShape);
  context.add(extractSlice);
  context.add(castShape);
}
