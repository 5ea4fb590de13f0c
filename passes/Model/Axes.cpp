//===- Axes.cpp - Which index of a computation each dimension of a tensor is ------------------===//

#include "passes/Model/Axes.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Matchers.h"
#include <algorithm>

using namespace mlir;
using namespace ingot::model;

AxisList ingot::model::flatten(ArrayRef<AxisList> labels) {
  AxisList result;
  for (const AxisList &list : labels)
    llvm::append_range(result, list);
  return result;
}

std::optional<double> ingot::model::matchSplat(Value value) {
  Value scalar;
  if (auto splat = value.getDefiningOp<tensor::SplatOp>())
    scalar = splat.getInput();
  else if (auto fill = value.getDefiningOp<linalg::FillOp>())
    scalar = fill.getInputs().front();
  FloatAttr number;
  if (scalar)
    return matchPattern(scalar, m_Constant(&number)) ? std::optional(number.getValueAsDouble())
                                                     : std::nullopt;
  DenseFPElementsAttr dense;
  if (matchPattern(value, m_Constant(&dense)) && dense.isSplat()) {
    APFloat element = dense.getSplatValue<APFloat>();
    bool losesInfo;
    element.convert(APFloat::IEEEdouble(), APFloat::rmNearestTiesToEven, &losesInfo);
    return element.convertToDouble();
  }
  return std::nullopt;
}

AxisList Axes::create(int64_t size) {
  if (size == 1)
    return {};
  axes.push_back({size, {}});
  return {unsigned(axes.size() - 1)};
}

AxisLabels Axes::createFor(Value value) {
  AxisLabels labels;
  for (int64_t size : cast<RankedTensorType>(value.getType()).getShape())
    labels.push_back(create(size));
  return labels;
}

AxisList Axes::resolve(ArrayRef<unsigned> list) const {
  AxisList result;
  for (unsigned axis : list) {
    if (axes[axis].parts.empty())
      result.push_back(axis);
    else
      llvm::append_range(result, resolve(axes[axis].parts));
  }
  return result;
}

AxisLabels Axes::resolveAll(ArrayRef<AxisList> labels) const {
  AxisLabels result;
  for (const AxisList &list : labels)
    result.push_back(resolve(list));
  return result;
}

FailureOr<AxisLabels> Axes::split(AxisList list, ArrayRef<int64_t> sizes) {
  list = resolve(list);
  AxisLabels result(sizes.size());
  // From the minor end, so that what is left for a dimension of unknown size is a prefix.
  for (int64_t dim = sizes.size() - 1; dim >= 0; --dim) {
    int64_t left = sizes[dim];
    while (left != 1 && !list.empty()) {
      unsigned axis = list.pop_back_val();
      int64_t size = axes[axis].size;
      if (left == 0 || size == 0)
        return failure();
      bool isWhole = ShapedType::isDynamic(left) ? ShapedType::isDynamic(size)
                                                 : !ShapedType::isDynamic(size) && left % size == 0;
      if (isWhole) {
        result[dim].insert(result[dim].begin(), axis);
        left = ShapedType::isDynamic(left) ? 1 : left / size;
        continue;
      }
      if (ShapedType::isDynamic(left) || ShapedType::isDynamic(size) || size % left)
        return failure();
      AxisList major = create(size / left), minor = create(left);
      axes[axis].parts = {major[0], minor[0]};
      list.push_back(major[0]);
      result[dim].insert(result[dim].begin(), minor[0]);
      left = 1;
    }
    if (left != 1)
      return failure();
  }
  if (!list.empty())
    return failure();
  return result;
}

FailureOr<AxisLabels> Axes::splitGroups(const AxisPoint &point,
                                        ArrayRef<ReassociationIndices> groups, Value ungrouped) {
  ArrayRef<int64_t> shape = cast<RankedTensorType>(ungrouped.getType()).getShape();
  AxisLabels labels;
  for (auto [list, group] : llvm::zip_equal(point.labels, groups)) {
    FailureOr<AxisLabels> parts = split(list, shape.slice(group.front(), group.size()));
    if (failed(parts))
      return failure();
    llvm::append_range(labels, *parts);
  }
  return labels;
}

static AxisLabels join(ArrayRef<AxisList> labels, ArrayRef<ReassociationIndices> groups) {
  AxisLabels result;
  for (const ReassociationIndices &group : groups)
    result.push_back(flatten(labels.slice(group.front(), group.size())));
  return result;
}

/// The labels of the input of a generic op that only copies: permutes and broadcasts.
static FailureOr<AxisLabels> labelCopied(linalg::GenericOp generic, ArrayRef<AxisList> labels) {
  if (generic.getNumDpsInputs() != 1 || generic.getNumDpsInits() != 1 ||
      generic.getNumParallelLoops() != generic.getNumLoops() ||
      generic.getBlock()->getTerminator()->getOperand(0) != generic.getBlock()->getArgument(0))
    return failure();
  AffineMap input = generic.getIndexingMapsArray()[0], output = generic.getIndexingMapsArray()[1];
  if (!output.isPermutation() || !input.isProjectedPermutation())
    return failure();
  AxisLabels result;
  for (AffineExpr expr : input.getResults())
    result.push_back(labels[*output.getResultPosition(expr)]);
  return result;
}

/// The operand that an op multiplies with one number, which goes into `scale`.
static Value matchMultiple(Operation *op, double &scale) {
  if (auto multiply = dyn_cast<arith::MulFOp>(op)) {
    for (auto [factor, other] :
         {std::pair(multiply.getLhs(), multiply.getRhs()), {multiply.getRhs(), multiply.getLhs()}})
      if (std::optional<double> number = matchSplat(factor)) {
        scale *= *number;
        return other;
      }
  } else if (auto divide = dyn_cast<arith::DivFOp>(op)) {
    if (std::optional<double> number = matchSplat(divide.getRhs()); number && *number != 0) {
      scale /= *number;
      return divide.getLhs();
    }
  }
  return {};
}

FailureOr<AxisPoint> Axes::stepBack(const AxisPoint &point, bool throughScale) {
  Operation *op = point.value.getDefiningOp();
  if (!op)
    return failure();
  if (auto expand = dyn_cast<tensor::ExpandShapeOp>(op))
    return AxisPoint{expand.getSrc(), join(point.labels, expand.getReassociationIndices()),
                     point.scale};
  if (auto collapse = dyn_cast<tensor::CollapseShapeOp>(op)) {
    FailureOr<AxisLabels> labels =
        splitGroups(point, collapse.getReassociationIndices(), collapse.getSrc());
    if (failed(labels))
      return failure();
    return AxisPoint{collapse.getSrc(), *labels, point.scale};
  }
  if (auto transpose = dyn_cast<linalg::TransposeOp>(op)) {
    AxisLabels labels(point.labels.size());
    for (auto [list, from] : llvm::zip_equal(point.labels, transpose.getPermutation()))
      labels[from] = list;
    return AxisPoint{transpose.getInput(), labels, point.scale};
  }
  if (auto broadcast = dyn_cast<linalg::BroadcastOp>(op)) {
    AxisLabels labels;
    for (auto [dim, list] : llvm::enumerate(point.labels))
      if (!llvm::is_contained(broadcast.getDimensions(), int64_t(dim)))
        labels.push_back(list);
    return AxisPoint{broadcast.getInput(), labels, point.scale};
  }
  if (auto cast = dyn_cast<tensor::CastOp>(op))
    return AxisPoint{cast.getSource(), point.labels, point.scale};
  if (auto generic = dyn_cast<linalg::GenericOp>(op)) {
    FailureOr<AxisLabels> labels = labelCopied(generic, point.labels);
    if (failed(labels))
      return failure();
    return AxisPoint{generic.getDpsInputs()[0], *labels, point.scale};
  }
  double scale = point.scale;
  if (Value operand = throughScale ? matchMultiple(op, scale) : Value())
    return AxisPoint{operand, point.labels, scale};
  return failure();
}

FailureOr<AxisPoint> Axes::stepForward(const AxisPoint &point) {
  if (!point.value.hasOneUse())
    return failure();
  Operation *op = *point.value.user_begin();
  if (auto collapse = dyn_cast<tensor::CollapseShapeOp>(op))
    return AxisPoint{collapse.getResult(), join(point.labels, collapse.getReassociationIndices()),
                     point.scale};
  if (auto expand = dyn_cast<tensor::ExpandShapeOp>(op)) {
    FailureOr<AxisLabels> labels =
        splitGroups(point, expand.getReassociationIndices(), expand.getResult());
    if (failed(labels))
      return failure();
    return AxisPoint{expand.getResult(), *labels, point.scale};
  }
  if (auto transpose = dyn_cast<linalg::TransposeOp>(op);
      transpose && transpose.getInput() == point.value) {
    AxisLabels labels;
    for (int64_t from : transpose.getPermutation())
      labels.push_back(point.labels[from]);
    return AxisPoint{transpose->getResult(0), labels, point.scale};
  }
  if (auto cast = dyn_cast<tensor::CastOp>(op))
    return AxisPoint{cast.getResult(), point.labels, point.scale};
  return failure();
}

/// Groups of a reshape between one dimension an axis and `labels`.
static SmallVector<ReassociationIndices> groupAxes(ArrayRef<AxisList> labels) {
  SmallVector<ReassociationIndices> groups;
  int64_t next = 0;
  for (const AxisList &list : labels) {
    auto &group = groups.emplace_back();
    for (size_t i = 0; i < list.size(); ++i)
      group.push_back(next++);
  }
  return groups;
}

/// Groups of a reshape that puts every dimension of size 1 to the next that is longer, or the last.
static SmallVector<ReassociationIndices> groupUnits(ArrayRef<AxisList> labels) {
  SmallVector<ReassociationIndices> groups;
  ReassociationIndices units;
  for (auto [dim, list] : llvm::enumerate(labels)) {
    units.push_back(dim);
    if (!list.empty())
      groups.push_back(std::exchange(units, {}));
  }
  llvm::append_range(groups.back(), units);
  return groups;
}

static AxisLabels dropUnits(ArrayRef<AxisList> labels) {
  return AxisLabels(
      llvm::make_filter_range(labels, [](const AxisList &list) { return !list.empty(); }));
}

FailureOr<Value> Axes::reorder(OpBuilder &builder, Location loc, const AxisPoint &point,
                               ArrayRef<AxisList> target) {
  AxisLabels from = resolveAll(point.labels);
  Value value = point.value;
  if (ArrayRef(from) == target)
    return value;
  AxisLabels longer = dropUnits(from), longerTarget = dropUnits(target);
  if (longer.empty() || longerTarget.empty())
    return failure();
  if (longer.size() != from.size())
    value = tensor::CollapseShapeOp::create(builder, loc, value, groupUnits(from));
  FailureOr<Value> reordered = reorderLonger(builder, loc, {value, longer}, longerTarget);
  if (failed(reordered) || longerTarget.size() == target.size())
    return reordered;
  auto type = cast<RankedTensorType>(reordered->getType());
  SmallVector<int64_t> shape;
  SmallVector<OpFoldResult> sizes;
  int64_t next = 0;
  for (const AxisList &list : target) {
    shape.push_back(list.empty() ? 1 : type.getDimSize(next));
    sizes.push_back(list.empty() ? builder.getIndexAttr(1)
                                 : tensor::getMixedSize(builder, loc, *reordered, next));
    next += !list.empty();
  }
  return tensor::ExpandShapeOp::create(builder, loc, type.clone(shape), *reordered,
                                       groupUnits(target), sizes)
      .getResult();
}

FailureOr<Value> Axes::reorderLonger(OpBuilder &builder, Location loc, const AxisPoint &point,
                                     ArrayRef<AxisList> target) {
  const AxisLabels &from = point.labels;
  Value value = point.value;
  if (ArrayRef(from) == target)
    return value;
  auto type = cast<RankedTensorType>(value.getType());
  AxisList order = flatten(from), wanted = flatten(target);
  if (order.size() != wanted.size() ||
      !std::is_permutation(order.begin(), order.end(), wanted.begin()))
    return failure();
  SmallVector<OpFoldResult> sizes;
  for (auto [dim, list] : llvm::enumerate(from)) {
    int64_t known = 1;
    unsigned unknown = 0;
    for (unsigned axis : list)
      ShapedType::isDynamic(getSize(axis)) ? ++unknown : known *= getSize(axis);
    if (unknown > 1)
      return failure();
    for (unsigned axis : list) {
      if (!ShapedType::isDynamic(getSize(axis))) {
        sizes.push_back(builder.getIndexAttr(getSize(axis)));
        continue;
      }
      Value size = tensor::DimOp::create(builder, loc, value, dim);
      if (known != 1)
        size = arith::DivUIOp::create(builder, loc, size,
                                      arith::ConstantIndexOp::create(builder, loc, known));
      sizes.push_back(size);
    }
  }
  if (order.size() != from.size()) {
    SmallVector<int64_t> shape;
    for (unsigned axis : order)
      shape.push_back(getSize(axis));
    value = tensor::ExpandShapeOp::create(builder, loc, type.clone(shape), value, groupAxes(from),
                                          sizes);
  }
  if (wanted != order) {
    SmallVector<int64_t> permutation;
    SmallVector<OpFoldResult> permuted;
    for (unsigned axis : wanted) {
      permutation.push_back(llvm::find(order, axis) - order.begin());
      permuted.push_back(sizes[permutation.back()]);
    }
    Value empty = tensor::EmptyOp::create(builder, loc, permuted, type.getElementType());
    value = linalg::TransposeOp::create(builder, loc, value, empty, permutation)->getResult(0);
  }
  if (wanted.size() != target.size())
    value = tensor::CollapseShapeOp::create(builder, loc, value, groupAxes(target));
  return value;
}
