//===- LowerTileToCpu.cpp - Tile kernels to LLVM functions on SIMD vectors ----------------------------===//
//
// Each kernel goes two steps: the emitter writes it as vector code (CpuEmitter.h), then upstream's
// patterns turn that into the LLVM dialect. Other functions of the module are left alone.
//
//===----------------------------------------------------------------------------------------------===//

#include "mlir/Conversion/ArithToLLVM/ArithToLLVM.h"
#include "mlir/Conversion/ControlFlowToLLVM/ControlFlowToLLVM.h"
#include "mlir/Conversion/FuncToLLVM/ConvertFuncToLLVM.h"
#include "mlir/Conversion/LLVMCommon/ConversionTarget.h"
#include "mlir/Conversion/LLVMCommon/TypeConverter.h"
#include "mlir/Conversion/MathToLLVM/MathToLLVM.h"
#include "mlir/Conversion/VectorToLLVM/ConvertVectorToLLVM.h"
#include "mlir/Dialect/Vector/Transforms/LoweringPatterns.h"
#include "mlir/Transforms/DialectConversion.h"
#include "passes/Tile/CpuEmitter.h"
#include "passes/Tile/Passes.h"

using namespace mlir;
using namespace ingot::tile;

namespace ingot::tile {
#define GEN_PASS_DEF_LOWERTILETOCPU
#include "passes/Tile/Passes.h.inc"
} // namespace ingot::tile

static LogicalResult convertToLLVM(func::FuncOp function) {
  MLIRContext *context = function.getContext();
  if (failed(lowerControlFlow(function)))
    return failure();
  LLVMConversionTarget target(*context);
  LLVMTypeConverter converter(context);
  RewritePatternSet patterns(context);
  arith::populateArithToLLVMConversionPatterns(converter, patterns);
  cf::populateControlFlowToLLVMConversionPatterns(converter, patterns);
  populateFuncToLLVMConversionPatterns(converter, patterns);
  populateMathToLLVMConversionPatterns(converter, patterns);
  populateVectorToLLVMConversionPatterns(converter, patterns);
  return applyPartialConversion(function, target, std::move(patterns));
}

namespace {
struct LowerTileToCpu : ingot::tile::impl::LowerTileToCpuBase<LowerTileToCpu> {
  void runOnOperation() override {
    OpBuilder builder(&getContext());
    for (KernelOp kernel : llvm::make_early_inc_range(getOperation().getOps<KernelOp>())) {
      FailureOr<func::FuncOp> function = CpuEmitter(kernel, builder).emit();
      if (failed(function) || failed(convertToLLVM(*function)))
        return signalPassFailure();
      kernel.erase();
      ++kernels;
    }
  }
};
} // namespace
