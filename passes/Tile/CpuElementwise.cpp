//===- CpuElementwise.cpp - Elementwise ops on tiles on a CPU -------------------------------------------===//
//
// An op of arith or math on tiles is the same op on each vector. Casts between widths are not:
// elements of another width are packed differently, so they are moved within their lane. 2^x is a
// polynomial; functions that LLVM would call a library for are refused.
//
//===----------------------------------------------------------------------------------------------===//

#include "ingot/Support/Exp2.h"
#include "passes/Tile/CpuEmitter.h"

using namespace mlir;
using namespace ingot::tile;

LogicalResult CpuEmitter::emitElementwise(Operation &op) {
  if (auto constant = dyn_cast<arith::ConstantOp>(op))
    return emitConstant(constant);
  if (op.getNumResults() != 1 || op.getNumRegions() != 0 || !isTile(op.getResult(0).getType()))
    return op.emitOpError("cannot be lowered to a CPU");
  if (isa<CastOpInterface>(op))
    return emitCast(op);
  if (isa<math::Exp2Op>(op)) {
    if (!getPhysical(op.getResult(0).getType()).type.getElementType().isF32())
      return op.emitOpError("expected tiles of f32 on a CPU");
    Values results;
    for (Value x : get(op.getOperand(0)))
      results.push_back(emitExp2(x));
    set(op.getResult(0), results);
    return success();
  }
  if (isa<math::MathDialect>(op.getDialect()) &&
      !isa<math::AbsFOp, math::AbsIOp, math::FmaOp, math::SqrtOp, math::RsqrtOp, math::FloorOp,
           math::CeilOp, math::TruncOp, math::RoundEvenOp, math::CopySignOp>(op))
    return op.emitOpError("has no instruction on a CPU; write it with math.exp2 and arithmetic");
  const PhysicalTile &tile = getPhysical(op.getResult(0).getType());
  for (Value operand : op.getOperands())
    if (isTile(operand.getType()) && getPhysical(operand.getType()).pack != tile.pack)
      return op.emitOpError("expected tiles whose elements are not packed, as those of 32 bits");
  Values results;
  for (int64_t i = 0; i < tile.getVectorCount(); ++i) {
    OperationState state(loc, op.getName());
    for (Value operand : op.getOperands()) {
      const Values &emitted = get(operand);
      state.operands.push_back(isTile(operand.getType()) ? emitted[i] : emitted.front());
    }
    state.addTypes(tile.getVectorType());
    state.addAttributes(op.getAttrs());
    results.push_back(b.create(state)->getResult(0));
  }
  set(op.getResult(0), results);
  return success();
}

LogicalResult CpuEmitter::emitConstant(arith::ConstantOp op) {
  auto elements = dyn_cast<DenseElementsAttr>(op.getValue());
  if (!elements)
    return op.emitOpError("expected a dense constant on a CPU");
  const PhysicalTile &tile = getPhysical(op.getType());
  Values vectors;
  SmallVector<Attribute> all;
  if (!elements.isSplat())
    all.assign(elements.getValues<Attribute>().begin(), elements.getValues<Attribute>().end());
  for (int64_t vector = 0; vector < tile.getVectorCount(); ++vector) {
    if (elements.isSplat() && vector > 0) {
      vectors.push_back(vectors.front());
      continue;
    }
    SmallVector<Attribute> numbers;
    for (int64_t position = 0; !elements.isSplat() && position < tile.getVectorSize(); ++position) {
      int64_t index = 0;
      for (auto [coordinate, size] :
           llvm::zip_equal(tile.getCoordinates(vector, position), tile.type.getShape()))
        index = index * size + coordinate;
      numbers.push_back(all[index]);
    }
    if (elements.isSplat())
      numbers.push_back(elements.getSplatValue<Attribute>());
    vectors.push_back(
        arith::ConstantOp::create(b, loc, DenseElementsAttr::get(tile.getVectorType(), numbers)));
  }
  set(op, vectors);
  return success();
}

//===----------------------------------------------------------------------------------------------===//
// Casts
//===----------------------------------------------------------------------------------------------===//

Values CpuEmitter::unpack(const PhysicalTile &tile, ValueRange vectors, bool isSigned,
                          Type element) {
  auto lanesOf = [&](Type type) { return VectorType::get(tile.lanes, type); };
  Type i32 = b.getI32Type();
  unsigned bits = tile.type.getElementTypeBitWidth();
  Values result;
  for (Value vector : vectors) {
    if (isa<IntegerType>(element) && tile.pack * bits == 32) {
      // All elements of a lane are in one 32-bit number: shift them down.
      Value packed = vector::BitCastOp::create(b, loc, lanesOf(i32), vector);
      for (int64_t j = 0; j < tile.pack; ++j) {
        Value top = packed;
        if (j + 1 < tile.pack)
          top =
              arith::ShLIOp::create(b, loc, packed, makeInteger(lanesOf(i32), 32 - bits * (j + 1)));
        Value amount = makeInteger(lanesOf(i32), 32 - bits);
        result.push_back(isSigned ? Value(arith::ShRSIOp::create(b, loc, top, amount))
                                  : Value(arith::ShRUIOp::create(b, loc, top, amount)));
      }
      continue;
    }
    for (int64_t j = 0; j < tile.pack; ++j) {
      SmallVector<int64_t> mask;
      for (int64_t lane = 0; lane < tile.lanes; ++lane)
        mask.push_back(lane * tile.pack + j);
      Value narrow = shuffle(vector, vector, mask);
      if (!isa<IntegerType>(element) || bits == 32)
        result.push_back(narrow);
      else
        result.push_back(isSigned ? Value(arith::ExtSIOp::create(b, loc, lanesOf(i32), narrow))
                                  : Value(arith::ExtUIOp::create(b, loc, lanesOf(i32), narrow)));
    }
  }
  return result;
}

Values CpuEmitter::pack(const PhysicalTile &tile, ValueRange registers) {
  Type element = tile.type.getElementType(), i32 = b.getI32Type();
  unsigned bits = tile.type.getElementTypeBitWidth();
  VectorType lanes = VectorType::get(tile.lanes, i32);
  bool areWide =
      cast<VectorType>(registers.front().getType()).getElementType() == i32 && bits != 32;
  Values result;
  for (int64_t first = 0; first < tile.registers; first += tile.pack) {
    if (areWide && tile.pack * bits == 32) { // i32 that hold fewer bits: or them into one number
      Value packed;
      for (int64_t j = 0; j < tile.pack; ++j) {
        Value part = registers[first + j];
        if (j + 1 < tile.pack)
          part = arith::AndIOp::create(b, loc, part, makeInteger(lanes, (int64_t(1) << bits) - 1));
        if (j > 0)
          part = arith::ShLIOp::create(b, loc, part, makeInteger(lanes, bits * j));
        packed = packed ? Value(arith::OrIOp::create(b, loc, packed, part)) : part;
      }
      result.push_back(vector::BitCastOp::create(b, loc, tile.getVectorType(), packed));
      continue;
    }
    Values parts(registers.slice(first, tile.pack));
    if (areWide)
      for (Value &part : parts)
        part = arith::TruncIOp::create(b, loc, VectorType::get(tile.lanes, element), part);
    // Interleave: pairs, then pairs of pairs, so that element j of lane l comes to l * pack + j.
    for (; parts.size() > 1;) {
      Values merged;
      size_t half = parts.size() / 2;
      int64_t size = cast<VectorType>(parts.front().getType()).getNumElements();
      for (size_t i = 0; i < half; ++i) {
        SmallVector<int64_t> mask;
        for (int64_t k = 0; k < size; ++k)
          mask.append({k, k + size});
        merged.push_back(shuffle(parts[i], parts[i + half], mask));
      }
      parts = merged;
    }
    result.push_back(parts.front());
  }
  return result;
}

/// f32 to bf16, to nearest even, in integers (LLVM would call a library): the upper half of bits +
/// 0x7fff + last bit kept.
static Value roundToBf16(OpBuilder &b, Location loc, Value x,
                         function_ref<Value(Type, int64_t)> integer) {
  auto floats = cast<VectorType>(x.getType());
  VectorType i32 = floats.clone(b.getI32Type()), i16 = floats.clone(b.getI16Type());
  Value bits = arith::BitcastOp::create(b, loc, i32, x);
  Value sixteen = integer(i32, 16);
  Value odd =
      arith::AndIOp::create(b, loc, arith::ShRUIOp::create(b, loc, bits, sixteen), integer(i32, 1));
  Value rounded =
      arith::AddIOp::create(b, loc, bits, arith::AddIOp::create(b, loc, odd, integer(i32, 0x7fff)));
  Value isNan = arith::CmpFOp::create(b, loc, arith::CmpFPredicate::UNO, x, x);
  Value quiet = arith::OrIOp::create(b, loc, bits, integer(i32, 0x400000));
  Value chosen = arith::SelectOp::create(b, loc, isNan, quiet, rounded);
  Value upper =
      arith::TruncIOp::create(b, loc, i16, arith::ShRUIOp::create(b, loc, chosen, sixteen));
  return arith::BitcastOp::create(b, loc, floats.clone(b.getBF16Type()), upper);
}

Values CpuEmitter::widenBytes(const PhysicalTile &from, ValueRange vectors, bool isSigned) {
  Values result;
  VectorType i16 = VectorType::get(2 * from.lanes, b.getI16Type());
  for (Value vector : vectors)
    for (int64_t half = 0; half < 2; ++half) {
      SmallVector<int64_t> mask; // each byte twice: the upper of a pair counts
      for (int64_t i = 0; i < 4 * from.lanes; ++i)
        mask.push_back(i / 4 * 4 + 2 * half + i % 4 / 2);
      Value pairs = vector::BitCastOp::create(b, loc, i16, shuffle(vector, vector, mask));
      Value eight = makeInteger(i16, 8);
      result.push_back(isSigned ? Value(arith::ShRSIOp::create(b, loc, pairs, eight))
                                : Value(arith::ShRUIOp::create(b, loc, pairs, eight)));
    }
  return result;
}

LogicalResult CpuEmitter::emitCast(Operation &op) {
  const PhysicalTile &from = getPhysical(op.getOperand(0).getType()),
                     &to = getPhysical(op.getResult(0).getType());
  if (from.type.getShape() != to.type.getShape() ||
      from.type.getEncoding() != to.type.getEncoding())
    return op.emitOpError("expected a cast that keeps shape and layout");
  Type source = from.type.getElementType(), target = to.type.getElementType();
  bool isUnsigned = isa<arith::ExtUIOp, arith::UIToFPOp, arith::FPToUIOp>(op);
  if (source == b.getI1Type() || target == b.getI1Type()) {
    if (!isa<arith::ExtUIOp, arith::ExtSIOp>(op) || !target.isInteger(32))
      return op.emitOpError("expected predicates to be extended to i32 on a CPU");
  }
  auto lanesOf = [&](Type type) { return VectorType::get(from.lanes, type); };
  Values registers = get(op.getOperand(0));
  if (isa<arith::BitcastOp>(op)) {
    for (Value &vector : registers)
      vector = arith::BitcastOp::create(b, loc, to.getVectorType(), vector);
    set(op.getResult(0), registers);
    return success();
  }
  if (source.isInteger(8) && target.isInteger(16) && from.pack == 4) {
    set(op.getResult(0), widenBytes(from, registers, !isUnsigned));
    return success();
  }
  if (source != b.getI1Type())
    registers = unpack(from, registers, !isUnsigned, source);
  auto cast = [&](StringRef name, Type type) {
    for (Value &x : registers) {
      OperationState state(loc, name, x, TypeRange{lanesOf(type)});
      x = b.create(state)->getResult(0);
    }
  };
  Type i32 = b.getI32Type(), f32 = b.getF32Type();
  // Now one vector a register: integers are 32 bits wide, floats as they were.
  if (source == b.getI1Type()) {
    cast(isUnsigned ? "arith.extui" : "arith.extsi", i32);
  } else if (isa<FloatType>(source) && isa<FloatType>(target)) {
    if (target.isBF16()) {
      if (!source.isF32())
        return op.emitOpError("expected a cast from f32 on a CPU");
      for (Value &x : registers)
        x = roundToBf16(b, loc, x,
                        [&](Type type, int64_t value) { return makeInteger(type, value); });
    } else if (source != target) {
      cast(isa<arith::ExtFOp>(op) ? "arith.extf" : "arith.truncf", target);
    }
  } else if (isa<FloatType>(source)) {
    if (!source.isF32())
      return op.emitOpError("expected a cast from f32 on a CPU");
    cast(isUnsigned ? "arith.fptoui" : "arith.fptosi", i32);
  } else if (isa<FloatType>(target)) {
    if (!target.isF32())
      return op.emitOpError("expected a cast to f32 on a CPU");
    // Zero-extended numbers of less than 32 bits are not negative: the signed conversion is one
    // instruction.
    cast(isUnsigned && source == i32 ? "arith.uitofp" : "arith.sitofp", f32);
  }
  set(op.getResult(0), to.type.getElementTypeBitWidth() == 32 ? registers : pack(to, registers));
  return success();
}

//===----------------------------------------------------------------------------------------------===//
// exp2
//===----------------------------------------------------------------------------------------------===//

// The steps of Exp2::compute, on vectors.
Value CpuEmitter::emitExp2(Value x) {
  Type floats = x.getType();
  VectorType integers = cast<VectorType>(floats).clone(b.getI32Type());
  auto clamp = [&](Value value, arith::CmpFPredicate beyond, double limit) -> Value {
    Value bound = makeConstant(floats, limit);
    return arith::SelectOp::create(b, loc, arith::CmpFOp::create(b, loc, beyond, value, bound),
                                   bound, value);
  };
  x = clamp(x, arith::CmpFPredicate::OLT, ingot::Exp2::lowest);
  x = clamp(x, arith::CmpFPredicate::OGT, ingot::Exp2::highest);
  Value magic = makeConstant(floats, ingot::Exp2::magic);
  Value shifted = arith::AddFOp::create(b, loc, x, magic);
  Value f = arith::SubFOp::create(b, loc, x, arith::SubFOp::create(b, loc, shifted, magic));
  ArrayRef<float> coefficients(ingot::Exp2::coefficients);
  Value sum = makeConstant(floats, coefficients.front());
  for (float coefficient : coefficients.drop_front())
    sum = math::FmaOp::create(b, loc, sum, f, makeConstant(floats, coefficient));

  Value n = arith::SubIOp::create(b, loc, arith::BitcastOp::create(b, loc, integers, shifted),
                                  makeInteger(integers, ingot::Exp2::magicBits));
  Value half = arith::ShRSIOp::create(b, loc, n, makeInteger(integers, 1));
  for (Value exponent : {half, Value(arith::SubIOp::create(b, loc, n, half))}) {
    Value biased = arith::AddIOp::create(b, loc, exponent, makeInteger(integers, 127));
    Value bits = arith::ShLIOp::create(b, loc, biased, makeInteger(integers, 23));
    sum = arith::MulFOp::create(b, loc, sum, arith::BitcastOp::create(b, loc, floats, bits));
  }
  return sum;
}
