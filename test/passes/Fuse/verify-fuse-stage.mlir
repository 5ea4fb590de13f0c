// RUN: ingot-opt %s --ingot-verify-fuse-stage | FileCheck %s

!x = tensor<?x64xf32>
!w = !transformer.weight<[64, 64], q4_1>

transformer.weight @a : !w source "a"

// Names, sizes, shapes, loops, calls and arithmetic on numbers may stand outside of regions.
// CHECK-LABEL: func.func @step
func.func @step(%x: !x, %batch: !transformer.ragged) -> !x {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c2 = arith.addi %c1, %c1 : index
  %w = transformer.get_weight @a : !w
  %p = transformer.positions %batch : tensor<?xi32>
  %t = tensor.dim %x, %c0 : !x
  %e = tensor.expand_shape %x [[0], [1, 2]] output_shape [%t, 4, 16] : !x into tensor<?x4x16xf32>
  %f = tensor.collapse_shape %e [[0], [1, 2]] : tensor<?x4x16xf32> into !x
  %y = scf.for %i = %c0 to %c2 step %c1 iter_args(%a = %f) -> (!x) {
    %b = func.call @layer(%a, %w) : (!x, !w) -> !x
    scf.yield %b : !x
  }
  return %y : !x
}

func.func private @layer(%x: !x, %w: !w) -> !x {
  %y = transformer.compute "Linear" (%i = %x : !x, %m = %w : !w) -> (!x) {
    %r = transformer.linear %i, %m : !x, !w -> !x
    transformer.yield %r : !x
  }
  return %y : !x
}
