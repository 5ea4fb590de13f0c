//===- Register.cpp - All dialects and passes ---------------------------------------------------===//

#include "ingot/Compiler/Register.h"
#include "dialects/Plan/Plan.h"
#include "dialects/Tile/Tile.h"
#include "dialects/Transformer/Transformer.h"
#include "ingot/Compiler/Pipeline.h"
#include "mlir/Transforms/Passes.h"
#include "passes/Compress/Passes.h"
#include "passes/Fuse/Passes.h"
#include "passes/Model/Passes.h"
#include "passes/Partition/Passes.h"
#include "passes/Plan/Passes.h"
#include "passes/Target/Passes.h"
#include "passes/Tile/Passes.h"

using namespace mlir;

void ingot::registerAllDialects(DialectRegistry &registry) {
  registry.insert<plan::PlanDialect, tile::TileDialect, transformer::TransformerDialect>();
  registry
      .insert<arith::ArithDialect, func::FuncDialect, linalg::LinalgDialect, LLVM::LLVMDialect,
              math::MathDialect, scf::SCFDialect, tensor::TensorDialect, vector::VectorDialect>();
}

void ingot::registerAllPasses() {
  registerTransformsPasses();
  model::registerModelPasses();
  compress::registerCompressPasses();
  fuse::registerFusePasses();
  plan::registerPlanPasses();
  partition::registerPartitionPasses();
  tile::registerTilePasses();
  registerStagePipelines();
  target::registerTargetPasses();
}
