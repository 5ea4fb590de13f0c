//===- LinalgOps.cpp - Meaning of structured ops ----------------------------------------------===//
//
// Every structured op, named or generic, says its meaning itself: indexing maps and a body on
// scalars. So one walk over the iteration space serves all of them. Two bodies are recognised so
// that attention over a long prompt stays affordable: a product added to a sum, which is summed in
// double and rounded once, and a body that only moves an element.
//
//===------------------------------------------------------------------------------------------===//

#include "Frame.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include <cmath>
#include <limits>

using namespace mlir;
using namespace ingot;
using namespace ingot::reference;

namespace {

/// The iteration space of a structured op: sizes of the loops, and for each operand by how many
/// elements a step of each loop moves in it.
struct Space {
  Shape sizes;
  SmallVector<Shape> strides;

  int64_t offset(unsigned operand, ArrayRef<int64_t> point) const {
    int64_t result = 0;
    for (auto [index, stride] : llvm::zip_equal(point, strides[operand]))
      result += index * stride;
    return result;
  }
  /// Moves to the next point in lexicographic order of the loops in [first, last); false after the
  /// last one.
  bool advance(SmallVectorImpl<int64_t> &point, size_t first, size_t last) const {
    for (size_t loop = last; loop-- > first;) {
      if (++point[loop] < sizes[loop])
        return true;
      point[loop] = 0;
    }
    return false;
  }
  int64_t count() const { return countElements(sizes); }
};

} // namespace

static FailureOr<Space> findSpace(linalg::LinalgOp op, Frame &frame) {
  Space space;
  space.sizes.assign(op.getNumLoops(), -1);
  for (OpOperand &operand : op->getOpOperands()) {
    AffineMap map = op.getMatchingIndexingMap(&operand);
    auto &strides = space.strides.emplace_back(op.getNumLoops(), 0);
    auto *tensor = std::get_if<Tensor>(&frame.get(operand.get()));
    int64_t stride = 1;
    for (int64_t i = map.getNumResults(); i-- > 0;) {
      auto loop = dyn_cast<AffineDimExpr>(map.getResult(i));
      if (!loop || !tensor)
        return op->emitOpError("has no reference semantics for indexing map ")
               << AffineMapAttr::get(map);
      int64_t &size = space.sizes[loop.getPosition()];
      if (size >= 0 && size != tensor->dim(i))
        return op->emitOpError("has operands of sizes ")
               << size << " and " << tensor->dim(i) << " for loop " << loop.getPosition();
      size = tensor->dim(i);
      strides[loop.getPosition()] += stride;
      stride *= size;
    }
  }
  return space;
}

/// Whether the body is out + a * b on floats.
static bool isProductSum(Block &body) {
  if (body.getNumArguments() != 3 || body.getOperations().size() != 3)
    return false;
  auto product = dyn_cast<arith::MulFOp>(body.front());
  auto sum = dyn_cast<arith::AddFOp>(body.front().getNextNode());
  auto isPair = [](auto op, mlir::Value a, mlir::Value b) {
    return (op.getLhs() == a && op.getRhs() == b) || (op.getLhs() == b && op.getRhs() == a);
  };
  return product && sum && product.getType().isF32() &&
         isPair(product, body.getArgument(0), body.getArgument(1)) &&
         isPair(sum, body.getArgument(2), product) &&
         body.getTerminator()->getOperand(0) == sum.getResult();
}

static void runProductSum(linalg::LinalgOp op, const Space &space, Frame &frame) {
  auto a = frame.tensor(op->getOperand(0)), b = frame.tensor(op->getOperand(1)),
       init = frame.tensor(op->getOperand(2));
  // Loops of the result first, then those that are summed.
  Space ordered = space;
  SmallVector<unsigned> order;
  for (bool isSummed : {false, true})
    for (unsigned loop = 0; loop < space.sizes.size(); ++loop)
      if ((space.strides[2][loop] == 0) == isSummed)
        order.push_back(loop);
  size_t summedFrom = llvm::count_if(space.strides[2], [](int64_t stride) { return stride != 0; });
  for (auto [to, from] : llvm::enumerate(order)) {
    ordered.sizes[to] = space.sizes[from];
    for (unsigned operand = 0; operand < 3; ++operand)
      ordered.strides[operand][to] = space.strides[operand][from];
  }
  std::vector<float> result(init.floats());
  int64_t points = countElements(ArrayRef(ordered.sizes).take_front(summedFrom));
  int64_t terms = countElements(ArrayRef(ordered.sizes).drop_front(summedFrom));
  frame.context.parallelFor(points, /*grain=*/4096, [&](int64_t begin, int64_t end) {
    SmallVector<int64_t> point(ordered.sizes.size());
    for (int64_t index = begin; index < end; ++index) {
      for (int64_t loop = summedFrom, rest = index; loop-- > 0; rest /= ordered.sizes[loop])
        point[loop] = rest % ordered.sizes[loop];
      std::fill(point.begin() + summedFrom, point.end(), 0);
      float &target = result[ordered.offset(2, point)];
      double sum = target;
      for (int64_t term = 0; term < terms; ++term) {
        sum += double(a.floats()[ordered.offset(0, point)]) * b.floats()[ordered.offset(1, point)];
        ordered.advance(point, summedFrom, point.size());
      }
      target = float(sum);
    }
  });
  frame.set(op->getResult(0), Tensor(init.shape(), std::move(result)));
}

/// The body as a list of functions on numbered scalars: block arguments first, then results.
struct BodyProgram {
  struct Step {
    ScalarFunction function; ///< none: `linalg.index` of `loop`
    int64_t loop;
    SmallVector<unsigned> operands;
  };
  std::vector<Scalar> values; ///< initially the values from outside
  std::vector<Step> steps;
  SmallVector<unsigned> results;
};

static FailureOr<BodyProgram> compileBody(Block &body, Frame &frame) {
  BodyProgram program;
  llvm::DenseMap<mlir::Value, unsigned> numbers;
  auto number = [&](mlir::Value value) {
    auto [entry, isNew] = numbers.try_emplace(value, program.values.size());
    if (isNew) {
      bool isOutside = value.getParentBlock() != &body;
      program.values.push_back(isOutside ? std::get<Scalar>(frame.get(value)) : Scalar());
    }
    return entry->second;
  };
  for (mlir::Value argument : body.getArguments())
    number(argument);
  for (Operation &op : body.without_terminator()) {
    BodyProgram::Step step;
    if (auto index = dyn_cast<linalg::IndexOp>(op))
      step.loop = index.getDim();
    else if (auto constant = dyn_cast<arith::ConstantOp>(op)) {
      auto value = constant.getValue();
      auto scalar = isa<FloatAttr>(value)
                        ? Scalar::ofFloat(cast<FloatAttr>(value).getValueAsDouble())
                        : Scalar::ofInteger(cast<IntegerAttr>(value).getValue().getSExtValue());
      step.function = [=](ArrayRef<Scalar>) { return scalar; };
    } else if (!(step.function = findScalarFunction(&op)))
      return op.emitOpError("has no reference semantics in a structured op");
    for (mlir::Value operand : op.getOperands())
      step.operands.push_back(number(operand));
    number(op.getResult(0));
    step.operands.push_back(number(op.getResult(0)));
    program.steps.push_back(std::move(step));
  }
  for (mlir::Value operand : body.getTerminator()->getOperands())
    program.results.push_back(number(operand));
  return program;
}

/// Computes the results of one point; `program.values` holds the block's arguments.
static void runBody(BodyProgram &program, ArrayRef<int64_t> point) {
  SmallVector<Scalar, 3> operands;
  for (auto &step : program.steps) {
    operands.clear();
    for (unsigned operand : ArrayRef(step.operands).drop_back())
      operands.push_back(program.values[operand]);
    program.values[step.operands.back()] =
        step.function ? step.function(operands) : Scalar::ofInteger(point[step.loop]);
  }
}

static LogicalResult structured(linalg::LinalgOp op, Frame &frame) {
  auto space = findSpace(op, frame);
  if (failed(space))
    return failure();
  Block &body = *op.getBlock();
  if (isProductSum(body) && op->getNumOperands() == 3) {
    runProductSum(op, *space, frame);
    return success();
  }
  auto program = compileBody(body, frame);
  if (failed(program))
    return failure();
  SmallVector<const Datum *> operands;
  for (mlir::Value operand : op->getOperands())
    operands.push_back(&frame.get(operand));
  unsigned inputs = op.getNumDpsInputs();
  std::vector<std::vector<Scalar>> results;
  for (const Datum *init : ArrayRef(operands).drop_front(inputs)) {
    auto &tensor = std::get<Tensor>(*init);
    auto &result = results.emplace_back(tensor.size());
    for (int64_t i = 0; i < tensor.size(); ++i)
      result[i] = tensor.at(i);
  }
  SmallVector<int64_t> point(space->sizes.size(), 0);
  for (bool more = space->count() > 0; more; more = space->advance(point, 0, point.size())) {
    for (unsigned i = 0; i < operands.size(); ++i) {
      auto *scalar = std::get_if<Scalar>(operands[i]);
      int64_t offset = space->offset(i, point);
      program->values[i] = scalar       ? *scalar
                           : i < inputs ? std::get<Tensor>(*operands[i]).at(offset)
                                        : results[i - inputs][offset];
    }
    runBody(*program, point);
    for (auto [i, result] : llvm::enumerate(program->results))
      results[i][space->offset(inputs + i, point)] = program->values[result];
  }
  for (auto [i, elements] : llvm::enumerate(results))
    frame.set(op->getResult(i), Tensor::generate(std::get<Tensor>(*operands[inputs + i]).shape(),
                                                 getElementTypeOrSelf(op->getResult(i).getType()),
                                                 [&](int64_t index) { return elements[index]; }));
  return success();
}

/// Softmax along a dimension: exp(x - max) / sum of exp(x - max), NaN where all are -inf.
static LogicalResult softmax(linalg::SoftmaxOp op, Frame &frame) {
  auto input = frame.tensor(op.getInput());
  int64_t dim = op.getDimension(), count = input.dim(dim);
  int64_t inner = countElements(input.shape().drop_front(dim + 1));
  std::vector<float> result(input.size());
  frame.context.parallelFor(
      count ? input.size() / count : 0, /*grain=*/64, [&](int64_t begin, int64_t end) {
        std::vector<double> numbers(count);
        for (int64_t row = begin; row < end; ++row) {
          int64_t first = row / inner * inner * count + row % inner;
          double largest = -std::numeric_limits<double>::infinity(), total = 0;
          for (int64_t i = 0; i < count; ++i)
            largest = std::fmax(largest, input.floats()[first + i * inner]);
          for (int64_t i = 0; i < count; ++i)
            total += numbers[i] = std::exp(input.floats()[first + i * inner] - largest);
          for (int64_t i = 0; i < count; ++i)
            result[first + i * inner] = numbers[i] / total;
        }
      });
  frame.set(op->getResult(0), Tensor(input.shape(), std::move(result)));
  return success();
}

void reference::addLinalgOps(Context &context) {
  context.addDialect("linalg", [](Operation *op, Frame &frame) -> LogicalResult {
    auto structuredOp = dyn_cast<linalg::LinalgOp>(op);
    if (!structuredOp || !structuredOp.hasPureTensorSemantics())
      return op->emitOpError("has no reference semantics");
    for (Type type : op->getOperandTypes())
      if (!Tensor::canHold(getElementTypeOrSelf(type)))
        return op->emitOpError("has no reference semantics for type ") << type;
    return structured(structuredOp, frame);
  });
  context.add(softmax);
}
