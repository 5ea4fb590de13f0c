//===- CpuContract.cpp - Contractions on a CPU ---------------------------------------------------------===//
//
// Every lane holds what its results need, so a contraction is a list of multiply-add instructions
// on whole vectors. Integer sums are exact: `run` bounds what is added in 16 bits, and signed codes
// are multiplied as magnitudes with the sign moved to the activation, because vpmaddubsw and
// vpdpbusd want one unsigned operand.
//
//===----------------------------------------------------------------------------------------------===//

#include "passes/Tile/CpuEmitter.h"

using namespace mlir;
using namespace ingot::tile;

LogicalResult CpuEmitter::emitContract(ContractOp op) {
  if (op.getAtom() == Atom::Vpmaddubsw || op.getAtom() == Atom::Vpdpbusd)
    return emitIntegerContract(op);
  if (op.getAtom() != Atom::Fma)
    return op.emitOpError("cannot be lowered to a CPU: it is made of a GPU's instruction");
  emitFma(op);
  return success();
}

LogicalResult CpuEmitter::emitIntegerContract(ContractOp op) {
  const PhysicalTile &sumTile = getPhysical(op.getType());
  int64_t lanes = sumTile.lanes;
  bool isWide = lanes == 16;
  if (lanes != 8 && !isWide)
    return op.emitOpError("expected 8 or 16 lanes, got ") << lanes;
  bool isDot = op.getAtom() == Atom::Vpdpbusd;
  if (isWide && op.getSignedCodes())
    return op.emitOpError("expected 8 lanes with signed codes, got ") << lanes;
  VectorType i8 = VectorType::get(4 * lanes, b.getI8Type()),
             i16 = VectorType::get(2 * lanes, b.getI16Type()), i32 = sumTile.getVectorType();
  Values a = get(op.getA()), x = get(op.getB()), sums = get(op.getAccumulator());
  SmallVector<int64_t> fromA = findOperandRegisters(op.getA().getType(), op.getType(), 0);
  SmallVector<int64_t> fromB = findOperandRegisters(op.getB().getType(), op.getType(), 1);
  int64_t depth = op.getA().getType().getDimSize(1);
  llvm::DenseMap<Value, Value> magnitudes;
  for (auto [r, sum] : llvm::enumerate(sums)) {
    Value pairs; // sums of products in 16 bits
    int64_t added = 0;
    auto flush = [&] {
      if (!pairs)
        return;
      Value quads =
          callIntrinsic(isWide ? "llvm.x86.avx512.pmaddw.d.512" : "llvm.x86.avx2.pmadd.wd", i32,
                        {pairs, makeInteger(i16, 1)});
      sum = arith::AddIOp::create(b, loc, sum, quads);
      pairs = {};
      added = 0;
    };
    for (int64_t k = 0; k < depth; k += 4) {
      Value codes = a[fromA[r * depth + k] / 4], activations = x[fromB[r * depth + k] / 4];
      if (op.getSignedCodes()) {
        activations = callIntrinsic("llvm.x86.avx2.psign.b", i8, {activations, codes});
        Value &magnitude = magnitudes[codes];
        if (!magnitude)
          magnitude = math::AbsIOp::create(b, loc, codes);
        codes = magnitude;
      }
      if (isDot) {
        sum =
            callIntrinsic(isWide ? "llvm.x86.avx512.vpdpbusd.512" : "llvm.x86.avx512.vpdpbusd.256",
                          i32, {sum, codes, activations});
        continue;
      }
      Value products =
          callIntrinsic(isWide ? "llvm.x86.avx512.pmaddubs.w.512" : "llvm.x86.avx2.pmadd.ub.sw",
                        i16, {codes, activations});
      pairs = pairs ? Value(arith::AddIOp::create(b, loc, pairs, products)) : products;
      if (++added == int64_t(op.getRun()))
        flush();
    }
    flush();
  }
  set(op, sums);
  return success();
}
