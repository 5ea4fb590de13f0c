//===- ComputeOps.td - Regions that one kernel serves -----------------------------------*- tablegen -*-===//
//
// What the fuse stage makes: a group of ops and the name of the kernel family that will compute it.
//
//===---------------------------------------------------------------------------------------------------===//

#ifndef INGOT_TRANSFORMER_COMPUTE_OPS
#define INGOT_TRANSFORMER_COMPUTE_OPS

include "dialects/Transformer/TransformerTypes.td"

def ComputeOp : Transformer_Op<"compute", [IsolatedFromAbove, SingleBlock, RecursiveMemoryEffects]> {
  let summary = "ops that one kernel computes";
  let description = [{
    What the fuse stage decides: the ops of the region are computed together by a kernel of the family `kernel`. The
    region keeps the plain ops, so its meaning is theirs.

    Constraints:
    - (C1) the block's arguments have the operands' types.
    - (C2) `yield` returns the results' types.

    ```mlir
    %q, %s = transformer.compute "RmsNormQuantize" (%a = %x : tensor<?x576xf32>, %g = %w : !transformer.weight<[576], f32>)
        -> (tensor<?x576xi8>, tensor<?x18xf32>) {
      %n = transformer.norm rms %a, %g {epsilon = 1.0e-5 : f32} : tensor<?x576xf32>, !transformer.weight<[576], f32>
      %v, %t = transformer.quantize %n : tensor<?x576xf32> -> tensor<?x576xi8>, tensor<?x18xf32>
      transformer.yield %v, %t : tensor<?x576xi8>, tensor<?x18xf32>
    }
    ```
  }];
  let arguments = (ins StrAttr:$kernel, Variadic<AnyType>:$inputs);
  let results = (outs Variadic<AnyType>:$outputs);
  let regions = (region SizedRegion<1>:$body);
  let hasCustomAssemblyFormat = 1;
  let hasVerifier = 1;
}

def YieldOp : Transformer_Op<"yield", [Pure, Terminator, ReturnLike, ParentOneOf<["ComputeOp"]>]> {
  let summary = "results of a compute region";
  let arguments = (ins Variadic<AnyType>:$values);
  let assemblyFormat = "($values^ `:` type($values))? attr-dict";
}

#endif // INGOT_TRANSFORMER_COMPUTE_OPS
