// RUN: ingot-opt %s --ingot-quantize-activations | FileCheck %s
// RUN: ingot-opt %s --ingot-quantize-activations=activations=int8 | FileCheck %s
// RUN: ingot-opt %s --ingot-quantize-activations=activations=float | FileCheck %s --check-prefix=FLOAT
// RUN: ingot-opt %s --ingot-quantize-activations --verify-each | ingot-opt --ingot-quantize-activations | FileCheck %s

!w = !transformer.weight<[96, 64], q4_1>
!x = tensor<?x64xf32>

// FLOAT-NOT: transformer.quantize

// Linears of one input share its integers.
// CHECK-LABEL: func.func @share
// CHECK-SAME: (%[[X:.*]]: tensor<?x64xf32>, %[[A:.*]]: !{{.*}}, %[[B:.*]]: !
func.func @share(%x: !x, %a: !w, %b: !w) -> (tensor<?x96xf32>, tensor<?x96xf32>) {
  // CHECK: %[[V:.*]], %[[S:.*]] = transformer.quantize %[[X]] : tensor<?x64xf32> -> tensor<?x64xi8>, tensor<?x2xf32>
  // CHECK-NEXT: transformer.linear %[[V]] scales %[[S]], %[[A]] : tensor<?x64xi8> scales tensor<?x2xf32>,
  // CHECK-NEXT: transformer.linear %[[V]] scales %[[S]], %[[B]]
  %y = transformer.linear %x, %a : !x, !w -> tensor<?x96xf32>
  %z = transformer.linear %x, %b : !x, !w -> tensor<?x96xf32>
  return %y, %z : tensor<?x96xf32>, tensor<?x96xf32>
}

// Leading dimensions of any number stay as they are.
// CHECK-LABEL: func.func @dense
func.func @dense(%x: tensor<?x7x64xf32>, %a: !w) -> tensor<?x7x96xf32> {
  // CHECK: transformer.quantize %{{.*}} : tensor<?x7x64xf32> -> tensor<?x7x64xi8>, tensor<?x7x2xf32>
  %y = transformer.linear %x, %a : tensor<?x7x64xf32>, !w -> tensor<?x7x96xf32>
  return %y : tensor<?x7x96xf32>
}

// Other uses of the input keep the floats.
// CHECK-LABEL: func.func @residual
// CHECK-SAME: (%[[X:.*]]: tensor<?x64xf32>,
func.func @residual(%x: !x, %w: !transformer.weight<[64, 64], q8_0>) -> !x {
  // CHECK: %[[Y:.*]] = transformer.linear %{{.*}} scales
  // CHECK: arith.addf %[[X]], %[[Y]]
  %y = transformer.linear %x, %w : !x, !transformer.weight<[64, 64], q8_0> -> !x
  %z = arith.addf %x, %y : !x
  return %z : !x
}

// Products with floats stay in floats.
// CHECK-LABEL: func.func @floats
// CHECK-NOT: transformer.quantize
func.func @floats(%x: !x, %w: !transformer.weight<[96, 64], f16>) -> tensor<?x96xf32> {
  %y = transformer.linear %x, %w : !x, !transformer.weight<[96, 64], f16> -> tensor<?x96xf32>
  return %y : tensor<?x96xf32>
}
