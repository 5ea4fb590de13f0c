//===- Passes.td - Passes of the fuse stage -------------------------------------------*- tablegen -*-===//
//
// The fuse stage decides which ops one kernel computes together. It writes regions, `transformer.compute`, that name a
// family of kernels and still hold the plain ops. One pass for each group of ops that a family serves, then one that
// gives every op that is left a region of its own.
//
//===------------------------------------------------------------------------------------------------===//

#ifndef INGOT_PASSES_FUSE
#define INGOT_PASSES_FUSE

include "mlir/Pass/PassBase.td"

class FusePass<string flag> : Pass<flag, "::mlir::ModuleOp"> {
  let dependentDialects = ["::ingot::transformer::TransformerDialect", "::mlir::arith::ArithDialect",
                           "::mlir::tensor::TensorDialect"];
}
defvar regionsStatistic = Statistic<"numRegions", "regions", "Compute regions that were made">;

def FormRegions : FusePass<"ingot-form-regions"> {
  let summary = "Give every op that stands alone a compute region";
  let description = [{
    Each op that computes on activations becomes a region of the family that serves it alone: Embedding, SelectRows,
    RmsNorm, Quantize, Linear, Rope, AppendCache, PagedAttention, Add. An activation goes together with the
    multiplication that is its only use (ActivationMultiply).

    ```mlir
    %y = transformer.linear %x, %w : tensor<?x64xf32>, !transformer.weight<[96, 64], q4_1> -> tensor<?x96xf32>
    // becomes
    %y = transformer.compute "Linear" (%a = %x : tensor<?x64xf32>, %b = %w : !transformer.weight<[96, 64], q4_1>)
        -> (tensor<?x96xf32>) {
      %r = transformer.linear %a, %b : tensor<?x64xf32>, !transformer.weight<[96, 64], q4_1> -> tensor<?x96xf32>
      transformer.yield %r : tensor<?x96xf32>
    }
    ```

    Assumes that passes that fuse have run: what is in a region stays as it is. Ops that only name things or change
    shapes (`get_weight`, `positions`, `tensor.expand_shape`, ...) stay outside. An op that no family computes stays
    where it is, with a remark. Linear in the number of ops.
  }];
  let statistics = [regionsStatistic];
}

def VerifyFuseStage : Pass<"ingot-verify-fuse-stage", "::mlir::ModuleOp"> {
  let summary = "Check that every op with a cost stands in a compute region";
  let description = [{
    What the tile stage relies on: outside of `transformer.compute` there are only calls, loops, arithmetic on numbers,
    changes of shape, and the transformer ops that name weights or parts of the batch. Everything else is an error at
    the op. Changes nothing. Linear in the number of ops.
  }];
}

#endif // INGOT_PASSES_FUSE
