// A module is reduced to the function that keeps it interesting; what does not matter goes.

// RUN: ingot-reduce %s -reduction-tree='traversal-mode=0 test=%S/Inputs/has-norm.sh' 2>/dev/null | FileCheck %s

// CHECK-NOT: @other
// CHECK: transformer.norm
// CHECK-NOT: @other
func.func @normed(%x: tensor<?x4xf32>, %w: !transformer.weight<[4], f32>) -> tensor<?x4xf32> {
  %0 = transformer.norm rms %x, %w {epsilon = 1.0e-5 : f32} : tensor<?x4xf32>, !transformer.weight<[4], f32>
  return %0 : tensor<?x4xf32>
}
func.func @other(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {
  %0 = arith.addf %x, %x : tensor<?x4xf32>
  return %0 : tensor<?x4xf32>
}
