//===- LowerTileToNvptx.cpp - Tile kernels to LLVM functions of a GPU's threads -------------------------===//
//
// Each kernel goes two steps: the emitter writes it as scalar code of one thread (NvptxEmitter.h),
// then upstream's patterns turn that into the LLVM dialect. Other functions are left alone.
//
//===----------------------------------------------------------------------------------------------===//

#include "mlir/Conversion/ArithToLLVM/ArithToLLVM.h"
#include "mlir/Conversion/ControlFlowToLLVM/ControlFlowToLLVM.h"
#include "mlir/Conversion/LLVMCommon/ConversionTarget.h"
#include "mlir/Conversion/LLVMCommon/TypeConverter.h"
#include "mlir/Conversion/MathToLLVM/MathToLLVM.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Transforms/DialectConversion.h"
#include "passes/Tile/NvptxEmitter.h"
#include "passes/Tile/Passes.h"

using namespace mlir;
using namespace ingot::tile;

namespace ingot::tile {
#define GEN_PASS_DEF_LOWERTILETONVPTX
#include "passes/Tile/Passes.h.inc"
} // namespace ingot::tile

static LogicalResult convertToLLVM(LLVM::LLVMFuncOp function) {
  MLIRContext *context = function.getContext();
  if (failed(lowerControlFlow(function)))
    return failure();
  LLVMConversionTarget target(*context);
  target.addIllegalDialect<arith::ArithDialect, cf::ControlFlowDialect, math::MathDialect>();
  target.addLegalDialect<NVVM::NVVMDialect>();
  LLVMTypeConverter converter(context);
  RewritePatternSet patterns(context);
  arith::populateArithToLLVMConversionPatterns(converter, patterns);
  cf::populateControlFlowToLLVMConversionPatterns(converter, patterns);
  populateMathToLLVMConversionPatterns(converter, patterns);
  return applyPartialConversion(function, target, std::move(patterns));
}

namespace {
struct LowerTileToNvptx : ingot::tile::impl::LowerTileToNvptxBase<LowerTileToNvptx> {
  using Base::Base;

  void runOnOperation() override {
    OpBuilder builder(&getContext());
    for (KernelOp kernel : llvm::make_early_inc_range(getOperation().getOps<KernelOp>())) {
      FailureOr<LLVM::LLVMFuncOp> function = NvptxEmitter(kernel, builder, capability).emit();
      if (failed(function) || failed(convertToLLVM(*function)))
        return signalPassFailure();
      kernel.erase();
      ++kernels;
    }
  }
};
} // namespace
