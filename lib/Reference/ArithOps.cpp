//===- ArithOps.cpp - Meaning of arith and math on scalars and tensors ------------------------===//
//
// An elementwise op is a function of numbers; on tensors it is applied element by element. Floats
// are computed in double and rounded to f32 once, which for + - * / and sqrt is f32 arithmetic.
// Integers wrap at the width of the result.
//
//===------------------------------------------------------------------------------------------===//

#include "Frame.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "llvm/ADT/TypeSwitch.h"
#include <cmath>

using namespace mlir;
using namespace ingot;
using namespace ingot::reference;

static ScalarFunction ofFloat(double (*function)(double)) {
  return [=](ArrayRef<Scalar> x) { return Scalar::ofFloat(float(function(x[0].number))); };
}

static ScalarFunction ofFloats(double (*function)(double, double)) {
  return [=](ArrayRef<Scalar> x) {
    return Scalar::ofFloat(float(function(x[0].number, x[1].number)));
  };
}

/// An integer cut to the width of `type`; i1 is 0 or 1, wider ones are signed.
static int64_t wrap(uint64_t value, Type type) {
  unsigned width = type.isIndex() ? 64 : type.getIntOrFloatBitWidth();
  if (width == 1)
    return value & 1;
  return int64_t(value << (64 - width)) >> (64 - width);
}

static ScalarFunction ofIntegers(Operation *op, uint64_t (*function)(uint64_t, uint64_t)) {
  Type type = getElementTypeOrSelf(op->getResult(0).getType());
  return [=](ArrayRef<Scalar> x) {
    return Scalar::ofInteger(wrap(function(x[0].integer, x[1].integer), type));
  };
}

static Scalar selectElement(ArrayRef<Scalar> x) { return x[0].integer ? x[1] : x[2]; }

static ScalarFunction compareIntegers(arith::CmpIOp op) {
  auto predicate = op.getPredicate();
  unsigned width = op.getLhs().getType().isIndex()
                       ? 64
                       : getElementTypeOrSelf(op.getLhs().getType()).getIntOrFloatBitWidth();
  return [=](ArrayRef<Scalar> x) {
    llvm::APInt a(width, x[0].integer, /*isSigned=*/true, /*implicitTrunc=*/true);
    llvm::APInt b(width, x[1].integer, /*isSigned=*/true, /*implicitTrunc=*/true);
    return Scalar::ofInteger(arith::applyCmpPredicate(predicate, a, b));
  };
}

static ScalarFunction compareFloats(arith::CmpFOp op) {
  auto predicate = op.getPredicate();
  return [=](ArrayRef<Scalar> x) {
    return Scalar::ofInteger(arith::applyCmpPredicate(predicate, llvm::APFloat(x[0].number),
                                                      llvm::APFloat(x[1].number)));
  };
}

static double maximum(double a, double b) {
  return std::isnan(a) || std::isnan(b) ? NAN : std::fmax(a, b);
}
static double minimum(double a, double b) {
  return std::isnan(a) || std::isnan(b) ? NAN : std::fmin(a, b);
}

static ScalarFunction findArith(Operation *op) {
  return llvm::TypeSwitch<Operation *, ScalarFunction>(op)
      .Case<arith::AddFOp>([](auto) { return ofFloats([](double a, double b) { return a + b; }); })
      .Case<arith::SubFOp>([](auto) { return ofFloats([](double a, double b) { return a - b; }); })
      .Case<arith::MulFOp>([](auto) { return ofFloats([](double a, double b) { return a * b; }); })
      .Case<arith::DivFOp>([](auto) { return ofFloats([](double a, double b) { return a / b; }); })
      .Case<arith::NegFOp>([](auto) { return ofFloat([](double a) { return -a; }); })
      .Case<arith::MaximumFOp>([](auto) { return ofFloats(maximum); })
      .Case<arith::MinimumFOp>([](auto) { return ofFloats(minimum); })
      .Case<arith::MaxNumFOp>([](auto) { return ofFloats(std::fmax); })
      .Case<arith::MinNumFOp>([](auto) { return ofFloats(std::fmin); })
      .Case<arith::CmpFOp>([](arith::CmpFOp cmp) { return compareFloats(cmp); })
      .Case<arith::CmpIOp>([](arith::CmpIOp cmp) { return compareIntegers(cmp); })
      .Case<arith::SelectOp>([](auto) { return ScalarFunction(selectElement); })
      .Case<arith::AddIOp>(
          [&](auto) { return ofIntegers(op, [](uint64_t a, uint64_t b) { return a + b; }); })
      .Case<arith::SubIOp>(
          [&](auto) { return ofIntegers(op, [](uint64_t a, uint64_t b) { return a - b; }); })
      .Case<arith::MulIOp>(
          [&](auto) { return ofIntegers(op, [](uint64_t a, uint64_t b) { return a * b; }); })
      .Case<arith::AndIOp>(
          [&](auto) { return ofIntegers(op, [](uint64_t a, uint64_t b) { return a & b; }); })
      .Case<arith::OrIOp>(
          [&](auto) { return ofIntegers(op, [](uint64_t a, uint64_t b) { return a | b; }); })
      .Case<arith::XOrIOp>(
          [&](auto) { return ofIntegers(op, [](uint64_t a, uint64_t b) { return a ^ b; }); })
      .Case<arith::ExtSIOp>([&](auto) -> ScalarFunction {
        // The one value of i1 that is not its own sign extension.
        bool isBool = getElementTypeOrSelf(op->getOperand(0).getType()).isInteger(1);
        return [=](ArrayRef<Scalar> x) {
          return Scalar::ofInteger(isBool ? -x[0].integer : x[0].integer);
        };
      })
      .Case<arith::ExtUIOp, arith::TruncIOp, arith::IndexCastOp>([&](auto) -> ScalarFunction {
        Type from = getElementTypeOrSelf(op->getOperand(0).getType());
        Type to = getElementTypeOrSelf(op->getResult(0).getType());
        uint64_t mask = isa<arith::ExtUIOp>(op) ? (uint64_t(1) << from.getIntOrFloatBitWidth()) - 1
                                                : ~uint64_t(0);
        return [=](ArrayRef<Scalar> x) {
          return Scalar::ofInteger(wrap(uint64_t(x[0].integer) & mask, to));
        };
      })
      .Case<arith::SIToFPOp>([](auto) -> ScalarFunction {
        return [](ArrayRef<Scalar> x) { return Scalar::ofFloat(float(x[0].integer)); };
      })
      .Default(ScalarFunction());
}

static ScalarFunction findMath(Operation *op) {
  return llvm::TypeSwitch<Operation *, ScalarFunction>(op)
      .Case<math::ExpOp>([](auto) { return ofFloat(std::exp); })
      .Case<math::Exp2Op>([](auto) { return ofFloat(std::exp2); })
      .Case<math::LogOp>([](auto) { return ofFloat(std::log); })
      .Case<math::SqrtOp>([](auto) { return ofFloat(std::sqrt); })
      .Case<math::RsqrtOp>([](auto) { return ofFloat([](double a) { return 1 / std::sqrt(a); }); })
      .Case<math::TanhOp>([](auto) { return ofFloat(std::tanh); })
      .Case<math::ErfOp>([](auto) { return ofFloat(std::erf); })
      .Case<math::AbsFOp>([](auto) { return ofFloat(std::fabs); })
      .Case<math::SinOp>([](auto) { return ofFloat(std::sin); })
      .Case<math::CosOp>([](auto) { return ofFloat(std::cos); })
      .Case<math::PowFOp>([](auto) { return ofFloats(std::pow); })
      .Case<math::FmaOp>([](auto) -> ScalarFunction {
        return [](ArrayRef<Scalar> x) {
          return Scalar::ofFloat(
              std::fma(float(x[0].number), float(x[1].number), float(x[2].number)));
        };
      })
      .Default(ScalarFunction());
}

ScalarFunction reference::findScalarFunction(Operation *op) {
  for (Type type : llvm::concat<const Type>(op->getOperandTypes(), op->getResultTypes()))
    if (!Tensor::canHold(getElementTypeOrSelf(type)))
      return {};
  ScalarFunction function = findArith(op);
  return function ? function : findMath(op);
}

/// The operand's element for linear index `index` of the result: a scalar is every element.
static Scalar elementOf(const Datum &operand, int64_t index) {
  if (auto *scalar = std::get_if<Scalar>(&operand))
    return *scalar;
  return std::get<Tensor>(operand).at(index);
}

static LogicalResult elementwise(Operation *op, Frame &frame) {
  ScalarFunction function = findScalarFunction(op);
  if (!function || op->getNumResults() != 1)
    return op->emitOpError("has no reference semantics");
  SmallVector<const Datum *> operands;
  const Tensor *shaped = nullptr;
  for (mlir::Value operand : op->getOperands()) {
    operands.push_back(&frame.get(operand));
    if (auto *tensor = std::get_if<Tensor>(operands.back())) {
      if (shaped && shaped->shape() != tensor->shape())
        return op->emitOpError("has operands of shapes [")
               << shaped->shape() << "] and [" << tensor->shape() << "]";
      shaped = tensor;
    }
  }
  auto compute = [&](int64_t index) {
    SmallVector<Scalar, 3> elements;
    for (const Datum *operand : operands)
      elements.push_back(elementOf(*operand, index));
    return function(elements);
  };
  Type type = op->getResult(0).getType();
  frame.set(op->getResult(0),
            shaped ? Datum(Tensor::generate(shaped->shape(), getElementTypeOrSelf(type), compute))
                   : Datum(compute(0)));
  return success();
}

static Scalar scalarOf(Attribute attribute) {
  if (auto number = dyn_cast<FloatAttr>(attribute))
    return Scalar::ofFloat(number.getValueAsDouble());
  auto integer = cast<IntegerAttr>(attribute);
  return Scalar::ofInteger(integer.getType().isInteger(1) ? integer.getValue().getZExtValue()
                                                          : integer.getValue().getSExtValue());
}

static LogicalResult constant(arith::ConstantOp op, Frame &frame) {
  auto element = getElementTypeOrSelf(op.getType());
  auto elements = dyn_cast<DenseElementsAttr>(op.getValue());
  if (!Tensor::canHold(element) || !(elements || isa<FloatAttr, IntegerAttr>(op.getValue())))
    return op.emitOpError("has no reference semantics for type ") << op.getType();
  if (!elements) {
    frame.set(op, scalarOf(op.getValue()));
    return success();
  }
  auto values = elements.getValues<Attribute>();
  frame.set(op, Tensor::generate(elements.getType().getShape(), element,
                                 [&](int64_t index) { return scalarOf(values[index]); }));
  return success();
}

void reference::addArithOps(Context &context) {
  context.addDialect("arith", elementwise);
  context.addDialect("math", elementwise);
  context.add(constant);
}
