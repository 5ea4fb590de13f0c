//===- AttentionMatch.cpp - The parts of an attention that is spelled out ---------------------===//

#include "passes/Model/AttentionMatch.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace ingot;
using namespace ingot::model;

/// Whether a masked score of this value has probability zero: -inf, or what frameworks write for
/// it, the lowest float32.
static bool isMinusInfinity(Value value) {
  std::optional<double> number = matchSplat(value);
  return number && *number <= -double(std::numeric_limits<float>::max());
}

static bool contains(ArrayRef<unsigned> list, ArrayRef<unsigned> part) {
  return llvm::all_of(part, [&](unsigned axis) { return llvm::is_contained(list, axis); });
}

/// `list` without the axes of `removed`.
static AxisList without(ArrayRef<unsigned> list, ArrayRef<unsigned> removed) {
  AxisList result;
  for (unsigned axis : list)
    if (!llvm::is_contained(removed, axis))
      result.push_back(axis);
  return result;
}

static AxisList concat(ArrayRef<unsigned> a, ArrayRef<unsigned> b) {
  AxisList result(a);
  llvm::append_range(result, b);
  return result;
}

//===------------------------------------------------------------------------------------------===//
// Products
//===------------------------------------------------------------------------------------------===//

/// The operands and their labels of a contraction, where `known` (its result or an operand) has
/// these labels.
FailureOr<AttentionMatch::Product> AttentionMatch::matchProduct(Operation *op, Value known,
                                                                ArrayRef<AxisList> labels) {
  auto linalgOp = dyn_cast_or_null<linalg::LinalgOp>(op);
  if (!linalgOp || !linalg::isaContractionOpInterface(linalgOp) || op->getNumResults() != 1 ||
      matchSplat(linalgOp.getDpsInits()[0]) != 0.0)
    return failure();
  SmallVector<AffineMap> maps = linalgOp.getIndexingMapsArray();
  SmallVector<Value> tensors{linalgOp.getDpsInputs()[0], linalgOp.getDpsInputs()[1],
                             op->getResult(0)};
  SmallVector<std::optional<AxisList>> loops(linalgOp.getNumLoops());
  auto visit = [&](Value tensor, auto function) {
    AffineMap map = maps[llvm::find(tensors, tensor) - tensors.begin()];
    for (auto [dim, expr] : llvm::enumerate(map.getResults()))
      function(dim, loops[cast<AffineDimExpr>(expr).getPosition()]);
  };
  for (AffineMap map : maps)
    if (!map.isProjectedPermutation())
      return failure();
  visit(known, [&](size_t dim, auto &loop) { loop = labels[dim]; });
  for (Value tensor : tensors)
    visit(tensor, [&](size_t dim, auto &loop) {
      if (!loop)
        loop = axes.create(cast<RankedTensorType>(tensor.getType()).getDimSize(dim));
    });
  Product product;
  auto label = [&](Value tensor) {
    AxisLabels result;
    visit(tensor, [&](size_t, auto &loop) { result.push_back(*loop); });
    return result;
  };
  product.left = {tensors[0], label(tensors[0])};
  product.right = {tensors[1], label(tensors[1])};
  product.result = label(tensors[2]);
  AxisList inResult = flatten(product.result);
  for (const auto &loop : loops)
    if (loop && !contains(inResult, *loop))
      llvm::append_range(product.summed, *loop);
  return product;
}

//===------------------------------------------------------------------------------------------===//
// From the softmax back to queries and keys
//===------------------------------------------------------------------------------------------===//

LogicalResult AttentionMatch::matchMask(Value predicate, ArrayRef<AxisList> labels,
                                        bool isNegated) {
  if (mask)
    return fail("there are two masks");
  AxisPoint point{predicate, AxisLabels(labels)};
  while (true) {
    if (auto found = point.value.getDefiningOp<transformer::AttentionMaskOp>()) {
      if (isNegated)
        return fail("the mask is applied to what it lets through");
      mask = found;
      maskLabels = point.labels;
      return success();
    }
    // not m is m xor true.
    auto inverse = point.value.getDefiningOp<arith::XOrIOp>();
    DenseIntElementsAttr ones;
    APInt one;
    Value splat = inverse ? inverse.getRhs() : Value();
    if (auto op = splat ? splat.getDefiningOp<tensor::SplatOp>() : tensor::SplatOp())
      splat = op.getInput();
    if (splat && ((matchPattern(splat, m_ConstantInt(&one)) && one.isAllOnes()) ||
                  (matchPattern(splat, m_Constant(&ones)) && ones.isSplat() &&
                   ones.getSplatValue<APInt>().isAllOnes()))) {
      point.value = inverse.getLhs();
      isNegated = !isNegated;
      continue;
    }
    FailureOr<AxisPoint> next = axes.stepBack(point, /*throughScale=*/false);
    if (failed(next))
      return fail("the mask is not a transformer.attention_mask");
    point = *next;
  }
}

/// The scores under a mask that is selected or added; null where `point` is something else.
FailureOr<Value> AttentionMatch::stripMask(const AxisPoint &point) {
  if (auto select = point.value.getDefiningOp<arith::SelectOp>()) {
    bool isNegated = isMinusInfinity(select.getTrueValue());
    if (!isNegated && !isMinusInfinity(select.getFalseValue()))
      return fail("what is masked is not minus infinity");
    if (failed(matchMask(select.getCondition(), point.labels, isNegated)))
      return failure();
    return isNegated ? select.getFalseValue() : select.getTrueValue();
  }
  auto add = point.value.getDefiningOp<arith::AddFOp>();
  if (!add)
    return Value();
  for (auto [bias, scores] :
       {std::pair(add.getLhs(), add.getRhs()), {add.getRhs(), add.getLhs()}}) {
    AxisPoint from{bias, point.labels};
    while (!from.value.getDefiningOp<arith::SelectOp>()) {
      FailureOr<AxisPoint> next = axes.stepBack(from, /*throughScale=*/false);
      if (failed(next))
        break;
      from = *next;
    }
    auto select = from.value.getDefiningOp<arith::SelectOp>();
    if (!select)
      continue;
    bool isNegated = isMinusInfinity(select.getTrueValue());
    Value visible = isNegated ? select.getFalseValue() : select.getTrueValue();
    Value masked = isNegated ? select.getTrueValue() : select.getFalseValue();
    if (!isMinusInfinity(masked) || matchSplat(visible) != 0.0)
      continue;
    if (failed(matchMask(select.getCondition(), from.labels, isNegated)))
      return failure();
    return scores;
  }
  return fail("what is added to the scores is not a mask of 0 and minus infinity");
}

LogicalResult AttentionMatch::matchScores(const Softmax &softmax) {
  AxisPoint point{softmax.input, axes.createFor(softmax.input)};
  probabilities = {softmax.result, point.labels};
  contextAxes = point.labels[softmax.dim];
  while (true) {
    FailureOr<Product> product =
        matchProduct(point.value.getDefiningOp(), point.value, point.labels);
    if (succeeded(product)) {
      query = product->left;
      key = product->right;
      channelAxes = product->summed;
      scale = point.scale;
      break;
    }
    FailureOr<AxisPoint> next = axes.stepBack(point, /*throughScale=*/true);
    if (succeeded(next)) {
      point = *next;
      // Minus infinity stays what it is under a positive scale only.
      if (!mask && !(point.scale > 0))
        return fail("the scores are scaled by a number that is not positive");
      continue;
    }
    if (auto tanh = point.value.getDefiningOp<math::TanhOp>()) {
      if (softCap)
        return fail("there are two soft-caps");
      if (!mask)
        return fail("the mask is applied before the soft-cap");
      softCap = point.scale;
      point = {tanh.getOperand(), point.labels};
      continue;
    }
    FailureOr<Value> scores = stripMask(point);
    if (failed(scores))
      return failure();
    if (!*scores)
      return fail("the scores are not a product of queries and keys");
    point.value = *scores;
  }
  if (!mask)
    return fail("there is no mask");
  return success();
}

//===------------------------------------------------------------------------------------------===//
// From the softmax forward to values and the result
//===------------------------------------------------------------------------------------------===//

LogicalResult AttentionMatch::matchValues(const Softmax &softmax) {
  AxisPoint point = probabilities;
  for (FailureOr<AxisPoint> next = axes.stepForward(point); succeeded(next);
       next = axes.stepForward(point))
    point = *next;
  if (!point.value.hasOneUse())
    return fail("the probabilities have other uses");
  Operation *user = *point.value.user_begin();
  FailureOr<Product> product = matchProduct(user, point.value, point.labels);
  if (failed(product))
    return fail("the probabilities are not multiplied with values");
  value = product->left.value == point.value ? product->right : product->left;
  if (value.value == point.value)
    return fail("the probabilities are multiplied with themselves");
  result = {user->getResult(0), product->result};
  if (axes.resolve(product->summed) != axes.resolve(contextAxes))
    return fail("values are not summed over what the softmax runs over");
  headChannelAxes =
      without(flatten(axes.resolveAll(value.labels)), flatten(axes.resolveAll(point.labels)));
  return success();
}

SmallVector<AxisPoint> AttentionMatch::walkBack(AxisPoint point, bool throughScale) {
  SmallVector<AxisPoint> points{point};
  while (true) {
    FailureOr<AxisPoint> next = axes.stepBack(points.back(), throughScale);
    if (failed(next))
      return points;
    points.push_back(*next);
  }
}

/// The deepest point behind `start` that has the form `target` already, or else the deepest.
AxisPoint AttentionMatch::choosePoint(const AxisPoint &start, ArrayRef<AxisList> target,
                                      bool throughScale) {
  SmallVector<AxisPoint> points = walkBack(start, throughScale);
  for (const AxisPoint &point : llvm::reverse(points))
    if (ArrayRef(axes.resolveAll(point.labels)) == target)
      return point;
  return points.back();
}

LogicalResult AttentionMatch::assignRoles() {
  // Walking to the ends splits every axis that will be split.
  AxisPoint queryEnd = walkBack(query, true).back(), keyEnd = walkBack(key, true).back(),
            valueEnd = walkBack(value, false).back();
  maskLabels = axes.resolveAll(maskLabels);
  AxisList sequence = maskLabels[0], token = maskLabels[1], context = axes.resolve(contextAxes),
           channel = axes.resolve(channelAxes), headChannel = axes.resolve(headChannelAxes);
  if (maskLabels[2] != context)
    return fail("the softmax does not run over the mask's context");
  AxisList inQuery = flatten(axes.resolveAll(queryEnd.labels)),
           inKey = flatten(axes.resolveAll(keyEnd.labels)),
           inValue = flatten(axes.resolveAll(valueEnd.labels));
  if (contains(inKey, token) && contains(inQuery, context)) {
    std::swap(query, key);
    std::swap(inQuery, inKey);
  }
  if (token.empty() || context.empty() || !contains(inQuery, token) || !contains(inKey, context) ||
      contains(inQuery, context) || contains(inKey, token))
    return fail("queries and keys are not indexed by the mask's query and context");
  AxisList heads = without(inKey, concat(concat(sequence, context), channel));
  AxisList groups = without(inQuery, concat(concat(sequence, token), concat(heads, channel)));
  queryTarget = {sequence, token, concat(heads, groups), channel};
  keyTarget = {sequence, context, heads, channel};
  valueTarget = {sequence, context, heads, headChannel};
  resultTarget = {sequence, token, concat(heads, groups), headChannel};
  auto isSame = [](ArrayRef<unsigned> list, ArrayRef<AxisList> target) {
    AxisList all = flatten(target);
    return list.size() == all.size() && contains(list, all);
  };
  if (!isSame(inQuery, queryTarget) || !isSame(inKey, keyTarget))
    return fail("queries and keys share more than sequences, heads and channels");
  if (!isSame(inValue, valueTarget) ||
      !isSame(flatten(axes.resolveAll(result.labels)), resultTarget))
    return fail("values are not indexed by the sequences, context and heads of the keys");
  return success();
}

LogicalResult AttentionMatch::match(const Softmax &softmax) {
  if (failed(matchScores(softmax)) || failed(matchValues(softmax)) || failed(assignRoles()))
    return failure();
  auto sizeOf = [&](ArrayRef<unsigned> list) {
    int64_t size = 1;
    for (unsigned axis : list) {
      if (ShapedType::isDynamic(axes.getSize(axis)))
        return ShapedType::kDynamic;
      size *= axes.getSize(axis);
    }
    return size;
  };
  int64_t heads = sizeOf(keyTarget[2]);
  if (ShapedType::isDynamic(heads) || ShapedType::isDynamic(sizeOf(queryTarget[2])))
    return fail("the number of heads is not known");
  if (sizeOf(queryTarget[3]) != sizeOf(valueTarget[3]))
    return fail("keys and values have different channels");
  query = choosePoint(query, queryTarget, true);
  key = choosePoint(key, keyTarget, true);
  value = choosePoint(value, valueTarget, false);
  scale *= query.scale * key.scale;
  // cap tanh(x / cap): what is below the tanh was divided by the cap.
  if (softCap)
    scale *= *softCap;
  if (!std::isfinite(scale))
    return fail("the scale is not finite");
  // Forward to where the result has the op's form, through what brings it there.
  SmallVector<AxisPoint> ahead{result};
  for (FailureOr<AxisPoint> next = axes.stepForward(result); succeeded(next);
       next = axes.stepForward(*next))
    ahead.push_back(*next);
  for (const AxisPoint &point : ahead)
    if (axes.resolveAll(point.labels) == resultTarget) {
      result = point;
      return success();
    }
  // Or else as far as nothing has to be transposed.
  for (const AxisPoint &point : llvm::reverse(ahead))
    if (flatten(axes.resolveAll(point.labels)) == flatten(resultTarget)) {
      result = point;
      return success();
    }
  return success();
}

LogicalResult AttentionMatch::replace() {
  Value old = result.value;
  OpBuilder builder(old.getDefiningOp());
  Location loc = old.getLoc();
  FailureOr<Value> q = axes.reorder(builder, loc, query, queryTarget),
                   k = axes.reorder(builder, loc, key, keyTarget),
                   v = axes.reorder(builder, loc, value, valueTarget);
  if (failed(q) || failed(k) || failed(v))
    return fail("an operand has a form that reshapes and transposes do not bring to the op's");
  auto attention = transformer::AttentionOp::create(
      builder, loc, q->getType(), *q, *k, *v, mask.getPositions(), mask.getLengths(), Value(),
      mask.getCausal(), APFloat(float(scale)), mask.getWindowAttr(),
      softCap ? builder.getF32FloatAttr(*softCap) : FloatAttr());
  AxisLabels wanted = axes.resolveAll(result.labels);
  FailureOr<Value> shaped =
      axes.reorder(builder, loc, {attention.getResult(), resultTarget}, wanted);
  if (failed(shaped)) {
    attention.erase();
    return fail("the result has a form that reshapes and transposes do not bring the op's to");
  }
  Value replacement = *shaped;
  if (replacement.getType() != old.getType())
    replacement = tensor::CastOp::create(builder, loc, old.getType(), replacement);
  old.replaceAllUsesWith(replacement);
  return success();
}
