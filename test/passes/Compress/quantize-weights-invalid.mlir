// RUN: ingot-opt %s --split-input-file --ingot-quantize-weights=format=q8_0 --remarks-filter-missed=compress --remark-format=emitRemark --verify-diagnostics | FileCheck %s
// RUN: not ingot-opt %s --split-input-file --ingot-quantize-weights=format=q3_k 2>&1 | FileCheck %s --check-prefix=FORMAT

// FORMAT: expected the format of weights to be one of f32, f16, bf16, {{.*}}, got 'q3_k'

// Columns that are no whole blocks, and weights that are integers already, stay.
// CHECK: @odd : !transformer.weight<[96, 40], f32>
// CHECK: @coded : !transformer.weight<[96, 64], q4_1>
transformer.weight @odd : !transformer.weight<[96, 40], f32> source "odd"
transformer.weight @coded : !transformer.weight<[96, 64], q4_1> source "coded"
func.func @main(%x: tensor<?x40xf32>, %y: tensor<?x64xf32>) -> (tensor<?x96xf32>, tensor<?x96xf32>) {
  %odd = transformer.get_weight @odd : !transformer.weight<[96, 40], f32>
  %coded = transformer.get_weight @coded : !transformer.weight<[96, 64], q4_1>
  // expected-remark @below {{40 columns are no multiple of 32}}
  %a = transformer.linear %x, %odd : tensor<?x40xf32>, !transformer.weight<[96, 40], f32> -> tensor<?x96xf32>
  // expected-remark @below {{it is stored in q4_1 already}}
  %b = transformer.linear %y, %coded : tensor<?x64xf32>, !transformer.weight<[96, 64], q4_1> -> tensor<?x96xf32>
  return %a, %b : tensor<?x96xf32>, tensor<?x96xf32>
}

// -----

// Numbers in the program itself are not rounded.
// CHECK: @inline : !transformer.weight<[1, 32], f32>
transformer.weight @inline : !transformer.weight<[1, 32], f32> value dense<1.0> : tensor<1x32xf32>
func.func @main(%x: tensor<?x32xf32>) -> tensor<?x1xf32> {
  %w = transformer.get_weight @inline : !transformer.weight<[1, 32], f32>
  // expected-remark @below {{its numbers are written inline}}
  %a = transformer.linear %x, %w : tensor<?x32xf32>, !transformer.weight<[1, 32], f32> -> tensor<?x1xf32>
  return %a : tensor<?x1xf32>
}
