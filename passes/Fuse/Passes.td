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

def FuseProjections : FusePass<"ingot-fuse-projections"> {
  let summary = "Compute queries, keys and values of a layer together";
  let description = [{
    The products that give queries, keys and values go into a region of the family LinearRopeAppendCache, together with
    what follows them: biases, split into heads, an rms norm over each head, the rotation of queries and keys, and
    `append_cache`, so that keys and values reach the cache without a detour. A product may also hold several of the
    three as columns. The kernel stacks weights of equal format.

    ```mlir
    %q = transformer.linear %x, %wq ; %k = transformer.linear %x, %wk ; %v = transformer.linear %x, %wv
    %r = transformer.rope interleaved %q, %positions ; %s = transformer.rope interleaved %k, %positions
    %c = transformer.append_cache %cache[%layer], %s, %v, %batch
    // becomes
    %r, %c = transformer.compute "LinearRopeAppendCache" (%a = %x, %m = %wq, %n = %wk, %o = %wv, ...) -> (...) {
      ... // the same ops
    }
    ```

    Assumes packed tokens. An `append_cache` keeps its ops, with a remark that says why, where no attention of the same
    tokens reads it, where something else uses what is between, and where the family says no (rotations that differ or
    are not by the batch's positions, sizes of heads). Linear in the number of ops.
  }];
  let statistics = [regionsStatistic];
}

def FuseGatedFeedForward : FusePass<"ingot-fuse-gated-feed-forward"> {
  let summary = "Compute both products of a gated feed-forward together";
  let description = [{
    act(W_gate x) * (W_up x), with any activation and with biases, becomes one region of the family
    LinearGatedActivation: both sums of an element meet where they are computed.

    ```mlir
    %g = transformer.linear %x, %gate ; %a = transformer.activation silu %g
    %u = transformer.linear %x, %up ; %m = arith.mulf %a, %u
    // becomes
    %m = transformer.compute "LinearGatedActivation" (%i = %x, %v = %gate, %w = %up) -> (tensor<?x96xf32>) { ... }
    ```

    A product of an activation of a `linear` with another `linear` stays, with a remark that says why, where their
    inputs or the weights' types differ, where something else uses what is between, and where the family says no.
    Linear in the number of ops.
  }];
  let statistics = [regionsStatistic];
}

def FuseActivation : FusePass<"ingot-fuse-activation"> {
  let summary = "Activate a product while it is computed";
  let description = [{
    An activation of a `transformer.linear` that nothing else reads goes into one region with it, of the family
    LinearActivation: the feed-forward of models without a gate. Runs after the gated one.

    ```mlir
    %p = transformer.linear %x, %w bias %b ; %y = transformer.activation gelu %p
    // becomes
    %y = transformer.compute "LinearActivation" (%i = %x, %m = %w, %c = %b) -> (tensor<?x96xf32>) { ... }
    ```

    Both stay, with a remark, where something else uses the product. Linear in the number of ops.
  }];
  let statistics = [regionsStatistic];
}

def FuseNorm : FusePass<"ingot-fuse-norm"> {
  let summary = "Compute a norm with what alone reads it";
  let description = [{
    A norm whose only use is `transformer.quantize` goes into one region with it, of the family RmsNormQuantize or
    LayerNormQuantize.

    ```mlir
    %n = transformer.norm rms %x, %w {epsilon = 1.0e-5 : f32} ; %v, %s = transformer.quantize %n
    // becomes
    %v, %s = transformer.compute "RmsNormQuantize" (%a = %x, %g = %w) -> (tensor<?x64xi8>, tensor<?x2xf32>) { ... }
    ```

    With `target=cuda` an rms norm whose only use is a region LinearGatedActivation or LinearRopeAppendCache becomes the
    first op of that region: its kernel norms a few tokens itself, more of them are normed by a launch before.

    ```mlir
    %n = transformer.norm rms %x, %w {epsilon = 1.0e-5 : f32} ; %y = transformer.compute "LinearGatedActivation" (%a = %n, ...)
    // becomes
    %y = transformer.compute "LinearGatedActivation" (%a = %x, %g = %w, ...) { %n = transformer.norm rms %a, %g ... }
    ```

    A norm that something else uses too stays, with a remark. Linear in the number of ops.
  }];
  let options = [Option<"target", "target", "std::string", "\"cpu\"", "Kind of machine: cpu or cuda">];
  let statistics = [regionsStatistic];
}

def FuseResidual : FusePass<"ingot-fuse-residual"> {
  let summary = "Add a product to the residual while it is computed";
  let description = [{
    A `transformer.linear` whose only use is an addition goes into one region with it, of the family Linear. The kernel
    adds to the other summand in place.

    ```mlir
    %p = transformer.linear %h, %w ; %y = arith.addf %x, %p
    // becomes
    %y = transformer.compute "Linear" (%i = %h, %m = %w, %r = %x) -> (tensor<?x64xf32>) { ... }
    ```

    Both stay, with a remark that says why, where the other summand is needed after the addition or is what the product
    reads: its memory cannot be taken then. Of two products that are added, the later takes the addition. Linear in the
    number of ops.
  }];
  let statistics = [regionsStatistic];
}

def FormRegions : FusePass<"ingot-form-regions"> {
  let summary = "Give every op that stands alone a compute region";
  let description = [{
    Each op that computes on activations becomes a region of the family that serves it alone: Embedding, SelectRows,
    RmsNorm, LayerNorm, Quantize, Linear, Rope, AppendCache, PagedAttention. Ops that act on each number alone (sums,
    products, activations, `math.tanh`, ...) go together with those that only they read (Elementwise); numbers that they
    repeat by `tensor.splat` become the region's own.

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
    the op, and so is a region that its family of kernels does not compute. Changes nothing. Linear in the number of ops.
  }];
}

#endif // INGOT_PASSES_FUSE
