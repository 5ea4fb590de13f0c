//===- TileElements.cpp - Elementwise ops of arith and math for the tile interpreter ----------===//
//
// Integers wrap at their width. Floats are computed in float and rounded to their type, which is
// the correctly rounded result of the narrower types too for +, -, *, / and the square root (float
// has more than twice their digits).
//
//===------------------------------------------------------------------------------------------===//

#include "TileBlock.h"
#include "ingot/Support/Codec.h"
#include "ingot/Support/Exp2.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "llvm/ADT/TypeSwitch.h"
#include <cmath>

using namespace mlir;
using namespace ingot;
using namespace ingot::reference;

using Numbers = ArrayRef<Number>;
using Maybe = std::optional<Number>;

static unsigned widthOf(Value value) {
  Type type = getElementTypeOrSelf(value.getType());
  return type.isIndex() ? 64 : type.getIntOrFloatBitWidth();
}

/// The canonical form of the lowest bits: sign-extended, i1 as 0 or 1.
static Number wrap(uint64_t value, unsigned bits) {
  return Number::of(bits == 1 ? int64_t(value & 1) : llvm::SignExtend64(value, bits));
}

static uint64_t toUnsigned(Number number, unsigned bits) {
  return number.integer & llvm::maskTrailingOnes<uint64_t>(bits);
}

static Number roundTo(Type element, float value) {
  if (element.isF16())
    return Number::of(halfToFloat(floatToHalf(value)));
  if (element.isBF16())
    return Number::of(bfloatToFloat(floatToBfloat(value)));
  return Number::of(value);
}

/// Whether the result is a float that the interpreter holds exactly.
static bool areFloatsKnown(Operation *op) {
  Type type = getElementTypeOrSelf(op->getResult(0).getType());
  return type.isF32() || type.isF16() || type.isBF16();
}

//===------------------------------------------------------------------------------------------===//
// Integers
//===------------------------------------------------------------------------------------------===//

/// `compute(a, b, bits)` of zero-extended operands.
template <typename F> static ElementFunction unsignedOp(Operation *op, F compute) {
  unsigned bits = widthOf(op->getResult(0));
  return [=](Numbers x) -> Maybe {
    std::optional<uint64_t> result = compute(toUnsigned(x[0], bits), toUnsigned(x[1], bits), bits);
    return result ? Maybe(wrap(*result, bits)) : std::nullopt;
  };
}

/// The same of sign-extended operands (i1: 0 and -1).
template <typename F> static ElementFunction signedOp(Operation *op, F compute) {
  unsigned bits = widthOf(op->getResult(0));
  return [=](Numbers x) -> Maybe {
    int64_t a = llvm::SignExtend64(x[0].integer, bits), b = llvm::SignExtend64(x[1].integer, bits);
    std::optional<int64_t> result = compute(a, b, bits);
    return result ? Maybe(wrap(*result, bits)) : std::nullopt;
  };
}

static ElementFunction getIntegerFunction(Operation *op) {
  using U = std::optional<uint64_t>;
  using S = std::optional<int64_t>;
  return llvm::TypeSwitch<Operation *, ElementFunction>(op)
      .Case([&](arith::AddIOp) {
        return unsignedOp(op, [](uint64_t a, uint64_t b, unsigned) -> U { return a + b; });
      })
      .Case([&](arith::SubIOp) {
        return unsignedOp(op, [](uint64_t a, uint64_t b, unsigned) -> U { return a - b; });
      })
      .Case([&](arith::MulIOp) {
        return unsignedOp(op, [](uint64_t a, uint64_t b, unsigned) -> U { return a * b; });
      })
      .Case([&](arith::AndIOp) {
        return unsignedOp(op, [](uint64_t a, uint64_t b, unsigned) -> U { return a & b; });
      })
      .Case([&](arith::OrIOp) {
        return unsignedOp(op, [](uint64_t a, uint64_t b, unsigned) -> U { return a | b; });
      })
      .Case([&](arith::XOrIOp) {
        return unsignedOp(op, [](uint64_t a, uint64_t b, unsigned) -> U { return a ^ b; });
      })
      .Case([&](arith::MinUIOp) {
        return unsignedOp(op, [](uint64_t a, uint64_t b, unsigned) -> U { return std::min(a, b); });
      })
      .Case([&](arith::MaxUIOp) {
        return unsignedOp(op, [](uint64_t a, uint64_t b, unsigned) -> U { return std::max(a, b); });
      })
      .Case([&](arith::DivUIOp) {
        return unsignedOp(
            op, [](uint64_t a, uint64_t b, unsigned) -> U { return b ? U(a / b) : std::nullopt; });
      })
      .Case([&](arith::RemUIOp) {
        return unsignedOp(
            op, [](uint64_t a, uint64_t b, unsigned) -> U { return b ? U(a % b) : std::nullopt; });
      })
      .Case([&](arith::ShLIOp) {
        return unsignedOp(op, [](uint64_t a, uint64_t b, unsigned bits) -> U {
          return b < bits ? U(a << b) : std::nullopt;
        });
      })
      .Case([&](arith::ShRUIOp) {
        return unsignedOp(op, [](uint64_t a, uint64_t b, unsigned bits) -> U {
          return b < bits ? U(a >> b) : std::nullopt;
        });
      })
      .Case([&](arith::ShRSIOp) {
        return signedOp(op, [](int64_t a, int64_t b, unsigned bits) -> S {
          return b >= 0 && b < bits ? S(a >> b) : std::nullopt;
        });
      })
      .Case([&](arith::MinSIOp) {
        return signedOp(op, [](int64_t a, int64_t b, unsigned) -> S { return std::min(a, b); });
      })
      .Case([&](arith::MaxSIOp) {
        return signedOp(op, [](int64_t a, int64_t b, unsigned) -> S { return std::max(a, b); });
      })
      .Case([&](arith::DivSIOp) {
        return signedOp(op, [](int64_t a, int64_t b, unsigned bits) -> S {
          return b && (b != -1 || a != llvm::minIntN(bits)) ? S(a / b) : std::nullopt;
        });
      })
      .Case([&](arith::RemSIOp) {
        return signedOp(op, [](int64_t a, int64_t b, unsigned bits) -> S {
          return b && (b != -1 || a != llvm::minIntN(bits)) ? S(a % b) : std::nullopt;
        });
      })
      .Default(ElementFunction());
}

//===------------------------------------------------------------------------------------------===//
// Floats
//===------------------------------------------------------------------------------------------===//

template <typename F> static ElementFunction floatOp(Operation *op, F compute) {
  Type element = getElementTypeOrSelf(op->getResult(0).getType());
  return [=](Numbers x) -> Maybe { return roundTo(element, compute(x)); };
}

/// maximum (minimum): a NaN wins, and +0 is above -0.
static float takeExtreme(float a, float b, bool isMaximum) {
  if (std::isnan(a) || std::isnan(b))
    return std::isnan(a) ? a : b;
  if (a == b)
    return std::signbit(a) == isMaximum ? b : a;
  return (a > b) == isMaximum ? a : b;
}

static ElementFunction getFloatFunction(Operation *op) {
  return llvm::TypeSwitch<Operation *, ElementFunction>(op)
      .Case([&](arith::AddFOp) {
        return floatOp(op, [](Numbers x) { return x[0].real + x[1].real; });
      })
      .Case([&](arith::SubFOp) {
        return floatOp(op, [](Numbers x) { return x[0].real - x[1].real; });
      })
      .Case([&](arith::MulFOp) {
        return floatOp(op, [](Numbers x) { return x[0].real * x[1].real; });
      })
      .Case([&](arith::DivFOp) {
        return floatOp(op, [](Numbers x) { return x[0].real / x[1].real; });
      })
      .Case([&](arith::NegFOp) { return floatOp(op, [](Numbers x) { return -x[0].real; }); })
      .Case([&](arith::MaximumFOp) {
        return floatOp(op, [](Numbers x) { return takeExtreme(x[0].real, x[1].real, true); });
      })
      .Case([&](arith::MinimumFOp) {
        return floatOp(op, [](Numbers x) { return takeExtreme(x[0].real, x[1].real, false); });
      })
      .Case([&](math::FmaOp) {
        return floatOp(op, [](Numbers x) { return std::fma(x[0].real, x[1].real, x[2].real); });
      })
      .Case([&](math::Exp2Op) {
        return floatOp(op, [](Numbers x) { return Exp2::compute(x[0].real); });
      })
      .Case(
          [&](math::SqrtOp) { return floatOp(op, [](Numbers x) { return std::sqrt(x[0].real); }); })
      .Case(
          [&](math::AbsFOp) { return floatOp(op, [](Numbers x) { return std::fabs(x[0].real); }); })
      .Case([&](math::FloorOp) {
        return floatOp(op, [](Numbers x) { return std::floor(x[0].real); });
      })
      .Case(
          [&](math::CeilOp) { return floatOp(op, [](Numbers x) { return std::ceil(x[0].real); }); })
      .Case([&](math::TruncOp) {
        return floatOp(op, [](Numbers x) { return std::trunc(x[0].real); });
      })
      .Case([&](math::RoundEvenOp) {
        // The rounding mode is never changed, so this rounds to even.
        return floatOp(op, [](Numbers x) { return std::nearbyint(x[0].real); });
      })
      .Case([&](math::CopySignOp) {
        return floatOp(op, [](Numbers x) { return std::copysign(x[0].real, x[1].real); });
      })
      .Default(ElementFunction());
}

//===------------------------------------------------------------------------------------------===//
// Casts and choices
//===------------------------------------------------------------------------------------------===//

/// Towards zero; nothing where the integer type does not hold it.
static ElementFunction floatToInteger(Operation *op, bool isSigned) {
  unsigned bits = widthOf(op->getResult(0));
  return [=](Numbers x) -> Maybe {
    double value = std::trunc(double(x[0].real));
    double limit = std::ldexp(1.0, isSigned ? bits - 1 : bits);
    if (!(value < limit && value >= (isSigned ? -limit : 0.0)))
      return std::nullopt;
    return isSigned ? wrap(int64_t(value), bits) : wrap(uint64_t(value), bits);
  };
}

static ElementFunction bitcast(Operation *op) {
  Type from = getElementTypeOrSelf(op->getOperand(0).getType()),
       to = getElementTypeOrSelf(op->getResult(0).getType());
  if (from.isF32() && to.isInteger(32))
    return [](Numbers x) -> Maybe { return wrap(llvm::bit_cast<uint32_t>(x[0].real), 32); };
  if (from.isInteger(32) && to.isF32())
    return [](Numbers x) -> Maybe {
      return Number::of(llvm::bit_cast<float>(uint32_t(x[0].integer)));
    };
  return {};
}

static ElementFunction getCastFunction(Operation *op) {
  unsigned from = widthOf(op->getOperand(0)), to = widthOf(op->getResult(0));
  auto extend = [=](bool isSigned) -> ElementFunction {
    return [=](Numbers x) -> Maybe {
      return wrap(
          isSigned ? uint64_t(llvm::SignExtend64(x[0].integer, from)) : toUnsigned(x[0], from), to);
    };
  };
  return llvm::TypeSwitch<Operation *, ElementFunction>(op)
      .Case<arith::ExtSIOp, arith::IndexCastOp, arith::TruncIOp>([&](auto) { return extend(true); })
      .Case<arith::ExtUIOp, arith::IndexCastUIOp>([&](auto) { return extend(false); })
      .Case<arith::ExtFOp, arith::TruncFOp>(
          [&](auto) { return floatOp(op, [](Numbers x) { return x[0].real; }); })
      .Case([&](arith::SIToFPOp) {
        return floatOp(op,
                       [=](Numbers x) { return float(llvm::SignExtend64(x[0].integer, from)); });
      })
      .Case([&](arith::UIToFPOp) {
        return floatOp(op, [=](Numbers x) { return float(toUnsigned(x[0], from)); });
      })
      .Case([&](arith::FPToSIOp) { return floatToInteger(op, true); })
      .Case([&](arith::FPToUIOp) { return floatToInteger(op, false); })
      .Case([&](arith::BitcastOp) { return bitcast(op); })
      .Default(ElementFunction());
}

static ElementFunction getChoiceFunction(Operation *op) {
  if (isa<arith::SelectOp>(op))
    return [](Numbers x) -> Maybe { return x[0].integer ? x[1] : x[2]; };
  if (auto compare = dyn_cast<arith::CmpIOp>(op))
    return [predicate = compare.getPredicate(), bits = widthOf(compare.getLhs())](Numbers x) {
      return Maybe(Number::of(
          int64_t(arith::applyCmpPredicate(predicate, llvm::APInt(bits, toUnsigned(x[0], bits)),
                                           llvm::APInt(bits, toUnsigned(x[1], bits))))));
    };
  if (auto compare = dyn_cast<arith::CmpFOp>(op))
    return [predicate = compare.getPredicate()](Numbers x) {
      return Maybe(Number::of(int64_t(arith::applyCmpPredicate(predicate, llvm::APFloat(x[0].real),
                                                               llvm::APFloat(x[1].real)))));
    };
  return {};
}

ElementFunction reference::getElementFunction(Operation *op) {
  if (op->getNumResults() != 1 || op->getNumRegions() != 0)
    return {};
  if (ElementFunction function = getChoiceFunction(op))
    return function;
  Type result = getElementTypeOrSelf(op->getResult(0).getType());
  if (isa<FloatType>(result) && !areFloatsKnown(op))
    return {};
  if (isa<CastOpInterface>(op))
    return getCastFunction(op);
  return isa<FloatType>(result) ? getFloatFunction(op) : getIntegerFunction(op);
}
