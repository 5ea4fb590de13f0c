//===- Intrinsics.cpp - Which features intrinsics need ---------------------------------------------------===//
//
// LLVM ends the process on an intrinsic that the chip lacks, so each is looked up before. What is
// not in the table is refused: the table grows with the lowering.
//
//===----------------------------------------------------------------------------------------------===//

#include "ingot/Target/Cpu.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

using namespace mlir;
using namespace ingot;

namespace {
struct Intrinsic {
  llvm::StringRef name;
  llvm::StringRef features; ///< as in CpuAtom
};
} // namespace

static constexpr Intrinsic intrinsics[] = {
    {"llvm.x86.avx2.pmadd.ub.sw", "avx2"},
    {"llvm.x86.avx2.pmadd.wd", "avx2"},
    {"llvm.x86.avx2.pshuf.b", "avx2"},
    {"llvm.x86.avx2.psign.b", "avx2"},
    {"llvm.x86.avx512.pmaddubs.w.512", "avx512bw"},
    {"llvm.x86.avx512.pmaddw.d.512", "avx512bw"},
    {"llvm.x86.avx512.pshuf.b.512", "avx512bw"},
    {"llvm.x86.avx512.vpdpbusd.256", "avxvnni|avx512vnni,avx512vl"},
    {"llvm.x86.avx512.vpdpbusd.512", "avx512vnni"},
};

LogicalResult ingot::verifyCpuIntrinsics(ModuleOp module, const CpuTarget &target) {
  WalkResult result = module.walk([&](LLVM::CallIntrinsicOp op) {
    const Intrinsic *known = llvm::find_if(
        intrinsics, [&](const Intrinsic &intrinsic) { return intrinsic.name == op.getIntrin(); });
    if (known == std::end(intrinsics)) {
      op.emitOpError("expected an intrinsic that the table of CPU intrinsics knows, got '")
          << op.getIntrin() << "'";
      return WalkResult::interrupt();
    }
    if (!target.has(known->features)) {
      op.emitOpError("expected an intrinsic that ")
          << target.getName() << " has, got '" << op.getIntrin() << "', which needs "
          << known->features;
      return WalkResult::interrupt();
    }
    return WalkResult::advance();
  });
  return failure(result.wasInterrupted());
}
